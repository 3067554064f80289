"""Fits with the options in force: what calls give, over files, environment and defaults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from interlace import driver
from interlace.components import (
    as_approximation,
    as_family,
    as_optimizer,
    composed,
    composed_roles,
    with_asked_zero_part,
)
from interlace.config.fit_options import ConfiguredOption, FitOptions
from interlace.config.options import Config, Here, Origin, Surroundings, within_options
from interlace.data.cuts import cuts_of
from interlace.data.request import ModelRequest
from interlace.diagnostics.carried_twice import refuse_carried_twice
from interlace.diagnostics.identification import Fitting, identified
from interlace.diagnostics.many import warn_of_many
from interlace.diagnostics.notes import may_be_exact, require_residual, with_notes
from interlace.driver import Prepared
from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.parts.afterwards import Seen, effects_of_all, eta_in, of_parts, reporting, words_of
from interlace.prediction.kinds import library_of
from interlace.priors.penalised import penalise, settings_of_approximation
from interlace.progress import Progress
from interlace.results.elsewhere import RowsElsewhere
from interlace.results.fit_settings import FitSettings
from interlace.results.fitted_model import AnyFit, Coefficients, Training
from interlace.results.predictors import Predictors
from interlace.results.random_effects import (
    GroupEffects,
    fitted_state,
    modes_of,
    row_predictors,
    term_places,
)
from interlace.threads import blas_threads, threads_of
from interlace_core.contract.family import Family
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem
from interlace_core.engine.layout import release
from interlace_core.fitting.exact import refuse_exact
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.stopping import Step, Stopping
from interlace_core.messages.checks import require_callable
from interlace_core.messages.errors import OptionError
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry, default_registry

DEFAULTS = {
    "optimizer": "lbfgsb",
    "nAGQ": 1,
    "new_levels": "population",
    "kernels": "auto",
    "tol_decrement": 1e-7,
    "starts": 0,
}
"""The weakest defaults; any of them can be changed by configuration."""

Priors = Mapping[str, Any] | str
"""What `priors` may be: priors by name, with dicts by group and column, or "weak"."""

LOG = logging.getLogger("interlace")
"""Told of each fit at the level INFO: silent unless a program asks for it."""

CHOICES = ("optimizer", "optimizer_options")
"""Options whose user gets exactly that search, step by step."""

SILENT = ("verbose", "threads", "formula_limits")
"""Options that change nothing of a fit."""


def fitted(
    request: ModelRequest,
    options: FitOptions,
    returns: type[AnyFit],
    *,
    priors: Priors | None = None,
    callback: Callable[[Step], object] | None = None,
    registry: Registry | None = None,
) -> AnyFit:
    """Return a fit with its notes; warns where it is no optimum or estimates are infinite.

    Parameters
    ----------
    request, options
        What is fitted, and how.
    returns : class
        Of the result.
    priors : mapping from str to Prior, or "weak", optional
        Make the fit a penalised one.
    callback : callable, optional
        Is told each step; the fit ends where it returns True.
    registry : Registry, optional
        Where names are looked up; that of the process by default.
    """
    if callback is not None:
        require_callable(callback, f"{request.who}: callback", "a function that takes a Step")
    stopping = Stopping(options.max_seconds, callback)
    first = options.threads or 1
    with blas_threads(first):
        ready = prepared(request, options, priors=priors, registry=registry)
        threads = threads_of(ready.model.problem, options.threads)
        if threads == first:
            return _found(ready, request, options, returns, stopping)
    with blas_threads(threads):
        return _found(ready, request, options, returns, stopping)


def _found(
    ready: Prepared,
    request: ModelRequest,
    options: FitOptions,
    returns: type[AnyFit],
    stopping: Stopping,
) -> AnyFit:
    """Return the fit of what is ready, as a record with its notes."""
    with Progress("fit", show=options.verbose) as progress:
        told = reporting(ready.model.problem, progress.step)
        fit = driver.fit_prepared(
            ready,
            starts=options.starts,
            tol_decrement=options.tol_decrement,
            report=told if progress.shown else None,
            stopping=stopping,
        )
    found = with_notes(record_of(ready, fit, request, options, returns), request.who)
    LOG.info(
        "%s: %s: %s, log-likelihood %.6f, %d evaluations, %.2f s",
        request.who, found.formula, found.fit.verdict.status, -found.fit.value,
        found.fit.n_evaluations, found.fit.seconds,
    )  # fmt: skip
    release(standard_of(ready.model.problem).problem)
    return found


def prepared(
    request: ModelRequest,
    options: FitOptions,
    *,
    priors: Priors | None = None,
    registry: Registry | None = None,
) -> driver.Prepared:
    """Return what a fit needs, with notes on variances that the data tell apart badly.

    Raises
    ------
    DataError
        If a residual variance (or correlation) cannot be told from those of random effects.
    """
    registry = registry or default_registry()
    family = as_family(request.family, registry, options.prefer, request.who, request.link)
    limits = Limits(**options.formula_limits) if options.formula_limits else DEFAULT_LIMITS
    parameters = dict(request.parameters)
    if "zero" in parameters:
        parameters, family = with_asked_zero_part(parameters, family, registry, limits)
    for role in composed_roles(registry) - {"zero"}:
        if role in parameters:
            family = composed(family, role, registry)
    approximation = as_approximation(registry, options, request.who)
    if limits is not request.limits or parameters != request.parameters:
        request = replace(request, parameters=parameters, limits=limits)
    ready = driver.prepare(
        request,
        family,
        approximation,
        as_optimizer(registry, options, request.who),
        lambda name: registry.covariance(name, prefer=options.prefer),
        _compiled(registry, family, options, request.who),
        registry,
    )
    model = ready.model
    with guard(None, "data"):
        approximation = penalise(
            ready.approximation, priors, model.problem, cuts_of(model), request.who
        )
        refuse_carried_twice(model.problem, request.who)
        notes = identified(
            standard_of(model.problem).problem,
            Fitting(approximation.method.restricted, approximation.precision_weights),
        )
    warn_of_many(model.problem, request.who)
    if notes:
        ready = replace(ready, model=replace(model, notes=(*model.notes, *notes)))
    if approximation is ready.approximation:
        return ready
    return replace(ready, approximation=approximation)


def _compiled(registry: Registry, family: Family, options: FitOptions, who: str) -> Compiled | None:
    """Return the compiled code that may serve a family, if the options want any.

    Raises
    ------
    OptionError
        If it is required and none is built.
    """
    if options.kernels == "off":
        return None
    compiled = registry.compiled(family)
    if compiled is None and options.kernels == "required":
        raise OptionError(
            f"{who}: kernels='required': expected compiled kernels, and none are built here. "
            "Install a C compiler, then interlace-kernels again without pip's cache, or leave "
            "kernels out: NumPy does all that they do."
        )
    if compiled is None:
        return None
    threads = options.threads or 1
    compiled = compiled if compiled.threads == threads else replace(compiled, threads=threads)
    return compiled if options.chosen.isdisjoint(CHOICES) else replace(compiled, searches=())


def options_in_force(who: str = "glmer", **call: Any) -> FitOptions:
    """Return the options of a fit.

    Parameters
    ----------
    who : str
        The function that the user called, for messages.
    **call
        The call's own values for configurable options; None means not given.

    Raises
    ------
    OptionError
        If a key or a value, here or in any place consulted, is not acceptable.
    """
    given = {key: value for key, value in call.items() if value is not None}
    here = None
    if SIMPLE.issuperset(map(type, given.values())) and not within_options():
        here = _surroundings()
    if here is None:
        return _decided(who, given, None)
    return _known(who, here, tuple((key, type(each), each) for key, each in given.items()))


SIMPLE = frozenset({str, int, float, bool})
"""Types of values by which a call is known again."""

_surroundings = Surroundings()


@lru_cache(maxsize=64)
def _known(who: str, here: Here, given: tuple[tuple[str, type, Any], ...]) -> FitOptions:
    """Return the options of a call like one before, in the same surroundings."""
    return _decided(who, {key: each for key, _, each in given}, here)


def _decided(who: str, given: dict[str, Any], here: Here | None) -> FitOptions:
    values, configured = Config(DEFAULTS, who=who, here=here).decided(given)
    found = {key: each for key, each in values.items() if each is not None}
    named = frozenset(  # a table without entries chooses nothing
        key for key, value in given.items() if not isinstance(value, Mapping) or value
    )
    chosen = named.union(each.key.partition(".")[0] for each in configured)
    rows = _configured(configured, given, found)
    return FitOptions(**found, given=frozenset(given), configured=rows, chosen=chosen)


def _configured(
    configured: Sequence[Origin], given: dict[str, Any], found: dict[str, Any]
) -> tuple[ConfiguredOption, ...]:
    """Return the options that configuration decides and that act on the fit or its predictions.

    An approximation that is chosen leaves no choice to nAGQ, and a number of points in the call
    none to a configured name.
    """
    idle = {"approximation"} if "nAGQ" in given else set()
    idle |= {"nAGQ"} if "approximation" in found and "approximation" not in idle else set()
    return tuple(
        ConfiguredOption(each.key, str(each.value), each.origin)
        for each in configured
        if each.key not in (*SILENT, *idle) and not _is_built_in(each.key, each.value)
    )


def _is_built_in(key: str, value: Any) -> bool:
    # Objects are not compared: their equality may be anything.
    return isinstance(value, (str, int, float)) and value == DEFAULTS.get(key)


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
    problem, encoder, rows = model.problem, model.encoder, model.rows
    here = problem.parts is None and not isinstance(rows.index, RowsElsewhere)
    settings = _settings(ready, fit, request, options)
    copies = not approximation.precision_weights
    effects: Mapping[str, GroupEffects]
    if problem.parts is not None:
        if all(of_parts(problem, fit, _may_be_exact, _is_doubtful(fit))):
            refuse_exact(problem, copies)
        effects, encoder = effects_of_all(problem, fit, encoder)
    else:
        modes = modes_of(problem, fit)
        release(standard_of(problem).problem)  # before there are numbers for each row
        state = fitted_state(problem, fit, approximation, modes)
        effects = state.effects
    if here:
        with guard(problem.family, "result"):
            require_residual(
                problem, lambda end: row_predictors(problem, fit.psi, modes, end).eta,
                _is_doubtful(fit), copies,
            )  # fmt: skip
    away: Any = RowsElsewhere()
    coefficients = tuple(
        Coefficients(predictor.parameter, predictor.names, fit.psi[where], where)
        for predictor, where in zip(problem.predictors, problem.beta_slices(), strict=True)
    )
    training = Training(problem, approximation, optimizer, options.tol_decrement, options.threads)
    return returns(
        formula=model.formula,
        family=model.family,
        coefficients=coefficients,
        terms=term_places(problem),
        effects=effects,
        fit=fit,
        rows=rows,
        y=problem.y if here else away,
        weights=problem.weights if here else away,
        predictors=state.predictors if here else Predictors(away, away),
        encoder=encoder,
        settings=settings,
        fitted_by=approximation.method,
        dropped_columns=model.dropped_columns,
        known_notes=model.notes,
        training=training,
    )


def _may_be_exact(part: Problem, seen: Seen, doubtful: bool) -> bool:
    return may_be_exact(part, lambda end: eta_in(part, seen)[:, :end], doubtful)


def _is_doubtful(fit: Fit) -> bool:
    """Return whether a search ended at a boundary, or short of an optimum."""
    return not fit.verdict.converged or bool(fit.verdict.boundary)


def _settings(ready: Prepared, fit: Fit, request: ModelRequest, options: FitOptions) -> FitSettings:
    """Return what was used for a fit."""
    structure, kernel, parts = words_of(ready.model)
    return FitSettings(
        optimizer=repr(ready.optimizer),
        structure=structure,
        kernel=kernel,
        parts=parts,
        new_levels=options.new_levels,
        parameters=dict(request.parameters),
        weights=_as_text(request.weights),
        offset=_as_text(request.offset),
        correlation=request.correlation,
        response_levels=ready.model.response_levels,
        configured=options.configured,
        frames=library_of(request.data),
        **settings_of_approximation(ready.approximation, ready.model.problem, fit.psi),
    )


def _as_text(given: Any) -> str | None:
    """Return weights or an offset as they were written, "array" for values without a name."""
    return given if given is None or isinstance(given, str) else "array"
