"""Searches and differences in compiled code, where the objective is a function in C.

They do what is done without, evaluation by evaluation, and are counted with these. Nothing is
judged in C: a search that meets what has to be looked at closer is begun anew, step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.kernels import Compiled, CompiledObjective, Descent
from interlace_core.contract.optimizer import Optimizer, QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import SEARCHED, function_of
from interlace_core.engine.shares import Summed
from interlace_core.fitting.differences import CENTRAL_STEP, ONE_SIDED_STEP, Differences
from interlace_core.fitting.exact import Watched
from interlace_core.fitting.objective import Objective, Possible
from interlace_core.records import (
    Array,
    CompiledFunction,
    CompiledPath,
    Evaluation,
    Information,
    OptimizerResult,
    Status,
)

CLOSER = 5e-3
"""Share of the rule's gradient, and of its change of the value, at which a compiled search ends. A
step is cheap there: none has to follow, and the Hessian is then of the optimum."""

CLOSER_PROFILED = 1e-4
"""The same where coefficients are profiled out, and gradients are exact to rounding."""

QUICK_NUMBERS = 4096
"""Rows times searched parameters up to which a compiled gradient for each parameter takes some tens
of microseconds in all: the Hessian's central differences, good to six digits, then cost nothing."""


def compiled_search(objective: Objective, optimizer: Optimizer) -> OptimizerResult | None:
    """Return where a compiled search ended, in place of the optimizer's; None if there is none.

    There is one where the objective is compiled and has no bounds, nobody wants to be told of each
    step, and the optimizer lets another quasi-Newton search take its place.

    Parameters
    ----------
    objective : Objective
        Of the search; it has seen the point that the coordinates have their origin at.
    optimizer : Optimizer
    """
    rule = optimizer.quasi_newton()
    return None if rule is None else search_by(objective, rule)


def search_by(
    objective: Objective, rule: QuasiNewton, *, curvature: bool = True
) -> OptimizerResult | None:
    """Return where a compiled search ended by a rule; None if there is none.

    Parameters
    ----------
    objective : Objective
        The search begins at the origin of its coordinates.
    rule : QuasiNewton
    curvature : bool
        Whether the objective is to keep the differences that make a Hessian there.
    """
    served, coordinates = served_by(objective), objective.coordinates
    if served is None or not served.compiled.searches or coordinates.bounded:
        return None
    descent = _descent(objective, served, rule, curvature)
    for kernels in served.compiled.searches:
        found = kernels.search(descent)
        if found is not None:
            return _taken(objective, served, descent, found)
    return None


def _descent(objective: Objective, served: Served, rule: QuasiNewton, curvature: bool) -> Descent:
    """Return the search that takes the place of one by a rule."""
    function, coordinates, most = served.function, objective.coordinates, rule.max_evaluations
    closer = CLOSER_PROFILED if function.n_profiled else CLOSER
    if objective.limit is not None:
        most = min(most, max(objective.limit - objective.tally.n_evaluations, 1))
    known = objective.seen(coordinates.origin)
    first = None
    if known is not None and known.status is Status.OK:
        first = known.value - served.raised, known.gradient
    central = bool(function.n_profiled) or is_quick(objective)
    step = CENTRAL_STEP if central else ONE_SIDED_STEP
    return Descent(
        function,
        QuasiNewton(closer * rule.tol_abs_gradient, closer * rule.tol_rel_value, most),
        coordinates.origin,
        coordinates.B,
        served.floor - served.raised,
        coordinates.longest(),
        first,
        step if curvature else 0.0,
        central,
    )


def _taken(
    objective: Objective, served: Served, descent: Descent, found: CompiledPath
) -> OptimizerResult | None:
    """Return the end of a search, which the objective has seen; None if it has no value there."""
    tally, raised, psi = objective.tally, served.raised, objective.coordinates.psi(found.z)
    tally.count(found.n_evaluations, found.n_failed, found.n_inner)
    path = found.path.tolist()
    tally.path += [(value + raised, slope) for value, slope in path] if raised else map(tuple, path)
    last = served.objective.last(found)
    if last is None:  # the mode there, and a second opinion on its value
        last = objective.at(psi)
    else:
        last = replace(last, value=last.value + raised) if raised else last
        objective.remember(psi, last)
        tally.latest = psi, last
    if last.status is not Status.OK or last.value < served.floor:
        return None
    if found.jacobian is not None and objective.best is last:
        assert objective.best_psi is not None
        objective.differences = Differences(
            objective.best_psi, descent.B, found.jacobian, descent.central
        )
    served.problem.cache[SEARCHED] = True
    return OptimizerResult(found.z, last.value, found.reached, found.message, found.n_searched)


def is_quick(objective: Objective) -> bool:
    """Return whether evaluations, in compiled code of few rows, take next to no time."""
    served = served_by(objective)
    return (
        served is not None and served.problem.n * len(objective.coordinates.lower) <= QUICK_NUMBERS
    )


def compiled_at_each(objective: Objective, psi: Array) -> tuple[Array, Array] | None:
    """Return gradients and profiled entries at several points, NaN where there is no value.

    None where the objective is not compiled. They are counted; none of them becomes the best point.

    Parameters
    ----------
    objective : Objective
    psi : ndarray, shape (k, n_psi)

    Returns
    -------
    gradients : ndarray, shape (k, n_psi)
    profiled : ndarray, shape (k, n_profiled)
    """
    served = served_by(objective)
    if served is None or not len(psi):
        return None
    for kernels in served.compiled.objectives:
        found = kernels.at_each(served.function, psi)
        if found is None:
            continue
        values, gradients, profiled, inner = found
        good = np.isfinite(values) & (values + served.raised >= served.floor)
        good &= np.isfinite(gradients).all(axis=1)
        if not np.all(good):
            return None
        objective.tally.count(len(psi), 0, inner)
        slopes = np.abs(gradients @ objective.coordinates.B).max(axis=1, initial=0.0)
        objective.tally.path += list(
            zip((values + served.raised).tolist(), slopes.tolist(), strict=True)
        )
        return gradients, profiled
    return None


def compiled_information(
    evaluate: Callable[[Array], Evaluation],
) -> Callable[[Array], Information | None] | None:
    """Return from psi to the information there, where the objective is compiled; else None."""
    evaluate = _inside(evaluate)
    return evaluate.information if isinstance(evaluate, CompiledObjective) else None


def summed_by(evaluate: Callable[[Array], Evaluation]) -> Approximation | None:
    """Return the approximation whose objectives of parts are added; None where none are."""
    evaluate = _inside(evaluate)
    return evaluate.approximation if isinstance(evaluate, Summed) else None


def _inside(evaluate: Callable[[Array], Evaluation]) -> Callable[[Array], Evaluation]:
    while isinstance(evaluate, (Watched, Possible)):
        evaluate = evaluate.evaluate
    return evaluate


class Served:
    """An objective that is a function in C, and what its values are held against.

    Attributes
    ----------
    objective : CompiledObjective
    function : CompiledFunction
        Its own.
    compiled : Compiled
    problem : Problem
    raised : float
        By which values are higher than those of the function.
    floor : float
        The value below which nothing is possible.
    """

    def __init__(
        self, objective: CompiledObjective, function: CompiledFunction, compiled: Compiled,
        problem: Problem, raised: float, floor: float,
    ) -> None:  # fmt: skip
        self.objective, self.function, self.compiled = objective, function, compiled
        self.problem, self.raised, self.floor = problem, raised, floor


def served_by(objective: Objective) -> Served | None:
    """Return the objective's function in C; None where there is none, or each step is told of."""
    tally = objective.tally
    if tally.report is not None or (tally.stopping is not None and tally.stopping.is_told):
        return None
    return served_of(objective.evaluate)


def served_of(evaluate: Callable[[Array], Evaluation]) -> Served | None:
    """Return what `possible_objective` made as a function in C; None where it is none."""
    floor = -np.inf
    if isinstance(evaluate, Watched):
        floor = evaluate.floor
        evaluate = evaluate.evaluate
    if not isinstance(evaluate, Possible) or evaluate.problem.compiled is None:
        return None
    function, problem = function_of(evaluate.evaluate), evaluate.problem
    if function is None or problem.compiled is None:
        return None
    assert isinstance(evaluate.evaluate, CompiledObjective)
    floor = max(floor, evaluate.floor)
    return Served(evaluate.evaluate, function, problem.compiled, problem, evaluate.raised, floor)
