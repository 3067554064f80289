"""Tests of proportional odds: whether a term's effect differs between thresholds, or has a scale.

Each term of the location is given effects on every threshold (partial proportional odds; Peterson &
Harrell 1990), or on the logarithm of the latent scale (Cox 1995), and the fit compared with the
given one by its likelihood: ordinal's `nominal_test` and `scale_test`, with random effects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from interlace.inference.compare import statistic_of
from interlace.inference.parts import drop_columns
from interlace.inference.terms import FixedTerm, find_term, fixed_terms
from interlace.refits.refit import refit_problem
from interlace.results.fitted_model import require_training
from interlace_core.contract.problem import Predictor, Problem
from interlace_core.messages.checks import names_of
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

Larger = tuple[Problem, Array]
"""A problem and psi of the given fit in it."""


def nominal_test(result: Estimates, terms: str | list[str] | None) -> pd.DataFrame:
    """Return the test of each term's effects on the thresholds; see `CLMMResult.nominal_test`."""
    return _tests(result, terms, "nominal_test", _with_nominal)


def scale_test(result: Estimates, terms: str | list[str] | None) -> pd.DataFrame:
    """Return the test of each term's effects on the scale; see `CLMMResult.scale_test`."""
    if any(each.parameter.role == "dispersion" for each in result.coefficients):
        raise OptionError(
            "scale_test: the fit has a scale already. Test the terms of a fit without one, or "
            "compare fits by anova."
        )
    return _tests(result, terms, "scale_test", _with_scale)


def _tests(
    result: Estimates,
    terms: str | list[str] | None,
    who: str,
    larger: Callable[[Problem, Array, FixedTerm], Larger | None],
) -> pd.DataFrame:
    if result.penalised:
        raise OptionError(
            f"{who}: the fit has priors, so that its optimum is no maximum of the likelihood and "
            "there is no likelihood-ratio test. Fit without priors."
        )
    training = require_training(result, who)
    present = fixed_terms(result, 0)
    names = None if terms is None else names_of(terms, f"{who}: terms", "a term of the formula")
    chosen = present if names is None else [find_term(present, name, who) for name in names]
    rows = {"<none>": (0, result.llf, result.aic, np.nan, np.nan)}
    for term in chosen:
        found = larger(training.problem, result.fit.psi, term)
        if found is None:
            rows[term.name] = (0, np.nan, np.nan, np.nan, np.nan)
            continue
        problem, psi = found
        fit = refit_problem(training, problem, psi)
        more = fit.psi.size - result.fit.psi.size
        statistic = statistic_of(-result.fit.value, -fit.value)
        pvalue = float(chi2.sf(statistic, more)) if fit.verdict.converged else np.nan
        aic = 2.0 * fit.psi.size + 2.0 * fit.value
        rows[term.name] = (more, -fit.value, aic, statistic, pvalue)
    columns = ["npar", "loglik", "aic", "lrt", "pvalue"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _with_nominal(problem: Problem, psi: Array, term: FixedTerm) -> Larger | None:
    """Return the problem with a term moved from the location to all that stands in for it.

    A term that is there already, or in which thresholds cannot differ, is not tested.
    """
    change = problem.family.intercept_stand_in()
    mean, thresholds = problem.predictors[0], _of_role(problem, "threshold")
    if change is None or len(thresholds) < 2:
        return None
    X, names = mean.X[:, term.columns], tuple(mean.names[j] for j in term.columns)
    if any(name in problem.predictors[k].names for k in thresholds for name in names):
        return None
    effect = psi[problem.beta_slices()[0]][term.columns]
    # thresholds that move together move as the location does, the other way
    added = {
        k: (_extended(problem.predictors[k], X, names), -change[k - 1] * effect) for k in thresholds
    }
    parts = [psi[place] for place in problem.beta_slices()]
    parts[0] = np.delete(parts[0], term.columns)
    smaller = drop_columns(problem, 0, term.columns)
    predictors = list(smaller.predictors)
    for k, (predictor, values) in added.items():
        predictors[k], parts[k] = predictor, np.concatenate([parts[k], values])
    start = np.concatenate([psi[: problem.n_theta], *parts])
    return replace(smaller, predictors=tuple(predictors)), start


def _with_scale(problem: Problem, psi: Array, term: FixedTerm) -> Larger | None:
    """Return the problem with a term on the scale as well."""
    mean = problem.predictors[0]
    family: Any = replace(problem.family, scaled=True)  # type: ignore[type-var]
    place = next(k for k, each in enumerate(family.parameters) if each.role == "dispersion")
    X, names = mean.X[:, term.columns], tuple(mean.names[j] for j in term.columns)
    scale = Predictor(family.parameters[place], X, names, np.zeros(problem.n))
    predictors = list(problem.predictors)
    predictors.insert(place, scale)
    parts = [psi[each] for each in problem.beta_slices()]
    parts.insert(place, np.zeros(len(names)))
    terms = tuple(
        replace(
            each,
            predictor=each.predictor + int(each.predictor >= place),
            along=tuple(k + int(k >= place) for k in each.along),
        )
        for each in problem.terms
    )
    larger = replace(problem, family=family, predictors=tuple(predictors), terms=terms)
    return larger, np.concatenate([psi[: problem.n_theta], *parts])


def _of_role(problem: Problem, role: str) -> list[int]:
    found = enumerate(problem.predictors)
    return [k for k, each in found if each.parameter.role == role and each.parameter.fixed is None]


def _extended(predictor: Predictor, X: Array, names: tuple[str, ...]) -> Predictor:
    return replace(predictor, X=np.column_stack([predictor.X, X]), names=(*predictor.names, *names))
