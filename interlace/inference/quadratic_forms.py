"""Quadratic forms of estimates: variances by the delta method, and the Wald test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from interlace_core.records import Array

NO_CORRELATION_LEFT = 1e-13
"""Eigenvalue of a correlation matrix that is rounding: a hypothesis that others imply. A covariate
and its square, as far from 0 as the columns of a design may be, leave 1e-8."""


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
    """Return the Wald chi-square of L beta = value, its degrees of freedom and p-value.

    NaN where the covariance, or a hypothesis that was made by it, is not known.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        difference, covariance = L @ beta - value, L @ V @ L.T
    if not np.all(np.isfinite(L)):
        return np.nan, len(L), np.nan
    rank = rank_of(L, V)
    if not np.all(np.isfinite(covariance)):
        return np.nan, rank, np.nan
    statistic = float(difference @ inverse_of(covariance) @ difference)
    return statistic, rank, float(chi2.sf(statistic, rank))


def inverse_of(covariance: Array) -> Array:
    """Return the inverse of a covariance, of any units; the pseudo-inverse of a singular one.

    NaN where it is not known.
    """
    if not np.all(np.isfinite(covariance)):
        return np.full(covariance.shape, np.nan)
    size = errors_of(np.diagonal(covariance))
    correlation = covariance / size / size[:, None]
    inverse = np.linalg.pinv(correlation, rcond=NO_CORRELATION_LEFT, hermitian=True)
    return np.asarray(inverse / size / size[:, None])


def rank_of(L: Array, V: Array) -> int:
    """Return the rank of hypotheses, in units of the coefficients' standard errors."""
    in_errors = L * errors_of(np.diagonal(V))
    length = np.linalg.norm(in_errors, axis=1, keepdims=True)
    return int(np.linalg.matrix_rank(in_errors / np.where(length > 0.0, length, 1.0)))


def boundary_as_known(V: Array, coefficients: Sequence[slice]) -> Array:
    """Return a covariance of all parameters with 0 for variances at a boundary, which have none.

    Where coefficients have none either, as those of a fit that was stopped, they stay NaN.

    Parameters
    ----------
    V : ndarray, shape (n_psi, n_psi)
    coefficients : sequence of slice
        Places of the coefficients among the parameters.
    """
    unknown = np.isnan(np.diagonal(V))
    bound = unknown.copy()
    for place in coefficients:
        bound[place] = False
    if np.any(unknown & ~bound):
        return V
    return np.where(bound | bound[:, None], np.nan_to_num(V, nan=0.0), V)


def errors_of(variances: Array) -> Array:
    """Return standard errors; 1 where there is none, for a change of units."""
    known = np.isfinite(variances) & (variances > 0.0)
    return np.sqrt(np.where(known, variances, 1.0))
