"""Laplace's objective for several factors in C: c/several.c."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract import Array, CompiledFunction, Evaluation, Information, RowKernel
from interlace_kernels.elimination import (
    MOST_COLUMNS,
    MOST_FACTORS,
    Elimination,
    EliminationStruct,
    Pointers,
    serves,
)
from interlace_kernels.library import Library
from interlace_kernels.model import BLOCK_ROWS, Int, Model, ModelStruct, Pointer, leading_dimension
from interlace_kernels.objectives import MOST_PREDICTORS, ModeObjective
from interlace_kernels.plan import plain_plan

VECTORS = 11
"""Vectors of c/several.c, of q numbers each."""


class SeveralStruct(ctypes.Structure):
    """`ik_several`."""

    _fields_ = (
        ("m", ModelStruct),
        ("e", EliminationStruct),
        ("code", Pointer * MOST_FACTORS),
        ("pair", Pointers),
        ("z", (Pointer * MOST_COLUMNS) * MOST_FACTORS),
        ("bargain", Int),
        ("known", Int),
        ("last", Int),
        ("eta", Pointer),
        ("A", Pointer),
        ("vectors", Pointer),
        ("stored", Pointer),
    )


class SeveralModel(Model):
    """A model of several factors as C reads it.

    Parameters are those of `Model`.
    """

    def __init__(self, layout: Any, rows: RowKernel, settings: Any, mode: Array | None) -> None:
        self._begin(layout, rows, settings, mode, BLOCK_ROWS, leading_dimension(BLOCK_ROWS), c=1)
        structure, n, K = layout.structure, layout.problem.n, len(layout.problem.predictors)
        self.elimination = Elimination(structure, plain_plan(layout.plan))
        several = self.several = SeveralStruct()
        several.m, several.e = self.struct, self.elimination.struct
        for f, factor in enumerate(structure.factors):
            several.code[f] = self._index(factor.rows.codes)
            for a, column in enumerate(factor.columns):
                if column.z is not None:
                    several.z[f][a] = self._at(np.ascontiguousarray(column.z))
        for (i, j), pair in structure.pairs.items():
            if i < j:
                several.pair[i][j] = (
                    several.code[i] if pair.rows.codes is structure.factors[i].rows.codes
                    else self._index(pair.rows.codes)
                )  # fmt: skip
        several.bargain = layout.plan.bargain
        several.A = self._at(np.empty(self.elimination.entries))
        several.vectors = self._at(np.empty(VECTORS * structure.q))
        several.eta = self._at(np.empty(n))
        several.stored = self._at(np.empty(n * (2 + 3 * K)))

    def _index(self, values: Any) -> int:
        return self._at(np.ascontiguousarray(values, dtype=np.int32))


class SeveralObjective(ModeObjective):
    """Laplace's approximation for a layout that `serves_several`; arguments as for `Model`."""

    _informs = "ik_several_information"

    def _room(self) -> int:
        return 2 * int(self._beta.size * self._model.u.size)

    def information(self, psi: Array) -> Information | None:
        """Return the information at psi; None where the mode is not found."""
        found = super().information(psi)
        self._elimination.finish()
        return found

    def __init__(
        self, library: Library, layout: Any, rows: RowKernel, settings: Any, mode: Array | None
    ) -> None:
        model = SeveralModel(layout, rows, settings, mode)
        self._elimination = model.elimination
        super().__init__(library, "ik_laplace_several", layout, model, model.several)

    def take(
        self, rows: RowKernel, mode: Array, count: int = 1, weights: Array | None = None
    ) -> bool:
        """Point to the rows of other responses, of which nothing is known yet."""
        self._struct.known = self._struct.last = 0
        return super().take(rows, mode, count, weights)

    def _forgotten(self) -> tuple[int | None, int]:
        return ctypes.addressof(self._struct) + SeveralStruct.known.offset, 2

    @cached_property
    def function(self) -> CompiledFunction | None:
        """The same in C; None where Python factorises, and can be interrupted between points."""
        return None if self._elimination.calls_back else super().function

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi; a status other than OK where there is none."""
        found = super().__call__(psi)
        self._elimination.finish()
        return found


def serves_several(layout: Any) -> bool:
    """Return whether the structure is several factors, on one predictor, that C eliminates."""
    few = len(layout.problem.predictors) <= MOST_PREDICTORS
    one = len(layout.structure.random_predictors) == 1
    return few and one and serves(layout.structure, plain_plan(layout.plan))
