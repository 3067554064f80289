"""The negative binomial density of large counts, without a difference of large numbers.

log Gamma(y + t), log y! and y log mu are of the size of y log y each, and what is left of them is
of the size of 1: at a count of 1e8 their rounding moves the log-density by 1e-6. Written around
the distribution whose mean is y (Loader 2000, "Fast and accurate computation of binomial
probabilities") nothing of that size remains. With mean mu, size t, p = mu / (t + mu), q = 1 - p
and Stirling's remainder S it is G - D,

    G = S(y + t) - S(t) - S(y) + log(t / (y + t)) / 2 - log(2 pi y) / 2,
    D = y log(y / mu) - (y + t) log((y + t) / (mu + t)),

and D, half the unit deviance, is A (K(x) - K(-z)), a sum of two terms that are not negative, with

    A = q (y - mu),  x = A / t,  z = A / y,  K(x) = 1 - log(1 + x) / x.

All derivatives in (log mu, log t) follow from A, K(x) and the shares, again without cancellation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import Array, Derivatives
from interlace_core.families import HALF_LOG_2PI, MAX_LOG_MEAN, log1p_lag, stirling_remainder

_LOG_OF_ZERO = -1e8
"""Stands for log(0) where it is multiplied by a count of 0."""

_NEAR = 0.5
"""Relative distances up to this are taken from y - mu, others from the difference of logarithms,
which loses one bit at most."""


@dataclass(frozen=True)
class _Shares:
    """What D and its derivatives are made of, all shape (..., n); see the module's notation.

    Attributes
    ----------
    p, q : ndarray
        mu / (t + mu) and t / (t + mu).
    r : ndarray
        t / (t + y).
    E_m : ndarray
        mu q, the derivative of -log P(Y = 0) in log mu.
    A, x, K : ndarray
        A, x and K(x).
    """

    p: Array
    q: Array
    r: Array
    E_m: Array
    A: Array
    x: Array
    K: Array


def derivatives(
    y: Array, log_mu: Array, log_t: Array, d: Array, order: int, wrt: Sequence[int] = (0, 1)
) -> Derivatives:
    """Return the log-density and its partials in (log mu, log t), shape (..., n).

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts.
    log_mu, log_t : ndarray, broadcastable to (..., n)
        Logarithms of mean and size.
    d : ndarray
        log mu - log t, which the caller may know without the difference.
    order : int
        Highest order wanted, 0 to 3.
    wrt : sequence of int
        0 for log mu, 1 for log t.
    """
    y, log_mu, log_t, d = np.broadcast_arrays(y, log_mu, log_t, d)
    log_y = np.where(y > 0.0, np.log(np.where(y > 0.0, y, 1.0)), _LOG_OF_ZERO)
    c = _shares(y, log_y, log_mu, log_t, d)
    G = _around(y, log_y, log_t, c.r, order if 1 in wrt else 0)
    value = G[0] - c.A * c.K + _left(y, log_y, log_mu, log_t, c)
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt and order >= 1:
        partials |= _in_mean(y, c)
    if 1 in wrt and order >= 1:
        partials |= _in_size(G, c)
    if 0 in wrt and 1 in wrt and order >= 2:
        partials |= _mixed(c)
    return Derivatives(value, {key: x for key, x in partials.items() if len(key) <= order})


def _shares(y: Array, log_y: Array, log_mu: Array, log_t: Array, d: Array) -> _Shares:
    from scipy.special import expit

    p, q, r = expit(d), expit(-d), expit(log_t - log_y)
    softplus = np.logaddexp(0.0, d)
    E_m = np.exp(np.minimum(log_mu - softplus, MAX_LOG_MEAN))
    A = y * q - E_m
    w = np.logaddexp(0.0, log_y - log_t) - softplus  # log(1 + x)
    above = log_y - log_mu
    near = np.abs(above) < 1.0
    x = np.where(near, p * np.expm1(np.where(near, above, 0.0)), np.expm1(np.minimum(w, 700.0)))
    close = np.abs(x) < _NEAR
    apart = np.where(close, 1.0, x)
    K = np.where(close, log1p_lag(np.where(close, x, 0.0)), 1.0 - np.where(close, 0.0, w) / apart)
    return _Shares(p, q, r, E_m, A, x, K)


def _left(y: Array, log_y: Array, log_mu: Array, log_t: Array, c: _Shares) -> Array:
    """Return A K(-z), or y log(y (mu + t) / (mu (y + t))) taken from A where they are far apart."""
    below = log_mu - log_y
    near = np.abs(below) < 1.0
    minus_z = c.q * np.expm1(np.where(near, below, 0.0))
    near &= np.abs(minus_z) < _NEAR
    v = np.logaddexp(0.0, log_t - log_mu) - np.logaddexp(0.0, log_t - log_y)
    far = c.A - y * np.where(near, 0.0, v)
    return np.where(near, c.A * log1p_lag(np.where(near, minus_z, 0.0)), far)


def _around(y: Array, log_y: Array, log_t: Array, r: Array, order: int) -> tuple[Array, ...]:
    """Return G and its derivatives in log t; 0 for a count of 0, whose probability is exp(-D)."""
    from scipy.special import expit

    some = y > 0.0
    rest = expit(np.where(some, log_y, 0.0) - log_t)  # y / (y + t)
    s, t = stirling_remainder(np.logaddexp(log_y, log_t), order), stirling_remainder(log_t, order)
    of_y = stirling_remainder(np.where(some, log_y, 0.0), 0)[0] + HALF_LOG_2PI + 0.5 * log_y
    out = [s[0] - t[0] - of_y - 0.5 * np.logaddexp(0.0, log_y - log_t)]
    if order >= 1:
        out.append(s[1] * r - t[1] + 0.5 * rest)
    if order >= 2:
        slope = r * rest
        out.append(s[2] * r * r + s[1] * slope - t[2] - 0.5 * slope)
    if order >= 3:
        bend = slope * (rest - r)
        out.append(s[3] * r**3 + 3.0 * s[2] * r * slope + s[1] * bend - t[3] - 0.5 * bend)
    return tuple(np.where(some, each, 0.0) for each in out)


def _in_mean(y: Array, c: _Shares) -> dict[tuple[int, ...], Array]:
    second = c.q * (y * c.p + c.E_m)
    return {(0,): c.A, (0, 0): -second, (0, 0, 0): -second * (c.q - c.p)}


def _in_size(G: tuple[Array, ...], c: _Shares) -> dict[tuple[int, ...], Array]:
    first = c.A * c.K
    bend = c.A * np.where(np.abs(c.x) < _NEAR, c.x * c.r, c.q - c.r)  # x r = q - r
    partials: dict[tuple[int, ...], Array] = {(1,): G[1] - first}
    if len(G) > 2:
        partials[1, 1] = G[2] - (first - bend)
    if len(G) > 3:
        partials[1, 1, 1] = G[3] - (first - bend * (2.0 + c.p - c.q - c.r))
    return partials


def _mixed(c: _Shares) -> dict[tuple[int, ...], Array]:
    excess = c.E_m * c.x
    return {
        (0, 1): excess,
        (0, 0, 1): -c.E_m * (c.p + (c.p - c.q) * c.x),
        (0, 1, 1): excess * (c.p - c.q),
    }


def taylor(y: Array, log_mu: Any, log_t: Any, d: Any) -> Any:
    """Return the log-density of jets or arrays, by its Taylor polynomial."""
    from interlace_core.families import expand, value_of

    order = max(getattr(each, "order", 0) for each in (log_mu, log_t, d))
    found = derivatives(y, value_of(log_mu), value_of(log_t), value_of(d), order)
    return expand(found, (log_mu, log_t))
