"""Levels: their names, their codes, and the factors that group rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.rows import Rows
from interlace.formulas.bars import Bar
from interlace.formulas.tokens import formula_error
from interlace_core.calculus.kept import Kept
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed
from interlace_core.records import IntArray


def level_names(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of levels; a whole number has the same name as int and as float."""
    if isinstance(values, pd.Index):
        return labels_of(values).names
    found = tuple(values)
    return found if set(map(type, found)) == {str} else tuple(map(_name, found))


@dataclass(frozen=True, eq=False)
class Labels:
    """The names of an index of levels.

    Attributes
    ----------
    names : tuple of str
    distinct : bool
        Whether no two are the same.
    types : frozenset of type
        Of the levels.
    """

    names: tuple[str, ...]
    distinct: bool
    types: frozenset[type]


def _labels_of(levels: pd.Index[Any]) -> Labels:
    found = levels.tolist()  # iterating over an index of text makes each name one by one
    types = frozenset(map(type, found))
    if levels.dtype.kind in "iu":
        names = tuple(map(str, found))
    else:
        names = tuple(found) if types == {str} else tuple(map(_name, found))
    return Labels(names, len(set(names)) == len(names), types)


labels_of = Kept(_labels_of)
"""Return the `Labels` of an index of levels, made once."""


def unique_level_names(column: str, levels: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of a column's levels.

    Raises
    ------
    DataError
        If two levels have the same name, such as the number 1 and the text "1".
    """
    names = level_names(levels)
    if isinstance(levels, pd.Index) and labels_of(levels).distinct:
        return names
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"column {column!r}: expected levels with different names, got several that are "
            f"written {doubled!r}. Give the column one type, all text or all numbers."
        )
    return names


def drop_unused_levels(frame: Frame) -> tuple[Frame, list[str]]:
    """Return a frame whose categories all occur, and a note on each column that lost some."""
    notes = []
    used = {}
    for name, column in frame.items():
        if column.levels is None:
            continue
        counts = np.bincount(column.codes, minlength=len(column.levels))
        if not counts.all():
            unused = level_names(column.levels[counts == 0])
            notes.append(f"column {name!r}: dropped the unused level(s) {listed(unused)}")
            places = np.cumsum(counts > 0) - 1
            used[name] = replace(
                column, values=places[column.values], levels=column.levels[counts > 0]
            )
    return Frame({**frame, **used}, frame.n) if used else frame, notes


def numbers_among_text(column: Column, rows: Rows) -> str:
    """Return a warning if nearly all values of a column of text are numbers; "" if not.

    A typo among measurements makes categories of them all, of which a covariate has few.
    """
    if column.levels is None or column.chosen or len(column.levels) < MANY_LEVELS:
        return ""
    if not column.is_text:
        return ""
    are_numbers = np.array([_is_number(each) for each in column.levels.tolist()])
    counts = np.bincount(column.values, minlength=len(column.levels))
    n, found = int(counts.sum()), int(counts[are_numbers].sum())
    each_row = 2 * len(column.levels) > n
    if found < MOST_ARE_NUMBERS * n or (found == n and not each_row):
        return ""
    odd = ""
    if found < n:
        row = int(np.flatnonzero(~are_numbers[column.values])[0])
        text = str(column.levels[int(column.values[row])])
        odd = f", and {text!r} in {rows.describe(row)} is none"
    return (
        f"column {column.name!r}: text, taken as {len(column.levels)} categories, though {found} "
        f"of {n} values are numbers{odd}. For a covariate correct these values and convert the "
        f"column, as by pandas.to_numeric; for categories make it a Categorical."
    )


MANY_LEVELS = 10
"""Fewer levels may well be names that happen to be numbers, such as years or doses."""

MOST_ARE_NUMBERS = 0.8
"""Share of values that are numbers from which a column of text looks like a mistake."""


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class ColumnCode:
    """How a column was read in the training data.

    Attributes
    ----------
    name : str
        The column.
    levels : Index or None
        Its categories in order, of type bool for True and False; None for a column of numbers.
    ordered : bool
        Whether the user gave the categories an order.
    """

    name: str
    levels: pd.Index[Any] | None
    ordered: bool = False

    @property
    def is_boolean(self) -> bool:
        """Whether the column held True and False."""
        return self.levels is not None and self.levels.dtype == bool


BOOLEANS: pd.Index[Any] = pd.Index([False, True])
"""Levels of a column of True and False."""


def column_code(column: Column) -> ColumnCode:
    """Return how a column of the training data was read."""
    if column.levels is None:
        return ColumnCode(column.name, BOOLEANS if column.is_boolean else None)
    unique_level_names(column.name, column.levels)
    return ColumnCode(column.name, column.levels, column.ordered)


@dataclass(frozen=True)
class FactorEncoder:
    """Codes the groups of new data by the levels of the training data.

    Attributes
    ----------
    columns : tuple of str
        The columns whose combinations are the groups.
    column_levels : tuple of tuple of str
        Level names of each column.
    combinations : tuple of ndarray of int64
        For the second and each later column, the sorted keys `code * n_levels + code_of_column`
        of the combinations seen in training.
    levels : tuple of str
        Names of the groups, such as `a1:b1`.
    """

    columns: tuple[str, ...]
    column_levels: tuple[tuple[str, ...], ...]
    combinations: tuple[IntArray, ...]
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Factor:
    """A grouping factor over the rows in use.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Group of each row, read-only; every group occurs.
    encoder : FactorEncoder
        Group names, and codes for new data.
    """

    codes: IntArray
    encoder: FactorEncoder


def build_factor(columns: Sequence[str], frame: Frame) -> Factor:
    """Return the grouping factor of one column, or of the combinations of several that occur.

    Parameters
    ----------
    columns : sequence of str
        The columns.
    frame : Frame, n rows
        Rows in use, no missing values, no unused categories.

    Returns
    -------
    Factor
        Levels in the columns' own order (categories as given, other values sorted), the first
        column's slowest.

    Raises
    ------
    DataError
        If two levels of a column have the same name.
    """
    coded = [frame[name].factorise() for name in columns]
    names = tuple(
        unique_level_names(name, levels) for name, (_, levels) in zip(columns, coded, strict=True)
    )
    codes, groups = coded[0][0], list(names[0])
    combinations = []
    for (other, _), own in zip(coded[1:], names[1:], strict=True):
        keys = codes.astype(np.int64) * len(own) + other
        codes, known = pd.factorize(keys, sort=True)
        combinations.append(known)
        groups = [f"{groups[key // len(own)]}:{own[key % len(own)]}" for key in known.tolist()]
    codes = np.array(codes, dtype=np.intp) if codes is frame[columns[0]].values else codes.view()
    codes.flags.writeable = False
    encoder = FactorEncoder(tuple(columns), names, tuple(combinations), tuple(groups))
    return Factor(codes, encoder)


def check_levels(bar: Bar, factor: Factor) -> None:
    """Raise a DataError if there is one group only, and so no variance between groups.

    Parameters
    ----------
    bar : Bar
        The term.
    factor : Factor
        Its groups.
    """
    if len(factor.encoder.levels) < 2:
        raise DataError(
            f"grouping factor {bar.group!r}: expected two levels or more, got the single level "
            f"{factor.encoder.levels[0]!r}. There is no variance between groups to estimate; "
            "leave the term out."
        )


def check_distinct(bars: Sequence[Bar]) -> None:
    """Raise a FormulaError if two random-effects terms of one predictor are the same."""
    seen = set()
    for bar in bars:
        covariates = frozenset((term.sign, term.span.text) for term in bar.left.covariates)
        key = (bar.group, bar.shared, bar.structure, bar.left.has_intercept, covariates)
        if key in seen:
            raise formula_error(
                bar.span,
                f"expected each random-effects term once, got ({bar.label}) twice. Terms in the "
                "formula, in groups= and in random= add up; write it in one place.",
            )
        seen.add(key)


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        written = f"{value:f}"
        return written.rstrip("0").rstrip(".") if "." in written else written
    # bool is an int, and keeps its own name.
    if isinstance(value, Real) and not isinstance(value, int) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)
