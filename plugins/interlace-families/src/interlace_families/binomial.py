"""The binomial distribution, for 0/1 responses, proportions with trials, and pairs of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from interlace_core.contract import (
    Array,
    Collapsed,
    Derivatives,
    Family,
    IntArray,
    Link,
    LogProbability,
    Parameter,
    ProbabilityLink,
    Response,
)
from interlace_core.families import (
    as_probability_link,
    binomial_around,
    check_trials,
    draw_successes,
    has_large_counts,
    log_choose,
    observed_proportion,
    overall_proportion,
    value_of,
)

ROUNDED_OFF = -37.0
"""Logarithm of a probability below which that of the others is minus it, to rounding."""


@dataclass(frozen=True)
class BinomialFamily(Family):
    """Successes in a known number of trials, y ~ Binomial(trials, mu).

    Weights are numbers of trials where the response is a proportion, and multiply the
    log-density where it is a pair (successes, failures).

    Parameters
    ----------
    link : str or Link
        logit (default), probit, cloglog, cauchit or log.
    """

    name = "binomial"
    aliases = ("bernoulli",)
    links = ("logit", "probit", "cloglog", "cauchit", "log")
    support = "trials"
    r_family = "binomial"
    response_forms = frozenset({"numeric", "pair", "two-level"})

    link: str | Link = "logit"
    trials: Array | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _ = self._link

    @cached_property
    def _link(self) -> ProbabilityLink:
        if self.link == "log":
            return LogProbability()
        return as_probability_link(self.link, self.links, "family 'binomial'")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The probability of success."""
        return (Parameter("mu", self._link, role="mean"),)

    @property
    def observation_level_confounded(self) -> bool:
        """Whether no row has more than one trial."""
        return self.trials is not None and bool(np.all(self.trials <= 1.0))

    @cached_property
    def _known(self) -> _Trials | None:
        """What the trials bound to it are like, found once; None before they are."""
        return None if self.trials is None else _Trials.of(self.trials)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Return (successes, trials) from a pair of counts or from a proportion and trials."""
        return check_trials(self, y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy that knows the trials."""
        return replace(self, trials=y[:, 1])

    def observed(self, y: Array) -> Array:
        """Return the proportion of successes; rows without trials give NaN."""
        return observed_proportion(y)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log of C(trials, s) mu^s (1 - mu)^(trials - s)."""
        link = self._link
        successes, failures = y[:, 0], y[:, 1] - y[:, 0]
        if (self._known or _Trials.of(y[:, 1])).large:
            return binomial_around(y[:, 0], y[:, 1], link.log_mu(eta[0]), link.log1m_mu(eta[0]))
        return log_choose(y) + successes * link.log_mu(eta[0]) + failures * link.log1m_mu(eta[0])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the probability of success."""
        return np.asarray(self._link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the proportion, mu (1 - mu) / trials."""
        mu = self.mean(eta)
        return mu * (1.0 - mu) / (1.0 if self.trials is None else self.trials)

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)), of the trials bound to it; works on jets.

        What families that are given a success ask for. Below rounding it is log(trials mu).
        """
        link = self._link
        log_mu = link.log_mu(eta[0])
        small = value_of(log_mu) < ROUNDED_OFF
        whole = np.log(-link.log1m_mu(np.where(small, -1.0, eta[0])))
        trials = 1.0 if self.trials is None else self.trials
        return np.where(small, log_mu, whole) + np.log(trials)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return (successes, trials)."""
        return draw_successes(self.mean(eta), self.trials, rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(successes <= y[:, 0])."""
        from scipy.special import betainc

        successes, trials = np.floor(y[:, 0]), y[:, 1]
        more = np.maximum(trials - successes, 0.5)  # any positive number where all trials are in
        failure = np.exp(self._link.log1m_mu(eta[0]))
        below_all = betainc(more, np.maximum(successes, 0.0) + 1.0, failure)
        found = np.where(successes >= trials, 1.0, below_all)
        return np.where(successes < 0, 0.0, found)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the link of the overall proportion, kept inside (0, 1)."""
        proportion = overall_proportion(y, weights)
        return np.array([float(self._link.eta(np.float64(proportion)))])

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return whether both log-probabilities are concave: with every link but cauchit."""
        return self._link.log_concave

    def collapse(
        self, y: Array, weights: Array | None, groups: IntArray, size: int
    ) -> Collapsed | None:
        """Return the sums of successes and trials."""
        factor = np.ones(groups.size) if weights is None else weights
        sums = np.empty((size, 2))
        for j in range(2):
            sums[:, j] = np.bincount(groups, factor * y[:, j], size)
        constants = np.bincount(groups, factor * log_choose(y), size) - log_choose(sums)
        return Collapsed(sums, None, constants)

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives; the density is linear in log(mu) and log(1 - mu)."""
        link, x = self._link, np.asarray(eta[0])
        successes, trials = y[:, 0], y[:, 1]
        found = self._known or _Trials.of(trials)
        if link.name == "logit":
            value, d1, d2, d3 = _logit_terms(successes, trials, x, order, found)
        else:
            up, down = link.log_derivatives(x)
            failures = trials - successes
            value, d1, d2, d3 = (
                _times(successes, a) + _times(failures, b) for a, b in zip(up, down, strict=True)
            )
        if found.large:
            value = binomial_around(successes, trials, link.log_mu(x), link.log1m_mu(x))
        elif not found.single or successes @ (1.0 - successes) > 0.0:  # shares of one trial
            value = value + log_choose(y)
        if 0 not in wrt:
            return Derivatives(value, {})
        partials = {(0,): d1, (0, 0): d2, (0, 0, 0): d3}
        return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})


@dataclass(frozen=True)
class _Trials:
    """Which formulas serve some rows: whether all have one trial, and whether one has very many."""

    single: bool
    large: bool

    @classmethod
    def of(cls, trials: Array) -> _Trials:
        return cls(bool(np.all(trials == 1.0)), has_large_counts(trials))


def _logit_terms(
    successes: Array, trials: Array, eta: Array, order: int, found: _Trials
) -> tuple[Array, Array, Array, Array]:
    """Return s eta - n log(1 + exp(eta)) and its derivatives from one exponential.

    Derivatives beyond the order are not right.
    """
    e = np.abs(eta)
    np.exp(np.negative(e, out=e), out=e)
    larger = 1.0 / (1.0 + e)
    value = np.log1p(e)
    value += np.maximum(eta, 0.0)
    tail = np.multiply(e, larger, out=e)  # probability of the less likely outcome
    p = np.where(eta >= 0, larger, tail)
    if not found.single:
        value *= trials
    np.subtract(successes * eta, value, out=value)
    first = successes - (p if found.single else trials * p)
    if found.large:
        # the smaller of two equal differences: n p is not known to better than its rounding
        first = np.where(eta >= 0, trials * tail - (trials - successes), first)
    if order == 1:
        return value, first, first, first
    second = np.multiply(tail, larger, out=tail)
    if not found.single:
        second *= trials
    np.negative(second, out=second)
    third = second * (1.0 - 2.0 * p) if order >= 3 else second
    return value, first, second, third


def _times(count: Array, log_probability: Array) -> Array:
    """Return count * log_probability where 0 * -inf is 0."""
    return np.where(count > 0, count * log_probability, 0.0)
