"""A normal family whose rows are correlated within groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.records import Array, Derivatives, Response


@dataclass(frozen=True)
class CorrelatedRows(Family):
    """Another family's law of each row, with the parameters of a correlation between rows.

    Which rows correlate is known to the problem; a row by itself has the law of `base`.

    Parameters
    ----------
    base : Family
        Linear and normal.
    structure : ResidualCorrelation
    largest : int
        Number of rows of the largest group.
    """

    base: Family
    structure: ResidualCorrelation
    largest: int

    name: ClassVar[str] = "correlated_rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.base.name)

    @property
    def linear_normal(self) -> bool:
        """Whether the base is."""
        return self.base.linear_normal

    @property
    def observation_level_confounded(self) -> bool:
        """Whether the base is."""
        return self.base.observation_level_confounded

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The base's, then the correlation's."""
        return (*self.base.parameters, *self.structure.parameters(self.largest))

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept what the base accepts."""
        return self.base.check_response(y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy whose base knows the response."""
        return replace(self, base=self.base.bind(y))

    def bind_part(self, y: Array) -> Self:
        """Return a copy around the base's copy for some rows."""
        return replace(self, base=self.base.bind_part(y))

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density of each row by itself."""
        return self.base.log_density(y, self._own(eta))

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return the base's; a row by itself does not depend on correlations."""
        own = len(self.base.parameters)
        return self.base.derivatives(y, eta[:own], order, tuple(k for k in wrt if k < own))

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the base's mean."""
        return self.base.mean(self._own(eta))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the base's variance."""
        return self.base.variance(self._own(eta))

    def scale(self, eta: Sequence[float]) -> float:
        """Return the base's scale."""
        return self.base.scale(eta)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the base's distribution function."""
        return self.base.cdf(y, self._own(eta))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of rows by themselves, which are not correlated."""
        return self.base.simulate(self._own(eta), rng)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the base's start and the structure's."""
        own = self.base.start(y, weights)
        return np.concatenate([own, self.structure.start(self.largest)])

    def _own(self, eta: Sequence[Any]) -> Sequence[Any]:
        return eta[: len(self.base.parameters)]
