"""A wrong prediction never passes silently: each against a computation by hand.

By hand means: from `fe_params` and `random_effects` alone, with the coding of the training data
written out, and without the library's encoders.
"""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.special import expit

import interlace
from interlace_core.messages.errors import DataError, DataWarning, OptionError

N_A, N_B, REPEATS = 8, 5, 6
N = N_A * N_B * REPEATS


@pytest.fixture(scope="module")
def data():
    """Counts with exposure over groups a, and b within (or across) a; rows named r0, r1, ..."""
    rng = np.random.default_rng(11)
    a, b = (
        np.repeat(np.arange(N_A), N_B * REPEATS),
        np.tile(np.repeat(np.arange(N_B), REPEATS), N_A),
    )
    frame = pd.DataFrame(
        {
            "x": rng.normal(5.0, 2.0, size=N),
            "f": pd.Categorical(rng.choice(["low", "mid", "top"], size=N)),
            "e": rng.uniform(0.5, 3.0, size=N),
            "a": [f"a{i}" for i in a],
            "b": [f"b{i}" for i in b],
            "number": a + 1,
        },
        index=[f"r{i}" for i in range(N)],
    )
    eta = 0.2 + 0.3 * (frame["x"] - 5.0) + np.array([0.0, 0.4, -0.3])[frame["f"].cat.codes]
    eta += np.log(frame["e"]) + 0.5 * rng.normal(size=N_A)[a]
    eta += 0.1 * rng.normal(size=N_A)[a] * (frame["x"] - 5.0)
    eta += 0.4 * rng.normal(size=(N_A, N_B))[a, b]
    frame["y"] = rng.poisson(np.exp(eta))
    return frame


@pytest.fixture(scope="module")
def new(data):
    """Ten rows of the data in another order, without the response and without the level `low`."""
    rows = data[data["f"] != "low"].sample(10, random_state=1)
    return rows.drop(columns="y").assign(f=rows["f"].astype(str))


@pytest.fixture(scope="module")
def everything(data):
    """Base level, `center`, an offset, a slope without intercept and nested groups in one fit."""
    return interlace.glmer(
        "y ~ center(x) + f + offset(log(e)) + (0 + center(x) | a) + (1 | a/b)", data, "poisson"
    )


@pytest.fixture(scope="module")
def intercepts(data):
    return interlace.glmer("y ~ x + f + (1 | a)", data, "poisson")


def level_effect(fit, rows):
    """Return the coefficient of each row's level of f; the base level `low` has none."""
    levels = {"low": 0.0, "mid": fit.fe_params["f[T.mid]"], "top": fit.fe_params["f[T.top]"]}
    return rows["f"].astype(str).map(levels).to_numpy(dtype=float)


def everything_by_hand(fit, rows, training):
    """Return the linear predictor of the model `everything`."""
    beta, of_a, of_ab = fit.fe_params, fit.random_effects["a"], fit.random_effects["a:b"]
    centred = rows["x"].to_numpy() - training["x"].mean()
    return (
        beta["Intercept"]
        + beta["center(x)"] * centred
        + level_effect(fit, rows)
        + np.log(rows["e"].to_numpy())
        + of_a.loc[rows["a"], "Intercept"].to_numpy()
        + of_a.loc[rows["a"], "center(x)"].to_numpy() * centred
        + of_ab[rows["a"] + ":" + rows["b"]].to_numpy()
    )


def assert_predicts(fit, rows, eta, **options):
    """Hold predictions on both scales, and their index, against a linear predictor."""
    link = fit.predict(rows, type="link", **options)
    assert link.index.equals(rows.index)
    assert link.to_numpy() == pytest.approx(np.asarray(eta), abs=1e-10)
    response = fit.predict(rows, **options)
    assert response.index.equals(rows.index)
    assert response.to_numpy() == pytest.approx(np.exp(eta), rel=1e-10)


# --- the classic silent errors, together and one by one


def test_everything_at_once_agrees_with_hand(everything, new, data):
    assert_predicts(everything, new, everything_by_hand(everything, new, data))


def test_training_data_give_the_fitted_values(everything, data):
    again = everything.predict(data)
    assert again.index.equals(everything.fittedvalues.index)
    assert again.to_numpy() == pytest.approx(everything.fittedvalues.to_numpy(), rel=1e-12)
    assert everything.predict().equals(everything.fittedvalues)
    shuffled = data.sample(frac=1.0, random_state=2)
    moved = everything.predict(shuffled)
    assert moved.index.equals(shuffled.index)
    assert moved[data.index].to_numpy() == pytest.approx(again.to_numpy(), rel=1e-12)


def test_base_level_may_be_missing(intercepts, new):
    """Coded anew, `mid` would become the base level."""
    assert "low" not in set(new["f"])
    beta = intercepts.fe_params
    eta = beta["Intercept"] + beta["x"] * new["x"] + level_effect(intercepts, new)
    eta += intercepts.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(intercepts, new, eta)
    one = new[new["f"] == "top"].iloc[:1]
    assert_predicts(intercepts, one, eta[one.index])


@pytest.mark.parametrize("levels", [["top", "mid", "low"], ["mid", "top"], ["mid", "top", "none"]])
def test_levels_in_another_order_keep_their_meaning(intercepts, new, levels):
    recoded = new.assign(f=pd.Categorical(new["f"], categories=levels))
    assert intercepts.predict(recoded).equals(intercepts.predict(new))


@pytest.mark.parametrize("transform", ["center", "scale"])
def test_transform_keeps_the_mean_of_the_training_data(data, new, transform):
    fit = interlace.glmer(f"y ~ {transform}(x) + (1 | a)", data, "poisson")
    spread = {"center": 1.0, "scale": data["x"].std()}[transform]
    centred = (new["x"] - data["x"].mean()) / spread
    eta = fit.fe_params["Intercept"] + fit.fe_params[f"{transform}(x)"] * centred
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(fit, new, eta)
    single = new.iloc[[4]]
    assert_predicts(fit, single, eta.iloc[[4]])


def test_slope_without_intercept_is_multiplied_by_its_covariate(data, new):
    fit = interlace.glmer("y ~ x + (0 + x | a)", data, "poisson")
    assert fit.random_effects["a"].name == "x"
    slope = fit.fe_params["x"] + fit.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(fit, new, fit.fe_params["Intercept"] + slope * new["x"])


def test_factor_slopes_follow_the_level_of_the_row(data, new):
    fit = interlace.glmer("y ~ x + (0 + f || a)", data, "poisson")
    of_a = fit.random_effects["a"]
    assert list(of_a.columns) == ["f[low]", "f[mid]", "f[top]"]
    chosen = [of_a.loc[a, f"f[{f}]"] for a, f in zip(new["a"], new["f"], strict=True)]
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"] + np.array(chosen)
    assert_predicts(fit, new, eta)


def test_nested_groups_add_both_of_their_effects(data, new):
    fit = interlace.glmer("y ~ x + (1 | a/b)", data, "poisson")
    assert list(fit.random_effects) == ["a", "a:b"]
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    eta += fit.random_effects["a:b"][new["a"] + ":" + new["b"]].to_numpy()
    assert_predicts(fit, new, eta)


def test_interaction_group_is_the_combination(data, new):
    fit = interlace.glmer("y ~ x + (1 | a:b)", data, "poisson")
    assert list(fit.random_effects) == ["a:b"]
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    eta += fit.random_effects["a:b"][new["a"] + ":" + new["b"]].to_numpy()
    assert_predicts(fit, new, eta)


@pytest.mark.parametrize("as_type", [float, str, "category", "int32"])
def test_numbers_as_groups_are_known_in_any_type(data, new, as_type):
    fit = interlace.glmer("y ~ x + (1 | number)", data, "poisson")
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    eta += fit.random_effects["number"][new["number"].astype(str)].to_numpy()
    assert_predicts(fit, new.assign(number=new["number"].astype(as_type)), eta)


def test_collinear_column_that_was_dropped_stays_out(data, new):
    twice = data.assign(z=2.0 * data["x"])
    with pytest.warns(DataWarning, match=r"column\(s\) z"):
        fit = interlace.glmer("y ~ x + z + (1 | a)", twice, "poisson")
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(fit, new.assign(z=2.0 * new["x"]), eta)


def test_proportion_needs_no_trials_in_new_data():
    cbpp = interlace.datasets.load("cbpp")
    fit = interlace.glmer(
        "incidence / size ~ period", cbpp, "binomial", groups="herd", weights="size"
    )
    rows = pd.DataFrame({"herd": ["7", "15"], "period": ["4", "2"]})
    eta = fit.fe_params["Intercept"] + fit.fe_params[["period[T.4]", "period[T.2]"]].to_numpy()
    eta = eta + fit.random_effects["herd"][["7", "15"]].to_numpy()
    assert fit.predict(rows).to_numpy() == pytest.approx(expit(eta), rel=1e-10)
    assert fit.predict(rows, type="link").to_numpy() == pytest.approx(eta, abs=1e-10)


# --- offsets


def test_offset_of_the_formula_comes_from_new_data(data, new):
    fit = interlace.glmer("y ~ x + offset(log(e)) + (1 | a)", data, "poisson")
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"] + np.log(new["e"])
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(fit, new, eta)
    double = fit.predict(new.assign(e=2.0 * new["e"])) / fit.predict(new)
    assert double.to_numpy() == pytest.approx(2.0)
    with pytest.raises(DataError, match=r"newdata: expected the column\(s\) e"):
        fit.predict(new.drop(columns="e"))


def test_offset_given_as_text_is_that_of_the_formula(data, new):
    inside = interlace.glmer("y ~ x + offset(log(e)) + (1 | a)", data, "poisson")
    beside = interlace.glmer("y ~ x + (1 | a)", data, "poisson", offset="log(e)")
    assert beside.predict(new).to_numpy() == pytest.approx(inside.predict(new).to_numpy())


def test_offset_given_as_an_array_is_asked_for_again(data, new):
    fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson", offset=np.log(data["e"]))
    with pytest.raises(DataError) as caught:
        fit.predict(new)
    for noun in ("offset as an array", "predict(offset=...)", "offset(...) in the formula"):
        assert noun in str(caught.value)
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    assert_predicts(fit, new, eta + np.log(new["e"]), offset=np.log(new["e"]).to_numpy())
    assert_predicts(fit, new, eta, offset=0.0)
    assert fit.predict(data, offset=np.log(data["e"]).to_numpy()).to_numpy() == pytest.approx(
        fit.fittedvalues.to_numpy(), rel=1e-12
    )


def test_offset_of_the_wrong_length_is_refused(data, new):
    fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson", offset=np.log(data["e"]))
    with pytest.raises(DataError, match=r"predict: offset: expected one number per row"):
        fit.predict(new, offset=[0.1, 0.2])


def test_offset_without_new_data_is_refused(everything, data):
    with pytest.raises(OptionError, match="offset goes with newdata"):
        everything.predict(offset=np.zeros(N))


def test_offset_series_in_another_order_is_aligned(data, new):
    fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson", offset=np.log(data["e"]))
    shuffled = np.log(new["e"]).iloc[::-1]
    assert fit.predict(new, offset=shuffled).equals(fit.predict(new, offset=np.log(new["e"])))


# --- without random effects


def test_without_random_effects_the_groups_are_not_needed(everything, new, data):
    beta = everything.fe_params
    eta = beta["Intercept"] + beta["center(x)"] * (new["x"] - data["x"].mean())
    eta += level_effect(everything, new) + np.log(new["e"])
    assert_predicts(everything, new.drop(columns=["a", "b"]), eta, include_re=False)
    in_sample = everything.predict(include_re=False)
    again = everything.predict(data, include_re=False)
    assert in_sample.to_numpy() == pytest.approx(again.to_numpy(), rel=1e-12)


def test_without_random_effects_new_levels_do_not_matter(everything, new):
    plain = everything.predict(new, include_re=False)
    moved = everything.predict(new.assign(a="elsewhere"), include_re=False, new_levels="error")
    assert moved.equals(plain)


# --- levels that were not in the fit


def test_new_level_contributes_nothing_and_warns_once(intercepts, new):
    unknown = new.copy()
    unknown.loc[unknown.index[:3], "a"] = ["a99", "a98", "a99"]
    with pytest.warns(DataWarning) as caught:
        predicted = intercepts.predict(unknown)
    assert len(caught) == 1
    message = str(caught[0].message)
    for noun in ("2 level(s) of 'a'", "'a98'", "'a99'", "random effect of 0"):
        assert noun in message
    assert caught[0].filename == __file__
    population = intercepts.predict(new, include_re=False)
    assert predicted.iloc[:3].equals(population.iloc[:3])
    assert predicted.iloc[3:].equals(intercepts.predict(new).iloc[3:])


def test_new_level_of_one_group_leaves_the_other_groups(everything, new, data):
    unknown = new.assign(b="b99")
    of_ab = everything.random_effects["a:b"][new["a"] + ":" + new["b"]].to_numpy()
    eta = everything_by_hand(everything, new, data) - of_ab
    with pytest.warns(DataWarning, match="level\\(s\\) of 'a:b'") as caught:
        predicted = everything.predict(unknown, type="link")
    assert len(caught) == 1
    assert predicted.to_numpy() == pytest.approx(eta, abs=1e-10)


def test_combination_that_was_not_seen_is_new_though_its_parts_are_known(data, new):
    fewer = data[~((data["a"] == "a3") & (data["b"] == "b2"))]
    fit = interlace.glmer("y ~ x + (1 | a:b)", fewer, "poisson")
    row = new.iloc[[0]].assign(a="a3", b="b2")
    with pytest.warns(DataWarning, match="'a3:b2'"):
        predicted = fit.predict(row)
    assert predicted.equals(fit.predict(row, include_re=False))


def test_new_level_warns_once_for_several_terms_on_its_group(data, new):
    fit = interlace.glmer("y ~ x + (x || a) + (0 + e | a)", data, "poisson")
    with pytest.warns(DataWarning) as caught:
        fit.predict(new.assign(a="a99"))
    assert len(caught) == 1


def test_new_level_is_an_error_on_demand(intercepts, new):
    unknown = new.assign(a="a99")
    with pytest.raises(DataError) as caught:
        intercepts.predict(unknown, new_levels="error")
    for noun in ("1 level(s) of 'a'", "'a99'", 'new_levels="population"'):
        assert noun in str(caught.value)
    assert intercepts.predict(new, new_levels="error").equals(intercepts.predict(new))


def test_new_level_is_an_error_by_configuration(data, new):
    with interlace.options(new_levels="error"):
        fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson")
    with pytest.raises(DataError, match="'a99'"):
        fit.predict(new.assign(a="a99"))
    with pytest.warns(DataWarning, match="'a99'"):
        fit.predict(new.assign(a="a99"), new_levels="population")


def test_new_level_of_a_fixed_effect_is_an_error(intercepts, new):
    with pytest.raises(DataError) as caught:
        intercepts.predict(new.assign(f="huge"))
    for noun in ("column 'f'", "low, mid, top", "unseen level(s) huge"):
        assert noun in str(caught.value)


@pytest.mark.parametrize("policy", ["population", "error"])
def test_missing_group_gives_nan_in_its_row_alone(everything, new, policy):
    """A group that is not known is neither a new level nor one with a random effect of 0."""
    holed = new.astype({"a": object})
    holed.loc[holed.index[2], "a"] = None
    predicted = everything.predict(holed, new_levels=policy)
    assert np.flatnonzero(predicted.isna()).tolist() == [2]
    kept = predicted.index.delete(2)
    assert predicted[kept].equals(everything.predict(new)[kept])
    population = everything.predict(holed, include_re=False)
    assert population.equals(everything.predict(new, include_re=False))


# --- missing values, order, kinds of frames


@pytest.mark.parametrize("column", ["x", "f", "e"])
def test_missing_covariate_gives_nan_in_its_row_alone(everything, new, column):
    holed = new.astype({"f": object})
    holed.loc[holed.index[[1, 4]], column] = None if column == "f" else np.nan
    predicted = everything.predict(holed)
    assert predicted.index.equals(new.index)
    assert np.flatnonzero(predicted.isna()).tolist() == [1, 4]
    kept = [i for i in range(len(new)) if i not in (1, 4)]
    expected = everything.predict(new)
    assert predicted.iloc[kept].to_numpy() == pytest.approx(expected.iloc[kept].to_numpy())


def test_index_is_kept_even_with_repeated_labels(intercepts, new):
    relabelled = new.set_axis([3, 3, 1, 0, 0, 0, 7, 8, 9, 9], axis=0)
    predicted = intercepts.predict(relabelled)
    assert predicted.index.equals(relabelled.index)
    assert predicted.to_numpy() == pytest.approx(intercepts.predict(new).to_numpy(), rel=1e-12)


def test_columns_count_by_name(intercepts, new):
    turned = new[new.columns[::-1]].assign(unused="text")
    assert intercepts.predict(turned).equals(intercepts.predict(new))


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
        lambda frame: {name: frame[name].to_list() for name in frame},
    ],
    ids=["polars", "pyarrow", "dict"],
)
def test_kind_of_frame_does_not_matter(everything, new, convert):
    predicted = everything.predict(convert(new))
    assert predicted.to_numpy() == pytest.approx(everything.predict(new).to_numpy(), rel=1e-12)


def test_what_is_asked_with_a_frame_comes_back_in_its_library(everything, new):
    polars, arrow = pl.from_pandas(new), pa.Table.from_pandas(new, preserve_index=False)
    wanted = everything.predict(new, se=True)
    assert isinstance(everything.predict(polars), pl.Series)
    assert isinstance(everything.predict(arrow), pa.ChunkedArray)
    assert everything.predict(new.to_dict("list")).index.equals(pd.RangeIndex(len(new)))
    frames = everything.predict(polars, se=True), everything.predict(arrow, se=True)
    assert isinstance(frames[0], pl.DataFrame) and isinstance(frames[1], pa.Table)
    for frame in frames:
        for name in wanted:
            assert frame[name].to_numpy() == pytest.approx(wanted[name].to_numpy(), rel=1e-9)
    beside = everything.augment(newdata=polars, type="response")
    assert isinstance(beside, pl.DataFrame) and beside.columns[: polars.width] == polars.columns
    assert beside[".fitted"].to_numpy() == pytest.approx(wanted["fit"].to_numpy(), rel=1e-9)


def test_rows_without_a_value_are_left_out_of_any_frame():
    frame = pl.DataFrame(
        {"y": [1, 2, 0, 3, 1, None, 2, 4], "g": list("aabbccdd"), "f": pl.Series([0.5] * 8)}
    )
    fit = interlace.glmer("y ~ 1 + (1 | g)", frame, "poisson")
    beside = fit.augment(frame)
    assert beside["y"].to_list() == [1, 2, 0, 3, 1, 2, 4] and beside["g"].to_list()[4] == "c"
    assert beside[".fitted"].to_numpy() == pytest.approx(fit.predict(type="link").to_numpy())


def test_categories_of_a_prediction_stay_ordered():
    frame = pl.DataFrame({"r": [1, 2, 3, 2, 3, 1, 2, 3], "x": [0.0, 1, 2, 1, 2, 0, 2, 1]})
    fit = interlace.clmm("r ~ x", frame, random=[])
    found = fit.predict(frame, type="class")
    assert found.dtype == pl.Enum(["1", "2", "3"])
    assert found.to_list() == fit.predict(frame.to_pandas(), type="class").astype(str).to_list()
    assert fit.predict(frame).columns == ["1", "2", "3"]
    arrow = fit.predict(frame.to_arrow(), type="class")
    assert arrow.to_pylist() == found.to_list()


@pytest.mark.parametrize("column", ["x", "f", "a", "b"])
def test_missing_column_is_named(everything, new, column):
    with pytest.raises(DataError) as caught:
        everything.predict(new.drop(columns=column))
    assert f"newdata: expected the column(s) {column}" in str(caught.value)
    assert "Columns available:" in str(caught.value)


def test_text_in_place_of_numbers_is_refused(intercepts, new):
    with pytest.raises(DataError, match="column 'x': expected numbers as in training"):
        intercepts.predict(new.assign(x="five"))


# --- options


def test_scale_of_a_prediction_is_asked_for_by_name(data, new):
    fit = interlace.glmer("y ~ x + (1 | a)", data, "negativebinomial")
    theta = fit.family_params.loc["theta", "value"]
    for name in ("theta", "dispersion"):
        predicted = fit.predict(new, type=name)
        assert predicted.index.equals(new.index)
        assert predicted.to_numpy() == pytest.approx(np.full(len(new), theta))
    with pytest.raises(OptionError) as caught:
        fit.predict(new, type="respons")
    for noun in ("type must be one of 'response', 'link'", "'theta'", "Did you mean 'response'?"):
        assert noun in str(caught.value)


def test_unknown_policy_for_new_levels_is_refused(intercepts, new):
    with pytest.raises(OptionError, match="new_levels must be one of 'population', 'error'"):
        intercepts.predict(new, new_levels="ignore")


def test_include_re_must_be_a_truth_value_or_name_terms(intercepts, new):
    with pytest.raises(OptionError, match="include_re must be True, False or the name"):
        intercepts.predict(new, include_re=1)
    with pytest.raises(OptionError, match="no random-effects term") as caught:
        intercepts.predict(new, include_re="herd")
    assert "(1 | a)" in str(caught.value)


def test_terms_that_are_left_out_need_no_columns(data, new):
    fit = interlace.glmer("y ~ x + (1 | a) + (0 + e | b)", data, "poisson")
    few = new[["x", "a"]]
    eta = fit.fe_params["Intercept"] + fit.fe_params["x"] * new["x"]
    np.testing.assert_allclose(fit.predict(few, include_re=False, type="link"), eta, rtol=1e-12)
    eta += fit.random_effects["a"][new["a"]].to_numpy()
    for names in ("a", ["a"], ["1 | a"], "(1|a)"):
        np.testing.assert_allclose(fit.predict(few, include_re=names, type="link"), eta, rtol=1e-12)
    with pytest.raises(DataError, match="b"):
        fit.predict(few, include_re=["a", "b"])
    with pytest.raises(DataError, match=r"column\(s\) e"):
        fit.predict(few, include_re="a", interval="prediction")  # of all effects


def test_part_of_a_term_can_be_asked_for(data, new):
    fit = interlace.glmer("y ~ f + (x | a)", data, "poisson")
    modes = fit.random_effects["a"].loc[new["a"]]
    base = fit.predict(new, include_re=False, type="link").to_numpy()
    parts = {
        "1 | a": modes["Intercept"].to_numpy(),
        "0 + x | a": modes["x"].to_numpy() * new["x"].to_numpy(),
        "x+0|a": modes["x"].to_numpy() * new["x"].to_numpy(),
    }
    for name, part in parts.items():
        found = fit.predict(new, include_re=name, type="link")
        np.testing.assert_allclose(found, base + part, rtol=1e-10)
    both = fit.predict(new, include_re=["1 | a", "0 + x | a"])
    np.testing.assert_allclose(both, fit.predict(new), rtol=1e-12)
    np.testing.assert_allclose(
        fit.predict(new.drop(columns="x"), include_re="1 | a", type="link"), base + parts["1 | a"]
    )
    in_sample = fit.predict(include_re="1 | a", type="link")
    np.testing.assert_allclose(in_sample, fit.predict(data, include_re="1 | a", type="link"))
    with pytest.raises(OptionError, match="no random-effects term"):
        fit.predict(new, include_re="e | a")


def test_what_is_left_out_of_a_term_counts_as_unknown(data, new):
    """Of a normal response the prediction variance is the sum of what is not known."""
    fit = interlace.glmer("y ~ f + (x | a)", data, "gaussian")
    row = new.iloc[[0]].assign(x=2.0)
    widths = {}
    for name in (True, "1 | a", "0 + x | a"):
        found = fit.predict(row, include_re=name, interval="prediction", n_sim=4000, seed=1)
        widths[name] = float((found["upper"] - found["lower"]).iloc[0]) / 2 / 1.959964
    S = fit.variance_components["a"].to_numpy()
    for name, left in {"1 | a": 4.0 * S[1, 1], "0 + x | a": S[0, 0]}.items():
        assert widths[name] ** 2 >= left + fit.scale * 0.9
    assert widths[True] < min(widths["1 | a"], widths["0 + x | a"])
