"""The skew-normal distribution, by its mean, standard deviation and slant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Family, OptionError, Parameter, is_real
from interlace_core.families import HALF_LOG_2PI, positive_or_none

LARGEST_PRECISION = 200.0
"""-log(sigma) is taken as this where it exceeds it, so that a residual divided by sigma stays
finite, and its powers too."""

SMALLEST_START = 1.0
"""Least absolute slant at the start: skewness 0.14."""

LARGEST_SKEWNESS = 0.9
"""Of the start. The distribution's own limit is 0.9953, at infinite slant."""


HALF_NORMAL = "the half-normal distribution"
"""What it becomes at an infinite slant of either sign."""


@dataclass(frozen=True)
class SkewNormalFamily(Family):
    """y with mean mu, standard deviation sigma and slant alpha.

    `y = xi + omega (delta abs(U) + sqrt(1 - delta^2) V)` with U and V standard normal and
    delta = alpha / sqrt(1 + alpha^2) (Azzalini 1985). The sign of alpha is that of the
    skewness, 0 is the normal distribution, and infinity the half-normal one. At alpha = 0 the
    log-likelihood is stationary in alpha whatever the data (skewness is cubic in it): a fit
    never starts there, and a standard error for alpha near 0 means little. Weights multiply
    the log-density of their row.

    Parameters
    ----------
    sigma : float, optional
        Standard deviation, fixed when given and estimated (log scale) when not.
    alpha : float, optional
        Slant, fixed when given and estimated when not.
    """

    name = "skewnormal"
    r_family = "skewnormal"
    support = "real"
    observation_level_confounded = True  # a normal effect added, it is skew-normal again

    sigma: float | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "sigma", self.sigma)
        if self.alpha is not None and not _is_finite_number(self.alpha):
            raise OptionError(
                f"family 'skewnormal': alpha must be a finite number (which fixes it) or None "
                f"(which estimates it), got {self.alpha!r}."
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean, the standard deviation and the slant."""
        return (
            Parameter("mu", LINKS["identity"], role="mean"),
            Parameter("sigma", LINKS["log"], self.sigma, role="dispersion"),
            Parameter("alpha", LINKS["identity"], self.alpha, "shape", HALF_NORMAL, HALF_NORMAL),
        )

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log(2) - log(omega) - log(2 pi) / 2 - z^2 / 2 + log Phi(alpha z)."""
        from scipy.special import log_ndtr

        with np.errstate(over="ignore"):
            z, log_ratio = _standardised(y, eta)
            distance = 0.5 * np.square(z)
            slanted = log_ndtr(eta[2] * z)
        return np.log(2.0) - HALF_LOG_2PI - eta[1] - log_ratio - distance + slanted

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return sigma^2."""
        return np.broadcast_to(np.exp(2.0 * eta[1]), np.broadcast_shapes(*map(np.shape, eta)))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws by the sum of a half-normal and a normal variable."""
        mu, sigma, alpha = np.broadcast_arrays(eta[0], np.exp(eta[1]), eta[2])
        delta = alpha / np.sqrt(1.0 + np.square(alpha))
        centre, ratio = _centre(delta), np.exp(_log_ratio(delta))
        half = np.abs(rng.standard_normal(mu.shape))
        spread = np.sqrt(1.0 / (1.0 + np.square(alpha))) * rng.standard_normal(mu.shape)
        return np.asarray(mu + sigma * ratio * (delta * half + spread - centre))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return Phi(z) - 2 T(z, alpha) with Owen's T; exact to 1e-16 absolutely."""
        from scipy.special import ndtr, owens_t

        z, _ = _standardised(y, eta)
        return np.asarray(np.clip(ndtr(z) - 2.0 * owens_t(z, eta[2]), 0.0, 1.0))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the mean, in which z is linear: log phi(z) + log Phi(alpha z)."""
        return wrt == (0,)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return mean, standard deviation and a slant from the skewness, away from 0."""
        average = float(np.average(y, weights=weights))
        sd = float(np.sqrt(np.average(np.square(y - average), weights=weights))) or 1.0
        skewness = float(np.average(((y - average) / sd) ** 3, weights=weights))
        root = np.cbrt(2.0 * min(abs(skewness), LARGEST_SKEWNESS) / (4.0 - np.pi))
        # skewness = (4 - pi) / 2 root^3, where root = c / sqrt(1 - c^2), c = delta sqrt(2 / pi)
        delta = np.sqrt(0.5 * np.pi) * root / np.sqrt(1.0 + root**2)
        slant = max(float(delta / np.sqrt(1.0 - delta**2)), SMALLEST_START)
        return np.array([average, np.log(sd), np.copysign(slant, skewness)])


def _standardised(y: Array, eta: Sequence[Any]) -> tuple[Any, Any]:
    """Return z = (y - xi) / omega and log(omega / sigma)."""
    delta = eta[2] / np.sqrt(1.0 + np.square(eta[2]))
    log_ratio = _log_ratio(delta)
    residual = (y - eta[0]) * np.exp(np.minimum(-eta[1], LARGEST_PRECISION))
    return residual * np.exp(-log_ratio) + _centre(delta), log_ratio


def _centre(delta: Any) -> Any:
    """Return (mu - xi) / omega."""
    return delta * np.sqrt(2.0 / np.pi)


def _log_ratio(delta: Any) -> Any:
    """Return log(omega / sigma)."""
    return -0.5 * np.log1p(np.square(delta) * (-2.0 / np.pi))


def _is_finite_number(value: object) -> bool:
    return is_real(value) and bool(np.isfinite(value))
