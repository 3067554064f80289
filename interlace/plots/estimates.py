"""Random effects with their intervals, as a caterpillar."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.canvas import (
    check_labels,
    drawn_on,
    intervals,
    labelled,
    new_grid,
    require_result,
)
from interlace_core.messages.checks import check_level
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult


def caterpillar(
    result: GLMMResult,
    group: str | None = None,
    *,
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw a grouping factor's conditional modes, sorted, with their conditional intervals.

    The intervals come from the conditional standard deviations at the estimates; they do not
    include the uncertainty of the estimates themselves.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    group : str, optional
        The grouping factor; needed if there are several.
    level : float
        Of the intervals.
    labels : mapping from str to str, optional
        What to write for names of levels, of columns and of the factor.
    ax : Axes or array of them, optional
        Where to draw, one for each column of random effects.

    Returns
    -------
    Axes, or array of them where the factor has several columns
    """
    require_result(result, "plots.caterpillar")
    half = half_width(level)
    group = _chosen_group(result, group)
    effects = result.effects[group]
    check_labels(labels, [*effects.levels, *effects.names, group], "caterpillar")
    c = len(effects.names)
    height = 1.2 + 0.2 * min(len(effects.levels), 40)
    axes = new_grid(1, c, size=(5.0 * c, height)).ravel() if ax is None else drawn_on(ax)
    if len(axes) != c:
        raise OptionError(
            f"caterpillar: {group!r} has {c} column(s) of random effects "
            f"({', '.join(effects.names)}), got {len(axes)} axes. Give one for each."
        )
    for j, (name, panel) in enumerate(zip(effects.names, axes, strict=True)):
        order = np.argsort(effects.values[:, j])[::-1]
        centre = effects.values[order, j]
        reach = half * np.sqrt(effects.covariance[order, j, j])
        names = [labelled(effects.levels[place], labels) for place in order]
        intervals(panel, names, centre, centre - reach, centre + reach, reference=0.0)
        panel.set_title(f"{labelled(name, labels)} | {labelled(group, labels)}", fontsize=10)
        panel.set_xlabel(f"random effect, {100 * level:g}% interval")
    return axes[0] if c == 1 else axes


def _chosen_group(result: GLMMResult, group: str | None) -> str:
    known = list(result.effects)
    if group is None and len(known) == 1:
        return known[0]
    if not isinstance(group, str) or group not in known:
        raise OptionError(
            f"caterpillar: group must be one of {', '.join(map(repr, known)) or 'none'}, "
            f"got {group!r}."
        )
    return group


def half_width(level: float) -> float:
    """Return half of an interval's width in standard errors.

    Raises
    ------
    OptionError
        If the level is not between 0 and 1.
    """
    level = check_level(level, "plots")
    return NormalDist().inv_cdf(0.5 + 0.5 * level)
