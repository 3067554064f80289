"""The response in the form that a family takes: numbers, pairs, two levels, ordered levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace.data.columns import Column, Frame
from interlace.data.evaluation import evaluate
from interlace.data.levels import level_names
from interlace.data.rows import Rows, require_computable
from interlace.formulas.expressions import Expression
from interlace_core.contract.family import Family
from interlace_core.messages.errors import ResponseError
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray, Response

MOST_WHOLE = 20
"""Whole numbers taken as ordered categories up to so many: ratings from 0 to 10 and Borg's scale
from 6 to 20 are, a visual analogue scale of 100 mm is not. Time goes with the cube of their number,
and a threshold for every other row shows nothing."""

MOST_FRACTIONS = 10
"""The same for other numbers, such as marks in halves."""

FEW = 64
"""Rows of a response that are looked at first."""

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
    expressions: Sequence[Expression], frame: Frame, family: Family, rows: Rows
) -> RawResponse:
    """Return the response in a form that the family takes.

    Parameters
    ----------
    expressions : sequence of Expression
        One, or two for a pair.
    frame : Frame, n rows
        Rows in use.
    family : Family
        Its `response_forms` decide.
    rows : Rows
        To name a row in a message.

    Raises
    ------
    ResponseError
        If the family takes no such response.
    DataError
        If an expression is not finite in some row.
    """
    if len(expressions) == 2:
        return _read_pair(expressions, frame, family, rows)
    return _read_single(expressions[0], frame, family, rows)


def refuse_silent_categories(
    response: Response, raw: RawResponse, family: Family, informative: BoolArray, text: str
) -> None:
    """Refuse an ordered category all of whose rows say nothing: the thresholds around it meet.

    Parameters as `refuse_constant`, and which rows say anything, shape (n,).

    Raises
    ------
    ResponseError
    """
    if family.threshold_matrix() is None or informative.all():
        return
    said = np.bincount(response.y[informative].astype(np.intp), minlength=len(raw.levels))
    silent = [str(raw.levels[j]) for j in np.flatnonzero(said == 0)]
    if silent:
        raise ResponseError(
            f"response {text!r}: expected each category in some row of positive weight, got "
            f"{listed(silent)} in rows of weight 0 only, from which no probability can be "
            "estimated. Leave these rows out, or join the category with a neighbour."
        )


def refuse_constant(
    response: Response, raw: RawResponse, family: Family, offset: Array, text: str
) -> None:
    """Refuse a response with nothing to estimate: constant, and no offset or trials differ.

    A constant at an end of the mean's domain (no success at all, zero counts throughout) has no
    finite estimate whatever the offset.

    Parameters
    ----------
    response : Response
        As the family checked it.
    raw : RawResponse
        As it was read, to name its values.
    family : Family
    offset : ndarray, shape (n,)
        Of the mean's linear predictor.
    text : str
        The response as the user wrote it.

    Raises
    ------
    ResponseError
    """
    for rows in (slice(0, FEW), slice(None)):  # nearly always few rows tell
        observed = family.observed(response.y[rows])
        if observed.ndim != 1 or not (observed == observed[0]).all():
            return
    at_end = observed[0] in family.parameters[0].link.domain
    differing = np.ptp(offset) > 0.0 or np.any(response.y != response.y[0])
    if not differing or at_end:
        got = repr(raw.levels[int(raw.y[0])]) if raw.levels else f"{observed[0]:g}"
        raise _constant(text, f"{got} in every row")


def _constant(text: str, got: str) -> ResponseError:
    return ResponseError(
        f"response {text!r}: expected values that differ between rows, got {got}. "
        "There is nothing to estimate from a constant response; check how the data were filtered."
    )


def _read_pair(
    expressions: Sequence[Expression], frame: Frame, family: Family, rows: Rows
) -> RawResponse:
    text = ", ".join(each.text for each in expressions)
    _require_form(family, ("pair",), f"cbind({text})", "a pair")
    y = np.column_stack([_finite(each, frame, rows) for each in expressions])
    if not y.any(axis=0).all():
        text = " and ".join(each.text for each in expressions)
        raise _constant(text, "only zeros in one of them")
    return RawResponse(y)


def _read_single(expression: Expression, frame: Frame, family: Family, rows: Rows) -> RawResponse:
    column = None if expression.column is None else frame[expression.column]
    if column is not None and column.levels is not None:
        return _read_levels(expression.text, column, family)
    values = _finite(expression, frame, rows)
    is_bool = column.is_boolean if column is not None else values.dtype == bool
    if "numeric" not in family.response_forms and "ordered" in family.response_forms:
        codes, levels = Column(expression.text, values).factorise()
        _refuse_continuous(expression.text, np.asarray(levels, dtype=np.float64), family)
        return RawResponse(codes.astype(np.float64), level_names(levels))
    forms = ("numeric", "two-level") if is_bool else ("numeric",)
    _require_form(family, forms, expression.text, "true or false" if is_bool else "numbers")
    return RawResponse(values.astype(np.float64), ("False", "True") if is_bool else ())


def _read_levels(text: str, column: Column, family: Family) -> RawResponse:
    codes, categories = column.factorise()
    levels = level_names(categories)
    got = f"text or categories with {len(levels)} level(s): {listed(levels)}"
    if "ordered" in family.response_forms:
        _require_order(text, column)
        if not column.ordered and not column.is_text:
            _refuse_continuous(text, np.asarray(categories, dtype=np.float64), family)
        return RawResponse(codes.astype(np.float64), levels)
    _require_form(family, ("two-level",), text, got)
    if len(levels) != 2:
        raise ResponseError(
            f"response {text!r}: expected two levels for family {family.name!r}, got {got}. "
            "Recode it to two levels, or choose a family for several categories."
        )
    return RawResponse(codes.astype(np.float64), levels)


def _refuse_continuous(text: str, values: Array, family: Family) -> None:
    """Refuse numbers with so many distinct values that they are measurements, no categories."""
    whole = bool(np.all(values == np.round(values)))
    most = MOST_WHOLE if whole else MOST_FRACTIONS
    if values.size <= most:
        return
    kind = "whole numbers" if whole else "numbers that are not whole"
    raise ResponseError(
        f"response {text!r}: expected ordered categories for family {family.name!r}, got {kind} "
        f"with {values.size} distinct values, {values[0]:g} to {values[-1]:g} (at most {most} are "
        "taken as categories). For a continuous response use fit() or glmer(); else make "
        "categories of it: pd.cut(values, ...), or pd.Categorical(values, ordered=True) to have "
        "one for each value."
    )


def _require_order(text: str, column: Column) -> None:
    """Refuse text, whose order would be that of the alphabet, and categories that look like it.

    Categories in another order were put into it by the user.
    """
    categories = column.levels
    if categories is None or column.ordered or not column.is_text:
        return
    if not categories.is_monotonic_increasing:
        return
    raise ResponseError(
        f"response {text!r}: expected ordered categories, got text or unordered categories "
        f"({listed(level_names(categories))}), whose order is not known. Give it one, lowest "
        "first: pd.Categorical(values, categories=[...], ordered=True)."
    )


def _finite(expression: Expression, frame: Frame, rows: Rows) -> Any:
    values = evaluate(expression, frame)
    if values.ndim != 1:
        raise ResponseError(
            f"response {expression.text!r}: expected one number per row, got an array of shape "
            f"{values.shape}. A function of your own returns one number for each row."
        )
    require_computable(values, f"response {expression.text!r}", rows)
    return values


def _require_form(family: Family, forms: Sequence[str], text: str, got: str) -> None:
    if family.response_forms.isdisjoint(forms):
        taken = sorted(_FORMS_IN_WORDS.get(form, form) for form in family.response_forms)
        raise ResponseError(
            f"response {text!r}: expected {' or '.join(taken)} for family {family.name!r}, got "
            f"{got}. Recode the response, or choose another family."
        )
