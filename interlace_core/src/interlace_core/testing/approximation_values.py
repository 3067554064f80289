"""Checks of an approximation's value and gradient against references and differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.records import Array
from interlace_core.testing.approximation_case import Trial
from interlace_core.testing.approximation_references import (
    integrated_value,
    normal_value,
    without_effects,
)
from interlace_core.testing.differences import gradient, slope
from interlace_core.testing.verdicts import expect, expect_close

TOL_REL_EXACT = 1e-8
"""Of a log-likelihood: mode and linear algebra leave about 1e-12."""

TOL_REL_INTEGRAL = 1e-8

TOL_REL_GRADIENT = 1e-6
"""Of the largest entry: five-point differences of a value near 100 lose about 1e-9."""

STEP = 1e-3

NEAR_ZERO = 0.1
"""A second point at which gradients are tried has random effects this much smaller."""


def check_normal(trial: Trial) -> None:
    """Hold the value against a dense normal density: a quadratic log-integrand is exact."""
    evaluation = trial.evaluation()
    psi = trial.case.completed(trial.problem, trial.psi, evaluation)
    wanted = normal_value(trial.problem, psi) + trial.case.restriction(trial.problem, psi)
    expect_close(
        evaluation.value,
        wanted,
        what=f"negative log-likelihood of the model {trial.name!r}, by its dense covariance,",
        tol=TOL_REL_EXACT,
        scale=1.0 + abs(wanted),
        advice="Keep all constants; check log|H| and the layout of terms.",
    )


def check_without_effects(trial: Trial) -> None:
    """Require the likelihood of the fixed part where the template is 0."""
    psi = trial.psi.copy()
    psi[: trial.problem.n_theta] = 0.0
    evaluation = trial.evaluation(psi)
    psi = trial.case.completed(trial.problem, psi, evaluation)
    wanted = without_effects(trial.problem, psi) + trial.case.restriction(trial.problem, psi)
    expect_close(
        evaluation.value,
        wanted,
        what=f"negative log-likelihood without random effects of the model {trial.name!r}",
        tol=TOL_REL_EXACT,
        scale=1.0 + abs(wanted),
        advice="At Lambda = 0 the random effects integrate to 1: check the constants.",
    )


def check_integral(trial: Trial) -> None:
    """Hold the value against adaptive integration, group by group."""
    evaluation, allowed = trial.evaluation(), trial.case.tol_abs_group
    psi = trial.case.completed(trial.problem, trial.psi, evaluation)
    wanted = integrated_value(trial.problem, psi) + trial.case.restriction(trial.problem, psi)
    groups = len(trial.problem.terms[0].levels)
    expect_close(
        evaluation.value,
        wanted,
        what=f"negative log-likelihood of the model {trial.name!r}, by numerical integration,",
        tol=1.0,
        scale=allowed * groups + TOL_REL_INTEGRAL * (1.0 + abs(wanted)),
        advice="If the approximation is this coarse, say so by tol_abs_group=.",
    )


def check_gradient(trial: Trial) -> None:
    """Hold the gradient against differences of the value, in all entries that are free."""
    small = trial.psi.copy()
    small[: trial.problem.n_theta] *= NEAR_ZERO
    for psi in (trial.psi, small):
        got = trial.evaluation(psi).gradient
        expect(
            got.shape == psi.shape and got.dtype == np.float64,
            f"a float64 gradient of shape {psi.shape}",
            f"{got.dtype} of shape {got.shape}",
            "Return one entry per entry of psi, 0 for profiled ones.",
        )
        wanted = _differences(trial, psi)
        expect_close(
            got,
            wanted,
            what=f"gradient of the model {trial.name!r}, by differences of the value,",
            tol=TOL_REL_GRADIENT,
            scale=1.0 + np.max(np.abs(wanted)),
            advice="The entries are theta of all terms, then the coefficients of all predictors; "
            "the mode moves with psi.",
        )


def _differences(trial: Trial, psi: Array) -> Array:
    """Return the gradient by differences, 0 for entries that the approximation determines."""
    free = trial.case.free(trial.problem)
    # one objective, as in a fit: whatever it remembers must not show
    objective = trial.case.approximation.objective(trial.problem)

    def value(x: Array) -> float:
        moved = psi.copy()
        moved[free] = x
        return float(objective(moved).value)

    wanted = np.zeros(psi.size)
    wanted[free] = gradient(value, psi[free], STEP)
    return wanted


def check_bounded(trial: Trial) -> None:
    """Require an approximation that serves the model, and hold its gradient against differences."""
    stand_in = trial.case.approximation.bounded(trial.problem)
    expect(
        isinstance(stand_in, Approximation) and stand_in.accepts(trial.problem),
        f"bounded() to return an Approximation that takes the model {trial.name!r}, or None",
        type(stand_in).__name__,
        "Offer it for problems that it serves.",
    )
    assert stand_in is not None
    check_gradient(Trial(replace(trial.case, approximation=stand_in), trial.name, trial.plan))


def check_curvature(trial: Trial) -> None:
    """Hold second derivatives against differences of the gradient, and of what is profiled out."""
    problem, psi = trial.problem, trial.case.completed(trial.problem, trial.psi, trial.evaluation())
    found = trial.case.approximation.curvature(problem, psi)
    assert found is not None
    free = trial.case.free(problem)

    def at(values: Array) -> Array:
        moved = psi.copy()
        moved[free] = values
        evaluation = trial.evaluation(moved)
        profiled = evaluation.profiled
        tail = np.zeros(0) if profiled is None else profiled.values
        return np.concatenate([evaluation.gradient[free], tail])

    def along(unit: Array) -> Array:
        return np.asarray(slope(lambda t: at(psi[free] + t * unit), 0.0, STEP))

    wanted = np.stack([along(unit) for unit in np.eye(free.size)], axis=1)
    got = found.hessian[np.ix_(free, free)]
    if found.profiled_slope is not None:
        got = np.concatenate([got, found.profiled_slope[:, free]])
    for one, other, what in (
        (got[: free.size], wanted[: free.size], "second derivatives"),
        (got[free.size :], wanted[free.size :], "derivatives of the profiled entries"),
    ):
        expect_close(
            one,
            other,
            what=f"{what} of the model {trial.name!r}, by differences,",
            tol=TOL_REL_GRADIENT,
            scale=1.0 + float(np.max(np.abs(other), initial=0.0)),
            advice="They are those of the objective in psi; return None where it has none.",
        )
