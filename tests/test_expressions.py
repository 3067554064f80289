import pickle

import numpy as np
import pandas as pd
import pytest

from interlace.data.evaluation import evaluate
from interlace.data.frames import open_table, read_columns
from interlace.formulas.allowed import Vocabulary, parse_response, parse_text
from interlace.formulas.tokens import Source, Span
from interlace_core.messages.errors import DataError, FormulaError

DATA = pd.DataFrame(
    {
        "s": [1, 2, 3],
        "n": [4.0, 5.0, 6.0],
        "total.fruits": [1.0, 10.0, 100.0],
        "my x": [0.5, 1.5, 2.5],
        "b": [True, False, True],
        "t": pd.Categorical(["yes", "no", "yes"]),
        "k": pd.Categorical([1, 2, 1]),
        "c0": [7.0, 8.0, 9.0],
        "log": [1.0, 2.0, 4.0],
    }
)
COLUMNS = tuple(DATA.columns)
KNOWN = Vocabulary(COLUMNS)
FRAME = read_columns(open_table(DATA), COLUMNS)


def value(text):
    return evaluate(parse_text(text, "offset", KNOWN), FRAME)


def response(text):
    return parse_response(Span(Source(f"{text} ~ x"), 0, len(text)), KNOWN)


S, N = DATA["s"].to_numpy(float), DATA["n"].to_numpy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s / n", S / N),
        ("s//n", S // N),
        ("-s + 2*n", -S + 2 * N),
        ("s^2*3", 3 * S**2),
        ("s**-1", 1 / S),
        ("log(n)", np.log(N)),
        ("np.log1p(n)", np.log1p(N)),
        ("log(total.fruits) / 2", np.log([1.0, 10.0, 100.0]) / 2),
        ("total.fruits", [1.0, 10.0, 100.0]),
        ("`my x` * 2", [1.0, 3.0, 5.0]),
        ("my x", [0.5, 1.5, 2.5]),
        ("c0 - s", [6.0, 6.0, 6.0]),
        ("log(log)", np.log([1.0, 2.0, 4.0])),
        ("maximum(s, 2)", [2.0, 2.0, 3.0]),
        ("I(s)", S),
        ("3", [3.0, 3.0, 3.0]),
        ("b + 1", [2.0, 1.0, 2.0]),
        ("k * 2", [2.0, 4.0, 2.0]),
        ("s > 1", [False, True, True]),
        ("t == 'yes'", [True, False, True]),
    ],
)
def test_expression_is_evaluated(text, expected):
    np.testing.assert_array_equal(value(text), expected)


def test_integers_do_not_overflow():
    frame = read_columns(open_table({"s": np.array([2**40], dtype=np.int64)}), ["s"])
    assert evaluate(parse_text("s*s", "offset", Vocabulary(("s",))), frame)[0] == 2.0**80


def test_column_of_a_bare_name_is_known():
    assert parse_text("`my x`", "offset", KNOWN).column == "my x"
    assert parse_text("s + 1", "offset", KNOWN).column is None
    assert parse_text("s/n", "offset", KNOWN).columns == ("s", "n")


def test_expression_survives_a_pickle():
    expression = pickle.loads(pickle.dumps(parse_text("s / `my x`", "offset", KNOWN)))
    np.testing.assert_array_equal(evaluate(expression, FRAME), S / DATA["my x"])


def test_domain_errors_are_left_to_the_caller():
    assert np.isnan(value("log(0 - s)")).all()


@pytest.mark.parametrize("text", ["cbind(s, n - s)", "(s, n - s)", "cbind( s , (n - s) )"])
def test_pair_has_two_parts(text):
    first, second = response(text)
    assert first.column == "s"
    np.testing.assert_array_equal(evaluate(second, FRAME), N - S)


@pytest.mark.parametrize("text", ["s", "s / n", "(s + n) / 2", "(s)", "my x", "maximum(s, n)"])
def test_single_response_has_one_part(text):
    assert len(response(text)) == 1


@pytest.mark.parametrize("text", ["cbind(s)", "cbind(s, n, b)", "(s, n, b)", "cbind()", "(s, )"])
def test_pair_of_another_size_is_refused(text):
    with pytest.raises(FormulaError, match="successes and failures") as error:
        response(text)
    assert str(error.value).splitlines()[-1].strip() == "^" * len(text)


@pytest.mark.parametrize(
    "text",
    [
        "s if b else n",
        "[s, n]",
        "s[0]",
        "log(s, base=2)",
        "log()",
        "1 < s < 3",
        "s and n",
        "log(*s)",
        "not b",
        "s | n",
        "None",
        "1j * s",
        "(1, 2)",
    ],
)
def test_anything_but_arithmetic_is_refused(text):
    with pytest.raises(FormulaError):
        value(text)


@pytest.mark.parametrize("text", ["__import__('os')", "eval('1')", "s.__class__", "np.load('x')"])
def test_no_python_is_reachable(text):
    with pytest.raises(FormulaError):
        value(text)


def test_syntax_error_points_at_the_expression():
    with pytest.raises(FormulaError, match="offset: expected an expression") as error:
        value("s +* n")
    assert str(error.value).splitlines()[-1] == "       ^"


def test_unknown_column_offers_the_closest():
    with pytest.raises(FormulaError, match="Did you mean 'total.fruits'") as error:
        response("log(total.fruit)")
    lines = str(error.value).splitlines()
    assert lines[-2] == "    log(total.fruit) ~ x"
    assert lines[-1] == "        ^^^^^^^^^^^"


def test_text_in_arithmetic_is_named():
    with pytest.raises(DataError, match="text in column t"):
        value("t + 1")
    with pytest.raises(DataError, match="text in column t"):
        value("log(t)")


def test_wrong_number_of_arguments_is_named():
    with pytest.raises(FormulaError, match="maximum: expected 2 argument"):
        value("maximum(s)")
