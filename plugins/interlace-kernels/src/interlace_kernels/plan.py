"""Factorisations of H in C for objectives that are not: c/elimination.c."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from interlace_core.contract import Array
from interlace_core.engine import (
    Blocks,
    Factorisation,
    NotPositiveDefiniteError,
    Plan,
    Traces,
    crossed_traces,
)
from interlace_kernels.elimination import Elimination, serves
from interlace_kernels.library import Library


class CompiledPlan(Plan):
    """A plan whose factorisations are made in C.

    Parameters
    ----------
    library : Library
    structure : engine.Structure
    plan : engine.EliminationPlan
        That is followed, and says all but the factorisation.
    """

    def __init__(self, library: Library, structure: Any, plan: Any) -> None:
        self.plan, self._structure, self._library = plan, structure, library
        self._elimination: Elimination | None = None

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return int(self.plan.bargain)

    def held(self) -> float:
        """Return the entries of the complement, of its factor and of its inverse."""
        return float(self.plan.held())

    def describe(self, structure: Any) -> str:
        """Return the elimination in words."""
        return str(self.plan.describe(structure))

    @property
    def dense(self) -> Any | None:
        """The pattern of the first factor's elimination, where that leaves a dense complement."""
        crossed = self.plan.crossed
        return crossed if self.plan.last == 0 and crossed is not None and crossed.is_dense else None

    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H."""
        if self._elimination is None:
            self._elimination = Elimination(self._structure, self.plan)
        elimination = self._elimination.another()
        return CompiledFactorisation(self._library, elimination, self._structure, H, self.dense)

    def __reduce__(self) -> tuple[Any, ...]:
        # addresses mean nothing in another process; whether there is a library, it finds out
        return _planned, (self._structure, self.plan)


class CompiledFactorisation(Factorisation):
    """A factorised H, in C."""

    def __init__(
        self,
        library: Library,
        elimination: Elimination,
        structure: Any,
        H: Blocks,
        dense: Any | None,
    ) -> None:
        self._dense = dense
        self._handle, self._elimination, self._structure = library.handle, elimination, structure
        elimination.write(H)
        log_det = ctypes.c_double()
        failed = self._called("ik_factorise", ctypes.byref(log_det))
        if failed:
            raise NotPositiveDefiniteError("H is not positive definite")
        self.logdet = log_det.value

    def solve(self, parts: list[Array]) -> list[Array]:
        """Return H^-1 x, one array of shape (c, L) per factor, as x is given."""
        x = np.concatenate([np.ravel(part) for part in parts])
        self._called("ik_solve", ctypes.c_void_p(x.ctypes.data))
        return list(self._structure.split(x))

    def selected_inverse(self) -> Blocks:
        """Return the entries of H^-1 on the pattern of Z'WZ."""
        self._called("ik_select")
        return self._elimination.read("N")

    def traces(self, D: list[Array]) -> Traces | None:
        """Return traces of H^-1 and of its products, where the first factor leaves a dense rest."""
        pattern = self._dense
        if pattern is None:
            return None
        self._handle.ik_select(ctypes.byref(self._elimination.struct))
        S_inverse = self._elimination.inverse_of_complement()
        self._elimination.finish()
        own, Y = self._elimination.read("N")[0, 0], self._elimination.read("Y")
        crossed = pattern.matrix(pattern.data({r: Y[0, r] for r in pattern.later}))
        S = self._inverse_of_complement() if S_inverse is None else S_inverse
        return crossed_traces(pattern, Y[0, 0], own, crossed, S, D)

    def _inverse_of_complement(self) -> Array:
        """Return the inverse of a small complement, column by column."""
        first, *later = (np.zeros(factor.shape) for factor in self._structure.factors)
        size = sum(part.size for part in later)
        ends = np.cumsum([part.size for part in later])[:-1]
        columns = []
        for unit in np.eye(size):
            parts = [
                x.reshape(part.shape) for x, part in zip(np.split(unit, ends), later, strict=True)
            ]
            columns.append(np.concatenate([x.ravel() for x in self.solve([first, *parts])[1:]]))
        return np.array(columns)

    def _called(self, function: str, *arguments: Any) -> int:
        elimination = self._elimination
        code = getattr(self._handle, function)(ctypes.byref(elimination.struct), *arguments)
        elimination.finish()
        return int(code)


def compiled_plan(library: Library | None, structure: Any, plan: Any) -> Plan | None:
    """Return a plan that factorises in C, None where none is served."""
    if library is None or not serves(structure, plan):
        return None
    return CompiledPlan(library, structure, plan)


def plain_plan(plan: Any) -> Any:
    """Return the plan that another one follows, or itself."""
    return plan.plan if isinstance(plan, CompiledPlan) else plan


def _planned(structure: Any, plan: Any) -> Plan:
    from interlace_kernels.library import library

    return compiled_plan(library(), structure, plan) or plan
