"""Elimination of one factor into a dense Schur complement: crossed designs.

With H = [[D, C], [C', E]], D block-diagonal: S = E - C' D^-1 C. C is sparse (the pairs of
levels that occur). Both the product and the selected inverse choose, from the pattern, between
work proportional to pairs of pairs and dense matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array

from interlace_core.numerics.smallblocks import NotPositiveDefiniteError
from interlace_core.numerics.structure import Blocks, Pair, Structure
from interlace_core.records import Array, IntArray

GATHER_COST = 40.0
"""Multiply-adds of a dense product that take as long as gathering one entry of S^-1: about 3 ns
against 0.07 ns on the 2-core machine where this was measured; the choice is not delicate."""

MAX_PAIRS = 20_000_000
"""Pairs of partners, over all levels, whose places are kept (8 bytes each)."""

CHUNK = 4_000_000
"""Numbers held at once by a chunk of gathered or dense work (32 MB)."""


@dataclass(frozen=True)
class Bin:
    """Levels of the eliminated factor that have the same number of partners.

    Attributes
    ----------
    levels : ndarray of intp, shape (B,)
    positions : ndarray of intp, shape (c, B, m)
        Where their entries are in the sparse matrix's data.
    partners : ndarray of intp, shape (B, m)
        Columns of those entries, ascending.
    places : ndarray of intp, shape (B, m, m), or None
        Where pairs of partners are in the complement's entries, row by row; None if too many.
    """

    levels: IntArray
    positions: IntArray
    partners: IntArray
    places: IntArray | None

    def gather(self, matrix: Array) -> Array:
        """Return the entries of a matrix at the pairs of partners, shape (B, m, m)."""
        if self.places is None:
            return np.asarray(matrix[self.partners[:, :, None], self.partners[:, None, :]])
        return np.asarray(matrix.ravel().take(self.places, mode="clip"))


@dataclass(frozen=True)
class CrossedPattern:
    """Index arrays for one elimination, computed once per fit.

    Attributes
    ----------
    factor : int
        The factor eliminated.
    later : tuple of int
        The factors of the dense complement, of `size` rows in total.
    places : tuple of slice
        Place of each later factor among those rows.
    shape : tuple of int
        Scalar rows and columns of C.
    indptr, indices : ndarray
        Compressed rows of C.
    order : ndarray of intp
        Position in C's data of each entry of the blocks C_r, taken in order.
    blocks : tuple of (c, c_r, P)
        Shape of each block C_r.
    first_levels : tuple of ndarray of intp
        The eliminated factor's level of each pair of C_r.
    pairs : dict from (r, s) to Pair
        Pairs among the later factors; `levels` their numbers of levels.
    bins : tuple of Bin, or None
        For work by pairs of partners; None where dense products are cheaper.
    kept : ndarray of intp, or None
        The places of all bins one after the other.
    flat : ndarray of intp, or None
        Place of each entry in C stored densely; None where that is not the way.
    """

    factor: int
    later: tuple[int, ...]
    places: tuple[slice, ...]
    size: int
    shape: tuple[int, int]
    indptr: IntArray
    indices: IntArray
    order: IntArray
    blocks: tuple[tuple[int, int, int], ...]
    first_levels: tuple[IntArray, ...]
    pairs: dict[tuple[int, int], Pair]
    levels: tuple[int, ...]
    bins: tuple[Bin, ...] | None
    kept: IntArray | None
    flat: IntArray | None

    @classmethod
    def of(cls, structure: Structure, factor: int) -> CrossedPattern:
        """Return the pattern for eliminating a factor."""
        later = tuple(range(factor + 1, len(structure.factors)))
        shapes = [structure.factors[r].shape for r in later]
        ends = np.cumsum([c * L for c, L in shapes])
        places = tuple(
            slice(int(end) - c * L, int(end)) for end, (c, L) in zip(ends, shapes, strict=True)
        )
        c, L = structure.factors[factor].shape
        pairs = [structure.pairs[factor, r] for r in later]
        rows, columns = _coordinates(c, L, pairs, shapes, places)
        order_to_csr = np.lexsort((columns, rows))
        order = np.empty_like(order_to_csr)
        order[order_to_csr] = np.arange(order.size)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=c * L))])
        indices = columns[order_to_csr].astype(np.intp)
        size = int(ends[-1])
        bins, kept = _bins(indptr, indices, c, L, size)
        whole = bins is None and c * L * size <= CHUNK
        flat = np.repeat(np.arange(c * L), np.diff(indptr)) * size + indices if whole else None
        return cls(
            factor, later, places, size, (c * L, size), indptr, indices, order,
            tuple((c, cr, pair.first.size) for pair, (cr, _) in zip(pairs, shapes, strict=True)),
            tuple(pair.first for pair in pairs),
            {(r, s): structure.pairs[r, s] for r in later for s in later if r <= s},
            tuple(L for _, L in shapes),
            bins, kept, flat,
        )  # fmt: skip

    def matrix(self, C: dict[int, Array]) -> Any:
        """Return the blocks C_r, shape (c, c_r, P), as one matrix, sparse unless small."""
        return self._matrix(self._data(C))

    def _matrix(self, data: Array) -> Any:
        if self.flat is None:
            return csr_array((data, self.indices, self.indptr), shape=self.shape)
        dense = np.zeros(self.shape)
        dense.ravel()[self.flat] = data
        return dense

    def _data(self, C: dict[int, Array]) -> Array:
        data = np.empty(self.order.size)
        data[self.order] = np.concatenate([C[r].ravel() for r in self.later])
        return data

    def schur(self, H: Blocks, C: dict[int, Array], Y: Any) -> tuple[Array, float]:
        """Return the Cholesky factor of E - C' Y, as `dense_solve` takes it, and log |E - C' Y|.

        Only the lower triangle is formed; its transpose is the upper one in LAPACK's order.
        """
        S = self._product(self._data(C), Y)
        np.negative(S, out=S)
        for (r, s), pair in self.pairs.items():
            rows, columns = self._scalar_index(r, pair.first), self._scalar_index(s, pair.second)
            # later factors lie below: (s, r) is in the lower triangle
            S[columns[None, :, :], rows[:, None, :]] += H[r, s]
        factor, info = lapack.dpotrf(S.T, lower=0, overwrite_a=1, clean=1)
        if info != 0:
            raise NotPositiveDefiniteError("the Schur complement is not positive definite")
        return factor, 2.0 * float(np.sum(np.log(np.diagonal(factor))))

    def selected_inverse(self, D_inverse: Array, Y: Any, S_inverse: Array) -> Blocks:
        """Return H^-1 on the pattern: its own block, the pairs with later factors, and theirs."""
        if self.flat is not None:
            product = Y @ S_inverse
            H12 = -product.ravel()[self.flat]
            by_level = (*D_inverse.shape[::2], self.size)
            own = D_inverse + np.einsum(
                "alk,blk->abl", product.reshape(by_level), Y.reshape(by_level)
            )
        elif self.bins is None:
            H12, own = self._dense_inverse(D_inverse, Y, S_inverse)
        else:
            H12, own = self._gathered_inverse(D_inverse, Y, S_inverse)
        out: Blocks = {(self.factor, self.factor): own}
        flat, start = H12[self.order], 0
        for r, block in zip(self.later, self.blocks, strict=True):
            stop = start + int(np.prod(block))
            out[self.factor, r] = flat[start:stop].reshape(block)
            start = stop
        for (r, s), pair in self.pairs.items():
            rows, columns = self._scalar_index(r, pair.first), self._scalar_index(s, pair.second)
            out[r, s] = S_inverse[rows[:, None, :], columns[None, :, :]]
        return out

    def _product(self, C: Array, Y: Any) -> Array:
        """Return C' Y, C given by its entries."""
        if self.kept is not None and self.bins is not None:
            weights, start = np.empty(self.kept.size), 0
            for entry in self.bins:
                left, right = C[entry.positions], Y.data[entry.positions]
                B, m = entry.partners.shape
                out = weights[start : start + B * m * m].reshape(B, m, m)
                np.multiply(left[0][:, :, None], right[0][:, None, :], out=out)
                for a in range(1, len(left)):
                    out += left[a][:, :, None] * right[a][:, None, :]
                start += out.size
            flat = np.bincount(self.kept, weights, self.size * self.size)
            return np.asarray(flat, np.float64).reshape(self.size, self.size)
        sparse = self._matrix(C)
        if self.flat is not None:
            return np.asarray(sparse.T @ Y)
        if self.bins is None:
            product = np.zeros((self.size, self.size))
            for rows in _row_chunks(self.shape):
                product += sparse[rows].toarray().T @ Y[rows].toarray()
            return product
        return np.asarray((sparse.T @ Y).toarray())

    def _scalar_index(self, r: int, levels: IntArray) -> IntArray:
        """Return the rows of the complement for levels of factor r, shape (c_r, P)."""
        where = self.later.index(r)
        place, L = self.places[where], self.levels[where]
        starts = np.arange(place.start, place.stop, L)
        return starts[:, None] + levels[None, :]

    def _gathered_inverse(
        self, D_inverse: Array, Y: csr_array, S_inverse: Array
    ) -> tuple[Array, Array]:
        H12 = np.empty(Y.data.size)
        own = D_inverse.copy()
        assert self.bins is not None
        for entry in self.bins:
            values = Y.data[entry.positions]
            block = -np.matmul(values.transpose(1, 0, 2), entry.gather(S_inverse))
            block = block.transpose(1, 0, 2)
            H12[entry.positions] = block
            own[:, :, entry.levels] -= np.einsum("abk,cbk->acb", block, values)
        return H12, own

    def _dense_inverse(
        self, D_inverse: Array, Y: csr_array, S_inverse: Array
    ) -> tuple[Array, Array]:
        c, _, L = D_inverse.shape
        H12 = np.empty(Y.data.size)
        rows_of = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        for rows in _row_chunks(self.shape):
            span = slice(int(self.indptr[rows.start]), int(self.indptr[rows.stop]))
            product = Y[rows].toarray() @ S_inverse
            H12[span] = -product[rows_of[span] - rows.start, self.indices[span]]
        own = D_inverse.copy()
        left = csr_array((H12, self.indices, self.indptr), shape=self.shape)
        for a in range(c):
            for b in range(c):
                rows_a, rows_b = slice(a * L, (a + 1) * L), slice(b * L, (b + 1) * L)
                own[a, b] -= np.asarray(left[rows_a].multiply(Y[rows_b]).sum(axis=1)).ravel()
        return H12, own


def _coordinates(
    c: int, L: int, pairs: list[Pair], shapes: list[tuple[int, int]], places: tuple[slice, ...]
) -> tuple[Any, Any]:
    rows, columns = [], []
    for pair, (cr, Lr), place in zip(pairs, shapes, places, strict=True):
        shape = (c, cr, pair.first.size)
        row = np.arange(c)[:, None, None] * L + pair.first[None, None, :]
        column = place.start + np.arange(cr)[None, :, None] * Lr + pair.second[None, None, :]
        rows.append(np.broadcast_to(row, shape).ravel())
        columns.append(np.broadcast_to(column, shape).ravel())
    return np.concatenate(rows), np.concatenate(columns)


def _bins(
    indptr: IntArray, indices: IntArray, c: int, L: int, size: int
) -> tuple[tuple[Bin, ...] | None, IntArray | None]:
    """Return the bins, if work by pairs is cheaper, and the places of pairs, if they are few."""
    counts = np.diff(indptr)[:L]
    total = float(np.sum(np.square(counts, dtype=np.float64)))
    if GATHER_COST * total > float(L) * size * size:
        return None, None
    kept = np.empty(int(total), dtype=np.intp) if total <= MAX_PAIRS else None
    bins, filled = [], 0
    starts = indptr[:-1].reshape(c, L)
    for m in np.unique(counts):
        levels = np.flatnonzero(counts == m)
        step = max(1, CHUNK // max(1, int(m * m)))
        for start in range(0, levels.size, step):
            chosen = levels[start : start + step]
            positions = starts[:, chosen, None] + np.arange(m)
            partners = indices[positions[0]]
            places = None
            if kept is not None:
                end = filled + partners.size * int(m)
                places = kept[filled:end].reshape(*partners.shape, int(m))
                np.add(partners[:, :, None] * size, partners[:, None, :], out=places)
                filled = end
            bins.append(Bin(chosen, positions, partners, places))
    return tuple(bins), kept


def _row_chunks(shape: tuple[int, int]) -> list[slice]:
    step = max(1, CHUNK // max(1, shape[1]))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
