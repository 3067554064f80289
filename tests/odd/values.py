"""Odd values for any argument: what people pass by mistake, and what nobody should."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd


class Text(str):
    """A text of a class of its own."""


class Unfriendly:
    """An object that fails at whatever it is asked."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        """Fail."""
        raise RuntimeError("no comparison")

    def __bool__(self) -> bool:
        """Fail."""
        raise RuntimeError("no truth")

    __hash__ = None  # type: ignore[assignment]


def raising(*arguments: Any, **options: Any) -> Any:
    """Fail with an error that no library knows."""
    raise ZeroDivisionError("mine")


MAKERS: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: np.bool_(True),
    lambda: 0,
    lambda: 1,
    lambda: -1,
    lambda: 2,
    lambda: 3,
    lambda: 10**30,
    lambda: -(10**30),
    lambda: 0.5,
    lambda: 1.5,
    lambda: -0.0,
    lambda: 1e308,
    lambda: 5e-324,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: -float("inf"),
    lambda: np.int64(2),
    lambda: np.float32(0.9),
    lambda: np.float64("nan"),
    lambda: 1 + 2j,
    lambda: decimal.Decimal("0.9"),
    lambda: fractions.Fraction(1, 2),
    lambda: "",
    lambda: " ",
    lambda: "a",
    lambda: "x",
    lambda: "~ x",
    lambda: "~",
    lambda: "x +",
    lambda: "(1 | g)",
    lambda: "1",
    lambda: "0.95",
    lambda: "None",
    lambda: "\x00",
    lambda: "\ud800",
    lambda: "é́‮",
    lambda: "x" * 100_000,
    lambda: "(" * 3000 + ")" * 3000,
    lambda: Text("x"),
    lambda: b"x",
    lambda: bytearray(b"x"),
    lambda: pathlib.PurePosixPath("x"),
    lambda: (),
    lambda: [],
    lambda: {},
    lambda: set(),
    lambda: ["x"],
    lambda: ["x", 3],
    lambda: [None],
    lambda: [[1], [2, 3]],
    lambda: [1.0, 2.0],
    lambda: ["g", "g"],
    lambda: ("g", "x"),
    lambda: {"x": 1.0},
    lambda: {"x": "~ x"},
    lambda: {3: 4},
    lambda: {"g": None},
    lambda: {"fixed": 3},
    lambda: {"a", "b"},
    lambda: frozenset({"x"}),
    lambda: range(3),
    lambda: iter(["x"]),
    lambda: (each for each in "xy"),
    lambda: slice(0, 2),
    lambda: np.array([]),
    lambda: np.array(3),
    lambda: np.array("x"),
    lambda: np.ones(2),
    lambda: np.ones((2, 2)),
    lambda: np.ones((2, 2, 2)),
    lambda: np.full(40, np.nan),
    lambda: np.ones(40, dtype=complex),
    lambda: np.array(["x", "y"]),
    lambda: np.array([None, "x"], dtype=object),
    lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    lambda: np.zeros(2, dtype=[("a", float)]),
    lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    lambda: pd.Series([1.0, 2.0]),
    lambda: pd.Series(["x", None]),
    lambda: pd.Series(dtype=float),
    lambda: pd.DataFrame(),
    lambda: pd.DataFrame({"x": [1.0]}),
    lambda: pd.DataFrame({"x": ["a"]}, index=["a"]),
    lambda: pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["x", "x"]),
    lambda: pd.Index(["x"]),
    lambda: pd.Categorical(["x", "y"]),
    lambda: pd.Timestamp("2020-01-01"),
    lambda: pd.NA,
    lambda: pd.NaT,
    lambda: pd.Interval(0, 1),
    lambda: datetime.date(2020, 1, 1),
    lambda: object(),
    lambda: object,
    lambda: int,
    lambda: ...,
    lambda: NotImplemented,
    lambda: np,
    lambda: len,
    lambda: lambda *arguments, **options: None,
    lambda: raising,
    Unfriendly,
)
"""Each makes its value anew, so that an iterator is fresh and nothing is shared."""
