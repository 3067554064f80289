"""Sums over the rows of a linear model, and over those of each level, in one pass in C."""

from __future__ import annotations

import ctypes

import numpy as np

from interlace_core.contract import Array, LevelSums, RowColumns, RowSums
from interlace_kernels.library import Library
from interlace_kernels.model import Double, Int, Pointer

MOST_COLUMNS = 64
"""Of X: with more, a matrix product of all rows is faster."""

MOST_EFFECTS = 8
"""Of a level: what a row adds to its level grows with them and with the columns of X."""

ROWS = 256
"""Of a block, and the numbers that a row's run is a multiple of, of c/products.c."""

LANES = 8


class Strided(ctypes.Structure):
    """`ik_strided`."""

    _fields_ = (("at", Pointer), ("stride", Int))

    @classmethod
    def of(cls, values: Array | None) -> Strided:
        """Return a column, which is of doubles; of ones if None."""
        if values is None:
            return cls(None, 0)
        return cls(values.ctypes.data, values.strides[0] // values.itemsize)


class LevelStruct(ctypes.Structure):
    """`ik_level_sums`."""

    _fields_ = (
        ("c", Int),
        ("L", Int),
        ("codes", Pointer),
        ("z", ctypes.POINTER(Strided)),
        ("A", Pointer),
        ("Zs", Pointer),
        ("records", Pointer),
    )


class ProductsStruct(ctypes.Structure):
    """`ik_row_products`."""

    _fields_ = (
        ("n", Int),
        ("p1", Int),
        ("F", Int),
        ("size", Int),
        ("X", ctypes.POINTER(Strided)),
        ("y", Strided),
        ("offset", Strided),
        ("weights", Strided),
        ("beta", ctypes.POINTER(Double)),
        ("factors", ctypes.POINTER(LevelStruct)),
        ("SS", Pointer),
        ("work", Pointer),
    )


def products(library: Library, rows: RowColumns) -> RowSums | None:
    """Return the sums of `Kernels.products`; None where columns are many, or no doubles."""
    widest = max((len(z) for _, _, z in rows.factors), default=0)
    p1 = rows.X.shape[1] + 1
    if p1 - 1 > MOST_COLUMNS or widest > MOST_EFFECTS or not _are_doubles(rows):
        return None
    size = -(-(p1 + widest) // LANES) * LANES
    sums = [LevelSums(np.empty((len(z),) * 2 + (L,)), np.empty((len(z), p1, L)))
            for _, L, z in rows.factors]  # fmt: skip
    codes = [np.ascontiguousarray(each, dtype=np.int64) for each, _, _ in rows.factors]
    records = [np.zeros(L * len(z) * size) for _, L, z in rows.factors]
    levels = (LevelStruct * len(sums))(*(
        LevelStruct(
            len(z), L, c.ctypes.data, (Strided * len(z))(*(Strided.of(x) for x in z)),
            own.A.ctypes.data, own.Zs.ctypes.data, each.ctypes.data,
        )
        for (_, L, z), c, own, each in zip(rows.factors, codes, sums, records, strict=True)
    ))  # fmt: skip
    SS, work = np.empty((p1, p1)), np.empty(size * ROWS + (p1 + 3) * (ROWS + LANES))
    struct = ProductsStruct(
        len(rows.y), p1, len(sums), size, (Strided * (p1 - 1))(*(Strided.of(x) for x in rows.X.T)),
        Strided.of(rows.y), Strided.of(rows.offset), Strided.of(rows.weights),
        (Double * (p1 - 1))(*rows.beta), levels, SS.ctypes.data, work.ctypes.data,
    )  # fmt: skip
    library.handle.ik_products(ctypes.byref(struct))
    return RowSums(SS, tuple(sums))


def _are_doubles(rows: RowColumns) -> bool:
    """Return whether all columns can be read where they are."""
    given = [rows.X, rows.y, rows.offset, *(z for _, _, zs in rows.factors for z in zs)]
    if rows.weights is not None:
        given.append(rows.weights)
    return all(
        each is None
        or (each.dtype == np.float64 and each.flags.aligned and each.strides[0] % 8 == 0)
        for each in given
    )
