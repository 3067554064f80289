"""Factorisations of small dense matrices, by LAPACK without what surrounds it elsewhere.

A fit makes a dozen of them of a few rows each, and `numpy.linalg` takes ten times as long for such
a one as the arithmetic.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from interlace_core.records import Array


def cholesky(A: Array) -> Array:
    """Return L, lower triangular, with L L' a symmetric matrix of numbers, shape (n, n).

    Raises
    ------
    LinAlgError
        If it is not positive definite.
    """
    L, failed = lapack.dpotrf(A, lower=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return np.asarray(L)


def eigh(A: Array) -> tuple[Array, Array]:
    """Return eigenvalues, in ascending order, and eigenvectors in columns, of a symmetric matrix.

    Parameters
    ----------
    A : ndarray, shape (n, n)
        Finite.

    Raises
    ------
    LinAlgError
        If they are not found.
    """
    if not A.size:
        return np.zeros(0), np.zeros((0, 0))
    values, vectors, failed = lapack.dsyevd(A, lower=1)
    if failed:
        raise np.linalg.LinAlgError("eigenvalues did not converge")
    return np.asarray(values), np.asarray(vectors)


def singular_values(A: Array) -> Array:
    """Return the singular values of a finite matrix, the largest first.

    Raises
    ------
    LinAlgError
        If they are not found.
    """
    if not A.size:
        return np.zeros(0)
    _, values, _, failed = lapack.dgesdd(A, compute_uv=0)
    if failed:
        raise np.linalg.LinAlgError("singular values did not converge")
    return np.asarray(values)


def triangle(A: Array) -> Array:
    """Return R of A = Q R, shape (min(n, p), p)."""
    if not A.size:
        return np.zeros((min(A.shape), A.shape[1]))
    if A.size > FEW_NUMBERS:  # in blocks
        return np.asarray(np.linalg.qr(A, mode="r"))
    found = lapack.dgeqrf(A)[0]
    return np.asarray(np.triu(found[: min(A.shape)]))


def solution(A: Array, b: Array) -> Array | None:
    """Return the solution of A x = b; None unless A is positive definite by far.

    Parameters
    ----------
    A : ndarray, shape (n, n)
        Symmetric, its diagonal near 1.
    b : ndarray, shape (n,)
    """
    if not A.size:
        return np.zeros(0)
    L, x, failed = lapack.dposv(A, b, lower=1)
    if failed or not float(L.diagonal().min()) > LEAST_PIVOT:
        return None
    return np.asarray(x)


FEW_NUMBERS = 4096
"""Entries of a matrix up to which an orthogonal factorisation takes no longer row by row."""

LEAST_PIVOT = 1e-4
"""Of Cholesky's factor of a matrix with a diagonal of 1: its condition is then below 1e8 n."""
