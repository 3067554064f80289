"""A complement stored and factorised as one dense matrix, by LAPACK."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from interlace_core.engine.elimination.complement import (
    Complement,
    FactorisedComplement,
    index_array,
)
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.records import Array, IntArray

COSTLY_ROWS = 150
"""Rows from which a factorisation costs more than a few passes over the data."""

ROWS_OF_A_PRODUCT = 100
"""Rows for each of which a factorisation takes about as long as a product with H and a solve: both
grow with their square, it with their cube. Of 500 rows after 4 to 6."""

MOST_PRODUCTS = 30
"""Products before a factorisation is the better bargain, however long it takes."""

MIRROR_ROWS = 256
"""Rows copied at once: a whole large matrix, copied turned, misses the cache at each number."""


@dataclass(frozen=True)
class DenseComplement(Complement):
    """A matrix stored row by row; only its lower triangle is factorised, and named as a place."""

    @property
    def n_entries(self) -> int:
        """Length of the vector of entries: the whole square."""
        return self.size * self.size

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return bargain_of_dense(self.size)

    def places(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Return where entries are, row by row."""
        low, high = np.minimum(rows, columns), np.maximum(rows, columns)
        return index_array(high.astype(np.int64) * self.size + low, self.n_entries)

    def factorise(self, entries: Array) -> DenseFactor:
        """Return the Cholesky factorisation; the entries become the factor."""
        # the lower triangle by rows is the upper one in LAPACK's order
        matrix = entries.reshape(self.size, self.size).T
        cholesky, info = lapack.dpotrf(matrix, lower=0, overwrite_a=1, clean=0)
        factor = DenseFactor(cholesky)
        # not every LAPACK reports what is not a number
        if info != 0 or not np.isfinite(factor.logdet):
            raise NotPositiveDefiniteError("the Schur complement is not positive definite")
        return factor

    def describe(self) -> str:
        """Return the way of factorising in words."""
        return f"dense Schur complement, {self.size} rows"


def bargain_of_dense(rows: int) -> int:
    """Return `Complement.bargain` of a dense matrix."""
    return min(rows // ROWS_OF_A_PRODUCT, MOST_PRODUCTS) if rows >= COSTLY_ROWS else 0


class DenseFactor(FactorisedComplement):
    """The upper Cholesky factor in LAPACK's order."""

    def __init__(self, cholesky: Array) -> None:
        self._cholesky = cholesky
        with np.errstate(invalid="ignore", divide="ignore"):
            self.logdet = 2.0 * float(np.sum(np.log(np.diagonal(cholesky))))

    def solve(self, x: Array) -> Array:
        """Return S^-1 x."""
        solution, _ = lapack.dpotrs(self._cholesky, x, lower=0)
        return np.asarray(solution)

    def inverse(self) -> Array:
        """Return S^-1 row by row, both triangles."""
        lower = self.triangle()
        mirror(lower.reshape(self._cholesky.shape))
        return lower

    def triangle(self) -> Array:
        """Return S^-1 row by row, its lower triangle."""
        upper, _ = lapack.dpotri(self._cholesky, lower=0)
        return np.asarray(upper.T.reshape(-1))


def mirror(A: Array) -> None:
    """Copy the lower triangle of a square matrix to its upper one, block by block."""
    for start in range(0, len(A), MIRROR_ROWS):
        rows = slice(start, start + MIRROR_ROWS)
        A[:start, rows] = A[rows, :start].T
        lower = np.tril(A[rows, rows])
        A[rows, rows] = lower + np.tril(lower, -1).T
