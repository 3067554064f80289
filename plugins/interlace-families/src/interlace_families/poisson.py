"""The Poisson distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract import (
    Array,
    Collapsed,
    Derivatives,
    Family,
    IntArray,
    Link,
    Parameter,
    Response,
    as_link,
    chain,
)
from interlace_core.families import (
    draw_counts,
    has_large_counts,
    log_factorial,
    poisson_log_density,
    poisson_log_link_terms,
    require_counts,
)


@dataclass(frozen=True)
class PoissonFamily(Family):
    """y ~ Poisson(mu).

    Parameters
    ----------
    link : str or Link
        log (default), identity or sqrt.
    """

    name = "poisson"
    links = ("log", "identity", "sqrt")
    support = "counts"
    r_family = "poisson"

    link: str | Link = "log"

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'poisson'")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean."""
        return (Parameter("mu", as_link(self.link, self.links, "family 'poisson'"), role="mean"),)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return y log(mu) - mu - log(y!)."""
        from scipy.special import xlogy

        from interlace_core.families import value_of

        link = self.parameters[0].link
        if link.name == "log":
            return poisson_log_density(y, eta[0])
        mu = link.mu(eta[0])
        if has_large_counts(y):
            inside = value_of(mu) > 0.0
            found = poisson_log_density(y, np.log(np.where(inside, mu, 1.0)))
            return np.where(inside, found, np.where(y > 0, -np.inf, 0.0))
        return xlogy(y, mu) - mu - log_factorial(y)

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(mu): P(Y = 0) is exp(-mu). Zero parts ask for it."""
        link = self.parameters[0].link
        return eta[0] if link.name == "log" else np.log(link.mu(eta[0]))

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return self.mean(eta)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return Poisson draws."""
        return draw_counts(self.mean(eta), rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the regularised incomplete gamma function at floor(y) + 1."""
        from scipy.special import pdtr

        return np.where(y < 0, 0.0, pdtr(np.maximum(np.floor(y), 0.0), self.mean(eta)))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the link of the average count, kept above zero."""
        average = max(float(np.average(y, weights=weights)), 0.5 / y.size)
        return np.array([float(self.parameters[0].link.eta(np.float64(average)))])

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the links offered: y eta - exp(eta), y log(eta) - eta, and so on."""
        return self.parameters[0].link.name in self.links

    def collapse(
        self, y: Array, weights: Array | None, groups: IntArray, size: int
    ) -> Collapsed | None:
        """Return weighted average counts, with the sums of the weights."""
        factor = np.ones(groups.size) if weights is None else weights
        total = np.asarray(np.bincount(groups, factor, size), np.float64)
        average = np.bincount(groups, factor * y, size) / np.where(total > 0, total, 1.0)
        left_out = np.bincount(groups, factor * log_factorial(y), size)
        return Collapsed(average, total, total * log_factorial(average) - left_out)

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives from one evaluation of mu."""
        from scipy.special import xlogy

        link = self.parameters[0].link
        if link.name == "log":
            return poisson_log_link_terms(y, eta[0], order, wrt)
        taylor = link.derivatives(eta[0])
        mu = np.where(np.asarray(eta[0]) > link.eta_domain[0], taylor[0], np.nan)
        if has_large_counts(y):
            value = poisson_log_density(y, np.log(np.where(mu > 0, mu, 1.0)))
        else:
            value = xlogy(y, mu) - mu - log_factorial(y)
        value = np.where(mu > 0, value, -np.inf)
        if 0 not in wrt:
            return Derivatives(value, {})
        ratio = y / mu
        d1, d2, d3 = chain((ratio - 1.0, -ratio / mu, 2.0 * ratio / mu**2), taylor)
        partials = {(0,): d1, (0, 0): d2, (0, 0, 0): d3}
        return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})
