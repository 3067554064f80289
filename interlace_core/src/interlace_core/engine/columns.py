"""Columns of a design in units and zero points of their own: X = Q R, R triangular.

A column of a size far from 1 is divided by a power of 2. One that is nearly a combination of those
before it (a year beside the intercept, its square beside the year) is replaced by what it has of
its own. All others stay as they are, bit for bit. Of the rows nothing is asked but sums of products
of columns, so that rows in parts can answer too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """A design in other columns, X = 1 centre' + Q R.

    Attributes
    ----------
    Q : ndarray, shape (n, p)
        Of equal rows of X, equal rows.
    R : ndarray, shape (p, p)
        Triangular with a positive diagonal.
    centre : ndarray, shape (p,)
        What was taken out with an intercept that is no column of X; 0 where there is none.
    """

    Q: Array
    R: Array
    centre: Array


def products(X: Array) -> Array:
    """Return X'X, shape (p, p); infinite or 0 where squares are no numbers."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(X.T @ X)


def powers_of_two(sizes: Array) -> Array:
    """Return the power of 2 nearest to each size that is far from 1; 1 for the others."""
    far = (sizes > 0.0) & ((sizes >= NEAR_ONE) | (sizes <= 1.0 / NEAR_ONE))
    return np.exp2(np.round(np.log2(np.where(far, sizes, 1.0))))


def reach(X: Array) -> Array:
    """Return the root mean square of each column over the rows where it is not 0, shape (p,)."""
    sizes = np.zeros(X.shape[1])
    for j, x in enumerate(X.T):
        used = x[x != 0.0]
        if used.size:
            largest = float(np.max(np.abs(used)))  # divided by first: its square may be no number
            sizes[j] = largest * float(np.sqrt(np.mean(np.square(used / largest))))
    return sizes


def standard_columns(
    X: Array, *, factor: float = 1.0, centred: bool = False, from_last: bool = False
) -> Columns | None:
    """Return X in columns of size near 1, none nearly a combination of those before it.

    None where the columns of X are so already.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite.
    factor : float
        By which the size of all columns is multiplied.
    centred : bool
        Whether there is an intercept beside them, before the first.
    from_last : bool
        Whether the order begins with the last column: R is then lower triangular.
    """
    n, p = X.shape
    if not n or not p:
        return None
    gram = _mean_products(X, centred)
    units = _units(X, gram[-p:, -p:], factor)
    if np.any(units != 1.0):
        gram = _mean_products(X / units, centred)
    order = np.arange(p)[::-1] if from_last else np.arange(p)
    mixed = _mixed(gram, order, gram.shape[0] - p)
    if np.all(units == 1.0) and not mixed.any():
        return None
    return _replaced(X, units, order, mixed, gram, centred)


def _mean_products(X: Array, centred: bool) -> Array:
    """Return X'X / n, of an intercept and X if there is one before the columns."""
    gram = products(X)
    if centred:
        sums = np.sum(X, axis=0)
        gram = np.block([[np.full((1, 1), float(len(X))), sums[None]], [sums[:, None], gram]])
    return np.asarray(gram / len(X))


def _units(X: Array, gram: Array, factor: float) -> Array:
    """Return what each column is divided by: 1 where its size is near enough to 1."""
    sizes = factor * np.sqrt(np.diagonal(gram))
    if np.all((sizes < NEAR_ONE) & (sizes > 1.0 / NEAR_ONE)):
        return np.ones(sizes.size)
    return powers_of_two(factor * reach(X))


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
    every = np.concatenate([np.arange(more), order + more])
    size = np.sqrt(np.diagonal(gram))
    unit = np.where(size > 0.0, size, 1.0)
    correlation = (gram / unit / unit[:, None])[np.ix_(every, every)]
    correlation[np.diag_indices_from(correlation)] = 1.0
    try:
        shares = np.diagonal(np.linalg.cholesky(correlation))
    except np.linalg.LinAlgError:
        shares = _shares(correlation)
    found = np.zeros(order.size, dtype=bool)
    found[order] = (shares < LEAST_SHARE)[more:]
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


def _replaced(
    X: Array, units: Array, order: IntArray, mixed: BoolArray, gram: Array, centred: bool
) -> Columns:
    """Return the columns divided by their units, the mixed ones less what others explain."""
    p = X.shape[1]
    Q, R, centre = np.array(X, order="F"), np.diag(units), np.zeros(p)
    for j in np.flatnonzero(units != 1.0):
        Q[:, j] /= units[j]
    gram, used = gram.copy(), np.concatenate([np.ones(int(centred), dtype=bool), np.zeros(p, bool)])
    more = int(centred)
    for j in order:
        if mixed[j] and used.any():
            left, weights = _own_part(Q[:, j], Q, gram, used, more)
            if left is None:
                continue
            q, unit = left
            Q[:, j] = q
            R[:, j] += units[j] * weights[more:]
            centre[j] = units[j] * float(np.sum(weights[:more]))
            R[j, j] = units[j] * unit
            row = _products_with(q, Q, more)
            gram[j + more], gram[:, j + more] = row, row
        used[j + more] = gram[j + more, j + more] > 0.0
    return Columns(Q, R, centre)


def _own_part(
    q: Array, Q: Array, gram: Array, used: BoolArray, more: int
) -> tuple[tuple[Array, float] | None, Array]:
    """Return what a column has of its own, scaled to a size near 1, its unit, and the others' part.

    None for the first two where that is rounding. Column by column and without matrix products, so
    that equal rows stay equal.
    """
    q, weights = q.copy(), np.zeros(more + Q.shape[1])
    whole = float(np.sqrt(np.mean(np.square(q))))
    place = np.flatnonzero(used)
    for _ in range(MAX_PASSES):
        step = np.linalg.solve(gram[np.ix_(place, place)], _products_with(q, Q, more)[place])
        if not np.any(np.abs(step) > 1e-15 * whole):
            break
        for i, w in zip(place, step, strict=True):
            q -= w if i < more else w * Q[:, i - more]
        weights[place] += step
    length = float(np.sqrt(np.mean(np.square(q))))
    if not length > NOTHING_LEFT * whole:
        return None, weights
    unit = float(np.exp2(np.round(np.log2(length))))
    return (q / unit, unit), weights


def _products_with(q: Array, Q: Array, more: int) -> Array:
    """Return the mean products of a column with the intercept, if there is one, and with all."""
    own = Q.T @ q / q.size
    return np.append(np.full(more, np.mean(q)), own) if more else np.asarray(own)
