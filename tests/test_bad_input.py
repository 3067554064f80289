"""Bad input through `interlace.glmer`: the class of each error and the nouns of its message."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import interlace
from interlace_core.messages.errors import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    FormulaError,
    InterlaceError,
    OptionError,
    ResponseError,
    UnknownNameError,
)
from interlace_counts.negative_binomial import NegativeBinomial2Family

N_GROUPS, PER_GROUP = 10, 6
N = N_GROUPS * PER_GROUP


@pytest.fixture
def data():
    """Counts, measurements and 0/1 over 10 groups of 6 rows."""
    rng = np.random.default_rng(20261124)
    group = np.repeat(np.arange(N_GROUPS), PER_GROUP)
    x = rng.normal(size=N)
    eta = 0.4 + 0.5 * x + 0.6 * rng.normal(size=N_GROUPS)[group]
    return pd.DataFrame(
        {
            "count": rng.poisson(np.exp(eta)).astype(float),
            "size": rng.normal(eta),
            "hit": rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))),
            "x": x,
            "site": [f"s{g}" for g in group],
        }
    )


def refusal(error, formula, data, family="poisson", **options):
    """Return the message of the error that a call must raise."""
    options = {"groups": "site"} | options
    with pytest.raises(error) as caught:
        interlace.glmer(formula, data, family, **options)
    assert type(caught.value) is error
    return str(caught.value)


def assert_says(message, *nouns):
    for noun in nouns:
        assert noun in message, f"{noun!r} is not in {message!r}"


def replaced(data, column, row, value):
    """Return a copy with one value replaced."""
    changed = data.copy()
    changed[column] = changed[column].astype(object if value is None else float)
    changed.loc[row, column] = value
    return changed


# --- names that do not exist


@pytest.mark.parametrize(
    ("formula", "options", "argument", "name", "pointer"),
    [
        ("count ~ age", {}, "formula", "'age'", "        ^^^"),
        ("cuont ~ x", {}, "formula", "'cuont'", "^^^^^"),
        ("count ~ x + offset(log(hours))", {}, "formula", "'hours'", "^^^^^"),
        ("count ~ x + (1 | farm)", {"groups": None}, "formula", "'farm'", "^^^^"),
        ("count ~ x", {"groups": "farm"}, "groups", "'farm'", "^^^^"),
        ("count ~ x", {"random": ["(1 + age | site)"]}, "random", "'age'", "^^^"),
        ("count ~ x", {"weights": "trials"}, "weights", "'trials'", "^^^^^^"),
        ("count ~ x", {"offset": "log(hours)"}, "offset", "'hours'", "^^^^^"),
    ],
)
def test_unknown_column_is_named_and_pointed_at(data, formula, options, argument, name, pointer):
    message = refusal(FormulaError, formula, data, **options)
    assert message.startswith(f"{argument}: expected the name of a column, got {name}")
    assert_says(message, "Columns available: count, size, hit, x, site", pointer)


def test_unknown_column_suggests_a_close_one(data):
    assert_says(refusal(FormulaError, "cuont ~ x", data), "Did you mean 'count'?")
    assert "Did you mean" not in refusal(FormulaError, "count ~ altitude", data)


def test_unknown_family_lists_what_exists(data):
    message = refusal(UnknownNameError, "count ~ x", data, "poison")
    assert_says(message, "family 'poison'", "Did you mean 'poisson'?", "Installed families:")
    assert_says(message, "binomial", "gaussian", "negativebinomial")
    message = refusal(OptionError, "count ~ x", data, 3)
    assert_says(message, "family must be a name", "got int")


def test_unknown_optimizer_lists_what_exists(data):
    message = refusal(UnknownNameError, "count ~ x", data, optimizer="bobqa")
    assert_says(message, "optimizer 'bobqa'", "Did you mean 'bobyqa'?", "Installed optimizers:")
    assert_says(message, "lbfgsb")


def test_unknown_option_of_an_optimizer_lists_its_options(data):
    message = refusal(
        OptionError, "count ~ x", data, optimizer="bobyqa", optimizer_options={"maxfun": 10}
    )
    assert_says(message, "'bobyqa'", "'maxfun'", "max_evaluations", "radius_start", "radius_end")


def test_unknown_approximation_lists_what_exists(data):
    message = refusal(UnknownNameError, "count ~ x", data, approximation="laplac")
    assert_says(message, "approximation 'laplac'", "Did you mean 'laplace'?", "agq")


# --- responses outside of the family's domain


@pytest.mark.parametrize("family", ["poisson", "negativebinomial"])
@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1"), (2.5, "2.5")])
def test_counts_name_the_first_row_that_is_none(data, family, value, shown):
    data.loc[[7, 9], "count"] = value
    message = refusal(ResponseError, "count ~ x", data, family)
    assert_says(message, f"family {family!r}", "counts 0, 1, 2, ...", f"got {shown} in row 7")
    assert_says(message, "2 such row(s)")


def test_proportion_above_one_names_the_row(data):
    data.loc[5, "hit"] = 2
    message = refusal(ResponseError, "hit ~ x", data, "binomial")
    assert_says(message, "family 'binomial'", "a proportion between 0 and 1", "got 2 in row 5")
    assert_says(message, "give the trials")


def test_negative_failures_name_the_row(data):
    data["misses"] = 1 - data["hit"]
    data.loc[4, "misses"] = -3
    message = refusal(ResponseError, "cbind(hit, misses) ~ x", data, "binomial")
    assert_says(message, "successes and failures >= 0", "got -3 in row 4")


def test_offending_row_is_that_of_the_data_when_others_were_dropped(data):
    data.index = [f"r{i}" for i in range(N)]
    data.loc["r2", "x"] = np.nan
    data.loc["r7", "count"] = -1.0
    message = refusal(ResponseError, "count ~ x", data)
    assert_says(message, "row 7", "'r7'")


def test_text_response_is_refused_by_families_of_numbers(data):
    message = refusal(ResponseError, "site ~ x", data, groups="hit")
    assert_says(message, "response 'site'", "expected numbers", "'poisson'", "10 level(s)", "s0")


def test_text_response_of_a_binomial_needs_two_levels(data):
    message = refusal(ResponseError, "site ~ x", data, "binomial", groups="hit")
    assert_says(message, "response 'site'", "two levels", "'binomial'", "10 level(s)")


def test_pair_is_refused_by_families_of_numbers(data):
    message = refusal(ResponseError, "cbind(hit, 1 - hit) ~ x", data)
    assert_says(message, "cbind(hit, 1 - hit)", "expected numbers", "'poisson'", "a pair")


# --- nothing to estimate from


@pytest.mark.parametrize("column", ["x", "count", "site"])
@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA], ids=["nan", "none", "NA"])
def test_column_without_any_value_is_named(data, column, nothing):
    data[column] = [nothing] * N
    message = refusal(DataError, "count ~ x", data)
    assert_says(message, "without missing values", f"{column!r} is missing in {N} of {N} rows")


@pytest.mark.parametrize(
    ("formula", "family", "value", "shown"),
    [
        ("count ~ x", "poisson", 2.0, "2 in every row"),
        ("size ~ x", "gaussian", 1.5, "1.5 in every row"),
        ("hit ~ x", "binomial", 0.0, "0 in every row"),
        ("hit ~ x", "binomial", True, "'True' in every row"),
    ],
)
def test_constant_response_is_refused(data, formula, family, value, shown):
    column = formula.split()[0]
    data[column] = value
    message = refusal(ResponseError, formula, data, family)
    assert_says(message, f"response {column!r}", "differ between rows", shown)


def test_constant_response_is_fitted_where_the_offset_differs(data):
    data["count"] = 2.0
    data["site"] = np.arange(N) % 10
    data["exposure"] = 1.0 + np.arange(N) // 10  # the same total in each site
    fit = interlace.glmer("count ~ offset(log(exposure))", data, "poisson", groups="site")
    # without variance between sites the rate is counts over exposure
    assert fit.variance_components["site"] == 0.0
    rate = data["count"].sum() / data["exposure"].sum()
    # a fit may leave 1e-7 of log-likelihood to gain, here 5e-5 of the rate
    assert np.exp(fit.fe_params["Intercept"]) == pytest.approx(rate, rel=5e-5)


def test_counts_of_zero_are_refused_whatever_the_offset(data):
    data["count"] = 0.0
    message = refusal(ResponseError, "count ~ offset(x)", data, "poisson")
    assert_says(message, "response 'count'", "0 in every row")


def test_constant_share_is_fitted_where_the_trials_differ(data):
    data["trials"] = 2.0 + 2.0 * (np.arange(N) % 5)
    data["share"] = 0.5
    fit = interlace.glmer("share ~ 1", data, "binomial", groups="site", weights="trials")
    assert fit.fe_params["Intercept"] == pytest.approx(0.0, abs=1e-6)


def test_fractional_successes_warn_at_the_line_of_the_call(data):
    data["share"] = np.linspace(0.0, 1.0, N)
    with pytest.warns(DataWarning, match="not an integer") as caught:
        interlace.glmer("share ~ x", data, "binomial", groups="site")
    assert [each.filename for each in caught] == [__file__]


def test_pair_without_any_failure_is_refused(data):
    message = refusal(ResponseError, "cbind(hit + 1, 0 * hit) ~ x", data, "binomial")
    assert_says(message, "hit + 1 and 0 * hit", "only zeros in one of them")


@pytest.mark.parametrize("value", [1.0, "north"])
def test_constant_covariate_is_dropped_by_name(data, value):
    data["k"] = value
    with pytest.warns(DataWarning, match=r"dropped the collinear column\(s\) k\b"):
        fit = interlace.glmer("count ~ x + k", data, "poisson", groups="site")
    assert fit.dropped_columns == ("k",)
    assert list(fit.fe_params.index) == ["Intercept", "x"]


def test_constant_covariate_stays_where_there_is_no_intercept(data):
    data["k"] = 2.0
    fit = interlace.glmer("count ~ 0 + k + x", data, "poisson", groups="site")
    whole = interlace.glmer("count ~ x", data, "poisson", groups="site")
    assert fit.dropped_columns == ()
    assert fit.fe_params["k"] == pytest.approx(whole.fe_params["Intercept"] / 2.0, abs=1e-6)


def test_zero_rows_are_refused(data):
    message = refusal(DataError, "count ~ x", data.iloc[:0])
    assert_says(message, "data", "at least one row", "zero rows")


def test_something_else_than_a_data_frame_is_refused(data):
    message = refusal(DataError, "count ~ x", data.to_numpy())
    assert_says(message, "data frame", "pandas, polars, pyarrow", "ndarray")


# --- groups


def test_single_level_of_a_group_is_refused(data):
    data["site"] = "s0"
    message = refusal(DataError, "count ~ x", data)
    assert_says(message, "'site'", "two levels or more", "single level 's0'", "leave the term out")


def test_as_many_levels_as_rows_are_refused_for_a_gaussian(data):
    data["site"] = np.arange(N)
    message = refusal(DataError, "size ~ x", data, "gaussian")
    assert_says(message, "'site'", f"{N} levels in {N} rows", "residual variance")


def test_as_many_levels_as_rows_serve_a_poisson(data):
    """An effect per row is how counts are given more variation than Poisson."""
    data["row"] = np.arange(N)
    fit = interlace.glmer("count ~ x", data, "poisson", groups="row")
    assert fit.converged
    assert fit.ngroups == {"row": N}


def test_group_with_missing_values_loses_these_rows(data):
    holed = data.copy()
    holed["site"] = holed["site"].astype(object)
    holed.loc[3, "site"] = None
    holed.loc[4, "site"] = np.nan
    fit = interlace.glmer("count ~ x", holed, "poisson", groups="site")
    complete = interlace.glmer("count ~ x", data.drop(index=[3, 4]), "poisson", groups="site")
    assert fit.rows.missing == {"site": 2}
    assert fit.nobs == N - 2
    assert fit.ngroups == {"site": N_GROUPS}
    assert fit.llf == pytest.approx(complete.llf, abs=1e-9)
    assert_says(str(fit.summary()), f"{N - 2} (2 dropped with missing values: site 2)")


# --- columns that cannot be used


def test_collinear_columns_are_dropped_by_name(data):
    data["x_in_feet"] = 3.28 * data["x"] - 1.0
    with pytest.warns(DataWarning) as caught:
        fit = interlace.glmer("count ~ x + x_in_feet", data, "poisson", groups="site")
    assert len(caught) == 1
    assert_says(str(caught[0].message), "collinear column(s) x_in_feet", "linear combination")
    assert caught[0].filename == __file__
    alone = interlace.glmer("count ~ x", data, "poisson", groups="site")
    assert fit.dropped_columns == ("x_in_feet",)
    assert fit.fe_params.to_dict() == pytest.approx(alone.fe_params.to_dict(), abs=1e-8)
    assert fit.df == alone.df


def test_collinear_factor_is_dropped_level_by_level(data):
    data["half"] = np.where(data["x"] > 0, "upper", "lower")
    data["side"] = np.where(data["x"] > 0, "right", "left")
    with pytest.warns(DataWarning, match=r"side\[T\.right\]"):
        fit = interlace.glmer("count ~ half + side", data, "poisson", groups="site")
    assert fit.dropped_columns == ("side[T.right]",)


@pytest.mark.parametrize("column", ["x", "size"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_value_names_column_and_row(data, column, value):
    message = refusal(DataError, "size ~ x", replaced(data, column, 11, value), "gaussian")
    assert_says(message, f"column {column!r}", f"got {value}", "row 11")


def test_infinite_value_of_a_transform_names_the_term(data):
    data = replaced(data.assign(x=data["x"].abs()), "x", 11, 0.0)
    message = refusal(DataError, "count ~ log(x)", data)
    assert_says(message, "term 'log(x)'", "got -inf", "row 11")
    message = refusal(DataError, "count ~ offset(log(x))", data)
    assert_says(message, "offset(log(x))", "got -inf", "row 11")


def test_offending_row_is_named_with_its_label(data):
    data = replaced(replaced(data, "x", 2, np.nan), "x", 11, np.inf)
    data.index = [f"r{i}" for i in range(N)]
    assert_says(refusal(DataError, "count ~ x", data), "row 11", "'r11'")


def test_duplicated_column_is_refused_if_the_model_uses_it(data):
    doubled = pd.concat([data, data[["x"]]], axis=1)
    message = refusal(DataError, "count ~ x", doubled)
    assert_says(message, "each column once", "2 columns named 'x'", "duplicated")
    assert interlace.glmer("count ~ size", doubled, "poisson", groups="site").converged


def test_unused_level_of_a_covariate_is_dropped_and_noted(data):
    values = np.where(data["x"] > 0, "yes", "no")
    used = data.assign(f=pd.Categorical(values, categories=["no", "yes"]))
    more = data.assign(f=pd.Categorical(values, categories=["no", "maybe", "yes"]))
    expected = interlace.glmer("count ~ f", used, "poisson", groups="site")
    fit = interlace.glmer("count ~ f", more, "poisson", groups="site")
    assert fit.fe_params.to_dict() == pytest.approx(expected.fe_params.to_dict(), abs=1e-12)
    assert fit.notes == ("column 'f': dropped the unused level(s) maybe",)
    assert_says(str(fit.summary()), "unused level(s) maybe")


def test_unused_level_of_a_group_is_dropped_and_noted(data):
    levels = [*sorted(set(data["site"])), "never seen"]
    more = data.assign(site=pd.Categorical(data["site"], categories=levels))
    fit = interlace.glmer("count ~ x", more, "poisson", groups="site")
    assert fit.ngroups == {"site": N_GROUPS}
    assert "never seen" not in fit.random_effects["site"].index
    assert fit.notes == ("column 'site': dropped the unused level(s) never seen",)


def test_unused_first_level_does_not_become_the_base(data):
    values = np.where(data["x"] > 0, "yes", "no")
    more = data.assign(f=pd.Categorical(values, categories=["maybe", "no", "yes"]))
    fit = interlace.glmer("count ~ f", more, "poisson", groups="site")
    assert list(fit.fe_params.index) == ["Intercept", "f[T.yes]"]
    assert fit.dropped_columns == ()


# --- weights and offset


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_vector_of_the_wrong_length_is_refused(data, argument):
    message = refusal(DataError, "count ~ x", data, **{argument: np.ones(5)})
    assert_says(message, f"{argument}: expected one number per row", f"({N},)", "(5,)")


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_vector_of_text_is_refused(data, argument):
    message = refusal(DataError, "count ~ x", data, **{argument: ["much"] * N})
    assert_says(message, f"{argument}: expected one number per row", "'much'")


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_infinite_entry_of_a_vector_names_the_row(data, argument):
    values = np.ones(N)
    values[3] = np.inf
    message = refusal(DataError, "count ~ x", data, **{argument: values})
    assert_says(message, f"{argument}: expected finite values", "got inf in row 3")


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_missing_entry_of_a_vector_loses_its_row(data, argument):
    values = np.ones(N)
    values[3] = np.nan
    fit = interlace.glmer("count ~ x", data, "poisson", groups="site", **{argument: values})
    rest = {argument: np.ones(N - 1)}
    complete = interlace.glmer("count ~ x", data.drop(index=3), "poisson", groups="site", **rest)
    assert fit.rows.missing == {argument: 1}
    assert 3 not in fit.fittedvalues.index
    assert fit.llf == pytest.approx(complete.llf, abs=1e-9)


def test_negative_weight_names_the_row(data):
    weights = np.ones(N)
    weights[[3, 8]] = -2.0
    message = refusal(DataError, "count ~ x", data, weights=weights)
    assert_says(message, "weights: expected values of 0 or more", "-2 in row 3", "2 such row(s)")
    data["w"] = weights
    assert_says(refusal(DataError, "count ~ x", data, weights="w"), "-2 in row 3")


def test_weights_of_zero_throughout_are_refused(data):
    message = refusal(DataError, "count ~ x", data, weights=np.zeros(N))
    assert_says(message, "weights: expected a positive value in some row")


def test_negative_offset_is_as_good_as_any(data):
    """An offset adds to the linear predictor, where every number has its place."""
    plain = interlace.glmer("count ~ x", data, "poisson", groups="site")
    moved = interlace.glmer("count ~ x", data, "poisson", groups="site", offset=np.full(N, -1.0))
    assert moved.fe_params["Intercept"] == pytest.approx(plain.fe_params["Intercept"] + 1.0)
    assert moved.llf == pytest.approx(plain.llf, abs=1e-8)


# --- values of parameters


@pytest.mark.parametrize("as_type", [int, float])
def test_fractional_theta_is_not_truncated_beside_integer_counts(data, as_type):
    data["count"] = data["count"].astype(as_type)
    fit = interlace.glmer("count ~ x", data, NegativeBinomial2Family(theta=1.5))
    assert fit.family_params.loc["theta", "value"] == 1.5
    assert fit.llf == pytest.approx(negative_binomial_loglik(data["count"], fit, 1.5), abs=1e-9)
    assert abs(fit.llf - negative_binomial_loglik(data["count"], fit, 1.0)) > 0.1
    mixed = interlace.glmer(
        "count ~ x", data, NegativeBinomial2Family(theta=1.5), groups="site", nAGQ=5
    )
    assert mixed.family_params.loc["theta", "value"] == 1.5


def negative_binomial_loglik(counts, fit, theta):
    mu = fit.fittedvalues.to_numpy()
    return stats.nbinom.logpmf(counts, theta, theta / (theta + mu)).sum()


@pytest.mark.parametrize("value", [-1.0, 0, np.nan, np.inf, "1.5", True])
def test_theta_must_be_a_positive_number(value):
    with pytest.raises(OptionError, match="'negativebinomial': theta must be a positive number"):
        NegativeBinomial2Family(theta=value)


# --- separation


def separated(data, kind):
    """Return data with a binary column that predicts a hit perfectly, on one or both sides."""
    rng = np.random.default_rng(7)
    exposed = np.arange(N) % 3 == 0
    chance = rng.binomial(1, 0.5, size=N)
    other = {"one side": chance, "both sides": np.zeros(N, dtype=int)}[kind]
    return data.assign(exposed=exposed.astype(int), hit=np.where(exposed, 1, other))


@pytest.mark.parametrize("kind", ["one side", "both sides"])
def test_separation_gives_a_finite_answer_and_names_the_column(data, kind):
    with pytest.warns(ConvergenceWarning) as caught:
        fit = interlace.glmer("hit ~ x + exposed", separated(data, kind), "binomial", groups="site")
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "column 'exposed' separates the response" in message
    assert "'x'" not in message
    assert caught[0].filename == __file__
    assert np.all(np.isfinite(fit.fe_params))
    assert np.isfinite(fit.llf)
    assert np.all(np.isfinite(fit.fittedvalues))
    assert fit.fe_params["exposed"] > 8.0
    assert fit.fittedvalues[fit.y[:, 0] == 1].min() > 0.0
    assert any("'exposed'" in note for note in fit.notes)
    assert "'exposed'" in str(fit.summary())


def test_separation_leaves_the_other_estimates_alone(data):
    """Rows that are fitted perfectly tell nothing about the other coefficients."""
    separable = separated(data, "one side")
    with pytest.warns(ConvergenceWarning, match="'exposed'"):
        fit = interlace.glmer("hit ~ x + exposed", separable, "binomial", groups="site")
    rest = interlace.glmer(
        "hit ~ x", separable[separable["exposed"] == 0], "binomial", groups="site"
    )
    assert fit.llf == pytest.approx(rest.llf, abs=1e-3)
    assert fit.fe_params["x"] == pytest.approx(rest.fe_params["x"], abs=1e-3)
    assert fit.fe_bse["x"] == pytest.approx(rest.fe_bse["x"], rel=1e-2)


def test_strong_but_determined_effect_is_no_separation(data):
    rng = np.random.default_rng(3)
    strong = data.assign(x=rng.normal(size=N) * 3.0)
    chance = 1.0 / (1.0 + np.exp(-3.0 * strong["x"]))
    strong["hit"] = rng.binomial(1, chance)
    fit = interlace.glmer("hit ~ x", strong, "binomial", groups="site")  # warnings are errors
    assert fit.converged
    assert abs(fit.fe_params["x"]) > 2.0 * fit.fe_bse["x"]
    assert fit.notes == ()


SIZES = pd.DataFrame(
    {
        "y": [1.0, 2.0, 0.0, 3.0, 1.0, 2.0],
        "z": [0.3, -1.2, 0.8, 2.1, -0.4, 0.7],
        "x": [0.1, 0.5, -0.7, 1.1, 0.2, -0.3],
        "g": list("aabbcc"),
        "v": [1.0, 1.0, 2.0, 1.0, 1.0, 2.0],
    }
)
TOO_LARGE_OR_SMALL = {
    "a column": lambda s: interlace.fit("z ~ x + (1 | g)", SIZES.assign(x=SIZES["x"] * s)),
    "a slope": lambda s: interlace.glmer(
        "y ~ 1 + (0 + x | g)", SIZES.assign(x=SIZES["x"] * s), "poisson"
    ),
    "the response": lambda s: interlace.fit("z ~ x + (1 | g)", SIZES.assign(z=SIZES["z"] * s)),
    "weights": lambda s: interlace.glmer(
        "y ~ x + (1 | g)", SIZES, "poisson", weights=SIZES["v"] * s
    ),
    "known variances": lambda s: interlace.fit(
        "z ~ x + (1 | g)", SIZES, known_variance=SIZES["v"] * s
    ),
    "an offset": lambda s: interlace.fit("z ~ x + (1 | g)", SIZES, offset=SIZES["v"] * s),
    "hold": lambda s: interlace.fit("z ~ x + (1 | g)", SIZES, hold={"x": s}),
    "start": lambda s: interlace.fit("z ~ x + (1 | g)", SIZES, start={"x": s}),
}


@pytest.mark.parametrize("size", [1e160, 1e307, 1e-160, 5e-324])
@pytest.mark.parametrize("what", TOO_LARGE_OR_SMALL)
def test_numbers_whose_squares_are_none_are_refused(what, size):
    if what in ("hold", "start") and size < 1.0:
        return  # next to 0
    with pytest.raises(InterlaceError, match="expected (a number|numbers|positive numbers)"):
        TOO_LARGE_OR_SMALL[what](size)
    assert TOO_LARGE_OR_SMALL[what](1.0 if what in ("hold", "start") else 1e3).nobs == 6


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("count ~ count + (1 | site)", {}),
        ("count ~ x:count + (1 | site)", {}),
        ("count ~ x + (count | site)", {}),
        ("count ~ x + (1 | site)", {"ziformula": "~ count"}),
        ("count ~ x + (1 | site)", {"family": "nbinom2", "dispformula": "~ x + count"}),
        ("cbind(hit, 3 - hit) ~ hit + (1 | site)", {"family": "binomial"}),
    ],
)
def test_a_response_among_its_covariates_is_refused(data, formula, options):
    message = refusal(DataError, formula, data, groups=None, **options)
    assert_says(message, "is the response and stands among the covariates", "leave it out")


def test_what_is_computed_of_the_response_may_be_a_covariate(data):
    """Such as the number of trials, or a value before."""
    trials = data.assign(n=np.random.default_rng(3).integers(2, 9, N))
    fit = interlace.glmer("cbind(hit, n - hit) ~ n + (1 | site)", trials, "binomial")
    assert "n" in fit.fe_params
