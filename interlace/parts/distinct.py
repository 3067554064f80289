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

from interlace.data.assembly import CovarianceLookup
from interlace.data.problem import Model, build_problem
from interlace.data.request import ModelRequest
from interlace.parts.reading import read_model
from interlace.parts.sources import DataInParts, Source, count_name, open_source
from interlace.progress import tracked
from interlace.results.elsewhere import RowsElsewhere
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family

MOST_DISTINCT = 2_000_000
"""Distinct rows up to which they are counted: they fit into memory many times over."""

LEAST_GAIN = 4
"""Rows that each distinct one has to stand for in the mean, for counting to be worth a pass."""

LOOKED_AT, MOST_VALUES = 10_000, 1000
"""Rows that are looked at, and different values among them from which numbers are measurements."""

FIRST = 3
"""Pieces after which one looks whether distinct rows are few."""


def model_of_distinct(
    asked: DataInParts,
    request: ModelRequest,
    family: Family,
    covariance: CovarianceLookup,
    hold: Any,
    approximation: Approximation,
) -> Model | None:
    """Return the model of the distinct rows, weighted by their numbers; None if they are many.

    Also None where weights are no multipliers of log-densities, and where it is not wanted.
    """
    if not asked.distinct or approximation.precision_weights:
        return None
    source = open_source(asked)
    reading = read_model(request, source.columns)
    if _has_continuous(source, reading.columns):
        return None
    counted = _counted(source, reading.columns)
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
    data = _with_categories(table.take(pa.array(order)), source, reading.columns)
    counts = counts[kept][order]
    model: Model = hold(build_problem(replace(request, data=data), family, covariance=covariance))
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


def _has_continuous(source: Source, columns: Sequence[str]) -> bool:
    """Return whether some column is a measurement, by a few of its rows: the cheap first look."""
    import pyarrow as pa

    if not source.pieces:
        return False
    for name in columns:
        few = source.pieces[0].read([name]).slice(0, LOOKED_AT).column(0)
        if pa.types.is_floating(few.type) and len(few.unique()) > MOST_VALUES:
            return True
    return False


def _counted(source: Source, columns: Sequence[str]) -> Any:
    """Return the distinct rows with their numbers; None if there are too many."""
    if source.distinct is not None:
        return source.distinct(columns, MOST_DISTINCT)
    import pyarrow as pa

    found: Any = None
    rows = 0
    for number, piece in enumerate(tracked(source.pieces, "counting distinct rows")):
        own = _grouped(_decoded(piece.read(columns)), columns, False)
        found = own if found is None else _grouped(pa.concat_tables([found, own]), columns, True)
        rows += piece.rows
        many = LEAST_GAIN * found.num_rows > rows and number + 1 >= min(FIRST, len(source.pieces))
        if found.num_rows > MOST_DISTINCT or many:
            return None
    return found


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


def _with_categories(table: Any, source: Source, columns: Sequence[str]) -> Any:
    """Return the columns that are categories in the order that they have in the data.

    Of other values than the first piece has categories for they are text.
    """
    import pyarrow as pa

    for name in columns:
        if name not in source.categories or not source.pieces:
            continue
        known = source.pieces[0].read([name]).column(0).combine_chunks().dictionary
        places = pd.Index(known.to_pylist()).get_indexer(pd.Index(table.column(name).to_pylist()))
        if np.all(places >= 0):
            codes = pa.array(places, pa.int32())
            coded = pa.DictionaryArray.from_arrays(codes, known, ordered=source.categories[name])
            table = table.set_column(table.column_names.index(name), name, coded)
    return table


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
