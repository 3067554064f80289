"""What all pictures share: axes, made when matplotlib is there, and how intervals are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace.results.estimates import Estimates
from interlace_core.messages.checks import require_type, shown
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.records import Array

INK, ACCENT, PALE = "#1f3b57", "#c8553d", "#9aa5b1"
"""Dark blue, red and grey: told apart in print and by colour-blind readers."""


def new_axes(ax: Any = None, *, size: tuple[float, float] = (6.0, 4.0)) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is not None:
        panels = drawn_on(ax)
        if len(panels) != 1:
            raise OptionError(f"plots: ax must be one Axes of matplotlib, got {len(panels)}.")
        return panels[0]
    return _pyplot().subplots(figsize=size, layout="constrained")[1]


def new_grid(rows: int, columns: int, *, size: tuple[float, float], share_x: bool = False) -> Any:
    """Return an array of the axes of a new figure, shape (rows, columns)."""
    made = _pyplot().subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, sharex=share_x
    )
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
    ax.axvline(reference, color=PALE, linewidth=1.0)
    ax.hlines(places, low, high, color=INK, linewidth=1.5)
    ax.plot(centre, places, "o", color=INK, markersize=5 if len(names) <= 40 else 2)
    ax.set_ylim(-0.7, len(names) - 0.3)
    if len(names) <= MAX_NAMES:
        ax.set_yticks(places, names)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names)} levels, sorted")
    tidy_up(ax)


MAX_NAMES = 60
"""More names than this would overlap on a page."""


def tidy_up(ax: Any) -> None:
    """Take away the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise NotAvailableError(
            "plots: matplotlib is not installed. Run pip install 'interlace[plots]'."
        ) from error
    return pyplot
