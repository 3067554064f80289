"""Parts of a problem: some of its rows, in any order, with the levels that occur there.

A part is a whole problem: everything that belongs to rows goes with them. Whoever cuts rows, for
blocks, clusters, groups left out, or a better order, does it by `subset`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.records import Array, IntArray

Rows = IntArray | slice


def subset(problem: Problem, rows: Rows) -> Problem:
    """Return the problem of some rows; levels without rows are left out.

    psi has the same meaning for the part as for the whole.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of intp, shape (m,), or slice
        In the order wanted. A slice makes views, an array copies.
    """
    y = _rows(problem.y, rows)
    return replace(
        problem,
        y=y,
        weights=None if problem.weights is None else problem.weights[rows],
        constants=None if problem.constants is None else problem.constants[rows],
        family=problem.family.bind_part(y),
        predictors=tuple(_subset_predictor(each, rows) for each in problem.predictors),
        terms=tuple(_subset_term(term, rows) for term in problem.terms),
        correlation=None if problem.correlation is None else problem.correlation.take(rows),
    )


CHUNK_ROWS = 65_536
"""Rows of a chunk: what is made of it for a moment is then a few MB, whatever the data's size."""


def chunks(
    problem: Problem, starts: IntArray | None = None, size: int | None = None
) -> list[slice]:
    """Return the rows of a large problem as runs of about `size`; all in one if it is small.

    Parameters
    ----------
    problem : Problem
    starts : ndarray of intp, optional
        First rows of levels, which runs do not divide.
    size : int, optional
        Rows of a run; usually `CHUNK_ROWS`.
    """
    n, size = problem.n, CHUNK_ROWS if size is None else size
    if n < 2 * size:
        return [slice(0, n)]
    ends = np.arange(size, n - size // 2, size)
    if starts is not None:
        at = np.searchsorted(starts, ends)
        ends = np.unique(starts[at[at < len(starts)]])
    bounds = [0, *ends.tolist(), n]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def _subset_predictor(predictor: Predictor, rows: Rows) -> Predictor:
    return replace(
        predictor, X=_columns(predictor.X, rows), offset=_unless_constant(predictor.offset, rows)
    )


def _columns(X: Array, rows: Rows) -> Array:
    """Return some rows, columns contiguous, without a copy in between."""
    if isinstance(rows, slice):
        return X[rows]
    out = np.empty((rows.size, X.shape[1]), order="F")
    for column, values in zip(out.T, X.T, strict=True):
        if len(values) and is_constant(values):
            column[:] = values[0]
        else:
            np.take(values, rows, out=column, mode="clip")  # any other mode goes through a buffer
    return out


def _rows(values: Array, rows: Rows) -> Array:
    """Return some rows; of several columns in a tenth of the time that an index of rows takes."""
    return values[rows] if isinstance(rows, slice) else values.take(rows, axis=0)


def _unless_constant(values: Array, rows: Rows) -> Array:
    """Return some rows; a view of the first ones where all rows are equal."""
    if isinstance(rows, slice):
        return values[rows]
    if rows.size <= len(values) and is_constant(values):
        return values[: rows.size]
    return _rows(values, rows)


def is_constant(values: Array) -> bool:
    """Return whether all rows are equal, those of a view of a single one without a look at them."""
    if values.strides[0] == 0 or len(values) < 2:
        return True
    ends = bool((values[0] == values[-1]).all())  # nearly always tell
    return ends and bool((values == values[:1]).all())


def _term_columns(Z: Covariates, rows: Rows) -> Covariates:
    """Return some rows of a term's columns, each contiguous."""
    if isinstance(Z, Incidence):
        return Z[rows]
    if isinstance(rows, slice) or is_constant(Z):
        return _unless_constant(Z, rows)
    return _columns(Z, rows)


def _subset_term(term: RandomTerm, rows: Rows) -> RandomTerm:
    codes, Z = term.codes[rows], _term_columns(term.Z, rows)
    if term.across:  # its levels are those of all parts
        return replace(term, codes=codes, Z=Z)
    # from the first level that occurs: of many blocks each has few levels
    low = int(codes.min()) if codes.size else 0
    counts = np.bincount(codes - low)
    present = np.flatnonzero(counts) + low
    if present.size == len(term.levels):
        return replace(term, codes=codes, Z=Z)
    place = np.cumsum(counts > 0) - 1
    return replace(
        term,
        codes=place[codes - low],
        levels=tuple(term.levels[i] for i in present.tolist()),
        Z=Z,
        relation=None if term.relation is None else term.relation.part(present),
    )
