"""The lognormal distribution, by its mean and standard deviation on the scale of the data."""

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
from interlace_core.families import HALF_LOG_2PI, positive_or_none, require
from interlace_families.remainders import log1p_deficit, log_mean, only_inside

SMALLEST_LOG = -600.0
"""log (phi / mu)^2 is taken as this where it is smaller: phi / mu is then below 1e-130, so that no
response but mu itself is possible, and 1 / v stays finite."""


@dataclass(frozen=True)
class LognormalSDFamily(Family):
    """Positive responses with mean mu and standard deviation phi whose logarithm is normal.

    log(y) has variance v = log(1 + (phi / mu)^2) and mean log(mu) - v / 2; as phi / mu tends to 0,
    y becomes N(mu, phi^2). This is the lognormal of R's glmmTMB. `lognormal`, by the standard
    deviation of log(y), is the better behaved one: this density is not log-concave in log(mu), so
    that a random effect can have several modes, of which Laplace's approximation sees one.
    Weights multiply the log-density of their row.

    Parameters
    ----------
    link : str or Link
        log.
    phi : float, optional
        Standard deviation, fixed when given and estimated (log scale) when not.
    """

    name = "lognormal_sd"
    links = ("log",)
    r_family = "lognormal"
    support = "positive"

    link: str | Link = "log"
    phi: float | None = None

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'lognormal_sd'")
        positive_or_none(self, "phi", self.phi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the standard deviation."""
        return (
            Parameter("mu", as_link(self.link, self.links, "family 'lognormal_sd'"), role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
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
        """Return -log(2 pi v) / 2 - (log(y / mu) + v / 2)^2 / (2 v) - log(y)."""
        log_mu, inside = log_mean(self.parameters[0].link, eta[0])
        log_y = np.log(y)
        v = _log_variance(log_mu, eta[1])
        distance = np.square(log_y - log_mu + 0.5 * v) / (2.0 * v)
        return only_inside(inside, -HALF_LOG_2PI - 0.5 * np.log(v) - distance - log_y)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return phi^2."""
        return np.broadcast_to(np.exp(2.0 * eta[1]), np.broadcast_shapes(*map(np.shape, eta)))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return the exponentials of normal draws."""
        log_mu, _ = log_mean(self.parameters[0].link, eta[0])
        v = _log_variance(log_mu, eta[1])
        return np.asarray(np.exp(rng.normal(log_mu - 0.5 * v, np.sqrt(v))))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the normal distribution function of the standardised log(y)."""
        from scipy.special import ndtr

        log_mu, _ = log_mean(self.parameters[0].link, eta[0])
        v = _log_variance(log_mu, eta[1])
        z = (np.log(np.where(y > 0, y, 1.0)) - log_mu + 0.5 * v) / np.sqrt(v)
        return np.where(y > 0, ndtr(z), 0.0)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return mean and standard deviation by way of those of log(y), which outliers spare."""
        log_y = np.log(y)
        average = float(np.average(log_y, weights=weights))
        v = max(float(np.average(np.square(log_y - average), weights=weights)), 1e-12)
        # beyond v = 4 the implied mean is carried by responses that need not have been seen
        log_mu = average + 0.5 * min(v, 4.0)
        phi = log_mu + 0.5 * float(np.log(np.expm1(min(v, 4.0))))
        return np.array([float(self.parameters[0].link.eta(np.exp(log_mu))), phi])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log phi) where the link is log."""
        if self.parameters[0].link.name != "log":
            return super().derivatives(y, eta, order, wrt)
        return _log_link_derivatives(y, eta[0], eta[1], order, wrt)


def _log_variance(log_mu: Any, log_phi: Any) -> Any:
    """Return v = log(1 + (phi / mu)^2), also of truncated Taylor numbers."""
    return np.logaddexp(0.0, np.maximum(2.0 * (log_phi - log_mu), SMALLEST_LOG))


def _log_link_derivatives(
    y: Array, log_mu: Array, log_phi: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate in d = log(y / mu) and a = 2 log(phi / mu), and combine."""
    log_y = np.log(y)
    d = log_y - log_mu
    a = 2.0 * (log_phi - log_mu)
    v, w1, w2, w3 = _log_variance_derivatives(a)
    E, slope = 0.5 * np.square(d) / v, d / v
    value = -HALF_LOG_2PI - 0.5 * np.log(v) - E - 0.5 * d - 0.125 * v - log_y
    # in w = log(v): first -1/2 + E - v/8, second -E - v/8, third E - v/8
    f1, f2, f3 = E - 0.125 * v - 0.5, -E - 0.125 * v, E - 0.125 * v
    A1, A2 = f1 * w1, f2 * np.square(w1) + f1 * w2
    A3 = f3 * w1**3 + 3.0 * f2 * w1 * w2 + f1 * w3
    D1, D2 = -slope - 0.5, -1.0 / v
    DA, DAA, DDA = slope * w1, slope * (w2 - np.square(w1)), w1 / v
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        third = -6.0 * DDA - 12.0 * DAA - 8.0 * A3
        partials |= {(0,): -D1 - 2.0 * A1, (0, 0): D2 + 4.0 * (DA + A2), (0, 0, 0): third}
    if 1 in wrt:
        partials |= {(1,): 2.0 * A1, (1, 1): 4.0 * A2, (1, 1, 1): 8.0 * A3}
    if 0 in wrt and 1 in wrt:
        partials |= {
            (0, 1): -2.0 * DA - 4.0 * A2,
            (0, 0, 1): 2.0 * DDA + 8.0 * (DAA + A3),
            (0, 1, 1): -4.0 * DAA - 8.0 * A3,
        }
    return Derivatives(value, {key: x for key, x in partials.items() if len(key) <= order})


def _log_variance_derivatives(a: Array) -> tuple[Array, Array, Array, Array]:
    """Return v = log(1 + exp(a)) and three derivatives of log(v) in a.

    With q = 1 / (1 + exp(a)) the first is w1 = (1 - q) / v, and w1' = w1 (q - w1), where
    q - w1 = -q (exp(a) - v) / v does not cancel. Below `SMALLEST_LOG` v is constant.
    """
    from scipy.special import expit

    floor = a < SMALLEST_LOG
    a = np.maximum(a, SMALLEST_LOG)
    v, p, q = np.logaddexp(0.0, a), expit(a), expit(-a)
    small = a < 0.0
    near = log1p_deficit(np.exp(np.where(small, a, 0.0))) / v
    w1 = np.where(floor, 0.0, p / v)
    decay = np.where(small, -q * near, q - w1)
    w2 = w1 * decay
    w3 = w2 * decay - w1 * (p * q + w2)
    return v, w1, w2, w3
