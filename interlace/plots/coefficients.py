"""Coefficients with their intervals: of one model or several, of one part or all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.plots.canvas import (
    MAX_NAMES,
    check_labels,
    drawn_on,
    labelled,
    name_rows,
    new_grid,
    readable_log,
    require_result,
)
from interlace.plots.colours import colours_on, style_of
from interlace.reporting.blocks import Block, block_of, blocks
from interlace.reporting.differences import names_of
from interlace.reporting.meanings import meaning_of
from interlace_core.messages.checks import check_level, require_flag
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

ROW = 0.3
"""Height of one estimate in inches."""

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class _Drawn:
    """The coefficients of one model, by its place among all, in one panel: ends by name."""

    place: int
    model: str
    ends: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class _Panel:
    """Coefficients of one part of the models, on one scale."""

    title: str
    axis: str
    ratio: bool
    drawn: list[_Drawn]

    @property
    def names(self) -> list[str]:
        """All names, in the order in which models have them."""
        return list(dict.fromkeys(name for each in self.drawn for name in each.ends))


def coefficients(
    results: GLMMResult | Sequence[GLMMResult] | Mapping[str, GLMMResult],
    parameter: int | str | Sequence[int | str] = 0,
    *,
    level: float = 0.95,
    exponentiate: bool = False,
    intercept: bool = False,
    labels: Mapping[str, str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw coefficients with Wald intervals, those of t tests in a linear model.

    Parameters
    ----------
    results : GLMMResult, sequence of them, or mapping from name to them
        One model, or several beside each other. Without names they are called by what they differ
        in.
    parameter : int or str, or sequence of them
        Whose coefficients: index, name or role of a distributional parameter; the mean's by
        default. Several, such as `["mean", "zero"]`, or "all" have a panel each.
    level : float
        Of the intervals.
    exponentiate : bool
        Whether to draw exp(coefficient) on a logarithmic axis where that has a meaning: odds
        ratios, rate ratios, ratios of means.
    intercept : bool
        Whether to include the intercept, or thresholds in its place, which are seldom on the scale
        of the others.
    labels : mapping from str to str, optional
        What to write for the name of a coefficient.
    ax : Axes or array of them, optional
        Where to draw, one for each part.

    Returns
    -------
    Axes, or array of them where several parts are asked for

    Raises
    ------
    NotAvailableError
        If no coefficient is estimated.
    OptionError
        If there is nothing but an intercept, which is not asked for.
    """
    level = check_level(level, "plots")
    require_flag(exponentiate, "plots.coefficients: exponentiate")
    require_flag(intercept, "plots.coefficients: intercept")
    models = _models(results)
    one = not isinstance(parameter, list | tuple) and not _is_all(parameter)
    panels = _panels(models, parameter, level, exponentiate, intercept)
    if not panels:
        if intercept or not _panels(models, parameter, level, exponentiate, intercept=True):
            raise NotAvailableError(
                "coefficients: there is no coefficient to draw. Those that are held have no "
                "intervals; leave them out of hold=."
            )
        raise OptionError(
            "coefficients: there is nothing but an intercept to draw. Give intercept=True."
        )
    check_labels(labels, [name for panel in panels for name in panel.names], "coefficients")
    axes = _axes(ax, panels, len(models))
    for panel, each in zip(panels, axes, strict=True):
        _draw(each, panel, labels, title=len(panels) > 1)
    if len(models) > 1:
        _legend(axes, models)
    return axes[0] if one else axes


def _models(results: Any) -> dict[str, GLMMResult]:
    """Return the models by name."""
    if isinstance(results, Mapping):
        found = {str(name): each for name, each in results.items()}
    else:
        given = list(results) if isinstance(results, list | tuple) else [results]
        for each in given:
            require_result(each, "plots.coefficients")
        names = names_of(given) if len(given) > 1 else [str(i) for i in range(len(given))]
        found = dict(zip(names, given, strict=True))
    for each in found.values():
        require_result(each, "plots.coefficients")
    if not found:
        raise OptionError("coefficients: expected one fit or several, got none.")
    return found


def _is_all(parameter: Any) -> bool:
    return isinstance(parameter, str) and parameter == "all"


def _parts(models: Mapping[str, GLMMResult], parameter: Any) -> list[int | str]:
    """Return the parameters asked for; all that have coefficients in some model, by name."""
    if _is_all(parameter):
        found = [
            each.coefficients[block.predictor].parameter.role
            if block.predictor == 0
            else each.coefficients[block.predictor].parameter.name
            for each in models.values()
            for block in blocks(each)
        ]
        return list(dict.fromkeys(found))
    return list(parameter) if isinstance(parameter, list | tuple) else [parameter]


def _panels(
    models: Mapping[str, GLMMResult],
    parameter: Any,
    level: float,
    exponentiate: bool,
    intercept: bool,
) -> list[_Panel]:
    """Return the panels of the parts in which there is something to draw."""
    found = [
        _panel(models, part, level, exponentiate, intercept) for part in _parts(models, parameter)
    ]
    return [panel for panel in found if panel is not None]


def _panel(
    models: Mapping[str, GLMMResult],
    part: int | str,
    level: float,
    exponentiate: bool,
    intercept: bool,
) -> _Panel | None:
    drawn, title, axis, ratios = [], "", [], set()
    for place, (name, model) in enumerate(models.items()):
        found = _blocks_of(model, part, len(models))
        if not found:
            continue
        meaning = meaning_of(model, found[0].predictor)
        ratio = exponentiate and bool(meaning.ratio)
        ends: dict[str, tuple[float, float, float]] = {}
        for block in found:
            if intercept or block.kind != "intercept":
                ends |= _ends(block, level, intercept, ratio)
        drawn.append(_Drawn(place, name, ends))
        title = title or _title(model, found[0])
        axis.append(meaning.name if ratio else f"coefficient ({found[0].scale})")
        ratios.add(ratio)
    if not any(each.ends for each in drawn):
        return None
    if len(ratios) > 1:
        raise OptionError(
            "coefficients: exponentials have a meaning for some of these models only "
            f"({'; '.join(dict.fromkeys(axis))}). Leave out exponentiate=True."
        )
    words = " or ".join(dict.fromkeys(axis))
    return _Panel(title, f"{words}, {100 * level:g}% interval", ratios == {True}, drawn)


def _blocks_of(model: GLMMResult, part: int | str, count: int) -> list[Block]:
    """Return the blocks of one part; none where one of several models lacks it."""
    try:
        k = model.parameter_index(part)
    except OptionError:
        if count == 1:
            raise
        return []
    if k:
        return [block_of(model, k)]
    return [each for each in blocks(model) if each.predictor == 0]


def _ends(
    block: Block, level: float, intercept: bool, ratio: bool
) -> dict[str, tuple[float, float, float]]:
    """Return estimate and ends by name; exponentials of them where they are ratios."""
    low, high = block.limits(level)
    columns = np.array([block.estimates, low, high])
    if ratio:
        with np.errstate(over="ignore"):
            columns = np.exp(columns)
    return {
        name: (float(centre), float(a), float(b))
        for name, centre, a, b in zip(block.names, *columns, strict=True)
        if intercept or name != INTERCEPT
    }


def _title(model: GLMMResult, block: Block) -> str:
    if block.predictor == 0:
        several = any(each.parameter.role == "zero" for each in model.coefficients)
        return "part beside the zeros" if several else "mean"
    parameter = model.coefficients[block.predictor].parameter
    what = {"zero": "zero part", "dispersion": "dispersion"}.get(parameter.role, "")
    return f"{what} ({parameter.name})" if what else parameter.name


def _axes(ax: Any, panels: list[_Panel], count: int) -> Any:
    if ax is not None:
        given = drawn_on(ax)
        if len(given) != len(panels):
            raise OptionError(
                f"coefficients: expected {len(panels)} axes, one for each part "
                f"({', '.join(panel.title for panel in panels)}), got {len(given)}."
            )
        return given
    row = ROW if count == 1 else max(ROW, 0.16 * count + 0.12)
    heights = [0.9 + row * len(panel.names) for panel in panels]
    extra = 0.3 + (0.22 * count if count > 1 else 0.0)
    return new_grid(len(panels), 1, size=(6.0, extra + sum(heights)), heights=heights).ravel()


def _draw(ax: Any, panel: _Panel, labels: Mapping[str, str] | None, *, title: bool) -> None:
    names = panel.names
    places = dict(zip(names, np.arange(len(names))[::-1].astype(float), strict=True))
    count = len(panel.drawn)
    spread = 0.0 if count == 1 else min(0.7, 0.2 * count)
    colours = colours_on(ax)
    ax.axvline(1.0 if panel.ratio else 0.0, color=colours.pale, linewidth=1.0, zorder=0)
    for i, each in enumerate(panel.drawn):
        shift = spread * (0.5 - i / max(count - 1, 1)) if count > 1 else 0.0
        y = np.array([places[name] + shift for name in each.ends])
        centre, low, high = np.array(list(each.ends.values())).reshape(-1, 3).T
        style = style_of(each.place, colours)
        _segments(ax, y, low, high, style["color"])
        size = 5 if len(names) <= 40 else 2
        ax.plot(centre, y, linestyle="none", markersize=size, label=each.model, **style)
    name_rows(ax, [labelled(name, labels) for name in names])
    if len(names) > MAX_NAMES:
        ax.set_ylabel(f"{len(names)} coefficients")
    ax.set_xlabel(panel.axis)
    if title:
        ax.set_title(panel.title, fontsize=10, loc="left")
    if panel.ratio:
        readable_log(ax)


def _segments(ax: Any, y: Array, low: Array, high: Array, colour: str) -> None:
    ax.hlines(y, low, high, color=colour, linewidth=1.5)


def _legend(axes: Any, models: Mapping[str, GLMMResult]) -> None:
    """Write the names of the models above, each once, in their order."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    names = [name for name in models if name in found]
    axes[0].figure.legend(
        [found[name] for name in names], names, loc="outside upper left", frameon=False,
        ncols=1 if max(map(len, names)) > 20 else 3,
    )  # fmt: skip
