"""Data that lie elsewhere, in pieces: what a plugin offers by the hook `interlace_frames`.

A fit asks each piece questions, as a function and the columns that it reads, and has parts made of
them, which an `Engine` asks from then on. No piece ever has to be in this process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from interlace_core.contract.parts import Engine
from interlace_core.messages.errors import NotAvailableError

PieceQuestion = Callable[..., Any]
"""A function of a module, `question(name, table, *given)`, of a piece's name and its rows as a data
frame of any library. What it is given and what it answers can be pickled."""

Make = Callable[..., Any]
"""A function of a module, `make(names, tables, *given)`, that returns a part of some pieces."""


class Frames(ABC):
    """Data in pieces, wherever these are.

    Attributes
    ----------
    words : str
        What they are, for messages.
    columns : tuple of str
    pieces : tuple of str
        Names of the pieces, for messages; there is at least one.
    categories : mapping from str to bool
        Columns that are categories, in the order that they were given, and whether that is one;
        others with levels are text.
    at_once : int
        Pieces that are looked at, and parts that are asked, at the same time: small pieces are not
        put together to fewer parts than this.
    """

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1

    words: str
    columns: tuple[str, ...]
    pieces: tuple[str, ...]
    categories: Mapping[str, bool] = {}
    at_once: int = 1

    @classmethod
    @abstractmethod
    def takes(cls, data: object) -> bool:
        """Return whether data are of the kind that `open` opens.

        Asked of all data that are no data frame; it imports nothing: such data come from a library
        that is imported already.
        """

    @classmethod
    @abstractmethod
    def open(cls, data: Any) -> Frames:
        """Return the data in pieces, without reading them.

        Raises
        ------
        InterlaceError
            If they cannot be used, saying what to do.
        """

    @abstractmethod
    def ask(
        self,
        question: PieceQuestion,
        columns: Sequence[str],
        *given: Any,
        pieces: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        """Yield `question(name, table, *given)` of every piece, in the pieces' order.

        Parameters
        ----------
        question : callable
            See `PieceQuestion`. Errors that it raises are raised here.
        columns : sequence of str
            Those that the table has; it may have more.
        *given
            Told to every piece.
        pieces : sequence of int, optional
            Places of the pieces that are asked; all by default.
        """

    @abstractmethod
    def engine(
        self, make: Make, groups: Sequence[Sequence[int]], columns: Sequence[str], *given: Any
    ) -> Engine:
        """Return the engine of parts that are made of pieces, one part for each group of them.

        Parameters
        ----------
        make : callable
            From the names and tables of a group's pieces to a part; see `Make`. A part that is
            lost is made by it again.
        groups : sequence of sequences of int
            Places of the pieces of each part.
        columns : sequence of str
            As for `ask`.
        *given
            Told to `make` of every part.
        """

    def bring_together(self, on: Sequence[str]) -> str:
        """Return what to run so that all rows of a group lie in one piece, for a message.

        By default that it is to be done.

        Parameters
        ----------
        on : sequence of str
            Columns whose combinations are the groups.
        """
        return f"write them so that each of {', '.join(on)} is in one piece."

    def mapped(self, question: PieceQuestion, like: Any, *given: Any) -> Any:
        """Return the pieces' answers, each a data frame of pandas, as one frame of this library.

        By default there is none.

        Parameters
        ----------
        question : callable
            Is told all columns of each piece.
        like : DataFrame or Series
            An answer without rows.
        *given
            Told to every piece.

        Raises
        ------
        NotAvailableError
        """
        raise NotAvailableError(
            f"{self.words}: expected data frames that memory holds. Predict for some rows at a "
            "time."
        )
