"""The argument `correlation`: groups of rows and their times, read and checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from interlace.data.columns import Frame
from interlace.data.levels import build_factor
from interlace.data.rows import Rows
from interlace.formulas.allowed import Vocabulary
from interlace.formulas.bars import DEFAULT_STRUCTURE, Bar
from interlace.formulas.formula import parse_random
from interlace.formulas.tokens import formula_error, unknown_column
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.row_correlation import RowCorrelation
from interlace_core.messages.errors import DataError, UnsupportedModelError
from interlace_core.records import Array, IntArray


def read_correlation(text: str | None, vocabulary: Vocabulary) -> Bar | None:
    """Return a correlation such as `ar1(time | subject)` with its names checked.

    Raises
    ------
    OptionError
        If it is no text.
    FormulaError
        If it is not one structure of one time and one group, or a name is no column.
    """
    if text is None:
        return None
    columns = vocabulary.columns
    bars = parse_random(text, argument="correlation", limits=vocabulary.limits)
    if len(bars) != 1 or bars[0].structure == DEFAULT_STRUCTURE or bars[0].options:
        raise formula_error(
            bars[0].span,
            "expected one structure with a time and a group, such as ar1(time | subject) or "
            "cs(1 | subject).",
        )
    (bar,) = bars
    for span, name in zip(bar.factors, bar.columns, strict=True):
        if name not in columns:
            raise unknown_column(span, name, columns)
    if len(bar.left.covariates) > 1 or len(bar.left.columns(vocabulary)) != len(
        bar.left.covariates
    ):
        raise formula_error(
            bar.span, "expected one column of times left of the bar, or 1 for the order of rows."
        )
    return bar


def correlation_columns(bar: Bar, vocabulary: Vocabulary) -> list[str]:
    """Return the columns that a correlation uses."""
    return [*bar.left.columns(vocabulary), *bar.columns]


def build_correlation(
    bar: Bar, frame: Frame, rows: Rows, covariance: Callable[[str], type[Covariance]]
) -> RowCorrelation:
    """Return which rows correlate, and how.

    Parameters
    ----------
    bar : Bar
        From `read_correlation`.
    frame : Frame, n rows
        Rows in use.
    rows : Rows
        To name a row in a message.
    covariance : callable
        From the name of a covariance structure to its class.

    Raises
    ------
    UnsupportedModelError
        If the structure is none for residuals.
    DataError
        If times are not numbers, or repeated within a group.
    """
    structure = covariance(bar.structure).residuals()
    if structure is None:
        raise UnsupportedModelError(
            f"correlation: the structure {bar.structure!r} is for random effects only. Write it "
            f"as a term of the formula, {bar.structure}({bar.design} | {bar.group}), or choose "
            "another, such as ar1."
        )
    codes = build_factor(bar.columns, frame).codes
    (name,) = bar.left.columns(Vocabulary(tuple(frame))) or (None,)
    times = _order(codes) if name is None else _times(name, frame, rows, structure.whole_times)
    label = f"{bar.structure}({name or 1} | {bar.group})"
    _require_distinct(label, codes, times, rows)
    return RowCorrelation(structure(), label, codes, times)


def _order(codes: IntArray) -> Array:
    """Return the place of each row among those of its group."""
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))])[:-1]
    times = np.empty(codes.size)
    times[order] = np.arange(codes.size) - starts[codes[order]]
    return times


def _times(name: str, frame: Frame, rows: Rows, whole: bool) -> Array:
    column = frame[name]
    if column.levels is not None:
        return column.values.astype(np.float64)
    times = column.numbers
    odd = np.flatnonzero(whole & (times != np.round(times)))
    if odd.size:
        raise DataError(
            f"correlation: expected whole numbers as times, got {times[odd[0]]:g} in column "
            f"{name!r}, {rows.describe(int(odd[0]))}. Count the time in units of its smallest "
            "step, or use a structure for any times."
        )
    return times


def _require_distinct(label: str, codes: IntArray, times: Array, rows: Rows) -> None:
    order = np.lexsort((times, codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(times[order]) == 0.0)
    if np.any(same):
        row = int(order[int(np.flatnonzero(same)[0]) + 1])
        raise DataError(
            f"correlation {label}: expected each time once within a group, got {times[row]:g} "
            f"again, {rows.describe(row)}. Make the groups finer, for example by a column of "
            "series, or leave the time out (1) to take rows in their order."
        )
    if np.max(np.bincount(codes)) < 2:
        raise DataError(
            f"correlation {label}: expected groups of two rows or more, got one row in each. "
            "There is no correlation to estimate; leave it out."
        )
