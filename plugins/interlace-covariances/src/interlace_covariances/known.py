"""Structures of a known matrix of the columns: up to a factor, and as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract import Array, Covariance, Kind


class OfKnownMatrix(Covariance):
    """What both share: the matrix and its root.

    Parameters
    ----------
    size : int
    matrix : ndarray, shape (size, size), optional
        A covariance; the identity by default.
    """

    takes_levels_only = True
    takes_matrix = True
    crosses_bounds = True

    def __init__(self, size: int, matrix: Array | None = None) -> None:
        super().__init__(size)
        self.matrix = np.eye(size) if matrix is None else np.asarray(matrix, dtype=np.float64)
        self.matrix_root = root_of(self.matrix)


class Proportional(OfKnownMatrix):
    """`s^2 K` with K known, such as the relatedness of species; s is estimated."""

    name = "propto"

    @property
    def n_theta(self) -> int:
        """One."""
        return 1

    def template(self, theta: Array) -> Array:
        """Return s times the root of K."""
        return np.asarray(theta[0] * self.matrix_root)

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the product of dT with the root."""
        return np.array([np.sum(dT * self.matrix_root)])

    def start(self) -> Array:
        """Return the s that makes the average variance 1."""
        return np.array([1.0 / np.sqrt(np.mean(np.diagonal(self.matrix)))])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 and infinity."""
        return np.zeros(1), np.full(1, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return the absolute value."""
        return np.abs(theta)

    def nearest(self, covariance: Array) -> Array:
        """Return the s of the same average variance."""
        return np.array([np.sqrt(max(np.trace(covariance), 0.0) / np.trace(self.matrix))])

    def rescaled(self, L: Array) -> Array | None:
        """Return the factor, where it is one for all columns."""
        same = np.array_equal(L, L[0, 0] * np.eye(self.size))
        return np.array([[L[0, 0]]]) if same else None

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return sd, by whose square the matrix is multiplied."""
        return ("sd",)

    def natural(self, theta: Array) -> Array:
        """Return s."""
        return np.abs(theta)

    def kinds(self) -> tuple[Kind, ...]:
        """Return that of s."""
        return ("sd",)

    def from_natural(self, values: Array) -> Array:
        """Return s."""
        return np.array(values, dtype=np.float64)


class Known(OfKnownMatrix):
    """The matrix itself: nothing is estimated."""

    name = "equalto"

    @property
    def n_theta(self) -> int:
        """None."""
        return 0

    def template(self, theta: Array) -> Array:
        """Return the root."""
        return self.matrix_root.copy()

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return nothing."""
        return np.zeros(0)

    def start(self) -> Array:
        """Return nothing."""
        return np.zeros(0)

    def bounds(self) -> tuple[Array, Array]:
        """Return nothing."""
        return np.zeros(0), np.zeros(0)

    def nearest(self, covariance: Array) -> Array:
        """Return nothing."""
        return np.zeros(0)


def root_of(K: Array) -> Array:
    """Return R with R R' = K, triangular where K is definite."""
    try:
        return np.asarray(np.linalg.cholesky(K))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(K)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
