"""Eliminations of several factors as the struct that C reads: see c/elimination.h."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from interlace_core.contract import Array, IntArray
from interlace_core.engine import EliminationPlan, NotPositiveDefiniteError
from interlace_kernels.model import Int, Pointer

MOST_FACTORS, MOST_COLUMNS, OWN_ROWS = 8, 8, 64
"""Of c/elimination.h: factors, effects of a level, rows of a complement that C factorises."""

PerFactor = Int * MOST_FACTORS
PerPair = PerFactor * MOST_FACTORS
Pointers = (Pointer * MOST_FACTORS) * MOST_FACTORS

CLEAR = ctypes.CFUNCTYPE(Pointer)
FACTORISE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_double))
SOLVE = ctypes.CFUNCTYPE(ctypes.c_int32, Pointer)
INVERSE = ctypes.CFUNCTYPE(Pointer)


class EliminationStruct(ctypes.Structure):
    """`ik_elimination`."""

    _fields_ = (
        ("F", Int),
        ("q", Int),
        ("entries", Int),
        ("c", PerFactor),
        ("L", PerFactor),
        ("start", PerFactor),
        ("block", PerPair),
        ("P", PerPair),
        ("first", Pointers),
        ("second", Pointers),
        ("nested", Int),
        ("link", Pointers * MOST_FACTORS),
        ("size", Int),
        ("partners", Pointer),
        ("partner", Pointer),
        ("source", Pointer),
        ("pairs", Pointer),
        ("places", Pointer),
        ("rest", Pointer),
        ("most", Int),
        ("clear", CLEAR),
        ("factorise", FACTORISE),
        ("solve", SOLVE),
        ("inverse", INVERSE),
        ("H", Pointer),
        ("Y", Pointer),
        ("N", Pointer),
        ("S", Pointer),
        ("scratch", Pointer),
    )


def serves(structure: Any, plan: Any) -> bool:
    """Return whether the structure is some factors of independent levels, of few effects each."""
    factors = structure.factors
    if not 2 <= len(factors) <= MOST_FACTORS or not isinstance(plan, EliminationPlan):
        return False
    few = all(len(factor.columns) <= MOST_COLUMNS for factor in factors)
    return few and plan.then is None and all(factor.independent for factor in factors)


class Elimination:
    """An elimination plan as C reads it, with all arrays that its struct points to.

    Parameters
    ----------
    structure : engine.Structure
    plan : engine.EliminationPlan
        That `serves`.

    Attributes
    ----------
    struct : EliminationStruct
    entries : int
        Numbers of the blocks of a matrix on the pattern.
    """

    def __init__(self, structure: Any, plan: Any) -> None:
        self._keep: list[Any] = []
        self.struct = EliminationStruct()
        self._complement: ComplementOfPython | None = None
        self._own_rows, self._of_python = 0, None
        self._blocks(structure)
        self.struct.nested = plan.last
        for step in plan.nested:
            for (r, s), above in step.links.items():
                self.struct.link[step.factor][r][s] = self._index(above.codes)
        if plan.crossed is not None:
            self._crossed(plan, structure)
        self._complete()

    def _blocks(self, structure: Any) -> None:
        struct, at = self.struct, 0
        struct.F, struct.q = len(structure.factors), structure.q
        for f, factor in enumerate(structure.factors):
            struct.c[f], struct.L[f] = factor.shape
            struct.start[f] = factor.place.start
        for i in range(struct.F):
            for j in range(i, struct.F):
                pair = structure.pairs[i, j]
                struct.block[i][j], struct.P[i][j] = at, pair.first.size
                at += pair.first.size * struct.c[i] * struct.c[j]
                if i < j:
                    struct.first[i][j] = self._index(pair.first)
                    struct.second[i][j] = self._index(pair.second)
        self.entries = struct.entries = at

    def _crossed(self, plan: Any, structure: Any) -> None:
        """Set partners of each level of the last factor, and the places of all in the complement.

        1. A row of C for each level: a column of it for each effect of a level that it meets.
        2. Sorted by level, then by row of the complement.
        3. Where the entries of the later factors' blocks go.
        4. A complement of some size is factorised as Python does.
        """
        struct, crossed, i = self.struct, plan.crossed, plan.last
        size = struct.size = crossed.shape[1]
        c, L = structure.factors[i].shape
        # 1. entries
        level, row, source = [], [], []
        for r, part in zip(crossed.later, crossed.parts, strict=True):
            pair, (cr, Lr) = structure.pairs[i, r], structure.factors[r].shape
            column = np.arange(cr)
            shape = (pair.first.size, cr)
            level.append(np.broadcast_to(np.asarray(pair.first, np.int64)[:, None], shape).ravel())
            row.append((part.start + column * Lr + pair.second[:, None]).ravel())
            each = np.arange(pair.first.size)[:, None] * cr + column
            source.append((struct.block[i][r] + each * c).ravel())
        levels, rows = np.concatenate(level), np.concatenate(row)
        # 2. by level
        order = np.argsort(levels * size + rows, kind="stable")
        counts = np.bincount(levels, minlength=L)
        struct.partners = self._at(_starts(counts))
        struct.partner = self._index(rows[order])
        struct.source = self._at(np.concatenate(source)[order].astype(np.int64))
        struct.most = int(counts.max())
        places = _pair_places(crossed, counts)
        if places is not None:
            struct.pairs = self._at(_starts(counts * (counts + 1) // 2))
            struct.places = self._at(places)
        # 3. blocks of later factors
        struct.rest = self._at(_rest(crossed))
        # 4. the complement
        self._own_rows = size if size <= OWN_ROWS and places is None else 0
        self._of_python = None if self._own_rows else crossed.complement

    def _complete(self) -> None:
        """Set what a factorisation writes to."""
        self._matrices = {name: np.empty(self.entries) for name in ("H", "Y", "N")}
        for name, values in self._matrices.items():
            setattr(self.struct, name, values.ctypes.data)
        if self._own_rows:
            self.struct.S = self._at(np.empty(2 * self._own_rows**2))
        if self.struct.size:
            c, size = self.struct.c[self.struct.nested], self.struct.size
            self.struct.scratch = self._at(np.empty(2 * c * self.struct.most + 8 * size))
        if self._of_python is not None:
            self._call_back(self._of_python)

    def another(self) -> Elimination:
        """Return the same elimination with memory of its own, for another matrix."""
        other: Elimination = object.__new__(Elimination)
        other.entries, other._own_rows = self.entries, self._own_rows
        other._of_python, other._complement = self._of_python, None
        other._keep = [self]
        other.struct = EliminationStruct.from_buffer_copy(self.struct)
        other._complete()
        return other

    def _call_back(self, complement: Any) -> None:
        own = self._complement = ComplementOfPython(complement)
        self.struct.clear = CLEAR(_guarded(own.clear, own, None))
        self.struct.factorise = FACTORISE(_guarded(own.factorise, own, 1))
        self.struct.solve = SOLVE(_guarded(own.solve, own, 1))
        self.struct.inverse = INVERSE(_guarded(own.inverse, own, None))

    @property
    def calls_back(self) -> bool:
        """Whether C calls a complement of Python."""
        return self._complement is not None

    def finish(self) -> None:
        """Let go of what was for one evaluation, and raise what a complement raised within C."""
        if self._complement is not None:
            self._complement.finish()

    def inverse_of_complement(self) -> Array | None:
        """Return the dense inverse that `ik_select` has made last, None where C made it."""
        return None if self._complement is None else self._complement.whole_inverse()

    def write(self, blocks: Any) -> None:
        """Write the blocks of a matrix, shape (c_i, c_j, P), to where H is."""
        H, at = self._matrices["H"], 0
        for key in sorted(blocks):
            block = blocks[key].transpose(2, 1, 0)
            H[at : at + block.size].reshape(block.shape)[:] = block
            at += block.size

    def read(self, name: str) -> dict[tuple[int, int], Array]:
        """Return the blocks of a matrix, shape (c_i, c_j, P)."""
        struct, values, found = self.struct, self._matrices[name], {}
        for i in range(struct.F):
            for j in range(i, struct.F):
                shape = struct.P[i][j], struct.c[j], struct.c[i]
                at = struct.block[i][j]
                block = values[at : at + int(np.prod(shape))].reshape(shape)
                found[i, j] = block.transpose(2, 1, 0)
        return found

    def _index(self, values: IntArray) -> int:
        return self._at(np.ascontiguousarray(values, dtype=np.int32))

    def _at(self, array: Any) -> int:
        """Return the address of an array, which is kept as long as this is."""
        self._keep.append(array)
        return int(array.ctypes.data)


class ComplementOfPython:
    """A complement as C calls it: entries, factorisation, solutions, inverse."""

    def __init__(self, complement: Any) -> None:
        self._complement = complement
        self._entries: Any = None
        self._factor: Any = None
        self._inverse: Any = None
        self.failure: BaseException | None = None

    def clear(self) -> int:
        """Return the address of entries of 0."""
        self._factor = self._inverse = None  # as large as what takes their place
        if self._entries is None:
            self._entries = np.zeros(self._complement.n_entries)
        else:  # the memory is there already, as that of the last factor
            self._entries.fill(0.0)
        return int(self._entries.ctypes.data)

    def factorise(self, log_det: Any) -> int:
        """Factorise the matrix of these entries, and tell the logarithm of its determinant."""
        self._factor = self._complement.factorise(self._entries)
        log_det[0] = self._factor.logdet
        return 0

    def solve(self, x: int) -> int:
        """Solve for a vector at an address, in place."""
        values = np.ctypeslib.as_array((ctypes.c_double * self._complement.size).from_address(x))
        values[:] = self._factor.solve(values)
        return 0

    def inverse(self) -> int:
        """Return the address of the inverse's entries, of which the lower triangle is read."""
        self._inverse = self._factor.triangle()
        return int(self._inverse.ctypes.data)

    def whole_inverse(self) -> Array | None:
        """Return the inverse of a dense complement, both triangles, before it is let go of."""
        if self._inverse is None:
            return None
        lower = np.tril(self._inverse.reshape(self._complement.size, -1))
        return np.asarray(lower + np.tril(lower, -1).T)

    def finish(self) -> None:
        """Let go of the inverse, and raise what was raised within C."""
        self._inverse, failure, self.failure = None, self.failure, None
        if failure is not None:
            raise failure


def _guarded(function: Any, owner: ComplementOfPython, failed: int | None) -> Any:
    """Return a function for C, which knows no exceptions."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except NotPositiveDefiniteError:
            return failed
        except BaseException as failure:  # raised again where Python goes on
            owner.failure = failure
            return failed

    return call


def _starts(counts: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _pair_places(crossed: Any, counts: IntArray) -> IntArray | None:
    """Return the places of the pairs of partners in a sparse complement, level by level."""
    partners = crossed.partners
    if partners is None or not hasattr(partners[0], "places"):
        return None
    starts = _starts(counts * (counts + 1) // 2)
    places = np.empty(starts[-1], dtype=np.int64)
    for each in partners:
        at = starts[each.levels][:, None] + np.arange(each.places.shape[1])
        places[at] = each.places
    return places


def _rest(crossed: Any) -> IntArray:
    """Return the place of each entry of the later factors' blocks; see c/elimination.h."""
    found = []
    for (r, s), places in sorted(crossed.rest.items()):
        own = np.array(places, dtype=np.int64)
        if r == s:
            a, b = np.triu_indices(len(own), 1)
            own[a, b] = -1 - own[a, b]
        found.append(own.transpose(2, 1, 0).ravel())
    return np.concatenate(found)
