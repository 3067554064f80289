"""Products and inverses of many small matrices, stored with the level last: (a, b, L)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, lapack

from interlace_core.messages.errors import NumericalError
from interlace_core.records import Array

MANY_COLUMNS = 16
"""Columns from which products of templates are matrix products, and no longer loops over levels."""


FEW_COLUMNS = 4
"""Columns up to which both products are one, with all products of entries of two templates."""

LARGE_BLOCK = 48
"""Columns from which one matrix is worth calls of its own."""


class NotPositiveDefiniteError(NumericalError):
    """A matrix that has to be positive definite is not."""


def multiply(A: Array, B: Array) -> Array:
    """Return A @ B level by level, shape (a, c, L)."""
    if A.shape[1] <= FEW_COLUMNS:
        return _summed_products(A.transpose(1, 0, 2)[:, :, None], B[:, None])
    return np.asarray(np.einsum("abl,bcl->acl", A, B))


def transpose_multiply(A: Array, B: Array) -> Array:
    """Return A' @ B level by level, shape (b, c, L) from (a, b, L) and (a, c, L)."""
    if len(A) <= FEW_COLUMNS:
        return _summed_products(A[:, :, None], B[:, None])
    return np.asarray(np.einsum("abl,acl->bcl", A, B))


def multiply_transpose(A: Array, B: Array) -> Array:
    """Return A @ B' level by level, shape (a, c, L) from (a, b, L) and (c, b, L)."""
    if A.shape[1] <= FEW_COLUMNS:
        return _summed_products(A.transpose(1, 0, 2)[:, :, None], B.transpose(1, 0, 2)[:, None])
    return np.asarray(np.einsum("abl,cbl->acl", A, B))


def _summed_products(A: Array, B: Array) -> Array:
    """Return the sum over the first axis of A B, entry by entry: so whole vectors are multiplied.

    Rounded as sums in that order; for the few columns it is for, quicker than einsum by half.
    """
    total: Array = A[0] * B[0]
    for one, other in zip(A[1:], B[1:], strict=True):
        total += one * other
    return total


def sandwich(T: Array, A: Array, S: Array) -> Array:
    """Return T' A S level by level for templates T, shape (a, a), and S, shape (c, c)."""
    if T.shape == (1, 1) and S.shape == (1, 1):
        return np.asarray(A * (T[0, 0] * S[0, 0]))
    if max(T.shape[0], S.shape[0]) <= FEW_COLUMNS:
        a, c = T.shape[0], S.shape[0]
        both = (T.T[:, None, :, None] * S.T[None, :, None, :]).reshape(a * c, a * c)
        return np.asarray((both @ A.reshape(a * c, -1)).reshape(A.shape))
    if min(T.shape[0], S.shape[0]) < MANY_COLUMNS:
        return np.asarray(np.tensordot(T, np.einsum("acl,cd->adl", A, S), axes=(0, 0)))
    half = _times(A, S)  # (a, l, d)
    if is_triangular(T):
        return np.stack([left_times(T, each, True) for each in half.transpose(1, 0, 2)], axis=-1)
    return np.ascontiguousarray(np.tensordot(T, half, axes=(0, 0)).transpose(0, 2, 1))


def _times(A: Array, S: Array) -> Array:
    """Return A S level by level, shape (a, L, d); quicker where each A is diagonal."""
    if A.shape[0] == A.shape[1]:
        diagonal = np.einsum("aal->al", A)
        if np.count_nonzero(A) == np.count_nonzero(diagonal):
            return np.asarray(diagonal[:, :, None] * S[:, None, :])
    return np.tensordot(A, S, axes=(1, 0))


def is_triangular(T: Array) -> bool:
    """Return whether a large template is lower triangular: its products then take half the work."""
    return len(T) >= LARGE_BLOCK and not np.any(np.triu(T, 1))


def left_times(T: Array, B: Array, transposed: bool = False) -> Array:
    """Return T B, or T' B, for a lower triangular T, shape (c, d) from (c, c) and (c, d)."""
    # rows of these arrays are columns to BLAS, which is asked for B' T' or B' T
    return np.asarray(blas.dtrmm(1.0, T.T, B.T, side=1, lower=0, trans_a=int(transposed)).T)


def template_times(T: Array, N: Array) -> Array:
    """Return T N level by level, shape (a, d, L), for one template T, shape (a, b)."""
    if not is_triangular(T):
        return np.tensordot(T, N, axes=(1, 0))
    return np.stack([left_times(T, each) for each in np.moveaxis(N, -1, 0)], axis=-1)


def apply(T: Array, x: Array) -> Array:
    """Return T x level by level, shape (a, L), for one matrix T, shape (a, b)."""
    return np.asarray(T[0, 0] * x if T.shape == (1, 1) else T @ x)


def apply_each(A: Array, x: Array) -> Array:
    """Return A x level by level, shape (a, L), for matrices A, shape (a, b, L)."""
    if A.shape[1] <= FEW_COLUMNS:
        return _summed_products(A.transpose(1, 0, 2), x[:, None])
    return np.asarray(np.einsum("abl,bl->al", A, x))


def apply_each_transposed(A: Array, x: Array) -> Array:
    """Return A' x level by level, shape (b, L), for matrices A, shape (a, b, L)."""
    if len(A) <= FEW_COLUMNS:
        return _summed_products(A, x[:, None])
    return np.asarray(np.einsum("abl,al->bl", A, x))


def invert(D: Array) -> tuple[Array, float]:
    """Return the inverses of symmetric positive definite matrices and their total log-determinant.

    Parameters
    ----------
    D : ndarray, shape (c, c, L)

    Raises
    ------
    NotPositiveDefiniteError
        If one of them is not positive definite or not finite.
    """
    c = D.shape[0]
    if c == 1:
        _require_positive(D[0, 0])
        return 1.0 / D, float(np.log(D[0, 0]).sum())
    if c == 2:
        return _invert_two(D)
    inverses, logdet = invert_stack(np.ascontiguousarray(np.moveaxis(D, -1, 0)))
    return np.ascontiguousarray(np.moveaxis(inverses, 0, -1)), logdet


def invert_stack(A: Array) -> tuple[Array, float]:
    """Return the same of matrices that are stored with the level first, shape (L, c, c).

    Raises
    ------
    NotPositiveDefiniteError
        If one of them is not positive definite or not finite.
    """
    if A.shape[1] >= LARGE_BLOCK:
        return _invert_large(A)
    try:
        diagonal = np.diagonal(np.linalg.cholesky(A), axis1=1, axis2=2)
        _require_positive(diagonal)
        # elimination with pivots can meet a 0 that rounding kept from the Cholesky factor
        inverses = np.linalg.inv(A)
    except np.linalg.LinAlgError as error:
        raise NotPositiveDefiniteError("a diagonal block is not positive definite") from error
    return np.asarray(inverses), 2.0 * float(np.sum(np.log(diagonal)))


class LargeBlocks:
    """Cholesky factors of a few large matrices; their inverses when they are asked for.

    Attributes
    ----------
    logdet : float
        Of all of them.

    Raises
    ------
    NotPositiveDefiniteError
        If one of them is not positive definite or not finite.
    """

    def __init__(self, D: Array) -> None:
        """Take the matrices, shape (c, c, L)."""
        self._factors, self.logdet = [], 0.0
        for each in np.moveaxis(D, -1, 0):
            factor, info = lapack.dpotrf(each, lower=0, clean=1)
            diagonal = np.diagonal(factor)
            # not every LAPACK reports what is not a number
            if info != 0 or not np.all(np.isfinite(diagonal)):
                raise NotPositiveDefiniteError("a diagonal block is not positive definite")
            self.logdet += 2.0 * float(np.sum(np.log(diagonal)))
            self._factors.append(factor)

    def solve(self, x: Array) -> Array:
        """Return the solutions, shape (c, L)."""
        solved = [
            lapack.dpotrs(factor, column, lower=0)[0]
            for factor, column in zip(self._factors, x.T, strict=True)
        ]
        return np.stack(solved, axis=1)

    def inverse(self) -> Array:
        """Return the inverses, shape (c, c, L)."""
        found = []
        for factor in self._factors:
            upper, _ = lapack.dpotri(factor, lower=0)
            found.append(upper + np.triu(upper, 1).T)
        return np.ascontiguousarray(np.moveaxis(np.stack(found), 0, -1))


def _invert_large(A: Array) -> tuple[Array, float]:
    """Return the same one by one, from the Cholesky factor: at less than half the work."""
    inverses, logdet = np.empty_like(A), 0.0
    for i, each in enumerate(A):
        factor, info = lapack.dpotrf(each, lower=0, clean=1)
        diagonal = np.diagonal(factor)
        # not every LAPACK reports what is not a number
        if info != 0 or not np.all(np.isfinite(diagonal)):
            raise NotPositiveDefiniteError("a diagonal block is not positive definite")
        logdet += 2.0 * float(np.sum(np.log(diagonal)))
        upper, _ = lapack.dpotri(factor, lower=0)
        inverses[i] = upper + np.triu(upper, 1).T
    return inverses, logdet


def _invert_two(D: Array) -> tuple[Array, float]:
    a, b, d = D[0, 0], D[0, 1], D[1, 1]
    schur = d - b * (b / a)
    _require_positive(a)
    _require_positive(schur)
    determinant = a * schur
    inverse = np.empty_like(D)
    inverse[1, 1] = 1.0 / schur
    inverse[0, 1] = inverse[1, 0] = -b / determinant
    inverse[0, 0] = d / determinant
    return inverse, float(np.sum(np.log(determinant)))


def _require_positive(values: Array) -> None:
    # NaN fails both comparisons; two reductions are all that a small block can afford
    if not (values.min(initial=np.inf) > 0.0 and values.max(initial=0.0) < np.inf):
        raise NotPositiveDefiniteError("a diagonal block is not positive definite")
