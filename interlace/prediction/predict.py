"""Predictions in sample and for new data, with standard errors and intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.config.settings import NEW_LEVELS
from interlace.prediction.average import average
from interlace.prediction.design import (
    are_some,
    fit_rows,
    included_terms,
    new_rows,
)
from interlace.prediction.target import Predicted, Target, target_of
from interlace_core.messages.checks import check_seed, require_choice, require_flag
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
INTERVALS = ("confidence", "prediction")
Transform = Callable[[list[Array]], Array]


def predict(
    result: Estimates,
    newdata: Any,
    type: str,
    include_re: Any,
    new_levels: str | None,
    offset: Any,
    *,
    se: bool = False,
    interval: str | None = None,
    level: float = 0.95,
    weights: Any = None,
    n_sim: int = 1000,
    seed: int | None = None,
) -> pd.Series | pd.DataFrame:
    """Return predictions; see `GLMMResult.predict`."""
    policy = _policy(result, new_levels)
    check_seed(seed)
    target = target_of(result, type)
    included = included_terms(result, False if target.over_all else include_re)
    require_flag(se, "predict: se")
    if interval is not None:
        require_choice(interval, INTERVALS, "predict: interval")
    if interval == "prediction" and type not in ("response", "population"):
        raise OptionError(
            'predict: interval="prediction" is for an observation, on its own scale: it goes with '
            f'type="response" (or "population"), got type={type!r}.'
        )
    if newdata is None and offset is not None:
        raise OptionError("predict: offset goes with newdata; the fit has its own.")
    plain = not se and interval is None and not target.over_all
    whole = all(each.all() for each in included)
    if newdata is None and plain and (whole or not are_some(included)):
        eta = result.eta if whole else result.eta_fixed
        return pd.Series(_quietly(target, eta, None), index=result.rows.index)
    if newdata is None:
        design = fit_rows(result)
    else:
        all_effects = target.over_all or interval == "prediction"
        design = new_rows(result, newdata, offset, policy, included, all_effects=all_effects)
    rows = Predicted.of(result, design, included, target, policy, seed)
    values = _quietly(target, rows.eta, rows.averaged)
    if not se and interval is None:
        return pd.Series(values, index=design.index)
    from interlace.prediction.intervals import with_uncertainty

    return with_uncertainty(
        result, design, rows, target, values, interval=interval, level=level,
        in_sample=newdata is None, weights=weights, n_sim=n_sim, seed=seed,
    )  # fmt: skip


def population_averages(
    result: Estimates, newdata: Any, offset: Any, transforms: Sequence[Transform]
) -> tuple[list[Array], pd.Index[Any]]:
    """Return means of functions of the predictors over all random effects, shape (n,) each.

    Parameters
    ----------
    result, newdata, offset
        As for `predict`.
    transforms : sequence of callable
        From K linear predictors to shape (n,).
    """
    if newdata is None and offset is not None:
        raise OptionError("predict: offset goes with newdata; the fit has its own.")
    none = included_terms(result, False)
    if newdata is None:
        design = fit_rows(result)
    else:
        design = new_rows(result, newdata, offset, "population", none, all_effects=True)
    targets = [Target(each, None, over_all=True) for each in transforms]
    rows = Predicted.of(result, design, none, targets[0], "population", None)
    return [_quietly(each, rows.eta, rows.averaged) for each in targets], design.index


def _policy(result: Estimates, new_levels: str | None) -> str:
    policy = new_levels if new_levels is not None else result.settings.new_levels
    require_choice(policy, NEW_LEVELS, "predict: new_levels")
    return policy


def _quietly(target: Target, eta: Array, averaged: Array | None) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        if averaged is None:
            return np.asarray(target.transform(list(eta)))
        return average(target.transform, eta, averaged)
