"""A count distribution given that the count is positive: probabilities, moments, draws, starts.

Successes among trials are counts in this sense, given that there is one: their trials are known.

A family may say how likely a zero is with a method of its own, `cloglog_positive` (`ZeroAware`).
Then all of this holds however close to 1 its probability of a zero is; otherwise it is taken from
the log-density at 0, and ends where P(Y = 0) rounds to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from interlace_core.contract import LINKS, Array, BoolArray, Derivatives, Family, Parameter
from interlace_counts.zeros.partials import cloglog_partials, log_positive

MIN_LOG_MEAN = -600.0
"""A truncated distribution has reached its limit long before log(mu) is this small, and exp() of
this and of its negative are still ordinary numbers."""

SUM_BELOW = 1e-3
"""Where P(Y > 0) is smaller, the distribution function is summed: the difference
F(y) - f(0) would lose more than three digits."""

MAX_SUMMED = 10_000
"""Terms of such a sum. A count this large with a mean below 0.001 per row has a distribution with
so long a tail that the difference is used again."""

COMPLETE = 1.0 - 1e-15
"""Such a sum is complete but for rounding."""

REJECTION_ROUNDS = 30
"""Draws to try before the remaining rows, whose P(Y > 0) is then small, are drawn by inversion."""

START_STEPS = 20
"""EM steps of a start; a start needs one digit."""


@runtime_checkable
class LimitedWithoutZeros(Protocol):
    """A count family that names what its positive counts follow as its mean tends to 0."""

    limit_without_zeros: ClassVar[str]


def inner_parameters(inner: Family, *, without_zeros: bool) -> tuple[Parameter, ...]:
    """Return a family's parameters with their limits said of a part.

    Parameters
    ----------
    inner : Family
    without_zeros : bool
        Whether its zeros are taken from it, which adds a limit of the mean where it names one.
    """
    where = "in its count part" if inner.support == "counts" else "beside its zeros"

    def said(limit: str) -> str:
        return limit and f"{limit} {where}"

    mean, *others = (
        replace(each, at_lower=said(each.at_lower), at_upper=said(each.at_upper))
        for each in inner.parameters
    )
    log = mean.link.name == LINKS["log"].name
    if without_zeros and log and isinstance(inner, LimitedWithoutZeros):
        mean = replace(mean, at_lower=inner.limit_without_zeros)
    return (mean, *others)


@runtime_checkable
class ZeroAware(Protocol):
    """A count family that gives the probability of a positive count without rounding it to 0."""

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)), the complementary log-log of P(Y > 0); works on jets."""


@runtime_checkable
class BesideZero(Protocol):
    """A count family that takes its derivatives at y and at 0 from what they have in common."""

    def derivatives_beside_zero(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> tuple[Derivatives, Derivatives]:
        """Return log f(y), and log(-log P(Y = 0)) of the same rows, each with its partials."""


def beside_zero(
    count: Family, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> tuple[Derivatives, Derivatives]:
    """Return log f(y), and log(-log P(Y = 0)) of the same rows, each with its partials."""
    if isinstance(count, BesideZero):
        return count.derivatives_beside_zero(y, eta, order, wrt)
    full = count.derivatives(y, eta, order, wrt)
    return full, cloglog_positive_derivatives(count, y, eta, order, wrt)


def counts(number: float, rows: tuple[int, ...] | int, trials: Array | None = None) -> Array:
    """Return the same response in all rows, shape (n,), or (n, 2) with trials, shape (n,)."""
    if trials is None:
        return np.full(rows, number)
    return np.stack([np.full(trials.shape, number), trials], axis=-1)


def trials_of(y: Array) -> Array | None:
    """Return the trials of a response that has some, shape (n,)."""
    return None if y.ndim == 1 else y[:, 1]


def cloglog_positive(count: Family, eta: Sequence[Any], trials: Array | None = None) -> Any:
    """Return log(-log P(Y = 0)), shape (..., n) or broadcastable to it; works on jets."""
    from interlace_core.families import value_of

    zeros = counts(0.0, max(np.shape(value_of(each))[-1:] for each in eta), trials)
    count = _bound(count, zeros)
    if isinstance(count, ZeroAware):
        return count.cloglog_positive(eta)
    t = -count.log_density(zeros, eta)
    return np.log(np.where(t > 0, t, np.nan))


def cloglog_positive_derivatives(
    count: Family, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return log(-log P(Y = 0)) and its partials, for the rows of y."""
    from interlace_core.families import differentiate

    zeros = counts(0.0, y.shape[0], trials_of(y))
    count = _bound(count, zeros)
    if isinstance(count, ZeroAware):
        return differentiate(count.cloglog_positive, eta, order, wrt)
    return cloglog_partials(count.derivatives(zeros, eta, order, wrt), order, wrt)


def truncated_moments(
    count: Family, eta: Sequence[Array], trials: Array | None = None, *, variance: bool = False
) -> tuple[Array, Array]:
    """Return mean and, if asked for, variance given that the count is positive.

    Parameters
    ----------
    count : Family
        The untruncated family.
    eta : sequence of K ndarrays, each broadcastable to (..., n)
        Its predictors.
    trials : ndarray, shape (n,), optional
        Of a family of successes among trials.
    variance : bool
        Whether the variance is wanted; NaN otherwise.
    """
    eta = [np.asarray(each) for each in eta]
    if count.parameters[0].link.name == LINKS["log"].name:
        eta[0] = np.maximum(eta[0], MIN_LOG_MEAN)
    h = cloglog_positive(count, eta, trials)
    odds = np.exp(-log_positive(h))
    mean = np.asarray(count.mean(eta) * odds)
    if not variance:
        return mean, np.full_like(mean, np.nan)
    full = count.variance(eta) * odds
    with np.errstate(invalid="ignore", over="ignore"):
        spread = full - np.square(mean) * np.exp(-np.exp(h))
    return mean, np.where(np.isinf(full), full, np.maximum(spread, 0.0))


def truncated_cdf(count: Family, y: Array, eta: Sequence[Array]) -> Array:
    """Return P(Y <= y | Y > 0), shape (..., n)."""
    h = cloglog_positive(count, eta, trials_of(y))
    successes = y if y.ndim == 1 else y[:, 0]
    below = np.exp(-np.exp(h))
    positive = np.exp(log_positive(h))
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = (count.cdf(y, eta) - below) / positive
    summed = np.broadcast_to((positive < SUM_BELOW) & (successes <= MAX_SUMMED), np.shape(inside))
    if np.any(summed):
        there = [np.broadcast_to(each, summed.shape)[summed] for each in (successes, *eta)]
        own = None if y.ndim == 1 else np.broadcast_to(y[:, 1], summed.shape)[summed]
        inside = np.array(inside)
        inside[summed] = _summed_cdf(count, there[0], there[1:], own)
    return np.where(successes < 1, 0.0, np.clip(inside, 0.0, 1.0))


def simulate_positive(
    count: Family, eta: Sequence[Array], rng: np.random.Generator, trials: Array | None = None
) -> Array:
    """Return draws of the family given that they are positive, shape (..., n).

    With trials (successes, trials) of each, shape (..., n, 2).
    """
    eta = np.broadcast_arrays(*eta)
    own = None if trials is None else np.broadcast_to(trials, eta[0].shape)
    draws = _drawn(count, eta, rng, own)
    for _ in range(REJECTION_ROUNDS):
        again = draws == 0
        if not np.any(again):
            break
        part = None if own is None else own[again]
        draws[again] = _drawn(count, [each[again] for each in eta], rng, part)
    again = draws == 0
    if np.any(again):
        part = None if own is None else own[again]
        draws[again] = _by_inversion(count, [each[again] for each in eta], rng, part)
    return draws if own is None else np.stack([draws, own], axis=-1)


def _drawn(
    count: Family, eta: Sequence[Array], rng: np.random.Generator, trials: Array | None
) -> Array:
    """Return draws, of successes among trials these alone, shape (..., n)."""
    if trials is None:
        return count.simulate(eta, rng)
    rows = count.bind_part(counts(0.0, 0, trials.ravel()))
    drawn = rows.simulate([each.ravel() for each in eta], rng)
    return np.array(drawn[..., 0]).reshape(trials.shape)


def start_truncated(count: Family, y: Array, weights: Array | None) -> Array:
    """Return the count family's start once the zeros that truncation removed are put back.

    EM steps: as many zeros as the last start implies, for each number of trials where there are
    some, then the family's start with them.
    """
    w = np.ones(y.shape[0]) if weights is None else weights
    if y.ndim == 1:
        kinds, kind = np.zeros(1), np.zeros(y.shape[0], dtype=np.intp)
    else:
        trials, kind = np.unique(y[:, 1], return_inverse=True)
        kinds = counts(0.0, 0, trials)
    of_kind = np.bincount(kind.ravel(), w, len(kinds))
    padded = np.concatenate([y, kinds])
    eta = count.start(y, weights)
    for _ in range(START_STEPS):
        p0 = np.minimum(_probabilities(count, kinds, eta), 0.99)  # at most 99 zeros per count
        eta = count.start(padded, np.append(w, of_kind * p0 / (1.0 - p0)))
    return eta


def start_inflated(inner: Family, pi: float | None, y: Array, weights: Array | None) -> Array:
    """Return a family's start with the additional zeros removed, and their logit.

    EM steps: the share of the zeros that the family does not explain, then its start without
    them.

    Parameters
    ----------
    inner : Family
        The family that the zeros are added to.
    pi : float, or None
        Probability of an additional zero where it is fixed.
    y, weights
        As for `Family.start`.
    """
    w = np.ones(y.shape[0]) if weights is None else weights
    zero = is_zero(y)
    share = float(np.average(zero, weights=w))
    mixing = float(np.clip(0.5 * share, 0.02, 0.9)) if pi is None else pi
    # zeros of as many trials are alike
    kinds, kind = np.unique(y[zero], axis=0, return_inverse=True)
    own = np.full(int(np.sum(zero)), 0.5)
    eta = inner.start(y, _reweighted(w, zero, own))
    for _ in range(START_STEPS if own.size else 0):
        p0 = _probabilities(inner, kinds, eta)[kind.reshape(-1)]
        own = np.maximum((1.0 - mixing) * p0 / (mixing + (1.0 - mixing) * p0), 1e-3)
        eta = inner.start(y, _reweighted(w, zero, own))
        if pi is None:
            added = float(np.average(1.0 - own, weights=np.maximum(w[zero], 1e-300)))
            mixing = float(np.clip(share * added, 0.01, 0.99))
    return np.append(eta, LINKS["logit"].eta(mixing))


def is_zero(y: Array) -> BoolArray:
    """Return which rows are 0, shape (n,): of successes among trials, those without successes."""
    return np.asarray((y if y.ndim == 1 else y[:, 0]) == 0)


def _reweighted(w: Array, zero: BoolArray, own: Array) -> Array:
    out = np.array(w, np.float64)
    out[zero] *= own
    return out


def _probabilities(inner: Family, y: Array, eta: Array) -> Array:
    """Return f(y) at constant predictors, fixed parameters at their values, shape (m,)."""
    values = [
        np.full(y.shape[0], e if p.fixed is None else p.fixed_eta())
        for p, e in zip(inner.parameters, eta, strict=True)
    ]
    return np.asarray(np.exp(inner.bind_part(y).log_density(y, values)))


def _summed_cdf(
    count: Family, y: Array, eta: Sequence[Array], trials: Array | None = None
) -> Array:
    log_p = log_positive(cloglog_positive(count, eta, trials))
    total = np.zeros(y.shape)
    for k in range(1, int(np.max(y, initial=0.0)) + 1):
        rows = np.flatnonzero((y >= k) & (total < COMPLETE))
        if rows.size == 0:
            break
        value = counts(float(k), rows.size, None if trials is None else trials[rows])
        term = _bound(count, value).log_density(value, [each[rows] for each in eta])
        total[rows] += np.exp(term - log_p[rows])
    return total


def _by_inversion(
    count: Family, eta: Sequence[Array], rng: np.random.Generator, trials: Array | None = None
) -> Array:
    """Return draws by adding up the probabilities of 1, 2, ... until they pass a uniform one."""
    log_p = log_positive(cloglog_positive(count, eta, trials))
    left = rng.random(log_p.shape)
    draws = np.ones(log_p.shape)
    rows = np.arange(draws.size)
    for k in range(1, MAX_SUMMED + 1):
        draws[rows] = k
        value = counts(float(k), rows.size, None if trials is None else trials[rows])
        term = _bound(count, value).log_density(value, [each[rows] for each in eta])
        left[rows] -= np.exp(term - log_p[rows])
        rows = rows[left[rows] > 0.0]
        if rows.size == 0:
            break
    return draws


def _bound(count: Family, y: Array) -> Family:
    """Return the family for rows with trials of their own; itself for counts."""
    return count if y.ndim == 1 else count.bind_part(y)
