"""Rows that share every predictor and every group, taken together.

Where a family's likelihood of such rows depends on sums alone (sufficient statistics), a fit
needs one row per distinct combination. Exact: what the sums leave out does not depend on the
parameters and is kept as a constant of each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.contract.incidence import entries
from interlace_core.contract.problem import Problem
from interlace_core.engine.parts import subset
from interlace_core.records import Array, Collapsed, IntArray

MIN_ROWS = 1000
"""Rows below which a fit has nothing to save."""

MAX_SHARE = 0.5
"""Share of distinct rows up to which finding them costs less than it saves."""

SAMPLE_ROWS = 4096
"""Rows looked at first, whole levels of the largest grouping factor."""

FEW_ROWS, CLEAR_SHARE = 256, 0.9
"""Rows looked at before these, of whole levels too, and the share of distinct ones at which no
more are needed: rows of different levels are never equal, so that few levels tell of all."""


def collapse_rows(problem: Problem) -> tuple[Problem, IntArray | None]:
    """Return the problem with rows that share all predictors taken together, where that pays.

    With the row that each given row went to, or None where none was taken together.
    """
    if problem.n < MIN_ROWS or problem.correlation is not None:
        return problem, None
    if type(problem.family).collapse is Family.collapse:  # which takes no rows together
        return problem, None
    if problem.terms and _distinct(problem, _sample(problem, FEW_ROWS), CLEAR_SHARE) is None:
        return problem, None
    sample = _sample(problem, SAMPLE_ROWS)
    probe = _distinct(problem, sample)
    if probe is None:
        return problem, None
    weights = None if problem.weights is None else problem.weights[sample]
    groups = probe[0]
    if problem.family.collapse(problem.y[sample], weights, groups, int(groups.max()) + 1) is None:
        return problem, None
    found = _distinct(problem, np.arange(problem.n))
    if found is None:
        return problem, None
    groups, first = found
    collapsed = collapse_response(problem, groups, first.size)
    if collapsed is None:
        return problem, None
    return _taken_together(problem, first, collapsed), groups


def collapse_response(problem: Problem, groups: IntArray, size: int) -> Collapsed | None:
    """Return the response of rows taken together by group; None if the family cannot."""
    found = problem.family.collapse(problem.y, problem.weights, groups, size)
    if found is None or problem.constants is None:
        return found
    return replace(found, constants=found.constants + np.bincount(groups, problem.constants, size))


def _taken_together(problem: Problem, first: IntArray, collapsed: Collapsed) -> Problem:
    """Return the first row of each group with the response of the whole group."""
    shorter = subset(problem, first)
    return replace(
        shorter,
        y=collapsed.y,
        weights=collapsed.weights,
        constants=collapsed.constants,
        family=problem.family.bind_part(collapsed.y),
    )


def _sample(problem: Problem, size: int) -> IntArray:
    if not problem.terms:
        return np.arange(min(problem.n, size))
    largest = max(problem.terms, key=lambda term: len(term.levels))
    levels = max(1, len(largest.levels) * size // problem.n)
    return np.flatnonzero(largest.codes < levels)


def _distinct(
    problem: Problem, rows: IntArray, most: float = MAX_SHARE
) -> tuple[IntArray, IntArray] | None:
    """Return each row's group of equal rows and each group's first row; None if too many."""
    from pandas import factorize

    groups = None
    for column in _columns(problem):
        if column.strides[0] == 0:  # a view of a single number
            continue
        codes, known = factorize(column.take(rows))
        if len(known) == 1:
            continue
        if groups is not None:
            codes, known = factorize(groups * len(known) + codes)
        groups = codes
        if len(known) > most * rows.size:
            return None
    groups = np.zeros(rows.size, dtype=np.intp) if groups is None else groups.astype(np.intp)
    first = np.empty(int(groups.max()) + 1, dtype=np.intp)
    first[groups[::-1]] = rows[::-1]
    return groups, first


def _columns(problem: Problem) -> Iterator[Array | IntArray]:
    """Yield everything that tells rows apart."""
    for term in problem.terms:
        yield term.codes
        yield from entries(term.Z)
    for predictor in problem.predictors:
        yield predictor.offset
        yield from predictor.X.T
