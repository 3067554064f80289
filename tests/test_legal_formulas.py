"""All that the page on formulas allows: fitted, saved, loaded, and predicted for new rows."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.formulas.functions import FUNCTIONS
from interlace.linear import LMMResult
from interlace.saving import pack_result, unpack_result

ROWS = 120

FIXED = (
    "x", "1", "0 + x", "x - 1", "-1 + x", "x + f", "x:f", "x * f", "f * h", "f:h", "0 + f:h",
    "f / x",
    "x %in% f", "(x + f)^2", "(x + f + h) ** 2", "(x + f + h)^3 - x:f:h", "(x + 0) / f", "x - 0",
    "x + 0 + 1", "(x)", "((x + f))", "- z + x", "x + x", "f:x + x:f", "x:z", "x * z * k",
    "f * h - f",
    "I(x ** 2)", "I(x ^ 2)", "x + I(x^2) + I(x^3)", "{x + 1}", "I(x + z * 2 - 1)", "I(x / z)",
    "I(k // 2)", "I(k % 2)", "I(-x)", "I(+x)", "I(k ** -1)", "I(2 ** x)", "I((x + z) / 2)",
    "I(x * pi)", "I(x * np.pi)", "I(1.5e-1 * x)", "log(z)", "np.log(z)", "numpy.log(z)", "sqrt(z)",
    "log(log(z) + 2)", "log(abs(x) + 1)", "maximum(x, z)", "minimum(x, 0)", "clip(x, -1, 1)",
    "where(x > 0, x, 0)", "where(x > 0, 'up', 'down')", "round(z, 1)", "round(z)", "hypot(x, z)",
    "power(z, 2)", "mod(k, 3)", "exp(x / 5)", "arctan2(x, z)", "logaddexp(x, z)",
    "(x > 0)", "(x >= 0) * z", "(f == 'a')", "(f != 'a'):x", "('a' == f)", "(k == 2)", "I(x > 0)",
    "I((x > 0) & (z < 2))", "logical_or(x > 0, z < 2)", "logical_not(x > 0)", "I((x > 0) * z)",
    "(q < 3)", "(x > z)", "(f == f2)", "(o > 'low')",
    "center(x)", "scale(x)", "scale(x, ddof=0)", "scale(x, center=False)", "standardize(x)",
    "center(log(z))", "I(center(x) ** 2)", "log(z - 0) + center(x):f", "poly(x, 2)",
    "poly(x, 3, raw=True)",
    "poly(x, degree=2):f", "poly(center(x), 2)", "bs(x, df=4, extrapolation='clip')",
    "bs(x, degree=2, knots=[-0.5, 0.5], lower_bound=-5, upper_bound=5)", "bs(z, df=5, degree=2)",
    "bs(x, df=5, include_intercept=True)", "cr(x, df=4)", "cr(x, df=4, constraints='center')",
    "cs(x, df=3)", "cc(z, df=4)", "f:bs(z, df=3)",
    "C(k)", "C(f)", "C(f, Treatment('b'))", "C(f, Treatment(reference='b'))",
    "C(f, contr.treatment(base='c'))",
    "C(f, contr.treatment)", "C(f, contr.sum)", "C(f, Sum)", "C(f, contr.helmert)", "C(f, Helmert)",
    "C(f, contr.diff)", "C(f, contr.poly)", "C(f, Poly)", "C(f, contr.SAS)",
    "C(f, [[1, 0], [0, 1], [-1, -1]])",
    "C(f, {'u': [1, 0, -1], 'v': [0, 1, -1]})", "C(f, levels=['c', 'b', 'a'])", "C(f, contr.sum):x",
    "C(q)", "C(b)", "C(x > 0)", "C(k // 3)", "C(f, contr.sum) * h", "0 + C(f, contr.sum)",
    "hashed(f, 2)",
    "hashed(f, levels=3):x",
    "b", "0 + b", "b:x", "b * f", "b + f", "I(b)", "I(b * x)", "q", "q * x", "o", "0 + o + x",
    "`my x`", "Q('my x')", "log(`my z`)", "my.x", "log(my.x + 9)", "`my x`:f", "C(`my f`)", "``",
    "x + `1`",
    "u8 + I(u8 ** 2)", "u8:i16", "I(u8 - i16)", "f32", "d", "I(d ** 2)", "C(d)",
    "offset(log(z)) + x", "x + offset(z) + offset(2 * x)", "double(x)", "double(x, times=3):f",
    "kind(x)", "pair(x)", "I(double(x) + z)",
)  # fmt: skip
RANDOM = (
    "(1 | g)", "(x | g)", "(x || g)", "(0 + x | g)", "(1 | g:h)", "(1 | g/h)", "(0 + b | g)",
    "(0 + u8:x | g)", "diag(0 + f | g)", "((x > 0) | g)", "(I(x ** 2) | g)", "(0 + log(z) | g)",
    "(1 | big)", "(1 | `my f`)", "(0 + double(x) | g)", "(center(x) | g)", "(1 | b:g)", "(1 | d)",
)  # fmt: skip


def double(x, times=2):
    return times * x


def kind(x):
    return np.where(x > 0, "above", "below")


def pair(x):
    return np.column_stack([x, x**2])


OURS = {"double": double, "kind": kind, "pair": pair}


@cache
def data():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "z": rng.uniform(1.0, 3.0, ROWS)})
    frame["k"] = rng.integers(1, 7, ROWS)
    for name in ("f", "f2", "my f"):
        frame[name] = rng.permutation(np.tile(["a", "b", "c"], ROWS // 3))
    frame["h"] = rng.permutation(np.tile(["u", "v"], ROWS // 2))
    frame["q"] = pd.Categorical(rng.integers(1, 5, ROWS))
    levels = ["low", "mid", "high"]
    frame["o"] = pd.Categorical(rng.choice(levels, ROWS), levels, ordered=True)
    frame["b"] = rng.random(ROWS) < 0.4
    frame["g"] = rng.permutation(np.repeat(np.arange(12), ROWS // 12))
    frame["big"] = pd.Series([10**20 + int(g) for g in frame["g"]], dtype=object)
    for name in ("my x", "my.x", "", "1"):
        frame[name] = rng.normal(size=ROWS)
    frame["my z"] = rng.uniform(1.0, 3.0, ROWS)
    frame["u8"] = rng.integers(0, 250, ROWS).astype("uint8")
    frame["i16"] = rng.integers(-300, 300, ROWS).astype("int16")
    frame["f32"] = rng.normal(size=ROWS).astype("float32")
    frame["d"] = pd.Series(rng.integers(1, 4, ROWS), dtype="Int64")
    effects = rng.normal(0, 0.5, 12)[frame["g"]]
    frame["y"] = 0.4 * frame["x"] + effects + rng.normal(size=ROWS)
    return frame


def formulas():
    fixed = [f"y ~ {each} + (1 | g)" for each in FIXED]
    return [*fixed, *(f"y ~ z + {each}" for each in RANDOM)]


def check(formula):
    """Fit, save, load, and predict rows of the training data by both."""
    functions = {name: each for name, each in OURS.items() if name in formula}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = interlace.fit(formula, data(), method="ML", functions=functions)
        rows = data().iloc[[7, 3, 30, 61]]
        ours = found.predict(rows)
        fitted = found.fittedvalues.loc[rows.index]
        np.testing.assert_allclose(ours, fitted, rtol=1e-9, atol=1e-9, err_msg=formula)
        if not functions:
            again = unpack_result(pack_result(found), LMMResult)
            np.testing.assert_array_equal(again.predict(rows), ours, err_msg=formula)
            assert list(again.fe_params.index) == list(found.fe_params.index)


@pytest.mark.parametrize("formula", formulas()[::4])
def test_formula_is_fitted_and_predicts_after_saving_as_before(formula):
    check(formula)


@pytest.mark.slow
@pytest.mark.parametrize("formula", formulas())
def test_every_formula_is_fitted_and_predicts_after_saving_as_before(formula):
    check(formula)


def test_there_are_enough_formulas():
    assert len(set(formulas())) >= 150


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"where", "clip", "I"}))
def test_every_listed_function_is_computed(name):
    arity = getattr(FUNCTIONS[name], "nin", 1)
    call = f"I({name}({', '.join(['z', '2'][:arity])}) + 0 * x)"
    if name.startswith("logical"):
        call = f"I({name}({', '.join(['z > 2', 'x > 0'][:arity])}) * 1)"
    if name in ("arcsin", "arccos", "arctanh"):
        call = call.replace("(z", "(z / 9")
    frame = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = interlace.fit(f"y ~ {call}", frame, groups="g")
    z, x = frame["z"].to_numpy() / (9 if "z / 9" in call else 1), frame["x"].to_numpy()
    arguments = [z, 2.0][:arity]
    if name.startswith("logical"):
        arguments = [z > 2, x > 0][:arity]
    expected = np.asarray(getattr(np, name, lambda value: 10.0**value)(*arguments), dtype=float)
    X = fitted.training.problem.predictors[0].X
    if np.ptp(expected) > 0:
        np.testing.assert_allclose(X[:, 1], expected, rtol=1e-12)
