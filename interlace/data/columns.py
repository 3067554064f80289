"""Columns as a model reads them: numbers, booleans, or levels with their codes."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace_core.messages.errors import DataError
from interlace_core.records import Array, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Column:
    """One column of the data, not to be written to.

    Attributes
    ----------
    name : str
        The column.
    values : ndarray, shape (n,)
        Numbers in their own type (whole numbers stay exact, those beyond 64 bits are objects),
        booleans, or codes of levels, -1 where missing.
    levels : Index or None
        The categories in order; None for numbers and booleans.
    ordered : bool
        Whether the user gave the categories an order.
    chosen : bool
        Whether the user made categories of it, as text alone is not.
    holes : ndarray of bool, shape (n,), or None
        Where whole numbers or booleans are missing; None if nowhere. Real numbers are NaN there,
        codes -1.
    """

    name: str
    values: npt.NDArray[Any]
    levels: pd.Index[Any] | None = None
    ordered: bool = False
    chosen: bool = False
    holes: BoolArray | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    @property
    def is_boolean(self) -> bool:
        """Whether it holds True and False."""
        return self.levels is None and self.values.dtype == bool

    @property
    def is_text(self) -> bool:
        """Whether it holds levels that are no numbers."""
        return self.levels is not None and not pd.api.types.is_numeric_dtype(self.levels.dtype)

    @cached_property
    def numbers(self) -> Array:
        """The values as float64, NaN where missing; categories of numbers count as these.

        Raises
        ------
        TypeError
            If it holds text.
        DataError
            If a whole number is beyond double precision.
        """
        if self.levels is None:
            try:
                numbers: Array = self.values.astype(np.float64, copy=False)
            except OverflowError as error:
                raise DataError(
                    f"column {self.name!r}: expected numbers up to 1e308, got a whole number of "
                    "more digits. Rescale it."
                ) from error
            return numbers if self.holes is None else np.where(self.holes, np.nan, numbers)
        if self.is_text:
            raise TypeError(f"text in column {self.name}")
        levels = np.append(np.asarray(self.levels, dtype=np.float64), np.nan)
        return np.asarray(levels[self.values])

    @cached_property
    def codes(self) -> IntArray:
        """The codes of a column of levels as indices of arrays, shape (n,)."""
        return self.values.astype(np.intp, copy=False)

    @cached_property
    def complete(self) -> bool:
        """Whether no value is missing, and none infinite, by a sum: False where that is unclear."""
        if self.levels is not None:
            return not self.values.size or int(self.values.min()) >= 0
        if self.holes is not None:
            return False
        if self.values.dtype.kind == "f":
            # not finite where a value is not; where numbers are huge it may not be either
            with np.errstate(all="ignore"):
                return isfinite(float(self.values.dot(self.values)))
        return True

    @cached_property
    def missing(self) -> BoolArray:
        """Whether each value is missing, shape (n,)."""
        if self.levels is not None:
            return np.asarray(self.values < 0)
        if self.holes is not None:
            return self.holes
        if self.values.dtype.kind == "f":
            return np.asarray(np.isnan(self.values))
        return np.zeros(len(self.values), dtype=bool)

    def take(self, rows: npt.NDArray[Any]) -> Column:
        """Return the rows at some places, or where a mask is true."""
        holes = None if self.holes is None else self.holes[rows]
        holes = holes if holes is not None and holes.any() else None
        return replace(self, values=self.values[rows], holes=holes)

    def factorise(self) -> tuple[IntArray, pd.Index[Any]]:
        """Return codes, shape (n,), -1 where missing, and levels.

        Categories keep their order, other values are sorted; every level of a column of numbers
        occurs.
        """
        if self.levels is not None:
            return self.codes, self.levels
        if self.holes is None:
            codes, levels = factorise_numbers(self.values)
            return codes, pd.Index(levels)
        codes = np.full(len(self.values), -1, dtype=np.intp)
        codes[~self.holes], levels = factorise_numbers(self.values[~self.holes])
        return codes, pd.Index(levels)


def factorise_numbers(values: npt.NDArray[Any]) -> tuple[IntArray, npt.NDArray[Any]]:
    """Return codes of values, shape (n,), and the values that occur, sorted.

    Whole numbers that lie close together are counted; others are sorted.
    """
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < MOST_SPREAD * values.size:
            # modulo the size of the numbers: differences of two come out right
            least = values.dtype.type(low)
            own = values.astype(np.intp) if values.itemsize < np.intp().itemsize else values
            places = (own - least).astype(np.intp, copy=False)
            seen = np.zeros(high - low + 1, dtype=bool)
            seen[places] = True
            codes = (np.cumsum(seen) - 1).take(places)
            return codes, np.flatnonzero(seen).astype(values.dtype) + least
    codes, levels = pd.factorize(values, sort=True)
    return codes, levels


MOST_SPREAD = 4
"""Times the number of values that whole numbers may be apart to be counted rather than sorted."""


class Frame(Mapping[str, Column]):
    """Columns of one length, by name.

    Parameters
    ----------
    columns : mapping from str to Column
    n : int
        Rows.
    """

    def __init__(self, columns: Mapping[str, Column], n: int) -> None:
        self._columns = dict(columns)
        self.n = n

    def __getitem__(self, name: str) -> Column:
        """Return a column."""
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._columns)

    def items(self) -> ItemsView[str, Column]:
        """Return names and columns, as the dict within has them."""
        return self._columns.items()

    def values(self) -> ValuesView[Column]:
        """Return the columns."""
        return self._columns.values()

    def take(self, rows: npt.NDArray[Any]) -> Frame:
        """Return the rows at some places, or where a mask is true."""
        n = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
        return Frame({name: each.take(rows) for name, each in self._columns.items()}, n)
