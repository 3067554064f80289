"""Searches from elsewhere, where the first one ended in doubt.

A family's limit is flat: a search that comes near it ends there, whatever lies on the other side.
The model without random effects, where a fit begins, can lie at such a limit that the whole model
is far from, because its dispersion and zero part take up the spread of the groups. So where the
data do not determine a direction, or no optimum was reached, there are further searches, from the
family's own constants, and the highest point of all is kept, whether or not it was reached; but
for points where a group has all but lost its mode, whose values are too high by any amount. An
approximation that has a penalty says by itself where else a minimum may be (`rivals`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.problem import Problem
from interlace_core.fitting.constants import mean_columns, mean_gram, nearest
from interlace_core.fitting.fitted import Fit, Searched
from interlace_core.fitting.modes import at_stand_in
from interlace_core.fitting.objective import Tally
from interlace_core.fitting.start import (
    Start,
    find_start,
    on_own_scale,
    random_start,
)
from interlace_core.fitting.stopping import FitStopped
from interlace_core.messages.errors import NumericalError
from interlace_core.records import Array

WEAK_SE = 2.0
"""Standard error of a direction of coefficients, in units of the root mean square by which it moves
eta, from which a parameter on a logarithmic or probability scale is in doubt: a factor of 50
either way. In ordinary fits it is 0.1 to 1."""

NO_ZEROS_ETA = -4.0
"""Predictor of a zero part that takes next to no part. Zeros are explained by a zero part or by a
dispersion, and each can be an optimum of its own."""

MIN_EVALUATIONS = 60
"""Evaluations that a further search may take at least; as many as the first one took if more."""

SMALL = 0.1
"""Share of the usual random effects in the start that has next to none."""

TOL_ABS_HIGHER = 1e-6
"""Log-likelihood by which a search must be higher to count."""

NEAR_LIMIT = 4.0
"""Predictor of a dispersion near its limit, a factor of 50: further on it has no slope to leave."""

OPPOSED = 0.7
"""Correlation, but for its sign, of effects of opposed sign."""

FEW_ROWS = 20
"""Rows per parameter below which a boundary is in doubt where there can be several optima."""

RANDOM_AT_BOUNDARY = 3
"""Random starts for such a boundary. Of 12 from which a zero part of 61 rows was fitted, 9 reached
the optimum that the usual start missed; of 12 for equal correlations of 34 rows, 10."""

APART = 1e-3
"""Log-likelihood by which two searches that ended at optima ended at different ones."""

SEED = 20261129
"""Of the random starts: the same ones in every fit."""


def is_doubtful(problem: Problem, fit: Fit) -> bool:
    """Return whether a fit may have ended in a place that is flat, or short of any optimum."""
    if not fit.verdict.converged or np.any(fit.undetermined):
        return True
    return any(
        on_own_scale(predictor.parameter.link)
        and predictor.X.shape[1] > 0
        and _is_weak(mean_gram(problem, k), fit.uncertainty.inner[place, place])
        for k, (predictor, place) in enumerate(
            zip(problem.predictors, problem.beta_slices(), strict=True)
        )
    )


def is_crowded(problem: Problem, fit: Fit) -> bool:
    """Return whether a fit ended at a boundary where few rows can have several optima.

    Densities that are log-concave jointly have one optimum but for the variances, and one variance
    alone seldom has two; a zero part, a formula of the dispersion, or correlations have them.
    """
    return fit.verdict.converged and bool(fit.verdict.boundary) and may_be_crowded(problem)


def may_be_crowded(problem: Problem) -> bool:
    """Return whether a model has several optima at its boundaries, as likely as not."""
    return problem.n < FEW_ROWS * problem.n_psi and _is_intricate(problem)


def may_be_exchanged(problem: Problem, fit: Fit) -> bool:
    """Return whether a fit ended at a boundary where a dispersion at its limit may lie higher.

    What spreads the response goes into the dispersion or into the effects: of a singular covariance
    beside a dispersion that is not at its limit there can be the other way round, however many
    the rows are, and no search from about here leads there.
    """
    if not (fit.verdict.converged and fit.verdict.boundary and _is_intricate(problem)):
        return False
    found = [problem.predictors[k] for k in problem.active() if problem.predictors[k].X.shape[1]]
    return any(
        each.parameter.role == "dispersion"
        and bool(each.parameter.at_upper or each.parameter.at_lower)
        for each in found
    )


def _is_intricate(problem: Problem) -> bool:
    """Return whether several effects, or coefficients beside the mean's, can trade places."""
    further = problem.predictors[1:]
    intricate = (
        any(term.Z.shape[1] > 1 for term in problem.terms)
        or any(each.X.shape[1] > 1 for each in further)
        or any(each.X.shape[1] and each.parameter.role == "zero" for each in further)
    )
    return intricate and not problem.family.log_concave(problem.active())


def _is_weak(gram: Array, V: Array) -> bool:
    """Return whether a direction of the coefficients moves eta by more than is known of it."""
    if not float(np.sum(gram * V)) >= WEAK_SE**2:  # their sum, which bounds the largest
        return not np.all(np.isfinite(V))
    size = np.sqrt(np.where(np.diagonal(gram) > 0, np.diagonal(gram), 1.0))
    values, vectors = np.linalg.eigh(gram / size / size[:, None])
    root = size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    return bool(np.linalg.eigvalsh(root.T @ V @ root)[-1] >= WEAK_SE**2)


def highest(
    problem: Problem,
    approximation: Approximation,
    fit: Fit,
    search: Callable[[Start, int], Fit],
    units: Array,
    starts: int,
    rivals: Sequence[tuple[str, Array]] = (),
) -> Fit:
    """Return the highest of a fit and of those that further searches reach.

    Parameters
    ----------
    problem, approximation
    fit : Fit
        Of the first search.
    search : callable
        From a start and the number of evaluations that the optimizer may take to a fit.
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    starts : int
        Number of random starts asked for.
    rivals : sequence of (str, ndarray)
        Where the approximation says that there may be a higher one.
    """
    limit = max(MIN_EVALUATIONS, fit.n_evaluations)
    best, searches = fit, list(fit.searches) or [_first(fit)]
    # where no optimum was near a stand-in's end, other points short of one are no better
    reached = bool(fit.searches) and not fit.verdict.converged and not fit.unsound
    higher_of = partial(_higher_of, limit=limit, search=search, searches=searches, reached=reached)
    for origin, psi in rivals:
        best = higher_of(best, origin, Start(psi, units))
    crowded = is_crowded(problem, fit)
    if crowded or is_doubtful(problem, fit):
        for origin, start in elsewhere(problem, approximation, fit.psi):
            best = higher_of(best, origin, start)
        if (
            not best.verdict.converged and not best.unsound
        ):  # scales anew where the best search ended
            best = higher_of(best, "the highest point so far", Start(best.psi, units))
    elif may_be_exchanged(problem, fit):
        constants = find_start(problem, None, approximation.shortcuts(problem), constants=True)
        for origin, start in _near_limits(problem, constants, fit.psi):
            best = higher_of(best, origin, start)
    rng = np.random.default_rng(SEED)
    for number in range(max(starts, RANDOM_AT_BOUNDARY) if crowded else starts):
        start = random_start(problem, units, rng)
        best = higher_of(best, f"random start {number + 1}", start)
    return replace(best, searches=tuple(searches))


def lost_higher(fit: Fit) -> str:
    """Return which groups all but lost their mode where a search ended higher than the fit.

    In words; empty if none did. The fit itself can be such a search, where all are. Between them
    and the best of the others there may be a higher point, which `with_modes` looks for.
    """
    higher = (each for each in fit.searches if each.value < fit.value - TOL_ABS_HIGHER)
    return fit.lost or next((each.lost for each in higher if each.lost), "")


def with_modes(
    fit: Fit,
    begin: Callable[[int], Start | None],
    tally: Tally,
    search: Callable[[Start, int], Fit],
) -> Fit:
    """Return the fit of a search from a stand-in's end, where searches have lost a group's mode.

    Of the two that is kept which has not, or the higher one. Without an optimum near it ends at the
    stand-in's.

    Parameters
    ----------
    fit : Fit
    begin : callable
        From the number of evaluations that an optimizer may take to where the stand-in's search
        ends; None if there is no stand-in.
    tally : Tally
        Of that search.
    search : callable
        As for `highest`.
    """
    limit = max(MIN_EVALUATIONS, fit.n_evaluations)
    try:
        start = begin(limit)
    except (NumericalError, FitStopped):
        start = None
    fit = replace(
        fit,
        n_evaluations=fit.n_evaluations + tally.n_evaluations,
        n_failed=fit.n_failed + tally.n_failed,
        n_inner=fit.n_inner + tally.n_inner,
    )
    if start is None:
        return fit
    lost, searches = lost_higher(fit), list(fit.searches) or [_first(fit)]
    best = _higher_of(fit, "where a bounded stand-in ended", start, limit, search, searches)
    moved = bool(fit.lost) or best.value < fit.value
    if moved and not best.unsound and not best.verdict.converged:
        best = replace(best, verdict=at_stand_in(best.verdict, lost))
    return replace(best, searches=tuple(searches))


def _first(fit: Fit) -> Searched:
    return Searched("the usual start", fit.value, fit.verdict.converged, fit.lost)


def optima_apart(fit: Fit) -> int:
    """Return how many searches ended at an optimum lower than the one that is kept."""
    reached = [each.value for each in fit.searches if each.converged]
    return sum(value > fit.value + APART for value in reached)


def elsewhere(
    problem: Problem, approximation: Approximation, psi: Array | None = None
) -> Iterator[tuple[str, Start]]:
    """Yield starts about the family's constants, in words and numbers.

    Parameters
    ----------
    problem, approximation
    psi : ndarray, shape (n_psi,), optional
        Where a search has ended: what is near a limit there need not be looked for near it.
    """
    shortcuts = approximation.shortcuts(problem)
    start = find_start(problem, None, shortcuts, constants=True)
    if shortcuts is None:
        yield "the family's constants", start
    if problem.n_theta:
        small = start.psi.copy()
        small[: problem.n_theta] *= SMALL
        yield "the family's constants, with small random effects", replace(start, psi=small)
    if any(term.Z.shape[1] > 1 for term in problem.terms):
        opposed = _with_opposed_effects(problem, start.psi)
        yield "the family's constants, with effects of opposed sign", replace(start, psi=opposed)
    if problem.n_theta:
        yield from _near_limits(problem, start, psi)
    zero = [k for k in problem.active() if problem.predictors[k].parameter.role == "zero"]
    if any(problem.predictors[k].X.shape[1] for k in zero):
        none = start.psi.copy()
        for k in zero:
            if problem.predictors[k].X.shape[1]:
                none[problem.beta_slices()[k]] = nearest(problem, [(k, NO_ZEROS_ETA)])[0]
        yield "the family's constants, with next to no zero part", replace(start, psi=none)


def _near_limits(
    problem: Problem, start: Start, found: Array | None
) -> Iterator[tuple[str, Start]]:
    """Yield starts with a dispersion near its limit, where effects take up the spread instead."""
    for k in problem.active():
        predictor, place = problem.predictors[k], problem.beta_slices()[k]
        parameter = predictor.parameter
        limit = parameter.at_upper or parameter.at_lower
        if parameter.role != "dispersion" or not limit or not predictor.X.shape[1]:
            continue
        eta = NEAR_LIMIT if parameter.at_upper else -NEAR_LIMIT
        if found is not None and mean_columns(problem, k) @ found[place] / eta > 1.0:
            continue
        psi = start.psi.copy()
        psi[place] = nearest(problem, [(k, eta)])[0]
        yield f"the family's constants, near {limit}", replace(start, psi=psi)


def _with_opposed_effects(problem: Problem, psi: Array) -> Array:
    """Return psi with effects whose correlations alternate in sign from column to column.

    At a variance of 0 the likelihood does not tell correlations of one sign from the other's.
    """
    psi = psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        c = term.Z.shape[1]
        if term.covariance.chain(psi[place]) is not None:
            psi[place] = _opposed_neighbours(term.covariance, psi[place])
            continue
        T = term.covariance.template(psi[place])
        sign = np.where(np.arange(c) % 2, -1.0, 1.0) * np.linalg.norm(T, axis=1)
        opposed = OPPOSED * np.outer(sign, sign) + (1.0 - OPPOSED) * np.diag(np.square(sign))
        psi[place] = term.covariance.nearest(opposed)
    return psi


def _opposed_neighbours(covariance: Covariance, theta: Array) -> Array:
    """Return the theta of a chain whose correlation alternates in sign; as it is if none does."""
    kinds = np.array(covariance.kinds())
    values = np.where(kinds == "correlation", -OPPOSED, covariance.natural(theta))
    try:
        return covariance.from_natural(values)
    except ValueError:
        return theta


def _higher_of(
    best: Fit,
    origin: str,
    start: Start,
    limit: int,
    search: Callable[[Start, int], Fit],
    searches: list[Searched],
    reached: bool = False,
) -> Fit:
    """Return the better of the best fit so far and one from a start, with the work of both.

    With `reached`, another counts only if it ended at an optimum.
    """
    try:
        found = search(start, limit)
    except (NumericalError, FitStopped):  # nothing can be computed there, or no time is left
        return best
    searches.append(Searched(origin, found.value, found.verdict.converged, found.lost))
    counts = found.verdict.converged or not reached
    chosen = found if counts and _is_better(found, best) else best
    return replace(
        chosen,
        n_evaluations=best.n_evaluations + found.n_evaluations,
        n_failed=best.n_failed + found.n_failed,
        n_inner=best.n_inner + found.n_inner,
        seconds=best.seconds + found.seconds,
    )


def _is_better(found: Fit, best: Fit) -> bool:
    """Return whether a fit is to be kept in place of another."""
    if bool(found.unsound) != bool(best.unsound):
        return not found.unsound
    if found.value < best.value - TOL_ABS_HIGHER:
        return True
    # of two searches that ended at the same height, the one that ended at an optimum
    same = found.value < best.value + TOL_ABS_HIGHER
    return same and found.verdict.converged and not best.verdict.converged
