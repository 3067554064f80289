"""Covariance structures of a random-effects term: unstructured and diagonal.

Both are parameterised by the lower Cholesky factor relative to unit variance, as in Bates,
Maechler, Bolker & Walker (2015), section 2.2: a variance of zero is an ordinary point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from interlace_core.calculus.dense import cholesky, singular_values
from interlace_core.contract.covariance import Covariance, Kind
from interlace_core.contract.held_column import HeldColumn
from interlace_core.contract.hooks import hookimpl
from interlace_core.records import Array, BoolArray, IntArray


class Unstructured(Covariance):
    """All variances and correlations free; theta is T's lower triangle, column by column."""

    name = "us"
    crosses_bounds = True

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._rows, self._columns, self._diagonal = _lower_triangle(size)

    @property
    def n_theta(self) -> int:
        """Number of parameters, c (c + 1) / 2."""
        return self.size * (self.size + 1) // 2

    def template(self, theta: Array) -> Array:
        """Return the lower-triangular T, shape (c, c)."""
        T = np.zeros((self.size, self.size))
        T[self._rows, self._columns] = theta
        return T

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the entries of dF/dT on the lower triangle."""
        return np.asarray(dT[self._rows, self._columns])

    def placement(self) -> IntArray:
        """Return the lower triangle, column by column."""
        return np.stack([np.arange(self.n_theta), self._rows, self._columns], axis=1)

    def start(self) -> Array:
        """Return the identity's parameters."""
        return np.asarray(self._diagonal, np.float64)

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 as the lower bound of the diagonal, which removes the sign ambiguity."""
        return np.where(self._diagonal, 0.0, -np.inf), np.full(self.n_theta, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return theta with each column of T turned so that its diagonal is not negative."""
        if self.size == 1:
            return np.abs(theta)
        T = self.template(theta)
        T = T * np.where(np.diagonal(T) < 0, -1.0, 1.0)
        return np.asarray(T[self._rows, self._columns])

    def nearest(self, covariance: Array) -> Array:
        """Return the Cholesky factor's entries of a (regularised) covariance."""
        sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        unit = np.where(sd > 0.0, sd, 1.0)
        # of the correlations: columns may be in any units, and a variance of 0 stays one
        T = cholesky(covariance / unit / unit[:, None] + 1e-8 * np.eye(self.size))
        T *= sd[:, None] if np.any(sd) else 1.0
        return np.asarray(T[self._rows, self._columns])

    def rescaled(self, L: Array) -> Array:
        """Return the map of T's columns to those of L T, which is lower triangular too."""
        change, start = np.zeros((self.n_theta, self.n_theta)), 0
        for j in range(self.size):
            place = slice(start, start + self.size - j)  # of column j, from the diagonal down
            change[place, place] = L[j:, j:]
            start = place.stop
        return change

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return standard deviations and correlations, in the order of T's lower triangle."""
        return tuple(
            f"sd({columns[i]})" if i == j else f"cor({columns[j]}, {columns[i]})"
            for i, j in zip(self._rows.tolist(), self._columns.tolist(), strict=True)
        )

    def natural(self, theta: Array) -> Array:
        """Return standard deviations, and correlations below them."""
        T = self.template(theta)
        sd = np.linalg.norm(T, axis=1)
        unit = T / np.where(sd > 0.0, sd, 1.0)[:, None]
        values = np.where(np.eye(self.size, dtype=bool), sd, unit @ unit.T)
        return np.asarray(values[self._rows, self._columns])

    def kinds(self) -> tuple[Kind, ...]:
        """Return standard deviations and correlations."""
        return tuple("sd" if diagonal else "correlation" for diagonal in self._diagonal.tolist())

    def from_natural(self, values: Array) -> Array:
        """Return the Cholesky factor of standard deviations and correlations."""
        C, sd = np.eye(self.size), np.asarray(values, dtype=np.float64)[self._diagonal]
        C[self._rows, self._columns] = values
        C = np.tril(C, -1) + np.tril(C, -1).T + np.eye(self.size)
        least = float(np.linalg.eigvalsh(C)[0])
        if np.any(sd < 0.0):
            raise ValueError(f"standard deviations of at least 0, got {sd}")
        if least < -1e-12:
            raise ValueError("correlations that fit together")
        values_, vectors = np.linalg.eigh(C)
        root = vectors * np.sqrt(np.maximum(values_, 0.0))
        T = np.linalg.qr((sd[:, None] * root).T)[1].T
        return self.canonical(np.asarray(T[self._rows, self._columns]))

    def holding(self, held: Mapping[int, float], names: dict[str, float]) -> Covariance | None:
        """Return it with numbers of one column held, that column first; None of several columns.

        A standard deviation of its own, and correlations with it but 1 and -1.
        """
        pairs = [{int(self._rows[k]), int(self._columns[k])} for k in held]
        common = set.intersection(*pairs)
        ends = [abs(v) == 1.0 for k, v in held.items() if not self._diagonal[k]]
        if not common or any(ends):
            return None
        at = np.empty((self.size, self.size), dtype=np.intp)
        at[self._rows, self._columns] = at[self._columns, self._rows] = np.arange(self.n_theta)
        first = min(common)
        order = np.concatenate([[first], np.delete(np.arange(self.size), first)])
        return HeldColumn(self, at, held, names, order)

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return the entries of T's vanishing columns.

        A covariance is singular where a column vanishes. A zero on the diagonal above other
        entries is none: the objective has a slope there.
        """
        if self.size == 1:
            return np.asarray(np.abs(sizes * theta) < tol_sd_eta)
        norms = np.linalg.norm(sizes[:, None] * self.template(theta), axis=0)
        return np.asarray((norms < tol_sd_eta)[self._columns])

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta without the principal effects below the tolerance, zero columns last."""
        if self.size == 1 and sizes[0] * abs(theta[0]) >= tol_sd_eta:
            return theta
        scaled = np.where(sizes > 0, sizes, 1.0)[:, None] * self.template(theta)
        rank = int(np.sum(singular_values(scaled) >= tol_sd_eta))
        return theta if rank == self.size else self._of_rank(theta, sizes, rank)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return the covariance without its lesser principal effects: one fewer, two fewer, ...

        Where a diagonal entry of T is small above larger ones, the covariance hardly changes as
        the rows below are rotated, and a search crawls along that arc; where the effects that
        it turns about are left out, the slope that it follows is plain.
        """
        return tuple(self._of_rank(theta, sizes, rank) for rank in range(self.size - 1, 0, -1))

    def _of_rank(self, theta: Array, sizes: Array, rank: int) -> Array:
        """Return the closest covariance of a rank, as T with its zero columns last.

        Any singular covariance has such a T (the LQ decomposition of a root); from it every
        singular covariance nearby is reached along a slope, which other roots of it lack.
        """
        scale = np.where(sizes > 0, sizes, 1.0)[:, None]
        left, singular, _ = np.linalg.svd(scale * self.template(theta))
        root = left[:, :rank] * singular[:rank] / scale
        T = np.zeros((self.size, self.size))
        T[:, :rank] = np.linalg.qr(root.T)[1].T
        return self.canonical(np.asarray(T[self._rows, self._columns]))


@cache
def _lower_triangle(size: int) -> tuple[IntArray, IntArray, BoolArray]:
    """Return rows and columns of a lower triangle, column by column, and which are its diagonal."""
    columns, rows = np.triu_indices(size)
    found = rows, columns, rows == columns
    for each in found:
        each.flags.writeable = False
    return found


class Diagonal(Covariance):
    """Independent effects, each with a standard deviation of its own."""

    name = "diag"
    crosses_bounds = True

    @property
    def n_theta(self) -> int:
        """Number of parameters, c."""
        return self.size

    def template(self, theta: Array) -> Array:
        """Return the diagonal T, shape (c, c)."""
        return np.diag(theta)

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the diagonal of dF/dT."""
        return np.diag(dT).copy()

    def placement(self) -> IntArray:
        """Return the diagonal."""
        return np.stack([np.arange(self.size)] * 3, axis=1)

    def start(self) -> Array:
        """Return unit standard deviations."""
        return np.ones(self.size)

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 and infinity."""
        return np.zeros(self.size), np.full(self.size, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return the absolute values."""
        return np.abs(theta)

    def nearest(self, covariance: Array) -> Array:
        """Return the standard deviations of a covariance."""
        return np.sqrt(np.maximum(np.diag(covariance), 0.0))

    def rescaled(self, L: Array) -> Array | None:
        """Return L if it is diagonal."""
        return L if np.array_equal(L, np.diag(np.diagonal(L))) else None

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the standard deviation of each column."""
        return tuple(f"sd({each})" for each in columns)

    def kinds(self) -> tuple[Kind, ...]:
        """Return standard deviations."""
        kinds: tuple[Kind, ...] = ("sd",)
        return kinds * self.size

    def from_natural(self, values: Array) -> Array:
        """Return the standard deviations."""
        if np.any(np.asarray(values) < 0.0):
            raise ValueError(f"standard deviations of at least 0, got {values}")
        return np.array(values, dtype=np.float64)


@hookimpl
def interlace_covariances() -> Sequence[type[Covariance]]:
    """Return the unstructured and the diagonal covariance."""
    return [Unstructured, Diagonal]
