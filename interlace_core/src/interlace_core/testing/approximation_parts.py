"""Check of an approximation over parts of the rows: together they are what all rows are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.contract.parts import PartsHere
from interlace_core.contract.problem import Problem
from interlace_core.engine.parts import subset
from interlace_core.fitting.outline import outline
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Evaluation
from interlace_core.testing.approximation_case import Trial
from interlace_core.testing.verdicts import expect_close

TOL_REL_VALUE = 1e-9
"""Both search for the mode to a tolerance, by which values and slopes differ a little."""

TOL_REL_SLOPE = 1e-6


def check_parts(trial: Trial) -> None:
    """Require that parts, none of which remembers anything, add up to the whole."""
    parts = _halves(trial.problem)
    if not parts:
        return
    approximation, whole = trial.case.approximation, trial.evaluation()
    divided = outline(parts[0], _Forgetful(parts))
    try:
        found: Evaluation = approximation.over_parts(divided)(trial.psi)
    except UnsupportedModelError:
        return
    advice = (
        "over_parts: groups of different parts share nothing, but for terms that run across all "
        "(RandomTerm.across). Where the objective is a sum over groups return "
        "summed(self, problem), which refuses those; count once what is no part of such a sum."
    )
    size = abs(whole.value) + 1.0
    for what, one, other, tol in (
        ("value", found.value, whole.value, TOL_REL_VALUE),
        ("gradient", found.gradient, whole.gradient, TOL_REL_SLOPE),
    ):
        words = f"{what} of the model {trial.name!r} over two parts"
        expect_close(one, other, what=words, tol=tol, scale=size, advice=advice)
    _check_curvature(trial, divided)
    _check_start(trial, divided)


def _check_curvature(trial: Trial, divided: Problem) -> None:
    """Require that second derivatives over parts, if there are any, are those of the whole."""
    found = trial.case.approximation.curvature(divided, trial.psi)
    whole = trial.case.approximation.curvature(trial.problem, trial.psi)
    if found is None or whole is None:
        return
    scale = float(np.max(np.abs(whole.hessian), initial=0.0)) + 1.0
    expect_close(
        found.hessian,
        whole.hessian,
        what=f"curvature of the model {trial.name!r} over two parts",
        tol=TOL_REL_SLOPE,
        scale=scale,
        advice="curvature: ask the parts by problem.parts.total, or return None where it cannot.",
    )


def _check_start(trial: Trial, divided: Problem) -> None:
    """Require that a search over parts, if it has a start of its own, begins where another does."""
    found = trial.case.approximation.shortcuts(divided)
    whole = trial.case.approximation.shortcuts(trial.problem)
    if found is None or whole is None:
        return
    one, other = found.begin(), whole.begin()
    expect_close(
        one.beta,
        other.beta,
        what=f"start of the model {trial.name!r} over two parts",
        tol=TOL_REL_SLOPE,
        scale=float(np.max(np.abs(other.beta), initial=0.0)) + 1.0,
        advice="shortcuts: `begin` of a problem in parts asks these by problem.parts.total.",
    )


class _Forgetful(PartsHere):
    def ask(self, question, *given):  # type: ignore[no-untyped-def]
        """Return the answers of parts that have lost all that they knew."""
        for part in self.parts:
            part.cache.clear()
        return super().ask(question, *given)


def _halves(problem: Problem) -> list[Problem]:
    """Return two parts that share no levels but those of terms that run across; none if neither is.

    Terms run across where no factor has all others nested in it: all but those of most levels.
    """
    if problem.correlation is not None or any(term.relation for term in problem.terms):
        return []
    for top in problem.terms:
        side = top.codes % 2
        nested = all(
            not np.intersect1d(term.codes[side == 0], term.codes[side == 1]).size
            for term in problem.terms
        )
        if nested and np.ptp(side):
            return [subset(problem, np.flatnonzero(side == half)) for half in (0, 1)]
    if not problem.terms:
        return []
    top = max(problem.terms, key=lambda term: len(term.levels))
    terms = tuple(replace(term, across=term.group != top.group) for term in problem.terms)
    side, divided = top.codes % 2, replace(problem, terms=terms)
    return [subset(divided, np.flatnonzero(side == half)) for half in (0, 1)]
