"""A covariance of low rank: a few factors that the columns load on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract import Array, BoolArray, Covariance, Kind, OptionError, is_whole


class ReducedRank(Covariance):
    """`Lambda Lambda'` with d columns of loadings, those above the diagonal 0.

    A rotation of the factors leaves the covariance as it is; of all that do, the loadings with
    zeros above the diagonal, and nothing negative on it, are one.

    Parameters
    ----------
    size : int
        c, the number of columns of the term.
    d : int, optional
        Number of factors; 2 by default, where there are so many columns.
    """

    name = "rr"
    crosses_bounds = True
    full_rank = False

    def __init__(self, size: int, d: int | None = None) -> None:
        super().__init__(size)
        d = min(2, size) if d is None else d
        if not is_whole(d, 1):
            raise OptionError(f"rr: expected d, the number of factors, from 1, got {d!r}.")
        if d > size:
            raise OptionError(
                f"rr: expected at most as many factors as columns, {size}, got d = {d}. Give a "
                "smaller d, such as rr(0 + f | g, d = 1)."
            )
        self.d = d
        columns, rows = np.triu_indices(size)
        kept = columns < d
        self._rows, self._columns = rows[kept], columns[kept]

    @property
    def n_theta(self) -> int:
        """C d - d (d - 1) / 2."""
        return int(self._rows.size)

    def template(self, theta: Array) -> Array:
        """Return the loadings, and columns of 0 after them."""
        T = np.zeros((self.size, self.size))
        T[self._rows, self._columns] = theta
        return T

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the entries of dF/dT at the loadings."""
        return np.asarray(dT[self._rows, self._columns])

    def start(self) -> Array:
        """Return loadings of length 1 that differ between factors, as waves do."""
        places = (np.arange(self.size) + 0.5) / self.size
        waves = np.cos(np.pi * np.outer(places, np.arange(self.d)))
        loadings = np.tril(waves)
        loadings[np.diag_indices(self.d)] = np.abs(np.diagonal(loadings)) + 0.5
        loadings /= np.linalg.norm(loadings, axis=1)[:, None]
        return np.asarray(loadings[self._rows, self._columns])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 as the lower bound of the diagonal, which removes the sign ambiguity."""
        lower = np.where(self._rows == self._columns, 0.0, -np.inf)
        return lower, np.full(self.n_theta, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return theta with each factor turned so that its diagonal is not negative."""
        T = self.template(theta)
        T = T * np.where(np.diagonal(T) < 0.0, -1.0, 1.0)
        return np.asarray(T[self._rows, self._columns])

    def nearest(self, covariance: Array) -> Array:
        """Return the loadings of the closest covariance of rank d."""
        values, vectors = np.linalg.eigh(covariance)
        root = vectors[:, ::-1][:, : self.d] * np.sqrt(np.maximum(values[::-1][: self.d], 0.0))
        return self._triangular(root)

    def rescaled(self, L: Array) -> Array:
        """Return the map of the loadings to those of L times them."""
        change = np.zeros((self.n_theta, self.n_theta))
        for j in range(self.d):
            place = np.flatnonzero(self._columns == j)
            change[np.ix_(place, place)] = L[j:, j:]
        return change

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the loading of each column on each factor."""
        return tuple(
            f"loading {j + 1}({columns[i]})"
            for i, j in zip(self._rows.tolist(), self._columns.tolist(), strict=True)
        )

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return the loadings of factors that vanish."""
        norms = np.linalg.norm(sizes[:, None] * self.template(theta), axis=0)
        return np.asarray((norms < tol_sd_eta)[self._columns])

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta without the principal effects below the tolerance, zero columns last."""
        scaled = np.where(sizes > 0, sizes, 1.0)[:, None] * self.template(theta)
        rank = int(np.sum(np.linalg.svd(scaled, compute_uv=False) >= tol_sd_eta))
        return theta if rank >= self.d else self._of_rank(theta, sizes, rank)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return the covariance with fewer factors: one fewer, two fewer, ..."""
        return tuple(self._of_rank(theta, sizes, rank) for rank in range(self.d - 1, 0, -1))

    def _of_rank(self, theta: Array, sizes: Array, rank: int) -> Array:
        scale = np.where(sizes > 0, sizes, 1.0)[:, None]
        left, singular, _ = np.linalg.svd(scale * self.template(theta))
        return self._triangular(left[:, :rank] * singular[:rank] / scale)

    def _triangular(self, root: Array) -> Array:
        """Return theta of a root, shape (c, r), turned so that it has zeros above the diagonal."""
        T = np.zeros((self.size, self.size))
        R = np.linalg.qr(root.T)[1]
        T[:, : len(R)] = R.T
        return self.canonical(np.asarray(T[self._rows, self._columns]))

    def kinds(self) -> tuple[Kind, ...]:
        """Return numbers of any sign."""
        kinds: tuple[Kind, ...] = ("real",)
        return kinds * self.n_theta

    def from_natural(self, values: Array) -> Array:
        """Return the loadings."""
        return np.array(values, dtype=np.float64)


class Shared(ReducedRank):
    """One effect that all columns share, each with a loading: `b_j = lambda_j b`, lambda_1 = 1.

    Of rank 1: theta holds the deviation s of the first column, and `lambda_j s` of the others.
    """

    name = "shared"

    def __init__(self, size: int) -> None:
        super().__init__(size, 1)

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the first column's standard deviation, and the loading of each other."""
        return (f"sd({columns[0]})", *(f"loading({each})" for each in columns[1:]))

    def natural(self, theta: Array) -> Array:
        """Return them; loadings on an effect that does not vary are infinite, or 0."""
        s, others = self.canonical(theta)[0], self.canonical(theta)[1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            loadings = others / s
        return np.concatenate([[s], np.where(others == 0.0, 0.0, loadings)])

    def kinds(self) -> tuple[Kind, ...]:
        """Return that the first is a standard deviation, and loadings are of any sign."""
        loading: tuple[Kind, ...] = ("real",)
        first: tuple[Kind, ...] = ("sd",)
        return first + loading * (self.size - 1)

    def from_natural(self, values: Array) -> Array:
        """Return theta."""
        if values[0] < 0.0 or not np.all(np.isfinite(values)):
            raise ValueError(f"a standard deviation of 0 or more and finite loadings, got {values}")
        return np.array([values[0], *(values[0] * values[1:])])
