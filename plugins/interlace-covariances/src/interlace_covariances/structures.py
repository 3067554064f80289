"""The structures: equal variances, compound symmetry, first-order autoregressive, Toeplitz."""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array, ResidualCorrelation
from interlace_covariances.residuals import AutoregressiveResiduals, ExchangeableResiduals
from interlace_covariances.rotations import (
    correlations_pullback,
    partial_autocorrelations,
    stationary_root,
)
from interlace_covariances.scaled import ScaledCorrelation

QUARTER = 0.5 * np.pi

START_CORRELATION = 0.5


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

    def _projections(self) -> tuple[Array, Array]:
        c = self.size
        J = np.full((c, c), 1.0 / c)
        return np.sqrt(c / (c - 1)) * (np.eye(c) - J), np.sqrt(c) * J


class Autoregressive(ScaledCorrelation):
    """One variance, and correlations `rho^|i - j|` between columns: equally spaced times.

    rho is the sine of the angle. The columns are taken in their order, which for a factor is
    that of its levels; write `ar1(0 + time | g)` with `time` a factor of every time point.
    """

    name = "ar1"
    takes_levels_only = True
    crosses_bounds = True
    equal_variances = True
    angle_range = (-QUARTER, QUARTER)

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation]:
        """Return the same correlations, of residuals at any whole times."""
        return AutoregressiveResiduals

    @property
    def n_angles(self) -> int:
        """One if there is anything to correlate."""
        return min(self.size - 1, 1)

    @property
    def start_angles(self) -> Array:
        """The angle of the start's correlation."""
        return np.full(self.n_angles, np.arcsin(START_CORRELATION))

    def root(self, angles: Array) -> Array:
        """Return the Cholesky factor: `rho^i` in the first column, then `rho^(i-j) cos(a)`."""
        if not self.n_angles:
            return np.eye(1)
        powers = np.sin(angles[0]) ** np.maximum(self._lags(), 0)
        powers[:, 1:] *= np.cos(angles[0])
        return np.asarray(np.tril(powers))

    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return the derivative in the angle."""
        if not self.n_angles:
            return np.zeros(0)
        sin, cos = np.sin(angles[0]), np.cos(angles[0])
        lags = np.maximum(self._lags(), 0)
        slope = lags * sin ** np.maximum(lags - 1, 0) * cos
        slope[:, 1:] = slope[:, 1:] * cos - sin ** lags[:, 1:] * sin
        return np.array([np.sum(dC * np.tril(slope))])

    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angle of the average correlation of neighbours."""
        rho = float(np.mean(np.diagonal(correlation, 1)))
        return np.asarray(np.arcsin(np.clip([rho], -1.0, 1.0)))

    def _lags(self) -> Array:
        places = np.arange(self.size, dtype=np.float64)
        return places[:, None] - places[None, :]


class Toeplitz(ScaledCorrelation):
    """A standard deviation for each column, and a correlation for each distance of columns.

    The angles are those of the partial autocorrelations, so that every point is a correlation
    matrix (see `rotations`).
    """

    name = "toep"
    takes_levels_only = True
    angle_range = (-QUARTER, QUARTER)

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
