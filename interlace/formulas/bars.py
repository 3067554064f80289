"""Random-effects terms as written: `(1 + x | g)`, `(x || a/b)`, `diag(0 + f | g)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from interlace.formulas.expressions import read_node
from interlace.formulas.functions import constant
from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.formulas.terms import LinearFormula, split_terms
from interlace.formulas.tokens import (
    Span,
    Token,
    formula_error,
    is_call,
    span_of,
    split_at,
)
from interlace_core.messages.errors import FormulaError

DEFAULT_STRUCTURE = "us"
INDEPENDENT_STRUCTURE = "diag"
KNOWN_LEVELS = "known"
"""Marks a term whose levels are correlated by a matrix that the user gives."""


@dataclass(frozen=True)
class Bar:
    """One random-effects term: covariates, one grouping factor, a covariance structure.

    Attributes
    ----------
    span : Span
        The term in the user's text; several terms share it where `a/b` was expanded.
    left : LinearFormula
        What stands left of the bar.
    factors : tuple of Span
        The columns whose combinations are the groups, one for `g`, two for `a:b`.
    structure : str
        Name of the covariance structure: `us` by default, `diag` for `||`. With `||` all
        columns are independent, also those of one factor.
    options : tuple of (str, object)
        Further arguments of the structure, as in `rr(0 + f | g, d = 2)`.
    shared : str
        Name between two bars, `p` of `(1 | p | g)`: terms of one name are one, whichever
        parameters' formulas they stand in. Empty for a term by itself.
    """

    span: Span
    left: LinearFormula
    factors: tuple[Span, ...]
    structure: str = DEFAULT_STRUCTURE
    options: tuple[tuple[str, Any], ...] = ()
    shared: str = ""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that form the groups, without backticks."""
        return tuple(each.text.strip("`") for each in self.factors)

    @cached_property
    def group(self) -> str:
        """Name of the grouping factor, `g` or `a:b`."""
        return ":".join(self.columns)

    @cached_property
    def design(self) -> str:
        """The left side with its intercept spelt out: `1 + x` for `x`."""
        constant = "1" if self.left.has_intercept else "0"
        rest = [f" {term.sign} {term.span.text}" for term in self.left.covariates]
        return constant + "".join(rest)

    @cached_property
    def label(self) -> str:
        """The term with its intercept spelt out, as `1 + x | g` or `diag(1 + x | g)`."""
        plain = " | ".join(each for each in (self.design, self.shared, self.group) if each)
        more = "".join(f", {name} = {value!r}" for name, value in self.options)
        bare = self.structure == DEFAULT_STRUCTURE and not more
        return plain if bare else f"{self.structure}({plain}{more})"


def find_bar(tokens: Sequence[Token]) -> Token | None:
    """Return the first bar among some tokens that is not within braces."""
    bars = (each for each in tokens if each.is_operator("|", "||") and each.context != "braces")
    return next(bars, None)


def is_term(inner: Sequence[Token]) -> bool:
    """Return whether the tokens within some parentheses have a bar of their own."""
    return any(_is_bar(each, inner[0].depth) for each in inner)


def read_bars(
    span: Span, inner: Sequence[Token], prefix: str = "", limits: Limits = DEFAULT_LIMITS
) -> list[Bar]:
    """Return the terms that one bar means, several for nested groups.

    Parameters
    ----------
    span : Span
        The whole term, parentheses and prefix included.
    inner : sequence of Token
        What stands within the parentheses.
    prefix : str
        Name of the covariance structure; empty for plain parentheses.
    limits : Limits
        Of what the left side may expand to.

    Raises
    ------
    FormulaError
        If there is not exactly one bar, a side is empty, or a side cannot be read.
    """
    term, *options = split_at(inner, ",")
    bar, left, shared, right = _sides(term, span)
    structure = _structure(bar, prefix)
    design = _read_left(left, bar, limits)
    arguments = tuple(_read_option(each, span) for each in options)
    groups = _expand(right, bar)
    if shared and len(groups) > 1:
        raise formula_error(
            span, f"effects shared as {shared!r} are of one group. Write a term for each of them."
        )
    return [Bar(span, design, factors, structure, arguments, shared) for factors in groups]


def read_groups(tokens: Sequence[Token]) -> list[Bar]:
    """Return the random intercepts of a grouping factor given by name, such as `a/b`."""
    return [Bar(span_of(tokens), LinearFormula(()), each) for each in _expand(tokens, tokens[0])]


def _is_bar(token: Token, depth: int) -> bool:
    return token.depth == depth and token.is_operator("|", "||") and token.context != "braces"


def _sides(term: list[Token], span: Span) -> tuple[Token, list[Token], str, list[Token]]:
    """Return the bar, what stands left of it, the name between two bars if any, and the groups."""
    places = [place for place, each in enumerate(term) if _is_bar(each, term[0].depth)]
    if not places:
        raise formula_error(span, "expected the bar before the first comma, as in name(x | g).")
    bar = term[places[0]]
    left, right, shared = term[: places[0]], term[places[-1] + 1 :], ""
    if len(places) > 1:
        between = term[places[0] + 1 : places[1]]
        named = len(between) == 1 and between[0].is_name
        if len(places) > 2 or not named or any(term[each].text == "||" for each in places):
            raise formula_error(
                term[places[1]].span,
                "a second bar in one term. Write each term in its own parentheses, or one name "
                "between two bars, (1 | p | g), for effects shared by parameters.",
            )
        shared = between[0].text.strip("`")
    for side, name, example in ((left, "left", "(1 | g)"), (right, "right", "(1 | g)")):
        if not side:
            raise formula_error(
                bar.span, f"expected something {name} of the bar, got nothing; as in {example}."
            )
    return bar, left, shared, right


def _structure(bar: Token, prefix: str) -> str:
    if bar.text == "|":
        return prefix or DEFAULT_STRUCTURE
    if prefix not in ("", INDEPENDENT_STRUCTURE):
        raise formula_error(
            bar.span,
            f"'||' means independent columns, which contradicts {prefix!r}. Write '|' with the "
            f"structure, or '||' without it.",
        )
    return INDEPENDENT_STRUCTURE


def _read_left(tokens: list[Token], bar: Token, limits: Limits) -> LinearFormula:
    nested = find_bar(tokens)
    if nested is not None:
        raise formula_error(nested.span, "a bar within another term. Add the terms instead.")
    for place, token in enumerate(tokens):
        if token.text == "offset" and is_call(tokens, place):
            raise formula_error(
                token.span, "an offset cannot be random. Add it to the formula outside the bar."
            )
    left = LinearFormula(tuple(split_terms(tokens)), limits)
    if not left.has_intercept and not left.expanded.products:
        raise formula_error(
            span_of(tokens), "no effects are left. Write 1 for an intercept, or a covariate."
        )
    return left


def _read_option(tokens: list[Token], span: Span) -> tuple[str, Any]:
    named = len(tokens) > 2 and tokens[0].kind == "name" and tokens[1].is_operator("=")
    where = span_of(tokens) if tokens else span
    try:
        if not named:
            raise ValueError
        return tokens[0].text, constant(read_node(span_of(tokens[2:])))
    except (ValueError, FormulaError):
        raise formula_error(
            where, "expected an option such as d = 2 after the comma, with a number or a text."
        ) from None


def _expand(tokens: Sequence[Token], bar: Token) -> list[tuple[Span, ...]]:
    """Return the factors of each term: `a/b/c` is (a), (a, b), (a, b, c)."""
    inner = _unwrapped(tokens)
    levels: list[tuple[Span, ...]] = []
    for part in split_at(inner, "/"):
        crossed = tuple(_factor(each, tokens, bar) for each in split_at(part, ":"))
        levels.append((*levels[-1], *crossed) if levels else crossed)
    return levels


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    while len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")":
        tokens = tokens[1:-1]
    return tokens


def _factor(tokens: list[Token], side: Sequence[Token], bar: Token) -> Span:
    if len(tokens) == 1 and tokens[0].is_name:
        return tokens[0].span
    where = span_of(tokens) if tokens else span_of(side) if side else bar.span
    raise formula_error(
        where,
        "expected the name of a grouping column, or several joined by ':' (combinations) or "
        "'/' (nested). Add anything computed to the data as a column first.",
    )
