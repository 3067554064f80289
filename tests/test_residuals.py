"""Residuals against R's, and in distribution: right for the true model, not for a wrong one."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, kstest

import interlace
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from reference_fits import load_data, load_fit


@pytest.fixture(scope="module")
def cbpp():
    return interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", load_data("cbpp"), "binomial"
    )


@pytest.mark.parametrize("kind", ["response", "pearson", "deviance", "working"])
def test_residuals_of_a_binomial_agree_with_lme4(cbpp, kind):
    expected = load_fit("cbpp_logit_lme4")["extras"][f"resid_{kind}_head"]
    assert cbpp.residuals(kind).head(10).to_numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    "kind, engine", [("response", "tmb"), ("pearson", "tmb"), ("deviance", "lme4")]
)
def test_residuals_of_a_poisson_agree_with_r(kind, engine):
    """glmmTMB 1.1.5 has no deviance residuals here; lme4's optimum is off by 1e-4."""
    reference = load_fit(f"grouseticks_pois_{engine}")
    fit = interlace.glmer(
        "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
        load_data("grouseticks"),
        "poisson",
    )
    expected = np.array(reference["extras"][f"resid_{kind}_head"], dtype=float)
    found = fit.residuals(kind).head(10).to_numpy()
    assert found == pytest.approx(expected, abs=1e-6 if engine == "tmb" else 2e-4)


def test_deviance_of_a_zero_count_is_twice_its_mean():
    fit = interlace.glmer("y ~ 1", pd.DataFrame({"y": [0.0, 0.0, 3.0, 1.0, 5.0]}), "poisson")
    expected = -np.sqrt(2.0 * fit.fittedvalues.iloc[0])
    assert fit.residuals("deviance").iloc[0] == pytest.approx(expected, rel=1e-6)


def test_deviance_of_a_linear_model_is_its_standardised_residual():
    fit = interlace.glmer("Reaction ~ Days + (1 | Subject)", load_data("sleepstudy"), "gaussian")
    assert fit.residuals("deviance").to_numpy() == pytest.approx(
        fit.residuals("pearson").to_numpy(), rel=1e-6, abs=1e-6
    )


@pytest.fixture(scope="module")
def overdispersed():
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(40), 10)
    x = rng.normal(size=400)
    mu = np.exp(1.0 + 0.3 * x + 0.4 * rng.normal(size=40)[g])
    return pd.DataFrame(
        {"x": x, "g": g.astype(str), "y": rng.negative_binomial(1.0, 1.0 / (1.0 + mu))}
    )


def test_quantile_residuals_tell_a_wrong_family_from_the_right_one(overdispersed):
    wrong = interlace.glmer("y ~ x + (1 | g)", overdispersed, "poisson")
    right = interlace.glmer("y ~ x + (1 | g)", overdispersed, "negativebinomial")
    assert kstest(wrong.residuals("quantile"), "norm").pvalue < 1e-6
    assert kstest(right.residuals("quantile"), "norm").pvalue > 0.01


def test_scaled_residuals_tell_overdispersion_and_zeros(overdispersed):
    wrong = interlace.glmer("y ~ x + (1 | g)", overdispersed, "poisson").scaled_residuals(200)
    assert wrong.test_dispersion().statistic > 1.5
    assert wrong.test_dispersion().pvalue < 0.02
    assert wrong.test_zeros().statistic > 1.3 and wrong.test_zeros().pvalue < 0.02
    right = interlace.glmer("y ~ x + (1 | g)", overdispersed, "negativebinomial")
    assert np.all(right.scaled_residuals(200).tests()["pvalue"] > 0.02)


def true_model_draws(count):
    """Refits of a Poisson model to its own draws: what residuals should be like."""
    rng = np.random.default_rng(12)
    g = np.repeat(np.arange(30), 10)
    x = rng.normal(size=300)
    for _ in range(count):
        mu = np.exp(0.5 + 0.3 * x + 0.4 * rng.normal(size=30)[g])
        data = pd.DataFrame({"x": x, "g": g.astype(str), "y": rng.poisson(mu)})
        yield interlace.glmer("y ~ x + (1 | g)", data, "poisson")


def test_quantile_residuals_of_a_true_model_are_uniform_over_simulations():
    """Few p-values are small: residuals of a fit are a little closer to uniform than draws."""
    pvalues = [
        kstest(fit.residuals("quantile", seed=i), "norm").pvalue
        for i, fit in enumerate(true_model_draws(30))
    ]
    # under uniformity 1.5 of 30 are below 0.05; 6 or more has a chance of 0.3%
    assert np.sum(np.less(pvalues, 0.05)) < 6
    assert np.median(pvalues) > 0.3


@pytest.mark.slow
def test_quantile_residuals_of_a_true_model_are_uniform_over_200_simulations():
    pvalues = [
        kstest(fit.residuals("quantile", seed=i), "norm").pvalue
        for i, fit in enumerate(true_model_draws(200))
    ]
    # under uniformity 10 of 200 are below 0.05, with a standard deviation of 3
    assert np.sum(np.less(pvalues, 0.05)) <= 19
    assert np.median(pvalues) > 0.4


def test_scaled_residuals_are_uniform_ranks():
    """Of a model without random effects whose parameters are known well: uniform, ties spread."""
    rng = np.random.default_rng(0)
    fit = interlace.glmer("y ~ 1", pd.DataFrame({"y": rng.poisson(0.7, 2000)}), "poisson")
    found = fit.scaled_residuals(100)
    assert kstest(found.values, "uniform").pvalue > 0.01
    assert found.values.between(0, 1).all() and np.all(np.isfinite(found.normal))


def test_outliers_are_rows_beyond_all_draws_and_as_many_as_chance_has(overdispersed):
    rng = np.random.default_rng(3)
    fit = interlace.glmer("y ~ 1", pd.DataFrame({"y": rng.normal(size=3000)}), "gaussian")
    found = fit.scaled_residuals(49)
    low, high = found.draws.min(axis=0), found.draws.max(axis=0)
    beyond = (found.observed < low) | (found.observed > high)
    assert (found.outliers.to_numpy() == beyond).all()
    check = found.test_outliers()
    assert check.statistic == pytest.approx(beyond.sum() / (3000 * 2 / 50))
    # by hand: both tails of Bin(3000, 1/25), as sums of terms no likelier than the one seen
    mass = binom.pmf(np.arange(3001), 3000, 1 / 25)
    own = mass[int(beyond.sum())]
    assert check.pvalue == pytest.approx(mass[mass <= own * (1 + 1e-7)].sum(), rel=1e-6)
    wrong = interlace.glmer("y ~ x + (1 | g)", overdispersed, "poisson").scaled_residuals(99)
    assert wrong.test_outliers().statistic > 2.0 and wrong.test_outliers().pvalue < 1e-3


def test_residuals_refuse_what_has_no_meaning(cbpp):
    with pytest.raises(OptionError, match="kind must be"):
        cbpp.residuals("studentised")
    data = load_data("epil").assign(w=2.0)
    weighted = interlace.glmer("y ~ trt + (1 | subject)", data, "poisson", weights="w")
    with pytest.raises(UnsupportedModelError, match="weight"):
        weighted.residuals("quantile")


def test_power_is_the_normal_approximation_where_that_is_exact():
    """A mean of 60 normal draws: power Phi(d sqrt(n) / sigma - 1.96), simulated to 3 sd."""
    from scipy.stats import norm

    data = pd.DataFrame({"x": np.tile([-1.0, 1.0], 30)})
    found = interlace.power(
        "y ~ x", data, "gaussian", fixed={"x": 0.3}, sd={}, test="x",
        parameters={"sigma": 1.0}, n=120, seed=1,
    )  # fmt: skip
    expected = norm.cdf(0.3 * np.sqrt(60) - 1.96)
    # the estimated variance adds a percent or two
    assert found.power == pytest.approx(expected, abs=3.5 * np.sqrt(0.25 / 120))
    assert found.interval[0] < found.power < found.interval[1]
    assert len(found.failures) + found.pvalues.size == 120


def test_power_needs_every_assumption(cbpp):
    data = pd.DataFrame({"x": np.tile([0.0, 1.0], 30), "g": np.repeat(np.arange(15), 4)})
    call = dict(fixed={"x": 0.3}, sd={"g": 1.0}, test="x", n=5)
    with pytest.raises(OptionError, match="'theta'"):
        interlace.power("y ~ x + (1 | g)", data, "negativebinomial", **call)
    with pytest.raises(OptionError, match="test names 'z'"):
        interlace.power("y ~ x + (1 | g)", data, "poisson", **{**call, "test": "z"})
    with pytest.raises(OptionError, match="standard deviation for 'g'"):
        interlace.power("y ~ x + (1 | g)", data, "poisson", **{**call, "sd": {}})


@pytest.fixture(scope="module")
def precise():
    """A linear model with precision weights."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "x": rng.normal(size=48)})
    data["w"] = np.tile([0.5, 1.0, 25.0], 16)
    error = rng.normal(size=48) / np.sqrt(data["w"])
    data["y"] = 1.0 + data["x"] + rng.normal(size=8)[data["g"]] + error
    return interlace.fit("y ~ x + (1 | g)", data, weights="w")


def test_residuals_of_a_linear_model_are_of_the_variance_over_the_precision_weight(precise):
    from scipy.stats import norm

    sd = np.sqrt(precise.scale / precise.weights)
    scaled = precise.residuals("response").to_numpy() / sd
    assert precise.residuals("pearson").to_numpy() == pytest.approx(scaled, rel=1e-12)
    cdf = norm.cdf(precise.y, loc=precise.fittedvalues, scale=sd)
    assert precise.residuals("quantile").to_numpy() == pytest.approx(norm.ppf(cdf), abs=1e-7)
    bare = precise.without_training()
    assert bare.residuals("quantile").equals(precise.residuals("quantile"))


def test_draws_of_a_linear_model_have_the_variance_over_the_precision_weight(precise):
    """By 4000 draws a standard deviation is known to 1.1%: 4.5 of these for 48 rows."""
    draws = precise.simulate(4000, seed=1, conditional=True).to_numpy()
    sd = np.sqrt(precise.scale / precise.weights)
    assert draws.std(axis=1) == pytest.approx(sd, rel=0.05)
    found = precise.predict(interval="prediction", n_sim=4000, seed=1)
    width = (found["upper"] - found["lower"]).to_numpy()
    assert width == pytest.approx(2 * 1.96 * np.hypot(found["se"], sd), rel=0.12)


def test_a_parametric_bootstrap_keeps_the_precision_of_rows(precise):
    sigma = precise.bootstrap(200, seed=1).values["sigma"]
    assert sigma.mean() == pytest.approx(np.sqrt(precise.scale), rel=0.05)
