"""What a formula may say: columns, constants, operators and the functions listed here.

The one rule for every expression, wherever it was written: in a formula, in `offset=` or
`weights=`, on the command line, in a saved file. There are no attributes, subscripts, lambdas or
comprehensions, and no function is found by walking from a name. A function of the user's own is
called only if it was handed over by name. Sizes are bounded before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from interlace.formulas.expressions import Expression, Node, read_node
from interlace.formulas.functions import (
    ARITHMETIC,
    CATEGORIES,
    CATEGORY_ARGUMENTS,
    COMPARISONS,
    CONTRASTS,
    FUNCTIONS,
    HASHED,
    NUMBERS,
    QUOTE,
    TRANSFORMS,
    argument_counts,
    arguments_of,
    check_argument,
    constant,
    function_name,
    is_constant,
)
from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.formulas.tokens import (
    Source,
    Span,
    Token,
    formula_error,
    is_call,
    is_enclosed,
    span_of,
    split_at,
    tokens_within,
    unknown_column,
    whole,
)
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean, listed

OF_R = {
    "factor": "C(x)",
    "as.factor": "C(x)",
    "ordered": "C(x), of an ordered categorical",
    "relevel": "C(x, Treatment('base'))",
    "ns": "cr(x, df=4)",
    "rcs": "cr(x, df=4)",
    "s": "cr(x, df=4), whose number of knots is fixed",
    "as.numeric": "x itself, made a number in the data",
    "as.integer": "x itself, made a number in the data",
    "cut": "C(x), of a column that pandas.cut made",
    "interaction": "a:b",
    "ifelse": "the comparison itself, as in (x > 0)",
}
"""What functions of R's formulas are in ours."""


@dataclass(frozen=True)
class Vocabulary:
    """What the names of a formula can mean, and how large it may be.

    Attributes
    ----------
    columns : collection of str
        Columns of the data.
    functions : mapping from str to callable
        Functions that the user handed over.
    limits : Limits
    """

    columns: Collection[str]
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS

    @cached_property
    def known_functions(self) -> list[str]:
        """Names of all functions, those of the user's first."""
        listed_ones = {*FUNCTIONS, *TRANSFORMS, CATEGORIES, QUOTE}
        return [*self.functions, *sorted(listed_ones)]


def check_functions(functions: object) -> Mapping[str, Callable[..., Any]]:
    """Return the argument `functions` as a mapping.

    Raises
    ------
    OptionError
        If it is no mapping from names to functions, or a name has a meaning already.
    """
    if functions is None:
        return MappingProxyType({})
    if not isinstance(functions, Mapping):
        raise OptionError(
            "functions: expected a dict from the name in the formula to the function, such as "
            f"{{'f': f}}, got a {type(functions).__name__}."
        )
    taken = {*FUNCTIONS, *TRANSFORMS, CATEGORIES, QUOTE, *CONTRASTS, "offset", "cbind"}
    for name, function in functions.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise OptionError(
                f"functions: expected names that a formula can call, such as 'f', got {name!r}."
            )
        if name in taken:
            raise OptionError(
                f"functions: {name!r} has a meaning in formulas already. Choose another name."
            )
        if not callable(function):
            raise OptionError(
                f"functions[{name!r}]: expected a function of columns, got a "
                f"{type(function).__name__}."
            )
    return dict(functions)


def parse_expression(span: Span, vocabulary: Vocabulary, *, transforms: bool = False) -> Expression:
    """Return an expression ready to be evaluated.

    Parameters
    ----------
    span : Span
        Where it stands in the user's text.
    vocabulary : Vocabulary
        What its names can mean.
    transforms : bool
        Whether functions that remember the training data, and categories, are allowed.

    Raises
    ------
    FormulaError
        If a name is neither a column nor a known function, or anything else is asked for than
        arithmetic, comparisons and functions; the message points at the place.
    """
    literal = span.text.strip()
    if literal in vocabulary.columns:
        return Expression(span, Node("name", literal, quoted=True, span=span), (literal,))
    return check_expression(read_node(span, vocabulary.limits), vocabulary, transforms=transforms)


def parse_text(text: str, argument: str, vocabulary: Vocabulary) -> Expression:
    """Return the expression that an argument such as `offset="log(e)"` gives as text."""
    return parse_expression(whole(Source(text, argument)), vocabulary)


PAIR_FUNCTION = "cbind"


def parse_response(span: Span, vocabulary: Vocabulary) -> tuple[Expression, ...]:
    """Return the response's expressions: one, or two for `cbind(s, f)` and `(s, f)`.

    Raises
    ------
    FormulaError
        As for `parse_expression`, or if `cbind` has not exactly two parts.
    """
    if span.text.strip() in vocabulary.columns:
        return (parse_expression(span, vocabulary),)
    parts = _pair(span, vocabulary.limits)
    if not parts:
        return (parse_expression(span, vocabulary),)
    return tuple(parse_expression(each, vocabulary) for each in parts)


def check_expression(node: Node, vocabulary: Vocabulary, *, transforms: bool = True) -> Expression:
    """Return a tree as an expression, each of its nodes found to be allowed.

    Raises
    ------
    FormulaError
        As for `parse_expression`.
    """
    checker = _Checker(vocabulary, transforms)
    if transforms and node.kind == "name":
        _require_column(node, vocabulary)
    if transforms and node.kind == "call" and node.value == CATEGORIES:
        checker.categories(node)
    else:
        checker.value(node)
    return Expression(
        node.span, node, tuple(dict.fromkeys(checker.columns)), dict(checker.functions)
    )


class _Checker:
    """Goes through a tree, notes columns and functions, and refuses what is not allowed."""

    def __init__(self, vocabulary: Vocabulary, transforms: bool) -> None:
        self.vocabulary = vocabulary
        self.transforms = transforms
        self.columns: list[str] = []
        self.functions: dict[str, Callable[..., Any]] = {}

    def value(self, node: Node, *, text: bool = False) -> None:
        """Check something that has a value in each row, or one for all."""
        match node.kind:
            case "number":
                self.number(node)
            case "name":
                self.named(node)
            case "sign":
                self.value(node.parts[0])
            case "operation":
                self.operation(node)
            case "call":
                self.call(node)
            case "text" if text:
                pass
            case "text":
                raise formula_error(
                    node.span,
                    "a text can only be compared with, as in (x == 'yes'). A column whose name is "
                    "no Python name stands in backticks.",
                )
            case _:
                raise formula_error(
                    node.span,
                    "expected arithmetic, a comparison or a known function. Add anything else to "
                    "the data as a column.",
                )

    def number(self, node: Node) -> None:
        try:
            finite = math.isfinite(node.value)
        except OverflowError:
            finite = False
        if not finite:
            raise formula_error(node.span, "expected a number below 1e308.")

    def named(self, node: Node) -> None:
        name = str(node.value)
        if name in self.vocabulary.columns:
            self.columns.append(name)
        elif node.quoted or NUMBERS.get(name) is None:
            raise unknown_column(node.span, name, self.vocabulary.columns)

    def operation(self, node: Node) -> None:
        before = len(self.columns)
        for part in node.parts:
            self.value(part, text=node.value in COMPARISONS)
        calls = any(each.kind == "call" for each in node.walk())
        if len(self.columns) == before and not calls and node.value not in COMPARISONS:
            self.finite(node)

    def finite(self, node: Node) -> None:
        """Refuse arithmetic of constants whose value is no finite number, such as 9 ** 9 ** 9."""
        with np.errstate(all="ignore"):
            found = _fold(node)
        if not np.isfinite(found):
            raise formula_error(
                node.span, f"expected a finite number, got one that is {found}: its size is beyond "
                "what numbers can be."
            )  # fmt: skip

    def call(self, node: Node) -> None:
        name = function_name(node)
        if str(node.value) in self.vocabulary.functions:
            self.users(node)
        elif name in FUNCTIONS:
            self.listed(node, name)
        elif str(node.value) == QUOTE:
            self.quoted(node)
        elif str(node.value) in TRANSFORMS:
            self.transform(node)
        elif str(node.value) == CATEGORIES:
            raise formula_error(
                node.span,
                "categories stand alone, as in C(x) or C(x):z; they cannot be computed with, and "
                "are no response, offset or weight.",
            )
        else:
            raise self.unknown(node)

    def unknown(self, node: Node) -> Exception:
        known = self.vocabulary.known_functions
        here = OF_R.get(str(node.value))
        hint = f" What R calls so is here {here}." if here else did_you_mean(node.value, known)
        name = Span(node.span.source, node.span.start, node.span.start + len(str(node.value)))
        return formula_error(
            name,
            f"expected a known function, got {node.value!r}.{hint} Functions: {listed(known)}; or "
            "hand your own over by name, as in functions={'f': f}, or add the result to the data "
            "as a column.",
        )

    def users(self, node: Node) -> None:
        name = str(node.value)
        self.functions[name] = self.vocabulary.functions[name]
        for part in node.parts:
            if is_constant(part) and part.value not in self.vocabulary.columns:
                self.sizes(name, part)
            else:
                self.value(part, text=True)

    def listed(self, node: Node, name: str) -> None:
        least, most = argument_counts(name)
        if node.keywords or not least <= len(node.parts) <= most:
            wanted = str(least) if least == most else f"{least} or {most}"
            raise formula_error(
                node.span, f"{node.value}: expected {wanted} argument(s) without names, got "
                f"{len(node.parts)}."
            )  # fmt: skip
        for part in node.parts:
            self.value(part, text=name == "where")

    def quoted(self, node: Node) -> None:
        if len(node.parts) != 1 or node.keywords or node.parts[0].kind != "text":
            raise formula_error(node.span, "expected the name of a column, as in Q('my column').")
        name = node.parts[0].value
        if name not in self.vocabulary.columns:
            raise unknown_column(node.parts[0].span, name, self.vocabulary.columns)
        self.columns.append(name)

    def transform(self, node: Node) -> None:
        name = str(node.value)
        if not self.transforms:
            raise formula_error(
                node.span,
                f"{name}() remembers the training data, and is for fixed and random effects. Add "
                "the result to the data as a column.",
            )
        self.first(node)
        given = arguments_of(node, TRANSFORMS[name], skip=1)
        if name == HASHED and "levels" not in given:
            raise formula_error(node.span, "expected a number of levels, as in hashed(x, 8).")
        for key, part in given.items():
            self.sizes(name, part)
            check_argument(name, key, part, self.vocabulary.limits)

    def first(self, node: Node) -> None:
        """Check the first argument of a call, the data."""
        if len(node.parts) == len(node.keywords):
            raise formula_error(
                node.span, f"{node.value}: expected a column or expression first, got nothing."
            )
        self.value(node.parts[0])

    def categories(self, node: Node) -> None:
        self.first(node)
        given = arguments_of(node, CATEGORY_ARGUMENTS, skip=1)
        if "levels" in given:
            self.sizes(CATEGORIES, given["levels"])
            if given["levels"].kind not in ("list", "tuple"):
                raise formula_error(
                    given["levels"].span, "expected a list of levels, such as ['a', 'b']."
                )
        if "contrasts" in given:
            self.contrasts(given["contrasts"])

    def contrasts(self, node: Node) -> None:
        if node.kind == "name" and not node.quoted and node.value in CONTRASTS:
            return
        if node.kind == "call" and node.value in CONTRASTS:
            for part in arguments_of(node, CONTRASTS[str(node.value)]).values():
                self.sizes(str(node.value), part)
            return
        if node.kind in ("list", "dict", "tuple"):
            self.sizes(CATEGORIES, node)
            return
        raise formula_error(
            node.span,
            f"expected contrasts: {', '.join(CONTRASTS)}, a list of rows, or a dict of columns.",
        )

    def sizes(self, name: str, node: Node) -> None:
        """Check that an argument is a constant of a size that can be worked with."""
        most = self.vocabulary.limits.knots
        for each in node.walk():
            if each.kind == "number":
                self.number(each)
            if len(each.parts) > most * (2 if each.kind == "dict" else 1):
                raise formula_error(
                    each.span,
                    f"{name}: expected at most {most} entries, got {len(each.parts)}. "
                    f"{self.vocabulary.limits.hint('knots')}",
                )
        try:
            constant(node)
        except TypeError:
            raise formula_error(node.span, f"{name}: expected keys that are text.") from None


def _require_column(node: Node, vocabulary: Vocabulary) -> None:
    if node.value not in vocabulary.columns:
        raise unknown_column(node.span, str(node.value), vocabulary.columns)
    if node.value == "Intercept":
        raise formula_error(
            node.span,
            "a column named 'Intercept' cannot be told from the intercept, whose coefficient has "
            "that name. Rename it, as in data.rename(columns={'Intercept': 'x'}).",
        )


def _fold(node: Node) -> Any:
    """Return the value of arithmetic of constants, as NumPy's numbers."""
    if node.kind == "sign":
        inner = _fold(node.parts[0])
        return -inner if node.value == "-" else inner
    if node.kind == "operation":
        left, right = (_fold(each) for each in node.parts)
        return ARITHMETIC[node.value](left, right)
    if node.kind == "name":
        return np.float64(NUMBERS[node.value])
    return np.float64(node.value)


@lru_cache(maxsize=256)
def _pair(span: Span, limits: Limits) -> tuple[Span, ...]:
    """Return the places of successes and failures; none if the response is no pair."""
    tokens = tokens_within(span, limits)
    named = bool(tokens) and tokens[0].text == PAIR_FUNCTION and is_call(tokens, 0)
    inner: list[Token] = tokens[1:] if named else tokens
    parts = split_at(inner[1:-1], ",") if is_enclosed(inner) else []
    if not named and len(parts) < 2:
        return ()
    if len(parts) != 2 or not all(parts):
        raise formula_error(
            span, "expected two parts, successes and failures, as in cbind(s, n - s)."
        )
    return tuple(span_of(part) for part in parts)
