"""The functions, constants and contrasts that formulas know, and what their arguments may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from interlace.formulas.expressions import Node
from interlace.formulas.limits import Limits
from interlace.formulas.tokens import formula_error
from interlace_core.messages.checks import is_real, is_whole
from interlace_core.messages.names import did_you_mean


def _exp10(x: Any) -> Any:
    return np.power(10.0, x)


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "I": np.asarray,
        "clip": np.clip,
        "exp10": _exp10,
        "round": np.round,
        "where": np.where,
        **{
            name: getattr(np, name)
            for name in (
                "abs", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
                "arctanh", "cbrt", "ceil", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1",
                "fabs", "floor", "fmax", "fmin", "fmod", "hypot", "isfinite", "isnan", "log",
                "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or",
                "logical_xor", "maximum", "minimum", "mod", "negative", "power", "rad2deg",
                "reciprocal", "remainder", "rint", "sign", "sin", "sinh", "sqrt", "square", "tan",
                "tanh", "trunc",
            )
        },
    }
)  # fmt: skip
"""Functions of each row, with or without `np.` before them, and what computes them."""

_ARITIES = {"I": (1, 1), "clip": (3, 3), "exp10": (1, 1), "round": (1, 2), "where": (3, 3)}

TRANSFORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "center": (),
        "scale": ("center", "scale", "ddof"),
        "standardize": ("center", "rescale", "ddof"),
        "poly": ("degree", "raw"),
        "hashed": ("levels",),
        "bs": (
            "df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound",
            "extrapolation",
        ),
        **dict.fromkeys(
            ("cr", "cs", "cc"),
            ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation"),
        ),
    }
)  # fmt: skip
"""Functions that remember the training data, and the names of their arguments after the first."""

CATEGORIES = "C"
HASHED = "hashed"
CATEGORY_ARGUMENTS = ("contrasts", "levels")
QUOTE = "Q"
CONTRASTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Treatment": ("reference",),
        "Sum": (),
        "Helmert": ("reverse", "scale"),
        "Diff": ("backward",),
        "Poly": ("scores",),
        "contr.treatment": ("base",),
        "contr.SAS": ("base",),
        "contr.sum": (),
        "contr.helmert": ("reverse", "scale"),
        "contr.diff": ("backward",),
        "contr.poly": ("scores",),
        "contr.custom": ("contrasts", "names"),
    }
)
"""Contrasts of `C(f, ...)`, and the names of their arguments."""

NUMBERS: Mapping[str, Any] = MappingProxyType(
    {
        "np.pi": math.pi,
        "np.e": math.e,
        "pi": math.pi,
        "np.inf": math.inf,
        "True": True,
        "False": False,
        "None": None,
    }
)
"""Constants that have names; a column of the same name comes first."""

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_EXTRAPOLATIONS = ("raise", "clip", "na", "zero", "extend")

ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "+": np.add,
        "-": np.subtract,
        "*": np.multiply,
        "/": np.divide,
        "//": np.floor_divide,
        "%": np.mod,
        "**": np.power,
        "&": np.logical_and,
    }
)
"""Operators between numbers."""


def constant(node: Node) -> Any:
    """Return the value of a node without columns: a number, text, or a list of those.

    Raises
    ------
    FormulaError
        If it is anything else.
    """
    match node.kind:
        case "number" | "text":
            return node.value
        case "sign" if node.parts[0].kind == "number":
            return -node.parts[0].value if node.value == "-" else node.parts[0].value
        case "name" if node.value in NUMBERS:
            return NUMBERS[node.value]
        case "list":
            return [constant(each) for each in node.parts]
        case "tuple":
            return tuple(constant(each) for each in node.parts)
        case "dict":
            keys, values = node.parts[::2], node.parts[1::2]
            return {constant(k): constant(v) for k, v in zip(keys, values, strict=True)}
    raise formula_error(
        node.span, "expected a constant, such as 3, 'text' or [1, 2], in this place."
    )


def argument_counts(name: str) -> tuple[int, int]:
    """Return how many arguments a listed function takes, at least and at most."""
    arity = getattr(FUNCTIONS[name], "nin", 0)
    return _ARITIES.get(name, (arity, arity))


def function_name(node: Node) -> str:
    """Return the name of the function that a call names, without the `np.` before it."""
    name = str(node.value)
    for module in ("np.", "numpy."):
        if name.startswith(module):
            return name.removeprefix(module)
    return name


def arguments_of(node: Node, names: tuple[str, ...], skip: int = 0) -> dict[str, Node]:
    """Return a call's arguments after the first `skip` by name.

    Raises
    ------
    FormulaError
        If there are more than names, or a name is unknown or given twice.
    """
    split = len(node.parts) - len(node.keywords)
    positional = node.parts[skip:split]
    if len(positional) > len(names):
        raise formula_error(
            node.span,
            f"{node.value}: expected at most {len(names) + skip} argument(s), got {split}.",
        )
    found = dict(zip(names, positional, strict=False))
    for name, part in zip(node.keywords, node.parts[split:], strict=True):
        if name not in names or name in found:
            if name in found:
                raise formula_error(part.span, f"{node.value}: {name!r} is there twice.")
            known = f"one of the arguments {', '.join(names)}" if names else "no named argument"
            hint = did_you_mean(name, names)
            raise formula_error(part.span, f"{node.value}: expected {known}, got {name!r}.{hint}")
        found[name] = part
    return found


def is_constant(node: Node) -> bool:
    """Return whether a node is a constant by its form; a column may have the name of one."""
    known = node.kind == "name" and not node.quoted and node.value in NUMBERS
    return known or node.kind in ("list", "tuple", "dict", "text", "number")


def check_argument(name: str, key: str, node: Node, limits: Limits) -> None:
    """Check a constant argument of a transform: its type, and the size that it asks for."""
    value = constant(node)
    if key in ("df", "degree", "levels"):
        least = 0 if key == "degree" and name == "bs" else 1
        limit = "degree" if key == "degree" else "knots"
        most = getattr(limits, limit)
        if value is None and key == "df":
            return
        if not is_whole(value, least) or value > most:
            more = limits.hint(limit) if is_whole(value, least) else ""
            raise formula_error(
                node.span,
                f"{name}: expected {key} to be a whole number from {least} to {most}, got "
                f"{value!r}. {more}".rstrip(),
            )
        return
    expected = _EXPECTED[key]
    if not expected[1](value):
        raise formula_error(
            node.span, f"{name}: expected {key} to be {expected[0]}, got {value!r}."
        )


def _is_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_real, value))


_FLAG = ("True or False", lambda value: isinstance(value, bool))
_BOUND = ("a number", lambda value: value is None or is_real(value))
_CENTRE = ("True, False or a number", lambda value: isinstance(value, bool) or is_real(value))
_EXPECTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "center": _CENTRE,
    "scale": _CENTRE,
    "rescale": _CENTRE,
    "ddof": ("a number", is_real),
    "raw": _FLAG,
    "include_intercept": _FLAG,
    "knots": ("a list of numbers", lambda value: value is None or _is_numbers(value)),
    "lower_bound": _BOUND,
    "upper_bound": _BOUND,
    "constraints": ("'center'", lambda value: value in ("center", None)),
    "extrapolation": (f"one of {', '.join(_EXTRAPOLATIONS)}", lambda v: v in _EXTRAPOLATIONS),
}  # fmt: skip
