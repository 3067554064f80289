"""A known covariance of the levels of a grouping factor, as a root that carries it.

With `K = R R'` the effects of a term are `b = T v`, `v = u R'`, `u ~ N(0, I)`: the covariance of
b is `(T T') x K`. K may be singular (clones, markers fewer than individuals), because only its
root enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from interlace_core.messages.errors import DataError
from interlace_core.records import Array, IntArray

TOL_REL_EIGENVALUE = 1e-8
"""Share of the largest eigenvalue by which one may be negative, as rounding makes it."""


@dataclass(frozen=True, eq=False)
class Relation:
    """The covariance of a factor's levels, and of further levels that have no data.

    Attributes
    ----------
    root : ndarray, shape (L, L)
        R with R R' the covariance of the levels that have data.
    others : tuple of str, length m
        Further levels that the matrix holds.
    weights : ndarray, shape (m, L)
        Their conditional mean given the effects of the levels with data.
    unexplained : ndarray, shape (m,)
        Their conditional variance.
    """

    root: Array
    others: tuple[str, ...]
    weights: Array
    unexplained: Array

    @classmethod
    def of(cls, K: Array, n_levels: int, others: tuple[str, ...] = ()) -> Relation:
        """Return the relation of a covariance, the levels with data first.

        Parameters
        ----------
        K : ndarray, shape (L + m, L + m)
            Symmetric.
        n_levels : int
            L.
        others : tuple of str, length m

        Raises
        ------
        DataError
            If K has a negative eigenvalue.
        """
        L = n_levels
        # exact zeros of the pivot keep LAPACK's factor from passing as one of a singular matrix
        factor, info = lapack.dpotrf(K, lower=1, clean=1)
        pivots = np.square(np.diagonal(factor))
        if info == 0 and np.all(pivots > TOL_REL_EIGENVALUE * np.diagonal(K)):
            half = np.linalg.solve(factor[:L, :L].T, factor[L:, :L].T).T
            rest = np.sum(np.square(factor[L:, L:]), axis=1)
            return cls(np.ascontiguousarray(factor[:L, :L]), others, half, rest)
        _require_covariance(K)
        values, vectors = np.linalg.eigh(K[:L, :L])
        kept = values > TOL_REL_EIGENVALUE * values[-1]
        root = np.zeros((L, L))
        root[:, : int(np.sum(kept))] = vectors[:, kept] * np.sqrt(values[kept])
        half = (K[L:, :L] @ vectors[:, kept]) / values[kept] @ vectors[:, kept].T
        rest = np.diagonal(K)[L:] - np.sum(half * K[L:, :L], axis=1)
        return cls(root, others, half, np.maximum(rest, 0.0))

    def part(self, levels: IntArray) -> Relation:
        """Return the relation among some of the levels with data, no others."""
        R = np.linalg.qr(self.root[levels].T)[1].T
        none = np.zeros((0, levels.size))
        return Relation(np.ascontiguousarray(R), (), none, np.zeros(0))

    def covariance(self) -> Array:
        """Return the covariance of the levels with data, shape (L, L)."""
        return self.root @ self.root.T

    def variances(self) -> Array:
        """Return the variances of all levels, those with data first, shape (L + m,)."""
        own = np.sum(np.square(self.root), axis=1)
        between = np.sum(np.square(self.weights @ self.root), axis=1)
        return np.concatenate([own, between + self.unexplained])

    def extend(self, values: Array) -> Array:
        """Return effects (or slopes of them) of all levels, (L + m, ...) from (L, ...)."""
        flat = values.reshape(values.shape[0], -1)
        more = (self.weights @ flat).reshape(len(self.weights), *values.shape[1:])
        return np.concatenate([values, more])

    def loading(self, level: int) -> Array:
        """Return what a level, with data or not, takes of each level's effect, shape (L,)."""
        L = len(self.root)
        if level >= L:
            return np.asarray(self.weights[level - L])
        unit = np.zeros(L)
        unit[level] = 1.0
        return unit


def _require_covariance(K: Array) -> None:
    values = np.linalg.eigvalsh(K)
    if values[0] < -TOL_REL_EIGENVALUE * max(values[-1], 0.0) or values[-1] <= 0.0:
        raise DataError(
            "expected a covariance matrix, whose eigenvalues are not negative, got eigenvalues "
            f"from {values[0]:.4g} to {values[-1]:.4g}. Correct the matrix, or take the closest "
            "one that is a covariance."
        )
