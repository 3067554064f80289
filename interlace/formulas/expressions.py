"""Expressions over columns: read into a tree of columns, constants, operators and known functions.

Every expression of every formula is read here: factors of fixed and random effects, responses,
offsets and weights, of a call, of the command line and of a file. No code is run to read it, and
`interlace.data.evaluation` computes it node by node. What a node may be is decided by
`interlace.formulas.allowed`.

`/` is division, `^` and `**` are powers, a column whose name is no Python name (`total.fruits`, or
anything in backticks) is that column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.formulas.tokens import Source, Span, Token, formula_error, tokens_within

_LEVELS: tuple[tuple[str, ...], ...] = (
    ("==", "!=", "<", "<=", ">", ">="),
    ("&",),
    ("+", "-"),
    ("*", "/", "//", "%", "%%"),
)
"""Binary operators, the weakest first; signs are stronger, and powers the strongest."""
_SIGN, _POWER, _ATOM = len(_LEVELS), len(_LEVELS) + 1, len(_LEVELS) + 2
_SPELT = {"^": "**", "%%": "%"}
_NAME = re.compile(r"\.?[^\W\d][\w.]*")
"""What stands without backticks."""
_WORDS = ("True", "False", "None")
"""Names that are constants, unless they stand in backticks or a column has them."""


@dataclass(frozen=True)
class Node:
    """One node of an expression.

    Attributes
    ----------
    kind : str
        `number`, `text`, `name`, `call`, `sign`, `operation`, `list`, `tuple` or `dict`.
    value : object
        The constant; the name, also of a function; the operator.
    parts : tuple of Node
        Operands, arguments or entries; of a dict keys and values in turn.
    keywords : tuple of str
        Names of the last arguments of a call.
    quoted : bool
        Whether a name stood in backticks, and so can only be a column.
    span : Span
        Where it stands.
    """

    kind: str
    value: Any
    parts: tuple[Node, ...] = ()
    keywords: tuple[str, ...] = ()
    quoted: bool = False
    span: Span = field(default=Span(Source(""), 0, 0), compare=False, repr=False)

    @cached_property
    def text(self) -> str:
        """The node as Python's own printer would write it, columns in backticks where needed."""
        return _written(self)[0]

    @cached_property
    def name(self) -> str:
        """Its name as a factor of a design: a column's without backticks, or the text."""
        return str(self.value) if self.kind == "name" else self.text

    def walk(self) -> Iterator[Node]:
        """Yield the node and all within it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True)
class Expression:
    """An expression over columns, checked and ready to be evaluated again on new data.

    Attributes
    ----------
    span : Span
        Where the user wrote it.
    node : Node
        What it says.
    columns : tuple of str
        The columns that it uses.
    functions : mapping from str to callable
        Functions of the user's that it calls.
    """

    span: Span
    node: Node
    columns: tuple[str, ...]
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """The expression in the user's spelling."""
        return self.span.text

    @property
    def column(self) -> str | None:
        """The column, if the expression is a column and nothing else."""
        return str(self.node.value) if self.node.kind == "name" and self.columns else None


@lru_cache(maxsize=1024)
def read_node(span: Span, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Return the tree of an expression, its names not looked up yet.

    Raises
    ------
    FormulaError
        If it cannot be read; the message points at the first thing that has no place.
    """
    return node_of(tokens_within(span, limits), span, limits)


def node_of(tokens: Sequence[Token], span: Span, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Return the tree of an expression's tokens."""
    reader = _Reader(tokens, span, limits)
    node = reader.operation()
    reader.expect_end()
    return node


class _Reader:
    """Reads tokens from left to right, an operator's operands before it by their strength."""

    def __init__(self, tokens: Sequence[Token], span: Span, limits: Limits) -> None:
        self.tokens = tokens
        self.span = span
        self.limits = limits
        self.place = 0
        self.depth = 0

    @property
    def token(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def take(self) -> Token:
        token = self.token
        if token is None:
            raise self.unreadable("it ends too early")
        self.place += 1
        return token

    def is_at(self, text: str) -> bool:
        token = self.token
        return token is not None and token.kind != "string" and token.text == text

    def unreadable(self, what: str, span: Span | None = None) -> Exception:
        return formula_error(
            span or self.span,
            f"expected an expression in columns and numbers, such as log(x); {what}.",
        )

    def expect_end(self) -> None:
        if self.token is not None:
            raise self.unreadable(f"{self.token.text!r} has no place here", self.token.span)

    def expect(self, text: str) -> Token:
        token = self.take()
        if token.text != text:
            raise self.unreadable(f"{token.text!r} has no place here", token.span)
        return token

    def operation(self, least: int = 0) -> Node:
        """Return an operation whose operators are of at least so much strength."""
        left, chain = self.operand(), 0
        while self.token is not None:
            operator = self.token
            strength = _strength(operator)
            if strength < least or (strength == 0 and chain and left.value in _LEVELS[0]):
                break
            self.take()
            chain += 1
            self.deeper(operator, chain)
            # Powers take what follows first, so that a^b^c is a^(b^c); the others what precedes.
            right = self.operation(strength if strength == _POWER else strength + 1)
            self.depth -= 1
            left = self.binary(operator, left, right)
        return left

    def operand(self) -> Node:
        token = self.token
        if token is None or not token.is_operator("+", "-"):
            return self.atom()
        self.take()
        self.deeper(token)
        inner = self.operation(_POWER)
        self.depth -= 1
        return Node("sign", token.text, (inner,), span=_span(token.span, inner.span))

    def binary(self, operator: Token, left: Node, right: Node) -> Node:
        spelt = _SPELT.get(operator.text, operator.text)
        return Node("operation", spelt, (left, right), span=_span(left.span, right.span))

    def deeper(self, token: Token, chain: int = 0) -> None:
        """Count one more operation that waits for its operand, within the limit."""
        self.depth += 1
        if self.depth + chain > self.limits.nesting:
            raise formula_error(
                token.span,
                f"expected at most {self.limits.nesting} operations in one expression. Compute a "
                f"part of it as a column of the data. {self.limits.hint('nesting')}",
            )

    def atom(self) -> Node:
        token = self.take()
        match token.kind:
            case "number":
                return Node("number", self.number(token), span=token.span)
            case "string":
                return Node("text", self.string(token), span=token.span)
            case "name" | "backtick":
                return self.named(token)
            case "open":
                return self.enclosed(token)
        raise self.unreadable(f"{token.text!r} has no place here", token.span)

    def number(self, token: Token) -> int | float:
        if len(token.text) > self.limits.digits:
            raise formula_error(
                token.span,
                f"expected numbers of at most {self.limits.digits} characters, got "
                f"{len(token.text)}. {self.limits.hint('digits')}",
            )
        if token.text.isdecimal():
            return int(token.text)
        return float(token.text)

    def string(self, token: Token) -> str:
        inner = token.text[1:-1]
        if len(inner) > 1000 * self.limits.digits:
            raise formula_error(
                token.span,
                f"expected text of at most {1000 * self.limits.digits} characters, got "
                f"{len(inner)}. {self.limits.hint('digits')}",
            )
        return _unescaped(inner)

    def named(self, token: Token) -> Node:
        if token.kind == "name" and self.is_at("("):
            return self.call(token)
        return Node("name", token.name, quoted=token.kind == "backtick", span=token.span)

    def call(self, function: Token) -> Node:
        self.expect("(")
        self.deeper(function)
        parts: list[Node] = []
        keywords: list[str] = []
        while not self.is_at(")"):
            following = self.tokens[self.place + 1 : self.place + 2]
            if self.token is not None and self.token.kind == "name" and following:
                named = following[0].is_operator("=")
            else:
                named = False
            if named:
                keywords.append(self.take().text)
                self.take()
            elif keywords:
                raise self.unreadable("arguments by name come last", self.take().span)
            parts.append(self.operation())
            if not self.is_at(")"):
                self.expect(",")
        end = self.take()
        self.depth -= 1
        return Node(
            "call",
            function.text,
            tuple(parts),
            tuple(keywords),
            span=_span(function.span, end.span),
        )

    def enclosed(self, opening: Token) -> Node:
        """Return what stands in brackets: an operation, a list, a tuple or a dict."""
        self.deeper(opening)
        closing = {"(": ")", "[": "]", "{": "}"}[opening.text]
        parts, commas, colons = [], 0, 0
        while not self.is_at(closing):
            parts.append(self.operation())
            if opening.text == "{" and len(parts) % 2:
                if self.is_at(":"):
                    self.take()
                    colons += 1
                    continue
                if len(parts) > 1 or not self.is_at(closing):
                    self.expect(":")
            if not self.is_at(closing):
                self.expect(",")
                commas += 1
        end = self.take()
        self.depth -= 1
        span = _span(opening.span, end.span)
        if opening.text == "[":
            return Node("list", None, tuple(parts), span=span)
        if opening.text == "{" and (colons or not parts):
            return Node("dict", None, tuple(parts), span=span)
        if len(parts) == 1 and not commas:
            return replace(parts[0], span=span)
        if opening.text == "(" and parts:
            return Node("tuple", None, tuple(parts), span=span)
        raise self.unreadable("there is nothing within the brackets", span)


def _strength(token: Token) -> int:
    """Return how strongly a binary operator binds; -1 for what is none."""
    if token.kind != "operator":
        return -1
    if token.text in ("**", "^"):
        return _POWER
    return next((place for place, names in enumerate(_LEVELS) if token.text in names), -1)


def _span(first: Span, last: Span) -> Span:
    return Span(first.source, first.start, last.stop)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _unescaped(inner: str) -> str:
    """Return the characters of a text constant: a backslash takes the next one as it is."""
    if "\\" not in inner:
        return inner
    found, escaped = [], False
    for char in inner:
        if escaped:
            found.append(_ESCAPES.get(char, char))
        elif char != "\\":
            found.append(char)
        escaped = char == "\\" and not escaped
    return "".join(found)


def _written(node: Node) -> tuple[str, int]:
    """Return a node's text, and how strongly it holds together."""
    match node.kind:
        case "name":
            plain = _NAME.fullmatch(node.value) and not (node.quoted and node.value in _WORDS)
            return (node.value if plain else f"`{node.value}`"), _ATOM
        case "sign":
            return node.value + _within(node.parts[0], _SIGN), _SIGN
        case "operation":
            return _written_operation(node)
        case "call":
            split = len(node.parts) - len(node.keywords)
            parts = [each.text for each in node.parts[:split]]
            named = zip(node.keywords, node.parts[split:], strict=True)
            parts += [f"{name}={each.text}" for name, each in named]
            return f"{node.value}({', '.join(parts)})", _ATOM
        case "list":
            return f"[{', '.join(each.text for each in node.parts)}]", _ATOM
        case "tuple":
            comma = "," if len(node.parts) == 1 else ""
            return f"({', '.join(each.text for each in node.parts)}{comma})", _ATOM
        case "dict":
            pairs = zip(node.parts[::2], node.parts[1::2], strict=True)
            return f"{{{', '.join(f'{key.text}: {each.text}' for key, each in pairs)}}}", _ATOM
    return repr(node.value), _ATOM


def _written_operation(node: Node) -> tuple[str, int]:
    left, right = node.parts
    if node.value == "**":
        return f"{_within(left, _POWER + 1)} ** {_within(right, _POWER)}", _POWER
    level = next(place for place, names in enumerate(_LEVELS) if node.value in names)
    first = _within(left, level + 1 if level == 0 else level)
    return f"{first} {node.value} {_within(right, level + 1)}", level


def _within(node: Node, strength: int) -> str:
    text, own = _written(node)
    return f"({text})" if own < strength else text
