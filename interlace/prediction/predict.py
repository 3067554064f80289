"""Predictions in sample and for new data, with standard errors and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.config.settings import NEW_LEVELS
from interlace.prediction.average import average
from interlace.prediction.design import (
    fit_rows,
    included_terms,
    new_rows,
)
from interlace.prediction.target import Predicted, Target, target_of
from interlace_core.messages.checks import check_seed
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace_core.fitting.fitted_model import FittedModel
INTERVALS = ("confidence", "prediction")


def predict(
    result: FittedModel,
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
    included = (False,) * len(result.terms)
    if not target.over_all:
        included = included_terms(result, include_re)
    if interval is not None and interval not in INTERVALS:
        raise OptionError(
            f"predict: interval must be one of {', '.join(map(repr, INTERVALS))}, got {interval!r}."
        )
    if interval == "prediction" and type not in ("response", "population"):
        raise OptionError(
            'predict: interval="prediction" is for an observation, on its own scale: it goes with '
            f'type="response" (or "population"), got type={type!r}.'
        )
    if newdata is None and offset is not None:
        raise OptionError("predict: offset goes with newdata; the fit has its own.")
    plain = not se and interval is None and not target.over_all
    if newdata is None and plain and (all(included) or not any(included)):
        eta = result.eta if any(included) or not result.terms else result.eta_fixed
        return pd.Series(_quietly(target, eta, None), index=result.rows.index)
    if newdata is None:
        design = fit_rows(result)
    else:
        effects = any(included) or target.over_all or interval == "prediction"
        design = new_rows(result, newdata, offset, policy, effects=effects, groups=any(included))
    rows = Predicted.of(result, design, included, target, policy, seed)
    values = _quietly(target, rows.eta, rows.averaged)
    if not se and interval is None:
        return pd.Series(values, index=design.index)
    from interlace.prediction.intervals import with_uncertainty

    return with_uncertainty(
        result, design, rows, target, values, interval=interval, level=level,
        in_sample=newdata is None, weights=weights, n_sim=n_sim, seed=seed,
    )  # fmt: skip


def _policy(result: FittedModel, new_levels: str | None) -> str:
    policy = new_levels if new_levels is not None else result.settings.new_levels
    if not isinstance(policy, str) or policy not in NEW_LEVELS:
        raise OptionError(
            f"predict: new_levels must be one of {', '.join(map(repr, NEW_LEVELS))}, "
            f"got {policy!r}."
        )
    return policy


def _quietly(target: Target, eta: Array, averaged: Array | None) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        if averaged is None:
            return np.asarray(target.transform(list(eta)))
        return average(target.transform, eta, averaged)
