"""Which rows of the data are used, what is missing in the others, and how to name a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace_core.contract.problem import RowReport
from interlace_core.families.checks import first_offender
from interlace_core.messages.errors import DataError
from interlace_core.records import Array, IntArray

BoolArray = npt.NDArray[np.bool_]


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

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows in use of a frame, numbered from 0."""
        if self.kept is None:
            return frame
        return frame.iloc[self.kept].reset_index(drop=True)

    def pick(self, values: Array) -> Array:
        """Return the rows in use of a vector."""
        return values if self.kept is None else values[self.kept]

    def report(self, uninformative: int) -> RowReport:
        """Return what became of the rows, for the result; some of those used may say nothing."""
        index = self.index if self.kept is None else self.index[self.kept]
        return RowReport(index, len(self.index), len(index), dict(self.missing), uninformative)


def complete_rows(frame: pd.DataFrame, vectors: Mapping[str, Array], index: pd.Index[Any]) -> Rows:
    """Return the rows without a missing value in any column or vector.

    Parameters
    ----------
    frame : DataFrame, n_given rows
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
    holes = {name: is_missing(frame[name]) for name in frame.columns}
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


def is_missing(column: pd.Series[Any]) -> BoolArray:
    """Return whether each value of a column read by `read_columns` is missing, shape (n,)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes) < 0
    values = column.to_numpy()
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def refuse_infinite(frame: pd.DataFrame, rows: Rows) -> None:
    """Raise a DataError that names the first column and row with an infinite value."""
    for name in frame.columns:
        values = frame[name].to_numpy() if frame[name].dtype.kind == "f" else None
        if values is not None:
            require_finite(values, f"column {name!r}", rows)


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


def frozen(values: npt.ArrayLike) -> Array:
    """Return a copy as a read-only C-contiguous array of float64."""
    array = np.array(values, dtype=np.float64, order="C")
    array.flags.writeable = False
    return array
