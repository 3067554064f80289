"""The negative binomial with a variance between NB1's and NB2's (NB12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Family, Parameter, Response
from interlace_core.families import positive_or_none, require_counts
from interlace_counts import nb_density


@dataclass(frozen=True)
class NegativeBinomial12Family(Family):
    """Counts with variance mu (1 + phi + mu / psi).

    NB1 with alpha = phi is the limit of psi to infinity, NB2 with theta = psi that of phi to 0,
    and the Poisson distribution that of both.

    Parameters
    ----------
    phi : float, optional
        Part of the excess variance that is proportional to the mean; fixed when given, estimated
        (log scale) when not.
    psi : float, optional
        Size behind the part that is quadratic in the mean; fixed when given, estimated (log
        scale) when not.
    """

    name = "negativebinomial12"
    aliases = ("nbinom12", "nb12")
    r_family = "nbinom12"
    support = "counts"

    phi: float | None = None
    psi: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)
        positive_or_none(self, "psi", self.psi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the two parts of the excess variance."""
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("phi", LINKS["log"], self.phi, "dispersion", at_lower="NB2"),
            Parameter("psi", LINKS["log"], self.psi, "shape", at_upper="NB1"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the negative binomial log-density with size mu / (phi + mu / psi)."""
        d = _log_excess(eta)
        return nb_density.log_density(y, eta[0], eta[0] - d, d)

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0))."""
        return nb_density.cloglog_positive(eta[0], _log_excess(eta))

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu (1 + phi + mu / psi)."""
        return np.asarray(np.exp(eta[0] + np.logaddexp(0.0, _log_excess(eta))))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of a gamma mixture of Poissons."""
        return nb_density.simulate(self.mean(eta), np.exp(eta[0] - _log_excess(eta)), rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the negative binomial distribution function."""
        return nb_density.cdf(y, self.mean(eta), np.exp(eta[0] - _log_excess(eta)))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count, with the excess variance split evenly."""
        average, excess = nb_density.average_and_excess(y, weights)
        half = float(np.clip(0.5 * excess / average, 0.01, 10.0))
        return np.log([average, half, average / half])


def _log_excess(eta: Sequence[Any]) -> Any:
    """Return log(phi + mu / psi), the excess of the variance in units of the mean."""
    return np.logaddexp(eta[1], eta[0] - eta[2])
