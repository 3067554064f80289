"""Residuals scaled by simulation in two panels, with the results of their tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from interlace.plots.canvas import new_grid, require_result, tidy_up
from interlace.plots.colours import colours_on
from interlace.prediction.kinds import in_pandas
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array, BoolArray

if TYPE_CHECKING:
    from interlace.inference.scaled_residuals import ScaledResiduals
    from interlace.results.result import GLMMResult

QUARTILES = (0.25, 0.5, 0.75)

BINS = 12
"""Of rows in the order of their prediction: each needs some rows for its quartiles."""

LEAST = 20
"""Rows in a bin, at least, for quartiles that are no noise."""


def scaled_residuals(
    result: GLMMResult,
    residuals: ScaledResiduals | None = None,
    *,
    n: int = 250,
    seed: int = 0,
    axes: Any = None,
) -> Any:
    """Draw scaled residuals: their uniform quantiles with tests, and over the predictions.

    On the left the sorted residuals against uniform quantiles: off the line, the distribution is
    wrong. The tests of uniformity, dispersion, zeros and outliers stand in the panel, those with
    p < 0.05 in red. On the right the residuals against the rank of the prediction, outliers as
    stars, with their quartiles in groups of rows; these are level at 0.25, 0.5 and 0.75 if the
    model is right.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    residuals : ScaledResiduals, optional
        From `GLMMResult.scaled_residuals`, made with `n` and `seed` if not given.
    n : int
        Draws.
    seed : int
        Of the draws.
    axes : two Axes, optional
        Where to draw.

    Returns
    -------
    array of two Axes
    """
    require_result(result, "plots.scaled_residuals")
    result = in_pandas(result)
    found = result.scaled_residuals(n, seed=seed) if residuals is None else residuals
    values = found.values.to_numpy()
    if len(values) != result.nobs:
        raise OptionError(
            f"scaled_residuals: expected residuals of {result.nobs} rows, got {len(values)}. Give "
            "those that the method scaled_residuals() of this result returned."
        )
    panels = new_grid(1, 2, size=(9.0, 4.4)).ravel() if axes is None else np.ravel(axes)
    if len(panels) != 2:
        raise OptionError(f"scaled_residuals: expected two axes, got {len(panels)}.")
    _quantiles(panels[0], values)
    _tests(panels[0], found)
    fixed = result.predict(type="link", include_re=False).to_numpy(dtype=np.float64)
    _over_predictions(panels[1], fixed, values, found.outliers.to_numpy(dtype=bool))
    for panel in panels:
        tidy_up(panel)
    return panels


def _quantiles(ax: Any, values: Array) -> None:
    n = len(values)
    expected = (np.arange(n) + 0.5) / n
    ax.plot([0.0, 1.0], [0.0, 1.0], color=colours_on(ax).pale, linewidth=1.0)
    ax.plot(expected, np.sort(values), ".", color=colours_on(ax).ink, markersize=4)
    ax.set_xlabel("uniform quantile")
    ax.set_ylabel("scaled residual")
    ax.set_title("distribution", fontsize=10, loc="left")


def _tests(ax: Any, found: ScaledResiduals) -> None:
    """Write the tests into the panel, those that reject in red."""
    table, colours = found.tests(), colours_on(ax)
    if not np.any(found.observed == 0.0) and not np.any(found.draws == 0.0):
        table = table.drop(index="zeros")
    for i, (name, row) in enumerate(table.iterrows()):
        rejected = row["pvalue"] < 0.05
        p = f"p = {row['pvalue']:.3f}" if row["pvalue"] >= 0.001 else "p < 0.001"
        text = ax.text(
            0.03, 0.97 - 0.065 * i, f"{name} {row['statistic']:.3g}, {p}",
            transform=ax.transAxes, va="top", fontsize=9,
            color=colours.accent if rejected else colours.ink,
            fontweight="bold" if rejected else "normal",
        )  # fmt: skip
        text.set_in_layout(False)  # or the panel shrinks to what the text leaves of it


def _over_predictions(ax: Any, fitted: Array, values: Array, outliers: BoolArray) -> None:
    """Draw residuals against ranks of predictions, their quartiles in bins, outliers as stars."""
    colours = colours_on(ax)
    rank = rankdata(fitted) / len(fitted)
    ax.plot(rank, values, ".", color=colours.pale, markersize=4)
    if np.any(outliers):  # an empty line that is not clipped would take the whole figure's room
        ends = rank[outliers], values[outliers]
        ax.plot(*ends, "*", color=colours.accent, markersize=6, clip_on=False)
    count = max(min(BINS, len(values) // LEAST), 1)
    edges = np.quantile(rank, np.linspace(0.0, 1.0, count + 1))
    place = np.clip(np.searchsorted(edges, rank, side="left") - 1, 0, count - 1)
    bins = [np.flatnonzero(place == i) for i in range(count)]
    bins = [rows for rows in bins if len(rows) >= LEAST // 2]
    for quartile in QUARTILES:
        ax.axhline(quartile, color=colours.pale, linewidth=1.0, linestyle="--")
        middle = [float(rank[rows].mean()) for rows in bins]
        height = [float(np.quantile(values[rows], quartile)) for rows in bins]
        ax.plot(middle, height, ".-", color=colours.accent, linewidth=1.2)
    ax.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    ax.set_xlabel("prediction without random effects, by rank")
    ax.set_ylabel("scaled residual")
    ax.set_title("quartiles over predictions", fontsize=10, loc="left")
