"""Minimise an approximation's objective, polish the optimum, and judge it.

The optimizer brings the fit near the optimum, Newton steps bring it there, and the verdict is in
log-likelihood units: half the squared Newton decrement g' H^-1 g is what is left to gain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem
from interlace_core.fitting.bounded import bounded_start
from interlace_core.fitting.compiled import compiled_information, summed_by
from interlace_core.fitting.elsewhere import (
    elsewhere,
    highest,
    is_crowded,
    is_doubtful,
    lost_higher,
    may_be_exchanged,
    optima_apart,
    with_modes,
)
from interlace_core.fitting.exact import Watched
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.minimise import ended, minimised
from interlace_core.fitting.modes import (
    Competition,
    is_lost,
    lost_at,
    search_from_lower_mode,
    searched,
    with_unsound,
)
from interlace_core.fitting.objective import (
    Objective,
    Tally,
    is_per_unit,
    possible_objective,
)
from interlace_core.fitting.optimum import Optimum, Search, covariance_of_psi
from interlace_core.fitting.polish import polish, unpolished
from interlace_core.fitting.precondition import precondition
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.fitting.start import Start, curvature_at, find_start, shortcuts_of, unit_theta
from interlace_core.fitting.stopping import FitStopped, Stopping
from interlace_core.fitting.verdict import (
    Verdict,
    boundary_words,
    judge,
    restart_points,
    stopped,
    with_ceiling,
    with_lower_optima,
    with_undetermined,
)
from interlace_core.messages.errors import StartError
from interlace_core.records import Array, Status
from interlace_core.registry.blame import guard

TOL_ABS_RESTART = 1e-6
"""Log-likelihood by which a search from elsewhere must be better to replace an optimum."""

BOUNDARY_RESTART = 0.5
"""Standard deviation, in natural units of eta, from which a variance found at 0 is tried again."""


def fit_problem(
    problem: Problem,
    approximation: Approximation,
    optimizer: Optimizer,
    *,
    given: Callable[[Array], Array] | None = None,
    start: Start | None = None,
    starts: int = 0,
    tol_decrement: float = 1e-7,
    report: Callable[[str], None] | None = None,
    stopping: Stopping | None = None,
) -> Fit:
    """Return the maximum likelihood fit of a problem: the highest point of one search or several.

    1. The problem in standard units, of which all searches are (`interlace_core.fitting.standard`).
    2. A start: the model without random effects (`interlace_core.fitting.start`).
    3. A search from there; it is enough where it ends at an optimum at which the data determine
       every direction.
    4. Where it lost a group's mode, one from the end of a stand-in's search that cannot
       (`interlace_core.fitting.bounded`).
    5. Where the fit is in doubt, searches from elsewhere (`interlace_core.fitting.elsewhere`), of
       which the highest point is kept; and 4 for those that ended higher without a group's mode.
    6. The estimates in the units given, and the verdict in words.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
    optimizer : Optimizer
    given : callable, optional
        From the usual start, shape (n_psi,), to one that is asked for.
    start : Start, optional
        A complete start in units of `standard_of(problem)`, such as the estimates of a similar
        fit; found anew if None.
    starts : int
        Number of searches from random starts, beside those that are made anyway.
    tol_decrement : float
        The fit counts as an optimum if the log-likelihood has no more than this to gain.
    report : callable, optional
        Is told in words of each evaluation.
    stopping : Stopping, optional
        Ends the fit at the best point so far, with the status "stopped".

    Raises
    ------
    StartError
        If the objective is not finite at the start given, or at any that was found.
    PluginError
        If a plugin raises.
    """
    # 1. standard units
    standard = standard_of(problem)
    inside, asked = standard.problem, start is not None or given is not None
    # 2. the start
    if start is None:
        inner = None if given is None else standard.inside(given)
        with guard(approximation, "fit"):
            start = find_start(inside, inner, approximation.shortcuts(inside))

    # 3. a search
    def search(start: Start, limit: int | None = None) -> Fit:
        if stopping is not None:
            stopping.require_running()
        tally = Tally(report, stopping=stopping)
        return _fit_from(standard, approximation, optimizer, start, tol_decrement, tally, limit)

    try:
        fit = search(start)
    except StartError:
        if asked:
            raise
        fit = _from_another_start(inside, approximation, search)

    # 4. where all groups have their modes
    def with_own_modes(fit: Fit, start: Start) -> Fit:
        tally = Tally(report, stopping=stopping)
        begin = partial(
            bounded_start, inside, approximation, optimizer, start, tol_decrement, tally
        )
        return with_modes(fit, begin, tally, search)

    if fit.lost:
        with guard(approximation, "fit"):
            fit = with_own_modes(fit, start)
    # 5. from elsewhere
    if stopping is None or not stopping.reason:
        with guard(approximation, "fit"):
            rivals = approximation.rivals(inside, fit.psi, fit.uncertainty.inner)
            doubtful = is_doubtful(inside, fit) or is_crowded(inside, fit)
            if starts or rivals or doubtful or may_be_exchanged(inside, fit):
                tried = bool(fit.searches)
                fit = highest(inside, approximation, fit, search, start.units, starts, rivals)
                if lost_higher(fit) and not tried:
                    fit = with_own_modes(fit, next(elsewhere(inside, approximation))[1])
    # 6. as given
    fit = standard.given_fit(fit)
    if stopping is not None and stopping.reason:
        reached = None if fit.verdict.status == "stopped" else fit.verdict
        return replace(fit, verdict=stopped(stopping.reason, reached))
    return replace(fit, verdict=_in_words(problem, approximation, fit, tol_decrement))


def _from_another_start(
    problem: Problem, approximation: Approximation, search: Callable[[Start], Fit]
) -> Fit:
    """Return the fit from the first start, of those elsewhere, that can be evaluated.

    Raises
    ------
    StartError
        If there is none.
    """
    failed: StartError | None = None
    with guard(approximation, "fit"):
        for _, start in elsewhere(problem, approximation):
            try:
                return search(start)
            except StartError as error:
                failed = error
    raise failed or StartError("there is no start of the fit")


def _in_words(
    problem: Problem, approximation: Approximation, fit: Fit, tol_decrement: float
) -> Verdict:
    """Return the verdict with all that the searches together tell."""
    verdict = fit.verdict
    if problem.family.is_discrete and not fit.unsound:
        whole = not is_per_unit(approximation, problem)
        if whole and not approximation.penalty(problem, fit.psi):
            verdict = with_ceiling(verdict, fit.value, tol_decrement)
    looked = len(fit.searches) > 1
    verdict = with_undetermined(verdict, problem, fit.psi, fit.undetermined, looked)
    return with_lower_optima(verdict, optima_apart(fit), len(fit.searches))


def _fit_from(
    standard: Standard,
    approximation: Approximation,
    optimizer: Optimizer,
    start: Start,
    tol_decrement: float,
    tally: Tally,
    limit: int | None,
) -> Fit:
    """Return the fit that one search reaches; the optimizer may take so many evaluations.

    1. The objective at the start, which refuses what cannot be evaluated there.
    2. Coordinates in which the curvature is near 1.
    3. The optimizer, unless the start is near.
    4. Newton steps to the optimum, and further searches where that looks doubtful; the same from a
       lower conditional mode, if there is one.
    5. The verdict, and the covariance of the estimates.

    A search that is stopped ends at the best point so far, of which nothing else is known.
    """
    began, problem = time.perf_counter(), standard.problem
    with guard(approximation, "fit"):
        # 1. the objective
        profiled = approximation.profiled(problem)
        evaluate = Watched(
            problem,
            possible_objective(approximation, problem),
            copies=not approximation.precision_weights,
        )
        first = evaluate(start.psi)
        # 2. coordinates
        coordinates = precondition(
            problem,
            start,
            profiled,
            first.mode,
            shortcuts_of(approximation, problem),
            compiled_information(evaluate),
            approximation.penalty_curvature(problem, start.psi),
            summed_by(evaluate),
        )
        objective = Objective(evaluate, coordinates, profiled, tally, limit)
        if approximation.bounded(problem) is not None:
            objective.lost = partial(is_lost, problem)
        search = Search(
            problem, start.units, objective, coordinates, curvature_at(approximation, problem)
        )
        competition = Competition()
        try:
            objective.record(start.psi, first)
            _require_start(objective, start.psi)
            # 3. the optimizer
            if start.near:
                result = ended(objective, "not asked, next to an optimum")
            else:
                result = minimised(optimizer, objective, coordinates)
            # 4. the optimum
            optimum, competition = _optimum(
                search, approximation, optimizer, tol_decrement, start.near
            )
        except FitStopped as end:
            optimum, result = _best_so_far(search), ended(objective, str(end))
        final = optimum.evaluation
    # 5. the verdict
    at_bound = ~optimum.free[: problem.n_theta]
    boundary = boundary_words(
        standard.given, standard.given_psi(optimum.psi), at_bound, start.units
    )
    verdict = judge(boundary, optimum.decrement, tol_decrement, result)
    if np.isnan(optimum.decrement):
        verdict = stopped(result.message, None)
    vcov, undetermined = covariance_of_psi(optimum, final.profiled, profiled)
    unknown = verdict.converged or verdict.status == "stopped"
    lost = "" if unknown else lost_at(search, optimum.psi, final)
    verdict, unsound = with_unsound(verdict, competition, lost)
    return Fit(
        psi=optimum.psi,
        value=final.value,
        gradient=final.gradient,
        uncertainty=PsiCovariance(vcov),
        undetermined=undetermined,
        mode=final.mode,
        verdict=verdict,
        optimizer=result,
        n_evaluations=objective.tally.n_evaluations,
        n_failed=objective.tally.n_failed,
        n_inner=objective.tally.n_inner,
        path=tuple(objective.tally.path),
        seconds=time.perf_counter() - began,
        unsound=unsound,
        lost=lost,
        profiled_covariance=None if final.profiled is None else final.profiled.covariance,
    )


def _best_so_far(search: Search) -> Optimum:
    """Return the best point of all searches of the fit, as one of which nothing is known."""
    psi, evaluation = search.objective.tally.best
    assert psi is not None and evaluation is not None
    search.objective.move_to(psi, evaluation)
    return replace(unpolished(search), decrement=np.nan)


def _require_start(objective: Objective, psi: Array) -> None:
    if objective.at(psi).status is not Status.OK:
        raise StartError(
            f"the log-likelihood could not be evaluated at the start of the fit: "
            f"{objective.tally.last_failure.value}. Check the response for extreme values and the "
            "covariates for extreme scales, or give a start."
        )


def _optimum(
    search: Search,
    approximation: Approximation,
    optimizer: Optimizer,
    tol_decrement: float,
    near: bool,
) -> tuple[Optimum, Competition]:
    """Return the optimum near the best point seen, and what competes with its mode.

    Where a group has lost its mode there is none. What has a stand-in is then searched again with
    that, and otherwise from a lower mode, if there is one. Where Newton steps from the end of a
    stand-in lead to none, what is left is that point.
    """
    best, psi = search.objective.best, search.objective.best_psi
    assert best is not None and psi is not None
    found = unpolished(search)
    if not lost_at(search, psi, best):
        found = _best_optimum(search, optimizer, tol_decrement, near)
    elif near or approximation.bounded(search.problem) is not None:
        return found, Competition()
    optimum, competition = search_from_lower_mode(
        search, found, approximation, optimizer, tol_decrement
    )
    if near and not (optimum.decrement <= tol_decrement and competition.lower is None):
        search.objective.move_to(psi, best)
        return unpolished(search), Competition()
    return optimum, competition


def _best_optimum(
    search: Search, optimizer: Optimizer, tol_decrement: float, near: bool
) -> Optimum:
    """Return the polished optimum, after searches from elsewhere if it looks doubtful."""
    optimum = polish(search, tol_decrement, near=near)
    short = not near and not optimum.decrement <= tol_decrement
    for psi in _restarts(search, optimum) if short else ():
        optimum = _better_from(psi, search, optimizer, optimum, tol_decrement)
        if optimum.decrement <= tol_decrement:
            break
    if not np.all(optimum.free):
        psi = _away_from_boundary(search, optimum)
        optimum = _better_from(psi, search, optimizer, optimum, tol_decrement)
    return optimum


def _restarts(search: Search, optimum: Optimum) -> Iterator[Array]:
    """Yield points from which a search that ended short of an optimum may get further.

    What a structure knows of such points first; then the point itself, of which an optimizer that
    begins anew has forgotten what misled it.
    """
    yield from restart_points(search.problem, optimum.psi, search.units)
    yield optimum.psi


def _away_from_boundary(search: Search, optimum: Optimum) -> Array:
    """Return the optimum's psi with the thetas that ended at a bound moved away from it.

    The objective is even in a standard deviation, so that its slope at 0 is 0 whether or not 0
    is the minimum: only a search from elsewhere can tell.
    """
    problem, psi = search.problem, optimum.psi.copy()
    stuck = ~optimum.free[: problem.n_theta]
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        away = unit_theta(term, BOUNDARY_RESTART * term.own(search.units))
        psi[place] += np.where(stuck[place], away, 0.0)
    return psi


def _better_from(
    psi: Array, search: Search, optimizer: Optimizer, optimum: Optimum, tol_decrement: float
) -> Optimum:
    """Search again from psi; return the optimum found there if it is better, else the given one."""
    other = searched(replace(search, objective=search.objective.anew()), psi, optimizer)
    best = other.objective.best
    reached = optimum.decrement <= tol_decrement
    ceiling = optimum.value - TOL_ABS_RESTART if reached else optimum.value + TOL_ABS_RESTART
    if best is None or best.value >= ceiling:
        return optimum
    found = polish(other, tol_decrement)
    better = reached or found.decrement <= tol_decrement or found.value < optimum.value
    return found if better else optimum
