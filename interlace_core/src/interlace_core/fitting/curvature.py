"""Gradient and Hessian at the best point of a search, by differences of exact gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace_core.calculus.dense import cholesky
from interlace_core.fitting.compiled import compiled_at_each, served_by
from interlace_core.fitting.differences import CENTRAL_STEP, ONE_SIDED_STEP
from interlace_core.fitting.no_residual import hold_residual
from interlace_core.fitting.optimum import (
    MANY_NUMBERS,
    Optimum,
    Search,
    remaining_gain,
    spectrum_of,
)
from interlace_core.fitting.verdict import boundary_thetas, restart_points, snapped_psi
from interlace_core.records import Array, BoolArray, Evaluation, Status

PLAIN_CURVATURE = 0.1
"""Curvature in scaled coordinates from which one-sided differences resolve it; central ones are
taken along directions that have less."""

CLEAR_CURVATURE = 1e-2
"""Curvature in scaled coordinates above which one-sided differences tell which directions are those
of little curvature."""

SHARP_CURVATURE = 9.0
"""Curvature in scaled coordinates beyond which their unit is more than 3 standard errors, and the
differences are taken again with steps to match."""

MOST_ASYMMETRY = 3e-4
"""Asymmetry of a Hessian by one-sided differences beyond which it is taken once more, centrally,
where the search ended. Standard errors have a third of it, or less."""

TOL_ABS_BOUND = 1e-7
"""Log-likelihood that setting a variance of next to 0 to 0 may cost; no print shows it."""


def measure(search: Search, curvature: Array | None = None, *, rough: bool = False) -> Optimum:
    """Return gradient, Hessian and decrement at the best point seen.

    Where the approximation has second derivatives these are taken, unless the objective is a
    function in C, whose differences take less than Python does to begin. With the curvature of each
    coordinate known, shape (m,), by central differences at once. Where it is to be `rough`, by
    one-sided ones alone.
    """
    problem, objective = search.problem, search.objective
    best, psi, away = _best_in_canonical_form(search)
    held = hold_residual(search)
    if held is not None:
        best, psi = _best_of(search)
    here = search.coordinates.around(psi)
    gradient = here.gradient(best.gradient)
    still = None if held is None else here.B[held] != 0.0
    m, p = gradient.size, 0 if best.profiled is None else best.profiled.values.size
    free = np.ones(m, dtype=bool)
    free[: problem.n_theta] = away | ~boundary_thetas(problem, psi, search.units)

    if search.curvature is not None and served_by(objective) is None:
        exact = search.curvature(psi)
        if exact is not None:
            B, moved = here.B, exact.profiled_slope
            hessian = _without(still, symmetrised(B.T @ exact.hessian @ B))
            spectrum = spectrum_of(hessian, free)
            decrement = remaining_gain(gradient, spectrum, free)
            slope = None if moved is None else _without(still, moved @ B)
            return Optimum(
                psi, best, gradient, hessian, free, decrement, slope, search.coordinates,
                is_central=True, spectrum=spectrum, held=held,
            )  # fmt: skip

    def stacked(z: Array) -> Array:
        together = compiled_at_each(objective, here.origin + z @ here.B.T)
        if together is not None:
            gradients, tails = together
            return np.concatenate([gradients @ here.B, tails], axis=1)
        found = np.full((len(z), m + p), np.nan)
        for row, each in zip(found, z, strict=True):
            at = objective.at if np.any(each) else objective.again
            evaluation = at(here.psi(each))
            tail = np.zeros(0) if evaluation.profiled is None else evaluation.profiled.values
            if evaluation.status is Status.OK:
                row[:] = np.concatenate([here.gradient(evaluation.gradient), tail])
        return found

    taken = objective.differences
    if curvature is None:
        # where coefficients are profiled out another, central, measure follows
        sharp = np.inf if p else SHARP_CURVATURE
        known = None if taken is None else taken.at(psi, here.B, False)
        if known is None:
            known = _one_sided(stacked, gradient, best, free)
        weak = m > 0 and not _is_above(symmetrised(known[:m]), PLAIN_CURVATURE, free)
        rough = rough and weak
        full = known if rough else _differences(stacked, known, free, sharp)
    else:
        rough = False
        known = None if taken is None else taken.at(psi, here.B, True)
        steps = _short_steps(curvature)
        usual = known is not None and bool(np.all(steps == CENTRAL_STEP))
        full = known if known is not None and usual else _central(stacked, steps, free)
    hessian = _without(still, symmetrised(full[:m]))
    spectrum = spectrum_of(hessian, free)
    slope = _without(still, full[m:]) if p else None
    decrement = remaining_gain(gradient, spectrum, free)
    asymmetry = _asymmetry(full[:m][np.ix_(free, free)])
    return Optimum(
        psi, best, gradient, hessian, free, decrement, slope, search.coordinates, asymmetry,
        is_rough=rough, spectrum=spectrum, held=held,
    )  # fmt: skip


def _without(still: BoolArray | None, jacobian: Array) -> Array:
    """Return a Jacobian, or Hessian, without what rounding it has along what is held still."""
    if still is None:
        return jacobian
    left = np.where(still, 0.0, jacobian)
    return np.where(still[:, None], 0.0, left) if jacobian.shape[0] == still.size else left


def _best_of(search: Search) -> tuple[Evaluation, Array]:
    best, psi = search.objective.best, search.objective.best_psi
    assert best is not None and psi is not None
    return best, psi


def refined(search: Search, optimum: Optimum) -> Optimum:
    """Return a rough optimum whose Hessian is one for standard errors too.

    One-sided differences lack digits along directions of little curvature alone: along these
    gradients are taken on both sides, which are a few for a Hessian's many.
    """
    assert optimum.spectrum is not None
    here, free = search.coordinates.around(optimum.psi), optimum.free
    weak = optimum.spectrum[0] <= PLAIN_CURVATURE
    directions = np.zeros((free.size, np.count_nonzero(weak)))
    directions[free] = optimum.spectrum[1][:, weak]

    def gradients(z: Array) -> Array:
        found = np.full(z.shape, np.nan)
        for row, each in zip(found, z, strict=True):
            evaluation = search.objective.at(here.psi(each))
            if evaluation.status is Status.OK:
                row[:] = here.gradient(evaluation.gradient)
        return found

    hessian = symmetrised(_with_directions(gradients, optimum.hessian, directions))
    if not np.all(np.isfinite(hessian)):
        return measure(search)
    spectrum = spectrum_of(hessian, free)
    decrement = remaining_gain(optimum.gradient, spectrum, free)
    return replace(optimum, hessian=hessian, spectrum=spectrum, decrement=decrement, is_rough=False)


def _one_sided(
    function: Callable[[Array], Array], gradient: Array, best: Evaluation, free: BoolArray
) -> Array:
    """Return the Jacobian at 0 of gradient and profiled entries, by one-sided differences."""
    tail = np.zeros(0) if best.profiled is None else best.profiled.values
    here, places = np.concatenate([gradient, tail]), np.flatnonzero(free)
    full = _of_bounds(here.size, free)
    if not places.size:
        return full
    beside = function(ONE_SIDED_STEP * np.eye(free.size)[places])
    full[:, places] = (beside - here).T / ONE_SIDED_STEP
    if _asymmetry(full[np.ix_(places, places)]) > MOST_ASYMMETRY:
        # where modes are searched from the last one, that at 0 was come to from further away
        full[:, places] = (beside - function(np.zeros((1, free.size)))).T / ONE_SIDED_STEP
    return full


def _differences(
    function: Callable[[Array], Array], one_sided: Array, free: BoolArray, sharp: float
) -> Array:
    """Return the one-sided Jacobian, with central ones where curvature is not plain.

    1. It stays as it is where all curvatures are plain.
    2. Along a few directions of little, but clear, curvature it is taken centrally.
    3. Of many coordinates, along those alone whose curvature is sharp, if none is too little.
    4. Elsewhere it is along all coordinates.
    """
    m = free.size
    if not m:
        return one_sided
    # 1. plain
    curvature, hessian = np.diagonal(one_sided[:m]), symmetrised(one_sided[:m])
    dull = bool(np.all(curvature <= sharp))
    plain = _is_above(hessian, PLAIN_CURVATURE, free)
    if dull and plain:
        return one_sided
    # 2. a few directions
    spectrum = spectrum_of(hessian, free) if dull else None
    if spectrum is not None:
        weak = spectrum[0] <= PLAIN_CURVATURE
        clear = spectrum[0][0] >= CLEAR_CURVATURE  # of a maximum, and no ridge or saddle
        if clear and 2 * np.count_nonzero(weak) <= m:
            directions = np.zeros((m, np.count_nonzero(weak)))
            directions[free] = spectrum[1][:, weak]
            return _with_directions(function, one_sided, directions)
    # 3. sharp coordinates
    steps, sharp_ones = _short_steps(curvature), free & (curvature > sharp)
    if plain and m >= MANY_NUMBERS and np.any(sharp_ones):
        full = one_sided.copy()
        full[:, sharp_ones] = _central(function, steps, sharp_ones)[:, sharp_ones]
        return full
    # 4. all
    return _central(function, steps, free)


def _with_directions(
    function: Callable[[Array], Array], jacobian: Array, directions: Array
) -> Array:
    """Return a Jacobian with what central differences along some directions tell of it.

    Of its square part J, which is symmetric but for errors, both J V and V'J become what they tell.

    Parameters
    ----------
    function : callable
        As for `_central`.
    jacobian : ndarray, shape (m + p, m)
    directions : ndarray, shape (m, k)
        V, orthonormal.
    """
    m, k = directions.shape
    steps = CENTRAL_STEP * directions.T
    found = function(np.concatenate([steps, -steps]))
    along = (found[:k] - found[k:]).T / (2.0 * CENTRAL_STEP)
    amended = jacobian + (along - jacobian @ directions) @ directions.T
    amended[:m] += directions @ (along[:m].T - directions.T @ amended[:m])
    return np.asarray(amended)


def _is_above(H: Array, least: float, free: BoolArray) -> bool:
    """Return whether all curvatures over the free coordinates are larger.

    As Cholesky's factor tells, in a fraction of the time of eigenvalues.
    """
    block = H if free.all() else H[np.ix_(free, free)]
    if not np.all(np.isfinite(block)):
        return False
    try:
        cholesky(block - least * np.eye(len(block)))
    except np.linalg.LinAlgError:
        return False
    return True


def _central(function: Callable[[Array], Array], steps: Array, free: BoolArray) -> Array:
    """Return the Jacobian at 0 by central differences; a row of `function` for each point."""
    if not free.any():
        return _of_bounds(function(np.zeros((1, steps.size))).shape[1], free)
    points = np.diag(steps)[free]
    found = function(np.concatenate([points, -points]))
    full = _of_bounds(found.shape[1], free)
    full[:, free] = (found[: len(points)] - found[len(points) :]).T / (2.0 * steps[free])
    return full


def _of_bounds(rows: int, free: BoolArray) -> Array:
    """Return the Jacobian of parameters at a bound, which nothing is asked of: a curvature of 1."""
    full = np.zeros((rows, free.size))
    bound = np.flatnonzero(~free)
    full[bound, bound] = 1.0
    return full


def _asymmetry(H: Array) -> float:
    """Return the largest difference of two entries that should be equal, of a unit diagonal.

    0 where an entry is not finite, or a diagonal one is 0: nothing is known then.
    """
    if not H.size or not np.all(np.isfinite(H)) or not np.all(np.diagonal(H)):
        return 0.0
    size = np.sqrt(np.abs(np.diagonal(H)))
    return float(np.max(np.abs(H - H.T) / size / size[:, None]))


def _short_steps(curvature: Array) -> Array:
    """Return steps that are small against a standard error, whatever the start's scale was."""
    known = np.where(np.isfinite(curvature), curvature, 1.0)
    return np.asarray(CENTRAL_STEP / np.sqrt(np.maximum(known, 1.0)))


def _best_in_canonical_form(search: Search) -> tuple[Evaluation, Array, BoolArray]:
    """Return the best evaluation and its psi, within bounds, and at a bound where it is next to it.

    A point beyond a bound is mirrored. A variance next to 0 is set to 0 if that costs nothing. The
    thetas of terms where it does are said too, shape (n_theta,): a prior without density at 0, say,
    keeps a variance away from it, however small.
    """
    problem, objective = search.problem, search.objective
    assert objective.best is not None and objective.best_psi is not None
    if search.coordinates.lower.size >= MANY_NUMBERS:
        for psi in restart_points(problem, objective.best_psi, search.units):
            objective.at(psi)  # remembers the best
    psi = objective.best_psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.canonical(psi[place])
    if not np.array_equal(psi, objective.best_psi):
        mirrored = objective.at(psi)
        if mirrored.status is Status.OK:  # next to where rounding is all, even that may fail
            objective.move_to(psi, mirrored)
        else:
            psi = objective.best_psi.copy()
    away = np.zeros(problem.n_theta, dtype=bool)
    at_bound = snapped_psi(problem, psi, search.units)
    if not np.array_equal(at_bound, psi) and not _moved(search, at_bound):
        for place in problem.theta_slices():
            own = psi.copy()
            own[place] = at_bound[place]
            if not np.array_equal(own, psi) and not _moved(search, own):
                away[place] = True
    return objective.best, objective.best_psi, away


def _moved(search: Search, psi: Array) -> bool:
    """Move the best point to a bound, and return True, if that costs nothing."""
    objective = search.objective
    assert objective.best is not None
    evaluation = objective.at(psi)
    if evaluation.value > objective.best.value + TOL_ABS_BOUND or not np.isfinite(evaluation.value):
        return False
    objective.move_to(psi, evaluation)
    return True


def jacobian(function: Callable[[Array], Array], x: Array, steps: Array) -> Array:
    """Return the Jacobian of a vector function by central differences, shape (m, len(x)).

    Parameters
    ----------
    function : callable
        From shape (len(x),) to shape (m,).
    x : ndarray
        Where.
    steps : ndarray, shape (len(x),)
        Half-width of each difference; the error is steps^2 / 6 times the third derivative.
    """
    if not len(steps):
        return np.zeros((function(x).size, 0))
    columns = []
    for i, step in enumerate(steps):
        forward, backward = x.copy(), x.copy()
        forward[i] += step
        backward[i] -= step
        columns.append((function(forward) - function(backward)) / (2.0 * step))
    return np.stack(columns, axis=1)


def symmetrised(matrix: Array) -> Array:
    """Return the symmetric part of a square matrix."""
    return 0.5 * (matrix + matrix.T)
