"""Designs against formulaic's materialiser, which makes the same columns by other code."""

from __future__ import annotations

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import build
from interlace.data.columns import Frame
from interlace.data.design import DesignBuilder, design_of
from interlace.data.frames import open_table, read_columns
from interlace.data.rows import Rows
from interlace.formulas.allowed import Vocabulary
from interlace.formulas.formula import parse_formula
from interlace_core.messages.errors import DataError, FormulaError

N = 60


def made_up(seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "z": rng.uniform(1.0, 4.0, N),
            "k": rng.integers(-3, 9, N),
            "f": np.tile(["b", "a", "c"], N // 3),
            "h": pd.Categorical(rng.permutation(np.tile(["v", "u"], N // 2)), ["v", "u"]),
            "q": pd.Categorical(
                rng.permutation(np.tile([4, 1, 2, 3], N // 4)), categories=[3, 1, 4, 2]
            ),
            "my x": rng.normal(size=N),
        }
    )


DATA = made_up()


def builder(data=DATA):
    frame = read_columns(open_table(data), list(data.columns))
    return DesignBuilder(frame, Rows(data.index), Vocabulary(tuple(data.columns)))


def design(right, data=DATA):
    return builder(data).build(parse_formula(f"~ {right}", response=False).fixed)


def untreated(names):
    """Return names without the mark of treatment contrasts: versions of formulaic differ in it."""
    return [name.replace("T.", "") for name in names]


def assert_equal_to_formulaic(right):
    ours = design(right)
    try:
        theirs = formulaic.model_matrix(right, DATA)
    except TypeError:  # an empty sum of terms before a slash
        return
    assert untreated(ours.encoder.names) == untreated(map(str, theirs.columns)), right
    np.testing.assert_allclose(
        ours.X, theirs.to_numpy(dtype=float), rtol=1e-14, atol=1e-14, err_msg=right
    )


FACTORS = (
    "x", "z", "k", "f", "h", "q", "`my x`", "log(z)", "I(x ** 2)", "np.sqrt(z)", "center(x)",
    "scale(z)", "poly(x, 2)", "bs(x, df=4)", "cr(z, df=3)", "C(f, contr.sum)",
    "C(h, Treatment('u'))",
    "C(f, contr.helmert)", "C(k)", "C(q, Diff)", "bs(x, df=5, include_intercept=True)",
    "C(f, levels=['c', 'b', 'a'])", "C(f, contr.poly)", "I(x + k / 2)",
)  # fmt: skip
leaves = st.sampled_from(FACTORS)
sums = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", ":", " * ", " / ", " - "]), inner).map(
            lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["^2", " ** 2", "^3"])).map(
            lambda parts: f"({parts[0]} + f){parts[1]}"
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(right=st.tuples(sums, st.sampled_from(["{}", "0 + {}", "{} - 1", "1 + {}", "{} + h"])))
def test_design_is_formulaics(right):
    terms, shape = right
    text = shape.format(terms)
    if not design_terms(text):
        return
    assert_equal_to_formulaic(text)


def design_terms(text):
    """Return whether anything is left but the intercept, and not too much of it."""
    parsed = parse_formula(f"~ {text}", response=False).fixed.expanded
    return parsed.products and max(map(len, parsed.products)) <= 3


@pytest.mark.parametrize("right", FACTORS)
def test_each_factor_alone_and_with_a_factor_is_formulaics(right):
    for text in (right, f"0 + {right}", f"{right}:f", f"f * {right}", f"0 + f + {right}:h"):
        assert_equal_to_formulaic(text)


@settings(max_examples=60, deadline=None)
@given(terms=sums, seed=st.integers(0, 10**6))
def test_new_rows_are_coded_as_the_training_rows_were(terms, seed):
    ours = builder()
    built = ours.build(parse_formula(f"~ {terms}", response=False).fixed)
    rows = np.random.default_rng(seed).permutation(N)[:7]
    again = design_of(built.encoder, ours.frame.take(rows))
    np.testing.assert_allclose(again, built.X[rows], rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(terms=sums)
def test_equal_rows_stay_equal(terms):
    twice = pd.concat([DATA.iloc[:20]] * 3, ignore_index=True)
    try:
        X = design(terms, twice).X
    except (DataError, FormulaError):  # a level without rows
        return
    np.testing.assert_array_equal(X[:20], X[20:40])
    np.testing.assert_array_equal(X[:20], X[40:])


# R's own words on the intercept and the terms: attr(terms(formula), ...)
R_TERMS = {
    "(x + 0) / f": (False, ["x", "x:f"]),
    "(1 + x):f": (True, ["x:f"]),
    "(x - 1) * f": (False, ["x", "f", "x:f"]),
    "x + 0 + 1": (True, ["x"]),
    "0 + x + 1": (True, ["x"]),
    "x - 0": (True, ["x"]),
    "(x + f)^2 - x": (True, ["f", "x:f"]),
    "x + f %in% x": (True, ["x", "f:x"]),
    "x * f %in% z": (True, ["x", "f:z", "x:f:z"]),
    "- x + f": (True, ["f"]),
    "(x + f) / z": (True, ["x", "f", "x:f:z"]),
    "x / (f + z)": (True, ["x", "x:f", "x:z"]),
    "x:f + f:x": (True, ["x:f"]),
    "(0 + x):f": (False, ["x:f"]),
    "x - (x + 0)": (True, []),
    "x + (f - 1)": (False, ["x", "f"]),
    "x:f * z": (True, ["z", "x:f", "x:f:z"]),
    "x * (f - 1)": (False, ["x", "f", "x:f"]),
    "f:x + z + x * f": (True, ["z", "x", "f", "f:x"]),
    "-1 + x": (False, ["x"]),
    "x^2": (True, ["x"]),
}


@pytest.mark.parametrize("text", R_TERMS)
def test_terms_and_intercept_are_those_of_r(text):
    found = parse_formula(f"~ {text}", response=False).fixed.expanded
    intercept, terms = R_TERMS[text]
    assert found.intercept == intercept
    assert [":".join(each) for each in found.products] == terms


# Types of columns


SMALL = ("int8", "uint8", "int16", "uint16", "int32", "float32", "Int8", "uint8[pyarrow]")


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize(
    "right", ["a + I(a ** 2)", "a * e", "0 + a:e", "I(a - e)", "I(e - a)", "I(-a)", "I(a ** -1)"]
)
def test_numbers_of_small_types_do_not_overflow(dtype, right):
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"a": rng.integers(18, 90, 40), "e": rng.integers(1, 100, 40)})
    expected = design(right, data.astype(float)).X
    np.testing.assert_array_equal(design(right, data.astype(dtype)).X, expected)


@pytest.mark.parametrize(
    "right", ["b", "0 + b", "b:x", "0 + b:x", "b * f", "b + f", "I(b)", "C(b)"]
)
def test_boolean_is_a_factor_of_two_levels(right):
    data = DATA.assign(b=np.random.default_rng(1).random(N) < 0.4)
    text = data.assign(b=data["b"].map({False: "False", True: "True"}))
    ours, theirs = design(right, data), design(right, text)
    np.testing.assert_array_equal(ours.X, theirs.X)
    assert ours.encoder.names == theirs.encoder.names


def test_boolean_is_a_number_in_arithmetic():
    data = DATA.assign(b=np.arange(N) % 3 == 0)
    X = design("0 + I(b * x) + I(b + b) + center(b)", data).X
    expected = [data["b"] * data["x"], 2.0 * data["b"], data["b"] - data["b"].mean()]
    np.testing.assert_allclose(X, np.column_stack(expected), rtol=1e-15)


@pytest.mark.parametrize("text", ["(x > 0)", "I(x > 0)", "(x > 0):z", "(f == 'a') * z", "(q >= 3)"])
def test_comparison_is_a_factor(text):
    levels = {"x > 0": DATA["x"] > 0, "f == 'a'": DATA["f"] == "a"}
    levels["q >= 3"] = DATA["q"].astype(float) >= 3
    inner = next(each for each in levels if each in text)
    plain = text.replace("I(", "(").replace(f"({inner})", "b")
    data = DATA.assign(b=levels[inner])
    np.testing.assert_array_equal(design(text).X, design(plain, data).X)
    assert any("[T.True]" in name or "[True]" in name for name in design(text).encoder.names)


def test_quoted_column_is_that_column():
    expected = design("`my x`").X
    np.testing.assert_array_equal(design("Q('my x')").X, expected)
    np.testing.assert_array_equal(design('Q("my x"):f').X, design("`my x`:f").X)


def test_column_without_a_name_is_kept():
    data = DATA.rename(columns={"my x": ""})
    np.testing.assert_array_equal(design("x + ``", data).X, design("x + `my x`").X)


BIG = 10**20


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([BIG + k for k in range(6)] * 4, dtype=object),
        pd.Series([2**60 + k for k in range(6)] * 4, dtype="int64"),
        pd.Series([None if k == 5 else 2**60 + k for k in range(6)] * 4, dtype="Int64"),
        pd.Series([None if k == 5 else BIG + k for k in range(6)] * 4, dtype=object),
        pd.Series([2**63 + k for k in range(6)] * 4, dtype="uint64"),
    ],
)
def test_group_labels_that_no_float_holds_stay_apart(ids):
    data = pd.DataFrame({"y": np.arange(24.0) % 5, "g": ids})
    (term,) = build("y ~ 1 + (1 | g)", data).problem.terms
    known = [each for each in ids[:6] if not pd.isna(each)]
    assert term.levels == tuple(str(int(each)) for each in known)
    assert term.codes.tolist() == list(range(len(known))) * 4


# Limits


@pytest.mark.parametrize(
    ("right", "what"),
    [
        ("(x + f) ** 1000000", "whole number from 1 to 20"),
        ("(x + f)^0", "whole number from 1 to 20"),
        ("I(9 ** 9 ** 9)", "finite number"),
        ("I(x * 9 ** 9 ** 9)", "finite number"),
        ("I(x * 1" + "0" * 400 + ")", "at most 30 characters"),
        ("bs(x, df=50000)", "df to be a whole number from 1 to 1000"),
        ("bs(x, degree=9999)", "degree to be a whole number from 0 to 30"),
        ("cr(x, df=99999)", "df to be a whole number from 1 to 1000"),
        ("poly(x, 1000000)", "degree to be a whole number from 1 to 30"),
        ("poly(q, 5)", "below the 4 different values"),
        ("hashed(f, 10000000)", "levels to be a whole number from 1 to 1000"),
        ("bs(x, knots=[" + "1, " * 2000 + "])", "at most 1000 entries"),
        ("*".join(f"I(x + {k})" for k in range(13)), "at most 1000 terms"),
        (":".join(f"I(x + {k})" for k in range(13)), "at most 12 factors"),
        ("(" * 200 + "x" + ")" * 200, "at most 100 brackets"),
        ("I(" + "-" * 200 + "x)", "at most 100 operations"),
        ("I(x" + " + x" * 200 + ")", "at most 100 operations"),
        ("x" * 200_000, "at most 100000 characters"),
        ("C(I(x + 0)):C(I(z + 0))", "at most 5000 columns"),
    ],
)
def test_size_is_refused_in_words(right, what):
    many = pd.concat([DATA] * 2, ignore_index=True)
    many[["x", "z"]] = np.random.default_rng(1).normal(size=(len(many), 2))
    with pytest.raises(FormulaError, match=what):
        design(right, many)


def test_limits_can_be_raised():
    from interlace.formulas.limits import Limits

    text = "~ " + ":".join(f"I(x + {k})" for k in range(13))
    with pytest.raises(FormulaError, match="formula_limits"):
        parse_formula(text, response=False).fixed.expanded  # noqa: B018
    wide = parse_formula(text, response=False, limits=Limits(order=20))
    assert len(wide.fixed.expanded.products[0]) == 13


def test_frame_is_a_mapping_of_columns():
    frame = builder().frame
    assert isinstance(frame, Frame)
    assert list(frame.take(np.array([0, 2]))["f"].values) == [1, 2]
