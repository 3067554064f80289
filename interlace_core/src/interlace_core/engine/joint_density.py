"""The joint density of response and random effects, as a function of u at fixed psi.

`f(u) = -l(eta) + |u|^2 / 2` with `eta_k = X_k beta_k + offset_k + [Z Lambda u]_k`: its value,
gradient and Hessian, and the maps between rows and random effects that every approximation
shares. Structures and problem are fixed; psi and u move.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import compiled_derivatives
from interlace_core.engine.effects import covariance_by_term
from interlace_core.engine.elimination.across import OwnEliminated, eliminate_posterior
from interlace_core.engine.elimination.factorisation import (
    Factorisation,
    factorise_posterior,
)
from interlace_core.engine.elimination.smallblocks import (
    NotPositiveDefiniteError,
    apply,
    sandwich,
)
from interlace_core.engine.known import known_at
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.structure import Blocks, Structure
from interlace_core.records import Array, Derivatives

CHUNK_ROWS = 8192
"""Rows per call of a family's derivatives: 64 kB an array, so that a call's temporaries stay in
the second-level cache. Measured flat from 4,096 to 32,768; twice as fast as 100,000 at once."""


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

    @classmethod
    def alone(cls, layout: Layout, psi: Array, u: Array) -> Conditional:
        """Return f of a part's own random effects, given those that all parts share.

        Parameters
        ----------
        layout : Layout
            Of the part.
        psi : ndarray, shape (n_psi,)
        u : ndarray, shape (m,)
            Those that all parts share.
        """
        found = cls(layout.alone, psi)
        across = layout.structure.within(across=True)
        T = layout.templates(psi)[len(layout.alone.structure.factors) :]
        effects = [apply(t, part) for t, part in zip(T, across.split(u), strict=True)]
        found.eta_fixed = add_random_part(across, found.eta_fixed, effects)
        return found

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
        eta = self.predictors(u)
        wrt = self._active if order >= 3 else structure.random_predictors
        derivatives = weighted_derivatives(
            problem, eta, order, wrt, structure.random_predictors if order >= 3 else None
        )
        value = 0.5 * float(u @ u) - float(derivatives.value.sum())
        return Point(u, eta, derivatives, order, value)

    def predictors(self, u: Array) -> list[Array]:
        """Return eta of every predictor, shape (n,) each."""
        return add_random_part(self.layout.structure, self.eta_fixed, self.effects(u))

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
        return self.transposed(self.sums(rows))

    def transposed(self, parts: list[Array]) -> Array:
        """Return Lambda' x, shape (q,), for an array x of each factor, shape (c, L)."""
        return self.layout.structure.gather(
            [apply(T.T, part) for T, part in zip(self.T, parts, strict=True)]
        )

    def sums(self, rows: dict[int, Array | None]) -> list[Array]:
        """Return Z' w for one vector w per random predictor, shape (c, L) of each factor."""
        return scatter(self.layout.structure, rows)

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
        return products_on_pattern(
            self.layout.structure, lambda k, m: self._weight(point, k, m, concave)
        )

    def factorise(self, A: Blocks) -> Factorisation:
        """Return the factorised H = Lambda' A Lambda + I."""
        H = {(i, j): sandwich(self.T[i], block, self.T[j]) for (i, j), block in A.items()}
        return factorise_posterior(self.layout.plan, self.layout.structure, H)

    def solve(self, factorisation: Factorisation, x: Array) -> Array:
        """Return H^-1 x, shape (q,)."""
        structure = self.layout.structure
        return structure.join(factorisation.solve(structure.split(x)))

    def eliminate(self, A: Blocks) -> OwnEliminated:
        """Return H with a part's own random effects eliminated, without the prior of the others.

        Raises
        ------
        NotPositiveDefiniteError
            If it is not positive definite in these.
        """
        H = {(i, j): sandwich(self.T[i], block, self.T[j]) for (i, j), block in A.items()}
        return eliminate_posterior(self.layout.plan, self.layout.structure, H)

    @staticmethod
    def _weight(point: Point, k: int, m: int, concave: bool) -> Array | None:
        second = point.derivatives.get(k, m)
        if second is None:
            return None
        if concave:
            return np.maximum(-second, 0.0) if k == m else None
        return -second


def effects_covariance(problem: Problem, psi: Array, u: Array) -> list[Array] | None:
    """Return the diagonal blocks of H^-1 at the mode u, (c, c, L) each; None if it has none.

    Of R H^-1 R' where levels are correlated, R the root of their covariance. In the order of the
    factors of `layout_of(problem)`.
    """
    conditional = Conditional(layout_of(problem, chains=True), psi)
    point = conditional.evaluate(u, 3)
    known = known_at(problem, psi)
    try:
        information = conditional.information(point)
        if known is None:
            factorisation = conditional.factorise(information)
        else:
            factorisation = conditional.eliminate(information).completed(known.inverse)
    except NotPositiveDefiniteError:
        return None
    return covariance_by_term(conditional.layout, factorisation)


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
        if (points := factor.points) is not None:
            rows = b.ravel()[points.cells.codes]
            eta[points.predictor] += scaled(rows, points.z, None)
            continue
        for column, b_column in zip(factor.columns, b, strict=True):
            rows = b_column[factor.rows.codes]
            eta[column.predictor] += rows if column.z is None else rows * column.z
    return eta


def scatter(structure: Structure, rows: dict[int, Array | None]) -> list[Array]:
    """Return Z' w for one vector w per random predictor, one array per factor, shape (c, L)."""
    parts = []
    for factor in structure.factors:
        if (points := factor.points) is not None:
            w = rows[points.predictor]
            parts.append(
                np.zeros(factor.shape)
                if w is None
                else points.cells.sum(scaled(w, points.z, None)).reshape(factor.shape)
            )
            continue
        part = np.zeros(factor.shape)
        for a, column in enumerate(factor.columns):
            w = rows[column.predictor]
            if w is not None:
                part[a] = factor.rows.sum(scaled(w, column.z, None))
        parts.append(part)
    return parts


def products_on_pattern(
    structure: Structure,
    weight: Callable[[int, int], Array | None],
    wanted: Collection[tuple[int, int]] | None = None,
) -> Blocks:
    """Return Z'WZ on its pattern.

    Parameters
    ----------
    structure : Structure
    weight : callable
        From two predictors to the diagonal of their block of W, shape (n,); None where it is 0.
    wanted : collection of (int, int), optional
        Pairs of factors; all if None.
    """
    blocks = {}
    known: dict[tuple[int, ...], Array] = {}  # nested levels share rows, and with these sums
    for (i, j), pair in structure.pairs.items():
        if wanted is not None and (i, j) not in wanted:
            continue
        first, second = structure.factors[i].columns, structure.factors[j].columns
        block = np.zeros((len(first), len(second), pair.first.size))
        if i == j and (points := structure.factors[i].points) is not None:
            W = weight(points.predictor, points.predictor)
            if W is not None:
                sums = points.cells.sum(scaled(W, points.z, points.z))
                diagonal = np.arange(len(first))
                block[diagonal, diagonal] = sums.reshape(len(first), -1)
            blocks[i, j] = block
            continue
        for a, b in structure.products(i, j):
            one, other = first[a], second[b]
            key = (id(pair.rows), one.predictor, other.predictor, id(one.z), id(other.z))
            if key in known:
                block[a, b] = known[key]
            else:
                W = weight(one.predictor, other.predictor)
                if W is None:
                    continue
                known[key] = block[a, b] = pair.rows.sum(scaled(W, one.z, other.z))
            if i == j and a != b:
                block[b, a] = block[a, b]
        blocks[i, j] = block
    return blocks


def scaled(w: Array, first: Array | None, second: Array | None) -> Array:
    """Return w times two covariates, where None is a covariate of ones."""
    if first is not None:
        w = w * first
    return w if second is None else w * second


def weighted_derivatives(
    problem: Problem,
    eta: Sequence[Array],
    order: int,
    wrt: tuple[int, ...],
    inner: tuple[int, ...] | None = None,
) -> Derivatives:
    """Return the derivatives of the weighted log-density at eta, each entry (..., n).

    By compiled rows where the problem has them. Others are taken in chunks that fit the cache: a
    family makes a dozen passes over them.

    Parameters
    ----------
    problem : Problem
    eta : sequence of K ndarrays, each broadcastable to (..., n)
    order : int
        Highest order, 0 to 3.
    wrt : tuple of int
        Predictors to differentiate in.
    inner : tuple of int, optional
        Those of them with random effects, where derivatives of further orders are asked for only
        if they are in all of these but one. Says what is worth computing at once.
    """
    compiled = compiled_derivatives(problem, eta, order, wrt, inner)
    if compiled is not None:
        return compiled
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
