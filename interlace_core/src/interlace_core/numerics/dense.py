"""Solves and inverses from the Cholesky factor of one dense matrix, by LAPACK."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from interlace_core.records import Array


def dense_solve(cholesky: Array, x: Array) -> Array:
    """Return S^-1 x from the upper Cholesky factor in LAPACK's order."""
    solution, _ = lapack.dpotrs(cholesky, x, lower=0)
    return np.asarray(solution)


def dense_inverse(cholesky: Array) -> Array:
    """Return S^-1, both triangles filled."""
    upper, _ = lapack.dpotri(cholesky, lower=0)
    inverse = upper + upper.T
    diagonal = np.arange(len(inverse))
    inverse[diagonal, diagonal] *= 0.5
    return np.asarray(inverse)
