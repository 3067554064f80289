"""The count distributions with a name of their own inside of truncated, inflated and hurdle ones.

Each is mixed in front of `ZeroTruncatedFamily`, `ZeroInflatedFamily` or `HurdleFamily`, and brings
what depends on it alone: its parameter, and the check of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from interlace_core.contract import Family
from interlace_core.families import positive_or_none
from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.poisson_part import PoissonPart


class AroundCounts(Family):
    """A family made of one count distribution."""

    counts: ClassVar[type[Family]]
    own: ClassVar[tuple[str, ...]] = ()
    """Fields that are the distribution's arguments: positive, or None where estimated."""

    def __post_init__(self) -> None:
        for name in self.own:
            positive_or_none(self, name, getattr(self, name))
        further = getattr(super(), "__post_init__", None)
        if further is not None:
            further()

    @property
    def inner(self) -> Family:
        """The count distribution."""
        arguments: dict[str, Any] = {name: getattr(self, name) for name in self.own}
        return self.counts(**arguments)


class AroundPoisson(AroundCounts):
    """Made of the Poisson distribution."""

    counts = PoissonPart


@dataclass(frozen=True)
class AroundNB1(AroundCounts):
    """Made of NB1."""

    alpha: float | None = None

    counts = NegativeBinomial1Family
    own = ("alpha",)


@dataclass(frozen=True)
class AroundNB2(AroundCounts):
    """Made of NB2."""

    theta: float | None = None

    counts = NegativeBinomial2Family
    own = ("theta",)


@dataclass(frozen=True)
class AroundGeneralizedPoisson(AroundCounts):
    """Made of the generalised Poisson distribution."""

    phi: float | None = None

    counts = GeneralizedPoissonFamily
    own = ("phi",)


@dataclass(frozen=True)
class AroundConwayMaxwell(AroundCounts):
    """Made of the Conway-Maxwell Poisson distribution."""

    phi: float | None = None

    counts = ConwayMaxwellPoissonFamily
    own = ("phi",)
