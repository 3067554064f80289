"""Rows that stand for all pieces, as a data frame of which the model is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.columns import Column
from interlace.parts.look import Look
from interlace.parts.reading import Reading
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed


def levels_of_all(
    looks: Sequence[Look], reading: Reading, categories: Collection[str]
) -> dict[str, pd.Index[Any]]:
    """Return the levels over all pieces of each column that has any and does more than group.

    Categories in their order where all pieces have the same, all else sorted: the order of pieces
    does not matter.

    Parameters
    ----------
    looks : sequence of Look
    reading : Reading
    categories : collection of str
        Columns that are categories, and no text.

    Raises
    ------
    DataError
        If a column has levels in some pieces and numbers in others, or orders that differ.
    """
    found = {}
    for name in reading.columns:
        columns = [(each, each.levels[name]) for each in looks if name in each.levels]
        if not columns:
            continue
        others = [e.name for e in looks if e.rows is not None and name not in e.levels]
        if others:
            raise DataError(
                f"column {name!r}: expected one type in all pieces of the data, got text in "
                f"{columns[0][0].name} and numbers in {others[0]}. Convert it."
            )
        found[name] = _merged(name, [column for _, column in columns], name in categories)
    return found


def _merged(name: str, columns: Sequence[Column], are_categories: bool) -> pd.Index[Any]:
    used = {
        label: None
        for column in columns
        if column.levels is not None
        for label in column.levels[np.unique(column.values)].tolist()
    }
    first = columns[0].levels
    assert first is not None
    same = all(c.levels is not None and c.levels.equals(first) for c in columns)
    chosen = any(column.ordered for column in columns)
    if chosen and not same:
        raise DataError(
            f"column {name!r}: expected ordered categories that are the same in all pieces, got "
            f"others: {listed(map(str, used))}. Give all pieces one list of categories."
        )
    if same and are_categories:
        places = first.get_indexer(pd.Index(list(used), dtype=first.dtype))
        kept: pd.Index[Any] = first[np.isin(np.arange(len(first)), places)]
        return kept
    try:
        ordered: pd.Index[Any] = pd.Index(sorted(used), dtype=first.dtype)
    except TypeError:
        ordered = pd.Index(sorted(used, key=str), dtype=object)
    return ordered


def witness(looks: Sequence[Look], reading: Reading, levels: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that stand for all pieces, with the levels of all."""
    frames = [each.rows for each in looks if each.rows is not None]
    data = {}
    for name in reading.columns:
        columns = [frame[name] for frame in frames]
        if all(column.levels is None for column in columns):
            data[name] = pd.Series(np.concatenate([column.values for column in columns]))
            continue
        labels = np.concatenate([_labels(column) for column in columns])
        if name in levels:
            ordered = any(column.ordered for column in columns)
            data[name] = pd.Series(pd.Categorical(labels, levels[name], ordered=ordered))
        else:
            data[name] = pd.Series(labels)
    return pd.DataFrame(data)


def _labels(column: Column) -> Any:
    codes, levels = column.factorise()
    return levels.to_numpy(dtype=object)[codes]
