"""The response in the form that a family takes: numbers, pairs, two levels, ordered levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.contracts import Family
from interlace_core.data.levels import factorise, level_names
from interlace_core.data.rows import Rows, require_finite
from interlace_core.errors import ResponseError
from interlace_core.formulas.expressions import Expression, evaluate
from interlace_core.formulas.spans import listed
from interlace_core.records import Array

_FORMS_IN_WORDS = {
    "numeric": "numbers",
    "pair": "pairs cbind(successes, failures)",
    "two-level": "two levels (bool, or text with two values)",
    "ordered": "ordered categories",
}


@dataclass(frozen=True)
class RawResponse:
    """The response before the family has checked it.

    Attributes
    ----------
    y : ndarray, shape (n,), or (n, 2) for successes and failures
        Numbers; codes from 0 where the response has levels.
    levels : tuple of str
        Level names behind the codes; empty for numbers.
    """

    y: Array
    levels: tuple[str, ...] = ()


def read_response(
    expressions: Sequence[Expression], frame: pd.DataFrame, family: Family, rows: Rows
) -> RawResponse:
    """Return the response in a form that the family takes.

    Parameters
    ----------
    expressions : sequence of Expression
        One, or two for a pair.
    frame : DataFrame, n rows
        Rows in use.
    family : Family
        Its `response_forms` decide.
    rows : Rows
        To name a row in a message.

    Raises
    ------
    ResponseError
        If the family takes no such response, or it is constant.
    DataError
        If an expression is not finite in some row.
    """
    if len(expressions) == 2:
        response = _read_pair(expressions, frame, family, rows)
    else:
        response = _read_single(expressions[0], frame, family, rows)
    _refuse_constant(response, " and ".join(each.text for each in expressions))
    return response


def _read_pair(
    expressions: Sequence[Expression], frame: pd.DataFrame, family: Family, rows: Rows
) -> RawResponse:
    text = ", ".join(each.text for each in expressions)
    _require_form(family, ("pair",), f"cbind({text})", "a pair")
    columns = [_finite(each, frame, rows) for each in expressions]
    return RawResponse(np.column_stack(columns))


def _read_single(
    expression: Expression, frame: pd.DataFrame, family: Family, rows: Rows
) -> RawResponse:
    column = frame[expression.column] if expression.column else None
    if column is not None and isinstance(column.dtype, pd.CategoricalDtype):
        return _read_levels(expression.text, column, family)
    values = _finite(expression, frame, rows)
    is_bool = column.dtype == bool if column is not None else values.dtype == bool
    if "numeric" not in family.response_forms and "ordered" in family.response_forms:
        codes, levels = factorise(pd.Series(values))
        return RawResponse(codes.astype(np.float64), level_names(levels))
    forms = ("numeric", "two-level") if is_bool else ("numeric",)
    _require_form(family, forms, expression.text, "true or false" if is_bool else "numbers")
    return RawResponse(values.astype(np.float64), ("False", "True") if is_bool else ())


def _read_levels(text: str, column: pd.Series[Any], family: Family) -> RawResponse:
    codes, categories = factorise(column)
    levels = level_names(categories)
    got = f"text or categories with {len(levels)} level(s): {listed(levels)}"
    if "ordered" in family.response_forms:
        return RawResponse(codes.astype(np.float64), levels)
    _require_form(family, ("two-level",), text, got)
    if len(levels) != 2:
        raise ResponseError(
            f"response {text!r}: expected two levels for family {family.name!r}, got {got}. "
            "Recode it to two levels, or choose a family for several categories."
        )
    return RawResponse(codes.astype(np.float64), levels)


def _finite(expression: Expression, frame: pd.DataFrame, rows: Rows) -> Any:
    values = evaluate(expression, frame)
    require_finite(values, f"response {expression.text!r}", rows)
    return values


def _require_form(family: Family, forms: Sequence[str], text: str, got: str) -> None:
    if family.response_forms.isdisjoint(forms):
        taken = sorted(_FORMS_IN_WORDS.get(form, form) for form in family.response_forms)
        raise ResponseError(
            f"response {text!r}: expected {' or '.join(taken)} for family {family.name!r}, got "
            f"{got}. Recode the response, or choose another family."
        )


def _refuse_constant(response: RawResponse, text: str) -> None:
    """Raise a ResponseError if every row is the same, or a pair has an empty side."""
    y = response.y
    constant = bool((y == y[0]).all()) if y.ndim == 1 else not y.any(axis=0).all()
    if not constant:
        return
    if y.ndim == 2:
        got = "only zeros in one of them"
    else:
        got = repr(response.levels[int(y[0])]) if response.levels else f"{y[0]:g}"
        got += " in every row"
    raise ResponseError(
        f"response {text!r}: expected values that differ between rows, got {got}. There is "
        "nothing to estimate from a constant response; check how the data were filtered."
    )
