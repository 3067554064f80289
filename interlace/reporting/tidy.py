"""A fit's estimates as a tidy data frame: the rows, terms and columns of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.choices import TidyEffects
from interlace.inference.confint import wald_limits
from interlace.inference.parameters import (
    family_quantities,
    structure_quantities,
    term_covariances,
)
from interlace.inference.quantities import Correlation, Quantity, StandardDeviation
from interlace.reporting.blocks import Block, blocks, component_of, residual_parameter
from interlace_core.contract.covariance import Covariance
from interlace_core.messages.checks import check_level, names_of, require_flag
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
    from interlace.results.random_effects import TermPlace

EFFECTS = get_args(TidyEffects)
_NUMBERS = ("estimate", "std.error", "statistic", "df", "p.value")
_LIMITS = ("conf.low", "conf.high")
_COLUMNS = ("effect", "component", "group", "level", "term", *_NUMBERS, *_LIMITS, "coef.type")


def tidy(
    result: Estimates,
    *,
    effects: str | Sequence[str] = ("fixed", "ran_pars"),
    conf_int: bool = False,
    level: float = 0.95,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """Return one row per estimate; see `GLMMResult.tidy`."""
    wanted = names_of(effects, "tidy: effects", f"among {', '.join(map(repr, EFFECTS))}")
    require_flag(conf_int, "tidy: conf_int")
    require_flag(exponentiate, "tidy: exponentiate")
    unknown = [each for each in wanted if each not in EFFECTS]
    if unknown or not wanted:
        raise OptionError(
            f"tidy: effects must be among {', '.join(map(repr, EFFECTS))}, got {effects!r}."
        )
    level = check_level(level, "tidy")
    makers = {
        "fixed": _fixed_rows,
        "ran_pars": _ran_pars_rows,
        "ran_vals": _ran_vals_rows,
        "family": _family_rows,
    }
    rows = [row for each in EFFECTS if each in wanted for row in makers[each](result, level)]
    kinds: dict[str, Any] = dict.fromkeys((*_NUMBERS, *_LIMITS), float)
    kinds |= dict.fromkeys(("group", "level"), object)
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(kinds)
    if exponentiate:
        _exponentiate(table)
    unwanted = [] if conf_int else list(_LIMITS)
    unwanted += [] if "ran_vals" in wanted else ["level"]
    unwanted += [each for each in ("df", "coef.type") if table[each].isna().all()]
    return table.drop(columns=unwanted)


def _term(name: str) -> str:
    """Return a column's name as R writes it: its intercept stands in brackets."""
    return "(Intercept)" if name == "Intercept" else name


def _reported(result: Estimates) -> Iterator[Block]:
    """Yield the blocks whose rows broom.mixed has: thresholds first, zero parts on their link."""
    found = blocks(result, constants=True)
    natural = set(result.family_params.index)
    for each in sorted(found, key=lambda block: block.kind != "intercept"):
        parameter = result.coefficients[each.predictor].parameter
        if each.predictor == 0 or parameter.role == "zero" or parameter.name not in natural:
            yield each


def _fixed_rows(result: Estimates, level: float) -> Iterator[dict[str, Any]]:
    found = list(_reported(result))
    ordered = any(block.kind == "intercept" for block in found)
    for block in found:
        low, high = block.limits(level)
        df = block.tests["df"].to_numpy() if "df" in block.tests else [np.nan] * len(low)
        columns = (
            block.estimates, block.errors, block.tests.iloc[:, 0], df, block.tests.iloc[:, -1],
            low, high,
        )  # fmt: skip
        for name, *row in zip(block.names, *columns, strict=True):
            yield {
                "effect": "fixed",
                "component": block.component,
                "term": _term(name),
                "coef.type": block.kind if ordered else None,
                **dict(zip((*_NUMBERS, *_LIMITS), row, strict=True)),
            }
        own = {"effect": "fixed", "component": block.component}
        for name, value in held_with_equal(result, block).items():
            yield {**own, "term": _term(name), "estimate": value}


def held_with_equal(result: Estimates, block: Block) -> dict[str, float]:
    """Return the coefficients of a block's predictor that are held, or equal to another."""
    if block.kind != "location":
        return {}
    estimates = dict(zip(block.names, block.estimates.tolist(), strict=True))
    equal = result.equal_coefficients(block.predictor)
    return {
        **{name: estimates[other] for name, other in equal.items()},
        **result.held_coefficients(block.predictor),
    }


def _ran_pars_rows(result: Estimates, level: float) -> Iterator[dict[str, Any]]:
    known: Sequence[tuple[Covariance, slice] | None]
    known = term_covariances(result) or (None,) * len(result.terms)
    for term, own in zip(result.terms, known, strict=True):
        prior = result.effects[term.group].prior[term.columns, term.columns]
        sd = np.sqrt(np.diagonal(prior))
        names = [_term(name) for name in term.names]
        common = {
            "effect": "ran_pars",
            "component": component_of(result, term.predictor),
            "group": term.group,
        }
        if term.column_levels and own is not None:
            yield from _structure_rows(result, term, own, level, common)
            continue
        for i, (name, value) in enumerate(zip(names, sd, strict=True)):
            row = {**common, "term": f"sd__{name}", "estimate": value}
            yield row | _uncertainty(result, own, level, StandardDeviation, row=i)
        if not np.any(prior[np.triu_indices(len(sd), 1)]):
            continue  # a structure without correlations
        for i, j in combinations(range(len(sd)), 2):
            with np.errstate(divide="ignore", invalid="ignore"):
                value = prior[i, j] / (sd[i] * sd[j])
            row = {**common, "term": f"cor__{names[i]}.{names[j]}", "estimate": value}
            yield row | _uncertainty(result, own, level, Correlation, first=i, second=j)
    residual = residual_parameter(result)
    if residual is not None:
        names_of_row = {"component": "cond", "group": "Residual", "term": "sd__Observation"}
        yield {"effect": "ran_pars", **names_of_row, **_family_row(result, residual, level)}


def _structure_rows(
    result: Estimates,
    term: TermPlace,
    own: tuple[Covariance, slice],
    level: float,
    common: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Yield the numbers of a structure of levels, times or places; held ones without errors."""
    covariance, place = own
    for quantity in structure_quantities(covariance, place, term):
        row = {**common, "term": quantity.name, "estimate": quantity.value(result.fit.psi)}
        yield row | by_delta(result, quantity, level)
    for name, value in term.held.items():
        yield {**common, "term": name, "estimate": value}


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
    return by_delta(result, make(label="", kind="", covariance=own[0], place=own[1], **which),
                     level)  # fmt: skip


def by_delta(result: Estimates, quantity: Quantity, level: float) -> dict[str, float]:
    """Return standard error and limits of a quantity by the delta method."""
    psi = result.fit.psi
    limits = wald_limits(quantity, psi, result.fit.variance, level)
    with np.errstate(invalid="ignore"):
        se = float(np.sqrt(result.fit.variance(quantity.gradient(psi))))
    return {"std.error": se, **dict(zip(_LIMITS, limits, strict=True))}


def _family_rows(result: Estimates, level: float) -> Iterator[dict[str, Any]]:
    """Yield further parameters on their natural scale, but those that other rows have."""
    residual = residual_parameter(result)
    for k, found in enumerate(result.coefficients):
        name, role = found.parameter.name, found.parameter.role
        if k and name in result.family_params.index and name != residual and role != "zero":
            component = component_of(result, k)
            own = {"effect": "family", "component": component, "term": name}
            yield {**own, **_family_row(result, name, level)}


def _family_row(result: Estimates, name: str, level: float) -> dict[str, float]:
    """Return the numbers of a further parameter, without an error where it was fixed."""
    row = {"estimate": float(result.family_params["value"][name])}
    for quantity in family_quantities(result):
        if quantity.label == name:
            return row | by_delta(result, quantity, level)
    return row


def _ran_vals_rows(result: Estimates, level: float) -> Iterable[dict[str, Any]]:
    half = float(ndtri(0.5 + 0.5 * level))
    for term in result.terms:
        effects = result.effects[term.group]
        variances = np.diagonal(effects.covariance, axis1=1, axis2=2)
        places = range(term.columns.start, term.columns.stop)
        for name, column in zip(term.names, places, strict=True):
            for row, label in enumerate(effects.levels):
                value, se = effects.values[row, column], np.sqrt(variances[row, column])
                yield {
                    "effect": "ran_vals",
                    "component": component_of(result, term.predictor),
                    "group": term.group,
                    "level": label,
                    "term": _term(name),
                    "estimate": value,
                    "std.error": se,
                    "conf.low": value - half * se,
                    "conf.high": value + half * se,
                }


def _exponentiate(table: pd.DataFrame) -> None:
    """Replace fixed effects by their exponentials, and standard errors by the delta method."""
    fixed = table["effect"] == "fixed"
    with np.errstate(over="ignore"):
        for name in _LIMITS:
            table.loc[fixed, name] = np.exp(table.loc[fixed, name])
        table.loc[fixed, "estimate"] = np.exp(table.loc[fixed, "estimate"])
    table.loc[fixed, "std.error"] *= table.loc[fixed, "estimate"]
