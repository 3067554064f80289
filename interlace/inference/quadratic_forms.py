"""Quadratic forms of estimates: variances by the delta method, and the Wald test."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from interlace_core.records import Array


def quadratic_form(slope: Array, vcov: Array) -> float:
    """Return slope' V slope over the entries that matter; NaN if one of them has no variance."""
    moving = np.flatnonzero(slope)
    block = vcov[np.ix_(moving, moving)]
    return float(slope[moving] @ block @ slope[moving])


def wald_chi_square(L: Array, beta: Array, V: Array, value: Array) -> dict[str, float]:
    """Return `chi_square` by name."""
    return dict(zip(("chisq", "df", "pvalue"), chi_square(L, beta, V, value), strict=True))


def chi_square(
    L: Array, beta: Array, V: Array, value: Array | float = 0.0
) -> tuple[float, int, float]:
    """Return the Wald chi-square of L beta = value, its degrees of freedom and p-value."""
    difference, covariance = L @ beta - value, L @ V @ L.T
    rank = int(np.linalg.matrix_rank(L))
    if not np.all(np.isfinite(covariance)):
        return np.nan, rank, np.nan
    statistic = float(difference @ np.linalg.pinv(covariance, hermitian=True) @ difference)
    return statistic, rank, float(chi2.sf(statistic, rank))
