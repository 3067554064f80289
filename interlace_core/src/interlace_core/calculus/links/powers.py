"""Links by a power of the mean, and its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.calculus.links.base import Link, Taylor


@dataclass(frozen=True)
class Identity(Link):
    """eta = mu."""

    name = "identity"
    domain = (-np.inf, np.inf)

    def eta(self, mu: Any) -> Any:
        """Return mu."""
        return mu

    def mu(self, eta: Any) -> Any:
        """Return eta."""
        return eta

    def derivatives(self, eta: Any) -> Taylor:
        """Return eta, 1, 0, 0."""
        zero = np.zeros_like(eta)
        return eta, zero + 1.0, zero, zero


@dataclass(frozen=True)
class Log(Link):
    """eta = log(mu)."""

    name = "log"
    domain = (0.0, np.inf)

    def eta(self, mu: Any) -> Any:
        """Return log(mu)."""
        return np.log(mu)

    def mu(self, eta: Any) -> Any:
        """Return exp(eta)."""
        return np.exp(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return exp(eta) four times."""
        mu = np.exp(eta)
        return mu, mu, mu, mu


@dataclass(frozen=True)
class Sqrt(Link):
    """eta = sqrt(mu), eta > 0."""

    name = "sqrt"
    domain = (0.0, np.inf)
    eta_domain = (0.0, np.inf)

    def eta(self, mu: Any) -> Any:
        """Return sqrt(mu)."""
        return np.sqrt(mu)

    def mu(self, eta: Any) -> Any:
        """Return eta squared."""
        return np.square(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return eta^2, 2 eta, 2, 0."""
        zero = np.zeros_like(eta)
        return np.square(eta), 2.0 * eta, zero + 2.0, zero


@dataclass(frozen=True)
class Inverse(Link):
    """eta = 1 / mu, eta > 0."""

    name = "inverse"
    domain = (0.0, np.inf)
    eta_domain = (0.0, np.inf)

    def eta(self, mu: Any) -> Any:
        """Return 1 / mu."""
        return 1.0 / mu

    def mu(self, eta: Any) -> Any:
        """Return 1 / eta."""
        return 1.0 / eta

    def derivatives(self, eta: Any) -> Taylor:
        """Return 1/eta, -1/eta^2, 2/eta^3, -6/eta^4."""
        mu = 1.0 / eta
        return mu, -(mu**2), 2.0 * mu**3, -6.0 * mu**4


@dataclass(frozen=True)
class InverseSquare(Link):
    """eta = 1 / mu^2, eta > 0."""

    name = "1/mu^2"
    domain = (0.0, np.inf)
    eta_domain = (0.0, np.inf)

    def eta(self, mu: Any) -> Any:
        """Return 1 / mu^2."""
        return 1.0 / np.square(mu)

    def mu(self, eta: Any) -> Any:
        """Return 1 / sqrt(eta)."""
        return 1.0 / np.sqrt(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return eta^(-1/2) and its derivatives."""
        mu = 1.0 / np.sqrt(eta)
        return mu, -0.5 * mu / eta, 0.75 * mu / eta**2, -1.875 * mu / eta**3
