"""A fit in readable steps: family, problem, approximation, optimizer, fit, result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem
from interlace_core.data.identification import Fitting
from interlace_core.data.problem import Model, build_problem
from interlace_core.data.request import FitOptions, ModelRequest
from interlace_core.engine.joint_density import layout_of
from interlace_core.fitting.diagnostics import accuracy_notes, limit_notes
from interlace_core.fitting.exact import require_residual
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.fit_settings import FitSettings
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.fitted_model import AnyFit, Coefficients
from interlace_core.fitting.fitted_to import Training, fitted_state
from interlace_core.fitting.priors import held_by_priors, penalise, settings_of_approximation
from interlace_core.fitting.random_effects import term_places
from interlace_core.fitting.separation import separation_notes
from interlace_core.fitting.verdict import with_columns
from interlace_core.formulas.formula import parse_formula
from interlace_core.messages.errors import (
    AmbiguousNameError,
    ConvergenceWarning,
    OptionError,
)
from interlace_core.messages.warn import warn
from interlace_core.records import Array
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry, default_registry


def fit_glmm(
    request: ModelRequest,
    options: FitOptions,
    *,
    returns: type[AnyFit],
    registry: Registry | None = None,
) -> AnyFit:
    """Fit a generalised linear mixed model by maximum likelihood.

    Parameters
    ----------
    request : ModelRequest
        What is fitted.
    options : FitOptions
        How.
    returns : class
        Of the result: `FittedModel`, or one derived from it.
    registry : Registry, optional
        Where names are looked up; that of the process by default.
    """
    ready = prepare(request, options, registry=registry)
    problem = ready.model.problem
    fit = fit_problem(
        problem,
        ready.approximation,
        ready.optimizer,
        theta0=_checked_theta0(request.theta0, problem, request.who),
        starts=options.starts,
        tol_decrement=options.tol_decrement,
        verbose=options.verbose,
    )
    result = _result(returns, fit, ready)
    verdict = result.fit.verdict
    if not verdict.converged or verdict.status == "not determined":
        warn(f"{request.who}: {verdict.message}.", ConvergenceWarning)
    return result


@dataclass(frozen=True)
class Prepared:
    """Everything that a fit needs.

    Attributes
    ----------
    model : Model
    approximation : Approximation
    optimizer : Optimizer
    request : ModelRequest
        What was asked.
    options : FitOptions
    """

    model: Model
    approximation: Approximation
    optimizer: Optimizer
    request: ModelRequest
    options: FitOptions


def prepare(
    request: ModelRequest, options: FitOptions, *, registry: Registry | None = None
) -> Prepared:
    """Return what a fit needs: the model as arrays and the components chosen; see `fit_glmm`."""
    registry = registry or default_registry()
    family = as_family(request.family, registry, options.prefer, request.who)
    parameters = dict(request.parameters)
    if "zero" in parameters:
        parameters, family = with_asked_zero_part(parameters, family, registry)
    integral = as_approximation(registry, options, request.who)
    with guard(None, "data"):
        model = build_problem(
            replace(request, parameters=parameters),
            family,
            covariance=lambda name: registry.covariance(name, prefer=options.prefer),
            fitting=Fitting(integral.method.restricted, integral.precision_weights),
        )
    approximation = penalise(integral, request.priors)
    with guard(approximation, "check"):
        approximation.require(model.problem)
    optimizer = as_optimizer(registry, options, request.who)
    return Prepared(model, approximation, optimizer, request, options)


def as_family(family: Any, registry: Registry, prefer: Mapping[str, str], who: str) -> Family:
    """Return a family from its name, its class or an instance.

    Raises
    ------
    OptionError
        If it is none of these.
    UnknownNameError
        If no installed plugin provides the name.
    """
    if isinstance(family, str):
        return registry.family(family, prefer=prefer)()
    chosen: Family = _as_instance(family, Family, "family", who)
    return chosen


def with_asked_zero_part(
    parameters: dict[str, str], family: Family, registry: Registry
) -> tuple[dict[str, str], Family]:
    """Return formulas and family with the zero part that was asked for; `~ 0` asks for none.

    Raises
    ------
    OptionError
        If none is asked for of a family that has one.
    UnsupportedModelError
        If the family's response is not a count.
    """
    text = parameters["zero"]
    if not parse_formula(text, response=False, argument="ziformula").is_empty:
        return parameters, composed(family, "zero", registry)
    if any(parameter.role == "zero" for parameter in family.parameters):
        raise OptionError(
            f"ziformula: expected terms, or 1, for family {family.name!r}, got {text!r}, which "
            "asks for no zero part. Choose the family without one, or leave ziformula out."
        )
    return {key: each for key, each in parameters.items() if key != "zero"}, family


def composed(family: Family, role: str, registry: Registry) -> Family:
    """Return the family itself if it has a parameter of a role, else its composition with one.

    The first composition that takes the family serves; without any, the family stays as it is.

    Raises
    ------
    UnsupportedModelError
        If there are compositions for the role and none takes the family.
    """
    if any(parameter.role == role for parameter in family.parameters):
        return family
    made = (
        offer.cls.of(family) for offer in registry.classes("composition") if offer.cls.role == role
    )
    return next((found for found in made if found is not None), family)


def as_approximation(registry: Registry, options: FitOptions, who: str) -> Approximation:
    """Return the approximation that the options ask for.

    A name with nAGQ passes nAGQ on to it; nAGQ alone chooses by what approximations serve.
    """
    asked, nAGQ, given = options.approximation, options.nAGQ, options.given
    if "nAGQ" in given and "approximation" not in given:
        asked = None  # a number of points in the call is stronger than a configured name
    if isinstance(asked, str):
        cls = registry.approximation(asked, prefer=options.prefer)
        return cls.from_nAGQ(nAGQ) if "nAGQ" in given else cls()
    if asked is not None:
        instance: Approximation = _as_instance(asked, Approximation, "approximation", who)
        return instance
    serving = [
        each
        for each in registry.classes("approximation")
        if each.cls.serves_nAGQ is not None and nAGQ in each.cls.serves_nAGQ
    ]
    if not serving:
        raise OptionError(
            f"{who}: no installed approximation serves nAGQ={nAGQ!r}. Installed ones serve "
            f"{_served(registry)}."
        )
    if len(serving) > 1:
        names = ", ".join(f"{each.distribution}:{each.name}" for each in serving)
        raise AmbiguousNameError(
            f"{who}: nAGQ={nAGQ} is served by {names}. Choose one with approximation=NAME."
        )
    chosen: Approximation = serving[0].cls.from_nAGQ(nAGQ)
    return chosen


def _served(registry: Registry) -> str:
    return ", ".join(
        f"{each.cls.serves_nAGQ.start} to {each.cls.serves_nAGQ.stop - 1} ({each.name})"
        for each in registry.classes("approximation")
        if each.cls.serves_nAGQ is not None
    )


def as_optimizer(registry: Registry, options: FitOptions, who: str) -> Optimizer:
    """Return the optimizer that is asked for, with its own options.

    Raises
    ------
    OptionError
        If an option is not one of the optimizer's, or options come with an instance.
    """
    asked, its_options = options.optimizer, options.optimizer_options
    if isinstance(asked, Optimizer):
        if its_options:
            raise OptionError(
                f"{who}: optimizer_options go with an optimizer's name; give them to "
                f"{type(asked).__name__}(...) itself."
            )
        return asked
    if isinstance(asked, str):
        cls = registry.optimizer(asked, prefer=options.prefer)
    else:
        cls = type(_as_instance(asked, Optimizer, "optimizer", who))
    known: list[str] = [each.name for each in fields(cls)] if is_dataclass(cls) else []
    unknown = [option for option in its_options if option not in known]
    if unknown:
        raise OptionError(
            f"optimizer {cls.name!r} has no option {', '.join(map(repr, unknown))}. "
            f"Its options are {', '.join(known)}."
        )
    return cls(**its_options)


def _as_instance(given: Any, contract: Any, kind: str, who: str) -> Any:
    if isinstance(given, contract):
        return given
    if isinstance(given, type) and issubclass(given, contract):
        return given()
    raise OptionError(
        f"{who}: {kind} must be a name, a class derived from interlace_core.{contract.__name__} "
        f"or an instance of one, got {type(given).__name__}."
    )


def _checked_theta0(theta0: Any, problem: Problem, who: str) -> Array | None:
    if theta0 is None:
        return None
    values = np.asarray(theta0, dtype=np.float64)
    if values.shape != (problem.n_theta,) or not np.all(np.isfinite(values)):
        raise OptionError(
            f"{who}: theta0 must be {problem.n_theta} finite number(s), the entries of the "
            f"terms' templates in order, got {theta0!r}."
        )
    return values


def _result(returns: type[AnyFit], fit: Fit, ready: Prepared) -> AnyFit:
    model, approximation, optimizer = ready.model, ready.approximation, ready.optimizer
    problem, who = model.problem, ready.request.who
    state = fitted_state(problem, fit, approximation.shortcuts(problem))
    with guard(problem.family, "result"):
        doubtful = not fit.verdict.converged or bool(fit.verdict.boundary)
        require_residual(problem, state.eta, doubtful)
    coefficients = tuple(
        Coefficients(predictor.parameter, predictor.names, fit.psi[where], where)
        for predictor, where in zip(problem.predictors, problem.beta_slices(), strict=True)
    )
    training = Training(problem, approximation, optimizer, ready.options.tol_decrement)
    separated = separation_notes(problem, fit, state.eta, held_by_priors(approximation, problem))
    for note in separated:
        warn(f"{who}: {note}", ConvergenceWarning)
    fit = replace(fit, verdict=with_columns(fit.verdict, separated, model.dropped_columns))
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
        settings=_settings(ready, fit),
        fitted_by=approximation.method,
        dropped_columns=model.dropped_columns,
        notes=(
            *model.notes,
            *separated,
            *limit_notes(problem, fit),
            *(() if separated else accuracy_notes(training, fit)),
        ),
        training=training,
    )


def _settings(ready: Prepared, fit: Fit) -> FitSettings:
    """Return what was used for a fit."""
    layout, request = layout_of(ready.model.problem), ready.request
    return FitSettings(
        optimizer=repr(ready.optimizer),
        structure=layout.plan.describe(layout.structure),
        new_levels=ready.options.new_levels,
        parameters=dict(request.parameters),
        weights=_as_text(request.weights),
        response_levels=ready.model.response_levels,
        configured=ready.options.configured,
        **settings_of_approximation(ready.approximation, ready.model.problem, fit.psi),
    )


def _as_text(weights: Any) -> str | None:
    """Return weights as they were written, "array" for values without a name."""
    return weights if weights is None or isinstance(weights, str) else "array"
