"""Densities that more than one distribution of families builds on: arithmetic, not families."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.records import Array, Derivatives
from interlace_core.special import log_factorial

MAX_LOG_MEAN = 600.0
"""Means are taken at most exp(600), so that they and their products stay finite: exp overflows at
709, and the log-density of any count is below -1e260 from here on."""


def poisson_log_density(y: Array, log_mu: Any) -> Any:
    """Return y log(mu) - mu - log(y!), the log-density of a Poisson count.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts.
    log_mu : array-like or jet, broadcastable to (..., n)
        Logarithm of the mean.
    """
    return y * log_mu - np.exp(np.minimum(log_mu, MAX_LOG_MEAN)) - log_factorial(y)


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
    value = y * log_mu - mu - log_factorial(y)
    if 0 not in wrt:
        return Derivatives(value, {})
    slopes = (y - mu, -mu, -mu)[:order]
    return Derivatives(value, {(0,) * k: slope for k, slope in enumerate(slopes, start=1)})
