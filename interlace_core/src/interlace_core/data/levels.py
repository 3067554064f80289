"""Levels of categorical columns: their names, and those unused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed
from interlace_core.records import IntArray


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


def factorise(column: pd.Series[Any]) -> tuple[IntArray, pd.Index[Any]]:
    """Return codes, shape (n,), -1 where missing, and levels of a column from `read_columns`.

    Categories keep their order, other values are sorted; every level of a column of numbers
    occurs.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.intp), column.cat.categories
    codes, levels = pd.factorize(column.to_numpy(), sort=True)
    return codes, pd.Index(levels)


def drop_unused_levels(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a frame whose categories all occur, and a note on each column that lost some."""
    notes = []
    used = {}
    for name in frame.columns:
        column = frame[name]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            continue
        categories = column.cat.categories
        counts = np.bincount(np.asarray(column.cat.codes), minlength=len(categories))
        if not counts.all():
            unused = level_names(categories[counts == 0])
            notes.append(f"column {name!r}: dropped the unused level(s) {listed(unused)}")
            used[name] = column.cat.remove_unused_categories()
    return frame.assign(**used) if used else frame, notes


@dataclass(frozen=True)
class ColumnCode:
    """How a column was read in the training data.

    Attributes
    ----------
    name : str
        The column.
    levels : Index or None
        Its categories in order; None for a column of numbers.
    """

    name: str
    levels: pd.Index[Any] | None


def column_code(column: pd.Series[Any]) -> ColumnCode:
    """Return how a column of the training data was read."""
    name = str(column.name)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return ColumnCode(name, None)
    unique_level_names(name, column.cat.categories)
    return ColumnCode(name, column.cat.categories)


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    # bool is an int, and keeps its own name.
    if isinstance(value, Real) and not isinstance(value, int) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)
