"""The Gumbel distribution of maxima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Family, Parameter
from interlace_core.families import positive_or_none


@dataclass(frozen=True)
class GumbelFamily(Family):
    """Maxima, with mean mu (identity link) and variance pi^2 sigma^2 / 6 (log link of sigma).

    Parameters
    ----------
    sigma : float, optional
        Fixes the scale; by default it is estimated, and `dispformula` can model it.
    """

    name = "gumbel"
    support = "real"

    sigma: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "sigma", self.sigma)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the scale."""
        return (
            Parameter("mu", LINKS["identity"], role="mean"),
            Parameter("sigma", LINKS["log"], self.sigma, role="dispersion"),
        )

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return -log(sigma) - z - exp(-z); its derivatives are worked out from this line."""
        z = _standardised(y, eta)
        return -eta[1] - z - np.exp(-z)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(eta[0])

    # Required: what stands above. Each method below adds what its docstring says.

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance, for Pearson residuals."""
        return np.asarray(np.square(np.pi * np.exp(eta[1])) / 6.0 + np.zeros_like(eta[0]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws, for simulation and the bootstrap."""
        sigma = np.exp(eta[1])
        return np.asarray(rng.gumbel(eta[0] - np.euler_gamma * sigma, sigma))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(Y <= y), for quantile residuals."""
        return np.asarray(np.exp(-np.exp(-_standardised(y, eta))))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the mean alone: one search finds the mode of its random effects."""
        return wrt == (0,)


def _standardised(y: Array, eta: Sequence[Any]) -> Any:
    """Return (y - location) / sigma; the location lies Euler's constant sigmas below the mean."""
    z = (y - eta[0]) * np.exp(-eta[1]) + np.euler_gamma
    return np.maximum(z, -700.0)  # beyond, exp(-z) overflows: -z - exp(-z) has to stay a number
