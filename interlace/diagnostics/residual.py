"""Whether a fit has left a residual, where its search did not rise as it does without one."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.fitting.exact import MEETS, refuse_exact
from interlace_core.records import Array


def require_residual(problem: Problem, eta: Array, doubtful: bool) -> None:
    """Refuse a fit of a response that the model predicts exactly, by `refuse_exact`.

    For a family whose likelihood has an optimum besides, where a search did not rise. One looks
    closer where the means meet the response, or the fit is doubtful.

    Parameters
    ----------
    problem : Problem
    eta : ndarray, shape (K, n)
        Linear predictors of the fit.
    doubtful : bool
        Whether the search ended at a boundary, or short of an optimum.
    """
    observed = problem.family.observed(problem.y)
    if problem.family.is_discrete or len(problem.active()) < 2 or observed.shape != (problem.n,):
        return
    close = MEETS * float(np.ptp(observed))
    for rows in () if doubtful else (slice(0, 8), slice(None)):  # nearly always few rows tell
        mean = problem.family.mean(list(eta[:, rows]))
        if not np.all(np.abs(observed[rows] - mean) <= close):
            return
    refuse_exact(problem)
