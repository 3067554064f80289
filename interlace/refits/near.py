"""A fit that begins next to a known one: quasi-Newton steps with the curvature known from there.

Simulated responses of one model have optima about a standard error apart, and curvatures that are
alike. Steps with the covariance of the known fit, updated as they go (BFGS: Nocedal & Wright 2006,
section 6.1), reach such an optimum in half a dozen evaluations, without a search of scales, an
optimizer's warming up or a Hessian. Where they do not get there, the rest is left to a whole fit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.fitting.compiled import search_by
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.objective import Objective, possible_objective
from interlace_core.fitting.optimum import Optimum, Search, covariance_of_psi
from interlace_core.fitting.polish import polish
from interlace_core.fitting.precondition import Coordinates, coordinates_of
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.start import curvature_at, natural_units
from interlace_core.fitting.verdict import boundary_thetas, judge
from interlace_core.records import Array, Evaluation, IntArray, OptimizerResult, Status
from interlace_core.registry.blame import guard

SHARE_OF_TOLERANCE = 0.5
"""Share of the tolerated gain at which the steps end: their curvature is known to a few per cent
by then, and a factor of two is left for what it may be wrong by."""

SHARE_OF_COMPILED = 0.01
"""The same of compiled steps, which cost next to nothing: the last one doubles the digits."""

MAX_COMPILED = 100
"""Evaluations of a compiled search."""

MAX_STEPS = 30
"""Steps before a whole fit takes over; 5 or 6 are usual, and more where data are few."""

MAX_HALVINGS = 6

MAX_LENGTH = 6.0
"""Longest step, in standard errors: beyond it the known curvature tells nothing."""


@dataclass(frozen=True, eq=False)
class Known:
    """What a fit of the same model to another response tells about the next.

    Attributes
    ----------
    searched : ndarray of intp, shape (m,)
        Entries of psi that the approximation does not determine itself.
    covariance : ndarray, shape (m, m)
        Of these, positive definite.
    coordinates : Coordinates
        Scaled by it.
    lower, upper : ndarray, shape (m,)
        Bounds of these.
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    """

    searched: IntArray
    covariance: Array
    coordinates: Coordinates
    lower: Array
    upper: Array
    units: Array


def known_fit(
    problem: Problem, approximation: Approximation, psi: Array, covariance: PsiCovariance
) -> Known | None:
    """Return a known fit; None where its covariance is not that of an optimum inside all bounds.

    In standard units (`interlace_core.fitting.standard`), from those of the problem.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
    psi : ndarray, shape (n_psi,)
    covariance : PsiCovariance
        As in `Fit`.
    """
    standard = standard_of(problem)
    problem, psi = standard.problem, standard.psi(psi)
    searched = np.delete(np.arange(psi.size), approximation.profiled(problem))
    V = standard.covariance(covariance)[np.ix_(searched, searched)]
    if not searched.size or not np.all(np.isfinite(V)):
        return None
    try:
        np.linalg.cholesky(V)
    except np.linalg.LinAlgError:
        return None
    lower, upper = np.full(psi.size, -np.inf), np.full(psi.size, np.inf)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if not term.covariance.crosses_bounds:
            lower[place], upper[place] = term.covariance.bounds()
    return Known(
        searched=searched,
        covariance=V,
        coordinates=coordinates_of(problem, psi, searched, V),
        lower=lower[searched],
        upper=upper[searched],
        units=natural_units(problem, psi[problem.n_theta :]),
    )


def fit_near(
    given: Problem,
    approximation: Approximation,
    known: Known,
    psi: Array,
    *,
    standard_errors: bool,
    tol_decrement: float,
) -> Fit | None:
    """Return the fit of a problem whose optimum is near; None if it is not reached.

    Nor is one returned that has a variance or correlation at its bound, or beside which a penalty
    may have another mode: only a search from elsewhere can tell whether it belongs there.

    Parameters
    ----------
    given : Problem
        Of the known fit's model.
    approximation : Approximation
    known : Known
    psi : ndarray, shape (n_psi,)
        Where to begin.
    standard_errors : bool
        Whether the Hessian is taken at the optimum; without, `vcov` is NaN unless there is a
        penalty.
    tol_decrement : float
        Log-likelihood that the fit may leave to gain.

    Raises
    ------
    PluginError
        If a plugin raises.
    """
    began, standard = time.perf_counter(), standard_of(given)
    problem, psi = standard.problem, standard.psi(psi)
    with guard(approximation, "fit"):
        profiled = approximation.profiled(problem)
        objective = Objective(
            possible_objective(approximation, problem), known.coordinates, profiled
        )
        optimum = _compiled(problem, objective, known, psi, tol_decrement, standard_errors)
        if optimum is None:
            objective = objective.anew()
            optimum = _descend(problem, objective, known, psi, SHARE_OF_TOLERANCE * tol_decrement)
        penalised = approximation.penalty_curvature(problem, psi) is not None
        if optimum is not None and (standard_errors or penalised):
            curvature = curvature_at(approximation, problem)
            search = Search(problem, known.units, objective, known.coordinates, curvature)
            optimum = polish(search, tol_decrement)
        if optimum is None or not np.all(optimum.free) or not optimum.decrement <= tol_decrement:
            return None
        final = objective.at(optimum.psi)
        vcov = np.full((optimum.psi.size,) * 2, np.nan)
        undetermined = np.zeros(optimum.psi.size, dtype=bool)
        if standard_errors or penalised:
            vcov, undetermined = covariance_of_psi(optimum, final.profiled, profiled)
        # only a search from elsewhere can tell whether it belongs there
        if np.any(undetermined) or (penalised and approximation.rivals(problem, optimum.psi, vcov)):
            return None
    ended = OptimizerResult(
        optimum.psi, final.value, True, "steps from a known fit", objective.tally.n_evaluations
    )
    fit = Fit(
        psi=optimum.psi,
        value=final.value,
        gradient=final.gradient,
        uncertainty=PsiCovariance(vcov),
        undetermined=undetermined,
        mode=final.mode,
        verdict=judge((), optimum.decrement, tol_decrement, ended),
        optimizer=ended,
        n_evaluations=objective.tally.n_evaluations,
        n_failed=objective.tally.n_failed,
        n_inner=objective.tally.n_inner,
        path=tuple(objective.tally.path),
        seconds=time.perf_counter() - began,
        profiled_covariance=None if final.profiled is None else final.profiled.covariance,
    )
    return standard.given_fit(fit)


def has_bounds(known: Known) -> bool:
    """Return whether some entry that is searched has one."""
    return bool(np.any(np.isfinite(known.lower)) or np.any(np.isfinite(known.upper)))


def rule_of(known: Known, tol_decrement: float) -> QuasiNewton:
    """Return when a compiled search ends: the known curvature says what is left to gain."""
    tol = SHARE_OF_COMPILED * tol_decrement
    return QuasiNewton(float(np.sqrt(2.0 * tol / known.searched.size)), 0.0, MAX_COMPILED)


def _compiled(
    problem: Problem,
    given: Objective,
    known: Known,
    psi: Array,
    tol_decrement: float,
    curvature: bool,
) -> Optimum | None:
    """Return the optimum that a compiled search reached, None if there is none or it did not.

    Its steps are those of `_descend`, and its end too: the known curvature says what is left.
    """
    if has_bounds(known):
        return None
    coordinates, rule = replace(known.coordinates, origin=psi), rule_of(known, tol_decrement)
    objective = given.seen_in(coordinates)
    ended = search_by(objective, rule, curvature=curvature)
    if ended is None or objective.best is None:
        return None
    slope = coordinates.gradient(objective.best.gradient)
    decrement = 0.5 * float(slope @ slope)
    if not decrement <= SHARE_OF_TOLERANCE * tol_decrement:
        return None
    optimum = _inside_optimum(problem, objective, known, decrement)
    if optimum is not None:
        given.move_to(optimum.psi, objective.best)
        given.differences = objective.differences
    return optimum


def _descend(
    problem: Problem, objective: Objective, known: Known, psi: Array, tol: float
) -> Optimum | None:
    """Return the optimum reached from psi, or None."""
    covariance, here = known.covariance, objective.at(psi)
    if here.status is not Status.OK:
        return None
    for _ in range(MAX_STEPS):
        slope = here.gradient[known.searched]
        step = -covariance @ slope
        decrement = -0.5 * float(slope @ step)
        if decrement <= tol:
            return _inside_optimum(problem, objective, known, decrement)
        length = min(1.0, MAX_LENGTH / np.sqrt(2.0 * decrement))
        moved = _line_search(objective, known, psi, here, length * step, length * decrement)
        if moved is None:
            return None
        there, taken = moved
        covariance = _updated(covariance, taken, there.gradient[known.searched] - slope)
        assert objective.best_psi is not None
        psi, here = objective.best_psi, there
    return None


def _line_search(
    objective: Objective, known: Known, psi: Array, here: Evaluation, step: Array, gain: float
) -> tuple[Evaluation, Array] | None:
    """Return an evaluation that is sufficiently lower along a step, and the step taken, or None."""
    noise = 1e-9 * abs(here.value)
    for _ in range(MAX_HALVINGS):
        trial = psi.copy()
        trial[known.searched] += step
        inside = trial[known.searched]
        if np.any(inside < known.lower) or np.any(inside > known.upper):
            return None
        there = objective.at(trial)
        if there.status is Status.OK and there.value <= here.value - 1e-4 * gain + noise:
            # rounding hides gains this small; the slope then decides, and not the lowest value
            objective.move_to(objective.complete(trial, there), there)
            return there, step
        step, gain = 0.5 * step, 0.5 * gain
    return None


def _updated(covariance: Array, step: Array, change: Array) -> Array:
    """Return the inverse Hessian that maps a change of slope to its step, nearest to the given."""
    curvature = float(step @ change)
    moved = covariance @ change
    if curvature <= 1e-3 * float(change @ moved):
        return covariance
    scale = (1.0 + float(change @ moved) / curvature) / curvature
    cross = np.outer(step, moved) / curvature
    return covariance + scale * np.outer(step, step) - cross - cross.T


def canonical_psi(problem: Problem, psi: Array) -> Array:
    """Return psi with each covariance in the one form that it has within its bounds."""
    psi = psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.canonical(psi[place])
    return psi


def is_beyond(problem: Problem, psi: Array) -> bool:
    """Return whether a covariance is beyond a bound, which the way there led through then."""
    moved = np.abs(canonical_psi(problem, psi) - psi)
    return bool((moved > 1e-8 + 1e-12 * np.abs(psi)).any())


def is_at_bound(problem: Problem, psi: Array, known: Known) -> bool:
    """Return whether a variance or correlation is at its bound."""
    return bool(boundary_thetas(problem, psi, known.units).any())


def _inside_optimum(
    problem: Problem, objective: Objective, known: Known, decrement: float
) -> Optimum | None:
    """Return the best point as an optimum, or None if it is at a bound or beyond."""
    best, psi = objective.best, objective.best_psi
    assert best is not None and psi is not None
    if is_beyond(problem, psi) or is_at_bound(problem, psi, known):
        return None
    m = known.searched.size
    free = np.ones(m, dtype=bool)
    empty = np.full((m, m), np.nan)
    return Optimum(psi, best, np.zeros(m), empty, free, decrement, None, known.coordinates)
