"""The gamma distribution, with its shape estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    HALF_LOG_2PI,
    LARGEST_LOG,
    positive_or_none,
    require,
    stirling_remainder,
)
from interlace_families.remainders import log_mean, only_inside, scaled_exp_excess, stirling


@dataclass(frozen=True)
class GammaFamily(Family):
    """Positive responses with variance mu^2 / shape.

    The coefficient of variation is constant, 1 / sqrt(shape); lme4 and R's `glm` report its
    square as the dispersion (by another estimator than maximum likelihood). As shape grows,
    (y - mu) sqrt(shape) / mu becomes standard normal; shape 1 is the exponential distribution.
    Weights multiply the log-density of their row.

    Parameters
    ----------
    link : str or Link
        log (default), inverse or identity. With the last two the density is 0 where the
        predictor gives no positive mean.
    shape : float, optional
        Shape, fixed when given and estimated (log scale) when not.
    """

    name = "gamma"
    links = ("log", "inverse", "identity")
    r_family = "Gamma"
    support = "positive"

    link: str | Link = "log"
    shape: float | None = None

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'gamma'")
        positive_or_none(self, "shape", self.shape)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the shape."""
        link = as_link(self.link, self.links, "family 'gamma'")
        return (
            Parameter("mu", link, role="mean"),
            Parameter("shape", LINKS["log"], self.shape, role="dispersion"),
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
        """Return log(k) / 2 - log(2 pi) / 2 - S(k) - k (exp(d) - 1 - d) - log(y), k the shape.

        Here d = log(y / mu), and S is the remainder of Stirling's formula.
        """
        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        log_y = np.log(y)
        excess = scaled_exp_excess(eta[1], log_y - log_mu)
        density = 0.5 * eta[1] - HALF_LOG_2PI - stirling(eta[1]) - excess - log_y
        return only_inside(inside, density)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu^2 / shape."""
        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        return np.asarray(only_inside(inside, np.exp(2.0 * log_mu - eta[1]), np.nan))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return gamma draws, kept above zero where a tiny shape lets them underflow."""
        mu, shape = np.broadcast_arrays(self.mean(eta), _shape(eta[1]))
        return np.maximum(rng.gamma(shape, mu / shape), np.finfo(np.float64).tiny)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the regularised incomplete gamma function at k y / mu."""
        from scipy.special import gammainc

        shape = _shape(eta[1])
        probability = gammainc(shape, shape * (np.maximum(y, 0.0) / self.mean(eta)))
        return np.asarray(np.minimum(probability, 1.0))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average and the moment estimate of the shape, within [0.01, 1e6]."""
        average = float(np.average(y, weights=weights))
        variance = float(np.average(np.square(y - average), weights=weights))
        shape = float(np.clip(average**2 / max(variance, 1e-300), 1e-2, 1e6))
        return np.array([float(self.parameters[0].link.eta(np.float64(average))), np.log(shape)])

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for log(shape) alone, and for the mean alone with log and inverse link.

        shape (log(eta) - y eta) and shape (-eta - y exp(-eta)) are concave; with the identity,
        shape (-log(mu) - y / mu) is not beyond mu = 2 y.
        """
        return wrt == (1,) or (wrt == (0,) and self.parameters[0].link.name in ("log", "inverse"))

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log k) where the link is log."""
        if self.parameters[0].link.name != "log":
            return super().derivatives(y, eta, order, wrt)
        return _log_link_derivatives(y, eta[0], eta[1], order, wrt)


def _shape(log_k: Array) -> Array:
    """Return the shape, kept where SciPy's and NumPy's routines work."""
    return np.asarray(np.exp(np.clip(log_k, -LARGEST_LOG, 0.5 * LARGEST_LOG)))


def _log_link_derivatives(
    y: Array, log_mu: Array, log_k: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    log_y = np.log(y)
    d = log_y - log_mu
    within = log_k <= LARGEST_LOG
    excess = scaled_exp_excess(log_k, d)
    S = stirling_remainder(log_k, order if 1 in wrt else 0)
    value = 0.5 * log_k - HALF_LOG_2PI - S[0] - excess - log_y
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        log_k = np.minimum(log_k, LARGEST_LOG)
        k = np.exp(log_k)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.exp(log_k + d)  # k y / mu
            slope = np.where(np.abs(d) < 1.0, k * np.expm1(d), scaled - k)
        partials |= {(0,): slope, (0, 0): -scaled, (0, 0, 0): scaled}
        if 1 in wrt:
            cross = np.where(within, slope, 0.0)
            partials |= {(0, 1): cross, (0, 0, 1): np.where(within, -scaled, 0.0), (0, 1, 1): cross}
    if 1 in wrt:
        excess, halves = np.where(within, excess, 0.0), (0.5, 0.0, 0.0)
        for n in range(1, order + 1):
            partials[(1,) * n] = halves[n - 1] - S[n] - excess
    return Derivatives(value, {key: v for key, v in partials.items() if len(key) <= order})
