"""What is said where a parameter went to a limit of its family."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.family import Parameter
from interlace_core.contract.problem import Problem
from interlace_core.fitting.fitted import Fit

UNDETERMINED = 5.0
"""Standard error beyond which an intercept on a logarithmic scale is not determined by the
data."""

LIMIT_ETA = 8.0
"""A parameter that the data do not determine counts as infinite where its predictor lies beyond
this: on a log scale a factor of 3000 from 1, on a logit scale a probability of 0.0003. From half
of it on, it also does where only the end of its 95% interval lies beyond."""


def limit_notes(problem: Problem, fit: Fit) -> tuple[str, ...]:
    """Return a note for each parameter that went to a limit of its family.

    Further parameters where they are constant, and the mean where its predictor went there at the
    columns' means (its intercept alone is at 0 of every column, wherever that is): a limit is a
    property of the family, not of a column.
    """
    notes = []
    for predictor, place in zip(problem.predictors, problem.beta_slices(), strict=True):
        parameter = predictor.parameter
        constant = predictor.names == ("Intercept",)
        if "Intercept" not in predictor.names or not (constant or parameter.role == "mean"):
            continue
        if not (parameter.at_upper or parameter.at_lower):
            continue
        middle = predictor.X.mean(axis=0)
        eta = float(middle @ fit.psi[place])
        with np.errstate(invalid="ignore"):
            se = float(np.sqrt(middle @ fit.vcov[place, place] @ middle))
        becomes = parameter.at_upper if eta > 0 else parameter.at_lower
        far = abs(eta) >= LIMIT_ETA
        far |= abs(eta) >= 0.5 * LIMIT_ETA and abs(eta) + 2.0 * se >= LIMIT_ETA
        if becomes and far and not se < UNDETERMINED:
            notes.append(_limit(problem.family.name, parameter, eta, becomes, fit))
    return tuple(notes)


def _limit(family: str, parameter: Parameter, eta: float, becomes: str, fit: Fit) -> str:
    looked = ": searches from elsewhere found nothing higher" if len(fit.searches) > 1 else ""
    simpler = "The simpler model has next to the same log-likelihood and one parameter less."
    if not fit.verdict.converged:  # a density may rise without end on the way
        simpler = "No optimum was reached: the log-likelihood may rise without end towards it."
    return (
        f"{parameter.name} = {float(parameter.link.mu(eta)):.3g} is at its limit, where the "
        f"family {family!r} becomes {becomes}{looked}. {simpler}"
    )
