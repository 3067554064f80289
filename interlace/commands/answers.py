"""Answers as text, as JSON or as CSV."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from interlace.results.thresholds import threshold_predictors, thresholds_of


def fit_as_json(model: Any, level: float, warned: list[str], doubtful: bool) -> dict[str, Any]:
    """Return what a fit says, as JSON can hold it: its verdict, its criteria and its estimates.

    Parameters
    ----------
    model : GLMMResult
    level : float
        Of intervals.
    warned : list of str
        What was warned of.
    doubtful : bool
        Whether the exit status is 3.
    """
    from importlib.metadata import version

    rows = model.rows
    return {
        "interlace": version("interlace"),
        "call": model.settings.returned,
        "formula": model.formula,
        "family": model.family.name,
        **_links(model),
        "approximation": str(model.fitted_by),
        "optimizer": model.settings.optimizer,
        "REML": model.restricted,
        "status": model.status,
        "converged": model.converged,
        "doubtful": doubtful,
        "rows": {"given": rows.n_given, "used": rows.n_used, "missing": dict(rows.missing)},
        "groups": {name: len(each.levels) for name, each in model.effects.items()},
        "nobs": model.nobs,
        "df": model.df,
        "logLik": model.llf,
        "AIC": model.aic,
        "BIC": model.bic,
        "level": level,
        "estimates": records(model.tidy(conf_int=True, level=level)),
        "dropped_columns": list(model.dropped_columns),
        "notes": list(model.notes),
        "warnings": warned,
    }


def _links(model: Any) -> dict[str, Any]:
    """Return the link, of ordered categories the latent one, and those of further parameters."""
    cut = thresholds_of(model)
    first, *others = model.coefficients
    if cut is None:
        return {
            "link": first.parameter.link.name,
            "links": {each.parameter.name: each.parameter.link.name for each in others},
        }
    own = threshold_predictors(model)
    free = (each for k, each in enumerate(model.coefficients) if k and k not in own)
    return {
        "link": model.family.latent_link,
        "links": {each.parameter.name: each.parameter.link.name for each in free},
    }


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, without the entries that a row does not have."""
    found = table.to_dict("records")
    return [{str(k): v for k, v in row.items() if not _is_missing(v)} for row in found]


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV with all the digits of its numbers; what is missing is empty."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def as_json(document: Any) -> str:
    """Return a document as JSON; numbers that are none or infinite are null."""
    return json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_text(rows: list[list[str]]) -> str:
    """Return rows of cells in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def table_as(form: str, table: pd.DataFrame) -> str:
    """Return a table in a form: "text", "json" or "csv"."""
    if form == "json":
        return as_json(table.to_dict("records"))
    if form == "csv":
        return as_csv(table)
    return as_text([list(map(str, table.columns)), *table.astype(str).to_numpy().tolist()])


def write(text: str) -> None:
    """Write to standard output."""
    if sys.stdout is not None:
        sys.stdout.write(text)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    """Return a value in what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (bool, int, str)) else str(value)
