"""What a part of the rows has of the random effects that all parts share.

The effects u_g of a part's own groups are determined by those of the factors that run across all
parts, u_h, and the coefficients. With `f_p(u_h) = min over u_g` of a part's joint density,

    f(u_h) = sum_p f_p(u_h) + |u_h|^2 / 2 ,

whose gradient and curvature are sums of the parts' own, u_g eliminated. Coefficients that are taken
at the joint mode are sought beside u_h: x = (u_h, beta).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from interlace_core.contract.parts import Sums
from interlace_core.contract.problem import Problem
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.gram import weighted_gram
from interlace_core.engine.joint_density import Conditional, scaled, scatter
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import Mode, ModeMemory, ModeSettings
from interlace_core.engine.other_modes import lowest_mode
from interlace_core.engine.shares import LARGE, OWN
from interlace_core.records import Array

LOST = np.inf
"""Value of a part without a mode."""


class AcrossPoint:
    """A part's joint density where those random effects are that all parts share.

    Parameters
    ----------
    part : Problem
    settings : ModeSettings
        Of the search for the mode of the part's own.
    psi : ndarray, shape (n_psi,)
    u : ndarray, shape (m,)

    Attributes
    ----------
    conditional : Conditional
        f of all effects.
    point : Point
        The value without |u_h|^2 / 2, which is of all parts.
    eliminated : OwnEliminated
    gradient : ndarray, shape (q,)
        Of f, without u_h.
    iterations : int

    Raises
    ------
    NotPositiveDefiniteError
        If the part's own effects have no mode there.
    """

    def __init__(self, part: Problem, settings: ModeSettings, psi: Array, u: Array) -> None:
        layout = layout_of(part)
        mode = own_mode(part, layout, settings, psi, u)
        if mode is None:
            raise NotPositiveDefiniteError("a part's own random effects have no mode")
        self.conditional = Conditional(layout, psi)
        whole = np.concatenate([mode.point.u, u])
        self.point = replace(mode.point, u=whole)
        if layout.structure.random_predictors != layout.alone.structure.random_predictors:
            found = self.conditional.evaluate(whole, 3)
            self.point = replace(found, value=found.value - 0.5 * float(u @ u))
        self.information = self.conditional.information(self.point)
        self.eliminated = self.conditional.eliminate(self.information)
        self.gradient = self.conditional.gradient(self.point)
        self.gradient[mode.point.u.size :] -= u
        self.iterations = mode.iterations

    def complement(self) -> Array:
        """Return S_p, shape (m (m + 1) / 2,), which is not kept."""
        found, self.eliminated.complement = self.eliminated.complement, None
        if found is None:
            found = self.conditional.eliminate(self.information).complement
        assert found is not None
        return found

    def reduce(self, x: Array) -> Array:
        """Return x_h - C' D^-1 x_g, shape (m,), from shape (q,)."""
        return self.eliminated.reduce(self.conditional.layout.structure.split(x))

    def solve(self, x: Array) -> Array:
        """Return D^-1 x_g, shape (q,), 0 in the effects that all parts share."""
        structure = self.conditional.layout.structure
        return structure.join(self.eliminated.solve(structure.split(x)))

    def solve_each(self, columns: Array, across: Array) -> Array:
        """Return H^-1 times columns, shape (q, p), of which what all parts share is known."""
        split, join = (
            self.conditional.layout.structure.split,
            self.conditional.layout.structure.join,
        )
        solved = [
            join(self.eliminated.solve(split(column), x))
            for column, x in zip(columns.T, across.T, strict=True)
        ]
        return np.array(solved).reshape(-1, len(columns)).T

    def mode(self, inverse: Array) -> Mode:
        """Return the mode of the part's rows, its factorisation that of all parts.

        The step is that of the part's own effects, those of all parts held.

        Parameters
        ----------
        inverse : ndarray, shape (m (m + 1) / 2,)
            See `Known`.
        """
        return Mode(
            self.point,
            self.information,
            self.eliminated.completed(inverse),
            self.gradient,
            -self.solve(self.gradient),
            self.iterations,
        )

    def cross(self, predictors: tuple[int, ...]) -> Array:
        """Return the derivatives of f's gradient in coefficients of predictors, shape (q, p)."""
        columns = [
            self.moved({k: x})
            for k in predictors
            for x in self.conditional.layout.problem.predictors[k].X.T
        ]
        return np.array(columns).reshape(-1, self.point.u.size).T

    def slopes(self, psi: Array, predictors: tuple[int, ...] = ()) -> Array:
        """Return the derivatives in psi of f's gradient in x, at fixed effects of all parts.

        Parameters
        ----------
        psi : ndarray, shape (n_psi,)
        predictors : tuple of int
            Those whose coefficients are in x.

        Returns
        -------
        ndarray, shape (n_psi, m + p)
        """
        problem = self.conditional.layout.problem
        solved = np.array([self.solve(each) for each in self.cross(predictors).T])
        found = np.zeros((psi.size, self.eliminated.plan.size + len(solved)))
        for k, place in enumerate(problem.beta_slices()):
            for j, x in zip(range(place.start, place.stop), problem.predictors[k].X.T, strict=True):
                found[j] = self._reduced_move({k: x}, 0.0, predictors, solved)
        for of_theta, rows, direct in self._template_moves(psi):
            move = self._reduced_move(rows, direct, predictors, solved)
            found[: problem.n_theta] += np.outer(of_theta, move)
        return found

    def _reduced_move(
        self,
        rows: dict[int, Array],
        direct: Array | float,
        predictors: tuple[int, ...],
        solved: Array,
    ) -> Array:
        """Return what f's gradient in x moves by with rows' predictors, and directly in u's."""
        g = self.moved(rows) + direct
        found = [self.reduce(g)]
        if predictors:
            found.append(-solved @ g)
        start = 0
        for b in predictors:
            X = self.conditional.layout.problem.predictors[b].X
            own = slice(start, start + X.shape[1])
            for k, x in rows.items():
                second = self.point.derivatives.get(b, k)
                if second is not None:
                    found[1][own] -= X.T @ (second * x)
            start = own.stop
        return np.concatenate(found)

    def _template_moves(self, psi: Array) -> Iterator[tuple[Array, dict[int, Array], Array]]:
        """Yield what each entry of a template moves, u held.

        Its derivatives in theta, shape (n_theta,); the rows' predictors; and f's gradient in u
        directly, shape (q,).
        """
        conditional = self.conditional
        layout, structure = conditional.layout, conditional.layout.structure
        scores = {r: self.point.derivatives.get(r) for r in structure.random_predictors}
        pulled, u = scatter(structure, scores), structure.split(self.point.u)
        nothing = [np.zeros_like(T) for T in conditional.T]
        for f, factor in enumerate(structure.factors):
            for a, b in np.ndindex(conditional.T[f].shape):
                dT = [each.copy() for each in nothing]
                dT[f][a, b] = 1.0
                of_theta = layout.template_pullback(psi, dT)
                if not np.any(of_theta):
                    continue
                column = factor.columns[a]
                rows = scaled(u[f][b][factor.rows.codes], column.z, None)
                direct = [np.zeros(each.shape) for each in structure.factors]
                direct[f][b] = -pulled[f][a]
                yield of_theta, {column.predictor: rows}, structure.join(direct)

    def moved(self, rows: dict[int, Array]) -> Array:
        """Return what f's gradient moves by with the predictors of the rows, shape (q,)."""
        found: dict[int, Array | None] = {}
        for r in self.conditional.layout.structure.random_predictors:
            parts = [
                -d * x
                for k, x in rows.items()
                if (d := self.point.derivatives.get(r, k)) is not None
            ]
            found[r] = sum(parts[1:], parts[0]) if parts else None
        return self.conditional.pull(found)


def own_mode(
    part: Problem, layout: Layout, settings: ModeSettings, psi: Array, u: Array
) -> Mode | None:
    """Return the mode of a part's own random effects, those that all parts share given."""
    kept = part.cache.setdefault(LARGE, {})
    first = part.cache.get(OWN)
    memory: ModeMemory = kept.setdefault(OWN, ModeMemory(layout.alone.structure.q, first))
    conditional = Conditional.alone(layout, psi, u)
    mode = lowest_mode(conditional, memory.predict(conditional), settings, memory)
    if mode is not None:
        memory.remember(conditional, mode)
        part.cache[OWN] = mode.point.u
    return mode


def point_of(part: Problem, settings: ModeSettings, psi: Array, u: Array) -> AcrossPoint:
    """Return a part's joint density there; the last one, if it was there."""
    kept = part.cache.setdefault(LARGE, {})
    last = kept.get(AcrossPoint)
    if last is not None and all(
        np.array_equal(a, b) for a, b in zip(last[0], (psi, u), strict=True)
    ):
        found: AcrossPoint = last[1]
        return found
    kept.pop(AcrossPoint, None)  # before the next one takes as much memory
    found = AcrossPoint(part, settings, psi, u)
    kept[AcrossPoint] = (psi.copy(), u.copy()), found
    return found


def reduced(
    part: Problem, settings: ModeSettings, psi: Array, u: Array, predictors: tuple[int, ...]
) -> Sums:
    """Return f, gradient and curvature of a part in x, its own random effects eliminated.

    Returns
    -------
    Sums
        f; its gradient, shape (m + p,); S_p, shape (m (m + 1) / 2,); the curvature in the
        coefficients and these, shape (p, m + p); Newton steps.
    """
    X = [part.predictors[k].X for k in predictors]
    m, p = u.size, sum(each.shape[1] for each in X)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            at = point_of(part, settings, psi, u)
            below, left = _of_coefficients(at, predictors)
    except NotPositiveDefiniteError:
        nothing = np.zeros(m * (m + 1) // 2)
        return Sums(LOST, np.zeros(m + p), nothing, np.zeros((p, m + p)), _Most(0))
    gradient = np.concatenate([at.reduce(at.gradient), left])
    return Sums(at.point.value, gradient, at.complement(), below, _Most(at.iterations))


def _of_coefficients(at: AcrossPoint, predictors: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the rows of coefficients in the curvature, and the gradient in them."""
    problem, derivatives = at.conditional.layout.problem, at.point.derivatives
    if not predictors:
        return np.zeros((0, at.eliminated.plan.size)), np.zeros(0)
    cross = at.cross(predictors)
    solved = np.array([at.solve(each) for each in cross.T])
    beside = np.array([at.reduce(each) for each in cross.T])
    blocks, scores = [], [np.zeros(0)]
    for k in predictors:
        X, score = problem.predictors[k].X, derivatives.get(k)
        scores.append(np.zeros(X.shape[1]) if score is None else -(X.T @ score))
        row = []
        for j in predictors:
            Y, second = problem.predictors[j].X, derivatives.get(k, j)
            shape = X.shape[1], Y.shape[1]
            row.append(np.zeros(shape) if second is None else -weighted_gram(X, second, Y))
        blocks.append(row)
    left = np.concatenate(scores) - solved @ at.gradient
    return np.hstack([beside, np.block(blocks) - cross.T @ solved.T]), left


class _Most:
    """The largest of the parts' numbers."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __add__(self, other: _Most) -> _Most:
        return _Most(max(self.number, other.number))
