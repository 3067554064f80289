"""The mode of the random effects that all parts of the rows share, by sums over the parts.

Newton's method on f(u_h), see `interlace_core.engine.across`: one question to all parts a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from interlace_core.contract.parts import Sums
from interlace_core.contract.problem import Problem
from interlace_core.engine.across import reduced
from interlace_core.engine.elimination.across import pack, unpack
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.known import Known, has_across
from interlace_core.engine.mode import DEFAULT_SETTINGS, ModeSettings
from interlace_core.records import Array

SMALL = 1e-12
"""Squared decrement from which steps that no longer divide it by 4 have met with rounding."""


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
    inverse : ndarray, shape (m (m + 1) / 2,)
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
    inverse: Array
    logdet: float
    iterations: int

    @property
    def known(self) -> Known:
        """What parts are told of it."""
        return Known(self.psi, self.u, self.inverse)


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
        """Return the inverse of the first m rows alone, packed, and their log-determinant."""
        root = self.root[:m, :m]
        upper, _ = lapack.dpotri(root.T, lower=0)
        return pack(np.asarray(upper).T), 2.0 * float(np.sum(np.log(np.diagonal(root))))


DAMPING = 1e-3
"""First share of the diagonal that is added where the curvature is not positive definite."""


class AcrossSearch:
    """Finds the mode of what all parts share; where the last one was says where to begin.

    Parameters
    ----------
    problem : Problem
        In parts, some of whose factors run across them.
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
        self._problem, self.parts = problem, problem.parts
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
            if self.settings.tol_sq_decrement <= DEFAULT_SETTINGS.tol_sq_decrement:
                self._problem.cache[Known] = found.known
            self._slopes = None
        return found

    def begin_at(self, last: Known) -> None:
        """Begin where they were at some psi."""
        self._last = last.psi, last.u

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
        here, last = self._ask(psi, x), np.inf
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
            rounding = decrement <= SMALL and decrement > 0.25 * last
            if exact and (decrement <= self.settings.tol_sq_decrement or rounding):
                inverse, logdet = curvature.corner(self.m)
                return Found(
                    self._with(psi, x), x[: self.m].copy(), value, gradient, step, curvature,
                    inverse, logdet, rounds + most.number,
                )  # fmt: skip
            for halving in range(self.settings.max_halvings):
                length = 0.5**halving
                moved = self._ask(psi, x + length * step)
                allowed = 1e-12 * (1.0 + abs(value)) - 1e-4 * length * decrement
                if next(iter(moved)) <= value + allowed:
                    break
            else:
                return None
            x, here, last = x + length * step, moved, decrement
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
            search.begin_at(last)
        found = search(psi)
        return None if found is None else found.known
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
