"""Columns that two predictors carry, where one does what the other does."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.problem import Predictor, Problem
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import listed


def refuse_carried_twice(problem: Problem, who: str) -> None:
    """Refuse columns of the mean that all parameters have which together stand in for it.

    Thresholds that move by x as the location does are the same model twice: only the difference of
    the two coefficients is determined.

    Raises
    ------
    OptionError
        Naming the columns.
    """
    change = problem.family.intercept_stand_in()
    if change is None:
        return
    mean, *further = problem.predictors
    movers = [each for each, s in zip(further, change, strict=True) if s != 0.0]
    twice = [
        name for name in mean.names if all(_has(each, name, mean) for each in movers) and movers
    ]
    if twice:
        names = listed([each.parameter.name for each in movers])
        raise OptionError(
            f"{who}: {listed(twice)} stands among the fixed effects and in the formula of {names} "
            "(nominal), whose effects contain that of the location. Leave it out of one of the two."
        )


def _has(predictor: Predictor, name: str, mean: Predictor) -> bool:
    if name not in predictor.names:
        return False
    own = predictor.X[:, predictor.names.index(name)]
    return np.array_equal(own, mean.X[:, mean.names.index(name)])
