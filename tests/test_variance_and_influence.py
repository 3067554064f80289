"""R2, intra-class correlation, influence of groups and the table of random effects."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import OptionError
from interlace_core.registry.registry import default_registry
from reference_fits import load_data, load_fit


@pytest.fixture(scope="module")
def cbpp():
    return interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", load_data("cbpp"), "binomial"
    )


@pytest.fixture(scope="module")
def sleep():
    return interlace.glmer(
        "Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"), "gaussian"
    )


def test_r2_of_a_linear_model_is_made_of_its_variances_and_the_same_on_both_scales(sleep):
    days = load_data("sleepstudy")["Days"].to_numpy()
    fixed = sleep.fe_params["Days"] ** 2 * np.var(days, ddof=1)
    S = sleep.variance_components["Subject"].to_numpy()
    random = S[0, 0] + 2 * S[0, 1] * days.mean() + S[1, 1] * np.mean(days**2)
    total = fixed + random + sleep.scale
    for scale in ("link", "response"):
        found = sleep.r2(scale)
        assert found.marginal == pytest.approx(fixed / total, rel=1e-8)
        assert found.conditional == pytest.approx((fixed + random) / total, rel=1e-8)
        assert found.icc == pytest.approx(random / (random + sleep.scale), rel=1e-8)


def test_r2_of_a_binomial_takes_the_latent_variance(cbpp):
    found = cbpp.r2()
    sd2 = cbpp.variance_components["herd"]
    assert found.icc == pytest.approx(sd2 / (sd2 + np.pi**2 / 3), rel=1e-10)
    fixed = np.var(cbpp.eta_fixed[0], ddof=1)
    assert found.marginal == pytest.approx(fixed / (fixed + sd2 + np.pi**2 / 3), rel=1e-10)
    assert "latent" in found.how


def test_r2_of_a_poisson_has_closed_forms_on_both_scales():
    """Lognormal moments: mean exp(eta + v/2), variance by effects mean^2 (exp(v) - 1)."""
    data = load_data("epil")
    fit = interlace.glmer("y ~ trt + (1 | subject)", data, "poisson")
    v = fit.variance_components["subject"]
    mean = np.exp(fit.eta_fixed[0] + v / 2)
    fixed, random, residual = np.var(mean, ddof=1), np.mean(mean**2 * np.expm1(v)), mean.mean()
    found = fit.r2("response")
    assert found.random == pytest.approx(random, rel=1e-8)
    assert found.marginal == pytest.approx(fixed / (fixed + random + residual), rel=1e-8)
    link = fit.r2()
    assert link.residual == pytest.approx(np.log1p(1 / mean.mean()), rel=1e-8)
    with pytest.raises(OptionError, match="scale"):
        fit.r2("logit")


def test_random_effects_table_has_lme4_s_modes_and_standard_deviations(cbpp):
    found = cbpp.ranef().query("group == 'herd'").set_index("level")
    expected = load_fit("cbpp_logit_lme4")["ranef_head"]["herd"]
    head = found.loc[expected["levels"]]
    assert head["value"].to_numpy() == pytest.approx(np.ravel(expected["values"]), abs=1e-5)
    assert head["sd"].to_numpy() == pytest.approx(np.ravel(expected["condsd"]), rel=1e-5)
    half = 0.5 * (found["upper"] - found["lower"])
    assert half.to_numpy() == pytest.approx(1.959964 * found["sd"].to_numpy(), rel=1e-6)


def test_exact_influence_is_that_of_a_fit_without_the_group(cbpp):
    data = load_data("cbpp")
    found = cbpp.influence(exact=2)
    worst = found.cook.index[0]
    without = interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        data[data["herd"].astype(str) != worst],
        "binomial",
    )
    moved = without.fe_params - cbpp.fe_params
    assert found.exact_change.loc[worst, moved.index].to_numpy() == pytest.approx(
        moved.to_numpy(), abs=1e-4
    )
    assert found.exact_change.loc[worst, "theta_1"] == pytest.approx(
        without.theta[0] - cbpp.theta[0], abs=1e-4
    )


def test_one_step_influence_points_the_right_way_for_every_group(sleep):
    found = sleep.influence(exact=18)
    assert not found.failures
    one, exact = found.change["Days"], found.exact_change["Days"][found.change.index]
    # one group of 18: the step neglects its share of the Hessian, about a tenth
    assert np.corrcoef(one, exact)[0, 1] > 0.99
    assert np.all(np.abs(one - exact) < 0.25 * np.abs(exact) + 0.02)


def test_influence_in_a_linear_model_by_ml_is_that_of_the_same_model_by_glmer(sleep):
    data = load_data("sleepstudy")
    linear = interlace.fit("Reaction ~ Days + (Days | Subject)", data, method="ML")
    found, expected = linear.influence(exact=2), sleep.influence(exact=2)
    assert found.cook.index[0] == expected.cook.index[0]
    worst = list(expected.exact_change.index)
    assert list(found.exact_change.index) == worst
    columns = ["Intercept", "Days"]
    assert found.exact_change[columns].to_numpy() == pytest.approx(
        expected.exact_change[columns].to_numpy(), abs=1e-2
    )


def test_influence_of_a_constant_mean_is_the_change_of_a_mean():
    """For y ~ 1 the change without cluster g is -n_g (mean_g - mean) / (n - n_g) exactly."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=40)})
    g = np.repeat(np.arange(10), 4)
    fit = interlace.glmer("y ~ 1", data, "gaussian")
    found = fit.influence(cluster=g, exact=10)
    for i in range(10):
        expected = data["y"][g != i].mean() - data["y"].mean()
        assert found.exact_change.loc[str(i), "Intercept"] == pytest.approx(
            expected, abs=1e-4
        )  # a fit may stop 1e-7 of
        # log-likelihood short, 5e-4 standard errors
        # one step: the same but for the factor n / (n - n_g)
        assert found.change.loc[str(i), "Intercept"] == pytest.approx(0.9 * expected, abs=1e-4)


def test_r2_of_ordered_categories_is_of_the_latent_scale():
    """R's performance::r2_nakagawa of ordinal::clmm: 0.414 and 0.578."""
    found = interlace.clmm("rating ~ temp + contact + (1 | judge)", load_data("wine")).r2()
    assert found.marginal == pytest.approx(0.414, abs=1e-3)
    assert found.conditional == pytest.approx(0.578, abs=1e-3)


LATENT = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6, "loglog": np.pi**2 / 6}


@pytest.mark.parametrize("link", LATENT)
def test_shares_of_ordered_categories_are_of_the_links_latent_variance(link):
    wine = load_data("wine")
    fit = interlace.clmm("rating ~ temp + (1 | judge)", wine, link=link)
    fixed = np.var(fit.fe_params.iloc[0] * (wine["temp"] == "warm").to_numpy(), ddof=1)
    random, found = fit.variance_components["judge"], fit.r2()
    assert found.icc == pytest.approx(random / (random + LATENT[link]), rel=1e-10)
    assert found.marginal == pytest.approx(fixed / (fixed + random + LATENT[link]), rel=1e-8)


OF_A_LOG_LINK = {
    "negativebinomial": lambda fit, mu: 1.0 / mu + 1.0 / fit.family_params["value"].iloc[0],
    "negativebinomial1": lambda fit, mu: (1.0 + fit.family_params["value"].iloc[0]) / mu,
    "gamma": lambda fit, mu: 1.0 / fit.family_params["value"].iloc[0],
    "inversegaussian": lambda fit, mu: mu * fit.family_params["value"].iloc[0],
}
"""Squared coefficient of variation at the mean, in closed form (Nakagawa et al. 2017, table 1)."""


@pytest.mark.parametrize("name", OF_A_LOG_LINK)
def test_shares_under_a_log_link_have_the_log_normal_variance(name):
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.repeat(np.arange(15), 8), "x": rng.normal(size=120)})
    mu = np.exp(1.0 + 0.4 * data["x"] + rng.normal(0, 0.5, 15)[data["g"]])
    counts = name.startswith("negative")
    data["y"] = rng.negative_binomial(4, 4 / (4 + mu)) if counts else rng.gamma(3.0, mu / 3.0)
    family = default_registry().family(name)
    fit = interlace.glmer("y ~ x + (1 | g)", data, family() if counts else family(link="log"))
    random = fit.variance_components["g"]
    mean = np.mean(np.exp(fit.eta_fixed[0] + random / 2.0))
    residual = np.log1p(OF_A_LOG_LINK[name](fit, mean))
    found = fit.r2()
    assert found.residual == pytest.approx(residual, rel=1e-6)
    assert found.icc == pytest.approx(random / (random + residual), rel=1e-6)


def test_a_family_of_others_states_its_latent_variance():
    """A Gumbel-like cut written elsewhere: shares of what it says, not of its codes."""

    class Cut(default_registry().family("binomial")):
        name = "cut"

        def latent_variance(self, eta):
            return np.float64(2.5)

    fit = interlace.glmer("y ~ week + (1 | ID)", load_data("bacteria"), Cut())
    random = fit.variance_components["ID"]
    assert fit.r2().icc == pytest.approx(random / (random + 2.5), rel=1e-10)


@pytest.mark.parametrize("name", ["poisson", "gaussian"])
def test_rows_are_their_own_clusters_without_random_effects(name):
    """White's covariance (HC0) by hand, times n / (n - 1)."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=80)})
    data["y"] = rng.poisson(np.exp(0.3 * data["x"]))
    fit = interlace.glmer("y ~ x", data, name)
    X = np.column_stack([np.ones(80), data["x"]])
    mu = fit.fittedvalues.to_numpy()
    bread = np.linalg.inv(X.T @ (X * (mu if name == "poisson" else np.ones(80))[:, None]))
    meat = X.T @ (X * np.square(data["y"] - mu).to_numpy()[:, None])
    expected = bread @ meat @ bread * 80 / 79
    np.testing.assert_allclose(fit.vcov_robust().iloc[:2, :2], expected, rtol=2e-3)
    influence = fit.influence(exact=1)
    assert len(influence.cook) == 80
    assert influence.exact_cook.iloc[0] == pytest.approx(influence.cook.iloc[0], rel=0.5)
