"""Sequences in which each time depends on the one before: autoregressive and Ornstein-Uhlenbeck.

With correlations `rho_t` between neighbours and `d_t^2 = 1 - rho_t^2`, the effects are
`v_t = rho_t v_(t-1) + d_t u_t`: the root is triangular in closed form, and its inverse has two
diagonals (Rue & Held 2005, "Gaussian Markov Random Fields", section 1.1).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from interlace_core.contract import Array, BoolArray, Chain, DataError, Kind, ResidualCorrelation
from interlace_covariances.ranges import SHARE_OF_SPAN, RangeScale
from interlace_covariances.residuals import AutoregressiveResiduals
from interlace_covariances.scaled import ScaledCorrelation

QUARTER = 0.5 * np.pi

START_CORRELATION = 0.5

LEAST_SHOCK = 1e-5
"""Standard deviation added to each `d_t`: at a correlation of 1 the precision stays finite, and
correlations are off by 1e-10."""


class MarkovSequence(ScaledCorrelation):
    """A standard deviation and a chain of neighbours' correlations.

    Parameters
    ----------
    size : int
        Number of times.
    times : ndarray, shape (size,), optional
        Ascending; 0, 1, ... by default.
    """

    takes_levels_only = True
    crosses_bounds = True
    equal_variances = True
    largest = None

    def __init__(self, size: int, times: Array | None = None) -> None:
        super().__init__(size)
        self.times = np.arange(size, dtype=np.float64) if times is None else np.asarray(times)
        self.gaps = np.diff(self.times)

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Array], **options: Any
    ) -> Self:
        """Return the structure of the times that the columns stand for."""
        if len(frame) > 1:
            raise DataError(
                f"{cls.name}: expected one column of times, got {', '.join(frame)}. For places use "
                "exp, gau or mat."
            )
        times = next(iter(frame.values()), None)
        cls.check_times(next(iter(frame), ""), times)
        return cls(len(names), times, **options)

    @classmethod
    def check_times(cls, variable: str, times: Array | None) -> None:
        """Raise a DataError if the structure is not defined at these times; None for a factor."""

    @abstractmethod
    def steps(self, angles: Array) -> tuple[Array, Array]:
        """Return the neighbours' correlations and `d_t^2` without rounding, (c - 1,) each."""

    @abstractmethod
    def step_slopes(self, angles: Array) -> tuple[Array, Array]:
        """Return their derivatives in the angle."""

    @property
    def n_angles(self) -> int:
        """One if there is anything to correlate."""
        return min(self.size - 1, 1)

    def chain(self, theta: Array) -> Chain | None:
        """Return the sequence, where there is one variance."""
        if not self.equal_variances:
            return None
        return replace(self._unit(theta[1:]), scale=float(theta[0]))

    def chain_pullback(self, theta: Array, slopes: Chain) -> Array:
        """Return the derivatives in the standard deviation and the angle."""
        return np.concatenate([[slopes.scale], self._angle_pullback(theta[1:], slopes)])

    def root(self, angles: Array) -> Array:
        """Return the lower-triangular root, row by row."""
        return self._unit(angles).root()

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return the derivative in the angle, from the last row to the first."""
        return self._angle_pullback(angles, self._unit(angles).pullback(dC))

    def _unit(self, angles: Array) -> Chain:
        """Return the sequence of variance 1."""
        if not self.n_angles:
            return Chain(1.0, np.zeros(0), np.ones(1))
        rho, square = self.steps(angles)
        return Chain(1.0, rho, np.sqrt(np.append(1.0, square + LEAST_SHOCK**2)))

    def _angle_pullback(self, angles: Array, slopes: Chain) -> Array:
        if not self.n_angles:
            return np.zeros(0)
        in_rho, in_square = self.step_slopes(angles)
        shocks = self._unit(angles).shocks[1:]
        own = slopes.carry @ in_rho + slopes.shocks[1:] @ (0.5 * in_square / shocks)
        return np.array([own])


class Autoregressive(MarkovSequence):
    """One variance, and correlations `rho^|t - s|` between times: whole numbers, gaps counted.

    rho is the sine of the angle. The levels of a factor follow each other, in their order.
    """

    name = "ar1"

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation] | None:
        """Return the same correlations, of residuals at any whole times."""
        return AutoregressiveResiduals

    @classmethod
    def check_times(cls, variable: str, times: Array | None) -> None:
        """Refuse times that are no whole numbers."""
        if times is None:
            return
        gaps = np.diff(times)
        wrong = np.abs(gaps - np.round(gaps)) > 1e-9 * np.maximum(np.abs(times[1:]), 1.0)
        if np.any(wrong):
            raise DataError(
                f"{cls.name}: expected times {variable!r} that are whole numbers, got the gap "
                f"{gaps[np.argmax(wrong)]:g}. Use ou, which is defined between them, or a factor, "
                "whose levels follow each other."
            )

    @property
    def angle_range(self) -> tuple[float, float]:
        """A quarter to both sides; of even gaps the sign of rho cannot be told."""
        even = self.gaps.size and np.all(np.mod(np.round(self.gaps), 2.0) == 0.0)
        return (0.0 if even else -QUARTER), QUARTER

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return a standard deviation next to 0, and rho where neighbours tell it from 1 no more.

        Of times that are far apart in their units rho itself is next to 1.
        """
        found = super().at_bound(theta, sizes, tol_sd_eta)
        if self.equal_variances and self.n_angles:
            theta = self.canonical(theta)
            reach = abs(float(theta[0])) * float(np.max(sizes))
            shock = np.sqrt(np.max(self.steps(theta[1:])[1]))
            low = self.angle_range[0]
            at_zero = low == 0.0 and float(theta[1]) - low < tol_sd_eta / max(reach, tol_sd_eta)
            found[1] = at_zero or shock * reach < tol_sd_eta
        return found

    @property
    def start_angles(self) -> Array:
        """The angle that gives neighbours the start's correlation."""
        if not self.n_angles:
            return np.zeros(0)
        return np.array([np.arcsin(START_CORRELATION ** (1.0 / np.median(np.round(self.gaps))))])

    def steps(self, angles: Array) -> tuple[Array, Array]:
        """Return powers of the sine."""
        gaps, sin = np.round(self.gaps), np.sin(angles[0])
        square = max(float(sin * sin), 1e-300)
        return sin**gaps, -np.expm1(gaps * np.log(square))

    def step_slopes(self, angles: Array) -> tuple[Array, Array]:
        """Return the slopes of powers of the sine."""
        gaps, sin, cos = np.round(self.gaps), np.sin(angles[0]), np.cos(angles[0])
        return gaps * sin ** (gaps - 1.0) * cos, -2.0 * gaps * sin ** (2.0 * gaps - 1.0) * cos

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the average correlation of neighbours."""
        gap = np.round(self.gaps)
        rho = np.clip(np.diagonal(correlation, 1), -1.0, 1.0)
        sign = np.where(np.mod(gap, 2.0) == 0.0, np.abs(rho), rho)
        return np.array([np.arcsin(np.mean(np.sign(sign) * np.abs(rho) ** (1.0 / gap)))])

    def angles_of(self, values: Array) -> Array:
        """Return the angle of rho."""
        if np.any(np.abs(values) > 1.0):
            raise ValueError(f"a rho from -1 to 1, got {values[0]:g}")
        return np.arcsin(values)

    def values_of(self, angles: Array) -> Array:
        """Return rho, the correlation at a distance of 1."""
        sin = np.sin(angles)
        return np.abs(sin) if self.angle_range[0] == 0.0 else sin

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the standard deviations, then rho."""
        scales = ("sd",) if self.equal_variances else tuple(f"sd({each})" for each in columns)
        return (*scales, "rho")[: self.n_theta]


class HeterogeneousAutoregressive(Autoregressive):
    """Autoregressive correlations, and a standard deviation for each time."""

    name = "hetar1"
    equal_variances = False
    crosses_bounds = False

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation] | None:
        """Return None: residuals have one variance, or a formula for it."""
        return None


class OrnsteinUhlenbeck(MarkovSequence):
    """One variance, and correlations `exp(-|t - s| / range)` between times, whole or not."""

    name = "ou"
    angle_range = (-QUARTER, QUARTER)

    def __init__(self, size: int, times: Array | None = None) -> None:
        super().__init__(size, times)
        self.scale = RangeScale.of(self.gaps, self.times[-1] - self.times[0])

    @classmethod
    def check_times(cls, variable: str, times: Array | None) -> None:
        """Refuse a factor."""
        if times is None:
            raise DataError(
                "ou: expected numbers, the times, got the levels of a factor. Give the column as "
                "numbers; for levels that follow each other use ar1."
            )

    @property
    def start_angles(self) -> Array:
        """The angle that gives neighbours the start's correlation, or a range of some of the span.

        Times of many groups together lie closer than those of any one.
        """
        if not self.n_angles:
            return np.zeros(0)
        near = np.median(self.gaps) / -np.log(START_CORRELATION)
        return self.scale.angle(np.array([max(near, np.sum(self.gaps) * SHARE_OF_SPAN)]))

    def steps(self, angles: Array) -> tuple[Array, Array]:
        """Return exponentials of the gaps."""
        relative = self.gaps / self.scale.range(angles)[0]
        return np.exp(-relative), -np.expm1(-2.0 * relative)

    def step_slopes(self, angles: Array) -> tuple[Array, Array]:
        """Return the slopes of exponentials of the gaps."""
        relative = self.gaps / self.scale.range(angles)[0]
        slope = self.scale.log_slope(angles)[0]
        return (
            slope * relative * np.exp(-relative),
            -slope * 2.0 * relative * np.exp(-2.0 * relative),
        )

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the median range of neighbours."""
        rho = np.clip(np.diagonal(correlation, 1), 1e-12, 1.0 - 1e-12)
        return self.scale.angle(np.array([np.median(self.gaps / -np.log(rho))]))

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
        """Return a standard deviation and a range."""
        kinds: tuple[Kind, ...] = ("sd", "positive")
        return kinds[: self.n_theta]

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return sd and range."""
        return ("sd", "range")[: self.n_theta]
