"""Random effects of places whose correlation falls with their distance, by Cauchy's function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from interlace_core.contract import Array, Covariance, DataError, Kind, correlation_root


class CauchyCovariance(Covariance):
    """`s^2 / (1 + (distance / range)^2)`; theta is s and the logarithm of the range.

    Parameters
    ----------
    size : int
        Number of places.
    points : ndarray, shape (size, k), optional
        Their coordinates; 0, 1, ... on a line by default.
    """

    name = "cauchy"
    takes_levels_only = True

    def __init__(self, size: int, points: Array | None = None) -> None:
        super().__init__(size)
        places = np.arange(float(size))[:, None] if points is None else points
        apart = places[:, None, :] - places[None, :, :]
        self.distances = np.sqrt(np.sum(np.square(apart), axis=-1))
        between = self.distances[self.distances > 0.0]
        self.usual = float(np.median(between)) if between.size else 1.0

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Array], **options: Any
    ) -> Self:
        """Return the structure of the places that a term's columns stand for."""
        if not frame:
            raise DataError(
                f"{cls.name}: expected numbers, the coordinates, got the levels of a factor. Write "
                f"{cls.name}(0 + x + y | group) with the columns of the coordinates."
            )
        return cls(len(names), np.column_stack(list(frame.values())), **options)

    @property
    def n_theta(self) -> int:
        """Two."""
        return 2

    def template(self, theta: Array) -> Array:
        """Return T, s times a root of the correlations."""
        return np.asarray(theta[0] * correlation_root(self._correlations(theta)).C)

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return dF/dtheta from dF/dT."""
        R = self._correlations(theta)
        root = correlation_root(R)
        # d R / d log(range) = 2 (d / range)^2 R^2
        slope = 2.0 * np.square(self._relative(theta) * R)
        return np.array([np.sum(dT * root.C), np.sum(root.pullback(theta[0] * dT) * slope)])

    def start(self) -> Array:
        """Return a variance of 1 with a moderate range."""
        return np.array([1.0, np.log(0.3 * self.usual)])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 for the standard deviation, and ends of the range far from any data."""
        middle = np.log(self.usual)
        return np.array([0.0, middle - 10.0]), np.array([np.inf, middle + 10.0])

    def nearest(self, covariance: Array) -> Array:
        """Return the theta of the average variance and the average correlation of pairs."""
        sd = np.sqrt(np.mean(np.maximum(np.diagonal(covariance), 0.0)))
        theta = np.array([sd, self.start()[1]])
        off = self.distances > 0.0
        if sd > 0.0 and np.any(off):
            r = np.clip(covariance[off] / sd**2, 1e-6, 1.0 - 1e-6)
            theta[1] = np.median(np.log(self.distances[off]) - 0.5 * np.log(1.0 / r - 1.0))
        lower, upper = self.bounds()
        return np.asarray(np.clip(theta, lower, upper))

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return what users read."""
        return ("sd", "range")

    def natural(self, theta: Array) -> Array:
        """Return the standard deviation and the range."""
        return np.array([theta[0], np.exp(theta[1])])

    def kinds(self) -> tuple[Kind, ...]:
        """Return what these numbers are."""
        return ("sd", "positive")

    def from_natural(self, values: Array) -> Array:
        """Return theta."""
        return np.array([values[0], np.log(values[1])])

    def _relative(self, theta: Array) -> Array:
        return np.asarray(self.distances * np.exp(-theta[1]))

    def _correlations(self, theta: Array) -> Array:
        return np.asarray(1.0 / (1.0 + np.square(self._relative(theta))))
