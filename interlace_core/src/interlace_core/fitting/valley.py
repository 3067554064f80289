"""Down a bent valley of many parameters: quasi-Newton steps from a Hessian that is known.

Where some directions hardly matter, Newton steps along them are as short as the valley bends: what
a step gains in the one direction, others with a thousand times the curvature take back. To take a
Hessian anew for each costs a gradient for every parameter; one gradient tells how the valley bent.
"""

from __future__ import annotations

import numpy as np

from interlace_core.fitting.optimum import FLAT_CURVATURE, Optimum, Search
from interlace_core.fitting.verdict import boundary_thetas
from interlace_core.records import Array, Status

MOST_STEPS, FIRST_STEPS = 2.0, 0.25
"""Steps, per parameter: the evaluations of two Hessians; of a quarter of one before the first."""

ARMIJO, MOST_HALVINGS = 1e-4, 12

LEAST_SHARE = 1e-4
"""Of the tolerance, what may be left to gain by the curvature that the steps have shown."""

WITHIN = 0.95
"""Share of the way to a bound that a step may go."""


def settle(search: Search, tol_decrement: float) -> None:
    """Move the search's best point to where a first Hessian is that of the optimum, if it is near.

    Without a Hessian, in coordinates in which curvatures are about 1.
    """
    objective, m = search.objective, search.coordinates.lower.size
    best, psi = objective.best, objective.best_psi
    assert best is not None and psi is not None
    free = np.ones(m, dtype=bool)
    free[: search.problem.n_theta] = ~boundary_thetas(search.problem, psi, search.units)
    n = int(free.sum())
    here = Optimum(
        psi, best, search.coordinates.gradient(best.gradient), np.eye(m), free, np.inf, None,
        search.coordinates, spectrum=(np.ones(n), np.eye(n)),
    )  # fmt: skip
    descend(search, here, tol_decrement, FIRST_STEPS)


def descend(
    search: Search, optimum: Optimum, tol_decrement: float, most: float = MOST_STEPS
) -> bool:
    """Move the search's best point down from an optimum; return whether it gained anything.

    The method of Broyden, Fletcher, Goldfarb and Shanno (Nocedal & Wright 2006, "Numerical
    Optimization", section 6.1) in coordinates in which the Hessian is the identity. Parameters at
    a bound stay there, and others do not reach one.
    """
    if optimum.spectrum is None:
        return False
    values, vectors = optimum.spectrum
    objective, free = search.objective, optimum.free
    here = search.coordinates.around(optimum.psi)
    lower, upper = here.lower[free], here.upper[free]
    # a direction without curvature gets a usual one, as a step of Newton's
    curvature = np.where(values > FLAT_CURVATURE, values, np.maximum(np.abs(values), 1e-2))
    W = vectors / np.sqrt(curvature)
    inverse, z = np.eye(values.size), np.zeros(free.size)
    value, slope = optimum.value, W.T @ optimum.gradient[free]
    for _ in range(int(most * free.size)):
        step = -inverse @ slope
        rise = float(step @ slope)
        if not rise < -2.0 * LEAST_SHARE * tol_decrement:
            break
        length = _within(z[free], W @ step, lower, upper)
        for _ in range(MOST_HALVINGS):
            moved = z.copy()
            moved[free] += length * (W @ step)
            evaluation = objective.at(here.psi(moved))
            if evaluation.status is Status.OK:
                if evaluation.value <= value + ARMIJO * length * rise:
                    break
            length *= 0.5
        else:
            break
        after = W.T @ here.gradient(evaluation.gradient)[free]
        inverse = _updated(inverse, length * step, after - slope)
        z, value, slope = moved, evaluation.value, after
    return value < optimum.value


def _within(z: Array, step: Array, lower: Array, upper: Array) -> float:
    """Return the part of a step, 1 at the most, that stays away from all bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step < 0.0, (lower - z) / step, (upper - z) / step)
    return min(1.0, WITHIN * float(np.min(room[step != 0.0], initial=np.inf)))


def _updated(inverse: Array, step: Array, change: Array) -> Array:
    """Return the inverse Hessian that maps the change of the slope to the step."""
    along = float(step @ change)
    if along <= 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        return inverse  # no curvature to learn of
    mapped = inverse @ change
    scale = (1.0 + float(change @ mapped) / along) / along
    cross = np.outer(mapped, step) / along
    return np.asarray(inverse + scale * np.outer(step, step) - cross - cross.T)
