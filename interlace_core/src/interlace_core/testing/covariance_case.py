"""A covariance structure under test, in several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.records import Array, IntArray


@dataclass(frozen=True)
class CovarianceCase:
    """What the checks of a covariance structure share.

    Attributes
    ----------
    structure : type
    sizes : sequence of int
        Numbers of random-effects columns to try.
    coordinates : int
        Numeric covariates that the columns are points of; 0 for a factor, or for covariates.
    """

    structure: type[Covariance]
    sizes: Sequence[int]
    coordinates: int = 0

    def each(self) -> Iterator[tuple[Covariance, str]]:
        """Yield an instance of each size, with the size in words."""
        for size in self.sizes:
            where = f"with {size} column(s)"
            if self.coordinates:
                where += f", points of {self.coordinates} coordinate(s)"
            yield self.made(size), where

    def made(self, size: int, order: IntArray | None = None) -> Covariance:
        """Return the structure as a model makes it, its points in an order."""
        names, frame = [f"x{k}" for k in range(size)], points(size, self.coordinates)
        if order is not None:
            frame = {name: values[order] for name, values in frame.items()}
        levels = [str(k) for k in range(size)] if self.structure.takes_levels_only else []
        options = {}
        if self.structure.takes_matrix:
            root = np.random.default_rng(size).normal(size=(size, size + 1))
            root /= np.linalg.norm(root, axis=1)[:, None]
            options["matrix"] = root @ root.T
        return self.structure.from_columns(names, levels, frame, **options)


def points(size: int, coordinates: int) -> dict[str, Array]:
    """Return distinct points: whole numbers with gaps for one coordinate, a scatter for more."""
    if coordinates == 1:
        return {"time": np.cumsum(1.0 + np.arange(size) % 3)}
    scatter = np.random.default_rng(5).normal(size=(size, coordinates))
    return {f"coordinate{k}": scatter[:, k] for k in range(coordinates)}


def thetas_of(covariance: Covariance) -> list[Array]:
    """Return the start and a few random thetas within the bounds."""
    rng = np.random.default_rng(0)
    start = np.asarray(covariance.start(), np.float64)
    lower, upper = covariance.bounds()
    moved = [start + rng.normal(scale=0.5, size=start.size) for _ in range(4)]
    # not on a bound, where a difference would step outside
    margin = 0.01 * np.minimum(upper - lower, 1.0)
    return [start.copy(), *(np.clip(theta, lower + margin, upper - margin) for theta in moved)]
