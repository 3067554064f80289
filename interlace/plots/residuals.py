"""Residuals in four panels."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.canvas import drawn_on, new_grid, require_result, tidy_up
from interlace.plots.colours import colours_on
from interlace.prediction.kinds import in_pandas
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.choices import ResidualKind
    from interlace.results.result import GLMMResult

BINS = 12
"""Bins of the running averages: enough to show a bend, few enough to hold some rows each."""


def residuals(
    result: GLMMResult, *, kind: ResidualKind = "quantile", seed: int = 0, axes: Any = None
) -> Any:
    """Draw residuals against fitted values, their normal quantiles, their spread, and groups.

    The panels: residuals against fitted values with a running average (a bend: the mean is
    wrong); normal quantiles (off the line: the distribution is wrong); the root of their size
    against fitted values (a slope: the variance is wrong); normal quantiles of the random effects.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    kind : str
        As for `GLMMResult.residuals`. Quantile residuals are standard normal for a right model
        of any family; the others are not, if the response is discrete.
    seed : int
        Of quantile residuals, which are randomised where the response is discrete.
    axes : four Axes, optional
        Where to draw.

    Returns
    -------
    array of four Axes
    """
    require_result(result, "plots.residuals")
    result = in_pandas(result)
    values = result.residuals(kind, seed=seed).to_numpy()
    fitted = result.predict(type="link").to_numpy()
    panels = new_grid(2, 2, size=(8.0, 7.0)) if axes is None else drawn_on(axes)
    panels = np.ravel(panels)
    if len(panels) != 4:
        raise OptionError(f"residuals: expected four axes, got {len(panels)}.")
    first, second, third, fourth = panels
    _scatter(first, fitted, values, f"{kind} residual")
    first.axhline(0.0, color=colours_on(first).ink, linewidth=1.0)
    _quantile_plot(second, values, f"{kind} residual")
    _scatter(third, fitted, np.sqrt(np.abs(values)), f"root of |{kind} residual|")
    _random_effects(fourth, result)
    for panel in panels:
        tidy_up(panel)
    return panels


def _scatter(ax: Any, x: Array, y: Array, label: str) -> None:
    """Draw points and the average of y in bins of x with equally many rows."""
    ax.plot(x, y, ".", color=colours_on(ax).pale, markersize=4)
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, min(BINS, len(x))) if len(part)]
    middle = [float(np.mean(x[part])) for part in parts]
    ax.plot(
        middle, [float(np.nanmean(y[part])) for part in parts], ".-", color=colours_on(ax).accent
    )
    ax.set_xlabel("fitted linear predictor")
    ax.set_ylabel(label)


def _quantile_plot(ax: Any, values: Array, label: str) -> None:
    """Draw sorted values against normal quantiles, with the line of equality."""
    values = np.sort(values[np.isfinite(values)])
    n = len(values)
    expected = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    ax.plot(expected, values, ".", color=colours_on(ax).ink, markersize=4)
    ends = [min(expected[0], values[0]), max(expected[-1], values[-1])]
    ax.plot(ends, ends, color=colours_on(ax).accent, linewidth=1.0)
    ax.set_xlabel("normal quantile")
    ax.set_ylabel(label)


def _random_effects(ax: Any, result: GLMMResult) -> None:
    """Draw normal quantiles of all conditional modes, each column over its own spread."""
    columns = [
        column / np.std(column)
        for effects in result.effects.values()
        for column in effects.values.T
        if np.std(column) > 0
    ]
    if not columns:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no random effects", ha="center", transform=ax.transAxes)
        return
    _quantile_plot(ax, np.concatenate(columns), "random effect over its spread")
