"""Formulas: bars and offsets taken out, the rest left for the design.

`y ~ x + offset(log(e)) + (1 + x | g)` has the response `y`, the fixed part `x`, one offset and
one random-effects term. Every part remembers where it stands in the user's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from interlace.formulas.bars import Bar, find_bar, is_term, read_bars, read_groups
from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.formulas.terms import LinearFormula, SignedTerm, split_terms
from interlace.formulas.tokens import (
    Source,
    Span,
    Token,
    formula_error,
    is_call,
    is_enclosed,
    span_of,
    tokenise,
    whole,
)
from interlace_core.messages.errors import OptionError


@dataclass(frozen=True)
class ParsedFormula:
    """A formula taken apart.

    Attributes
    ----------
    text : str
        As the user wrote it.
    response : Span or None
        The left-hand side; None for a one-sided formula.
    fixed : LinearFormula
        Fixed effects; its `text` is `1` if there are none.
    offsets : tuple of Span
        The expressions within `offset(...)`; they add up.
    bars : tuple of Bar
        Random-effects terms, nested groups expanded.
    """

    text: str
    response: Span | None
    fixed: LinearFormula
    offsets: tuple[Span, ...]
    bars: tuple[Bar, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the right-hand side is 0: no constant, nothing else either."""
        more = self.fixed.expanded.products or self.offsets or self.bars
        return not more and not self.fixed.has_intercept


@dataclass
class _Parts:
    """What was found so far on the right-hand side."""

    limits: Limits
    plain: list[SignedTerm] = field(default_factory=list)
    offsets: list[Span] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)


def parse_formula(
    text: str,
    *,
    response: bool = True,
    argument: str = "formula",
    limits: Limits = DEFAULT_LIMITS,
) -> ParsedFormula:
    """Return a formula taken apart into response, fixed effects, offsets and bars.

    Parameters
    ----------
    text : str
        Such as `y ~ x + (1 | g)`.
    response : bool
        Whether a left-hand side is needed; without it the formula is `~ x + (1 | g)`.
    argument : str
        Who to name in a message.
    limits : Limits
        Of its size.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    OptionError
        If `text` is not a str.
    FormulaError
        If the formula cannot be read; the message points at the span.

    Examples
    --------
    >>> parsed = parse_formula("y ~ x + offset(log(e)) + (x | g)")
    >>> parsed.fixed.text, parsed.offsets[0].text, parsed.bars[0].label
    ('x', 'log(e)', '1 + x | g')
    """
    checked = check_text(text, argument, "a formula such as 'y ~ x + (1 | g)'")
    return _parsed(Source(checked, argument), response, limits)


# Texts are kept as they were read: simulations and benchmarks fit one formula many times.
@lru_cache(maxsize=256)
def _parsed(source: Source, response: bool, limits: Limits) -> ParsedFormula:
    left, tilde, right = _sides(tokenise(source, limits), source, response)
    if response and not left:
        raise formula_error(tilde.span, "expected a response left of '~', got nothing.")
    if left and not response:
        raise formula_error(
            span_of(left), "expected nothing left of '~', as in '~ x'. Remove the response."
        )
    if not right:
        raise formula_error(
            tilde.span, "expected terms right of '~', got nothing. Write 1 for an intercept."
        )
    parts = _Parts(limits)
    _sort_terms(right, parts)
    return ParsedFormula(
        text=source.text,
        response=span_of(left) if left else None,
        fixed=LinearFormula(tuple(parts.plain), limits),
        offsets=tuple(parts.offsets),
        bars=tuple(parts.bars),
    )


def parse_random(
    text: str, *, argument: str = "random", limits: Limits = DEFAULT_LIMITS
) -> tuple[Bar, ...]:
    """Return the random-effects terms of one entry of `random=[...]`.

    Parameters
    ----------
    text : str
        `(1 + x | g)`, `1 + x | g`, `diag(0 + f | g)`, or a sum of those in parentheses.
    argument : str
        Who to name in a message.

    Raises
    ------
    OptionError
        If `text` is not a str.
    FormulaError
        If it cannot be read or holds anything but random-effects terms.
    """
    checked = check_text(text, argument, "a term such as '(1 + x | g)'")
    return _parsed_random(Source(checked, argument), limits)


@lru_cache(maxsize=256)
def _parsed_random(source: Source, limits: Limits) -> tuple[Bar, ...]:
    tokens = tokenise(source, limits)
    _refuse_empty(tokens, source, "a random-effects term such as (1 + x | g)")
    if is_term(tokens):
        return tuple(read_bars(whole(source), tokens, limits=limits))
    parts = _Parts(limits)
    _sort_terms(tokens, parts)
    strangers = [*(term.span for term in parts.plain), *parts.offsets]
    if strangers:
        raise formula_error(
            strangers[0],
            "expected a random-effects term such as (1 + x | g). Move the rest to the formula.",
        )
    return tuple(parts.bars)


def parse_group(text: str, *, argument: str = "groups") -> tuple[Bar, ...]:
    """Return the random intercepts that a name in `groups=` means: `g`, `a:b` or `a/b`."""
    return _parsed_group(
        Source(check_text(text, argument, "the name of a grouping column"), argument)
    )


@lru_cache(maxsize=256)
def _parsed_group(source: Source) -> tuple[Bar, ...]:
    tokens = tokenise(source)
    _refuse_empty(tokens, source, "the name of a grouping column")
    return tuple(read_groups(tokens))


def check_text(text: object, argument: str, expected: str) -> str:
    """Return a text as it is.

    Raises
    ------
    OptionError
        If it is not a str.
    """
    if isinstance(text, str):
        return text
    raise OptionError(
        f"{argument}: expected {expected} as text, got a {type(text).__name__}. Write it out as "
        "a str."
    )


def _refuse_empty(tokens: Sequence[Token], source: Source, expected: str) -> None:
    if not tokens:
        raise formula_error(Span(source, 0, 1), f"expected {expected}, got an empty text.")


def _sides(
    tokens: list[Token], source: Source, response: bool
) -> tuple[list[Token], Token, list[Token]]:
    tildes = [place for place, each in enumerate(tokens) if each.is_operator("~")]
    if not tildes:
        example = "y ~ x + (1 | g)" if response else "~ x"
        raise formula_error(whole(source), f"expected a '~', as in {example!r}; there is none.")
    first = tokens[tildes[0]]
    if len(tildes) > 1:
        raise formula_error(tokens[tildes[1]].span, "a second '~'. A formula has only one.")
    if first.depth:
        raise formula_error(first.span, "'~' stands within brackets. Close them before it.")
    return tokens[: tildes[0]], first, tokens[tildes[0] + 1 :]


def _sort_terms(tokens: Sequence[Token], parts: _Parts) -> None:
    """Add each additive term to the part where it belongs."""
    for term in split_terms(tokens):
        inner = term.tokens[1:-1]
        if is_enclosed(term.tokens) and find_bar(inner):
            _refuse_minus(term)
            if is_term(inner):
                parts.bars += read_bars(term.span, inner, limits=parts.limits)
            else:
                _sort_terms(inner, parts)
        elif is_call(term.tokens, 0) and is_enclosed(term.tokens[1:]):
            _sort_call(term, parts)
        else:
            _refuse_misplaced(term)
            parts.plain.append(term)


def _sort_call(term: SignedTerm, parts: _Parts) -> None:
    """Add a term of the form `name(...)` to the part where it belongs."""
    name, inner = term.tokens[0], term.tokens[2:-1]
    if name.text == "offset":
        _refuse_minus(term)
        if not inner:
            raise formula_error(term.span, "expected an expression within offset(), got nothing.")
        _refuse_bars(inner, "a bar within an offset. Add the random-effects term outside.")
        parts.offsets.append(span_of(inner))
    elif inner and name.kind == "name" and is_term(inner):
        _refuse_minus(term)
        parts.bars += read_bars(term.span, inner, name.text, parts.limits)
    else:
        _refuse_misplaced(term)
        parts.plain.append(term)


def _refuse_minus(term: SignedTerm) -> None:
    if term.sign == "-":
        raise formula_error(
            term.span, "random-effects terms and offsets can only be added. Leave it out instead."
        )


def _refuse_misplaced(term: SignedTerm) -> None:
    """Raise an error if a plain term has a bar or an offset somewhere within."""
    bar = find_bar(term.tokens)
    if bar is not None and bar.depth == term.tokens[0].depth:
        raise formula_error(
            bar.span, "a bar outside parentheses. Write random-effects terms as (1 + x | g)."
        )
    if bar is not None:
        raise formula_error(
            term.span,
            "a random-effects term can only be added: it cannot be part of an interaction, a "
            "power or a call. Write ... + (1 + x | g).",
        )
    for place, token in enumerate(term.tokens):
        if token.text == "offset" and is_call(term.tokens, place):
            raise formula_error(term.span, "an offset can only be added. Write ... + offset(x).")


def _refuse_bars(tokens: Sequence[Token], message: str) -> None:
    bar = find_bar(tokens)
    if bar is not None:
        raise formula_error(bar.span, message)
