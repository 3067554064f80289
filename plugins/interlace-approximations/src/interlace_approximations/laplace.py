"""Laplace's approximation for any number of random-effects terms, with its exact gradient.

`F(psi) = f(u) + log|H| / 2` at the conditional mode u, with H the observed information: the
true Laplace approximation. The gradient takes one adjoint solve for the whole of psi (implicit
differentiation of the mode; see Kristensen et al. 2016, section 2, for the same quantities by
automatic differentiation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_approximations.laplace_gradient import (
    effective_score,
    predictor_pullback,
    template_pullback,
)
from interlace_core.contract import Approximation, Array, Evaluation, Problem, Status
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    Conditional,
    Layout,
    Mode,
    ModeMemory,
    ModeSettings,
    layout_of,
    lowest_mode,
    scatter,
)


@dataclass(frozen=True)
class Laplace(Approximation):
    """Laplace's approximation.

    Parameters
    ----------
    mode : ModeSettings
        Tolerances of the search for the conditional mode.
    """

    name = "laplace"
    serves_nAGQ = range(1, 2)
    takes_relations = True

    mode: ModeSettings = DEFAULT_SETTINGS

    def check(self, problem: Problem) -> None:
        """Accept every model."""

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative approximate log-likelihood as a function of psi."""
        return LaplaceObjective(layout_of(problem), self.mode)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the objective that looks for its first mode from a given one."""
        return LaplaceObjective(layout_of(problem), self.mode, mode)

    def at_mode(
        self,
        conditional: Conditional,
        mode: Mode,
        psi: Array,
        solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
    ) -> tuple[float, Array]:
        """Return value and gradient, which depend on the mode alone."""
        return laplace_value_gradient(conditional, mode, psi, solve_adjoint)


class LaplaceObjective:
    """psi -> Evaluation; the last mode tells where the next search starts."""

    def __init__(self, layout: Layout, settings: ModeSettings, mode: Array | None = None) -> None:
        self.layout = layout
        self._settings = settings
        self._memory = ModeMemory(layout.structure.q, mode)

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi."""
        conditional = Conditional(self.layout, psi)
        start = self._memory.predict(conditional)
        mode = lowest_mode(conditional, start, self._settings, self._memory)
        if mode is None:
            return Evaluation(np.inf, np.zeros(psi.size), start, Status.MODE_NOT_FOUND)
        self._memory.remember(conditional, mode)
        value, gradient = laplace_value_gradient(conditional, mode, psi)
        status = Status.OK if np.all(np.isfinite(gradient)) else Status.NOT_FINITE
        return Evaluation(value, gradient, mode.point.u, status, mode.iterations)


@dataclass(frozen=True)
class Adjoint:
    """The solution of the adjoint system.

    Attributes
    ----------
    v : ndarray, shape (q,)
        H^-1 times the sensitivity of log|H| / 2 to u.
    moved : dict from predictor to ndarray, shape (n,)
        Z Lambda v, for the predictors that the inner variables move.
    undone : float
        What an undone step in inner variables other than u still changes the value by.
    """

    v: Array
    moved: dict[int, Array]
    undone: float = 0.0


def laplace_value_gradient(
    conditional: Conditional,
    mode: Mode,
    psi: Array,
    solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
) -> tuple[float, Array]:
    """Return F and dF/dpsi, shape (n_psi,), at the conditional mode.

    F is stationary in u for f but not for log|H|: the Newton step that the search left undone
    is accounted for to first order, so that the error in F is quadratic in the error of u.

    Parameters
    ----------
    conditional, mode
        f at psi, and its mode.
    psi : ndarray, shape (n_psi,)
    solve_adjoint : callable, optional
        From the sensitivities of log|H| / 2 to u and to the predictors to the adjoint
        solution; by default u alone is determined by the mode.
    """
    layout = conditional.layout
    problem, structure = layout.problem, layout.structure
    derivatives, random = mode.point.derivatives, structure.random_predictors
    inverse = mode.factorisation.selected_inverse()
    c = predictor_pullback(conditional, mode, inverse)
    sensitivity = conditional.pull({r: c.get(r) for r in random})
    value = (
        mode.point.value
        + 0.5 * mode.factorisation.logdet
        + float((0.5 * mode.gradient + sensitivity) @ mode.step)
    )
    if solve_adjoint is None:
        v = structure.join(mode.factorisation.solve(structure.split(sensitivity)))
        adjoint = Adjoint(v, conditional.push(v))
    else:
        adjoint = solve_adjoint(sensitivity, c)
        value += adjoint.undone
    scores = {
        k: effective_score(derivatives, c, adjoint.moved, k, problem.n) for k in problem.active()
    }
    gradient = np.empty(psi.size)
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        if predictor.X.shape[1]:
            gradient[place] = predictor.X.T @ scores[k]
    dT = template_pullback(conditional, mode, inverse)
    Zs = scatter(structure, {r: scores[r] for r in random})
    Zl = scatter(structure, {r: derivatives.get(r) for r in random})
    u_parts, v_parts = structure.spread(mode.point.u), structure.spread(adjoint.v)
    for f, (u, v_part) in enumerate(zip(u_parts, v_parts, strict=True)):
        dT[f] += Zs[f] @ u.T + Zl[f] @ v_part.T
    gradient[: problem.n_theta] = layout.template_pullback(psi, dT)
    return value, gradient
