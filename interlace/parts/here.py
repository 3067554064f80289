"""Data in pieces that are read by this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from interlace.parts.engine import LocalParts
from interlace.parts.sources import DataInParts, Source, open_source
from interlace.progress import tracked
from interlace_core.contract.frames import Frames, Make, PieceQuestion


class FilesHere(Frames):
    """Pieces of a source, such as Parquet files.

    Parameters
    ----------
    source : Source
        With pieces.
    asked : DataInParts
        Limits of memory for the parts that are made.
    held : object, optional
        Is kept as long as the parts, such as a folder of files that are read.
    """

    name = "files"

    def __init__(self, source: Source, asked: DataInParts, held: Any = None) -> None:
        self.source, self._asked, self._held = source, asked, held
        self.words, self.columns = source.words, source.columns
        self.pieces = tuple(each.name for each in source.pieces)
        self.categories = source.categories

    @classmethod
    def takes(cls, data: object) -> bool:
        """Return whether data say how they are read."""
        return isinstance(data, DataInParts)

    @classmethod
    def open(cls, data: DataInParts) -> FilesHere:
        """Return the pieces of data."""
        return cls(open_source(data), data)

    def ask(
        self,
        question: PieceQuestion,
        columns: Sequence[str],
        *given: Any,
        pieces: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        """Yield the answer of each piece, which is read when its turn comes."""
        for place in range(len(self.pieces)) if pieces is None else pieces:
            piece = self.source.pieces[place]
            yield question(piece.name, piece.read(columns), *given)

    def engine(
        self, make: Make, groups: Sequence[Sequence[int]], columns: Sequence[str], *given: Any
    ) -> LocalParts:
        """Return the parts, in memory or in files."""
        found = LocalParts(self._asked)
        found.keep(self._held)
        for group in tracked(groups, "coding", len(groups)):
            tables = [self.source.pieces[place].read(columns) for place in group]
            found.add(make([self.pieces[place] for place in group], tables, *given))
        return found

    def bring_together(self, on: Sequence[str]) -> str:
        """Return the call that writes files in which groups are together."""
        name = on[0] if len(on) == 1 else list(on)
        return f"interlace.shuffle(data, on={name!r}, folder='...'), and give that folder as data."
