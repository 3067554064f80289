"""The record of a fit from what was fitted and what came of it."""

from __future__ import annotations

from typing import Any

from interlace.config.fit_options import FitOptions
from interlace.diagnostics.residual import require_residual
from interlace.priors import settings_of_approximation
from interlace.results.fit_settings import FitSettings
from interlace.results.fitted_model import AnyFit, Coefficients
from interlace.results.fitted_to import Training, fitted_state
from interlace.results.random_effects import term_places
from interlace_core.data.request import ModelRequest
from interlace_core.driver import Prepared
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.registry.blame import guard


def record_of(
    ready: Prepared, fit: Fit, request: ModelRequest, options: FitOptions, returns: type[AnyFit]
) -> AnyFit:
    """Return a fit as a record.

    Parameters
    ----------
    ready : Prepared
        What was fitted.
    fit : Fit
    request, options
        What was asked.
    returns : class
        Of the record: `FittedModel`, or one derived from it.

    Raises
    ------
    ExactResponseError
        If the model predicts the response exactly.
    """
    model, approximation, optimizer = ready.model, ready.approximation, ready.optimizer
    problem = model.problem
    state = fitted_state(problem, fit, approximation)
    with guard(problem.family, "result"):
        doubtful = not fit.verdict.converged or bool(fit.verdict.boundary)
        require_residual(problem, state.eta, doubtful)
    coefficients = tuple(
        Coefficients(predictor.parameter, predictor.names, fit.psi[where], where)
        for predictor, where in zip(problem.predictors, problem.beta_slices(), strict=True)
    )
    training = Training(problem, approximation, optimizer, options.tol_decrement)
    return returns(
        formula=model.formula,
        family=model.family,
        coefficients=coefficients,
        terms=term_places(problem),
        effects=state.effects,
        fit=fit,
        rows=model.rows,
        y=problem.y,
        weights=problem.weights,
        eta=state.eta,
        eta_fixed=state.eta_fixed,
        encoder=model.encoder,
        settings=_settings(ready, fit, request, options),
        fitted_by=approximation.method,
        dropped_columns=model.dropped_columns,
        notes=model.notes,
        training=training,
    )


def _settings(ready: Prepared, fit: Fit, request: ModelRequest, options: FitOptions) -> FitSettings:
    """Return what was used for a fit."""
    layout = layout_of(standard_of(ready.model.problem).problem)
    return FitSettings(
        optimizer=repr(ready.optimizer),
        structure=layout.plan.describe(layout.structure),
        new_levels=options.new_levels,
        parameters=dict(request.parameters),
        weights=_as_text(request.weights),
        response_levels=ready.model.response_levels,
        configured=options.configured,
        **settings_of_approximation(ready.approximation, ready.model.problem, fit.psi),
    )


def _as_text(weights: Any) -> str | None:
    """Return weights as they were written, "array" for values without a name."""
    return weights if weights is None or isinstance(weights, str) else "array"
