"""The normal distribution, with its standard deviation estimated."""

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
    as_link,
    chain,
)
from interlace_core.families import positive_or_none

SMALLEST_LOG_SIGMA = -300.0
"""sigma is taken as exp(this) where it is smaller and divided by: where the residual is 0 there
is then no 0 times infinity."""

HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class GaussianFamily(Family):
    """y ~ N(mu, sigma^2).

    Parameters
    ----------
    link : str or Link
        identity (default), log or inverse.
    sigma : float, optional
        Standard deviation, fixed when given and estimated (log scale) when not.
    """

    name = "gaussian"
    aliases = ("normal",)
    links = ("identity", "log", "inverse")
    support = "real"
    r_family = "gaussian"
    observation_level_confounded = True

    link: str | Link = "identity"
    sigma: float | None = None

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'gaussian'")
        positive_or_none(self, "sigma", self.sigma)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the standard deviation."""
        link = as_link(self.link, self.links, "family 'gaussian'")
        return (
            Parameter("mu", link, role="mean"),
            Parameter("sigma", LINKS["log"], self.sigma, role="dispersion"),
        )

    @property
    def linear_normal(self) -> bool:
        """Whether the link is the identity, sigma estimated or known."""
        return self.parameters[0].link.name == "identity"

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the normal log-density."""
        mu = self.parameters[0].link.mu(eta[0])
        scale = np.exp(-np.maximum(eta[1], SMALLEST_LOG_SIGMA))
        return -HALF_LOG_2PI - eta[1] - 0.5 * np.square((y - mu) * scale)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return sigma^2."""
        shape = np.broadcast_shapes(np.shape(eta[0]), np.shape(eta[1]))
        return np.broadcast_to(np.exp(2.0 * eta[1]), shape)

    def scale(self, eta: Sequence[float]) -> float:
        """Return sigma^2."""
        return float(np.exp(2.0 * eta[1]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return normal draws."""
        return rng.normal(self.mean(eta), np.exp(eta[1]))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return np.asarray(ndtr((y - self.mean(eta)) * np.exp(-eta[1])))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the link of the average and the log of the standard deviation."""
        start = super().start(y, weights)
        start[1] = 0.5 * np.log(max(float(np.var(y)), 1e-300))
        return start

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for log(sigma) alone, and for the mean alone with identity link.

        Not jointly: -(y - mu)^2 / (2 sigma^2) - log(sigma) is a saddle near y = mu.
        """
        return wrt == (1,) or (wrt == (0,) and self.parameters[0].link.name == "identity")

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives from the residual in units of sigma."""
        taylor = self.parameters[0].link.derivatives(eta[0])
        precision = np.exp(-2.0 * np.maximum(eta[1], SMALLEST_LOG_SIGMA))
        residual = y - taylor[0]
        square = precision * np.square(residual)
        value = -HALF_LOG_2PI - eta[1] - 0.5 * square
        slope = precision * residual
        zero = np.zeros_like(value)
        partials: dict[tuple[int, ...], Array] = {}
        if 0 in wrt:
            d1, d2, d3 = chain((slope, -precision + zero, zero), taylor)
            partials |= {(0,): d1, (0, 0): d2, (0, 0, 0): d3}
        if 1 in wrt:
            partials |= {
                (1,): square - 1.0,
                (1, 1): -2.0 * square,
                (1, 1, 1): 4.0 * square,
            }
        if 0 in wrt and 1 in wrt:
            _, c2, _ = chain((-2.0 * slope, 2.0 * precision + zero, zero), taylor)
            partials |= {(0, 1): -2.0 * d1, (0, 0, 1): c2, (0, 1, 1): 4.0 * d1}
        return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})
