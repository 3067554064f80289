"""Newton steps from where an optimizer stopped to the optimum, with the curvature there.

The Hessian that standard errors need anyway comes from differences of the exact gradient;
it also tells what is left to gain, and the step that gains it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.differences import jacobian, one_sided_jacobian, symmetrised
from interlace_core.fitting.objective import Objective
from interlace_core.fitting.precondition import Coordinates
from interlace_core.fitting.verdict import boundary_thetas, snapped_psi
from interlace_core.records import Array, BoolArray, Evaluation, Profiled, Status

DIFFERENCE_STEP = 2e-3
"""Half-width of the Hessian's differences, in units of one standard error: its truncation error
is about 1e-6 relative, and rounding (gradients are exact to about 1e-9) stays below that."""

ONE_SIDED_STEP = 1e-4
"""Length of one-sided differences, in the same units: half the calls, and a truncation error of
this over 2 times the objective's skewness, 1e-5 relative. They serve where curvature is plain."""

SHARE_ALONE, SHARE_PROFILED = 1e-2, 1e-8
"""Of the tolerance, what may be left to gain without another step. Where coefficients are profiled
out a step costs one evaluation without an inner search, and degrees of freedom are steep in the
variances: what was left, with the Hessian of a point before, moved one by 7 in 10,000."""

PLAIN_CURVATURE = 0.1
"""Curvature in scaled coordinates from which one-sided differences resolve it; central ones are
taken where a direction has less."""

TOL_REL_HESSIAN = 3e-4
"""Share of the slope that a Newton step may leave for the Hessian before it to hold after it: the
Hessian then changed by about twice this relative, standard errors by as much as this."""

SHARP_CURVATURE = 9.0
"""Curvature in scaled coordinates beyond which their unit is more than 3 standard errors, and the
differences are taken again with steps to match."""

MAX_ROUNDS = 8
"""Newton rounds after the optimizer. One is usual; more mean that the optimizer stopped early."""

TOL_ABS_BOUND = 1e-7
"""Log-likelihood that setting a variance of next to 0 to 0 may cost; no print shows it."""

FLAT_CURVATURE = 1e-6
FLAT_SLOPE = 1e-4
"""Curvature and slope, in standard errors at the start of the fit, below which the likelihood no
longer depends on a direction: a parameter that went to infinity (separated data, a Poisson
limit). Its standard error is then reported as infinite, and harms no other."""

TRUSTED_CURVATURE = (1e-3, 1e4)
"""Curvatures, in standard errors at the start, between which the first Hessian's differences are
good to three digits. Beyond, it is taken again in coordinates scaled by itself."""

FLAT_STEPS = (10.0, 2.0)
"""Root mean squares, in natural units of eta, by which a direction that looks flat is followed to
see whether it is: to a factor of 22,000, or of 7 where nothing can be computed so far out."""

MAX_FLAT_MOVES = 6
"""Moves along flat directions, each of which gained more than the tolerance."""


@dataclass(frozen=True)
class Search:
    """What stays the same while a fit looks for its optimum.

    Attributes
    ----------
    problem : Problem
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    objective : Objective
        Remembers the best point seen.
    coordinates : Coordinates
        Scaled at the start.
    """

    problem: Problem
    units: Array
    objective: Objective
    coordinates: Coordinates


@dataclass(frozen=True)
class Optimum:
    """A verified stationary point in scaled coordinates.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    evaluation : Evaluation
        The objective there.
    gradient, hessian : ndarray, shape (m,), (m, m)
        In z.
    free : ndarray of bool, shape (m,)
        False for a theta at its bound.
    decrement : float
        What the log-likelihood still has to gain, by the quadratic model.
    profiled_slope : ndarray, shape (m_profiled, m), or None
        Derivative of the profiled entries in z.
    coordinates : Coordinates
        The scales of z.
    """

    psi: Array
    evaluation: Evaluation
    gradient: Array
    hessian: Array
    free: BoolArray
    decrement: float
    profiled_slope: Array | None
    coordinates: Coordinates

    @property
    def value(self) -> float:
        """The objective's value."""
        return self.evaluation.value


def polish(search: Search, tol_decrement: float) -> Optimum:
    """Return the optimum reached by Newton steps from the best point seen.

    The Hessian is taken anew until a round starts with next to nothing to gain, so that the one
    returned belongs to the optimum.
    """
    optimum = _reach(search, tol_decrement)
    if _out_of_scale(optimum):
        search = replace(search, coordinates=_rescaled(optimum))
        optimum = _reach(search, tol_decrement)
    optimum = _along_flat(search, optimum, tol_decrement)
    rough = optimum.profiled_slope is not None and optimum.free.size
    if not rough or optimum.decrement > tol_decrement:
        return optimum
    # degrees of freedom rest on the Hessian: it is taken where the last step ended, and centrally
    return _measure(search, np.diagonal(optimum.hessian))


def unpolished(search: Search) -> Optimum:
    """Return the best point seen as one of which nothing is known."""
    objective = search.objective
    assert objective.best is not None and objective.best_psi is not None
    m = search.coordinates.lower.size
    gradient = search.coordinates.gradient(objective.best.gradient)
    return Optimum(
        psi=objective.best_psi,
        evaluation=objective.best,
        gradient=gradient,
        hessian=np.full((m, m), np.nan),
        free=np.ones(m, dtype=bool),
        decrement=np.inf,
        profiled_slope=None,
        coordinates=search.coordinates,
    )


def _out_of_scale(optimum: Optimum) -> bool:
    """Return whether the Hessian is too far from 1 for the differences that it came from."""
    free = optimum.free
    spectrum = _spectrum(optimum.hessian[np.ix_(free, free)])
    if spectrum is None or not free.any():
        return False
    low, high = TRUSTED_CURVATURE
    sizes = np.abs(spectrum[0])
    return bool(np.any((sizes > FLAT_CURVATURE) & (sizes < low)) or np.any(sizes > high))


def _rescaled(optimum: Optimum) -> Coordinates:
    """Return coordinates in which the optimum's own Hessian is near the identity.

    Theta is only scaled, so that its bounds stay bounds; coefficients are turned among themselves.
    """
    here = optimum.coordinates.around(optimum.psi)
    m, n_theta = optimum.free.size, here.n_theta
    change = np.zeros((m, m))
    own = np.diagonal(optimum.hessian)[:n_theta]
    change[:n_theta, :n_theta] = np.diag(1.0 / np.sqrt(_sizes(own)))
    values, vectors = np.linalg.eigh(optimum.hessian[n_theta:, n_theta:])
    change[n_theta:, n_theta:] = vectors / np.sqrt(_sizes(values))
    scale = np.diagonal(change)[:n_theta]
    lower, upper = here.lower.copy(), here.upper.copy()
    lower[:n_theta], upper[:n_theta] = lower[:n_theta] / scale, upper[:n_theta] / scale
    return replace(here, B=here.B @ change, lower=lower, upper=upper)


def _sizes(curvature: Array) -> Array:
    """Return the sizes of curvatures; 1, which changes no scale, where there is none."""
    sizes = np.abs(curvature)
    return np.where(sizes > FLAT_CURVATURE, sizes, 1.0)


def _along_flat(search: Search, optimum: Optimum, tol_decrement: float) -> Optimum:
    """Return the optimum after moves along flat directions, while these gain anything.

    Where slope and curvature have vanished in the coordinates of the search, only values far
    away can tell that there is nothing to gain.
    """
    for _ in range(MAX_FLAT_MOVES):
        flat = flat_directions(optimum)
        if not flat.shape[1] or not np.isfinite(optimum.decrement):
            break
        objective, before = search.objective, optimum.value - tol_decrement
        here = search.coordinates.around(optimum.psi)
        for direction in (*flat.T, *-flat.T):
            reach = _reach_on_eta(search, here.B @ direction)
            for length in FLAT_STEPS:
                z = np.clip(length / reach * direction, here.lower, here.upper)
                evaluation = objective.at(here.psi(z))
                if evaluation.status is Status.OK:
                    break
        if objective.best is None or objective.best.value >= before:
            break
        optimum = _reach(search, tol_decrement)
    return optimum


def _reach_on_eta(search: Search, move: Array) -> float:
    """Return by how much a move of psi moves a predictor at the most, in its natural units."""
    problem, units, reach = search.problem, search.units, [1e-300]
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        if place.stop > place.start:
            eta = predictor.X @ move[place]
            reach.append(float(np.sqrt(np.mean(np.square(eta)))) / units[k])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        size = float(np.max(term.sizes, initial=0.0)) / units[term.predictor]
        reach.append(float(np.max(np.abs(move[place]), initial=0.0)) * size)
    return max(reach)


def flat_directions(optimum: Optimum) -> Array:
    """Return the directions in z on which the likelihood no longer depends, shape (m, k)."""
    free = np.flatnonzero(optimum.free)
    spectrum = _spectrum(optimum.hessian[np.ix_(free, free)]) if free.size else None
    if spectrum is None:
        return np.zeros((optimum.free.size, 0))
    flat = _is_flat(spectrum[0], spectrum[1].T @ optimum.gradient[free])
    directions = np.zeros((optimum.free.size, int(flat.sum())))
    directions[free] = spectrum[1][:, flat]
    return directions


def _is_flat(curvature: Array, slopes: Array) -> BoolArray:
    return np.asarray((np.abs(curvature) < FLAT_CURVATURE) & (np.abs(slopes) < FLAT_SLOPE))


def _reach(search: Search, tol_decrement: float) -> Optimum:
    """Return the optimum that Newton steps reach, with the last Hessian that they needed."""
    optimum = _measure(search)
    enough = SHARE_ALONE if optimum.profiled_slope is None else SHARE_PROFILED
    for _ in range(MAX_ROUNDS):
        if optimum.decrement <= enough * tol_decrement:
            break
        before = optimum
        moved = _newton(search, optimum)
        if moved is None:
            break
        # what the step left of the slope tells how much the Hessian changed along it
        kept = moved.decrement <= np.square(TOL_REL_HESSIAN) * before.decrement
        small = moved.decrement < tol_decrement and (before.decrement < 1e-6 or kept)
        if small and not _came_to_bound(search, moved):
            return moved
        optimum = _measure(search)
    return optimum


def _came_to_bound(search: Search, optimum: Optimum) -> bool:
    """Return whether a step ended next to a bound that the point before it was away from."""
    at = boundary_thetas(search.problem, optimum.psi, search.units)
    return bool(np.any(at & optimum.free[: at.size]))


def _measure(search: Search, curvature: Array | None = None) -> Optimum:
    """Return gradient, Hessian and decrement at the best point seen.

    With the curvature of each coordinate known, shape (m,), by central differences at once.
    """
    problem, objective = search.problem, search.objective
    best, psi = _best_in_canonical_form(search)
    here = search.coordinates.around(psi)
    gradient = here.gradient(best.gradient)
    m, p = gradient.size, 0 if best.profiled is None else best.profiled.values.size
    free = np.ones(m, dtype=bool)
    free[: problem.n_theta] = ~boundary_thetas(problem, psi, search.units)

    def stacked(z: Array) -> Array:
        evaluation = objective.at(here.psi(z))
        tail = np.zeros(0) if evaluation.profiled is None else evaluation.profiled.values
        if evaluation.status is not Status.OK:
            return np.full(m + p, np.nan)
        return np.concatenate([here.gradient(evaluation.gradient), tail])

    tail = np.zeros(0) if best.profiled is None else best.profiled.values
    if curvature is None:
        # where coefficients are profiled out another, central, measure follows
        sharp = np.inf if p else SHARP_CURVATURE
        full = _differences(stacked, np.concatenate([gradient, tail]), free, sharp)
    else:
        full = jacobian(stacked, np.zeros(m), _short_steps(curvature))
    hessian = symmetrised(full[:m])
    slope = full[m:] if p else None
    decrement = _decrement(gradient, hessian, free)
    return Optimum(psi, best, gradient, hessian, free, decrement, slope, search.coordinates)


def _differences(
    function: Callable[[Array], Array], at_zero: Array, free: BoolArray, sharp: float
) -> Array:
    """Return the Jacobian at 0 of gradient and profiled entries, shape (len(at_zero), m)."""
    m = free.size
    if not m:
        return np.zeros((at_zero.size, 0))
    zero, steps = np.zeros(m), np.full(m, ONE_SIDED_STEP)
    full = one_sided_jacobian(function, zero, at_zero, steps)
    curvature = np.diagonal(full[:m])
    spectrum = _spectrum(symmetrised(full[:m])[np.ix_(free, free)])
    plain = spectrum is not None and np.all(spectrum[0] > PLAIN_CURVATURE)
    if plain and np.all(curvature <= sharp):
        return full
    return jacobian(function, zero, _short_steps(curvature))


def _short_steps(curvature: Array) -> Array:
    """Return steps that are small against a standard error, whatever the start's scale was."""
    known = np.where(np.isfinite(curvature), curvature, 1.0)
    return np.asarray(DIFFERENCE_STEP / np.sqrt(np.maximum(known, 1.0)))


def _best_in_canonical_form(search: Search) -> tuple[Evaluation, Array]:
    """Return the best evaluation and its psi, within bounds, and at a bound where it is next to it.

    A point beyond a bound is mirrored. A variance next to 0 is set to 0 if that costs nothing.
    """
    problem, objective = search.problem, search.objective
    assert objective.best is not None and objective.best_psi is not None
    psi = objective.best_psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.canonical(psi[place])
    if not np.array_equal(psi, objective.best_psi):
        objective.move_to(psi, objective.at(psi))
    at_bound = snapped_psi(problem, psi, search.units)
    if not np.array_equal(at_bound, psi):
        evaluation = objective.at(at_bound)
        if evaluation.value <= objective.best.value + TOL_ABS_BOUND:
            objective.move_to(at_bound, evaluation)
    return objective.best, objective.best_psi


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
    flat = _is_flat(values, slopes)
    if np.any(values[~flat] <= 0.0):
        return np.inf
    return 0.5 * float(np.sum(np.square(slopes[~flat]) / values[~flat]))


def _spectrum(hessian: Array) -> tuple[Array, Array] | None:
    """Return eigenvalues and eigenvectors, or None where an entry is not finite."""
    if not np.all(np.isfinite(hessian)):
        return None
    values, vectors = np.linalg.eigh(hessian)
    return values, vectors


def _newton(search: Search, optimum: Optimum) -> Optimum | None:
    """Return the optimum after one accepted Newton step, its Hessian kept, or None."""
    objective, free = search.objective, optimum.free
    here = search.coordinates.around(optimum.psi)
    spectrum = _spectrum(optimum.hessian[np.ix_(free, free)])
    if spectrum is None:
        return None
    values, vectors = spectrum
    # where the curvature is negative or next to none, a short step downhill
    curvature = np.where(values > FLAT_CURVATURE, values, np.maximum(np.abs(values), 1e-2))
    step = vectors @ ((vectors.T @ optimum.gradient[free]) / curvature)
    # not the best value seen: the differences around the optimum may have found a lower one
    before, length = optimum.value, 1.0
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
                objective.move_to(psi, evaluation)
                return replace(
                    optimum,
                    psi=psi,
                    evaluation=evaluation,
                    gradient=gradient,
                    decrement=decrement,
                )
        length *= 0.5
    return None


def covariance_of_psi(
    optimum: Optimum, profiled: Profiled | None, place: slice
) -> tuple[Array, BoolArray]:
    """Return the covariance of psi, and which of its entries the data do not determine.

    NaN in the rows and columns of parameters at a bound. Along a flat direction the variance is
    enormous rather than infinite, so that what does not depend on it can be computed.

    Parameters
    ----------
    optimum : Optimum
    profiled : Profiled, or None
        The entries that the approximation determined there.
    place : slice
        Of these in psi.

    Returns
    -------
    vcov : ndarray, shape (n_psi, n_psi)
    undetermined : ndarray of bool, shape (n_psi,)
        Entries whose variance is that of flat directions, for the most part.
    """
    coordinates, free, m = optimum.coordinates, optimum.free, optimum.free.size
    covariance_z, flat_z = np.zeros((m, m)), np.zeros((m, m))
    if np.any(free):
        spectrum = _spectrum(optimum.hessian[np.ix_(free, free)])
        block = flat_block = np.full((int(free.sum()),) * 2, np.nan)
        if spectrum is not None and np.all(spectrum[0] > -FLAT_CURVATURE):
            values, vectors = spectrum
            roots = vectors / np.sqrt(np.maximum(values, 1e-3 * FLAT_CURVATURE))
            block = roots @ roots.T
            flat = _is_flat(values, vectors.T @ optimum.gradient[free])
            flat_block = roots[:, flat] @ roots[:, flat].T
        covariance_z[np.ix_(free, free)], flat_z[np.ix_(free, free)] = block, flat_block
    B = coordinates.B.copy()
    if profiled is not None and optimum.profiled_slope is not None:
        B[place] = optimum.profiled_slope
    vcov = B @ covariance_z @ B.T
    if profiled is not None:
        vcov[place, place] += profiled.covariance
    with np.errstate(invalid="ignore"):
        undetermined = np.diagonal(B @ flat_z @ B.T) > 0.5 * np.diagonal(vcov)
    bound = np.flatnonzero(~free[: coordinates.n_theta])
    vcov[bound, :] = vcov[:, bound] = np.nan
    return vcov, np.asarray(undetermined)
