"""nAGQ=0 over parts of the rows: the coefficients of the joint mode, sought over all parts.

With u at its mode for given beta, f is a function of beta alone, `f*(beta) = min_u f(u, beta)`, a
sum over the parts, with gradient -X'l' and curvature X'WX - C' H^-1 C. Newton's method on it ends
at the joint mode, each step a question to the parts; its last answers hold all that the value and
the adjoint of beta need, and one more question is the gradient.
"""

from __future__ import annotations

import numpy as np

from interlace_approximations.further import further_of
from interlace_approximations.laplace_slopes import (
    Adjoint,
    Further,
    laplace_value_gradient,
    predictor_pullback,
)
from interlace_approximations.marginal import Marginal
from interlace_core.contract import Array, Evaluation, Problem, Profiled, Status, Sums
from interlace_core.engine import (
    LARGE,
    Conditional,
    Mode,
    ModeMemory,
    ModeSettings,
    layout_of,
    lowest_mode,
)

LOST = np.inf
"""Value of a part without a mode."""


class JointModeOverParts:
    """psi -> Evaluation; begins at the coefficients of the last one.

    Parameters
    ----------
    problem : Problem
    settings : ModeSettings
    """

    def __init__(self, problem: Problem, settings: ModeSettings) -> None:
        assert problem.parts is not None
        self._parts, self._settings = problem.parts, settings
        self._place = problem.beta_slices()[0]
        self._beta: Array | None = None

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and the mean's coefficients at the rest of psi."""
        nothing, gradient = np.zeros(0), np.zeros(psi.size)
        found = self._search(psi, psi[self._place] if self._beta is None else self._beta)
        if found is None and self._beta is not None:
            found = self._search(psi, psi[self._place])
        if found is None:
            return Evaluation(np.inf, gradient, nothing, Status.MODE_NOT_FOUND)
        beta, marginal, step, answer, rounds = found
        self._beta = beta
        value, gradient = self._value_gradient(self._with(psi, beta), marginal, step, answer)
        gradient[self._place] = 0.0
        finite = np.isfinite(value) and np.all(np.isfinite(gradient))
        status = Status.OK if finite else Status.NOT_FINITE
        profiled = Profiled(beta, marginal.solve(np.eye(beta.size)))
        return Evaluation(value, gradient, nothing, status, rounds, profiled)

    def _value_gradient(
        self, psi: Array, marginal: Marginal, step: Array, answer: Sums
    ) -> tuple[float, Array]:
        """Return value and gradient at the joint mode."""
        _, value, left, _, right = answer
        gradient = self._parts.total(_gradient, self._settings, psi, marginal.solve(right))
        return value + float((0.5 * left + right) @ step), gradient

    def _search(self, psi: Array, beta: Array) -> tuple[Array, Marginal, Array, Sums, int] | None:
        """Minimise f* from beta by damped Newton steps."""
        answer = self._ask(psi, beta)
        for rounds in range(1, self._settings.max_iterations + 1):
            value, _, left, information, _ = answer
            if not (np.isfinite(value) and np.all(np.isfinite(information))):
                return None
            marginal = Marginal(information)
            step = -marginal.solve(left)
            decrement = -float(left @ step)
            if decrement <= self._settings.tol_sq_decrement * (100.0 + 1e-3 * abs(value)):
                return (beta, marginal, step, answer, rounds) if marginal.is_concave else None
            for halving in range(self._settings.max_halvings):
                length = 0.5**halving
                moved = self._ask(psi, beta + length * step)
                allowed = 1e-12 * (1.0 + abs(value)) - 1e-4 * length * decrement
                if next(iter(moved)) <= value + allowed:
                    break
            else:
                return None
            beta, answer = beta + length * step, moved
        return None

    def _ask(self, psi: Array, beta: Array) -> Sums:
        found: Sums = self._parts.total(_share, self._settings, self._with(psi, beta))
        return found

    def _with(self, psi: Array, beta: Array) -> Array:
        psi = psi.copy()
        psi[self._place] = beta
        return psi


def _share(problem: Problem, settings: ModeSettings, psi: Array) -> Sums:
    """Return f, f + log|H| / 2, the gradient and curvature of f*, and the sensitivity to beta.

    The last is d(log|H| / 2)/dbeta with u moving along.
    """
    p = problem.predictors[0].X.shape[1]
    found = _mode(problem, settings, psi)
    if found is None:
        return Sums(LOST, 0.0, np.zeros(p), np.zeros((p, p)), np.zeros(p))
    conditional, mode = found
    layout = conditional.layout
    structure, X = layout.structure, layout.problem.predictors[0].X
    derivatives = mode.point.derivatives
    own, score = derivatives.get(0, 0), derivatives.get(0)
    if own is None or score is None:
        return Sums(LOST, 0.0, np.zeros(p), np.zeros((p, p)), np.zeros(p))
    solved, cross = _cross_solved(conditional, mode)
    c = predictor_pullback(conditional, mode, mode.factorisation.selected_inverse())
    sensitivity = conditional.pull({r: c.get(r) for r in structure.random_predictors})
    value = mode.point.value + 0.5 * mode.factorisation.logdet
    value += float((0.5 * mode.gradient + sensitivity) @ mode.step)
    left = -(X.T @ score) - solved.T @ mode.gradient
    right = (X.T @ c[0] if 0 in c else np.zeros(p)) - solved.T @ sensitivity
    return Sums(mode.point.value, value, left, -(X.T * own) @ X - cross.T @ solved, right)


def _gradient(
    problem: Problem, settings: ModeSettings, psi: Array, x: Array, inverse: Array | None = None
) -> Array:
    """Return the derivatives of the value, shape (n_psi,), with x the adjoint of beta.

    Of the restricted criterion where the inverse of the information about beta is given.
    """
    found = _mode(problem, settings, psi)
    if found is None:
        return np.full(psi.size, np.nan)
    conditional, mode = found
    further = None if inverse is None else _further(conditional, mode, inverse)
    structure = conditional.layout.structure
    X = conditional.layout.problem.predictors[0].X

    def solve_adjoint(sensitivity: Array, c: dict[int, Array]) -> Adjoint:
        solved, _ = _cross_solved(conditional, mode)
        v = structure.join(mode.factorisation.solve(structure.split(sensitivity))) - solved @ x
        moved = conditional.push(v)
        moved[0] = moved[0] + X @ x if 0 in moved else X @ x
        return Adjoint(v, moved)

    return laplace_value_gradient(conditional, mode, psi, solve_adjoint, further)[1]


class RestrictedOverParts(JointModeOverParts):
    """The same with beta integrated out: log|A| / 2 of the information of all parts beside it.

    What that moves by with a row is a question of its own, for which A has to be known.
    """

    def _value_gradient(
        self, psi: Array, marginal: Marginal, step: Array, answer: Sums
    ) -> tuple[float, Array]:
        """Return value and gradient at the joint mode."""
        p = step.size
        inverse, left = marginal.solve(np.eye(p)), answer.values[2]
        value, right = self._parts.total(_restricted_share, self._settings, psi, inverse)
        value += 0.5 * (marginal.logdet - p * np.log(2.0 * np.pi))
        value += float((0.5 * left + right) @ step)
        x = marginal.solve(right)
        return value, self._parts.total(_gradient, self._settings, psi, x, inverse)


def _restricted_share(problem: Problem, settings: ModeSettings, psi: Array, inverse: Array) -> Sums:
    """Return f + log|H| / 2, and what that and log|A| / 2 move by with beta, u moving along."""
    found = _mode(problem, settings, psi)
    if found is None:
        return Sums(np.nan, np.zeros(len(inverse)))
    conditional, mode = found
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    further = _further(conditional, mode, inverse)
    c = predictor_pullback(
        conditional, mode, mode.factorisation.selected_inverse(), further.leverages
    )
    sensitivity = conditional.pull({r: c.get(r) for r in structure.random_predictors})
    value = mode.point.value + 0.5 * mode.factorisation.logdet
    value += float((0.5 * mode.gradient + sensitivity) @ mode.step)
    solved, _ = _cross_solved(conditional, mode)
    return Sums(value, (X.T @ c[0] if 0 in c else np.zeros(len(inverse))) - solved.T @ sensitivity)


def _further(conditional: Conditional, mode: Mode, inverse: Array) -> Further:
    return further_of(conditional, mode, _cross_solved(conditional, mode)[0], inverse)


def _cross_solved(conditional: Conditional, mode: Mode) -> tuple[Array, Array]:
    """Return H^-1 C and C = Lambda' Z' W X, each shape (q, p)."""
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    seconds = {r: mode.point.derivatives.get(r, 0) for r in structure.random_predictors}
    cross = np.zeros((structure.q, X.shape[1]))
    solved = np.zeros_like(cross)
    for j, x in enumerate(X.T):
        cross[:, j] = conditional.pull(
            {r: None if d is None else -d * x for r, d in seconds.items()}
        )
        solved[:, j] = structure.join(mode.factorisation.solve(structure.split(cross[:, j])))
    return solved, cross


def _mode(problem: Problem, settings: ModeSettings, psi: Array) -> tuple[Conditional, Mode] | None:
    """Return f at psi and its mode; the last one, if that was there."""
    layout = layout_of(problem)
    kept = problem.cache.setdefault(LARGE, {})
    first = problem.cache.get(_mode)
    memory: ModeMemory = kept.setdefault(ModeMemory, ModeMemory(layout.structure.q, first))
    known = kept.get(_mode)
    if known is not None and np.array_equal(known[0], psi):
        last: tuple[Conditional, Mode] | None = known[1]
        return last
    conditional = Conditional(layout, psi)
    mode = lowest_mode(conditional, memory.predict(conditional), settings, memory)
    found = None if mode is None else (conditional, mode)
    if mode is not None:
        memory.remember(conditional, mode)
        problem.cache[_mode] = mode.point.u
    kept[_mode] = psi.copy(), found
    return found
