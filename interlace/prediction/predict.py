"""Predictions in sample and for new data, with standard errors and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from interlace.choices import IntervalOf
from interlace.config.settings import NEW_LEVELS
from interlace.prediction.average import average
from interlace.prediction.design import (
    are_some,
    fit_rows,
    included_terms,
    new_rows,
)
from interlace.prediction.elsewhere import frames_for, predict_elsewhere
from interlace.prediction.target import Predicted, Target, target_of
from interlace_core.messages.checks import check_seed, require_choice, require_flag
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
INTERVALS = get_args(IntervalOf)


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
) -> Any:
    """Return predictions; see `GLMMResult.predict`."""
    target = target_of(result, type) if newdata is None else target_of(result, type, weights)
    if (
        isinstance(interval, str)
        and interval == "prediction"
        and type not in ("response", "population")
    ):
        raise OptionError(
            'predict: interval="prediction" is for an observation, on its own scale: it goes with '
            f'type="response" (or "population"), got type={type!r}.'
        )
    frames = None if newdata is None else frames_for(newdata)
    if frames is not None:
        options = dict(
            type=type, include_re=include_re, new_levels=new_levels, se=se, interval=interval,
            level=level, n_sim=n_sim, seed=seed,
        )  # fmt: skip
        return predict_elsewhere(result, frames, options, dict(offset=offset, weights=weights))
    (found,) = predict_each(
        result, newdata, [target], include_re, new_levels, offset, se=se, interval=interval,
        level=level, weights=weights, n_sim=n_sim, seed=seed,
    )  # fmt: skip
    return found


def predict_each(
    result: Estimates,
    newdata: Any,
    targets: Sequence[Target],
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
) -> list[pd.Series | pd.DataFrame]:
    """Return several predictions of the same rows, each as `predict` returns one.

    Parameters
    ----------
    targets : sequence of Target
        All of them averages over all random effects, or none.
    result, newdata, include_re, new_levels, offset, se, interval, level, weights, n_sim, seed
        As for `GLMMResult.predict`.
    """
    policy = _policy(result, new_levels)
    check_seed(seed)
    over_all = targets[0].over_all
    included = included_terms(result, False if over_all else include_re)
    require_flag(se, "predict: se")
    require_interval(interval)
    if newdata is None and offset is not None:
        raise OptionError("predict: offset goes with newdata; the fit has its own.")
    plain = not se and interval is None
    whole = all(each.all() for each in included)
    if newdata is None and plain and not over_all and (whole or not are_some(included)):
        eta, index = result.eta if whole else result.eta_fixed, result.rows.index
        return [pd.Series(_quietly(target, eta, None), index=index) for target in targets]
    if newdata is None:
        design = fit_rows(result)
    else:
        all_effects = over_all or interval == "prediction"
        design = new_rows(
            result, newdata, offset, policy, included, all_effects=all_effects,
            need_errors=interval == "prediction",
        )  # fmt: skip
    rows = Predicted.of(result, design, included, targets[0], policy, seed)
    values = [_quietly(target, rows.eta, rows.averaged) for target in targets]
    if plain:
        return [pd.Series(each, index=design.index) for each in values]
    from interlace.prediction.intervals import with_uncertainty

    return with_uncertainty(
        result, design, rows, targets, values, interval=interval, level=level,
        in_sample=newdata is None, weights=weights, n_sim=n_sim, seed=seed,
    )  # fmt: skip


def require_interval(interval: object) -> None:
    """Raise an OptionError unless an interval is None or one of those there are."""
    if interval is not None:
        require_choice(interval, INTERVALS, "predict: interval")


def _policy(result: Estimates, new_levels: str | None) -> str:
    policy = new_levels if new_levels is not None else result.settings.new_levels
    require_choice(policy, NEW_LEVELS, "predict: new_levels")
    return policy


def _quietly(target: Target, eta: Array, averaged: Array | None) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        if averaged is None:
            return np.asarray(target.transform(list(eta)))
        return average(target.transform, eta, averaged)
