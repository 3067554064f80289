"""Results read from files, as the call that made them returned them."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib import import_module

from interlace import saving
from interlace.entrances import entrance
from interlace.results.result import GLMMResult

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
    found = RETURNED.get(result.settings.returned)
    if found is None:
        return result
    module, name = found
    cls: type[GLMMResult] = getattr(import_module(module), name)
    return cls(**{each.name: getattr(result, each.name) for each in fields(result)})
