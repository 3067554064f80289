"""Fits with the options in force: what calls give, over files, environment and defaults."""

from __future__ import annotations

from typing import Any

from interlace.config.options import Config
from interlace_core.data.request import ConfiguredOption, FitOptions

DEFAULTS = {
    "optimizer": "lbfgsb",
    "nAGQ": 1,
    "new_levels": "population",
    "tol_decrement": 1e-7,
    "starts": 0,
}
"""The weakest defaults; any of them can be changed by configuration."""

SILENT = ("verbose",)
"""Options that change nothing of a fit."""


def options_in_force(**call: Any) -> FitOptions:
    """Return the options of a fit.

    Parameters
    ----------
    **call
        The call's own values for configurable options; None means not given.

    Raises
    ------
    OptionError
        If a key or a value, here or in any place consulted, is not acceptable.
    """
    given = {key: value for key, value in call.items() if value is not None}
    config = Config(DEFAULTS)
    found = {key: each for key, each in config.resolve_all(given).items() if each is not None}
    return FitOptions(**found, given=frozenset(given), configured=_configured(config, given, found))


def _configured(
    config: Config, given: dict[str, Any], found: dict[str, Any]
) -> tuple[ConfiguredOption, ...]:
    """Return the options that configuration decides and that act on the fit or its predictions.

    An approximation that is chosen leaves no choice to nAGQ, and a number of points in the call
    none to a configured name.
    """
    idle = {"approximation"} if "nAGQ" in given else set()
    idle |= {"nAGQ"} if "approximation" in found and "approximation" not in idle else set()
    return tuple(
        ConfiguredOption(each.key, str(each.value), each.origin)
        for each in config.configured(given)
        if each.key not in (*SILENT, *idle) and not _is_built_in(each.key, each.value)
    )


def _is_built_in(key: str, value: Any) -> bool:
    # Objects are not compared: their equality may be anything.
    return isinstance(value, (str, int, float)) and value == DEFAULTS.get(key)
