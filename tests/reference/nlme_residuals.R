# Linear models with correlated residuals and unequal variances by nlme. Run in this folder:
#   Rscript nlme_residuals.R
# writes nlme_residuals.json. The data sets are read from data/.
library(nlme)
library(jsonlite)

ts <- read.csv("data/sim_ts.csv")
sleep <- read.csv("data/sleepstudy.csv")
gaps <- subset(ts, (t * 7 + as.integer(factor(g)) * 3) %% 5 != 0)  # a fifth of the rows left out
gaps$w <- 1 + (gaps$t %% 4)
gaps$half <- ifelse(gaps$t > 8, "b", "a")

tight <- lmeControl(tolerance = 1e-12, msTol = 1e-14, niterEM = 50, msMaxIter = 500, maxIter = 500,
                    opt = "nlminb")
both <- function(make) list(ML = make("ML"), REML = make("REML"))
models <- list(
  ar1_intercept = both(function(m) lme(
    yg ~ x, random = ~ 1 | g, correlation = corAR1(form = ~ t | g), ts, method = m,
    control = tight)),
  ar1_gaps = both(function(m) lme(
    yg ~ x, random = ~ 1 | g, correlation = corAR1(form = ~ t | g), gaps, method = m,
    control = tight)),
  ar1_days = both(function(m) lme(
    Reaction ~ Days, random = ~ 1 | Subject, correlation = corAR1(form = ~ Days | Subject),
    sleep, method = m, control = tight)),
  ar1_gls = both(function(m) gls(
    Reaction ~ Days, correlation = corAR1(form = ~ Days | Subject), sleep, method = m,
    control = glsControl(tolerance = 1e-12, msTol = 1e-14))),
  cs_gls = both(function(m) gls(
    yg ~ x, correlation = corCompSymm(form = ~ 1 | g), gaps, method = m,
    control = glsControl(tolerance = 1e-12, msTol = 1e-14))),
  ar1_weights = both(function(m) lme(
    yg ~ x, random = ~ 1 | g, correlation = corAR1(form = ~ t | g), gaps, method = m,
    weights = varFixed(~ I(1 / w)), control = tight)),
  ar1_dispersion = both(function(m) lme(
    yg ~ x, random = ~ 1 | g, correlation = corAR1(form = ~ t | g), gaps, method = m,
    weights = varIdent(form = ~ 1 | half), control = tight)),
  dispersion = both(function(m) lme(
    yg ~ x, random = ~ 1 | g, gaps, method = m, weights = varIdent(form = ~ 1 | half),
    control = tight))
)
summarise <- function(fit) {
  found <- summary(fit)
  beta <- if (inherits(fit, "lme")) fixef(fit) else coef(fit)
  structure <- fit$modelStruct
  list(
    loglik = as.numeric(logLik(fit)),
    beta = as.numeric(beta),
    se = sqrt(diag(fit$varFix %||% fit$varBeta)),
    sigma = fit$sigma,
    rho = if (is.null(structure$corStruct)) NULL else
      as.numeric(coef(structure$corStruct, unconstrained = FALSE)),
    ratio = if (is.null(structure$varStruct)) NULL else
      as.numeric(coef(structure$varStruct, unconstrained = FALSE))
  )
}
`%||%` <- function(a, b) if (is.null(a)) b else a
out <- lapply(models, function(pair) lapply(pair, summarise))
out$versions <- list(R = R.version.string, nlme = as.character(packageVersion("nlme")))
write_json(out, "nlme_residuals.json", auto_unbox = TRUE, digits = 12, pretty = TRUE)
