"""The outcome of a minimisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import Array, BoolArray, OptimizerResult

TOL_ABS_SAME = 1e-4
"""Log-likelihood within which two searches ended at the same height."""


@dataclass(frozen=True)
class Searched:
    """One of several searches for the highest likelihood.

    Attributes
    ----------
    origin : str
        Where it began, in words.
    value : float
        Negative log-likelihood where it ended.
    converged : bool
        Whether that was an optimum.
    lost : str
        Groups whose density all but lost its mode there, in words: the value is then none of the
        likelihood, and counts for nothing beside one of a search that lost none.
    """

    origin: str
    value: float
    converged: bool
    lost: str = ""


@dataclass(frozen=True)
class Fit:
    """The outcome of a minimisation.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
        Estimates (theta, beta_1, ..., beta_K).
    value : float
        Negative log-likelihood.
    gradient : ndarray, shape (n_psi,)
    uncertainty : PsiCovariance
        Inverse of the Hessian over the free parameters; NaN in rows of parameters at a bound,
        enormous for those that the data do not determine.
    undetermined : ndarray of bool, shape (n_psi,)
        Parameters on which the likelihood no longer depends where the fit ended.
    mode : ndarray, shape (q,)
        Conditional mode of u.
    verdict : Verdict
    optimizer : OptimizerResult
    n_evaluations, n_failed, n_inner : int
        Objective calls, those that failed, and Newton steps for the mode in all.
    path : tuple of (float, float)
        Value and largest scaled gradient entry of each successful evaluation, in order.
    seconds : float
    searches : tuple of Searched
        Every search there was, in order, if there was more than one.
    unsound : str
        Why the value is not near the log-likelihood, if it is not; empty otherwise. The density of
        a group has all but lost its mode there, or has a better one than that of the value.
    lost : str
        The groups, in words, whose density all but lost its mode; empty if none did.
    profiled_covariance : ndarray, shape (p, p), or None
        Covariance of the entries of psi that the approximation profiled out, given the others; in
        the units of `uncertainty.inner`.
    """

    psi: Array
    value: float
    gradient: Array
    uncertainty: PsiCovariance
    undetermined: BoolArray
    mode: Array
    verdict: Verdict
    optimizer: OptimizerResult
    n_evaluations: int
    n_failed: int
    n_inner: int
    path: tuple[tuple[float, float], ...]
    seconds: float
    searches: tuple[Searched, ...] = ()
    unsound: str = ""
    lost: str = ""
    profiled_covariance: Array | None = None

    def __repr__(self) -> str:
        return (
            f"<Fit of {self.psi.size} parameters, log-likelihood {-self.value:.6g}, "
            f"{self.verdict.status}, {self.n_evaluations} evaluations>"
        )

    def search_report(self) -> str:
        """Return how many searches there were and how many of them reached the highest point."""
        sound = [each for each in self.searches if not each.lost] or list(self.searches)
        lost = len(self.searches) - len(sound)
        best = min((each.value for each in sound), default=self.value)
        lower = [each.value - best for each in sound]
        same = sum(each <= TOL_ABS_SAME for each in lower)
        others = f"; the others ended up to {max(lower):.3g} lower" if same < len(lower) else ""
        if lost:
            others += (
                f"; {lost} ended where a group all but loses its mode, which counts for nothing"
            )
        count = len(self.searches)
        return f"{count}, of which {same} ended at the highest log-likelihood{others}"

    @property
    def vcov(self) -> Array:
        """Covariance of psi, shape (n_psi, n_psi); see `uncertainty`."""
        return self.uncertainty.given

    def variance(self, slope: Array) -> float:
        """Return the variance of a combination of psi, as it is reported.

        NaN if an entry in it has none, infinite if it is one that the data do not determine.
        """
        moving = np.flatnonzero(slope)
        if not self.undetermined[moving].any():
            return self.uncertainty.variance(slope)
        block = self.covariance()[np.ix_(moving, moving)]
        return float(slope[moving] @ block @ slope[moving])

    def covariance(self) -> Array:
        """Return the covariance of psi as it is reported, shape (n_psi, n_psi).

        As `vcov`, but infinite for a parameter that the data do not determine, NaN beside it.
        """
        reported = self.vcov.copy()
        reported[self.undetermined, :] = reported[:, self.undetermined] = np.nan
        reported[self.undetermined, self.undetermined] = np.inf
        return reported

    def standard_errors(self) -> Array:
        """Return the standard error of each entry of psi, shape (n_psi,); see `covariance`."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diagonal(self.covariance()))
