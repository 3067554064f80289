"""Densities that more than one distribution of families builds on: arithmetic, not families."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.calculus.special import exp_excess, log_factorial
from interlace_core.families.responses import has_large_counts
from interlace_core.records import Array, Derivatives

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
    if not has_large_counts(y):
        return y * log_mu - np.exp(np.minimum(log_mu, MAX_LOG_MEAN)) - log_factorial(y)
    from interlace_core.calculus.jets.density import expand
    from interlace_core.calculus.jets.numbers import value_of

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
    some = y > 0.0
    log_y = np.log(np.where(some, y, 1.0))
    e = log_mu - log_y
    distance = np.where(e < 1.0, y * exp_excess(np.minimum(e, 1.0)), mu - y - y * e)
    return np.where(some, -_normal_term(log_y) - distance, -mu)


def binomial_around(successes: Array, trials: Array, log_mu: Any, log1m_mu: Any) -> Any:
    """Return the binomial log-density by its distance from successes / trials (Loader 2000).

    Without log C(n, s) + s log(mu) + (n - s) log(1 - mu), each of which is of the size of n. Half
    the unit deviance is a sum of two terms s (exp(u) - 1 - u), u the logarithm of mu over its
    estimate; both are positive.

    Parameters
    ----------
    successes, trials : ndarray, shape (n,)
    log_mu, log1m_mu : array-like or jet, broadcastable to (..., n)
        Logarithms of the probabilities of success and failure.
    """
    failures = trials - successes
    inside = (successes > 0.0) & (failures > 0.0)
    s, f = np.where(inside, successes, 1.0), np.where(inside, failures, 1.0)
    n = np.where(inside, trials, 2.0)
    up = np.where(s <= f, np.log(s / n), np.log1p(-f / n))
    down = np.where(s <= f, np.log1p(-s / n), np.log(f / n))
    normal = _normal_term(np.log(n)) - _normal_term(np.log(s)) - _normal_term(np.log(f))
    distance = s * _excess(log_mu - up) + f * _excess(log1m_mu - down)
    # all or none of the trials: the coefficient is 1
    sure = np.where(failures > 0.0, log1m_mu, np.where(successes > 0.0, log_mu, 0.0))
    return np.where(inside, normal - distance, trials * sure)


def _normal_term(log_x: Array) -> Array:
    """Return log(x!) - x log(x) + x."""
    from interlace_core.calculus.stirling import HALF_LOG_2PI, stirling_remainder

    return np.asarray(stirling_remainder(log_x, 0)[0] + HALF_LOG_2PI + 0.5 * log_x)


def _excess(x: Any) -> Any:
    from interlace_core.calculus.jets.numbers import compose

    return compose(x, exp_excess, np.expm1, np.exp, np.exp)
