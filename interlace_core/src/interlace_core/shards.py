"""Parts of a problem: some of its rows, with the levels that occur there.

Groups of a factor in which all others nest share no random effect, so that the likelihood of the
whole is the product of theirs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.records import Array, IntArray, Problem, RandomTerm


def independent_rows(problem: Problem) -> list[IntArray]:
    """Return the rows of each group of the coarsest factor.

    All rows together where another factor does not nest in it, or levels are correlated.
    """
    if problem.correlation is not None or any(t.relation is not None for t in problem.terms):
        return [np.arange(problem.n)]
    coarsest = min(problem.terms, key=lambda term: len(term.levels)).codes
    if not all(_nests(term, coarsest) for term in problem.terms):
        return [np.arange(problem.n)]
    order = np.argsort(coarsest, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(coarsest[order])) + 1)


def subset(problem: Problem, rows: IntArray) -> Problem:
    """Return the problem of some rows; levels without rows are left out.

    psi has the same meaning for the part as for the whole.
    """
    y = problem.y[rows]
    return replace(
        problem,
        y=y,
        weights=None if problem.weights is None else problem.weights[rows],
        constants=None if problem.constants is None else problem.constants[rows],
        family=problem.family.bind(y),
        predictors=tuple(
            replace(each, X=each.X[rows], offset=each.offset[rows]) for each in problem.predictors
        ),
        terms=tuple(_subset_term(term, rows) for term in problem.terms),
        correlation=None if problem.correlation is None else problem.correlation.take(rows),
    )


def drop_columns(problem: Problem, predictor: int, columns: Array | IntArray) -> Problem:
    """Return the problem without some columns of one predictor's fixed effects."""
    old = problem.predictors[predictor]
    kept = np.setdiff1d(np.arange(old.X.shape[1]), columns)
    new = replace(old, X=old.X[:, kept], names=tuple(old.names[i] for i in kept))
    predictors = list(problem.predictors)
    predictors[predictor] = new
    return replace(problem, predictors=tuple(predictors))


def _subset_term(term: RandomTerm, rows: IntArray) -> RandomTerm:
    present = np.flatnonzero(np.bincount(term.codes[rows], minlength=len(term.levels)))
    place = np.empty(len(term.levels), dtype=np.intp)
    place[present] = np.arange(present.size)
    return replace(
        term,
        codes=place[term.codes[rows]],
        levels=tuple(term.levels[i] for i in present),
        Z=term.Z[rows],
        relation=None if term.relation is None else term.relation.part(present),
    )


def _nests(term: RandomTerm, coarser: IntArray) -> bool:
    above = np.zeros(len(term.levels), dtype=np.intp)
    above[term.codes] = coarser
    return bool(np.array_equal(above[term.codes], coarser))
