"""The beta-binomial distribution: successes among trials, with more spread than binomial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    Derivatives,
    Family,
    Link,
    Parameter,
    ProbabilityLink,
    Response,
    ResponseError,
)
from interlace_core.families import (
    as_probability_link,
    check_trials,
    draw_successes,
    expand,
    has_large_counts,
    log_choose,
    observed_proportion,
    overall_proportion,
    positive_or_none,
    value_of,
)
from interlace_proportions.log_gamma import log_pochhammer, log_pochhammer_jet, rising_slope_jet
from interlace_proportions.many_trials import around_share
from interlace_proportions.tails import LINK_NAMES, draw, log_tails, tail_partials, total

CHUNK_ELEMENTS = 1_000_000
"""Probabilities that `cdf` holds in memory at a time."""


SMALL_LOG_MU = -4.0
"""Logarithm of the mean below which P(Y > 0) is no difference of log-gammas: these have lost two
digits there."""

_NODES = tuple(
    each.tolist()
    for each in (
        0.5 * (np.polynomial.legendre.leggauss(5)[0] + 1.0),
        0.5 * np.polynomial.legendre.leggauss(5)[1],
    )
)
"""Gauss-Legendre on [0, 1]; over the 2% that x moves by it is exact to rounding."""

BINOMIAL = "the binomial distribution"
"""What it becomes where the probability does not vary between rows."""


@dataclass(frozen=True)
class BetaBinomialFamily(Family):
    """Successes in a known number of trials, with a success probability that varies.

    The probability of a row is beta distributed with mean mu and precision phi, so that the
    successes have the variance n mu (1 - mu) (phi + n) / (phi + 1). The binomial distribution
    is the limit of phi to infinity. Weights are numbers of trials where the response is a
    proportion, and multiply the log-density where it is a pair (successes, failures).

    Parameters
    ----------
    phi : float, optional
        Precision; fixed when given, estimated (log scale) when not.
    link : str or Link
        logit (default), probit or cloglog.
    """

    name = "betabinomial"
    links = LINK_NAMES
    r_family = "betabinomial"
    response_forms = frozenset({"numeric", "pair"})
    support = "trials"

    phi: float | None = None
    link: str | Link = "logit"
    trials: Array | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._link()
        positive_or_none(self, "phi", self.phi)

    def _link(self) -> ProbabilityLink:
        return as_probability_link(self.link, self.links, "family 'betabinomial'")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean probability of success and its precision."""
        return (
            Parameter("mu", self._link(), role="mean"),
            Parameter("phi", LINKS["log"], self.phi, "dispersion", at_upper=BINOMIAL),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Return (successes, trials) from a pair of counts or from a proportion and trials."""
        return check_trials(self, y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy that knows the trials; some row must have two or more.

        A response that does not vary is not judged here.

        Raises
        ------
        ResponseError
            If phi is to be estimated and no row has two trials.
        """
        if self.phi is None and np.all(y[:, 1] <= 1.0) and np.ptp(y[:, 0]) > 0.0:
            raise ResponseError(
                "family 'betabinomial': expected some rows with 2 trials or more, got at most "
                f"{np.max(y[:, 1], initial=0.0):g} in every row. With one trial the precision phi "
                "has no effect; use family 'binomial', or give the numbers of trials as weights."
            )
        return self.bind_part(y)

    def bind_part(self, y: Array) -> Self:
        """Return a copy that knows these trials, one each or not: all rows were judged."""
        return replace(self, trials=y[:, 1])

    def observed(self, y: Array) -> Array:
        """Return the proportion of successes; rows without trials give NaN."""
        return observed_proportion(y)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the binomial log-density plus R(s, a) + R(f, b) - R(n, phi).

        Here R(y, t) = log Gamma(y + t) - log Gamma(t) - y log t, which vanishes as t grows; s, f
        and n are successes, failures and trials, a = mu phi and b = (1 - mu) phi.
        """
        s, n = y[:, 0], y[:, 1]
        if has_large_counts(n):
            values = [np.asarray(value_of(each), np.float64) for each in eta]
            order = max(getattr(each, "order", 0) for each in eta)
            return expand(self.derivatives(y, values, order, (0, 1) if order else ()), eta)
        log_mu, log1m_mu = log_tails(self._link(), eta[0])
        successes = log_pochhammer_jet(s, eta[1] + log_mu, eta[1])
        failures = log_pochhammer_jet(n - s, eta[1] + log1m_mu, eta[1])
        return log_choose(y) + successes + failures - log_pochhammer_jet(n, eta[1], eta[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean probability of success."""
        return np.asarray(self._link().mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the proportion, mu (1 - mu) / n (phi + n) / (phi + 1)."""
        from scipy.special import expit

        n = 1.0 if self.trials is None else self.trials
        log_mu, log1m_mu = log_tails(self._link(), eta[0])
        inflation = 1.0 + (n - 1.0) * expit(-np.asarray(eta[1]))
        return np.asarray(np.exp(log_mu + log1m_mu) * inflation / n)

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)), of the trials bound to it; works on jets.

        What families that are given a success ask for. -log P(Y = 0) is r(phi) - r((1 - mu) phi)
        with r(x) = log Gamma(x + n) - log Gamma(x); where mu is small, mu phi times the mean of
        r' between the two, which has no difference.
        """
        n = np.ones(1) if self.trials is None else self.trials
        log_mu, _ = log_tails(self._link(), eta[0])
        small = value_of(log_mu) < SMALL_LOG_MU
        zeros = np.stack([np.zeros_like(n), n], axis=-1)
        whole = np.log(np.where(small, 1.0, -self.log_density(zeros, eta)))
        mu = np.exp(np.where(small, log_mu, SMALL_LOG_MU))
        total = sum(
            weight * rising_slope_jet(n, eta[1] + np.log(1.0 - share * mu)) / (1.0 - share * mu)
            for share, weight in zip(*_NODES, strict=True)
        )
        return np.where(small, log_mu + np.log(total), whole)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return (successes, trials)."""
        return draw_successes(draw(self._link(), eta, rng), self.trials, rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(successes <= y[:, 0]), a sum of probabilities over the shorter side."""
        s, n, eta_mu, log_phi = np.broadcast_arrays(np.floor(y[:, 0]), y[:, 1], *eta)
        rows = _Rows(*(each.reshape(-1) for each in (s, n, eta_mu, log_phi)))
        return _cumulative(self, rows).reshape(s.shape)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the overall proportion and the moment estimate of phi, within [0.1, 1e4]."""
        mu = overall_proportion(y, weights)
        factor = np.ones(y.shape[0]) if weights is None else weights
        n = y[:, 1]
        # Pearson's chi-square has the expectation sum of 1 + (n - 1) / (1 + phi)
        chi_square = np.square(y[:, 0] - n * mu) / (np.maximum(n, 1.0) * mu * (1.0 - mu))
        excess = float(np.sum(factor * (chi_square - (n > 0))))
        room = float(np.sum(factor * np.maximum(n - 1.0, 0.0)))
        rho = np.clip(excess / max(room, 1e-300), 1e-4, 0.9)
        eta = float(self._link().eta(np.float64(mu)))
        return np.array([eta, np.log(np.clip(1.0 / rho - 1.0, 0.1, 1e4))])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (eta, log phi), for any link."""
        s, n = y[:, 0], y[:, 1]
        f = n - s
        up, down = self._link().log_derivatives(np.asarray(eta[0]))
        A = log_pochhammer(s, eta[1] + up[0], eta[1], order if wrt else 0)
        B = log_pochhammer(f, eta[1] + down[0], eta[1], order if wrt else 0)
        N = log_pochhammer(n, eta[1], eta[1], order if 1 in wrt else 0)
        value = log_choose(y) + A[0] + B[0] - N[0]
        if has_large_counts(n):
            value = around_share(s, n, up[0], down[0], eta[1], value)
        if not wrt or order == 0:
            return Derivatives(value, {})
        in_phi = {(1,) * k: -N[k] for k in range(1, order + 1)} if 1 in wrt else {}
        partials = total(
            tail_partials(A, up, order, wrt, extra=s),
            tail_partials(B, down, order, wrt, extra=f),
            in_phi,
        )
        return Derivatives(value, partials)


@dataclass(frozen=True)
class _Rows:
    """Successes s, trials n and predictors of m distributions, shape (m,) each."""

    s: Array
    n: Array
    eta: Array
    log_phi: Array

    def __getitem__(self, which: Any) -> _Rows:
        return _Rows(self.s[which], self.n[which], self.eta[which], self.log_phi[which])


def _cumulative(family: BetaBinomialFamily, rows: _Rows) -> Array:
    """Return P(successes <= s), summed over 0..s or over s+1..n, whichever is shorter."""
    out = np.where(rows.s < 0, 0.0, 1.0)
    inside = np.flatnonzero((rows.s >= 0) & (rows.s < rows.n))
    terms = np.minimum(rows.s + 1.0, rows.n - rows.s)[inside]
    chunks = np.cumsum(terms) // CHUNK_ELEMENTS
    for chunk in np.unique(chunks):
        chosen = inside[chunks == chunk]
        out[chosen] = _summed(family, rows[chosen])
    return out


def _summed(family: BetaBinomialFamily, rows: _Rows) -> Array:
    lower = rows.s + 1.0 <= rows.n - rows.s
    counts = np.ceil(np.where(lower, rows.s + 1.0, rows.n - rows.s)).astype(np.intp)
    row = np.repeat(np.arange(counts.size), counts)
    step = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    k = np.where(lower, 0.0, rows.s + 1.0)[row] + step
    each = rows[row]
    log_p = family.log_density(np.column_stack([k, each.n]), [each.eta, each.log_phi])
    sums = np.minimum(np.bincount(row, np.exp(log_p), minlength=counts.size), 1.0)
    return np.where(lower, sums, 1.0 - sums)
