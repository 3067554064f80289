"""Predictions in sample and for new data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace_core.contracts import Family
from interlace_core.data.vectors import read_array
from interlace_core.errors import DataError, DataWarning, OptionError
from interlace_core.lookup import similar_name
from interlace_core.notices import warn
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult

NEW_LEVELS = ("population", "error")


def predict(
    result: GLMMResult,
    newdata: Any,
    type: str,
    include_re: bool,
    new_levels: str | None,
    offset: Any,
) -> pd.Series:
    """Return predictions; see `GLMMResult.predict`."""
    policy = new_levels if new_levels is not None else result.settings.get("new_levels")
    policy = "population" if policy is None else policy
    if policy not in NEW_LEVELS:
        raise OptionError(
            f"predict: new_levels must be one of {', '.join(map(repr, NEW_LEVELS))}, "
            f"got {policy!r}."
        )
    if not isinstance(include_re, (bool, np.bool_)):
        raise OptionError(f"predict: include_re must be True or False, got {include_re!r}.")
    transform = target_of(result, type).transform
    if newdata is None:
        if offset is not None:
            raise OptionError("predict: offset goes with newdata; the fit has its own.")
        eta, index = (result.eta if include_re else result.eta_fixed), result.rows.index
    else:
        eta, index = _new_predictors(result, newdata, include_re, policy, offset)
    with np.errstate(over="ignore", invalid="ignore"):
        return pd.Series(transform(list(eta)), index=index)


@dataclass(frozen=True)
class Target:
    """What is predicted: the function from the K linear predictors to it, shape (n,)."""

    transform: Callable[[list[Array]], Array]


def target_of(result: GLMMResult, type: str) -> Target:
    """Return what `type` names.

    Raises
    ------
    OptionError
        If there is no such type.
    """
    family = result.family
    if type == "response":
        return Target(family.mean)
    if type == "mean":
        return Target(family.conditional_mean)
    if type == "link":
        return Target(lambda eta: eta[0])
    choices = ["response", "link", "mean"]
    for k, found in enumerate(result.coefficients):
        if type in (found.parameter.name, found.parameter.role):
            return Target(partial(_natural, family, k))
        choices += [found.parameter.name, found.parameter.role]
    close = similar_name(str(type), choices)
    hint = f" Did you mean {close!r}?" if close else ""
    raise OptionError(
        f"predict: type must be one of {', '.join(map(repr, dict.fromkeys(choices)))}, "
        f"got {type!r}.{hint}"
    )


def _natural(family: Family, k: int, eta: list[Array]) -> Array:
    return np.asarray(family.natural(eta)[k])


def _new_predictors(
    result: GLMMResult, newdata: Any, include_re: bool, policy: str, offset: Any
) -> tuple[Array, Any]:
    design = result.encoder.encode(newdata, need_random=include_re)
    rows = []
    for found, new in zip(result.coefficients, design.predictors, strict=True):
        rows.append(new.X @ found.estimates + new.offset if found.names else new.offset)
    eta = np.stack(rows)
    eta[0] += _external_offset(result, offset, design.index)
    if include_re:
        groups = [term.group for term in result.terms]
        for group, coded in dict(zip(groups, design.terms, strict=True)).items():
            _report_new_levels(group, coded, policy)
        for term, coded in zip(result.terms, design.terms, strict=True):
            b = result.effects[term.group].values[:, term.columns]
            b = np.vstack([b, np.zeros(b.shape[1])])  # code -1 finds the zero row
            effect = np.sum(coded.Z * b[coded.codes], axis=1)
            eta[term.predictor] += np.where(coded.missing, np.nan, effect)
    return eta, design.index


def _external_offset(result: GLMMResult, offset: Any, index: Any) -> Array:
    if offset is None:
        if result.encoder.external_offset:
            raise DataError(
                "predict: the fit was given an offset as an array, which cannot be known for "
                "new rows. Give predict(offset=...) one value per row of newdata, or write "
                "offset(...) in the formula."
            )
        return np.zeros(len(index))
    if np.ndim(offset) == 0 and not isinstance(offset, str):
        offset = np.full(len(index), offset)
    return read_array(offset, "predict: offset", index)


def _report_new_levels(group: str, coded: Any, policy: str) -> None:
    if not coded.unseen:
        return
    shown = ", ".join(map(repr, coded.unseen[:5])) + (", ..." if len(coded.unseen) > 5 else "")
    message = f"predict: {len(coded.unseen)} level(s) of {group!r} were not in the fit: {shown}."
    if policy == "error":
        raise DataError(f'{message} Use new_levels="population" to give them a random effect of 0.')
    warn(f"{message} They contribute a random effect of 0.", DataWarning)
