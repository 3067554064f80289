"""A fit as data frames: the whole fit, its rows, its random effects; as R's broom has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.data.frames import as_pandas
from interlace.prediction.kinds import has_own_kind, in_pandas, of_library, with_columns
from interlace.results.elsewhere import RowsElsewhere
from interlace_core.messages.checks import check_level, require_choice, require_flag
from interlace_core.messages.errors import DataError, OptionError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

SCALES = ("response", "link")


def glance(result: Estimates) -> pd.DataFrame:
    """Return one row about the fit as a whole; see `GLMMResult.glance`."""
    row: dict[str, Any] = {
        "nobs": result.nobs,
        "sigma": float(np.sqrt(result.scale)),
        "logLik": result.llf,
        "AIC": result.aic,
        "BIC": result.bic,
        **_deviance(result),
        "df.residual": result.nobs - result.df,
        "df": result.df,
        "converged": result.converged,
    }
    return pd.DataFrame([row])


def _deviance(result: Estimates) -> dict[str, float]:
    """Return what lme4 calls the criterion or deviance of such a fit; nothing where it has none.

    -2 log-likelihood of a linear model; otherwise the sum of squared deviance residuals at the
    modes of the random effects, for families with the mean's parameter alone. Nothing too where
    rows lie in parts.
    """
    if result.restricted:
        return {"REMLcrit": -2.0 * result.llf}
    if result.family.linear_normal:
        return {"deviance": -2.0 * result.llf}
    if len(result.coefficients) > 1 or isinstance(result.eta, RowsElsewhere):
        return {}
    from interlace.inference.residuals import residuals

    return {"deviance": float(np.sum(np.square(residuals(result, "deviance", seed=0))))}


def augment(
    result: Any,  # its class has predictions of its own, and is above this room
    data: Any = None,
    *,
    newdata: Any = None,
    type: str = "link",
    residuals: str = "response",
    se_fit: bool = False,
) -> Any:
    """Return the data with fitted values beside them; see `GLMMResult.augment`."""
    require_choice(type, SCALES, "augment: type")
    require_flag(se_fit, "augment: se_fit")
    if data is not None and newdata is not None:
        raise OptionError("augment: give data (the rows of the fit) or newdata, not both.")
    given, result = result, in_pandas(result)
    new = None if newdata is None else as_pandas(newdata, argument="newdata")
    table = {
        ".fitted": result.predict(new, type=type),
        ".fixed": result.predict(new, type=type, include_re=False),
    }
    if se_fit:
        table[".se.fit"] = result.predict(new, type=type, se=True)["se"]
    if new is not None:
        return with_columns(newdata, table) if has_own_kind(newdata) else _beside(new, table)
    table |= _of_the_fit(result, residuals)
    if data is not None:
        used = _rows_used(result, as_pandas(data))
        if has_own_kind(data):  # without an index of its own: labels are positions
            return with_columns(data, table, [int(label) for label in used.index])
        return _beside(used, table)
    observed = result.family.observed(result.y)
    return of_library(
        given.settings.frames,
        pd.DataFrame({".observed": observed, **table}, index=result.rows.index),
    )


def _of_the_fit(result: Any, residuals: str) -> dict[str, pd.Series]:
    """Return what only the rows of a fit have: residuals, predictors, known parts and weights."""
    index = result.rows.index
    table = {".eta": pd.Series(result.eta[0], index=index)}
    if result.family.support != "categories":  # whose numbers have no mean
        table = {".resid": result.residuals(residuals), ".mu": result.fittedvalues, **table}
    if result.training is not None:
        table[".offset"] = pd.Series(result.training.problem.predictors[0].offset, index=index)
    if result.weights is not None:
        table[".weights"] = pd.Series(result.weights, index=index)
    return table


def _rows_used(result: Estimates, data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the fit, in its order."""
    rows = result.rows
    if len(data) != rows.n_given:
        raise DataError(
            f"augment: expected the {rows.n_given} rows that the model was fitted to, got "
            f"{len(data)}. Give those, or newdata=... for other rows."
        )
    if rows.n_used == rows.n_given and data.index.equals(rows.index):
        return data
    if not data.index.is_unique or not rows.index.isin(data.index).all():
        raise DataError(
            "augment: expected data with the index of the fit, each label once, to tell which "
            f"rows were left out ({rows.n_given - rows.n_used}). Use the same frame as in the "
            "fit, with reset_index() before it."
        )
    used: pd.DataFrame = data.loc[rows.index]
    return used


def _beside(data: pd.DataFrame, table: dict[str, pd.Series]) -> pd.DataFrame:
    columns = {name: values.to_numpy() for name, values in table.items()}
    return data.assign(**columns)


def ranef(result: Estimates, level: float) -> pd.DataFrame:
    """Return one row per level and column; see `GLMMResult.ranef`."""
    level = check_level(level, "ranef")
    half = float(ndtri(0.5 + 0.5 * level))
    frames = [pd.DataFrame(columns=["group", "term", "level", "value", "sd", "lower", "upper"])]
    for group, effects in result.effects.items():
        sd = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
        for i, name in enumerate(effects.names):
            value = effects.values[:, i]
            frames.append(
                pd.DataFrame(
                    {
                        "group": group,
                        "term": name,
                        "level": list(effects.levels),
                        "value": value,
                        "sd": sd[:, i],
                        "lower": value - half * sd[:, i],
                        "upper": value + half * sd[:, i],
                    }
                )
            )
    return pd.concat(frames[1:] or frames, ignore_index=True)
