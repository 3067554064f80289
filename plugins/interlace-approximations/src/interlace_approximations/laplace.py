"""Laplace's approximation for any number of random-effects terms, with its exact gradient.

`F(psi) = f(u) + log|H| / 2` at the conditional mode u, with H the observed information: the
true Laplace approximation. The formula and its gradient are in `laplace_slopes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from interlace_approximations.across_parts import AcrossParts
from interlace_approximations.laplace_bounded import bounded_value_gradient
from interlace_approximations.laplace_slopes import Adjoint, laplace_value_gradient
from interlace_core.contract import Approximation, Array, Evaluation, Problem, Status
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    Conditional,
    Layout,
    LevelRun,
    Mode,
    ModeMemory,
    ModeSettings,
    compiled_objective,
    conditional_at,
    has_across,
    layout_of,
    level_runs,
    lowest_mode,
    summed,
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
    serves_nAGQ: ClassVar[range | None] = range(1, 2)
    takes_relations = True

    mode: ModeSettings = DEFAULT_SETTINGS

    def check(self, problem: Problem) -> None:
        """Accept every model."""

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return the same formula, with the curvature alone that rows have by themselves."""
        return BoundedLaplace(self.mode)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative approximate log-likelihood as a function of psi."""
        return self._objective(problem, None)

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the sum of the parts' objectives, that of what they share beside it."""
        if has_across(problem):
            return AcrossParts(problem, self.mode)
        return summed(self, problem)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the objective that looks for its first mode from a given one."""
        return self._objective(problem, mode)

    def _objective(self, problem: Problem, mode: Array | None) -> Callable[[Array], Evaluation]:
        return compiled_objective(
            self.name,
            problem,
            self.mode,
            mode,
            lambda: laplace_objective(layout_of(problem, chains=True), self.mode, mode),
        )

    def at_mode(
        self,
        conditional: Conditional,
        mode: Mode,
        psi: Array,
        solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
    ) -> tuple[float, Array]:
        """Return value and gradient, which depend on the mode alone."""
        return laplace_value_gradient(conditional, mode, psi, solve_adjoint)


@dataclass(frozen=True)
class BoundedLaplace(Laplace):
    """Laplace's formula, bounded where a group all but loses its mode; see `laplace_bounded`."""

    name = "laplace-bounded"
    serves_nAGQ = None

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return nothing: it is bounded."""
        return None

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the sum of the parts' objectives; parts that share random effects are refused."""
        return summed(self, problem)

    def _objective(self, problem: Problem, mode: Array | None) -> Callable[[Array], Evaluation]:
        layout = layout_of(problem, chains=True)
        return LaplaceObjective(layout, self.mode, mode, bounded_value_gradient)

    def at_mode(
        self,
        conditional: Conditional,
        mode: Mode,
        psi: Array,
        solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
    ) -> tuple[float, Array]:
        """Return value and gradient, which depend on the mode alone."""
        return bounded_value_gradient(conditional, mode, psi, solve_adjoint)


Formula = Callable[[Conditional, Mode, Array], tuple[float, Array]]
"""From f at psi, its mode and psi to value and gradient."""


def laplace_objective(
    layout: Layout, settings: ModeSettings, mode: Array | None = None
) -> Callable[[Array], Evaluation]:
    """Return psi -> Evaluation, run by run where rows are many and levels share nothing."""
    runs = level_runs(layout)
    if not runs:
        return LaplaceObjective(layout, settings, mode)
    return LaplaceOverRuns(layout, runs, settings, mode)


class LaplaceOverRuns:
    """psi -> Evaluation of the levels of one factor, the sum over runs of them."""

    def __init__(
        self,
        layout: Layout,
        runs: list[LevelRun],
        settings: ModeSettings,
        mode: Array | None = None,
    ) -> None:
        (factor,) = layout.structure.factors
        self._shape, self._levels = factor.shape, [each.levels for each in runs]
        u = None if mode is None else mode.reshape(self._shape)
        self._objectives = [
            LaplaceObjective(
                each.layout, settings, None if u is None else u[:, each.levels].ravel()
            )
            for each in runs
        ]

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi; the first that some run has not."""
        u, value, gradient, steps = np.zeros(self._shape), 0.0, np.zeros(psi.size), 0
        for objective, levels in zip(self._objectives, self._levels, strict=True):
            found = objective(psi)
            if found.status is not Status.OK:
                return replace(found, mode=u.ravel())
            u[:, levels] = found.mode.reshape(len(u), -1)
            value, gradient = value + found.value, gradient + found.gradient
            steps = max(steps, found.inner_iterations)
        return Evaluation(value, gradient, u.ravel(), Status.OK, steps)


class LaplaceObjective:
    """psi -> Evaluation; the last mode tells where the next search starts."""

    def __init__(
        self,
        layout: Layout,
        settings: ModeSettings,
        mode: Array | None = None,
        formula: Formula = laplace_value_gradient,
    ) -> None:
        self.layout = layout
        self._settings, self._formula = settings, formula
        self._memory = ModeMemory(layout.structure.q, mode)

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi."""
        conditional = conditional_at(self.layout, psi)
        start = self._memory.predict(conditional)
        mode = lowest_mode(conditional, start, self._settings, self._memory)
        if mode is None:
            return Evaluation(np.inf, np.zeros(psi.size), start, Status.MODE_NOT_FOUND)
        self._memory.remember(conditional, mode)
        value, gradient = self._formula(conditional, mode, psi)
        status = Status.OK if np.all(np.isfinite(gradient)) else Status.NOT_FINITE
        return Evaluation(value, gradient, mode.point.u, status, mode.iterations)
