"""New data coded as the training data were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.data.design import DesignEncoder, first_line, materialise
from interlace_core.data.encoder import Encoder, PredictorEncoder, TermEncoder, total_offset
from interlace_core.data.frames import open_table, read_columns
from interlace_core.data.levels import ColumnCode, FactorEncoder, factorise, level_names
from interlace_core.data.points import at_points
from interlace_core.data.rows import is_missing
from interlace_core.formulas.expressions import evaluate
from interlace_core.messages.errors import DataError, InterlaceError
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray, IntArray


@dataclass(frozen=True)
class NewPredictor:
    """One linear predictor of new data.

    Attributes
    ----------
    X : ndarray, shape (n, p_k)
        Fixed-effects design; NaN in the rows where a covariate is missing.
    offset : ndarray, shape (n,)
        Known part on the scale of eta; NaN where a column of it is missing.
    """

    X: Array
    offset: Array


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
    """

    codes: IntArray
    Z: Array
    unseen: tuple[str, ...]
    missing: BoolArray
    groups: IntArray


@dataclass(frozen=True)
class NewDesign:
    """New data as arrays; no row is dropped.

    Attributes
    ----------
    predictors : tuple of NewPredictor
        In the order of the problem's.
    terms : tuple of NewTerm
        In the order of the problem's; empty if they were not asked for.
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
    need_random: bool = True,
    need_offset: bool = True,
    need_groups: bool = True,
) -> NewDesign:
    """Return new data as arrays, coded by the training data's levels and transforms.

    Parameters
    ----------
    encoder : Encoder
        Of the fit.
    newdata : data frame or mapping from str to array-like, n rows
        With the columns of the right-hand sides; the response is not needed.
    need_random : bool
        Whether to code the random-effects terms; without them their columns may be absent.
    need_offset : bool
        Whether to compute the offsets; without them they are zero and their columns may be
        absent.
    need_groups : bool
        Whether to look up the groups; without them every row has code -1, and the grouping
        columns may be absent.

    Returns
    -------
    NewDesign

    Raises
    ------
    DataError
        If a column is missing, a fixed-effect factor has a level not seen in training, or
        text stands where numbers were.
    """
    table = open_table(newdata, argument="newdata")
    terms = encoder.terms if need_random else ()
    coded = _coded_columns(encoder, terms, need_offset)
    grouped = [name for term in terms if need_groups for name in term.factor.columns]
    raw = read_columns(table, [*coded, *grouped], argument="newdata")
    frame = pd.DataFrame(
        {name: _coded(encoder.columns[name], raw[name]) for name in coded}, index=raw.index
    )
    return NewDesign(
        tuple(_predictor(each, frame, need_offset) for each in encoder.predictors),
        tuple(_term(each, frame, raw, need_groups) for each in terms),
        table.index,
    )


def _coded_columns(encoder: Encoder, terms: Sequence[TermEncoder], need_offset: bool) -> list[str]:
    """Return the columns of the designs and offsets needed, each once."""
    names: list[str] = []
    for predictor in encoder.predictors:
        names += predictor.design.columns if predictor.design else ()
        names += [name for each in predictor.offsets if need_offset for name in each.columns]
    for term in terms:
        names += term.design.columns
    return list(dict.fromkeys(names))


def _coded(code: ColumnCode, column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of new data coded as the training data were.

    Raises
    ------
    DataError
        If it holds text where numbers were, or a level that was not seen in training.
    """
    if code.levels is None:
        return _numbers(code, column)
    codes = _match_levels(column, pd.Index(level_names(code.levels), dtype=object))
    own_codes, own_levels = factorise(column)
    new = np.unique(own_codes[(codes < 0) & (own_codes >= 0)])
    if len(new):
        raise DataError(
            f"column {code.name!r}: expected the levels seen in training "
            f"({listed(level_names(code.levels))}), got the unseen level(s) "
            f"{listed(level_names(own_levels[new]))}. A fixed effect has no estimate for "
            "these; drop the rows or recode them."
        )
    return pd.Series(pd.Categorical.from_codes(codes, categories=code.levels))


def _numbers(code: ColumnCode, column: pd.Series[Any]) -> pd.Series[Any]:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    if pd.api.types.is_numeric_dtype(column.cat.categories.dtype):
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    raise DataError(
        f"column {code.name!r}: expected numbers as in training, got text such as "
        f"{column.cat.categories[0]!r}. Convert the column."
    )


def _predictor(encoder: PredictorEncoder, frame: pd.DataFrame, need_offset: bool) -> NewPredictor:
    n = len(frame)
    expressions = encoder.offsets if need_offset else ()
    offset = total_offset(encoder, [evaluate(each, frame) for each in expressions], n)
    X = _design(encoder.design, frame) if encoder.design else np.zeros((n, 0))
    if encoder.known is not None and encoder.known_values.size:
        offset = offset + _design(encoder.known, frame) @ encoder.known_values
    return NewPredictor(X, offset)


def _term(
    encoder: TermEncoder, frame: pd.DataFrame, raw: pd.DataFrame, need_groups: bool
) -> NewTerm:
    Z, n = _design(encoder.design, frame), len(frame)
    if not need_groups:
        nowhere = np.full(n, -1, dtype=np.intp)
        return NewTerm(nowhere, Z, (), np.zeros(n, dtype=bool), nowhere)
    codes, unseen = _groups(encoder.factor, raw)
    columns = list(encoder.factor.columns)
    missing = np.any([is_missing(raw[name]) for name in columns], axis=0)
    groups = np.full(n, -1, dtype=np.intp)
    new = (codes < 0) & ~missing
    if new.any():
        strangers = raw.loc[new, columns].astype(object)
        groups[new] = strangers.groupby(columns, sort=False).ngroup()
    return NewTerm(codes, Z, unseen, missing, groups)


def _design(encoder: DesignEncoder, frame: pd.DataFrame) -> Array:
    """Return the design of new data, shape (n, p), with NaN in rows that miss a value.

    Parameters
    ----------
    frame : DataFrame, n rows
        With the columns coded as in training, rows numbered from 0.

    Raises
    ------
    DataError
        If a factor made within the formula has a level not seen in training, or a
        transform cannot be computed.
    """
    if encoder.spec is None:
        return np.ones((len(frame), len(encoder.names)))
    frame = frame[list(encoder.columns)]
    holes = [is_missing(frame[name]) for name in encoder.columns]
    complete = ~np.logical_or.reduce(holes) if holes else np.ones(len(frame), dtype=bool)
    if complete.all():
        return _complete(encoder, frame)
    X = np.full((len(frame), len(encoder.names)), np.nan)
    if complete.any():
        X[complete] = _complete(encoder, frame[complete].reset_index(drop=True))
    return X


def _complete(encoder: DesignEncoder, frame: pd.DataFrame) -> Array:
    try:
        full = materialise(encoder.spec, frame, encoder.text)[0]
    except InterlaceError:
        raise
    # Whatever a transform raises, such as a spline outside the range it was made for.
    except Exception as error:
        raise DataError(
            f"newdata: expected values for which {encoder.text!r} can be computed. "
            f"{first_line(error)} Correct or drop these rows."
        ) from error
    if encoder.points is not None:
        return at_points(full, encoder.points, encoder.text)
    full = full if encoder.kept is None else full[:, encoder.kept]
    return full if encoder.mix is None else full @ encoder.mix


def _groups(encoder: FactorEncoder, frame: pd.DataFrame) -> tuple[IntArray, tuple[str, ...]]:
    """Return the group of each row, shape (n,), and the names of unseen groups.

    A row has code -1 if its group was not seen in training or a column is missing; only
    the former are named.

    Parameters
    ----------
    frame : DataFrame, n rows
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


def _find(known: IntArray, codes: IntArray, other: IntArray, n_levels: int) -> IntArray:
    """Return the place of each combination among the known keys; -1 if it is not there."""
    keys = codes.astype(np.int64) * n_levels + other
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found = (codes >= 0) & (other >= 0) & (known[places] == keys)
    return np.where(found, places, -1)


def _unseen(frame: pd.DataFrame, columns: Sequence[str], codes: IntArray) -> tuple[str, ...]:
    if (codes >= 0).all():
        return ()
    strangers = frame.loc[codes < 0, list(columns)].dropna().drop_duplicates()
    parts = [level_names(strangers[name].tolist()) for name in columns]
    return tuple(":".join(each) for each in zip(*parts, strict=True))


def _match_levels(column: pd.Series[Any], names: pd.Index[Any]) -> IntArray:
    """Return the place of each value among level names, shape (n,); -1 if missing or new."""
    codes, levels = factorise(column)
    places = names.get_indexer(pd.Index(level_names(levels), dtype=object))
    # The extra entry at the end is what code -1 (missing) picks.
    return np.append(places, -1)[codes]
