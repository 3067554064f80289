# Fit with lme4, glmmTMB or ordinal: Rscript r_worker.R lme4|glmmTMB|ordinal. Requests and answers as in loop.py.

engine <- commandArgs(trailingOnly = TRUE)[1]
suppressMessages({library(engine, character.only = TRUE); library(jsonlite)})

read_case <- function(path, case) {
  levels <- case$levels
  classes <- setNames(rep("character", length(levels)), names(levels))
  data <- read.csv(path, colClasses = classes, check.names = FALSE, na.strings = character(0))
  for (column in names(levels)) {
    data[[column]] <- factor(data[[column]], levels[[column]], ordered = column %in% case$ordered)
  }
  data
}

model_formula <- function(case) {
  response <- case$response
  if (!is.null(case$trials)) response <- sprintf("cbind(%s, %s - %s)", response, case$trials, response)
  as.formula(paste(response, "~", paste(c(case$fixed, case$random), collapse = " + ")))
}

fit_lme4 <- function(formula, data, case) {
  if (case$family == "gaussian") return(lmer(formula, data, REML = FALSE))
  if (case$family == "nb2") return(glmer.nb(formula, data))
  glmer(formula, data, family = case$family, nAGQ = case$nAGQ)
}

fit_glmmTMB <- function(formula, data, case) {
  family <- switch(case$family, nb2 = nbinom2(), zip = poisson(), get(case$family)())
  zi <- if (case$family == "zip") ~1 else ~0
  glmmTMB(formula, data, family = family, ziformula = zi)
}

fit_ordinal <- function(formula, data, case) {
  call <- bquote(clmm(.(formula), data = data, link = "probit"))  # it evaluates its formula anew
  eval(call)
}

fit <- function(formula, data, case) {
  fit_engine <- list(lme4 = fit_lme4, glmmTMB = fit_glmmTMB, ordinal = fit_ordinal)[[engine]]
  model <- fit_engine(formula, data, case)
  table <- coef(summary(model))
  if (engine == "glmmTMB") table <- table$cond
  if (case$replicates > 0) bootstrap(model, formula, data, case)
  list(loglik = as.numeric(logLik(model)), converged = all(is.finite(table[, "Std. Error"])))
}

bootstrap <- function(model, formula, data, case) {
  if (engine == "lme4") {
    estimates <- bootMer(model, fixef, case$replicates)$t
    if (all(is.na(estimates))) stop("all replicates failed")
  } else {
    # bootMer fails on every replicate of a glmmTMB with trials ("can't find response in data").
    for (response in simulate(model, case$replicates)) {
      data[[case$response]] <- response[, 1]
      fit_glmmTMB(formula, data, case)
    }
  }
}

timed <- function(case, data) {
  gc(FALSE)
  began <- proc.time()
  answer <- fit(model_formula(case), data, case)
  spent <- proc.time() - began
  c(list(seconds = spent[["elapsed"]], cpu_seconds = sum(spent[1:2])), answer)
}

handle <- function(request) {
  if (!is.null(request$load)) {
    case <<- request$case
    data <<- read_case(request$load, request$case)
    return(setNames(list(), character(0)))
  }
  suppressWarnings(suppressMessages(timed(case, data)))
}

case <- data <- NULL
input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  answer <- tryCatch(handle(fromJSON(line)), error = function(e) list(error = conditionMessage(e)))
  cat(toJSON(answer, auto_unbox = TRUE, digits = NA), "\n", sep = "")
  flush(stdout())
}
