"""Sums of a smooth function over long ranges of counts, many ranges at once.

A range is cut into blocks of 16, 32, 64, ... consecutive counts. The sum over a block is taken at
16 nodes by the Gauss quadrature of the discrete uniform distribution, which is exact for
polynomials up to degree 31 (Gautschi 2004, section 1.5.2: the nodes are the zeros of a discrete
Chebyshev polynomial). A block of 16 is the plain sum. A range of any length thus costs a few
hundred evaluations.

A function like exp(-nu log y!) has its singularities at y = -1, -2, ...; a block is never longer
than its distance from there, so that the function is smooth on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from interlace_core.contract import Array, IntArray

NODES = 16
"""Nodes per block. With a log-range of 16 over a block the error is below 1e-15 of its maximum:
2^33 16!^4 / (33 32!^3) 8^32 = 2e-16 by the error term of Gauss-Legendre quadrature."""

MAX_CELLS = 1 << 16
"""Cells of a table to draw from. Longer ranges are drawn in cells of several counts with equal
probabilities: with 37 standard deviations in the range the error is below 1e-7."""


@dataclass(frozen=True)
class Grid:
    """Nodes and weights for sums over one range of counts per row.

    Attributes
    ----------
    offset : ndarray, shape (blocks, 16)
        Nodes, relative to the row's origin.
    weight : ndarray, shape (blocks, 16)
    row : ndarray of intp, shape (blocks,)
        Row of each block, ascending.
    first : ndarray of intp, shape (rows,)
        Where each row's blocks begin.
    """

    offset: Array
    weight: Array
    row: IntArray
    first: IntArray

    def sum(self, values: Array) -> Array:
        """Return the sum over each row's range, shape (rows,)."""
        blocks = np.einsum("ij,ij->i", values, self.weight)
        return np.asarray(np.add.reduceat(blocks, self.first))

    def max(self, values: Array) -> Array:
        """Return the largest value at each row's nodes, shape (rows,)."""
        return np.asarray(np.maximum.reduceat(np.max(values, axis=1), self.first))

    def spread(self, per_row: Array) -> Array:
        """Return one value per row for its blocks, shape (blocks, 1)."""
        return per_row[self.row, None]


def summation_grid(origin: Array, lower: Array, upper: Array, widest: Array) -> Grid:
    """Return the grid that sums over origin + lower, ..., origin + upper of each row.

    Parameters
    ----------
    origin : ndarray, shape (rows,)
        A count near the range's mass, so that differences from it are exact.
    lower, upper : ndarray, shape (rows,)
        Ends of the range relative to it; lower <= upper and origin + lower >= 0.
    widest : ndarray, shape (rows,)
        Longest block that the function's curvature allows, about two standard deviations.
    """
    rows: list[IntArray] = []
    starts, levels = [], []
    row, start = np.arange(origin.size), np.array(lower, dtype=np.float64)
    while row.size or not rows:  # once without any row too
        room = np.minimum(np.minimum(widest[row], origin[row] + start), upper[row] - start + 1.0)
        # far from the origin counts are no longer told apart
        shortest = np.maximum(NODES, 4.0 * np.spacing(np.abs(start)))
        level = np.log2(np.maximum(room, shortest)).astype(np.intp)
        rows.append(row)
        starts.append(start)
        levels.append(level)
        start = start + np.exp2(level)
        inside = start <= upper[row]
        row, start = row[inside], start[inside]
    owner = np.concatenate(rows)
    order = np.argsort(owner, kind="stable")
    owner = owner[order]
    nodes, weights = _tables(np.concatenate(levels)[order])
    offset = np.concatenate(starts)[order][:, None] + nodes
    weights = np.where(offset <= upper[owner, None] + 0.5, weights, 0.0)
    return Grid(offset, weights, owner, np.searchsorted(owner, np.arange(origin.size)))


def draw_by_inversion(
    log_mass: Callable[[IntArray, Array], Array],
    lower: Array,
    upper: Array,
    index: IntArray,
    rng: np.random.Generator,
) -> Array:
    """Return one draw for each entry of `index` from the distributions of several rows.

    Parameters
    ----------
    log_mass : callable
        `(rows, counts) -> log-probabilities` up to a constant per row, all shape (m,).
    lower, upper : ndarray, shape (rows,)
        Range of counts that holds all of each row's probability.
    index : ndarray of intp, shape (n,)
        Row to draw from.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n,)
    """
    draws = np.empty(index.shape)
    step = np.ceil((upper - lower + 1.0) / MAX_CELLS)
    cells = np.ceil((upper - lower + 1.0) / step).astype(np.intp)
    uniform, within = rng.random(index.shape), rng.random(index.shape)
    ends = np.cumsum(cells)
    # rows at a time, so that a table holds at most a few million cells
    for chunk in np.split(np.arange(cells.size), np.flatnonzero(np.diff(ends // (1 << 22))) + 1):
        if chunk.size == 0:
            continue
        wanted = np.flatnonzero((index >= chunk[0]) & (index <= chunk[-1]))
        if wanted.size == 0:
            continue
        owner = np.repeat(chunk, cells[chunk])
        begins = np.cumsum(cells[chunk]) - cells[chunk]
        cell = np.arange(owner.size) - np.repeat(begins, cells[chunk])
        middle = lower[owner] + cell * step[owner] + 0.5 * (step[owner] - 1.0)
        table = _cumulated(log_mass(owner, middle), owner - chunk[0], begins)
        target = index[wanted] - chunk[0]
        found = np.searchsorted(table, uniform[wanted] + target, side="right")
        found = np.clip(found, begins[target], begins[target] + cells[chunk][target] - 1)
        rows = owner[found]
        draws[wanted] = (
            lower[rows] + cell[found] * step[rows] + np.floor(within[wanted] * step[rows])
        )
    return np.clip(draws, lower[index], upper[index])


def _cumulated(log_mass: Array, row: IntArray, begins: IntArray) -> Array:
    """Return row + P(at most this cell): ascending over all rows together."""
    mass = np.exp(log_mass - np.maximum.reduceat(log_mass, begins)[row])
    total = np.add.reduceat(mass, begins)
    share = mass / total[row]
    summed = np.cumsum(share)
    before = summed[begins] - share[begins]
    return np.asarray(row + np.clip(summed - before[row], 0.0, 1.0))


def _tables(levels: IntArray) -> tuple[Array, Array]:
    """Return nodes and weights for blocks of 2^level counts, shape (blocks, 16) each."""
    present, position = np.unique(levels, return_inverse=True)
    tables = [_gauss(int(level)) for level in present]
    nodes = np.array([table[0] for table in tables]).reshape(-1, NODES)
    weights = np.array([table[1] for table in tables]).reshape(-1, NODES)
    return nodes[position], weights[position]


@lru_cache(maxsize=1024)
def _gauss(level: int) -> tuple[Array, Array]:
    """Return the Gauss nodes and weights of 0, 1, ..., 2^level - 1.

    From the recurrence of the discrete Chebyshev polynomials in units of the length (Gautschi
    2004, table 1.2), by eigenvalues (Golub & Welsch 1969).
    """
    size = 2.0**level
    if level == 4:
        return np.arange(16.0), np.ones(16)
    n = np.arange(1.0, NODES)
    off_diagonal = n * np.sqrt((1.0 - np.square(n / size)) / (4.0 * np.square(n) - 1.0)) / 2.0
    values, vectors = np.linalg.eigh(np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1))
    return (0.5 + values) * size - 0.5, size * np.square(vectors[0])
