"""Check of an approximation's shortcuts against what the rows say."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.approximation import Shortcuts
from interlace_core.engine.joint_density import effects_covariance
from interlace_core.fitting.precondition import information_of_rows
from interlace_core.fitting.start import natural_units
from interlace_core.testing.approximation_case import Trial
from interlace_core.testing.verdicts import expect, expect_close

TOL_REL_COVARIANCE = 1e-6
"""Users see it: both ways find it at the same mode, to rounding."""

TOL_FACTOR = 4.0
"""Start and scales decide how long a search takes, not where it ends."""


def check_shortcuts(trial: Trial) -> None:
    """Require the spread of the random effects that the rows give, and scales that are near."""
    shortcuts = trial.case.approximation.shortcuts(trial.problem)
    assert shortcuts is not None
    _check_beginning(trial, shortcuts)
    evaluation = trial.evaluation()
    psi = trial.case.completed(trial.problem, trial.psi, evaluation)
    by_rows = effects_covariance(trial.problem, psi, evaluation.mode)
    found = shortcuts.effects_covariance(psi)
    expect(
        found is not None and by_rows is not None and len(found) == len(by_rows),
        f"a covariance for each grouping factor of the model {trial.name!r}",
        found,
        "Return one array of shape (c, c, L) per factor, in the order of the layout.",
    )
    for one, other in zip(found or (), by_rows or (), strict=True):
        expect_close(
            one,
            other,
            what=f"covariance of u of the model {trial.name!r}, as from the rows,",
            tol=TOL_REL_COVARIANCE,
            scale=float(np.max(np.abs(other))),
            advice="Return the diagonal blocks of H^-1 at psi.",
        )
    known = information_of_rows(trial.problem, psi, evaluation.mode)
    expect(known is not None, "a mode at a moderate psi", None, "See the mode of the evaluation.")
    if known is not None:
        got = shortcuts.information(psi)
        searched = np.ones(psi.size, dtype=bool)
        searched[trial.case.approximation.profiled(trial.problem)] = False
        of_beta = searched[trial.problem.n_theta :]
        pairs = [(np.diag(got.coefficients)[of_beta], np.diag(known.coefficients)[of_beta])]
        pairs += list(zip(got.effects, known.effects, strict=True))
        for one, other in pairs:
            _expect_near(trial, one, other, "information")


def _check_beginning(trial: Trial, shortcuts: Shortcuts) -> None:
    beginning, problem = shortcuts.begin(), trial.problem
    expect(
        beginning.beta.shape == (problem.n_beta,) and bool(np.all(np.isfinite(beginning.beta))),
        f"a finite start for each of the {problem.n_beta} coefficients of {trial.name!r}",
        beginning.beta,
        "Those of all predictors, in order.",
    )
    units = natural_units(problem, beginning.beta)
    _expect_near(trial, beginning.units, units, "natural units")


def _expect_near(trial: Trial, got: object, wanted: object, what: str) -> None:
    one, other = np.asarray(got), np.asarray(wanted)
    same = one.shape == other.shape
    expect(
        same and bool(np.all((one <= TOL_FACTOR * other) & (other <= TOL_FACTOR * one))),
        f"{what} of the model {trial.name!r} within a factor of {TOL_FACTOR} of {other}",
        one,
        "They scale the search: far off, it takes long.",
    )
