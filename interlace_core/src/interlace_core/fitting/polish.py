"""Newton steps from where an optimizer stopped to the optimum, with the curvature there.

The Hessian that standard errors need anyway comes from differences of the exact gradient;
it also tells what is left to gain, and the step that gains it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.engine.known import has_across
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.compiled import is_quick
from interlace_core.fitting.curvature import (
    MOST_ASYMMETRY,
    PLAIN_CURVATURE,
    SHARP_CURVATURE,
    measure,
    refined,
)
from interlace_core.fitting.differences import CENTRAL_STEP, ONE_SIDED_STEP
from interlace_core.fitting.optimum import (
    FLAT_CURVATURE,
    MANY_NUMBERS,
    Optimum,
    Search,
    flat_directions,
    remaining_gain,
)
from interlace_core.fitting.precondition import Coordinates, reach_on_eta
from interlace_core.fitting.valley import descend, settle
from interlace_core.fitting.verdict import boundary_thetas
from interlace_core.records import Array, Status

SHARE_ALONE, SHARE_PROFILED = 1e-5, 1e-8
"""Of the tolerance, what may be left to gain without another step. Where coefficients are profiled
out a step costs one evaluation without an inner search, and degrees of freedom are steep in the
variances: what was left, with the Hessian of a point before, moved one by 7 in 10,000."""

TOL_REL_HESSIAN = 1e-4
"""Share of the slope that a Newton step may leave for the Hessian before it to hold after it: the
Hessian then changed by about twice this relative, standard errors by as much as this."""

GAIN_OF_SHORT_STEPS = 1e-8
"""Gain of a Newton step up to which what it leaves of the slope is rounding; the step is then of
1.4e-4 standard errors, and changes the Hessian by no more than that times its own slope."""

MOST_CHANGE = 1e-2
"""Relative change of a curvature by longer differences beyond which these are too long."""

NEXT_TO = 1e-6
"""Largest slope, per standard error at the start, at which a search counts as ended next to the
optimum: the Hessian changes by a millionth on what is left."""

MAX_ROUNDS = 8
"""Newton rounds after the optimizer. One is usual; more mean that the optimizer stopped early."""

CRAWL = 0.1
"""Newton rounds of many parameters end where two of them leave more than this share of the gain,
as along a bent valley, and another search begins."""

TRUSTED_CURVATURE = (1e-3, 1e4)
"""Curvatures, in standard errors at the start, between which the first Hessian's differences are
good to three digits. Beyond, it is taken again in coordinates scaled by itself."""

FLAT_STEPS = (10.0, 2.0)
"""Root mean squares, in natural units of eta, by which a direction that looks flat is followed to
see whether it is: to a factor of 22,000, or of 7 where nothing can be computed so far out."""

MAX_FLAT_MOVES = 6
"""Moves along flat directions, each of which gained more than the tolerance."""


def polish(search: Search, tol_decrement: float, *, near: bool = False) -> Optimum:
    """Return the optimum reached by Newton steps from the best point seen.

    1. Newton rounds: the Hessian is taken anew until a round starts with next to nothing to gain,
       so that the one returned belongs to the optimum.
    2. The same in coordinates scaled by that Hessian, where its differences were not of its size.
    3. Along directions that look flat, to see whether they are.
    4. Where degrees of freedom rest on it, or one-sided differences are not good enough (by their
       asymmetry, or a gradient on the other side), the Hessian once more, centrally, at the end.

    What is near an optimum gets there by the first of these, or there is none.
    """
    # 1. rounds
    optimum = _reach(search, tol_decrement)
    if near and optimum.decrement > tol_decrement:
        return optimum
    # 2. rescaled
    if _out_of_scale(optimum):
        search = replace(search, coordinates=_rescaled(optimum))
        optimum = _reach(search, tol_decrement)
    # 3. flat directions
    optimum = _along_flat(search, optimum, tol_decrement)
    # 4. the Hessian of the end
    profiled = optimum.profiled_slope is not None and optimum.free.size
    if optimum.is_central or optimum.decrement > tol_decrement:
        return optimum
    rough = profiled or optimum.asymmetry > MOST_ASYMMETRY
    if not rough and not _is_skew(search, optimum):
        return optimum
    again = measure(search, np.diagonal(optimum.hessian))
    return again if profiled or _is_as_curved(again, optimum) else optimum


def _is_skew(search: Search, optimum: Optimum) -> bool:
    """Return whether curvature changes so fast that one-sided differences miss it.

    By one gradient, on the other side along the direction that they determine least: what differs
    from the Hessian there is its change over a step of `CENTRAL_STEP`, of which one-sided
    differences have the share that their step has. Asymmetry does not see an error of the diagonal.
    """
    if optimum.spectrum is None or optimum.spectrum[0][0] <= FLAT_CURVATURE:
        return False
    values, vectors = optimum.spectrum
    first = int(np.sum(values <= PLAIN_CURVATURE)) if optimum.is_refined else 0
    if first == values.size:
        return False
    weakest = values[first]
    here, direction = search.coordinates.around(optimum.psi), np.zeros(optimum.free.size)
    direction[optimum.free] = vectors[:, first]
    z = -CENTRAL_STEP * direction
    if np.any((z < here.lower) | (z > here.upper)):
        return False
    evaluation = search.objective.at(here.psi(z))
    if evaluation.status is not Status.OK:
        return False
    slope = optimum.gradient - here.gradient(evaluation.gradient)
    change = abs(direction @ slope / CENTRAL_STEP - weakest) / weakest
    return bool(change * ONE_SIDED_STEP / CENTRAL_STEP > 2.0 * TOL_REL_HESSIAN)


def _is_as_curved(one: Optimum, other: Optimum) -> bool:
    """Return whether two Hessians have next to the same diagonal.

    Central steps are the longer ones. Towards a limit, where a coordinate's unit is long and the
    curvature falls along it, they tell of points far away. A change no larger than the asymmetry of
    the other Hessian is what that one lacks, as with weights of millions.
    """
    mine, others = np.diagonal(one.hessian), np.diagonal(other.hessian)
    most = max(MOST_CHANGE, other.asymmetry)
    return bool(np.all(np.abs(mine - others) <= most * np.abs(others)))


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
    if optimum.spectrum is None:
        return False
    low, high = TRUSTED_CURVATURE
    sizes = np.abs(optimum.spectrum[0])
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
    return replace(here, B=here.B @ change, lower=lower, upper=upper, reach=None)


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
            if _lowers_held(optimum, here.B @ direction):
                continue
            (reach,) = reach_on_eta(search.problem, search.units, (here.B @ direction)[:, None])
            for length in FLAT_STEPS:
                z = np.clip(length / reach * direction, here.lower, here.upper)
                evaluation = objective.at(here.psi(z))
                if evaluation.status is Status.OK:
                    break
        if objective.best is None or objective.best.value >= before:
            break
        optimum = _reach(search, tol_decrement)
    return optimum


def _lowers_held(optimum: Optimum, move: Array) -> bool:
    """Return whether a move of psi takes a residual from next to 0 on to 0: all is rounding."""
    if optimum.held is None:
        return False
    return bool(move[optimum.held] < -0.5 * np.linalg.norm(move))


def _reach(search: Search, tol_decrement: float) -> Optimum:
    """Return the optimum that Newton steps reach, with the last Hessian that they needed.

    Of many parameters, some of which hardly matter, down their valley first. Where that tells that
    the coordinates are not of its size, the Hessian is a rough one, for others to be made of.
    """
    many = search.coordinates.lower.size >= MANY_NUMBERS
    if many:
        settle(search, tol_decrement)
    optimum = _first(search, rough=many)
    for _ in range(MAX_ROUNDS):
        if not optimum.is_rough or not optimum.decrement > GAIN_OF_SHORT_STEPS:
            break
        if not descend(search, optimum, tol_decrement):
            break
        optimum = measure(search, rough=True)
    if optimum.is_rough:
        if optimum.decrement > tol_decrement or _out_of_scale(optimum):
            return optimum
        optimum = refined(search, optimum)
    return _rounds(search, optimum, tol_decrement)


def _rounds(search: Search, optimum: Optimum, tol_decrement: float) -> Optimum:
    """Return the optimum after Newton rounds."""
    if optimum.is_central and _is_next_to(optimum.gradient):
        return optimum
    enough = SHARE_ALONE if optimum.profiled_slope is None else SHARE_PROFILED
    gains: list[float] = []
    for _ in range(MAX_ROUNDS):
        gains.append(optimum.decrement)
        if optimum.decrement <= enough * tol_decrement or _crawls(optimum, gains, tol_decrement):
            break
        before = optimum
        moved = _newton(search, optimum)
        if moved is None:
            break
        # what the step left of the slope tells how much the Hessian changed along it
        kept = moved.decrement <= np.square(TOL_REL_HESSIAN) * before.decrement
        moved = replace(moved, is_central=before.is_central and kept and _is_costly(search))
        kept = kept or before.asymmetry > MOST_ASYMMETRY  # it is taken anew at the end
        small = moved.decrement < tol_decrement and (before.decrement < GAIN_OF_SHORT_STEPS or kept)
        if small and not _came_to_bound(search, moved):
            return moved
        optimum = measure(search)
    return optimum


def _first(search: Search, rough: bool = False) -> Optimum:
    """Return the first measure; by central differences at once where that is what stays.

    Where coefficients are profiled out the Hessian is taken centrally in the end. A search that
    came next to the optimum, in coordinates of the right size, needs no other before. Where an
    evaluation takes no longer than Python does to ask for it, there is nothing to save either.
    """
    best = search.objective.best
    assert best is not None
    slope = search.coordinates.gradient(best.gradient)
    if not (is_quick(search.objective) if best.profiled is None else _is_next_to(slope)):
        return measure(search, rough=rough)
    optimum = measure(search, np.ones(slope.size))
    if optimum.is_central:
        return optimum
    curvature = np.diagonal(optimum.hessian)
    low, high = PLAIN_CURVATURE, SHARP_CURVATURE
    usual = bool(np.all((curvature > low) & (curvature < high)) and np.all(optimum.free))
    return replace(optimum, is_central=True) if usual else measure(search)


def _crawls(optimum: Optimum, gains: list[float], tol_decrement: float) -> bool:
    """Return whether rounds of many parameters hardly gain on what is left, short of an optimum."""
    if optimum.free.size < MANY_NUMBERS or len(gains) < 3:
        return False
    return gains[-1] > max(CRAWL * gains[-3], tol_decrement)


def _is_costly(search: Search) -> bool:
    """Return whether an exact Hessian takes so long that one within `TOL_REL_HESSIAN` is kept."""
    if search.problem.parts is not None:
        return has_across(search.problem)
    return layout_of(search.problem, rows="any").plan.bargain > 0


def _is_next_to(slope: Array) -> bool:
    return bool(np.max(np.abs(slope), initial=0.0) <= NEXT_TO)


def _came_to_bound(search: Search, optimum: Optimum) -> bool:
    """Return whether a step ended next to a bound that the point before it was away from."""
    at = boundary_thetas(search.problem, optimum.psi, search.units)
    return bool(np.any(at & optimum.free[: at.size]))


def _newton(search: Search, optimum: Optimum) -> Optimum | None:
    """Return the optimum after one accepted Newton step, its Hessian kept, or None."""
    objective, free = search.objective, optimum.free
    here = search.coordinates.around(optimum.psi)
    if optimum.spectrum is None:
        return None
    values, vectors = optimum.spectrum
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
            decrement = remaining_gain(gradient, optimum.spectrum, free)
            if evaluation.value < before - 1e-9 * abs(before) or decrement < optimum.decrement:
                psi = objective.complete(here.psi(z), evaluation)
                objective.move_to(psi, evaluation)
                return replace(
                    optimum,
                    is_central=False,
                    psi=psi,
                    evaluation=evaluation,
                    gradient=gradient,
                    decrement=decrement,
                )
        length *= 0.5
    return None
