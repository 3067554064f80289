"""Information about coefficients, solved also where the data do not determine a direction."""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array

FLOOR = 1e-10
"""Information of a direction, relative to that of its coefficients one by one, below which the data
do not determine it. Where a column separates the response, information falls with the gradient
on the way to infinity, and what is computed from the ratio of both is rounding from 1e-16 on."""

WELL_CONDITIONED = 1e-3
"""Diagonal entry of a Cholesky factor (of a matrix with diagonal 1) from which no direction can be
near the floor: the entries' squares are at least the smallest eigenvalue, and near it."""


class Marginal:
    """Information about coefficients, directions that the data do not determine kept at a floor.

    Scaled to a diagonal of 1, so that units of covariates do not matter.
    """

    def __init__(self, information: Array) -> None:
        diagonal = np.diagonal(information)
        self._scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        scaled = information * self._scale * self._scale[:, None]
        self._values: Array | None = None
        try:
            self._root = np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            self._root = np.zeros(scaled.shape)
        if not np.min(np.diagonal(self._root), initial=1.0) > WELL_CONDITIONED:
            self._values, self._root = np.linalg.eigh(scaled)

    @property
    def is_concave(self) -> bool:
        """Whether no direction curves the wrong way beyond rounding."""
        return self._values is None or bool(np.all(self._values > -FLOOR))

    @property
    def logdet(self) -> float:
        """The logarithm of its determinant."""
        scale = -2.0 * float(np.sum(np.log(self._scale)))
        if self._values is None:
            return scale + 2.0 * float(np.sum(np.log(np.diagonal(self._root))))
        return scale + float(np.sum(np.log(np.maximum(np.abs(self._values), FLOOR))))

    def solve(self, right: Array) -> Array:
        """Return the inverse times one or several columns, shape (p,) or (p, m)."""
        right = (right.T * self._scale).T
        if self._values is None:
            half = np.linalg.solve(self._root, right)
            found = np.linalg.solve(self._root.T, half)
        else:
            known = np.maximum(np.abs(self._values), FLOOR)
            found = self._root @ ((self._root.T @ right).T / known).T
        return np.asarray((found.T * self._scale).T)

    def split(self, gradient: Array) -> tuple[float, float]:
        """Return g' A^-1 g in directions that the data determine, and in the others."""
        whole = float(gradient @ self.solve(gradient))
        if self._values is None:
            return whole, 0.0
        seen = self._root.T @ (gradient * self._scale)
        floored = np.abs(self._values) <= FLOOR
        others = float(np.sum(np.square(seen[floored])) / FLOOR)
        return whole - others, others
