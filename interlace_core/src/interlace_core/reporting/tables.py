"""A fit as tidy data frames, with the column names of R's broom and broom.mixed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace_core.data.frames import open_table
from interlace_core.errors import DataError, OptionError

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult

EFFECTS = ("fixed", "ran_pars", "ran_vals")
SCALES = ("response", "link")
COMPONENTS = {"mean": "cond", "zero": "zi", "dispersion": "disp"}
"""broom.mixed's name of the part of a model, by the role of its parameter."""


def tidy(
    result: GLMMResult,
    *,
    effects: str | Sequence[str] = ("fixed", "ran_pars"),
    conf_int: bool = False,
    level: float = 0.95,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """Return one row per estimate; see `GLMMResult.tidy`."""
    wanted = [effects] if isinstance(effects, str) else list(effects)
    unknown = [each for each in wanted if each not in EFFECTS]
    if unknown or not wanted:
        raise OptionError(
            f"tidy: effects must be among {', '.join(map(repr, EFFECTS))}, got {effects!r}."
        )
    half = _half_width(level)
    makers = {"fixed": _fixed_rows, "ran_pars": _ran_pars_rows, "ran_vals": _ran_vals_rows}
    rows = [row for each in EFFECTS if each in wanted for row in makers[each](result)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))
    table["statistic"] = table["statistic"].where(table["effect"] == "fixed")
    if conf_int:
        table["conf.low"] = table["estimate"] - half * table["std.error"]
        table["conf.high"] = table["estimate"] + half * table["std.error"]
    if exponentiate:
        _exponentiate(table)
    return table.drop(columns=[] if "ran_vals" in wanted else ["level"])


def glance(result: GLMMResult) -> pd.DataFrame:
    """Return one row about the fit as a whole; see `GLMMResult.glance`."""
    return pd.DataFrame(
        {
            "nobs": [result.nobs],
            "sigma": [float(np.sqrt(result.scale))],
            "logLik": [result.llf],
            "AIC": [result.aic],
            "BIC": [result.bic],
            "df": [result.df],
            "df.residual": [result.nobs - result.df],
            "converged": [result.converged],
        }
    )


def augment(
    result: GLMMResult, data: Any = None, *, newdata: Any = None, type: str = "response"
) -> pd.DataFrame:
    """Return the data with fitted values beside them; see `GLMMResult.augment`."""
    if type not in SCALES:
        raise OptionError(
            f"augment: type must be one of {', '.join(map(repr, SCALES))}, got {type!r}."
        )
    if data is not None and newdata is not None:
        raise OptionError("augment: give data (the rows of the fit) or newdata, not both.")
    rows = newdata
    table = {
        ".fitted": result.predict(rows, type=type),
        ".fixed": result.predict(rows, type=type, include_re=False),
    }
    if newdata is not None:
        return _beside(_as_pandas(newdata, "newdata"), table)
    table[".resid"] = result.resid
    if data is not None:
        return _beside(_rows_used(result, _as_pandas(data, "data")), table)
    observed = result.fittedvalues + result.resid
    return pd.DataFrame({".observed": observed, **table})


_NUMBERS = ("estimate", "std.error", "statistic", "p.value")
_COLUMNS = ("effect", "component", "group", "level", "term", *_NUMBERS)


def _fixed_rows(result: GLMMResult) -> Iterable[dict[str, Any]]:
    for k, found in enumerate(result.coefficients):
        errors = result.bse_of(k).to_numpy()
        tests = result.wald_tests(k)[1].to_numpy()
        numbers = zip(found.estimates, errors, tests[:, 0], tests[:, -1], strict=True)
        for name, row in zip(found.names, numbers, strict=True):
            parameter = found.parameter
            component = COMPONENTS.get(parameter.role, parameter.name)
            yield {
                "effect": "fixed",
                "component": component,
                "term": name,
                **dict(zip(_NUMBERS, row, strict=True)),
            }


def _ran_pars_rows(result: GLMMResult) -> Iterable[dict[str, Any]]:
    for term in result.terms:
        prior = result.effects[term.group].prior[term.columns, term.columns]
        sd = np.sqrt(np.diagonal(prior))
        common = {
            "effect": "ran_pars",
            "component": _component(result, term.predictor),
            "group": term.group,
        }
        for name, value in zip(term.names, sd, strict=True):
            yield {**common, "term": f"sd__{name}", "estimate": value}
        if not np.any(prior[np.triu_indices(len(sd), 1)]):
            continue  # a structure without correlations
        for i, j in zip(*np.triu_indices(len(sd), 1), strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                value = prior[i, j] / (sd[i] * sd[j])
            name = f"cor__{term.names[i]}.{term.names[j]}"
            yield {**common, "term": name, "estimate": value}


def _ran_vals_rows(result: GLMMResult) -> Iterable[dict[str, Any]]:
    for term in result.terms:
        effects = result.effects[term.group]
        variances = np.diagonal(effects.covariance, axis1=1, axis2=2)
        places = range(term.columns.start, term.columns.stop)
        for name, column in zip(term.names, places, strict=True):
            for row, level in enumerate(effects.levels):
                yield {
                    "effect": "ran_vals",
                    "component": _component(result, term.predictor),
                    "group": term.group,
                    "level": level,
                    "term": name,
                    "estimate": effects.values[row, column],
                    "std.error": np.sqrt(variances[row, column]),
                }


def _component(result: GLMMResult, predictor: int) -> str:
    parameter = result.coefficients[predictor].parameter
    return COMPONENTS.get(parameter.role, parameter.name)


def _half_width(level: float) -> float:
    if not isinstance(level, (int, float)) or not 0.0 < level < 1.0:
        raise OptionError(f"tidy: level must lie between 0 and 1, got {level!r}.")
    return float(ndtri(0.5 + 0.5 * level))


def _exponentiate(table: pd.DataFrame) -> None:
    """Replace fixed effects by their exponentials, and standard errors by the delta method."""
    fixed = table["effect"] == "fixed"
    with np.errstate(over="ignore"):
        for name in ("conf.low", "conf.high"):
            if name in table:
                table.loc[fixed, name] = np.exp(table.loc[fixed, name])
        table.loc[fixed, "estimate"] = np.exp(table.loc[fixed, "estimate"])
    table.loc[fixed, "std.error"] *= table.loc[fixed, "estimate"]


def _as_pandas(data: Any, argument: str) -> pd.DataFrame:
    native = open_table(data, argument=argument).native
    frame: pd.DataFrame = native if isinstance(native, pd.DataFrame) else native.to_pandas()
    return frame


def _rows_used(result: GLMMResult, data: pd.DataFrame) -> pd.DataFrame:
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
