"""Terms dropped one at a time, each with its likelihood-ratio test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2

from interlace.inference.compare import REFITTED, statistic_of
from interlace.inference.nested import within
from interlace.inference.parts import drop_columns
from interlace.inference.terms import FixedTerm, find_term, fixed_terms
from interlace.refits.refit import psi_of_smaller, refit_ml, refit_problem
from interlace.results.estimates import Estimates
from interlace.results.fitted_model import require_training
from interlace_core.contract.problem import Problem
from interlace_core.messages.checks import names_of
from interlace_core.messages.errors import OptionError, UnsupportedModelError


def drop1(
    result: Estimates, terms: str | list[str] | None, *, parameter: int | str
) -> pd.DataFrame:
    """Return the likelihood-ratio test of each term that can go; see `GLMMResult.drop1`."""
    if result.penalised:
        raise OptionError(
            "drop1: the fit has priors, so that its optimum is no maximum of the likelihood and "
            "there is no likelihood-ratio test. Fit without priors, or use term_tests."
        )
    heading, result = REFITTED if result.restricted else None, refit_ml(result)
    training = require_training(result, "drop1")
    k = result.parameter_index(parameter)
    present = fixed_terms(result, k)
    rows = {"<none>": (0, result.llf, result.aic, np.nan, np.nan)}
    for term in _to_drop(present, terms):
        problem = _without(training.problem, k, term)
        start = psi_of_smaller(training.problem, problem, result.fit.psi)
        fit = refit_problem(training, problem, start)
        npar = term.columns.size
        statistic = statistic_of(-fit.value, -result.fit.value)
        aic = 2.0 * fit.psi.size + 2.0 * fit.value
        pvalue = float(chi2.sf(statistic, npar)) if fit.verdict.converged else np.nan
        rows[term.name] = (npar, -fit.value, aic, statistic, pvalue)
    columns_ = ["npar", "loglik", "aic", "lrt", "pvalue"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns_)
    return table.rename_axis(columns=heading)


def _to_drop(present: list[FixedTerm], terms: str | list[str] | None) -> list[FixedTerm]:
    if terms is not None:
        names = names_of(terms, "drop1: terms", "a term of the formula")
        chosen = [find_term(present, name, "drop1") for name in names]
    else:
        chosen = [t for t in present if t.factors and not any(t.inside(o) for o in present)]
    for term in chosen:
        holding = [other.name for other in present if term.inside(other)]
        if holding:
            raise OptionError(
                f"drop1: {term.name!r} is part of {', '.join(map(repr, holding))}; a model without "
                "it, but with that, depends on the coding. Drop the interaction first, or use "
                "term_tests."
            )
    return chosen


def _without(problem: Problem, k: int, term: FixedTerm) -> Problem:
    smaller = drop_columns(problem, k, term.columns)
    one = np.ones((problem.n, 1))
    if within(one, problem.predictors[k].X) and not within(one, smaller.predictors[k].X):
        raise UnsupportedModelError(
            f"drop1: {term.name!r} carries the constant of this formula, which has none of its "
            "own; without it the other factors would be coded anew. Write the formula with its "
            "intercept, or fit the smaller model and use anova."
        )
    return smaller
