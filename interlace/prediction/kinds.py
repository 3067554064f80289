"""Answers in the library of the frame that they were asked with: polars in, polars out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v1 as nw
import pandas as pd


def has_own_kind(data: Any) -> bool:
    """Return whether a frame is of a library whose frames are not pandas' (polars, pyarrow)."""
    if data is None or isinstance(data, (pd.DataFrame, Mapping)):
        return False
    return not nw.from_native(data, eager_only=True).implementation.is_pandas_like()


def as_asked(data: Any, found: pd.Series | pd.DataFrame) -> Any:
    """Return what was found for the rows of a frame in the library of that frame.

    Parameters
    ----------
    data : data frame, mapping or None
        What was asked with. Of pandas, of a dict and of nothing the answer stays as it is.
    found : Series or DataFrame
        One entry for each row, in order. Other libraries have no index: it is left out.
    """
    if not has_own_kind(data):
        return found
    if isinstance(found, pd.Series):
        return _series(data, str(found.name or ""), found).to_native()
    texts = [".".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in found]
    parts = [found.iloc[:, i] for i in range(found.shape[1])]
    columns = {text: _series(data, text, each) for text, each in zip(texts, parts, strict=True)}
    return nw.from_dict(columns, native_namespace=_namespace(data)).to_native()


def with_columns(
    data: Any, columns: Mapping[str, pd.Series], rows: Sequence[int] | None = None
) -> Any:
    """Return a frame of a library of its own, or some rows of it, with further columns."""
    frame = nw.from_native(data, eager_only=True)
    frame = frame if rows is None else frame[list(rows)]
    return frame.with_columns(
        *(_series(data, name, values) for name, values in columns.items())
    ).to_native()


def _series(data: Any, name: str, values: pd.Series) -> Any:
    """Return a column; ordered categories stay so where the library has them."""
    space = _namespace(data)
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return nw.new_series(name, values.to_list(), native_namespace=space)
    texts = [None if pd.isna(each) else str(each) for each in values]
    levels = [str(each) for each in values.cat.categories]
    if nw.from_native(data, eager_only=True).implementation.is_polars():
        own = space.Series(name, texts, dtype=space.Enum(levels))
        return nw.from_native(own, series_only=True)
    return nw.new_series(name, texts, nw.String, native_namespace=space)


def _namespace(data: Any) -> Any:
    return nw.get_native_namespace(nw.from_native(data, eager_only=True))
