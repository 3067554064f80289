"""The beta-binomial log-density of many trials, without a difference of large numbers.

Its log-gammas and the binomial coefficient are of the size of the trials n each. Written around
pi = (s + a) / (n + phi), a = mu phi, which lies between the share s / n and the mean mu, it is

    G(s, a) + G(n - s, phi - a) - G(n, phi) - n KL(s / n, pi) - phi KL(mu, pi),

with the divergence KL of two probabilities and, S being Stirling's remainder,
G(y, t) = S(y + t) - S(t) - S(y) + log(t / (y + t)) / 2 - log(2 pi y) / 2. Both divergences are
positive, and each is a sum of two terms x (exp(u) - 1 - u) that are.
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array
from interlace_core.families import HALF_LOG_2PI, exp_excess, stirling_remainder

MODERATE = 60.0
"""Logarithms of phi, mu and 1 - mu up to this: their exponentials, and those of their sums, are
ordinary numbers. Beyond, the plain form is right to its rounding, relative to what it returns."""


def around_share(
    successes: Array, trials: Array, log_mu: Array, log1m_mu: Array, log_phi: Array, plain: Array
) -> Array:
    """Return the log-density, shape (..., n).

    Parameters
    ----------
    successes, trials : ndarray, shape (n,)
    log_mu, log1m_mu, log_phi : ndarray, broadcastable to (..., n)
        Logarithms of the mean probabilities and of the precision.
    plain : ndarray, shape (..., n)
        What the log-gammas give, returned where a parameter is far out or there are no trials.
    """
    s, n, up, down, log_phi, plain = np.broadcast_arrays(
        successes, trials, log_mu, log1m_mu, log_phi, plain
    )
    use = (np.abs(log_phi) < MODERATE) & (up > -MODERATE) & (down > -MODERATE) & (n > 0.0)
    use &= np.isfinite(plain)
    out = np.array(plain)
    s, n, up, down, log_phi = (each[use] for each in (s, n, up, down, log_phi))
    f, phi = n - s, np.exp(log_phi)
    of_mean, of_share = phi / (n + phi), n / (n + phi)  # their parts in pi
    total = _around(s, log_phi + up) + _around(f, log_phi + down) - _around(n, log_phi)
    for count, log_p in ((s, up), (f, down)):
        expected = n * np.exp(log_p)
        gap = expected - count
        pi = of_share * count + of_mean * expected  # n times it
        total -= _divergence(count, pi, of_mean * gap)
        shape = np.exp(log_phi + log_p)
        total -= _divergence(shape, pi * phi / n, -of_share * gap * phi / n)
    out[use] = total
    return out


def _around(y: Array, log_t: Array) -> Array:
    """Return G(y, t), 0 where y is 0."""
    some = y > 0.0
    log_y = np.log(np.where(some, y, 1.0))
    of_sum = stirling_remainder(np.logaddexp(log_y, log_t), 0)[0]
    rest = stirling_remainder(log_t, 0)[0] + stirling_remainder(log_y, 0)[0]
    return np.where(
        some, of_sum - rest - HALF_LOG_2PI - 0.5 * (log_y + np.logaddexp(0.0, log_y - log_t)), 0.0
    )


def _divergence(x: Array, other: Array, gap: Array) -> Array:
    """Return other - x - x log(other / x), `gap` being other - x; `other` where x is 0."""
    some = x > 0.0
    above = np.where(some, x, 1.0)
    near = some & (np.abs(gap) < 0.5 * x)
    ratio = np.where(some & (other > 0.0), other, above) / above
    u = np.where(near, np.log1p(np.where(near, gap, 0.0) / above), np.log(ratio))
    return np.where(some, x * exp_excess(np.where(some, u, 0.0)), other)
