"""Generalised least squares from products of a few columns, the random effects eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from interlace_core.contract import Array

LEAST_LEFT = 1e-13
"""Of the residual's sum of squares without random effects, below which what these leave of it is
rounding: a thousandth of it would be already, and the likelihood of nothing has no bound."""

NO_MATTER = 1e-6
"""Log-likelihood by which rounding may move a value: where a small sigma is held, all is small."""


@dataclass(eq=False)
class Reduced:
    """A linear mixed model at one theta and sigma, as products of a few columns.

    Of the columns [Q r]: Q orthonormal with X = Q R, r the response less X times `start`.

    Attributes
    ----------
    M : ndarray, shape (p + 1, p + 1)
        [Q r]'V^-1 [Q r].
    logdet : float
        log|H|.
    R : ndarray, shape (p, p)
        Upper triangular.
    start : ndarray, shape (p,)
    n : int
    log_sigma, log_weights : float
        Of the residual standard deviation, and summed over all weights.
    whole : float
        r'r in units of sigma, of which M has what the random effects leave.
    """

    M: Array
    logdet: float
    R: Array
    start: Array
    n: int
    log_sigma: float
    log_weights: float
    whole: float

    @cached_property
    def root(self) -> Array:
        """The lower Cholesky factor of Q'V^-1 Q, shape (p, p)."""
        return np.asarray(np.linalg.cholesky(self.M[:-1, :-1]))

    @cached_property
    def gamma(self) -> Array:
        """Generalised least squares in the orthonormal columns, shape (p,)."""
        half = triangular_solution(self.root, self.M[:-1, -1], lower=True)
        return triangular_solution(self.root, half, lower=True, transposed=True)

    @property
    def beta(self) -> Array:
        """Generalised least-squares coefficients, shape (p,)."""
        return np.asarray(self.start + triangular_solution(self.R, self.gamma))

    @cached_property
    def inverse_root(self) -> Array:
        """B with B B' = (X'V^-1 X)^-1 in the orthonormal columns, shape (p, p)."""
        return triangular_solution(self.root, np.eye(len(self.root)), lower=True, transposed=True)

    def covariance(self) -> Array:
        """Return (X'V^-1 X)^-1, shape (p, p)."""
        half = triangular_solution(self.R, self.inverse_root)
        return np.asarray(half @ half.T)

    @cached_property
    def residual(self) -> Array:
        """The combination of [Q r] that is the response less X beta, shape (p + 1,)."""
        return np.append(-self.gamma, 1.0)

    def deviance(self, restricted: bool) -> float:
        """Return the negative (restricted) log-likelihood, with all constants.

        Raises
        ------
        LinAlgError
            If what random effects leave of the response is no more than rounding.
        """
        left = float(self.residual @ self.M @ self.residual)
        if not left + NO_MATTER >= LEAST_LEFT * self.whole:
            raise np.linalg.LinAlgError("nothing but rounding is left of the response")
        p = len(self.root)
        rank = self.n - p if restricted else self.n
        total = rank * np.log(2.0 * np.pi) + 2.0 * self.n * self.log_sigma - self.log_weights
        total += self.logdet + left
        if restricted:
            logs = np.log(np.diagonal(self.root)), np.log(np.abs(np.diagonal(self.R)))
            total += 2.0 * float(np.sum(logs))
        return 0.5 * float(total)

    def columns(self, restricted: bool) -> Array:
        """Return combinations of [Q r], shape (p + 1, m), whose sum of s'V^-1 s the criterion has.

        By half of which it moves: the residual's, and for REML those of the coefficients.
        """
        columns = self.residual[:, None]
        if not restricted:
            return columns
        return np.hstack([columns, self.fixed_columns()])

    def fixed_columns(self) -> Array:
        """Return the combinations of Q whose covariance is the identity, shape (p + 1, p)."""
        return np.vstack([self.inverse_root, np.zeros((1, len(self.root)))])


def triangular_solution(
    A: Array, x: Array, *, lower: bool = False, transposed: bool = False
) -> Array:
    """Return A^-1 x of a triangular A, or of its transpose.

    Without the checks of `scipy.linalg.solve_triangular`, which take longer than a small one.

    Raises
    ------
    LinAlgError
        If A is singular.
    """
    if not len(A):
        return np.zeros_like(x)
    found, failed = lapack.dtrtrs(A, x, lower=lower, trans=transposed)
    if failed:
        raise np.linalg.LinAlgError("singular triangle")
    return np.asarray(found)
