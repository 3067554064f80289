"""Data sets of published studies, and a simulated one, for examples and tests.

Factors come as pandas Categoricals whose first level is the reference level.
"""

from __future__ import annotations

import json
import textwrap
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.messages.checks import require_text
from interlace_core.messages.errors import UnknownNameError
from interlace_core.messages.names import did_you_mean

__all__ = ["describe", "load", "names"]

_DATA = files(__name__).joinpath("data")


def load(name: str) -> pd.DataFrame:
    """Return a data set as a new data frame.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    pandas.DataFrame
        Factors are Categoricals with the levels in the order of the original, ordered where
        that is; counts are int64, measurements float64.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name.

    Examples
    --------
    >>> load("cbpp")["period"].cat.categories.tolist()
    ['1', '2', '3', '4']
    """
    columns: dict[str, Any] = _entry(name)["columns"]
    dtypes: dict[str, type] = {each: _DTYPES[spec["type"]] for each, spec in columns.items()}
    with _DATA.joinpath(f"{name}.csv.gz").open("rb") as file:
        data: pd.DataFrame = pd.read_csv(
            file, compression="gzip", dtype=dtypes, keep_default_na=False
        )
    for column, spec in columns.items():
        if "levels" in spec:
            data[column] = _categorical(data[column], spec)
    return data


def names() -> list[str]:
    """Return the names of the data sets, sorted without regard to case."""
    return sorted(_index(), key=str.lower)


def describe(name: str) -> str:
    """Return what a data set holds, the study to cite and where the copy came from.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name.
    """
    entry = _entry(name)
    columns = [f"{column} ({_kind(spec)})" for column, spec in entry["columns"].items()]
    lines = [
        f"{name}: {entry['title']}",
        f"Rows: {entry['rows']}",
        f"Columns: {', '.join(columns)}",
        *([f"Note: {entry['note']}"] if "note" in entry else []),
        f"Cite: {entry['citation']}",
        f"Copied from: {entry['source']}",
    ]
    return "\n".join(textwrap.fill(line, width=88, subsequent_indent="  ") for line in lines)


_DTYPES: dict[str, type] = {"integer": np.int64, "float": np.float64, "factor": str, "ordered": str}


def _entry(name: str) -> dict[str, Any]:
    require_text(name, "datasets.load: name", "the name of a data set")
    index = _index()
    if name in index:
        entry: dict[str, Any] = index[name]
        return entry
    hint = did_you_mean(name, index)
    raise UnknownNameError(
        f"datasets.load: data set {name!r} does not exist.{hint} Known: {', '.join(names())}."
    )


@cache
def _index() -> dict[str, Any]:
    index: dict[str, Any] = json.loads(_DATA.joinpath("index.json").read_text(encoding="utf-8"))
    return index


def _categorical(values: pd.Series, spec: dict[str, Any]) -> pd.Categorical:
    """Return the factor; levels that are numbers in numeric order are not in the index."""
    levels = spec["levels"]
    if levels == "numeric":
        levels = sorted(values.unique(), key=int)
    return pd.Categorical(values, categories=levels, ordered=spec["type"] == "ordered")


def _kind(spec: dict[str, Any]) -> str:
    """Return a column's type in words, with its levels where they are few enough to read."""
    levels = spec.get("levels")
    if isinstance(levels, list) and len(levels) <= 7:
        separator = " < " if spec["type"] == "ordered" else ", "
        return f"{spec['type']}: {separator.join(levels)}"
    return str(spec["type"])
