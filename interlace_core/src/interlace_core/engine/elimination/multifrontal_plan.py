"""The fronts of a multifrontal factorisation and where their numbers go, found once per fit.

A front is a small dense matrix: some nodes that are eliminated together, its pivots, and the
nodes beside them, its rows. What its elimination leaves on the rows is added to its parent, the
front that has the first of them as a pivot (Duff & Reid 1983,
https://doi.org/10.1145/356044.356047; Liu 1992, https://doi.org/10.1137/1034004). Fronts of equal
shape at the same height of the tree do not depend on each other and are taken as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.engine.elimination.ordering import Elimination
from interlace_core.records import Array, IntArray

MOVE_COST = 6.0
"""Nanoseconds to add one number of a front to its parent's and, for the inverse, to fetch it."""

FLOP_COST = 0.1
"""Nanoseconds per multiply-add of a front's factorisation and inverse, three of which are counted
for one of the factorisation alone: a third at full speed, for fronts of some hundred rows."""

FRONT_COST = 300.0
"""Nanoseconds per front, whatever its size; those of one batch share the calls."""

BATCH_COST = 100_000.0
"""Nanoseconds of calls per batch, factorisation and inverse together."""


@dataclass(frozen=True)
class Batch:
    """Fronts of equal shape whose children are done before.

    Attributes
    ----------
    place : slice
        Place of their matrices, shape (B, m, m), in the vector of all fronts.
    k, m : int
        Pivots, and pivots and rows.
    pivots : ndarray, shape (B, k)
    rows : ndarray, shape (B, m - k)
    parents : ndarray, shape (B,)
        Where the parent's matrix starts in the vector of all fronts; not looked at without rows.
    widths : ndarray, shape (B,)
        Its number of rows.
    inside : ndarray, shape (B, m - k)
        Row in the parent's matrix of each of the rows.
    """

    place: slice
    k: int
    m: int
    pivots: IntArray
    rows: IntArray
    parents: IntArray
    widths: IntArray
    inside: IntArray

    def matrices(self, numbers: Array) -> Array:
        """Return the batch's matrices, shape (B, m, m), a view."""
        return numbers[self.place].reshape(-1, self.m, self.m)

    def above(self) -> IntArray:
        """Return where the numbers on the rows go in the vector of all fronts, (B, r, r)."""
        lines = self.parents[:, None] + self.inside * self.widths[:, None]
        return np.asarray(lines[:, :, None] + self.inside[:, None, :])


@dataclass(frozen=True)
class Fronts:
    """All fronts of a pattern.

    Attributes
    ----------
    batches : tuple of Batch
        Children before parents.
    size : int
        Numbers in all fronts together.
    front_of : ndarray, shape (n,)
        The front that has a node as a pivot.
    heights, starts, widths : ndarray, one per front
        Height in the tree, place and number of rows of its matrix.
    """

    batches: tuple[Batch, ...]
    size: int
    front_of: IntArray
    heights: IntArray
    starts: IntArray
    widths: IntArray
    _keys: IntArray
    _local: IntArray

    def places(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Return where an entry goes first: in the front whose pivot is eliminated first."""
        first, second = self.front_of[rows], self.front_of[columns]
        front = np.where(self.heights[first] <= self.heights[second], first, second)
        line, column = self._inside(front, rows), self._inside(front, columns)
        return np.asarray(self.starts[front] + line * self.widths[front] + column)

    def _inside(self, front: IntArray, node: IntArray) -> IntArray:
        found = np.searchsorted(self._keys, front * self.front_of.size + node)
        return np.asarray(self._local[found])

    @property
    def predicted_cost(self) -> float:
        """Nanoseconds of a factorisation with the inverse, about."""
        total = BATCH_COST * len(self.batches)
        for batch in self.batches:
            total += len(batch.pivots) * front_cost(batch.k, batch.m)
        return total


def front_cost(k: float, m: float) -> float:
    """Return the predicted nanoseconds of a front with k pivots among m rows."""
    return FRONT_COST + MOVE_COST * m * m + FLOP_COST * k * (m * m - k * m + k * k / 3.0)


def build_fronts(elimination: Elimination) -> Fronts:
    """Return the fronts of an elimination."""
    parent = _parents(elimination)
    top, k, m = _amalgamate(parent, np.diff(elimination.starts), elimination.n_dense)
    n, n_nodes = elimination.order.size, parent.size
    node_of = np.minimum(np.arange(n), n_nodes - 1)  # the dense rest is the last node
    kept = np.flatnonzero(top == np.arange(n_nodes))
    number = np.zeros(n_nodes, dtype=np.int64)
    number[kept] = np.arange(kept.size)
    front_of = np.empty(n, dtype=np.int64)
    front_of[elimination.order] = number[top[node_of]]
    above = np.where(parent[kept] < 0, -1, number[top[parent[kept]]])
    height = _heights(above)
    by_shape = np.lexsort((m[kept], k[kept], height))
    # fronts are numbered in the order of their batches from here on
    rank = np.empty_like(by_shape)
    rank[by_shape] = np.arange(by_shape.size)
    kept, height = kept[by_shape], height[by_shape]
    above = np.where(above[by_shape] < 0, -1, rank[above[by_shape]])
    return _place_fronts(elimination, rank[front_of], kept, above, height, k[kept], m[kept])


def _place_fronts(
    elimination: Elimination,
    front_of: IntArray,
    tops: IntArray,
    above: IntArray,
    heights: IntArray,
    k: IntArray,
    m: IntArray,
) -> Fronts:
    """Return the fronts, in the order of their batches, with all index arrays."""
    n = front_of.size
    pivots = np.argsort(front_of, kind="stable")
    spans = np.append(elimination.starts, elimination.starts[-1])
    rows = _ranges(spans[tops], spans[tops + 1])
    rows = elimination.neighbours[rows]
    ends_k, ends_r = np.cumsum(k), np.cumsum(m - k)
    owner_k = np.repeat(np.arange(k.size), k)
    owner_r = np.repeat(np.arange(k.size), m - k)
    local_k = np.arange(n) - np.repeat(ends_k - k, k)
    local_r = np.arange(rows.size) - np.repeat(ends_r - (m - k), m - k) + np.repeat(k, m - k)
    keys = np.concatenate([owner_k * n + pivots, owner_r * n + rows])
    by_key = np.argsort(keys)
    sizes = m * m
    starts = np.cumsum(sizes) - sizes
    fronts = Fronts(
        (), int(sizes.sum()), front_of, heights, starts, m, keys[by_key],
        np.concatenate([local_k, local_r])[by_key],
    )  # fmt: skip
    inside = fronts._inside(np.repeat(above, m - k), rows)
    batches = []
    shape = np.stack([heights, k, m])
    bounds = np.flatnonzero(np.any(np.diff(shape, axis=1), axis=0)) + 1
    for first, last in _spans(bounds, k.size):
        each_k, each_m = int(k[first]), int(m[first])
        size = (last - first, each_m - each_k)
        in_rows = slice(int(ends_r[first]) - size[1], int(ends_r[last - 1]))
        in_pivots = slice(int(ends_k[first]) - each_k, int(ends_k[last - 1]))
        batches.append(
            Batch(
                slice(int(starts[first]), int(starts[last - 1]) + each_m * each_m),
                each_k,
                each_m,
                pivots[in_pivots].reshape(-1, each_k),
                rows[in_rows].reshape(size),
                starts[above[first:last]],
                m[above[first:last]],
                inside[in_rows].reshape(size),
            )
        )
    return replace(fronts, batches=tuple(batches))


def _parents(elimination: Elimination) -> IntArray:
    """Return each node's parent, -1 for none; the dense rest counts as one last node."""
    n, alone = elimination.order.size, elimination.starts.size - 1
    when = np.empty(n, dtype=np.int64)
    when[elimination.order] = np.minimum(np.arange(n), alone)
    parent = np.full(alone + (elimination.n_dense > 0), -1, dtype=np.int64)
    some = np.flatnonzero(np.diff(elimination.starts))
    if some.size:
        first = np.minimum.reduceat(when[elimination.neighbours], elimination.starts[:-1][some])
        parent[some] = first
    return parent


def _amalgamate(
    parent: IntArray, counts: IntArray, n_dense: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Return the front each node ends in (named by its last node), pivots and widths.

    A child is taken into its parent where one larger front is predicted to take less time than
    two: relaxed amalgamation (Ashcraft & Grimes 1989, https://doi.org/10.1145/76909.76910).
    """
    total = parent.size
    k, m = [1] * total, [*(counts + 1).tolist(), *[n_dense] * (n_dense > 0)]
    if n_dense:
        k[-1] = n_dense
    top = np.arange(total)
    children: dict[int, list[int]] = {}
    for node, above in enumerate(parent.tolist()):
        kids = children.pop(node, None)
        if kids is not None:
            kids.sort(key=m.__getitem__, reverse=True)
            own = front_cost(k[node], m[node])
            for child in kids:
                joint = front_cost(k[node] + k[child], m[node] + k[child])
                if joint <= own + front_cost(k[child], m[child]):
                    top[child], own = node, joint
                    k[node] += k[child]
                    m[node] += k[child]
        if above >= 0:
            children.setdefault(above, []).append(node)
    for node in range(total - 1, -1, -1):
        top[node] = top[top[node]]
    return top, np.array(k, dtype=np.int64), np.array(m, dtype=np.int64)


def _heights(above: IntArray) -> IntArray:
    """Return the length of the longest way down from each front; children come first."""
    heights = [0] * above.size
    for front, parent in enumerate(above.tolist()):
        if parent >= 0:
            heights[parent] = max(heights[parent], heights[front] + 1)
    return np.array(heights, dtype=np.int64)


def _ranges(starts: IntArray, stops: IntArray) -> IntArray:
    """Return all integers of the ranges, one range after the other."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths))


def _spans(bounds: IntArray, size: int) -> Iterator[tuple[int, int]]:
    edges = [0, *bounds.tolist(), size]
    return zip(edges[:-1], edges[1:], strict=True)
