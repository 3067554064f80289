"""Colours on light and on dark backgrounds, for readers with any kinds of cones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Colours:
    """What a picture is drawn with. `tests/test_plots_colours.py` holds how far apart they are.

    Attributes
    ----------
    ink, accent, pale : str
        Of what is drawn, of what matters in it, and of what stands behind.
    palette : tuple of str
        For several models, parts or groups, in this order.
    ordered : (float, float)
        Part of matplotlib's map viridis that ordered categories have: what is seen of it.
    """

    ink: str
    accent: str
    pale: str
    palette: tuple[str, ...]
    ordered: tuple[float, float]


LIGHT = Colours(
    "#1f3b57", "#c8553d", "#9aa5b1",
    ("#1f3b57", "#e69f00", "#0072b2", "#b2182b", "#88ccee", "#999999"), (0.0, 0.85),
)  # fmt: skip
DARK = Colours(
    "#a9d3f5", "#ff8a6b", "#7d8894",
    ("#9ecae1", "#e69f00", "#2f7fc1", "#e0604c", "#d9ef8b", "#8a8a8a"), (0.3, 1.0),
)  # fmt: skip

MARKS = ("o", "s", "^", "D", "v", "P")
"""Marks that go with the colours, so that no picture tells by colour alone."""


def colours_on(ax: Any) -> Colours:
    """Return the colours that are seen on the background of some axes."""
    from matplotlib.colors import to_rgba

    own = np.array(to_rgba(ax.get_facecolor()))
    behind = np.array(to_rgba(ax.figure.get_facecolor()))
    shown = own[3] * own[:3] + (1.0 - own[3]) * behind[:3]  # axes may be transparent
    opaque = max(own[3], behind[3]) > 0.0
    return DARK if opaque and float(shown @ (0.2126, 0.7152, 0.0722)) < 0.4 else LIGHT


def style_of(place: int, colours: Colours = LIGHT) -> dict[str, Any]:
    """Return colour and mark of the nth of several things; both repeat after the sixth."""
    palette = colours.palette
    return {
        "color": palette[place % len(palette)],
        "marker": MARKS[(place + place // len(palette)) % len(MARKS)],
    }


def category_colours(count: int, colours: Colours = LIGHT) -> Any:
    """Return colours of so many categories in their order, dark to light."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(*colours.ordered, count))
