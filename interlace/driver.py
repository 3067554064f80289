"""A fit in two steps: a model and its components made ready, and fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from interlace.data.assembly import CovarianceLookup
from interlace.data.held import hold_family, hold_in
from interlace.data.problem import Model, build_problem
from interlace.data.request import ModelRequest
from interlace.data.starting import named_start
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.optimizer import Optimizer
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array
from interlace_core.registry.answers import require_answers
from interlace_core.registry.blame import guard


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

    Raises
    ------
    InterlaceError
        If formula or data cannot be used (see `build_problem`), the approximation does not take
        the model, the optimizer cannot run here, or `hold` or `start` do not fit the model.
    """
    _require_available(optimizer, request.who)
    with guard(None, "data"):
        family, hold = hold_family(family, request.hold, request.parameters, request.who)
        model = build_problem(request, family, covariance=covariance)
        model = hold_in(model, hold, request.who)
        model = replace(model, problem=replace(model.problem, compiled=compiled))
    require_answers(model.problem)
    with guard(approximation, "check"):
        approximation.require(standard_of(model.problem).problem)
    given = named_start(model.problem, request.start, request.who)
    return Prepared(model, approximation, optimizer, given)


def fit_prepared(
    ready: Prepared,
    *,
    starts: int = 0,
    tol_decrement: float = 1e-7,
    report: Callable[[str], None] | None = None,
) -> Fit:
    """Return the maximum likelihood fit of a model, with the verdict on it.

    Nobody is warned here, and nothing asks whether the data can tell all variances apart.

    Parameters
    ----------
    ready : Prepared
    starts, tol_decrement, report
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
    )


def _require_available(optimizer: Optimizer, who: str) -> None:
    with guard(optimizer, "unavailable"):
        why = optimizer.unavailable
    if why:
        raise NotAvailableError(f"{who}: optimizer {optimizer.name!r} cannot run here. {why}")
