"""Names of thresholds between ordered categories."""

from __future__ import annotations

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.data.problem import Model


def cut_names(levels: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Return the names of so many thresholds, such as "1|2", by those of the categories."""
    levels = levels or tuple(map(str, range(number + 1)))
    return tuple(f"{low}|{high}" for low, high in zip(levels, levels[1:], strict=False))


def cuts_of(model: Model) -> tuple[str, ...]:
    """Return the names of thresholds that are constants, such as "1|2"; nothing of others."""
    matrix, problem = model.problem.family.threshold_matrix(), model.problem
    if matrix is None:
        return ()
    own = problem.predictors[1 : 1 + matrix.shape[1]]
    if any(each.names != (INTERCEPT,) for each in own):
        return ()
    return cut_names(model.response_levels, len(matrix))


def cuts_alone(model: Model) -> tuple[tuple[str, int], ...]:
    """Return each cut that is a parameter by itself and free, with its predictor."""
    matrix, problem = model.problem.family.threshold_matrix(), model.problem
    if matrix is None:
        return ()
    found = []
    for cut, row in zip(cut_names(model.response_levels, len(matrix)), matrix, strict=True):
        (places,) = np.nonzero(row)
        alone = places.size == 1 and row[places[0]] == 1.0
        if alone and problem.predictors[1 + int(places[0])].names == (INTERCEPT,):
            found.append((cut, 1 + int(places[0])))
    return tuple(found)
