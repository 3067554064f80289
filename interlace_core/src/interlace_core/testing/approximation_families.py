"""Private families for the checks of approximations: a density each, and draws to make data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, gammaln, log_expit

from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.records import Array

HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Normal(Family):
    """The normal distribution, identity link; `sigma` is fixed when given."""

    name = "kit-normal"
    linear_normal = True

    sigma: float | None = None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the standard deviation."""
        sigma = Parameter("sigma", LINKS["log"], self.sigma, role="dispersion")
        return (Parameter("mu", LINKS["identity"], role="mean"), sigma)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density."""
        return -HALF_LOG_2PI - eta[1] - 0.5 * np.square((y - eta[0]) * np.exp(-eta[1]))

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(eta[0])

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws."""
        return rng.normal(eta[0], np.exp(eta[1]))


@dataclass(frozen=True)
class Binary(Family):
    """0 or 1, logit link."""

    name = "kit-binary"
    parameters = (Parameter("mu", LINKS["logit"], role="mean"),)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density."""
        return y * log_expit(eta[0]) + (1.0 - y) * log_expit(-eta[0])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(expit(eta[0]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws."""
        return rng.binomial(1, self.mean(eta)).astype(np.float64)


@dataclass(frozen=True)
class Counts(Family):
    """Counts with variance equal to the mean, log link."""

    name = "kit-counts"
    parameters = (Parameter("mu", LINKS["log"], role="mean"),)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density."""
        return y * eta[0] - np.exp(eta[0]) - gammaln(y + 1.0)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws."""
        return rng.poisson(self.mean(eta)).astype(np.float64)


@dataclass(frozen=True)
class SpreadCounts(Family):
    """Counts with variance mu + mu^2 / size, log links: two predictors that interact."""

    name = "kit-spread-counts"

    size: float | None = None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the size."""
        size = Parameter("size", LINKS["log"], self.size, role="dispersion")
        return (Parameter("mu", LINKS["log"], role="mean"), size)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density."""
        size = np.exp(eta[1])
        rising = gammaln(y + size) - gammaln(size) - gammaln(y + 1.0)
        return rising + y * (eta[0] - eta[1]) - (y + size) * np.logaddexp(0.0, eta[0] - eta[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws."""
        size = np.exp(eta[1])
        return rng.poisson(rng.gamma(size, np.exp(eta[0]) / size)).astype(np.float64)
