"""Zero-inflated count families: additional zeros with probability pi."""

from __future__ import annotations

from dataclasses import dataclass

from interlace_counts.zeros.around_counts import (
    AroundConwayMaxwell,
    AroundGeneralizedPoisson,
    AroundNB1,
    AroundNB2,
    AroundPoisson,
)
from interlace_counts.zeros.parts import ZeroInflatedFamily


@dataclass(frozen=True)
class ZeroInflatedPoissonFamily(AroundPoisson, ZeroInflatedFamily):
    """Zero with probability pi, otherwise Poisson.

    Parameters
    ----------
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    name = "zeroinflated_poisson"
    aliases = ("zip", "zi_poisson")

    pi: float | None = None


@dataclass(frozen=True)
class ZeroInflatedNB1Family(AroundNB1, ZeroInflatedFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class ZeroInflatedNB2Family(AroundNB2, ZeroInflatedFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class ZeroInflatedGeneralizedPoissonFamily(AroundGeneralizedPoisson, ZeroInflatedFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class ZeroInflatedConwayMaxwellPoissonFamily(AroundConwayMaxwell, ZeroInflatedFamily):
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

    pi: float | None = None
