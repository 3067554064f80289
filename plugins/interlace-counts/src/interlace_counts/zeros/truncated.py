"""Zero-truncated families: any family of counts given that the count is positive.

The linear predictors stay those of the untruncated distribution, so that exp(eta) of a log link is
not the mean of the positive counts; ask `mean`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from interlace_core.contract import (
    Array,
    Derivatives,
    Family,
    OptionError,
    Parameter,
    Response,
)
from interlace_core.families import require
from interlace_counts.zeros.around_base import AroundBase, said_of
from interlace_counts.zeros.partials import log_positive, truncated_derivatives
from interlace_counts.zeros.positive import (
    beside_zero,
    cloglog_positive,
    inner_parameters,
    is_zero,
    simulate_positive,
    start_truncated,
    trials_of,
    truncated_cdf,
    truncated_moments,
)


class ZeroTruncatedFamily(Family):
    """A count family given that the count is positive."""

    support = "positive counts"
    trials: Array | None = None
    """Those of each row, of a family of successes among trials, where they are known."""

    @property
    @abstractmethod
    def inner(self) -> Family:
        """The count family, with all its parameters."""

    @property
    def r_family(self) -> str | None:
        """The count family's in R, truncated; R has none of successes among trials."""
        none = self.inner.r_family is None or self.inner.support == "trials"
        return None if none else f"truncated_{self.inner.r_family}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The count family's."""
        return inner_parameters(self.inner, without_zeros=True)

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts from 1 on."""
        if self.inner.support == "trials":
            with said_of(self.inner, self.name):
                found = self.inner.check_response(y, weights)
            some = "at least one success in each row"
            require(self, found.y[:, 0] > 0, found.y[:, 0], some)
            return found
        require(self, (y >= 1) & (y == np.floor(y)), y, "positive counts 1, 2, 3, ...")
        return self.inner.check_response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log f(y) - log(1 - f(0)), and -inf at 0."""
        positive = cloglog_positive(self.inner, eta, trials_of(y))
        inside = self.inner.log_density(y, eta) - log_positive(positive)
        return np.where(is_zero(y), -np.inf, inside)

    def observed(self, y: Array) -> Array:
        """Return the response as the inner family's mean has it."""
        return self.inner.observed(y)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return E[Y | Y > 0], which tends to its limit, not to 0, as eta falls."""
        return truncated_moments(self.inner, eta, self._known_trials())[0]

    def conditional_mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean: a truncated family is its own conditional part."""
        return self.mean(eta)

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return V / (1 - f(0)) - mean^2 f(0), V the untruncated variance."""
        return truncated_moments(self.inner, eta, self._known_trials(), variance=True)[1]

    def _known_trials(self) -> Array | None:
        """Return the trials, on which the moments of successes depend, None for counts."""
        if self.trials is not None and np.any(np.isnan(self.trials)):
            raise OptionError(
                f"family {self.name!r}: the mean of a row depends on its number of trials, which "
                "new rows do not tell. Give it to predict by weights, one for each row."
            )
        return self.trials

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return positive draws of the count family."""
        return simulate_positive(self.inner, eta, rng, self.trials)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return (F(y) - f(0)) / (1 - f(0)), without its cancellation where f(0) is near 1."""
        return truncated_cdf(self.inner, y, eta)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the count family's start for the response with its missing zeros added."""
        return start_truncated(self.inner, y, weights)

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives by the chain rule from the count family's at y and at 0."""
        full, h = beside_zero(self.inner, y, eta, order, wrt)
        return truncated_derivatives(full, h, order, wrt)


@dataclass(frozen=True)
class ZeroTruncated(AroundBase, ZeroTruncatedFamily):
    """Any count family given that the count is positive, or successes given that there is one.

    Parameters
    ----------
    base : Family
        The count family, or one of successes among trials.
    trials : ndarray, shape (n,), optional
        Of each row, of the latter; learned from the data.
    """

    trials: Array | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "zero_truncated"
    prefix: ClassVar[str] = "truncated"
    takes: ClassVar[Mapping[str, str]] = {"counts": "positive counts", "trials": "positive trials"}

    @classmethod
    def of(cls, base: Family) -> Family | None:
        """Return the family given that the count is positive; None for one not of counts."""
        return cls(base) if cls.serves(base) else None

    def learned(self, y: Array) -> Mapping[str, Array | None]:
        """Return the trials."""
        return {"trials": trials_of(y)}
