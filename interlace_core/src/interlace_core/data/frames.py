"""Any data frame in, a plain one with the columns needed out.

Taken: pandas, polars, pyarrow tables and whatever else narwhals knows as an eager frame, and
mappings from names to arrays. What comes out is a pandas frame whose columns are numbers
(NaN where missing), booleans, or categories (text always is), with the rows numbered from 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd

from interlace_core.messages.errors import DataError
from interlace_core.messages.names import did_you_mean, listed

_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty")
"""What `pandas.api.types.infer_dtype` says of columns that hold numbers."""


@dataclass(frozen=True)
class Table:
    """The user's data, not yet read.

    Attributes
    ----------
    native : pandas DataFrame or narwhals DataFrame
        The data themselves.
    columns : tuple of str
        Column names in order, duplicates included; names that are not text are left out.
    index : Index
        Labels of the rows; numbered from 0 for anything but pandas.
    """

    native: Any
    columns: tuple[str, ...]
    index: pd.Index[Any]


def open_table(data: object, *, argument: str = "data") -> Table:
    """Return the data with their column names, without reading the columns.

    Parameters
    ----------
    data : data frame or mapping from str to array-like
        pandas, polars, pyarrow or anything that narwhals takes.
    argument : str
        Who to name in a message.

    Raises
    ------
    DataError
        If it is no data frame, or has no rows.
    """
    if isinstance(data, Mapping):
        data = _from_mapping(data, argument)
    if isinstance(data, pd.DataFrame):
        names = tuple(name for name in data.columns if isinstance(name, str))
        table = Table(data, names, data.index)
    else:
        table = _from_narwhals(data, argument)
    if len(table.index) == 0:
        raise DataError(
            f"{argument}: expected at least one row, got a frame with zero rows. Check how the "
            "data were filtered."
        )
    return table


def read_columns(table: Table, names: Collection[str], *, argument: str = "data") -> pd.DataFrame:
    """Return the columns needed, as numbers or categories, rows numbered from 0.

    Parameters
    ----------
    table : Table
        The data.
    names : collection of str
        Columns needed.
    argument : str
        Who to name in a message.

    Returns
    -------
    DataFrame, n rows
        Numbers are float64, integers or bool of NumPy, everything else is categorical.

    Raises
    ------
    DataError
        If a column is missing, occurs twice, or holds something that is neither number nor text.
    """
    require_columns(table, names, argument=argument)
    read = {name: _plain(_column(table, name), name) for name in dict.fromkeys(names)}
    return pd.DataFrame(read, index=pd.RangeIndex(len(table.index)), copy=False)


def require_columns(table: Table, names: Collection[str], *, argument: str = "data") -> None:
    """Raise a DataError if one of the columns needed is missing or occurs twice."""
    missing = [name for name in dict.fromkeys(names) if name not in table.columns]
    if missing:
        hint = did_you_mean(missing[0], table.columns)
        raise DataError(
            f"{argument}: expected the column(s) {listed(missing)}, which are not there.{hint} "
            f"Columns available: {listed(table.columns)}. Add or rename them."
        )
    counts = Counter(table.columns)
    doubled = [name for name in dict.fromkeys(names) if counts[name] > 1]
    if doubled:
        raise DataError(
            f"{argument}: expected each column once, got {counts[doubled[0]]} columns named "
            f"{doubled[0]!r} (duplicated: {listed(doubled)}). Rename or drop the others."
        )


def _from_mapping(data: Mapping[Any, Any], argument: str) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(data))
    except ValueError as error:
        raise DataError(
            f"{argument}: expected columns of one length, got {error}. Give every column one "
            "value per row."
        ) from error


def _from_narwhals(data: object, argument: str) -> Table:
    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"{argument}: expected a data frame (pandas, polars, pyarrow) or a dict of columns, "
            f"got a {type(data).__name__}. Convert it; collect a lazy frame first."
        ) from error
    except Exception as error:
        raise _duplicated(data, error, argument) from error
    return Table(frame, tuple(frame.columns), pd.RangeIndex(len(frame)))


def _duplicated(data: object, error: Exception, argument: str) -> Exception:
    """Return a DataError if narwhals refused the frame because names occur twice."""
    counts = Counter(getattr(data, "column_names", ()))
    doubled = [name for name, count in counts.items() if count > 1]
    if not doubled:
        return error
    return DataError(
        f"{argument}: expected each column once, got several named {listed(doubled)} "
        "(duplicated). Rename or drop the others."
    )


def _column(table: Table, name: str) -> pd.Series[Any]:
    """Return one column as pandas has it; polars' without help of pyarrow."""
    if isinstance(table.native, pd.DataFrame):
        return table.native[name]
    series = table.native[name]
    if series.dtype == nw.Enum:
        levels = nw.to_native(series).dtype.categories.to_list()
        return pd.Series(pd.Categorical(series.to_list(), levels, ordered=True))
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        return pd.Series(series.to_numpy())
    if table.native.implementation.is_polars():
        return pd.Series(series.to_list(), dtype=object)
    # Not series.to_pandas(): narwhals 2.29 loses the nulls of a pyarrow dictionary.
    return pd.Series(nw.to_native(series).to_pandas())


def _plain(column: pd.Series[Any], name: str) -> Any:
    """Return a column as NumPy numbers, or as categories."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array
    try:
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind == "complex":
            raise TypeError
        return _numbers(column, kind) if kind in _NUMBERS else pd.Categorical(column)
    except (TypeError, ValueError) as error:
        raise _unusable(name, column.dtype) from error


def _numbers(column: pd.Series[Any], kind: str) -> Any:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return column.to_numpy()
    if kind == "boolean" and not column.isna().any():
        return column.to_numpy(dtype=bool)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _unusable(name: str, dtype: object) -> DataError:
    return DataError(
        f"column {name!r}: expected numbers, text, booleans or categories, got {dtype}. Convert "
        "it to one of these."
    )
