"""Levels of categorical columns: their names, and those unused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.data.columns import Column, Frame
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed


def level_names(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of levels; a whole number has the same name as int and as float."""
    if isinstance(values, pd.Index):
        whole = values.dtype.kind in "iu"
        values = values.tolist()  # iterating over an index of text makes each name one by one
        if whole:
            return tuple(map(str, values))
    found = tuple(values)
    return found if set(map(type, found)) == {str} else tuple(map(_name, found))


def unique_level_names(column: str, levels: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of a column's levels.

    Raises
    ------
    DataError
        If two levels have the same name, such as the number 1 and the text "1".
    """
    names = level_names(levels)
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
        counts = np.bincount(column.values, minlength=len(column.levels))
        if not counts.all():
            unused = level_names(column.levels[counts == 0])
            notes.append(f"column {name!r}: dropped the unused level(s) {listed(unused)}")
            places = np.cumsum(counts > 0) - 1
            used[name] = replace(
                column, values=places[column.values], levels=column.levels[counts > 0]
            )
    return Frame({**frame, **used}, frame.n) if used else frame, notes


@dataclass(frozen=True)
class ColumnCode:
    """How a column was read in the training data.

    Attributes
    ----------
    name : str
        The column.
    levels : Index or None
        Its categories in order, of type bool for True and False; None for a column of numbers.
    """

    name: str
    levels: pd.Index[Any] | None

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
    return ColumnCode(column.name, column.levels)


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
