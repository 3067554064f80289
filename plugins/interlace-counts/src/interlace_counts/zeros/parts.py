"""Zero inflation and hurdles: families with a part for zeros.

A zero part makes the response 0 with probability pi, and otherwise draws it from a conditional
family. Zero inflation: the inner family itself, which has zeros of its own (counts, successes among
trials), so that zeros come from both. Hurdle: a family without zeros, so that pi is P(Y = 0): the
inner family given that it is positive where it is one of counts or of successes, the inner family
itself where it has a density at 0 and so no probability of it (positive numbers, proportions, real
numbers). For the latter, zero inflation and hurdle are the same model. That is the whole
difference, and these classes know nothing but the contract of the family inside.

Subclass `ZeroInflatedFamily`, `ZeroTruncatedFamily` or `HurdleFamily` for a family with a name of
its own; the compositions `ZeroInflated(base)`, `ZeroTruncated(base)` and `Hurdle(base)` serve for
all others.

Limit: the linear predictors of the inner family stay those of its own distribution, so that
exp(eta) of a log link is not the mean of a truncated or zero-inflated response; ask `mean` or
`conditional_mean`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np

from interlace_core.contract import (
    Array,
    BoolArray,
    Derivatives,
    Family,
    IntArray,
    Logit,
    OptionError,
    Parameter,
    Response,
    is_real,
)
from interlace_core.families import require_counts
from interlace_counts.zeros.around_base import said_of
from interlace_counts.zeros.partials import (
    merged,
    mixture_at_zero,
    powers_of,
    rows_of,
    taken,
    without,
)
from interlace_counts.zeros.positive import (
    counts,
    inner_parameters,
    is_zero,
    start_inflated,
    trials_of,
)
from interlace_counts.zeros.truncated import ZeroTruncated

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
    at: ClassVar[float] = 0.0
    """The value that has a part of its own: 0, or for a part of the same kind elsewhere, 1."""
    takes_inner_zeros: ClassVar[bool] = False
    """Whether the zeros of the family inside are taken from it."""
    pi: float | None

    def __post_init__(self) -> None:
        probability_or_none(self, "pi", self.pi)

    @property
    @abstractmethod
    def inner(self) -> Family:
        """The family that the zeros are put to, with all its parameters."""

    @property
    @abstractmethod
    def conditional(self) -> Family:
        """The family of the values that are not from the zero part."""

    @abstractmethod
    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log P(Y = 0) from log(pi), log(1 - pi) and log f(0); works on jets."""

    @abstractmethod
    def parts(
        self, y: Array, zero: BoolArray, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> tuple[Derivatives, Derivatives]:
        """Return the log-density with its partials for the rows that are 0, and for the others."""

    def is_there(self, y: Array) -> BoolArray:
        """Return which rows have the value that has a part of its own, shape (n,)."""
        return is_zero(y) if self.at == 0.0 else np.asarray(y == self.at)

    @property
    def r_family(self) -> str | None:
        """R's name of the conditional family; the zero part is R's `ziformula`."""
        return self.conditional.r_family

    @property
    def observation_level_confounded(self) -> bool:
        """Whether the inner family is: a row that is 0 shows even less of an effect of its own."""
        return self.inner.observation_level_confounded

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The inner family's, then the zero probability."""
        pi = Parameter("pi", LOGIT, self.pi, role="zero", at_lower=self.without_zero_part)
        return (*inner_parameters(self.inner, without_zeros=self.takes_inner_zeros), pi)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept what the inner family accepts."""
        if self.support == "counts":
            require_counts(self, y)
        with self.as_own():
            return self.inner.check_response(y, weights)

    def as_own(self, rows: IntArray | None = None) -> AbstractContextManager[None]:
        """Let the inner family complain of a response in the name of the whole; see `said_of`."""
        return said_of(self.inner, self.name, rows)

    def observed(self, y: Array) -> Array:
        """Return the response as the inner family's mean has it."""
        return self.inner.observed(y)

    def natural(self, eta: Sequence[Any]) -> Sequence[Any]:
        """Return the inner family's parameters and pi."""
        return [*self.inner.natural(eta[:-1]), LOGIT.mu(eta[-1])]

    def ratio_words(self, k: int) -> tuple[str, str] | None:
        """Return the inner family's words for its own predictors."""
        return self.inner.ratio_words(k) if k < len(self.inner.parameters) else None

    def intercept_stand_in(self) -> Array | None:
        """Return the inner family's change, which leaves pi as it is."""
        change = self.inner.intercept_stand_in()
        return None if change is None else np.append(change, 0.0)

    def scale(self, eta: Sequence[float]) -> float:
        """Return the inner family's scale."""
        return self.inner.scale(eta[:-1])

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log(1 - pi) + log f(y), and at 0 the logarithm of what both parts give."""
        log_f = self.conditional.log_density(self.beside_zeros(y), eta[:-1])
        log_pi, log_rest = LOGIT.log_mu(eta[-1]), LOGIT.log1m_mu(eta[-1])
        at_zero = self.log_density_at_zero(log_pi, log_rest, log_f)
        return np.where(self.is_there(y), at_zero, log_rest + log_f)

    def beside_zeros(self, y: Array) -> Array:
        """Return the response as the conditional family takes it."""
        return y

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return (1 - pi) times the conditional mean, and pi times the value: the whole mean."""
        mean = LOGIT.mu(-eta[-1]) * self.conditional_mean(eta)
        return np.asarray(mean if self.at == 0.0 else mean + self.at * LOGIT.mu(eta[-1]))

    def conditional_mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean of the values that are not from the zero part."""
        return self.conditional.mean(eta[:-1])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return (1 - pi) (V + pi m^2), m the conditional mean from the value, V the variance."""
        pi, m = LOGIT.mu(eta[-1]), self.conditional_mean(eta) - self.at
        V = self.conditional.variance(eta[:-1])
        return np.asarray(LOGIT.mu(-eta[-1]) * (V + pi * np.square(m)))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of the conditional family, set to 0 with probability pi."""
        eta = np.broadcast_arrays(*eta)
        draws = self.conditional.simulate(eta[:-1], rng)
        zero = rng.random(eta[0].shape) < LOGIT.mu(eta[-1])
        if draws.ndim == zero.ndim:
            return np.where(zero, self.at, draws)
        successes = np.where(zero, 0.0, draws[..., 0])  # of the trials in the second column
        return np.stack([successes, draws[..., 1]], axis=-1)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return pi + (1 - pi) F(y) from the value on and (1 - pi) F(y) below it."""
        F = self.conditional.cdf(y, eta[:-1])
        pi = np.where((y if y.ndim == 1 else y[:, 0]) < self.at, 0.0, LOGIT.mu(eta[-1]))
        return np.asarray(np.minimum(pi + LOGIT.mu(-eta[-1]) * F, 1.0))

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives by the chain rule, zeros and other rows apart."""
        zero = self.is_there(y)
        shape = np.broadcast_shapes(y.shape[:1], *(np.shape(each) for each in eta))
        at_zero, others = self.parts(y, zero, eta, order, wrt)
        return merged(shape, (zero, at_zero), (~zero, others))


class ZeroInflatedFamily(ZeroPartFamily):
    """A family with additional zeros."""

    without_zero_part = "its count part alone, without additional zeros"

    @property
    def conditional(self) -> Family:
        """The inner family itself: it has zeros of its own."""
        return self.inner

    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log(pi + (1 - pi) f(0))."""
        return np.logaddexp(log_pi, log_rest + log_f)

    def parts(
        self, y: Array, zero: BoolArray, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> tuple[Derivatives, Derivatives]:
        """Return log(pi + (1 - pi) f(0)), and log(1 - pi) + log f(y)."""
        index = len(eta) - 1
        whole = self.conditional.derivatives(y, eta[:-1], order, without(wrt, index))
        pi = LOGIT.log_derivatives(*taken(eta[-1:], zero))
        at_zero = mixture_at_zero(rows_of(whole, zero), pi, index, order, wrt)
        others = _with_rest(rows_of(whole, ~zero), taken(eta, ~zero), order, wrt)
        return at_zero, others

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return a start that tells the excess of zeros from the family's own."""
        return start_inflated(self.inner, self.pi, y, weights)


class HurdleFamily(ZeroPartFamily):
    """Zero or not first, then another value; pi is P(Y = 0)."""

    without_zero_part = "its positive counts alone, without zeros"
    takes_inner_zeros = True
    typical: ClassVar[float] = 1.0
    """A value that the conditional family takes."""

    @property
    def conditional(self) -> Family:
        """The inner family given that the count is positive."""
        return ZeroTruncated(self.inner)

    def conditional_part(self, y: Array) -> Family:
        """Return the conditional family for some rows, none of them 0."""
        return self.conditional

    def beside_zeros(self, y: Array) -> Array:
        """Return the response with its zeros, whose density is not asked for, replaced."""
        zero = self.is_there(y)
        if not np.any(zero):
            return y
        if y.ndim == 2:  # one success among the row's trials
            return np.where(zero[:, None], counts(1.0, 0, y[:, 1]), y)
        others = y[~zero]
        return np.where(zero, others[0] if others.size else self.typical, y)

    def checked_beside(self, y: Array, weights: Array | None) -> Response:
        """Return the response, whose other values the inner family has checked."""
        rows = np.flatnonzero(~self.is_there(y))
        with self.as_own(rows):
            found = self.inner.check_response(y[rows], None if weights is None else weights[rows])
        checked = np.array(y, np.float64)
        checked[rows] = found.y
        return Response(checked, weights)

    def log_density_at_zero(self, log_pi: Any, log_rest: Any, log_f: Any) -> Any:
        """Return log(pi)."""
        return log_pi

    def parts(
        self, y: Array, zero: BoolArray, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> tuple[Derivatives, Derivatives]:
        """Return log(pi), and log(1 - pi) + log f(y)."""
        index = len(eta) - 1
        log_pi, _ = LOGIT.log_derivatives(*taken(eta[-1:], zero))
        at_zero = Derivatives(log_pi[0], powers_of(log_pi, index, order, wrt))
        there, others = taken(eta, ~zero), y[~zero]
        part = self.conditional_part(others)
        positive = part.derivatives(others, there[:-1], order, without(wrt, index))
        return at_zero, _with_rest(positive, there, order, wrt)

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return whether the other values are: log(pi) and log(1 - pi) are, and only added."""
        inside = without(wrt, len(self.parameters) - 1)
        return not inside or self.conditional.log_concave(inside)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the start of the other values and the share of zeros."""
        n = y.shape[0]
        w = np.ones(n) if weights is None else weights
        share = float(np.clip(np.average(self.is_there(y), weights=w), 0.5 / n, 1.0 - 0.5 / n))
        others = ~self.is_there(y) & (w > 0)
        if np.any(others):
            inside = self.conditional_part(y[others]).start(y[others], w[others])
        else:
            typical = counts(self.typical, n, trials_of(y))
            inside = self.conditional_part(typical).start(typical, None)
        pi = share if self.pi is None else self.pi
        return np.append(inside, LOGIT.eta(pi))


def _with_rest(
    part: Derivatives, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return log(1 - pi) + log f(y): a sum without cross terms."""
    _, log_rest = LOGIT.log_derivatives(eta[-1])
    partials = dict(part.partials) | powers_of(log_rest, len(eta) - 1, order, wrt)
    return Derivatives(log_rest[0] + part.value, partials)
