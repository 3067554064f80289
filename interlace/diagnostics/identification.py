"""Which variances the data cannot tell apart, whatever the response: found before the fit.

A normal response shows its covariance and nothing else. Variance parameters are identified where
the derivatives of the marginal covariance in them are linearly independent matrices (Rothenberg
1971, theorem 1, for a normal law). lme4 refuses where a term has as many effects as there are rows;
this is the rule behind that, so that levels correlated by a known matrix (an animal model), times
(`ar1`) or unequal weights may have a level per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from interlace.diagnostics.identification_words import (
    confounded,
    is_residual,
    notes_on_levels_of_rows,
    of_outcomes,
    of_shape,
    unresolved,
)
from interlace.diagnostics.marginal import (
    Dependence,
    ResidualSlopes,
    TermSlopes,
    dependence,
    log_sd,
)
from interlace_core.calculus.dense import solution
from interlace_core.contract.parts import total
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.covariances import Unstructured
from interlace_core.messages.errors import DataError
from interlace_core.records import Array, IntArray

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
    parts = [part for term in problem.terms if term.covariance.n_theta for part in _parts(term)]
    for k in dict.fromkeys(term.predictor for term in parts):
        terms = [term for term in parts if term.predictor == k]
        if terms and _suspicious(problem, terms, fitting):
            notes += _examined(problem, terms, fitting)
    return tuple(notes)


def identified(problem: Problem, fitting: Fitting) -> tuple[str, ...]:
    """Return the notes on a problem; of one in parts where no part tells the variances apart.

    What some rows tell apart is told apart by all.

    Raises
    ------
    DataError
        As `identification_notes`.
    """
    found: _Doubt = total(problem, _Doubt.of, fitting)
    if found.refusal:
        raise DataError(found.refusal)
    return found.notes


@dataclass(frozen=True)
class _Doubt:
    """Why the data may not tell variances apart; none if some rows do."""

    notes: tuple[str, ...] = ()
    refusal: str = ""

    @classmethod
    def of(cls, problem: Problem, fitting: Fitting) -> _Doubt:
        try:
            return cls(identification_notes(_judged(problem), fitting))
        except DataError as error:
            return cls((), str(error))

    def __add__(self, other: _Doubt) -> _Doubt:
        if not (self.notes or self.refusal) or not (other.notes or other.refusal):
            return _Doubt()
        return other if self.refusal and not other.refusal else self


ROWS_OF_A_LEVEL = 4
"""Rows of a level, per column of its term, from which those of one part show what all would."""


def _judged(part: Problem) -> Problem:
    """Return a part without terms of whose levels, which run across parts, it has few rows.

    A level can have a row in each of many parts, and each part by itself would say that there is
    one for each row.
    """
    terms = [
        term
        for term in part.terms
        if not term.across
        or np.median([each for each in np.bincount(term.codes) if each])
        >= ROWS_OF_A_LEVEL * term.Z.shape[1]
    ]
    return part if len(terms) == len(part.terms) else replace(part, terms=tuple(terms))


def _parts(term: RandomTerm) -> list[RandomTerm]:
    """Return a term as it is in each of its predictors.

    What one that several parameters share is in each of them by itself: an unstructured one, or one
    column. Of other structures nothing is said.
    """
    if not term.along:
        return [term]
    whole = isinstance(term.covariance, Unstructured)
    return [
        replace(
            term,
            predictor=k,
            along=(),
            Z=term.Z[:, own],
            names=tuple(term.names[j] for j in own),
            covariance=Unstructured(own.size),
        )
        for k, own in term.by_predictor
        if whole or own.size == 1
    ]


def row_spread(problem: Problem) -> Spread:
    """Return what a row by itself tells of the variance of an effect for each row."""
    family = problem.family
    free = _free(problem)
    estimated = [each for each in free if each.parameter.role == "dispersion"]
    confounded = family.observation_level_confounded and bool(estimated)
    if family.linear_normal and not free:
        return Spread.KNOWN
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
    q = sum(term.n_effects for term in terms)
    mean = terms[0].predictor == 0
    if q >= problem.n or (mean and problem.correlation is not None):
        return True
    if any(not _resolved(term) for term in terms):
        return True
    return mean and fitting.restricted and bool(_also_fixed(problem, terms))


def _resolved(term: RandomTerm) -> bool:
    """Return whether one of a few groups has rows enough to show the term's whole covariance."""
    c = term.Z.shape[1]
    if c == 1 or c > MOST_EFFECTS:
        return True
    rows = np.flatnonzero(term.codes < GROUPS_TRIED)
    Z = np.asarray(term.Z[rows])
    Z = Z / np.maximum(np.max(np.abs(Z), axis=0), 1e-300)
    codes = term.codes[rows]
    return any(_spans(Z[codes == g]) for g in range(GROUPS_TRIED))


def _spans(Z: Array) -> bool:
    """Return whether columns, none larger than 1, are independent: by their products if clearly."""
    if len(Z) < Z.shape[1]:
        return False
    gram = Z.T @ Z
    size = np.sqrt(np.diagonal(gram))
    if np.all(size > 0.0) and solution(gram / size / size[:, None], size) is not None:
        return True
    return bool(np.linalg.matrix_rank(Z) == Z.shape[1])


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
        weights = rng.normal(size=term.codes.max() + 1)[term.codes[rows]]
        Z = np.asarray(term.Z[rows]) * weights[:, None]
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
    alone = any(is_residual(problem, term) for term, _ in mixed)
    if mixed and (spread is Spread.ESTIMATED or (spread is Spread.BENT and alone)):
        raise DataError(confounded(problem, mixed))
    among = _involved(found.terms, owners, terms)
    notes = []
    if among:
        on_mean = fitting.restricted and terms[0].predictor == 0
        fixed = on_mean and bool(_also_fixed(problem, [term for term, _ in among]))
        notes.append(unresolved(among, fixed))
    if mixed and spread is Spread.OUTCOME:
        notes.append(of_outcomes(problem, mixed))
    elif mixed:
        notes.append(of_shape(problem, mixed))
    elif spread is Spread.ESTIMATED:
        notes += notes_on_levels_of_rows(problem, terms)
    return notes


def _dependence(
    problem: Problem, terms: Sequence[RandomTerm], fitting: Fitting, spread: Spread
) -> tuple[Dependence, IntArray]:
    """Return the dependence of the slopes, and the term that each of them belongs to."""
    used = np.arange(problem.n)
    if problem.weights is not None and np.any(problem.weights == 0.0):
        used = np.flatnonzero(problem.weights > 0.0)
    largest = max(terms, key=lambda term: term.n_effects)
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
    free = [each for each in own if each.parameter.fixed is None and each.X.shape[1]]
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
