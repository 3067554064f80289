"""What a fit was made from, kept beside its result for everything that fits again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace_core.contracts import Approximation, Optimizer
from interlace_core.effects import GroupEffects, group_effects, term_places
from interlace_core.errors import NotAvailableError
from interlace_core.fitting.fitted import Fit
from interlace_core.guards import guard
from interlace_core.records import Array, Problem
from interlace_core.shortcuts import Shortcuts

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult


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
    """

    problem: Problem
    approximation: Approximation
    optimizer: Optimizer
    tol_decrement: float = 1e-7


@dataclass(frozen=True)
class Fitted:
    """Random effects and linear predictors at the estimates.

    Attributes
    ----------
    effects : dict from group to GroupEffects
    eta, eta_fixed : ndarray, shape (K, n)
        With and without random effects, rows as given.
    """

    effects: dict[str, GroupEffects]
    eta: Array
    eta_fixed: Array


def fitted_state(problem: Problem, fit: Fit, shortcuts: Shortcuts | None = None) -> Fitted:
    """Return what a fit implies for its groups and rows."""
    with guard(problem.family, "result"):
        effects = group_effects(problem, fit.psi, fit.mode, shortcuts)
    eta_fixed = np.stack(problem.fixed_part(fit.psi))
    eta = eta_fixed.copy()
    for term, place in zip(problem.terms, term_places(problem), strict=True):
        b = effects[term.group].values[:, place.columns]
        for z, b_column in zip(term.Z.T, b.T, strict=True):
            eta[term.predictor] += z * b_column[term.codes]
    return Fitted(effects, eta, eta_fixed)


def require_training(result: GLMMResult, who: str) -> Training:
    """Return what the result was fitted to.

    Raises
    ------
    NotAvailableError
        If the result no longer has it.
    """
    if result.training is None:
        raise NotAvailableError(
            f"{who}: needs the data of the fit, which this result was saved without. Fit the "
            "model again, or keep the result that the fit returned."
        )
    return result.training
