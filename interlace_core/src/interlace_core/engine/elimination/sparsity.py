"""Whether a complement is factorised as dense or as sparse: what is predicted to take less time."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from interlace_core.engine.elimination.complement import Complement
from interlace_core.engine.elimination.dense import DenseComplement
from interlace_core.engine.elimination.multifrontal import SparseComplement
from interlace_core.engine.elimination.multifrontal_plan import build_fronts
from interlace_core.engine.elimination.ordering import DENSE_SHARE, find_elimination
from interlace_core.records import IntArray

ALWAYS_DENSE = 256
"""Rows up to which a dense factorisation takes a millisecond: there is nothing to gain."""

FULL_SHARE = 0.25
"""Share of the rows that are neighbours of a row, on average, from which fill leaves nothing."""

SAMPLE = 50
"""Rows whose neighbours are counted before the whole pattern is formed."""

GAIN = 0.8
"""Share of the dense cost that the sparse one must stay below: where both are all but equal,
the dense one takes half the memory."""

DENSE_FLOP_COST = 0.035
"""Nanoseconds per multiply-add of a dense factorisation and inverse, m^3 of them."""

DENSE_MOVE_COST = 5.0
"""Nanoseconds per number of the dense matrix: to clear, add to, and copy it."""


def choose_complement(
    size: int, indptr: IntArray, indices: IntArray, rest: list[tuple[IntArray, IntArray]]
) -> Complement:
    """Return the complement that is predicted to take less time per factorisation and inverse.

    Parameters
    ----------
    size : int
        Rows of the complement.
    indptr, indices : ndarray
        Partners of each eliminated level, compressed.
    rest : list of (rows, columns)
        Entries that the complement has besides the pairs of partners.
    """
    dense = DenseComplement(size)
    if size <= ALWAYS_DENSE:
        return dense
    C = csr_array(
        (np.ones(indices[: indptr[-1]].size), indices[: indptr[-1]], indptr),
        shape=(indptr.size - 1, size),
    )
    if _share_of_neighbours(C) > FULL_SHARE:
        return dense
    pattern = _pattern(C, rest)
    if _dense_cost(_never_eliminated(pattern)) >= GAIN * _dense_cost(size):
        return dense
    sparse = _sparse(pattern)
    return sparse if sparse.fronts.predicted_cost < GAIN * _dense_cost(size) else dense


def build_sparse(C: csr_array, rest: list[tuple[IntArray, IntArray]]) -> SparseComplement:
    """Return the sparse complement with the pattern of C' C and some further entries."""
    return _sparse(_pattern(C, rest))


def _pattern(C: csr_array, rest: list[tuple[IntArray, IntArray]]) -> csr_array:
    """Return C' C and the further entries: what is stored in it is the pattern."""
    size = C.shape[1]
    rows = np.concatenate([np.arange(size), *(r.ravel() for r, _ in rest)])
    columns = np.concatenate([np.arange(size), *(c.ravel() for _, c in rest)])
    E = csr_array((np.ones(rows.size), (rows, columns)), shape=(size, size))
    return csr_array(C.T.tocsr() @ C + E + E.T)


def _sparse(pattern: csr_array) -> SparseComplement:
    size = pattern.shape[0]
    fronts = build_fronts(find_elimination(pattern))
    rows = np.repeat(np.arange(size), np.diff(pattern.indptr))
    lower = pattern.indices <= rows
    keys = np.sort(rows[lower] * size + pattern.indices[lower])
    return SparseComplement(size, keys, fronts)


def _never_eliminated(pattern: csr_array) -> int:
    """Return how many rows no order will eliminate before the rest counts as dense, about.

    Those that have too many neighbours among themselves: fill only adds to these. To look for an
    order in a pattern of many such rows takes longer than it can gain in a fit.
    """
    most = DENSE_SHARE * pattern.shape[0]
    while True:
        kept = np.flatnonzero(np.diff(pattern.indptr) > most + 1.0)
        if kept.size == pattern.shape[0]:
            return int(kept.size)
        pattern = pattern[kept][:, kept]


def _share_of_neighbours(C: csr_array) -> float:
    """Return the mean share of rows that meet a row in some level, from a sample of rows."""
    size = C.shape[1]
    some = np.unique(np.linspace(0, size - 1, SAMPLE).astype(np.intp))
    met = C.T.tocsr() @ C[:, some]
    return float(met.nnz) / (some.size * size)


def _dense_cost(size: int) -> float:
    return DENSE_FLOP_COST * float(size) ** 3 + DENSE_MOVE_COST * float(size) ** 2
