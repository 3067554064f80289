"""Work by pairs of partners: the levels of later factors that meet in an eliminated level.

C' D^-1 C is a sum over the eliminated levels, each of which touches the pairs of its partners
alone. In a dense complement their places are computed on the way, which takes no longer than to
read them; in a sparse one they are found once per fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from interlace_core.engine.elimination.complement import Complement, index_array
from interlace_core.engine.elimination.dense import DenseComplement
from interlace_core.records import Array, IntArray

CHUNK = 32_768
"""Pairs worked on at once: a quarter of a megabyte an array, which stays in the second-level cache;
measured flat up to 260,000."""

MANY = 512
"""Partners from which a level is worked on by itself, some rows of its pairs at a time: a level
that meets all others must not take memory for their pairs besides the complement itself."""


@dataclass(frozen=True)
class Partners(ABC):
    """Levels of the eliminated factor that have the same number m of partners.

    Attributes
    ----------
    levels : ndarray, shape (B,)
    starts : ndarray, shape (c, B)
        Where the m entries of each of their rows of C start.
    m : int
    """

    levels: IntArray
    starts: IntArray
    m: int

    def add_products(self, left: Array, right: Array, entries: Array) -> None:
        """Add C' Y to the complement's entries, from the entries of C and Y."""
        first, second = np.tril_indices(self.m)
        for chunk, positions in self._chunks():
            x, y = left[positions], right[positions]
            weights = x[0][:, first] * y[0][:, second]
            for a in range(1, len(positions)):
                weights += x[a][:, first] * y[a][:, second]
            np.add.at(entries, self._places(chunk, first, second).ravel(), weights.ravel())

    @abstractmethod
    def _places(self, chunk: slice, first: IntArray, second: IntArray) -> IntArray:
        """Return the places of the lower triangle of pairs, shape (b, m (m + 1) / 2)."""

    @abstractmethod
    def _among(self, inverse: Array, chunk: slice) -> Array:
        """Return the entries of S^-1 between the partners of some levels, shape (b, m, m)."""

    def invert(self, Y: Array, inverse: Array, beside: Array, own: Array) -> None:
        """Fill in -Y S^-1 on the pattern, and subtract its product with Y' from `own`.

        Parameters
        ----------
        Y : ndarray
            Entries of D^-1 C.
        inverse : ndarray
            Entries of S^-1 as the complement places them.
        beside : ndarray
            Filled in at the places of the entries of Y.
        own : ndarray, shape (c, c, L)
        """
        for chunk, positions in self._chunks():
            values = Y[positions]
            block = -np.matmul(values.transpose(1, 0, 2), self._among(inverse, chunk))
            block = block.transpose(1, 0, 2)
            beside[positions] = block
            own[:, :, self.levels[chunk]] -= np.einsum("abk,cbk->acb", block, values)

    def _chunks(self) -> Iterator[tuple[slice, IntArray]]:
        """Yield some of the levels and the positions of their entries, shape (c, b, m)."""
        step = max(1, CHUNK // (self.m * self.m))
        for start in range(0, self.levels.size, step):
            chunk = slice(start, start + step)
            yield chunk, self.starts[:, chunk, None] + np.arange(self.m)


@dataclass(frozen=True)
class DensePartners(Partners):
    """Partners in a dense complement.

    Attributes
    ----------
    partners : ndarray, shape (B, m)
        Rows of the complement, ascending.
    size : int
        Number of its rows.
    """

    partners: IntArray
    size: int

    def add_products(self, left: Array, right: Array, entries: Array) -> None:
        """Add C' Y to the complement's entries, from the entries of C and Y."""
        if self.m <= MANY:
            super().add_products(left, right, entries)
            return
        matrix = entries.reshape(self.size, self.size)
        for i, positions, rows in self._by_rows():
            partners = self.partners[i]
            product = left[positions[:, rows]].T @ right[positions]
            matrix[partners[rows, None], partners[None, :]] += product

    def invert(self, Y: Array, inverse: Array, beside: Array, own: Array) -> None:
        """Fill in -Y S^-1 on the pattern, and subtract its product with Y' from `own`."""
        if self.m <= MANY:
            super().invert(Y, inverse, beside, own)
            return
        matrix = inverse.reshape(self.size, self.size)
        for i, positions, rows in self._by_rows():
            values, partners = Y[positions], self.partners[i]
            block = -(values @ matrix[partners[:, None], partners[None, rows]])
            beside[positions[:, rows]] = block
            own[:, :, self.levels[i]] -= block @ values[:, rows].T

    def _by_rows(self) -> Iterator[tuple[int, IntArray, slice]]:
        """Yield each level, the positions of its entries, (c, m), and some of its partners."""
        step = max(1, CHUNK // self.m)
        for i in range(self.levels.size):
            positions = self.starts[:, i, None] + np.arange(self.m)
            for start in range(0, self.m, step):
                yield i, positions, slice(start, start + step)

    def _places(self, chunk: slice, first: IntArray, second: IntArray) -> IntArray:
        partners = self.partners[chunk]
        return np.asarray((partners * self.size)[:, first] + partners[:, second])

    def _among(self, inverse: Array, chunk: slice) -> Array:
        partners = self.partners[chunk]
        square = (partners * self.size)[:, :, None] + partners[:, None, :]
        return np.asarray(inverse.take(square, mode="clip"))


@dataclass(frozen=True)
class SparsePartners(Partners):
    """Partners in a sparse complement.

    Attributes
    ----------
    places : ndarray, shape (B, m (m + 1) / 2)
        Where the pairs of partners are among its entries: the lower triangle row by row.
    """

    places: IntArray

    def _places(self, chunk: slice, first: IntArray, second: IntArray) -> IntArray:
        return self.places[chunk]

    def _among(self, inverse: Array, chunk: slice) -> Array:
        first, second = np.tril_indices(self.m)
        triangle = np.empty((self.m, self.m), dtype=np.intp)
        triangle[first, second] = triangle[second, first] = np.arange(first.size)
        return np.asarray(inverse[self.places[chunk]][:, triangle])


def find_partners(
    complement: Complement, indptr: IntArray, indices: IntArray, c: int
) -> tuple[Partners, ...]:
    """Return the levels by their number of partners, none left out but those without any.

    Parameters
    ----------
    complement : Complement
        Says where pairs go.
    indptr, indices : ndarray
        Compressed rows of C, indices ascending within a row; the pattern repeats for each of the
        c columns of the eliminated factor.
    c : int
    """
    starts = indptr[:-1].reshape(c, -1)
    counts = np.diff(indptr)[: starts.shape[1]]
    found: list[Partners] = []
    for m in np.unique(counts[counts > 0]).tolist():
        levels = np.flatnonzero(counts == m)
        own = levels, starts[:, levels], m
        partners = indices[starts[0, levels, None] + np.arange(m)]
        if isinstance(complement, DenseComplement):
            partners = index_array(partners, complement.n_entries)
            found.append(DensePartners(*own, partners, complement.size))
        else:
            found.append(SparsePartners(*own, _pair_places(complement, partners)))
    return tuple(found)


def _pair_places(complement: Complement, partners: IntArray) -> IntArray:
    """Return where pairs of partners are, shape (B, m (m + 1) / 2), found some at a time."""
    first, second = np.tril_indices(partners.shape[1])
    nothing = index_array(np.zeros(0, np.int64), complement.n_entries)
    places = np.empty((len(partners), first.size), nothing.dtype)
    step = max(1, CHUNK // first.size)
    for start in range(0, len(partners), step):
        some = partners[start : start + step]
        places[start : start + step] = complement.places(some[:, first], some[:, second])
    return places
