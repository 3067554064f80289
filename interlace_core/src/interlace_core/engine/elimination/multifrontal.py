"""A sparse complement factorised front by front, with the inverse on its pattern.

Every front is dense: small ones are taken in batches, large ones by LAPACK one by one. The
inverse follows the same fronts backwards (Takahashi, Fagan & Chin 1973; Erisman & Tinney 1975,
https://doi.org/10.1145/360680.360704): with pivots 1 and rows 2 of a front, F the matrix it had
before its elimination and Y = F_11^-1 F_12,

    N_12 = -Y N_22,    N_11 = F_11^-1 - N_12 Y' ,

where N_22 is part of the parent's inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import blas, lapack

from interlace_core.engine.elimination.complement import (
    Complement,
    FactorisedComplement,
    index_array,
)
from interlace_core.engine.elimination.dense import MOST_PRODUCTS, mirror
from interlace_core.engine.elimination.multifrontal_plan import Batch, Fronts
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, invert_stack
from interlace_core.records import Array, IntArray

COSTLY = 2e7
"""Nanoseconds of factorisation and inverse from which solves with an older factor pay: measured
between 1e7, where they lose 5 per cent of a fit, and 5e7, where they win as much."""

LARGE = 48
"""Rows from which a front is worth calls of its own; from 32 to 96 nothing changes."""


@dataclass(frozen=True)
class SparseComplement(Complement):
    """A sparse symmetric matrix and its fronts.

    Attributes
    ----------
    keys : ndarray of int64, shape (n_entries,)
        Entries of the lower triangle as row * size + column, ascending.
    fronts : Fronts
    """

    keys: IntArray
    fronts: Fronts
    _places: IntArray = field(init=False, repr=False)
    _mirrored: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the entries' places in the fronts."""
        rows, columns = np.divmod(self.keys, self.size)
        size = self.fronts.size
        places = index_array(self.fronts.places(rows, columns), size)
        object.__setattr__(self, "_places", places)
        places = index_array(self.fronts.places(columns, rows), size)
        object.__setattr__(self, "_mirrored", places)

    @property
    def n_entries(self) -> int:
        """Entries of the lower triangle."""
        return int(self.keys.size)

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return MOST_PRODUCTS if self.fronts.predicted_cost >= COSTLY else 0

    def places(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Return where entries are among those of the lower triangle."""
        low, high = np.minimum(rows, columns), np.maximum(rows, columns)
        found = np.searchsorted(self.keys, high.astype(np.int64) * self.size + low)
        return index_array(found, self.n_entries)

    def factorise(self, entries: Array) -> SparseFactor:
        """Return the factorisation of the matrix; the entries are not modified."""
        numbers = np.zeros(self.fronts.size)
        numbers[self._places] = entries
        numbers[self._mirrored] = entries
        logdet = 0.0
        for batch in self.fronts.batches:
            if batch.m < LARGE:
                logdet += _eliminate_small(batch, numbers)
            else:
                count = len(batch.pivots)
                logdet += sum(_eliminate_large(batch, i, numbers) for i in range(count))
        return SparseFactor(self, numbers, logdet)

    def select(self, numbers: Array) -> Array:
        """Return the entries from the numbers of all fronts."""
        return np.asarray(numbers[self._places])

    def describe(self) -> str:
        """Return the way of factorising in words."""
        fronts, largest = self.fronts, max(batch.m for batch in self.fronts.batches)
        return (
            f"sparse Schur complement, {self.size} rows, {self.n_entries} entries, "
            f"{fronts.widths.size} fronts of up to {largest} rows"
        )


class SparseFactor(FactorisedComplement):
    """Factorised fronts: F_11^-1 (its Cholesky factor in large fronts) and Y in each."""

    def __init__(self, complement: SparseComplement, numbers: Array, logdet: float) -> None:
        self._complement = complement
        self._numbers = numbers
        self.logdet = logdet

    def solve(self, x: Array) -> Array:
        """Return S^-1 x."""
        x = np.array(x)
        batches = self._complement.fronts.batches
        for batch in batches:
            if batch.m > batch.k:
                _forward(batch, self._numbers, x)
        for batch in reversed(batches):
            _backward(batch, self._numbers, x)
        return x

    def inverse(self) -> Array:
        """Return the entries of S^-1 on the pattern of S."""
        inverse = np.empty_like(self._numbers)
        for batch in reversed(self._complement.fronts.batches):
            if batch.m < LARGE:
                _invert_small(batch, self._numbers, inverse)
            else:
                for i in range(len(batch.pivots)):
                    _invert_large(batch, i, self._numbers, inverse)
        return self._complement.select(inverse)


def _eliminate_small(batch: Batch, numbers: Array) -> float:
    """Replace F_11 by its inverse and F_12 by Y, add the rest to parents, return log |F_11|."""
    F, k = batch.matrices(numbers), batch.k
    pivot, logdet = _inverses(F[:, :k, :k])
    if batch.m > k:
        Y = pivot @ F[:, :k, k:]
        rest = F[:, k:, k:] - F[:, k:, :k] @ Y
        np.add.at(numbers, batch.above().ravel(), rest.ravel())
        F[:, :k, k:] = Y
    F[:, :k, :k] = pivot
    return logdet


def _eliminate_large(batch: Batch, i: int, numbers: Array) -> float:
    """Replace a front by U, U'U = F_11, and Y, one after the other; else as for small ones."""
    F, k = batch.matrices(numbers)[i], batch.k
    # what is a row in C's order is a column in LAPACK's
    U, info = lapack.dpotrf(F[:k, :k].T, lower=0, overwrite_a=int(batch.m == k), clean=0)
    diagonal = np.diagonal(U)
    # not every LAPACK reports what is not a number
    if info != 0 or not np.all(np.isfinite(diagonal)):
        raise _refusal()
    if batch.m > k:
        V = blas.dtrsm(1.0, U, F[k:, :k].T, lower=0, trans_a=1)
        rest = F[k:, k:]
        rest -= V.T @ V
        _front_above(batch, i, numbers)[np.ix_(batch.inside[i], batch.inside[i])] += rest
        stored_U, stored_Y = _packed(batch, i, numbers)
        stored_U[...] = U
        stored_Y[...] = blas.dtrsm(1.0, U, V, lower=0, overwrite_b=1)
    return 2.0 * float(np.sum(np.log(diagonal)))


def _forward(batch: Batch, numbers: Array, x: Array) -> None:
    """Subtract Y' x_1 from x_2."""
    own = x[batch.pivots]
    if batch.m < LARGE:
        moved = np.einsum("bkr,bk->br", batch.matrices(numbers)[:, : batch.k, batch.k :], own)
        np.subtract.at(x, batch.rows.ravel(), moved.ravel())
        return
    for i, rows in enumerate(batch.rows):
        x[rows] -= own[i] @ _packed(batch, i, numbers)[1]


def _backward(batch: Batch, numbers: Array, x: Array) -> None:
    """Replace x_1 by F_11^-1 x_1 - Y x_2."""
    own, k = x[batch.pivots], batch.k
    if batch.m < LARGE:
        F = batch.matrices(numbers)
        solved = np.einsum("bkl,bl->bk", F[:, :k, :k], own)
        if batch.m > k:
            solved -= np.einsum("bkr,br->bk", F[:, :k, k:], x[batch.rows])
        x[batch.pivots] = solved
        return
    for i, pivots in enumerate(batch.pivots):
        U, Y = _packed(batch, i, numbers)
        x[pivots] = lapack.dpotrs(U, own[i], lower=0)[0] - Y @ x[batch.rows[i]]


def _invert_small(batch: Batch, numbers: Array, inverse: Array) -> None:
    F, N, k = batch.matrices(numbers), batch.matrices(inverse), batch.k
    N[:, :k, :k] = F[:, :k, :k]
    if batch.m > k:
        Y = F[:, :k, k:]
        below = inverse[batch.above()]
        beside = -(Y @ below)
        N[:, :k, :k] -= beside @ Y.transpose(0, 2, 1)
        N[:, :k, k:] = beside
        N[:, k:, :k] = beside.transpose(0, 2, 1)
        N[:, k:, k:] = below


def _invert_large(batch: Batch, i: int, numbers: Array, inverse: Array) -> None:
    N, k = batch.matrices(inverse)[i], batch.k
    U, Y = _packed(batch, i, numbers)
    N[:k, :k] = lapack.dpotri(U, lower=0)[0].T
    mirror(N[:k, :k])
    if batch.m > k:
        below = _front_above(batch, i, inverse)[np.ix_(batch.inside[i], batch.inside[i])]
        beside = -(Y @ below)
        N[:k, :k] -= beside @ Y.T
        N[:k, k:], N[k:, :k], N[k:, k:] = beside, beside.T, below


def _packed(batch: Batch, i: int, numbers: Array) -> tuple[Array, Array]:
    """Return U, shape (k, k) in LAPACK's order, and Y, shape (k, r), of a large front."""
    front, k = batch.matrices(numbers)[i].reshape(-1), batch.k
    return front[: k * k].reshape(k, k).T, front[k * k : k * batch.m].reshape(k, batch.m - k)


def _front_above(batch: Batch, i: int, numbers: Array) -> Array:
    """Return the parent's matrix of one front."""
    start, width = int(batch.parents[i]), int(batch.widths[i])
    return numbers[start : start + width * width].reshape(width, width)


def _inverses(A: Array) -> tuple[Array, float]:
    """Return the inverses of matrices, shape (B, k, k), and the sum of their log-determinants."""
    if A.shape[1] == 1:
        if not np.all(A > 0) or not np.all(np.isfinite(A)):
            raise _refusal()
        return 1.0 / A, float(np.sum(np.log(A)))
    return invert_stack(A)


def _refusal() -> NotPositiveDefiniteError:
    return NotPositiveDefiniteError("the Schur complement is not positive definite")
