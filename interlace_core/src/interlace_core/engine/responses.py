"""Compiled objectives that are pointed to other responses of their model, many at once.

A refit differs from the fit in its response, or in the weights of rows: of a group that is left out
they are 0, its effects are 0 then, and log|H| has nothing of it. So no objective is made for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace_core.contract.kernels import CompiledObjective, LinearResponses
from interlace_core.contract.problem import Problem
from interlace_core.engine.collapse import collapse_response
from interlace_core.engine.layout import Layout
from interlace_core.records import Array

Respond = Callable[[CompiledObjective, Array, Array, Array | None], Array | None]
"""From an objective, where the search for a mode begins, responses and weights to what the values
are higher by; None where it cannot."""


def by_rows(layout: Layout, given: Problem) -> Respond:
    """Return how an objective of compiled rows takes other responses.

    Parameters
    ----------
    layout : Layout
    given : Problem
        With its rows as given.
    """

    def respond(
        objective: CompiledObjective, mode: Array, responses: Array, weights: Array | None
    ) -> Array | None:
        found = _rows(layout, given, responses, weights)
        inner = layout.problem
        if found is None or inner.compiled is None:
            return None
        y, weights, raised = found
        rows = inner.compiled.row_kernel(inner.family.bind_part(y), y)
        if rows is None or not objective.take(rows[0], mode, len(responses), weights):
            return None
        return raised

    return respond


def by_products(products_of: Callable[[Array], LinearResponses | None]) -> Respond:
    """Return how an objective of a linear model's products takes other responses.

    Parameters
    ----------
    products_of : callable
        Returns the products of responses with rows as given; None where it has none.
    """

    def respond(
        objective: CompiledObjective, mode: Array, responses: Array, weights: Array | None
    ) -> Array | None:
        products = None if weights is not None else products_of(responses)
        if products is None or not objective.take_linear(products):
            return None
        return np.zeros(len(responses))

    return respond


def _rows(
    layout: Layout, given: Problem, responses: Array, weights: Array | None
) -> tuple[Array, Array | None, Array] | None:
    """Return responses one after the other, their weights, and what values are higher by."""
    count, raised = len(responses), np.zeros(len(responses))
    if layout.groups is None:
        order = slice(None) if layout.order is None else layout.order
        y = responses[:, order].reshape(-1, *responses.shape[2:])
        return y, None if weights is None else weights[:, order].ravel(), raised
    own = layout.problem.constants
    before = 0.0 if own is None else float(np.sum(own))
    rows, heavy = [], []
    for i in range(count):
        y = responses[i]
        changed = replace(
            given, y=y, family=given.family.bind_part(y),
            weights=given.weights if weights is None else weights[i],
        )  # fmt: skip
        found = collapse_response(changed, layout.groups, layout.problem.n)
        if found is None:
            return None
        order = slice(None) if layout.order is None else layout.order
        rows.append(found.y[order])
        heavy.append(None if found.weights is None else found.weights[order])
        own = found.constants
        raised[i] = before - (0.0 if own is None else float(np.sum(own)))
    if any(each is None for each in heavy):
        return np.concatenate(rows), None, raised
    return (
        np.concatenate(rows),
        np.concatenate([each for each in heavy if each is not None]),
        raised,
    )
