"""The negative binomial density that NB1, NB2 and NB12 share, safe in all its limits.

With size t and d = log(mu / t) it is R + y (log mu - softplus(d)) - log y! - E, where
R = log Gamma(y + t) - log Gamma(t) - y log t tends to 0 as t grows, and E = t log(1 + mu / t)
= -log P(Y = 0) to mu: the Poisson density term by term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import Array
from interlace_core.families import draw_counts, has_large_counts, log_factorial, log_rising
from interlace_counts import nb_large

ORDINARY = 600.0
"""Exponents up to this, and their sums with a logarithm, are far from overflow at 709."""

POISSON = "the Poisson distribution"
"""What all of them become where the excess variance vanishes."""

LOG_SERIES = "the logarithmic series distribution on the positive counts"
"""What a truncated negative binomial becomes where its untruncated mean and size vanish together
(Fisher, Corbet and Williams 1943)."""


@dataclass(frozen=True)
class Pieces:
    """What the density and its derivatives are made of, besides R.

    Attributes
    ----------
    softplus, p, q : ndarray
        log(1 + exp(d)), its derivative expit(d) and expit(-d).
    E, E_m : ndarray
        E = t softplus and its derivative t p = mu q in log mu at fixed t. At fixed mu the first
        three derivatives of E in d are E_m - E, E - E_m (1 + p) and E_m (1 + 2 p^2) - E.
    """

    softplus: Array
    p: Array
    q: Array
    E: Array
    E_m: Array


def pieces(log_mu: Array, d: Array) -> Pieces:
    """Return the pieces from one exponential of d; E is taken at most as exp(600).

    E, not the mean: at eta = 1000 a size of 1 leaves P(Y = 0) = exp(-1000), and E = 1000.
    """
    d = np.asarray(d, dtype=np.float64)
    e = np.exp(-np.abs(d))
    softplus = np.maximum(d, 0.0) + np.log1p(e)
    larger = 1.0 / (1.0 + e)
    smaller = e * larger
    positive = d >= 0
    p, q = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
    if np.all(np.abs(d) <= ORDINARY) and np.all(log_mu <= ORDINARY):
        mu = np.exp(log_mu)
        return Pieces(softplus, p, q, mu * (np.exp(-d) * softplus), mu * q)
    c, slope = shrinkage(d, 1)
    E = np.exp(np.minimum(log_mu + c, ORDINARY))
    return Pieces(softplus, p, q, E, E * (1.0 + slope))


def log_density(y: Array, log_mu: Any, log_t: Any, d: Any) -> Any:
    """Return the log-density; works on jets.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts.
    log_mu, log_t : array-like or jet, broadcastable to (..., n)
        Logarithms of mean and size.
    d : array-like or jet
        log mu - log t, which the caller may know without the difference.
    """
    if has_large_counts(y):
        return nb_large.taylor(y, log_mu, log_t, d)
    softplus = np.logaddexp(0.0, d)
    E = np.exp(np.minimum(log_mu + on_jets(shrinkage, d), ORDINARY))
    rising = on_jets(lambda values, order: log_rising(y, values, order), log_t)
    return rising + y * (log_mu - softplus) - log_factorial(y) - E


def cloglog_positive(log_mu: Any, d: Any) -> Any:
    """Return log(-log P(Y = 0)) = log E; works on jets."""
    return log_mu + on_jets(shrinkage, d)


def shrinkage(d: Any, order: int) -> tuple[Any, ...]:
    """Return c(d) = log(E / mu) = log(log(1 + exp(d)) / exp(d)) and its derivatives to an order.

    It falls from 0 like -exp(d) / 2, and like log(d) - d for large d.
    """
    from scipy.special import expit

    d = np.maximum(np.asarray(d, dtype=np.float64), -ORDINARY)
    softplus, p, q = np.logaddexp(0.0, d), expit(d), expit(-d)
    ratio = softplus * np.exp(-np.minimum(d, 30.0))
    value = np.log(ratio) - np.maximum(d - 30.0, 0.0)
    g = p / softplus
    second = g * (q - g)
    third = second * (q - g) - g * (p * q + second)
    return (value, g - 1.0, second, third)[: order + 1]


def on_jets(function: Callable[[Any, int], tuple[Any, ...]], x: Any) -> Any:
    """Apply a function with derivatives `function(values, order)` to an array or a jet."""
    from interlace_core.families import compose, value_of

    order = getattr(x, "order", 0)
    parts = function(value_of(x), order)
    return compose(x, *parts, *(None,) * (3 - order))


def simulate(mu: Array, theta: Array, rng: np.random.Generator) -> Array:
    """Return negative binomial draws as Poissons with gamma means; an infinite size is Poisson."""
    mu, theta = np.broadcast_arrays(mu, theta)
    size = np.clip(theta, 1e-300, 1e15)  # at 1e15 the gamma draw is mu to seven digits
    rate = size * np.where(mu > 0, 1.0, 0.0)
    scale = np.minimum(mu / size, 1e300)
    return draw_counts(rng.gamma(rate, scale), rng)


def cdf(y: Array, mu: Array, theta: Array) -> Array:
    """Return P(Y <= y), the regularised incomplete beta function or its Poisson limit."""
    from scipy.special import betaincc, pdtr

    k = np.maximum(np.floor(y), 0.0)
    # sizes beyond this differ from Poisson by less than (y + mu)^2 / theta < 1e-12
    poisson = theta > 1e12 * np.square(1.0 + k + mu)
    theta = np.where(poisson, 1.0, theta)
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.where(np.isinf(mu), 1.0, mu / (theta + mu))
    return np.where(y < 0, 0.0, np.where(poisson, pdtr(k, mu), betaincc(k + 1.0, theta, share)))


def average_and_excess(y: Array, weights: Array | None) -> tuple[float, float]:
    """Return the average count, kept above 0, and variance minus average, kept above 1e-10."""
    average = max(float(np.average(y, weights=weights)), 0.5 / y.size)
    excess = float(np.average(np.square(y - average), weights=weights)) - average
    return average, max(excess, 1e-10)
