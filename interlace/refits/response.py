"""The same model of another response, with the symbolic work that was done for the first."""

from __future__ import annotations

from dataclasses import replace

from interlace_core.contract.problem import Problem
from interlace_core.engine.collapse import collapse_response
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.fitting.standard import keep_standard
from interlace_core.records import Array


def another_response(problem: Problem, y: Array) -> Problem:
    """Return the same model of another response; the symbolic work done so far is kept.

    Parameters
    ----------
    problem : Problem
    y : ndarray, of the shape of its own
    """
    changed = replace(problem, y=y, family=problem.family.bind_part(y))
    if Layout in problem.cache:
        changed.cache[Layout] = _with_response(layout_of(problem), changed)
    keep_standard(problem, changed, lambda inside: another_response(inside, y))
    return changed


def _with_response(layout: Layout, problem: Problem) -> Layout:
    """Return the layout of a problem that differs from another in its response alone.

    Parameters
    ----------
    layout : Layout
    problem : Problem
        Rows as given.
    """
    y, weights, constants = problem.y, problem.weights, problem.constants
    if layout.groups is not None:
        collapsed = collapse_response(problem, layout.groups, layout.problem.n)
        if collapsed is None:
            return Layout.of(problem)
        y, weights, constants = collapsed.y, collapsed.weights, collapsed.constants
    if layout.order is not None:
        y = y[layout.order]
        weights = None if weights is None else weights[layout.order]
        constants = None if constants is None else constants[layout.order]
    family = problem.family.bind_part(y)
    inner = replace(layout.problem, y=y, weights=weights, constants=constants, family=family)
    return replace(layout, problem=inner)
