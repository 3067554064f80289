"""Formulas, factors and arguments in R's spelling; what R has no counterpart of is refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.formulas.bars import DEFAULT_STRUCTURE
from interlace.formulas.formula import parse_formula
from interlace.formulas.limits import NO_LIMITS
from interlace.formulas.tokens import Source, Token, is_call, rewrite, tokenise
from interlace_core.messages.errors import NotAvailableError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
    from interlace.results.random_effects import TermPlace

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

STRUCTURES = ("ar1", "cs", "diag", "toep", "us")
"""Covariance structures that mean the same in glmmTMB."""


def formulas(result: Estimates) -> list[str]:
    """Return the right side of each parameter's formula."""
    return [_right_side(result, k) for k in range(len(result.coefficients))]


def response(result: Estimates) -> str:
    """Return the left side of the formula."""
    response = parse_formula(result.formula, limits=NO_LIMITS).response
    assert response is not None
    text = _translated(response.text)
    return f"cbind{text}" if _is_pair(text) else text


def weights(result: Estimates) -> list[str]:
    """Return the argument weights, if there are any."""
    weights = result.settings.weights
    if weights is None:
        return []
    if weights == "array":
        return ["weights = weight_values"]
    return [f"weights = {_translated(weights)}"]


def require_structure(term: TermPlace) -> None:
    """Refuse a covariance structure that R's packages have not, or not with the same meaning."""
    if term.structure not in STRUCTURES or term.options:
        raise no_counterpart(f"the covariance structure {term.structure!r}")
    if term.points and not _are_steps(term):
        raise no_counterpart(f"{term.structure!r} of times with gaps, or of several columns,")


def factors(result: Estimates, data: str) -> list[str]:
    """Return lines that give text columns the order of levels that they had in the fit."""
    lines = []
    levels = result.settings.response_levels
    if levels and set(levels) != {"False", "True"}:  # which R has as logical
        response = parse_formula(result.formula, limits=NO_LIMITS).response
        assert response is not None
        column = f"{data}[[{_quoted(response.text.strip('`'))}]]"
        lines.append(_factor(column, levels, ordered=len(levels) > 2))
    for name, code in result.encoder.columns.items():
        if code.levels is not None and not code.is_boolean:
            lines.append(_factor(f"{data}[[{_quoted(name)}]]", code.levels))
    return lines


def joined(arguments: list[str]) -> str:
    """Return the arguments of a call, a line each."""
    return ",\n  ".join(["", *arguments]).removeprefix(",") + "\n"


def no_counterpart(what: str, where: str = "glmmTMB or lme4") -> NotAvailableError:
    """Return the refusal of what R has no counterpart of."""
    return NotAvailableError(
        f"r_code: {what} has no counterpart in R's {where} that is known to give the same fit. "
        "Write the call by hand, or fit a model without it."
    )


def _right_side(result: Estimates, k: int) -> str:
    """Return the terms of one parameter's formula in R's spelling."""
    encoder = result.encoder.predictors[k]
    parts = [_translated(encoder.design.text)] if encoder.design else ["1"]
    parts += [f"offset({_translated(each.text)})" for each in encoder.offsets]
    if k == 0 and result.encoder.external_offset:
        parts.append("offset(offset_values)")
    for term in result.terms:
        if term.predictor == k:
            label = _translated_term(term)
            parts.append(label if "(" in label.partition("|")[0] else f"({label})")
    return " + ".join(parts)


def _translated_term(term: TermPlace) -> str:
    """Return a random-effects term in R's spelling; its structure keeps its name."""
    label = term.label
    if term.points:  # numbers taken as times, of which R makes levels itself
        (column,) = term.points
        left = f"0 + factor({_translated(column)})"
        return f"{term.structure}({left} | {_translated(term.group)})"
    if term.structure != DEFAULT_STRUCTURE and not label.startswith(f"{term.structure}("):
        label = f"{term.structure}({label})"
    found = re.match(r"^(\w+)\((.*)\)$", label)
    if found and "|" in found.group(2):
        return f"{found.group(1)}({_translated(found.group(2))})"
    return _translated(label)


def _translated(text: str) -> str:
    """Return part of a formula with Python's functions and operators replaced by R's."""
    tokens = tokenise(Source(text), NO_LIMITS)
    spelt = {id(token): _spelt(tokens, place) for place, token in enumerate(tokens)}
    return rewrite(tokens, lambda token: spelt[id(token)])


def _spelt(tokens: list[Token], place: int) -> str:
    token = tokens[place]
    if token.kind == "name" and is_call(tokens, place):
        name = token.text.removeprefix("np.")
        if name not in FUNCTIONS:
            raise no_counterpart(f"the function {token.text!r}")
        return FUNCTIONS[name]
    if token.text.startswith("contr."):
        raise no_counterpart(f"the contrast {token.text!r}")
    if token.is_operator("**"):
        return "^"
    if token.is_operator("//", "%"):  # R's bind more strongly than its products
        raise no_counterpart(f"the operator {token.text!r}")
    if token.context == "call" and token.text in ("True", "False", "None"):
        return {"True": "TRUE", "False": "FALSE", "None": "NULL"}[token.text]
    if token.text in ("{", "}"):
        return "I(" if token.text == "{" else ")"
    if token.text in ("[", "]"):
        return "c(" if token.text == "[" else ")"
    return token.text


def _is_pair(text: str) -> bool:
    """Return whether a response is written `(successes, failures)`."""
    try:
        return isinstance(ast.parse(text, mode="eval").body, ast.Tuple)
    except SyntaxError:
        return False


def _are_steps(term: TermPlace) -> bool:
    """Return whether a term's columns are successive times, which R takes as levels of a factor."""
    (times, *more) = [np.asarray(each) for each in term.points.values()]
    return not more and bool(np.all(np.diff(times) == 1.0))


def _factor(column: str, levels: Iterable[Any], *, ordered: bool = False) -> str:
    listed = ", ".join(_quoted(level) for level in levels)
    more = ", ordered = TRUE" if ordered else ""
    return f"{column} <- factor({column}, levels = c({listed}){more})"


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
