"""Text as tokens that know their place in it, and messages that point there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace_core.messages.errors import FormulaError
from interlace_core.messages.names import did_you_mean, listed

_PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<name>\.?[^\W\d][\w.]*)
  | (?P<backtick>`[^`]*`)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<operator>%\w+%|%%|%|\|\||\*\*|//|[=!<>]=|[-+*/:^|~<>=,.@&!])
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
    """,
    re.VERBOSE,
)
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_MAX_SHOWN = 500
"""Characters of the user's text that a message repeats."""


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
        """Two lines in plain characters: the user's text, and ^^^ under the span.

        Of a long text only what stands around the span is shown.
        """
        first, text = 0, self.source.text
        if len(text) > _MAX_SHOWN:
            first = max(0, min(self.start, len(text) - _MAX_SHOWN))
            text = text[first : first + _MAX_SHOWN]
        line = "".join(char if char.isprintable() else " " for char in text)
        width = max(min(self.stop - self.start, len(text)), 1)
        return f"    {line}\n    {' ' * (self.start - first)}{'^' * width}"

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


@dataclass(frozen=True)
class Token:
    """One token of a formula.

    Attributes
    ----------
    kind : str
        `name`, `backtick`, `number`, `string`, `operator`, `open` or `close`.
    text : str
        As written.
    span : Span
        Where it stands.
    depth : int
        Brackets open around it; those of a bracket do not count itself.
    context : str
        `braces` inside of `{...}`, which is plain Python; `call` inside of `name(...)` or
        `[...]`; otherwise empty.
    """

    kind: str
    text: str
    span: Span
    depth: int = 0
    context: str = ""

    @property
    def is_name(self) -> bool:
        """Whether it can name a column."""
        return self.kind in ("name", "backtick")

    @property
    def name(self) -> str:
        """The name without backticks."""
        return self.text.strip("`") if self.kind == "backtick" else self.text

    def is_operator(self, *texts: str) -> bool:
        """Return whether it is one of these operators."""
        return self.kind == "operator" and self.text in texts


def tokenise(source: Source, limits: Limits = DEFAULT_LIMITS) -> list[Token]:
    """Return the tokens of a text, each with the brackets around it counted.

    Raises
    ------
    FormulaError
        If a character has no meaning, a quote is not closed, or brackets do not match; it
        points at the one that stands alone. If the text or its nesting is beyond the limits.
    """
    if len(source.text) > limits.length:
        raise formula_error(
            Span(source, 0, _MAX_SHOWN),
            f"expected at most {limits.length} characters, got {len(source.text)}. "
            f"{limits.hint('length')}",
        )
    tokens: list[Token] = []
    stack: list[tuple[Token, str]] = []
    for token in _cut(source):
        if token.kind == "close":
            _pop_opening(stack, token)
        context = stack[-1][1] if stack else ""
        tokens.append(replace(token, depth=len(stack), context=context))
        if token.kind == "open":
            stack.append((token, _context_inside(tokens, context)))
            if len(stack) > limits.nesting:
                raise formula_error(
                    token.span,
                    f"expected at most {limits.nesting} brackets within each other. "
                    f"{limits.hint('nesting')}",
                )
    if stack:
        alone = stack[-1][0]
        raise formula_error(
            alone.span, f"{alone.text!r} is never closed. Add {_CLOSES[alone.text]!r}."
        )
    return tokens


def tokens_within(span: Span, limits: Limits = DEFAULT_LIMITS) -> list[Token]:
    """Return a span's tokens with their places in the whole text."""
    tokens = tokenise(Source(span.text, span.source.argument), limits)
    moved = (
        Span(span.source, span.start + each.span.start, span.start + each.span.stop)
        for each in tokens
    )
    return [replace(each, span=where) for each, where in zip(tokens, moved, strict=True)]


def span_of(tokens: Sequence[Token]) -> Span:
    """Return the span from the first to the last of some tokens (at least one)."""
    return Span(tokens[0].span.source, tokens[0].span.start, tokens[-1].span.stop)


def split_at(tokens: Sequence[Token], separator: str) -> list[list[Token]]:
    """Return the runs of tokens between separators outside every bracket of the run."""
    parts: list[list[Token]] = [[]]
    base = min((token.depth for token in tokens), default=0)
    for token in tokens:
        if token.depth == base and token.is_operator(separator):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def is_call(tokens: Sequence[Token], place: int) -> bool:
    """Return whether the name at `place` is called, that is, followed by a parenthesis."""
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    return following is not None and following.text == "("


def is_enclosed(tokens: Sequence[Token]) -> bool:
    """Return whether one pair of parentheses encloses all of the tokens."""
    if len(tokens) < 2 or tokens[0].text != "(":
        return False
    depth = tokens[0].depth
    closing = next(t for t in tokens[1:] if t.kind == "close" and t.depth == depth)
    return closing is tokens[-1]


def rewrite(tokens: Sequence[Token], spell: Callable[[Token], str]) -> str:
    """Return the text of some tokens with each one spelt anew and the space between kept."""
    text, place = "", tokens[0].span.start if tokens else 0
    for token in tokens:
        text += token.span.source.text[place : token.span.start] + spell(token)
        place = token.span.stop
    return text


def _cut(source: Source) -> Iterator[Token]:
    place = 0
    while place < len(source.text):
        found = _PATTERN.match(source.text, place)
        if found is None:
            raise _unreadable(source, place)
        kind = found.lastgroup or ""
        if kind != "space":
            yield Token(kind, found.group(), Span(source, place, found.end()))
        place = found.end()


def _unreadable(source: Source, place: int) -> FormulaError:
    char = source.text[place]
    if char in "\"'`":
        rest = Span(source, place, len(source.text))
        return formula_error(rest, f"the quote {char} is never closed. Add the closing {char}.")
    return formula_error(
        Span(source, place, place + 1),
        f"the character {char!r} has no meaning here. Put a name that contains it in backticks.",
    )


def _context_inside(tokens: Sequence[Token], around: str) -> str:
    """Return the context of what follows the opening bracket at the end of the tokens."""
    opening = tokens[-1].text
    if opening == "{" or around == "braces":
        return "braces"
    called = len(tokens) > 1 and tokens[-2].is_name
    return "call" if opening == "[" or called else around


def _pop_opening(stack: list[tuple[Token, str]], closing: Token) -> None:
    if not stack:
        raise formula_error(
            closing.span, f"{closing.text!r} closes nothing. Remove it, or open a bracket before."
        )
    opening, _ = stack.pop()
    expected = _CLOSES[opening.text]
    if closing.text != expected:
        raise formula_error(
            closing.span,
            f"expected {expected!r} for the {opening.text!r} at character "
            f"{opening.span.start + 1}, got {closing.text!r}. Correct one of them.",
        )
