"""The joint density of response and random effects, as a function of u at fixed psi.

`f(u) = -l(eta) + |u|^2 / 2` with `eta_k = X_k beta_k + offset_k + [Z Lambda u]_k`: its value,
gradient and Hessian, and the maps between rows and random effects that every approximation
shares. Structures and problem are fixed; psi and u move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.collapse import collapse_response, collapse_rows
from interlace_core.engine.elimination.correlated_levels import (
    BorderedPlan,
    choose_plan,
    factorise_posterior,
)
from interlace_core.engine.elimination.factorisation import Factorisation, Plan
from interlace_core.engine.elimination.smallblocks import apply, sandwich
from interlace_core.engine.row_correlation import whitened
from interlace_core.engine.structure import Blocks, Factor, Structure, build_structure, sort_rows
from interlace_core.records import Array, Derivatives, IntArray

if TYPE_CHECKING:
    pass

CHUNK_ROWS = 8192
"""Rows per call of a family's derivatives: 64 kB an array, so that a call's temporaries stay in
the second-level cache. Measured flat from 4,096 to 32,768; twice as fast as 100,000 at once."""


@dataclass(frozen=True)
class Layout:
    """A problem with rows collapsed and sorted, its structure and its elimination plan.

    Built once per fit.

    Attributes
    ----------
    problem : Problem
    structure : Structure
    plan : Plan
    groups : ndarray of intp, shape (n given,), or None
        Collapsed row that each given row went to, before sorting; None where none collapsed.
    order : ndarray of intp, shape (n,), or None
        Place before sorting of each row; None where rows were in order.
    """

    problem: Problem
    structure: Structure
    plan: Plan | BorderedPlan
    groups: IntArray | None = None
    order: IntArray | None = None

    @classmethod
    def of(cls, problem: Problem) -> Layout:
        """Return the model of a problem with at least one random-effects term."""
        problem, groups = collapse_rows(problem)
        problem, order = sort_rows(problem)
        structure = build_structure(problem)
        return cls(problem, structure, choose_plan(structure), groups, order)

    def with_response(self, problem: Problem) -> Layout:
        """Return the layout of a problem that differs from this one's in its response alone.

        Parameters
        ----------
        problem : Problem
            Rows as given.
        """
        y, weights, constants = problem.y, problem.weights, problem.constants
        if self.groups is not None:
            collapsed = collapse_response(problem, self.groups, self.problem.n)
            if collapsed is None:
                return Layout.of(problem)
            y, weights, constants = collapsed.y, collapsed.weights, collapsed.constants
        if self.order is not None:
            y = y[self.order]
            weights = None if weights is None else weights[self.order]
            constants = None if constants is None else constants[self.order]
        family = problem.family.bind_part(y)
        inner = replace(self.problem, y=y, weights=weights, constants=constants, family=family)
        return replace(self, problem=inner)

    @cached_property
    def log_concave(self) -> bool:
        """Whether the family says so in the predictors with random effects: the mode is unique."""
        predictors = self.structure.random_predictors
        return not predictors or self.problem.family.log_concave(predictors)

    def at(self, psi: Array) -> Layout:
        """Return the layout of independent rows: whitened at psi where rows correlate."""
        return self if self.problem.correlation is None else self.whitened(psi)

    def whitened(self, psi: Array) -> Layout:
        """Return the layout of rows that are independent and of variance 1 at psi."""
        problem = whitened(self.problem, psi)
        factors = tuple(_with_columns(factor, problem) for factor in self.structure.factors)
        return replace(self, problem=problem, structure=replace(self.structure, factors=factors))

    def templates(self, psi: Array) -> list[Array]:
        """Return each factor's template T, shape (c, c), block-diagonal over its terms."""
        thetas = self.problem.theta_slices()
        templates = []
        for factor in self.structure.factors:
            T = np.zeros((len(factor.columns),) * 2)
            for index, place in factor.terms:
                covariance = self.problem.terms[index].covariance
                T[place, place] = covariance.template(psi[thetas[index]])
            templates.append(T)
        return templates

    def template_pullback(self, psi: Array, dT: Sequence[Array]) -> Array:
        """Return dF/dtheta of all terms from dF/dT of each factor."""
        thetas = self.problem.theta_slices()
        gradient = np.empty(self.problem.n_theta)
        for factor, derivative in zip(self.structure.factors, dT, strict=True):
            for index, place in factor.terms:
                covariance = self.problem.terms[index].covariance
                gradient[thetas[index]] = covariance.pullback(
                    psi[thetas[index]], derivative[place, place]
                )
        return gradient


@dataclass(frozen=True)
class Point:
    """The joint density at one u.

    Attributes
    ----------
    u : ndarray, shape (q,)
    eta : list of K ndarray, shape (n,)
    derivatives : Derivatives
        Of the weighted log-density, in the predictors with random effects (order 2) or in all
        that are estimated (order 3).
    order : int
        Highest order of the derivatives.
    value : float
        f(u).
    """

    u: Array
    eta: list[Array]
    derivatives: Derivatives
    order: int
    value: float


class Conditional:
    """f(u) at one psi."""

    def __init__(self, layout: Layout, psi: Array) -> None:
        layout = self.layout = layout.at(psi)
        self.T = layout.templates(psi)
        self.eta_fixed = layout.problem.fixed_part(psi)
        self._active = layout.problem.active()
        self._reach: dict[int, float] = {}

    def reach(self, r: int) -> float:
        """Return the largest of the known summands of predictor r: fixed part and offset."""
        if r not in self._reach:
            offset = self.layout.problem.predictors[r].offset
            self._reach[r] = max(
                float(np.abs(self.eta_fixed[r]).max()), float(np.abs(offset).max())
            )
        return self._reach[r]

    def evaluate(self, u: Array, order: int) -> Point:
        """Return f(u) with derivatives of the log-density to an order (2 or 3)."""
        problem, structure = self.layout.problem, self.layout.structure
        eta = add_random_part(structure, self.eta_fixed, self.effects(u))
        wrt = self._active if order >= 3 else structure.random_predictors
        derivatives = weighted_derivatives(problem, eta, order, wrt)
        value = 0.5 * float(u @ u) - float(derivatives.value.sum())
        return Point(u, eta, derivatives, order, value)

    def effects(self, u: Array) -> list[Array]:
        """Return b = Lambda u, one array per factor, shape (c, L)."""
        parts = self.layout.structure.spread(u)
        return [apply(T, part) for T, part in zip(self.T, parts, strict=True)]

    def gradient(self, point: Point) -> Array:
        """Return f'(u) = u - Lambda' Z' l_R, shape (q,)."""
        scores = {r: point.derivatives.get(r) for r in self.layout.structure.random_predictors}
        return point.u - self.pull(scores)

    def pull(self, rows: dict[int, Array | None]) -> Array:
        """Return Lambda' Z' w for one vector w per random predictor, shape (q,)."""
        parts = scatter(self.layout.structure, rows)
        return self.layout.structure.gather(
            [apply(T.T, part) for T, part in zip(self.T, parts, strict=True)]
        )

    def push(self, u: Array) -> dict[int, Array]:
        """Return Z Lambda u per random predictor, shape (n,) each."""
        structure = self.layout.structure
        zero = {r: np.zeros(structure.n) for r in structure.random_predictors}
        return _add_effects(structure, zero, self.effects(u))

    def hessian_times(self, point: Point, x: Array) -> Array:
        """Return H x = Lambda' Z' W Z Lambda x + x, shape (q,), W the observed information."""
        moved = self.push(x)
        rows: dict[int, Array | None] = {}
        for k in moved:
            parts = [-d * moved[m] for m in moved if (d := point.derivatives.get(k, m)) is not None]
            rows[k] = sum(parts[1:], parts[0]) if parts else None
        return x + self.pull(rows)

    def information(self, point: Point, concave: bool = False) -> Blocks:
        """Return A = Z' W Z on its pattern, W the observed information.

        With `concave`, W is replaced by its non-negative diagonal part: a stand-in that keeps
        H positive definite far from the mode, where W may be indefinite.
        """
        structure = self.layout.structure
        blocks = {}
        for (i, j), pair in structure.pairs.items():
            first, second = structure.factors[i].columns, structure.factors[j].columns
            block = np.zeros((len(first), len(second), pair.first.size))
            for a, column_a in enumerate(first):
                for b, column_b in enumerate(second):
                    if i == j and b < a:
                        block[a, b] = block[b, a]
                        continue
                    W = self._weight(point, column_a.predictor, column_b.predictor, concave)
                    if W is not None:
                        block[a, b] = pair.rows.sum(scaled(W, column_a.z, column_b.z))
            blocks[i, j] = block
        return blocks

    def factorise(self, A: Blocks) -> Factorisation:
        """Return the factorised H = Lambda' A Lambda + I."""
        H = {(i, j): sandwich(self.T[i], block, self.T[j]) for (i, j), block in A.items()}
        return factorise_posterior(self.layout.plan, self.layout.structure, H)

    @staticmethod
    def _weight(point: Point, k: int, m: int, concave: bool) -> Array | None:
        second = point.derivatives.get(k, m)
        if second is None:
            return None
        if concave:
            return np.maximum(-second, 0.0) if k == m else None
        return -second


def _with_columns(factor: Factor, problem: Problem) -> Factor:
    """Return a factor with the covariates of another problem's terms."""
    columns = list(factor.columns)
    for index, place in factor.terms:
        for a, z in zip(range(place.start, place.stop), problem.terms[index].Z.T, strict=True):
            columns[a] = replace(columns[a], z=z.copy())
    return replace(factor, columns=tuple(columns))


def add_random_part(
    structure: Structure, eta: Sequence[Array], effects: Sequence[Array]
) -> list[Array]:
    """Return eta + Z b, copied where a predictor has random effects."""
    moved = {r: eta[r].copy() for r in structure.random_predictors}
    _add_effects(structure, moved, effects)
    return [moved.get(k, values) for k, values in enumerate(eta)]


def _add_effects(
    structure: Structure, eta: dict[int, Array], effects: Sequence[Array]
) -> dict[int, Array]:
    for factor, b in zip(structure.factors, effects, strict=True):
        for column, b_column in zip(factor.columns, b, strict=True):
            rows = b_column[factor.rows.codes]
            eta[column.predictor] += rows if column.z is None else rows * column.z
    return eta


def scatter(structure: Structure, rows: dict[int, Array | None]) -> list[Array]:
    """Return Z' w for one vector w per random predictor, one array per factor, shape (c, L)."""
    parts = []
    for factor in structure.factors:
        part = np.zeros(factor.shape)
        for a, column in enumerate(factor.columns):
            w = rows[column.predictor]
            if w is not None:
                part[a] = factor.rows.sum(scaled(w, column.z, None))
        parts.append(part)
    return parts


def scaled(w: Array, first: Array | None, second: Array | None) -> Array:
    """Return w times two covariates, where None is a covariate of ones."""
    if first is not None:
        w = w * first
    return w if second is None else w * second


def weighted_derivatives(
    problem: Problem, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return the derivatives of the weighted log-density at eta, each entry (..., n).

    Rows are taken in chunks that fit the cache: a family makes a dozen passes over them.
    """
    nodes = max((each.size // problem.n for each in eta), default=1)
    step = max(CHUNK_ROWS // nodes, 1)
    if problem.n <= 2 * step:
        return _weighted(problem, slice(None), eta, order, wrt)
    value, partials = np.empty((*_leading(eta), problem.n)), {}
    for start in range(0, problem.n, step):
        rows = slice(start, min(start + step, problem.n))
        part = _weighted(problem, rows, [each[..., rows] for each in eta], order, wrt)
        value[..., rows] = part.value
        for key, values in part.partials.items():
            if key not in partials:
                partials[key] = np.zeros(value.shape)
            partials[key][..., rows] = values
    return Derivatives(value, partials)


def _weighted(
    problem: Problem, rows: slice, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return the derivatives of some rows at the eta of these rows."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        raw = problem.family.derivatives(problem.y[rows], eta, order, wrt)
    value, partials = raw.value, raw.partials
    if problem.weights is not None:
        weights = problem.weights[rows]
        value = value * weights
        partials = {key: partial * weights for key, partial in partials.items()}
    if problem.constants is not None:
        value = value + problem.constants[rows]
    return Derivatives(value, partials)


def _leading(eta: Sequence[Array]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(each.shape[:-1] for each in eta))


def layout_of(problem: Problem) -> Layout:
    """Return rows sorted, structure and elimination plan: the symbolic work, done once."""
    if Layout not in problem.cache:
        problem.cache[Layout] = Layout.of(problem)
    found: Layout = problem.cache[Layout]
    return found


def another_response(problem: Problem, y: Array) -> Problem:
    """Return the same model of another response; the symbolic work done so far is kept.

    Parameters
    ----------
    problem : Problem
    y : ndarray, of the shape of its own
    """
    changed = replace(problem, y=y, family=problem.family.bind_part(y))
    if Layout in problem.cache:
        changed.cache[Layout] = layout_of(problem).with_response(changed)
    return changed
