"""Checks of arguments that many functions take: counts, numbers, shares, levels, seeds."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from interlace_core.messages.errors import OptionError


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Return whether a value is a whole number, of Python's or NumPy's, of at least so much.

    True and False are not, though they count as numbers in Python.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and (least is None or bool(value >= least))  # type: ignore[operator]


def is_real(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number, of Python's or NumPy's; True and False are not."""
    real = isinstance(value, (int, float, np.integer, np.floating))
    return real and not isinstance(value, bool)


def require_count(n: object, who: str, least: int = 1) -> None:
    """Raise an OptionError unless n is a whole number of at least `least`."""
    if not is_whole(n, least):
        raise OptionError(f"{who} must be a whole number of at least {least}, got {n!r}.")


def check_seed(seed: object) -> None:
    """Raise an OptionError unless a seed is None or a whole number of at least 0."""
    if seed is not None and not is_whole(seed, 0):
        raise OptionError(f"seed must be None or a whole number of at least 0, got {seed!r}.")


def require_share(value: Any, who: str) -> None:
    """Raise an OptionError unless a value is a number between 0 and 1, both excluded."""
    if not is_real(value) or not 0.0 < value < 1.0:
        raise OptionError(f"{who} must lie between 0 and 1, got {value!r}.")


def check_level(level: Any, who: str) -> None:
    """Raise an OptionError unless a level lies between 0 and 1."""
    require_share(level, f"{who}: level")
