"""A fit as tidy data frames, with the column names of R's broom and broom.mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.inference.confint import wald_limits
from interlace.inference.parameters import term_covariances
from interlace.inference.quadratic_forms import quadratic_form
from interlace.inference.quantities import Correlation, Quantity, StandardDeviation
from interlace_core.contract.covariance import Covariance
from interlace_core.data.frames import open_table
from interlace_core.messages.checks import check_level
from interlace_core.messages.errors import DataError, OptionError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

EFFECTS = ("fixed", "ran_pars", "ran_vals")
SCALES = ("response", "link")
COMPONENTS = {"mean": "cond", "zero": "zi", "dispersion": "disp"}
"""broom.mixed's name of the part of a model, by the role of its parameter."""


def tidy(
    result: Estimates,
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
    check_level(level, "tidy")
    makers = {"fixed": _fixed_rows, "ran_pars": _ran_pars_rows, "ran_vals": _ran_vals_rows}
    rows = [row for each in EFFECTS if each in wanted for row in makers[each](result, level)]
    numbers = dict.fromkeys((*_NUMBERS, *_LIMITS), float)
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(numbers)
    if exponentiate:
        _exponentiate(table)
    unwanted = [] if "ran_vals" in wanted else ["level"]
    return table.drop(columns=unwanted if conf_int else [*unwanted, *_LIMITS])


def glance(result: Estimates) -> pd.DataFrame:
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
    result: Any,  # its class has predictions of its own, and is above this room
    data: Any = None,
    *,
    newdata: Any = None,
    type: str = "response",
    residuals: str = "response",
    se_fit: bool = False,
) -> pd.DataFrame:
    """Return the data with fitted values beside them; see `GLMMResult.augment`."""
    if type not in SCALES:
        raise OptionError(
            f"augment: type must be one of {', '.join(map(repr, SCALES))}, got {type!r}."
        )
    if data is not None and newdata is not None:
        raise OptionError("augment: give data (the rows of the fit) or newdata, not both.")
    table = {
        ".fitted": result.predict(newdata, type=type),
        ".fixed": result.predict(newdata, type=type, include_re=False),
    }
    if se_fit:
        table[".se.fit"] = result.predict(newdata, type=type, se=True)["se"]
    if newdata is not None:
        return _beside(_as_pandas(newdata, "newdata"), table)
    table |= _of_the_fit(result, residuals)
    if data is not None:
        return _beside(_rows_used(result, _as_pandas(data, "data")), table)
    observed = result.fittedvalues + result.resid
    return pd.DataFrame({".observed": observed, **table})


def _of_the_fit(result: Any, residuals: str) -> dict[str, pd.Series]:
    """Return what only the rows of a fit have: residuals, predictors, known parts and weights."""
    index = result.rows.index
    table = {
        ".resid": result.residuals(residuals),
        ".mu": result.fittedvalues,
        ".eta": pd.Series(result.eta[0], index=index),
    }
    if result.training is not None:
        table[".offset"] = pd.Series(result.training.problem.predictors[0].offset, index=index)
    if result.weights is not None:
        table[".weights"] = pd.Series(result.weights, index=index)
    return table


_NUMBERS = ("estimate", "std.error", "statistic", "p.value")
_LIMITS = ("conf.low", "conf.high")
_COLUMNS = ("effect", "component", "group", "level", "term", *_NUMBERS, *_LIMITS)


def _fixed_rows(result: Estimates, level: float) -> Iterable[dict[str, Any]]:
    for k, found in enumerate(result.coefficients):
        errors = result.bse_of(k).to_numpy()
        tests = result.wald_tests(k)[1]
        half = half_widths(tests, level) * errors
        numbers = zip(
            found.estimates, errors, tests.iloc[:, 0], tests.iloc[:, -1],
            found.estimates - half, found.estimates + half, strict=True,
        )  # fmt: skip
        for name, row in zip(found.names, numbers, strict=True):
            parameter = found.parameter
            component = COMPONENTS.get(parameter.role, parameter.name)
            yield {
                "effect": "fixed",
                "component": component,
                "term": name,
                **dict(zip((*_NUMBERS, *_LIMITS), row, strict=True)),
            }


def half_widths(tests: pd.DataFrame, level: float) -> Any:
    """Return the half-width of each interval in standard errors: of t where tests are.

    Parameters
    ----------
    tests : DataFrame
        From `wald_tests`.
    level : float
    """
    if "df" not in tests:
        return _half_width(level)
    from scipy.special import stdtrit

    return stdtrit(tests["df"].to_numpy(), 0.5 + 0.5 * level)


def _ran_pars_rows(result: Estimates, level: float) -> Iterable[dict[str, Any]]:
    known: Sequence[tuple[Covariance, slice] | None]
    known = term_covariances(result) or (None,) * len(result.terms)
    for term, own in zip(result.terms, known, strict=True):
        prior = result.effects[term.group].prior[term.columns, term.columns]
        sd = np.sqrt(np.diagonal(prior))
        common = {
            "effect": "ran_pars",
            "component": _component(result, term.predictor),
            "group": term.group,
        }
        for i, (name, value) in enumerate(zip(term.names, sd, strict=True)):
            row = {**common, "term": f"sd__{name}", "estimate": value}
            yield row | _uncertainty(result, own, level, StandardDeviation, row=i)
        if not np.any(prior[np.triu_indices(len(sd), 1)]):
            continue  # a structure without correlations
        for i, j in combinations(range(len(sd)), 2):
            with np.errstate(divide="ignore", invalid="ignore"):
                value = prior[i, j] / (sd[i] * sd[j])
            name = f"cor__{term.names[i]}.{term.names[j]}"
            row = {**common, "term": name, "estimate": value}
            yield row | _uncertainty(result, own, level, Correlation, first=i, second=j)


def _uncertainty(
    result: Estimates,
    own: tuple[Covariance, slice] | None,
    level: float,
    make: Callable[..., Quantity],
    **which: int,
) -> dict[str, float]:
    """Return standard error and limits by the delta method, NaN at a bound; as `confint` has them.

    Nothing where the covariance structure is not known.
    """
    if own is None:
        return {}
    psi, vcov = result.fit.psi, result.fit.covariance()
    quantity = make(label="", kind="", covariance=own[0], place=own[1], **which)
    limits = wald_limits(quantity, psi, vcov, level)
    se = float(np.sqrt(quadratic_form(quantity.gradient(psi), vcov)))
    return {"std.error": se, **dict(zip(_LIMITS, limits, strict=True))}


def _ran_vals_rows(result: Estimates, level: float) -> Iterable[dict[str, Any]]:
    half = _half_width(level)
    for term in result.terms:
        effects = result.effects[term.group]
        variances = np.diagonal(effects.covariance, axis1=1, axis2=2)
        places = range(term.columns.start, term.columns.stop)
        for name, column in zip(term.names, places, strict=True):
            for row, label in enumerate(effects.levels):
                value, se = effects.values[row, column], np.sqrt(variances[row, column])
                yield {
                    "effect": "ran_vals",
                    "component": _component(result, term.predictor),
                    "group": term.group,
                    "level": label,
                    "term": name,
                    "estimate": value,
                    "std.error": se,
                    "conf.low": value - half * se,
                    "conf.high": value + half * se,
                }


def _component(result: Estimates, predictor: int) -> str:
    parameter = result.coefficients[predictor].parameter
    return COMPONENTS.get(parameter.role, parameter.name)


def _half_width(level: float) -> float:
    return float(ndtri(0.5 + 0.5 * level))


def _exponentiate(table: pd.DataFrame) -> None:
    """Replace fixed effects by their exponentials, and standard errors by the delta method."""
    fixed = table["effect"] == "fixed"
    with np.errstate(over="ignore"):
        for name in _LIMITS:
            table.loc[fixed, name] = np.exp(table.loc[fixed, name])
        table.loc[fixed, "estimate"] = np.exp(table.loc[fixed, "estimate"])
    table.loc[fixed, "std.error"] *= table.loc[fixed, "estimate"]


def _as_pandas(data: Any, argument: str) -> pd.DataFrame:
    native = open_table(data, argument=argument).native
    frame: pd.DataFrame = native if isinstance(native, pd.DataFrame) else native.to_pandas()
    return frame


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
    check_level(level, "ranef")
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
