"""A fit as a record: what was fitted, how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from interlace.results.elsewhere import RowsElsewhere, refuse_rows
from interlace.results.fit_settings import FitSettings
from interlace.results.frozen import fields_with_arrays, freeze
from interlace.results.predictors import Predictors
from interlace.results.random_effects import GroupEffects, TermPlace
from interlace_core.contract.approximation import Approximation, Method
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem, RowReport
from interlace_core.fitting.fitted import Fit
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.data.encoder import Encoder


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of one distributional parameter's linear predictor.

    Attributes
    ----------
    parameter : Parameter
    names : tuple of str, length p
    estimates : ndarray, shape (p,)
    place : slice
        Where they are in psi.
    """

    parameter: Parameter
    names: tuple[str, ...]
    estimates: Array
    place: slice


@dataclass(frozen=True, eq=False)
class Training:
    """The data of a fit as arrays, and how it was fitted.

    Prediction does not need it; profiles, refits, simulation and influence do. A result without
    it (`without_training`) is small.

    Attributes
    ----------
    problem : Problem
    approximation : Approximation
    optimizer : Optimizer
    tol_decrement : float
        Log-likelihood that a fit may leave to gain.
    threads : int or None
        Threads of BLAS that the call asked for.
    """

    problem: Problem
    approximation: Approximation
    optimizer: Optimizer
    tol_decrement: float = 1e-7
    threads: int | None = None

    def __repr__(self) -> str:
        return f"<Training: {self.problem.n} rows, by {self.approximation!r}, {self.optimizer!r}>"


@dataclass(frozen=True)
class FittedModel:
    """A fitted mixed model as a record.

    What fits again needs the data of the fit, and finds them in `training`.

    Attributes
    ----------
    formula : str
    family : Family
        As fitted, with what it learned from the data (trials).
    coefficients : tuple of Coefficients
        One per distributional parameter; the mean's first.
    terms : tuple of TermPlace
    effects : dict from group to GroupEffects
    fit : Fit
    rows : RowReport
    y, weights : ndarray
        The response as the family takes it.
    predictors : Predictors
        Fitted linear predictors; `eta` and `eta_fixed` are theirs.
    encoder : Encoder
        Codes new data as the training data was.
    settings : FitSettings
        What was used: approximation, optimizer, elimination structure and more.
    dropped_columns : tuple of str
        Collinear columns left out.
    known_notes : tuple of str
        What the user should know about the data or the fit, as it was known when the fit ended.
    look_closer : bool
        Whether `notes` looks, when first read, at what a finer approximation would change.
    fitted_by : Method
        By what the likelihood was computed.
    training : Training, or None
        The arrays fitted to and the components used, for profiles, refits and simulation.
    """

    formula: str
    family: Family
    coefficients: tuple[Coefficients, ...]
    terms: tuple[TermPlace, ...]
    effects: Mapping[str, GroupEffects]
    fit: Fit
    rows: RowReport
    y: Array
    weights: Array | None
    predictors: Predictors
    encoder: Encoder
    settings: FitSettings
    fitted_by: Method
    dropped_columns: tuple[str, ...] = ()
    known_notes: tuple[str, ...] = ()
    look_closer: bool = False
    training: Training | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make all arrays read-only: a result is looked at, never changed."""
        kind: Any = type(self)
        for name in fields_with_arrays(kind) or ():
            if name != "training":
                freeze(getattr(self, name))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle, whose arrays can be written to."""
        self.__dict__.update(state)
        FittedModel.__post_init__(self)

    @property
    def eta(self) -> Array:
        """Fitted linear predictors, random effects included, shape (K, n)."""
        return self.predictors.eta

    @property
    def eta_fixed(self) -> Array:
        """Fitted linear predictors without random effects, shape (K, n)."""
        return self.predictors.eta_fixed

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the data or the fit.

        An evaluation or two of a finer approximation are among it, which many fits never need:
        those of a bootstrap, or of a search among models.
        """
        if not self.look_closer or self.training is None:
            return self.known_notes
        from interlace.diagnostics.approximation_error import accuracy_notes

        found = accuracy_notes(self.training.problem, self.training.approximation, self.fit)
        return (*self.known_notes, *found)


AnyFit = TypeVar("AnyFit", bound=FittedModel)
"""The class of a result, which what fits again returns too."""


def changed(result: AnyFit, **changes: Any) -> AnyFit:
    """Return a record with other values of some fields.

    As `dataclasses.replace`, without another look at what is read-only already.
    """
    made = object.__new__(type(result))
    own, kind = result.__dict__, cast("Any", type(result))
    made.__dict__.update({name: own[name] for name in _field_names(kind)})
    for name, value in changes.items():
        if name not in made.__dict__:
            raise TypeError(f"{type(result).__name__} has no field {name!r}")
        if name != "training" and value is not own[name]:
            freeze(value)
        made.__dict__[name] = value
    return made


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def require_training(result: FittedModel, who: str, *, by_parts: bool = False) -> Training:
    """Return what the result was fitted to.

    Parameters
    ----------
    result : FittedModel
    who : str
        For messages.
    by_parts : bool
        Whether it is all the same where the rows lie.

    Raises
    ------
    NotAvailableError
        If the result no longer has it, or its rows lie in parts.
    """
    if result.training is None:
        raise NotAvailableError(
            f"{who}: needs the data of the fit, which this result was saved without (data=False, "
            "or without_training()). Fit the model again, and save it with its data."
        )
    if isinstance(result.y, RowsElsewhere) and not by_parts:
        refuse_rows(who)
    return result.training
