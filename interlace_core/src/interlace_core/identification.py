"""Which variances the data cannot tell apart, whatever the response: found before the fit.

A normal response shows its covariance and nothing else. Variance parameters are identified where
the derivatives of the marginal covariance in them are linearly independent matrices (Rothenberg
1971, theorem 1, for a normal law). lme4 refuses where a term has as many effects as there are rows;
this is the rule behind that, so that levels correlated by a known matrix (an animal model), times
(`ar1`) or unequal weights may have a level per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from interlace_core.errors import DataError
from interlace_core.formulas.spans import listed
from interlace_core.numerics.marginal import (
    Dependence,
    ResidualSlopes,
    TermSlopes,
    dependence,
    log_sd,
)
from interlace_core.records import Array, IntArray, Predictor, Problem, RandomTerm

FEW_ROWS = 2000
"""Rows that are looked at first: what is told apart by some rows is told apart by all."""

MOST_NUMBERS = 3e7
"""Rows times parameters up to which all rows are looked at in the end (240 MB)."""

MOST_PARAMETERS = 250
"""Variance parameters beyond which a model is not examined; the time goes with their square."""

GROUPS_TRIED = 10
"""Groups among which one is looked for that shows a whole covariance by itself."""

MOST_EFFECTS = 12
"""Effects of a term up to which such a group is looked for."""


class Spread(Enum):
    """What a row by itself tells of the variance of effects that each row has for itself."""

    ESTIMATED = "a residual variance of the same kind is estimated"
    BENT = "a residual variance is estimated, which a link that bends sets apart a little"
    OUTCOME = "it is a single outcome"
    SHAPE = "its dispersion is estimated, and differs in shape only"
    KNOWN = "all of it"


@dataclass(frozen=True)
class Fitting:
    """What the way a model is fitted has to do with identification.

    Attributes
    ----------
    restricted : bool
        Whether only contrasts free of the fixed effects count.
    precision_weights : bool
        Whether weights divide the residual variance.
    """

    restricted: bool = False
    precision_weights: bool = False


def identification_notes(problem: Problem, fitting: Fitting) -> tuple[str, ...]:
    """Return a note on each set of variances that the data tell apart badly or not at all.

    Costs next to nothing unless effects reach the rows, residuals are correlated, or covariates
    do not vary within groups.

    Parameters
    ----------
    problem : Problem
    fitting : Fitting

    Raises
    ------
    DataError
        If a residual variance (or correlation) cannot be told from those of random effects.
    """
    notes: list[str] = []
    for k in dict.fromkeys(term.predictor for term in problem.terms):
        terms = [term for term in problem.terms if term.predictor == k]
        if _suspicious(problem, terms, fitting):
            notes += _examined(problem, terms, fitting)
    return tuple(notes)


def row_spread(problem: Problem) -> Spread:
    """Return what a row by itself tells of the variance of an effect for each row."""
    family = problem.family
    free = _free(problem)
    estimated = [each for each in free if each.parameter.role == "dispersion"]
    confounded = family.observation_level_confounded and bool(estimated)
    if family.linear_normal or (confounded and _is_identity(problem)):
        return Spread.ESTIMATED
    if free and _is_quadratic(problem):
        return Spread.ESTIMATED
    if confounded:
        return Spread.BENT
    own = any(each.role == "dispersion" for each in family.parameters)
    if family.observation_level_confounded and not own:
        return Spread.OUTCOME
    return Spread.SHAPE if estimated else Spread.KNOWN


def _suspicious(problem: Problem, terms: Sequence[RandomTerm], fitting: Fitting) -> bool:
    q = sum(_effects(term) for term in terms)
    mean = terms[0].predictor == 0
    if q >= problem.n or (mean and problem.correlation is not None):
        return True
    if any(not _resolved(term) for term in terms):
        return True
    return mean and fitting.restricted and bool(_also_fixed(problem, terms))


def _effects(term: RandomTerm) -> int:
    return int(term.Z.shape[1] * (int(term.codes.max()) + 1))


def _resolved(term: RandomTerm) -> bool:
    """Return whether one of a few groups has rows enough to show the term's whole covariance."""
    c = term.Z.shape[1]
    if c == 1 or c > MOST_EFFECTS:
        return True
    rows = np.flatnonzero(term.codes < GROUPS_TRIED)
    Z = term.Z[rows] / np.maximum(np.max(np.abs(term.Z[rows]), axis=0), 1e-300)
    codes = term.codes[rows]
    return any(np.linalg.matrix_rank(Z[codes == g]) == c for g in range(GROUPS_TRIED))


def _also_fixed(problem: Problem, terms: Sequence[RandomTerm]) -> list[RandomTerm]:
    """Return the terms with an effect whose levels are combinations of fixed effects."""
    X = problem.predictors[0].X
    few = [term for term in terms if int(term.codes.max()) + 1 <= X.shape[1]]
    if not few:
        return []
    rng = np.random.default_rng(2)
    found = []
    for term in few:
        rows = _some_rows(problem.n, term.codes, max(FEW_ROWS, 2 * X.shape[1]))
        Z = term.Z[rows] * rng.normal(size=term.codes.max() + 1)[term.codes[rows]][:, None]
        left = Z - X[rows] @ np.linalg.lstsq(X[rows], Z, rcond=None)[0]
        if np.any(np.linalg.norm(left, axis=0) <= 1e-9 * np.linalg.norm(Z, axis=0)):
            found.append(term)
    return found


def _examined(problem: Problem, terms: Sequence[RandomTerm], fitting: Fitting) -> list[str]:
    """Return notes on the terms of one predictor, from the slopes of the marginal covariance."""
    spread = row_spread(problem) if terms[0].predictor == 0 else Spread.KNOWN
    if sum(term.covariance.n_theta for term in terms) > MOST_PARAMETERS:
        return []
    found, owners = _dependence(problem, terms, fitting, spread)
    mixed = _involved(found.both, owners, terms)
    alone = any(_is_residual(problem, term) for term, _ in mixed)
    if mixed and (spread is Spread.ESTIMATED or (spread is Spread.BENT and alone)):
        raise DataError(_confounded(problem, mixed))
    notes = _unresolved(problem, terms, _involved(found.terms, owners, terms), fitting)
    if mixed and spread is Spread.OUTCOME:
        notes.append(_of_outcomes(problem, mixed))
    elif mixed:
        notes.append(_of_shape(problem, mixed))
    elif spread is Spread.ESTIMATED:
        notes += _told_by_rows(problem, terms)
    return notes


def _dependence(
    problem: Problem, terms: Sequence[RandomTerm], fitting: Fitting, spread: Spread
) -> tuple[Dependence, IntArray]:
    """Return the dependence of the slopes, and the term that each of them belongs to."""
    used = np.arange(problem.n)
    if problem.weights is not None and np.any(problem.weights == 0.0):
        used = np.flatnonzero(problem.weights > 0.0)
    largest = max(terms, key=_effects)
    few = used[_some_rows(used.size, largest.codes[used], FEW_ROWS)]
    for rows in (few, used):
        slopes = [TermSlopes(term, rows) for term in terms]
        residual = _residual(problem, rows, fitting, spread)
        fixed = problem.predictors[0].X[rows] if fitting.restricted else None
        found = dependence(slopes, residual, rows.size, fixed)
        owners = np.repeat(np.arange(len(terms)), [len(each.D) for each in slopes])
        clear = not found.terms.size and not found.both.size
        if clear or rows.size == used.size or used.size * (owners.size + 2) > MOST_NUMBERS:
            break
    return found, owners


def _residual(
    problem: Problem, rows: IntArray, fitting: Fitting, spread: Spread
) -> ResidualSlopes | None:
    if spread is Spread.KNOWN:
        return None
    if spread in (Spread.OUTCOME, Spread.SHAPE):
        return ResidualSlopes(np.ones((rows.size, 1)), np.zeros(rows.size))
    X, offset = log_sd(_free(problem), rows)
    if fitting.precision_weights and problem.weights is not None:
        offset = offset - 0.5 * np.log(problem.weights[rows])
    correlation = None if problem.correlation is None else problem.correlation.take(rows)
    return ResidualSlopes(X, offset, correlation)


def _free(problem: Problem) -> list[Predictor]:
    """Return the predictors beside the mean's that are estimated, correlations left out."""
    count = len(problem.predictors)
    if problem.correlation is not None:
        count -= len(problem.correlation.parameters)
    own = problem.predictors[1:count]
    free = [each for each in own if each.parameter.fixed is None]
    return [each for each in free if each.parameter.role == "dispersion"] or free


def _some_rows(n: int, codes: IntArray, most: int) -> IntArray:
    """Return at most so many rows, of whole levels spread over all of them where these fit."""
    if n <= most:
        return np.arange(n)
    sizes = np.bincount(codes)
    order = np.random.default_rng(4).permutation(sizes.size)
    order = order[sizes[order] > 0]
    chosen = order[: max(int(np.searchsorted(np.cumsum(sizes[order]), most, "right")), 1)]
    wanted = np.zeros(sizes.size, dtype=bool)
    wanted[chosen] = True
    return np.flatnonzero(wanted[codes])[:most]


def _is_residual(problem: Problem, term: RandomTerm) -> bool:
    """Return whether a term has one effect for each row."""
    return term.Z.shape[1] == 1 and int(term.codes.max()) + 1 == problem.n


def _is_identity(problem: Problem) -> bool:
    eta = np.array([-0.7, 0.4])
    with np.errstate(all="ignore"):
        return bool(np.array_equal(problem.predictors[0].parameter.link.mu(eta), eta))


def _is_quadratic(problem: Problem) -> bool:
    """Return whether the log-density is a parabola in the mean's predictor, the same for each row.

    It is then that of a normal law, whatever the family is called.
    """
    family, K = problem.family, len(problem.predictors)
    base = np.zeros(K)
    for k, each in enumerate(family.parameters):
        base[k] = 0.0 if each.fixed is None else each.fixed_eta()
    curvatures = []
    for move in (-0.3, 0.0, 0.4):
        eta = [np.full(problem.n, value) for value in base]
        eta[0] = eta[0] + move
        with np.errstate(all="ignore"):
            found = family.derivatives(problem.y, eta, 3, (0,))
        second, third = found.get(0, 0), found.get(0, 0, 0)
        if second is None or (third is not None and np.any(np.abs(third) > 1e-9)):
            return False
        curvatures.append(np.broadcast_to(second, (problem.n,)))
    values = np.concatenate(curvatures)
    return bool(np.all(values < 0.0) and np.ptp(values) <= 1e-9 * np.max(np.abs(values)))


def _involved(
    null: Array, owners: IntArray, terms: Sequence[RandomTerm]
) -> list[tuple[RandomTerm, int]]:
    """Return the terms in some vanishing combinations, each with its number of parameters."""
    size = np.max(np.abs(null), axis=1, initial=0.0)
    return [
        (term, int(np.sum(owners == t)))
        for t, term in enumerate(terms)
        if np.any(size[owners == t] > 1e-6)
    ]


def _confounded(problem: Problem, mixed: Sequence[tuple[RandomTerm, int]]) -> str:
    terms = [term for term, _ in mixed]
    per_row = [term for term in terms if _is_residual(problem, term)]
    if per_row:
        return (
            f"grouping factor {per_row[0].group!r}: expected fewer levels than rows, got "
            f"{problem.n} levels in {problem.n} rows. The variance between groups cannot be told "
            "from the residual variance; leave the term out, or choose a coarser factor."
        )
    names = listed([_written(term) for term in terms])
    if problem.correlation is not None:
        return (
            f"correlation {problem.correlation.label}: expected a correlation of residuals that "
            f"can be told from random effects, got {names}, which correlates the same rows in the "
            "same way. Leave one of the two out."
        )
    most = max(terms, key=_effects)
    count = sum(number for _, number in mixed)
    return (
        f"random effects {names}: expected variances that can be told from the residual variance, "
        f"got {_effects(most)} random effects in {problem.n} rows: the {count} parameter(s) of "
        "their covariance and the residual variance are more than the data show. Leave out an "
        "effect or its correlations, (1 | g) or (x || g), or take more rows of each level."
    )


def _unresolved(
    problem: Problem,
    terms: Sequence[RandomTerm],
    among: Sequence[tuple[RandomTerm, int]],
    fitting: Fitting,
) -> list[str]:
    if not among:
        return []
    names = listed([_written(term) for term, _ in among])
    if fitting.restricted and terms[0].predictor == 0:
        fixed = _also_fixed(problem, [term for term, _ in among])
        if fixed:
            return [
                f"the data do not determine all variances of {names}: effects of it are fixed "
                "effects as well, of which a restricted likelihood is free. Its estimates are "
                "arbitrary; leave the one or the other out"
            ]
    if len(among) > 1:
        return [f"the data do not determine the variances of {names} each, only sums of them"]
    term = among[0][0]
    return [
        f"the data do not determine all variances and correlations of {names}: no level of "
        f"{term.group!r} has rows that tell its {term.Z.shape[1]} effects apart. Their estimates "
        "are arbitrary in part; leave out effects of covariates that do not vary within levels"
    ]


def _of_outcomes(problem: Problem, mixed: Sequence[tuple[RandomTerm, int]]) -> str:
    names = listed([_written(term) for term, _ in mixed])
    return (
        f"{_reach(problem, mixed)}, each row a single outcome: the variance of {names} cannot be "
        "told from that which the link implies, and coefficients grow with it. Leave the term out, "
        "or choose a coarser factor"
    )


def _of_shape(problem: Problem, mixed: Sequence[tuple[RandomTerm, int]]) -> str:
    names = listed([_written(term) for term, _ in mixed])
    return (
        f"{_reach(problem, mixed)}, beside a dispersion that is estimated: the variance of {names} "
        "is told from it by the shape of the distribution alone"
    )


def _told_by_rows(problem: Problem, terms: Sequence[RandomTerm]) -> list[str]:
    """Return a note where unequal residual variances alone tell the levels' variance."""
    return [
        f"{_written(term)} has a level for each row: its variance is told from the residual "
        "variance by the rows' unequal weights or dispersion alone"
        for term in terms
        if term.relation is None and _is_residual(problem, term)
        if problem.correlation is None and np.ptp(term.Z) == 0.0
    ]


def _reach(problem: Problem, mixed: Sequence[tuple[RandomTerm, int]]) -> str:
    term = max((each for each, _ in mixed), key=_effects)
    levels = int(term.codes.max()) + 1
    if levels == problem.n:
        return f"{_written(term)} has a level for each row"
    return f"{_written(term)} has {_effects(term)} effects for {problem.n} rows"


def _written(term: RandomTerm) -> str:
    return term.label if term.label.endswith(")") else f"({term.label})"
