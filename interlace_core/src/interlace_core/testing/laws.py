"""A family as a probability law at a few values of its predictors: totals, moments, distribution.

Isolated points are summed and intervals integrated adaptively (SciPy's `quad_vec`, on the line
to which exp or the logistic function maps the interval).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.records import Array
from interlace_core.testing.supports import Support, to_interval

BLOCK = 512
"""Counts summed at a time."""

MAX_COUNT = 200_000
"""Where a sum over counts gives up."""

NEGLIGIBLE = 1e-14
"""A block of counts with less second moment than this, beyond the median, ends the sum."""


LIMIT = 400
"""Intervals of an adaptive integral; a density that needs more has its mass within rounding of
an end."""


@dataclass(frozen=True, eq=False)
class Law:
    """The distribution of the response at R points of the predictors.

    Attributes
    ----------
    family : Family
        Bound to `raw`.
    support : Support
    raw : ndarray, shape (R,) or (R, 2)
        Some response per point, as `check_response` takes it.
    eta : ndarray, shape (K, R)
    """

    family: Family
    support: Support
    raw: Array
    eta: Array

    def points(self) -> list[Array]:
        """Return fresh predictors, a list of K arrays, shape (R,)."""
        return [row.copy() for row in self.eta]

    @cached_property
    def moments(self) -> Array:
        """Total probability, mean and variance by the density, shape (3, R)."""
        sums = self._listed_sums() + self._integral(-np.inf, np.inf)
        total, first, second = sums
        mean = first / total
        return np.stack([total, mean, second / total - np.square(mean)])

    def distribution(self, raw: Array) -> Array:
        """Return P(Y <= y) by the density at increasing values, shape (R, m) for m of them."""
        m = raw.shape[0]
        out = np.zeros((self.eta.shape[1], m))
        listed = self.support.listed(1 + int(np.max(raw)) if raw.ndim == 1 else 0)
        if listed.size:
            values, probabilities = self._values(raw), self.probabilities(listed)
            reached = self._values(listed)[:, None] <= values
            out += probabilities @ reached
        if self.support.interval is not None:
            out += self._cumulative(raw)
        return np.asarray(out / self.moments[0][:, None])

    def probabilities(self, listed: Array) -> Array:
        """Return the density at isolated points, shape (R, m)."""
        eta = [np.repeat(e[:, None], listed.shape[0], axis=1) for e in self.points()]
        with np.errstate(all="ignore"):
            return np.asarray(np.exp(self.family.log_density(self._checked(listed), eta)))

    def _listed_sums(self) -> Array:
        """Return sum of p, p y and p y^2 over the isolated points, shape (3, R)."""
        if self.support.counts_from is None:
            return self._powers(self.support.listed(0))
        listed = self.support.listed(MAX_COUNT)
        total = np.zeros((3, self.eta.shape[1]))
        for start in range(0, listed.size, BLOCK):
            block = self._powers(listed[start : start + BLOCK])
            total += block
            if np.all(total[0] > 0.5) and np.all(np.abs(block) < NEGLIGIBLE):
                break
        return total

    def _powers(self, listed: Array) -> Array:
        if not listed.size:
            return np.zeros((3, self.eta.shape[1]))
        y, p = self._values(listed), self.probabilities(listed)
        return np.stack([p @ y**k for k in range(3)])

    def _integral(self, lower: float, upper: float) -> Array:
        """Return the integrals of f, f y, f y^2 between two points of the line, shape (3, R)."""
        if self.support.interval is None:
            return np.zeros((3, self.eta.shape[1]))
        from scipy.integrate import quad_vec

        integrand = self._integrand(self.support.interval)
        options: dict[str, Any] = {"epsabs": 1e-11, "epsrel": 1e-11, "norm": "max", "limit": LIMIT}
        return np.asarray(quad_vec(integrand, lower, upper, **options)[0])

    def _integrand(self, interval: tuple[float, float]) -> Callable[[float], Array]:
        R = self.eta.shape[1]

        def f(t: float) -> Array:
            y = float(to_interval(interval, t))
            width = _speed(interval, y)
            if not (interval[0] < y < interval[1] and 0.0 < width < np.inf):
                return np.zeros((3, R))
            checked = self._checked(np.full(R, y))
            with np.errstate(all="ignore"):
                p = np.exp(np.asarray(self.family.log_density(checked, self.points()))) * width
                powers = np.array([[1.0], [y], [np.square(y)]])
                return np.where(p > 0.0, p * powers, 0.0)

        return f

    def _cumulative(self, raw: Array) -> Array:
        """Return the integral of the density up to increasing values, shape (R, m)."""
        assert self.support.interval is not None
        ends = [-np.inf, *(_from_interval(self.support.interval, float(y)) for y in raw)]
        nothing = np.zeros(self.eta.shape[1])
        pieces = [
            self._integral(a, b)[0] if a < b else nothing
            for a, b in zip(ends[:-1], ends[1:], strict=True)
        ]
        return np.asarray(np.cumsum(pieces, axis=0).T)

    def _checked(self, raw: Array) -> Array:
        return self.family.check_response(raw.copy(), None).y

    def _values(self, raw: Array) -> Array:
        return np.asarray(self.family.observed(self._checked(raw)), np.float64)


def _speed(interval: tuple[float, float], y: float) -> float:
    """Return dy/dt at y for the map from the line."""
    lower, upper = interval
    if not np.isfinite(lower):
        return 1.0
    return (y - lower) if not np.isfinite(upper) else (y - lower) * (upper - y) / (upper - lower)


def _from_interval(interval: tuple[float, float], y: float) -> float:
    """Return the point of the line that is mapped to y; an end of it beyond the interval."""
    lower, upper = interval
    if not lower < y < upper:
        return -np.inf if y <= lower else np.inf
    if not np.isfinite(lower):
        return y
    rest = 1.0 if not np.isfinite(upper) else upper - y
    return float(np.log((y - lower) / rest))
