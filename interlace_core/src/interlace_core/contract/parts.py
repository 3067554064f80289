"""Rows that lie elsewhere: a problem in parts, and how all of its rows are asked a question.

Levels of a factor that each lie in one part share nothing with other parts, so that whatever is a
sum over rows is the sum of the parts' answers: the likelihood and its derivatives, products of
columns, counts. A problem whose rows are here is the case of one part, and is asked itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np

from interlace_core.messages.errors import NotAvailableError

Question = Callable[..., Any]
"""A function of a module, `question(part, *given)`, whose answers add up. What it is given and what
it answers can be pickled. It may remember things in `part.cache`, which may be lost at any time:
that may make an answer slower, and not another one."""


Part = Any
"""Some of a problem's rows, a `Problem` by itself."""

Change = Callable[[Part], Part]
"""From a part to the same rows in other units."""


class Engine(ABC):
    """Asks every part: the whole of what a fit in parts needs of a disk, a pool or a cluster.

    `ask` alone has to be written; all else serves as it is.

    Attributes
    ----------
    rounds : int
        Questions that all parts were asked, where the engine counts them.
    report : callable, or None
        Is to be told in words how far a round is, by an engine that knows.
    """

    rounds: int = 0
    report: Callable[[str], None] | None = None

    @abstractmethod
    def ask(self, question: Question, *given: Any) -> list[Any]:
        """Return `question(part, *given)` of every part, in the parts' order.

        Parameters
        ----------
        question : callable
            See `Question`. A part that was lost is made again, and asked again.
        *given
            Told to every part.
        """

    def total(self, question: Question, *given: Any) -> Any:
        """Return the sum of all answers, added in the parts' order: the same each time."""
        return reduce(add, self.ask(question, *given))

    def stream(self, question: Question, *given: Any) -> Iterator[Any]:
        """Yield the answers of all parts, in order: for large ones, of which few are held.

        By default the parts are asked together all the same.
        """
        yield from self.ask(question, *given)

    def settle(self, change: Change | None) -> None:
        """Get ready for questions about parts in the units of a fit: is told before these come.

        By default nothing is done.

        Parameters
        ----------
        change : callable, or None
            As in `Parts`.
        """
        del change

    def words(self) -> str:
        """Return what there is to say of where the parts are, for summaries; by default nothing."""
        return ""

    def frame(self, question: Question, like: Any, *given: Any) -> Any:
        """Return the parts' answers, each a data frame of pandas, as one of the data's library.

        Nothing is computed before somebody wants it. By default there is none: None.

        Parameters
        ----------
        question : callable
        like : DataFrame or Series
            An answer without rows.
        *given
            Told to every part.
        """
        return None


class PartsHere(Engine):
    """Parts in this process, asked one after the other.

    Parameters
    ----------
    parts : sequence of Problem
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    def ask(self, question: Question, *given: Any) -> list[Any]:
        """Return the answer of every part, in order."""
        return [question(part, *given) for part in self.parts]


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a problem, in the units in which it is looked at.

    Attributes
    ----------
    engine : Engine
        Has at least one part.
    n : int
        Rows of all parts.
    number : int
        Of parts.
    change : callable, or None
        From a part as it was coded to the same part in other units; None where it is left as it
        is. It can be pickled, and does the same to every part.
    """

    engine: Engine
    n: int
    number: int = 1
    change: Change | None = None

    def total(self, question: Question, *given: Any) -> Any:
        """Return the sum of the answers of all parts."""
        return self.engine.total(_asked, self.change, question, *given)

    def ask(self, question: Question, *given: Any) -> list[Any]:
        """Return the answers of all parts, in order."""
        return self.engine.ask(_asked, self.change, question, *given)

    def changed(self, change: Change) -> Parts:
        """Return the parts in other units, which are those of what they are now."""
        return replace(self, change=change if self.change is None else After(self.change, change))


@dataclass(frozen=True, eq=False)
class After:
    """One change of a part after another.

    Attributes
    ----------
    first, second : callable
    """

    first: Change
    second: Change

    def __call__(self, part: Part) -> Part:
        """Return the part with both changes."""
        return self.second(self.first(part))


class InParts(Protocol):
    """A problem, of which nothing is looked at but where its rows are."""

    @property
    def parts(self) -> Parts | None:
        """Where they are if they are not here."""


def _asked(part: Part, change: Change | None, question: Question, *given: Any) -> Any:
    return question(part if change is None else change(part), *given)


def total(problem: InParts, question: Question, *given: Any) -> Any:
    """Return a question's answer for all rows of a problem, wherever these are."""
    if problem.parts is None:
        return question(problem, *given)
    return problem.parts.total(question, *given)


class Sums:
    """Several answers at once, each of which adds up.

    Parameters
    ----------
    *values
        Numbers, arrays, or whatever else can be added.
    """

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the sums, in the order given."""
        return iter(self.values)

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over the rows of both."""
        return Sums(*map(add, self.values, other.values))


class Largest(Sums):
    """The largest of several answers, entry by entry, in place of their sum."""

    def __add__(self, other: Sums) -> Sums:
        """Return what is largest over the rows of both."""
        return Largest(*map(np.maximum, self.values, other.values))


class Levels(Sequence[str]):
    """So many levels whose names are where the parts are.

    Parameters
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        """Return how many there are."""
        return self.number

    def __getitem__(self, place: Any) -> Any:
        """Refuse to name one.

        Raises
        ------
        NotAvailableError
        """
        raise NotAvailableError("the names of the levels are where the parts of the data are")


def require_here(problem: InParts) -> None:
    """Refuse a problem in parts, for what needs all rows at once.

    Raises
    ------
    NotAvailableError
    """
    if problem.parts is not None:
        raise NotAvailableError(
            "this needs all rows at once, and those of this model lie in parts. Fit the model to "
            "rows that memory holds, such as some of the groups."
        )
