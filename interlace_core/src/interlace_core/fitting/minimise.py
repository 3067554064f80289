"""The optimizer's part of a search."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.optimizer import Optimizer
from interlace_core.fitting.compiled import compiled_search
from interlace_core.fitting.objective import Objective, SearchStopped
from interlace_core.fitting.precondition import Coordinates
from interlace_core.records import OptimizerResult
from interlace_core.registry.blame import guard


def minimised(
    optimizer: Optimizer, objective: Objective, coordinates: Coordinates
) -> OptimizerResult:
    """Return what an optimizer says of its search from the origin of the coordinates.

    The objective has seen that point, and keeps the best one.
    """
    if coordinates.lower.size == 0:
        assert objective.best is not None
        return OptimizerResult(np.zeros(0), objective.best.value, True, "nothing to optimise", 0)
    found = compiled_search(objective, optimizer)
    if found is not None:
        return found
    try:
        with guard(optimizer, "minimize"):
            return optimizer.minimize(
                objective, np.zeros(coordinates.lower.size), (coordinates.lower, coordinates.upper)
            )
    except SearchStopped as spent:
        return ended(objective, str(spent))


def ended(objective: Objective, why: str) -> OptimizerResult:
    """Return what an optimizer that was stopped, or not asked, would say."""
    assert objective.best is not None
    n = objective.tally.n_evaluations
    return OptimizerResult(np.zeros(0), objective.best.value, False, why, n)
