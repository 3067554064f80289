"""Restricted maximum likelihood of any family: the mean's coefficients are integrated out too.

With a flat prior on beta, both integrals by Laplace at the joint mode of (u, beta), which is
glmmTMB's definition:

    F(theta, ...) = f(u, beta) + log|H| / 2 + log|A| / 2 - p log(2 pi) / 2

with A = X'WX - C'H^-1 C the information about beta, u eliminated. Exact for normal responses, where
it is the restricted likelihood of linear mixed models. Coefficients of further predictors stay
parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from interlace_approximations.across_parts import AcrossParts
from interlace_approximations.further import further_of
from interlace_approximations.joint_mode import Joint, JointModeObjective
from interlace_approximations.joint_parts import RestrictedOverParts
from interlace_approximations.laplace import Laplace
from interlace_approximations.laplace_slopes import Further
from interlace_core.contract import Approximation, Array, Evaluation, Problem
from interlace_core.engine import DEFAULT_SETTINGS, Conditional, ModeSettings, has_across, layout_of


@dataclass(frozen=True)
class RestrictedLaplace(Approximation):
    """Laplace's approximation with the mean's coefficients integrated out.

    Parameters
    ----------
    mode : ModeSettings
        Tolerances of the search for the joint mode.
    """

    name = "laplace-reml"
    takes_relations = True

    mode: ModeSettings = DEFAULT_SETTINGS

    def check(self, problem: Problem) -> None:
        """Accept every model."""

    def profiled(self, problem: Problem) -> slice:
        """Return the place of the mean's coefficients, which are those of the joint mode."""
        return problem.beta_slices()[0]

    def restricted_volume(self, problem: Problem) -> slice:
        """Return the same place: they are integrated out."""
        return problem.beta_slices()[0]

    def unrestricted(self) -> Approximation:
        """Return Laplace's approximation of the likelihood."""
        return Laplace(self.mode)

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return that of the likelihood, whose maximum is near the restricted one's."""
        return self.unrestricted().bounded(problem)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the criterion as a function of psi; the mean's coefficients in it are ignored."""
        if not problem.predictors[0].X.shape[1]:
            return Laplace(self.mode).objective(problem)
        return RestrictedObjective(layout_of(problem), self.mode)

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the criterion with the coefficients of all parts together integrated out."""
        if not problem.predictors[0].X.shape[1]:
            return Laplace(self.mode).over_parts(problem)
        if has_across(problem):
            return AcrossParts(problem, self.mode, joint=True, restricted=True)
        return RestrictedOverParts(problem, self.mode)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the criterion that looks for its first joint mode from a given u."""
        if not problem.predictors[0].X.shape[1]:
            return Laplace(self.mode).objective_from(problem, mode)
        return RestrictedObjective(layout_of(problem), self.mode, mode)


class RestrictedObjective(JointModeObjective):
    """psi -> Evaluation, with log|A| / 2 in the value and beside log|H| / 2 in the gradient."""

    def _further(self, conditional: Conditional, joint: Joint) -> Further:
        """Return what log|A| / 2 adds."""
        p = conditional.layout.problem.predictors[0].X.shape[1]
        inverse = joint.marginal.solve(np.eye(p))
        found = further_of(conditional, joint.mode, joint.cross_solved, inverse)
        return replace(found, value=0.5 * (joint.marginal.logdet - p * np.log(2.0 * np.pi)))
