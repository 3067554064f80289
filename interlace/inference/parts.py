"""Rows that share no random effect with others, and models without some of their columns.

Groups of a factor in which all others nest share no random effect, so that the likelihood of the
whole is the product of theirs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.records import Array, IntArray


def independent_rows(problem: Problem) -> list[IntArray]:
    """Return the rows of each group of the coarsest factor.

    All rows together where there is no factor, another does not nest in it, or rows or levels are
    correlated.
    """
    correlated = problem.correlation is not None or any(
        term.relation is not None for term in problem.terms
    )
    if correlated or not problem.terms:
        return [np.arange(problem.n)]
    coarsest = min(problem.terms, key=lambda term: len(term.levels)).codes
    if not all(_nests(term, coarsest) for term in problem.terms):
        return [np.arange(problem.n)]
    order = np.argsort(coarsest, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(coarsest[order])) + 1)


def drop_columns(problem: Problem, predictor: int, columns: Array | IntArray) -> Problem:
    """Return the problem without some columns of one predictor's fixed effects."""
    old = problem.predictors[predictor]
    kept = np.setdiff1d(np.arange(old.X.shape[1]), columns)
    new = replace(old, X=old.X[:, kept], names=tuple(old.names[i] for i in kept))
    predictors = list(problem.predictors)
    predictors[predictor] = new
    return replace(problem, predictors=tuple(predictors))


def _nests(term: RandomTerm, coarser: IntArray) -> bool:
    above = np.zeros(len(term.levels), dtype=np.intp)
    above[term.codes] = coarser
    return bool(np.array_equal(above[term.codes], coarser))
