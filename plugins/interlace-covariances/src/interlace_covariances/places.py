"""Correlations that fall with the distance of places: exponential, Gaussian, Matern."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy.special import gammaln, kve

from interlace_core.contract import (
    Array,
    CorrelationRoot,
    DataError,
    Kind,
    correlation_root,
)
from interlace_covariances.along_distances import AlongDistances
from interlace_covariances.ranges import SHARE_OF_SPAN, RangeScale
from interlace_covariances.scaled import ScaledCorrelation

QUARTER = 0.5 * np.pi

START_CORRELATION = 0.5


class PlaceCorrelation(ScaledCorrelation):
    """A standard deviation, a range, and perhaps more.

    Parameters
    ----------
    size : int
        Number of places.
    points : ndarray, shape (size, k), optional
        Their coordinates, all different; 0, 1, ... on a line by default.
    """

    takes_levels_only = True
    crosses_bounds = True
    equal_variances = True
    angle_range = (-QUARTER, QUARTER)

    def __init__(self, size: int, points: Array | None = None) -> None:
        super().__init__(size)
        given = np.arange(size, dtype=np.float64)[:, None] if points is None else points
        self.points = np.asarray(given, dtype=np.float64)
        apart = self.points[:, None, :] - self.points[None, :, :]
        # by hypotenuses: squares of coordinates can be more than a number holds
        self.distances = np.hypot.reduce(apart, axis=-1)
        self._off = ~np.eye(size, dtype=bool)
        self._last: tuple[Array, CorrelationRoot] | None = None
        own = self.distances[self._off]
        self.scale = RangeScale.of(own, float(np.max(own, initial=0.0)))

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Array], **options: Any
    ) -> Self:
        """Return the structure of the places that the columns stand for."""
        if not frame:
            raise DataError(
                f"{cls.name}: expected numbers, the coordinates, got the levels of a factor. Write "
                f"{cls.name}(0 + x + y | group) with the columns of the coordinates."
            )
        return cls(len(names), np.column_stack(list(frame.values())), **options)

    @abstractmethod
    def kernel(self, angles: Array) -> Array:
        """Return the correlations, shape (c, c)."""

    @abstractmethod
    def kernel_slopes(self, angles: Array) -> list[Array]:
        """Return their derivatives in each angle."""

    @property
    def n_angles(self) -> int:
        """One if there is anything to correlate."""
        return min(self.size - 1, 1)

    @property
    def start_angles(self) -> Array:
        """The angle that gives neighbours, the nearest of most places, a moderate correlation."""
        if not self.n_angles:
            return np.zeros(0)
        nearest = np.min(np.where(self._off, self.distances, np.inf), axis=1)
        # places of many groups together lie closer than those of any one
        span = float(np.max(self.distances)) * SHARE_OF_SPAN
        return self.scale.angle(np.array([max(1.5 * np.median(nearest), span)]))

    def root(self, angles: Array) -> Array:
        """Return the Cholesky factor."""
        if not self.n_angles:
            return np.eye(self.size)
        return self._root_at(angles).C

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return the derivatives through the Cholesky factor."""
        if not self.n_angles:
            return np.zeros(0)
        dR = self._root_at(angles).pullback(dC)
        return np.array([np.sum(dR * slope) for slope in self.kernel_slopes(angles)])

    def _root_at(self, angles: Array) -> CorrelationRoot:
        """Return the Cholesky factor; the last one again, where a slope follows a template."""
        if self._last is None or not np.array_equal(self._last[0], angles):
            self._last = angles.copy(), correlation_root(self.kernel(angles))
        return self._last[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not the last factor, nor what is made of the distances."""
        kept = {name: each for name, each in vars(self).items() if name != "_pairs"}
        return {**kept, "_last": None}

    def angles_of(self, values: Array) -> Array:
        """Return the angle of a range."""
        return self.scale.checked_angle(values)

    def value_limits(self) -> tuple[Any, Any]:
        """Return the ends of the range."""
        return self.scale.ends()

    def values_of(self, angles: Array) -> Array:
        """Return the range."""
        return self.scale.range(angles)

    def kinds(self) -> tuple[Kind, ...]:
        """Return a standard deviation and positive numbers."""
        kinds: tuple[Kind, ...] = ("sd", "positive", "positive")
        return kinds[: self.n_theta]

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return sd and range."""
        return ("sd", "range")[: self.n_theta]

    def _moderate(self, correlation: Array) -> tuple[float, float]:
        """Return distance and correlation of the pair nearest to a correlation of a half."""
        r = np.where(self._off, correlation, 2.0)
        place = np.unravel_index(int(np.argmin(np.abs(r - 0.5))), r.shape)
        return float(self.distances[place]), float(np.clip(r[place], 1e-12, 1.0 - 1e-12))


class Exponential(PlaceCorrelation):
    """One variance, and correlations `exp(-distance / range)`."""

    name = "exp"

    def kernel(self, angles: Array) -> Array:
        """Return exponentials of the distances."""
        return np.asarray(np.exp(-self.distances / self.scale.range(angles)[0]))

    def kernel_slopes(self, angles: Array) -> list[Array]:
        """Return the slope in the angle."""
        relative = self.distances / self.scale.range(angles)[0]
        return [self.scale.log_slope(angles)[0] * relative * np.exp(-relative)]

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the range that a moderate correlation tells."""
        distance, r = self._moderate(correlation)
        return self.scale.angle(np.array([distance / -np.log(r)]))


class Gaussian(PlaceCorrelation):
    """One variance, and correlations `exp(-(distance / range)^2)`."""

    name = "gau"

    def kernel(self, angles: Array) -> Array:
        """Return exponentials of the squared distances."""
        return np.asarray(np.exp(-np.square(self.distances / self.scale.range(angles)[0])))

    def kernel_slopes(self, angles: Array) -> list[Array]:
        """Return the slope in the angle."""
        square = np.square(self.distances / self.scale.range(angles)[0])
        return [2.0 * self.scale.log_slope(angles)[0] * square * np.exp(-square)]

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the range that a moderate correlation tells."""
        distance, r = self._moderate(correlation)
        return self.scale.angle(np.array([distance / np.sqrt(-np.log(r))]))


SMOOTHNESS = RangeScale(float(np.log(1.5)), float(np.log(40.0)))
"""From 0.0375 to 60, where the correlation is Gaussian in all but name."""


class Matern(PlaceCorrelation):
    """One variance, and Matern's correlations with a range and a smoothness to estimate.

    `2^(1 - nu) / Gamma(nu) (d / range)^nu K_nu(d / range)`: exponential at a smoothness nu of 1/2.
    """

    name = "mat"

    @property
    def n_angles(self) -> int:
        """Two if there is anything to correlate."""
        return 2 * min(self.size - 1, 1)

    @property
    def start_angles(self) -> Array:
        """The start of the range, and a smoothness of 1."""
        if not self.n_angles:
            return np.zeros(0)
        return np.append(super().start_angles, SMOOTHNESS.angle(np.array([1.0])))

    @cached_property
    def _pairs(self) -> AlongDistances | None:
        return AlongDistances.of(self.distances)

    def _at(self, angles: Array) -> tuple[Array, float]:
        """Return the relative distances that functions are wanted at, and the smoothness."""
        d = self.distances if self._pairs is None else self._pairs.nodes
        return d / self.scale.range(angles[:1])[0], float(SMOOTHNESS.range(angles[1:])[0])

    def _matrix(self, values: Array, diagonal: float) -> Array:
        return values if self._pairs is None else self._pairs.matrix(values, diagonal)

    def kernel(self, angles: Array) -> Array:
        """Return Matern's correlations."""
        return self._matrix(_matern(*self._at(angles)), 1.0)

    def kernel_slopes(self, angles: Array) -> list[Array]:
        """Return the slopes in the range's and, by differences, in the smoothness's angle."""
        x, nu = self._at(angles)
        step = 1e-3
        in_log_nu = sum(
            weight / step * _matern(x, nu * np.exp(factor * step))
            for factor, weight in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))
        )
        return [
            self._matrix(self.scale.log_slope(angles[:1])[0] * _matern_log_slope(x, nu), 0.0),
            self._matrix(np.asarray(SMOOTHNESS.log_slope(angles[1:])[0] * in_log_nu), 0.0),
        ]

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angles of least squares."""
        from scipy.optimize import least_squares

        wanted = correlation[self._off]

        def left(angles: Array) -> Array:
            return np.asarray(self.kernel(angles)[self._off] - wanted)

        found = least_squares(left, self.start_angles, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        low, high = self.angle_range
        return np.clip(found.x, low, high)

    def angles_of(self, values: Array) -> Array:
        """Return the angles of a range and a smoothness."""
        if not values.size:
            return values
        return np.concatenate(
            [
                self.scale.checked_angle(values[:1]),
                SMOOTHNESS.checked_angle(values[1:], "smoothness"),
            ]
        )

    def value_limits(self) -> tuple[Any, Any]:
        """Return the ends of range and smoothness."""
        least, most = zip(self.scale.ends(), SMOOTHNESS.ends(), strict=True)
        return least, most

    def values_of(self, angles: Array) -> Array:
        """Return range and smoothness."""
        return np.concatenate([self.scale.range(angles[:1]), SMOOTHNESS.range(angles[1:])])[
            : self.n_angles
        ]

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return sd, range and smoothness."""
        return ("sd", "range", "smoothness")[: self.n_theta]


def _matern(x: Array, nu: float) -> Array:
    """Return Matern's correlation at relative distances x."""
    with np.errstate(all="ignore"):
        log_value = (1.0 - nu) * np.log(2.0) - gammaln(nu) + nu * np.log(x) - x
        value = np.exp(log_value + np.log(kve(nu, x)))
    # next to 0 the Bessel function overflows; of the series of the correlation two terms are left
    near = 1.0 - (np.square(np.minimum(x, 1.0)) / (4.0 * (nu - 1.0)) if nu > 2.0 else 0.0)
    return np.where(
        x == 0.0, 1.0, np.where(np.isfinite(value), value, np.where(x < 1.0, near, 0.0))
    )


def _matern_log_slope(x: Array, nu: float) -> Array:
    """Return d correlation / d log(range): `2^(1-nu) / Gamma(nu) x^(nu+1) K_(nu-1)(x)`."""
    with np.errstate(all="ignore"):
        log_value = (1.0 - nu) * np.log(2.0) - gammaln(nu) + (nu + 1.0) * np.log(x) - x
        value = np.exp(log_value + np.log(kve(nu - 1.0, x)))
    return np.where((x == 0.0) | ~np.isfinite(value), 0.0, value)
