"""A part for zeros, or for ones, beside any family that can have one, by its support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from interlace_core.contract import Array, Family, Parameter, Response
from interlace_core.families import require, require_counts
from interlace_counts.zeros.around_base import AroundBase
from interlace_counts.zeros.parts import (
    LOGIT,
    HurdleFamily,
    ZeroInflatedFamily,
    probability_or_none,
)
from interlace_counts.zeros.positive import trials_of
from interlace_counts.zeros.truncated import ZeroTruncated, ZeroTruncatedFamily

WITH_ZERO = {
    "non-negative": "numbers of at least 0",
    "unit interval with 0": "proportions of at least 0 and below 1",
}
"""What a response may be once zeros are put to it, where its sign tells, in words."""

OWN_ZEROS = frozenset({"counts", "trials"})
"""Supports of families that have zeros of their own."""

R_NAMES = {"Gamma": "ziGamma"}
"""R's families that take zeros under another name."""


@dataclass(frozen=True)
class ZeroInflated(AroundBase, ZeroInflatedFamily):
    """Any family that has zeros, with additional ones: counts, successes among trials, Tweedie.

    Parameters
    ----------
    base : Family
        The family with zeros of its own.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    pi: float | None = None

    name: ClassVar[str] = "zero_inflated"
    prefix: ClassVar[str] = "zeroinflated"
    role: ClassVar[str] = "zero"
    takes: ClassVar[Mapping[str, str]] = {
        support: support for support in ("counts", "trials", "non-negative", "closed unit interval")
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.support != "counts":
            alone = f"{self.base.name} alone, without additional zeros"
            object.__setattr__(self, "without_zero_part", alone)

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the family with additional zeros; None for one that has none, or a zero part."""
        return cls(base) if cls.serves(base) else None


@dataclass(frozen=True)
class Hurdle(AroundBase, HurdleFamily):
    """Zero or not first, then another value of any family; pi is P(Y = 0).

    Of a family of counts it is a positive count, of one of successes among trials at least one
    success. A family of positive numbers, of proportions
    inside of (0, 1) or of real numbers is taken as it is: it has a density at 0, no probability, so
    that a zero is always of the zero part, and this is also its zero-inflated form.

    Parameters
    ----------
    base : Family
        The family of the other values.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    trials : ndarray, shape (n,), optional
        Of each row, of successes among trials; learned from the data.
    """

    pi: float | None = None
    trials: Array | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "hurdle"
    prefix: ClassVar[str] = "hurdle"
    role: ClassVar[str] = "zero"
    takes: ClassVar[Mapping[str, str]] = {
        "counts": "counts",
        "positive counts": "counts",
        "trials": "trials",
        "positive": "non-negative",
        "unit interval": "unit interval with 0",
        "real": "real with 0",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.truncates:
            object.__setattr__(self, "without_zero_part", f"{self.base.name} alone, without zeros")
        if self.base.support == "unit interval":
            object.__setattr__(self, "typical", 0.5)

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the hurdle of a family without zeros: of one truncated at 0, its inner one's."""
        if isinstance(base, ZeroTruncatedFamily):
            return cls(base.inner)
        return cls(base) if cls.serves(base) and base.support not in OWN_ZEROS else None

    @property
    def truncates(self) -> bool:
        """Whether the base has zeros of its own, which are then taken from it."""
        return self.base.support in OWN_ZEROS

    @property
    def conditional(self) -> Family:
        """The base, given that it is positive where it has zeros of its own."""
        return ZeroTruncated(self.base, self.trials) if self.truncates else self.base

    def conditional_part(self, y: Array) -> Family:
        """Return the conditional family bound to some rows."""
        part = self.base.bind_part(y)
        return ZeroTruncated(part, trials_of(y)) if self.truncates else part

    @property
    def r_family(self) -> str | None:
        """R's name; None where R adds the probability of a zero to the density at 0."""
        name = self.conditional.r_family
        if self.base.support == "real" or name is None:
            return None
        return R_NAMES.get(name, name)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept 0, and what the base accepts; weights multiply the log-density of their row."""
        if self.base.support == "counts":
            require_counts(self, y)
            return self.base.check_response(y, weights)
        if self.base.support == "trials":
            with self.as_own():
                response = self.base.check_response(y, weights)
            require(self, response.y[:, 1] > 0, response.y[:, 1], "at least one trial in each row")
            return response
        if self.support in WITH_ZERO:
            below = 1.0 if self.base.support == "unit interval" else np.inf
            require(self, (y >= 0) & (y < below), y, WITH_ZERO[self.support])
        return self.checked_beside(y, weights)

    def for_base(self, y: Array) -> Array:
        """Return the response without zeros, which tell the base nothing unless it has them."""
        return y if self.truncates else self.beside_zeros(y)

    def learned(self, y: Array) -> Mapping[str, Array | None]:
        """Return the trials."""
        return {"trials": trials_of(y)}


@dataclass(frozen=True)
class OneInflated(AroundBase, HurdleFamily):
    """One or not first, then a proportion of any family: `one` is P(Y = 1).

    The base is a family of proportions inside of (0, 1), or one of them with a part for zeros,
    whose pi is then P(Y = 0) among the others: the sequence "all, none, or some".

    Parameters
    ----------
    base : Family
        The family of the other values.
    one : float, optional
        P(Y = 1); fixed when given, estimated (logit scale) when not.
    """

    one: float | None = None

    name: ClassVar[str] = "one_inflated"
    prefix: ClassVar[str] = "oneinflated"
    role: ClassVar[str] = "one"
    at: ClassVar[float] = 1.0
    typical: ClassVar[float] = 0.5
    takes: ClassVar[Mapping[str, str]] = {
        "unit interval": "unit interval with 1",
        "unit interval with 0": "closed unit interval",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        probability_or_none(self, "one", self.one)

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the family with a part for ones; None for one of another support."""
        return cls(base) if cls.serves(base) else None

    @classmethod
    def serves(cls, base: Family) -> bool:
        """Return whether a family can be the base: by its support."""
        return base.support in cls.takes and not base.row_variables

    @property
    def pi(self) -> float | None:  # type: ignore[override]
        """P(Y = 1) where it is fixed."""
        return self.one

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The base's, then P(Y = 1)."""
        limit = f"{self.base.name} alone, without ones"
        return (
            *self.base.parameters,
            Parameter("one", LOGIT, self.one, role="one", at_lower=limit),
        )

    @property
    def r_family(self) -> str | None:
        """None: R has no such family."""
        return None

    @property
    def conditional(self) -> Family:
        """The base."""
        return self.base

    def conditional_part(self, y: Array) -> Family:
        """Return the base bound to some rows."""
        return self.base.bind_part(y)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept 1, and what the base accepts; weights multiply the log-density of their row."""
        low = self.base.support == "unit interval with 0"
        words = f"proportions {'of at least 0' if low else 'above 0'} and up to 1"
        require(self, ((y >= 0) if low else (y > 0)) & (y <= 1), y, words)
        return self.checked_beside(y, weights)

    def for_base(self, y: Array) -> Array:
        """Return the response without ones, which tell the base nothing."""
        return self.beside_zeros(y)
