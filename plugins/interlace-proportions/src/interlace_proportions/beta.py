"""The beta distribution, for proportions strictly between 0 and 1."""

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
    ProbabilityLink,
    Response,
)
from interlace_core.families import as_probability_link, positive_or_none, require
from interlace_proportions.beta_density import beta_derivatives, log_beta_density
from interlace_proportions.tails import LINK_NAMES, beta_cdf, draw, log_tails, start_phi


@dataclass(frozen=True)
class BetaFamily(Family):
    """Proportions with mean mu and variance mu (1 - mu) / (1 + phi).

    The shapes are mu phi and (1 - mu) phi (Ferrari & Cribari-Neto 2004); phi is the precision,
    glmmTMB's and brms's `phi`. Weights multiply the log-density of their row.

    Parameters
    ----------
    phi : float, optional
        Precision; fixed when given, estimated (log scale) when not.
    link : str or Link
        logit (default), probit or cloglog.
    """

    name = "beta"
    aliases = ("beta_family", "beta_fam", "betar")
    links = LINK_NAMES
    r_family = "beta_family"
    support = "unit interval"

    phi: float | None = None
    link: str | Link = "logit"

    def __post_init__(self) -> None:
        self._link()
        positive_or_none(self, "phi", self.phi)

    def _link(self) -> ProbabilityLink:
        return as_probability_link(self.link, self.links, "family 'beta'")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the precision."""
        return (
            Parameter("mu", self._link(), role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept proportions strictly between 0 and 1."""
        expected = (
            "proportions strictly between 0 and 1 (where 0 occurs, give ziformula=; where 0 and 1 "
            "occur, the families 'zerooneinflated_beta' and 'ordered_beta' model them)"
        )
        require(self, (y > 0) & (y < 1), y, expected)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density, finite wherever mu rounds to 0 or 1."""
        return log_beta_density(y, self._link(), eta[0], eta[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.asarray(self._link().mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu (1 - mu) / (1 + phi)."""
        from scipy.special import expit

        log_mu, log1m_mu = log_tails(self._link(), eta[0])
        return np.asarray(np.exp(log_mu + log1m_mu) * expit(-np.asarray(eta[1])))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return beta draws, kept strictly inside (0, 1)."""
        return draw(self._link(), eta, rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the regularised incomplete beta function I_y(mu phi, (1 - mu) phi)."""
        return beta_cdf(y, self._link(), eta)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the link of the average and the moment estimate of phi, within [0.1, 1e4]."""
        average = float(np.average(y, weights=weights))
        variance = float(np.average(np.square(y - average), weights=weights))
        phi = start_phi(average, variance)
        return np.array([float(self._link().eta(np.float64(average))), np.log(phi)])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (eta, log phi), for any link."""
        return beta_derivatives(y, self._link(), eta[0], eta[1], order, wrt)
