"""Which expressions of a formula may stand in a file, and be computed after it was loaded.

The fixed effects of a formula are Python expressions, and predicting for new data evaluates them.
A file could therefore bring code along. Hence an expression is let through only if it is built of
columns, constants, operators and the functions listed here: no attribute but those of `np` and
`contr` below, no subscript, no lambda, no comprehension, no function given by another name.
Everything let through is a function of the new data's columns without effects elsewhere, and the
sizes that it can ask for are bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

import numpy as np
from formulaic.utils.code import sanitize_variable_names

from interlace_core.formulas.expressions import FUNCTIONS

MAX_TEXT = 10_000
"""Longest expression in characters: far above any in use, far below what strains the parser."""

MAX_SIZE = 10_000
"""Largest integer that a transform may be given: degrees of freedom, degree, hashed levels."""

TRANSFORMS = frozenset(
    {"bs", "cc", "center", "cr", "cs", "hashed", "lag", "poly", "scale", "standardize", "C"}
)
CONTRASTS = frozenset({"Diff", "Helmert", "Poly", "Sum", "Treatment"})
CONTRAST_ATTRIBUTES = frozenset({"SAS", "custom", "diff", "helmert", "poly", "sum", "treatment"})
PLAIN = frozenset(FUNCTIONS) | {"exp2", "exp10"}
NUMPY_FUNCTIONS = frozenset({"clip", "round", "where"})
NUMPY_CONSTANTS = frozenset({"e", "nan", "pi"})

_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr,
)  # fmt: skip
_SIGNS = (ast.UAdd, ast.USub, ast.Invert)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class RefusedError(Exception):
    """An expression holds something that is not allowed; the message names it."""


def check_expression(expression: str, columns: Collection[str]) -> None:
    """Raise a RefusedError unless an expression only computes with columns.

    Parameters
    ----------
    expression : str
        As the formula parser evaluates it: Python, with unusual column names in backticks.
    columns : collection of str
        Columns that it may use.
    """
    if len(expression) > MAX_TEXT:
        raise RefusedError(f"an expression of {len(expression)} characters")
    known = dict.fromkeys(columns)
    try:
        # The very rewriting that the evaluator does, so that what is checked is what is run.
        code = sanitize_variable_names(expression, known, {})
        tree = ast.parse(code, mode="eval")
        _check(tree.body, known)
    except (SyntaxError, ValueError, IndexError, MemoryError, RecursionError) as error:
        raise RefusedError(f"an expression that cannot be read ({error})") from None


def _check(node: ast.expr, columns: Collection[str]) -> None:
    match node:
        case ast.Constant():
            _require(_is_small(node.value), f"the constant {ast.unparse(node)[:20]!s}")
        case ast.Name(id=name):
            _require(name in columns or name in CONTRASTS, f"the name {name!r}")
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            ok = (module, name) in _attributes()
            _require(ok, f"the attribute {module}.{name}")
        case ast.UnaryOp(op=sign, operand=operand):
            _require(isinstance(sign, _SIGNS), f"the operator {type(sign).__name__}")
            _check(operand, columns)
        case ast.BinOp(left=left, op=op, right=right):
            _check_operation(op, left, right, columns)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            _require(isinstance(op, _COMPARISONS), f"the operator {type(op).__name__}")
            _check(left, columns)
            _check(right, columns)
        case ast.Call():
            _check_call(node, columns)
        case _:
            raise RefusedError(f"a {type(node).__name__.lower()}")


def _check_operation(
    op: ast.operator, left: ast.expr, right: ast.expr, columns: Collection[str]
) -> None:
    _require(isinstance(op, _OPERATORS), f"the operator {type(op).__name__}")
    for side in (left, right):
        text = isinstance(side, ast.Constant) and isinstance(side.value, str)
        _require(not text, "arithmetic with text")
        _check(side, columns)
    if isinstance(op, ast.Pow):  # 9**9**9 is a number of 370 million digits
        names = any(isinstance(each, ast.Name) for side in (left, right) for each in ast.walk(side))
        _require(names, "a power of constants")


def _check_call(call: ast.Call, columns: Collection[str]) -> None:
    name = _function_name(call.func, columns)
    sized = name in TRANSFORMS or name in CONTRASTS
    ufunc = getattr(np, name.removeprefix("np."), None) if name.startswith("np.") else None
    if isinstance(ufunc, np.ufunc):  # a further argument would be an array to write into
        _require(len(call.args) <= ufunc.nin, f"{len(call.args)} arguments of {name}")
    _require(sized or not call.keywords, f"a keyword of {name}")
    for argument in (*call.args, *(each.value for each in call.keywords)):
        _check_argument(argument, columns)
    bounds = ("lower_bound", "upper_bound")
    sizes = [*call.args[1:], *(each.value for each in call.keywords if each.arg not in bounds)]
    for size in sizes if sized else ():
        _check_size(size, name)
    _require(all(each.arg is not None for each in call.keywords), "a keyword mapping")


def _check_size(node: ast.expr, function: str) -> None:
    """Refuse a large or computed integer, which could ask for more columns than memory holds."""
    computed = isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare))
    _require(not computed, f"a computed argument of {function}")
    value = node.value if isinstance(node, ast.Constant) else None
    too_large = isinstance(value, int) and value > MAX_SIZE
    _require(not too_large, f"the size {value!r} in {function}")


def _check_argument(node: ast.expr, columns: Collection[str]) -> None:
    """Check an argument, which may also be a list, tuple or dict of constants."""
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                _check_argument(part, ())
        case ast.Dict(keys=keys, values=values):
            _require(None not in keys, "a dict within a dict")
            for part in (*filter(None, keys), *values):
                _check_argument(part, ())
        case _:
            _check(node, columns)


def _function_name(function: ast.expr, columns: Collection[str]) -> str:
    match function:
        case ast.Name(id=name):
            known = name in PLAIN or name in TRANSFORMS or name in CONTRASTS
            _require(known and name not in columns, f"the function {name!r}")
            return name
        case ast.Attribute(value=ast.Name(id="np"), attr=name):
            ok = name in NUMPY_FUNCTIONS or isinstance(getattr(np, name, None), np.ufunc)
            _require(ok and "np" not in columns, f"the function np.{name}")
            return f"np.{name}"
        case ast.Attribute(value=ast.Name(id="contr"), attr=name):
            ok = name in CONTRAST_ATTRIBUTES and "contr" not in columns
            _require(ok, f"the function contr.{name}")
            return "Treatment"
    raise RefusedError("a call of something that is no name")


def _attributes() -> set[tuple[str, str]]:
    constants = {("np", name) for name in NUMPY_CONSTANTS}
    return constants | {("contr", name) for name in CONTRAST_ATTRIBUTES}


def _is_small(value: object) -> bool:
    if value is None or isinstance(value, (bool, float, str)):
        return True
    return isinstance(value, int) and abs(value) <= 2**53


def _require(ok: bool, what: str) -> None:
    if not ok:
        raise RefusedError(what)
