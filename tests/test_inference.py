"""Intervals, tests and comparisons, against R's and against closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

import interlace
from interlace_core.messages.errors import NotAvailableError, OptionError, UnsupportedModelError
from reference_fits import coefficient_name, load_data, load_fit


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


SLEEP_LABELS = {
    "sd_(Intercept)|Subject": "sd(Intercept | Subject)",
    "cor_Days.(Intercept)|Subject": "cor(Days, Intercept | Subject)",
    "sd_Days|Subject": "sd(Days | Subject)",
    "sigma": "sigma",
    "(Intercept)": "Intercept",
    "Days": "Days",
}


def test_profile_intervals_agree_with_lme4_for_coefficients_sd_correlation_and_sigma(sleep):
    expected = load_fit("sleepstudy_ml_lme4")["extras"]["confint_profile"]
    found = sleep.confint(method="profile")
    labels = [SLEEP_LABELS[name] for name in expected["names"]]
    # lme4 interpolates its profile by splines, to about 1e-4 of an interval's width
    width = np.subtract(expected["upper"], expected["lower"])
    assert np.all(np.abs(found["lower"][labels] - expected["lower"]) < 2e-4 * width)
    assert np.all(np.abs(found["upper"][labels] - expected["upper"]) < 2e-4 * width)


def test_profile_intervals_agree_with_lme4_for_a_binomial(cbpp):
    fit = load_fit("cbpp_logit_lme4")
    expected = fit["extras"]["confint_profile"]
    labels = [
        "sd(Intercept | herd)" if name.startswith("sd_") else coefficient_name(name, fit["factors"])
        for name in expected["names"]
    ]
    found = cbpp.confint(labels, method="profile")
    # lme4's profile of a GLMM steps with a looser optimizer: 2e-4 of values near 1
    assert found["lower"].to_numpy() == pytest.approx(expected["lower"], abs=3e-4)
    assert found["upper"].to_numpy() == pytest.approx(expected["upper"], abs=3e-4)


def test_wald_intervals_agree_with_glmmtmb_for_coefficients_and_sd(cbpp):
    fit = load_fit("cbpp_logit_tmb")
    rows = fit["extras"]["confint_wald"]
    found = cbpp.confint()
    for row in rows:
        name = row["_row"]
        label = "sd(Intercept | herd)" if name.startswith("Std") else None
        label = label or coefficient_name(name, fit["factors"])
        # standard errors differ by 5e-5, glmmTMB's being from a numerical Hessian
        assert found.loc[label, "lower"] == pytest.approx(row["2.5 %"], abs=3e-4)
        assert found.loc[label, "upper"] == pytest.approx(row["97.5 %"], abs=3e-4)


def test_profile_grid_interpolates_to_the_same_interval_and_is_straight_where_wald_is(cbpp):
    grid = cbpp.profile("period[T.2]", level=0.95, points=4)
    exact = cbpp.confint("period[T.2]", method="profile")
    assert grid.confint(0.9).loc["period[T.2]"].tolist() == pytest.approx(
        cbpp.confint("period[T.2]", method="profile", level=0.9)[["lower", "upper"]].iloc[0],
        abs=1e-3,
    )
    assert np.all(np.diff(grid.points["zeta"]) > 0)
    assert exact["lower"].iloc[0] == pytest.approx(grid.confint(0.95)["lower"].iloc[0], abs=1e-3)


def test_profile_of_a_variance_that_reaches_zero_is_closed_there():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(15), 4)
    data = pd.DataFrame({"y": rng.poisson(2.0, 60), "g": g.astype(str)})
    fit = interlace.glmer("y ~ 1 + (1 | g)", data, "poisson")
    found = fit.confint("sd", method="profile")
    assert found["lower"].iloc[0] == 0.0
    # the upper end: twice the log-likelihood lost there is the chi-square quantile
    upper = found["upper"].iloc[0]
    assert 0.05 < upper < 1.0
    zeta = fit.profile("sd", level=0.97).points
    at = np.interp(upper, zeta["value"], zeta["zeta"])
    assert at == pytest.approx(norm.ppf(0.975), abs=0.02)  # by linear interpolation


def test_wald_interval_of_a_family_parameter_is_taken_on_its_link(sleep):
    found = sleep.confint("sigma").iloc[0]
    se = sleep.family_params.loc["sigma", "se"]
    half = norm.ppf(0.975) * se / found["estimate"]
    ends = found["estimate"] * np.exp([-half, half])
    assert found[["lower", "upper"]].tolist() == pytest.approx(ends, rel=1e-10)


def test_confint_names_what_exists(cbpp):
    with pytest.raises(OptionError, match="Did you mean 'period"):
        cbpp.confint("period[T.22]")
    with pytest.raises(OptionError, match="method"):
        cbpp.confint(method="exact")
    with pytest.raises(NotAvailableError, match="profile"):
        cbpp.without_training().profile()


def test_robust_covariance_of_a_linear_model_is_whites_formula():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(12), 5)
    x = rng.normal(size=60)
    data = pd.DataFrame({"x": x, "y": 1 + x + rng.normal(size=12)[g] + rng.normal(size=60)})
    fit = interlace.glmer("y ~ x", data, "gaussian")
    X = np.column_stack([np.ones(60), x])
    residual = data["y"] - X @ fit.fe_params.to_numpy()
    bread = np.linalg.inv(X.T @ X)
    meat = sum(np.outer(s, s) for s in (X[g == i].T @ residual[g == i] for i in range(12)))
    expected = bread @ meat @ bread * 12 / 11
    found = fit.vcov_robust(cluster=g).iloc[:2, :2].to_numpy()
    # the Hessian may belong to a point where 1e-6 of log-likelihood was left: 1e-4 of sigma
    assert found == pytest.approx(expected, rel=3e-4)


def test_robust_covariance_of_a_linear_mixed_model_is_the_generalised_one():
    """The dense computation: V block by block, its inverse in bread and scores."""
    data = load_data("sleepstudy")
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", data, method="ML")
    X = np.column_stack([np.ones(180), data["Days"]])
    sigma_b = fit.variance_components["Subject"].to_numpy()
    residual = data["Reaction"].to_numpy() - X @ fit.fe_params.to_numpy()
    information, meat = np.zeros((2, 2)), np.zeros((2, 2))
    for rows in data.groupby("Subject", observed=True).indices.values():
        own = X[rows]
        pulled = own.T @ np.linalg.inv(own @ sigma_b @ own.T + fit.scale * np.eye(len(rows)))
        information += pulled @ own
        meat += np.outer(pulled @ residual[rows], pulled @ residual[rows])
    bread = np.linalg.inv(information)
    found = fit.vcov_robust().loc[fit.fe_params.index, fit.fe_params.index]
    assert found.to_numpy() == pytest.approx(bread @ meat @ bread * 18 / 17, rel=1e-5)


def test_robust_covariance_by_reml_says_what_to_do():
    fit = interlace.fit("Reaction ~ Days + (1 | Subject)", load_data("sleepstudy"))
    for call in (fit.vcov_robust, fit.influence):
        with pytest.raises(UnsupportedModelError, match='fit\\(\\) with method="ML"'):
            call()


def test_robust_covariance_refuses_clusters_that_share_effects():
    fit = interlace.glmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", load_data("Penicillin"), "gaussian"
    )
    with pytest.raises(UnsupportedModelError, match="share random effects"):
        fit.vcov_robust("sample")


def test_scores_of_clusters_add_up_to_the_gradient_of_the_whole(cbpp):
    from interlace.inference.sandwich import cluster_scores

    found = cluster_scores(cbpp, cbpp.training, "herd", "test")
    scores = found.standard.given_gradient(found.scores)
    # modes are found to a squared decrement of 1e-16: 1e-8 of scores that are 0.1 and more
    assert scores.sum(axis=0) == pytest.approx(cbpp.fit.gradient, abs=1e-7)
    assert np.abs(scores).max() > 0.1


def test_drop1_agrees_with_lme4(cbpp):
    expected = load_fit("cbpp_logit_lme4")["extras"]["drop1"]
    found = cbpp.drop1()
    assert found["aic"].to_numpy() == pytest.approx(expected["AIC"], abs=1e-4)
    assert found.loc["period", "lrt"] == pytest.approx(expected["LRT"][1], abs=1e-4)
    assert found.loc["period", "pvalue"] == pytest.approx(expected["p"][1], rel=1e-4)


def test_anova_agrees_with_lme4_where_no_boundary_is_crossed(cbpp):
    expected = load_fit("cbpp_logit_lme4")["extras"]["anova_lrt"]
    small = interlace.glmer(
        "cbind(incidence, size - incidence) ~ (1 | herd)", load_data("cbpp"), "binomial"
    )
    found = interlace.anova(cbpp, small).iloc[1]
    assert found["chisq"] == pytest.approx(expected["Chisq"], abs=1e-4)
    assert found["pvalue"] == pytest.approx(expected["p"], rel=1e-4)
    assert found["reference"] == "chi2(3)"


def test_anova_mixes_chi_squares_for_a_variance_at_its_boundary(sleep):
    expected = load_fit("sleepstudy_ml_int_lme4")["extras"]["anova_lrt"]
    small = interlace.glmer("Reaction ~ Days + (1 | Subject)", load_data("sleepstudy"), "gaussian")
    found = interlace.anova(small, sleep).iloc[1]
    assert found["chisq"] == pytest.approx(expected["Chisq"], abs=1e-5)
    mixed = 0.5 * (chi2.sf(found["chisq"], 1) + chi2.sf(found["chisq"], 2))
    assert found["pvalue"] == pytest.approx(mixed, rel=1e-12)
    assert "half chi2(1), half chi2(2)" in found["reference"]


def test_anova_refuses_other_rows_responses_and_approximations(cbpp):
    data = load_data("cbpp")
    formula = "cbind(incidence, size - incidence) ~ 1 + (1 | herd)"
    fewer = interlace.glmer(formula, data.iloc[:-3], "binomial")
    with pytest.raises(OptionError, match="different rows"):
        interlace.anova(cbpp, fewer)
    quadrature = interlace.glmer(formula, data, "binomial", nAGQ=5)
    with pytest.raises(OptionError, match="same nAGQ"):
        interlace.anova(cbpp, quadrature)
    swapped = interlace.glmer(
        "cbind(size - incidence, incidence) ~ 1 + (1 | herd)", data, "binomial"
    )
    with pytest.raises(OptionError, match="responses differ"):
        interlace.anova(cbpp, swapped)


def test_anova_says_so_where_fits_are_not_nested(cbpp):
    data = load_data("cbpp").assign(z=np.arange(56) % 7)
    other = interlace.glmer("cbind(incidence, size - incidence) ~ z + (1 | herd)", data, "binomial")
    row = interlace.anova(cbpp, other).iloc[1]
    assert np.isnan(row["pvalue"]) and "not nested" in row["reference"]


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(8)
    data = pd.DataFrame(
        {
            "a": rng.choice(list("pqr"), 80),
            "b": rng.choice(list("uv"), 80),
            "x": rng.normal(size=80),
        }
    )
    data["y"] = (data["a"] == "q") + 0.5 * (data["b"] == "v") * (data["a"] == "r") + data["x"]
    data["y"] += rng.normal(size=80)
    return data


def test_type_two_tests_are_the_sums_of_squares_of_a_linear_model(linear):
    """For a linear model the type II chi-square is RSS without the term minus RSS with it."""
    fit = interlace.glmer("y ~ a * b + x", linear, "gaussian")
    found = fit.term_tests(type=2)
    sigma2 = rss(linear, "a * b + x") / 80
    pairs = {
        "a": ("b + x", "a + b + x"),
        "b": ("a + x", "a + b + x"),
        "x": ("a * b", "a * b + x"),
        "a:b": ("a + b + x", "a * b + x"),
    }
    for term, (without, with_it) in pairs.items():
        expected = (rss(linear, without) - rss(linear, with_it)) / sigma2
        assert found.loc[term, "chisq"] == pytest.approx(expected, rel=1e-4)  # as above


def test_type_three_tests_are_of_the_coefficients_as_coded(linear):
    fit = interlace.glmer("y ~ a * b + x", linear, "gaussian")
    z = fit.fe_zvalues["b[T.v]"]
    assert fit.term_tests(type=3).loc["b", "chisq"] == pytest.approx(z**2, rel=1e-10)
    L = np.zeros(fit.fe_params.size)
    L[list(fit.fe_params.index).index("x")] = 1.0
    one = fit.wald_test(L, value=1.0)
    assert one["chisq"] == pytest.approx(((fit.fe_params["x"] - 1) / fit.fe_bse["x"]) ** 2)


def test_drop1_keeps_to_what_can_be_dropped(linear):
    fit = interlace.glmer("y ~ a * b + x", linear, "gaussian")
    assert list(fit.drop1().index) == ["<none>", "x", "a:b"]
    with pytest.raises(OptionError, match="part of 'a:b'"):
        fit.drop1("a")
    no_constant = interlace.glmer("y ~ 0 + a + b", linear, "gaussian")
    with pytest.raises(UnsupportedModelError, match="constant"):
        no_constant.drop1("a")


def rss(data, right):
    from formulaic import model_matrix

    X = model_matrix(right, data).to_numpy(dtype=float)
    return float(np.linalg.lstsq(X, data["y"].to_numpy(), rcond=None)[1][0])


def test_bootstrap_is_repeatable_in_any_number_of_draws_and_keeps_failures(cbpp):
    few, more = cbpp.bootstrap(4, seed=3), cbpp.bootstrap(6, seed=3)
    pd.testing.assert_frame_equal(few.values, more.values.iloc[:4])

    def fails_sometimes(result):
        if result.fe_params["Intercept"] > few.values["Intercept"].median():
            raise ValueError("no answer for this one")
        return {"b": result.fe_params["Intercept"]}

    estimate = cbpp.fe_params["Intercept"]
    assert few.values["Intercept"].median() != estimate
    if few.values["Intercept"].median() > estimate:
        found = cbpp.bootstrap(4, seed=3, statistic=fails_sometimes)
        assert len(found.failures) == 2 and len(found.values) == 2
        assert "no answer" in found.failures[0].reason


def test_bootstrap_standard_errors_are_near_those_of_the_hessian(cbpp):
    found = cbpp.bootstrap(60, seed=1).bse[cbpp.fe_bse.index]
    # 60 draws give a standard deviation to about 9%; 4 of these are 36%
    assert found.to_numpy() == pytest.approx(cbpp.fe_bse.to_numpy(), rel=0.36)


def test_refit_to_the_same_response_returns_the_same_fit(cbpp):
    again = cbpp.refit(cbpp.y)
    assert again.llf == pytest.approx(cbpp.llf, abs=1e-8)
    assert again.fe_params.to_numpy() == pytest.approx(cbpp.fe_params.to_numpy(), abs=1e-5)


def test_simulated_responses_have_the_model_s_moments(sleep):
    """Unconditional draws: mean X beta, variance z'Sigma z + sigma^2; conditional: sigma^2."""
    draws = sleep.simulate(2000, seed=4)
    Z = np.column_stack([np.ones(180), load_data("sleepstudy")["Days"]])
    variance = np.sum(Z @ sleep.variance_components["Subject"].to_numpy() * Z, axis=1) + sleep.scale
    se = np.sqrt(variance / 2000)
    assert np.all(np.abs(draws.mean(axis=1) - sleep.eta_fixed[0]) < 4.5 * se)
    # a variance from 2000 normal draws has a relative error of 3.2%
    assert draws.var(axis=1).to_numpy() == pytest.approx(variance, rel=0.15)
    kept = sleep.simulate(2000, seed=4, conditional=True)
    assert kept.var(axis=1).to_numpy() == pytest.approx(sleep.scale, rel=0.15)
