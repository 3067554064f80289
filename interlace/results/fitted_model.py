"""A fit as a record: what was fitted, how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from interlace.results.fit_settings import FitSettings
from interlace.results.fitted_to import Training
from interlace.results.random_effects import GroupEffects, TermPlace
from interlace_core.contract.approximation import Method
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.problem import RowReport
from interlace_core.fitting.fitted import Fit
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace_core.data.encoder import Encoder


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
    eta : ndarray, shape (K, n)
        Fitted linear predictors, random effects included.
    eta_fixed : ndarray, shape (K, n)
        Without random effects.
    encoder : Encoder
        Codes new data as the training data was.
    settings : FitSettings
        What was used: approximation, optimizer, elimination structure and more.
    dropped_columns : tuple of str
        Collinear columns left out.
    notes : tuple of str
        What the user should know about the data or the fit.
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
    eta: Array
    eta_fixed: Array
    encoder: Encoder
    settings: FitSettings
    fitted_by: Method
    dropped_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    training: Training | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make all arrays read-only: a result is looked at, never changed."""
        freeze([getattr(self, each.name) for each in fields(self) if each.name != "training"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle, whose arrays can be written to."""
        self.__dict__.update(state)
        FittedModel.__post_init__(self)


def freeze(value: Any) -> None:
    """Make all arrays in a value read-only, in records, mappings and sequences alike."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, Mapping) and not is_dataclass(value):
        freeze(tuple(value.values()))
    elif isinstance(value, (tuple, list)):
        for each in value:
            if not isinstance(each, (str, float, int)):
                freeze(each)
    elif is_dataclass(value) and type(value).__module__.startswith("interlace"):
        freeze([getattr(value, each.name) for each in fields(value)])


AnyFit = TypeVar("AnyFit", bound=FittedModel)
"""The class of a result, which what fits again returns too."""


def require_training(result: FittedModel, who: str) -> Training:
    """Return what the result was fitted to.

    Raises
    ------
    NotAvailableError
        If the result no longer has it.
    """
    if result.training is None:
        raise NotAvailableError(
            f"{who}: needs the data of the fit, which this result was saved without (data=False, "
            "or without_training()). Fit the model again, and save it with its data."
        )
    return result.training
