"""Fitted against observed values, and the path of the optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.canvas import (
    drawn_on,
    new_axes,
    new_grid,
    require_result,
    tidy_up,
)
from interlace.plots.colours import MARKS, category_colours, colours_on
from interlace.prediction.design import are_some, included_terms
from interlace.prediction.kinds import in_pandas
from interlace.prediction.new_data import encode
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.records import Array, IntArray

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

FLOOR = 1e-12
"""Shortfalls below this are rounding; drawn at this height on the logarithmic axis."""

BINS = 10
"""Rows of an ordered response are taken together by their fitted probability, a tenth each."""

ABOVE: dict[str, Any] = {
    "frameon": False, "loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 3,
    "borderaxespad": 0.0,
}  # fmt: skip
"""A legend that no point can lie under."""


def fitted(
    result: GLMMResult,
    data: Any = None,
    *,
    group: str | None = None,
    include_re: bool = True,
    ax: Any = None,
) -> Any:
    """Draw observed against fitted values, and the averages of groups.

    Of ordered categories, for each the share observed against its probability: rows are taken
    together in tenths by that probability.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    data : data frame, optional
        The data of the fit, which tell the group of each row; without it no groups are drawn.
    group : str, optional
        The grouping factor; by default the one with fewest levels.
    include_re : bool
        Whether the fitted values include the random effects.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    require_result(result, "plots.fitted")
    result = in_pandas(result)
    ax = new_axes(ax, size=(5.0, 5.0))
    predicted = result.predict(include_re=include_re).to_numpy()
    effects = are_some(included_terms(result, include_re))
    ax.set_xlabel("fitted" if effects else "fitted without random effects")
    ax.set_ylabel("observed")
    tidy_up(ax)
    if predicted.ndim == 2:
        return _shares(result, predicted, ax)
    observed = (result.fittedvalues + result.resid).to_numpy()
    colours = colours_on(ax)
    ax.plot(predicted, observed, ".", color=colours.pale, markersize=4, label="row", zorder=1)
    low, high = min(predicted.min(), observed.min()), max(predicted.max(), observed.max())
    ax.plot([low, high], [low, high], color=colours.ink, linewidth=1.0, zorder=2)
    if data is not None:
        name, codes = _group_codes(result, data, group)
        means = [_group_means(codes, values) for values in (predicted, observed)]
        label = f"average of a level of {name}"
        ax.plot(*means, "o", color=colours.accent, markersize=5, label=label, zorder=3)
        ax.legend(**ABOVE)
    elif group is not None:
        raise OptionError("fitted: group needs data=, the data of the fit.")
    return ax


def path(result: GLMMResult, *, axes: Any = None) -> Any:
    """Draw the path of the fit: what the log-likelihood lacked, and the slope, by evaluation.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    axes : two Axes, optional
        Where to draw.

    Returns
    -------
    array of two Axes
    """
    require_result(result, "plots.path")
    value, slope = np.array(result.fit.path).reshape(-1, 2).T
    count = np.arange(1, len(value) + 1)
    panels = new_grid(2, 1, size=(6.0, 5.0), share_x=True) if axes is None else drawn_on(axes)
    panels = np.ravel(panels)
    if len(panels) != 2:
        raise OptionError(f"path: expected two axes, got {len(panels)}.")
    upper, lower = panels
    shortfall = np.maximum(value - result.fit.value, FLOOR)
    upper.semilogy(count, shortfall, ".-", color=colours_on(upper).ink, linewidth=1.0)
    upper.set_ylabel("log-likelihood short of\nthe optimum")
    lower.semilogy(
        count, np.maximum(slope, FLOOR), ".-", color=colours_on(lower).accent, linewidth=1.0
    )
    lower.set_ylabel("largest slope\n(per standard error)")
    lower.set_xlabel(f"evaluation ({result.fit.seconds:.2f} s in all)")
    upper.set_title(result.fit.verdict.status, fontsize=10, loc="left")
    for panel in (upper, lower):
        tidy_up(panel)
    return np.array([upper, lower])


def _shares(result: GLMMResult, probabilities: Array, ax: Any) -> Any:
    """Draw the share of rows in each category against its probability, by tenths of the rows."""
    names = [str(each) for each in result.predict().columns]
    ax.plot([0.0, 1.0], [0.0, 1.0], color=colours_on(ax).pale, linewidth=1.0, zorder=1)
    found = category_colours(len(names), colours_on(ax))
    for j, (name, colour) in enumerate(zip(names, found, strict=True)):
        order = np.argsort(probabilities[:, j], kind="stable")
        parts = [part for part in np.array_split(order, BINS) if part.size]
        mean = [probabilities[part, j].mean() for part in parts]
        share = [np.mean(result.y[part] == j) for part in parts]
        mark = MARKS[j % len(MARKS)]
        ax.plot(mean, share, mark + "-", color=colour, linewidth=1.0, markersize=5, label=name,
                zorder=2)  # fmt: skip
    ax.set_xlabel(f"probability {ax.get_xlabel()}")
    ax.set_ylabel("share observed")
    ax.legend(**ABOVE)
    return ax


def _group_codes(result: GLMMResult, data: Any, group: str | None) -> tuple[str, IntArray]:
    """Return a grouping factor and the level of each row of the fit."""
    from interlace.reporting.tables import augment

    known = result.ngroups
    if not known or (group is not None and (not isinstance(group, str) or group not in known)):
        shown = ", ".join(map(repr, known)) or "none"
        raise OptionError(f"fitted: group must be one of {shown}, got {group!r}.")
    chosen = group or min(known, key=lambda name: known[name])
    used = augment(result, data)
    terms = [term.group for term in result.terms]
    design = encode(result.encoder, used, need_offset=False)
    codes = design.terms[terms.index(chosen)].codes
    if (codes < 0).any():
        raise DataError(
            f"fitted: expected the data of the fit, got levels of {chosen!r} that were not in it."
        )
    return chosen, codes


def _group_means(codes: IntArray, values: Array) -> Array:
    """Return the average of each level, shape (L,)."""
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=values)
    return np.asarray(sums[counts > 0] / counts[counts > 0])
