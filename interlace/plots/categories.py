"""Probabilities of ordered categories over a covariate, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.plots.canvas import drawn_on, labelled, new_grid, tidy_up
from interlace.plots.colours import MARKS, category_colours, colours_on
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

TYPES = ("response", "population")

MAX_PANELS = 6
"""Beside each other on a page."""

DASHES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
"""They go with the colours, so that no category is told by its colour alone."""


def probabilities(
    result: GLMMResult,
    rows: pd.DataFrame,
    values: Sequence[Any],
    panels: Sequence[str],
    *,
    numeric: bool,
    include_re: Any,
    type: str,
    level: float,
    names: Sequence[str],
    ax: Any,
) -> Any:
    """Draw the probability of each category over a covariate, a panel for each of another's values.

    Parameters
    ----------
    result : GLMMResult
    rows : DataFrame
        Those to predict: all values of the covariate for the first panel, then for the next.
    values : sequence
        Of the covariate.
    panels : sequence of str
        Their titles; one empty text without a second column.
    numeric : bool
        Whether the covariate is a number, or has levels.
    include_re, type, level
        As for `plots.effects`.
    names : sequence of str, length 2
        What the axes are called.
    ax : Axes or array of them, optional
        Where to draw.
    """
    if type not in TYPES:
        raise OptionError(
            "effects: of ordered categories type must be 'response', their probabilities, or "
            f"'population', these averaged over random effects; got {type!r}."
        )
    if len(panels) > MAX_PANELS:
        raise OptionError(
            f"effects: of ordered categories each value of by= has a panel, at most {MAX_PANELS}, "
            f"got {len(panels)}. Hold it with at= instead."
        )
    asked: dict[str, Any] = {"type": "population"} if type == "population" else {"type": "prob"}
    if type != "population":
        asked["include_re"] = include_re
    found: Any = result.predict(rows, interval="confidence", level=level, **asked)
    axes = _axes(ax, len(panels))
    for i, (title, panel) in enumerate(zip(panels, axes, strict=True)):
        part = found.iloc[i * len(values) : (i + 1) * len(values)]
        _panel(panel, part, values, numeric)
        panel.set_title(title, fontsize=10, loc="left", pad=26 if i == 0 else 6)
        panel.set_xlabel(names[0])
        tidy_up(panel)
    axes[0].set_ylabel(names[1])
    top = max(each.get_ylim()[1] for each in axes)
    for each in axes:
        each.set_ylim(0.0, min(top, 1.02))
    axes[0].legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.0, fontsize=9,
        ncols=6, columnspacing=1.2, handlelength=2.2,
    )  # fmt: skip
    return axes if len(panels) > 1 else axes[0]


def _axes(ax: Any, count: int) -> Any:
    if ax is None:
        return new_grid(1, count, size=(max(6.0, 3.4 * count), 4.2)).ravel()
    given = drawn_on(ax)
    if len(given) != count:
        raise OptionError(f"effects: expected {count} axes, one for each panel, got {len(given)}.")
    return given


def _panel(ax: Any, part: pd.DataFrame, values: Sequence[Any], numeric: bool) -> None:
    categories = list(dict.fromkeys(part.columns.get_level_values(0)))
    x = np.asarray(values if numeric else range(len(values)), dtype=np.float64)
    spread = 0.0 if numeric else min(0.5, 0.12 * len(categories))
    for j, (name, colour) in enumerate(
        zip(categories, category_colours(len(categories), colours_on(ax)), strict=True)
    ):
        fit, low, high = (part[name, each].to_numpy() for each in ("fit", "lower", "upper"))
        if numeric:
            ax.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0.0)
            dashes = DASHES[j % len(DASHES)]
            ax.plot(x, fit, color=colour, linestyle=dashes, linewidth=1.8, label=label_of(name))
            continue
        at = x + spread * (j / max(len(categories) - 1, 1) - 0.5)
        ax.vlines(at, low, high, color=colour, linewidth=1.6)
        ax.plot(at, fit, color=colour, marker=MARKS[j % len(MARKS)], linestyle="none",
                markersize=6, label=label_of(name))  # fmt: skip
    if not numeric:
        ax.set_xticks(x, [label_of(each) for each in values])
        ax.set_xlim(-0.6, len(values) - 0.4)


def label_of(value: Any, labels: Mapping[str, str] | None = None) -> str:
    """Return the text of a value."""
    return labelled(f"{value:.3g}" if isinstance(value, float) else str(value), labels)
