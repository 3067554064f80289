"""Checks of arguments that many functions take: counts and levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.messages.errors import OptionError


def require_count(n: object, who: str) -> None:
    """Raise an OptionError unless n is a whole number of at least 1."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise OptionError(f"{who} must be a whole number of at least 1, got {n!r}.")


def check_level(level: Any, who: str) -> None:
    """Raise an OptionError unless a level lies between 0 and 1."""
    if not isinstance(level, (int, float, np.number)) or not 0.0 < level < 1.0:
        raise OptionError(f"{who}: level must lie between 0 and 1, got {level!r}.")
