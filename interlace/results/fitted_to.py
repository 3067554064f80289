"""What a fit was made from, kept beside its result for everything that fits again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.results.random_effects import GroupEffects, group_effects, term_places
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.problem import Problem
from interlace_core.fitting.fitted import Fit
from interlace_core.records import Array
from interlace_core.registry.blame import guard


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


def fitted_state(problem: Problem, fit: Fit, approximation: Approximation) -> Fitted:
    """Return what a fit implies for its groups and rows."""
    with guard(problem.family, "result"):
        effects = group_effects(problem, fit.psi, fit.mode, approximation)
    eta_fixed = np.stack(problem.fixed_part(fit.psi))
    eta = eta_fixed.copy()
    for term, place in zip(problem.terms, term_places(problem), strict=True):
        b = effects[term.group].values[:, place.columns]
        for z, b_column in zip(term.Z.T, b.T, strict=True):
            eta[term.predictor] += z * b_column[term.codes]
    return Fitted(effects, eta, eta_fixed)
