"""Read the reference fits and their data; see tests/reference/README.md for where they come from.

Example
-------
>>> data, fit = load_data("cbpp"), load_fit("cbpp_logit_tmb")
>>> coefficient_name("period2", fit["factors"])
'period[T.2]'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parent / "reference"


def fit_ids() -> list[str]:
    """Return the ids of all reference fits, sorted."""
    return sorted(path.stem for path in (FOLDER / "fits").glob("*.json"))


def load_fit(fit_id: str) -> dict[str, Any]:
    """Return a reference fit as it was written, with R's names."""
    fit: dict[str, Any] = json.loads((FOLDER / "fits" / f"{fit_id}.json").read_text())
    return fit


def load_data(name: str) -> pd.DataFrame:
    """Return a reference data set, its factors as Categoricals with R's levels in R's order.

    R's numeric columns are float64; its integer columns are int64 (no missing value is in one).
    """
    columns: dict[str, Any] = load_schema()[name]["columns"]
    return pd.read_csv(
        data_path(name),
        dtype={column: _dtype(spec) for column, spec in columns.items()},
        keep_default_na=False,
        na_values=["NA"],
    )


@cache
def load_schema() -> dict[str, Any]:
    """Return type and levels of each column of each data set; not to be modified."""
    schema: dict[str, Any] = json.loads((FOLDER / "data" / "_schema.json").read_text())
    return schema


def data_path(name: str) -> Path:
    """Return the CSV of a data set; the larger ones are gzipped."""
    plain = FOLDER / "data" / f"{name}.csv"
    return plain if plain.exists() else plain.with_name(f"{name}.csv.gz")


def coefficient_name(r_name: str, factors: Mapping[str, Mapping[str, Any]]) -> str:
    """Return formulaic's name of a coefficient that R calls `r_name`.

    Parameters
    ----------
    r_name : str
        Such as `(Intercept)`, `period2` or `sppPR:minedno`.
    factors : mapping
        The fit's entry `factors`: levels and contrasts by column.

    Raises
    ------
    ValueError
        If the factor was not coded by treatment contrasts, the only ones translated.
    """
    if r_name == "(Intercept)":
        return "Intercept"
    return ":".join(_translate(part, factors) for part in r_name.split(":"))


def _translate(part: str, factors: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one variable's share of a coefficient's name; a numeric column keeps its name."""
    for column, factor in factors.items():
        if not part.startswith(column) or "contrasts" not in factor:
            continue
        if factor["contrasts"] != "contr.treatment":
            raise ValueError(
                f"coefficient {part!r}: expected treatment contrasts, got {factor['contrasts']!r} "
                f"for {column!r}; translate it where it is needed"
            )
        level = part.removeprefix(column)
        if level in factor["levels"]:
            return f"{column}[T.{level}]"
    return part


def _dtype(spec: Mapping[str, Any]) -> Any:
    if spec["type"] in ("factor", "ordered"):
        return pd.CategoricalDtype(spec["levels"], ordered=spec["type"] == "ordered")
    return {"integer": "int64", "numeric": "float64", "string": "str"}[spec["type"]]
