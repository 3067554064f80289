"""R code that should reproduce a fit: a call of glmmTMB, or of lme4's glmer for quadrature.

The formula is put together from what was fitted (so that terms given by `groups=` are in it), and
Python's spellings become R's. What has no counterpart is refused by name; nothing is guessed.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from interlace_core.formulas.formula import parse_formula
from interlace_core.formulas.tokens import Source, Token, is_call, rewrite, tokenise
from interlace_core.messages.checks import require_text
from interlace_core.messages.errors import NotAvailableError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

FUNCTIONS = {
    "C": "factor",
    "center": "center",
    "scale": "scale",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "ceil": "ceiling",
    **{name: name for name in (
        "I", "abs", "bs", "cbind", "cos", "exp", "expm1", "floor", "log", "log10", "log1p", "log2",
        "poly", "round", "sign", "sin", "sqrt", "tan", "tanh",
    )},
}  # fmt: skip
"""R's name of each function that has one with the same meaning."""

LINKS = {"inverse_square": "1/mu^2"}
"""R's names of links that differ from ours."""

GLMER_FAMILIES = ("binomial", "poisson")
"""What lme4 fits by the same likelihood: for a Gamma response it has another, and the negative
binomial and parts for zeros are not among its families."""

CENTER = "center <- function(x) x - mean(x)"
DISPERSION = 'disp <- if (packageVersion("glmmTMB") >= "1.1.10") "betadisp" else "betad"'


def r_code(result: Estimates, data: str = "data") -> str:
    """Return R code that should reproduce the fit; see `GLMMResult.r_code`."""
    require_text(data, "r_code: data", "the name of a data frame in R")
    if result.settings.priors:
        raise _no_counterpart("a penalised fit")
    if any(effects.scales is not None for effects in result.effects.values()):
        raise _no_counterpart("a known covariance of levels")
    nAGQ = result.fitted_by.nAGQ
    lme4 = bool(result.terms) and not _is_by_glmmTMB(result)
    if lme4:
        _require_glmer(result)
    formulas = [_right_side(result, k) for k in range(len(result.coefficients))]
    arguments = [
        f"{_response(result)} ~ {formulas[0]}",
        f"data = {data}",
        f"family = {_family(result, 'glmer' if lme4 else 'glmmTMB')}",
        *_weights(result),
    ]
    if lme4:
        lines = ["library(lme4)"]
        call = f"fit <- glmer({_joined([*arguments, f'nAGQ = {nAGQ}'])})"
    else:
        more, before = _other_parameters(result, formulas)
        more += ["REML = TRUE"] if result.restricted else []
        lines = ["library(glmmTMB)", *before]
        call = f"fit <- glmmTMB({_joined([*arguments, *more])})"
    text = " ".join(formulas)
    lines += ["library(splines)"] if re.search(r"\bbs\(", text) else []
    lines += [CENTER] if re.search(r"\bcenter\(", text) else []
    lines += _factors(result, data)
    if result.encoder.external_offset:
        lines.append("# offset_values: the array that was given as offset, one value per row")
    if result.settings.weights == "array":
        lines.append("# weight_values: the array that was given as weights, one value per row")
    check = f"logLik(fit)  # interlace found {result.llf:.4f}"
    check += ", with a constant that lme4 leaves out" if lme4 and nAGQ else ""
    return "\n".join([*lines, call, "summary(fit)", check]) + "\n"


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
        raise _no_counterpart(f"{how} for family {result.family.name!r}{beside}")
    effects = sum(len(term.names) for term in result.terms)
    if result.fitted_by.nAGQ is None or (result.fitted_by.nAGQ > 1 and effects > 1):
        raise _no_counterpart(f"{how} of {effects} random effects in a group")


def _joined(arguments: list[str]) -> str:
    return ",\n  ".join(["", *arguments]).removeprefix(",") + "\n"


def _response(result: Estimates) -> str:
    response = parse_formula(result.formula).response
    assert response is not None
    text = _translated(response.text)
    return f"cbind{text}" if _is_pair(text) else text


def _is_pair(text: str) -> bool:
    """Return whether a response is written `(successes, failures)`."""
    try:
        return isinstance(ast.parse(text, mode="eval").body, ast.Tuple)
    except SyntaxError:
        return False


def _right_side(result: Estimates, k: int) -> str:
    """Return the terms of one parameter's formula in R's spelling."""
    encoder = result.encoder.predictors[k]
    parts = [_translated(encoder.design.text)] if encoder.design else ["1"]
    parts += [f"offset({_translated(each.text)})" for each in encoder.offsets]
    if k == 0 and result.encoder.external_offset:
        parts.append("offset(offset_values)")
    for term in result.terms:
        if term.predictor == k:
            label = _translated_term(term.label)
            parts.append(label if "(" in label.partition("|")[0] else f"({label})")
    return " + ".join(parts)


def _translated_term(label: str) -> str:
    """Return a random-effects term in R's spelling; its structure keeps its name."""
    found = re.match(r"^(\w+)\((.*)\)$", label)
    if found and "|" in found.group(2):
        return f"{found.group(1)}({_translated(found.group(2))})"
    return _translated(label)


def _translated(text: str) -> str:
    """Return part of a formula with Python's functions and operators replaced by R's."""
    tokens = tokenise(Source(text))
    spelt = {id(token): _spelt(tokens, place) for place, token in enumerate(tokens)}
    return rewrite(tokens, lambda token: spelt[id(token)])


def _spelt(tokens: list[Token], place: int) -> str:
    token = tokens[place]
    if token.kind == "name" and is_call(tokens, place):
        name = token.text.removeprefix("np.")
        if name not in FUNCTIONS:
            raise _no_counterpart(f"the function {token.text!r}")
        return FUNCTIONS[name]
    if token.text.startswith("contr."):
        raise _no_counterpart(f"the contrast {token.text!r}")
    if token.is_operator("**"):
        return "^"
    if token.context == "call" and token.text in ("True", "False", "None"):
        return {"True": "TRUE", "False": "FALSE", "None": "NULL"}[token.text]
    if token.text in ("{", "}"):
        return "I(" if token.text == "{" else ")"
    if token.text in ("[", "]"):
        return "c(" if token.text == "[" else ")"
    return token.text


def _family(result: Estimates, engine: str) -> str:
    name = result.family.r_family
    if name is None:
        raise _no_counterpart(f"family {result.family.name!r}")
    link = result.coefficients[0].parameter.link.name
    return f'{name}(link = "{LINKS.get(link, link)}")'


def _weights(result: Estimates) -> list[str]:
    weights = result.settings.weights
    if weights is None:
        return []
    if weights == "array":
        return ["weights = weight_values"]
    return [f"weights = {_translated(weights)}"]


def _other_parameters(result: Estimates, formulas: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments for all parameters but the mean's, and lines before the call."""
    arguments, before = [], []
    fixed: dict[str, str] = {}
    for k, found in enumerate(result.coefficients[1:], start=1):
        parameter = found.parameter
        known = formulas[k] == "0"  # nothing to estimate: its predictor is 0
        plain = formulas[k] == "1" or known
        if parameter.role == "zero":
            arguments.append(f"ziformula = ~ {'1' if known else formulas[k]}")
            name = '"betazi"'
        elif parameter.role == "dispersion":
            arguments += [] if plain else [f"dispformula = ~ {formulas[k]}"]
            name = "disp"
        elif parameter.fixed is not None or not plain:
            raise _no_counterpart(f"a formula or a fixed value for {parameter.name!r}")
        else:
            continue
        if known:
            fixed[name] = "0"
        if parameter.fixed is not None:
            fixed[name] = f"{parameter.fixed_eta():.15g}"
    if fixed:
        before += [DISPERSION] if "disp" in fixed else []
        names = ", ".join(fixed)
        values, missing = ", ".join(fixed.values()), ", ".join(["factor(NA)"] * len(fixed))
        arguments.append(f"start = setNames(list({values}), c({names}))")
        arguments.append(f"map = setNames(list({missing}), c({names}))")
    return arguments, before


def _factors(result: Estimates, data: str) -> list[str]:
    """Return lines that give text columns the order of levels that they had in the fit."""
    lines = []
    for name, code in result.encoder.columns.items():
        if code.levels is not None and not code.is_boolean:
            levels = ", ".join(_quoted(level) for level in code.levels)
            column = f"{data}[[{_quoted(name)}]]"
            lines.append(f"{column} <- factor({column}, levels = c({levels}))")
    return lines


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


def _no_counterpart(what: str) -> NotAvailableError:
    return NotAvailableError(
        f"r_code: {what} has no counterpart in R's glmmTMB or lme4 that is known to give the same "
        "fit. Add computed columns to the data and refit, or write this part by hand."
    )
