"""Refits that begin next to a known fit, held against fits that begin anew."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import interlace
from interlace.inference.bootstrap import Bootstrap
from interlace.inference.draws import generators
from interlace.inference.simulation import draw, new_predictors
from interlace.refits.near import fit_near, known_fit
from interlace.refits.refit import with_response
from interlace_core.fitting.fit import fit_problem
from interlace_core.messages.errors import OptionError

DRAWS = 8
ENDS = ["lower", "upper"]


def unequal_groups():
    """Return 300 rows in 25 groups, a covariate within them, and a second factor across them."""
    rng = np.random.default_rng(11)
    g = np.sort(rng.integers(0, 25, 300))
    return pd.DataFrame(
        {
            "y": rng.poisson(3.0, 300),
            "x": rng.normal(size=300),
            "g": g,
            "h": rng.integers(0, 12, 300),
            "t": np.tile(np.arange(6), 50),
        }
    )


def slopes():
    data = unequal_groups()
    rng = np.random.default_rng(12)
    b = rng.normal(size=(25, 2)) @ np.array([[0.6, 0.0], [0.2, 0.4]])
    eta = 1.0 + 0.3 * data["x"] + b[data["g"], 0] + b[data["g"], 1] * data["x"]
    return data.assign(y=rng.gamma(4.0, np.exp(eta) / 4.0), n=rng.poisson(np.exp(eta)))


def crossed():
    data = unequal_groups()
    rng = np.random.default_rng(13)
    eta = 1.0 + rng.normal(size=25)[data["g"]] + 0.7 * rng.normal(size=12)[data["h"]]
    counts = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta)))
    return data.assign(y=counts, n=np.where(rng.random(300) < 0.2, 0, counts))


def many_alike():
    """Return 1,200 rows of two distinct covariate values, which are taken together."""
    rng = np.random.default_rng(14)
    g, x = np.repeat(np.arange(40), 30), np.tile([0.0, 1.0], 600)
    eta = -0.5 + 0.6 * x + 0.9 * rng.normal(size=40)[g]
    return pd.DataFrame({"y": rng.random(1200) < 1 / (1 + np.exp(-eta)), "x": x, "g": g})


def cbpp(**options):
    data = interlace.datasets.load("cbpp")
    return interlace.glmer(
        "incidence / size ~ period", data, "binomial", groups="herd", weights="size", **options
    )


def steady():
    data = unequal_groups()
    rng = np.random.default_rng(15)
    walk = rng.normal(size=(25, 6))
    for j in range(1, 6):
        walk[:, j] = 0.6 * walk[:, j - 1] + 0.8 * walk[:, j]
    g, t = np.repeat(np.arange(25), 12), np.tile(np.arange(6), 50)
    return data.assign(y=rng.poisson(np.exp(1.0 + 0.7 * walk[g, t])), g=g, t=t.astype(str))


MODELS = {
    "binomial": cbpp,
    "quadrature": lambda: cbpp(nAGQ=7),
    "joint mode": lambda: cbpp(nAGQ=0),
    "gamma slopes": lambda: interlace.glmer("y ~ x + (1 + x | g)", slopes(), "gamma"),
    "poisson slopes": lambda: interlace.glmer("n ~ x + (1 + x | g)", slopes(), "poisson"),
    "crossed": lambda: interlace.glmer("y ~ x + (1 | g) + (1 | h)", crossed(), "negativebinomial"),
    "zero part": lambda: interlace.glmer("n ~ x + (1 | g)", crossed(), "poisson", ziformula="~ 1"),
    "taken together": lambda: interlace.glmer("y ~ x + (1 | g)", many_alike(), "binomial"),
    "within bounds": lambda: interlace.glmer("y ~ 1 + ar1(0 + t | g)", steady(), "poisson"),
    "restricted": lambda: interlace.fit(
        "Reaction ~ Days + (Days | Subject)", interlace.datasets.load("sleepstudy")
    ),
    "linear, ml": lambda: interlace.fit("y ~ x + (1 | g)", slopes(), method="ML"),
    "thresholds": lambda: interlace.clmm(
        "cut ~ x + (1 | g)", slopes().assign(cut=lambda d: pd.qcut(d["y"], 4).cat.codes)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_steps_from_a_known_fit_end_where_a_whole_fit_ends(name):
    result = MODELS[name]()
    training = result.training
    problem, approximation = training.problem, training.approximation
    known = known_fit(problem, approximation, result.fit.psi, result.fit.uncertainty)
    near_count = 0
    for rng in generators(5, DRAWS):
        y = draw(result, new_predictors(result, rng), rng)
        changed = with_response(problem, y)
        near = fit_near(
            changed, approximation, known, result.fit.psi, standard_errors=False, tol_decrement=1e-7
        )
        if near is None:
            continue
        near_count += 1
        whole = fit_problem(replace(problem, y=y), approximation, training.optimizer)
        assert near.value == pytest.approx(whole.value, abs=1e-6)
        # a gain of 1e-7 left is a distance of 4.5e-4 standard errors
        assert np.all(np.abs(near.psi - whole.psi) <= 1e-3 * np.sqrt(np.diagonal(whole.vcov)))
    assert near_count >= DRAWS // 2


def test_refit_of_a_linear_model_has_degrees_of_freedom_of_its_own():
    data = interlace.datasets.load("sleepstudy")
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", data)
    y = result.simulate(1, seed=1, raw=True)[0]
    again = result.refit(y)
    anew = interlace.fit("Reaction ~ Days + (Days | Subject)", data.assign(Reaction=y))
    assert again.fe_bse.to_numpy() == pytest.approx(anew.fe_bse.to_numpy(), rel=1e-5)
    assert again.fe_df.to_numpy() == pytest.approx(anew.fe_df.to_numpy(), rel=1e-3)


@pytest.mark.parametrize("statistic", [None, lambda fit: {"Days": fit.fe_tvalues["Days"]}])
def test_bootstrap_is_the_same_in_any_number_of_processes(statistic):
    pytest.importorskip("joblib")
    data = interlace.datasets.load("sleepstudy")
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", data)
    one = result.bootstrap(6, seed=4, statistic=statistic, n_jobs=1)
    two = result.bootstrap(6, seed=4, statistic=statistic, n_jobs=2)
    pd.testing.assert_frame_equal(one.values, two.values, check_exact=True)
    assert two.estimates.equals(one.estimates)
    assert one.failures == two.failures == ()


def test_failures_come_with_their_reasons_from_other_processes_too():
    pytest.importorskip("joblib")
    result = cbpp()

    def refuses(fit):
        if fit.fe_params["Intercept"] > result.fe_params["Intercept"]:
            raise ValueError("too high")
        return {"Intercept": fit.fe_params["Intercept"]}

    one = result.bootstrap(8, seed=4, statistic=refuses)
    two = result.bootstrap(8, seed=4, statistic=refuses, n_jobs=2)
    assert one.failures == two.failures
    assert 0 < len(two.failures) < 8
    assert all("too high" in each.reason for each in two.failures)
    pd.testing.assert_frame_equal(one.values, two.values, check_exact=True)


def drawn(values, estimate):
    column = pd.DataFrame({"b": values})
    return Bootstrap(column, pd.Series({"b": estimate}), ())


def test_percentiles_stand_for_their_place_among_the_draws_and_one_more():
    """Of 199 draws the fifth and the 195th are the ends of a 95% interval."""
    sample = drawn(np.random.default_rng(1).permutation(np.arange(1.0, 200.0)), 90.0)
    assert sample.confint(kind="percentile").loc["b", ENDS].tolist() == pytest.approx([5.0, 195.0])
    assert sample.confint(kind="basic").loc["b", ENDS].tolist() == pytest.approx([-15.0, 175.0])


def test_bias_corrected_limits_are_exact_where_a_scale_makes_the_bias_a_shift():
    """On the log scale draws are normal about the estimate less 0.3: the limits undo that twice."""
    scores = norm.ppf(np.arange(1, 10_000) / 10_000)
    found = drawn(np.exp(1.0 - 0.3 + 0.5 * scores), np.exp(1.0)).confint()
    expected = np.exp(1.0 + 0.3 + 0.5 * norm.ppf([0.025, 0.975]))
    assert found.loc["b", ["lower", "upper"]].to_numpy(float) == pytest.approx(expected, rel=1e-3)
    plain = drawn(np.exp(1.0 - 0.3 + 0.5 * scores), np.exp(1.0)).confint(kind="percentile")
    assert plain.loc["b", "upper"] < 0.75 * expected[1]


def test_bias_corrected_limits_stay_at_a_boundary_and_within_the_draws():
    half = drawn(np.concatenate([np.zeros(100), np.linspace(0.01, 1.0, 99)]), 0.0).confint()
    assert half.loc["b", "lower"] == 0.0 and 0.0 < half.loc["b", "upper"] < 1.0
    beyond = drawn(np.linspace(1.0, 2.0, 199), 5.0).confint()
    assert beyond.loc["b", "upper"] == 2.0 and 1.9 < beyond.loc["b", "lower"]


def test_intervals_refuse_unknown_columns_levels_and_kinds():
    sample = drawn(np.arange(10.0), 4.0)
    for options, words in (
        ({"parm": "a"}, "'a'.*'b'"),
        ({"level": 95}, "between 0 and 1"),
        ({"kind": "bca"}, "'bias-corrected'"),
    ):
        with pytest.raises(OptionError, match=words):
            sample.confint(**options)
    empty = drawn(np.zeros(0), 4.0).confint()
    assert empty.loc["b", ["lower", "upper"]].isna().all()


def test_boot_intervals_have_the_form_of_the_others():
    result = cbpp()
    found = result.confint("sd", method="boot", n_boot=40, seed=3)
    assert list(found.columns) == list(result.confint("sd").columns)
    sample = result.bootstrap(40, seed=3).confint("sd(Intercept | herd)")
    assert found["upper"].tolist() == sample["upper"].tolist()
