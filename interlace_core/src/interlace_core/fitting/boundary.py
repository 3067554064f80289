"""Which covariance parameters are at a bound, entry by entry: what a structure does by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interlace_core.records import Array, BoolArray

if TYPE_CHECKING:
    from interlace_core.contracts import Covariance


def entries_at_bound(
    covariance: Covariance, theta: Array, sizes: Array, tol_sd_eta: float
) -> BoolArray:
    """Return which entries are nearer to a bound than moves eta by the tolerance.

    Parameters
    ----------
    covariance, theta, sizes, tol_sd_eta
        As for `Covariance.at_bound`.
    """
    lower, upper = covariance.bounds()
    near = tol_sd_eta / _reach(covariance, theta, sizes)
    return np.asarray((theta - lower < near) | (upper - theta < near))


def snap_entries(covariance: Covariance, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
    """Return theta with the entries next to a finite lower bound on it; arguments as above."""
    lower = covariance.bounds()[0]
    near = theta - lower < tol_sd_eta / _reach(covariance, theta, sizes)
    return np.where(near & np.isfinite(lower), lower, theta)


def _reach(covariance: Covariance, theta: Array, sizes: Array) -> Array:
    """Return how far each entry moves eta per unit, in root mean square; infinite for not at all.

    The largest over the covariates, by the template's response to the entry.
    """
    c = sizes.size
    reach = np.zeros(theta.size)
    for a in range(c):
        unit = np.zeros((c, c))
        unit[a] = 1.0
        reach = np.maximum(reach, sizes[a] * np.abs(covariance.pullback(theta, unit)))
    return np.where(reach > 0, reach, np.inf)
