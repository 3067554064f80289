"""The joint density where each level of one factor has one effect: an intercept of one predictor.

The commonest model by far. Whatever runs over factors and columns elsewhere is one operation here,
which up to some thousand rows is most of what an evaluation takes.
"""

from __future__ import annotations

import numpy as np

from interlace_core.engine.elimination.factorisation import Factorisation
from interlace_core.engine.joint_density import Conditional, Point
from interlace_core.engine.layout import Layout
from interlace_core.engine.structure import Blocks, Structure
from interlace_core.records import Array


def conditional_at(layout: Layout, psi: Array) -> Conditional:
    """Return f(u) at one psi, in the form that takes least time."""
    alike = layout.plain is None and layout.problem.correlation is None
    return (Intercepts if alike and has_intercepts(layout.structure) else Conditional)(layout, psi)


def has_intercepts(structure: Structure) -> bool:
    """Return whether all random effects are intercepts of the independent levels of one factor."""
    if len(structure.factors) != 1:
        return False
    (factor,) = structure.factors
    if len(factor.columns) != 1 or not factor.independent or factor.across:
        return False
    return factor.points is None and factor.columns[0].z is None


class Intercepts(Conditional):
    """f(u) at one psi, of a structure that `has_intercepts`: `eta_r = ... + t u` of each level."""

    def __init__(self, layout: Layout, psi: Array) -> None:
        super().__init__(layout, psi)
        (factor,), (T,) = self.layout.structure.factors, self.T
        self._rows, self._r, self._t = factor.rows, factor.columns[0].predictor, float(T[0, 0])

    def predictors(self, u: Array) -> list[Array]:
        """Return eta of every predictor, shape (n,) each."""
        eta = list(self.eta_fixed)
        eta[self._r] = eta[self._r] + (self._t * u).take(self._rows.codes)
        return eta

    def effects(self, u: Array) -> list[Array]:
        """Return b = t u, shape (1, L)."""
        return [(self._t * u)[None]]

    def sums(self, rows: dict[int, Array | None]) -> list[Array]:
        """Return Z' w, shape (1, L)."""
        w = rows[self._r]
        return [np.zeros((1, self._rows.size)) if w is None else self._rows.sum(w)[None]]

    def transposed(self, parts: list[Array]) -> Array:
        """Return t x, shape (q,), for an array x, shape (1, L)."""
        return np.asarray(self._t * parts[0][0])

    def push(self, u: Array) -> dict[int, Array]:
        """Return Z t u, shape (n,)."""
        return {self._r: (self._t * u).take(self._rows.codes)}

    def information(self, point: Point, concave: bool = False) -> Blocks:
        """Return the levels' sums of W, shape (1, 1, L)."""
        W = self._weight(point, self._r, self._r, concave)
        sums = np.zeros(self._rows.size) if W is None else self._rows.sum(W)
        return {(0, 0): sums[None, None]}

    def factorise(self, A: Blocks) -> Factorisation:
        """Return the factorised H = t^2 A + I."""
        H = A[0, 0] * (self._t * self._t)
        H += 1.0
        return self.layout.plan.factorise({(0, 0): H})

    def solve(self, factorisation: Factorisation, x: Array) -> Array:
        """Return H^-1 x, shape (q,)."""
        (solved,) = factorisation.solve([x[None]])
        return np.asarray(solved[0])
