"""Zero inflation, zero truncation and hurdles as compositions of any family of counts.

A zero part makes the response 0 with probability pi, and otherwise draws it from a conditional
family: the count family itself (zero inflation: zeros come from both) or the count family given
that it is positive (hurdle: pi is P(Y = 0)). That is the whole difference, and these classes know
nothing but the contract of the family inside.

Subclass `ZeroInflatedFamily`, `ZeroTruncatedFamily` or `HurdleFamily` for a family with a name of
its own; `ZeroInflated(base)`, `ZeroTruncated(base)` and `Hurdle(base)` serve for all others.

Limit: the linear predictors of the count family stay those of its untruncated distribution, so
that exp(eta) of a log link is not the mean of a truncated or zero-inflated response; ask `mean` or
`conditional_mean`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from interlace_core.contract import (
    Array,
    Derivatives,
    Family,
    Logit,
    OptionError,
    Parameter,
    Response,
    Taylor,
    UnsupportedModelError,
    is_real,
)
from interlace_core.families import require_counts
from interlace_counts.zeros.around_base import AroundBase
from interlace_counts.zeros.partials import merged, mixture_at_zero, powers_of, taken, without
from interlace_counts.zeros.positive import inner_parameters, start_inflated
from interlace_counts.zeros.truncated import ZeroTruncated, ZeroTruncatedFamily

__all__ = [
    "Hurdle",
    "HurdleFamily",
    "ZeroInflated",
    "ZeroInflatedFamily",
    "ZeroPartFamily",
    "ZeroTruncated",
    "ZeroTruncatedFamily",
    "probability_or_none",
]

LOGIT = Logit()


def probability_or_none(family: Family, argument: str, value: float | None) -> None:
    """Raise an OptionError unless a fixed parameter is None or strictly between 0 and 1."""
    if value is None:
        return
    if not is_real(value) or not 0 < value < 1:
        raise OptionError(
            f"family {family.name!r}: {argument} must be a number between 0 and 1, both excluded "
            f"(which fixes it), or None (which estimates it), got {value!r}."
        )


class ZeroPartFamily(Family):
    """Zero with probability pi, otherwise a draw of the conditional family.

    A subclass is a frozen dataclass with a field `pi`: the probability where it is fixed, or None.
    """

    support = "counts"
    without_zero_part: ClassVar[str]
    """What the family becomes where pi tends to 0, in words."""
    pi: float | None

    def __post_init__(self) -> None:
        probability_or_none(self, "pi", self.pi)

    @property
    @abstractmethod
    def count(self) -> Family:
        """The count family, with all its parameters."""

    @property
    @abstractmethod
    def conditional(self) -> Family:
        """The family of the counts that are not from the zero part."""

    @abstractmethod
    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log P(Y = 0) from log(pi), log(1 - pi) and log f(0); works on jets."""

    @abstractmethod
    def derivatives_at_zero(
        self, pi: tuple[Taylor, Taylor], eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return log P(Y = 0) and its partials, from log(pi), log(1 - pi) with derivatives."""

    @property
    def r_family(self) -> str | None:
        """R's name of the conditional family; the zero part is R's `ziformula`."""
        return self.conditional.r_family

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The count family's, then the zero probability."""
        pi = Parameter("pi", LOGIT, self.pi, role="zero", at_lower=self.without_zero_part)
        return (*inner_parameters(self.count), pi)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return self.count.check_response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log(1 - pi) + log f(y), and at 0 the logarithm of what both parts give."""
        log_f = self.conditional.log_density(y, eta[:-1])
        log_pi, log_rest = LOGIT.log_mu(eta[-1]), LOGIT.log1m_mu(eta[-1])
        at_zero = self.log_density_at_zero(log_pi, log_rest, log_f)
        return np.where(y == 0, at_zero, log_rest + log_f)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return (1 - pi) times the conditional mean: the mean of the whole."""
        return np.asarray(LOGIT.mu(-eta[-1]) * self.conditional_mean(eta))

    def conditional_mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean of the counts that are not from the zero part."""
        return self.conditional.mean(eta[:-1])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return (1 - pi) (V + pi m^2), m and V the conditional mean and variance."""
        pi, m = LOGIT.mu(eta[-1]), self.conditional_mean(eta)
        V = self.conditional.variance(eta[:-1])
        return np.asarray(LOGIT.mu(-eta[-1]) * (V + pi * np.square(m)))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of the conditional family, set to 0 with probability pi."""
        eta = np.broadcast_arrays(*eta)
        draws = self.conditional.simulate(eta[:-1], rng)
        return np.where(rng.random(draws.shape) < LOGIT.mu(eta[-1]), 0.0, draws)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return pi + (1 - pi) F(y) from 0 on, F the conditional one."""
        F = self.conditional.cdf(y, eta[:-1])
        return np.where(y < 0, 0.0, LOGIT.mu(eta[-1]) + LOGIT.mu(-eta[-1]) * F)

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives by the chain rule, zero and positive rows apart."""
        rows = y == 0
        at_zero = taken(eta, rows)
        terms = self.derivatives_at_zero(LOGIT.log_derivatives(at_zero[-1]), at_zero, order, wrt)
        positive = self._derivatives_positive(y[~rows], taken(eta, ~rows), order, wrt)
        shape = np.broadcast_shapes(y.shape, *(np.shape(each) for each in eta))
        return merged(shape, (rows, terms), (~rows, positive))

    def _derivatives_positive(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return log(1 - pi) + log f(y): a sum without cross terms."""
        index = len(eta) - 1
        _, log_rest = LOGIT.log_derivatives(eta[-1])
        part = self.conditional.derivatives(y, eta[:-1], order, without(wrt, index))
        partials = dict(part.partials) | powers_of(log_rest, index, order, wrt)
        return Derivatives(log_rest[0] + part.value, partials)


class ZeroInflatedFamily(ZeroPartFamily):
    """A count family with additional zeros."""

    without_zero_part = "its count part alone, without additional zeros"

    @property
    def conditional(self) -> Family:
        """The count family itself: it has zeros of its own."""
        return self.count

    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log(pi + (1 - pi) f(0))."""
        return np.logaddexp(log_pi, log_rest + log_f)

    def derivatives_at_zero(
        self, pi: tuple[Taylor, Taylor], eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return log(pi + (1 - pi) f(0)) and its partials."""
        index = len(eta) - 1
        y = np.zeros(np.shape(eta[-1])[-1:])
        part = self.conditional.derivatives(y, eta[:-1], order, without(wrt, index))
        return mixture_at_zero(part, pi, index, order, wrt)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return a start that tells the excess of zeros from the count family's own."""
        return start_inflated(self.count, self.pi, y, weights)


class HurdleFamily(ZeroPartFamily):
    """Zero or not first, then a positive count; pi is P(Y = 0)."""

    without_zero_part = "its positive counts alone, without zeros"

    @property
    def conditional(self) -> Family:
        """The count family given that the count is positive."""
        return ZeroTruncated(self.count)

    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log(pi)."""
        return log_pi

    def derivatives_at_zero(
        self, pi: tuple[Taylor, Taylor], eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return log(pi) and its derivatives."""
        return Derivatives(pi[0][0], powers_of(pi[0], len(eta) - 1, order, wrt))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return whether the positive counts are: log(pi) and log(1 - pi) are, and only added."""
        inside = without(wrt, len(self.parameters) - 1)
        return not inside or self.conditional.log_concave(inside)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the start of the positive counts and the share of zeros."""
        w = np.ones(y.size) if weights is None else weights
        share = float(np.clip(np.average(y == 0, weights=w), 0.5 / y.size, 1.0 - 0.5 / y.size))
        positive = y > 0
        if np.any(positive & (w > 0)):
            inside = self.conditional.start(y[positive], w[positive])
        else:
            inside = self.count.start(y, weights)
        pi = share if self.pi is None else self.pi
        return np.append(inside, LOGIT.eta(pi))


@dataclass(frozen=True)
class ZeroInflated(AroundBase, ZeroInflatedFamily):
    """Any count family with additional zeros.

    Parameters
    ----------
    base : Family
        The count family.
    pi : float, optional
        Probability of an additional zero; fixed when given, estimated (logit scale) when not.
    """

    pi: float | None = None

    name: ClassVar[str] = "zero_inflated"
    prefix: ClassVar[str] = "zeroinflated"
    role: ClassVar[str] = "zero"

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the family with additional zeros; None for one truncated at 0.

        Raises
        ------
        UnsupportedModelError
            If the family's response is not a count.
        """
        if base.response_forms != {"numeric"}:
            raise UnsupportedModelError(
                f"ziformula: expected a family of counts, got {base.name!r}, whose response is "
                "not a count. Leave ziformula out, or choose a family with a zero part."
            )
        return None if isinstance(base, ZeroTruncatedFamily) else cls(base)


@dataclass(frozen=True)
class Hurdle(AroundBase, HurdleFamily):
    """Zero or not first, then a positive count of any family.

    Parameters
    ----------
    base : Family
        The count family.
    pi : float, optional
        P(Y = 0); fixed when given, estimated (logit scale) when not.
    """

    pi: float | None = None

    name: ClassVar[str] = "hurdle"
    prefix: ClassVar[str] = "hurdle"
    role: ClassVar[str] = "zero"

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the hurdle of a family that is truncated at 0; None for any other."""
        return cls(base.count) if isinstance(base, ZeroTruncatedFamily) else None
