"""R code that should reproduce a fit: a call of glmmTMB, lme4's lmer or glmer, or ordinal's clmm.

The formula is put together from what was fitted (so that terms given by `groups=` are in it), and
Python's spellings become R's. What has no counterpart is refused by name; nothing is guessed.
`tests/test_r_code_in_r.py` runs the code where R is installed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interlace.formulas.bars import DEFAULT_STRUCTURE
from interlace.reporting.rformulas import (
    factors,
    formulas,
    joined,
    no_counterpart,
    require_structure,
    response,
    weights,
)
from interlace_core.messages.checks import require_text

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


LINKS = {"inverse_square": "1/mu^2"}
"""R's names of links that differ from ours."""

CANONICAL = ("logit", "log")
"""Canonical links of those families of lme4 that are written."""

GLMER_FAMILIES = ("binomial", "poisson")
"""What lme4 fits by the same likelihood: for a Gamma response it has another, and the negative
binomial and parts for zeros are not among its families."""


FIXED_DISPERSION = ("Gamma", "ziGamma", "beta_family", "betabinomial", "nbinom1", "nbinom2")
"""Families of glmmTMB whose dispersion parameter is ours, on the scale of its predictor; that of a
normal distribution is the logarithm of a variance in some versions and of a deviation in others."""

CLMM_LINKS = ("cauchit", "logit", "probit")
"""Links of ordinal's clmm that mean what they should in every model: version 2022.11-16 has its
cloglog and loglog the wrong way round with one random intercept."""

CENTER = "center <- function(x) x - mean(x)"
DISPERSION = 'disp <- if (packageVersion("glmmTMB") >= "1.1.10") "betadisp" else "betad"'


def r_code(result: Estimates, data: str = "data") -> str:
    """Return R code that should reproduce the fit; see `GLMMResult.r_code`."""
    require_text(data, "r_code: data", "the name of a data frame in R")
    _require_counterpart(result)
    nAGQ = result.fitted_by.nAGQ
    lme4 = bool(result.terms) and not _is_by_glmmTMB(result)
    if lme4:
        _require_glmer(result)
    rights = formulas(result)
    arguments = [
        f"{response(result)} ~ {rights[0]}",
        f"data = {data}",
        f"family = {_family(result)}",
        *weights(result),
    ]
    check = "" if not (lme4 and nAGQ) else ", with a constant that lme4 leaves out"
    if lme4:
        lines = ["library(lme4)"]
        if nAGQ and result.coefficients[0].parameter.link.name not in CANONICAL:
            lines.append("# with this link lme4 takes the expected information: last digits differ")
        call = f"fit <- glmer({joined([*arguments, f'nAGQ = {nAGQ}'])})"
    else:
        more, before = _other_parameters(result, rights)
        more += ["REML = TRUE"] if result.restricted else []
        lines = ["library(glmmTMB)", *before]
        call = f"fit <- glmmTMB({joined([*arguments, *more])})"
    return _script(result, data, lines, rights, call, check)


def lmer_code(result: Estimates, data: str, ddf: str) -> str:
    """Return a call of lmer for a linear mixed model.

    Parameters
    ----------
    result : Estimates
    data : str
    ddf : str
        lmerTest's name of the method for degrees of freedom.

    Raises
    ------
    NotAvailableError
        If lmer does not fit such a model.
    """
    require_text(data, "r_code: data", "the name of a data frame in R")
    _require_counterpart(result)
    rights = formulas(result)
    REML = "TRUE" if result.restricted else "FALSE"
    arguments = [f"{response(result)} ~ {rights[0]}", f"data = {data}", *weights(result)]
    call = f"fit <- lmer({joined([*arguments, f'REML = {REML}'])})"
    lines = ["library(lmerTest)  # or lme4, without degrees of freedom"]
    how = f'summary(fit, ddf = "{ddf}")'
    return _script(result, data, lines, rights, call, "", summary=how)


def is_lmer(result: Estimates) -> bool:
    """Return whether lme4's lmer fits a linear mixed model: one variance, unstructured terms."""
    plain = all(term.structure == DEFAULT_STRUCTURE for term in result.terms)
    constant = all(each.names == ("Intercept",) for each in result.coefficients[1:])
    free = all(each.parameter.fixed is None for each in result.coefficients)
    return bool(result.terms) and plain and constant and free


def clmm_code(result: Estimates, data: str, threshold: str) -> str:
    """Return a call of ordinal's clmm, or of its clm for a model without random effects.

    Parameters
    ----------
    result : Estimates
    data : str
    threshold : str
        Structure of the thresholds, which has the same name there.

    Raises
    ------
    NotAvailableError
        If clmm does not fit such a model.
    """
    _require_counterpart(result)
    link, nAGQ = result.family.latent_link, result.fitted_by.nAGQ
    if result.terms and any(each.parameter.role == "shape" for each in result.coefficients):
        raise no_counterpart(
            f"the link {link!r}, which has a shape, beside random effects", "ordinal"
        )
    if [term.names for term in result.terms] == [("Intercept",)] and link not in CLMM_LINKS:
        raise no_counterpart(
            f"the link {link!r} with one random intercept, which clmm of some versions of ordinal "
            "takes for its mirror image,",
            "ordinal",
        )
    if any(term.structure != DEFAULT_STRUCTURE for term in result.terms):
        raise no_counterpart("a covariance structure in a cumulative model", "ordinal")
    effects = sum(len(term.names) for term in result.terms)
    if result.terms and (not nAGQ or (nAGQ > 1 and effects > 1)):
        raise no_counterpart(
            f"{result.fitted_by} (nAGQ = {nAGQ}) of {effects} random effects in a group", "ordinal"
        )
    rights = formulas(result)
    arguments = [
        f"{response(result)} ~ {rights[0]}",
        f"data = {data}",
        *weights(result),
        f'link = "{link}"',
        f'threshold = "{threshold}"',
        *([f"nAGQ = {nAGQ}"] if result.terms and nAGQ != 1 else []),
    ]
    call = f"fit <- {'clmm' if result.terms else 'clm'}({joined(arguments)})"
    return _script(result, data, ["library(ordinal)"], rights, call, "")


def _script(
    result: Estimates,
    data: str,
    lines: list[str],
    rights: list[str],
    call: str,
    check: str,
    *,
    summary: str = "summary(fit)",
) -> str:
    """Return the whole code: libraries, factors, what has to be given by hand, call and check."""
    text = " ".join(rights)
    lines = [*lines]
    lines += ["library(splines)"] if re.search(r"\bbs\(", text) else []
    lines += [CENTER] if re.search(r"\bcenter\(", text) else []
    lines += factors(result, data)
    if result.encoder.external_offset:
        lines.append("# offset_values: the array that was given as offset, one value per row")
    if result.settings.weights == "array":
        lines.append("# weight_values: the array that was given as weights, one value per row")
    found = f"logLik(fit)  # interlace found {result.llf:.4f}{check}"
    return "\n".join([*lines, call, summary, found]) + "\n"


def _require_counterpart(result: Estimates) -> None:
    """Refuse what none of R's packages fits that are written for."""
    if result.settings.priors:
        raise no_counterpart("a penalised fit")
    if any(term.along for term in result.terms):
        raise no_counterpart("effects shared by parameters")
    if any(effects.scales is not None for effects in result.effects.values()):
        raise no_counterpart("a known covariance of levels")
    if result.settings.correlation is not None:
        raise no_counterpart(
            f"the correlation of rows {result.settings.correlation!r} beside random effects",
            "glmmTMB or lme4 (nlme's lme() has some, as corAR1)",
        )
    _require_free(result)
    for term in result.terms:
        require_structure(term)


def _require_free(result: Estimates) -> None:
    """Refuse coefficients, variances and parts of structures that are known and not estimated."""
    for k, found in enumerate(result.coefficients):
        names = [*result.held_coefficients(k), *result.equal_coefficients(k)]
        if names:
            raise no_counterpart(f"a coefficient that is held ({', '.join(names)})")
        unasked = result.encoder.predictors[k].design is None and not found.names
        if k and unasked and found.parameter.fixed is None:
            raise no_counterpart(f"a known {found.parameter.name!r} of each row")
    places = [term.theta for term in result.terms]
    if any(term.held for term in result.terms) or any(places.count(each) > 1 for each in places):
        raise no_counterpart("a standard deviation or correlation that is held")


def _is_by_glmmTMB(result: Estimates) -> bool:
    """Return whether a fit is by what glmmTMB does: Laplace's approximation, or exact."""
    by = result.fitted_by
    return by.points in (None, 1) and by.nAGQ in (None, 1)


def _require_glmer(result: Estimates) -> None:
    """Refuse what lme4's glmer() does not fit by quadrature, or from the joint mode."""
    how = f"{result.fitted_by} (nAGQ = {result.fitted_by.nAGQ})"
    if result.family.r_family not in GLMER_FAMILIES or len(result.coefficients) > 1:
        parts = [found.parameter.name for found in result.coefficients[1:]]
        beside = f" with {', '.join(parts)}" if parts else ""
        raise no_counterpart(f"{how} for family {result.family.name!r}{beside}")
    effects = sum(len(term.names) for term in result.terms)
    if result.fitted_by.nAGQ is None or (result.fitted_by.nAGQ > 1 and effects > 1):
        raise no_counterpart(f"{how} of {effects} random effects in a group")
    if any(term.structure != DEFAULT_STRUCTURE for term in result.terms):
        raise no_counterpart(f"{how} with a covariance structure")


def _family(result: Estimates) -> str:
    name = result.family.r_family
    if name is None:
        raise no_counterpart(f"family {result.family.name!r}")
    link = result.coefficients[0].parameter.link.name
    return f'{name}(link = "{LINKS.get(link, link)}")'


def _other_parameters(result: Estimates, rights: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments for all parameters but the mean's, and lines before the call."""
    arguments, before = [], []
    fixed: dict[str, str] = {}
    for k, found in enumerate(result.coefficients[1:], start=1):
        parameter = found.parameter
        known = rights[k] == "0"  # nothing to estimate: its predictor is 0
        plain = rights[k] == "1" or known
        if parameter.role == "zero":
            arguments.append(f"ziformula = ~ {'1' if known else rights[k]}")
            name = '"betazi"'
        elif parameter.role == "dispersion":
            arguments += [] if plain else [f"dispformula = ~ {rights[k]}"]
            name = "disp"
        elif parameter.fixed is not None or not plain:
            raise no_counterpart(f"a formula or a fixed value for {parameter.name!r}")
        else:
            continue
        if known:
            fixed[name] = "0"
        if parameter.fixed is not None:
            if name == "disp" and result.family.r_family not in FIXED_DISPERSION:
                raise no_counterpart(f"a fixed value for {parameter.name!r}")
            fixed[name] = f"{parameter.fixed_eta():.15g}"
    if fixed:
        before += [DISPERSION] if "disp" in fixed else []
        names = ", ".join(fixed)
        values, missing = ", ".join(fixed.values()), ", ".join(["factor(NA)"] * len(fixed))
        arguments.append(f"start = setNames(list({values}), c({names}))")
        arguments.append(f"map = setNames(list({missing}), c({names}))")
    return arguments, before
