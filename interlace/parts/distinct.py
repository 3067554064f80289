"""Few distinct rows, counted where the data are, in place of a fit to all of them.

Rows that are equal in all columns of a model have one log-density, so that one of them with their
number as its weight says what all say, whatever the family. Where predictors and response have few
values that turns any number of rows into some thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.problem import Model, build_problem
from interlace.parts.building import Asked
from interlace.parts.here import FilesHere
from interlace.parts.reading import Reading
from interlace.parts.sources import count_name
from interlace.progress import tracked
from interlace.results.elsewhere import RowsElsewhere
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.frames import Frames

MOST_DISTINCT = 2_000_000
"""Distinct rows up to which they are counted: they fit into memory many times over."""

LEAST_GAIN = 4
"""Rows that each distinct one has to stand for in the mean, for counting to be worth a pass."""

LOOKED_AT, MOST_VALUES = 10_000, 1000
"""Rows that are looked at, and different values among them from which numbers are measurements."""

FIRST = 3
"""Pieces after which one looks whether distinct rows are few."""


def model_of_distinct(
    frames: Frames, reading: Reading, asked: Asked, approximation: Approximation
) -> Model | None:
    """Return the model of the distinct rows, weighted by their numbers; None if they are many.

    Also None where weights are no multipliers of log-densities.
    """
    if approximation.precision_weights or _has_continuous(frames, reading.columns):
        return None
    counted = _counted(frames, reading.columns)
    if counted is None:
        return None
    counts = counted.column(count_name(reading.columns)).to_numpy().astype(np.float64)
    missing = _missing(counted, reading.columns, counts)
    kept = np.ones(len(counts), dtype=bool)
    for name in reading.columns:
        kept &= ~_holes(counted.column(name))
    given, used = int(counts.sum()), int(counts[kept].sum())
    if given < LEAST_GAIN * len(counts) or not kept.any() or reading.transforms:
        return None
    import pyarrow as pa

    table = counted.filter(pa.array(kept))
    order = _sorted(table, reading.columns)
    data = _with_categories(table.take(pa.array(order)), frames, reading.columns)
    counts = counts[kept][order]
    model = asked.hold(
        build_problem(replace(asked.request, data=data), asked.family, covariance=asked.covariance)
    )
    problem = model.problem
    weights = counts if problem.weights is None else counts * problem.weights
    silent = int(counts[~problem.informative].sum())
    rows = replace(
        model.rows,
        index=RowsElsewhere(),
        n_given=given,
        n_used=used,
        missing=missing,
        uninformative=silent,
    )
    return replace(model, problem=replace(problem, weights=weights), rows=rows)


def _has_continuous(frames: Frames, columns: Sequence[str]) -> bool:
    """Return whether some column is a measurement, by a few of its rows: the cheap first look."""
    if not frames.pieces:
        return False
    return any(next(iter(frames.ask(_is_continuous, [name], name, pieces=[0]))) for name in columns)


def _is_continuous(_: str, table: Any, name: str) -> bool:
    import pyarrow as pa

    few = as_arrow(table, [name]).slice(0, LOOKED_AT).column(0)
    return pa.types.is_floating(few.type) and len(few.unique()) > MOST_VALUES


def _counted(frames: Frames, columns: Sequence[str]) -> Any:
    """Return the distinct rows with their numbers; None if there are too many."""
    if isinstance(frames, FilesHere) and frames.source.distinct is not None:
        return frames.source.distinct(columns, MOST_DISTINCT)
    import pyarrow as pa

    found: Any = None
    rows, number = 0, len(frames.pieces)
    answers = (
        each
        for start in range(0, number, frames.at_once)
        for each in frames.ask(
            _grouped_rows, columns, columns, pieces=range(number)[start : start + frames.at_once]
        )
    )
    for place, (given, own) in enumerate(tracked(answers, "counting distinct rows", number)):
        if own is not None:
            # what came from another process is where Arrow does not like it: copied
            both = own if found is None else pa.concat_tables([found, own]).combine_chunks()
            found = own if found is None else _grouped(both, columns, True)
        rows += given
        distinct = 0 if found is None else found.num_rows
        many = LEAST_GAIN * distinct > rows and place + 1 >= min(FIRST, number)
        if distinct > MOST_DISTINCT or many:
            return None
    return found


def _grouped_rows(_: str, table: Any, columns: Sequence[str]) -> tuple[int, Any]:
    """Return the number of a piece's rows, and the distinct ones with theirs; None of no rows."""
    if not len(table):
        return 0, None
    return len(table), _grouped(_decoded(as_arrow(table, columns)), columns, False)


def as_arrow(table: Any, columns: Sequence[str]) -> Any:
    """Return columns of a piece as a table of pyarrow."""
    import pyarrow as pa

    if isinstance(table, pd.DataFrame):
        found = pa.Table.from_pandas(table[list(columns)], preserve_index=False)
        return found.take(np.arange(len(table)))  # copied: as it came it may lie anywhere
    return table.select(list(columns))


def _grouped(table: Any, columns: Sequence[str], again: bool) -> Any:
    """Return distinct rows with their number in the last column; of such tables, the sums of it."""
    places = [str(j) for j in range(len(columns))]  # names of the user's might be pyarrow's own
    number = [count_name(columns)] if again else []
    plain = table.select([*columns, *number]).rename_columns([*places, *("n" for _ in number)])
    groups = plain.group_by(places, use_threads=False)
    wanted: Any = ("n", "sum") if again else ([], "count_all")
    found = groups.aggregate([wanted])
    found = found.select([*places, "n_sum" if again else "count_all"])
    return found.rename_columns([*columns, count_name(columns)])


def _decoded(table: Any) -> Any:
    """Return a table with text in place of codes, which differ between pieces."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            plain = table.column(place).cast(column.type.value_type)
            table = table.set_column(place, column.name, plain)
    return table


def _with_categories(table: Any, frames: Frames, columns: Sequence[str]) -> Any:
    """Return the columns that are categories in the order that they have in the data.

    Of other values than the first piece has categories for they are text.
    """
    import pyarrow as pa

    for name in columns:
        if name not in frames.categories or not frames.pieces:
            continue
        known = next(iter(frames.ask(_categories_of, [name], name, pieces=[0])))
        places = pd.Index(known.to_pylist()).get_indexer(pd.Index(table.column(name).to_pylist()))
        if np.all(places >= 0):
            codes = pa.array(places, pa.int32())
            coded = pa.DictionaryArray.from_arrays(codes, known, ordered=frames.categories[name])
            table = table.set_column(table.column_names.index(name), name, coded)
    return table


def _categories_of(_: str, table: Any, name: str) -> Any:
    return as_arrow(table, [name]).column(0).combine_chunks().dictionary


def _holes(column: Any) -> Any:
    import pyarrow.compute as pc

    return pc.is_null(column, nan_is_null=True).to_numpy()


def _missing(table: Any, columns: Sequence[str], counts: Any) -> dict[str, int]:
    found = {name: int(counts[_holes(table.column(name))].sum()) for name in columns}
    return {name: count for name, count in found.items() if count}


def _sorted(table: Any, columns: Sequence[str]) -> Any:
    """Return the order of distinct rows by their values: the same whoever counted them."""
    codes = []
    for name in columns:
        series = table.column(name).to_pandas()
        text = series.dtype == "category"
        codes.append(series.astype(str).to_numpy() if text else series.to_numpy())
    return np.lexsort(codes[::-1])
