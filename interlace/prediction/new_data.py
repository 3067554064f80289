"""New data coded as the training data were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.design import DesignEncoder, columns_left, design_of
from interlace.data.encoder import Encoder, PredictorEncoder, TermEncoder, total_offset
from interlace.data.evaluation import evaluate
from interlace.data.factors import INTERCEPT
from interlace.data.frames import Table, open_table, read_columns
from interlace.data.levels import BOOLEANS, ColumnCode, FactorEncoder, level_names
from interlace.data.points import at_points, known_points
from interlace_core.messages.errors import DataError, NotAvailableError
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray, IntArray


@dataclass(frozen=True)
class NewPredictor:
    """One linear predictor of new data.

    Attributes
    ----------
    X : ndarray, shape (n, p_k)
        Fixed-effects design; NaN in the rows where a covariate is missing, and in those that have
        no estimate.
    offset : ndarray, shape (n,)
        Known part on the scale of eta; NaN where a column of it is missing.
    without_estimate : ndarray of bool, shape (n,)
        Rows that are no combination of rows of the fit, such as cells that had no data.
    """

    X: Array
    offset: Array
    without_estimate: BoolArray


@dataclass(frozen=True)
class NewTerm:
    """One random-effects term of new data.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Level of each row; -1 where it was not seen in training or is missing.
    Z : ndarray, shape (n, c)
        Random-effects covariates; NaN in the rows where one is missing.
    unseen : tuple of str
        Names of the levels that were not seen in training.
    missing : ndarray of bool, shape (n,)
        Rows whose group is missing.
    groups : ndarray of intp, shape (n,)
        Number of each row's group among those not seen in training; -1 where it was seen or is
        missing.
    strange : ndarray, shape (n, k), or None
        Coordinates of the rows at times or places that were not seen in training, NaN for others;
        None where there are none. Z is 0 there.
    """

    codes: IntArray
    Z: Array
    unseen: tuple[str, ...]
    missing: BoolArray
    groups: IntArray
    strange: Array | None = None


@dataclass(frozen=True)
class NewDesign:
    """New data as arrays; no row is dropped.

    Attributes
    ----------
    predictors : tuple of NewPredictor
        In the order of the problem's.
    terms : tuple of NewTerm
        In the order of the problem's.
    index : Index
        Labels of the rows.
    """

    predictors: tuple[NewPredictor, ...]
    terms: tuple[NewTerm, ...]
    index: pd.Index[Any]


def encode(
    encoder: Encoder,
    newdata: object,
    *,
    need_random: bool | Sequence[BoolArray] = True,
    need_offset: bool = True,
    need_groups: Sequence[bool] | None = None,
    new_places: bool = False,
    need_errors: bool = False,
) -> NewDesign:
    """Return new data as arrays, coded by the training data's levels and transforms.

    Parameters
    ----------
    encoder : Encoder
        Of the fit.
    newdata : data frame or mapping from str to array-like, n rows
        With the columns of the right-hand sides; the response is not needed.
    need_random : bool, or one ndarray of bool, shape (c,), per term
        Which columns of the random-effects terms to code; what others use may be absent, and they
        are NaN.
    need_offset : bool
        Whether to compute the offsets; without them they are zero and their columns may be
        absent.
    need_groups : sequence of bool, one per term, optional
        Whether to look up the groups; without them every row has code -1, and the grouping
        columns may be absent. By default for the terms of which columns are coded.
    new_places : bool
        Whether rows may be at times or places that were not seen in training, see
        `NewTerm.strange`; they are refused otherwise.
    need_errors : bool
        Whether the variances of the rows' errors are needed, where they are known and no parameter
        (`known_variance`); without them their columns may be absent.

    Returns
    -------
    NewDesign

    Raises
    ------
    DataError
        If a column is missing, a fixed-effect factor has a level not seen in training, or
        text stands where numbers were, or a known variance is not positive.
    NotAvailableError
        If known variances are needed that were not given by columns.
    """
    table = open_table(newdata, argument="newdata")
    if need_errors:
        _require_errors(encoder, table)
    else:
        encoder = _without_errors(encoder)
    asked = _asked(encoder, need_random)
    by_term = [bool(each.any()) for each in asked] if need_groups is None else need_groups
    wanted = list(zip(encoder.terms, asked, by_term, strict=True))
    coded = _coded_columns(encoder, wanted, need_offset)
    grouped = [name for term, _, groups in wanted if groups for name in term.factor.columns]
    raw = read_columns(table, [*coded, *grouped], argument="newdata")
    frame = Frame({name: _coded(encoder.columns[name], raw[name]) for name in coded}, raw.n)
    return NewDesign(
        tuple(_predictor(each, frame, need_offset) for each in encoder.predictors),
        tuple(
            _term(term, frame, raw, columns, groups, new_places) for term, columns, groups in wanted
        ),
        table.index,
    )


def encode_frame(encoder: Encoder, raw: Frame) -> tuple[list[NewPredictor], list[Array]]:
    """Return predictors and random-effects covariates of rows, without their groups.

    Parameters
    ----------
    encoder : Encoder
    raw : Frame, n rows
        From `read_columns`, nothing missing.

    Returns
    -------
    list of NewPredictor
    list of ndarray, shape (n, c)
        Ones that are the same number in memory where a term is an intercept.
    """
    encoder = _without_errors(encoder)
    terms = [(each, np.full(each.size, True), False) for each in encoder.terms]
    names = _coded_columns(encoder, terms, True)
    frame = Frame({name: _coded(encoder.columns[name], raw[name]) for name in names}, raw.n)
    ones = np.broadcast_to(np.float64(1.0), (raw.n, 1))
    designs = [
        [ones if each.is_intercept else _design(each, frame) for each in term.designs]
        for term in encoder.terms
    ]
    columns = [own[0] if len(own) == 1 else np.hstack(own) for own in designs]
    return [_predictor(each, frame, True) for each in encoder.predictors], columns


def _without_errors(encoder: Encoder) -> Encoder:
    """Return an encoder that leaves known variances of errors unknown, and needs no column."""
    if not any(each.is_known_by_row for each in encoder.predictors):
        return encoder
    unknown = PredictorEncoder(None, (), float("nan"))
    predictors = tuple(unknown if each.is_known_by_row else each for each in encoder.predictors)
    return replace(encoder, predictors=predictors)


def _require_errors(encoder: Encoder, table: Table) -> None:
    """Refuse new data without the known variances of their errors.

    Raises
    ------
    DataError, NotAvailableError
    """
    for predictor in encoder.predictors:
        if not predictor.is_known_by_row:
            continue
        if not predictor.offsets:
            raise NotAvailableError(
                'predict: interval="prediction" needs the variance of each new row\'s error, and '
                "known_variance was given to the fit as numbers without a name. Give it as a "
                'column, known_variance="v", which newdata then has too; or ask for '
                'interval="confidence".'
            )
        missing = [name for name in predictor.offsets[0].columns if name not in table.columns]
        if missing:
            raise DataError(
                'predict: interval="prediction" needs the variance of each new row\'s error, which '
                f"known_variance says by {listed(predictor.offsets[0].columns)}; newdata has no "
                f"column {missing[0]!r}. Add it to newdata, or ask for "
                'interval="confidence".'
            )


def _asked(encoder: Encoder, need_random: bool | Sequence[BoolArray]) -> list[BoolArray]:
    """Return which columns of each term are to be coded, shape (c,)."""
    if isinstance(need_random, bool):
        return [np.full(term.size, need_random) for term in encoder.terms]
    return list(need_random)


def _needs_columns(design: DesignEncoder, asked: BoolArray) -> bool:
    """Return whether columns of the data are needed for the ones asked for of a design."""
    return any(
        name != INTERCEPT for name, is_asked in zip(design.names, asked, strict=True) if is_asked
    )


def _coded_columns(
    encoder: Encoder,
    terms: Sequence[tuple[TermEncoder, BoolArray, bool]],
    need_offset: bool,
) -> list[str]:
    """Return the columns of the designs and offsets needed, each once."""
    names: list[str] = []
    for predictor in encoder.predictors:
        names += predictor.design.columns if predictor.design else ()
        names += [name for each in predictor.offsets if need_offset for name in each.columns]
    for term, asked, _ in terms:
        start = 0
        for design in term.designs:
            own = asked[start : start + len(design.names)]
            names += design.columns if _needs_columns(design, own) else ()
            start += own.size
    return list(dict.fromkeys(names))


def _coded(code: ColumnCode, column: Column) -> Column:
    """Return a column of new data coded as the training data were.

    Raises
    ------
    DataError
        If it holds text where numbers were, or a level that was not seen in training.
    """
    if code.levels is None:
        return _numbers(code, column)
    if code.is_boolean:
        return _booleans(code, column)
    names = level_names(code.levels)
    codes = _match_levels(column, pd.Index(names, dtype=object))
    _refuse_unseen(code, names, column, codes)
    return Column(code.name, codes, code.levels, code.ordered)


def _refuse_unseen(code: ColumnCode, names: Sequence[str], column: Column, codes: IntArray) -> None:
    own_codes, own_levels = column.factorise()
    new = np.unique(own_codes[(codes < 0) & (own_codes >= 0)])
    if len(new):
        raise DataError(
            f"column {code.name!r}: expected the levels seen in training "
            f"({listed(names)}), got the unseen level(s) "
            f"{listed(level_names(own_levels[new]))}. A fixed effect has no estimate for "
            "these; drop the rows or recode them."
        )


def _booleans(code: ColumnCode, column: Column) -> Column:
    """Return True and False, also where they are written as text or as 1 and 0."""
    if column.is_boolean:
        return column
    spelt = pd.Index([*level_names(BOOLEANS), "0", "1"], dtype=object)
    codes = _match_levels(column, spelt)
    _refuse_unseen(code, level_names(BOOLEANS), column, codes)
    holes = codes < 0
    return Column(code.name, codes % 2 == 1, holes=holes if holes.any() else None)


def _numbers(code: ColumnCode, column: Column) -> Column:
    if not column.is_text:
        return column if column.levels is None else Column(code.name, column.numbers)
    assert column.levels is not None
    raise DataError(
        f"column {code.name!r}: expected numbers as in training, got text such as "
        f"{column.levels[0]!r}. Convert the column."
    )


def _predictor(encoder: PredictorEncoder, frame: Frame, need_offset: bool) -> NewPredictor:
    n = frame.n
    expressions = encoder.offsets if need_offset else ()
    offset = total_offset(encoder, [evaluate(each, frame) for each in expressions], n)
    without_estimate = np.zeros(n, dtype=bool)
    if encoder.design is None:
        wrong = np.flatnonzero(~np.isfinite(offset))
        if encoder.offsets and wrong.size:
            raise DataError(
                "predict: newdata: expected a positive known variance of each row's error, got "
                f"another in row {wrong[0]} (counted from 0). Leave out rows without one."
            )
        return NewPredictor(np.zeros((n, 0)), offset, without_estimate)
    X = _design(encoder.design, frame, without_estimate)
    if encoder.known is not None and encoder.known_values.size:
        offset = offset + _design(encoder.known, frame) @ encoder.known_values
    X[without_estimate] = np.nan
    return NewPredictor(X, offset, without_estimate)


def _term(
    encoder: TermEncoder,
    frame: Frame,
    raw: Frame,
    asked: BoolArray,
    need_groups: bool,
    new_places: bool,
) -> NewTerm:
    n, strange = frame.n, None
    if new_places and encoder.designs[0].points is not None and bool(asked.all()):
        Z, strange = _at_any_point(encoder.designs[0], frame)
    else:
        Z = _term_columns(encoder, frame, asked)
    Z[:, ~asked] = np.nan
    if not need_groups:
        nowhere = np.full(n, -1, dtype=np.intp)
        return NewTerm(nowhere, Z, (), np.zeros(n, dtype=bool), nowhere, strange)
    codes, unseen = _groups(encoder.factor, raw)
    columns = list(encoder.factor.columns)
    missing = np.any([raw[name].missing for name in columns], axis=0)
    groups = np.full(n, -1, dtype=np.intp)
    new = (codes < 0) & ~missing
    if new.any():
        groups[new] = pd.factorize(_names_of_groups(raw, columns)[new])[0]
    return NewTerm(codes, Z, unseen, missing, groups, strange)


def _design(
    encoder: DesignEncoder, frame: Frame, without_estimate: BoolArray | None = None
) -> Array:
    """Return the design of new data, shape (n, p), with NaN in rows that miss a value.

    Parameters
    ----------
    frame : Frame, n rows
        With the columns coded as in training.
    without_estimate : ndarray of bool, shape (n,), optional
        Is made true for rows that are no combination of rows of the fit.

    Raises
    ------
    DataError
        If a factor made within the formula has a level not seen in training, or a
        transform cannot be computed.
    """
    frame = Frame({name: frame[name] for name in encoder.columns}, frame.n)
    holes = [column.missing for column in frame.values()]
    complete = ~np.logical_or.reduce(holes) if holes else np.ones(frame.n, dtype=bool)
    X = np.full((frame.n, len(encoder.names)), np.nan)
    if not complete.any():
        return X
    full = design_of(encoder, frame if complete.all() else frame.take(complete))
    if encoder.dependence is not None and without_estimate is not None:
        without_estimate[complete] = ~encoder.dependence.holds(full)
    if encoder.points is not None:
        X[complete] = at_points(full, encoder.points, encoder.text)
    else:
        X[complete] = columns_left(encoder, full)
    return X


def _term_columns(encoder: TermEncoder, frame: Frame, asked: BoolArray) -> Array:
    parts, start = [], 0
    for design in encoder.designs:
        wanted = asked[start : start + len(design.names)]
        start += wanted.size
        own = _needs_columns(design, wanted)
        parts.append(_design(design, frame) if own else np.ones((frame.n, wanted.size)))
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def _at_any_point(encoder: DesignEncoder, frame: Frame) -> tuple[Array, Array | None]:
    """Return the columns of points, and the coordinates of rows at others: see `NewTerm`."""
    assert encoder.points is not None
    frame = Frame({name: frame[name] for name in encoder.columns}, frame.n)
    complete = ~np.logical_or.reduce([column.missing for column in frame.values()])
    values = np.full((frame.n, encoder.points.shape[1]), np.nan)
    if complete.any():
        values[complete] = design_of(encoder, frame if complete.all() else frame.take(complete))
    Z = np.full((frame.n, len(encoder.points)), np.nan)
    Z[complete], new = known_points(values[complete], encoder.points)
    if not new.any():
        return Z, None
    strange = np.full(values.shape, np.nan)
    rows = np.flatnonzero(complete)[new]
    strange[rows] = values[rows]
    return Z, strange


def _groups(encoder: FactorEncoder, frame: Frame) -> tuple[IntArray, tuple[str, ...]]:
    """Return the group of each row, shape (n,), and the names of unseen groups.

    A row has code -1 if its group was not seen in training or a column is missing; only
    the former are named.

    Parameters
    ----------
    frame : Frame, n rows
        Columns from `read_columns`, as they are in the new data.
    """
    codes, *others = [
        _match_levels(frame[name], pd.Index(names, dtype=object))
        for name, names in zip(encoder.columns, encoder.column_levels, strict=True)
    ]
    for other, names, known in zip(
        others, encoder.column_levels[1:], encoder.combinations, strict=True
    ):
        codes = _find(known, codes, other, len(names))
    return codes, _unseen(frame, encoder.columns, codes)


def codes_of_groups(encoder: FactorEncoder, frame: Frame) -> IntArray:
    """Return the group of each row, shape (n,), nothing missing; all groups are the encoder's.

    Raises
    ------
    DataError
        If one is not.
    """
    codes, unseen = _groups(encoder, frame)
    if unseen:
        raise DataError(
            f"grouping factor {':'.join(encoder.columns)!r}: expected the levels that were seen in "
            f"the first look at the data, got {listed(unseen)} too. Leave the data as they are "
            "while they are read."
        )
    return codes


def _find(known: IntArray, codes: IntArray, other: IntArray, n_levels: int) -> IntArray:
    """Return the place of each combination among the known keys; -1 if it is not there."""
    keys = codes.astype(np.int64) * n_levels + other
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found = (codes >= 0) & (other >= 0) & (known[places] == keys)
    return np.where(found, places, -1)


def _unseen(frame: Frame, columns: Sequence[str], codes: IntArray) -> tuple[str, ...]:
    missing = np.any([frame[name].missing for name in columns], axis=0)
    new = (codes < 0) & ~missing
    return tuple(dict.fromkeys(_names_of_groups(frame, columns)[new])) if new.any() else ()


def _names_of_groups(frame: Frame, columns: Sequence[str]) -> npt.NDArray[Any]:
    """Return the name of each row's group, such as `a1:b1`, shape (n,)."""
    parts = []
    for name in columns:
        codes, levels = frame[name].factorise()
        parts.append(np.array([*level_names(levels), ""], dtype=object)[codes])
    joined: npt.NDArray[Any] = parts[0]
    for part in parts[1:]:
        joined = joined + ":" + part
    return joined


def _match_levels(column: Column, names: pd.Index[Any]) -> IntArray:
    """Return the place of each value among level names, shape (n,); -1 if missing or new."""
    codes, levels = column.factorise()
    places = names.get_indexer(pd.Index(level_names(levels), dtype=object))
    # The extra entry at the end is what code -1 (missing) picks.
    return np.append(places, -1)[codes]
