"""The inverse Gaussian distribution, with its dispersion estimated."""

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
from interlace_core.families import HALF_LOG_2PI, LARGEST_LOG, positive_or_none, require
from interlace_families.remainders import log_mean, only_inside


@dataclass(frozen=True)
class InverseGaussianFamily(Family):
    """Positive responses with variance mu^3 phi.

    Elsewhere lambda = 1 / phi is called the shape. Weights multiply the log-density of their
    row.

    Parameters
    ----------
    link : str or Link
        log (default), 1/mu^2 or inverse. With the last two the density is 0 where the
        predictor gives no positive mean.
    phi : float, optional
        Dispersion, fixed when given and estimated (log scale) when not.
    """

    name = "inversegaussian"
    aliases = ("invgauss",)
    links = ("log", "1/mu^2", "inverse")
    support = "positive"

    link: str | Link = "log"
    phi: float | None = None

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'inversegaussian'")
        positive_or_none(self, "phi", self.phi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the dispersion."""
        link = as_link(self.link, self.links, "family 'inversegaussian'")
        return (
            Parameter("mu", link, role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept positive numbers."""
        require(self, y > 0, y, "positive numbers (where zeros occur, give ziformula=)")
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return -log(2 pi phi y^3) / 2 - (y / mu - 1)^2 / (2 phi y)."""
        from interlace_core.families import value_of

        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        log_y = np.log(y)
        with np.errstate(over="ignore"):
            log_c = 0.5 * (np.minimum(-eta[1], LARGEST_LOG) - log_y)
            d = log_y - log_mu
            near = value_of(d) < 1.0
            # a tiny scale times an overflowing exponential
            away = np.exp(log_c + d) - np.exp(log_c)
            m = np.where(near, np.expm1(np.where(near, d, 0.0)) * np.exp(log_c), away)
            distance = 0.5 * np.square(m)
        return only_inside(inside, -HALF_LOG_2PI - 0.5 * eta[1] - 1.5 * log_y - distance)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu^3 phi."""
        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        return np.asarray(only_inside(inside, np.exp(3.0 * log_mu + eta[1]), np.nan))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws by the method of Michael, Schucany and Haas (1976).

        The smaller root is written without a difference, which costs NumPy's `wald` its digits
        where mu phi is large.
        """
        mu, phi = np.broadcast_arrays(self.mean(eta), np.exp(eta[1]))
        w = 0.5 * mu * phi * np.square(rng.standard_normal(mu.shape))
        root = 1.0 / (1.0 + w + np.sqrt(w * (w + 2.0)))
        smaller = rng.uniform(size=mu.shape) * (1.0 + root) <= 1.0
        return np.asarray(mu * np.where(smaller, root, 1.0 / root))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return Phi(a) + exp(2 / (mu phi)) Phi(-b), with the product as one exponential.

        a and b are (y / mu - 1) and (y / mu + 1), both over sqrt(y phi).
        """
        from scipy.special import erfcx, ndtr

        positive = np.where(y > 0, y, 1.0)
        relative = positive / self.mean(eta)
        scale = np.exp(-0.5 * eta[1]) / np.sqrt(positive)
        a, b = (relative - 1.0) * scale, (relative + 1.0) * scale
        total = ndtr(a) + 0.5 * np.exp(-0.5 * np.square(a)) * erfcx(b * np.sqrt(0.5))
        return np.where(y > 0, np.minimum(total, 1.0), 0.0)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average and the maximum likelihood dispersion of a constant mean."""
        average = float(np.average(y, weights=weights))
        distance = np.square(y / average - 1.0) / y
        phi = max(float(np.average(distance, weights=weights)), 1e-10 / average)
        return np.array([float(self.parameters[0].link.eta(np.float64(average))), np.log(phi)])

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for log(phi) alone, and for the mean alone with links 1/mu^2 and inverse.

        2 phi times the log-density is -y eta + 2 sqrt(eta) and -y eta^2 + 2 eta there, and with
        log link -y exp(-2 eta) + 2 exp(-eta), which is not concave beyond mu = 2 y.
        """
        inverse = self.parameters[0].link.name in ("1/mu^2", "inverse")
        return wrt == (1,) or (wrt == (0,) and inverse)

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log phi) where the link is log."""
        if self.parameters[0].link.name != "log":
            return super().derivatives(y, eta, order, wrt)
        with np.errstate(over="ignore", invalid="ignore"):
            return _log_link_derivatives(y, eta[0], eta[1], order, wrt)


def _log_link_derivatives(
    y: Array, log_mu: Array, log_phi: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate m^2 / 2 with m = e - c, e = c y / mu and c = 1 / sqrt(y phi)."""
    log_y = np.log(y)
    within = -log_phi <= LARGEST_LOG
    log_c, d = 0.5 * (np.minimum(-log_phi, LARGEST_LOG) - log_y), log_y - log_mu
    c, e = np.exp(log_c), np.exp(log_c + d)
    m = np.where(d < 1.0, c * np.expm1(np.minimum(d, 1.0)), e - c)
    distance = 0.5 * np.square(m)
    value = -HALF_LOG_2PI - 0.5 * log_phi - 1.5 * log_y - distance
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        first, second = e * m, -e * (2.0 * e - c)
        partials |= {(0,): first, (0, 0): second, (0, 0, 0): e * (4.0 * e - c)}
        if 1 in wrt:
            cross = np.where(within, first, 0.0)
            partials |= {
                (0, 1): -cross,
                (0, 0, 1): np.where(within, -second, 0.0),
                (0, 1, 1): cross,
            }
    if 1 in wrt:
        distance = np.where(within, distance, 0.0)
        partials |= {(1,): distance - 0.5, (1, 1): -distance, (1, 1, 1): distance}
    return Derivatives(value, {key: v for key, v in partials.items() if len(key) <= order})
