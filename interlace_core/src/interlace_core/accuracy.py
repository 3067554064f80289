"""How good the approximation of the likelihood is for one fit, in numbers and in words.

Where an installed approximation can take more points for this problem (one scalar random effect),
it evaluates the likelihood at the estimates and fits again from there. Otherwise the likelihood
is estimated at the estimates by importance sampling around the mode (`sampled_likelihood`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace_core.contracts import Approximation
from interlace_core.errors import InterlaceError, UnsupportedModelError
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.refit import refit_problem
from interlace_core.fitting.support import check_support
from interlace_core.fitting.training import Training, require_training
from interlace_core.records import Array, Problem
from interlace_core.registry import default_registry
from interlace_core.sampled_likelihood import independent_parts, sample_likelihood
from interlace_core.shards import subset

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult

POINTS = 25
"""Quadrature points taken for exact: agrees with numerical integration to 1e-9."""

FINE_SE = 0.05
"""Largest move of an estimate, in standard errors, below which the approximation is fine: an
interval's coverage then changes by less than 0.1%."""

NOTE_SE = 0.5
"""Move of an estimate, in standard errors, from which the summary mentions it unasked."""

NOTE_LOGLIK = 0.5
"""Error in log-likelihood, at the point where a search gave up, from which the error is named."""

NOTE_POINTS = 11
"""Points that tell unasked whether more would matter."""

NOTE_GROUPS = 100
"""Groups that are looked at unasked, spread evenly: each adds its own small error, so that their
mean tells the order of the whole, in some milliseconds."""

LEAST_SHARE = 0.05
"""Effective share of the draws below which importance sampling is not trusted."""


@dataclass(frozen=True)
class Accuracy:
    """How good the approximation is.

    Attributes
    ----------
    loglik : float
        The fit's.
    loglik_better : float
        The better value at the same estimates.
    error : float
        Of `loglik_better`: 0 for quadrature, the standard error of sampling otherwise.
    largest_move : float
        Largest change of an estimate under the better approximation, in standard errors; NaN
        where only the likelihood was sampled.
    move_of : str
        The parameter that moves most.
    method : str
        What the comparison was made with.
    verdict : str
        In a sentence.
    """

    loglik: float
    loglik_better: float
    error: float
    largest_move: float
    move_of: str
    method: str
    verdict: str

    @property
    def difference(self) -> float:
        """What the approximation is off by at the estimates, in log-likelihood."""
        return self.loglik - self.loglik_better

    def __str__(self) -> str:
        """Return two lines."""
        error = f" (sampling error {self.error:.2g})" if self.error else ""
        return (
            f"logLik {self.loglik:.4f}, by {self.method} {self.loglik_better:.4f}{error}\n"
            f"{self.verdict}"
        )


def accuracy(result: GLMMResult, *, n: int, seed: int | None) -> Accuracy:
    """Return the accuracy report; see `GLMMResult.accuracy`."""
    training = require_training(result, "accuracy")
    if result.penalised:
        raise UnsupportedModelError(
            "accuracy: not for a penalised fit; fit without priors to see how good the "
            "approximation is."
        )
    if result.restricted:
        raise UnsupportedModelError(
            "accuracy: a restricted likelihood is another quantity than the likelihood that "
            "sampling gives. Fit by maximum likelihood."
        )
    if training.problem.correlation is not None:
        raise UnsupportedModelError(
            "accuracy: the likelihood of a linear model with correlated residuals is exact; there "
            "is no approximation to judge."
        )
    if not training.problem.terms:
        raise UnsupportedModelError(
            "accuracy: the model has no random effects, so that nothing is approximated."
        )
    finer = finer_approximation(training.problem, POINTS)
    if finer is not None:
        return _by_quadrature(result, training, finer)
    return _by_sampling(result, training, n, np.random.default_rng(seed))


def accuracy_notes(training: Training, fit: Fit) -> tuple[str, ...]:
    """Return a note where more quadrature points would move an estimate much; at a glance.

    One evaluation with more points at the estimates, over some of the groups where there are
    many: the Newton step from the change of the gradient tells how far they would move. Where
    the search did not reach an optimum, the value tells whether there is an optimum to be reached.
    """
    problem = training.problem
    if not problem.terms:
        return ()
    place = training.approximation.profiled(problem)
    if place.stop > place.start or training.approximation.penalty(training.problem, fit.psi) != 0.0:
        return ()
    finer = finer_approximation(problem, NOTE_POINTS)
    if finer is None:
        return ()
    part, share = _some_groups(problem)
    better = finer.objective(part)(fit.psi)
    value, gradient = fit.value, fit.gradient
    if share < 1.0:
        usual = training.approximation.objective(part)(fit.psi)
        value, gradient = usual.value, usual.gradient
    if not fit.verdict.converged:
        return _breakdown_notes((better.value - value) / share)
    change = (better.gradient - gradient) / share
    se = np.sqrt(np.diagonal(fit.vcov))
    known = np.isfinite(se) & (se > 0)
    if not known.any() or not np.all(np.isfinite(change)):
        return ()
    moves = np.abs(fit.vcov[np.ix_(known, known)] @ change[known]) / se[known]
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
        try:
            check_support(candidate, problem)
        except InterlaceError:
            continue
        return candidate
    return None


def _by_quadrature(result: GLMMResult, training: Training, finer: Approximation) -> Accuracy:
    problem, psi = training.problem, result.fit.psi
    at = finer.objective(problem)(psi)
    refitted = _refit_with(training, finer, psi)
    se = np.sqrt(np.diagonal(result.fit.vcov))
    with np.errstate(invalid="ignore"):
        moves = np.abs(refitted.psi - psi) / se
    worst = int(np.nanargmax(moves))
    largest, name = float(moves[worst]), result.psi_names()[worst]
    if largest <= FINE_SE:
        verdict = (
            f"The approximation is fine: no estimate moves by more than {largest:.2g} standard "
            f"errors under {POINTS} quadrature points."
        )
    else:
        needed = _fewest(training, psi, refitted)
        verdict = (
            f"Use nAGQ={needed}: under more quadrature points {name} moves by {largest:.2g} "
            "standard errors."
        )
    return Accuracy(
        loglik=result.llf,
        loglik_better=-at.value,
        error=0.0,
        largest_move=largest,
        move_of=name,
        method=f"{POINTS} quadrature points",
        verdict=verdict,
    )


def _refit_with(training: Training, finer: Approximation, psi: Array) -> Fit:
    changed = Training(training.problem, finer, training.optimizer, training.tol_decrement)
    return refit_problem(changed, training.problem, psi)


def _fewest(training: Training, psi: Array, exact: Fit) -> int:
    """Return the fewest points whose value at the exact estimates is that of many to 1e-3."""
    for points in (3, 5, 7, 11, 15, 21):
        candidate = finer_approximation(training.problem, points)
        if candidate is None:
            continue
        value = candidate.objective(training.problem)(exact.psi).value
        if abs(value - exact.value) < 1e-3:
            return points
    return POINTS


def _by_sampling(
    result: GLMMResult, training: Training, n: int, rng: np.random.Generator
) -> Accuracy:
    parts = independent_parts(training.problem)
    total, variance, share = 0.0, 0.0, 1.0
    for part in parts:
        estimate = sample_likelihood(part, result.fit.psi, n, rng)
        total += estimate.loglik
        variance += estimate.error**2
        share = min(share, estimate.effective_share)
    error, difference = float(np.sqrt(variance)), result.llf - total
    method = f"importance sampling, {n} draws"
    if share < LEAST_SHARE:
        verdict = (
            f"No verdict: only {100 * share:.2g}% of the draws are effective, too few to tell. "
            "Take more draws, or judge by a parametric bootstrap."
        )
    elif abs(difference) <= 0.1 + 2.0 * error:
        verdict = (
            f"The approximation is fine at the estimates: its log-likelihood is off by "
            f"{difference:.2g}."
        )
    else:
        verdict = (
            f"The approximation is off by {difference:.2g} in log-likelihood at the estimates. "
            "Check the estimates by a parametric bootstrap."
        )
    return Accuracy(result.llf, total, error, float("nan"), "", method, verdict)
