"""Responses and offsets computed from columns: arithmetic and a few functions, nothing else.

An expression is read by Python's own parser and evaluated node by node; no code is run. `/` is
division, `^` and `**` are powers, a column whose name is no Python name (`total.fruits`, or
anything in backticks) is that column.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace_core.formulas.terms import named_columns
from interlace_core.formulas.tokens import (
    Source,
    Span,
    Token,
    formula_error,
    is_call,
    is_enclosed,
    span_of,
    split_at,
    tokenise,
    whole,
)
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed

FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "I": np.asarray,
        "abs": np.abs,
        "arcsin": np.arcsin,
        "arcsinh": np.arcsinh,
        "ceil": np.ceil,
        "cos": np.cos,
        "exp": np.exp,
        "expm1": np.expm1,
        "floor": np.floor,
        "log": np.log,
        "log10": np.log10,
        "log1p": np.log1p,
        "log2": np.log2,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "round": np.round,
        "sign": np.sign,
        "sin": np.sin,
        "sqrt": np.sqrt,
        "square": np.square,
        "tan": np.tan,
        "tanh": np.tanh,
    }
)
"""Functions that a response or an offset may use; fixed effects know them too."""

PAIR_FUNCTION = "cbind"

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Pow: operator.pow,
        ast.UAdd: operator.pos,
        ast.USub: operator.neg,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
    }
)
_MODULES = ("np.", "numpy.")


@dataclass(frozen=True)
class Expression:
    """An expression over columns, checked and ready to be evaluated again on new data.

    Attributes
    ----------
    span : Span
        Where the user wrote it.
    code : str
        The same in Python, with columns named c0, c1, ...
    columns : tuple of str
        The columns behind these names.
    """

    span: Span
    code: str
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        """The expression in the user's spelling."""
        return self.span.text

    @property
    def column(self) -> str | None:
        """The column, if the expression is a column and nothing else."""
        return self.columns[0] if self.code == "c0" else None


def parse_expression(span: Span, columns: Collection[str]) -> Expression:
    """Return an expression ready to be evaluated.

    Parameters
    ----------
    span : Span
        Where it stands in the user's text.
    columns : collection of str
        Columns of the data.

    Raises
    ------
    FormulaError
        If a name is neither a column nor a known function, or something else than arithmetic
        is asked for; the message points at the span.
    """
    literal = span.text.strip()
    if literal in columns:
        return Expression(span, "c0", (literal,))
    tokens = _tokens_within(span)
    names = tuple(dict.fromkeys(named_columns(tokens, columns, _known_functions())))
    aliases = {name: f"c{place}" for place, name in enumerate(names)}
    code = " ".join(_spell(tokens, place, aliases) for place in range(len(tokens)))
    _check(_parse(code, span), span)
    return Expression(span, code, names)


def parse_text(text: str, argument: str, columns: Collection[str]) -> Expression:
    """Return the expression that an argument such as `offset="log(e)"` gives as text."""
    return parse_expression(whole(Source(text, argument)), columns)


def parse_response(span: Span, columns: Collection[str]) -> tuple[Expression, ...]:
    """Return the response's expressions: one, or two for `cbind(s, f)` and `(s, f)`.

    Raises
    ------
    FormulaError
        As for `parse_expression`, or if `cbind` has not exactly two parts.
    """
    if span.text.strip() in columns:
        return (parse_expression(span, columns),)
    tokens = _tokens_within(span)
    named = tokens[0].text == PAIR_FUNCTION and is_call(tokens, 0)
    inner = tokens[1:] if named else tokens
    parts = split_at(inner[1:-1], ",") if is_enclosed(inner) else []
    if not named and len(parts) < 2:
        return (parse_expression(span, columns),)
    if len(parts) != 2 or not all(parts):
        raise formula_error(
            span, "expected two parts, successes and failures, as in cbind(s, n - s)."
        )
    return tuple(parse_expression(span_of(part), columns) for part in parts)


def evaluate(expression: Expression, frame: pd.DataFrame) -> npt.NDArray[Any]:
    """Return the values of an expression, shape (n,), float or bool.

    Parameters
    ----------
    expression : Expression
        As parsed.
    frame : DataFrame, n rows
        Holds the columns, numbers or categories.

    Raises
    ------
    DataError
        If it computes with a column of text.
    """
    values = {f"c{place}": _operand(frame[name]) for place, name in enumerate(expression.columns)}
    with np.errstate(all="ignore"):
        try:
            result = np.asarray(_value(_parse(expression.code, expression.span).body, values))
            result = result if result.dtype == bool else result.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise _not_numbers(expression, frame, error) from error
    return np.broadcast_to(result, (len(frame),))


def _tokens_within(span: Span) -> list[Token]:
    """Return a span's tokens with their places in the whole text."""
    padded = Source(" " * span.start + span.text, span.source.argument)
    return [
        replace(each, span=Span(span.source, each.span.start, each.span.stop))
        for each in tokenise(padded)
    ]


def _known_functions() -> frozenset[str]:
    modules = {module.rstrip(".") for module in _MODULES}
    return frozenset(FUNCTIONS) | modules


def _spell(tokens: list[Token], place: int, aliases: Mapping[str, str]) -> str:
    token = tokens[place]
    if token.is_name and not (token.kind == "name" and is_call(tokens, place)):
        return aliases.get(token.name, token.text)
    if token.is_operator("^"):
        return "**"
    for module in _MODULES:
        if token.kind == "name" and token.text.startswith(module):
            return token.text.removeprefix(module)
    return token.text


def _parse(code: str, span: Span) -> ast.Expression:
    try:
        return ast.parse(code, mode="eval")
    except SyntaxError as error:
        raise formula_error(
            span, f"expected an expression in columns and numbers, such as log(x); {error.msg}."
        ) from error


def _check(tree: ast.Expression, span: Span) -> None:
    """Raise an error if anything but arithmetic, comparisons and known functions is asked for."""
    for node in ast.walk(tree.body):
        if isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
            ok = known and bool(node.args) and not node.keywords
        elif isinstance(node, ast.Compare):
            ok = len(node.ops) == 1
        elif isinstance(node, ast.Constant):
            ok = type(node.value) in (int, float, str)
        else:
            ok = isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, *_OPERATORS))
        if not ok:
            raise formula_error(
                span,
                "expected arithmetic, a comparison or one of the functions "
                f"{', '.join(FUNCTIONS)}. Add anything else to the data as a column.",
            )


def _value(node: ast.AST, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value) if isinstance(value, int) else value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_value(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(each, values) for each in args))
    raise AssertionError(f"not checked: {ast.dump(node)}")


def _operand(column: pd.Series[Any]) -> npt.NDArray[Any]:
    """Return a column as floats, or as objects where it holds text."""
    return column.to_numpy(dtype=object if _is_text(column) else np.float64)


def _is_text(column: pd.Series[Any]) -> bool:
    dtype = column.dtype
    return isinstance(dtype, pd.CategoricalDtype) and not pd.api.types.is_numeric_dtype(
        dtype.categories.dtype
    )


def _not_numbers(expression: Expression, frame: pd.DataFrame, cause: Exception) -> DataError:
    text = [name for name in expression.columns if _is_text(frame[name])]
    got = f"text in column {listed(text)}" if text else str(cause)
    return DataError(
        f"{expression.text!r}: expected an expression in numbers, got {got}. Recode text as "
        "numbers, or compare it with a value as in (x == 'yes')."
    )
