"""Functions of the user's: handed over by name, remembered for prediction, never found."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import DataError, FormulaError, OptionError, SavedFileError


def root(x):
    return np.sqrt(x)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.tile(np.arange(12), 10), "x": rng.integers(0, 100, 120)})
    frame["b"] = rng.random(120) < 0.5
    frame["y"] = rng.normal(size=120) + 0.1 * frame["x"]
    frame["r"] = np.sqrt(frame["x"])
    return frame


ENTRIES = {
    "glmer": lambda text, data, **more: interlace.glmer(text, data, "gaussian", **more),
    "fit": interlace.fit,
    "clmm": lambda text, data, **more: interlace.clmm(
        text, data.assign(y=pd.cut(data["y"], 3, labels=["l", "m", "h"])), **more
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_function_handed_over_is_called_and_called_again(entry, data):
    ours = ENTRIES[entry]("y ~ root(x) + (1 | g)", data, functions={"root": root})
    plain = ENTRIES[entry]("y ~ r + (1 | g)", data)
    assert ours.llf == pytest.approx(plain.llf, rel=1e-12)
    rows = data.tail(7)
    np.testing.assert_allclose(ours.predict(rows), plain.predict(rows), rtol=1e-9)
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.predict(rows), ours.predict(rows))


@pytest.mark.parametrize("where", ["offset", "weights", "response", "left of a bar", "dispersion"])
def test_a_function_is_known_in_every_formula(where, data):
    functions, formula, more = {"root": root}, "y ~ b + (1 | g)", {}
    if where in ("offset", "weights"):
        more[where] = "root(x) + 1"
    formula = "root(y + 50) ~ b + (1 | g)" if where == "response" else formula
    formula = "y ~ b + (0 + root(x) | g)" if where == "left of a bar" else formula
    if where == "dispersion":
        more["dispformula"] = "~ root(x)"
    found = interlace.fit(formula, data, functions=functions, **more)
    assert found.converged


def test_a_function_of_the_callers_is_not_found(data):
    with pytest.raises(FormulaError, match=r"functions=\{'f': f\}"):
        interlace.fit("y ~ root(x) + (1 | g)", data)


def test_save_names_the_function_that_no_file_can_hold(data, tmp_path):
    found = interlace.fit("y ~ root(x) + (1 | g)", data, functions={"root": root})
    with pytest.raises(SavedFileError, match=r"root\(\), handed over in functions="):
        found.save(tmp_path / "a.interlace")


@pytest.mark.parametrize(
    ("functions", "error", "words"),
    [
        ({"log": root}, OptionError, "'log' has a meaning in formulas already"),
        ({"f": 3}, OptionError, "expected a function of columns, got a int"),
        ({"f(": root}, OptionError, "names that a formula can call"),
        ([root], OptionError, "expected a dict"),
        ({"f": lambda x: x[:3]}, DataError, r"one value per row, shape \(120,\), got shape \(3,\)"),
        ({"f": lambda x: 1 / 0}, DataError, "raised ZeroDivisionError: division by zero"),
        ({"f": lambda x: x.sort()}, DataError, "raised ValueError"),
        ({"f": lambda: 1}, DataError, "raised TypeError"),
        ({"f": lambda x: np.log(x - 200)}, DataError, "expected finite values, got nan in row 0"),
    ],
)
def test_what_no_formula_can_use_is_refused_by_name(functions, error, words, data):
    with pytest.raises(error, match=words), np.errstate(all="ignore"):
        interlace.fit("y ~ f(x) + (1 | g)", data, functions=functions)


def test_limits_that_were_raised_hold_for_the_file_too(data, tmp_path):
    term = "I(x + " + " + ".join(["x"] * 120) + ")"
    formula = f"y ~ {term} + (1 | g)"
    with pytest.raises(FormulaError, match="at most 100 operations"):
        interlace.fit(formula, data)
    with interlace.options(formula_limits={"nesting": 150}):
        found = interlace.fit(formula, data)
        found.save(tmp_path / "a.interlace")
        rows = data.head(3)
        again = interlace.load(tmp_path / "a.interlace")
        np.testing.assert_array_equal(again.predict(rows), found.predict(rows))
    with pytest.raises(SavedFileError, match="at most 100 operations"):
        interlace.load(tmp_path / "a.interlace")


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["True", "False"],
        pd.Categorical([True, False]),
        pd.array([True, False], dtype="boolean"),
    ],
)
def test_booleans_of_new_data_may_be_written_otherwise(values, data):
    found = interlace.fit("y ~ x + b + I(b * x) + (1 | g)", data)
    new = pd.DataFrame({"x": [1, 2], "b": values, "g": [0, 1]})
    plain = pd.DataFrame({"x": [1, 2], "b": [True, False], "g": [0, 1]})
    np.testing.assert_array_equal(found.predict(new), found.predict(plain))
    with pytest.raises(DataError, match=r"\(False, True\), got the unseen level\(s\) 2"):
        found.predict(new.assign(b=[0, 2]))


@pytest.mark.parametrize(
    "pair", [lambda y: np.column_stack([y, y]), lambda y: pd.DataFrame({"a": y})]
)
def test_a_response_is_one_number_for_each_row(pair, data):
    with pytest.raises(DataError, match="response 'pair\\(y\\)': expected one number per row"):
        interlace.glmer("pair(y) ~ x + (1 | g)", data, "gaussian", functions={"pair": pair})
