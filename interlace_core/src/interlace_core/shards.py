"""Parts of a problem: some of its rows, with the levels that occur there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.records import Array, IntArray, Problem, RandomTerm


def subset(problem: Problem, rows: IntArray) -> Problem:
    """Return the problem of some rows; levels without rows are left out.

    psi has the same meaning for the part as for the whole.
    """
    y = problem.y[rows]
    return replace(
        problem,
        y=y,
        weights=None if problem.weights is None else problem.weights[rows],
        family=problem.family.bind(y),
        predictors=tuple(
            replace(each, X=each.X[rows], offset=each.offset[rows]) for each in problem.predictors
        ),
        terms=tuple(_subset_term(term, rows) for term in problem.terms),
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
    present, codes = np.unique(term.codes[rows], return_inverse=True)
    return replace(
        term,
        codes=codes.astype(np.intp),
        levels=tuple(term.levels[i] for i in present),
        Z=term.Z[rows],
    )
