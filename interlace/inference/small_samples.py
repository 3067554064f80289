"""Degrees of freedom and F tests for combinations of coefficients whose covariance is estimated.

One combination: `2 v^2 / (g' A g)`, with v its variance, g the slopes of v in the variance
parameters and A their covariance (Satterthwaite 1946; Giesbrecht & Burns 1985). Several at once:
Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378, section 2, or Kenward & Roger (1997),
Biometrics 53, 983-997, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.inference.quadratic_forms import Uncorrelated, rank_of
from interlace_core.engine.columns import NEAR_ONE
from interlace_core.fitting.psi_covariance import root_of
from interlace_core.records import Array

TOL_REL_EQUAL_DF = 1e-8
"""Degrees of freedom closer than this, relative, are one number."""


@dataclass(frozen=True)
class Spread:
    """A covariance of coefficients, and how it varies with parameters that are estimated.

    All of beta~, with beta = back beta~: see `interlace_core.fitting.psi_covariance`.

    Attributes
    ----------
    covariance : ndarray, shape (p, p)
    slopes : ndarray, shape (r, p, p)
        Its derivatives in the variance parameters.
    A : ndarray, shape (r, r)
        Covariance of these.
    adjusted : ndarray, shape (p, p), or None
        Kenward and Roger's covariance, where their tests are wanted.
    back : ndarray, shape (p, p), or None
        None where beta~ is beta.
    """

    covariance: Array
    slopes: Array
    A: Array
    adjusted: Array | None = None
    back: Array | None = None

    def rows(self, L: Array) -> Array:
        """Return combinations of beta~ for those of beta, shape (..., p)."""
        return L if self.back is None else np.asarray(L @ self.back)


@dataclass(frozen=True)
class FTest:
    """An F statistic with its degrees of freedom."""

    F: float
    df: int
    den_df: float

    @property
    def pvalue(self) -> float:
        """The chance of a larger F."""
        from scipy.special import chdtrc, fdtrc

        if np.isinf(self.den_df):
            return float(chdtrc(self.df, self.df * self.F))
        return float(fdtrc(self.df, self.den_df, self.F))


def degrees_of_freedom(L: Array, spread: Spread) -> float:
    """Return the degrees of freedom of one combination L of the coefficients, shape (p,)."""
    return _degrees_of_freedom(spread.rows(L), spread)


def _degrees_of_freedom(L: Array, spread: Spread) -> float:
    """Return them for a combination of beta~."""
    v = float(L @ spread.covariance @ L)
    g = np.einsum("i,rij,j->r", L, spread.slopes, L)
    variance = float(g @ spread.A @ g)
    return 2.0 * v**2 / variance if variance > 0.0 else float("inf")


def f_test(L: Array, difference: Array, spread: Spread) -> FTest:
    """Return the F test of `L beta = value`.

    Parameters
    ----------
    L : ndarray, shape (r, p)
        Of any rank; rows that others imply do not count.
    difference : ndarray, shape (r,)
        L beta less the value.
    spread : Spread

    Returns
    -------
    FTest
        Of NaN where the covariance of the combinations is not finite or has no inverse.
    """
    none = FTest(float("nan"), len(L), float("nan"))
    if not np.isfinite(spread.rows(L) @ spread.covariance).all():
        return none
    root = root_of(spread.covariance)
    errors = np.linalg.norm(spread.rows(np.eye(L.shape[1])) @ root, axis=1)
    rank = rank_of(L, np.square(errors))
    free = Uncorrelated.of(spread.rows(L) @ root, rank)
    if len(free.weights) < rank:
        return none
    try:
        return _f_test(free, L, difference, errors, spread)
    except np.linalg.LinAlgError:
        return none


def _f_test(
    free: Uncorrelated, L: Array, difference: Array, errors: Array, spread: Spread
) -> FTest:
    rows, difference = free.combine(spread.rows(L)), free.combine(difference)
    if spread.adjusted is not None:
        return _kenward_roger(rows, difference, spread, spread.adjusted)
    turned = _fai_cornelius(free.combine(L), errors)
    df = np.array([_degrees_of_freedom(row, spread) for row in turned @ rows])
    return FTest(float(np.mean(np.square(difference))), len(rows), _pooled(df))


def _fai_cornelius(L: Array, errors: Array) -> Array:
    """Return by which weights Fai and Cornelius combine uncorrelated rows of variance 1.

    Their combinations are orthogonal as well, which depends on the units of the coefficients: as
    these are, as in lmerTest, or standard errors where sizes are so unlike that the smaller ones
    would be lost.
    """
    turns, sizes, _ = np.linalg.svd(L, full_matrices=False)
    if sizes.max(initial=0.0) > NEAR_ONE * sizes.min(initial=np.inf):
        turns = np.linalg.svd(L * errors, full_matrices=False)[0]
    return np.asarray(turns.T)


def _pooled(df: Array) -> float:
    """Return the degrees of freedom of F whose mean is that of the mean of squared t's."""
    q = df.size
    if np.all(np.isinf(df)) or np.ptp(df) <= TOL_REL_EQUAL_DF * df.max():
        return float(np.mean(df))
    if np.any(df <= 2.0):
        return 2.0  # the mean of F(1, 2) is infinite: no more can be said
    expected = float(np.sum(1.0 / (1.0 - 2.0 / df)))  # df / (df - 2), also where df is infinite
    return 2.0 * expected / (expected - q)


def _kenward_roger(L: Array, difference: Array, spread: Spread, adjusted: Array) -> FTest:
    """Return Kenward and Roger's scaled F; the names of the constants are theirs.

    L is of uncorrelated combinations, `L V L' = 1`.
    """
    q = len(L)
    quadratic = float(difference @ np.linalg.solve(L @ adjusted @ L.T, difference))
    Theta = L.T @ L
    moved = [Theta @ slope for slope in spread.slopes]
    traces = np.array([np.trace(each) for each in moved])
    A1 = float(traces @ spread.A @ traces)
    A2 = float(np.sum(spread.A * [[np.sum(a * b.T) for b in moved] for a in moved]))
    if A2 <= 0.0:
        return FTest(quadratic / q, q, float("inf"))
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2.0 - g]) / (3.0 * q + 2.0 * (1.0 - g))
    mean = 1.0 / (1.0 - A2 / q)
    variance = 2.0 / q * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))
    rho = variance / (2.0 * mean**2)
    m = 4.0 + (q + 2.0) / (q * rho - 1.0)
    return FTest(m / (mean * (m - 2.0)) * quadratic / q, q, float(m))
