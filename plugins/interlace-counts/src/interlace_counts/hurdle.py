"""Hurdle families: zero or not first, then a positive count."""

from __future__ import annotations

from dataclasses import dataclass

from interlace_core.contract import Family
from interlace_counts.truncated import TruncatedPoissonFamily
from interlace_counts.zeros.around_counts import (
    AroundConwayMaxwell,
    AroundGeneralizedPoisson,
    AroundNB1,
    AroundNB2,
    AroundPoisson,
)
from interlace_counts.zeros.parts import HurdleFamily


@dataclass(frozen=True)
class HurdlePoissonFamily(AroundPoisson, HurdleFamily):
    """Zero with probability pi, otherwise zero-truncated Poisson.

    Parameters
    ----------
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    name = "hurdle_poisson"

    pi: float | None = None

    @property
    def conditional(self) -> Family:
        """The zero-truncated Poisson distribution."""
        return TruncatedPoissonFamily()


@dataclass(frozen=True)
class HurdleNB1Family(AroundNB1, HurdleFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class HurdleNB2Family(AroundNB2, HurdleFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class HurdleGeneralizedPoissonFamily(AroundGeneralizedPoisson, HurdleFamily):
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

    pi: float | None = None


@dataclass(frozen=True)
class HurdleConwayMaxwellPoissonFamily(AroundConwayMaxwell, HurdleFamily):
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

    pi: float | None = None
