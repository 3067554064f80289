"""Structures of levels in an order or in none: equal variances, compound symmetry, Toeplitz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from interlace_core.contract import Array, BoolArray, DataError, ResidualCorrelation
from interlace_covariances.residuals import ExchangeableResiduals
from interlace_covariances.rotations import (
    correlations_pullback,
    partial_autocorrelations,
    stationary_root,
)
from interlace_covariances.scaled import ScaledCorrelation

QUARTER = 0.5 * np.pi

START_CORRELATION = 0.5

NEXT_TO_SINGULAR, MOST_RESTARTS, ROUNDING = 2e-3, 4, 1e-12
"""Share of noise in the variance below which a sequence without any is tried, how many of these
are, and what is no noise."""


class EqualVariances(ScaledCorrelation):
    """Independent effects of one variance: `s^2 I`."""

    name = "homdiag"
    crosses_bounds = True
    equal_variances = True
    n_angles = 0
    angle_range = (-QUARTER, QUARTER)
    start_angles = np.zeros(0)

    def root(self, angles: Array) -> Array:
        """Return the identity."""
        return np.eye(self.size)

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return nothing."""
        return np.zeros(0)

    def nearest_angles(self, correlation: Array) -> Array:
        """Return nothing."""
        return np.zeros(0)

    def angles_of(self, values: Array) -> Array:
        """Return nothing."""
        return values


class CompoundSymmetry(ScaledCorrelation):
    """A standard deviation for each column, and one correlation between all of them.

    The correlation is at least -1 / (c - 1). With J the matrix of 1 / c, the correlation matrix
    is `c / (c - 1) cos^2(a) (I - J) + c sin^2(a) J`: an angle of 0 is the least correlation, a
    right angle is a correlation of 1.
    """

    name = "cs"
    takes_levels_only = True

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation]:
        """Return one correlation, of residuals of one variance."""
        return ExchangeableResiduals

    @property
    def n_angles(self) -> int:
        """One if there is anything to correlate."""
        return min(self.size - 1, 1)

    angle_range = (0.0, QUARTER)

    @property
    def start_angles(self) -> Array:
        """The angle of the start's correlation."""
        R = np.full((self.size, self.size), START_CORRELATION)
        return self.nearest_angles(R) if self.n_angles else np.zeros(0)

    def root(self, angles: Array) -> Array:
        """Return the symmetric root."""
        if not self.n_angles:
            return np.eye(1)
        within, between = self._projections()
        return float(np.cos(angles[0])) * within + float(np.sin(angles[0])) * between

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return the derivative in the angle."""
        if not self.n_angles:
            return np.zeros(0)
        within, between = self._projections()
        slope = float(np.cos(angles[0])) * between - float(np.sin(angles[0])) * within
        return np.array([np.sum(dC * slope)])

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the average correlation."""
        c = self.size
        average = np.mean(correlation[~np.eye(c, dtype=bool)])
        square = np.clip((1.0 + (c - 1) * average) / c, 0.0, 1.0)
        return np.array([np.arcsin(np.sqrt(square))])

    def value_limits(self) -> tuple[Any, Any]:
        """Return the least correlation that all pairs can have, and 1."""
        return -1.0 / (self.size - 1), 1.0

    def angles_of(self, values: Array) -> Array:
        """Return the angle of a correlation."""
        if not values.size:
            return values
        least, most = self.value_limits()
        if not least <= values[0] <= most:
            raise ValueError(f"a correlation from {least:g} to {most:g}, got {values[0]:g}")
        return self.nearest_angles(np.full((self.size, self.size), values[0]))

    def _projections(self) -> tuple[Array, Array]:
        c = self.size
        J = np.full((c, c), 1.0 / c)
        return np.sqrt(c / (c - 1)) * (np.eye(c) - J), np.sqrt(c) * J


class HomogeneousSymmetry(CompoundSymmetry):
    """Compound symmetry with one standard deviation."""

    name = "homcs"
    equal_variances = True
    crosses_bounds = True


class HeterogeneousSymmetry(CompoundSymmetry):
    """Compound symmetry with a standard deviation for each column: `cs` by its longer name."""

    name = "hetcs"


class Toeplitz(ScaledCorrelation):
    """A standard deviation for each column, and a correlation for each distance of columns.

    The angles are those of the partial autocorrelations, so that every point is a correlation
    matrix (see `rotations`).
    """

    name = "toep"
    takes_levels_only = True
    angle_range = (-QUARTER, QUARTER)

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Array], **options: Any
    ) -> Self:
        """Return the structure of levels in order, or of times that are equally spaced."""
        if len(frame) > 1:
            raise DataError(
                f"{cls.name}: expected a factor or one column of times, got {', '.join(frame)}. "
                "For places use exp, gau or mat."
            )
        for variable, times in frame.items():
            gaps = np.diff(times)
            if gaps.size and np.ptp(gaps) > 1e-9 * np.max(np.abs(times)):
                raise DataError(
                    f"{cls.name}: expected times {variable!r} that are equally spaced, got gaps "
                    f"from {gaps.min():g} to {gaps.max():g}. Use ar1 or ou, which count them, or "
                    "make it a factor, whose levels follow each other."
                )
        return cls(len(names), **options)

    @property
    def n_angles(self) -> int:
        """One for each distance."""
        return self.size - 1

    @property
    def start_angles(self) -> Array:
        """Angles of an autoregressive sequence."""
        return np.asarray(np.arcsin(START_CORRELATION) * np.eye(1, self.n_angles)[0])

    def root(self, angles: Array) -> Array:
        """Return the lower-triangular root."""
        return stationary_root(angles)

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return the derivatives in the angles."""
        return correlations_pullback(angles, dC)

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angles of the average correlation at each distance."""
        by_distance = [np.mean(np.diagonal(correlation, k)) for k in range(1, self.size)]
        return np.asarray(np.arcsin(partial_autocorrelations(np.array(by_distance))))

    def without_effect(self, edge: BoolArray) -> BoolArray:
        """Return those at an end and all after: what came before then determines what follows."""
        return np.logical_or.accumulate(edge)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return nearby sequences without noise: what a search crawls to that loses its last.

        A sequence that its first m - 1 levels determine has a partial autocorrelation of 1 at that
        distance; next to it the angles turn quickly about one another, and a search that comes
        from elsewhere follows their spiral. With the least eigenvalue of the first m levels'
        correlations taken off the diagonal, which leaves a singular Toeplitz matrix, it begins on
        the other side (Pisarenko 1973, "The retrieval of harmonics from a covariance function").
        """
        scales, angles = theta[: self.n_scales], theta[self.n_scales :]
        C = self.root(angles)
        found: list[Array] = []
        for m in range(self.size, 1, -1):
            least = float(np.linalg.eigvalsh(C[:m] @ C[:m].T)[0])
            if least > NEXT_TO_SINGULAR or len(found) == MOST_RESTARTS:
                break
            if least < ROUNDING:
                continue  # the point itself is one
            r = C[1:m] @ C[0] / (1.0 - least)
            moved = np.zeros(self.n_angles)
            moved[: m - 1] = np.arcsin(partial_autocorrelations(r))
            moved[m - 2] = np.copysign(QUARTER, moved[m - 2])
            found.append(np.concatenate([np.sqrt(1.0 - least) * scales, moved]))
        return tuple(found)

    def angles_of(self, values: Array) -> Array:
        """Return the angles of the correlations at distances 1, 2, ..."""
        partial = partial_autocorrelations(values)
        angles = np.arcsin(partial)
        C = self.root(angles)
        if not np.allclose(C[1:] @ C[0], values, atol=1e-9):
            raise ValueError("correlations of a stationary sequence")
        return np.asarray(angles)


class HomogeneousToeplitz(Toeplitz):
    """Toeplitz with one standard deviation: the covariance of a stationary sequence."""

    name = "homtoep"
    equal_variances = True
    crosses_bounds = True
