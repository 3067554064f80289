"""A fit in readable steps: settings, family, problem, approximation, optimizer, fit, result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract.approximation import Approximation, check_support
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem
from interlace_core.data.identification import Fitting
from interlace_core.data.problem import Model, build_problem
from interlace_core.engine.joint_density import layout_of
from interlace_core.fitting.exact import require_residual
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.fitted_model import AnyFit, Coefficients
from interlace_core.fitting.fitted_to import Training, fitted_state
from interlace_core.fitting.priors import Prior, kept_of_approximation, penalise
from interlace_core.fitting.random_effects import term_places
from interlace_core.formulas.formula import parse_formula
from interlace_core.messages.errors import (
    AmbiguousNameError,
    OptionError,
)
from interlace_core.records import Array
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry, default_registry


def fit_glmm(
    formula: str,
    data: Any,
    family: str | Family | type[Family],
    *,
    groups: str | Sequence[str] | None = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    parameters: Mapping[str, str] | None = None,
    theta0: Any = None,
    priors: Mapping[str, Prior] | None = None,
    known: Mapping[str, Any] | None = None,
    covariance: Mapping[str, Any] | None = None,
    correlation: str | None = None,
    call: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any],
    returns: type[AnyFit],
    registry: Registry | None = None,
    who: str = "glmer",
) -> AnyFit:
    """Fit a generalised linear mixed model by maximum likelihood.

    The verdict on the fit is in the record that is returned; nobody is warned here.

    Parameters
    ----------
    formula, data, family, groups, random, weights, offset, theta0, known, covariance
        As for `interlace.glmer`.
    correlation : str, optional
        Of the residuals, as for `interlace.fit`.
    parameters : mapping from name or role to formula
        Formulas of further distributional parameters.
    priors : mapping from coefficient, or "fixed", to Prior, optional
        Makes the fit a penalised one.
    call : mapping
        The call's own values for configurable options; None means not given.
    settings : mapping
        Every configurable option, resolved with those of the call.
    returns : class
        Of the result: `FittedModel`, or one derived from it.
    registry : Registry, optional
        Where names are looked up; that of the process by default.
    who : str
        The function that the user called, for messages.
    """
    ready = prepare(
        formula,
        data,
        family,
        groups=groups,
        random=random,
        weights=weights,
        offset=offset,
        parameters=parameters,
        priors=priors,
        known=known,
        covariance=covariance,
        correlation=correlation,
        call=call,
        settings=settings,
        registry=registry,
        who=who,
    )
    model = ready.model
    fit = fit_problem(
        model.problem,
        ready.approximation,
        ready.optimizer,
        theta0=_checked_theta0(theta0, model.problem, who),
        starts=settings["starts"] or 0,
        tol_decrement=settings["tol_decrement"],
        verbose=bool(settings["verbose"]),
    )
    used = {**settings, "parameters": dict(parameters or {}), "weights": _as_text(weights)}
    return _result(returns, model, fit, ready, used)


@dataclass(frozen=True)
class Prepared:
    """Everything that a fit needs.

    Attributes
    ----------
    model : Model
    approximation : Approximation
    optimizer : Optimizer
    settings : mapping
        Every configurable option, resolved.
    """

    model: Model
    approximation: Approximation
    optimizer: Optimizer
    settings: Mapping[str, Any]


def prepare(
    formula: str,
    data: Any,
    family: str | Family | type[Family],
    *,
    groups: str | Sequence[str] | None = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    parameters: Mapping[str, str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    known: Mapping[str, Any] | None = None,
    covariance: Mapping[str, Any] | None = None,
    correlation: str | None = None,
    call: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any],
    registry: Registry | None = None,
    who: str = "glmer",
) -> Prepared:
    """Return what a fit needs: the model as arrays and the components chosen; see `fit_glmm`."""
    registry = registry or default_registry()
    call = {key: value for key, value in (call or {}).items() if value is not None}
    chosen_family = as_family(family, registry, settings, who)
    if "zero" in (parameters or {}):
        parameters, chosen_family = with_asked_zero_part(
            dict(parameters or {}), chosen_family, registry
        )
    integral = as_approximation(registry, settings, call, who)
    with guard(None, "data"):
        model = build_problem(
            formula,
            data,
            chosen_family,
            covariance=lambda name: registry.covariance(name, prefer=settings["prefer"]),
            groups=groups,
            random=random,
            weights=weights,
            offset=offset,
            parameters=parameters,
            known=known,
            structures=covariance,
            correlation=correlation,
            fitting=Fitting(integral.unrestricted() is not None, integral.precision_weights),
        )
    approximation = penalise(integral, priors)
    with guard(approximation, "check"):
        check_support(approximation, model.problem)
    optimizer = as_optimizer(registry, settings, who)
    return Prepared(model, approximation, optimizer, settings)


def as_family(family: Any, registry: Registry, settings: Mapping[str, Any], who: str) -> Family:
    """Return a family from its name, its class or an instance.

    Raises
    ------
    OptionError
        If it is none of these.
    UnknownNameError
        If no installed plugin provides the name.
    """
    if isinstance(family, str):
        return registry.family(family, prefer=settings["prefer"])()
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


def as_approximation(
    registry: Registry, settings: Mapping[str, Any], call: Mapping[str, Any], who: str
) -> Approximation:
    """Return the approximation that the call and the settings ask for.

    A name with nAGQ passes nAGQ on to it; nAGQ alone chooses by what approximations serve.
    """
    asked, nAGQ = settings["approximation"], settings["nAGQ"]
    if "nAGQ" in call and "approximation" not in call:
        asked = None  # a number of points in the call is stronger than a configured name
    if isinstance(asked, str):
        cls = registry.approximation(asked, prefer=settings["prefer"])
        return cls.from_nAGQ(nAGQ) if "nAGQ" in call else cls()
    if asked is not None:
        given: Approximation = _as_instance(asked, Approximation, "approximation", who)
        return given
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


def as_optimizer(registry: Registry, settings: Mapping[str, Any], who: str) -> Optimizer:
    """Return the optimizer that the settings ask for, with its options.

    Raises
    ------
    OptionError
        If an option is not one of the optimizer's, or options come with an instance.
    """
    asked, options = settings["optimizer"], dict(settings["optimizer_options"] or {})
    if isinstance(asked, Optimizer):
        if options:
            raise OptionError(
                f"{who}: optimizer_options go with an optimizer's name; give them to "
                f"{type(asked).__name__}(...) itself."
            )
        return asked
    if isinstance(asked, str):
        cls = registry.optimizer(asked, prefer=settings["prefer"])
    else:
        cls = type(_as_instance(asked, Optimizer, "optimizer", who))
    known = list(getattr(cls, "__dataclass_fields__", {}))
    unknown = [option for option in options if option not in known]
    if unknown:
        raise OptionError(
            f"optimizer {cls.name!r} has no option {', '.join(map(repr, unknown))}. "
            f"Its options are {', '.join(known)}."
        )
    return cls(**options)


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


def _result(
    returns: type[AnyFit],
    model: Model,
    fit: Fit,
    ready: Prepared,
    settings: Mapping[str, Any],
) -> AnyFit:
    problem, approximation, optimizer = model.problem, ready.approximation, ready.optimizer
    state = fitted_state(problem, fit, approximation.shortcuts(problem))
    with guard(problem.family, "result"):
        doubtful = not fit.verdict.converged or bool(fit.verdict.boundary)
        require_residual(problem, state.eta, doubtful)
    coefficients = tuple(
        Coefficients(predictor.parameter, predictor.names, fit.psi[where], where)
        for predictor, where in zip(problem.predictors, problem.beta_slices(), strict=True)
    )
    training = Training(problem, approximation, optimizer, settings["tol_decrement"])
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
        settings={
            "optimizer": repr(optimizer),
            "structure": layout_of(problem).plan.describe(layout_of(problem).structure),
            "new_levels": settings["new_levels"],
            "parameters": settings["parameters"],
            "weights": settings["weights"],
            "response_levels": model.response_levels,
            **kept_of_approximation(approximation, problem, fit.psi),
        },
        dropped_columns=model.dropped_columns,
        notes=model.notes,
        training=training,
    )


def _as_text(weights: Any) -> str | None:
    """Return weights as they were written, "array" for values without a name."""
    return weights if weights is None or isinstance(weights, str) else "array"
