## Fits models with glmmTMB, lme4 and ordinal:  Rscript r_side.R models.jsonl results.jsonl
## One model a line in, one result a line out, written as they are found.
suppressPackageStartupMessages({library(lme4); library(glmmTMB); library(ordinal); library(jsonlite)})
Sys.setenv(OMP_NUM_THREADS = "1", OPENBLAS_NUM_THREADS = "1")
arguments <- commandArgs(TRUE)

control_tmb <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 3000, rel.tol = 1e-14))
again_tmb <- glmmTMBControl(optimizer = optim, optArgs = list(method = "BFGS"),
                            optCtrl = list(maxit = 3000, reltol = 1e-14))

frame_of <- function(model) {
  data <- as.data.frame(lapply(model$data, unlist), stringsAsFactors = FALSE)
  for (k in names(model$levels)) data[[k]] <- factor(data[[k]], levels = unlist(model$levels[[k]]))
  if (!is.null(model$ordered)) data$y <- factor(data$y, levels = unlist(model$ordered), ordered = TRUE)
  data
}

formula_of <- function(text) if (is.null(text)) ~ 0 else as.formula(text)

fit_tmb <- function(model, data) {
  arguments <- list(as.formula(model$formula), data = data, family = eval(parse(text = model$family)),
                    ziformula = formula_of(model$zi),
                    dispformula = if (is.null(model$disp)) ~ 1 else as.formula(model$disp),
                    REML = isTRUE(model$REML))
  if (!is.null(model$weights)) arguments$weights <- data[[model$weights]]
  if (model$family == "ordbeta") arguments$start <- list(psi = c(-1, 1))  # its own start is NaN
  words <- NULL
  fits <- list()
  for (control in list(control_tmb, again_tmb)) {
    m <- tryCatch(do.call(glmmTMB, c(arguments, list(control = control))),
                  error = function(e) { words <<- c(words, conditionMessage(e)); NULL })
    if (is.null(m)) next
    fits <- c(fits, list(m))
    if (m$fit$convergence == 0 && isTRUE(m$sdr$pdHess)) break  # else by the other optimiser too
  }
  if (!length(fits)) stop(paste(unique(words), collapse = "; "))
  # logLik() hides the value of a fit whose Hessian is not positive definite; this is it
  values <- sapply(fits, function(m) -m$fit$objective)
  values[!is.finite(values)] <- -Inf
  m <- fits[[which.max(values)]]
  list(loglik = max(values), convergence = m$fit$convergence, pdHess = isTRUE(m$sdr$pdHess))
}

fit_lme4 <- function(model, data) {
  weights <- if (is.null(model$weights)) rep(1, nrow(data)) else data[[model$weights]]
  data$.w <- weights
  if (model$engine == "lmer") {
    m <- lmer(as.formula(model$formula), data, REML = isTRUE(model$REML), weights = .w,
              control = lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
                optCtrl = list(rhoend = 1e-9, maxfun = 1e5), check.nobs.vs.nRE = "ignore",
                check.nobs.vs.nlev = "ignore"))
  } else {
    m <- glmer(as.formula(model$formula), data, family = eval(parse(text = model$family)),
               nAGQ = model$nAGQ, weights = if (is.null(model$weights)) NULL else .w,
               control = glmerControl(optimizer = "bobyqa", calc.derivs = FALSE, tolPwrss = 1e-10,
                 optCtrl = list(rhoend = 1e-9, maxfun = 1e5), check.nobs.vs.nRE = "ignore",
                 check.nobs.vs.nlev = "ignore"))
  }
  list(loglik = as.numeric(logLik(m)), convergence = 0, pdHess = TRUE)
}

fit_ordinal <- function(model, data) {
  m <- clmm(as.formula(model$formula), data = data, nAGQ = model$nAGQ,
            control = clmm.control(gradTol = 1e-6))
  list(loglik = as.numeric(m$logLik), convergence = m$optRes$convergence, pdHess = TRUE)
}

engines <- list(glmmTMB = fit_tmb, lmer = fit_lme4, glmer = fit_lme4, ordinal = fit_ordinal)
## A process of its own for each model: what compiled code is busy with can be ended in no other way.
LIMIT <- 60
within_limit <- function(expression) {
  job <- parallel::mcparallel(expression)
  found <- parallel::mccollect(job, wait = FALSE, timeout = LIMIT)
  if (is.null(found)) {
    tools::pskill(job$pid, tools::SIGKILL)
    suppressWarnings(parallel::mccollect(job))
    return(list(error = paste("no end after", LIMIT, "s")))
  }
  if (inherits(found[[1]], "try-error") || is.null(found[[1]])) list(error = "died") else found[[1]]
}

output <- file(arguments[2], "w")
for (line in readLines(arguments[1])) {
  model <- fromJSON(line, simplifyVector = FALSE)
  began <- proc.time()[["elapsed"]]
  result <- within_limit(tryCatch(
    suppressMessages(suppressWarnings(engines[[model$engine]](model, frame_of(model)))),
    error = function(e) list(error = conditionMessage(e))))
  result$seconds <- round(proc.time()[["elapsed"]] - began, 2)
  record <- c(list(name = model$name, digest = model$digest, engine = model$engine), result)
  writeLines(toJSON(record, auto_unbox = TRUE, digits = NA, na = "string"), output)
  flush(output)
}
close(output)
