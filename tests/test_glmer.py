"""`interlace.glmer` as users call it: ways to write a model, settings, verdict and summary."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from scipy.special import expit, logit

import interlace
from interlace_approximations.agq import AdaptiveGaussHermite
from interlace_approximations.laplace import Laplace
from interlace_bobyqa.bobyqa import BOBYQA
from interlace_core.messages.errors import (
    ConvergenceWarning,
    DataWarning,
    FormulaError,
    OptionError,
    UnsupportedModelError,
)
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_families.binomial import BinomialFamily
from interlace_scipy.lbfgsb import LBFGSB

PROPORTION = "incidence / size ~ period"


@pytest.fixture(scope="module")
def cbpp():
    return interlace.datasets.load("cbpp")


@pytest.fixture(scope="module")
def cbpp_fit(cbpp):
    return interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights="size")


@pytest.fixture(scope="module")
def bacteria():
    return interlace.datasets.load("bacteria")


@pytest.fixture(scope="module")
def counts():
    """Counts over 12 groups g crossed with 5 groups h, with a slope that varies over g."""
    rng = np.random.default_rng(5)
    n = 240
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 12, "h": np.arange(n) % 5})
    frame["f"] = pd.Categorical(rng.choice(["u", "v", "w"], size=n))
    eta = 0.5 + 0.4 * frame["x"] + 0.6 * rng.normal(size=12)[frame["g"]]
    eta += 0.4 * rng.normal(size=12)[frame["g"]] * frame["x"] + 0.4 * rng.normal(size=5)[frame["h"]]
    frame["y"] = rng.poisson(np.exp(eta))
    return frame


def assert_same_fit(one, other, tolerance=1e-7):
    assert one.llf == pytest.approx(other.llf, abs=tolerance)
    assert one.fe_params.to_dict() == pytest.approx(other.fe_params.to_dict(), abs=tolerance)
    assert one.fe_bse.to_dict() == pytest.approx(other.fe_bse.to_dict(), rel=1e-5)
    assert one.theta == pytest.approx(other.theta, abs=tolerance)
    assert one.df == other.df


# --- ways to write the random effects


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x", {"groups": ["g"]}),
        ("y ~ x", {"random": "(1 | g)"}),
        ("y ~ x", {"random": ["(1 | g)"]}),
        ("y ~ x", {"random": ["1 | g"]}),
        ("y ~ x + (1 | g)", {}),
        ("y ~ (1 | g) + x", {}),
        ("y~x+(1|g)", {}),
        ("y ~ 1 + x + (1 | g)", {}),
    ],
)
def test_groups_random_and_bars_mean_the_same(counts, formula, options):
    expected = interlace.glmer("y ~ x", counts, "poisson", groups="g")
    assert_same_fit(interlace.glmer(formula, counts, "poisson", **options), expected)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x", {"random": ["(1 | g)", "(1 | h)"]}),
        ("y ~ x", {"random": "(1 | g) + (1 | h)"}),
        ("y ~ x + (1 | g) + (1 | h)", {}),
        ("y ~ x + (1 | g)", {"groups": "h"}),
        ("y ~ x + (1 | g)", {"random": ["(1 | h)"]}),
        ("y ~ x", {"groups": "g", "random": ["(1 | h)"]}),
    ],
)
def test_several_groups_add_up_wherever_they_stand(counts, formula, options):
    expected = interlace.glmer("y ~ x", counts, "poisson", groups=["g", "h"])
    assert list(expected.random_effects) == ["g", "h"]
    fit = interlace.glmer(formula, counts, "poisson", **options)
    assert fit.llf == pytest.approx(expected.llf, abs=1e-7)
    for group in ("g", "h"):
        assert fit.variance_components[group] == pytest.approx(
            expected.variance_components[group], abs=1e-6
        )


def test_one_term_in_two_places_is_refused(counts):
    with pytest.raises(FormulaError, match=r"groups: expected each random-effects term once"):
        interlace.glmer("y ~ x + (1 | g)", counts, "poisson", groups="g")


def test_intercept_of_a_slope_is_implied(counts):
    implied = interlace.glmer("y ~ x + (x | g)", counts, "poisson")
    assert_same_fit(implied, interlace.glmer("y ~ x + (1 + x | g)", counts, "poisson"))
    assert list(implied.random_effects["g"].columns) == ["Intercept", "x"]
    assert implied.theta.size == 3


@pytest.mark.parametrize(
    "term", ["diag(x | g)", "diag(1 + x | g)", "(1 + x || g)", "(1 | g) + (0 + x | g)"]
)
def test_double_bar_means_independent_columns(counts, term):
    expected = interlace.glmer("y ~ x + (x || g)", counts, "poisson")
    fit = interlace.glmer(f"y ~ x + {term}", counts, "poisson")
    assert_same_fit(fit, expected, tolerance=1e-6)
    covariance = fit.variance_components["g"]
    assert covariance.loc["Intercept", "x"] == 0.0
    assert covariance.loc["x", "x"] > 0.01


def test_double_bar_makes_the_columns_of_a_factor_independent_too(counts):
    """Unlike in lme4, which leaves them correlated."""
    fit = interlace.glmer("y ~ x + (0 + f || g)", counts, "poisson")
    dummies = counts.assign(**{f"is_{level}": counts["f"] == level for level in "uvw"})
    dummies = dummies.astype({f"is_{level}": float for level in "uvw"})
    by_hand = " + ".join(f"(0 + is_{level} | g)" for level in "uvw")
    expected = interlace.glmer(f"y ~ x + {by_hand}", dummies, "poisson")
    assert fit.theta.size == 3
    assert fit.llf == pytest.approx(expected.llf, abs=1e-6)
    assert fit.theta == pytest.approx(expected.theta, abs=1e-5)


def test_nested_groups_are_the_outer_and_the_combination(counts):
    expected = interlace.glmer("y ~ x + (1 | h) + (1 | h:g)", counts, "poisson")
    assert_same_fit(interlace.glmer("y ~ x + (1 | h/g)", counts, "poisson"), expected)
    assert_same_fit(interlace.glmer("y ~ x", counts, "poisson", groups="h/g"), expected)
    assert expected.ngroups == {"h": 5, "h:g": 60}


def test_combination_is_a_column_of_pasted_labels(counts):
    pasted = counts.assign(gh=counts["g"].astype(str) + "-" + counts["h"].astype(str))
    expected = interlace.glmer("y ~ x + (1 | gh)", pasted, "poisson")
    assert_same_fit(interlace.glmer("y ~ x + (1 | g:h)", counts, "poisson"), expected)


def test_offset_in_the_formula_equals_the_argument(counts):
    exposed = counts.assign(e=1.0 + np.arange(len(counts)) % 3)
    inside = interlace.glmer("y ~ x + offset(log(e)) + (1 | g)", exposed, "poisson")
    for offset in ("log(e)", np.log(exposed["e"]), np.log(exposed["e"]).to_numpy()):
        assert_same_fit(
            interlace.glmer("y ~ x + (1 | g)", exposed, "poisson", offset=offset), inside
        )
    twice = interlace.glmer(
        "y ~ x + offset(0.5 * log(e)) + (1 | g)", exposed, "poisson", offset="log(e) / 2"
    )
    assert_same_fit(twice, inside)


# --- ways to write the response


@pytest.mark.parametrize(
    ("formula", "with_weights"),
    [
        ("cbind(incidence, size - incidence) ~ period", False),
        ("cbind(incidence, healthy) ~ period", False),
        ("(incidence, healthy) ~ period", False),
        ("share ~ period", True),
        ("I(incidence / size) ~ period", True),
    ],
)
def test_counts_and_proportions_give_the_same_fit(cbpp, cbpp_fit, formula, with_weights):
    data = cbpp.assign(
        healthy=cbpp["size"] - cbpp["incidence"], share=cbpp["incidence"] / cbpp["size"]
    )
    weights = "size" if with_weights else None
    fit = interlace.glmer(formula, data, "binomial", groups="herd", weights=weights)
    assert_same_fit(fit, cbpp_fit)
    assert fit.fittedvalues.to_numpy() == pytest.approx(cbpp_fit.fittedvalues.to_numpy())
    assert fit.resid.to_numpy() == pytest.approx(cbpp_fit.resid.to_numpy())


def test_weights_are_a_column_an_array_or_a_series(cbpp, cbpp_fit):
    for weights in (cbpp["size"], cbpp["size"].to_numpy(), cbpp["size"].tolist()):
        fit = interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights=weights)
        assert_same_fit(fit, cbpp_fit)
    shuffled = cbpp["size"].sample(frac=1.0, random_state=1)
    fit = interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights=shuffled)
    assert_same_fit(fit, cbpp_fit)


def test_proportions_agree_with_the_rows_of_single_trials(cbpp, cbpp_fit):
    """The log-likelihoods differ by the binomial coefficients, the estimates not at all."""
    hits = np.concatenate(
        [np.arange(n) < s for s, n in zip(cbpp["incidence"], cbpp["size"], strict=True)]
    )
    single = cbpp.loc[cbpp.index.repeat(cbpp["size"]), ["herd", "period"]].reset_index(drop=True)
    fit = interlace.glmer("hit ~ period", single.assign(hit=hits), "binomial", groups="herd")
    assert fit.fe_params.to_dict() == pytest.approx(cbpp_fit.fe_params.to_dict(), abs=1e-6)
    assert fit.fe_bse.to_dict() == pytest.approx(cbpp_fit.fe_bse.to_dict(), rel=1e-4)
    choose = stats.binom.logpmf(cbpp["incidence"], cbpp["size"], 0.5).sum()
    choose += cbpp["size"].sum() * np.log(2.0)
    assert fit.llf + choose == pytest.approx(cbpp_fit.llf, abs=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: (y == "y").astype(int),
        lambda y: (y == "y").astype(float),
        lambda y: y == "y",
        lambda y: (y == "y").astype("boolean"),
        lambda y: y.astype(str),
        lambda y: y.astype(object),
    ],
    ids=["int", "float", "bool", "boolean", "text", "object"],
)
def test_binary_responses_of_any_type_give_the_same_fit(bacteria, convert):
    expected = interlace.glmer("y ~ trt + week", bacteria, "binomial", groups="ID")
    data = bacteria.assign(y=convert(bacteria["y"]))
    assert_same_fit(interlace.glmer("y ~ trt + week", data, "binomial", groups="ID"), expected)


def test_second_level_counts_as_success(bacteria):
    expected = interlace.glmer("y ~ trt + week", bacteria, "binomial", groups="ID")
    turned = bacteria.assign(y=bacteria["y"].cat.reorder_categories(["y", "n"]))
    fit = interlace.glmer("y ~ trt + week", turned, "binomial", groups="ID")
    assert fit.llf == pytest.approx(expected.llf, abs=1e-7)
    assert fit.fe_params.to_numpy() == pytest.approx(-expected.fe_params.to_numpy(), abs=1e-6)
    asked = interlace.glmer("(y == 'y') ~ trt + week", turned, "binomial", groups="ID")
    assert_same_fit(asked, expected)


def test_successes_that_are_no_integers_warn(cbpp):
    data = cbpp.assign(share=(cbpp["incidence"] + 0.25) / cbpp["size"])
    with pytest.warns(DataWarning) as caught:
        interlace.glmer("share ~ period", data, "binomial", groups="herd", weights="size")
    assert len(caught) == 1
    for noun in ("'binomial'", "not an integer in 56 row(s)", "2.25 successes in 14 trials"):
        assert noun in str(caught[0].message)


def test_forgotten_trials_warn(cbpp):
    with pytest.warns(DataWarning, match="weights are numbers of trials"):
        interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd")


# --- rows and frames


def test_missing_values_drop_rows_jointly_and_keep_the_index(cbpp):
    holed = cbpp.astype({"incidence": float, "period": object, "herd": object})
    holed.index = [f"r{i}" for i in range(len(cbpp))]
    holed.loc["r3", "incidence"] = np.nan
    holed.loc["r7", "period"] = None
    holed.loc["r9", "herd"] = None
    weights = holed["size"].astype(float)
    weights["r12"] = np.nan
    fit = interlace.glmer(PROPORTION, holed, "binomial", groups="herd", weights=weights)
    lost = ["r3", "r7", "r9", "r12"]
    complete = holed.drop(index=lost)
    expected = interlace.glmer(PROPORTION, complete, "binomial", groups="herd", weights="size")
    assert_same_fit(fit, expected)
    assert fit.nobs == 52
    assert fit.rows.n_given == 56
    assert fit.rows.missing == {"incidence": 1, "period": 1, "herd": 1, "weights": 1}
    for values in (fit.fittedvalues, fit.resid, fit.predict(), fit.predict(include_re=False)):
        assert values.index.equals(complete.index)
    assert "52 (4 dropped with missing values: incidence 1, period 1" in str(fit.summary())


def test_unused_columns_may_have_missing_values(cbpp, cbpp_fit):
    fit = interlace.glmer(
        PROPORTION, cbpp.assign(note=np.nan), "binomial", groups="herd", weights="size"
    )
    assert fit.nobs == 56
    assert_same_fit(fit, cbpp_fit)


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda frame: {name: frame[name].to_list() for name in frame},
        lambda frame: frame.astype({"herd": "string", "size": "Int64", "incidence": "Float64"}),
    ],
    ids=["polars", "pyarrow", "dict", "nullable"],
)
def test_kind_of_frame_does_not_matter(cbpp, cbpp_fit, convert):
    fit = interlace.glmer(PROPORTION, convert(cbpp), "binomial", groups="herd", weights="size")
    assert_same_fit(fit, cbpp_fit)
    library = type(convert(cbpp)).__module__.partition(".")[0].replace("builtins", "pandas")
    assert type(fit.fittedvalues).__module__.partition(".")[0] == library
    np.testing.assert_allclose(np.asarray(fit.fittedvalues), cbpp_fit.fittedvalues, atol=1e-8)
    effects = cbpp_fit.random_effects["herd"]
    assert fit.random_effects["herd"][effects.index].to_numpy() == pytest.approx(
        effects.to_numpy(), abs=1e-6
    )


def test_data_are_left_as_they_were(cbpp):
    before = cbpp.copy(deep=True)
    interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights="size")
    pd.testing.assert_frame_equal(cbpp, before)


# --- optimizers


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("lbfgsb", None),
        ("bobyqa", None),
        ("interlace-bobyqa:bobyqa", None),
        ("bobyqa", {"radius_end": 1e-5, "max_evaluations": 2000}),
        (BOBYQA, {"max_evaluations": 2000}),
        (BOBYQA(radius_start=0.5), None),
        (LBFGSB(memory=5), None),
        (LBFGSB, None),
    ],
)
def test_optimizers_by_name_class_or_object_reach_the_same_optimum(counts, optimizer, options):
    expected = interlace.glmer("y ~ x", counts, "poisson", groups="g")
    fit = interlace.glmer(
        "y ~ x", counts, "poisson", groups="g", optimizer=optimizer, optimizer_options=options
    )
    assert fit.converged
    assert fit.llf == pytest.approx(expected.llf, abs=1e-7)
    assert fit.fe_params.to_numpy() == pytest.approx(expected.fe_params.to_numpy(), abs=1e-4)


def test_options_reach_the_optimizer(counts):
    fit = interlace.glmer(
        "y ~ x", counts, "poisson", groups="g", optimizer="bobyqa",
        optimizer_options={"radius_end": 0.003},
    )  # fmt: skip
    assert "radius_end=0.003" in fit.settings["optimizer"]
    with interlace.options(optimizer="bobyqa", optimizer_options={"radius_end": 0.002}):
        fit = interlace.glmer("y ~ x", counts, "poisson", groups="g")
    assert "BOBYQA" in fit.settings["optimizer"]
    assert "radius_end=0.002" in fit.settings["optimizer"]


def test_options_beside_an_optimizer_object_are_refused(counts):
    with pytest.raises(OptionError) as caught:
        interlace.glmer(
            "y ~ x", counts, "poisson", groups="g", optimizer=BOBYQA(),
            optimizer_options={"radius_end": 1e-3},
        )  # fmt: skip
    assert "optimizer_options go with an optimizer's name" in str(caught.value)
    assert "BOBYQA(...)" in str(caught.value)


def test_values_of_options_are_checked(counts):
    with pytest.raises(OptionError) as caught:
        interlace.glmer(
            "y ~ x", counts, "poisson", groups="g", optimizer="bobyqa",
            optimizer_options={"max_evaluations": 0, "radius_end": -1.0},
        )  # fmt: skip
    for noun in ("'bobyqa'", "max_evaluations must be", "got 0", "radius_end must be", "got -1.0"):
        assert noun in str(caught.value)


def test_start_for_theta_leads_to_the_same_optimum(counts):
    expected = interlace.glmer("y ~ x", counts, "poisson", groups="g")
    fit = interlace.glmer("y ~ x", counts, "poisson", groups="g", start={"theta": [2.0]})
    assert fit.llf == pytest.approx(expected.llf, abs=1e-7)
    with pytest.raises(OptionError, match=r"theta must be 1 finite number"):
        interlace.glmer("y ~ x", counts, "poisson", groups="g", start={"theta": [1.0, 2.0]})


# --- approximations


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "laplace"),
        ({"nAGQ": 1}, "laplace"),
        ({"approximation": "laplace"}, "laplace"),
        ({"approximation": Laplace()}, "laplace"),
        ({"nAGQ": 5}, "agq, 5 points"),
        ({"approximation": "agq", "nAGQ": 5}, "agq, 5 points"),
        ({"approximation": AdaptiveGaussHermite(points=5)}, "agq, 5 points"),
        ({"nAGQ": 0}, "joint-mode"),
    ],
)
def test_approximation_is_chosen_by_points_name_or_object(counts, options, shown):
    fit = interlace.glmer("y ~ x", counts, "poisson", groups="g", **options)
    assert fit.settings["approximation"] == shown
    assert shown in str(fit.summary())


@pytest.mark.parametrize(
    ("random", "nouns"),
    [
        ("(x | g)", ["2 random-effects column(s) in 1 term(s)", "(1 + x | g)"]),
        ("(1 | g) + (1 | h)", ["2 random-effects column(s) in 2 term(s)", "(1 | g), (1 | h)"]),
    ],
)
def test_quadrature_refuses_by_name_and_tells_the_way_out(counts, random, nouns):
    with pytest.raises(UnsupportedModelError) as caught:
        interlace.glmer("y ~ x", counts, "poisson", random=random, nAGQ=7)
    for noun in ("adaptive quadrature (nAGQ=7)", *nouns, "Use nAGQ=1 (Laplace)"):
        assert noun in str(caught.value)


@pytest.mark.parametrize("nAGQ", [-1, 2.5, "many", True])
def test_number_of_points_must_be_a_count(counts, nAGQ):
    with pytest.raises(OptionError, match="nAGQ: expected an integer of at least 0"):
        interlace.glmer("y ~ x", counts, "poisson", groups="g", nAGQ=nAGQ)


def test_too_many_points_tell_who_serves_how_many(counts):
    with pytest.raises(OptionError) as caught:
        interlace.glmer("y ~ x", counts, "poisson", groups="g", nAGQ=1000)
    for noun in ("nAGQ=1000", "2 to 100 (agq)", "0 to 0 (joint-mode)", "1 to 1 (laplace)"):
        assert noun in str(caught.value)


def test_points_that_the_named_approximation_does_not_serve_are_refused(counts):
    with pytest.raises(OptionError, match="laplace"):
        interlace.glmer("y ~ x", counts, "poisson", groups="g", approximation="laplace", nAGQ=5)


def test_quadrature_takes_a_slope_without_intercept(counts):
    """The exact integral of each group, by brute force at the estimates."""
    fit = interlace.glmer("y ~ x + (0 + x | g)", counts, "poisson", nAGQ=25)
    sd, beta = float(fit.theta[0]), fit.fe_params
    slopes = np.linspace(-8.0 * sd, 8.0 * sd, 4001)
    total = 0.0
    for _, rows in counts.groupby("g"):
        x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
        eta = beta["Intercept"] + x * (beta["x"] + slopes[:, None])
        joint = stats.poisson.logpmf(y, np.exp(eta)).sum(axis=1) + stats.norm.logpdf(slopes, 0, sd)
        total += np.log(trapezoid(np.exp(joint), slopes))
    assert fit.llf == pytest.approx(total, abs=1e-6)


# lme4 1.1-31, R 4.2.2, with
# glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10), tolPwrss = 1e-13):
# glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, nAGQ = 0)
LME4_CBPP_0 = {
    "fixef": [-1.3604717553, -0.9761774710, -1.1110768934, -1.5596805157],
    "se": [0.2275746222, 0.3032873487, 0.3235118030, 0.4244555013],
    "theta": [0.6418150699],
    "logLik": -92.0542954728,
    "fitted": [0.3092660311, 0.1443364302, 0.1284616111, 0.0860196415],
}
# glmer(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), grouseticks, poisson, nAGQ = 0)
LME4_TICKS_0 = {
    "fixef": [0.5686480140, 1.1083586670, -0.9405094735, -0.0223882959],
    "theta": [0.7621905307, 0.5837142538],
    "logLik": -988.3236948490,
}


def test_no_points_agree_with_lme4(cbpp):
    """Estimates to lme4's own accuracy, which is about 1e-6 here.

    lme4 takes the standard errors at nAGQ = 0 given theta; ours include its uncertainty, which
    makes them larger by 0.3 to 1 percent.
    """
    fit = interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights="size", nAGQ=0)
    assert fit.converged
    assert fit.fe_params.to_numpy() == pytest.approx(LME4_CBPP_0["fixef"], abs=1e-6)
    assert fit.theta == pytest.approx(LME4_CBPP_0["theta"], abs=1e-6)
    assert fit.llf == pytest.approx(LME4_CBPP_0["logLik"], abs=1e-6)
    assert fit.fittedvalues.to_numpy()[:4] == pytest.approx(LME4_CBPP_0["fitted"], abs=1e-6)
    excess = fit.fe_bse.to_numpy() / np.array(LME4_CBPP_0["se"]) - 1.0
    assert np.all((excess > 0.0) & (excess < 0.02))


def test_no_points_agree_with_lme4_for_two_groups():
    ticks = interlace.datasets.load("grouseticks")
    fit = interlace.glmer(
        "TICKS ~ YEAR + cHEIGHT", ticks, "poisson", groups=["BROOD", "LOCATION"], nAGQ=0
    )
    assert fit.converged
    assert fit.fe_params.to_numpy() == pytest.approx(LME4_TICKS_0["fixef"], abs=1e-5)
    assert fit.theta == pytest.approx(LME4_TICKS_0["theta"], abs=1e-5)
    assert fit.llf == pytest.approx(LME4_TICKS_0["logLik"], abs=1e-5)


def test_no_points_without_coefficients_are_laplace(counts):
    fast, usual = (interlace.glmer("y ~ 0 + (1 | g)", counts, "poisson", nAGQ=n) for n in (0, 1))
    assert fast.llf == pytest.approx(usual.llf, abs=1e-9)


# --- results


def test_criteria_count_every_estimated_parameter(cbpp_fit):
    fit = cbpp_fit
    assert fit.df == 5  # four coefficients and one variance
    assert fit.nobs == 56
    assert fit.aic == pytest.approx(-2.0 * fit.llf + 2.0 * 5, rel=1e-14)
    assert fit.bic == pytest.approx(-2.0 * fit.llf + np.log(56) * 5, rel=1e-14)
    assert fit.scale == 1.0
    assert fit.family.name == "binomial"


def test_wald_table_is_that_of_estimate_and_standard_error(cbpp_fit):
    fit = cbpp_fit
    z = fit.fe_params / fit.fe_bse
    assert fit.fe_zvalues.to_numpy() == pytest.approx(z.to_numpy())
    assert fit.fe_pvalues.to_numpy() == pytest.approx(2.0 * stats.norm.sf(np.abs(z)))
    half = stats.norm.ppf(0.975) * fit.fe_bse
    assert fit.fe_conf_int["lower"].to_numpy() == pytest.approx((fit.fe_params - half).to_numpy())
    assert fit.fe_conf_int["upper"].to_numpy() == pytest.approx((fit.fe_params + half).to_numpy())
    narrow = fit.conf_int(0.5)
    assert np.all(narrow["upper"] < fit.fe_conf_int["upper"])
    for level in (0.0, 1.0, 95):
        with pytest.raises(OptionError, match="level must lie between 0 and 1"):
            fit.conf_int(level)


def test_random_effects_have_levels_columns_and_deviations(counts):
    one = interlace.glmer("y ~ x + (1 | g)", counts, "poisson")
    effects, deviations = one.random_effects["g"], one.random_effects_se["g"]
    assert isinstance(effects, pd.Series)
    assert effects.name == "Intercept"
    assert list(effects.index) == [str(level) for level in range(12)]
    assert deviations.index.equals(effects.index)
    assert np.all((deviations > 0.0) & (deviations < np.sqrt(one.variance_components["g"])))
    two = interlace.glmer("y ~ x + (x | g)", counts, "poisson")
    effects, deviations = two.random_effects["g"], two.random_effects_se["g"]
    assert isinstance(effects, pd.DataFrame)
    assert list(effects.columns) == list(deviations.columns) == ["Intercept", "x"]
    assert deviations.shape == (12, 2)


def test_conditional_deviation_is_the_curvature_of_its_group(counts):
    """At the mode of one group's effect the log-density has curvature sum(mu) + 1 / variance."""
    fit = interlace.glmer("y ~ x + (1 | g)", counts, "poisson")
    mu = fit.fittedvalues.groupby(counts["g"]).sum().to_numpy()
    expected = 1.0 / np.sqrt(mu + 1.0 / fit.variance_components["g"])
    assert fit.random_effects_se["g"].to_numpy() == pytest.approx(expected, rel=1e-6)


def test_covariance_of_a_slope_is_whole(counts):
    fit = interlace.glmer("y ~ x + (x | g)", counts, "poisson")
    covariance = fit.variance_components["g"]
    T = np.array([[fit.theta[0], 0.0], [fit.theta[1], fit.theta[2]]])
    assert list(covariance.index) == list(covariance.columns) == ["Intercept", "x"]
    assert covariance.to_numpy() == pytest.approx(T @ T.T)
    assert fit.df == 5


def test_fixed_theta_is_shown_and_not_counted(counts):
    free = interlace.glmer("y ~ x", counts, "negativebinomial", groups="g")
    fixed = interlace.glmer("y ~ x", counts, NegativeBinomial2Family(theta=2), groups="g")
    assert (free.df, fixed.df) == (4, 3)
    assert bool(fixed.family_params.loc["theta", "fixed"])
    assert fixed.family_params.loc["theta", "value"] == 2.0
    assert np.isnan(fixed.family_params.loc["theta", "se"])
    assert not free.family_params.loc["theta", "fixed"]
    assert "(fixed)" in str(fixed.summary())
    assert "(fixed)" in fixed.summary()._repr_html_()
    assert "(fixed)" not in str(free.summary())
    estimate = float(free.family_params.loc["theta", "value"])
    at_estimate = interlace.glmer(
        "y ~ x", counts, NegativeBinomial2Family(theta=estimate), groups="g"
    )
    assert at_estimate.llf == pytest.approx(free.llf, abs=1e-6)


def test_link_of_a_family_object_is_used(cbpp):
    fit = interlace.glmer(
        PROPORTION, cbpp, BinomialFamily(link="probit"), groups="herd", weights="size"
    )
    eta = fit.predict(type="link")
    assert fit.fittedvalues.to_numpy() == pytest.approx(stats.norm.cdf(eta))
    assert "binomial (mu: probit)" in str(fit.summary())


def test_summary_tells_model_fit_and_estimates(cbpp_fit):
    text = str(cbpp_fit.summary())
    for part in (
        "Formula", PROPORTION, "binomial (mu: logit)", "laplace", "herd 15", "-92.0263 (df 5)",
        "194.05, 204.18", "optimum", "Random effects", "0.41250", "0.64226",
        "Fixed effects (logit scale, Wald z tests)", "std. error", "period[T.4]", "-1.58031",
        "0.4274", "-3.697", "0.0002", "<0.0001",  # glmmTMB: 0.427437
    ):  # fmt: skip
        assert part in text, part
    assert repr(cbpp_fit.summary()) == text


def test_summary_as_html_has_the_numbers_of_the_text(cbpp_fit):
    summary = cbpp_fit.summary()
    html = summary._repr_html_()
    assert html == cbpp_fit._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 3
    assert "<caption>Random effects</caption>" in html
    assert "&lt;0.0001" in html
    assert "<0.0001" not in html
    for cell in ("herd", "0.41250", "0.64226", "period[T.4]", "-1.58031", "-3.697"):
        assert f"<td>{cell}</td>" in html


def test_html_escapes_names_of_the_data(counts):
    named = counts.rename(columns={"g": "a<b"})
    fit = interlace.glmer("y ~ x + (1 | `a<b`)", named, "poisson")
    assert "a<b" in str(fit.summary())
    assert "a&lt;b" in fit._repr_html_()
    assert "a<b" not in fit._repr_html_()


def test_summary_does_not_end_in_empty_lines(cbpp_fit):
    assert not str(cbpp_fit.summary()).endswith("\n")


def test_repr_is_one_line(cbpp_fit):
    assert "\n" not in repr(cbpp_fit)
    for part in ("GLMMResult", PROPORTION, "'binomial'", "n=56", "-92.0263", "optimum"):
        assert part in repr(cbpp_fit)


def test_result_can_be_pickled(counts):
    fit = interlace.glmer("y ~ center(x) + f + (x | g) + (1 | h)", counts, "poisson")
    copy = pickle.loads(pickle.dumps(fit))
    assert str(copy.summary()) == str(fit.summary())
    assert copy.predict(counts.iloc[:7]).equals(fit.predict(counts.iloc[:7]))
    assert copy.vcov().equals(fit.vcov())
    assert copy.random_effects["g"].equals(fit.random_effects["g"])


def test_result_does_not_change_when_its_accessors_are_written_to(cbpp):
    fit = interlace.glmer(PROPORTION, cbpp, "binomial", groups="herd", weights="size")
    before = str(fit.summary())
    theta, coefficients, means = fit.theta, fit.fe_params, fit.fittedvalues
    theta[:] = 0.0
    coefficients.iloc[:] = 0.0
    means.iloc[:] = 0.0
    assert str(fit.summary()) == before
    assert fit.predict().min() > 0.0


# --- verdict


def without_groups(family, seed):
    """Return 20 groups of 10 rows that differ in nothing, and a covariate with an effect."""
    rng = np.random.default_rng(seed)
    n = 200
    x = rng.normal(size=n)
    eta = 0.2 + 0.3 * x
    y = {
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "binomial": lambda: rng.binomial(1, expit(eta)),
        "gaussian": lambda: rng.normal(eta),
    }[family]()
    return pd.DataFrame({"y": y, "x": x, "g": np.arange(n) % 20})


@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
@pytest.mark.parametrize("seed", range(8))
def test_no_variance_between_groups_raises_no_alarm(family, seed):
    """Warnings are errors here. About half of such data have their maximum at a variance of 0."""
    data = without_groups(family, seed)
    fit = interlace.glmer("y ~ x", data, family, groups="g")
    plain = interlace.glmer("y ~ x", data, family)
    assert fit.converged
    assert fit.llf >= plain.llf - 1e-6  # what a variance just above 0 may cost
    at_zero = fit.llf < plain.llf + 1e-6
    assert fit.status.startswith("boundary" if at_zero else "optimum")
    if at_zero:
        assert "the variance of Intercept | g is 0" in fit.status
        assert fit.status in str(fit.summary())
        assert fit.variance_components["g"] == pytest.approx(0.0, abs=1e-5)
        assert fit.fe_params.to_numpy() == pytest.approx(plain.fe_params.to_numpy(), abs=1e-3)
        assert fit.fe_bse.to_numpy() == pytest.approx(plain.fe_bse.to_numpy(), rel=1e-2)


def test_some_data_without_variance_end_at_the_boundary():
    """So that the branch above is not empty."""
    fits = [
        interlace.glmer("y ~ x", without_groups("poisson", seed), "poisson", groups="g")
        for seed in range(8)
    ]
    assert sum(fit.status.startswith("boundary") for fit in fits) >= 3


def test_variance_that_is_there_is_no_boundary(counts, cbpp_fit):
    for fit in (cbpp_fit, interlace.glmer("y ~ x + (x | g)", counts, "poisson")):
        assert fit.converged
        assert fit.status.startswith("optimum (remaining gain")


def test_perfect_correlation_is_reported_by_name():
    """Slopes that are a multiple of the intercepts, in groups large enough to tell."""
    rng = np.random.default_rng(2)
    g, n = np.arange(600) % 15, 600
    x = rng.normal(size=n)
    b = rng.normal(size=15)
    data = pd.DataFrame({"x": x, "g": g})
    data["y"] = rng.normal(1.0 + 0.5 * x + b[g] * (1.0 + 0.8 * x), 0.3)
    fit = interlace.glmer("y ~ x + (x | g)", data, "gaussian")
    covariance = fit.variance_components["g"].to_numpy()
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert correlation > 0.999
    assert fit.converged


def test_spent_budget_is_not_success(counts):
    """One evaluation, and a tolerance that the Newton steps after it cannot meet."""
    options = {"optimizer": "bobyqa", "optimizer_options": {"max_evaluations": 8}}
    with interlace.options(tol_decrement=1e-300):
        with pytest.warns(ConvergenceWarning, match="not reached: the log-likelihood could still"):
            fit = interlace.glmer("y ~ x + (x | g) + (1 | h)", counts, "poisson", **options)
    assert not fit.converged
    assert fit.status.startswith("not reached")
    assert "not reached" in str(fit.summary())


# --- without random effects


def test_model_without_random_effects_is_a_glm(counts):
    fit = interlace.glmer("y ~ 0 + f", counts, "poisson")
    means = counts.groupby("f", observed=True)["y"].mean()
    sums = counts.groupby("f", observed=True)["y"].sum()
    assert fit.fe_params.to_numpy() == pytest.approx(np.log(means).to_numpy(), abs=1e-8)
    assert fit.fe_bse.to_numpy() == pytest.approx(1.0 / np.sqrt(sums.to_numpy()), rel=1e-5)
    mu = means[counts["f"]].to_numpy()
    assert fit.llf == pytest.approx(stats.poisson.logpmf(counts["y"], mu).sum(), abs=1e-9)
    assert fit.df == 3
    assert (fit.random_effects, fit.variance_components, fit.ngroups) == ({}, {}, {})
    assert fit.theta.size == 0
    assert fit.predict(include_re=True).equals(fit.predict(include_re=False))
    assert "Groups" in str(fit.summary())
    assert "none" in str(fit.summary())


def test_binomial_without_random_effects_has_the_overall_odds(cbpp):
    fit = interlace.glmer("incidence / size ~ 1", cbpp, "binomial", weights="size")
    share = cbpp["incidence"].sum() / cbpp["size"].sum()
    assert fit.fe_params["Intercept"] == pytest.approx(logit(share), abs=1e-9)
    information = cbpp["size"].sum() * share * (1.0 - share)
    assert fit.fe_bse["Intercept"] == pytest.approx(1.0 / np.sqrt(information), rel=1e-5)


def test_gaussian_without_random_effects_is_least_squares():
    sleep = interlace.datasets.load("sleepstudy")
    fit = interlace.glmer("Reaction ~ Days", sleep, "gaussian")
    X = np.column_stack([np.ones(len(sleep)), sleep["Days"]])
    beta, rss = np.linalg.lstsq(X, sleep["Reaction"], rcond=None)[:2]
    variance = rss[0] / len(sleep)  # maximum likelihood, not divided by n - p
    assert fit.fe_params.to_numpy() == pytest.approx(beta, rel=1e-8)
    assert fit.scale == pytest.approx(variance, rel=1e-6)
    se = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    assert fit.fe_bse.to_numpy() == pytest.approx(se, rel=1e-4)
    expected = stats.norm.logpdf(sleep["Reaction"], X @ beta, np.sqrt(variance)).sum()
    assert fit.llf == pytest.approx(expected, abs=1e-8)


def test_no_points_without_random_effects_is_a_glm_too(counts):
    fit = interlace.glmer("y ~ x", counts, "poisson", nAGQ=0)
    assert_same_fit(fit, interlace.glmer("y ~ x", counts, "poisson"))


def test_large_counts_in_nested_groups_reach_the_optimum():
    """A first step too long once left the search for the mode where it never came back from."""
    arabidopsis = interlace.datasets.load("Arabidopsis")
    fit = interlace.glmer(
        "total.fruits ~ nutrient + amd", arabidopsis, "poisson", groups=["popu", "gen"]
    )
    assert fit.converged
    # glmmTMB 1.1.5: total.fruits ~ nutrient + amd + (1 | popu) + (1 | gen), poisson
    assert fit.llf == pytest.approx(-10487.5233, abs=1e-4)
    assert np.sqrt(fit.variance_components["popu"]) == pytest.approx(0.50740, abs=1e-5)
    assert np.sqrt(fit.variance_components["gen"]) == pytest.approx(0.25212, abs=1e-5)
