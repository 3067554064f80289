"""Zero-truncated count families: the count given that it is positive."""

from __future__ import annotations

from dataclasses import dataclass

from interlace_core.contract import Family, Parameter
from interlace_core.families import positive_or_none
from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import BOREL, GeneralizedPoissonFamily
from interlace_counts.nb_density import LOG_SERIES, limit_of_truncation
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.poisson_part import PoissonPart
from interlace_counts.zeros.truncated import ZeroTruncatedFamily


@dataclass(frozen=True)
class TruncatedPoissonFamily(ZeroTruncatedFamily):
    """Positive counts: Poisson given that it is not 0.

    mu is the mean of the untruncated Poisson.
    """

    name = "truncated_poisson"
    aliases = ("zero_truncated_poisson",)

    @property
    def inner(self) -> Family:
        """The Poisson distribution."""
        return PoissonPart()

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True: y eta - log(exp(mu) - 1), whose logarithm is a cumulant function of eta.

        (Truncated NB1 and NB2 are not: near the log-series limit a count of 1 tells nothing.)
        """
        return True


@dataclass(frozen=True)
class TruncatedNegativeBinomial1Family(ZeroTruncatedFamily):
    """Positive counts: NB1 given that it is not 0.

    Parameters
    ----------
    alpha : float, optional
        As for `negativebinomial1`; mu and alpha are those of the untruncated distribution.
    """

    name = "truncated_negativebinomial1"
    aliases = ("truncated_nbinom1", "zero_truncated_nb1")

    alpha: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "alpha", self.alpha)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the parts, with the limit that truncation adds."""
        return limit_of_truncation(super().parameters, LOG_SERIES)

    @property
    def inner(self) -> Family:
        """The NB1 distribution."""
        return NegativeBinomial1Family(self.alpha)


@dataclass(frozen=True)
class TruncatedNegativeBinomial2Family(ZeroTruncatedFamily):
    """Positive counts: NB2 given that it is not 0.

    Parameters
    ----------
    theta : float, optional
        As for `negativebinomial`; mu and theta are those of the untruncated distribution.
    """

    name = "truncated_negativebinomial"
    aliases = ("truncated_nbinom2", "zero_truncated_nb2")

    theta: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "theta", self.theta)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the parts, with the limit that truncation adds."""
        return limit_of_truncation(super().parameters, LOG_SERIES)

    @property
    def inner(self) -> Family:
        """The NB2 distribution."""
        return NegativeBinomial2Family(self.theta)


@dataclass(frozen=True)
class TruncatedGeneralizedPoissonFamily(ZeroTruncatedFamily):
    """Positive counts: generalised Poisson given that it is not 0.

    Parameters
    ----------
    phi : float, optional
        As for `genpois`; mu and phi are those of the untruncated distribution.
    """

    name = "truncated_genpois"
    aliases = ("truncated_generalized_poisson",)

    phi: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the parts, with the limit that truncation adds."""
        return limit_of_truncation(super().parameters, BOREL)

    @property
    def inner(self) -> Family:
        """The generalised Poisson distribution."""
        return GeneralizedPoissonFamily(self.phi)


@dataclass(frozen=True)
class TruncatedConwayMaxwellPoissonFamily(ZeroTruncatedFamily):
    """Positive counts: Conway-Maxwell Poisson given that it is not 0.

    Parameters
    ----------
    phi : float, optional
        As for `compois`; mu and phi are those of the untruncated distribution.
    """

    name = "truncated_compois"
    aliases = ("truncated_com_poisson",)

    phi: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)

    @property
    def inner(self) -> Family:
        """The Conway-Maxwell Poisson distribution."""
        return ConwayMaxwellPoissonFamily(self.phi)
