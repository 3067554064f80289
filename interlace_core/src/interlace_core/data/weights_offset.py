"""Weights and offsets: an array, a Series, a column's name, or an expression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace_core.data.columns import Frame
from interlace_core.data.evaluation import evaluate
from interlace_core.data.frames import Table
from interlace_core.data.rows import Rows, require_finite
from interlace_core.families.checks import first_offender
from interlace_core.formulas.allowed import Vocabulary, parse_text
from interlace_core.formulas.expressions import Expression
from interlace_core.messages.errors import DataError
from interlace_core.records import Array

Vector = Expression | Array


def read_vector(
    values: object, argument: str, table: Table, vocabulary: Vocabulary
) -> Vector | None:
    """Return weights or an offset as an expression over columns or as an array, shape (n_given,).

    Parameters
    ----------
    values : None, str or array-like
        A column or expression, or one number per row of the data. A pandas Series whose index
        has the labels of the data's in another order is put into the data's order; anything
        else counts by position.
    argument : str
        `weights` or `offset`.
    table : Table
        The data.
    vocabulary : Vocabulary
        What the names of an expression can mean.

    Raises
    ------
    FormulaError
        If a text names no column.
    DataError
        If the length is wrong or something is not a number.
    """
    if values is None:
        return None
    if isinstance(values, str):
        return parse_text(values, argument, vocabulary)
    return read_array(values, argument, table.index)


def read_array(values: object, argument: str, index: pd.Index[Any]) -> Array:
    """Return one number per row, shape (len(index),); a Series is aligned to the index.

    Raises
    ------
    DataError
        If the length is wrong or something is not a number.
    """
    if isinstance(values, pd.Series):
        values = _aligned(values, index)
    array = _numbers(values, argument)
    if array.shape != (len(index),):
        raise DataError(
            f"{argument}: expected one number per row of the data, shape "
            f"({len(index)},), got shape {array.shape}. Give an array of that length, or "
            "the name of a column."
        )
    return array


def vector_values(vector: Vector, argument: str, frame: Frame, rows: Rows) -> Array:
    """Return the vector over the rows in use, shape (n,).

    Raises
    ------
    DataError
        If a value is infinite, or an expression gives NaN; the first row is named.
    """
    if isinstance(vector, Expression):
        values = evaluate(vector, frame).astype(np.float64)
        what = argument if vector.text == argument else f"{argument} {vector.text!r}"
    else:
        values, what = rows.pick(vector), argument
    require_finite(values, what, rows)
    return values


def check_weights(values: Array, rows: Rows) -> None:
    """Raise a DataError if a weight is negative or all are zero.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite weights of the rows in use.
    rows : Rows
        To name the row.
    """
    negative = values < 0
    if negative.any():
        place = first_offender(negative)
        raise DataError(
            f"weights: expected values of 0 or more, got {values[place]:g} in "
            f"{rows.describe(place)} ({np.count_nonzero(negative)} such row(s)). Correct them, or "
            "leave these rows out."
        )
    if not values.any():
        raise DataError(
            "weights: expected a positive value in some row, got 0 in all of them. Check the "
            "column, or leave weights out."
        )


def _aligned(values: pd.Series[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    """Return a Series in the order of the index if it has the same labels, each once."""
    if len(values) != len(index) or values.index.equals(index):
        return values
    unique = values.index.is_unique and index.is_unique
    if unique and bool(index.isin(values.index).all()):
        return values.reindex(index)
    return values


def _numbers(values: object, argument: str) -> Array:
    try:
        if isinstance(values, pd.Series):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{argument}: expected one number per row, got {type(values).__name__} values that "
            f"are no numbers ({error}). Give numbers, or the name of a column."
        ) from error
