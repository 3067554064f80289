"""New data coded as the training data were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.data.design import DesignEncoder
from interlace_core.data.frames import open_table, read_columns
from interlace_core.data.grouping import FactorEncoder
from interlace_core.data.levels import ColumnCode
from interlace_core.data.rows import frozen, is_missing
from interlace_core.formulas.expressions import Expression, evaluate
from interlace_core.records import Array, BoolArray, IntArray


@dataclass(frozen=True)
class PredictorEncoder:
    """Codes one linear predictor of new data.

    Attributes
    ----------
    design : DesignEncoder or None
        Fixed effects; None for a parameter fixed by the user.
    offsets : tuple of Expression
        Parts of the offset that can be computed from columns; they add up.
    constant : float
        Known constant on the scale of eta: the value of a fixed parameter.
    """

    design: DesignEncoder | None
    offsets: tuple[Expression, ...] = ()
    constant: float = 0.0


@dataclass(frozen=True)
class TermEncoder:
    """Codes one random-effects term of new data.

    Attributes
    ----------
    design : DesignEncoder
        Columns of Z.
    factor : FactorEncoder
        Groups.
    """

    design: DesignEncoder
    factor: FactorEncoder


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


@dataclass(frozen=True)
class Encoder:
    """Everything needed to code new data; it holds no training data and can be pickled.

    Attributes
    ----------
    columns : mapping from str to ColumnCode
        How the columns of designs and offsets were read.
    predictors : tuple of PredictorEncoder
        One per distributional parameter.
    terms : tuple of TermEncoder
        One per random-effects term.
    external_offset : bool
        Whether the fit had an offset given as an array, which cannot be computed for new data.
    """

    columns: Mapping[str, ColumnCode]
    predictors: tuple[PredictorEncoder, ...]
    terms: tuple[TermEncoder, ...]
    external_offset: bool = False

    def encode(
        self,
        newdata: object,
        *,
        need_random: bool = True,
        need_offset: bool = True,
        need_groups: bool = True,
    ) -> NewDesign:
        """Return new data as arrays, coded by the training data's levels and transforms.

        Parameters
        ----------
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
        terms = self.terms if need_random else ()
        coded = self._coded_columns(terms, need_offset)
        grouped = [name for term in terms if need_groups for name in term.factor.columns]
        raw = read_columns(table, [*coded, *grouped], argument="newdata")
        frame = pd.DataFrame(
            {name: self.columns[name].apply(raw[name]) for name in coded}, index=raw.index
        )
        return NewDesign(
            tuple(_predictor(each, frame, need_offset) for each in self.predictors),
            tuple(_term(each, frame, raw, need_groups) for each in terms),
            table.index,
        )

    def _coded_columns(self, terms: Sequence[TermEncoder], need_offset: bool) -> list[str]:
        """Return the columns of the designs and offsets needed, each once."""
        names: list[str] = []
        for predictor in self.predictors:
            names += predictor.design.columns if predictor.design else ()
            names += [name for each in predictor.offsets if need_offset for name in each.columns]
        for term in terms:
            names += term.design.columns
        return list(dict.fromkeys(names))


def total_offset(encoder: PredictorEncoder, values: Sequence[Array], n: int) -> Array:
    """Return a predictor's constant and the values of its offsets added up, shape (n,)."""
    return frozen(np.sum([np.full(n, encoder.constant), *values], axis=0))


def _predictor(encoder: PredictorEncoder, frame: pd.DataFrame, need_offset: bool) -> NewPredictor:
    n = len(frame)
    expressions = encoder.offsets if need_offset else ()
    offset = total_offset(encoder, [evaluate(each, frame) for each in expressions], n)
    X = encoder.design.encode(frame) if encoder.design else np.zeros((n, 0))
    return NewPredictor(X, offset)


def _term(
    encoder: TermEncoder, frame: pd.DataFrame, raw: pd.DataFrame, need_groups: bool
) -> NewTerm:
    Z, n = encoder.design.encode(frame), len(frame)
    if not need_groups:
        nowhere = np.full(n, -1, dtype=np.intp)
        return NewTerm(nowhere, Z, (), np.zeros(n, dtype=bool), nowhere)
    codes, unseen = encoder.factor.encode(raw)
    columns = list(encoder.factor.columns)
    missing = np.any([is_missing(raw[name]) for name in columns], axis=0)
    groups = np.full(n, -1, dtype=np.intp)
    new = (codes < 0) & ~missing
    if new.any():
        strangers = raw.loc[new, columns].astype(object)
        groups[new] = strangers.groupby(columns, sort=False).ngroup()
    return NewTerm(codes, Z, unseen, missing, groups)
