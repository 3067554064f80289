"""An elimination order of little fill, found by rounds of independent nodes of low degree.

As in multiple minimum degree (Liu 1985, https://doi.org/10.1145/214392.214398) each round
eliminates many nodes at once that are no neighbours of each other, here every node whose degree
is the least among its neighbours' (ties at random) and near the least of all. A round is a few
sparse products instead of a loop over nodes, and nodes of one round need no order among
themselves. What is left when the least degree is a fair share of the nodes is as good as dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from interlace_core.records import IntArray

NEAR_LEAST = 1.5
"""Degrees up to this multiple of the least (plus 1) are eliminated in a round. 1 gives a tenth
less fill in five times as many rounds on graphs of neighbouring schools."""

DENSE_SHARE = 1 / 16
"""Least degree, as a share of the nodes left, from which the rest is taken as dense: one by one,
a node of degree d moves d^2 numbers at about 5 ns; as rows of a dense matrix of m rows, factorised
and inverted, it costs about 0.1 m^2 ns. 1/32 leaves a third more rows, 1/8 takes three times as
long to find."""

DENSE_REST = 32
"""Nodes that are taken as dense whatever their degrees."""

MAX_WORK = 50_000_000
"""Squared degrees, over all nodes eliminated, after which the rest is taken as dense: some ten
seconds of searching, in designs whose fit takes far longer."""


@dataclass(frozen=True)
class Elimination:
    """The order of elimination, with the fill it makes.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        Nodes as eliminated; the last `n_dense` together.
    starts : ndarray of int, shape (n - n_dense + 1,)
    neighbours : ndarray of int
        `neighbours[starts[i]:starts[i + 1]]` are the nodes beside `order[i]` when it is
        eliminated: the rows of its column of the Cholesky factor.
    n_dense : int
    """

    order: IntArray
    starts: IntArray
    neighbours: IntArray
    n_dense: int


def find_elimination(graph: Any) -> Elimination:
    """Return an elimination order of the nodes of a symmetric sparse pattern.

    Parameters
    ----------
    graph : csr_array, shape (n, n)
        Stored entries are edges; the diagonal does not matter.
    """
    graph, left = _without_diagonal(graph), np.arange(graph.shape[0])
    # a fixed seed: the order of ties is no matter of chance between two fits
    tie = np.random.default_rng(0).permutation(left.size)
    orders, counts, neighbours, work = [], [], [], 0.0
    while left.size > DENSE_REST and work < MAX_WORK:
        degrees = np.diff(graph.indptr).astype(np.int64)
        if degrees.min() > DENSE_SHARE * left.size:
            break
        chosen = _independent(graph, degrees, tie[left])
        there, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
        columns = graph[there]
        orders.append(left[there])
        counts.append(degrees[there])
        neighbours.append(left[columns.indices])
        work += float(np.sum(np.square(degrees[there], dtype=np.float64)))
        beside = columns[:, rest]
        graph = _without_diagonal(graph[rest][:, rest] + beside.T.tocsr() @ beside)
        left = left[rest]
    count = np.concatenate([[0], *counts])
    return Elimination(
        np.concatenate([*orders, left]),
        np.cumsum(count),
        np.concatenate([left[:0], *neighbours]),
        left.size,
    )


def _independent(graph: Any, degrees: IntArray, tie: IntArray) -> IntArray:
    """Return which nodes have the least degree among their neighbours, and nearly of all."""
    key = degrees * (int(tie.max()) + 1) + tie
    beside = np.full(key.size, np.iinfo(np.int64).max)
    some = degrees > 0
    if some.any():
        beside[some] = np.minimum.reduceat(key[graph.indices], graph.indptr[:-1][some])
    limit = max(NEAR_LEAST * int(degrees.min()) + 1.0, 2.0)
    return np.asarray((key < beside) & (degrees <= limit))


def _without_diagonal(graph: Any) -> Any:
    """Return the pattern with ones as its entries and nothing on its diagonal."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    off = graph.indices != rows
    counts = np.bincount(rows[off], minlength=graph.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((np.ones(indptr[-1]), graph.indices[off], indptr), shape=graph.shape)
