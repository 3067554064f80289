import re
import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes import (
    FakeFamily,
    NumericFamily,
    OrderedFamily,
    PairFamily,
    build,
)
from interlace_core.messages.errors import (
    DataError,
    DataWarning,
    FormulaError,
    OptionError,
    ResponseError,
)


@pytest.fixture
def data():
    rng = np.random.default_rng(11)
    n = 24
    return pd.DataFrame(
        {
            "y": rng.poisson(3, n) + np.arange(n) % 2,
            "n": rng.integers(5, 9, n) + 5,
            "x": rng.normal(size=n),
            "z": rng.uniform(1, 2, n),
            "e": rng.uniform(1, 5, n),
            "f": np.tile(["a", "b", "c"], 8),
            "g": np.repeat([3, 1, 2, 10], 6),
            "h": np.tile(["q", "p"], 12),
            "row": np.arange(n),
        }
    )


def with_value(data, column, row, value):
    data = data.astype({column: object if isinstance(value, str) else float})
    data.loc[data.index[row], column] = value
    return data


def untreated(names):
    """Return names without the mark of a treatment contrast.

    formulaic 1.0 writes f[T.a] where a factor has all of its columns, later ones f[a].
    """
    return tuple(name.replace("T.", "") for name in names)


# Designs and terms


def test_arrays_are_read_only_float64_and_contiguous(data):
    problem = build("y ~ x * f + (1 + x | g)", data, weights=data["z"], offset="e").problem
    arrays = [problem.y, problem.weights]
    arrays += [a for each in problem.predictors for a in (each.X, each.offset)]
    arrays += [each.Z for each in problem.terms]
    for array in arrays:
        assert array.dtype == np.float64
        assert array.flags.c_contiguous or array.strides[0] == 0  # one number for all rows
        assert not array.flags.writeable
    assert not problem.terms[0].codes.flags.writeable
    assert problem.terms[0].codes.dtype == np.intp


def test_user_objects_are_left_alone(data):
    before, weights = data.copy(), np.ones(len(data))
    model = build("y ~ x + (1 | g)", data, weights=weights)
    weights[0] = 2.0
    data.loc[0, "y"] = 99
    assert model.problem.weights[0] == 1.0
    assert model.problem.y[0] == before["y"][0]


def test_fixed_design_is_as_written(data):
    predictor = build("y ~ x + f + (1 | g)", data).problem.predictors[0]
    assert predictor.names == ("Intercept", "x", "f[T.b]", "f[T.c]")
    expected = np.column_stack([np.ones(24), data["x"], data["f"] == "b", data["f"] == "c"])
    np.testing.assert_array_equal(predictor.X, expected)
    predictor = build("y ~ 0 + f + (1 | g)", data).problem.predictors[0]
    assert untreated(predictor.names) == ("f[a]", "f[b]", "f[c]")
    assert build("y ~ (1 | g) - 1", data).problem.predictors[0].X.shape == (24, 0)


def test_functions_of_columns_are_computed(data):
    data["total.fruits"] = data["e"]
    X = build("y ~ sqrt(e) + I(x^2) + log(total.fruits) + (1|g)", data).problem.predictors[0].X
    expected = np.column_stack([np.ones(24), data["e"] ** 0.5, data["x"] ** 2, np.log(data["e"])])
    np.testing.assert_allclose(X, expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("(1 | g)", ("Intercept",)),
        ("(x | g)", ("Intercept", "x")),
        ("(0 + x | g)", ("x",)),
        ("(x - 1 | g)", ("x",)),
        ("(x || g)", ("Intercept", "x")),
        ("(f | g)", ("Intercept", "f[T.b]", "f[T.c]")),
        ("(0 + f | g)", ("f[a]", "f[b]", "f[c]")),
    ],
)
def test_random_design_has_the_usual_columns(data, term, names):
    (found,) = build(f"y ~ z + {term}", data).problem.terms
    assert untreated(found.names) == untreated(names)
    assert found.Z.shape == (24, len(names))
    assert found.covariance.size == len(names)


def test_structures_are_looked_up_by_name(data):
    terms = build("y ~ (x || g) + diag(0 + f | h) + (1 | f)", data).problem.terms
    assert [type(each.covariance).__name__ for each in terms] == [
        "Diagonal",
        "Diagonal",
        "Unstructured",
    ]


def test_structure_that_takes_no_option_is_refused(data):
    with pytest.raises(FormulaError, match="'diag' does not take the option.* d "):
        build("y ~ diag(0 + f | g, d = 2)", data)


def test_levels_of_numbers_are_sorted_as_numbers(data):
    (term,) = build("y ~ (1 | g)", data).problem.terms
    assert term.levels == ("1", "2", "3", "10")
    assert term.codes.tolist() == np.repeat([2, 0, 1, 3], 6).tolist()


def test_levels_of_a_categorical_keep_their_order_and_unused_ones_go(data):
    data["g"] = pd.Categorical(data["g"].astype(str), categories=["10", "3", "99", "2", "1"])
    model = build("y ~ (1 | g)", data)
    assert model.problem.terms[0].levels == ("10", "3", "2", "1")
    assert model.notes == ("column 'g': dropped the unused level(s) 99",)


def test_unused_level_of_a_fixed_factor_goes_with_a_note(data):
    data["f"] = pd.Categorical(data["f"], categories=["z", "c", "b", "a"])
    model = build("y ~ f + (1 | g)", data)
    assert model.problem.predictors[0].names == ("Intercept", "f[T.b]", "f[T.a]")
    assert model.dropped_columns == ()
    assert "'f'" in model.notes[0] and "z" in model.notes[0]


def test_interaction_group_has_only_observed_combinations(data):
    data = data[~((data["g"] == 3) & (data["h"] == "p"))]
    (term,) = build("y ~ (1 | g:h)", data).problem.terms
    assert term.group == "g:h"
    assert term.levels == ("1:p", "1:q", "2:p", "2:q", "3:q", "10:p", "10:q")
    names = (data["g"].astype(str) + ":" + data["h"]).tolist()
    assert [term.levels[code] for code in term.codes] == names


def test_three_way_interaction_group(data):
    (term,) = build("y ~ (1 | g:h:f)", data).problem.terms
    names = (data["g"].astype(str) + ":" + data["h"] + ":" + data["f"]).tolist()
    assert [term.levels[code] for code in term.codes] == names
    assert len(term.levels) == len(set(names))


def test_nested_group_is_two_terms(data):
    terms = build("y ~ (1 | g/h)", data).problem.terms
    assert [each.group for each in terms] == ["g", "g:h"]


def test_terms_of_one_group_share_codes(data):
    one, other = build("y ~ (1 | g) + (0 + x | g)", data).problem.terms
    assert one.codes is other.codes
    assert one.levels is other.levels


@pytest.mark.parametrize(
    "options",
    [
        {"formula": "y ~ x + (1 | g) + (1 | h)"},
        {"formula": "y ~ x", "groups": ["g", "h"]},
        {"formula": "y ~ x", "random": ["(1 | g)", "1 | h"]},
        {"formula": "y ~ x + (1 | g)", "groups": "h"},
        {"formula": "y ~ x", "groups": "g", "random": "(1 | h)"},
    ],
)
def test_groups_random_and_bars_are_equivalent(data, options):
    problem = build(data=data, **options).problem
    assert [each.label for each in problem.terms] == ["1 | g", "1 | h"]
    assert problem.predictors[0].names == ("Intercept", "x")


def test_groups_takes_nesting_interaction_and_odd_names(data):
    data["my group"] = data["g"]
    model = build("y ~ x", data, groups=["g/h", "h:f", "my group"])
    assert [each.group for each in model.problem.terms] == ["g", "g:h", "h:f", "my group"]


@pytest.mark.parametrize(
    "options",
    [
        {"groups": "g"},
        {"random": "(1 | g)"},
        {"formula": "y ~ x + (1 | g) + (1 | g)"},
        {"formula": "y ~ x + (1 | g) + (1 | g/h)"},
    ],
)
def test_identical_term_twice_is_named(data, options):
    options = {"formula": "y ~ x + (1 | g)", **options}
    with pytest.raises(FormulaError, match=r"\(1 \| g\) twice"):
        build(data=data, **options)


def test_order_of_covariates_does_not_hide_a_duplicate(data):
    with pytest.raises(FormulaError, match="twice"):
        build("y ~ (x + z | g) + (1 + z + x | g)", data)


def test_overlapping_terms_are_noted(data):
    model = build("y ~ (1 | g) + (1 + x | g)", data)
    assert "share Intercept" in model.notes[0]


def test_offsets_of_formula_and_argument_add_up(data):
    offset = build("y ~ offset(log(e)) + offset(z)", data, groups="g", offset="2 * x")
    expected = np.log(data["e"]) + data["z"] + 2 * data["x"]
    np.testing.assert_allclose(offset.problem.predictors[0].offset, expected, rtol=1e-15)
    assert not offset.encoder.external_offset


def test_model_without_random_effects_is_a_problem_too(data):
    model = build("y ~ x", data)
    assert model.problem.terms == ()


# Further parameters


def test_parameters_have_an_intercept_by_default(data):
    first, phi, pi = build("y ~ x + (1 | g)", data).problem.predictors
    assert phi.names == pi.names == ("Intercept",)
    assert not phi.offset.any()


def test_parameter_formula_has_covariates_offsets_and_bars(data):
    model = build(
        "y ~ x + (1 | g)",
        data,
        parameters={"phi": "~ z + offset(x) + (1 | h)", "zero": "~ 0 + f"},
    )
    _, phi, pi = model.problem.predictors
    assert phi.names == ("Intercept", "z")
    np.testing.assert_array_equal(phi.offset, data["x"])
    assert untreated(pi.names) == ("f[a]", "f[b]", "f[c]")
    assert [(each.predictor, each.group) for each in model.problem.terms] == [(0, "g"), (1, "h")]


def test_fixed_parameter_has_no_columns(data):
    predictor = build("y ~ x + (1 | g)", data, FakeFamily(phi=2.0)).problem.predictors[1]
    assert predictor.X.shape == (24, 0)
    assert predictor.names == ()
    np.testing.assert_allclose(predictor.offset, np.log(2.0))


@pytest.mark.parametrize(
    ("parameters", "noun"),
    [
        ({"ph": "~ x"}, "Did you mean 'phi'"),
        ({"sigma": "~ x"}, r"\(phi, pi\), got 'sigma'"),
        ({"mu": "~ x"}, "'mu', which is modelled by the formula"),
        ({"mean": "~ x"}, "'mean', which is modelled by the formula"),
        ({"phi": "~ x", "dispersion": "~ z"}, "one formula per parameter"),
    ],
)
def test_unknown_parameter_lists_the_familys(data, parameters, noun):
    with pytest.raises(OptionError, match=noun):
        build("y ~ x + (1 | g)", data, parameters=parameters)


def test_formula_of_a_fixed_parameter_is_refused(data):
    with pytest.raises(OptionError, match="'phi', which is fixed at 2"):
        build("y ~ x", data, FakeFamily(phi=2.0), parameters={"phi": "~ x"})


def test_error_in_a_parameter_formula_names_it(data):
    with pytest.raises(FormulaError, match=r"parameters\['phi'\]: .*'w'"):
        build("y ~ x", data, parameters={"phi": "~ w"})


def test_role_of_several_parameters_asks_for_the_name(data):
    class TwoShapes(FakeFamily):
        @property
        def parameters(self):
            return (
                *super().parameters[:1],
                *(replace(each, role="shape") for each in super().parameters[1:]),
            )

    with pytest.raises(OptionError, match="'shape', which is the role of several. Use the name"):
        build("y ~ x", data, TwoShapes(), parameters={"shape": "~ x"})


# Responses


def test_proportion_is_a_division(data):
    model = build("y / n ~ x + (1 | g)", data, weights="n")
    np.testing.assert_array_equal(model.problem.y, data["y"] / data["n"])
    np.testing.assert_array_equal(model.problem.weights, data["n"])


def test_pair_reaches_the_family_as_two_columns(data):
    model = build("cbind(y, n - y) ~ x + (1 | g)", data)
    np.testing.assert_array_equal(
        model.problem.y, np.column_stack([data["y"], data["n"] - data["y"]])
    )


def test_column_with_a_dot_is_a_response(data):
    data["total.fruits"] = data["y"]
    np.testing.assert_array_equal(build("total.fruits ~ x", data).problem.y, data["y"])


@pytest.mark.parametrize("family", [FakeFamily(), NumericFamily()])
def test_bool_is_taken_wherever_numbers_are(data, family):
    data["y"] = data["y"] > 3
    model = build("y ~ x + (1 | g)", data, family)
    np.testing.assert_array_equal(model.problem.y, data["y"].astype(float))
    assert model.response_levels == ("False", "True")


def test_second_level_of_text_is_one(data):
    data["y"] = np.where(data["y"] > 3, "yes", "no")
    model = build("y ~ x + (1 | g)", data)
    np.testing.assert_array_equal(model.problem.y, (data["y"] == "yes").astype(float))
    assert model.response_levels == ("no", "yes")


def test_second_category_is_one(data):
    data["y"] = pd.Categorical(np.where(data["y"] > 3, "yes", "no"), categories=["yes", "no"])
    model = build("y ~ x + (1 | g)", data)
    np.testing.assert_array_equal(model.problem.y, (data["y"] == "no").astype(float))


def test_comparison_is_a_response(data):
    data["t"] = np.where(data["y"] > 3, "yes", "no")
    model = build("(t == 'yes') ~ x", data)
    np.testing.assert_array_equal(model.problem.y, (data["y"] > 3).astype(float))


def test_ordered_response_is_coded_in_order(data):
    data["r"] = pd.Categorical(data["f"], categories=["c", "a", "b"])
    model = build("r ~ x", data, OrderedFamily())
    assert model.response_levels == ("c", "a", "b")
    np.testing.assert_array_equal(model.problem.y, data["r"].cat.codes)
    assert build("g ~ x", data, OrderedFamily()).response_levels == ("1", "2", "3", "10")


def test_text_with_three_levels_is_refused(data):
    with pytest.raises(ResponseError, match=r"'f'.*two levels.*3 level\(s\): a, b, c"):
        build("f ~ x", data)


@pytest.mark.parametrize(
    ("formula", "family", "noun"),
    [
        ("f ~ x", NumericFamily(), "numbers for family 'numeric-only', got text"),
        ("cbind(y, n) ~ x", NumericFamily(), "numbers for family 'numeric-only', got a pair"),
        ("y ~ x", PairFamily(), "pairs .* for family 'pair-only', got numbers"),
    ],
)
def test_form_that_the_family_does_not_take_is_refused(data, formula, family, noun):
    with pytest.raises(ResponseError, match=noun):
        build(formula, data, family)


def test_response_outside_the_domain_is_the_familys_to_refuse(data):
    with pytest.raises(ResponseError, match="'fake'.*got -1 in row 2"):
        build("y ~ x", with_value(data, "y", 2, -1.0))


def test_family_is_bound_to_the_data(data):
    model = build("cbind(y, n) ~ x", data)
    assert model.family.seen == (24, 2)
    assert model.problem.family is model.family


@pytest.mark.parametrize("value", [3.0, "yes"])
def test_constant_response_is_refused(data, value):
    data["y"] = value
    with pytest.raises(ResponseError, match="response 'y'"):
        build("y ~ x", data)


def test_pair_without_any_success_is_refused(data):
    data["y"] = 0
    with pytest.raises(ResponseError, match="'y and n'.*only zeros"):
        build("cbind(y, n) ~ x", data)


# Rows


def test_missing_values_are_dropped_jointly_and_counted(data):
    data.index = [f"r{i}" for i in range(24)]
    data = with_value(data, "y", 0, np.nan)
    data = with_value(data, "x", 1, np.nan)
    data = with_value(data, "e", 2, np.nan)
    data = with_value(data, "g", 3, np.nan)
    data.loc[["r4", "r5"], "f"] = None
    data = with_value(data, "row", 9, np.nan)
    weights, offset = np.ones(24), np.zeros(24)
    weights[6] = offset[7] = np.nan
    model = build("y ~ x + f + offset(log(e)) + (1 | g)", data, weights=weights, offset=offset)
    assert model.rows.missing == {
        "y": 1,
        "x": 1,
        "f": 2,
        "e": 1,
        "g": 1,
        "weights": 1,
        "offset": 1,
    }
    assert (model.rows.n_given, model.rows.n_used) == (24, 16)
    assert list(model.rows.index) == [f"r{i}" for i in range(8, 24)]
    assert model.problem.terms[0].levels == ("1", "2", "10")


def test_missing_values_of_other_parameters_count_too(data):
    model = build("y ~ x", with_value(data, "z", 0, np.nan), parameters={"phi": "~ z"})
    assert model.rows.missing == {"z": 1}


def test_stateful_transform_sees_only_the_rows_in_use(data):
    data.loc[0, "x"], data.loc[1, "z"] = 1000.0, np.nan
    data = with_value(data, "y", 0, np.nan)
    X = build("y ~ center(x) + z", data).problem.predictors[0].X
    assert abs(X[:, 1].mean()) < 1e-12


def test_all_missing_names_the_worst_variable(data):
    data["x"] = np.nan
    with pytest.raises(DataError, match="'x' is missing in 24 of 24 rows"):
        build("y ~ x + z", with_value(data, "z", 0, np.nan))


def test_zero_rows_are_refused(data):
    with pytest.raises(DataError, match="zero rows"):
        build("y ~ x", data.iloc[:0])


def test_infinite_value_names_column_and_row(data):
    data = with_value(with_value(data, "x", 5, np.inf), "y", 1, np.nan)
    with pytest.raises(DataError, match="column 'x'.*inf in row 5"):
        build("y ~ x", data)


def test_row_label_is_shown_where_it_differs(data):
    data.index = [f"r{i}" for i in range(24)]
    with pytest.raises(DataError, match=r"row 5 \(index 'r5'\)"):
        build("y ~ x", with_value(data, "x", 5, -np.inf))


@pytest.mark.parametrize(
    ("formula", "noun"),
    [
        ("y ~ log(x)", r"term 'log\(x\)'"),
        ("y ~ z + offset(log(x))", r"offset\(log\(x\)\)"),
        ("log(x) ~ z", r"response 'log\(x\)'"),
        ("y ~ (1 + log(x) | g)", r"term 'log\(x\)'"),
    ],
)
def test_transform_that_is_not_finite_names_term_and_row(data, formula, noun):
    data["x"] = 2.0 + np.arange(24)
    data.loc[7, "x"] = 0.0
    with pytest.raises(DataError, match=f"{noun}.* row 7"):
        build(formula, data)


def test_offset_argument_that_is_not_finite_names_row(data):
    data["x"] = np.arange(24) - 3.0
    with pytest.raises(DataError, match=r"offset 'log\(x\)'.*nan in row 0"):
        build("y ~ z", data, offset="log(x)")


def test_dates_are_refused_as_covariates_only(data):
    data["day"] = pd.date_range("2020-01-01", periods=24).repeat(2)[:24]
    assert len(build("y ~ (1 | day)", data).problem.terms[0].levels) == 12
    with pytest.raises(DataError, match="column 'day'.*datetime"):
        build("y ~ day", data)


# Weights and offsets


@pytest.mark.parametrize("argument", ["weights", "offset"])
@pytest.mark.parametrize(
    ("values", "noun"),
    [
        (np.ones(5), r"shape \(24,\), got shape \(5,\)"),
        (np.ones((24, 1)), r"got shape \(24, 1\)"),
        (3.0, r"got shape \(\)"),
        (["a"] * 24, "numbers"),
        ("w", "'w', which is not in the data"),
    ],
)
def test_vector_of_the_wrong_form_is_named(data, argument, values, noun):
    with pytest.raises((DataError, FormulaError), match=f"{argument}: .*{noun}"):
        build("y ~ x", data, **{argument: values})


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_vector_that_is_infinite_or_all_missing_is_named(data, argument):
    values = np.ones(24)
    values[3] = np.inf
    with pytest.raises(DataError, match=f"{argument}: .*inf in row 3"):
        build("y ~ x", data, **{argument: values})
    with pytest.raises(DataError, match=f"'{argument}' is missing in 24 of 24"):
        build("y ~ x", data, **{argument: np.full(24, np.nan)})


def test_negative_weight_names_its_row(data):
    values = np.ones(24)
    values[[4, 6]] = -2.0
    with pytest.raises(DataError, match=r"weights: .*got -2 in row 4, .*\(2 such row"):
        build("y ~ x", data, weights=values)


def test_weights_that_are_all_zero_are_refused(data):
    with pytest.raises(DataError, match="weights: expected a positive value"):
        build("y ~ x", data, weights=np.zeros(24))


def test_series_with_the_datas_labels_is_aligned(data):
    data.index = [f"r{i}" for i in range(24)]
    shuffled = data["z"].sample(frac=1.0, random_state=1)
    model = build("y ~ x", data, weights=shuffled, offset=shuffled)
    np.testing.assert_array_equal(model.problem.weights, data["z"])
    np.testing.assert_array_equal(model.problem.predictors[0].offset, data["z"])


def test_series_with_other_labels_counts_by_position(data):
    other = pd.Series(data["z"].to_numpy(), index=range(100, 124))
    np.testing.assert_array_equal(build("y ~ x", data, weights=other).problem.weights, data["z"])


def test_offset_array_is_external(data):
    assert build("y ~ x", data, offset=data["z"].to_numpy()).encoder.external_offset
    assert not build("y ~ x", data, offset="z").encoder.external_offset


# Groups


def test_single_level_is_refused(data):
    data["g"] = "only"
    with pytest.raises(DataError, match="grouping factor 'g'.*single level 'only'"):
        build("y ~ x + (1 | g)", data)


def test_unknown_group_offers_the_closest(data):
    data = data.rename(columns={"g": "herd"})
    with pytest.raises(FormulaError, match="'hurd'.*Did you mean 'herd'"):
        build("y ~ x + (1 | hurd)", data)
    with pytest.raises(FormulaError, match="groups: .*'hurd'.*Did you mean 'herd'"):
        build("y ~ x", data, groups="hurd")


# Collinear columns


def test_collinear_columns_are_dropped_named_and_warned_about(data):
    data["x2"] = 3 * data["x"] - 1
    data["one"] = 5.0
    with pytest.warns(DataWarning, match="x2, one"):
        model = build("y ~ x + x2 + one + z + (1 | g)", data)
    assert model.dropped_columns == ("x2", "one")
    assert model.problem.predictors[0].names == ("Intercept", "x", "z")


def test_factor_with_one_level_is_named_as_collinear(data):
    data["f"] = "a"
    with pytest.warns(DataWarning, match=r"column\(s\) f:"):
        model = build("y ~ x + f", data)
    assert model.problem.predictors[0].names == ("Intercept", "x")


def test_collinear_column_of_another_parameter_is_named_with_it(data):
    data["x2"] = -data["x"]
    with pytest.warns(DataWarning, match="phi: x2"):
        model = build("y ~ z", data, parameters={"phi": "~ x + x2"})
    assert model.dropped_columns == ("phi: x2",)


def test_interaction_without_observations_is_dropped(data):
    data = data[~((data["f"] == "c") & (data["h"] == "q"))]
    with pytest.warns(DataWarning, match=r"f\[T.c\]:h\[T.q\]"):
        model = build("y ~ f * h", data)
    assert model.problem.predictors[0].X.shape[1] == 5


# Arguments


@pytest.mark.parametrize(
    ("options", "noun"),
    [
        ({"formula": 3}, "formula: .* got a int"),
        ({"formula": ["y ~ x"]}, "formula: .* got a list"),
        ({"groups": 3}, "groups must be text.* got 3"),
        ({"groups": ["g", 3]}, "groups must be text.* got 3"),
        ({"random": {"g": "1"}}, "random must be text.* got {"),
        ({"parameters": "~ x"}, "parameters: .* got a str"),
        ({"parameters": {"phi": 1}}, r"parameters\['phi'\]: .* got a int"),
    ],
)
def test_argument_of_the_wrong_type_is_named(data, options, noun):
    with pytest.raises(OptionError, match=noun):
        build(**{"formula": "y ~ x", "data": data, **options})


@pytest.mark.parametrize(
    ("formula", "span"),
    [
        ("yy ~ x", "yy"),
        ("y ~ x + xx", "xx"),
        ("y ~ x + (1 + xx | g)", "xx"),
        ("y ~ x + (1 | gg)", "gg"),
        ("y ~ x + offset(log(ee))", "ee"),
        ("y ~ C(ff)", "ff"),
    ],
)
def test_unknown_column_is_pointed_at(data, formula, span):
    with pytest.raises(FormulaError, match="Columns available: y, n, x, z, e, f, g") as error:
        build(formula, data)
    text, marker = str(error.value).splitlines()[-2:]
    assert text[marker.index("^") : marker.rindex("^") + 1] == span


@pytest.mark.parametrize(
    ("formula", "span"),
    [
        ("y ~ x + poly(x, 24) + (1 | g)", "poly(x, 24)"),
        ("y ~ x + C(f, Treatment('q')) + (1 | g)", "Treatment('q')"),
        ("y ~ x y", "y"),
        ("y ~ z + (x: | g)", ":"),
    ],
)
def test_what_the_design_cannot_read_is_pointed_at(data, formula, span):
    with pytest.raises(FormulaError, match="formula: ") as error:
        build(formula, data)
    text, marker = str(error.value).splitlines()[-2:]
    assert text[marker.index("^") : marker.rindex("^") + 1] == span


def test_levels_left_out_of_a_factor_made_in_the_formula_are_named(data):
    with pytest.raises(DataError, match="levels listed.*got c"):
        build("y ~ C(f, levels=['a', 'b'])", data)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | m)", "y ~ m"])
def test_levels_with_one_name_are_refused(data, formula):
    data["m"] = pd.Categorical(["1", 1, "2"] * 8, categories=["1", 1, "2"])
    with pytest.raises(DataError, match="column 'm': expected levels with different names.*'1'"):
        build(formula, data)


def test_label_that_is_missing_does_not_matter(data):
    data.index = pd.Index([pd.NA, *range(1, 24)], dtype=object)
    with pytest.raises(DataError, match="row 0 .index <NA>"):
        build("y ~ x", with_value(data, "x", 0, np.inf))


def test_duplicated_column_is_refused(data):
    data = pd.concat([data, data[["x"]]], axis=1)
    with pytest.raises(DataError, match="2 columns named 'x'"):
        build("y ~ x", data)
    build("y ~ z", data)


def test_group_names_do_not_depend_on_a_missing_value(data):
    whole = build("y ~ (1 | g)", data).problem.terms[0].levels
    holed = build("y ~ (1 | g)", with_value(data, "g", 23, np.nan)).problem.terms[0].levels
    assert holed == whole


def test_fractional_response_is_not_truncated(data):
    data["y"] = data["y"] + 0.5
    assert build("y ~ x", data, FakeFamily(phi=0.3)).problem.y[0] == data["y"][0]


# Numbers with a slip of the pen


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["1.5O", *np.arange(1, 24) / 2], "23 of 24 values are numbers, and '1.5O' in row 0"),
        ([*map(str, range(23)), "?"], "23 of 24 values are numbers, and '\\?' in row 23"),
        ([*map(str, range(24))], "24 of 24 values are numbers. For a covariate"),
    ],
)
@pytest.mark.parametrize("formula", ["y ~ v + (1 | g)", "y ~ v:x", "y ~ x + (0 + v | h)"])
def test_numbers_that_are_text_are_warned_about(data, column, words, formula):
    data["v"] = pd.Series(column, dtype=object)
    with pytest.warns(DataWarning) as caught, suppress(DataError):  # effects of 24 levels
        build(formula, data)
    (found,) = [each for each in caught if "'v': text" in str(each.message)]
    assert re.search(
        f"column 'v': text, taken as 24 categories, though {words}", str(found.message)
    )


@pytest.mark.parametrize(
    "column",
    [
        np.tile(["1", "2", "3"], 8),
        np.tile([f"t{k}" for k in range(12)], 2),
        np.tile([*map(str, range(12))], 2),
        pd.Categorical(["?", *map(str, range(23))]),
    ],
)
def test_text_that_stands_for_categories_is_not_warned_about(data, column):
    data["v"] = column
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        warnings.filterwarnings("default", message="formula: dropped")
        build("y ~ v", data)
    data["v"] = ["?", *map(str, range(23))]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        build("y ~ x + (1 | v)", data)  # a group may have any labels
