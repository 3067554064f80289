"""The covariance of the estimates, in coordinates in which combinations of them lose no digit.

Next to a covariate far from 0 the variance of a combination of coefficients, such as the mean at
a value of that covariate, is a difference of variances as much larger as the square of its
distance. The combination itself is mapped instead, `l' psi = (B' l)' psi~` with psi = B psi~: that
loses no more digits than the distance has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace_core.records import Array, BoolArray

NO_VARIANCE = 1e-13
"""Eigenvalue of a correlation matrix that is rounding."""


@dataclass(frozen=True, eq=False)
class PsiCovariance:
    """The covariance of psi as that of psi~, with psi = back psi~.

    Attributes
    ----------
    inner : ndarray, shape (n_psi, n_psi)
        Covariance of psi~; NaN in the rows of parameters at a bound.
    back : ndarray, shape (n_psi, n_psi), or None
        None where psi~ is psi.
    """

    inner: Array
    back: Array | None = None

    def __getstate__(self) -> dict[str, Array | None]:
        """Leave out what is made anew: its arrays would come back writable."""
        return {"inner": self.inner, "back": self.back}

    @cached_property
    def given(self) -> Array:
        """The covariance of psi; NaN in every row that takes of one that is NaN."""
        if self.back is None:
            return self.inner
        found = mapped(self.back, self.inner)
        found.flags.writeable = False
        return found

    def rows(self, L: Array) -> Array:
        """Return combinations of psi~ for those of psi, shape (..., n_psi)."""
        return L if self.back is None else np.asarray(L @ self.back)

    def variance(self, slope: Array) -> float:
        """Return the variance of a combination; NaN if an entry in it has none."""
        row = self.rows(slope)
        moving = np.flatnonzero(row)
        block = self.inner[np.ix_(moving, moving)]
        return float(row[moving] @ block @ row[moving])

    def variances(self, L: Array) -> Array:
        """Return the variance of each of several combinations, shape (r,)."""
        return np.asarray(np.sum(np.square(self.roots(L)), axis=1))

    def roots(self, L: Array) -> Array:
        """Return A with `A A'` the covariance of combinations, shape (r, n_psi).

        NaN in the rows of those that take of an entry without a variance.
        """
        rows = self.rows(L)
        found = np.asarray(rows @ self._root)
        found[(rows[:, ~self._known] != 0.0).any(axis=1)] = np.nan
        return found

    @cached_property
    def _known(self) -> BoolArray:
        return np.asarray(np.isfinite(np.diagonal(self.inner)))

    @cached_property
    def _root(self) -> Array:
        """C with `C C'` the inner covariance, 0 in the rows of entries that have none."""
        known, root = self._known, np.zeros_like(self.inner)
        root[np.ix_(known, known)] = root_of(self.inner[np.ix_(known, known)])
        return root


def root_of(covariance: Array) -> Array:
    """Return C with C C' = V for a covariance of any units, what is rounding in it left out."""
    own = np.diagonal(covariance)
    size = np.sqrt(np.where(own > 0.0, own, 1.0))
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T) / size / size[:, None])
    kept = values > NO_VARIANCE * values.max(initial=0.0)
    return np.asarray(size[:, None] * vectors * np.sqrt(np.where(kept, values, 0.0)))


def embedded(L: Array, place: slice, n_psi: int) -> Array:
    """Return combinations of some entries of psi as ones of all, shape (r, n_psi)."""
    found = np.zeros((len(L), n_psi))
    found[:, place] = L
    return found


def mapped(B: Array, V: Array) -> Array:
    """Return B V B', NaN in the rows that B takes from rows with NaN."""
    unknown = np.isnan(np.diagonal(V))
    with np.errstate(invalid="ignore"):
        found = B @ np.where(np.isnan(V), 0.0, V) @ B.T
    reached = (B[:, unknown] != 0.0).any(axis=1)
    found[reached, :] = found[:, reached] = np.nan
    return np.asarray(found)
