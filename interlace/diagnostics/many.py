"""Covariances with more parameters than the data can tell of, which take long to be fitted."""

from __future__ import annotations

from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import DataWarning
from interlace_core.messages.warn import warn

MANY = 20
"""Variance parameters of a term from which a search can take minutes: each step measures a slope in
every one of them, and the Hessian at the end in every pair."""

FEW_ROWS = 10
"""Rows per variance parameter below which it will, since next to nothing is known of most."""


def warn_of_many(problem: Problem, who: str) -> None:
    """Warn before a search that takes long because few rows tell of many variances."""
    if problem.parts is not None or problem.family.linear_normal:  # whose effects have no search
        return
    for term in problem.terms:
        count = term.covariance.n_theta
        if count >= MANY and problem.n < FEW_ROWS * count:
            warn(
                f"{who}: the covariance of ({term.label}) has {count} parameters, for "
                f"{problem.n} rows: the data tell little of them, and the fit may take minutes. "
                f"Structures with fewer are diag({term.label}), cs({term.label}) and "
                f"rr({term.label}); max_seconds= ends a fit at the best point so far.",
                DataWarning,
            )
