"""What may be wrong with a fit that converged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contracts import Parameter
from interlace_core.fitting.fitted import Fit
from interlace_core.records import Array, Problem

FAR_ETA = 8.0
"""A coefficient that moves eta by more than this over its column's range puts a probability
below 0.0004, or a rate apart by a factor of 3000: seen with separated data only when it is also
undetermined."""

UNDETERMINED = 5.0
"""Standard error, over the column's range, beyond which a coefficient on a logarithmic scale is
not determined by the data."""

LIMIT_ETA = 8.0
"""A parameter that the data do not determine counts as infinite where its predictor lies beyond
this: on a log scale a factor of 3000 from 1, on a logit scale a probability of 0.0003. From half
of it on, it also does where only the end of its 95% interval lies beyond."""


def limit_notes(problem: Problem, fit: Fit) -> tuple[str, ...]:
    """Return a note for each parameter that went to a limit of its family.

    Further parameters where they are constant, and the mean where its intercept went there: a
    limit is a property of the family, not of a column.
    """
    notes = []
    for predictor, place in zip(problem.predictors, problem.beta_slices(), strict=True):
        parameter = predictor.parameter
        constant = predictor.names == ("Intercept",)
        if "Intercept" not in predictor.names or not (constant or parameter.role == "mean"):
            continue
        j = predictor.names.index("Intercept")
        eta = float(fit.psi[place][j])
        with np.errstate(invalid="ignore"):
            se = float(np.sqrt(np.diagonal(fit.vcov)[place][j]))
        becomes = parameter.at_upper if eta > 0 else parameter.at_lower
        far = abs(eta) >= LIMIT_ETA
        far |= abs(eta) >= 0.5 * LIMIT_ETA and abs(eta) + 2.0 * se >= LIMIT_ETA
        if becomes and far and not se < UNDETERMINED:
            notes.append(_limit(problem.family.name, parameter, eta, becomes, fit))
    return tuple(notes)


def _limit(family: str, parameter: Parameter, eta: float, becomes: str, fit: Fit) -> str:
    looked = ": searches from elsewhere found nothing higher" if fit.searches else ""
    return (
        f"{parameter.name} = {float(parameter.link.mu(eta)):.3g} is at its limit, where the "
        f"family {family!r} becomes {becomes}{looked}. "
        "The simpler model has next to the same log-likelihood and one parameter less."
    )


def separation_notes(problem: Problem, fit: Fit) -> tuple[str, ...]:
    """Return a note for each predictor with coefficients that run off to infinity.

    Only for predictors whose link maps a bounded or half-bounded scale to the whole line: there
    a perfectly predictive column has no finite estimate, and the fit stops far out, where the
    log-likelihood is flat.
    """
    notes = []
    for predictor, place in zip(problem.predictors, problem.beta_slices(), strict=True):
        link = predictor.parameter.link
        half_bounded = np.any(np.isfinite(link.domain)) and not np.any(np.isfinite(link.eta_domain))
        bounded = half_bounded or predictor.parameter.latent
        if not bounded or not predictor.X.shape[1] or predictor.parameter.role != "mean":
            continue
        reach = np.max(np.abs(predictor.X), axis=0)
        beta = fit.psi[place]
        with np.errstate(invalid="ignore"):
            se = np.sqrt(np.diagonal(fit.vcov)[place])
        vague = ~(se * reach < UNDETERMINED)
        vague &= ~(np.abs(beta) > 2.0 * se)  # far out, but told from 0 by the data
        if predictor.parameter.at_lower:  # its intercept's limit is not the data's fault
            vague &= ~((beta < 0.0) & (np.array(predictor.names) == "Intercept"))
        runaway = np.flatnonzero(vague & (np.abs(beta) * reach > FAR_ETA)).tolist()
        # the intercept runs off with the column that separates; that column is the cause
        runaway.sort(key=lambda j: (predictor.names[j] == "Intercept", j))
        if runaway:
            note = _separation(predictor.names, beta, se, runaway)
            notes.append(note + ("" if predictor.parameter.latent else _PRIOR))
    return tuple(notes)


_PRIOR = ' A weak prior, priors={"fixed": interlace.normal(0, 2.5)}, gives a finite estimate.'


def _separation(names: Sequence[str], beta: Array, se: Array, runaway: Sequence[int]) -> str:
    first, *others = runaway
    note = (
        f"column {names[first]!r} separates the response (perfectly or nearly): its "
        f"coefficient {beta[first]:.1f} has no finite estimate and its standard error "
        f"({se[first]:.3g}) means nothing. Drop the column, merge levels, or report the "
        "likelihood-ratio test instead of the coefficient."
    )
    if others:
        listed = ", ".join(f"{names[j]!r} ({beta[j]:.1f})" for j in others)
        note += f" The coefficient of {listed} runs off with it."
    return note
