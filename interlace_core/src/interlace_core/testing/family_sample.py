"""A family under test, with responses and predictors to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.records import Array, Derivatives
from interlace_core.testing.laws import Law
from interlace_core.testing.supports import Support

Range = tuple[float, float]

SEED = 20251
"""Of every random choice: the same values in each run."""

POINTS = 5
"""Values of the predictors at which the law is integrated and simulated."""

REPETITIONS = 6
"""Values of the predictors with which each example response is combined."""


@dataclass(frozen=True)
class Sample:
    """A bound family with checked responses and one value of each predictor per row.

    Attributes
    ----------
    family : Family
    y : ndarray, shape (n,) or (n, m)
    eta : ndarray, shape (K, n)
    """

    family: Family
    y: Array
    eta: Array

    def copies(self) -> tuple[Array, list[Array]]:
        """Return fresh responses and predictors, safe from whatever a family does to them."""
        return self.y.copy(), [row.copy() for row in self.eta]

    def log_density(self) -> Array:
        """Return the log-density of all rows, shape (n,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.family.log_density(*self.copies()))

    def derivatives(self, order: int, wrt: tuple[int, ...]) -> Derivatives:
        """Return what the family says, under the error state of a fit."""
        with np.errstate(all="ignore"):
            return self.family.derivatives(*self.copies(), order, wrt)

    def describe(self, index: tuple[int, ...]) -> str:
        """Return response and predictors of a row in words; the row is the last index."""
        row = index[-1]
        etas = ", ".join(f"{eta:.6g}" for eta in self.eta[:, row])
        return f"y = {self.y[row]}, eta = ({etas})"

    @property
    def every(self) -> tuple[int, ...]:
        """All predictors."""
        return tuple(range(self.eta.shape[0]))

    def subsets(self) -> list[tuple[int, ...]]:
        """Return all sets of predictors, the empty one included."""
        return [c for size in range(len(self.every) + 1) for c in combinations(self.every, size)]


@dataclass(frozen=True, eq=False)
class FamilyCase:
    """What the checks of a family share.

    Attributes
    ----------
    family : Family
        As given, not bound.
    support : Support
    ranges : mapping from parameter names to (float, float)
        Moderate values of a predictor, where they differ from the default.
    domains : mapping from parameter names to (float, float)
        Open interval of a predictor where the density is defined; the link's by default.
    extremes : tuple of float
        Sizes of predictors that a search may try.
    tol_rel_derivatives : float
        Agreement with jets, relative to the size of density and derivatives.
    draws : int
        Simulated responses per point.
    """

    family: Family
    support: Support
    ranges: Mapping[str, Range] = field(default_factory=dict)
    domains: Mapping[str, Range] = field(default_factory=dict)
    extremes: Sequence[float] = (40.0, 800.0)
    tol_rel_derivatives: float = 1e-10
    draws: int = 20_000

    @cached_property
    def sample(self) -> Sample:
        """Every example response with several moderate predictors."""
        raw = np.repeat(self.support.examples(), REPETITIONS, axis=0)
        return self.sample_of(raw)

    def sample_of(self, raw: Array) -> Sample:
        """Return a sample with given responses and seeded moderate predictors."""
        family, y = self.bound(raw)
        return Sample(family, y, self._draw(family, raw.shape[0]))

    def bound(self, raw: Array) -> tuple[Family, Array]:
        """Return the bound family and the checked response."""
        y = self.family.check_response(raw.copy(), None).y
        return self.family.bind(y), y

    @cached_property
    def law(self) -> Law:
        """The family at a few moderate predictors."""
        return self.law_at(self._draw(self.bound(self._typical(POINTS))[0], POINTS))

    def law_at(self, eta: Array) -> Law:
        """Return the law at given predictors, shape (K, R)."""
        raw = self._typical(eta.shape[1])
        return Law(self.bound(raw)[0], self.support, raw, eta)

    def domain(self, family: Family, k: int) -> Range:
        """Return the open interval in which predictor k gives a density."""
        parameter = family.parameters[k]
        return self.domains.get(parameter.name, parameter.link.eta_domain)

    def _typical(self, count: int) -> Array:
        """Return `count` responses with the same trials, so that rows can be exchanged."""
        chosen = self.support.alike()
        return np.resize(chosen, (count, *chosen.shape[1:]))

    def _draw(self, family: Family, n: int) -> Array:
        rng = np.random.default_rng(SEED)
        ranges = [self._range(family, k) for k in range(len(family.parameters))]
        return np.array([rng.uniform(low, high, n) for low, high in ranges])

    def _range(self, family: Family, k: int) -> Range:
        parameter = family.parameters[k]
        if parameter.name in self.ranges:
            return self.ranges[parameter.name]
        low, high = self.domain(family, k)
        if np.isfinite(low):
            return low + 0.4, min(low + 2.5, high)
        if np.isfinite(high):
            return high - 2.5, high - 0.4
        if self.support.interval is not None and np.isfinite(self.support.interval[1]):
            # a density that is bounded at both ends can be integrated up to them
            return (-0.8, 0.8) if k == 0 else (1.5, 3.0)
        return (-1.0, 1.5) if k == 0 else (-0.7, 1.2)
