"""The negative binomial with variance quadratic in the mean (NB2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contracts import Family, Parameter, positive_or_none, require_counts
from interlace_core.links import LINKS, Link, as_link
from interlace_core.records import Array, Derivatives, Response
from interlace_core.special import log_factorial, log_rising

LINK_NAMES = ("log", "identity", "sqrt")


@dataclass(frozen=True)
class NegativeBinomial2Family(Family):
    """Counts with variance mu + mu^2 / theta.

    The Poisson distribution is the limit of theta to infinity.

    Parameters
    ----------
    theta : float, optional
        Size; fixed when given, estimated (log scale, by joint maximum likelihood) when not.
    link : str or Link
        log (default), identity or sqrt.
    """

    name = "negativebinomial"

    theta: float | None = None
    link: str | Link = "log"

    def __post_init__(self) -> None:
        as_link(self.link, LINK_NAMES, "family 'negativebinomial'")
        positive_or_none(self, "theta", self.theta)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the size."""
        link = as_link(self.link, LINK_NAMES, "family 'negativebinomial'")
        return (
            Parameter("mu", link, role="mean"),
            Parameter("theta", LINKS["log"], self.theta, role="dispersion"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density in terms of log(mu) and log(theta)."""
        from scipy.special import gammaln

        theta = np.exp(eta[1])
        log_mu = eta[0] if self._log_link() else np.log(self.parameters[0].link.mu(eta[0]))
        rising = gammaln(y + theta) - gammaln(theta) - y * eta[1]
        softplus = np.logaddexp(0.0, log_mu - eta[1])
        return rising + y * log_mu - gammaln(y + 1.0) - (y + theta) * softplus

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu + mu^2 / theta."""
        mu = self.mean(eta)
        return np.asarray(mu + np.square(mu) * np.exp(-eta[1]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of a gamma mixture of Poissons."""
        mu, theta = np.broadcast_arrays(self.mean(eta), np.exp(eta[1]))
        return rng.poisson(rng.gamma(theta, mu / theta)).astype(np.float64)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the regularised incomplete beta function I_p(theta, y + 1)."""
        from scipy.special import betainc

        theta = np.exp(eta[1])
        p = theta / (theta + self.mean(eta))
        return np.where(y < 0, 0.0, betainc(theta, np.maximum(np.floor(y), 0.0) + 1.0, p))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count and the moment estimate of theta, within [0.1, 100]."""
        average = max(float(np.average(y, weights=weights)), 0.5 / y.size)
        excess = float(np.average(np.square(y - average), weights=weights)) - average
        theta = float(np.clip(average**2 / max(excess, 1e-10), 0.1, 100.0))
        return np.array([float(self.parameters[0].link.eta(np.float64(average))), np.log(theta)])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log theta) where the link is log."""
        if not self._log_link():
            return super().derivatives(y, eta, order, wrt)
        return _log_link_derivatives(y, eta[0], eta[1], order, wrt)

    def _log_link(self) -> bool:
        return self.parameters[0].link.name == "log"


def _log_link_derivatives(
    y: Array, log_mu: Array, log_theta: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate R + y log mu - log y! - (y + t) log(1 + mu / t), R as in `log_rising`."""
    from scipy.special import expit

    t, d = np.exp(log_theta), log_mu - log_theta
    p, q, softplus = expit(d), expit(-d), np.logaddexp(0.0, d)
    s = y + t
    R = log_rising(y, log_theta, order if 1 in wrt else 0)
    value = R[0] + y * log_mu - log_factorial(y) - s * softplus
    pq = p * q
    spq, third = s * pq, s * pq * (q - p)
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        partials |= {(0,): y - s * p, (0, 0): -spq, (0, 0, 0): -third}
    if 1 in wrt and order >= 1:
        tp, tpq, ts = t * p, t * pq, t * softplus
        partials[1,] = R[1] - ts + s * p
        if 0 in wrt:
            partials |= {
                (0, 1): spq - tp,
                (0, 0, 1): third - tpq,
                (0, 1, 1): 2.0 * tpq - tp - third,
            }
        if order >= 2:
            partials[1, 1] = R[2] - ts + 2.0 * tp - spq
        if order >= 3:
            partials[1, 1, 1] = R[3] - ts + 3.0 * (tp - tpq) + third
    return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})
