"""The additive terms of a formula's right-hand side, and the columns they name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from interlace_core.formulas.tokens import (
    Span,
    Token,
    formula_error,
    is_call,
    rewrite,
    span_of,
    unknown_column,
)
from interlace_core.messages.names import did_you_mean, listed

_CONSTANTS = ("True", "False", "None")
_NAMES_OF_THE_ALGEBRA = {
    "1": "the 1 of formulas, which is the intercept",
    "Intercept": "the coefficient of the intercept, which has that name",
    ".": "the dot of formulas",
}
"""Names that mean something else where terms stand, and what."""


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
    """

    terms: tuple[SignedTerm, ...]

    @property
    def text(self) -> str:
        """The formula in the user's spelling; `1` if there are no terms."""
        return _joined([(term.sign, term.span.text) for term in self.terms])

    @property
    def span(self) -> Span:
        """From the first to the last of the terms (at least one)."""
        first, last = self.terms[0].span, self.terms[-1].span
        return Span(first.source, first.start, last.stop)

    @property
    def has_intercept(self) -> bool:
        """Whether the constant is in: unless `0` is added or `1` taken away, as in R."""
        return not any(
            (term.sign, term.span.text) in (("+", "0"), ("-", "1")) for term in self.terms
        )

    @property
    def covariates(self) -> tuple[SignedTerm, ...]:
        """The terms other than the constant."""
        return tuple(term for term in self.terms if term.span.text not in ("0", "1"))

    def code(self, columns: Collection[str]) -> str:
        """Return the formula as the design's parser reads it.

        Inside of calls `^` is Python's `**`, and columns with a dot stand in backticks.
        """
        return _joined(
            [
                (term.sign, rewrite(term.tokens, lambda token: _respell(token, columns)))
                for term in self.terms
            ]
        )

    def columns(self, columns: Collection[str], functions: Collection[str]) -> tuple[str, ...]:
        """Return the columns that the terms name, each once, in order.

        Raises
        ------
        FormulaError
            If a name is neither a column nor a known function, or a design cannot have it.
        """
        for term in self.terms:
            _refuse_names_of_the_algebra(term.tokens)
        named = [
            name for term in self.terms for name in named_columns(term.tokens, columns, functions)
        ]
        return tuple(dict.fromkeys(named))


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


def named_columns(
    tokens: Sequence[Token], columns: Collection[str], functions: Collection[str]
) -> list[str]:
    """Return the columns that some tokens name, in order, with repetitions.

    Parameters
    ----------
    tokens : sequence of Token
        Part of a formula.
    columns : collection of str
        Columns of the data.
    functions : collection of str
        Functions and modules that may be used.

    Raises
    ------
    FormulaError
        If a name is neither a column nor a known function.
    """
    found = []
    for place, token in enumerate(tokens):
        if token.is_operator("."):
            raise formula_error(token.span, "'.' is not expanded. Write the columns out.")
        if not token.is_name or _is_keyword(tokens, place):
            continue
        if token.kind == "name" and is_call(tokens, place):
            _check_function(token, functions)
        elif token.name in columns:
            found.append(token.name)
        elif not _is_python_name(token, functions):
            raise unknown_column(token.span, token.name, columns)
    return found


def _refuse_names_of_the_algebra(tokens: Sequence[Token]) -> None:
    """Refuse columns that a design would take for the intercept or for all columns.

    Formula algebra sees their names without backticks; within calls they are plain columns.
    """
    for token in tokens:
        if token.is_name and not token.context and token.name in _NAMES_OF_THE_ALGEBRA:
            raise formula_error(
                token.span,
                f"a column named {token.name!r} cannot be told from "
                f"{_NAMES_OF_THE_ALGEBRA[token.name]}. Rename it, as in "
                f"data.rename(columns={{{token.name!r}: 'x'}}).",
            )


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


def _respell(token: Token, columns: Collection[str]) -> str:
    if not token.context:
        return token.text
    if token.is_operator("^"):
        return "**"
    dotted = token.kind == "name" and "." in token.text and token.text in columns
    return f"`{token.text}`" if dotted else token.text


def _is_keyword(tokens: Sequence[Token], place: int) -> bool:
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    return bool(tokens[place].context) and following is not None and following.is_operator("=")


def _is_python_name(token: Token, functions: Collection[str]) -> bool:
    """Return whether a name inside of a call is a constant or a function given by name."""
    root = token.text.split(".")[0]
    known = token.text in _CONSTANTS or root in functions
    return bool(token.context) and token.kind == "name" and known and "__" not in token.text


def _check_function(token: Token, functions: Collection[str]) -> None:
    if token.text.split(".")[0] in functions and "__" not in token.text:
        return
    hint = did_you_mean(token.text, functions)
    raise formula_error(
        token.span,
        f"expected a known function, got {token.text!r}.{hint} Functions: "
        f"{listed(sorted(functions))}; or add the result to the data as a column.",
    )
