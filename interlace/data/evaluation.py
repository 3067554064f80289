"""Expressions computed node by node over the columns of a frame; nothing else is reached.

Every number is a float64 before it is computed with, whatever type its column has, so that small
integers do not overflow and `k ** -1` is 1/k.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.frames import as_column
from interlace.formulas.expressions import Expression, Node
from interlace.formulas.functions import (
    ARITHMETIC,
    CATEGORIES,
    FUNCTIONS,
    HASHED,
    NUMBERS,
    QUOTE,
    TRANSFORMS,
    arguments_of,
    constant,
    function_name,
    is_constant,
)
from interlace.formulas.tokens import formula_error
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import DataError, InterlaceError
from interlace_core.records import Array

States = dict[str, dict[str, Any]]
"""What functions remember of the training data, by the text of their call."""

_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LOGICAL = ("logical_and", "logical_not", "logical_or", "logical_xor")


@dataclass(frozen=True)
class Basis:
    """Several columns that one function makes of one.

    Attributes
    ----------
    values : ndarray, shape (n, k)
    names : tuple of str
        What tells the columns apart, such as `1` of `poly(x, 2)[1]`.
    spans_intercept : bool
        Whether the constant is a combination of them; the first is then left out where the
        constant is in the model.
    """

    values: npt.NDArray[Any]
    names: tuple[str, ...]
    spans_intercept: bool = False


Value = npt.NDArray[Any] | Column | Basis | str | float | bool
"""What a part of an expression may be: values of rows, or one for all of them."""


def evaluate(expression: Expression, frame: Frame) -> npt.NDArray[Any]:
    """Return the values of an expression, shape (n,), float64 or bool.

    Parameters
    ----------
    expression : Expression
        As parsed.
    frame : Frame, n rows
        Holds the columns.

    Raises
    ------
    DataError
        If it computes with a column of text, or a function of the user's fails.
    """
    value = compute(expression, frame, {})
    if isinstance(value, Column):
        if not value.is_text:
            return value.numbers
        if expression.column is not None:
            return _written_numbers(expression, value)
    if isinstance(value, (Column, Basis, str)):
        value = _Evaluation(expression, frame, {}).numbers(value)
    result = np.asarray(value)
    result = result if result.dtype == bool else result.astype(np.float64, copy=False)
    return np.broadcast_to(result, (frame.n,)) if result.ndim == 0 else result


def _written_numbers(expression: Expression, column: Column) -> Array:
    """Return a column of numbers that are written as text, as weights from a file may be."""
    assert column.levels is not None
    try:
        levels = np.append(column.levels.to_numpy(dtype=np.float64), np.nan)
    except ValueError:
        raise _Evaluation(expression, Frame({}, 0), {}).failed(
            f"text in column {column.name}"
        ) from None
    return np.asarray(levels[column.values])


def compute(expression: Expression, frame: Frame, states: States) -> Value:
    """Return the value of an expression: numbers, truth values, levels, or several columns.

    Parameters
    ----------
    expression : Expression
    frame : Frame
    states : dict
        Of functions that remember the training data; filled where they are not there yet.

    Raises
    ------
    DataError
        If it cannot be computed; the message says why.
    FormulaError
        If a function of the training data asks for what these do not have.
    """
    node = expression.node
    if node.kind == "name" and node.value in frame:
        return frame[str(node.value)]
    evaluation = _Evaluation(expression, frame, states)
    try:
        with np.errstate(all="ignore"):
            return evaluation.of(node)
    except InterlaceError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise evaluation.failed(str(error)) from error


def compute_node(expression: Expression, node: Node, frame: Frame) -> Any:
    """Return the numbers of one node of an expression, shape (n,) or (n, k)."""
    evaluation = _Evaluation(expression, frame, {})
    try:
        with np.errstate(all="ignore"):
            return np.broadcast_to(evaluation.numbers(evaluation.of(node)), (frame.n,))
    except InterlaceError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise evaluation.failed(str(error)) from error


class _Evaluation:
    """Computes one expression over one frame."""

    def __init__(self, expression: Expression, frame: Frame, states: States) -> None:
        self.expression = expression
        self.frame = frame
        self.states = states

    def failed(self, why: str) -> DataError:
        return DataError(
            f"{self.expression.text!r}: expected an expression in numbers, got {why}. Recode text "
            "as numbers, or compare it with a value as in (x == 'yes')."
        )

    def of(self, node: Node) -> Value:
        match node.kind:
            case "number":
                return float(node.value)
            case "text":
                return node.value  # type: ignore[no-any-return]
            case "name":
                return self.column(str(node.value))
            case "sign":
                operand = self.numbers(self.of(node.parts[0]))
                return np.negative(operand) if node.value == "-" else np.asarray(operand)
            case "operation" if node.value in _COMPARED:
                return self.compared(node)
            case "operation":
                return self.arithmetic(node)
        return self.called(node)

    def column(self, name: str) -> Value:
        if name not in self.frame and name in NUMBERS:
            return float(NUMBERS[name])
        return self.frame[name]

    def numbers(self, value: Value) -> Any:
        """Return a value as float64, one number or shape (n,) or (n, k)."""
        if isinstance(value, Column):
            if value.is_text:
                raise self.failed(f"text in column {value.name}")
            return value.numbers
        if isinstance(value, Basis):
            return value.values
        if isinstance(value, str):
            raise self.failed(f"the text {shown(value)}")
        return np.asarray(value, dtype=np.float64)

    def arithmetic(self, node: Node) -> Value:
        left, right = (self.of(each) for each in node.parts)
        if node.value == "&":
            return np.logical_and(self.truth(left, node.parts[0]), self.truth(right, node.parts[1]))
        first, second = self.numbers(left), self.numbers(right)
        if (
            first.ndim != second.ndim
            and 1 in (first.ndim, second.ndim)
            and first.ndim * second.ndim
        ):
            first, second = (a[:, None] if a.ndim == 1 else a for a in (first, second))
        return ARITHMETIC[str(node.value)](first, second)  # type: ignore[no-any-return]

    def truth(self, value: Value, node: Node) -> npt.NDArray[np.bool_]:
        if isinstance(value, Column) and value.is_boolean and value.holes is None:
            return value.values
        return np.asarray(value if isinstance(value, bool) else self._boolean(value, node))

    def _boolean(self, value: Value, node: Node) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == bool:
            return value
        numbers = self.numbers(value)
        if not np.all((numbers == 0) | (numbers == 1)):
            raise self.failed(f"{node.text} on a side of &, which is not true or false")
        return numbers != 0

    def compared(self, node: Node) -> Value:
        left, right = (self.of(each) for each in node.parts)
        operator = str(node.value)
        if isinstance(left, str):
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        if isinstance(left, Column) and (left.is_text or isinstance(right, str)):
            return self.compared_levels(left, operator, right)
        if isinstance(right, Column) and right.is_text:
            raise self.failed(f"numbers compared with text in column {right.name}")
        first, second = self.numbers(left), self.numbers(right)
        return _COMPARED[operator](first, second)  # type: ignore[no-any-return]

    def compared_levels(self, column: Column, operator: str, other: Value) -> Value:
        """Compare each level once, and each row by its level."""
        if isinstance(other, Column) and other.is_text:
            first = np.asarray(_decoded(column), dtype=object)
            second = np.asarray(_decoded(other), dtype=object)
            return np.asarray(_COMPARED[operator](first, second), dtype=bool)
        if not isinstance(other, str) or not column.is_text:
            what = "text compared with numbers" if column.is_text else "numbers compared with text"
            raise self.failed(f"{what} in column {column.name}")
        labels = list(column.levels) if column.levels is not None else []
        if operator in _FLIPPED and column.ordered:
            if other not in labels:
                raise self.failed(f"{other!r}, which is no level of {column.name}")
            compared = _COMPARED[operator](np.arange(len(labels)), labels.index(other))
        else:
            compared = [bool(_COMPARED[operator](str(each), other)) for each in labels]
        if np.any(column.missing):
            known = np.append(np.asarray(compared, dtype=np.float64), np.nan)
            return np.asarray(known[column.values])
        return np.asarray(np.asarray(compared, dtype=bool)[column.values])

    def called(self, node: Node) -> Value:
        name = str(node.value)
        if name in self.expression.functions:
            return self.users(node)
        if name == HASHED:
            return self.hashed(node)
        if name in TRANSFORMS:
            return self.transformed(node)
        if name == QUOTE:
            return self.column(str(node.parts[0].value))
        if name == CATEGORIES:
            return self.of(node.parts[0])
        plain = function_name(node)
        values = [self.of(each) for each in node.parts]
        if plain == "I":
            return values[0]
        if plain == "where":
            chosen = [each if isinstance(each, str) else self.numbers(each) for each in values[1:]]
            return np.where(self.truth(values[0], node.parts[0]), *chosen)
        if plain in _LOGICAL:
            arguments = [self.truth(v, p) for v, p in zip(values, node.parts, strict=True)]
        else:
            arguments = [self.numbers(each) for each in values]
        if plain == "round" and len(arguments) == 2:
            return np.round(arguments[0], int(arguments[1]))
        return np.asarray(FUNCTIONS[plain](*arguments))

    def users(self, node: Node) -> Value:
        """Return what a function of the user's makes of columns, which it cannot write to."""
        split = len(node.parts) - len(node.keywords)
        values = [self.argument(each) for each in node.parts]
        named = dict(zip(node.keywords, values[split:], strict=True))
        try:
            result = self.expression.functions[str(node.value)](*values[:split], **named)
            result = np.asarray(result)
        except Exception as error:
            raise DataError(
                f"{node.text!r}: the function {node.value!r}, handed over in functions=, raised "
                f"{type(error).__name__}: {error}"
            ) from error
        if result.ndim not in (0, 1, 2) or result.ndim and len(result) != self.frame.n:
            raise DataError(
                f"{node.text!r}: expected the function {node.value!r} to return one value per row, "
                f"shape ({self.frame.n},), got shape {result.shape}."
            )
        if result.dtype.kind in "iuf":
            return result.astype(np.float64)
        if result.dtype.kind == "b":
            return result
        column = as_column(node.text, np.broadcast_to(result.astype(object), (self.frame.n,)))
        return column if column.levels is not None else column.numbers

    def argument(self, node: Node) -> Any:
        if is_constant(node) and node.value not in self.frame:
            return constant(node)
        value = self.of(node)
        if isinstance(value, Column):
            value = _decoded(value) if value.is_text else value.numbers
        array = np.array(value.values if isinstance(value, Basis) else value)
        array.flags.writeable = False
        return array

    def hashed(self, node: Node) -> Value:
        """Return levels that are chosen by a hash of each value's name."""
        value = self.of(node.parts[0])
        column = value if isinstance(value, Column) else Column(node.text, np.asarray(value))
        most = int(constant(arguments_of(node, TRANSFORMS[HASHED], skip=1)["levels"]))
        codes, levels = column.factorise()
        digests = (hashlib.md5(str(each).encode(), usedforsecurity=False) for each in levels)
        places = np.array([int(each.hexdigest(), 16) % most for each in digests], dtype=np.intp)
        return Column(node.text, np.append(places, -1)[codes], pd.Index(range(most)))

    def transformed(self, node: Node) -> Value:
        """Return what a function makes that remembers the training data."""
        from formulaic.transforms import TRANSFORMS as formulaic_transforms

        name = str(node.value)
        x = np.asarray(self.numbers(self.of(node.parts[0])))
        x = np.broadcast_to(x, (self.frame.n,)) if x.ndim == 0 else x
        options = {
            key: constant(each)
            for key, each in arguments_of(node, TRANSFORMS[name], skip=1).items()
        }
        if x.ndim != 1 and name not in ("center", "scale", "standardize"):
            raise self.failed(f"several columns in {name}()")
        training = node.text not in self.states
        state = self.states.setdefault(node.text, {})
        if training:
            _require_distinct(node, x, options)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = formulaic_transforms[name](x, **options, _state=state)
        except Exception as error:
            if training:
                raise formula_error(
                    node.span, f"expected terms that can be read and computed. {first_line(error)}"
                ) from error
            raise DataError(
                f"newdata: expected values for which {node.text!r} can be computed. "
                f"{first_line(error)} Correct or drop these rows."
            ) from error
        return _basis(result)


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _require_distinct(node: Node, x: npt.NDArray[Any], options: Mapping[str, Any]) -> None:
    """Refuse a polynomial that the data have too few different values for, as R does."""
    if node.value != "poly" or x.ndim != 1:
        return
    degree, distinct = options.get("degree", 1), pd.unique(x).size
    if degree >= distinct:
        raise formula_error(
            node.span,
            f"expected a degree below the {distinct} different values of the argument, got "
            f"{degree}. Lower the degree.",
        )


def _basis(result: Any) -> Value:
    """Return the result of a transform as an array, or as named columns."""
    about = getattr(result, "__formulaic_metadata__", None)
    plain = getattr(result, "__wrapped__", result)
    if isinstance(plain, dict):
        parts = {key: each for key, each in plain.items() if not str(key).startswith("__")}
        values = np.column_stack([np.asarray(each, dtype=np.float64) for each in parts.values()])
        return Basis(values, tuple(map(str, parts)), bool(about and about.spans_intercept))
    array = np.asarray(plain, dtype=np.float64)
    if array.ndim == 1:
        return array
    names = (
        about.column_names if about is not None and about.column_names else range(array.shape[1])
    )
    return Basis(array, tuple(map(str, names)))


def _decoded(column: Column) -> npt.NDArray[Any]:
    """Return the labels of a column's rows, None where missing."""
    assert column.levels is not None
    labels = np.array([*column.levels.tolist(), None], dtype=object)
    return np.asarray(labels[column.values])
