"""What is common to mixtures of a beta distribution with point masses at 0 and 1.

The first two predictors are those of the beta part, logit(mu) and log(phi).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract import Array, BoolArray, Family, ResponseError
from interlace_proportions.shares import LOGIT, Shares
from interlace_proportions.tails import beta_cdf, draw, log_tails, start_phi


def inside(y: Array) -> BoolArray:
    """Return which values are strictly between 0 and 1."""
    return (y > 0) & (y < 1)


def require_inside(family: Family, y: Array) -> None:
    """Raise a ResponseError unless some value is strictly between 0 and 1."""
    if np.any(inside(y)):
        return
    raise ResponseError(
        f"family {family.name!r}: expected some values strictly between 0 and 1, got only 0 and 1 "
        f"in {y.size} row(s). They tell nothing about phi; use family 'binomial' for such a "
        "response."
    )


def mixture_mean(log_shares: Shares, eta: Sequence[Array]) -> Array:
    """Return P(1) + P(inside) mu, shape (..., n)."""
    return np.asarray(np.exp(log_shares.one) + np.exp(log_shares.rest) * LOGIT.mu(eta[0]))


def mixture_variance(log_shares: Shares, eta: Sequence[Array]) -> Array:
    """Return the variance within and between the three parts, shape (..., n)."""
    from scipy.special import expit

    p0, p1, rest = (np.exp(x) for x in (log_shares.zero, log_shares.one, log_shares.rest))
    log_mu, log1m_mu = log_tails(LOGIT, eta[0])
    mu = np.exp(log_mu)
    mean = p1 + rest * mu
    # 1 - mean and mu - mean without cancellation
    upper = p0 + rest * np.exp(log1m_mu)
    gap = p0 * mu - p1 * np.exp(log1m_mu)
    within = np.exp(log_mu + log1m_mu) * expit(-np.asarray(eta[1]))
    between = p0 * np.square(mean) + rest * np.square(gap) + p1 * np.square(upper)
    return np.asarray(rest * within + between)


def mixture_simulate(log_shares: Shares, eta: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return draws: 0, 1, or strictly between, shape (..., n)."""
    between = draw(LOGIT, eta, rng)
    p0, p1 = (np.broadcast_to(np.exp(x), between.shape) for x in (log_shares.zero, log_shares.one))
    which = rng.random(between.shape)
    return np.where(which < p0, 0.0, np.where(which >= 1.0 - p1, 1.0, between))


def mixture_cdf(y: Array, log_shares: Shares, eta: Sequence[Array]) -> Array:
    """Return P(Y <= y), shape (..., n)."""
    below = np.exp(log_shares.zero) + np.exp(log_shares.rest) * beta_cdf(y, LOGIT, eta)
    return np.asarray(np.where(y < 0, 0.0, np.where(y >= 1, 1.0, np.minimum(below, 1.0))))


def observed_shares(y: Array, weights: Array | None) -> Shares:
    """Return the shares of 0, of 1 and between, kept away from 0 by half a row each."""
    w = np.ones(y.size) if weights is None else weights
    zero, one, rest = (float(np.sum(w[part])) + 0.5 for part in (y == 0, y == 1, inside(y)))
    total = zero + one + rest
    return Shares(zero / total, one / total, rest / total)


def start_inside(y: Array, weights: Array | None) -> tuple[float, float]:
    """Return logit(mu) and log(phi) by the moments of the values strictly between 0 and 1."""
    chosen = inside(y)
    if not np.any(chosen):
        return 0.0, 0.0
    values, w = y[chosen], None if weights is None else weights[chosen]
    mean = float(np.average(values, weights=w))
    variance = float(np.average(np.square(values - mean), weights=w))
    return float(LOGIT.eta(mean)), float(np.log(start_phi(mean, variance)))
