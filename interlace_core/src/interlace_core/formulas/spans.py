"""Places in the user's text, so that an error can point at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from interlace_core.messages.errors import FormulaError
from interlace_core.messages.names import did_you_mean, listed


@dataclass(frozen=True)
class Source:
    """A text that the user wrote, with the argument it was given to.

    Attributes
    ----------
    text : str
        As written.
    argument : str
        Who to name in a message: `formula`, `random`, `parameters['phi']`, ...
    """

    text: str
    argument: str = "formula"


@dataclass(frozen=True)
class Span:
    """Characters start to stop of a source.

    Attributes
    ----------
    source : Source
        The whole text.
    start, stop : int
        First character and one past the last.
    """

    source: Source
    start: int
    stop: int

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.stop]

    @property
    def marker(self) -> str:
        """Two lines in plain characters: the user's text, and ^^^ under the span."""
        line = "".join(" " if char.isspace() else char for char in self.source.text)
        width = max(self.stop - self.start, 1)
        return f"    {line}\n    {' ' * self.start}{'^' * width}"

    def __str__(self) -> str:
        """Return the characters themselves."""
        return self.text


def whole(source: Source) -> Span:
    """Return the span of all of a source, without the space around it."""
    stripped = source.text.strip()
    start = source.text.find(stripped)
    return Span(source, start, start + len(stripped))


def formula_error(span: Span, message: str) -> FormulaError:
    """Return an error that says `message` and points at the span.

    Parameters
    ----------
    span : Span
        What is wrong; its source names the argument.
    message : str
        What was expected, what was got and what to do next.
    """
    return FormulaError(f"{span.source.argument}: {message}\n{span.marker}")


def unknown_column(span: Span, name: str, columns: Iterable[str]) -> FormulaError:
    """Return the error for a name that is no column: the closest one, and those available."""
    known = list(dict.fromkeys(columns))
    hint = did_you_mean(name, known)
    return formula_error(
        span,
        f"expected the name of a column, got {name!r}, which is not in the data.{hint} "
        f"Columns available: {listed(known)}.",
    )
