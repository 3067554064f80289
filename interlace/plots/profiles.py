"""Profile likelihoods as signed roots of the deviance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.canvas import drawn_on, new_grid, tidy_up
from interlace.plots.colours import colours_on
from interlace.plots.estimates import half_width
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    from interlace.inference.profile import Profile

COLUMNS = 3
"""Panels beside each other."""


def profile(profile: Profile, *, level: float = 0.95, axes: Any = None) -> Any:
    """Draw zeta, the signed root of the rise in deviance, against each parameter.

    A straight line means that the Wald interval is right; a bend, how wrong it is. The interval of
    the profile lies where the curve crosses the horizontal lines.

    Parameters
    ----------
    profile : Profile
        From `GLMMResult.profile`.
    level : float
        Of the intervals that are marked.
    axes : Axes, optional
        Where to draw, one for each parameter.

    Returns
    -------
    array of Axes, one per parameter
    """
    half = half_width(level)
    if not hasattr(profile, "points"):
        raise OptionError(
            "profile: expected what the method profile() of a result returns, got "
            f"{type(profile).__name__}. Write plots.profile(result.profile())."
        )
    names = list(profile.estimates.index)
    panels = _panels(len(names)) if axes is None else drawn_on(axes)
    if len(panels) < len(names):
        raise OptionError(f"profile: expected {len(names)} axes, one each, got {len(panels)}.")
    groups = dict(list(profile.points.groupby("parameter", sort=False)))
    for name, ax in zip(names, panels, strict=False):
        part = groups[name].sort_values("value")
        for line in (-half, half):
            ax.axhline(line, color=colours_on(ax).pale, linewidth=1.0, linestyle="--")
        ax.axvline(profile.estimates[name], color=colours_on(ax).pale, linewidth=1.0)
        ax.plot(part["value"], part["zeta"], ".-", color=colours_on(ax).ink)
        ends = profile.confint(level).loc[name].to_numpy(dtype=float)
        ends = ends[np.isfinite(ends)]
        ax.plot(
            ends,
            np.where(ends < profile.estimates[name], -half, half),
            "o",
            color=colours_on(ax).accent,
        )
        ax.set_title(name, fontsize=9)
        ax.set_ylabel("zeta")
        tidy_up(ax)
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    return panels[: len(names)]


def _panels(count: int) -> Any:
    rows, columns = math.ceil(count / COLUMNS), min(count, COLUMNS)
    return new_grid(rows, columns, size=(3.2 * columns, 2.6 * rows)).ravel()
