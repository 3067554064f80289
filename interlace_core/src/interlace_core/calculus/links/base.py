"""What a link is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

Taylor = tuple[Any, Any, Any, Any]
"""A function's value and its first three derivatives."""


@dataclass(frozen=True)
class Link(ABC):
    """A strictly monotone map from the natural scale of a parameter to a linear predictor."""

    name: ClassVar[str]
    domain: ClassVar[tuple[float, float]]
    """Open interval of the natural scale."""
    eta_domain: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    """Open interval of eta; outside it the model is not defined."""
    latent_variance: ClassVar[float | None] = None
    """Variance of the latent error that the link stands for where a binary response tells whether
    eta plus error is positive; None where there is none, or it is infinite."""

    @abstractmethod
    def eta(self, mu: Any) -> Any:
        """Return the linear predictor of mu."""

    @abstractmethod
    def mu(self, eta: Any) -> Any:
        """Return the natural-scale value at eta; works on truncated Taylor numbers."""

    @abstractmethod
    def derivatives(self, eta: Any) -> Taylor:
        """Return mu and its first three derivatives in eta."""


@dataclass(frozen=True)
class ProbabilityLink(Link):
    """A link whose natural scale is (0, 1)."""

    domain = (0.0, 1.0)
    log_concave: ClassVar[bool] = False
    """Whether log(mu) and log(1 - mu) are both concave in eta. False says "not known"."""

    @abstractmethod
    def log_mu(self, eta: Any) -> Any:
        """Return log(mu)."""

    @abstractmethod
    def log1m_mu(self, eta: Any) -> Any:
        """Return log(1 - mu)."""

    @abstractmethod
    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return log(mu) and log(1 - mu), each with three derivatives in eta."""


def chain(outer: tuple[Any, Any, Any], inner: Taylor) -> tuple[Any, Any, Any]:
    """Return three derivatives of f(mu(eta)) in eta.

    Parameters
    ----------
    outer : three arrays
        f', f'', f''' in mu.
    inner : four arrays
        mu and its derivatives in eta.
    """
    f1, f2, f3 = outer
    _, m1, m2, m3 = inner
    return f1 * m1, f2 * m1**2 + f1 * m2, f3 * m1**3 + 3.0 * f2 * m1 * m2 + f1 * m3
