"""Factorisation of H where levels of some factors are correlated by a known matrix.

With u the independent effects and R the factors' roots, `H = R' (Lambda' Z' W Z Lambda) R + I` in
their rows: dense. They come last, the others P are eliminated by a plan of their own,

    H = [[P, C], [C', E]],    S = E - C' P^-1 C,

and S is dense. Right-hand sides and solutions are those of u; the entries of the inverse on the
pattern of Z'WZ are those of the levels, R H^-1 R'. Where there are thousands of levels and K has
a sparse inverse (pedigrees), the precision of the levels in place of their root would leave H
sparse; this is the place for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from interlace_core.engine.elimination.dense import DenseFactor, bargain_of_dense
from interlace_core.engine.elimination.factorisation import (
    Factorisation,
    Plan,
    build_plan,
)
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.structure import Blocks, Factor, Structure
from interlace_core.records import Array, IntArray

CHUNK = 4_000_000
"""Numbers held at once while entries of the inverse are computed (32 MB)."""


@dataclass(frozen=True)
class BorderedPlan(Plan):
    """How to factorise a structure with correlated levels.

    Attributes
    ----------
    plain : Plan
        For the factors with independent levels.
    structure : Structure
        Those first.
    first : int
        The first factor with correlated levels.
    """

    plain: Plan
    structure: Structure
    first: int

    @property
    def start(self) -> int:
        """The place in u of the first correlated effect."""
        return int(self.structure.factors[self.first].place.start)

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return bargain_of_dense(self.structure.q - self.start)

    def describe(self, structure: Structure) -> str:
        """Return the chosen elimination in words."""
        names = ", ".join(factor.name for factor in self.structure.factors[self.first :])
        dense = f"{names} (correlated levels, dense, {self.structure.q - self.start} rows)"
        if not self.first:
            return dense
        return f"{self.plain.describe(structure)}; {dense}"

    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H."""
        return _Bordered(self, H)


def bordered_plan(structure: Structure) -> BorderedPlan:
    """Return the plan of a structure of which some factors have correlated levels."""
    first = sum(factor.relation is None for factor in structure.factors)
    plain = replace(
        structure,
        factors=structure.factors[:first],
        pairs={key: pair for key, pair in structure.pairs.items() if max(key) < first},
        q=structure.factors[first].place.start,
    )
    return BorderedPlan(build_plan(plain), structure, first)


class _Bordered(Factorisation):
    """Factors with independent levels in front of a dense block of correlated ones."""

    def __init__(self, plan: BorderedPlan, H: Blocks) -> None:
        self._plan, first = plan, plan.first
        self._inner = plan.plain.factorise(
            {key: block for key, block in H.items() if max(key) < first}
        )
        C = self._border(H)
        self._W = np.column_stack([self._solve_plain(c) for c in C.T]) if len(C) else C
        S = self._corner(H) - C.T @ self._W
        self._cholesky, info = lapack.dpotrf(S, lower=0, clean=1)
        if info != 0:
            raise NotPositiveDefiniteError("the block of correlated levels is not definite")
        self._factor = DenseFactor(self._cholesky)
        self.logdet = self._inner.logdet + self._factor.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        factors, first = self._plan.structure.factors, self._plan.first
        plain = np.concatenate([part.ravel() for part in parts[:first]]) if first else np.zeros(0)
        rest = np.concatenate([part.ravel() for part in parts[first:]])
        x_rest = self._factor.solve(rest - self._W.T @ plain)
        x = np.concatenate([self._solve_plain(plain) - self._W @ x_rest, x_rest])
        return [x[factor.place].reshape(factor.shape) for factor in factors]

    def selected_inverse(self) -> Blocks:
        plan = self._plan
        inner = self._inner.selected_inverse()
        roots = self._roots()
        # the covariance of all effects but for P^-1 is B'B
        B = solve_triangular(self._cholesky.T, np.hstack([-self._W.T, roots]), lower=True)
        out: Blocks = {}
        for key, pair in plan.structure.pairs.items():
            first, second = (
                _scalars(plan.structure.factors[i], levels)
                for i, levels in zip(key, (pair.first, pair.second), strict=True)
            )
            out[key] = _column_products(B, first, second)
            if key in inner:
                out[key] += inner[key]
        return out

    def _solve_plain(self, x: Array) -> Array:
        factors = self._plan.structure.factors[: self._plan.first]
        parts = [np.ascontiguousarray(x[each.place]).reshape(each.shape) for each in factors]
        solved = self._inner.solve(parts)
        return np.concatenate([part.ravel() for part in solved]) if solved else x

    def _border(self, H: Blocks) -> Array:
        """Return C, shape (effects with independent levels, correlated effects)."""
        plan, factors = self._plan, self._plan.structure.factors
        C = np.zeros((plan.start, plan.structure.q - plan.start))
        for (i, r), pair in plan.structure.pairs.items():
            if i < plan.first <= r:
                rows = _scalars(factors[i], pair.first)
                columns = _scalars(factors[r], pair.second) - plan.start
                C[rows[:, None, :], columns[None, :, :]] = H[i, r]
        return self._gathered(C)

    def _corner(self, H: Blocks) -> Array:
        """Return E, shape (correlated effects, correlated effects)."""
        plan, factors = self._plan, self._plan.structure.factors
        E = np.eye(plan.structure.q - plan.start)
        for (r, s), pair in plan.structure.pairs.items():
            if r < plan.first:
                continue
            Rr, Rs = factors[r].root, factors[s].root
            for a, b in np.ndindex(len(factors[r].columns), len(factors[s].columns)):
                if r == s and b < a:
                    continue
                block = _sandwich(Rr, Rs, H[r, s][a, b], pair.first, pair.second, r == s)
                rows = _column(factors[r], a, plan.start)
                columns = _column(factors[s], b, plan.start)
                E[rows, columns] += block
                if (r, a) != (s, b):
                    E[columns, rows] += block.T
        return E

    def _gathered(self, values: Array) -> Array:
        """Return values times the block-diagonal R, over the last axis."""
        out = np.empty_like(values)
        for factor in self._plan.structure.factors[self._plan.first :]:
            for a in range(len(factor.columns)):
                here = _column(factor, a, self._plan.start)
                out[:, here] = values[:, here] @ factor.root
        return out

    def _roots(self) -> Array:
        """Return the transpose of the block-diagonal R."""
        R = np.zeros((self._plan.structure.q - self._plan.start,) * 2)
        for factor in self._plan.structure.factors[self._plan.first :]:
            for a in range(len(factor.columns)):
                here = _column(factor, a, self._plan.start)
                R[here, here] = factor.root.T
        return R


def _sandwich(
    R: Array, other: Array, weights: Array, first: IntArray, second: IntArray, same: bool
) -> Array:
    """Return R' A R for the matrix A of some pairs of levels."""
    if same and np.all(weights >= 0.0):
        half = np.sqrt(weights)[:, None] * R
        return np.asarray(half.T @ half)  # symmetric, at half the price
    if same:
        return np.asarray(R.T @ (weights[:, None] * R))
    A = np.zeros((len(R), len(other)))
    A[first, second] = weights
    return np.asarray(R.T @ A @ other)


def _column(factor: Factor, a: int, start: int) -> slice:
    L = factor.rows.size
    return slice(factor.place.start - start + a * L, factor.place.start - start + (a + 1) * L)


def _scalars(factor: Factor, levels: IntArray) -> IntArray:
    """Return the places in u of levels of a factor, shape (c, P)."""
    c, L = factor.shape
    return np.asarray(factor.place.start + np.arange(c)[:, None] * L + levels[None, :], np.intp)


def _column_products(B: Array, first: IntArray, second: IntArray) -> Array:
    """Return the inner products of columns of B, shape (c, c', P)."""
    out = np.empty((len(first), len(second), first.shape[1]))
    step = max(1, CHUNK // max(1, len(B)))
    for start in range(0, first.shape[1], step):
        part = slice(start, start + step)
        for a, b in np.ndindex(out.shape[:2]):
            out[a, b, part] = np.einsum("kp,kp->p", B[:, first[a, part]], B[:, second[b, part]])
    return out
