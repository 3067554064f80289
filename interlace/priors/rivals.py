"""Where a posterior may have another mode: at the centre of a prior with heavy tails.

A prior whose tails fall slower than a likelihood rises gives way to the data, or they to it: both
are modes, and a search ends at the one that it begins near. The data's part of the posterior along
the best path to a prior's centre is taken for a parabola, of which the slope and the curvature at
the mode are known, those of the posterior less the prior's. Where that parabola and the prior
together have a second minimum about as low, a search is to begin there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from interlace.inference.quantities import Coordinate, Quantity
from interlace.priors.densities import Prior
from interlace.priors.targets import OfQuantity, Part
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.records import Array

STEEPNESS = (1.0, 0.25)
"""Shares of the parabola that are tried: a likelihood that is none may rise more slowly."""

ALLOWANCE = 2.0
"""Log-posterior by which the second minimum may be higher by that guess."""

BARRIER = 1e-3
"""What has to lie between two minima."""

PLACES = 400
MOST_RIVALS = 6


def other_modes(
    parts: Sequence[Part], psi: Array, covariance: PsiCovariance
) -> tuple[tuple[str, Array], ...]:
    """Return where further searches are to begin, in words and as psi that users see.

    Parameters
    ----------
    parts : sequence of Part
    psi : ndarray, shape (n_psi,)
        A mode, as users see it.
    covariance : PsiCovariance
        The inverse of the posterior's curvature there.
    """
    found = list(_found(parts, psi, covariance))[:MOST_RIVALS]
    if len(found) > 1:
        together = psi + np.sum([each - psi for _, each in found], axis=0)
        found.insert(0, ("the centres of several priors", together))
    return tuple(found)


def _found(
    parts: Sequence[Part], psi: Array, covariance: PsiCovariance
) -> Iterator[tuple[str, Array]]:
    for part in parts:
        if not isinstance(part, OfQuantity) or part.prior.log_concave:
            continue
        quantity = part.quantity
        value, slope = quantity.value(psi), quantity.gradient(psi)
        variance = covariance.variance(slope)
        if not (np.isfinite(variance) and variance > 0.0):
            continue
        place = _second_minimum(part.prior, value, variance)
        moved = None if place is None else _moved(quantity, psi, place, covariance)
        if moved is not None:
            yield f"the centre of the prior of {quantity.label}", moved


def _second_minimum(prior: Prior, value: float, variance: float) -> float | None:
    """Return where, between a prior's centre and a value, there may be another minimum."""
    away = value - prior.centre
    least = 0.1 * prior.width
    if not least < abs(away) < np.inf:
        return None
    places = prior.centre + np.copysign(np.geomspace(least, abs(away), PLACES), away)
    heights = np.array([-prior.log_density(float(each))[0] for each in places])
    slope, curvature = prior.log_density(value)[1], 1.0 / variance - prior.second(value)
    steps = places - value
    for share in STEEPNESS:
        parabola = share * (slope * steps + 0.5 * max(curvature, 0.0) * np.square(steps))
        total = heights + parabola
        lowest = int(np.argmin(total[: PLACES // 2 + 1]))
        barrier = float(np.max(total[lowest:])) - max(total[lowest], total[-1])
        if total[lowest] < total[-1] + ALLOWANCE and barrier > BARRIER:
            return float(places[lowest])
    return None


def _moved(quantity: Quantity, psi: Array, place: float, covariance: PsiCovariance) -> Array | None:
    """Return psi with a quantity at a place; the others follow a coefficient as V says."""
    if isinstance(quantity, Coordinate):
        slope = quantity.gradient(psi)
        along = np.nan_to_num(covariance.given) @ slope
        return np.asarray(psi + along * ((place - quantity.value(psi)) / float(slope @ along)))
    entries = quantity.length_of(psi)
    if entries is None:
        return None
    moved = psi.copy()
    moved[entries] *= place / quantity.value(psi)
    return moved
