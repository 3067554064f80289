"""Columns of random effects that share the rows among them, in numbers for rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.calculus.grams import FEW_NUMBERS, gram_of
from interlace_core.messages.memory import require_memory
from interlace_core.records import Array, IntArray


@dataclass(frozen=True, eq=False)
class Incidence:
    """A matrix each row of which has a number in one column at most, as rows at times or places.

    `np.asarray` makes the matrix, which has as many numbers as there are rows times columns; its
    products with others are asked for by name, `np.asarray(Z) @ T`, so that none is made unawares.

    Attributes
    ----------
    at : ndarray of intp, shape (n,)
        Column of each row.
    z : ndarray, shape (n,)
        Its number there; 0 for a row in no column.
    size : int
        Number of columns.
    """

    at: IntArray
    z: Array
    size: int

    __array_ufunc__ = None

    @classmethod
    def of_points(cls, at: IntArray, size: int) -> Incidence:
        """Return indicators of the column of each row."""
        return cls(at, np.broadcast_to(np.float64(1.0), at.shape), size)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, c)."""
        return self.at.size, self.size

    def __len__(self) -> int:
        return self.at.size

    def __getitem__(self, wanted: Any) -> Incidence:
        """Return some rows, or by `[:, columns]` some columns, each once."""
        if not isinstance(wanted, tuple):
            return Incidence(self.at[wanted], self.z[wanted], self.size)
        rows, columns = wanted
        chosen = np.arange(self.size)[columns]
        place = np.full(self.size, -1, dtype=np.intp)
        place[chosen] = np.arange(chosen.size)
        at = place[self.at[rows]]
        return Incidence(np.maximum(at, 0), np.where(at >= 0, self.z[rows], 0.0), int(chosen.size))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the matrix, shape (n, c).

        Raises
        ------
        OutOfMemoryError
            If it does not fit into the memory.
        """
        n = self.at.size
        require_memory(8.0 * n * self.size, "random effects", f"{n:,} rows at {self.size:,} points")
        dense = np.zeros(self.shape, dtype=np.float64 if dtype is None else dtype)
        dense[np.arange(n), self.at] = self.z
        return dense

    def column(self, k: int) -> Array:
        """Return one column, shape (n,)."""
        return np.where(self.at == k, self.z, 0.0)

    def cells(self, codes: IntArray, levels: int) -> IntArray:
        """Return each row's place in numbers of shape (c, L), laid out by row, from its level."""
        return np.asarray(self.at * levels + codes)

    def totals(self, values: Array) -> Array:
        """Return the sums of a number of each row over the rows of each column, shape (c,)."""
        found: Array = np.bincount(self.at, values, self.size)  # type: ignore[assignment]
        return found


Covariates = Array | Incidence
"""Covariates of random effects, shape (n, c)."""


def sums_of_squares(Z: Covariates) -> Array:
    """Return the sum of squares of each column, shape (c,)."""
    if isinstance(Z, Incidence):
        return Z.totals(np.square(Z.z))
    if not Z.flags.writeable and Z.size >= FEW_NUMBERS:  # others ask for its products too
        return np.array(gram_of(Z).diagonal())
    # column by column: over rows of few columns NumPy makes its shortest loop the inner one
    return np.array([np.einsum("i,i->", z, z) for z in Z.T], dtype=np.float64)


def numbers_used(Z: Covariates) -> Array:
    """Return how many numbers of each column are not 0, shape (c,)."""
    if isinstance(Z, Incidence):
        return Z.totals((Z.z != 0.0).astype(np.float64))
    # column by column: for several at once NumPy makes truth values of all of them first
    return np.array([np.count_nonzero(z) for z in Z.T])


def times_effects(Z: Covariates, b: Array, codes: IntArray) -> Array:
    """Return z'b of each row with the effects of its level, shape (n,).

    Parameters
    ----------
    Z : ndarray or Incidence, shape (n, c)
    b : ndarray, shape (c, L)
    codes : ndarray of intp, shape (n,)
        Level of each row.
    """
    if isinstance(Z, Incidence):
        return np.asarray(Z.z * b[Z.at, codes])
    if len(b) == 1:
        return np.asarray(Z[:, 0] * b[0, codes])
    return np.asarray(np.einsum("nc,cn->n", Z, b[:, codes]))


def entries(Z: Covariates) -> tuple[Array | IntArray, ...]:
    """Return arrays of rows that tell the rows of a design apart, shape (n,) each."""
    return (Z.at, Z.z) if isinstance(Z, Incidence) else tuple(Z.T)
