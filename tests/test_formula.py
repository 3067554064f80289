import pytest

from interlace.formulas.allowed import Vocabulary
from interlace.formulas.formula import parse_formula, parse_group, parse_random
from interlace_core.messages.errors import FormulaError, OptionError

COLUMNS = ("y", "x", "z", "e", "g", "h", "total.fruits", "my x")


def marked(error):
    """Return the text above the marker's carets."""
    text, marker = str(error.value).splitlines()[-2:]
    assert set(marker) <= {" ", "^"}
    return text[marker.index("^") : marker.rindex("^") + 1]


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y ~ x + (1 | g)", "x"),
        ("y ~ (1 | g) + x", "x"),
        ("y ~ x + (1 | g) + z", "x + z"),
        ("y ~ (1 | g)", "1"),
        ("y~(1|g)", "1"),
        ("y ~ 0 + x + (1 | g)", "0 + x"),
        ("y ~ (1 | g) - 1 + x", "-1 + x"),
        ("y ~ x - 1 + (1 | g)", "x - 1"),
        ("y ~ offset(log(e)) + x", "x"),
        ("y ~ offset(e)", "1"),
        ("y ~ x*z + (0 + x | g)", "x*z"),
        ("y ~ (x + z)^2 + (1 | g)", "(x + z)^2"),
        ("y ~ {x | z} + (1 | g)", "{x | z}"),
        ("y ~ `my x` + (1 | g)", "`my x`"),
        ("y ~ C(x, contr.treatment('a | b')) + (1 | g)", "C(x, contr.treatment('a | b'))"),
        ("y ~ ((1 | g) + (0 + x | g)) + z", "z"),
    ],
)
def test_fixed_part_is_valid_wherever_terms_were_removed(text, fixed):
    assert parse_formula(text).fixed.text == fixed


@pytest.mark.parametrize(
    ("term", "label", "structure"),
    [
        ("(1 + x | g)", "1 + x | g", "us"),
        ("(x | g)", "1 + x | g", "us"),
        ("(0 + x | g)", "0 + x | g", "us"),
        ("(x - 1 | g)", "0 + x | g", "us"),
        ("(-1 + x | g)", "0 + x | g", "us"),
        ("(x || g)", "diag(1 + x | g)", "diag"),
        ("diag(0 + x | g)", "diag(0 + x | g)", "diag"),
        ("us(x | g)", "1 + x | g", "us"),
        ("ar1(0 + x | g)", "ar1(0 + x | g)", "ar1"),
        ("(1 | `my x`)", "1 | my x", "us"),
        ("(1 | g:h)", "1 | g:h", "us"),
    ],
)
def test_bar_is_read_with_its_implied_intercept(term, label, structure):
    (bar,) = parse_formula(f"y ~ z + {term}").bars
    assert (bar.label, bar.structure) == (label, structure)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("a/b", ["a", "a:b"]),
        ("a/b/c", ["a", "a:b", "a:b:c"]),
        ("a:b/c", ["a:b", "a:b:c"]),
        ("(a/b)", ["a", "a:b"]),
    ],
)
def test_nested_groups_expand_in_the_order_written(groups, expected):
    assert [bar.group for bar in parse_formula(f"y ~ (1 | {groups})").bars] == expected
    assert [bar.group for bar in parse_group(groups)] == expected


def test_structure_options_are_kept():
    (bar,) = parse_formula("y ~ rr(0 + x | g, d = 2)").bars
    assert bar.structure == "rr"
    assert bar.options == (("d", 2),)
    assert bar.label == "rr(0 + x | g, d = 2)"


def test_response_and_offsets_are_kept_as_written():
    parsed = parse_formula("cbind(a, b - a) ~ offset(log(e)) + x + offset(z)")
    assert str(parsed.response) == "cbind(a, b - a)"
    assert [each.text for each in parsed.offsets] == ["log(e)", "z"]


def test_one_sided_formula_has_no_response():
    parsed = parse_formula("~ x + (1 | g)", response=False)
    assert parsed.response is None
    assert parsed.fixed.text == "x"
    assert [bar.label for bar in parsed.bars] == ["1 | g"]


@pytest.mark.parametrize(
    "text", ["(1 + x | g)", "1 + x | g", "x | g", "us(1 + x | g)", "((1 + x | g))"]
)
def test_random_term_is_read_with_or_without_parentheses(text):
    assert [bar.label for bar in parse_random(text)] == ["1 + x | g"]


def test_random_accepts_a_structure_and_a_sum():
    assert parse_random("diag(0 + x | g)")[0].structure == "diag"
    assert [bar.group for bar in parse_random("(1 | g) + (1 | h)")] == ["g", "h"]


@pytest.mark.parametrize(
    ("text", "span", "noun"),
    [
        ("y ~ x | g", "|", "outside parentheses"),
        ("y ~ x * (1 | g)", "x * (1 | g)", "interaction"),
        ("y ~ (1 | g):x", "(1 | g):x", "interaction"),
        ("y ~ (1 | g)^2", "(1 | g)^2", "interaction"),
        ("y ~ log((1 | g))", "log((1 | g))", "call"),
        ("y ~ x - (1 | g)", "(1 | g)", "added"),
        ("y ~ x - us(1 | g)", "us(1 | g)", "added"),
        ("y ~ x - offset(e)", "offset(e)", "added"),
        ("y ~ offset(e) * 2", "offset(e) * 2", "offset"),
        ("y ~ offset()", "offset()", "offset"),
        ("y ~ offset((1 | g))", "|", "offset"),
        ("y ~ (1 + offset(e) | g)", "offset", "offset"),
        ("y ~ ( | g)", "|", "left of the bar"),
        ("y ~ (1 | )", "|", "right of the bar"),
        ("y ~ (1 | g || h)", "||", "second bar"),
        ("y ~ (1 | g | h | k)", "|", "second bar"),
        ("y ~ ((1 | g) | h)", "|", "within another term"),
        ("y ~ (0 | g)", "0", "no effects"),
        ("y ~ (1 | factor(g))", "factor(g)", "grouping column"),
        ("y ~ (1 | g/)", "g/", "grouping column"),
        ("y ~ (1 | g + h)", "g + h", "grouping column"),
        ("y ~ (1 | 3)", "3", "grouping column"),
        ("y ~ us(x || g)", "||", "contradicts"),
        ("y ~ rr(x | g, 2)", "2", "option"),
        ("y ~ rr(x | g, d = z)", "d = z", "option"),
        ("y ~ rr(x | g, )", "rr(x | g, )", "option"),
        ("y ~ f(x, 1 | g)", "f(x, 1 | g)", "comma"),
        ("y ~ (1 | g", "(", "never closed"),
        ("y ~ x)", ")", "closes nothing"),
        ("y ~ (x]", "]", "expected ')'"),
        ("y ~ 'abc", "'abc", "quote"),
        ("y ~ `abc", "`abc", "quote"),
        ("y ~ a$b", "$", "no meaning"),
        ("y x", "y x", "'~'"),
        ("y ~", "~", "right of '~'"),
        ("~ x", "~", "response"),
        ("y ~ x ~ z", "~", "second '~'"),
        ("y ~ x + ", "+", "after '+'"),
        ("y ~ x + + z", "+", "after '+'"),
        ("log(y ~ x)", "~", "within brackets"),
    ],
)
def test_formula_error_points_at_the_span(text, span, noun):
    with pytest.raises(FormulaError, match="formula: ") as error:
        parse_formula(text)
    assert noun in str(error.value)
    assert marked(error) == span


def test_second_of_two_equal_signs_is_marked():
    with pytest.raises(FormulaError) as error:
        parse_formula("y ~ x ~ z")
    assert str(error.value).splitlines()[-1] == " " * 4 + " " * 6 + "^"


def test_line_breaks_and_tabs_do_not_break_the_marker():
    with pytest.raises(FormulaError) as error:
        parse_formula("y ~ x +\n\t(1 | g | h | k)")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert marked(error) == "|"


def test_one_sided_formula_refuses_a_response():
    with pytest.raises(FormulaError, match="left of '~'") as error:
        parse_formula("phi ~ x", response=False, argument="parameters['phi']")
    assert str(error.value).startswith("parameters['phi']: ")


@pytest.mark.parametrize("text", ["", "x", "x + (1 | g)", "offset(e) + (1 | g)"])
def test_random_refuses_anything_else(text):
    with pytest.raises(FormulaError, match=r"random: expected .*\(1 \+ x \| g\)"):
        parse_random(text)


@pytest.mark.parametrize("text", ["", "x y", "g + h", "1"])
def test_group_refuses_anything_but_names(text):
    with pytest.raises(FormulaError, match="groups: expected the name"):
        parse_group(text)


def test_formula_that_is_no_text_names_its_type():
    with pytest.raises(OptionError, match="formula: .* got a list"):
        parse_formula(["y ~ x"])
    with pytest.raises(OptionError, match="random: .* got a int"):
        parse_random(3)


def test_columns_are_found_and_functions_left_out():
    fixed = parse_formula("y ~ log(x) + poly(z, degree=2) + `my x` + total.fruits + True").fixed
    assert fixed.columns(Vocabulary((*COLUMNS, "True"))) == (
        "x",
        "z",
        "my x",
        "total.fruits",
        "True",
    )


def test_unknown_column_offers_the_closest_and_lists_the_rest():
    fixed = parse_formula("y ~ x + totl.fruits").fixed
    with pytest.raises(FormulaError) as error:
        fixed.columns(Vocabulary(COLUMNS))
    assert marked(error) == "totl.fruits"
    assert "Did you mean 'total.fruits'?" in str(error.value)
    assert "Columns available: y, x, z, e, g, h, total.fruits, my x" in str(error.value)


@pytest.mark.parametrize("text", ["lgo(x)", "__import__('os')", "np.__loader__(x)"])
def test_unknown_function_lists_those_known(text):
    fixed = parse_formula(f"y ~ {text}").fixed
    with pytest.raises(FormulaError, match="known function") as error:
        fixed.columns(Vocabulary(COLUMNS))
    assert marked(error) == text.split("(")[0]
    assert "center" in str(error.value)


def test_dot_is_refused():
    with pytest.raises(FormulaError, match="Write the columns out"):
        parse_formula("y ~ .").fixed.columns(Vocabulary(COLUMNS))


def test_column_with_the_name_of_the_intercept_is_refused():
    with pytest.raises(FormulaError, match="Rename it") as error:
        parse_formula("y ~ x + Intercept").fixed.columns(Vocabulary((*COLUMNS, "Intercept")))
    assert marked(error) == "Intercept"


@pytest.mark.parametrize(
    ("text", "columns"),
    [("log(`1`) + `2`", ("1", "2")), ("x:`1`", ("x", "1")), ("`.` + ``", (".", ""))],
)
def test_columns_with_odd_names_are_columns_in_backticks(text, columns):
    fixed = parse_formula(f"y ~ {text}").fixed
    assert fixed.columns(Vocabulary((*COLUMNS, "1", "2", ".", ""))) == columns
