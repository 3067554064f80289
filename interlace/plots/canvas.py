"""What all pictures share: axes, colours, marks, readable ticks, and how intervals are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interlace.plots.colours import colours_on
from interlace.results.estimates import Estimates
from interlace_core.messages.checks import require_type, shown
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.records import Array

MOST_LISTED = 12
"""Names in a message."""

LOG_TICKS = 7
"""Most labelled ticks of a logarithmic axis."""


def new_axes(ax: Any = None, *, size: tuple[float, float] = (6.0, 4.0)) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is not None:
        panels = drawn_on(ax)
        if len(panels) != 1:
            raise OptionError(f"plots: ax must be one Axes of matplotlib, got {len(panels)}.")
        return panels[0]
    return _pyplot().subplots(figsize=size, layout="constrained")[1]


def new_grid(
    rows: int,
    columns: int,
    *,
    size: tuple[float, float],
    share_x: bool = False,
    heights: Sequence[float] | None = None,
) -> Any:
    """Return an array of the axes of a new figure, shape (rows, columns)."""
    made = _pyplot().subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, sharex=share_x,
        height_ratios=heights,
    )  # fmt: skip
    return made[1]


def require_result(result: Any, who: str) -> None:
    """Raise an OptionError unless something is a fit."""
    require_type(result, Estimates, f"{who}: result", "the fit that glmer, fit or clmm returned")


def drawn_on(axes: Any) -> Any:
    """Return the axes that the user gives as an array.

    Raises
    ------
    OptionError
        If something among them is no axes of matplotlib.
    """
    panels = np.ravel(np.asarray(axes, dtype=object))
    for each in panels:
        if not hasattr(each, "axhline") or not hasattr(each, "set_xlabel"):
            raise OptionError(f"plots: axes must be Axes of matplotlib, got {shown(each)}.")
    return panels


def intervals(
    ax: Any, names: Sequence[str], centre: Array, low: Array, high: Array, *, reference: float
) -> None:
    """Draw estimates as points with their intervals, the first name on top.

    Parameters
    ----------
    ax : Axes
    names : sequence of str, length m
    centre, low, high : ndarray, shape (m,)
        Estimates and ends; NaN ends draw the point alone.
    reference : float
        Where a thin line marks "no effect".
    """
    places = np.arange(len(names))[::-1]
    colours = colours_on(ax)
    ax.axvline(reference, color=colours.pale, linewidth=1.0)
    ax.hlines(places, low, high, color=colours.ink, linewidth=1.5)
    ax.plot(centre, places, "o", color=colours.ink, markersize=5 if len(names) <= 40 else 2)
    name_rows(ax, names)


def name_rows(ax: Any, names: Sequence[str]) -> None:
    """Write the names of rows at the left, the first on top, unless they are too many."""
    ax.set_ylim(-0.7, len(names) - 0.3)
    if len(names) <= MAX_NAMES:
        ax.set_yticks(np.arange(len(names))[::-1], names)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names)} levels, sorted")
    tidy_up(ax)


MAX_NAMES = 60
"""More names than this would overlap on a page."""


def tidy_up(ax: Any) -> None:
    """Take away the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)


def readable_log(ax: Any, axis: str = "x") -> None:
    """Make an axis logarithmic, with a few ticks in plain numbers: 0.2, 0.5, 1, 2, 5."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    getattr(ax, f"set_{axis}scale")("log")
    one = getattr(ax, f"{axis}axis")
    low, high = getattr(ax, f"get_{axis}lim")()
    one.set_major_locator(FixedLocator(log_ticks(low, high)))
    one.set_minor_locator(NullLocator())
    one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))


def log_ticks(low: float, high: float) -> list[float]:
    """Return at most `LOG_TICKS` round numbers within a range, about evenly spaced in its log.

    Parameters
    ----------
    low, high : float
        Above 0.
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for steps in ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = _within(low, high, [s * 10.0**k for k in range(first, last + 1) for s in steps])
        if 3 <= len(found) <= LOG_TICKS:
            return found
    if len(found) > LOG_TICKS:  # many decades: every second, third, ... power of ten
        return found[:: -(-len(found) // LOG_TICKS)]
    from matplotlib.ticker import MaxNLocator  # less than a decade: as on a linear axis

    return _within(low, high, [float(v) for v in MaxNLocator(5).tick_values(low, high)])


def _within(low: float, high: float, values: Sequence[float]) -> list[float]:
    slack = 1.0 + 1e-9
    return [value for value in values if value > 0.0 and low / slack <= value <= high * slack]


def labelled(name: str, labels: Mapping[str, str] | None) -> str:
    """Return the label that the user gave a name, or the name."""
    return name if labels is None else labels.get(name, name)


def check_labels(labels: Mapping[str, str] | None, known: Sequence[str], who: str) -> None:
    """Raise an OptionError if labels name what is not drawn.

    Raises
    ------
    OptionError
        Also if they are no mapping.
    """
    if labels is None:
        return
    if not isinstance(labels, Mapping):
        raise OptionError(
            f"{who}: labels must be a mapping from names to texts, such as "
            f"{{{known[0]!r}: 'Period 2'}}, got {shown(labels)}."
        )
    for name in labels:
        if not isinstance(labels[name], str):
            raise OptionError(f"{who}: labels must be texts, got {shown(labels[name])}.")
        if name not in known:
            raise OptionError(
                f"{who}: labels name {shown(name)}, which is not drawn. Drawn are: "
                f"{listed_names(known)}."
            )


def listed_names(known: Sequence[str]) -> str:
    """Return the names, at most twelve of them, and how many more there are."""
    more = len(known) - MOST_LISTED
    return ", ".join(known[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise NotAvailableError(
            "plots: matplotlib is not installed. Run pip install 'interlace[plots]'."
        ) from error
    return pyplot
