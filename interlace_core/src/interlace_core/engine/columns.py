"""Columns of a design in units and zero points of their own: X = Q R, R triangular.

A column of a size far from 1 is divided by a power of 2. One that is nearly a combination of those
before it (a year beside the intercept, its square beside the year) is replaced by what it has of
its own. All others stay as they are, bit for bit. Of the rows nothing is asked but what adds up:
products of columns, by which most designs are found ordinary, and the triangle of an orthogonal
factorisation, which has all inner products without squaring anything. So rows in parts can answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.calculus.dense import cholesky
from interlace_core.calculus.grams import gram_of
from interlace_core.contract.incidence import Covariates, Incidence, numbers_used, sums_of_squares
from interlace_core.engine.gram import Triangle
from interlace_core.records import Array, BoolArray, IntArray

NEAR_ONE = 1e3
"""Sizes of columns between 1 over this and this are left as they are: the arithmetic of a fit
squares them once or twice, and has 16 digits."""

LEAST_SHARE = 0.1
"""Share of a column's length that is its own, beside the columns before it, from which it is left
as it is: a mean of 10 standard deviations. Information then has a hundredth of its digits in
common, and random slopes' covariance a thousandth."""

NOTHING_LEFT = 1e-9
"""Share below which what a column has of its own is rounding: the column is then left where it is,
and the fit says that the data do not determine its coefficient."""

MAX_PASSES = 3
"""Times that the columns before it are taken out of a column. The second removes what rounding left
in the first; the third only looks."""


@dataclass(frozen=True)
class Columns:
    """What becomes of a design's columns: X = 1 centre' + Q R.

    Attributes
    ----------
    R : ndarray, shape (p, p)
        Triangular with a positive diagonal.
    units : ndarray, shape (p,)
        Powers of 2, by which the columns are divided first.
    order : ndarray of intp, shape (p,)
        In which they are made.
    centre : ndarray, shape (p,)
        What was taken out with an intercept that is no column of X; 0 where there is none.
    """

    R: Array
    units: Array
    order: IntArray
    centre: Array

    def of(self, X: Covariates) -> Array:
        """Return Q, shape (n, p), of some rows; of equal rows of X, equal rows.

        Column by column and without matrix products, which round rows differently.
        """
        Q = np.array(X, order="F")
        for j in self.order:
            q, unit = Q[:, j], self.units[j]
            if unit != 1.0:
                q /= unit
            for i in np.flatnonzero(self.R[:, j]):
                if i != j:
                    q -= self.R[i, j] / unit * Q[:, i]
            if self.centre[j] != 0.0:
                q -= self.centre[j] / unit
            if self.R[j, j] != unit:
                q /= self.R[j, j] / unit
        return Q


def products(X: Array, intercept: bool = False) -> Array:
    """Return X'X, shape (p, p); of a column of ones and X, shape (1 + p, 1 + p), if asked for.

    Infinite or 0 where squares are no numbers.
    """
    gram = gram_of(X)
    if intercept:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            sums = np.sum(X, axis=0)
        gram = np.block([[np.full((1, 1), float(len(X))), sums[None]], [sums[:, None], gram]])
    return gram


def powers_of_two(sizes: Array) -> Array:
    """Return the power of 2 nearest to each size that is far from 1; 1 for the others."""
    far = (sizes > 0.0) & ((sizes >= NEAR_ONE) | (sizes <= 1.0 / NEAR_ONE))
    return np.exp2(np.round(np.log2(np.where(far, sizes, 1.0))))


@dataclass(frozen=True)
class Reach:
    """Sizes of columns over the rows where they are not 0; those of several parts add up.

    Attributes
    ----------
    largest, squares, used : ndarray, shape (p,)
        The largest absolute entry, the sum of squares of entries divided by it, and the number of
        entries that are not 0: the square of an entry may be no number.
    """

    largest: Array
    squares: Array
    used: Array

    @classmethod
    def of(cls, X: Covariates) -> Reach:
        """Return the sizes of the columns of some rows."""
        if isinstance(X, Incidence):
            largest = np.zeros(X.size)
            np.maximum.at(largest, X.at, np.abs(X.z))
            unit = np.where(largest > 0.0, largest, 1.0)[X.at]
            relative = Incidence(X.at, X.z / unit, X.size)
            return cls(largest, sums_of_squares(relative), numbers_used(X))
        p = X.shape[1]
        largest, squares, counts = np.zeros(p), np.zeros(p), np.zeros(p)
        for j, x in enumerate(X.T):
            used = x[x != 0.0]
            if used.size:
                largest[j] = float(np.max(np.abs(used)))
                squares[j] = float(np.sum(np.square(used / largest[j])))
                counts[j] = used.size
        return cls(largest, squares, counts)

    def __add__(self, other: Reach) -> Reach:
        """Return the sizes over the rows of both."""
        largest = np.maximum(self.largest, other.largest)
        scale = np.where(largest > 0.0, largest, 1.0)
        squares = self.squares * np.square(self.largest / scale)
        squares = squares + other.squares * np.square(other.largest / scale)
        return Reach(largest, squares, self.used + other.used)

    @property
    def sizes(self) -> Array:
        """Root mean square of each column over the rows where it is not 0, shape (p,)."""
        return np.asarray(self.largest * np.sqrt(self.squares / np.maximum(self.used, 1.0)))

    def over(self, n: float) -> Array:
        """Return the root mean square of each column over n rows, shape (p,)."""
        return np.asarray(self.largest * np.sqrt(self.squares / n))


@dataclass(frozen=True)
class Rows:
    """How the rows of a design answer.

    Attributes
    ----------
    products : callable
        From units to the mean products of the columns divided by them, those of a column of ones
        first where there is an intercept before the columns.
    reach : callable
        Returns each column's size over the rows where it is not 0, shape (p,).
    triangle : callable
        From units to R with R'R those mean products, upper triangular.
    intercept : bool
        Whether there is an intercept before them.
    """

    products: Callable[[Array], Array]
    reach: Callable[[], Array]
    triangle: Callable[[Array], Array]
    intercept: bool = False

    @classmethod
    def here(cls, X: Covariates, intercept: bool = False) -> Rows:
        """Return the rows of X."""
        n = max(len(X), 1)
        if isinstance(X, Incidence):
            return cls._at_points(X, n)
        return cls(
            lambda units: products(divided(X, units), intercept) / n,
            lambda: Reach.of(X).sizes,
            lambda units: Triangle.of(divided(X, units), intercept).root / np.sqrt(n),
            intercept,
        )

    @classmethod
    def _at_points(cls, X: Incidence, n: int) -> Rows:
        """Return the rows of columns no two of which have a row in common."""
        size = np.sqrt(sums_of_squares(X) / n)
        return cls(
            lambda units: np.diag(np.square(size / units)),
            lambda: Reach.of(X).sizes,
            lambda units: np.diag(size / units),
        )


def divided(X: Array, units: Array) -> Array:
    """Return columns divided by their units; the columns themselves where all are 1."""
    return X if (units == 1.0).all() else np.asarray(X / units)


def standard_columns(
    rows: Rows, p: int, *, factor: float = 1.0, from_last: bool = False
) -> Columns | None:
    """Return columns of size near 1, none nearly a combination of those before it.

    None where the columns are so already.

    Parameters
    ----------
    rows : Rows
        Of finite columns.
    p : int
        Number of columns.
    factor : float
        By which the size of all columns is multiplied.
    from_last : bool
        Whether the order begins with the last column: R is then lower triangular.
    """
    if not p:
        return None
    more, gram = int(rows.intercept), rows.products(np.ones(p))
    units = _units(gram[more:, more:], factor, rows)
    far = bool((units != 1.0).any())
    if far:
        gram = rows.products(units)
    order = np.arange(p)[::-1] if from_last else np.arange(p)
    mixed = _mixed(gram, order, more)
    if not mixed.any():
        if not far:
            return None
        return Columns(np.diag(units), units, order, np.zeros(p))
    return _replaced(rows.triangle(units), units, order, mixed, more)


def _units(gram: Array, factor: float, rows: Rows) -> Array:
    """Return what each column is divided by: 1 where its size is near enough to 1."""
    sizes = factor * np.sqrt(gram.diagonal())
    if ((sizes < NEAR_ONE) & (sizes > 1.0 / NEAR_ONE)).all():
        return np.ones(sizes.size)
    return powers_of_two(factor * rows.reach())


def _mixed(gram: Array, order: IntArray, more: int) -> BoolArray:
    """Return which columns are nearly combinations of those before them, shape (p,).

    Parameters
    ----------
    gram : ndarray, shape (more + p, more + p)
        Mean products of columns.
    order : ndarray of intp, shape (p,)
    more : int
        1 with an intercept before the columns, else 0.
    """
    if len(gram) == 1:  # nothing is before it
        return np.zeros(order.size, dtype=bool)
    size = np.sqrt(gram.diagonal())
    unit = size if (size > 0.0).all() else np.where(size > 0.0, size, 1.0)
    correlation = gram / unit / unit[:, None]
    if order[0] != 0:
        every = np.concatenate([np.arange(more), order + more])
        correlation = correlation[every][:, every]
    correlation.flat[:: len(gram) + 1] = 1.0
    try:
        shares = cholesky(correlation).diagonal()
    except np.linalg.LinAlgError:
        shares = _shares(correlation)
    near = (shares < LEAST_SHARE)[more:]
    if not near.any():
        return near
    found = np.zeros(order.size, dtype=bool)
    found[order] = near
    return found


def _shares(correlation: Array) -> Array:
    """Return the share of each column beside those before it, as Cholesky's pivots.

    A column without a share of its own takes no part in what follows.
    """
    size = len(correlation)
    root, shares = np.zeros((size, size)), np.zeros(size)
    for j in range(size):
        left = correlation[j:, j] - root[j:, :j] @ root[j, :j]
        shares[j] = np.sqrt(max(float(left[0]), 0.0))
        if shares[j] > np.sqrt(size * np.finfo(float).eps):
            root[j:, j] = left / shares[j]
    return shares


def _replaced(W: Array, units: Array, order: IntArray, mixed: BoolArray, more: int) -> Columns:
    """Return what becomes of the columns: the mixed ones are left what others do not explain.

    Parameters
    ----------
    W : ndarray, shape (m, more + p)
        Columns with the inner products that those of the design, divided by their units, have in
        the mean, those of an intercept first.
    """
    p = W.shape[1] - more
    W, R, centre = W.copy(), np.diag(units), np.zeros(p)
    used = np.concatenate([np.ones(more, dtype=bool), np.zeros(p, dtype=bool)])
    for j in order:
        if mixed[j] and used.any():
            left, weights = _own_part(W[:, j + more], W, used)
            if left is None:
                continue
            W[:, j + more], unit = left
            R[:, j] += units[j] * weights[more:]
            centre[j] = units[j] * float(np.sum(weights[:more]))
            R[j, j] = units[j] * unit
        used[j + more] = np.any(W[:, j + more] != 0.0)
    return Columns(R, units, order, centre)


def _own_part(q: Array, W: Array, used: BoolArray) -> tuple[tuple[Array, float] | None, Array]:
    """Return what a column has of its own, scaled to a size near 1, its unit, and the others' part.

    None for the first two where that is rounding.
    """
    q, weights = q.copy(), np.zeros(W.shape[1])
    whole, place = float(np.linalg.norm(q)), np.flatnonzero(used)
    others = W[:, place]
    gram = others.T @ others
    for _ in range(MAX_PASSES):
        step = np.linalg.solve(gram, others.T @ q)
        if not np.any(np.abs(step) > 1e-15 * whole):
            break
        q -= others @ step
        weights[place] += step
    length = float(np.linalg.norm(q))
    if not length > NOTHING_LEFT * whole:
        return None, weights
    unit = float(np.exp2(np.round(np.log2(length))))
    return (q / unit, unit), weights
