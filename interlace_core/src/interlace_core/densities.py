"""Densities that more than one distribution of families builds on: arithmetic, not families."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.records import Array, Derivatives
from interlace_core.special import exp_excess, log_factorial

MAX_LOG_MEAN = 600.0
"""Means are taken at most exp(600), so that they and their products stay finite: exp overflows at
709, and the log-density of any count is below -1e260 from here on."""


LARGE_COUNT = 1000.0
"""From here on y log y and log y! are of more than 6,900, and their difference loses so many
digits that a search notices: densities of larger counts are written without it."""


def has_large_counts(y: Array) -> bool:
    """Return whether some count is too large for y log(mu) - log(y!) to keep its digits."""
    return bool(np.max(y, initial=0.0) > LARGE_COUNT)


def poisson_log_density(y: Array, log_mu: Any) -> Any:
    """Return y log(mu) - mu - log(y!), the log-density of a Poisson count.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts.
    log_mu : array-like or jet, broadcastable to (..., n)
        Logarithm of the mean.
    """
    if not has_large_counts(y):
        return y * log_mu - np.exp(np.minimum(log_mu, MAX_LOG_MEAN)) - log_factorial(y)
    from interlace_core.jets import expand, value_of

    found = poisson_log_link_terms(y, value_of(log_mu), getattr(log_mu, "order", 0), (0,))
    return expand(found, (log_mu,))


def poisson_log_link_terms(
    y: Array, log_mu: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return the Poisson log-density and its derivatives in log(mu), predictor 0.

    Parameters
    ----------
    y, log_mu
        As for `poisson_log_density`.
    order : int
        Highest order wanted, 0 to 3.
    wrt : tuple of int
        Contains 0 if derivatives are wanted.
    """
    mu = np.exp(np.minimum(log_mu, MAX_LOG_MEAN))
    if has_large_counts(y):
        value = _poisson_around(y, log_mu, mu)
    else:
        value = y * log_mu - mu - log_factorial(y)
    if 0 not in wrt:
        return Derivatives(value, {})
    slopes = (y - mu, -mu, -mu)[:order]
    return Derivatives(value, {(0,) * k: slope for k, slope in enumerate(slopes, start=1)})


def _poisson_around(y: Array, log_mu: Array, mu: Array) -> Array:
    """Return the Poisson log-density by its distance from the mean y (Loader 2000).

    It is -S(y) - log(2 pi y) / 2 - y (exp(e) - 1 - e) with e = log(mu / y) and Stirling's
    remainder S: where y log(mu) and log(y!) nearly cancel, nothing of their size is left.
    """
    from interlace_core.stirling import HALF_LOG_2PI, stirling_remainder

    some = y > 0.0
    log_y = np.log(np.where(some, y, 1.0))
    e = log_mu - log_y
    distance = np.where(e < 1.0, y * exp_excess(np.minimum(e, 1.0)), mu - y - y * e)
    normal = stirling_remainder(log_y, 0)[0] + HALF_LOG_2PI + 0.5 * log_y
    return np.where(some, -normal - distance, -mu)
