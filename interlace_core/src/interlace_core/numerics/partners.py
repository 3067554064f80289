"""Work by pairs of partners: the levels of later factors that meet in an eliminated level.

C' D^-1 C is a sum over the eliminated levels, each of which touches the pairs of its partners
alone. Where a pair goes is found once per fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from interlace_core.numerics.complement import Complement, index_array
from interlace_core.records import Array, IntArray

CHUNK = 65_536
"""Pairs worked on at once: half a megabyte an array, which stays in the second-level cache."""


@dataclass(frozen=True)
class Partners:
    """Levels of the eliminated factor that have the same number m of partners.

    Attributes
    ----------
    levels : ndarray, shape (B,)
    starts : ndarray, shape (c, B)
        Where the m entries of each of their rows of C start.
    m : int
    places : ndarray, shape (B, m (m + 1) / 2)
        Where the pairs of partners are among the complement's entries: the lower triangle row by
        row.
    """

    levels: IntArray
    starts: IntArray
    m: int
    places: IntArray

    def add_products(self, left: Array, right: Array, entries: Array) -> None:
        """Add C' Y to the complement's entries, from the entries of C and Y."""
        first, second = np.tril_indices(self.m)
        for chunk in self._chunks():
            positions = self._positions(chunk)
            x, y = left[positions], right[positions]
            weights = x[0][:, first] * y[0][:, second]
            for a in range(1, len(positions)):
                weights += x[a][:, first] * y[a][:, second]
            np.add.at(entries, self.places[chunk].ravel(), weights.ravel())

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
        first, second = np.tril_indices(self.m)
        triangle = np.empty((self.m, self.m), dtype=np.intp)
        triangle[first, second] = triangle[second, first] = np.arange(first.size)
        for chunk in self._chunks():
            positions = self._positions(chunk)
            values = Y[positions]
            among = inverse[self.places[chunk]][:, triangle]
            block = -np.matmul(values.transpose(1, 0, 2), among).transpose(1, 0, 2)
            beside[positions] = block
            own[:, :, self.levels[chunk]] -= np.einsum("abk,cbk->acb", block, values)

    def _positions(self, chunk: slice) -> IntArray:
        return np.asarray(self.starts[:, chunk, None] + np.arange(self.m))

    def _chunks(self) -> Iterator[slice]:
        step = max(1, CHUNK // max(1, self.m * self.m))
        for start in range(0, self.levels.size, step):
            yield slice(start, start + step)


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
    found = []
    for m in np.unique(counts[counts > 0]).tolist():
        levels = np.flatnonzero(counts == m)
        first, second = np.tril_indices(m)
        places = np.empty((levels.size, first.size), index_type(complement))
        step = max(1, CHUNK // first.size)
        for start in range(0, levels.size, step):
            chunk = slice(start, start + step)
            partners = indices[starts[0, levels[chunk], None] + np.arange(m)]
            places[chunk] = complement.places(partners[:, first], partners[:, second])
        found.append(Partners(levels, starts[:, levels], m, places))
    return tuple(found)


def index_type(complement: Complement) -> np.dtype[np.integer]:
    """Return the type of places among a complement's entries."""
    return index_array(np.zeros(0, np.int64), complement.n_entries).dtype
