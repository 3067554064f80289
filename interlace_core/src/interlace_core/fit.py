"""Minimise an approximation's objective, verify the optimum, and measure its curvature.

The optimizer brings the fit near the optimum; the Hessian that standard errors need anyway then
serves for Newton steps to the optimum itself, and for a verdict in log-likelihood units: half
the squared Newton decrement g' H^-1 g is what the log-likelihood still has to gain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contracts import Approximation, Optimizer
from interlace_core.errors import NumericalError
from interlace_core.guards import guard
from interlace_core.numerics.differences import jacobian, symmetrised
from interlace_core.objective import Objective
from interlace_core.precondition import Coordinates, precondition
from interlace_core.records import (
    Array,
    BoolArray,
    Evaluation,
    OptimizerResult,
    Problem,
    Profiled,
    Status,
)
from interlace_core.start import find_start, unit_theta
from interlace_core.verdict import Verdict, boundary_thetas, judge

DIFFERENCE_STEP = 2e-3
"""Half-width of the Hessian's differences, in units of one standard error: its truncation error
is about 1e-6 relative, and rounding (gradients are exact to about 1e-9) stays below that."""

MAX_ROUNDS = 8
"""Newton rounds after the optimizer. One is usual; more mean that the optimizer stopped early."""

FLAT_CURVATURE = 1e-6
FLAT_SLOPE = 1e-4
"""Curvature and slope, in standard errors at the start of the fit, below which the likelihood no
longer depends on a direction: a parameter that went to infinity (separated data, a Poisson
limit). Its standard error is then reported as enormous, and harms no other."""

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


@dataclass(frozen=True)
class Optimum:
    """A verified stationary point in scaled coordinates.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    gradient, hessian : ndarray, shape (m,), (m, m)
        In z.
    free : ndarray of bool, shape (m,)
        False for a theta at its bound.
    decrement : float
        What the log-likelihood still has to gain, by the quadratic model.
    profiled_slope : ndarray, shape (m_profiled, m), or None
        Derivative of the profiled entries in z.
    """

    psi: Array
    gradient: Array
    hessian: Array
    free: BoolArray
    decrement: float
    profiled_slope: Array | None


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
    with guard(problem.family, "start"):
        start = find_start(problem, theta0)
    profiled = approximation.profiled(problem)
    coordinates = precondition(problem, start, profiled)
    objective = Objective(approximation.objective(problem), coordinates, profiled, verbose)
    _require_start(objective, start.psi)
    result = _minimise(optimizer, objective, coordinates)
    optimum = _polish(objective, coordinates, problem, start.units, tol_decrement)
    retried = _restart_from_boundary(
        objective, coordinates, problem, start.units, optimizer, optimum
    )
    if retried:
        optimum = _polish(objective, coordinates, problem, start.units, tol_decrement)
    verdict = judge(
        problem, optimum.psi, optimum.decrement, tol_decrement, result, optimum.free, start.units
    )
    final = objective.at(optimum.psi)
    return Fit(
        psi=optimum.psi,
        value=final.value,
        gradient=final.gradient,
        vcov=_covariance(coordinates, optimum, final.profiled, profiled),
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


def _polish(
    objective: Objective,
    coordinates: Coordinates,
    problem: Problem,
    units: Array,
    tol_decrement: float,
) -> Optimum:
    """Return the optimum reached by Newton steps from the best point seen.

    The Hessian is taken anew until a round starts with next to nothing to gain, so that the one
    returned belongs to the optimum.
    """
    optimum = _measure(objective, coordinates, problem, units)
    for _ in range(MAX_ROUNDS):
        if optimum.decrement <= 1e-2 * tol_decrement:
            break
        before = optimum
        moved = _newton(objective, coordinates, optimum)
        if moved is None:
            break
        # within this the Hessian cannot have changed in a digit that matters
        if before.decrement < 1e-6 and moved.decrement < tol_decrement:
            return moved
        optimum = _measure(objective, coordinates, problem, units)
    return optimum


def _measure(
    objective: Objective, coordinates: Coordinates, problem: Problem, units: Array
) -> Optimum:
    """Return gradient, Hessian and decrement at the best point seen."""
    best, psi = _best_in_canonical_form(objective, problem)
    here = coordinates.around(psi)
    gradient = here.gradient(best.gradient)
    m, p = gradient.size, 0 if best.profiled is None else best.profiled.values.size
    free = np.ones(m, dtype=bool)
    free[: problem.n_theta] = ~boundary_thetas(problem, psi, units)

    def stacked(z: Array) -> Array:
        evaluation = objective.at(here.psi(z))
        tail = np.zeros(0) if evaluation.profiled is None else evaluation.profiled.values
        if evaluation.status is not Status.OK:
            return np.full(m + p, np.nan)
        return np.concatenate([here.gradient(evaluation.gradient), tail])

    full = jacobian(stacked, np.zeros(m), np.full(m, DIFFERENCE_STEP)) if m else np.zeros((0, 0))
    hessian = symmetrised(full[:m])
    slope = full[m:] if p else None
    decrement = _decrement(gradient, hessian, free)
    return Optimum(psi, gradient, hessian, free, decrement, slope)


def _best_in_canonical_form(objective: Objective, problem: Problem) -> tuple[Evaluation, Array]:
    """Return the best evaluation and its psi, mirrored into the bounds where it lies outside."""
    assert objective.best is not None and objective.best_psi is not None
    psi = objective.best_psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.canonical(psi[place])
    if not np.array_equal(psi, objective.best_psi):
        objective.best, objective.best_psi = objective.at(psi), psi
    return objective.best, psi


def _decrement(gradient: Array, hessian: Array, free: BoolArray) -> float:
    """Return g' H^-1 g / 2 over the free coordinates; infinite where H is not positive definite.

    A direction without curvature and without slope has nothing to gain and is left out.
    """
    if not np.any(free):
        return 0.0
    spectrum = _spectrum(hessian[np.ix_(free, free)])
    if spectrum is None:
        return np.inf
    values, vectors = spectrum
    slopes = vectors.T @ gradient[free]
    flat = (np.abs(values) < FLAT_CURVATURE) & (np.abs(slopes) < FLAT_SLOPE)
    if np.any(values[~flat] <= 0.0):
        return np.inf
    return 0.5 * float(np.sum(np.square(slopes[~flat]) / values[~flat]))


def _spectrum(hessian: Array) -> tuple[Array, Array] | None:
    """Return eigenvalues and eigenvectors, or None where an entry is not finite."""
    if not np.all(np.isfinite(hessian)):
        return None
    values, vectors = np.linalg.eigh(hessian)
    return values, vectors


def _newton(objective: Objective, coordinates: Coordinates, optimum: Optimum) -> Optimum | None:
    """Return the optimum after one accepted Newton step, its Hessian kept, or None."""
    here, free = coordinates.around(optimum.psi), optimum.free
    spectrum = _spectrum(optimum.hessian[np.ix_(free, free)])
    if spectrum is None:
        return None
    values, vectors = spectrum
    # where the curvature is negative or next to none, a short step downhill
    curvature = np.where(values > FLAT_CURVATURE, values, np.maximum(np.abs(values), 1e-2))
    step = vectors @ ((vectors.T @ optimum.gradient[free]) / curvature)
    assert objective.best is not None
    before, length = objective.best.value, 1.0
    for _ in range(10):
        z = np.zeros(free.size)
        z[free] = -length * step
        z = np.clip(z, here.lower, here.upper)
        evaluation = objective.at(here.psi(z))
        # rounding in the value hides gains this small; the gradient then decides
        if evaluation.status is Status.OK and evaluation.value <= before + 1e-9 * abs(before):
            gradient = here.gradient(evaluation.gradient)
            decrement = _decrement(gradient, optimum.hessian, free)
            if evaluation.value < before - 1e-9 * abs(before) or decrement < optimum.decrement:
                psi = objective.complete(here.psi(z), evaluation)
                objective.best, objective.best_psi = evaluation, psi
                return replace(optimum, psi=psi, gradient=gradient, decrement=decrement)
        length *= 0.5
    return None


def _restart_from_boundary(
    objective: Objective,
    coordinates: Coordinates,
    problem: Problem,
    units: Array,
    optimizer: Optimizer,
    optimum: Optimum,
) -> bool:
    """Minimise again with variances that ended at 0 moved away; return whether that was better.

    The objective is even in a standard deviation, so that its slope at 0 is 0 whether or not 0
    is the minimum: only a search from elsewhere can tell.
    """
    stuck = ~optimum.free
    if not np.any(stuck):
        return False
    assert objective.best is not None
    best, best_psi = objective.best, objective.best_psi
    here = coordinates.around(optimum.psi)
    z = np.zeros(stuck.size)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        away = unit_theta(term, BOUNDARY_RESTART * units[term.predictor])
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


def _covariance(
    coordinates: Coordinates, optimum: Optimum, profiled: Profiled | None, place: slice
) -> Array:
    """Return the covariance of psi, NaN in the rows and columns of parameters at a bound."""
    free, m = optimum.free, optimum.free.size
    covariance_z = np.zeros((m, m))
    if np.any(free):
        spectrum = _spectrum(optimum.hessian[np.ix_(free, free)])
        block = np.full((int(free.sum()),) * 2, np.nan)
        if spectrum is not None and np.all(spectrum[0] > -FLAT_CURVATURE):
            values, vectors = spectrum
            block = (vectors / np.maximum(values, 1e-3 * FLAT_CURVATURE)) @ vectors.T
        covariance_z[np.ix_(free, free)] = block
    B = coordinates.B.copy()
    if profiled is not None and optimum.profiled_slope is not None:
        B[place] = optimum.profiled_slope
    vcov = B @ covariance_z @ B.T
    if profiled is not None:
        vcov[place, place] += profiled.covariance
    bound = np.flatnonzero(~free[: coordinates.n_theta])
    vcov[bound, :] = vcov[:, bound] = np.nan
    return vcov
