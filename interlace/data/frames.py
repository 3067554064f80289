"""Any data frame in, a plain one with the columns needed out.

Taken: pandas, polars, pyarrow tables and whatever else narwhals knows as an eager frame, and
mappings from names to arrays. What comes out are columns of numbers, booleans or levels (text
always is), in the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from interlace.data.columns import Column, Frame
from interlace_core.calculus.kept import Kept
from interlace_core.messages.checks import is_writable
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import did_you_mean, listed
from interlace_core.records import BoolArray


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
        table = Table(data, _texts(data.columns), data.index)
    else:
        table = _from_narwhals(data, argument)
    if len(table.index) == 0:
        raise DataError(
            f"{argument}: expected at least one row, got a frame with zero rows. Check how the "
            "data were filtered."
        )
    return table


def _texts_of(labels: pd.Index[Any]) -> tuple[str, ...]:
    # as a list, since an index of text makes each of its items anew
    return tuple(name for name in labels.tolist() if isinstance(name, str))


_texts = Kept(_texts_of)


def as_pandas(data: object, *, argument: str = "data") -> pd.DataFrame:
    """Return a whole frame of any library as one of pandas.

    A column whose type pandas does not know holds its values as Python has them.

    Raises
    ------
    DataError
        If it is no data frame, has no rows, or its columns have no single names.
    """
    native = open_table(data, argument=argument).native
    if not isinstance(native, pd.DataFrame):
        try:
            return pd.DataFrame(native.to_pandas())
        # Whatever pyarrow, through which frames go, says of a type that it does not have.
        except Exception:
            return pd.DataFrame({name: native[name].to_list() for name in native.columns})
    if isinstance(native.columns, pd.MultiIndex):
        raise DataError(
            f"{argument}: expected columns with one name each, got {native.columns.nlevels} levels "
            "of names. Join them, as by data.columns = ['_'.join(each) for each in data.columns]."
        )
    return native


def read_columns(table: Table, names: Collection[str], *, argument: str = "data") -> Frame:
    """Return the columns needed, as numbers, booleans or levels.

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
    Frame, n rows

    Raises
    ------
    DataError
        If a column is missing, occurs twice, or holds something that is neither number nor text.
    """
    require_columns(table, names, argument=argument)
    return Frame(
        {name: _read(table, name) for name in dict.fromkeys(names)},
        len(table.index),
    )


def require_columns(table: Table, names: Collection[str], *, argument: str = "data") -> None:
    """Raise a DataError if one of the columns needed is missing or occurs twice."""
    missing = [name for name in dict.fromkeys(names) if name not in table.columns]
    if missing:
        hint = did_you_mean(missing[0], table.columns)
        raise DataError(
            f"{argument}: expected the column(s) {listed(missing)}, which are not there.{hint} "
            f"Columns available: {listed(table.columns)}. Add or rename them."
        )
    if len(set(table.columns)) == len(table.columns):
        return
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


def _from_narwhals(data: Any, argument: str) -> Table:
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


def _read(table: Table, name: str) -> Column:
    """Return one column; whole numbers stay exact, whatever is missing among them."""
    if isinstance(table.native, pd.DataFrame):
        values = _stored(table.native, name)
        return as_column(name, _values(table.native[name]) if values is None else values)
    series = table.native[name]
    if series.dtype == nw.Enum:
        levels = nw.to_native(series).dtype.categories.to_list()
        return as_column(name, pd.Categorical(series.to_list(), levels, ordered=True))
    if series.dtype.is_integer() and series.dtype not in (nw.Int128, nw.UInt128):
        holes = _holes(series.is_null().to_numpy())
        filled = series if holes is None else series.fill_null(0)
        return Column(name, filled.to_numpy(), holes=holes)
    if series.dtype.is_float():
        return Column(name, series.to_numpy())
    if table.native.implementation.is_polars():
        return as_column(name, np.array(series.to_list(), dtype=object))
    # Not series.to_pandas(): narwhals 2.29 loses the nulls of a pyarrow dictionary.
    return as_column(name, _values(nw.to_native(series).to_pandas()))


def _stored(frame: pd.DataFrame, name: str) -> Any:
    """Return a column as pandas holds it, without the Series around it, whose making takes longer.

    None where this pandas does not say, or holds it in a form of its own (such as dates).
    """
    values = getattr(frame, "_get_column_array", None)
    place = frame.columns.get_loc(name)
    if values is None or type(frame) is not pd.DataFrame or type(place) is not int:
        return None
    found = values(place)
    plain = isinstance(found, np.ndarray) or isinstance(found.dtype, ExtensionDtype)
    return found if plain else None


def _values(series: pd.Series[Any]) -> Any:
    return series.array if isinstance(series.dtype, ExtensionDtype) else series.to_numpy()


def as_column(name: str, values: Any) -> Column:
    """Return an array of NumPy's or pandas' as a column.

    Raises
    ------
    DataError
        If it holds something that is neither number nor text.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return Column(name, np.asarray(values))
    if isinstance(dtype, pd.CategoricalDtype):
        levels = values.categories
        if isinstance(levels.dtype, pd.StringDtype):  # whose items are made one by one
            levels = _as_objects(levels)
        return Column(name, values.codes, levels, bool(values.ordered), chosen=True)
    try:
        kind = pd.api.types.infer_dtype(values, skipna=True)
        if kind == "complex":
            raise TypeError
        read = _READERS.get(kind, _levels)
        return read(name, values)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"column {name!r}: expected numbers, text, booleans or categories, got {dtype}. "
            "Convert it to one of these."
        ) from error


def _objects_of(labels: pd.Index[Any]) -> pd.Index[Any]:
    found: pd.Index[Any] = pd.Index(labels.to_numpy(dtype=object), dtype=object)
    return found


_as_objects = Kept(_objects_of)


def _whole(name: str, values: Any) -> Column:
    """Return whole numbers, as 64 bits where they fit, otherwise as Python's own."""
    holes = _holes(pd.isna(values))
    filled = np.where(pd.isna(values), 0, np.asarray(values, dtype=object))
    for dtype in (np.int64, np.uint64):
        try:
            return Column(name, filled.astype(dtype), holes=holes)
        except OverflowError:
            continue
    return Column(name, filled, holes=holes)


def _booleans(name: str, values: Any) -> Column:
    missing = np.asarray(pd.isna(values))
    filled = np.where(missing, False, np.asarray(values, dtype=object))
    return Column(name, filled.astype(bool), holes=_holes(missing))


def _decimals(name: str, values: Any) -> Column:
    missing = np.asarray(pd.isna(values))
    filled = np.array(values, dtype=object)
    filled[missing] = Decimal(0)
    return Column(name, filled, holes=_holes(missing))


def _reals(name: str, values: Any) -> Column:
    return Column(name, pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan))


def _levels(name: str, values: Any) -> Column:
    """Return text, dates or whatever else can be told apart, as levels in their order."""
    codes, found = pd.factorize(values)
    labels = np.asarray(found, dtype=object)
    names = labels.tolist()
    is_text = set(map(type, names)) <= {str}
    broken = None
    if not (is_text and is_writable("".join(names))):
        broken = next((it for it in names if isinstance(it, str) and not is_writable(it)), None)
    if broken is not None:
        raise DataError(
            f"column {name!r}: expected text, got {broken!a}, which has half a character that no "
            "file or terminal takes. Read the data anew in the encoding that they are written in."
        )
    try:
        order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.intp)
    except TypeError:  # values of several types have no order but that of their appearance
        return Column(name, codes, pd.Index(found))
    places = np.empty(len(order) + 1, dtype=np.intp)
    places[order], places[-1] = np.arange(len(order)), -1
    levels = pd.Index(labels[order], dtype=object) if is_text else pd.Index(found[order])
    return Column(name, places[codes], levels)


def _holes(missing: Any) -> BoolArray | None:
    return np.asarray(missing, dtype=bool) if np.any(missing) else None


_READERS: Mapping[str, Callable[[str, Any], Column]] = {
    "integer": _whole,
    "boolean": _booleans,
    "decimal": _decimals,
    **dict.fromkeys(("floating", "mixed-integer-float", "empty"), _reals),
}
"""By what `pandas.api.types.infer_dtype` says of columns that hold numbers."""
