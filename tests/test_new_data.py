import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fakes import FakeFamily, build
from interlace.prediction.new_data import encode
from interlace_core.messages.errors import DataError


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    n = 36
    return pd.DataFrame(
        {
            "y": rng.poisson(3, n) + np.arange(n) % 2,
            "x": rng.normal(5, 2, n),
            "z": rng.uniform(1, 2, n),
            "e": rng.uniform(1, 5, n),
            "f": np.tile(["a", "b", "c"], 12),
            "period": np.tile([1, 2, 3, 4], 9),
            "g": np.repeat(["u", "v", "w"], 12),
            "h": np.tile(["q", "p"], 18),
            "i": np.repeat([1, 2, 10], 12),
        },
        index=[f"r{i}" for i in range(n)],
    )


FORMULAS = [
    "y ~ x * f + (1 | g)",
    "y ~ 0 + f + z + (0 + x | g)",
    "y ~ center(x) + scale(z) + poly(e, 3) + (center(x) | g)",
    "y ~ f:x + (f | g) + (0 + h | i)",
    "y ~ C(period) + (1 | g/h)",
    "y ~ C(f, contr.sum) + (1 | g:h:i)",
    "y ~ bs(x, df=4) + (1 | g)",
    "y ~ log(e) + offset(log(e)) + I(x > 5) + (1 | i)",
    "y ~ (1 | g)",
    "y ~ 0 + offset(z) + (1 | g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_training_rows_are_coded_as_in_training(data, formula):
    model = build(formula, data, parameters={"phi": "~ center(z) + f + (1 | h)"})
    rows = data.sample(frac=0.3, random_state=2)
    places = [list(data.index).index(label) for label in rows.index]
    new = encode(model.encoder, rows.drop(columns="y"))
    assert list(new.index) == list(rows.index)
    for ours, theirs in zip(new.predictors, model.problem.predictors, strict=True):
        np.testing.assert_allclose(ours.X, theirs.X[places], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ours.offset, theirs.offset[places])
    for ours, theirs in zip(new.terms, model.problem.terms, strict=True):
        np.testing.assert_allclose(ours.Z, theirs.Z[places], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ours.codes, theirs.codes[places])
        assert ours.unseen == ()


@pytest.mark.parametrize("formula", FORMULAS)
def test_encoder_survives_a_pickle(data, formula):
    encoder = build(formula, data).encoder
    again = pickle.loads(pickle.dumps(encoder))
    for one, other in zip(
        encode(encoder, data).predictors, encode(again, data).predictors, strict=True
    ):
        np.testing.assert_array_equal(one.X, other.X)


def test_encoder_holds_no_training_data(data):
    formula = "y ~ center(x) + poly(e, 2) + C(period) + f + offset(log(e)) + (x | g) + (1 | g:h)"
    large = pd.concat([data] * 200, ignore_index=True)
    sizes = [len(pickle.dumps(build(formula, each).encoder)) for each in (data, large)]
    assert abs(sizes[1] - sizes[0]) < 500


def test_missing_base_level_is_still_the_base(data):
    model = build("y ~ f + (1 | g)", data)
    X = encode(model.encoder, {"f": ["b", "c"], "g": ["u", "u"]}).predictors[0].X
    np.testing.assert_array_equal(X, [[1, 1, 0], [1, 0, 1]])


def test_base_level_of_a_factor_made_in_the_formula(data):
    X = encode(build("y ~ C(period)", data).encoder, {"period": [3]}).predictors[0].X
    np.testing.assert_array_equal(X, [[1, 0, 1, 0]])


def test_categories_of_new_data_do_not_matter(data):
    data["f"] = pd.Categorical(data["f"], categories=["c", "b", "a"])
    model = build("y ~ f + (1 | g)", data)
    new = pd.DataFrame(
        {
            "f": pd.Categorical(["a", "b"], categories=["a", "b", "unused"]),
            "g": pd.Categorical(["w", "u"], categories=["w", "u"]),
        }
    )
    coded = encode(model.encoder, new)
    assert model.problem.predictors[0].names == ("Intercept", "f[T.b]", "f[T.a]")
    np.testing.assert_array_equal(coded.predictors[0].X, [[1, 0, 1], [1, 1, 0]])
    assert coded.terms[0].codes.tolist() == [2, 0]


def test_center_uses_the_training_mean(data):
    X = encode(build("y ~ center(x)", data).encoder, {"x": [0.0, 100.0]}).predictors[0].X
    np.testing.assert_allclose(X[:, 1], [-data["x"].mean(), 100 - data["x"].mean()])


def test_offsets_are_computed_anew(data):
    model = build("y ~ x + offset(log(e))", data, offset="2 * z")
    new = encode(model.encoder, {"x": [1.0], "e": [np.e], "z": [3.0]})
    np.testing.assert_allclose(new.predictors[0].offset, [7.0])
    assert not model.encoder.external_offset


def test_offset_array_is_left_out_and_flagged(data):
    encoder = build("y ~ x + offset(z)", data, offset=np.ones(36)).encoder
    assert encoder.external_offset
    np.testing.assert_array_equal(
        encode(encoder, {"x": [1.0], "z": [3.0]}).predictors[0].offset, [3.0]
    )


def test_offset_can_be_left_out(data):
    encoder = build("y ~ x + offset(log(e))", data).encoder
    new = encode(encoder, {"x": [1.0]}, need_offset=False)
    np.testing.assert_array_equal(new.predictors[0].offset, [0.0])


def test_fixed_parameter_keeps_its_constant(data):
    new = encode(build("y ~ x", data, FakeFamily(phi=2.0)).encoder, {"x": [1.0, 2.0]})
    assert new.predictors[1].X.shape == (2, 0)
    np.testing.assert_allclose(new.predictors[1].offset, np.log([2.0, 2.0]))


def test_collinear_columns_stay_dropped(data):
    data["x2"] = 2 * data["x"]
    with pytest.warns(match="x2"):
        model = build("y ~ x + x2 + z", data)
    new = encode(model.encoder, {"x": [1.0], "x2": [2.0], "z": [3.0]}).predictors[0]
    np.testing.assert_array_equal(new.X, [[1.0, 1.0, 3.0]])
    assert not new.without_estimate.any()


def test_row_that_does_not_share_the_collinearity_has_no_estimate(data):
    data["x2"] = 2 * data["x"]
    with pytest.warns(match="x2"):
        model = build("y ~ x + x2 + z", data)
    new = encode(model.encoder, {"x": [1.0, 1.0], "x2": [50.0, 2.0], "z": [3.0, 3.0]})
    assert new.predictors[0].without_estimate.tolist() == [True, False]
    assert np.isnan(new.predictors[0].X).all(axis=1).tolist() == [True, False]


# Random effects


def test_slope_without_intercept_has_one_column(data):
    new = encode(build("y ~ x + (0 + x | g)", data).encoder, {"x": [2.0, 3.0], "g": ["w", "u"]})
    np.testing.assert_array_equal(new.terms[0].Z, [[2.0], [3.0]])
    assert new.terms[0].codes.tolist() == [2, 0]


def test_unseen_level_has_code_minus_one_and_is_named(data):
    new = encode(
        build("y ~ x + (1 | g)", data).encoder,
        {"x": [1.0] * 5, "g": ["new", "v", None, "newer", "new"]},
    )
    assert new.terms[0].codes.tolist() == [-1, 1, -1, -1, -1]
    assert new.terms[0].unseen == ("new", "newer")


def test_nested_group_is_coded_by_both_columns(data):
    model = build("y ~ x + (1 | g/h)", data)
    new = encode(model.encoder, {"x": [1.0] * 3, "g": ["v", "v", "t"], "h": ["p", "q", "p"]})
    outer, inner = new.terms
    assert outer.codes.tolist() == [1, 1, -1]
    assert [model.problem.terms[1].levels[code] for code in inner.codes[:2]] == ["v:p", "v:q"]
    assert inner.codes[2] == -1
    assert (outer.unseen, inner.unseen) == (("t",), ("t:p",))


def test_combination_not_seen_is_new_though_its_parts_are_known(data):
    data = data[~((data["g"] == "v") & (data["h"] == "p"))]
    model = build("y ~ x + (1 | g:h)", data)
    new = encode(model.encoder, {"x": [1.0] * 2, "g": ["v", "v"], "h": ["p", "q"]})
    assert model.problem.terms[0].levels[new.terms[0].codes[1]] == "v:q"
    assert new.terms[0].codes[0] == -1
    assert new.terms[0].unseen == ("v:p",)


@pytest.mark.parametrize("values", [[10, 2], [10.0, 2.0], ["10", "2"], [10.0, 2.0, np.nan]])
def test_numbered_groups_match_in_any_type(data, values):
    new = encode(build("y ~ (1 | i)", data).encoder, {"i": values})
    assert new.terms[0].codes.tolist() == [2, 1, -1][: len(values)]
    assert new.terms[0].unseen == ()


def test_group_columns_are_not_needed_without_random_effects(data):
    new = encode(build("y ~ x + (1 + z | g)", data).encoder, {"x": [1.0]}, need_random=False)
    assert new.terms[0].codes.tolist() == [-1]
    assert np.isnan(new.terms[0].Z).all()


def test_group_with_unseen_level_that_is_a_fixed_factor_too(data):
    encoder = build("y ~ f + (1 | f:g)", data).encoder
    with pytest.raises(DataError, match="column 'f'.*unseen level"):
        encode(encoder, {"f": ["zz"], "g": ["u"]})


# Missing and wrong columns


def test_missing_value_gives_nan_and_keeps_the_row(data):
    encoder = build("y ~ x + f + offset(z) + (x | g)", data, parameters={"phi": "~ e"}).encoder
    new = encode(
        encoder,
        pd.DataFrame(
            {
                "x": [1.0, np.nan, 1.0, 1.0],
                "f": ["b", "b", None, "b"],
                "z": [1.0, 1.0, 1.0, np.nan],
                "e": [2.0, 2.0, 2.0, np.nan],
                "g": ["u", "v", "w", "u"],
            },
            index=list("ABCD"),
        ),
    )
    mean, phi, _ = new.predictors
    assert np.isnan(mean.X).all(axis=1).tolist() == [False, True, True, False]
    assert not np.isnan(mean.X[[0, 3]]).any()
    assert np.isnan(mean.offset).tolist() == [False, False, False, True]
    assert np.isnan(phi.X).any(axis=1).tolist() == [False, False, False, True]
    assert np.isnan(new.terms[0].Z).any(axis=1).tolist() == [False, True, False, False]
    assert list(new.index) == list("ABCD")


def test_rows_that_all_miss_a_value_are_all_nan(data):
    X = encode(build("y ~ f + x", data).encoder, {"f": ["a"], "x": [None]}).predictors[0].X
    assert np.isnan(X).all() and X.shape == (1, 4)


def test_transform_out_of_its_domain_gives_nan_without_a_word(data):
    X = encode(build("y ~ log(e)", data).encoder, {"e": [-1.0, 1.0]}).predictors[0].X
    np.testing.assert_array_equal(X[:, 1], [np.nan, 0.0])


def test_unseen_level_of_a_fixed_factor_is_named(data):
    encoder = build("y ~ f + (1 | g)", data).encoder
    with pytest.raises(DataError, match=r"column 'f'.*\(a, b, c\).*unseen level\(s\) d, e\b"):
        encode(encoder, {"f": ["d", "a", "e"], "g": ["u"] * 3})


def test_unseen_level_of_a_factor_made_in_the_formula_is_named(data):
    encoder = build("y ~ C(period)", data).encoder
    with pytest.raises(DataError, match=r"C\(period\).*seen in training.*7"):
        encode(encoder, {"period": [1, 7]})


def test_missing_columns_are_named(data):
    encoder = build("y ~ x + f + offset(z) + (1 | g)", data).encoder
    with pytest.raises(DataError, match=r"newdata: .*f, z, g.*not there"):
        encode(encoder, {"x": [1.0], "u": [1.0]})


def test_text_where_numbers_were_is_named(data):
    encoder = build("y ~ x", data).encoder
    with pytest.raises(DataError, match="column 'x': expected numbers .*'many'"):
        encode(encoder, {"x": ["many"]})


def test_numbers_given_as_categories_are_numbers(data):
    new = encode(build("y ~ x", data).encoder, {"x": pd.Categorical([2, 1, 2])})
    np.testing.assert_array_equal(new.predictors[0].X[:, 1], [2.0, 1.0, 2.0])


def test_transform_that_fails_on_new_data_is_named(data):
    encoder = build("y ~ bs(x, df=4)", data).encoder
    with pytest.raises(DataError, match=r"newdata: .*bs\(x, df=4\)"):
        encode(encoder, {"x": [1000.0]})


def test_zero_rows_are_refused(data):
    with pytest.raises(DataError, match="newdata: .*zero rows"):
        encode(build("y ~ x", data).encoder, {"x": []})


def test_new_data_comes_in_any_frame(data):
    encoder = build("y ~ x + f + (1 | g)", data).encoder
    new = {"x": [1.0, 2.0], "f": ["b", "a"], "g": ["w", "t"]}
    one, other = encode(encoder, new), encode(encoder, pl.DataFrame(new))
    np.testing.assert_array_equal(one.predictors[0].X, other.predictors[0].X)
    np.testing.assert_array_equal(one.terms[0].codes, other.terms[0].codes)
    assert other.terms[0].unseen == ("t",)
