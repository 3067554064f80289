"""Coefficients of the mean taken at the joint mode with the random effects: nAGQ=0.

`F(theta, ...) = f(u, beta) + log|H| / 2` at the joint minimum of f in (u, beta): beta is not
moved by log|H|, which makes it a little wrong and the outer problem much smaller (lme4's
nAGQ=0). Fast, for a first look or a start; the log-likelihood is not comparable with Laplace's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_approximations.across_parts import AcrossParts
from interlace_approximations.joint_parts import JointModeOverParts
from interlace_approximations.laplace import Laplace
from interlace_approximations.laplace_slopes import Adjoint, Further, laplace_value_gradient
from interlace_approximations.marginal import Marginal
from interlace_core.contract import Approximation, Array, Evaluation, Problem, Profiled, Status
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    MAX_ROUNDS,
    ROUNDING_LOOKED_AT,
    Conditional,
    Factorisation,
    Layout,
    Mode,
    ModeSettings,
    Point,
    curvature,
    has_across,
    is_converged,
    layout_of,
    lower_mode,
    value_noise,
)


@dataclass(frozen=True)
class JointMode(Approximation):
    """Laplace's approximation with the mean's coefficients at the joint mode.

    Parameters
    ----------
    mode : ModeSettings
        Tolerances of the search for the joint mode.
    """

    name = "joint-mode"
    serves_nAGQ = range(0, 1)
    takes_relations = True

    mode: ModeSettings = DEFAULT_SETTINGS

    def check(self, problem: Problem) -> None:
        """Accept every model."""

    def profiled(self, problem: Problem) -> slice:
        """Return the place of the mean's coefficients; of none where this is Laplace's."""
        return problem.beta_slices()[0] if _moves(problem) else slice(0, 0)

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return that of Laplace's approximation, which moves the mean's coefficients too."""
        return Laplace(self.mode).bounded(problem)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the criterion as a function of psi; the mean's coefficients in it are ignored.

        Laplace's where there is no joint mode: no random effects (exact), or no coefficients.
        """
        if not _moves(problem):
            return Laplace(self.mode).objective(problem)
        return JointModeObjective(layout_of(problem, chains=True), self.mode)

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the criterion at coefficients that all parts together determine."""
        if not _moves(problem):
            return Laplace(self.mode).over_parts(problem)
        if has_across(problem):
            return AcrossParts(problem, self.mode, joint=True)
        return JointModeOverParts(problem, self.mode)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the criterion that looks for its first joint mode from a given u."""
        if not _moves(problem):
            return Laplace(self.mode).objective_from(problem, mode)
        return JointModeObjective(layout_of(problem, chains=True), self.mode, mode)


def _moves(problem: Problem) -> bool:
    """Return whether coefficients and random effects have a joint mode to be taken at."""
    return bool(problem.terms) and problem.predictors[0].X.shape[1] > 0


TOL_UNDETERMINED = 1e-8
"""What directions below the floor may leave to gain: less than what counts as an optimum."""


@dataclass(frozen=True)
class Joint:
    """Everything at one (u, beta).

    Attributes
    ----------
    mode : Mode
        As for Laplace, gradient and step in u.
    cross_solved : ndarray, shape (q, p)
        H^-1 C with C = Lambda' Z' W X.
    marginal : Marginal
        X'WX - C' H^-1 C, factorised.
    gradient, step : ndarray, shape (p,)
        In beta.
    decrement : float
        Twice what f has left to fall, by its curvature; directions that the data do not
        determine left out, where it is not above `TOL_UNDETERMINED`.
    exact : bool
        Whether the curvature is f's own, and not the stand-in that keeps it positive definite.
    """

    mode: Mode
    cross_solved: Array
    marginal: Marginal
    gradient: Array
    step: Array
    decrement: float
    exact: bool


class JointModeObjective:
    """psi -> Evaluation; keeps the last joint mode as the next start."""

    def __init__(self, layout: Layout, settings: ModeSettings, mode: Array | None = None) -> None:
        self.layout = layout
        self._settings = settings
        self._u = np.zeros(layout.structure.q) if mode is None else mode
        self._beta: Array | None = None

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient, mode and the mean's coefficients at the rest of psi."""
        place = self.layout.problem.beta_slices()[0]
        found = self._lowest(psi, psi[place] if self._beta is None else self._beta)
        if found is None:
            return Evaluation(np.inf, np.zeros(psi.size), self._u, Status.MODE_NOT_FOUND)
        conditional, joint, beta = found
        self._u, self._beta = joint.mode.point.u, beta
        value, gradient = laplace_value_gradient(
            conditional,
            joint.mode,
            psi,
            lambda a, c: solve_adjoint(conditional, joint, a, c),
            self._further(conditional, joint),
        )
        gradient[place] = 0.0
        profiled = Profiled(beta, joint.marginal.solve(np.eye(beta.size)))
        finite = np.isfinite(value) and np.all(np.isfinite(gradient))
        status = Status.OK if finite else Status.NOT_FINITE
        return Evaluation(
            value, gradient, joint.mode.point.u, status, joint.mode.iterations, profiled
        )

    def _further(self, conditional: Conditional, joint: Joint) -> Further | None:
        """Return what log|H| / 2 has beside its part in u; here nothing."""
        return None

    def _lowest(self, psi: Array, beta: Array) -> tuple[Conditional, Joint, Array] | None:
        """Return the joint mode, or a lower one where another u is better at the same beta."""
        found = self._search(psi, self._u, beta)
        for _ in range(MAX_ROUNDS):
            if found is None or self.layout.log_concave:
                break
            conditional, joint, beta = found
            lower = lower_mode(conditional, joint.mode, self._settings)
            again = None if lower is None else self._search(psi, lower.point.u, beta)
            if again is None:
                break
            found = again
        return found

    def _search(self, psi: Array, u: Array, beta: Array) -> tuple[Conditional, Joint, Array] | None:
        """Minimise f jointly by damped Newton steps; from u = 0 where u is too far from it."""
        with np.errstate(over="ignore", invalid="ignore"):  # no mode is the answer then
            found = self._search_from(psi, u, beta)
            if found is None and (np.any(u) or self._beta is not None):
                place = self.layout.problem.beta_slices()[0]
                found = self._search_from(psi, np.zeros_like(u), psi[place])
            return found

    def _search_from(
        self, psi: Array, u: Array, beta: Array
    ) -> tuple[Conditional, Joint, Array] | None:
        """Minimise f from (u, beta), by steps of these parts.

        1. The joint Newton step, u eliminated.
        2. Stop where it has nothing to gain, if the curvature is f's own and positive.
        3. Halve it until f falls enough, or by no more than rounding.
        """
        conditional = self._at(psi, beta)
        point = conditional.evaluate(u, 3)
        for iteration in range(1, self._settings.max_iterations + 1):
            # 1. the step
            joint = _measure(conditional, point, iteration)
            if joint is None:
                return None
            decrement = -float(joint.mode.gradient @ joint.mode.step + joint.gradient @ joint.step)
            if not np.isfinite(decrement):
                return None
            # 2. nothing to gain
            tol = self._settings.tol_sq_decrement
            converged = is_converged(conditional, point, joint.decrement, tol)
            if converged and joint.exact and joint.marginal.is_concave:
                return conditional, joint, beta
            # 3. the length
            for halving in range(self._settings.max_halvings):
                length = 0.5**halving
                trial = beta + length * joint.step
                moved = self._at(psi, trial)
                candidate = moved.evaluate(point.u + length * joint.mode.step, 3)
                noise = 1e-12 * (1.0 + abs(point.value))
                if candidate.value <= point.value - 1e-4 * length * decrement + noise:
                    break
                if decrement <= ROUNDING_LOOKED_AT:
                    noise += value_noise(conditional, point)
                    if candidate.value <= point.value + noise:
                        break
            else:
                return None
            conditional, point, beta = moved, candidate, trial
        return None

    def _at(self, psi: Array, beta: Array) -> Conditional:
        psi = psi.copy()
        psi[self.layout.problem.beta_slices()[0]] = beta
        return Conditional(self.layout, psi)


def _measure(conditional: Conditional, point: Point, iteration: int) -> Joint | None:
    """Return the joint Newton step by eliminating u.

    1. Factorise H, or a stand-in that is positive definite.
    2. The Schur complement X'WX - C' H^-1 C is the information about beta.
    3. Its step is solved first, and u's follows from it.
    4. What both have to gain tells how far the joint mode is.
    """
    # 1. curvature in u
    information, factorisation, exact = curvature(conditional, point)
    own, score = point.derivatives.get(0, 0), point.derivatives.get(0)
    if factorisation is None or own is None or score is None:
        return None
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    seconds = {r: point.derivatives.get(r, 0) for r in structure.random_predictors}
    if not exact:  # the stand-in's: the diagonal alone, where it curves the right way
        own = np.minimum(own, 0.0)
        seconds = {r: own if r == 0 else None for r in seconds}
    # 2. curvature in beta
    cross, solved = _cross(conditional, factorisation, seconds)
    information_beta = -(X.T * own) @ X - cross.T @ solved
    if not np.all(np.isfinite(information_beta)):
        return None
    marginal = Marginal(information_beta)
    # 3. steps
    gradient_u, gradient_beta = conditional.gradient(point), -(X.T @ score)
    left = gradient_beta - solved.T @ gradient_u
    step_beta = -marginal.solve(left)
    step_u = -structure.join(factorisation.solve(structure.split(gradient_u)))
    # 4. what is to gain
    decrement = -float(gradient_u @ step_u)
    step_u -= solved @ step_beta
    determined, others = marginal.split(left)
    decrement += determined if others <= TOL_UNDETERMINED else determined + others
    mode = Mode(point, information, factorisation, gradient_u, step_u, iteration)
    return Joint(mode, solved, marginal, gradient_beta, step_beta, decrement, exact)


def _cross(
    conditional: Conditional, factorisation: Factorisation, seconds: dict[int, Array | None]
) -> tuple[Array, Array]:
    """Return C = Lambda' Z' W X and H^-1 C, shape (q, p), from -W of each random predictor."""
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    cross = np.zeros((structure.q, X.shape[1]))
    solved = np.zeros_like(cross)
    for j, x in enumerate(X.T):
        cross[:, j] = conditional.pull(
            {r: None if d is None else -d * x for r, d in seconds.items()}
        )
        solved[:, j] = structure.join(factorisation.solve(structure.split(cross[:, j])))
    return cross, solved


def solve_adjoint(
    conditional: Conditional, joint: Joint, adjoint: Array, c: dict[int, Array]
) -> Adjoint:
    """Solve the joint system for the sensitivity of log|H| / 2 to (u, beta)."""
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    own = X.T @ c[0] if 0 in c else np.zeros(X.shape[1])
    right = own - joint.cross_solved.T @ adjoint
    x = joint.marginal.solve(right)
    v = structure.join(joint.mode.factorisation.solve(structure.split(adjoint)))
    v = v - joint.cross_solved @ x
    moved = conditional.push(v)
    moved[0] = moved[0] + X @ x if 0 in moved else X @ x
    return Adjoint(v, moved, float((0.5 * joint.gradient + own) @ joint.step))
