"""Zero-inflated count families: additional zeros with probability pi."""

from __future__ import annotations

from dataclasses import dataclass

from interlace_core.contract import Family
from interlace_core.families import positive_or_none
from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.poisson_part import PoissonPart
from interlace_counts.zeros.parts import ZeroInflatedFamily


@dataclass(frozen=True)
class ZeroInflatedPoissonFamily(ZeroInflatedFamily):
    """Zero with probability pi, otherwise Poisson.

    Parameters
    ----------
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_poisson"
    aliases = ("zip", "zi_poisson")

    pi: float | None = None

    @property
    def inner(self) -> Family:
        """The Poisson distribution."""
        return PoissonPart()


@dataclass(frozen=True)
class ZeroInflatedNB1Family(ZeroInflatedFamily):
    """Zero with probability pi, otherwise NB1.

    Parameters
    ----------
    alpha : float, optional
        As for `negativebinomial1`.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_negativebinomial1"
    aliases = ("zinb1", "zi_nbinom1")

    alpha: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_or_none(self, "alpha", self.alpha)

    @property
    def inner(self) -> Family:
        """The NB1 distribution."""
        return NegativeBinomial1Family(self.alpha)


@dataclass(frozen=True)
class ZeroInflatedNB2Family(ZeroInflatedFamily):
    """Zero with probability pi, otherwise NB2.

    Parameters
    ----------
    theta : float, optional
        As for `negativebinomial`.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_negativebinomial"
    aliases = ("zinb", "zinb2", "zi_nbinom2", "zi_negative_binomial", "zero_inflated_negbinomial")

    theta: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_or_none(self, "theta", self.theta)

    @property
    def inner(self) -> Family:
        """The NB2 distribution."""
        return NegativeBinomial2Family(self.theta)


@dataclass(frozen=True)
class ZeroInflatedGeneralizedPoissonFamily(ZeroInflatedFamily):
    """Zero with probability pi, otherwise generalised Poisson.

    Parameters
    ----------
    phi : float, optional
        As for `genpois`.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_genpois"
    aliases = ("zi_genpois",)

    phi: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_or_none(self, "phi", self.phi)

    @property
    def inner(self) -> Family:
        """The generalised Poisson distribution."""
        return GeneralizedPoissonFamily(self.phi)


@dataclass(frozen=True)
class ZeroInflatedConwayMaxwellPoissonFamily(ZeroInflatedFamily):
    """Zero with probability pi, otherwise Conway-Maxwell Poisson.

    Parameters
    ----------
    phi : float, optional
        As for `compois`.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_compois"
    aliases = ("zi_compois",)

    phi: float | None = None
    pi: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_or_none(self, "phi", self.phi)

    @property
    def inner(self) -> Family:
        """The Conway-Maxwell Poisson distribution."""
        return ConwayMaxwellPoissonFamily(self.phi)
