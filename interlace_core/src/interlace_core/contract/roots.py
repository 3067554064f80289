"""Roots of correlation matrices that depend on parameters, and slopes through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, cholesky

from interlace_core.records import Array

NUGGET = 1e-10
"""Share of the variance that each effect has of its own: correlations of smooth processes are
singular to rounding at once."""


@dataclass(frozen=True)
class CorrelationRoot:
    """The Cholesky factor of a correlation matrix.

    Attributes
    ----------
    C : ndarray, shape (c, c)
        Lower triangular, C C' = R.
    """

    C: Array

    def pullback(self, dC: Array) -> Array:
        """Return dF/dR, shape (c, c), from dF/dC (Murray 2016, arXiv:1602.07527)."""
        # rows of these arrays are columns to BLAS, to which C is the upper triangular C'
        inner = np.tril(blas.dtrmm(1.0, self.C.T, np.tril(dC).T, side=1, lower=0, trans_a=1).T)
        inner[np.diag_indices(len(inner))] *= 0.5
        half = blas.dtrsm(1.0, self.C.T, inner.T, side=0, lower=0)  # (inner C^-1)'
        found = blas.dtrsm(1.0 / (1.0 + NUGGET), self.C.T, half.T, side=0, lower=0)
        return np.asarray(found)


def correlation_root(R: Array) -> CorrelationRoot:
    """Return the Cholesky factor of a correlation matrix, shape (c, c).

    A share of 1e-10 of the variance is made independent, so that a singular matrix has one.
    """
    definite = (R + NUGGET * np.eye(len(R))) / (1.0 + NUGGET)
    return CorrelationRoot(np.asarray(cholesky(definite, lower=True)))
