"""Degrees of freedom and F tests for combinations of coefficients whose covariance is estimated.

One combination: `2 v^2 / (g' A g)`, with v its variance, g the slopes of v in the variance
parameters and A their covariance (Satterthwaite 1946; Giesbrecht & Burns 1985). Several at once:
Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378, section 2, or Kenward & Roger (1997),
Biometrics 53, 983-997, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.engine.columns import NEAR_ONE
from interlace_core.records import Array

TOL_REL_EQUAL_DF = 1e-8
"""Degrees of freedom closer than this, relative, are one number."""


@dataclass(frozen=True)
class Spread:
    """A covariance of coefficients, and how it varies with parameters that are estimated.

    Attributes
    ----------
    covariance : ndarray, shape (p, p)
    slopes : ndarray, shape (r, p, p)
        Its derivatives in the variance parameters.
    A : ndarray, shape (r, r)
        Covariance of these.
    adjusted : ndarray, shape (p, p), or None
        Kenward and Roger's covariance, where their tests are wanted.
    """

    covariance: Array
    slopes: Array
    A: Array
    adjusted: Array | None = None


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
    if not np.isfinite(L @ spread.covariance @ L.T).all():
        return FTest(float("nan"), len(L), float("nan"))
    try:
        return _f_test(L, difference, spread)
    except np.linalg.LinAlgError:
        return FTest(float("nan"), len(L), float("nan"))


def _f_test(L: Array, difference: Array, spread: Spread) -> FTest:
    L, difference = _of_like_sizes(*_independent(L, difference), spread.covariance)
    if spread.adjusted is not None:
        return _kenward_roger(L, difference, spread, spread.adjusted)
    return _fai_cornelius(L, difference, spread)


def _independent(L: Array, difference: Array) -> tuple[Array, Array]:
    """Return orthonormal rows that span those of L, with the differences that belong to them."""
    U, sizes, Vt = np.linalg.svd(L, full_matrices=False)
    kept = sizes > max(L.shape) * np.finfo(float).eps * sizes.max(initial=0.0)
    return Vt[kept], (U[:, kept].T @ difference) / sizes[kept]


def _of_like_sizes(L: Array, difference: Array, V: Array) -> tuple[Array, Array]:
    """Return rows of standard error 1 where those of L are of very different units.

    Their joint covariance would lose the smaller ones. Rows of like sizes are left alone: Fai and
    Cornelius' combinations depend on the sizes, and are then those of lmerTest.
    """
    size = np.sqrt(np.einsum("ij,jk,ik->i", L, V, L))
    if not np.all(size > 0.0) or size.max(initial=0.0) <= NEAR_ONE * size.min(initial=np.inf):
        return L, difference
    return L / size[:, None], difference / size


def _fai_cornelius(L: Array, difference: Array, spread: Spread) -> FTest:
    """Return the mean of squared t statistics of uncorrelated combinations, a scaled F."""
    variances, vectors = np.linalg.eigh(L @ spread.covariance @ L.T)
    t = (vectors.T @ difference) / np.sqrt(variances)
    df = np.array([degrees_of_freedom(row, spread) for row in vectors.T @ L])
    return FTest(float(np.mean(np.square(t))), len(L), _pooled(df))


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
    """Return Kenward and Roger's scaled F; the names of the constants are theirs."""
    q = len(L)
    quadratic = float(difference @ np.linalg.solve(L @ adjusted @ L.T, difference))
    Theta = L.T @ np.linalg.solve(L @ spread.covariance @ L.T, L)
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
