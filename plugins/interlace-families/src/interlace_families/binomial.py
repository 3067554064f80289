"""The binomial distribution, for 0/1 responses, proportions with trials, and pairs of counts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from interlace_core.contracts import Family, Parameter, first_offender, require
from interlace_core.errors import DataWarning
from interlace_core.links import Link, LogProbability, ProbabilityLink, as_link
from interlace_core.records import Array, Derivatives, Response
from interlace_core.special import log_factorial

LINK_NAMES = ("logit", "probit", "cloglog", "cauchit")
TOL_ABS_INTEGER = 1e-6
"""Successes this close to an integer are taken as that integer: proportions read from text
files carry about 8 digits. R warns from 1e-3 on; we round and so must be stricter."""


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
    response_forms = frozenset({"numeric", "pair", "two-level"})

    link: str | Link = "logit"
    trials: Array | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._link()

    def _link(self) -> ProbabilityLink:
        if self.link == "log":
            return LogProbability()
        link = as_link(self.link, (*LINK_NAMES, "log"), "family 'binomial'")
        if not isinstance(link, ProbabilityLink):
            raise TypeError(
                f"family 'binomial': link {link.name!r} is not a ProbabilityLink; derive it "
                "from interlace_core.links.ProbabilityLink."
            )
        return link

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The probability of success."""
        return (Parameter("mu", self._link(), role="mean"),)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Return (successes, trials) from a pair of counts or from a proportion and trials."""
        if y.ndim == 2:
            require(self, (y >= 0).all(axis=1), y.min(axis=1), "successes and failures >= 0")
            successes, trials, multipliers = y[:, 0], y.sum(axis=1), weights
        else:
            trials = np.ones(y.size) if weights is None else weights
            hint = "" if weights is not None else " (for counts of successes give the trials)"
            require(self, (y >= 0) & (y <= 1), y, f"a proportion between 0 and 1{hint}")
            successes, multipliers = y * trials, None
        return Response(np.column_stack([_counts(successes, trials), trials]), multipliers)

    def bind(self, y: Array) -> Self:
        """Return a copy that knows the trials."""
        return replace(self, trials=y[:, 1])

    def observed(self, y: Array) -> Array:
        """Return the proportion of successes; rows without trials give NaN."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return y[:, 0] / y[:, 1]

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log of C(trials, s) mu^s (1 - mu)^(trials - s)."""
        link = self._link()
        successes, failures = y[:, 0], y[:, 1] - y[:, 0]
        return _log_choose(y) + successes * link.log_mu(eta[0]) + failures * link.log1m_mu(eta[0])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the probability of success."""
        return np.asarray(self._link().mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the proportion, mu (1 - mu) / trials."""
        mu = self.mean(eta)
        return mu * (1.0 - mu) / (1.0 if self.trials is None else self.trials)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return (successes, trials)."""
        mu = self.mean(eta)
        trials = np.ones(mu.shape[-1]) if self.trials is None else self.trials
        draws = rng.binomial(np.round(trials).astype(np.int64), mu)
        return np.stack([draws.astype(np.float64), np.broadcast_to(trials, draws.shape)], axis=-1)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(successes <= y[:, 0])."""
        from scipy.special import bdtr

        successes = np.floor(y[:, 0])
        return np.where(
            successes < 0, 0.0, bdtr(np.maximum(successes, 0.0), y[:, 1], self.mean(eta))
        )

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the link of the overall proportion, kept inside (0, 1)."""
        factor = 1.0 if weights is None else weights
        successes, trials = float(np.sum(factor * y[:, 0])), float(np.sum(factor * y[:, 1]))
        return np.array([float(self._link().eta(np.float64((successes + 0.5) / (trials + 1.0))))])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives; the density is linear in log(mu) and log(1 - mu)."""
        link, x = self._link(), np.asarray(eta[0])
        successes, trials = y[:, 0], y[:, 1]
        if link.name == "logit":
            value, d1, d2, d3 = _logit_terms(successes, trials, x)
        else:
            up, down = link.log_derivatives(x)
            failures = trials - successes
            value, d1, d2, d3 = (
                _times(successes, a) + _times(failures, b) for a, b in zip(up, down, strict=True)
            )
        if not np.all(y[:, 1] == 1.0):
            value = value + _log_choose(y)
        if 0 not in wrt:
            return Derivatives(value, {})
        partials = {(0,): d1, (0, 0): d2, (0, 0, 0): d3}
        return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})


def _logit_terms(successes: Array, trials: Array, eta: Array) -> tuple[Array, Array, Array, Array]:
    """Return s eta - n log(1 + exp(eta)) and its derivatives from one exponential."""
    e = np.exp(-np.abs(eta))
    larger = 1.0 / (1.0 + e)
    tail = e * larger  # probability of the less likely outcome
    p = np.where(eta >= 0, larger, tail)
    softplus = np.log1p(e)
    softplus += np.maximum(eta, 0.0)
    second = tail
    second *= larger
    if np.all(trials == 1.0):
        value = successes * eta - softplus
        first = successes - p
    else:
        value = successes * eta - trials * softplus
        first = successes - trials * p
        second *= trials
    np.negative(second, out=second)
    return value, first, second, second * (1.0 - 2.0 * p)


def _times(count: Array, log_probability: Array) -> Array:
    """Return count * log_probability where 0 * -inf is 0."""
    return np.where(count > 0, count * log_probability, 0.0)


def _log_choose(y: Array) -> Array:
    successes, trials = y[:, 0], y[:, 1]
    return log_factorial(trials) - log_factorial(successes) - log_factorial(trials - successes)


def _counts(successes: Array, trials: Array) -> Array:
    """Return successes rounded to the integers they stand for; warn where they stand for none."""
    nearest = np.round(successes)
    off = np.abs(successes - nearest) > TOL_ABS_INTEGER * np.maximum(trials, 1.0)
    if np.any(off):
        row = first_offender(off)
        warnings.warn(
            f"family 'binomial': proportion times trials is not an integer in "
            f"{int(off.sum())} row(s), first in row {row} ({successes[row]:g} successes in "
            f"{trials[row]:g} trials). The likelihood is evaluated as it stands; check that the "
            "weights are numbers of trials.",
            DataWarning,
            stacklevel=2,
        )
    return np.where(off, successes, nearest)
