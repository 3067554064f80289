"""A start for a search that has lost the conditional mode of a group.

An approximation around a mode rises without an end where a group all but loses it. The optimum that
is meant can lie beside such a place, and whether a search steps over it depends on the lengths of
its first steps, and so on units. The stand-in that the approximation offers (`bounded`) has no such
places: its search, from the same start, ends near the optimum in any units.
"""

from __future__ import annotations

from dataclasses import replace

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem
from interlace_core.fitting.minimise import minimised
from interlace_core.fitting.objective import Objective, Tally, possible_objective
from interlace_core.fitting.optimum import Search
from interlace_core.fitting.polish import polish
from interlace_core.fitting.precondition import precondition
from interlace_core.fitting.start import Start, curvature_at, shortcuts_of
from interlace_core.records import Status


def bounded_start(
    problem: Problem,
    approximation: Approximation,
    optimizer: Optimizer,
    start: Start,
    tol_decrement: float,
    tally: Tally,
    limit: int | None,
) -> Start | None:
    """Return where the search of an approximation's stand-in ends; None if there is none.

    Parameters
    ----------
    problem : Problem
        In standard units.
    approximation, optimizer
    start : Start
        Of the search that lost a mode.
    tol_decrement : float
        What the stand-in may have left to gain.
    tally : Tally
        Of the stand-in's search alone: its values are none of the fit's.
    limit : int, optional
        Evaluations that the optimizer may take.
    """
    stand_in = approximation.bounded(problem)
    if stand_in is None or not stand_in.accepts(problem):
        return None
    evaluate = possible_objective(stand_in, problem)
    first = evaluate(start.psi)
    profiled = stand_in.profiled(problem)
    coordinates = precondition(
        problem,
        start,
        profiled,
        first.mode,
        shortcuts_of(stand_in, problem),
        penalty=stand_in.penalty_curvature(problem, start.psi),
    )
    objective = Objective(evaluate, coordinates, profiled, tally, limit)
    if objective.record(start.psi, first).status is not Status.OK:
        return None
    minimised(optimizer, objective, coordinates)
    search = Search(problem, start.units, objective, coordinates, curvature_at(stand_in, problem))
    return replace(start, psi=polish(search, tol_decrement).psi, near=True)
