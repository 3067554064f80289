"""The linear predictors of the rows of a fit, which many results are never asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.records import Array


@dataclass(frozen=True)
class Predictors:
    """Linear predictors at the estimates, rows as given.

    Attributes
    ----------
    eta, eta_fixed : ndarray, shape (K, n)
        With and without random effects.
    """

    eta: Array
    eta_fixed: Array

    def __repr__(self) -> str:
        return "<linear predictors of the rows>"


class LaterPredictors(Predictors):
    """Linear predictors that are made when they are first read; a pickle or a copy has them made.

    They are four numbers a row for a family with two parameters, as many as a model's own columns.

    Parameters
    ----------
    make : callable
        Returns them; called once.
    """

    def __init__(self, make: Callable[[], Predictors]) -> None:
        object.__setattr__(self, "_make", make)

    def __getattr__(self, name: str) -> Any:
        if name not in ("eta", "eta_fixed"):
            raise AttributeError(name)
        make = self.__dict__.get("_make")
        if make is not None:  # otherwise another thread has made them since
            with np.errstate(all="ignore"):
                made = make()
            for each in ("eta", "eta_fixed"):
                array = getattr(made, each)
                array.flags.writeable = False
                object.__setattr__(self, each, array)
            # and what it was made of, where nothing else needs that
            self.__dict__.pop("_make", None)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[type[Predictors], tuple[Array, Array]]:
        return Predictors, (self.eta, self.eta_fixed)
