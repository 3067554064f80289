"""Random effects that all parts of the rows share: their mode, and what parts have of it.

The effects u_g of a part's own groups are determined by those of the factors that run across all
parts, u_h, and the coefficients. With `f_p(u_h) = min over u_g` of a part's joint density,

    f(u_h) = sum_p f_p(u_h) + |u_h|^2 / 2 ,

whose gradient and curvature are sums of the parts' own, u_g eliminated. Newton's method on it takes
one question to all parts a step. Coefficients that are taken at the joint mode are sought beside
u_h: x = (u_h, beta).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from interlace_core.contract.parts import Parts, Sums
from interlace_core.contract.problem import Problem
from interlace_core.engine.elimination.across import pack, unpack
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.gram import weighted_gram
from interlace_core.engine.joint_density import Conditional, scaled, scatter
from interlace_core.engine.known import Known, has_across
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import DEFAULT_SETTINGS, Mode, ModeMemory, ModeSettings
from interlace_core.engine.other_modes import lowest_mode
from interlace_core.engine.shares import LARGE, OWN
from interlace_core.records import Array

LOST = np.inf
"""Value of a part without a mode."""

SHARPEST = 1e-20
"""Squared decrement, per unit of the value, that rounding leaves of a sum over parts."""


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

    def reduce(self, x: Array) -> Array:
        """Return x_h - C' D^-1 x_g, shape (m,), from shape (q,)."""
        return self.eliminated.reduce(self.conditional.layout.structure.split(x))

    def solve(self, x: Array) -> Array:
        """Return D^-1 x_g, shape (q,), 0 in the effects that all parts share."""
        structure = self.conditional.layout.structure
        return structure.join(self.eliminated.solve(structure.split(x)))

    def solve_each(self, columns: Array, across: Array) -> Array:
        """Return H^-1 times columns, shape (q, p), of which what all parts share is known."""
        split, join = self.conditional.layout.structure.split, self.conditional.layout.structure.join
        solved = [
            join(self.eliminated.solve(split(column), x))
            for column, x in zip(columns.T, across.T, strict=True)
        ]
        return np.array(solved).reshape(-1, len(columns)).T

    def mode(self, root: Array) -> Mode:
        """Return the mode of the part's rows, its factorisation that of all parts.

        The step is that of the part's own effects, those of all parts held.

        Parameters
        ----------
        root : ndarray, shape (m (m + 1) / 2,)
            See `Known`.
        """
        return Mode(
            self.point,
            self.information,
            self.eliminated.completed(unpack(root)),
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
    return Sums(at.point.value, gradient, at.eliminated.complement, below, _Most(at.iterations))


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


@dataclass(frozen=True)
class Found:
    """The mode of what all parts share.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
        With the coefficients that were sought.
    u : ndarray, shape (m,)
    value : float
        f there.
    gradient, step : ndarray, shape (m + p,)
        Of x, and the Newton step that it calls for.
    curvature : ndarray, shape (m + p, m + p)
        Of f in x.
    root : ndarray, shape (m (m + 1) / 2,)
        Of S, see `Known`.
    logdet : float
        log|S|.
    iterations : int
    """

    psi: Array
    u: Array
    value: float
    gradient: Array
    step: Array
    curvature: Curvature
    root: Array
    logdet: float
    iterations: int

    @property
    def known(self) -> Known:
        """What parts are told of it."""
        return Known(self.psi, self.u, self.root)


class Curvature:
    """A symmetric positive definite matrix, factorised.

    Parameters
    ----------
    lower : ndarray, shape (m, m)
        Its lower triangle.

    Raises
    ------
    NotPositiveDefiniteError
    """

    def __init__(self, lower: Array) -> None:
        root, info = lapack.dpotrf(lower.T, lower=0, clean=1)
        self.root = np.asarray(root).T
        with np.errstate(invalid="ignore", divide="ignore"):
            self.logdet = 2.0 * float(np.sum(np.log(np.diagonal(self.root))))
        if info != 0 or not np.isfinite(self.logdet):
            raise NotPositiveDefiniteError("the curvature over all parts")

    def solve(self, x: Array) -> Array:
        """Return the inverse times x, shape (m,) or (m, k)."""
        solution, _ = lapack.dpotrs(self.root.T, x, lower=0)
        return np.asarray(solution).reshape(x.shape)

    def inverse_after(self, m: int) -> Array:
        """Return the inverse in all rows but the first m."""
        after = self.root[m:, m:]
        inverse = solve_triangular(after, np.eye(len(after)), lower=True)
        return np.asarray(inverse.T @ inverse)

    def regression(self, m: int) -> Array:
        """Return the inverse of the first m rows' own block times what is beside it."""
        return np.asarray(solve_triangular(self.root[:m, :m].T, self.root[m:, :m].T))

    def corner(self, m: int) -> tuple[Array, float]:
        """Return the factor of the first m rows, packed, and their log-determinant."""
        root = self.root[:m, :m]
        return pack(root), 2.0 * float(np.sum(np.log(np.diagonal(root))))


DAMPING = 1e-3
"""First share of the diagonal that is added where the curvature is not positive definite."""


class AcrossSearch:
    """Finds the mode of what all parts share; where the last one was says where to begin.

    Parameters
    ----------
    parts : Parts
    problem : Problem
        The outline.
    settings : ModeSettings
    predictors : tuple of int
        Those whose coefficients are sought beside.
    """

    def __init__(
        self,
        problem: Problem,
        settings: ModeSettings = DEFAULT_SETTINGS,
        predictors: tuple[int, ...] = (),
    ) -> None:
        assert problem.parts is not None
        self.parts: Parts = problem.parts
        self.settings, self.predictors = settings, predictors
        self.m = sum(term.n_effects for term in problem.terms if term.across)
        places = problem.beta_slices()
        self.place = np.concatenate(
            [np.zeros(0, dtype=np.intp), *(np.r_[places[k]] for k in predictors)]
        ).astype(np.intp)
        self._last: tuple[Array, Array] | None = None
        self._slopes: Array | None = None

    def __call__(self, psi: Array) -> Found | None:
        """Return the mode at psi, whose entries of the sought coefficients are a start alone."""
        zero = np.concatenate([np.zeros(self.m), psi[self.place]])
        start = self._start(psi, zero)
        found = self._search(psi, start)
        if found is None and not np.array_equal(start, zero):
            found = self._search(psi, zero)
        if found is not None:
            self._last = found.psi, np.concatenate([found.u, found.psi[self.place]])
            self._slopes = None
        return found

    def learn(self, slopes: Array) -> None:
        """Keep how x moves with psi at the last mode, shape (m + p, n_psi): for the next start."""
        self._slopes = slopes

    def _start(self, psi: Array, zero: Array) -> Array:
        if self._last is None:
            return zero
        there, x = self._last
        if self._slopes is None:
            return x
        apart = psi - there
        apart[self.place] = 0.0
        return np.asarray(x + self._slopes @ apart)

    def _search(self, psi: Array, x: Array) -> Found | None:
        """Minimise f from x by damped Newton steps."""
        here = self._ask(psi, x)
        for rounds in range(1, self.settings.max_iterations + 1):
            value, gradient, _, _, most = here
            if not np.isfinite(value):
                return None
            try:
                curvature, exact = self._factorised(here)
            except NotPositiveDefiniteError:
                return None
            step = -curvature.solve(gradient)
            decrement = -float(gradient @ step)
            if not np.isfinite(decrement):
                return None
            tol = self.settings.tol_sq_decrement + SHARPEST * abs(value)
            if exact and decrement <= tol:
                root, logdet = curvature.corner(self.m)
                return Found(
                    self._with(psi, x), x[: self.m].copy(), value, gradient, step, curvature,
                    root, logdet, rounds + most.number,
                )  # fmt: skip
            for halving in range(self.settings.max_halvings):
                length = 0.5**halving
                moved = self._ask(psi, x + length * step)
                allowed = 1e-12 * (1.0 + abs(value)) - 1e-4 * length * decrement
                if next(iter(moved)) <= value + allowed:
                    break
            else:
                return None
            x, here = x + length * step, moved
        return None

    def _ask(self, psi: Array, x: Array) -> Sums:
        """Return f, its gradient and its curvature at x, over all parts."""
        u = x[: self.m]
        value, gradient, S, below, most = self.parts.total(
            reduced, self.settings, self._with(psi, x), u, self.predictors
        )
        gradient = gradient.copy()
        gradient[: self.m] += u
        return Sums(value + 0.5 * float(u @ u), gradient, S, below, most)

    def _factorised(self, here: Sums) -> tuple[Curvature, bool]:
        """Return the curvature, damped where it is not positive definite, and whether it is not."""
        _, _, S, below, _ = here
        size = self.m + len(below)
        lower = np.zeros((size, size))
        lower[: self.m, : self.m] = unpack(S)
        lower[self.m :] = below
        diagonal = np.arange(size)
        lower[diagonal[: self.m], diagonal[: self.m]] += 1.0
        try:
            return Curvature(lower), True
        except NotPositiveDefiniteError:
            damping, own = DAMPING, np.abs(np.diagonal(lower)) + 1.0
        while damping < 1e12:
            damped = lower.copy()
            damped[diagonal, diagonal] += damping * own
            try:
                return Curvature(damped), False
            except NotPositiveDefiniteError:
                damping *= 10.0
        raise NotPositiveDefiniteError("the curvature over all parts")

    def _with(self, psi: Array, x: Array) -> Array:
        psi = psi.copy()
        psi[self.place] = x[self.m :]
        return psi


def known_of(problem: Problem, psi: Array) -> Known | None:
    """Return where the random effects of all parts are at psi; None if they have no mode.

    Parameters
    ----------
    problem : Problem
        In parts, some of whose factors run across them.
    psi : ndarray, shape (n_psi,)
    """
    last: Known | None = problem.cache.get(Known)
    if last is None or not np.array_equal(last.psi, psi):
        search = AcrossSearch(problem)
        if last is not None:
            search._last = last.psi, last.u
        found = search(psi)
        last = None if found is None else found.known
        if last is not None:
            problem.cache[Known] = last
    return last


def knowing(problem: Problem, psi: Array) -> Problem:
    """Return a problem whose parts know the random effects that they share at psi.

    The problem itself where they share none, or where those have no mode.
    """
    if problem.parts is None or not has_across(problem):
        return problem
    known = known_of(problem, psi)
    if known is None:
        return problem
    return replace(problem, parts=problem.parts.changed(known))
