"""All variances and correlations free, in standard deviations and angles.

A correlation matrix is `L L'` with rows of L of length 1, which are angles: `L_ij = sin(a_ij)`
times the cosines of those before it in the row (Pinheiro & Bates 1996, "Unconstrained
parametrizations for variance-covariance matrices", section 2.3). Standard deviations are entries of
theta then, and the first column's correlations are the sines of its angles: these can be held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract.covariance import Covariance, Kind
from interlace_core.records import Array, BoolArray, IntArray

QUARTER = 0.5 * np.pi


class Spherical(Covariance):
    """The covariances of another structure, in theta = (standard deviations, angles).

    Parameters
    ----------
    numbers : Covariance
        The structure whose numbers it has: standard deviations and correlations, as its `kinds`
        say, those of columns i and j at `at[i, j]`.
    at : ndarray of intp, shape (c, c)
        Symmetric: the place of each among the numbers.
    first : int
        Column whose correlations are entries of theta.
    """

    name = "us"

    def __init__(self, numbers: Covariance, at: IntArray, first: int) -> None:
        super().__init__(numbers.size)
        c = numbers.size
        self.numbers, self.name = numbers, numbers.name
        self.order = np.concatenate([[first], np.delete(np.arange(c), first)])
        self.at = at[np.ix_(self.order, self.order)]
        self._rows, self._columns = np.tril_indices(c, -1)

    @property
    def n_theta(self) -> int:
        """Number of parameters, c (c + 1) / 2."""
        return self.numbers.n_theta

    def template(self, theta: Array) -> Array:
        """Return the root in the order of the term's columns, shape (c, c)."""
        T = np.empty((self.size, self.size))
        T[self.order] = theta[: self.size, None] * self._root(theta)
        return T

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return dF/dtheta by the product rule, the angles of a row from its last."""
        c, angles = self.size, self._angles(theta)
        sin, cos, L = np.sin(angles), np.cos(angles), self._root(theta)
        dT = dT[self.order]
        dL, slope = theta[:c, None] * dT, np.zeros((c, c))
        # v_j is the row from its entry j on, without the cosines before: (sin a_j, cos a_j v_j+1)
        before = np.concatenate([np.ones((c, 1)), np.cumprod(cos[:, :-1], axis=1)], axis=1)
        after = np.zeros(c)  # dL' v_j+1
        for j in range(c - 1, -1, -1):
            slope[:, j] = before[:, j] * (cos[:, j] * dL[:, j] - sin[:, j] * after)
            last = np.arange(c) == j
            after = np.where(last, dL[:, j], sin[:, j] * dL[:, j] + cos[:, j] * after)
        d_angles = slope[self._rows, self._columns]
        return np.concatenate([np.sum(dT * L, axis=1), d_angles])

    def start(self) -> Array:
        """Return unit standard deviations without correlations."""
        return np.concatenate([np.ones(self.size), np.zeros(self._rows.size)])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 and infinity for the standard deviations; angles have no bounds."""
        lower = np.concatenate([np.zeros(self.size), np.full(self._rows.size, -np.inf)])
        return lower, np.full(self.n_theta, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return the theta of the same covariance whose angles are a quarter turn at the most."""
        angles = theta[self.size :]
        if np.all(np.abs(angles) <= QUARTER):
            return theta
        return np.concatenate([theta[: self.size], self._angles_of(self._root(theta))])

    def nearest(self, covariance: Array) -> Array:
        """Return the standard deviations and the closest correlations."""
        S = covariance[np.ix_(self.order, self.order)]
        sd = np.sqrt(np.maximum(np.diagonal(S), 0.0))
        unit = np.where(sd > 0.0, sd, 1.0)
        C = np.where(np.eye(self.size, dtype=bool), 1.0, S / unit / unit[:, None])
        values, vectors = np.linalg.eigh(C)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return np.concatenate([sd, self._angles_of(root)])

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return those of the other structure."""
        return self.numbers.names(columns)

    def kinds(self) -> tuple[Kind, ...]:
        """Return those of the other structure."""
        return self.numbers.kinds()

    def natural(self, theta: Array) -> Array:
        """Return standard deviations and correlations, in the other structure's order."""
        L, values = self._root(theta), np.empty(self.n_theta)
        values[np.diagonal(self.at)] = theta[: self.size]
        values[self.at[self._rows, self._columns]] = (L @ L.T)[self._rows, self._columns]
        return values

    def from_natural(self, values: Array) -> Array:
        """Return theta, where the other structure has one."""
        self.numbers.from_natural(values)  # refuses what is no covariance
        values = np.asarray(values, dtype=np.float64)
        sd, C = values[np.diagonal(self.at)], values[self.at]
        np.fill_diagonal(C, 1.0)
        theta = self.nearest(np.eye(self.size))
        found, vectors = np.linalg.eigh(C)
        root = vectors * np.sqrt(np.maximum(found, 0.0))
        theta[: self.size], theta[self.size :] = sd, self._angles_of(root)
        return theta

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return standard deviations next to 0 with their angles, and angles at a quarter turn.

        And those after such a one in its row, which move nothing.
        """
        theta = self.canonical(theta)
        gone, ended = self._ended(theta, sizes, tol_sd_eta)
        without = np.logical_or.accumulate(ended, axis=1) | gone[:, None]
        return np.concatenate([gone, without[self._rows, self._columns]])

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with what is next to 0, or to a quarter turn, on it."""
        theta = self.canonical(theta)
        gone, ended = self._ended(theta, sizes, tol_sd_eta)
        angles = self._angles(theta)
        angles = np.where(ended, np.copysign(QUARTER, angles), angles)
        later = np.logical_or.accumulate(ended, axis=1) & ~ended
        angles = np.where(later, 0.0, angles)
        scales = np.where(gone, 0.0, theta[: self.size])
        return np.concatenate([scales, angles[self._rows, self._columns]])

    def _ended(self, theta: Array, sizes: Array, tol_sd_eta: float) -> tuple[BoolArray, BoolArray]:
        """Return which standard deviations are next to 0, (c,), and which angles at an end."""
        reach = theta[: self.size] * sizes[self.order]
        near = tol_sd_eta / np.maximum(reach, tol_sd_eta)
        ended = QUARTER - np.abs(self._angles(theta)) < near[:, None]
        ended[np.triu_indices(self.size)] = False
        return np.asarray(reach < tol_sd_eta), ended

    def _angles(self, theta: Array) -> Array:
        """Return the angles as a strictly lower triangle, shape (c, c)."""
        angles = np.zeros((self.size, self.size))
        angles[self._rows, self._columns] = theta[self.size :]
        return angles

    def _root(self, theta: Array) -> Array:
        """Return L, lower triangular with rows of length 1."""
        angles, c = self._angles(theta), self.size
        before = np.concatenate(
            [np.ones((c, 1)), np.cumprod(np.cos(angles), axis=1)[:, :-1]], axis=1
        )
        return np.asarray(before * np.where(np.eye(c, dtype=bool), 1.0, np.sin(angles)))

    def _angles_of(self, root: Array) -> Array:
        """Return the angles of any root of a correlation matrix, shape (c (c - 1) / 2,)."""
        L = np.linalg.qr(root.T)[1].T
        L = L * np.where(np.diagonal(L) < 0.0, -1.0, 1.0)
        # what is left of a row's length from each entry on
        left = np.sqrt(np.cumsum(np.square(L[:, ::-1]), axis=1)[:, ::-1])
        rest = np.concatenate([left[:, 1:], np.zeros((self.size, 1))], axis=1)
        return np.arctan2(L, rest)[self._rows, self._columns]
