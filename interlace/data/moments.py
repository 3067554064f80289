"""Moments of columns over rows, those of several parts added up: scales that depend on no unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.records import Array, BoolArray


@dataclass(frozen=True, eq=False)
class Moments:
    """Numbers, means and spreads of columns; those of several parts add up.

    Rows of weight 0 are no rows.

    Attributes
    ----------
    n : float
        Number of rows; their weights' sum where they have any.
    mean, squares : ndarray, shape (p,)
        Means, and sums of squares about them.
    used : ndarray, shape (p,)
        Number (or weight) of the entries that are not 0.
    least, largest : ndarray, shape (p,)
    two : ndarray of bool, shape (p,)
        Whether there is no third value beside the least and the largest.
    """

    n: float
    mean: Array
    squares: Array
    used: Array
    least: Array
    largest: Array
    two: BoolArray

    @classmethod
    def of(cls, X: Array, weights: Array | None = None) -> Moments:
        """Return the moments of columns, shape (n, p), or of one, shape (n,), as arrays of no axis.

        Parameters
        ----------
        X : ndarray
        weights : ndarray, shape (n,), optional
            Of 0 or more.
        """
        if weights is not None:
            X, weights = X[weights > 0.0], weights[weights > 0.0]
        n = float(len(X)) if weights is None else float(np.sum(weights))
        if not len(X):
            zero, none = np.zeros(X.shape[1:]), np.full(X.shape[1:], np.inf)
            return cls(0.0, zero, zero, zero, none, -none, np.ones(X.shape[1:], dtype=bool))
        w = np.ones(len(X)) if weights is None else weights
        mean = np.asarray(w @ X / n)
        least, largest = np.min(X, axis=0), np.max(X, axis=0)
        return cls(
            n,
            mean,
            np.asarray(w @ np.square(X - mean)),
            np.asarray(w @ (X != 0.0)),
            np.asarray(least),
            np.asarray(largest),
            np.asarray(np.all((X == least) | (X == largest), axis=0)),
        )

    def __add__(self, other: Moments) -> Moments:
        """Return the moments over the rows of both (Chan, Golub & LeVeque 1983)."""
        if not other.n or not self.n:
            return self if self.n else other
        n, apart = self.n + other.n, other.mean - self.mean
        least, largest = (
            np.minimum(self.least, other.least),
            np.maximum(self.largest, other.largest),
        )
        ends = [
            (value == least) | (value == largest)
            for each in (self, other)
            for value in (each.least, each.largest)
        ]
        return Moments(
            n,
            self.mean + apart * (other.n / n),
            self.squares + other.squares + np.square(apart) * (self.n * other.n / n),
            self.used + other.used,
            least,
            largest,
            np.asarray(self.two & other.two & np.all(ends, axis=0)),
        )

    @property
    def spread(self) -> Array:
        """Standard deviations about the means, shape (p,); 0 of no rows."""
        return np.sqrt(self.squares / max(self.n, 1e-300))

    @property
    def size(self) -> Array:
        """Root mean square of each column over the rows where it is not 0, shape (p,)."""
        squares = self.squares + self.n * np.square(self.mean)
        return np.sqrt(squares / np.maximum(self.used, 1e-300))
