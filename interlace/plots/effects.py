"""Predictions over a covariate with their intervals, by group, with the data behind them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from interlace.choices import EffectType
from interlace.data.frames import as_pandas, open_table, read_columns
from interlace.plots.canvas import labelled, new_axes, require_result, tidy_up
from interlace.plots.categories import label_of, probabilities
from interlace.plots.colours import colours_on, style_of
from interlace.prediction.kinds import in_pandas
from interlace_core.messages.checks import check_level
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

POINTS = 80
"""Of a line over a covariate: no bend is seen between them."""

MAX_LINES = 12
"""More groups than this are drawn thin and grey, without a legend."""

TYPES = get_args(EffectType)


@dataclass(frozen=True)
class _Grid:
    """Rows to predict: the covariate's values for each value of what lines are by."""

    rows: pd.DataFrame
    values: list[Any]
    lines: list[Any]
    numeric: bool


def effects(
    result: GLMMResult,
    covariate: str,
    data: Any,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
    type: EffectType = "response",
    level: float = 0.95,
    raw: bool = True,
    labels: Mapping[str, str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw predictions over a covariate, other covariates held, with confidence intervals.

    For a group whose random effects are 0, unless lines are by a grouping factor: then each group
    has its own, with its conditional modes. A covariate with levels has points in place of a line:
    estimated means. Of ordered categories, the probability of each is a line, and each value of
    `by` has a panel.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    covariate : str
        A column of the model.
    data : data frame
        Those of the fit: for ranges and levels, for what others are held at, and to be drawn.
    by : str, optional
        A second column of the model, or a grouping factor, with a line for each value; numbers
        with more than five values are taken at their quartiles.
    at : mapping from str to value, optional
        What other columns are held at; by default numbers at their mean, levels at the most
        frequent one.
    type : str
        "response", "link", "mean" or "population" (averaged over random effects), as for
        `GLMMResult.predict`.
    level : float
        Of the intervals.
    raw : bool
        Whether the data are drawn behind, where predictions are on their scale.
    labels : mapping from str to str, optional
        What to write for names of columns, and for the response.
    ax : Axes, optional
        Where to draw; an array of them where there are several panels.

    Returns
    -------
    Axes, or array of them where there are several panels
    """
    require_result(result, "plots.effects")
    level = check_level(level, "plots")
    if type not in TYPES:
        raise OptionError(
            f"effects: type must be one of {', '.join(map(repr, TYPES))}, got {type!r}."
        )
    frame = _used(result, data)
    grid = _grid(result, frame, covariate, by, dict(at or {}))
    response = result.formula.partition("~")[0].strip()
    groups = _groups(result)
    include: Any = [by] if by in groups else False
    if result.family.support == "categories":
        titles = [f"{labelled(by, labels)} {label_of(each)}" if by else "" for each in grid.lines]
        return probabilities(
            result, grid.rows, grid.values, titles, numeric=grid.numeric, include_re=include,
            type=type, level=level, ax=ax,
            names=[labelled(covariate, labels), f"probability of {labelled(response, labels)}"],
        )  # fmt: skip
    ax = new_axes(ax, size=(6.0, 4.2))
    tidy_up(ax)
    ax.set_xlabel(labelled(covariate, labels))
    ax.set_ylabel(labelled(response, labels) if type != "link" else f"{response}, link scale")
    found = result.predict(
        grid.rows, type=type, include_re=include, interval="confidence", level=level
    )
    if raw and type != "link":
        observed = np.asarray(result.family.observed(result.y), dtype=np.float64)
        _raw(ax, grid, frame, observed, covariate, by)
    _lines(ax, grid, found, by, labels)
    return ax


def _used(result: GLMMResult, data: Any) -> pd.DataFrame:
    """Return the rows of the fit, as pandas has them; its columns were read as a fit reads them."""
    from interlace.reporting.tables import augment

    given = None if data is None else as_pandas(data, argument="effects: data")
    frame: pd.DataFrame = augment(in_pandas(result), given)
    known = [name for name in _columns(result) if name in frame]
    table = open_table(frame, argument="effects: data")
    for name, column in read_columns(table, known, argument="effects: data").items():
        if column.missing.all():
            raise DataError(f"effects: data: expected values in column {name!r}, got none.")
        infinite = column.levels is None and np.isinf(column.numbers).any()
        if infinite:
            raise DataError(
                f"effects: data: expected finite values in column {name!r}, got infinite ones. "
                "Correct or drop these rows."
            )
    return frame


def _groups(result: GLMMResult) -> dict[str, tuple[str, ...]]:
    """Return the columns of each grouping factor."""
    return {
        term.group: coder.factor.columns
        for term, coder in zip(result.terms, result.encoder.terms, strict=True)
    }


def _columns(result: GLMMResult) -> list[str]:
    """Return the columns that a prediction may need: of designs and offsets, then of groups."""
    found = list(result.encoder.columns)
    found += [name for columns in _groups(result).values() for name in columns]
    return list(dict.fromkeys(found))


def _grid(
    result: GLMMResult, frame: pd.DataFrame, covariate: str, by: str | None, at: dict[str, Any]
) -> _Grid:
    known = _columns(result)
    for name in (covariate, *([] if by is None else [by]), *at):
        if name not in known and name not in _groups(result):
            raise OptionError(
                f"effects: expected a column of the model ({', '.join(known)}), got {name!r}."
                f"{did_you_mean(name, known)}"
            )
    numeric = _is_number(result, frame, covariate)
    values = _values(frame, covariate, numeric)
    lines: list[Any] = [None] if by is None else _line_values(result, frame, by)
    held = {name: _usual(result, frame, name) for name in known} | at
    rows = pd.DataFrame([held | {covariate: x} | _at_line(result, by, z, frame) for z in lines
                         for x in values])  # fmt: skip
    kinds: dict[Any, Any] = {
        name: frame[name].dtype
        for name in rows
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    rows = rows.astype(kinds)
    return _Grid(rows, values, lines, numeric)


def _at_line(result: GLMMResult, by: str | None, value: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """Return what is held on one line: a column, or those that a grouping factor is made of."""
    if by is None:
        return {}
    if by in frame:
        return {by: value}
    columns = _groups(result)[by]
    first = frame.loc[frame[list(columns)].astype(str).agg(":".join, axis=1) == value].iloc[0]
    return {name: first[name] for name in columns}


def _is_number(result: GLMMResult, frame: pd.DataFrame, name: str) -> bool:
    code = result.encoder.columns.get(name)
    if name not in frame:
        raise DataError(f"effects: the data have no column {name!r}. Give those of the fit.")
    levels = code is not None and code.levels is not None
    return not levels and pd.api.types.is_numeric_dtype(frame[name]) and frame[name].nunique() > 2


def _values(frame: pd.DataFrame, name: str, numeric: bool) -> list[Any]:
    if not numeric:
        return _levels(frame, name)
    return list(np.linspace(float(frame[name].min()), float(frame[name].max()), POINTS))


def _levels(frame: pd.DataFrame, name: str) -> list[Any]:
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [each for each in column.cat.categories if (column == each).any()]
    return sorted(column.dropna().unique().tolist())


def _line_values(result: GLMMResult, frame: pd.DataFrame, by: str) -> list[Any]:
    if by not in frame:  # a factor made of several columns
        return list(result.effects[by].levels)
    if _is_number(result, frame, by) and by not in _groups(result) and frame[by].nunique() > 5:
        return [float(each) for each in np.quantile(frame[by], [0.25, 0.5, 0.75])]
    return _levels(frame, by)


def _usual(result: GLMMResult, frame: pd.DataFrame, name: str) -> Any:
    """Return what a column is held at: the mean of numbers, the most frequent level."""
    if _is_number(result, frame, name):
        return float(frame[name].mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of modes that have no order
        return frame[name].mode().iloc[0]


def _raw(
    ax: Any, grid: _Grid, frame: pd.DataFrame, observed: Array, covariate: str, by: str | None
) -> None:
    """Draw the data, beside the line that they belong to where lines are by levels."""
    places = {value: float(i) for i, value in enumerate(grid.values)}
    column = frame[covariate] if grid.numeric else frame[covariate].map(places)
    x = np.asarray(column, dtype=np.float64)
    if not grid.numeric:  # spread, so that rows of one level are seen
        x = x + np.random.default_rng(0).uniform(-0.12, 0.12, x.size)
    colours = colours_on(ax)
    few = by is not None and by in frame and 1 < len(grid.lines) <= MAX_LINES
    for i, line in enumerate(grid.lines if few else [None]):
        own = (frame[by] == line).to_numpy() if few else np.ones(x.size, dtype=bool)
        colour = style_of(i, colours)["color"] if few and np.any(own) else colours.pale
        ax.plot(x[own], observed[own], ".", color=colour, alpha=0.35, markersize=4, zorder=1)


def _lines(
    ax: Any, grid: _Grid, found: pd.DataFrame, by: str | None, labels: Mapping[str, str] | None
) -> None:
    many, colours = len(grid.lines) > MAX_LINES, colours_on(ax)
    for i, line in enumerate(grid.lines):
        part = found.iloc[i * len(grid.values) : (i + 1) * len(grid.values)]
        style = style_of(i, colours)
        colour = colours.pale if many else style["color"]
        text = None if by is None or many else f"{labelled(by, labels)} {label_of(line)}"
        if grid.numeric:
            if not many:
                ax.fill_between(grid.values, part["lower"], part["upper"], color=colour, alpha=0.15,
                                linewidth=0.0, zorder=2)  # fmt: skip
            dashes = ("-", "--", "-.", ":")[i % 4] if not many else "-"
            ax.plot(grid.values, part["fit"], color=colour, linestyle=dashes, label=text,
                    linewidth=1.0 if many else 1.8, zorder=3)  # fmt: skip
            continue
        count = len(grid.lines)
        shift = 0.0 if count == 1 else min(0.6, 0.15 * count) * (i / (count - 1) - 0.5)
        x = np.arange(len(grid.values)) + shift
        ax.vlines(x, part["lower"], part["upper"], color=colour, linewidth=1.8, zorder=3)
        ax.plot(x, part["fit"], linestyle="none", marker=style["marker"], color=colour, label=text,
                markersize=6, zorder=4)  # fmt: skip
    if not grid.numeric:
        ax.set_xticks(range(len(grid.values)), [label_of(each) for each in grid.values])
        ax.set_xlim(-0.6, len(grid.values) - 0.4)
    if by is not None and not many:
        _legend(ax, len(grid.lines))


def _legend(ax: Any, count: int) -> None:
    ax.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(count, 6),
        columnspacing=1.2, handlelength=1.6, borderaxespad=0.0, fontsize=9,
    )  # fmt: skip
