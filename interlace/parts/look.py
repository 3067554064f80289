"""The first pass over data in pieces: what coding any of them needs to know of all.

Each piece is looked at by itself: its levels, extremes and moments, the groups that it has, and a
few rows that will stand for it while the model is read. What is wrong with a response, weights or
an offset is said here, with the piece and the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.evaluation import compute_node, evaluate
from interlace.data.frames import open_table, read_columns
from interlace.data.levels import FactorEncoder, build_factor, drop_unused_levels, level_names
from interlace.data.moments import Moments
from interlace.data.response import RawResponse, read_response
from interlace.data.rows import (
    Rows,
    check_weights,
    complete_rows,
    refuse_infinite,
    require_computable,
    require_finite,
    vector_values,
)
from interlace.parts.reading import Reading, Transform
from interlace_core.contract.family import Family
from interlace_core.messages.errors import DataError, InterlaceError, ResponseError
from interlace_core.records import IntArray

SPREAD_ROWS = 20_000
"""Rows that stand for all pieces together, beside those of each level and the extremes."""

MOST_FRACTIONS = 100
"""Different numbers among the first ones of a piece up to which a row of each stands."""

MOST_ACROSS = 2000
"""Random effects that may run across parts: what is left for them is a dense matrix, of which each
part sends its own with every step. Of 2,000 that is 16 MB, of 1,000 it is 4."""

FEW_VALUES = 1000
"""Range of whole numbers up to which a row of each stands: they may be a factor in a formula."""


@dataclass(frozen=True)
class Look:
    """What there is to know of a piece.

    Attributes
    ----------
    name : str
        Of the piece.
    n_given, n_used : int
    missing : mapping from str to int
    rows : Frame, or None
        Rows that stand for it, of all columns; None where all rows have missing values.
    levels : mapping from str to Column
        Of columns of designs and responses with levels: one row of each level in use.
    groups : mapping from tuple of str to ndarray of uint64
        Hashes of the groups of each grouping factor.
    members : mapping from tuple of str to FactorEncoder
        The groups by name, of factors of which there are so few that they may run across parts.
    moments : mapping from str to Moments
        Of the arguments of transforms, by the text of the call.
    place : int
        Of the piece among all.
    """

    name: str
    n_given: int
    n_used: int
    missing: Mapping[str, int]
    rows: Frame | None
    levels: Mapping[str, Column]
    groups: Mapping[tuple[str, ...], Any]
    moments: Mapping[str, Moments]
    members: Mapping[tuple[str, ...], FactorEncoder]
    place: int = 0


def look_at(name: str, table: Any, reading: Reading, family: Family, spread: int) -> Look:
    """Return what there is to know of a piece.

    Parameters
    ----------
    name : str
        Of the piece.
    table : data frame
    reading : Reading
        The model as asked for.
    family : Family
        Not bound.
    spread : int
        Rows that stand for it, beside those of each level.

    Raises
    ------
    DataError
        If the piece cannot be used; it and the row are named.
    """
    if not len(table):
        return Look(name, 0, 0, {}, None, {}, {}, {}, {})
    with naming(name):
        given, rows = rows_of(table, reading)
        if rows is None:
            missing = {each: int(np.count_nonzero(given[each].missing)) for each in given}
            return Look(name, given.n, 0, missing, None, {}, {}, {}, {})
        whole = rows.select(given)
        used = drop_unused_levels(whole)[0]
        refuse_infinite(used, rows)
        _check(used, rows, reading, family)
        moments = {each.text: _moments(each, used, rows) for each in reading.transforms}
    chosen = [np.linspace(0, used.n - 1, min(used.n, spread)).astype(np.intp)]
    levels = {}
    for each, column in used.items():
        if each in reading.only_groups:
            continue
        if column.levels is not None:
            first = first_rows(column.values)
            levels[each] = whole[each].take(first)
        else:
            first = _standing(column)
        chosen.append(first)
    groups, members = _groups(used, reading.factors)
    standing = used.take(np.unique(np.concatenate(chosen)))
    return Look(
        name,
        given.n,
        used.n,
        rows.missing,
        drop_unused_levels(standing)[0],
        levels,
        groups,
        moments,
        members,
    )


def _groups(
    used: Frame, factors: Sequence[tuple[str, ...]]
) -> tuple[dict[tuple[str, ...], Any], dict[tuple[str, ...], FactorEncoder]]:
    """Return the hashes of the groups of each factor, and the names of those that are few."""
    hashes, members = {}, {}
    for each in factors:
        own = group_hashes(used, each)
        first = first_rows(own)
        hashes[each] = own[first]
        if len(factors) > 1 and first.size <= MOST_ACROSS:
            few = drop_unused_levels(Frame({n: used[n].take(first) for n in each}, first.size))[0]
            members[each] = build_factor(each, few).encoder
    return hashes, members


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Name the piece in whatever error is raised about its data."""
    try:
        yield
    except InterlaceError as error:
        raise type(error)(f"{name}: {error}") from error


def rows_of(native: Any, reading: Reading) -> tuple[Frame, Rows | None]:
    """Return the columns of a piece, and its rows in use; None if all have missing values."""
    table = open_table(native)
    given = read_columns(table, reading.columns)
    holes = np.zeros(given.n, dtype=bool)
    for column in given.values():
        holes |= column.missing
    return given, None if holes.all() else complete_rows(given, {}, table.index)


def group_hashes(frame: Frame, columns: Sequence[str]) -> Any:
    """Return a hash of each row's group, shape (n,), the same in every piece."""
    found = np.zeros(frame.n, dtype=np.uint64)
    for name in columns:
        column = frame[name]
        if column.levels is not None:
            names = np.array([*level_names(column.levels), ""], dtype=object)
            own = pd.util.hash_array(names)[column.values]
        else:
            own = pd.util.hash_array(np.asarray(column.values))
        found = found * np.uint64(1_000_003) + own
    return found


def response_of(
    used: Frame, rows: Rows, reading: Reading, family: Family, levels: pd.Index[Any] | None = None
) -> RawResponse:
    """Return the response of some rows, which need not vary.

    Parameters
    ----------
    levels : Index, optional
        Those of all rows, where it has levels or ordered numbers.
    """
    if len(reading.response) == 2:
        parts = []
        for each in reading.response:
            values = evaluate(each, used)
            require_computable(values, f"response {each.text!r}", rows)
            parts.append(values.astype(np.float64))
        return RawResponse(np.column_stack(parts))
    if levels is None:
        return read_response(reading.response, used, family, rows)
    column = used[str(reading.response[0].column)]
    own, names = column.factorise()
    places = pd.Index(level_names(levels), dtype=object).get_indexer(
        pd.Index(level_names(names), dtype=object)
    )
    if np.any(places < 0):
        strange = names[int(np.flatnonzero(places < 0)[0])]
        raise DataError(
            f"response {column.name!r}: expected the {len(levels)} categories that were seen in "
            f"the first look at the data, got {strange!r} too. Make whole numbers or text of them."
        )
    return RawResponse(places[own].astype(np.float64), level_names(levels))


def _check(used: Frame, rows: Rows, reading: Reading, family: Family) -> None:
    """Refuse a response, weights or offsets that the family cannot take, naming the row."""
    weights = None
    if reading.weights is not None:
        weights = vector_values(reading.weights, "weights", used, rows)
        if np.any(weights):
            check_weights(weights, rows)
    for each in reading.offsets:
        require_computable(evaluate(each, used), f"offset {each.text!r}", rows)
    if reading.response_has_levels(used, family):
        return
    raw = response_of(used, rows, reading, family)
    try:
        family.check_response(raw.y, weights)
    except ResponseError as error:
        if error.row is None:
            raise
        raise error.at(rows.describe(error.row)) from None


def _moments(transform: Transform, used: Frame, rows: Rows) -> Moments:
    values = np.asarray(compute_node(transform.expression, transform.argument, used))
    if values.ndim != 1:
        raise DataError(f"{transform.text}: expected one column in its brackets, got several.")
    require_finite(values, transform.text, rows)
    return Moments.of(values)


def _standing(column: Column) -> IntArray:
    """Return rows of the extremes of a column of numbers, and of each of few whole ones."""
    values = column.values
    found = [np.array([int(np.argmin(values)), int(np.argmax(values))], dtype=np.intp)]
    kind = values.dtype.kind
    few = kind == "b" or (kind in "iu" and int(values.max()) - int(values.min()) <= FEW_VALUES)
    if kind == "f":  # times and marks in halves may be levels too
        few = np.unique(values[:FEW_VALUES]).size <= MOST_FRACTIONS
    if few:
        found.append(first_rows(values))
    return np.concatenate(found)


def first_rows(values: npt.NDArray[Any]) -> IntArray:
    """Return the first row of each value, in the order of the values, without sorting all rows."""
    first = np.flatnonzero(~pd.Series(values, copy=False).duplicated().to_numpy())
    return np.asarray(first[np.argsort(values[first])])


def missing_of(looks: Sequence[Look]) -> dict[str, int]:
    """Return the missing values of each variable that has any, over all pieces."""
    counts: Counter[str] = Counter()
    for each in looks:
        counts.update({name: n for name, n in each.missing.items() if n})
    return dict(counts)
