"""What changes if a variance or correlation at its boundary is dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interlace.refits.refit import refit_problem
from interlace.results.fitted_model import Training, require_training
from interlace_core.contract.problem import Problem
from interlace_core.covariances import Diagonal
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.start import natural_units
from interlace_core.fitting.verdict import boundary_thetas, vanished
from interlace_core.records import BoolArray

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

COLUMNS = ["term", "found", "without", "df", "loglik", "aic", "aic_change", "prior"]


def singularity(result: Estimates) -> pd.DataFrame:
    """Return one row per term at a boundary, with a refit of the simpler model.

    See `GLMMResult.singularity`.
    """
    training = require_training(result, "singularity")
    problem, psi = training.problem, result.fit.psi
    standard = standard_of(problem)
    inside = standard.psi(psi)
    units = natural_units(standard.problem, inside[problem.n_theta :])
    # a prior can keep what is next to a bound away from it: it has a variance then
    known = np.isfinite(np.diagonal(result.fit.vcov)[: problem.n_theta])
    at = boundary_thetas(standard.problem, inside, units) & ~known
    rows = []
    for index, place in enumerate(problem.theta_slices()):
        if not np.any(at[place]):
            continue
        term = problem.terms[index]
        gone = vanished(term, psi[place], term.own(units))
        if gone.any():
            names = ", ".join(np.array(term.names, dtype=object)[gone])
            found = f"variance of {names} | {term.group} is 0"
            without, simpler = f"{names} | {term.group}", _without_columns(problem, index, gone)
            prior = f'priors={{"sd": {{"{term.group}": interlace.gamma(2, 0.1)}}}}'
        else:
            found = f"covariance of {term.label} is singular (a correlation of 1 or -1)"
            without, simpler = "its correlations", _uncorrelated(problem, index)
            prior = f'priors={{"cor": {{"{term.group}": interlace.lkj(2)}}}}'
        change = _change(result, training, simpler)
        rows.append((f"({term.label})", found, without, *change, prior))
    return pd.DataFrame(rows, columns=COLUMNS)


def _without_columns(problem: Problem, index: int, gone: BoolArray) -> Problem:
    term, kept = problem.terms[index], np.flatnonzero(~gone)
    terms = list(problem.terms)
    if kept.size == 0:
        del terms[index]
    else:
        terms[index] = replace(
            term,
            Z=term.Z[:, kept],
            names=tuple(term.names[i] for i in kept),
            covariance=type(term.covariance)(kept.size, **dict(term.options)),
            along=tuple(term.along[i] for i in kept) if term.along else (),
        )
    return replace(problem, terms=tuple(terms))


def _uncorrelated(problem: Problem, index: int) -> Problem:
    terms = list(problem.terms)
    terms[index] = replace(terms[index], covariance=Diagonal(len(terms[index].names)), options=())
    return replace(problem, terms=tuple(terms))


def _change(
    result: Estimates, training: Training, simpler: Problem
) -> tuple[int, float, float, float]:
    """Return df, log-likelihood, AIC and the change of AIC of a simpler model.

    The last three are NaN for a fit with priors, which is at no maximum of the likelihood.
    """
    if result.penalised:
        return simpler.n_psi, *(float("nan"),) * 3
    beta = result.fit.psi[training.problem.n_theta :]
    fit = refit_problem(training, simpler, np.concatenate([np.zeros(simpler.n_theta), beta]))
    aic = 2.0 * fit.psi.size + 2.0 * fit.value
    return fit.psi.size, -fit.value, aic, aic - (2.0 * result.df + 2.0 * result.fit.value)
