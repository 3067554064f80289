"""Standard deviations times a patterned correlation matrix, in parameters without edges.

`T = diag(s) C(a)` with `C C'` the correlation matrix. The correlations are functions of angles:
at the end of its range (a correlation of 1, say) a correlation turns back as its angle goes on, so
that the objective is smooth there and a singular correlation matrix is an ordinary point.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from interlace_core.contract import Array, BoolArray, Covariance, Kind


class ScaledCorrelation(Covariance):
    """theta = (standard deviations, angles); one standard deviation where all are equal."""

    equal_variances: ClassVar[bool] = False

    @property
    @abstractmethod
    def n_angles(self) -> int:
        """Number of angles."""

    @property
    @abstractmethod
    def angle_range(self) -> tuple[float, float]:
        """Angles of the ends of the correlations' range; beyond them lie mirror images."""

    @property
    @abstractmethod
    def start_angles(self) -> Array:
        """Angles to start from, shape (n_angles,): a moderate correlation of neighbours.

        Without any, the effects of a term for every row are a residual, and a search can lose
        the one in the other.
        """

    @abstractmethod
    def root(self, angles: Array) -> Array:
        """Return C, shape (c, c), with rows of length 1."""

    @abstractmethod
    def root_pullback(self, angles: Array, dC: Array) -> Array:
        """Return dF/dangles, shape (n_angles,), from dF/dC, shape (c, c)."""

    @abstractmethod
    def nearest_angles(self, correlation: Array) -> Array:
        """Return the angles of the closest correlation matrix of the structure."""

    @abstractmethod
    def angles_of(self, values: Array) -> Array:
        """Return the angles of the numbers that `natural` gives for them.

        Raises
        ------
        ValueError
            If there are none.
        """

    def values_of(self, angles: Array) -> Array:
        """Return the numbers that users read: by default the first column's correlations."""
        return np.asarray(self.root(angles)[1 : 1 + self.n_angles] @ self.root(angles)[0])

    @property
    def n_scales(self) -> int:
        """Number of standard deviations."""
        return 1 if self.equal_variances else self.size

    @property
    def n_theta(self) -> int:
        """Number of parameters."""
        return self.n_scales + self.n_angles

    def template(self, theta: Array) -> Array:
        """Return diag(s) C, shape (c, c)."""
        scales, angles = self._parts(theta)
        return scales[:, None] * self.root(angles)

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return dF/dtheta by the product rule."""
        scales, angles = self._parts(theta)
        d_scales = np.sum(dT * self.root(angles), axis=1)
        d_angles = self.root_pullback(angles, scales[:, None] * dT)
        return np.concatenate([[np.sum(d_scales)] if self.equal_variances else d_scales, d_angles])

    def start(self) -> Array:
        """Return unit standard deviations with a moderate correlation."""
        return np.concatenate([np.ones(self.n_scales), self.start_angles])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 and infinity for the standard deviations; angles have no bounds."""
        lower = np.concatenate([np.zeros(self.n_scales), np.full(self.n_angles, -np.inf)])
        return lower, np.full(self.n_theta, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return theta with its angles in range; a common standard deviation made positive."""
        scales, angles = theta[: self.n_scales], theta[self.n_scales :]
        low, high = self.angle_range
        turns = np.mod(angles - low, 2.0 * (high - low))
        folded = low + np.minimum(turns, 2.0 * (high - low) - turns)
        return np.concatenate([np.abs(scales) if self.crosses_bounds else scales, folded])

    def nearest(self, covariance: Array) -> Array:
        """Return the standard deviations (their quadratic mean) and the closest correlations."""
        variances = np.maximum(np.diagonal(covariance), 0.0)
        scales = np.sqrt(variances)
        product = np.outer(scales, scales)
        correlation = np.divide(
            covariance, product, out=np.eye(self.size), where=product > np.finfo(float).tiny
        )
        angles = self.nearest_angles(correlation) if self.n_angles else np.zeros(0)
        if self.equal_variances:
            scales = np.sqrt([np.mean(variances)])
        return np.concatenate([scales, angles])

    def rescaled(self, L: Array) -> Array | None:
        """Return the factors of the standard deviations, of the common one if there is one."""
        factors = np.diagonal(L)
        if not np.array_equal(L, np.diag(factors)):
            return None
        if self.equal_variances and np.any(factors != factors[0]):
            return None
        return np.diag(np.concatenate([factors[: self.n_scales], np.ones(self.n_angles)]))

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return standard deviations, then correlations by the distance of their columns."""
        scales = ("sd",) if self.equal_variances else tuple(f"sd({each})" for each in columns)
        if self.n_angles == 1:
            return (*scales, "cor")
        return (*scales, *(f"cor at distance {k + 1}" for k in range(self.n_angles)))

    def natural(self, theta: Array) -> Array:
        """Return standard deviations, and the correlations of the first column with those after."""
        scales, angles = np.abs(theta[: self.n_scales]), theta[self.n_scales :]
        return np.concatenate([scales, self.values_of(angles)])

    def kinds(self) -> tuple[Kind, ...]:
        """Return standard deviations, then correlations."""
        scale: tuple[Kind, ...] = ("sd",)
        correlation: tuple[Kind, ...] = ("correlation",)
        return scale * self.n_scales + correlation * self.n_angles

    def from_natural(self, values: Array) -> Array:
        """Return theta of standard deviations and correlations."""
        scales = np.asarray(values[: self.n_scales], dtype=np.float64)
        if np.any(scales < 0.0):
            raise ValueError(f"standard deviations of at least 0, got {scales}")
        return np.concatenate([scales, self.angles_of(np.asarray(values[self.n_scales :]))])

    def natural_limits(self) -> tuple[Array, Array]:
        """Return those of standard deviations, then those of the structure's other numbers."""
        lower, upper = super().natural_limits()
        if self.n_angles:
            lower[self.n_scales :], upper[self.n_scales :] = self.value_limits()
        return lower, upper

    def value_limits(self) -> tuple[Any, Any]:
        """Return the least and the largest of each number beside the standard deviations.

        -1 and 1 by default. Asked of a structure with an angle.
        """
        return -1.0, 1.0

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return standard deviations next to 0, and angles that are `without_effect`."""
        theta = self.canonical(theta)
        vanishing, near = self._smallness(theta, sizes, tol_sd_eta)
        head = [np.all(vanishing)] if self.equal_variances else vanishing
        angles = theta[self.n_scales :]
        low, high = self.angle_range
        edge = (angles - low < near) | (high - angles < near)
        return np.concatenate([head, self.without_effect(edge)]).astype(np.bool_)

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with what is next to 0, or to an end of the range, on it."""
        theta = self.canonical(theta)
        vanishing, near = self._smallness(theta, sizes, tol_sd_eta)
        scales, angles = theta[: self.n_scales], theta[self.n_scales :]
        gone = np.all(vanishing) if self.equal_variances else vanishing
        low, high = self.angle_range
        ended = np.where(angles - low < near, low, np.where(high - angles < near, high, angles))
        edge = ended != angles
        ended = np.where(self.without_effect(edge) & ~edge, self.start_angles, ended)
        return np.concatenate([np.where(gone, 0.0, scales), ended])

    def without_effect(self, edge: BoolArray) -> BoolArray:
        """Return which angles move nothing to first order, shape (n_angles,).

        Parameters
        ----------
        edge : ndarray of bool, shape (n_angles,)
            Those at an end of their range: all, by default.
        """
        return edge

    def _smallness(self, theta: Array, sizes: Array, tol_sd_eta: float) -> tuple[BoolArray, float]:
        """Return which columns vanish, and how near to an end an angle moves eta by as little."""
        reach = np.abs(self._parts(theta)[0]) * sizes
        return reach < tol_sd_eta, tol_sd_eta / max(float(np.max(reach)), tol_sd_eta)

    def _parts(self, theta: Array) -> tuple[Array, Array]:
        scales = np.broadcast_to(theta[: self.n_scales], (self.size,))
        return scales, theta[self.n_scales :]
