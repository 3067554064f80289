"""Saving: a result as a file of JSON and arrays, without pickle, and back.

A file holds no code. Loading builds the records of this package, the classes of installed plugins
with the options in the file, and nothing else; formulas are let through only if they are made of
what `interlace.formulas.allowed` lists.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from interlace.results.elsewhere import RowsElsewhere
from interlace.saving.archive import pack, unpack
from interlace.saving.codecs import Store
from interlace.saving.files import read_whole, write_whole
from interlace.saving.schema import SCHEMA, read_result, write_result
from interlace_core.messages.checks import path_of, require_flag
from interlace_core.messages.errors import NotAvailableError, SavedFileError

if TYPE_CHECKING:
    from interlace.results.estimates import AnyEstimates, Estimates

__all__ = ["load", "pack_result", "save", "unpack_result"]

MAKERS = ("interlace-core", "formulaic", "numpy", "pandas")
"""Distributions whose versions are written down, for whoever looks into a file."""


def save(result: Estimates, path: str | os.PathLike[str], *, data: bool = True) -> None:
    """Write a result to a file, replacing what was there; see `GLMMResult.save`."""
    require_flag(data, "save: data")
    if isinstance(result.y, RowsElsewhere):
        raise NotAvailableError(
            "save: a file holds the rows of a fit, and those of this one lie in parts. Pickle "
            "result.without_training(), which predicts and reports."
        )
    write_whole(path_of(path, "save: path"), pack_result(result, data=data), "save")


def load(path: str | os.PathLike[str], returns: type[AnyEstimates]) -> AnyEstimates:
    """Return the result that was saved in a file.

    It does what the one that was saved did, refits too if its data are in the file. No code of
    the file is run: there is none. Components are found by name among the installed plugins.

    Parameters
    ----------
    path : str or path
        A file written by `GLMMResult.save`.
    returns : class
        Of the result, `FittedModel` or one derived from it.

    Raises
    ------
    SavedFileError
        If the file is damaged, altered, unsafe, no saved result, or from a newer version.
    UnknownNameError
        If the plugin that provides the family is not installed.
    FileAccessError
        If the file cannot be read; it is an OSError too.
    """
    return unpack_result(read_whole(path_of(path, "load: path"), "load"), returns)


def pack_result(result: Estimates, *, data: bool = True) -> bytes:
    """Return a result as the bytes of a file, after making sure that they can be read again."""
    store = Store()
    document = write_result(result, store, data)
    content = pack(document, store, SCHEMA, {name: _version(name) for name in MAKERS})
    unpack_result(content, type(result))
    return content


def unpack_result(content: bytes, returns: type[AnyEstimates]) -> AnyEstimates:
    """Return a result of a class from the bytes of a file."""
    document, store = unpack(content, SCHEMA)
    try:
        return read_result(document, store, returns)
    except RecursionError as error:
        raise SavedFileError(
            "load: expected a file written by save(), got one nested too deeply. It is damaged "
            "or was made to do harm; do not use it."
        ) from error


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
