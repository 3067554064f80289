"""The terms of a formula's right-hand side: as written, and expanded by the operators' algebra.

A term is a product of factors, an expression each. `+` joins sets of terms and `-` takes terms
away; `a * b` is `a + b + a:b`, `a / b` is `a + a:b`, `b %in% a` is `a:b`, and `(a + b)^2` holds all
products of two. A 0 anywhere takes the intercept away and a 1 brings it back, as in R; where both
stand, the last one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from interlace.formulas.allowed import Vocabulary, check_expression
from interlace.formulas.expressions import Expression, Node, node_of
from interlace.formulas.functions import COMPARISONS
from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace.formulas.tokens import Span, Token, formula_error, is_call, span_of

Product = tuple[str, ...]
"""Names of the factors of a term, in the order in which they were first written."""

_STRENGTHS = {"+": 1, "-": 1, "*": 2, "/": 2, "%in%": 3, ":": 4, "^": 5, "**": 5}


@dataclass(frozen=True)
class Expanded:
    """A right-hand side expanded.

    Attributes
    ----------
    intercept : bool
        Whether the constant is in.
    products : tuple of tuple of str
        The terms other than the constant, those of fewer factors first.
    factors : mapping from str to Node
        Each factor by its name.
    """

    intercept: bool
    products: tuple[Product, ...]
    factors: Mapping[str, Node]


@dataclass(frozen=True)
class SignedTerm:
    """One additive term as written.

    Attributes
    ----------
    sign : str
        `+` or `-`.
    tokens : tuple of Token
        The term without its sign.
    """

    sign: str
    tokens: tuple[Token, ...]

    @property
    def span(self) -> Span:
        """Where it stands, without its sign."""
        return span_of(self.tokens)


@dataclass(frozen=True)
class LinearFormula:
    """What is left for the design matrix: terms without bars and offsets.

    Attributes
    ----------
    terms : tuple of SignedTerm
        In the order written; none means `1`.
    limits : Limits
        Of what they may expand to.
    """

    terms: tuple[SignedTerm, ...]
    limits: Limits = DEFAULT_LIMITS

    @cached_property
    def text(self) -> str:
        """The formula in the user's spelling; `1` if there are no terms."""
        return _joined([(term.sign, term.span.text) for term in self.terms])

    @property
    def span(self) -> Span:
        """From the first to the last of the terms (at least one)."""
        first, last = self.terms[0].span, self.terms[-1].span
        return Span(first.source, first.start, last.stop)

    @cached_property
    def expanded(self) -> Expanded:
        """The terms that the operators make of it.

        Raises
        ------
        FormulaError
            If an operator has no operand, or something is no term; if there are too many.
        """
        return _Algebra(self.limits).expand(self.terms)

    @property
    def has_intercept(self) -> bool:
        """Whether the constant is in."""
        return self.expanded.intercept

    @cached_property
    def covariates(self) -> tuple[SignedTerm, ...]:
        """The terms as written, other than the constant."""
        return tuple(term for term in self.terms if term.span.text not in ("0", "1"))

    def read(self, vocabulary: Vocabulary) -> Mapping[str, Expression]:
        """Return each factor by its name, found to be allowed.

        Raises
        ------
        FormulaError
            If a name is neither a column nor a known function, or a factor is not allowed.
        """
        return {
            name: check_expression(node, vocabulary) for name, node in self.expanded.factors.items()
        }

    def columns(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Return the columns that the terms name, each once, in order.

        Raises
        ------
        FormulaError
            As for `read`.
        """
        found = (name for each in self.read(vocabulary).values() for name in each.columns)
        return tuple(dict.fromkeys(found))


def split_terms(tokens: Sequence[Token]) -> list[SignedTerm]:
    """Return the terms between the outermost `+` and `-` of some tokens (at least one).

    Raises
    ------
    FormulaError
        If nothing stands between or after the signs.
    """
    terms: list[SignedTerm] = []
    current: list[Token] = []
    sign: Token | None = None
    for token in tokens:
        if not (token.depth == tokens[0].depth and token.is_operator("+", "-")):
            current.append(token)
            continue
        if current:
            terms.append(_signed(sign, current))
        elif sign is not None:
            raise _nothing_after(sign)
        sign, current = token, []
    if not current:
        assert sign is not None
        raise _nothing_after(sign)
    return [*terms, _signed(sign, current)]


class _Algebra:
    """Expands terms; sets of products are dicts from the factors without order to those in it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.intercept = True
        self.factors: dict[str, Node] = {}

    def expand(self, terms: Sequence[SignedTerm]) -> Expanded:
        found: _Set = {}
        for term in terms:
            minus = term.sign == "-"
            part = _Operands(self, term.tokens, minus).read()
            found = _without(found, part) if minus else self.union(found, part, term.span)
        products = sorted(found.values(), key=len)
        used = dict.fromkeys(name for each in products for name in each)
        return Expanded(
            self.intercept, tuple(products), {name: self.factors[name] for name in used}
        )

    def factor(self, node: Node) -> _Set:
        name = node.name
        self.factors.setdefault(name, node)
        return {frozenset((name,)): (name,)}

    def union(self, left: _Set, right: _Set, where: Span) -> _Set:
        joined = {**left, **{key: each for key, each in right.items() if key not in left}}
        self.require_few(len(joined), where)
        return joined

    def product(self, left: _Set, right: _Set, where: Span) -> _Set:
        # As many pairs as terms are allowed, squared, would take long to find equal ones among.
        self.require_few((len(left) * len(right)) // 100, where)
        found: _Set = {}
        for key, names in left.items():
            for other, more in right.items():
                both = key | other
                if both not in found:
                    found[both] = (*names, *(each for each in more if each not in key))
        self.require_few(len(found), where)
        largest = max(map(len, found), default=0)
        if largest > self.limits.order:
            raise formula_error(
                where,
                f"expected interactions of at most {self.limits.order} factors, got one of "
                f"{largest}. {self.limits.hint('order')}",
            )
        return found

    def power(self, base: _Set, exponent: int, where: Span) -> _Set:
        found = base
        for _ in range(exponent - 1):
            before, found = found, self.product(found, base, where)
            if found.keys() == before.keys():
                break  # further factors are all there
        return found

    def require_few(self, count: int, where: Span) -> None:
        if count > self.limits.terms:
            raise formula_error(
                where,
                f"expected at most {self.limits.terms} terms, got more by these operators. Write "
                f"out the terms that are meant. {self.limits.hint('terms')}",
            )


_Set = dict[frozenset[str], Product]


class _Operands:
    """Reads the tokens of a sum of terms from left to right."""

    def __init__(self, algebra: _Algebra, tokens: Sequence[Token], minus: bool) -> None:
        self.algebra = algebra
        self.tokens = tokens
        self.minus = minus
        self.place = 0

    def read(self) -> _Set:
        found = self.operation(1)
        if self.place < len(self.tokens):
            raise _misplaced(self.tokens[self.place])
        return found

    def operation(self, least: int) -> _Set:
        """Return what an operation of at least so much strength makes."""
        left = self.operand()
        while self.place < len(self.tokens):
            operator = self.tokens[self.place]
            strength = _STRENGTHS.get(operator.text, 0) if operator.kind == "operator" else 0
            if strength < max(least, 1):
                break
            self.place += 1
            if strength == 5:
                left = self.algebra.power(left, self.exponent(operator), operator.span)
                continue
            if operator.text == "-":
                self.minus = not self.minus
            right = self.operation(strength + 1)
            if operator.text == "-":
                self.minus = not self.minus
            left = self.combined(operator, left, right)
        return left

    def combined(self, operator: Token, left: _Set, right: _Set) -> _Set:
        algebra, where = self.algebra, operator.span
        match operator.text:
            case "+":
                return algebra.union(left, right, where)
            case "-":
                return _without(left, right)
            case "*":
                both = algebra.union(left, right, where)
                return algebra.union(both, algebra.product(left, right, where), where)
            case "/":
                return algebra.union(left, algebra.product(_all(left), right, where), where)
            case _:
                return algebra.product(left, right, where)

    def exponent(self, operator: Token) -> int:
        token = self.tokens[self.place] if self.place < len(self.tokens) else operator
        most = self.algebra.limits.power
        whole = token.kind == "number" and token.text.isdecimal()
        if not whole or not 1 <= int(token.text[:9]) <= most:
            more = self.algebra.limits.hint("power") if whole else ""
            raise formula_error(
                token.span,
                f"expected a whole number from 1 to {most} after {operator.text!r}, which takes "
                f"interactions; the power of a column is I(x ** 2). {more}".rstrip(),
            )
        self.place += 1
        return int(token.text)

    def operand(self) -> _Set:
        if self.place >= len(self.tokens):
            last = self.tokens[-1]
            raise formula_error(last.span, f"expected a term after {last.text!r}, got nothing.")
        token = self.tokens[self.place]
        if token.kind == "number":
            return self.constant(token)
        if token.is_operator("+", "-"):
            return self.signed(token)
        if token.is_name:
            return self.factor(
                2 if token.kind == "name" and is_call(self.tokens, self.place) else 1
            )
        if token.text == "(":
            return self.parentheses()
        if token.text == "{":
            return self.factor(1)
        raise _misplaced(token)

    def signed(self, token: Token) -> _Set:
        self.place += 1
        if self.place < len(self.tokens) and self.tokens[self.place].is_operator("+", "-"):
            raise _nothing_after(token)
        if token.text == "+":
            return self.operation(2)
        self.minus = not self.minus
        self.operation(2)
        self.minus = not self.minus
        return {}

    def constant(self, token: Token) -> _Set:
        if token.text not in ("0", "1"):
            raise formula_error(
                token.span,
                "expected 0 or 1, which say whether there is an intercept, or a column. Numbers "
                "to compute with stand within I(...).",
            )
        self.place += 1
        self.algebra.intercept = (token.text == "1") != self.minus
        return {}

    def factor(self, opening: int) -> _Set:
        """Return a factor: a name, or all up to the bracket that closes the one that opens."""
        first, last = self.place, self.place + opening - 1
        if self.tokens[last].kind == "open":
            last = self._closing(last)
        tokens = self.tokens[first : last + 1]
        self.place = last + 1
        limits = self.algebra.limits
        if opening == 1 and len(tokens) > 1:
            return self.algebra.factor(node_of(tokens[1:-1], span_of(tokens), limits))
        return self.algebra.factor(node_of(tokens, span_of(tokens), limits))

    def parentheses(self) -> _Set:
        last = self._closing(self.place)
        inner = self.tokens[self.place + 1 : last]
        where = span_of(self.tokens[self.place : last + 1])
        if not inner:
            raise formula_error(where, "expected a term within the parentheses, got nothing.")
        self.place = last + 1
        if any(each.is_operator(*COMPARISONS) and not each.context for each in inner):
            return self.algebra.factor(node_of(inner, where, self.algebra.limits))
        return _Operands(self.algebra, inner, self.minus).read()

    def _closing(self, opening: int) -> int:
        depth = self.tokens[opening].depth
        return next(
            place
            for place in range(opening + 1, len(self.tokens))
            if self.tokens[place].kind == "close" and self.tokens[place].depth == depth
        )


def _all(left: _Set) -> _Set:
    """Return the product of all terms of a set, which `/` nests in."""
    names = tuple(dict.fromkeys(name for each in left.values() for name in each))
    return {frozenset(names): names}


def _without(left: _Set, right: _Set) -> _Set:
    return {key: each for key, each in left.items() if key not in right}


def _misplaced(token: Token) -> Exception:
    if token.is_operator("."):
        return formula_error(token.span, "'.' is not expanded. Write the columns out.")
    if token.is_operator(*COMPARISONS):
        return formula_error(
            token.span, "a comparison stands in parentheses where terms do, as in (x > 0)."
        )
    if token.kind == "string":
        return formula_error(
            token.span,
            "expected a column, got a text. A column whose name is no Python name stands in "
            "backticks.",
        )
    return formula_error(token.span, f"expected a term or an operator, got {token.text!r}.")


def _signed(sign: Token | None, tokens: Sequence[Token]) -> SignedTerm:
    return SignedTerm(sign.text if sign else "+", tuple(tokens))


def _nothing_after(sign: Token) -> Exception:
    return formula_error(
        sign.span, f"expected a term after {sign.text!r}, got nothing. Add it, or drop the sign."
    )


def _joined(terms: Sequence[tuple[str, str]]) -> str:
    if not terms:
        return "1"
    first = "" if terms[0][0] == "+" else "-"
    return first + terms[0][1] + "".join(f" {sign} {text}" for sign, text in terms[1:])
