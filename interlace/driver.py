"""A fit in two steps: a model and its components made ready, and fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from interlace.data.assembly import CovarianceLookup
from interlace.data.held import hold_family, hold_in
from interlace.data.problem import Model, build_problem
from interlace.data.request import ModelRequest
from interlace.data.starting import named_start
from interlace.parts.opening import asked_of, in_pieces, opened
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.incidence import entries
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.stopping import Stopping
from interlace_core.messages.errors import NotAvailableError
from interlace_core.messages.memory import require_memory
from interlace_core.records import Array
from interlace_core.registry.answers import require_answers
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry


@dataclass(frozen=True)
class Prepared:
    """Everything that a fit needs.

    Attributes
    ----------
    model : Model
    approximation : Approximation
    optimizer : Optimizer
    given : callable, or None
        From the usual start to the one that the call asks for.
    """

    model: Model
    approximation: Approximation
    optimizer: Optimizer
    given: Callable[[Array], Array] | None = None


def prepare(
    request: ModelRequest,
    family: Family,
    approximation: Approximation,
    optimizer: Optimizer,
    covariance: CovarianceLookup,
    compiled: Compiled | None = None,
    registry: Registry | None = None,
) -> Prepared:
    """Return what a fit needs: the model as arrays beside the components that fit it.

    Parameters
    ----------
    request : ModelRequest
    family : Family
        The one that the request names.
    approximation : Approximation
    optimizer : Optimizer
    covariance : callable
        From the name of a covariance structure to its class.
    compiled : Compiled, optional
        Compiled code that may serve the family; without any, NumPy does all.
    registry : Registry, optional
        Knows who opens data that lie elsewhere; that of the process by default.

    Raises
    ------
    InterlaceError
        If formula or data cannot be used (see `build_problem`), the approximation does not take
        the model, the optimizer cannot run here, or `hold` or `start` do not fit the model.
    """
    _require_available(optimizer, request.who)
    with guard(None, "data"):
        family, hold = hold_family(family, request.hold, request.parameters, request.who)
        model = _model(request, family, covariance, hold, compiled, approximation, registry)
    _require_maps(model.problem, request.who)
    require_answers(model.problem, family, registry=registry)
    with guard(approximation, "check"):
        approximation.require(standard_of(model.problem).problem)
    if model.problem.parts is None:
        with guard(None, "memory"):
            _require_memory(standard_of(model.problem).problem, request.who)
    given = named_start(model, request.start, request.who)
    return Prepared(model, approximation, optimizer, given)


def _model(
    request: ModelRequest,
    family: Family,
    covariance: CovarianceLookup,
    hold: Any,
    compiled: Compiled | None,
    approximation: Approximation,
    registry: Registry | None,
) -> Model:
    """Return the model that is asked for, in parts where its data are read part by part."""

    def held(model: Model) -> Model:
        return hold_in(model, hold, request.who)

    where = asked_of(request.data, registry)
    if where is None:
        return held(build_problem(request, family, covariance=covariance, compiled=compiled))
    from interlace.parts.building import Asked, model_in_parts
    from interlace.parts.distinct import model_of_distinct
    from interlace.parts.reading import read_model

    frames = opened(where, registry)
    reading = read_model(request, frames.columns)
    asked = Asked(request, family, covariance, held, compiled, where.rows)
    counted = model_of_distinct(frames, reading, asked, approximation) if where.distinct else None
    if counted is None:
        return model_in_parts(in_pieces(frames, reading, where), reading, asked)
    return replace(counted, problem=replace(counted.problem, compiled=compiled))


def fit_prepared(
    ready: Prepared,
    *,
    starts: int = 0,
    tol_decrement: float = 1e-7,
    report: Callable[[str], None] | None = None,
    stopping: Stopping | None = None,
) -> Fit:
    """Return the maximum likelihood fit of a model, with the verdict on it.

    Nobody is warned here, and nothing asks whether the data can tell all variances apart.

    Parameters
    ----------
    ready : Prepared
    starts, tol_decrement, report, stopping
        As for `fit_problem`.

    Raises
    ------
    NumericalError
        If the likelihood cannot be evaluated at the start.
    PluginError
        If a plugin raises.
    """
    return fit_problem(
        ready.model.problem,
        ready.approximation,
        ready.optimizer,
        given=ready.given,
        starts=starts,
        tol_decrement=tol_decrement,
        report=report,
        stopping=stopping,
    )


def _require_available(optimizer: Optimizer, who: str) -> None:
    with guard(optimizer, "unavailable"):
        why = optimizer.unavailable
    if why:
        raise NotAvailableError(f"{who}: optimizer {optimizer.name!r} cannot run here. {why}")


def _require_maps(problem: Problem, who: str) -> None:
    """Refuse a model whose Hessian, covariance and maps to other units would not fit into memory.

    Raises
    ------
    OutOfMemoryError
    """
    P = problem.n_psi
    require_memory(8.0 * 4.0 * P**2, who, f"a model of {P} parameters")


def _is_chain(term: RandomTerm) -> bool:
    return term.covariance.chain(term.covariance.start()) is not None


FEW_ROWS, FEW_EFFECTS, FEW_COLUMNS = 10_000, 500, 50
"""Sizes of models that take some megabytes at most."""


def _require_memory(problem: Problem, who: str) -> None:
    """Refuse a model whose fit would not fit into memory, by a lower bound of what it holds.

    Designs twice (as given and in standard units), a dozen numbers for each row and predictor, and
    what is held of the matrix of random effects and of their covariance.

    Raises
    ------
    OutOfMemoryError
        Saying how much is needed, and how much there is.
    """
    q = sum(term.n_effects for term in problem.terms)
    if problem.n <= FEW_ROWS and q <= FEW_EFFECTS and problem.n_beta <= FEW_COLUMNS:
        return
    columns = sum(each.X.shape[1] for each in problem.predictors)
    # of times and places each row has the column that it is in, and its number there
    columns += sum(len(entries(term.Z)) for term in problem.terms)
    rows = problem.n * (2.0 * columns + 12.0 * len(problem.predictors))
    effects = 0.0
    if problem.terms:
        effects = layout_of(problem, chains=True, rows="any").plan.held()
    # a template, the slope in it and the information, where there are matrices
    effects += sum(3.0 * term.Z.shape[1] ** 2 for term in problem.terms if not _is_chain(term))
    what = f"a model of {problem.n} rows and {columns} columns"
    if problem.terms:
        levels = " and ".join(f"{len(each.levels)} of {each.group}" for each in problem.terms)
        what += f" with the levels {levels}"
    require_memory(8.0 * (rows + effects), who, what)
