"""Columns that two predictors carry, and constants that none has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.data.rank import independent_columns
from interlace_core.contract.problem import Predictor, Problem
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import listed
from interlace_core.records import BoolArray


def refuse_carried_twice(problem: Problem, who: str) -> None:
    """Refuse columns of the mean that all parameters have which together stand in for it.

    Thresholds that move by x as the location does are the same model twice: only the difference of
    the two coefficients is determined. And thresholds without a constant meet at 0 in rows where
    their columns are 0.

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
    names = listed([each.parameter.name for each in movers])
    rows = problem.informative
    if movers and all(_lacks_constant(each, rows) for each in movers):
        raise OptionError(
            f"{who}: expected a constant in the formula of {names} (nominal), without which they "
            "are equal where its columns are 0. Leave out the 0 or -1."
        )
    carried = [_carried(each, mean, rows) for each in movers]
    twice = [name for j, name in enumerate(mean.names) if carried and all(c[j] for c in carried)]
    if twice:
        raise OptionError(
            f"{who}: {listed(twice)} stands among the fixed effects and in the formula of {names} "
            "(nominal), whose effects contain that of the location. Leave it out of one of the two."
        )


def _lacks_constant(predictor: Predictor, rows: BoolArray) -> bool:
    """Return whether no combination of the columns is 1 in all rows, as far as rows are here.

    What is held of them is in the offset.
    """
    if INTERCEPT in predictor.names or predictor.parameter.fixed is not None or not rows.size:
        return False
    if np.any(predictor.offset):
        return False
    own = predictor.X[rows]
    both = np.column_stack([own, np.ones(len(own))])
    return bool(independent_columns(both)[-1])


def _carried(predictor: Predictor, mean: Predictor, rows: BoolArray) -> Sequence[bool]:
    """Return which columns of the mean are combinations of a predictor's; by name in parts."""
    if not rows.size:
        return [name in predictor.names for name in mean.names]
    if predictor.names in ((), (INTERCEPT,)):
        return [False] * len(mean.names)
    both = np.column_stack([predictor.X[rows], mean.X[rows]])
    return [not each for each in independent_columns(both)[predictor.X.shape[1] :]]
