"""Searches and differences in compiled code, where the objective is a function in C.

They do what is done without, evaluation by evaluation, and are counted with these. Nothing is
judged in C: a search that meets what has to be looked at closer is begun anew, step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.kernels import Compiled, CompiledObjective
from interlace_core.contract.optimizer import Optimizer, QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import SEARCHED, function_of
from interlace_core.engine.shares import Summed
from interlace_core.fitting.exact import Watched
from interlace_core.fitting.objective import Objective, Possible
from interlace_core.records import (
    Array,
    CompiledFunction,
    Evaluation,
    Information,
    OptimizerResult,
    Status,
)

CLOSER = 5e-4
"""Share of the rule's gradient, and of its change of the value, at which a compiled search ends. A
step is cheap there: none has to follow, and the Hessian is then of the optimum."""

CLOSER_PROFILED = 1e-5
"""The same where coefficients are profiled out, and gradients are exact to rounding."""


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


def search_by(objective: Objective, rule: QuasiNewton) -> OptimizerResult | None:
    """Return where a compiled search ended by a rule; None if there is none.

    Parameters
    ----------
    objective : Objective
        The search begins at the origin of its coordinates.
    rule : QuasiNewton
    """
    served, coordinates = served_by(objective), objective.coordinates
    if served is None or not served.compiled.searches:
        return None
    if np.any(np.isfinite(coordinates.lower)) or np.any(np.isfinite(coordinates.upper)):
        return None
    tally = objective.tally
    closer = CLOSER if not served.function.n_profiled else CLOSER_PROFILED
    rule = replace(
        rule,
        tol_abs_gradient=closer * rule.tol_abs_gradient,
        tol_rel_value=closer * rule.tol_rel_value,
    )
    if objective.limit is not None:
        left = max(objective.limit - tally.n_evaluations, 1)
        rule = replace(rule, max_evaluations=min(rule.max_evaluations, left))
    known, first = objective.seen(coordinates.origin), None
    if known is not None and known.status is Status.OK:
        first = known.value - served.raised, known.gradient
    for kernels in served.compiled.searches:
        floor = served.floor - served.raised
        found = kernels.search(
            served.function, rule, coordinates.origin, coordinates.B, floor,
            coordinates.longest(), first,
        )  # fmt: skip
        if found is None:
            continue
        raised = served.raised
        tally.count(found.n_evaluations, found.n_failed, found.n_inner)
        tally.path += [(value + raised, slope) for value, slope in found.path.tolist()]
        # the mode there, and a second opinion on its value
        evaluation = objective.at(coordinates.psi(found.z))
        if evaluation.status is not Status.OK:
            return None
        served.problem.cache[SEARCHED] = True
        return OptimizerResult(
            found.z, evaluation.value, found.reached, found.message, found.n_evaluations
        )
    return None


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
