"""The rows to predict as arrays: those of the fit, or new data coded as the training data was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.prediction.new_data import encode
from interlace.results.fitted_model import require_training
from interlace_core.data.rows import read_array
from interlace_core.messages.errors import DataError, DataWarning, OptionError
from interlace_core.messages.warn import warn
from interlace_core.records import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
    from interlace.results.random_effects import GroupEffects


@dataclass(frozen=True)
class RowTerm:
    """One random-effects term over the rows to predict.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Level among those of the fit; -1 where it is new or missing.
    Z : ndarray, shape (n, c)
    missing : ndarray of bool, shape (n,)
        Rows whose group is missing.
    groups : ndarray of intp, shape (n,)
        Number of each row's group among the new ones; -1 where it is not new.
    """

    codes: IntArray
    Z: Array
    missing: BoolArray
    groups: IntArray


@dataclass(frozen=True)
class RowDesign:
    """The rows to predict.

    Attributes
    ----------
    X : tuple of K ndarray, shape (n, p_k)
    offset : ndarray, shape (K, n)
    terms : tuple of RowTerm
        In the order of the result's; empty where random effects were not asked for.
    index : Index
    """

    X: tuple[Array, ...]
    offset: Array
    terms: tuple[RowTerm, ...]
    index: pd.Index[Any]


def fit_rows(result: Estimates) -> RowDesign:
    """Return the rows of the fit."""
    problem = require_training(result, "predict").problem
    known, none_new = np.zeros(problem.n, dtype=bool), np.full(problem.n, -1, dtype=np.intp)
    return RowDesign(
        tuple(each.X for each in problem.predictors),
        np.stack([each.offset for each in problem.predictors]),
        tuple(RowTerm(term.codes, term.Z, known, none_new) for term in problem.terms),
        result.rows.index,
    )


def new_rows(
    result: Estimates, newdata: Any, offset: Any, policy: str, *, effects: bool, groups: bool
) -> RowDesign:
    """Return new rows; new levels are reported once, or refused.

    Parameters
    ----------
    result, newdata, offset
        As for `predict`.
    policy : str
        What to do with new levels.
    effects : bool
        Whether the random-effects terms are coded.
    groups : bool
        Whether their groups are looked up.
    """
    coded = encode(result.encoder, newdata, need_random=effects, need_groups=groups)
    known = np.stack([each.offset for each in coded.predictors])
    known[0] = known[0] + _external_offset(result, offset, coded.index)
    if effects and groups:
        names = [term.group for term in result.terms]
        for group, term in dict(zip(names, coded.terms, strict=True)).items():
            _report_new_levels(group, term, policy)
    return RowDesign(
        tuple(each.X for each in coded.predictors),
        known,
        tuple(RowTerm(term.codes, term.Z, term.missing, term.groups) for term in coded.terms),
        coded.index,
    )


def included_terms(result: Estimates, include_re: Any) -> tuple[bool, ...]:
    """Return whether each term contributes, from True, False, or labels and grouping factors.

    Raises
    ------
    OptionError
        If a name is no term of the model.
    """
    if isinstance(include_re, (bool, np.bool_)):
        return (bool(include_re),) * len(result.terms)
    names = [include_re] if isinstance(include_re, str) else include_re
    if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
        raise OptionError(
            "predict: include_re must be True or False, or names of random-effects terms, "
            f"got {include_re!r}."
        )
    chosen = set()
    for name in names:
        plain = _plain(name)
        matching = [
            i
            for i, term in enumerate(result.terms)
            if plain in (_plain(term.label), _plain(term.group))
        ]
        if not matching:
            labels = ", ".join(f"({term.label})" for term in result.terms) or "none"
            raise OptionError(
                f"predict: include_re names {name!r}, which is no random-effects term of the "
                f"model. Terms: {labels}; a grouping factor means all terms on it."
            )
        chosen.update(matching)
    return tuple(i in chosen for i in range(len(result.terms)))


def _plain(label: str) -> str:
    return "".join(label.split()).strip("()")


def predictors(
    result: Estimates, design: RowDesign, included: Sequence[bool], unknown: Sequence[Array] = ()
) -> Array:
    """Return the linear predictors, shape (K, n); unseen levels contribute `unknown`, or 0.

    Parameters
    ----------
    unknown : sequence of ndarray, shape (n,), one per term, optional
        Z b of each term in rows with an unseen level.
    """
    eta = np.stack(
        [
            known + X @ found.estimates if found.names else known
            for X, known, found in zip(design.X, design.offset, result.coefficients, strict=True)
        ]
    )
    for i, (place, term) in enumerate(zip(result.terms, design.terms, strict=False)):
        if not included[i]:
            continue
        b = result.effects[place.group].values[:, place.columns]
        b = np.vstack([b, np.zeros(b.shape[1])])  # code -1 finds the zero row
        effect = np.sum(term.Z * b[term.codes], axis=1)
        if len(unknown):
            effect = effect + np.where(term.codes < 0, unknown[i], 0.0)
        eta[place.predictor] += np.where(term.missing, np.nan, effect)
    return eta


def level_scales(result: Estimates, design: RowDesign) -> list[Array | None]:
    """Return the known variance of each row's level, shape (n,), by term; None where it is 1."""
    scales: list[Array | None] = []
    for place, term in zip(result.terms, design.terms, strict=True):
        effects = result.effects[place.group]
        if effects.scales is None:
            scales.append(None)
        else:
            # code -1 finds the last
            known = np.append(effects.scales, unrelated_scale(effects))
            scales.append(known[term.codes])
    return scales


def unrelated_scale(effects: GroupEffects) -> float:
    """Return the variance, relative to the prior, of a level that a known covariance lacks.

    The average of those that it holds; such a level counts as unrelated to them.
    """
    return 1.0 if effects.scales is None else float(np.mean(effects.scales))


def _external_offset(result: Estimates, offset: Any, index: Any) -> Array:
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
    if policy == "population":
        warn(f"{message} They contribute a random effect of 0.", DataWarning)
