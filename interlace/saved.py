"""Results read from files, as the call that made them returned them."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib import import_module

from interlace import saving
from interlace.entrances import entrance
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import OptionError, SavedFileError

RETURNED = {
    "clmm": ("interlace.ordinal", "CLMMResult"),
    "fit": ("interlace.linear", "LMMResult"),
}
"""What each call returns beside a GLMMResult, by what its result's `settings.returned` says."""


@entrance
def load(path: str | os.PathLike[str]) -> GLMMResult:
    """Return the result that was saved in a file.

    It does what the one that was saved did, refits too if its data are in the file. No code of
    the file is run: there is none. Components are found by name among the installed plugins.

    Parameters
    ----------
    path : str or path
        A file written by `GLMMResult.save`.

    Raises
    ------
    SavedFileError
        If the file is damaged, altered, unsafe, no saved result, or from a newer version.
    UnknownNameError
        If the plugin that provides the family, or another component, is not installed.
    FileAccessError
        If the file cannot be read; it is an OSError too.
    """
    result = saving.load(path, GLMMResult)
    place = RETURNED.get(result.settings.returned)
    if place is None:
        return result
    module, name = place
    cls: type[GLMMResult] = getattr(import_module(module), name)
    found = cls(**{each.name: getattr(result, each.name) for each in fields(result)})
    try:
        found.require_whole()
    except OptionError as error:
        raise SavedFileError(
            f"load: result.settings: {error} The file is damaged or was not written by save()."
        ) from error
    return found
