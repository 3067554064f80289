"""Hurdle families: zero or not first, then a positive count."""

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
from interlace_counts.truncated import TruncatedPoissonFamily
from interlace_counts.zeros.parts import HurdleFamily


@dataclass(frozen=True)
class HurdlePoissonFamily(HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated Poisson.

    Parameters
    ----------
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_poisson"

    pi: float | None = None

    @property
    def inner(self) -> Family:
        """The Poisson distribution."""
        return PoissonPart()

    @property
    def conditional(self) -> Family:
        """The zero-truncated Poisson distribution."""
        return TruncatedPoissonFamily()


@dataclass(frozen=True)
class HurdleNB1Family(HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated NB1.

    Parameters
    ----------
    alpha : float, optional
        As for `negativebinomial1`.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_negativebinomial1"
    aliases = ("hurdle_nbinom1",)

    alpha: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
class HurdleNB2Family(HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated NB2.

    Parameters
    ----------
    theta : float, optional
        As for `negativebinomial`.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_negativebinomial"
    aliases = ("hurdle_nbinom2", "hurdle_negbinomial")

    theta: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
class HurdleGeneralizedPoissonFamily(HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated generalised Poisson.

    Parameters
    ----------
    phi : float, optional
        As for `genpois`.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_genpois"
    aliases = ("hurdle_generalized_poisson",)

    phi: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
class HurdleConwayMaxwellPoissonFamily(HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated Conway-Maxwell Poisson.

    Parameters
    ----------
    phi : float, optional
        As for `compois`.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_compois"
    aliases = ("hurdle_com_poisson",)

    phi: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_or_none(self, "phi", self.phi)

    @property
    def inner(self) -> Family:
        """The Conway-Maxwell Poisson distribution."""
        return ConwayMaxwellPoissonFamily(self.phi)
