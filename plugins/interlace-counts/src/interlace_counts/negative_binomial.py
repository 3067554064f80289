"""The negative binomial with variance quadratic in the mean (NB2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    Derivatives,
    Family,
    Link,
    Parameter,
    Response,
    as_link,
)
from interlace_core.families import (
    has_large_counts,
    log_factorial,
    log_rising,
    positive_or_none,
    require_counts,
)
from interlace_counts import nb_density, nb_large
from interlace_counts.nb_density import LOG_SERIES, pieces


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
    aliases = ("nbinom2", "nbinom", "negbin", "negbinomial", "negativebinomial2", "nb2", "nb")
    links = ("log", "identity", "sqrt")
    r_family = "nbinom2"
    support = "counts"
    limit_without_zeros = LOG_SERIES

    theta: float | None = None
    link: str | Link = "log"

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'negativebinomial'")
        positive_or_none(self, "theta", self.theta)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the size."""
        link = as_link(self.link, self.links, "family 'negativebinomial'")
        return (
            Parameter("mu", link, role="mean"),
            Parameter("theta", LINKS["log"], self.theta, "dispersion", at_upper=nb_density.POISSON),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density in terms of log(mu) and log(theta)."""
        log_mu = self._log_mu(eta)
        return nb_density.log_density(y, log_mu, eta[1], log_mu - eta[1])

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)) = log(theta log(1 + mu / theta))."""
        log_mu = self._log_mu(eta)
        return nb_density.cloglog_positive(log_mu, log_mu - eta[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu + mu^2 / theta."""
        mu = self.mean(eta)
        return np.asarray(mu + np.square(mu) * np.exp(-eta[1]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of a gamma mixture of Poissons."""
        return nb_density.simulate(self.mean(eta), np.exp(eta[1]), rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the regularised incomplete beta function I_p(theta, y + 1)."""
        return nb_density.cdf(y, self.mean(eta), np.exp(eta[1]))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count and the moment estimate of theta, within [0.1, 100]."""
        average, excess = nb_density.average_and_excess(y, weights)
        theta = float(np.clip(average**2 / excess, 0.1, 100.0))
        return np.array([float(self.parameters[0].link.eta(np.float64(average))), np.log(theta)])

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the mean with log link: y eta - (y + theta) log(theta + exp(eta)).

        With the others -theta log(theta + mu), a zero's, is not concave.
        """
        return wrt == (0,) and self._log_link()

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log theta) where the link is log."""
        if not self._log_link():
            return super().derivatives(y, eta, order, wrt)
        return _log_link_derivatives(y, eta[0], eta[1], order, wrt)

    def _log_link(self) -> bool:
        return self.parameters[0].link.name == "log"

    def _log_mu(self, eta: Sequence[Any]) -> Any:
        return eta[0] if self._log_link() else np.log(self.parameters[0].link.mu(eta[0]))


def _log_link_derivatives(
    y: Array, log_mu: Array, log_theta: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate R + y (log mu - softplus(d)) - log y! - E, as in `nb_density`.

    d = log mu - log theta; R depends on theta alone, E on both.
    """
    if has_large_counts(y):
        d = np.subtract(log_mu, log_theta)
        return nb_large.derivatives(y, log_mu, log_theta, d, order, wrt)
    R = log_rising(y, log_theta, order if 1 in wrt else 0)
    c = pieces(log_mu, np.subtract(log_mu, log_theta))
    E, E_m, p, q = c.E, c.E_m, c.p, c.q
    value = R[0] + y * (log_mu - c.softplus) - log_factorial(y) - E
    yp = y * p
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        second = q * (yp + E_m)
        partials |= {(0,): y * q - E_m, (0, 0): -second, (0, 0, 0): -second * (q - p)}
    if 1 in wrt and order >= 1:
        ypq, E_mp = yp * q, E_m * p
        partials[1,] = R[1] + yp + E_m - E
        if order >= 2:
            partials[1, 1] = R[2] - ypq + E_mp + E_m - E
        if order >= 3:
            partials[1, 1, 1] = R[3] + ypq * (q - p) + E_m + 2.0 * p * E_mp - E
        if 0 in wrt and order >= 2:
            partials[0, 1] = ypq - E_mp
        if 0 in wrt and order >= 3:
            cross = (q - p) * (ypq - E_mp)
            partials |= {(0, 0, 1): ypq * (q - p) - 2.0 * E_mp * q, (0, 1, 1): -cross}
    return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})
