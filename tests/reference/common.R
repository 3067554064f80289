## common.R -- helpers of make_public.R
Sys.setenv(OMP_NUM_THREADS = "1", OPENBLAS_NUM_THREADS = "1")
suppressPackageStartupMessages({
  library(lme4); library(glmmTMB); library(jsonlite)
})
stopifnot(packageVersion("glmmTMB") >= "1.1.5")
options(warn = 1, digits = 15)

## ---------------------------------------------------------------- set-up --
META <- list(); OUT <- NULL; LOGF <- NULL
ONLY <- Sys.getenv("ONLY", "")            # regex on fit id (development aid)
init <- function(out) {
  OUT <<- out
  dir.create(file.path(out, "data"), FALSE, TRUE); dir.create(file.path(out, "fits"), FALSE, TRUE)
  LOGF <<- file.path(out, if (nzchar(ONLY)) "log_partial.txt" else "log.txt")
  cat("started", format(Sys.time()), "\n", file = LOGF)
}
logmsg <- function(...) { s <- paste0(...); cat(s, "\n"); cat(s, "\n", file = LOGF, append = TRUE) }

## ------------------------------------------------------------------ data --
## shortest decimal string that reads back to the identical double
num17 <- function(v) {
  s <- sprintf("%.15g", v)
  for (f in c("%.16g", "%.17g")) {
    bad <- !is.na(v) & is.finite(v) & suppressWarnings(as.numeric(s)) != v
    if (any(bad)) s[bad] <- sprintf(f, v[bad])
  }
  s[is.na(v)] <- NA; s
}
## write CSV, remember column types/levels, read the CSV back (so that fits use
## exactly what the CSV holds) and re-apply the R factor levels
wdata <- function(x, name, gz = FALSE, source = "", note = "") {
  x <- as.data.frame(x); rownames(x) <- NULL
  spec <- lapply(x, function(c)
    if (is.ordered(c)) list(type = "ordered", levels = I(levels(c)))
    else if (is.factor(c)) list(type = "factor", levels = I(levels(c)))
    else if (is.integer(c)) list(type = "integer")
    else if (is.numeric(c)) list(type = "numeric")
    else if (is.logical(c)) list(type = "logical")
    else list(type = "string"))
  y <- x
  for (k in names(y)) y[[k]] <- if (is.double(y[[k]])) num17(y[[k]]) else as.character(y[[k]])
  isq <- which(vapply(spec, function(s) s$type %in% c("factor", "ordered", "string"), NA))
  fn <- paste0(name, ".csv", if (gz) ".gz")
  con <- if (gz) gzfile(file.path(OUT, "data", fn), "w", compression = 9) else file(file.path(OUT, "data", fn), "w")
  write.csv(y, con, row.names = FALSE, quote = if (length(isq)) isq else FALSE, na = "NA"); close(con)
  z <- read.csv(file.path(OUT, "data", fn), colClasses = "character", check.names = FALSE, na.strings = "NA")
  for (k in names(z)) z[[k]] <- switch(spec[[k]]$type,
    factor = factor(z[[k]], levels = levels(x[[k]])), ordered = factor(z[[k]], levels = levels(x[[k]]), ordered = TRUE),
    integer = as.integer(z[[k]]), numeric = as.numeric(z[[k]]), logical = as.logical(z[[k]]), z[[k]])
  chk <- all.equal(z, x, check.attributes = FALSE, tolerance = 0)
  if (!isTRUE(chk)) logmsg("NOTE data ", name, ": CSV round trip: ", paste(chk, collapse = "; "))
  META[[name]] <<- list(file = fn, nrow = nrow(x), ncol = ncol(x), source = source, note = note, columns = spec)
  write_schema()
  z
}
write_schema <- function() {
  f <- file.path(OUT, "data", "_schema.json")
  old <- if (nzchar(ONLY) && file.exists(f)) fromJSON(f, simplifyVector = FALSE) else list()
  writeLines(toJSON(META, auto_unbox = TRUE, digits = NA, pretty = TRUE, na = "null", null = "null"), f)
}

## -------------------------------------------------------------- controls --
## TC / GC / LC are the controls named in "r_call"
## nlminb followed by Newton steps on the exact (TMB) gradient, Hessian by central differences
nlminb_newton <- function(start, objective, gradient, control = list(), newton = TRUE) {
  r <- nlminb(start, objective, gradient, control = control)
  env <- environment(objective)
  p <- r$par; f <- as.numeric(objective(p)); g <- as.numeric(gradient(p)); p0 <- length(p)
  it <- 0L
  if (newton) while (it < 6L && all(is.finite(g)) && max(abs(g)) > 1e-9) {
    it <- it + 1L
    H <- matrix(0, p0, p0); h <- 1e-4
    for (j in seq_len(p0)) {
      e <- numeric(p0); e[j] <- h
      H[, j] <- (as.numeric(gradient(p + e)) - as.numeric(gradient(p - e))) / (2 * h)
    }
    H <- (H + t(H)) / 2
    if (any(!is.finite(H))) break
    ev <- tryCatch(eigen(H, symmetric = TRUE, only.values = TRUE)$values, error = function(e) NA)
    if (anyNA(ev) || min(ev) < 1e-8 * max(ev)) break
    step <- tryCatch(solve(H, g), error = function(e) NULL)
    if (is.null(step) || max(abs(step)) > 0.5) break
    pn <- p - step; fn <- as.numeric(objective(pn)); gn <- as.numeric(gradient(pn))
    if (!is.finite(fn) || fn > f + 1e-9 * max(1, abs(f)) || any(!is.finite(gn)) || max(abs(gn)) > max(abs(g))) break
    p <- pn; f <- fn; g <- gn
  }
  f <- as.numeric(objective(p))
  env$last.par.best <- env$last.par; env$value.best <- f
  r$par[] <- p; r$objective <- f; r$newton.steps <- it; r$max.grad <- max(abs(g))
  if (is.finite(r$max.grad) && r$max.grad < 1e-4) { r$nlminb.message <- r$message; r$convergence <- 0L; r$message <- "converged (gradient < 1e-4)" }
  r
}
TC <- glmmTMBControl(optimizer = nlminb_newton, optCtrl = list(rel.tol = 1e-12, iter.max = 2000, eval.max = 2000))
## for large problems: no finite-difference Newton polish
TCbig <- glmmTMBControl(optimizer = nlminb, optCtrl = list(rel.tol = 1e-12, iter.max = 2000, eval.max = 2000))
## minqa::bobyqa (restarted) followed by Newton steps with finite differences scaled to the curvature
bobyqa_newton <- function(fn, par, lower = rep(-Inf, length(par)), upper = rep(Inf, length(par)), control = list()) {
  ctl <- control[intersect(names(control), c("rhobeg", "rhoend", "maxfun", "npt"))]; nf <- 0L
  f0 <- function(p) { nf <<- nf + 1L; fn(p) }
  if (length(par) == 1) par[par == 0] <- 0.001
  run <- function(p, rb) { c2 <- ctl; c2$rhobeg <- rb; minqa::bobyqa(p, f0, lower, upper, control = c2) }
  o <- minqa::bobyqa(par, f0, lower, upper, control = ctl); best <- o
  for (rb in c(0.02, 0.002)) { o <- tryCatch(run(best$par, rb), error = function(e) best); d <- best$fval - o$fval; if (d > 0) best <- o; if (d < 1e-9) break }
  p <- best$par; f <- best$fval; msg <- "bobyqa"; ng <- NA_real_
  free <- which(!(is.finite(lower) & p - lower < 1e-5)); k <- length(free)
  at <- function(v) { q <- p; q[free] <- v; f0(q) }
  newt <- function() {
    v <- p[free]; s <- rep(1e-3, k)
    for (it in 1:10) {
      for (r in 1:2) for (j in 1:k) { e <- numeric(k); e[j] <- s[j]; cj <- (at(v + e) + at(v - e) - 2 * f) / s[j]^2
        if (is.finite(cj) && cj > 0) s[j] <- min(0.05, max(1e-7, 0.05 * sqrt(2 / cj))) }
      s <- pmin(s, ifelse(is.finite(lower[free]), pmax((v - lower[free]) / 3, 1e-7), Inf))
      g <- numeric(k); H <- matrix(0, k, k)
      for (j in 1:k) { e <- numeric(k); h <- s[j] / 10; e[j] <- h; g[j] <- (at(v + e) - at(v - e)) / (2 * h); e[j] <- s[j]; H[j, j] <- (at(v + e) + at(v - e) - 2 * f) / s[j]^2 }
      if (k > 1) for (j in 1:(k - 1)) for (l in (j + 1):k) { a <- b <- numeric(k); a[j] <- s[j]; b[l] <- s[l]
        H[j, l] <- H[l, j] <- (at(v + a + b) - at(v + a - b) - at(v - a + b) + at(v - a - b)) / (4 * s[j] * s[l]) }
      ev <- eigen(cov2cor2(H), TRUE, TRUE)$values; if (anyNA(ev) || min(ev) < 1e-7) return(list(v, f, "Hessian not PD", max(abs(g))))
      st <- solve(H, g); dec <- 0.5 * sum(g * st); ok <- FALSE; fac <- 1
      while (fac > 0.1) { vn <- v - fac * st; if (all(vn >= lower[free])) { fnw <- at(vn); if (is.finite(fnw) && fnw <= f + 1e-10 * abs(f)) { ok <- TRUE; break } }; fac <- fac / 2 }
      if (!ok) return(list(v, f, "no further decrease", max(abs(g))))
      v <- vn; f <<- fnw; if (abs(dec) < 1e-12) return(list(v, f, "newton", max(abs(g))))
    }
    list(v, f, "newton maxit", max(abs(g)))
  }
  cov2cor2 <- function(H) { d <- sqrt(pmax(diag(H), 1e-300)); H / outer(d, d) }
  if (k <= 14) { r <- tryCatch(newt(), error = function(e) NULL); if (!is.null(r)) { p[free] <- r[[1]]; msg <- paste("bobyqa +", r[[3]]); ng <- r[[4]] } }
  f <- f0(p)
  list(par = p, fval = f, feval = nf, convergence = 0L, message = msg)
}
GC <- glmerControl(optimizer = "bobyqa_newton", tolPwrss = 1e-14, optCtrl = list(maxfun = 1e6, rhoend = 1e-9))
GC12 <- glmerControl(optimizer = "bobyqa_newton", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e6, rhoend = 1e-9))
LC <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9))
CC <- function(...) ordinal::clmm.control(gradTol = 1e-8, maxIter = 200, ...)

## ------------------------------------------------------------ small bits --
nl <- function(v) { if (is.null(v) || !length(v)) return(setNames(list(), character())); as.list(v) }
h10 <- function(v, k = 10) I(unname(as.numeric(utils::head(v, k))))
fl <- function(f) paste(deparse(f, width.cutoff = 500L), collapse = " ")
ver <- function(p) as.character(packageVersion(p))
factor_info <- function(mf, ctr = NULL) {
  out <- list()
  for (k in names(mf)) if (is.factor(mf[[k]]) || is.character(mf[[k]])) {
    lv <- if (is.factor(mf[[k]])) levels(mf[[k]]) else sort(unique(mf[[k]]))
    if (length(lv) > 60) next
    out[[k]] <- list(levels = I(lv), ordered = is.ordered(mf[[k]]))
    if (!is.null(ctr[[k]])) {
      cc <- ctr[[k]]
      if (is.character(cc)) out[[k]]$contrasts <- cc else out[[k]]$contrast_matrix <- unname(unclass(cc))
    }
  }
  if (length(out)) out else setNames(list(), character())
}
vc_entry <- function(group, M, struct = "us", term = NULL, maxdim = 12) {
  S <- as.matrix(M); tn <- rownames(S); if (is.null(tn)) tn <- colnames(S)
  sd <- sqrt(diag(S)); C <- S / outer(sd, sd)
  S <- matrix(as.numeric(S), nrow(S)); C <- matrix(as.numeric(C), nrow(S))
  e <- list(group = group, structure = struct)
  if (!is.null(term)) e$term <- term
  d <- nrow(S); k <- if (d > maxdim) 6L else d
  e$dim <- d; if (d > maxdim) e$truncated_to <- k
  e$terms <- I(tn[seq_len(k)]); e$cov <- S[seq_len(k), seq_len(k), drop = FALSE]
  e$sd <- I(unname(sd[seq_len(k)])); e$cor <- C[seq_len(k), seq_len(k), drop = FALSE]
  e
}
ranef_from_df <- function(df, maxlev = 5, maxterm = 8) {
  out <- list()
  for (g in unique(as.character(df$grpvar))) {
    d <- df[as.character(df$grpvar) == g, ]
    tm <- utils::head(unique(as.character(d$term)), maxterm)
    lv <- utils::head(if (is.factor(d$grp)) { l <- levels(droplevels(d$grp)); u <- unique(as.character(d$grp)); u } else unique(as.character(d$grp)), maxlev)
    pick <- function(col) t(vapply(lv, function(l) vapply(tm, function(t)
      { v <- d[[col]][as.character(d$term) == t & as.character(d$grp) == l]; if (length(v)) as.numeric(v[1]) else NA_real_ }, 0), numeric(length(tm))))
    shape <- function(M) matrix(as.numeric(M), length(lv), length(tm), byrow = FALSE)
    v <- pick("condval"); if (length(tm) == 1) v <- t(v); v <- matrix(as.numeric(v), length(lv), length(tm))
    s <- pick("condsd"); if (length(tm) == 1) s <- t(s); s <- matrix(as.numeric(s), length(lv), length(tm))
    out[[g]] <- list(levels = I(lv), terms = I(tm), values = v, condsd = s, n_levels = length(unique(as.character(d$grp))))
  }
  out
}
## log-likelihood of the saturated model: the constant lme4 leaves out when nAGQ > 1
sat_ll <- function(m) {
  y <- getME(m, "y"); w <- weights(m, type = "prior"); fam <- family(m)$family
  switch(fam, binomial = sum(dbinom(round(y * w), round(w), y, log = TRUE)),
         poisson = sum(w * dpois(y, y, log = TRUE)), NA_real_)
}

## ------------------------------------------- record builders, per engine --
rec_mer <- function(m) {
  G <- isGLMM(m); fe <- fixef(m); V <- as.matrix(vcov(m)); vc <- VarCorr(m)
  ll <- logLik(m); n <- nobs(m); df <- attr(ll, "df"); L <- as.numeric(ll); Leng <- L
  nagq <- if (G) unname(m@devcomp$dims[["nAGQ"]]) else NA
  if (G && nagq > 1) { L <- L + sat_ll(m) }
  fam <- family(m)
  r <- list(engine = "lme4", engine_version = ver("lme4"), family = fam$family, link = fam$link,
    formula = fl(formula(m)), nAGQ = if (G) nagq else NULL, REML = if (G) NULL else isREML(m),
    n = n, logLik = L, df = df, AIC = -2 * L + 2 * df, BIC = -2 * L + log(n) * df)
  if (Leng != L) { r$logLik_engine <- Leng; r$logLik_saturated_constant <- L - Leng }
  r$fixef <- nl(fe); r$se <- nl(sqrt(diag(V))); r$vcov <- unname(V)
  gn <- names(m@cnms)
  r$varcor <- setNames(lapply(seq_along(vc), function(i) vc_entry(gn[i], vc[[i]])), names(vc))
  usc <- !G || grepl("Gamma|inverse|gaussian|quasi", fam$family)
  r$sigma_or_dispersion <- if (usc) sigma(m) else if (grepl("Negative Binomial", fam$family)) getME(m, "glmer.nb.theta") else NULL
  r$theta <- I(unname(getME(m, "theta")))
  ng <- ngrps(m); r$ngroups <- as.list(ng)
  r$ranef_head <- ranef_from_df(as.data.frame(ranef(m, condVar = TRUE)))
  r$fitted_head <- h10(fitted(m)); r$predict_pop_head <- h10(predict(m, re.form = NA, type = "response"))
  r$singular <- isSingular(m)
  r$optinfo <- list(optimizer = m@optinfo$optimizer, feval = m@optinfo$feval, code = m@optinfo$conv$opt,
                    messages = I(as.character(unlist(m@optinfo$conv$lme4$messages))))
  if (G) { d <- m@optinfo$derivs; if (!is.null(d)) r$max_abs_grad_dev_fd <- max(abs(d$gradient)) }
  r$factors <- factor_info(model.frame(m), attr(model.matrix(m), "contrasts"))
  r
}
rec_tmb <- function(m) {
  fe <- fixef(m); ll <- logLik(m); n <- nobs(m); df <- attr(ll, "df"); L <- as.numeric(ll)
  fam <- family(m); REML <- isTRUE(m$modelInfo$REML)
  sf <- summary(m$sdr, "fixed")
  seof <- function(nm, k) { i <- which(rownames(sf) == nm); if (length(i) == k) sf[i, 2] else rep(NA_real_, k) }
  V <- tryCatch(vcov(m), error = function(e) NULL)
  se_c <- if (!is.null(V$cond)) sqrt(diag(V$cond)) else seof("beta", length(fe$cond))
  r <- list(engine = "glmmTMB", engine_version = ver("glmmTMB"), family = fam$family, link = fam$link,
    formula = fl(m$modelInfo$allForm$formula), zi_formula = fl(m$modelInfo$allForm$ziformula), disp_formula = fl(m$modelInfo$allForm$dispformula),
    REML = REML, n = n, logLik = L, df = df, AIC = -2 * L + 2 * df, BIC = -2 * L + log(n) * df)
  r$fixef <- nl(fe$cond); r$se <- nl(setNames(se_c, names(fe$cond)))
  if (!is.null(V$cond)) r$vcov <- unname(as.matrix(V$cond))
  vcs <- VarCorr(m); codes <- glmmTMB:::.valid_covstruct
  mkvc <- function(vc, st) { if (!length(vc)) return(NULL)
    setNames(lapply(seq_along(vc), function(i) { M <- vc[[i]]; S <- matrix(as.numeric(M), nrow(M), dimnames = dimnames(M))
      code <- names(codes)[match(st[[i]]$blockCode, codes)]
      e <- vc_entry(names(vc)[i], S, struct = code, term = names(st)[i]); e }), make.unique(names(vc))) }
  r$varcor <- mkvc(vcs$cond, m$modelInfo$reStruc$condReStruc); if (is.null(r$varcor)) r$varcor <- setNames(list(), character())
  z <- mkvc(vcs$zi, m$modelInfo$reStruc$ziReStruc); if (!is.null(z)) r$zi_varcor <- z
  uses <- glmmTMB:::usesDispersion(fam$family)
  sg <- sigma(m); r$sigma_or_dispersion <- if (uses && !is.na(sg)) sg else NULL
  fp <- tryCatch(glmmTMB:::family_params(m), error = function(e) numeric(0)); if (length(fp)) r$shape_params <- nl(fp)
  if (length(fe$zi)) { r$zi_fixef <- nl(fe$zi); r$zi_se <- nl(setNames(seof("betazi", length(fe$zi)), names(fe$zi))) }
  if (uses && length(fe$disp)) { r$disp_fixef <- nl(fe$disp); r$disp_se <- nl(setNames(seof("betad", length(fe$disp)), names(fe$disp))) }
  pl <- m$obj$env$parList(m$fit$par, m$obj$env$last.par.best)
  r$theta <- I(unname(as.numeric(pl$theta))); if (length(pl$thetazi)) r$thetazi <- I(unname(as.numeric(pl$thetazi)))
  i <- rownames(sf) == "theta"; if (any(i)) r$theta_se <- I(unname(sf[i, 2]))
  r$ngroups <- nl(vapply(m$modelInfo$reTrms$cond$flist, function(f) nlevels(factor(f)), 0L))
  if (length(vcs$cond) || length(vcs$zi)) {
    d <- as.data.frame(ranef(m, condVar = TRUE))
    dc <- d[d$component == "cond", ]; dz <- d[d$component == "zi", ]
    if (nrow(dc)) r$ranef_head <- ranef_from_df(dc); if (nrow(dz)) r$zi_ranef_head <- ranef_from_df(dz)
  }
  if (is.null(r$ranef_head)) r$ranef_head <- setNames(list(), character())
  r$fitted_head <- h10(fitted(m)); r$predict_pop_head <- h10(predict(m, re.form = NA, type = "response"))
  if (!glmmTMB:::noZI(m)) {
    r$predict_conditional_head <- h10(predict(m, type = "conditional")); r$predict_zprob_head <- h10(predict(m, type = "zprob"))
  }
  g <- m$obj$gr(m$fit$par); r$max_abs_grad <- max(abs(g)); r$hess_pd <- isTRUE(m$sdr$pdHess)
  m$obj$fn(m$fit$par)
  r$optinfo <- list(code = m$fit$convergence, message = m$fit$message, nlminb_message = m$fit$nlminb.message, newton_steps = m$fit$newton.steps)
  r$factors <- factor_info(model.frame(m), attr(model.matrix(m), "contrasts"))
  r
}
## cumulative-link helper: category probabilities from eta
clm_probs <- function(alpha, eta, link) {
  F <- switch(link, logit = plogis, probit = pnorm, cloglog = function(x) -expm1(-exp(x)), loglog = function(x) exp(-exp(-x)), cauchit = pcauchy)
  t(vapply(eta, function(e) diff(c(0, F(alpha - e), 1)), numeric(length(alpha) + 1)))
}
rec_clmm <- function(m) {
  ll <- logLik(m); n <- nobs(m); df <- attr(ll, "df"); L <- as.numeric(ll)
  V <- tryCatch(vcov(m), error = function(e) matrix(NA, length(m$coefficients), length(m$coefficients)))
  se <- sqrt(diag(V)); na <- length(m$alpha)
  link <- m$link
  r <- list(engine = "ordinal", engine_version = ver("ordinal"), family = "cumulative", link = link, formula = fl(formula(m)),
    threshold = m$threshold, nAGQ = m$nAGQ, n = n, logLik = L, df = df, AIC = -2 * L + 2 * df, BIC = -2 * L + log(n) * df)
  b <- m$beta; nb <- length(b)
  r$fixef <- nl(b); r$se <- nl(setNames(se[na + seq_len(nb)], names(b)))
  r$threshold_params <- nl(m$alpha); r$threshold_params_se <- nl(setNames(se[seq_len(na)], names(m$alpha)))
  Th <- as.numeric(m$Theta); ynames <- m$y.levels
  names(Th) <- paste(ynames[-length(ynames)], ynames[-1], sep = "|"); r$thresholds <- nl(Th)
  if (identical(m$threshold, "flexible")) r$thresholds_se <- nl(setNames(se[seq_len(na)], names(Th)))
  vc <- ordinal::VarCorr(m)
  r$varcor <- setNames(lapply(names(vc), function(k) { M <- vc[[k]]; vc_entry(k, matrix(as.numeric(M), nrow(M), dimnames = dimnames(M))) }), names(vc))
  r["sigma_or_dispersion"] <- list(NULL)
  re <- ordinal::ranef(m); cv <- tryCatch(ordinal::condVar(m), error = function(e) NULL)
  out <- list()
  for (g in names(re)) { d <- utils::head(re[[g]], 5)
    e <- list(levels = I(rownames(d)), terms = I(colnames(d)), values = unname(as.matrix(d)), n_levels = nrow(re[[g]]))
    c1 <- cv[[g]]; if (is.data.frame(c1)) e$condsd <- unname(sqrt(as.matrix(utils::head(c1, 5))))
    out[[g]] <- e }
  r$ranef_head <- out
  mf <- m$model; fo <- formula(m); fx <- lme4::nobars(fo); X <- model.matrix(delete.response(terms(fx)), mf)
  X <- X[, colnames(X) != "(Intercept)", drop = FALSE]
  eta <- if (nb) as.numeric(X[, names(b), drop = FALSE] %*% b) else numeric(nrow(mf))
  off <- model.offset(mf); if (!is.null(off)) eta <- eta + off
  etac <- eta
  for (bar in lme4::findbars(fo)) {
    Zi <- model.matrix(as.formula(call("~", bar[[2]])), mf)
    gs <- deparse(bar[[3]]); gname <- if (gs %in% names(re)) gs else NA
    gf <- if (gs %in% names(mf)) mf[[gs]] else eval(bar[[3]], mf)
    if (is.na(gname)) gname <- names(re)[1]
    B <- as.matrix(re[[gname]])[as.character(gf), , drop = FALSE]
    cols <- intersect(colnames(Zi), colnames(B)); etac <- etac + rowSums(Zi[, cols, drop = FALSE] * B[, cols, drop = FALSE])
  }
  y <- as.integer(model.response(mf)); Pc <- clm_probs(Th, etac, link); Pp <- clm_probs(Th, eta, link)
  r$fitted_head <- h10(m$fitted.values)
  r$fitted_definition <- "P(Y = observed category) at the conditional modes"
  r$predict_pop_head <- h10(Pp[cbind(seq_along(y), y)])
  dif <- max(abs(Pc[cbind(seq_along(y), y)] - m$fitted.values)); r$check_fitted_maxdiff <- dif
  r$fitted_probs_head <- unname(utils::head(Pc, 10)); r$predict_pop_probs_head <- unname(utils::head(Pp, 10))
  r$y_levels <- I(ynames); r$max_abs_grad <- max(abs(m$gradient)); r$hess_cond <- tryCatch(kappa(m$Hessian), error = function(e) NULL)
  r$optinfo <- list(code = m$optRes$convergence, message = m$optRes$message)
  r$factors <- factor_info(mf, m$contrasts)
  r
}
rec_mixmod <- function(m) {
  ll <- logLik(m); df <- attr(ll, "df"); L <- as.numeric(ll); n <- nrow(m$model_frames$mfX); ngr <- nrow(m$post_modes)
  V <- vcov(m, parm = "fixed-effects"); fe <- GLMMadaptive::fixef(m)
  r <- list(engine = "GLMMadaptive", engine_version = ver("GLMMadaptive"), family = m$family$family, link = m$family$link,
    formula = fl(m$call$fixed), random = fl(m$call$random), nAGQ = m$control$nAGQ, n = n, logLik = L, df = df, AIC = -2 * L + 2 * df,
    BIC = -2 * L + log(n) * df, BIC_engine = as.numeric(BIC(m)))
  r$fixef <- nl(fe); r$se <- nl(sqrt(diag(V)))
  D <- m$D; r$varcor <- setNames(list(vc_entry(m$id_name[1], D)), m$id_name[1])
  if (!is.null(m$phis)) { r$phis_log <- nl(m$phis); r$sigma_or_dispersion <- exp(unname(m$phis[1])) } else r["sigma_or_dispersion"] <- list(NULL)
  if (!is.null(m$gammas)) r$zi_fixef <- nl(m$gammas)
  re <- GLMMadaptive::ranef(m); d <- utils::head(re, 5); sdv <- t(vapply(m$post_vars[1:nrow(d)], function(v) sqrt(diag(as.matrix(v))), numeric(ncol(re))))
  r$ngroups <- setNames(list(ngr), m$id_name[1])
  r$ranef_head <- setNames(list(list(levels = I(rownames(d)), terms = I(colnames(d)), values = unname(as.matrix(d)), condsd = matrix(as.numeric(sdv), nrow(d)), n_levels = nrow(re))), m$id_name[1])
  r$fitted_head <- h10(fitted(m, type = "subject_specific")); r$predict_pop_head <- h10(fitted(m, type = "mean_subject"))
  r$marginal_head <- tryCatch(h10(fitted(m, type = "marginal")), error = function(e) NULL)
  r$max_abs_score <- if (!is.null(m$score_vect_fixed)) max(abs(m$score_vect_fixed)) else NULL
  r$converged <- isTRUE(m$converged)
  r$factors <- factor_info(m$model_frames$mfX, m$contrasts)
  r
}
rec_lme <- function(m) {
  ll <- logLik(m); df <- attr(ll, "df"); L <- as.numeric(ll); n <- m$dims$N
  fe <- nlme::fixef(m); r <- list(engine = "nlme", engine_version = ver("nlme"), family = "gaussian", link = "identity",
    formula = fl(formula(m)), REML = m$method == "REML", n = n, logLik = L, df = df, AIC = as.numeric(AIC(m)), BIC = as.numeric(BIC(m)))
  r$fixef <- nl(fe); r$se <- nl(sqrt(diag(m$varFix)))
  g <- names(m$modelStruct$reStruct); r$varcor <- setNames(lapply(g, function(k) vc_entry(k, as.matrix(m$modelStruct$reStruct[[k]]) * m$sigma^2)), g)
  r$sigma_or_dispersion <- m$sigma
  cs <- m$modelStruct$corStruct; if (!is.null(cs)) r$corStruct <- nl(coef(cs, unconstrained = FALSE))
  vs <- m$modelStruct$varStruct; if (!is.null(vs)) r$varStruct <- nl(coef(vs, unconstrained = FALSE))
  re <- nlme::ranef(m); if (is.data.frame(re)) re <- setNames(list(re), g[1])
  r$ranef_head <- lapply(re, function(d) { h <- utils::head(d, 5); list(levels = I(rownames(h)), terms = I(colnames(h)), values = unname(as.matrix(h)), n_levels = nrow(d)) })
  r$fitted_head <- h10(fitted(m)); r$predict_pop_head <- h10(predict(m, level = 0))
  r$factors <- setNames(list(), character()); r
}
record <- function(m) {
  if (inherits(m, "merMod")) rec_mer(m) else if (inherits(m, "glmmTMB")) rec_tmb(m) else if (inherits(m, "clmm")) rec_clmm(m)
  else if (inherits(m, "MixMod")) rec_mixmod(m) else if (inherits(m, "lme")) rec_lme(m) else stop("no record builder for ", class(m)[1])
}

## ------------------------------------------------------------------- DO() --
## evaluate a fit expression, build the record, write fits/<id>.json
FITS <- new.env(); SUMMARY <- list()
want <- function(id) !nzchar(ONLY) || grepl(ONLY, id)
emit <- function(r, id) {
  f <- file.path(OUT, "fits", paste0(id, ".json"))
  writeLines(toJSON(r, auto_unbox = TRUE, digits = NA, pretty = TRUE, na = "null", null = "null", matrix = "rowmajor"), f)
}
DO <- function(id, dataset, expr, notes = "", extras = NULL, post = NULL) {
  ex <- substitute(expr); pf <- parent.frame()
  if (!want(id)) return(invisible(NULL))
  t0 <- proc.time()[["elapsed"]]; W <- character()
  res <- tryCatch(withCallingHandlers({
    m <- eval(ex, pf); tfit <- proc.time()[["elapsed"]] - t0
    r <- c(list(id = id, dataset = dataset), record(m))
    r$r_call <- paste(trimws(deparse(ex, width.cutoff = 500L)), collapse = " ")
    if (!is.null(extras)) r$extras <- extras(m)
    if (!is.null(post)) r <- post(r, m)
    list(m = m, r = r, t = tfit)
  }, warning = function(w) { W <<- c(W, conditionMessage(w)); invokeRestart("muffleWarning") },
     message = function(mm) { W <<- c(W, paste("message:", trimws(conditionMessage(mm)))); invokeRestart("muffleMessage") }),
  error = function(e) { logmsg("FAIL ", id, ": ", conditionMessage(e)); NULL })
  if (is.null(res)) { SUMMARY[[id]] <<- list(status = "FAIL"); return(invisible(NULL)) }
  r <- res$r; nn <- c("zi_fixef", "zi_se", "disp_fixef", "disp_se", "sigma_or_dispersion")
  for (k in nn) if (is.null(r[[k]])) r[k] <- list(NULL)
  r$warnings <- I(unique(W)); r$notes <- notes; r$time_s <- round(res$t, 3)
  r <- r[!duplicated(names(r))]
  emit(r, id)
  logmsg(sprintf("OK   %-38s %-12s n=%-6d logLik=%.8f grad=%s t=%.2f%s", id, r$engine, r$n, r$logLik,
    format(if (!is.null(r$max_abs_grad)) r$max_abs_grad else NA, digits = 2), res$t,
    if (length(W)) paste0("  W[", paste(unique(substr(W, 1, 90)), collapse = " | "), "]") else ""))
  assign(id, res$m, envir = FITS)
  SUMMARY[[id]] <<- list(status = "OK", logLik = r$logLik, engine = r$engine)
  invisible(res$m)
}
sections <- function(id_regex, expr) { if (!nzchar(ONLY) || grepl(ONLY, id_regex)) eval(substitute(expr), parent.frame()) }

## -------------------------------------- independent adaptive quadrature ----
gh <- function(k) { # Gauss-Hermite (weight exp(-x^2)) by Golub-Welsch
  if (k == 1) return(list(x = 0, w = sqrt(pi)))
  J <- matrix(0, k, k); b <- sqrt(seq_len(k - 1) / 2); J[cbind(1:(k - 1), 2:k)] <- b; J[cbind(2:k, 1:(k - 1))] <- b
  e <- eigen(J, symmetric = TRUE); list(x = e$values, w = sqrt(pi) * e$vectors[1, ]^2)
}
## marginal log-likelihood, one grouping factor, q-dim normal random effects.
## lld(i, eta): per-observation log density for observation indices i.  k nodes per dim;
## k = 1 is the Laplace approximation with the OBSERVED Hessian (numerical)
agq_loglik <- function(lld, eta0, Z, g, Sigma, k = 25) {
  Z <- as.matrix(Z); q <- ncol(Z); Sigma <- as.matrix(Sigma); P <- solve(Sigma); ld <- as.numeric(determinant(Sigma)$modulus)
  q1 <- gh(k); nodes <- as.matrix(expand.grid(rep(list(q1$x), q))); lw <- rowSums(log(as.matrix(expand.grid(rep(list(q1$w), q))))) + rowSums(nodes^2)
  tot <- 0
  for (ii in split(seq_along(eta0), g, drop = TRUE)) {
    Zi <- Z[ii, , drop = FALSE]; e0 <- eta0[ii]
    nlp <- function(b) -(sum(lld(ii, e0 + as.numeric(Zi %*% b))) - 0.5 * sum(b * (P %*% b)))
    num <- function(b) { # numeric gradient/Hessian, central differences
      h <- 1e-3 * sqrt(diag(Sigma)); gq <- numeric(q); H <- matrix(0, q, q); f0 <- nlp(b)
      for (a in 1:q) { ea <- numeric(q); ea[a] <- h[a]; fp <- nlp(b + ea); fm <- nlp(b - ea); gq[a] <- (fp - fm) / (2 * h[a]); H[a, a] <- (fp - 2 * f0 + fm) / h[a]^2 
        if (a < q) for (c in (a + 1):q) { ec <- numeric(q); ec[c] <- h[c]
          H[a, c] <- H[c, a] <- (nlp(b + ea + ec) - nlp(b + ea - ec) - nlp(b - ea + ec) + nlp(b - ea - ec)) / (4 * h[a] * h[c]) } }
      list(f = f0, g = gq, H = H) }
    b <- optim(numeric(q), nlp, method = "BFGS", control = list(reltol = 1e-14))$par
    for (it in 1:8) { s <- num(b); st <- tryCatch(solve(s$H, s$g), error = function(e) rep(0, q)); bn <- b - st; if (nlp(bn) <= s$f + 1e-10) b <- bn; if (max(abs(st)) < 1e-9) break }
    H <- num(b)$H; R <- chol(H); A <- sqrt(2) * backsolve(R, diag(q)) # b = bhat + A z
    ldA <- 0.5 * q * log(2) - sum(log(diag(R)))
    if (k == 1) { tot <- tot - nlp(b) - 0.5 * q * log(2 * pi) - 0.5 * ld + ldA - 0.5 * q * log(2) + 0.5 * q * log(2 * pi); next }
    v <- vapply(seq_len(nrow(nodes)), function(j) -nlp(b + as.numeric(A %*% nodes[j, ])), 0) + lw
    mx <- max(v); tot <- tot + mx + log(sum(exp(v - mx))) + ldA - 0.5 * q * log(2 * pi) - 0.5 * ld
  }
  tot
}
lld_binom <- function(y, n = rep(1, length(y)), linkinv = plogis) function(i, eta) dbinom(y[i], n[i], linkinv(eta), log = TRUE)
lld_pois <- function(y) function(i, eta) dpois(y[i], exp(eta), log = TRUE)
cll <- function(x) pmin(-expm1(-exp(x)), 1 - 1e-16)
## check at the fitted parameters of a single-grouping-factor merMod / glmmTMB / MixMod
agq_check <- function(m, lld, k = 25) {
  if (inherits(m, "merMod")) {
    X <- getME(m, "X"); eta0 <- as.numeric(X %*% fixef(m)) + getME(m, "offset"); g <- getME(m, "flist")[[1]]; S <- as.matrix(VarCorr(m)[[1]])
    Z <- model.matrix(as.formula(call("~", findbars(formula(m))[[1]][[2]])), model.frame(m))
  } else if (inherits(m, "glmmTMB")) {
    mf <- model.frame(m); X <- model.matrix(m); eta0 <- as.numeric(X %*% fixef(m)$cond); o <- model.offset(mf); if (!is.null(o)) eta0 <- eta0 + o
    bar <- findbars(formula(m))[[1]]; g <- eval(bar[[3]], mf); S <- as.matrix(VarCorr(m)$cond[[1]]); Z <- model.matrix(as.formula(call("~", bar[[2]])), mf)
  } else {
    mf <- m$model_frames$mfX; X <- model.matrix(m$Terms$termsX, mf); eta0 <- as.numeric(X %*% m$coefficients); o <- model.offset(mf); if (!is.null(o)) eta0 <- eta0 + o
    S <- m$D; Z <- model.matrix(m$Terms$termsZ[[1]], m$model_frames$mfZ[[1]]); g <- m$id[[1]]
  }
  Sm <- matrix(as.numeric(S), nrow(S)); if (any(eigen(Sm, TRUE, TRUE)$values < 1e-10)) return(NULL)
  agq_loglik(lld, eta0, Z, g, Sm, k)
}
finish <- function() {
  write_schema()
  ok <- sum(vapply(SUMMARY, function(s) s$status == "OK", NA)); logmsg("finished ", format(Sys.time()), ": ", ok, " fits OK, ", length(SUMMARY) - ok, " failed")
  writeLines(capture.output(sessionInfo()), file.path(OUT, "sessionInfo.txt"))
}
