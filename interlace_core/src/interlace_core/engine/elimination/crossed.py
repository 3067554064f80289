"""Elimination of one factor into a Schur complement: crossed designs.

With H = [[D, C], [C', E]], D block-diagonal: S = E - C' D^-1 C. C is sparse (the pairs of
levels that occur). Both the product and the selected inverse choose, from the pattern, between
work proportional to pairs of pairs and dense matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from interlace_core.engine.elimination.complement import Complement, index_array
from interlace_core.engine.elimination.cooccurrence import Partners, find_partners
from interlace_core.engine.elimination.dense import DenseComplement
from interlace_core.engine.elimination.sparsity import choose_complement
from interlace_core.engine.structure import Blocks, Pair, Structure
from interlace_core.records import Array, IntArray

GATHER_COST = 40.0
"""Multiply-adds of a dense product that take as long as gathering one entry of S^-1: about 3 ns
against 0.07 ns on the 2-core machine where this was measured; the choice is not delicate."""

CHUNK = 1_000_000
"""Numbers held at once by a chunk of dense work (8 MB)."""


@dataclass(frozen=True)
class CrossedPattern:
    """Index arrays for one elimination, computed once per fit.

    Attributes
    ----------
    factor : int
        The factor eliminated.
    later : tuple of int
        The factors of the complement.
    parts : tuple of slice
        Place of each later factor among the complement's rows.
    shape : tuple of int
        Scalar rows and columns of C.
    indptr, indices : ndarray
        Compressed rows of C.
    order : ndarray of int, or None
        Position in C's data of each entry of the blocks C_r, taken in order; None if the same.
    blocks : tuple of (c, c_r, P)
        Shape of each block C_r.
    first_levels : tuple of ndarray of intp
        The eliminated factor's level of each pair of C_r.
    rest : dict from (r, s) to ndarray, shape (c_r, c_s, P)
        Places of the entries of E among the complement's.
    complement : Complement
    partners : tuple of Partners, or None
        For work by pairs of partners; None where dense products are cheaper.
    flat : ndarray of intp, or None
        Place of each entry in C stored densely; None where that is not the way.
    """

    factor: int
    later: tuple[int, ...]
    parts: tuple[slice, ...]
    shape: tuple[int, int]
    indptr: IntArray
    indices: IntArray
    order: IntArray | None
    blocks: tuple[tuple[int, int, int], ...]
    first_levels: tuple[IntArray, ...]
    rest: dict[tuple[int, int], IntArray]
    complement: Complement
    partners: tuple[Partners, ...] | None
    flat: IntArray | None

    @classmethod
    def of(
        cls,
        structure: Structure,
        factor: int,
        complement: Complement | None = None,
        whole: bool = True,
    ) -> CrossedPattern:
        """Return the pattern for eliminating a factor.

        Parameters
        ----------
        structure : Structure
        factor : int
        complement : Complement, optional
            How to factorise what is left; by default what is predicted to take less time.
        whole : bool
            Whether C may be stored densely where it is small.
        """
        later = tuple(range(factor + 1, len(structure.factors)))
        parts = _parts([structure.factors[r].shape for r in later])
        size = parts[-1].stop
        c, L = structure.factors[factor].shape
        pairs = [structure.pairs[factor, r] for r in later]
        shapes = [structure.factors[r].shape for r in later]
        rows, columns = _coordinates(c, L, pairs, shapes, parts)
        indptr, indices, order = _compress(rows, columns, c * L, size)
        del rows, columns
        scalar = {
            (r, s): _scalar_pairs(structure, (r, parts[r - later[0]]), (s, parts[s - later[0]]))
            for r in later for s in later if r <= s
        }  # fmt: skip
        if complement is None:
            complement = choose_complement(size, indptr[: L + 1], indices, list(scalar.values()))
        gathers = _gathers(complement, indptr[: L + 1], L)
        whole = whole and not gathers and c * L * size <= 4 * CHUNK
        flat = np.repeat(np.arange(c * L), np.diff(indptr)) * size + indices if whole else None
        return cls(
            factor, later, parts, (c * L, size), indptr, indices, order,
            tuple((c, cr, pair.first.size) for pair, (cr, _) in zip(pairs, shapes, strict=True)),
            tuple(pair.first for pair in pairs),
            {pair: complement.places(*index) for pair, index in scalar.items()},
            complement,
            find_partners(complement, indptr, indices, c) if gathers else None,
            flat,
        )  # fmt: skip

    @property
    def is_dense(self) -> bool:
        """Whether what is left is factorised as one dense matrix."""
        return isinstance(self.complement, DenseComplement)

    def data(self, C: dict[int, Array]) -> Array:
        """Return the blocks C_r, shape (c, c_r, P), as the entries of one sparse matrix."""
        parts = [C[r].ravel() for r in self.later]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self.order is None:
            return joined
        data = np.empty(self.order.size)
        data[self.order] = joined
        return data

    def matrix(self, data: Array) -> Any:
        """Return C or D^-1 C from its entries, sparse unless small."""
        if self.flat is None:
            return csr_array((data, self.indices, self.indptr), shape=self.shape)
        dense = np.zeros(self.shape)
        dense.ravel()[self.flat] = data
        return dense

    def left(self, H: Blocks, C: Array, Y: Any) -> Array:
        """Return the entries of E - C' Y, as the complement places them; Y as a matrix."""
        entries = self._product(C, Y)
        np.negative(entries, out=entries)
        for (r, s), places in self.rest.items():
            for a, b in np.ndindex(places.shape[:2]):
                # the blocks of one factor hold each of their entries twice
                if r < s or b <= a:
                    entries[places[a, b]] += H[r, s][a, b]
        return entries

    def selected_inverse(self, D_inverse: Array, Y: Any, inverse: Array) -> Blocks:
        """Return H^-1 on the pattern: its own block, the pairs with later factors, and theirs.

        The last argument holds the entries of the complement's inverse.
        """
        own = D_inverse.copy()
        if self.partners is not None:
            H12 = np.empty(Y.data.size)
            for each in self.partners:
                each.invert(Y.data, inverse, H12, own)
        elif self.flat is not None:
            H12 = self._whole_inverse(Y, inverse, own)
        else:
            H12 = self._dense_inverse(Y, inverse, own)
        out: Blocks = {(self.factor, self.factor): own}
        by_block, start = H12 if self.order is None else H12[self.order], 0
        for r, block in zip(self.later, self.blocks, strict=True):
            stop = start + int(np.prod(block))
            out[self.factor, r] = by_block[start:stop].reshape(block)
            start = stop
        for pair, places in self.rest.items():
            out[pair] = inverse[places]
        return out

    def _product(self, C: Array, Y: Any) -> Array:
        """Return C' Y on the complement's pattern, C given by its entries."""
        if self.partners is not None:
            entries = np.zeros(self.complement.n_entries)
            for each in self.partners:
                each.add_products(C, Y.data, entries)
            return entries
        left = self.matrix(C)
        if self.flat is not None:
            return np.asarray(left.T @ Y).reshape(-1)
        product = np.zeros((self.shape[1], self.shape[1]))
        for rows in _row_chunks(self.shape):
            product += left[rows].toarray().T @ Y[rows].toarray()
        return product.reshape(-1)

    def _whole_inverse(self, Y: Array, inverse: Array, own: Array) -> Array:
        S_inverse = inverse.reshape(self.shape[1], -1)
        product = Y @ S_inverse
        by_level = (*own.shape[::2], self.shape[1])
        own += np.einsum("alk,blk->abl", product.reshape(by_level), Y.reshape(by_level))
        return np.asarray(-product.ravel()[self.flat])

    def _dense_inverse(self, Y: csr_array, inverse: Array, own: Array) -> Array:
        c, _, L = own.shape
        S_inverse = inverse.reshape(self.shape[1], -1)
        H12 = np.empty(Y.data.size)
        rows_of = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        for rows in _row_chunks(self.shape):
            span = slice(int(self.indptr[rows.start]), int(self.indptr[rows.stop]))
            product = Y[rows].toarray() @ S_inverse
            H12[span] = -product[rows_of[span] - rows.start, self.indices[span]]
        left = csr_array((H12, self.indices, self.indptr), shape=self.shape)
        for a in range(c):
            for b in range(c):
                rows_a, rows_b = slice(a * L, (a + 1) * L), slice(b * L, (b + 1) * L)
                own[a, b] -= np.asarray(left[rows_a].multiply(Y[rows_b]).sum(axis=1)).ravel()
        return H12


def _parts(shapes: list[tuple[int, int]]) -> tuple[slice, ...]:
    ends = np.cumsum([c * L for c, L in shapes]).tolist()
    return tuple(slice(end - c * L, end) for end, (c, L) in zip(ends, shapes, strict=True))


def _coordinates(
    c: int, L: int, pairs: list[Pair], shapes: list[tuple[int, int]], parts: tuple[slice, ...]
) -> tuple[IntArray, IntArray]:
    """Return row and column in C of each entry of the blocks C_r, taken in order."""
    rows, columns = [], []
    for pair, (cr, Lr), part in zip(pairs, shapes, parts, strict=True):
        shape = (c, cr, pair.first.size)
        row = np.arange(c)[:, None, None] * L + pair.first[None, None, :]
        column = part.start + np.arange(cr)[None, :, None] * Lr + pair.second[None, None, :]
        rows.append(np.broadcast_to(row, shape).ravel())
        columns.append(np.broadcast_to(column, shape).ravel())
    return np.concatenate(rows), np.concatenate(columns)


def _compress(
    rows: IntArray, columns: IntArray, n_rows: int, n_columns: int
) -> tuple[IntArray, IntArray, IntArray | None]:
    """Return compressed rows, and where each entry is among them (None: where it was)."""
    counts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    bound = max(rows.size, n_columns) + 1
    indptr = index_array(counts, bound)
    keys = rows * n_columns + columns
    if np.all(keys[1:] > keys[:-1]):
        return indptr, index_array(columns, bound), None
    to_rows = np.argsort(keys)
    order = np.empty(rows.size, dtype=indptr.dtype)
    order[to_rows] = np.arange(rows.size)
    return indptr, index_array(columns[to_rows], bound), order


def _scalar_pairs(
    structure: Structure, first: tuple[int, slice], second: tuple[int, slice]
) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the complement of a block of E, shape (c_r, c_s, P) each."""
    (r, part_r), (s, part_s) = first, second
    pair = structure.pairs[r, s]
    starts_r = np.arange(part_r.start, part_r.stop, structure.factors[r].rows.size)
    starts_s = np.arange(part_s.start, part_s.stop, structure.factors[s].rows.size)
    shape = (starts_r.size, starts_s.size, pair.first.size)
    rows = starts_r[:, None, None] + pair.first[None, None, :]
    columns = starts_s[None, :, None] + pair.second[None, None, :]
    return np.broadcast_to(rows, shape), np.broadcast_to(columns, shape)


def _gathers(complement: Complement, indptr: IntArray, L: int) -> bool:
    """Return whether work by pairs of partners is cheaper than dense products."""
    if not isinstance(complement, DenseComplement):
        return True
    pairs = float(np.sum(np.square(np.diff(indptr), dtype=np.float64)))
    return GATHER_COST * pairs <= float(L) * complement.size * complement.size


def _row_chunks(shape: tuple[int, int]) -> list[slice]:
    step = max(1, CHUNK // max(1, shape[1]))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
