"""A composition that passes the conformance kit, and faulty twins of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import twins_laws

from interlace_core.contract.composition import Composition
from interlace_core.contract.family import Family


@dataclass(frozen=True)
class Doubled(Composition, Family):
    """Twice a draw of a positive family."""

    base: Family

    name: ClassVar[str] = "doubled"
    support: ClassVar[str] = "positive"

    @classmethod
    def of(cls, base):
        return cls(base) if base.support == "positive" and not isinstance(base, Doubled) else None

    @property
    def parameters(self):
        return self.base.parameters

    def check_response(self, y, weights):
        twins_laws.require(self, y > 0, y, "positive numbers")
        return self.base.check_response(y, weights)

    def log_density(self, y, eta):
        return self.base.log_density(0.5 * y, eta) - np.log(2.0)

    def mean(self, eta):
        return 2.0 * self.base.mean(eta)

    def variance(self, eta):
        return 4.0 * self.base.variance(eta)

    def cdf(self, y, eta):
        return self.base.cdf(0.5 * y, eta)


class Bare(twins_laws.Exponential):
    """Without a variance and a distribution function."""

    variance = Family.variance
    cdf = Family.cdf


class Refuses(Doubled):
    """Complains of what it does not take."""

    @classmethod
    def of(cls, base):
        if base.support != "positive":
            raise ValueError(base.name)
        return cls(base)


class WithoutRole(Doubled):
    """Says that it adds a parameter, and does not."""

    role = "zero"


class Hides(Doubled):
    """Does not list what it is made of."""

    @property
    def inside(self):
        return ()


@dataclass(frozen=True)
class Renamed(Doubled):
    """Has a name that its fields do not tell."""

    name: str = field(default="doubled", init=False)

    made: ClassVar[list[int]] = []

    def __post_init__(self):
        self.made.append(1)
        object.__setattr__(self, "name", "doubled" if len(self.made) == 1 else "doubled_again")


TWINS = [Refuses, WithoutRole, Hides, Renamed]
