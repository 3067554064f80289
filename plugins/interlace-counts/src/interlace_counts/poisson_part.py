"""The Poisson distribution inside of truncated, zero-inflated and hurdle families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Family, Parameter, Response
from interlace_core.families import (
    draw_counts,
    poisson_log_density,
    poisson_log_link_terms,
    require_counts,
)


@dataclass(frozen=True)
class PoissonPart(Family):
    """Poisson counts with log link; not registered, since users have a Poisson family already."""

    name = "poisson"
    r_family = "poisson"
    support = "counts"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean."""
        return (Parameter("mu", LINKS["log"], role="mean"),)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the Poisson log-density."""
        return poisson_log_density(y, eta[0])

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(mu): P(Y = 0) is exp(-mu)."""
        return eta[0]

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return self.mean(eta)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return Poisson draws."""
        return draw_counts(self.mean(eta), rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the Poisson distribution function."""
        from scipy.special import pdtr

        return np.where(y < 0, 0.0, pdtr(np.maximum(np.floor(y), 0.0), self.mean(eta)))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True: y eta - exp(eta)."""
        return True

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the logarithm of the average count, kept above zero."""
        return np.array([np.log(max(float(np.average(y, weights=weights)), 0.5 / y.size))])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives from one evaluation of mu."""
        return poisson_log_link_terms(y, eta[0], order, wrt)
