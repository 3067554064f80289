"""Which data are read part by part, and by whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd

from interlace.parts.here import FilesHere
from interlace.parts.reading import Reading
from interlace.parts.shuffle import together
from interlace.parts.sources import DataInParts, is_local, open_source
from interlace_core.contract.frames import Frames
from interlace_core.messages.errors import OptionError
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry, default_registry


def asked_of(data: Any, registry: Registry | None = None) -> DataInParts | None:
    """Return how data are to be read if they are of a kind that is read part by part, else None."""
    if isinstance(data, DataInParts):
        return data
    if data is None or isinstance(data, (pd.DataFrame, Mapping)):
        return None
    if isinstance(data, (str, os.PathLike)) or is_local(data) or _offered(data, registry):
        return DataInParts(data)
    return None


def opened(asked: DataInParts, registry: Registry | None = None) -> Frames:
    """Return data in pieces; those that come in batches have none yet (see `in_pieces`).

    Raises
    ------
    InterlaceError
        If they cannot be used.
    """
    return frames_of(asked, registry) or FilesHere(open_source(asked), asked)


def in_pieces(frames: Frames, reading: Reading, asked: DataInParts) -> Frames:
    """Return data that come in batches as pieces in which groups are together; others as they are.

    The files lie in a folder for temporary ones, as long as the data or their parts.
    """
    if not isinstance(frames, FilesHere) or frames.source.batches is None:
        return frames
    on = min(reading.factors, key=len, default=reading.columns[:1])
    source, folder = together(frames.source, reading.columns, on, asked)
    return FilesHere(source, asked, folder)


def frames_of(asked: DataInParts, registry: Registry | None = None) -> Frames | None:
    """Return data that a plugin opens, None if none does."""
    if isinstance(asked.data, (str, os.PathLike)) or is_local(asked.data):
        return None
    offered = _offered(asked.data, registry)
    if offered is None:
        return None
    if asked.memory is not None or asked.folder is not None:
        raise OptionError(
            f"in_parts: memory and folder are of parts on this machine, and a {_kind(asked.data)} "
            f"is opened by {offered.name!r}, where the parts are. Leave them out."
        )
    with guard(offered, "open"):
        return offered.open(asked.data)


def _offered(data: Any, registry: Registry | None) -> type[Frames] | None:
    """Return the class of a plugin that opens such data."""
    for each in (registry or default_registry()).classes("frame"):
        with guard(each.cls, "takes"):
            if each.cls.takes(data):
                found: type[Frames] = each.cls
                return found
    return None


def _kind(data: Any) -> str:
    return type(data).__name__
