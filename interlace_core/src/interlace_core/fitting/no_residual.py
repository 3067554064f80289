"""A residual that goes to 0 because effects reach every row by itself, as at times or places.

The likelihood of a linear model then has a limit as sigma goes to 0: with the degrees of freedom
that the residual has, `d = sigma^2 tr(V^-1 W^-1)`, and `q = e'We / sigma^2` of what effects leave,

    d(-log L) / d log sigma = d - q ,   both of them proportional to sigma^2 near the limit.

On the way there slope and curvature in log sigma become rounding, and so would all that rests on
them: where a search ends, and the standard errors of the others. So sigma is held where `q` is next
to nothing, the same place in any unit of the response, and counts as not determined.
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.optimum import Search
from interlace_core.records import Array, Evaluation

GONE = 1e-2
"""Degrees of freedom of the residual, and its sum of squares in units of sigma, below which it is
on its way to 0: no more than half of it is left to gain."""

HELD = 3e-4
"""Sum of squares, in units of sigma, at which it is held: products lose 7 of 16 digits there, and
the log-likelihood is that of the limit to half of this."""

NEXT_TO_HELD = 2e-3
"""Relative difference from it that is as good: a ten-millionth of log-likelihood."""

MOST_MOVES = 4
"""Towards it; each is right but for what the other parameters have moved."""


def hold_residual(search: Search) -> int | None:
    """Return the place of log sigma in psi if the residual is gone, held; None if it is there.

    The best point of the search is moved.
    """
    if not _may_vanish(search):
        return None
    objective = search.objective
    at = int(search.problem.beta_slices()[1].start)
    for _ in range(MOST_MOVES):
        psi, best = objective.best_psi, objective.best
        assert psi is not None and best is not None
        left = _left(search.problem, objective.complete(psi, best), best)
        if not 0.0 < left + abs(best.gradient[at]) < GONE:
            return None
        if abs(left / HELD - 1.0) < NEXT_TO_HELD:
            return at
        moved = psi.copy()
        moved[at] += 0.5 * np.log(HELD / left)
        evaluation = objective.at(moved)
        if not evaluation.value <= best.value + HELD:
            return None
        objective.move_to(objective.complete(moved, evaluation), evaluation)
    return at


def _may_vanish(search: Search) -> bool:
    """Return whether it is a linear model with one sigma, and one effect or more for each row."""
    problem, best = search.problem, search.objective.best
    if not problem.family.linear_normal or problem.parts is not None or not problem.terms:
        return False
    if len(problem.predictors) != 2 or best is None or best.profiled is None:
        return False
    X = problem.predictors[1].X
    effects = sum(term.n_effects for term in problem.terms)
    return X.shape[1] == 1 and effects >= problem.n and bool(np.all(X == 1.0))


def _left(problem: Problem, psi: Array, evaluation: Evaluation) -> float:
    """Return the sum of squares of what the effects leave, in units of sigma."""
    conditional = Conditional(layout_of(problem, chains=True, rows="given"), psi)
    rows = conditional.layout.problem
    mean, log_sigma = conditional.predictors(evaluation.mode)
    scaled = (rows.y - mean) / np.exp(log_sigma)
    weights = 1.0 if rows.weights is None else rows.weights
    return float(np.sum(weights * np.square(scaled)))
