"""All variances and correlations free, but for some of one column that are held.

With that column first, T's first entry is its standard deviation, and row i of T has the
correlation r with it where `T_i1 = r / sqrt(1 - r^2) |x_i|`, with x_i the rest of the row: what is
free are entries of T as before, and a singular covariance is no edge.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.held import HeldEntries
from interlace_core.records import Array, BoolArray, IntArray


class HeldColumn(HeldEntries):
    """An unstructured covariance with a standard deviation, or correlations, of one column held.

    Parameters
    ----------
    inner : Covariance
        The structure: theta is T's lower triangle, natural its standard deviations and
        correlations, entry (i, j) of either at `at[i, j]`.
    at : ndarray of intp, shape (c, c)
        Symmetric.
    held : mapping from number to value
        Of the first column of `order`; no correlation is 1 or -1.
    names : dict from name to value
        The same as users call it.
    order : ndarray of intp, shape (c,)
        The columns, that one first.
    """

    def __init__(
        self, inner: Covariance, at: IntArray, held: Mapping[int, float], names: dict[str, float],
        order: IntArray,
    ) -> None:  # fmt: skip
        self.at, self.order = at, order
        self.place = at[np.ix_(order, order)]
        first = self.place[:, 0].tolist()
        self.sd = held.get(first[0])
        self.slopes = np.zeros(order.size)
        self.tied = np.array([k in held for k in first])
        self.tied[0] = False
        for i in np.flatnonzero(self.tied):
            r = held[first[i]]
            self.slopes[i] = r / np.sqrt(1.0 - r * r)
        taken = {at[i, 0] for i in np.flatnonzero(self.tied)} | (
            {0} if self.sd is not None else set()
        )
        entries = np.setdiff1d(np.arange(inner.n_theta), sorted(map(int, taken)))
        places = np.array(list(held), dtype=np.intp)
        super().__init__(inner, names, places, entries, np.zeros(inner.n_theta))

    def whole(self, theta: Array) -> Array:
        """Return T's lower triangle, columns in `order`."""
        found = super().whole(theta)
        if self.sd is not None:
            found[0] = self.sd
        T = self.inner.template(found)
        side = -1.0 if T[0, 0] < 0.0 else 1.0
        for i in np.flatnonzero(self.tied):
            found[self.at[i, 0]] = side * self.slopes[i] * float(np.linalg.norm(T[i, 1:]))
        return found

    def template(self, theta: Array) -> Array:
        """Return a root in the order of the term's columns."""
        T = np.empty((self.size, self.size))
        T[self.order] = self.inner.template(self.whole(theta))
        return T

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the free entries' derivatives, with what they do to the tied ones."""
        dT = dT[self.order].copy()
        T = self.inner.template(self.whole(theta))
        side = -1.0 if T[0, 0] < 0.0 else 1.0
        for i in np.flatnonzero(self.tied):
            length = float(np.linalg.norm(T[i, 1:]))
            if length > 0.0:
                dT[i, 1:] += dT[i, 0] * side * self.slopes[i] * T[i, 1:] / length
        return np.asarray(self.inner.pullback(self.whole(theta), dT)[self.entries])

    def nearest(self, covariance: Array) -> Array:
        """Return the free entries of the structure's own."""
        found = self.inner.nearest(covariance[np.ix_(self.order, self.order)])
        return np.asarray(found[self.entries])

    def natural(self, theta: Array) -> Array:
        """Return the free numbers."""
        return self._in_own_order(self.inner.natural(self.whole(theta)))[self.free]

    def from_natural(self, values: Array) -> Array:
        """Return the free entries."""
        whole = np.empty(self.inner.n_theta)
        whole[self.free] = values
        whole[self.places] = list(self.held.values())
        there = np.empty(whole.size)
        there[self.at.ravel()] = whole[self.place.ravel()]
        return np.asarray(self.inner.from_natural(there)[self.entries])

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return which free entries are at a bound."""
        found = self.inner.at_bound(self.whole(theta), sizes[self.order], tol_sd_eta)
        return np.asarray(found[self.entries])

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return the free entries of the structure's answer; the tied ones follow."""
        found = self.inner.snapped(self.whole(theta), sizes[self.order], tol_sd_eta)
        return np.asarray(found[self.entries])

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return the free entries of the structure's."""
        found = self.inner.restarts(self.whole(theta), sizes[self.order])
        return tuple(np.asarray(each[self.entries]) for each in found)

    def _in_own_order(self, values: Array) -> Array:
        found = np.empty(values.size)
        found[self.place.ravel()] = values[self.at.ravel()]
        return found
