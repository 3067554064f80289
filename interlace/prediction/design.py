"""The rows to predict as arrays: those of the fit, or new data coded as the training data was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.factors import INTERCEPT
from interlace.data.rows import value_or_array
from interlace.prediction.new_data import NewDesign, NewTerm, encode
from interlace.results.fitted_model import require_training
from interlace_core.contract.incidence import Covariates, times_effects
from interlace_core.messages.checks import names_of
from interlace_core.messages.errors import DataError, DataWarning, OptionError
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn
from interlace_core.records import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from interlace.prediction.places import NewPlaces
    from interlace.results.estimates import Estimates
    from interlace.results.random_effects import GroupEffects, TermPlace


Included = tuple[BoolArray, ...]
"""Which columns of each random-effects term contribute to a prediction, shape (c,) each."""


@dataclass(frozen=True)
class RowTerm:
    """One random-effects term over the rows to predict.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Level among those of the fit; -1 where it is new or missing.
    Z : ndarray or Incidence, shape (n, c)
    missing : ndarray of bool, shape (n,)
        Rows whose group is missing.
    groups : ndarray of intp, shape (n,)
        Number of each row's group among the new ones; -1 where it is not new.
    unexplained : ndarray, shape (n,), or None
        Variance of what the effects of the term's columns do not tell of a row's: at a new time or
        place, where Z has the weights of the known ones. None where it is 0.
    new : NewPlaces, or None
        The rows where that is so.
    """

    codes: IntArray
    Z: Covariates
    missing: BoolArray
    groups: IntArray
    unexplained: Array | None = None
    new: NewPlaces | None = None


@dataclass(frozen=True)
class RowDesign:
    """The rows to predict.

    Attributes
    ----------
    X : tuple of K ndarray, shape (n, p_k)
    offset : ndarray, shape (K, n)
    terms : tuple of RowTerm
        In the order of the result's.
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
    result: Estimates,
    newdata: Any,
    offset: Any,
    policy: str,
    included: Included,
    *,
    all_effects: bool,
    need_errors: bool = False,
) -> RowDesign:
    """Return new rows; new levels are reported once, or refused.

    Parameters
    ----------
    result, newdata, offset
        As for `predict`.
    policy : str
        What to do with new levels.
    included : tuple of ndarray of bool, shape (c,)
        The random effects that contribute: only their groups are looked up.
    all_effects : bool
        Whether the covariates of all random effects are needed, for what is not known of them.
    need_errors : bool
        Whether known variances of the rows' errors are.
    """
    groups = [bool(each.any()) for each in included]
    columns = [np.ones_like(each) if all_effects else each for each in included]
    coded = encode(
        result.encoder, newdata, need_random=columns, need_groups=groups, new_places=True,
        need_errors=need_errors,
    )  # fmt: skip
    _report_without_estimate(result, coded)
    known = np.stack([each.offset for each in coded.predictors])
    known[0] = known[0] + _external_offset(result, offset, coded.index)
    names = [term.group for term in result.terms]
    looked_up = zip(names, coded.terms, groups, strict=True)
    for group, term in {group: term for group, term, used in looked_up if used}.items():
        _report_new_levels(group, term, policy)
    return RowDesign(
        tuple(each.X for each in coded.predictors),
        known,
        tuple(_row_term(result, *each) for each in zip(result.terms, coded.terms, strict=True)),
        coded.index,
    )


def _row_term(result: Estimates, place: TermPlace, term: NewTerm) -> RowTerm:
    """Return a term of new rows, with the weights of known places at new ones."""
    if term.strange is None:
        return RowTerm(term.codes, term.Z, term.missing, term.groups)
    from interlace.prediction.places import NewPlaces

    new = NewPlaces.of(place, term.strange)
    Z, unexplained = np.array(term.Z), np.zeros(len(term.Z))
    Z[new.rows], unexplained[new.rows] = new.weights(result.fit.psi[place.theta])
    return RowTerm(term.codes, Z, term.missing, term.groups, unexplained, new)


def included_terms(result: Estimates, include_re: Any) -> Included:
    """Return which effects of each term contribute, from True, False, or labels and factors.

    A label with some of a term's columns, such as `1 | g` of `(1 + x | g)`, means these.

    Raises
    ------
    OptionError
        If a name is no term of the model.
    """
    included = tuple(np.zeros(len(term.names), dtype=bool) for term in result.terms)
    if isinstance(include_re, (bool, np.bool_)):
        return tuple(each | bool(include_re) for each in included)
    names = names_of(
        include_re, "predict: include_re", "True, False or the name of a random-effects term"
    )
    for name in names:
        found = False
        for term, columns in zip(result.terms, included, strict=True):
            asked = _columns_asked(term, name)
            columns |= asked
            found |= bool(asked.any())
        if not found:
            labels = ", ".join(f"({term.label})" for term in result.terms) or "none"
            raise OptionError(
                f"predict: include_re names {name!r}, which is no random-effects term of the "
                f"model. Terms: {labels}; a grouping factor means all terms on it, and "
                "'1 | g' the intercept of a term on g."
            )
    return included


def are_some(included: Included) -> bool:
    """Return whether any random effect is included."""
    return any(bool(each.any()) for each in included)


def _columns_asked(term: TermPlace, name: str) -> BoolArray:
    """Return which columns of a term a name asks for, shape (c,)."""
    plain, group = _plain(name), _plain(term.group)
    if plain in (_plain(term.label), group):
        return np.ones(len(term.names), dtype=bool)
    left, bar, right = plain.rpartition("|")
    if not bar or right != group:
        return np.zeros(len(term.names), dtype=bool)
    wanted = [INTERCEPT if part == "1" else part for part in left.split("+") if part != "0"]
    columns = [_plain(each) for each in term.names]
    if not wanted or any(part not in columns for part in wanted):
        return np.zeros(len(term.names), dtype=bool)
    return np.isin(columns, wanted)


def _plain(label: str) -> str:
    return "".join(label.split()).strip("()")


def predictors(
    result: Estimates,
    design: RowDesign,
    included: Included,
    unknown: Sequence[Mapping[int, Array]] = (),
) -> Array:
    """Return the linear predictors, shape (K, n); unseen levels contribute `unknown`, or 0.

    Parameters
    ----------
    unknown : sequence of mapping from predictor to ndarray, shape (n,), one per term, optional
        Z b of each term in rows with an unseen level.
    """
    eta = np.stack(
        [
            known + X @ found.estimates if found.names else known
            for X, known, found in zip(design.X, design.offset, result.coefficients, strict=True)
        ]
    )
    for i, (place, term) in enumerate(zip(result.terms, design.terms, strict=False)):
        if not included[i].any():
            continue
        b = result.effects[place.group].values[:, place.columns]
        b = np.vstack([b, np.zeros(b.shape[1])])  # code -1 finds the zero row
        for k, own in place.by_predictor:
            effect = weighted_effects(term.Z[:, own], b[:, own], term.codes, included[i][own])
            if len(unknown):
                effect = effect + np.where(term.codes < 0, unknown[i][k], 0.0)
            eta[k] += np.where(term.missing, np.nan, effect)
    return eta


def weighted_effects(Z: Covariates, b: Array, codes: IntArray, included: BoolArray) -> Array:
    """Return z'b of each row over the columns included, shape (n,); NaN stays out of others.

    Parameters
    ----------
    Z : ndarray or Incidence, shape (n, c)
    b : ndarray, shape (L, c)
    codes : ndarray of intp, shape (n,)
        Row of b.
    included : ndarray of bool, shape (c,)
    """
    return times_effects(Z[:, included], b[:, included].T, codes)


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
    return value_or_array(offset, "predict: offset", index)


def _report_without_estimate(result: Estimates, coded: NewDesign) -> None:
    """Say how many rows have no estimate, and why."""
    gone = np.logical_or.reduce([each.without_estimate for each in coded.predictors])
    if gone.any():
        row = int(np.flatnonzero(gone)[0])
        warn(
            f"predict: {int(gone.sum())} of {gone.size} row(s) have no estimate, the first is row "
            f"{row} (counted from 0): the fit dropped {listed(result.dropped_columns)}, and its "
            "data hold nothing like these rows (a combination of levels without data, for "
            "example). Their predictions are NaN; ask for rows that the data inform, or fit a "
            "smaller model.",
            DataWarning,
        )


def _report_new_levels(group: str, coded: Any, policy: str) -> None:
    if not coded.unseen:
        return
    shown = ", ".join(map(repr, coded.unseen[:5])) + (", ..." if len(coded.unseen) > 5 else "")
    message = f"predict: {len(coded.unseen)} level(s) of {group!r} were not in the fit: {shown}."
    if policy == "error":
        raise DataError(f'{message} Use new_levels="population" to give them a random effect of 0.')
    if policy == "population":
        warn(f"{message} They contribute a random effect of 0.", DataWarning)
