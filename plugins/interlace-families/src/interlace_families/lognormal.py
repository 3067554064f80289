"""The lognormal distribution, by its mean and the standard deviation of the logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
from interlace_core.families import HALF_LOG_2PI, positive_or_none, require
from interlace_families.remainders import log_mean, only_inside

LARGEST_LOG_SIGMA = 300.0
"""log(sigma) is taken within this where it is exponentiated, so that v and 1 / v are finite."""


@dataclass(frozen=True)
class LognormalFamily(Family):
    """Positive responses with mean mu whose logarithm is normal with standard deviation sigma.

    log(y) is N(log(mu) - v / 2, v) with v = sigma^2: the log-density is quadratic in log(mu), so
    that Laplace's approximation is exact, and a model without a formula for sigma has the
    likelihood of the linear mixed model of log(y), less the sum of log(y), its intercept moved by
    v / 2. The standard deviation of y is mu sqrt(exp(v) - 1), proportional to the mean; in
    `lognormal_sd`, which is the lognormal of R's glmmTMB, it is a parameter of its own. Weights
    multiply the log-density of their row.

    Parameters
    ----------
    link : str or Link
        log.
    sigma : float, optional
        Standard deviation of log(y), fixed when given and estimated (log scale) when not.
    """

    name = "lognormal"
    links = ("log",)
    support = "positive"
    observation_level_confounded: ClassVar[bool] = True

    link: str | Link = "log"
    sigma: float | None = None

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'lognormal'")
        positive_or_none(self, "sigma", self.sigma)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the standard deviation of log(y)."""
        return (
            Parameter("mu", as_link(self.link, self.links, "family 'lognormal'"), role="mean"),
            Parameter("sigma", LINKS["log"], self.sigma, role="dispersion"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept positive numbers."""
        require(
            self,
            y > 0,
            y,
            "positive numbers (where zeros occur, give ziformula= or the family 'tweedie')",
        )
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return -log(2 pi v) / 2 - (d + v / 2)^2 / (2 v) - log(y), d = log(y / mu)."""
        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        log_y = np.log(y)
        d = log_y - log_mu
        log_sigma = np.clip(eta[1], -LARGEST_LOG_SIGMA, LARGEST_LOG_SIGMA)
        # the square written out, since v^2 overflows before v does
        distance = 0.5 * np.square(d * np.exp(-log_sigma)) + 0.5 * d + 0.125 * np.exp(2 * log_sigma)
        return only_inside(inside, -HALF_LOG_2PI - eta[1] - distance - log_y)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the mean alone, in whose predictor it is quadratic, and sigma alone."""
        return wrt in ((0,), (1,))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu^2 (exp(v) - 1)."""
        with np.errstate(over="ignore"):
            return np.asarray(np.square(self.mean(eta)) * np.expm1(np.exp(2.0 * eta[1])))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return the exponentials of normal draws."""
        log_mu, sigma = self._log_scale(eta)
        return np.asarray(np.exp(rng.normal(log_mu - 0.5 * np.square(sigma), sigma)))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the normal distribution function of the standardised log(y)."""
        from scipy.special import ndtr

        log_mu, sigma = self._log_scale(eta)
        z = (np.log(np.where(y > 0, y, 1.0)) - log_mu) / sigma + 0.5 * sigma
        return np.where(y > 0, ndtr(z), 0.0)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the estimates without covariates: average and standard deviation of log(y)."""
        log_y = np.log(y)
        average = float(np.average(log_y, weights=weights))
        v = max(float(np.average(np.square(log_y - average), weights=weights)), 1e-12)
        # as an eta of the log link where exp would overflow
        link, log_mu = self.parameters[0].link, average + 0.5 * v
        eta = log_mu if link.name == "log" else float(link.eta(np.exp(log_mu)))
        return np.array([eta, 0.5 * float(np.log(v))])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log sigma) where the link is log."""
        if self.parameters[0].link.name != "log":
            return super().derivatives(y, eta, order, wrt)
        return _log_link_derivatives(y, eta[0], eta[1], order, wrt)

    def _log_scale(self, eta: Sequence[Array]) -> tuple[Array, Array]:
        """Return log(mu) and sigma."""
        log_mu, _ = log_mean(self.parameters[0].link, eta[0])
        return log_mu, np.exp(np.clip(eta[1], -LARGEST_LOG_SIGMA, LARGEST_LOG_SIGMA))


def _log_link_derivatives(
    y: Array, log_mu: Array, log_sigma: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    log_y = np.log(y)
    d = log_y - log_mu
    within = np.clip(log_sigma, -LARGEST_LOG_SIGMA, LARGEST_LOG_SIGMA)
    precision, v = np.exp(-2.0 * within), np.exp(2.0 * within)
    slope = precision * d
    square = slope * d
    value = -HALF_LOG_2PI - log_sigma - 0.5 * square - 0.5 * d - 0.125 * v - log_y
    # where log sigma is bounded, v does not move with it
    moves = np.asarray(within == log_sigma, dtype=np.float64)
    zero = np.zeros_like(value)
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        partials |= {(0,): slope + 0.5, (0, 0): zero - precision, (0, 0, 0): zero}
    if 1 in wrt:
        partials |= {
            (1,): moves * (square - 0.25 * v) - 1.0,
            (1, 1): -moves * (2.0 * square + 0.5 * v),
            (1, 1, 1): moves * (4.0 * square - v),
        }
    if 0 in wrt and 1 in wrt:
        partials |= {
            (0, 1): -2.0 * moves * slope,
            (0, 0, 1): 2.0 * moves * precision + zero,
            (0, 1, 1): 4.0 * moves * slope,
        }
    return Derivatives(value, {key: x for key, x in partials.items() if len(key) <= order})
