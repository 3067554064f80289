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
from dataclasses import dataclass

import numpy as np

from interlace_approximations.joint_mode import Joint, JointModeObjective
from interlace_approximations.laplace import Further, Laplace
from interlace_core.contract import Approximation, Array, Evaluation, Problem
from interlace_core.engine import DEFAULT_SETTINGS, Conditional, ModeSettings, layout_of, scatter


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

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the criterion as a function of psi; the mean's coefficients in it are ignored."""
        if not problem.predictors[0].X.shape[1]:
            return Laplace(self.mode).objective(problem)
        return RestrictedObjective(layout_of(problem), self.mode)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the criterion that looks for its first joint mode from a given u."""
        if not problem.predictors[0].X.shape[1]:
            return Laplace(self.mode).objective_from(problem, mode)
        return RestrictedObjective(layout_of(problem), self.mode, mode)


class RestrictedObjective(JointModeObjective):
    """psi -> Evaluation, with log|A| / 2 in the value and beside log|H| / 2 in the gradient.

    With S = H^-1 C, the columns of D = X - Z Lambda S are the moves of eta by beta with u moving
    along. The inverse of the joint curvature is that of H, bordered: leverages are higher by
    `D A^-1 D'`, and in T there is `- Z' W D (S A^-1)'` beside `Z' W Z Lambda H^-1`.
    """

    def _further(self, conditional: Conditional, joint: Joint) -> Further:
        """Return what log|A| / 2 adds."""
        structure, problem = conditional.layout.structure, conditional.layout.problem
        S, X = joint.cross_solved, problem.predictors[0].X
        p = X.shape[1]
        inverse = joint.marginal.solve(np.eye(p))
        moves = {r: np.zeros(X.shape) for r in (0, *structure.random_predictors)}
        moves[0] += X
        for j in range(p):
            for r, along in conditional.push(S[:, j]).items():
                moves[r][:, j] -= along
        leverages = {
            (k, m): (1.0 if k == m else 2.0) * np.einsum("ij,ij->i", D @ inverse, moves[m])
            for k, D in moves.items()
            for m in moves
            if k <= m
        }
        template = [np.zeros_like(T) for T in conditional.T]
        turned = S @ inverse
        for j in range(p):
            curved = {
                r: self._curved(joint, r, {m: D[:, j] for m, D in moves.items()})
                for r in structure.random_predictors
            }
            pairs = zip(scatter(structure, curved), structure.spread(turned[:, j]), strict=True)
            for f, (Zw, part) in enumerate(pairs):
                template[f] += Zw @ part.T
        value = 0.5 * (joint.marginal.logdet - p * np.log(2.0 * np.pi))
        return Further(value, leverages, template)

    @staticmethod
    def _curved(joint: Joint, r: int, moves: dict[int, Array]) -> Array | None:
        """Return the sum over predictors m of l_rm times their moves, shape (n,)."""
        total: Array | None = None
        for m, move in moves.items():
            second = joint.mode.point.derivatives.get(r, m)
            if second is not None:
                total = second * move if total is None else total + second * move
        return total
