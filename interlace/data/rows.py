"""The rows in use, and weights and offsets of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace.data.columns import Frame
from interlace.data.evaluation import evaluate
from interlace.data.frames import Table
from interlace.formulas.allowed import Vocabulary, parse_text
from interlace.formulas.expressions import Expression
from interlace_core.contract.problem import RowReport
from interlace_core.families.responses import first_offender
from interlace_core.messages.checks import is_real
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.records import Array, IntArray

Vector = Expression | Array
"""Weights or an offset: an expression over columns, or one number per row of the data."""


@dataclass(frozen=True)
class Rows:
    """The rows in use.

    Attributes
    ----------
    index : Index, n_given labels
        Labels of all rows of the data.
    kept : ndarray of intp, shape (n,), or None
        Positions of the rows in use; None if all are.
    missing : mapping from str to int
        Missing values per variable, for the variables that had any.
    """

    index: pd.Index[Any]
    kept: IntArray | None = None
    missing: Mapping[str, int] = field(default_factory=dict)

    def describe(self, place: int) -> str:
        """Return words for the row in use at `place`: its position, and its label if it differs."""
        position = int(place if self.kept is None else self.kept[place])
        label = self.index[position]
        same = isinstance(label, (int, np.integer)) and label == position
        named = "" if same else f" (index {label!r})"
        return f"row {position}{named}, counted from 0"

    def select(self, frame: Frame) -> Frame:
        """Return the rows in use of a frame."""
        return frame if self.kept is None else frame.take(self.kept)

    def pick(self, values: Array) -> Array:
        """Return the rows in use of a vector."""
        return values if self.kept is None else values[self.kept]

    def report(self, uninformative: int) -> RowReport:
        """Return what became of the rows, for the result; some of those used may say nothing."""
        index = self.index if self.kept is None else self.index[self.kept]
        return RowReport(index, len(self.index), len(index), dict(self.missing), uninformative)


def complete_rows(frame: Frame, vectors: Mapping[str, Array], index: pd.Index[Any]) -> Rows:
    """Return the rows without a missing value in any column or vector.

    Parameters
    ----------
    frame : Frame, n_given rows
        The columns that the model uses.
    vectors : mapping from str to ndarray, shape (n_given,)
        Weights and offset given as arrays.
    index : Index
        Labels of the rows.

    Raises
    ------
    DataError
        If no complete row is left; it names the variable with most missing values.
    """
    holes = {name: column.missing for name, column in frame.items() if not column.complete}
    for name, values in vectors.items():
        holes[name] = holes.get(name, False) | np.isnan(values)
    counts = {name: int(np.count_nonzero(hole)) for name, hole in holes.items()}
    missing = {name: count for name, count in counts.items() if count}
    if not missing:
        return Rows(index)
    complete = ~np.logical_or.reduce([holes[name] for name in missing])
    if not complete.any():
        worst = max(missing, key=lambda name: missing[name])
        raise DataError(
            "data: expected at least one row without missing values, got none: "
            f"{worst!r} is missing in {missing[worst]} of {len(index)} rows. Leave it out of the "
            "model or fill it in."
        )
    return Rows(index, np.flatnonzero(complete), missing)


def refuse_infinite(frame: Frame, rows: Rows) -> None:
    """Raise a DataError that names the first column and row with an infinite value."""
    for name, column in frame.items():
        if column.values.dtype.kind == "f" and not column.complete:
            require_finite(column.values, f"column {name!r}", rows)


def require_finite(values: npt.NDArray[Any], what: str, rows: Rows) -> None:
    """Raise a DataError that names the first row where a value is NaN or infinite.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Over the rows in use.
    what : str
        What they are, to begin the message.
    rows : Rows
        To name the row.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    place = first_offender(~finite)
    raise DataError(
        f"{what}: expected finite values, got {values[place]} in {rows.describe(place)} "
        f"({np.count_nonzero(~finite)} such row(s)). Correct or drop these rows."
    )


LEAST_SIZE, MOST_SIZE = 1e-75, 1e75
"""Between which the largest of some numbers lies if it is not 0: fourth powers, which variances of
variances are made of, are then numbers too."""


def require_computable(values: npt.NDArray[Any], what: str, rows: Rows) -> None:
    """Raise a DataError where numbers are not finite, or so large or small that squares are not.

    Parameters
    ----------
    values, what, rows
        As for `require_finite`.
    """
    if not values.size or is_plain(values):
        return
    low, high = float(values.min()), float(values.max())  # NaN where one is
    if not (np.isfinite(low) and np.isfinite(high)):
        require_finite(values, what, rows)
    largest = max(-low, high)
    if largest and not LEAST_SIZE <= largest <= MOST_SIZE:
        place, end = int(np.argmax(np.abs(values))), "small" if largest < LEAST_SIZE else "large"
        raise DataError(
            f"{what}: expected numbers between {LEAST_SIZE:g} and {MOST_SIZE:g}, got "
            f"{values[place]:g} in {rows.describe(place)}, the largest of them, which is too {end} "
            "for its square to be computed. Change the unit."
        )


def is_plain(values: npt.NDArray[Any]) -> bool:
    """Return whether numbers are finite and of ordinary size by one sum; False where it is unclear.

    Parameters
    ----------
    values : ndarray, shape (n,)
        With fewer than 1e10 rows: the largest of so many numbers is 1e-75 at least where their
        squares add up to 1e-140.
    """
    if values.dtype != np.float64:
        return False
    with np.errstate(all="ignore"):
        return LEAST_SQUARES < float(values.dot(values)) < MOST_SQUARES


LEAST_SQUARES, MOST_SQUARES = 1e-140, 1e140
"""Between which sums of squares are those of numbers that can be computed with."""


def require_size(value: float, what: str) -> float:
    """Return a finite number; raise an OptionError where it is too large for its square."""
    if abs(value) > MOST_SIZE:
        raise OptionError(
            f"{what}: expected a number up to {MOST_SIZE:g}, got {value:g}. Change the unit."
        )
    return value


def frozen(values: npt.ArrayLike) -> Array:
    """Return a copy as a read-only C-contiguous array of float64."""
    array = np.array(values, dtype=np.float64, order="C")
    array.flags.writeable = False
    return array


def read_vector(
    values: object, argument: str, table: Table, vocabulary: Vocabulary
) -> Vector | None:
    """Return weights or an offset as an expression over columns or as an array, shape (n_given,).

    Parameters
    ----------
    values : None, str or array-like
        A column or expression, or one number per row of the data. A pandas Series whose index
        has the labels of the data's in another order is put into the data's order; anything
        else counts by position.
    argument : str
        `weights` or `offset`.
    table : Table
        The data.
    vocabulary : Vocabulary
        What the names of an expression can mean.

    Raises
    ------
    FormulaError
        If a text names no column.
    DataError
        If the length is wrong or something is not a number.
    """
    if values is None:
        return None
    if isinstance(values, str):
        return parse_text(values, argument, vocabulary)
    return read_array(values, argument, table.index)


def read_array(values: object, argument: str, index: pd.Index[Any]) -> Array:
    """Return one number per row, shape (len(index),); a Series is aligned to the index.

    Raises
    ------
    DataError
        If the length is wrong or something is not a number.
    """
    if isinstance(values, pd.Series):
        values = _aligned(values, index)
    array = _numbers(values, argument)
    if array.shape != (len(index),):
        raise DataError(
            f"{argument}: expected one number per row of the data, shape "
            f"({len(index)},), got shape {array.shape}. Give an array of that length, or "
            "the name of a column."
        )
    return array


def value_or_array(values: object, argument: str, index: pd.Index[Any]) -> Array:
    """Return one number per row, shape (len(index),), from a number for all rows or from an array.

    Raises
    ------
    DataError
        If the length is wrong, or something is not a finite number.
    """
    if is_real(values):
        array = np.full(len(index), float(values))
    else:
        array = read_array(values, argument, index)
    if np.any(np.isinf(array)) or (is_real(values) and np.isnan(array[:1]).any()):
        raise DataError(
            f"{argument}: expected finite numbers, got others among them. Correct them."
        )
    return array


def vector_values(vector: Vector, argument: str, frame: Frame, rows: Rows) -> Array:
    """Return the vector over the rows in use, shape (n,).

    Raises
    ------
    DataError
        If a value is infinite, or an expression gives NaN; the first row is named.
    """
    if isinstance(vector, Expression):
        values = evaluate(vector, frame).astype(np.float64)
        what = argument if vector.text == argument else f"{argument} {vector.text!r}"
    else:
        values, what = rows.pick(vector), argument
    require_computable(values, what, rows)
    return values


def check_weights(values: Array, rows: Rows) -> None:
    """Raise a DataError if a weight is negative or all are zero.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite weights of the rows in use.
    rows : Rows
        To name the row.
    """
    negative = values < 0
    if negative.any():
        place = first_offender(negative)
        raise DataError(
            f"weights: expected values of 0 or more, got {values[place]:g} in "
            f"{rows.describe(place)} ({np.count_nonzero(negative)} such row(s)). Correct them, or "
            "leave these rows out."
        )
    if not values.any():
        raise DataError(
            "weights: expected a positive value in some row, got 0 in all of them. Check the "
            "column, or leave weights out."
        )


def _aligned(values: pd.Series[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    """Return a Series in the order of the index if it has the same labels, each once."""
    if len(values) != len(index) or values.index.equals(index):
        return values
    unique = values.index.is_unique and index.is_unique
    if unique and bool(index.isin(values.index).all()):
        return values.reindex(index)
    return values


def _numbers(values: object, argument: str) -> Array:
    try:
        if np.asarray(values).dtype.kind == "c":
            raise TypeError("complex numbers")
        if isinstance(values, pd.Series):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{argument}: expected one number per row, got {type(values).__name__} values that "
            f"are no numbers ({error}). Give numbers, or the name of a column."
        ) from error
