"""Minimise an approximation's objective, polish the optimum, and judge it.

The optimizer brings the fit near the optimum, Newton steps bring it there, and the verdict is in
log-likelihood units: half the squared Newton decrement g' H^-1 g is what is left to gain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from interlace_core.contracts import Approximation, Optimizer
from interlace_core.errors import NumericalError
from interlace_core.guards import guard
from interlace_core.objective import Objective
from interlace_core.polish import Optimum, Search, covariance_of_psi, polish
from interlace_core.precondition import Coordinates, precondition
from interlace_core.records import Array, OptimizerResult, Problem, Status
from interlace_core.start import find_start, unit_theta
from interlace_core.verdict import Verdict, judge

BOUNDARY_RESTART = 0.5
"""Standard deviation, in natural units of eta, from which a variance found at 0 is tried again."""


@dataclass(frozen=True)
class Fit:
    """The outcome of a minimisation.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
        Estimates (theta, beta_1, ..., beta_K).
    value : float
        Negative log-likelihood.
    gradient : ndarray, shape (n_psi,)
    vcov : ndarray, shape (n_psi, n_psi)
        Inverse of the Hessian over the free parameters; NaN in rows of parameters at a bound.
    mode : ndarray, shape (q,)
        Conditional mode of u.
    verdict : Verdict
    optimizer : OptimizerResult
    n_evaluations, n_failed, n_inner : int
        Objective calls, those that failed, and Newton steps for the mode in all.
    path : tuple of (float, float)
        Value and largest scaled gradient entry of each successful evaluation, in order.
    seconds : float
    """

    psi: Array
    value: float
    gradient: Array
    vcov: Array
    mode: Array
    verdict: Verdict
    optimizer: OptimizerResult
    n_evaluations: int
    n_failed: int
    n_inner: int
    path: tuple[tuple[float, float], ...]
    seconds: float


def fit_problem(
    problem: Problem,
    approximation: Approximation,
    optimizer: Optimizer,
    *,
    theta0: Array | None = None,
    tol_decrement: float = 1e-7,
    verbose: bool = False,
) -> Fit:
    """Return the maximum likelihood fit of a problem.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
    optimizer : Optimizer
    theta0 : ndarray, shape (n_theta,), optional
        Start for the covariance parameters.
    tol_decrement : float
        The fit counts as an optimum if the log-likelihood has no more than this to gain.
    verbose : bool
        Report progress on standard error.

    Raises
    ------
    NumericalError
        If the objective is not finite at the start.
    PluginError
        If a plugin raises.
    """
    began = time.perf_counter()
    with guard(approximation, "fit"):
        start = find_start(problem, theta0)
        profiled = approximation.profiled(problem)
        coordinates = precondition(problem, start, profiled)
        objective = Objective(approximation.objective(problem), coordinates, profiled, verbose)
        _require_start(objective, start.psi)
        result = _minimise(optimizer, objective, coordinates)
        search = Search(problem, start.units, objective, coordinates)
        optimum = polish(search, tol_decrement)
        if _better_away_from_boundary(search, optimizer, optimum):
            optimum = polish(search, tol_decrement)
        final = objective.at(optimum.psi)
    verdict = judge(
        problem, optimum.psi, optimum.decrement, tol_decrement, result, optimum.free, start.units
    )
    return Fit(
        psi=optimum.psi,
        value=final.value,
        gradient=final.gradient,
        vcov=covariance_of_psi(coordinates, optimum, final.profiled, profiled),
        mode=final.mode,
        verdict=verdict,
        optimizer=result,
        n_evaluations=objective.n_evaluations,
        n_failed=objective.n_failed,
        n_inner=objective.n_inner,
        path=tuple(objective.path),
        seconds=time.perf_counter() - began,
    )


def _require_start(objective: Objective, psi: Array) -> None:
    if objective.at(psi).status is not Status.OK:
        raise NumericalError(
            f"the log-likelihood could not be evaluated at the start of the fit: "
            f"{objective.last_failure.value}. Check the response for extreme values and the "
            "covariates for extreme scales, or give theta0."
        )


def _minimise(
    optimizer: Optimizer, objective: Objective, coordinates: Coordinates
) -> OptimizerResult:
    if coordinates.lower.size == 0:
        assert objective.best is not None
        return OptimizerResult(np.zeros(0), objective.best.value, True, "nothing to optimise", 0)
    with guard(optimizer, "minimize"):
        return optimizer.minimize(
            objective, np.zeros(coordinates.lower.size), (coordinates.lower, coordinates.upper)
        )


def _better_away_from_boundary(search: Search, optimizer: Optimizer, optimum: Optimum) -> bool:
    """Minimise again with variances that ended at 0 moved away; return whether that was better.

    The objective is even in a standard deviation, so that its slope at 0 is 0 whether or not 0
    is the minimum: only a search from elsewhere can tell.
    """
    problem, objective, coordinates = search.problem, search.objective, search.coordinates
    stuck = ~optimum.free
    if not np.any(stuck):
        return False
    assert objective.best is not None
    best, best_psi = objective.best, objective.best_psi
    here = coordinates.around(optimum.psi)
    z = np.zeros(stuck.size)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        away = unit_theta(term, BOUNDARY_RESTART * search.units[term.predictor])
        z[place] = np.where(stuck[place], away / coordinates.theta_scale()[place], 0.0)
    objective.coordinates = here
    objective.best = objective.best_psi = None
    with guard(optimizer, "minimize"):
        optimizer.minimize(objective, np.clip(z, here.lower, here.upper), (here.lower, here.upper))
    objective.coordinates = coordinates
    better = objective.best is not None and objective.best.value < best.value - 1e-6
    if not better:
        objective.best, objective.best_psi = best, best_psi
    return better
