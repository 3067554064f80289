"""The same model fitted again: to another response, or to a changed problem, from a warm start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.levels import level_names
from interlace.priors.penalised import settings_of_approximation
from interlace.refits.near import Known, fit_near, known_fit
from interlace.refits.response import another_response
from interlace.results.fitted_model import Training, require_training
from interlace.results.random_effects import fitted_state
from interlace.threads import blas_threads, threads_of
from interlace_core.contract.approximation import Shortcuts
from interlace_core.contract.problem import Problem
from interlace_core.fitting.constants import least_squares
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.start import (
    START_SIZE,
    Start,
    natural_units,
    unit_theta,
)
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import ConvergenceWarning, DataError
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import AnyEstimates

WEAK_THETA = 0.1
"""A covariance parameter below this share of its usual start begins there instead: the objective
is flat where a standard deviation is 0, and a search that starts there may stay."""


def refit(result: AnyEstimates, y: Any) -> AnyEstimates:
    """Return the same model fitted to another response, started at the estimates.

    Parameters
    ----------
    result : GLMMResult
    y : array-like
        In the form that `simulate(raw=True)` returns: shape (n,), or (n, 2) successes and trials;
        or proportions of the fit's trials, or names of the response's levels, shape (n,).

    Raises
    ------
    DataError
        If its shape is not that of the response of the fit, a value is not finite, or a level is
        none of the fit's.
    ResponseError
        If the family does not take a value.
    """
    training = require_training(result, "refit")
    problem = with_response(training.problem, _codes(y, result.settings.response_levels))
    _require_response(training.problem, problem.y)
    known = known_fit(
        training.problem, training.approximation, result.fit.psi, result.fit.uncertainty
    )
    fit = refit_problem(training, problem, result.fit.psi, known=known)
    return result_of(result, problem, fit)


def refit_ml(result: AnyEstimates) -> AnyEstimates:
    """Return the same model fitted by maximum likelihood; the result itself, unless by REML.

    Raises
    ------
    NotAvailableError
        If the result was saved without the data.
    """
    if not result.restricted:
        return result
    training = require_training(result, "refit_ml")
    likelihood = training.approximation.unrestricted()
    assert likelihood is not None
    training = replace(training, approximation=likelihood)
    fit = refit_problem(training, training.problem, result.fit.psi)
    if not fit.verdict.converged:
        warn(f"refit_ml: {result.formula!r}: {fit.verdict.message}.", ConvergenceWarning)
    return result_of(replace(result, training=training), training.problem, fit)


def result_of(result: AnyEstimates, problem: Problem, fit: Fit) -> AnyEstimates:
    """Return a result for another response of the same model."""
    training = require_training(result, "refit")
    state = fitted_state(problem, fit, training.approximation)
    coefficients = tuple(
        replace(found, estimates=fit.psi[found.place]) for found in result.coefficients
    )
    found = replace(
        result,
        family=problem.family,
        coefficients=coefficients,
        effects=state.effects,
        fit=fit,
        y=problem.y,
        predictors=state.predictors,
        training=replace(training, problem=problem),
        settings=replace(
            result.settings,
            **settings_of_approximation(training.approximation, problem, fit.psi),
        ),
        fitted_by=training.approximation.method,
        known_notes=(),
        look_closer=False,
    )
    return found.with_derived()


def _codes(y: Any, levels: tuple[str, ...]) -> Any:
    """Return codes for names of levels; what is no column of names as it is."""
    try:
        column = pd.Series(y) if levels and np.ndim(y) == 1 else None
    except (TypeError, ValueError):  # rows of unlike lengths
        return y
    if column is None or pd.api.types.is_numeric_dtype(column):
        return y
    codes = pd.Index(levels).get_indexer(pd.Index(level_names(column)))
    if np.any(codes < 0):
        row = int(np.argmin(codes))
        raise DataError(
            f"refit: the response must be levels of that of the fit, {listed(levels)}, or their "
            f"codes from 0; got {shown(column.iloc[row])} in row {row}."
        )
    return codes


def _require_response(problem: Problem, y: Array) -> None:
    """Refuse what the family does not take, or a level that the fit does not have."""
    family = problem.family
    if not family.row_variables:
        paired = y.ndim == 2 and "pair" in family.response_forms
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(y[:, 1] > 0.0, y[:, 0] / y[:, 1], 0.0) if paired else y
        family.check_response(values, y[:, 1] if paired else None)
    names = [each.name for each in family.bind(y).parameters]
    if names != [each.name for each in family.parameters]:
        raise DataError(
            "refit: the response must have the categories of the fit, by name or by codes from 0, "
            f"got {shown(float(np.max(y)))} among its values."
        )


def with_response(problem: Problem, y: Any) -> Problem:
    """Return a problem with another response in the form of its own, or on the scale of its mean.

    Proportions, one per row, are of the trials of the fit.
    """
    family = problem.family
    paired = problem.y.ndim == 2 and "pair" in family.response_forms
    try:
        values = np.asarray(y)
        values = values.astype(np.float64) if values.dtype.kind in "fiubO" else np.zeros(0)
    except (TypeError, ValueError):
        values = np.zeros(0)
    usable = [problem.y.shape, *([problem.y.shape[:1]] if paired else [])]
    if values.shape not in usable or not np.all(np.isfinite(values)):
        got = "numbers that are not finite" if values.shape in usable else shown(y)
        also = f", or proportions, shape {usable[-1]}" if paired else ""
        raise DataError(
            f"refit: the response must be finite numbers of shape {problem.y.shape}, the form that "
            f"simulate(raw=True) returns{also}, got {got}."
        )
    if values.shape != problem.y.shape:
        values = family.check_response(values, problem.y[:, 1]).y
    return another_response(problem, values)


def refit_problem(
    training: Training,
    problem: Problem,
    psi: Array,
    *,
    known: Known | None = None,
    standard_errors: bool = True,
) -> Fit:
    """Return the fit of a problem with the training's components, started near psi.

    Parameters
    ----------
    training : Training
    problem : Problem
        Its own, or one changed in response, rows or columns.
    psi : ndarray, shape (n_psi,) of `problem`
    known : Known, optional
        A fit of the same model to another response, whose curvature saves a search of its own.
    standard_errors : bool
        Whether they are needed; without, `vcov` may be NaN.
    """
    with blas_threads(threads_of(problem, training.threads)):
        if known is not None:
            found = fit_near(
                problem,
                training.approximation,
                known,
                psi,
                standard_errors=standard_errors,
                tol_decrement=training.tol_decrement,
            )
            if found is not None:
                return found
        standard = standard_of(problem)
        here = problem.parts is None
        shortcuts = training.approximation.shortcuts(standard.problem) if here else None
        return fit_problem(
            problem,
            training.approximation,
            training.optimizer,
            start=warm_start(standard.problem, standard.psi(psi), shortcuts),
            tol_decrement=training.tol_decrement,
        )


def psi_of_smaller(problem: Problem, smaller: Problem, psi: Array) -> Array:
    """Return where a model without some fixed effects begins: with the predictors nearest to psi's.

    To leave coefficients out and keep the others would not do: of a covariate far from 0, the
    intercept goes with its coefficient.

    Parameters
    ----------
    problem, smaller : Problem
        With the same terms.
    psi : ndarray, shape (n_psi,) of `problem`

    Returns
    -------
    ndarray, shape (n_psi,) of `smaller`
    """
    whole, part = standard_of(problem), standard_of(smaller)
    psi = whole.psi(psi)
    found = [psi[: problem.n_theta]]
    for old, new, place in zip(
        whole.problem.predictors, part.problem.predictors, problem.beta_slices(), strict=True
    ):
        same = old.X.shape == new.X.shape
        found.append(psi[place] if same else least_squares(new.X, old.X @ psi[place]))
    return part.given_psi(np.concatenate(found))


def warm_start(problem: Problem, psi: Array, shortcuts: Shortcuts | None = None) -> Start:
    """Return a start at psi, with variances that are next to 0 moved away from it."""
    psi = psi.copy()
    units = shortcuts.begin().units if shortcuts else natural_units(problem, psi[problem.n_theta :])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        usual = unit_theta(term, START_SIZE * term.own(units))
        weak = (np.abs(psi[place]) < WEAK_THETA * np.abs(usual)) & (usual != 0.0)
        psi[place] = np.where(weak, usual, psi[place])
    return Start(psi, units)
