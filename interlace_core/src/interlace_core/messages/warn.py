"""Warnings that point at the user's line, however deep in the library they arise."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

from interlace_core.messages.errors import InterlaceWarning

CORE = os.path.dirname(os.path.dirname(__file__))
FRONT_DOOR = "interlace"
"""The package through which users call; the core itself is recognised by its folder."""


def warn(message: str, category: type[InterlaceWarning]) -> None:
    """Warn at the line of the user's code that called into interlace.

    Plugins use it too. If nothing of interlace is on the stack, the caller of the function that
    warns is blamed.

    Parameters
    ----------
    message : str
    category : subclass of InterlaceWarning
    """
    warnings.warn(message, category, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """Return the stack level, seen from `warn`, of the frame that called into interlace.

    The outermost one: between interlace's own frames lie those of plugins.
    """
    level, found = 2, 3
    frame = sys._getframe(2)
    while frame.f_back is not None:
        if _is_own(frame):
            found = level + 1
        level, frame = level + 1, frame.f_back
    return found


def _is_own(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    # The core by its folder: pytest may import tests beside it under its name.
    return package == FRONT_DOOR or frame.f_code.co_filename.startswith(CORE)
