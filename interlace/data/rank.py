"""Which columns of a design are linear combinations of those before them, exactly or nearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from interlace.data.moments import Moments
from interlace_core.calculus.grams import gram_of
from interlace_core.messages.errors import DataError
from interlace_core.records import Array, IntArray

# R's lm.fit and its mixed models drop a column whose part orthogonal to the columns before it
# is shorter than 1e-7 of the column.
TOL_REL_RESIDUAL = 1e-7

# The Gram matrix squares lengths: its pivots are exact to about n * 1e-16, so one above 1e-8
# (a residual of 1e-4) is safe for up to millions of rows; below it the exact test decides.
_SAFE_PIVOT = 1e-8

EXACT = 1e-13
"""Residual, relative to a column, below which it is a combination of others but for rounding."""

MOST_SPREADS = 30.0
"""Mean of a covariate of a scale without a constant, in standard deviations, where fits are still
those of the covariate less its mean; at 100 a standard error was off by a factor of 9."""

_LEAST, _MOST = 1e-140, 1e140
"""Squared lengths between which neither squares nor their products leave what numbers can be."""


def independent_columns(X: Array, gram: Array | None = None) -> npt.NDArray[np.bool_]:
    """Return which columns are no linear combination of the columns before them, shape (p,).

    The test does not depend on the scale of the columns. A column of zeros is dependent.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite.
    gram : ndarray, shape (p, p), optional
        `X'X`, where it is known.
    """
    return np.asarray(_own_lengths(X, gram) > TOL_REL_RESIDUAL)


def of_ordinary_size(gram: Array) -> bool:
    """Return whether columns are finite and can be squared, by their products; False if unclear."""
    squares = gram.diagonal()
    return bool(((squares > _LEAST) & (squares < _MOST)).all())


def advice_on_columns(X: Array, names: Sequence[str], gram: Array | None = None) -> tuple[str, ...]:
    """Return what to do with each column that is next to a combination of those before it.

    Next to one, and not one to rounding: what it has of its own is less than 1e-7 of its length,
    of which 16 digits leave too few.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite.
    names : sequence of str, length p
    gram : ndarray, shape (p, p), optional
        `X'X`, where it is known.
    """
    own = _own_lengths(X, gram)
    advice = []
    for j in np.flatnonzero(own <= TOL_REL_RESIDUAL).tolist():
        if _is_nearly_constant(X[:, j]):
            advice.append(
                f"{names[j]!r} varies by less than 1e-7 of its size, too little beside a constant: "
                "subtract a constant from it, such as its mean."
            )
        elif own[j] > EXACT:
            advice.append(
                f"What {names[j]!r} has beside those columns is less than 1e-7 of its length: "
                "subtract a constant from the variable that it is made of, or use poly()."
            )
    return tuple(advice)


def refuse_far_factors(X: Moments, names: Sequence[str], what: str) -> None:
    """Refuse columns far from 0 of a part whose exponential divides all else, without a constant.

    `exp(x g)` at a mean of x of hundreds of standard deviations is 1e10 and more, and so many times
    larger would be every other estimate, and its units another power of g.

    Parameters
    ----------
    X : Moments
        Of p columns, over all rows.
    names : sequence of str, length p
    what : str
        The part.

    Raises
    ------
    DataError
    """
    for name, mean, spread, used in zip(names, X.mean, X.spread, X.used, strict=True):
        if used < X.n:  # a level of a factor
            continue
        if spread > 0.0 and abs(mean) > MOST_SPREADS * spread:
            raise DataError(
                f"{what}: {name!r} lies {abs(mean) / spread:.3g} standard deviations from 0, and "
                f"without a constant in that part all other estimates are those at {name} = 0. "
                "Expected a covariate nearer to 0: subtract a constant from it, such as its mean."
            )


def _is_nearly_constant(x: Array) -> bool:
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0.0 or np.ptp(x) == 0.0:
        return False
    x = x / largest
    return bool(np.std(x) <= TOL_REL_RESIDUAL * np.sqrt(np.mean(np.square(x))))


def _own_lengths(X: Array, gram: Array | None = None) -> Array:
    """Return the length of what each column has beside those before it, relative, shape (p,).

    Columns that have less than counts are left out of what follows; 1 where all have plenty.
    """
    n, p = X.shape
    if p == 0:
        return np.ones(0)
    gram = gram_of(X) if gram is None else gram
    if not of_ordinary_size(gram):
        # Divided by the largest entry first, so that squares neither overflow nor vanish.
        largest = np.abs(X).max(axis=0)
        X = X / np.where(largest > 0, largest, 1.0)
        gram = gram_of(X)
    if p == 1 and n and gram[0, 0] > 0.0:  # nothing is before it
        return np.ones(1)
    length = np.sqrt(gram.diagonal())
    scale = np.where(length > 0, length, 1.0)
    if n >= p and _clearly_independent(gram / scale / scale[:, None]):
        return np.ones(p)
    # R has the inner products of the columns of X, exact to rounding.
    (R,) = scipy.linalg.qr(X / scale, mode="r", check_finite=False)
    return _sweep(np.asarray(R[: min(n, p)], dtype=np.float64))


def lengths_by(gram: Array, n: int, triangle: Callable[[], Array]) -> Array:
    """Return the length of what each column has beside those before it, relative, shape (p,).

    For columns that are not here.

    Parameters
    ----------
    gram : ndarray, shape (p, p)
        Their products.
    n : int
        Number of rows.
    triangle : callable
        Returns R of an orthogonal factorisation of the columns; asked for where products leave
        doubt.
    """
    length = np.sqrt(np.diagonal(gram))
    scale = np.where((length > 0) & np.isfinite(length), length, 1.0)
    sound = np.all((np.diagonal(gram) > _LEAST) & (np.diagonal(gram) < _MOST))
    if sound and n >= len(gram) and _clearly_independent(gram / np.outer(scale, scale)):
        return np.ones(len(gram))
    R = triangle()
    length = np.sqrt(np.einsum("ij,ij->j", R, R))
    return _sweep(R / np.where(length > 0, length, 1.0))


TOL_REL_DEPENDENCE = 1e-6
"""How closely new data must follow the dependence of columns."""


@dataclass(frozen=True)
class Dependence:
    """Which columns of a design were dropped, and how they follow from those kept.

    Coefficients of the columns kept stand for those of all, but only for rows that depend in the
    same way: the others are no combination of rows of the fit, and have no estimate (in R,
    "non-estimable").

    Attributes
    ----------
    kept : ndarray of intp, shape (p,)
    dropped : ndarray of intp, shape (d,)
    relations : ndarray, shape (p, d)
        `X_dropped = X_kept relations` in the rows of the fit.
    """

    kept: IntArray
    dropped: IntArray
    relations: Array

    def holds(self, full: Array) -> npt.NDArray[np.bool_]:
        """Return for which rows of a design with all columns it holds, shape (n,)."""
        X, dropped = full[:, self.kept], full[:, self.dropped]
        size = np.abs(X) @ np.abs(self.relations) + np.abs(dropped)
        off = np.abs(X @ self.relations - dropped) > TOL_REL_DEPENDENCE * size
        return np.asarray(~np.any(off, axis=1))


def dependence(X: Array, keep: npt.NDArray[np.bool_]) -> Dependence:
    """Return how the other columns follow from those kept.

    Entries that are rounding are 0, so that a column which no row uses asks nothing of others.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite.
    keep : ndarray of bool, shape (p,)
        As `independent_columns` returns it.
    """
    largest = np.abs(X).max(axis=0, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    Q, R = scipy.linalg.qr(X[:, keep] / scale[keep], mode="economic", check_finite=False)
    found = scipy.linalg.solve_triangular(R, Q.T @ (X[:, ~keep] / scale[~keep]))
    found[np.abs(found) < TOL_REL_RESIDUAL] = 0.0
    relations = np.asarray(found * scale[~keep] / scale[keep][:, None])
    return Dependence(np.flatnonzero(keep), np.flatnonzero(~keep), relations)


def _clearly_independent(gram: Array) -> bool:
    factor, failed = scipy.linalg.lapack.dpotrf(gram, lower=1)
    return not failed and bool((factor.diagonal() ** 2).min() > _SAFE_PIVOT)


def _sweep(R: Array) -> Array:
    """Return the lengths of what columns of unit length add, by Gram-Schmidt in order."""
    lengths = np.zeros(R.shape[1])
    basis = np.zeros((R.shape[0], 0))
    for place in range(R.shape[1]):
        residual = R[:, place]
        # Twice is enough: the second pass removes what rounding left in the first.
        for _ in range(2):
            residual = residual - basis @ (basis.T @ residual)
        length = lengths[place] = float(np.linalg.norm(residual))
        if length > TOL_REL_RESIDUAL:
            basis = np.column_stack([basis, residual / length])
    return lengths
