"""Answers in the library of the frame that they were asked with: polars in, polars out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import narwhals.stable.v1 as nw
import pandas as pd

from interlace.parts.opening import asked_of

AnyResult = TypeVar("AnyResult")


def has_own_kind(data: Any) -> bool:
    """Return whether a frame is of a library whose frames are not pandas' (polars, pyarrow)."""
    if data is None or isinstance(data, (pd.DataFrame, Mapping)) or asked_of(data) is not None:
        return False
    return not nw.from_native(data, eager_only=True).implementation.is_pandas_like()


PANDAS = "pandas"


def library_of(data: Any) -> str:
    """Return the name of the library that a frame is of, "pandas" for a mapping, and for parts."""
    if not has_own_kind(data):
        return PANDAS
    return str(nw.from_native(data, eager_only=True).implementation.value)


def as_asked(data: Any, found: pd.Series | pd.DataFrame, library: str = PANDAS) -> Any:
    """Return what was found for the rows of a frame in the library of that frame.

    Parameters
    ----------
    data : data frame, mapping or None
        What was asked with. Of pandas and of a dict the answer stays as it is.
    found : Series or DataFrame
        One entry for each row, in order. Other libraries have no index: it is left out.
    library : str
        That of the frame of the fit, whose rows None means.
    """
    if data is None:
        return of_library(library, found)
    return _in_library(_namespace(data), found) if has_own_kind(data) else found


def of_library(library: str, found: pd.Series | pd.DataFrame) -> Any:
    """Return what was found for the rows of a fit in the library of the frame it was fitted to.

    In pandas where that library is not installed, as may be where a saved fit is loaded.
    """
    if library == PANDAS:
        return found
    try:
        space = nw.Implementation.from_string(library).to_native_namespace()
    except (ImportError, ValueError, AssertionError):
        return found
    return _in_library(space, found)


def in_pandas(result: AnyResult) -> AnyResult:
    """Return the result as one that answers for its rows in pandas, for use within the library."""
    own: Any = result
    if own.settings.frames == PANDAS:
        return result
    found: AnyResult = replace(own, settings=replace(own.settings, frames=PANDAS))
    return found


def _in_library(space: Any, found: pd.Series | pd.DataFrame) -> Any:
    if isinstance(found, pd.Series):
        return _series(space, str(found.name or ""), found).to_native()
    texts = [".".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in found]
    parts = [found.iloc[:, i] for i in range(found.shape[1])]
    columns = {text: _series(space, text, each) for text, each in zip(texts, parts, strict=True)}
    return nw.from_dict(columns, native_namespace=space).to_native()


def with_columns(
    data: Any, columns: Mapping[str, pd.Series], rows: Sequence[int] | None = None
) -> Any:
    """Return a frame of a library of its own, or some rows of it, with further columns."""
    frame = nw.from_native(data, eager_only=True)
    frame = frame if rows is None else frame[list(rows)]
    space = _namespace(data)
    return frame.with_columns(
        *(_series(space, name, values) for name, values in columns.items())
    ).to_native()


def _series(space: Any, name: str, values: pd.Series) -> Any:
    """Return a column; ordered categories stay so where the library has them."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return nw.new_series(name, values.to_list(), native_namespace=space)
    texts = [None if pd.isna(each) else str(each) for each in values]
    levels = [str(each) for each in values.cat.categories]
    if hasattr(space, "Enum"):  # polars
        own = space.Series(name, texts, dtype=space.Enum(levels))
        return nw.from_native(own, series_only=True)
    return nw.new_series(name, texts, nw.String, native_namespace=space)


def _namespace(data: Any) -> Any:
    return nw.get_native_namespace(nw.from_native(data, eager_only=True))
