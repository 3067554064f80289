"""Which data are read part by part, and by whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd

from interlace.parts.here import FilesHere
from interlace.parts.reading import Reading
from interlace.parts.shuffle import together
from interlace.parts.sources import DataInParts, Source, is_local, open_source
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
    on = _brought_together(frames.source, reading)
    source, folder = together(frames.source, reading.columns, on, asked)
    return FilesHere(source, asked, folder)


MOST_COUNTED = 2_000_000
"""Combinations of levels up to which factors are compared by them."""


def _brought_together(source: Source, reading: Reading) -> tuple[str, ...]:
    """Return the factor whose groups are brought together.

    Of those of fewest columns, in which others may be nested by their names, the one of most
    levels, which others run across; or the coarsest in which that one is nested.
    """
    few = min(map(len, reading.factors), default=0)
    candidates = [each for each in reading.factors if len(each) == few]
    if len(candidates) < 2 or source.distinct is None:
        return candidates[0] if candidates else reading.columns[:1]
    names = list(dict.fromkeys(name for each in candidates for name in each))
    counted = source.distinct(names, MOST_COUNTED)
    if counted is None:
        return candidates[0]
    frame = counted.select(names).to_pandas()

    def levels(*factors: tuple[str, ...]) -> int:
        columns = list(dict.fromkeys(name for each in factors for name in each))
        return len(frame[columns].drop_duplicates())

    most = max(candidates, key=levels)
    above = [each for each in candidates if levels(most, each) == levels(most)]
    return min(above, key=levels)


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
