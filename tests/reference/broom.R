# What R's broom.mixed (and broom, for clmm) makes of fits: tidy(), glance() and heads of augment().
# Run in this folder:
#   Rscript broom.R
# writes broom.json. The data sets are read from data/.
suppressMessages({
  library(lmerTest)
  library(glmmTMB)
  library(ordinal)
  library(broom)
  library(broom.mixed)
  library(jsonlite)
})

read <- function(name, factors) {
  found <- read.csv(file.path("data", paste0(name, ".csv")))
  found[factors] <- lapply(found[factors], factor)
  found
}
sleep <- read("sleepstudy", "Subject")
cbpp <- read("cbpp", c("herd", "period"))
sal <- read("Salamanders", c("site", "mined", "spp"))
sal$mined <- factor(sal$mined, levels = c("yes", "no"))
wine <- read("wine", c("rating", "temp", "contact", "judge"))
wine$rating <- factor(wine$rating, ordered = TRUE)

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
tighter <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12,
                        optCtrl = list(rhoend = 1e-8, maxfun = 1e5))

described <- function(fit, ...) list(
  tidy = as.data.frame(tidy(fit, conf.int = TRUE, ...)),
  glance = as.list(sapply(glance(fit), as.numeric))
)
# its confidence intervals of random effects' parameters fail beside a residual row
described_tmb <- function(fit) list(
  tidy = as.data.frame(tidy(fit)),
  glance = as.list(sapply(glance(fit), as.numeric))
)
head_of <- function(fit, data) head(as.data.frame(augment(fit, data = data)), 5)

slopes <- lmer(Reaction ~ Days + (Days | Subject), sleep, control = tight)
slopes_ml <- update(slopes, REML = FALSE)
herds <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
                     control = tighter)
counts <- glmmTMB(count ~ mined + (1 | site), sal, nbinom2)
zeros <- glmmTMB(count ~ mined + (1 | site), sal, poisson, ziformula = ~ mined + (1 | site))
normal <- glmmTMB(Reaction ~ Days + (Days | Subject), sleep)
ratings <- clmm(rating ~ temp + contact + (1 | judge), wine)

heads <- list(
  lmer_reml = c(described(slopes), list(augment = head_of(slopes, sleep),
    ran_vals = head(as.data.frame(tidy(slopes, effects = "ran_vals")), 3))),
  lmer_ml = described(slopes_ml),
  glmer = c(described(herds), list(augment = suppressWarnings(head_of(herds, cbpp)),
    ratios = as.data.frame(tidy(herds, effects = "fixed", conf.int = TRUE, exponentiate = TRUE)))),
  glmmtmb_nb = described_tmb(counts),
  glmmtmb_zip = described_tmb(zeros),
  glmmtmb_normal = c(described_tmb(normal), list(augment = head_of(normal, sleep))),
  clmm = c(described(ratings), list(
    ratios = as.data.frame(tidy(ratings, conf.int = TRUE, exponentiate = TRUE)))),
  versions = lapply(
    c(R = "base", lme4 = "lme4", lmerTest = "lmerTest", glmmTMB = "glmmTMB", ordinal = "ordinal",
      broom = "broom", broom.mixed = "broom.mixed"),
    function(name) as.character(packageVersion(name)))
)
write_json(heads, "broom.json", auto_unbox = TRUE, digits = 10, pretty = TRUE, na = "null",
           dataframe = "columns")
