"""Roots of correlation matrices that depend on parameters, and slopes through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

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
        inner = np.tril(self.C.T @ np.tril(dC))
        inner[np.diag_indices(len(inner))] *= 0.5
        half = solve_triangular(self.C, inner.T, lower=True, trans="T").T  # inner C^-1
        found = solve_triangular(self.C, half, lower=True, trans="T") / (1.0 + NUGGET)
        return np.asarray(found)


def correlation_root(R: Array) -> CorrelationRoot:
    """Return the Cholesky factor of a correlation matrix, shape (c, c).

    A share of 1e-10 of the variance is made independent, so that a singular matrix has one.
    """
    definite = (R + NUGGET * np.eye(len(R))) / (1.0 + NUGGET)
    return CorrelationRoot(np.asarray(cholesky(definite, lower=True)))
