"""Which columns of a design are linear combinations of those before them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from interlace_core.engine.gram import weighted_gram
from interlace_core.records import Array

# R's lm.fit and its mixed models drop a column whose part orthogonal to the columns before it
# is shorter than 1e-7 of the column.
TOL_REL_RESIDUAL = 1e-7

# The Gram matrix squares lengths: its pivots are exact to about n * 1e-16, so one above 1e-8
# (a residual of 1e-4) is safe for up to millions of rows; below it the exact test decides.
_SAFE_PIVOT = 1e-8

_LEAST, _MOST = 1e-140, 1e140
"""Squared lengths between which neither squares nor their products leave what numbers can be."""


def independent_columns(X: Array) -> npt.NDArray[np.bool_]:
    """Return which columns are no linear combination of the columns before them, shape (p,).

    The test does not depend on the scale of the columns. A column of zeros is dependent.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Finite.
    """
    n, p = X.shape
    if p == 0:
        return np.ones(0, dtype=bool)
    gram = _gram(X)
    if not np.all((np.diagonal(gram) > _LEAST) & (np.diagonal(gram) < _MOST)):
        # Divided by the largest entry first, so that squares neither overflow nor vanish.
        largest = np.abs(X).max(axis=0)
        X = X / np.where(largest > 0, largest, 1.0)
        gram = _gram(X)
    length = np.sqrt(np.diagonal(gram))
    scale = np.where(length > 0, length, 1.0)
    if n >= p and _clearly_independent(gram / np.outer(scale, scale)):
        return np.ones(p, dtype=bool)
    # R has the inner products of the columns of X, exact to rounding.
    (R,) = scipy.linalg.qr(X / scale, mode="r", check_finite=False)
    return _sweep(np.asarray(R[: min(n, p)], dtype=np.float64))


def relations(X: Array, keep: npt.NDArray[np.bool_]) -> Array:
    """Return how the other columns follow from those kept, shape (kept, others).

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
    return np.asarray(found * scale[~keep] / scale[keep][:, None])


def _gram(X: Array) -> Array:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return weighted_gram(X, np.ones(len(X)), X)


def _clearly_independent(gram: Array) -> bool:
    try:
        pivots = np.diag(np.linalg.cholesky(gram)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > _SAFE_PIVOT)


def _sweep(R: Array) -> npt.NDArray[np.bool_]:
    """Return the columns of unit length that add a direction, by Gram-Schmidt in order."""
    independent = np.zeros(R.shape[1], dtype=bool)
    basis = np.zeros((R.shape[0], 0))
    for place in range(R.shape[1]):
        residual = R[:, place]
        # Twice is enough: the second pass removes what rounding left in the first.
        for _ in range(2):
            residual = residual - basis @ (basis.T @ residual)
        length = float(np.linalg.norm(residual))
        if length > TOL_REL_RESIDUAL:
            independent[place] = True
            basis = np.column_stack([basis, residual / length])
    return independent
