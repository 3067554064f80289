"""Quadratic forms of estimates: the Wald test of several combinations at once.

Everything is made of roots, A with A A' the covariance of the combinations: a covariance itself
has lost every digit where combinations are as alike as an intercept and the mean at a value near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.records import Array

NO_LENGTH_LEFT = 1e-10
"""Share of its length, in standard errors, that a hypothesis has beside others if these imply it.
A covariate and its square, as far from 0 as the columns of a design may be, leave 1e-8."""


def wald_chi_square(
    L: Array, psi: Array, covariance: PsiCovariance, value: Array
) -> dict[str, float]:
    """Return `chi_square` by name."""
    return dict(zip(("chisq", "df", "pvalue"), chi_square(L, psi, covariance, value), strict=True))


def chi_square(
    L: Array, psi: Array, covariance: PsiCovariance, value: Array | float = 0.0
) -> tuple[float, int, float]:
    """Return the Wald chi-square of L psi = value, its degrees of freedom and p-value.

    NaN where the covariance, or a hypothesis that was made by it, is not known.
    """
    if not np.all(np.isfinite(L)):
        return np.nan, len(L), np.nan
    root = covariance.roots(L)
    rank = rank_of(L, np.diagonal(covariance.given))
    if not np.all(np.isfinite(root)):
        return np.nan, rank, np.nan
    independent = Uncorrelated.of(root, rank)
    statistic = float(np.sum(np.square(independent.combine(L @ psi - value))))
    return statistic, rank, float(chi2.sf(statistic, rank))


@dataclass(frozen=True)
class Uncorrelated:
    """Combinations of hypotheses that have variance 1 and no correlation.

    Attributes
    ----------
    weights : ndarray, shape (k, r)
        Of each hypothesis in each combination.
    """

    weights: Array

    @classmethod
    def of(cls, root: Array, rank: int | None = None) -> Uncorrelated:
        """Return them for a root of the hypotheses' covariance, shape (r, m).

        Parameters
        ----------
        root : ndarray
        rank : int, optional
            The most that there can be.
        """
        length = np.linalg.norm(root, axis=1)
        length = np.where(length > 0.0, length, 1.0)
        U, sizes, _ = np.linalg.svd(root / length[:, None], full_matrices=False)
        kept = sizes > NO_LENGTH_LEFT * sizes.max(initial=0.0)
        kept[len(kept) if rank is None else rank :] = False
        return cls(U[:, kept].T / sizes[kept, None] / length)

    def combine(self, hypotheses: Array) -> Array:
        """Return the combinations of numbers, or of rows, that belong to the hypotheses."""
        return np.asarray(self.weights @ hypotheses)


def rounding_of(L: Array, V: Array) -> float:
    """Return by how much of itself rounding of V may move a standard error of the hypotheses.

    Of sums whose terms cancel, and once more where the hypotheses are nearly the same.

    Parameters
    ----------
    L : ndarray, shape (r, m)
    V : ndarray, shape (m, m)
        To 16 digits, and no more.
    """
    moving = np.flatnonzero(np.any(L != 0.0, axis=0))
    L, V = L[:, moving], V[np.ix_(moving, moving)]
    variances, terms = np.diagonal(L @ V @ L.T), np.diagonal(np.abs(L) @ np.abs(V) @ np.abs(L).T)
    if not (np.all(np.isfinite(terms)) and np.all(variances > 0.0)):
        return 0.0 if not np.all(np.isfinite(terms)) else np.inf
    sizes = np.sqrt(variances)
    spectrum = np.linalg.eigvalsh(L @ V @ L.T / sizes / sizes[:, None])
    least = float(spectrum[len(L) - rank_of(L, np.diagonal(V))])
    lost = float(np.max(terms / variances)) * np.finfo(np.float64).eps
    return 0.5 * lost / least if least > 0.0 else np.inf


def rank_of(L: Array, variances: Array) -> int:
    """Return the rank of hypotheses, in units of the coefficients' standard errors."""
    in_errors = L * errors_of(variances)
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
