"""What is said where the approximation of the likelihood is poor, from one look at a finer one."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Problem
from interlace_core.engine.parts import subset
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.registry.registry import default_registry

POINTS = 25
"""Quadrature points taken for exact: agrees with numerical integration to 1e-9."""

NOTE_SE = 0.5
"""Move of an estimate, in standard errors, from which the summary mentions it unasked."""

NOTE_LOGLIK = 0.5
"""Error in log-likelihood, at the point where a search gave up, from which the error is named."""

NOTE_POINTS = 11
"""Points that tell unasked whether more would matter."""

NOTE_GROUPS = 100
"""Groups that are looked at unasked, spread evenly: each adds its own small error, so that their
mean tells the order of the whole, in some milliseconds."""


def accuracy_notes(problem: Problem, approximation: Approximation, fit: Fit) -> tuple[str, ...]:
    """Return a note where more quadrature points would move an estimate much; at a glance.

    One evaluation with more points at the estimates, over some of the groups where there are
    many: the Newton step from the change of the gradient tells how far they would move. Where
    the search did not reach an optimum, the value tells whether there is an optimum to be reached.
    """
    standard = standard_of(problem)
    problem, psi = standard.problem, standard.psi(fit.psi)
    vcov = standard.covariance(fit.uncertainty)
    if not problem.terms:
        return ()
    place = approximation.profiled(problem)
    if place.stop > place.start or approximation.penalty(problem, psi) != 0.0:
        return ()
    finer = finer_approximation(problem, NOTE_POINTS)
    if finer is None:
        return ()
    part, share = _some_groups(problem)
    better = finer.objective(part)(psi)
    value, gradient = fit.value, standard.gradient(fit.gradient)
    if share < 1.0:
        usual = approximation.objective(part)(psi)
        value, gradient = usual.value, usual.gradient
    if not fit.verdict.converged:
        return _breakdown_notes((better.value - value) / share)
    change = (better.gradient - gradient) / share
    se = np.sqrt(np.diagonal(vcov))
    known = np.isfinite(se) & (se > 0)
    if not known.any() or not np.all(np.isfinite(change)):
        return ()
    moves = np.abs(vcov[np.ix_(known, known)] @ change[known]) / se[known]
    if not float(moves.max()) > NOTE_SE:
        return ()
    return (
        f"more quadrature points would move an estimate by about {float(moves.max()):.1g} standard "
        f"errors: the approximation is poor here. See result.accuracy(), or fit with "
        f"nAGQ={NOTE_POINTS}.",
    )


def _some_groups(problem: Problem) -> tuple[Problem, float]:
    """Return the rows of a few groups of the first term, and the share of the groups they are."""
    term = problem.terms[0]
    levels = len(term.levels)
    if levels <= NOTE_GROUPS:
        return problem, 1.0
    chosen = np.zeros(levels, dtype=bool)
    chosen[np.linspace(0, levels - 1, NOTE_GROUPS).astype(np.intp)] = True
    return subset(problem, np.flatnonzero(chosen[term.codes])), NOTE_GROUPS / levels


def _breakdown_notes(too_high: float) -> tuple[str, ...]:
    """Return a note where a search went to a point that only the approximation's error favours.

    Where a conditional density is not log-concave, its curvature at the mode can fall to 0, and
    an approximation by that curvature alone rises without end.
    """
    if not too_high > NOTE_LOGLIK:
        return ()
    by_nodes = f"by {NOTE_POINTS} quadrature points"
    compared = f"is {too_high:.2g} higher than {by_nodes}"
    if np.isinf(too_high):
        compared = f"has no value {by_nodes}"
    return (
        f"the log-likelihood where the search ended {compared}: the search followed the "
        f"approximation's error, which may have no optimum. Fit with nAGQ={POINTS}.",
    )


def finer_approximation(problem: Problem, points: int) -> Approximation | None:
    """Return an installed approximation that takes so many points for this problem, or None."""
    for each in default_registry().classes("approximation"):
        if each.cls.serves_nAGQ is None or points not in each.cls.serves_nAGQ:
            continue
        candidate: Approximation = each.cls.from_nAGQ(points)
        if candidate.accepts(problem):
            return candidate
    return None
