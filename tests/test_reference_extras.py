"""What R reports after its reference fits (`extras`), held against what is reported here.

Intervals of linear models, residuals, the lognormal, tests in sequence. Others are beside what they
test: degrees of freedom in test_fit.py, the binomial's intervals, drop1 and likelihood-ratio tests
in test_inference.py, means and contrasts of emmeans in test_marginaleffects.py.
"""

import re

import numpy as np
import pytest
from scipy.stats import norm, t

import interlace
from interlace_core.engine.layout import layout_of
from reference_fits import coefficient_name, fit_ids, load_data, load_fit

WITH = {fit_id: load_fit(fit_id).get("extras") or {} for fit_id in fit_ids()}
R_NAME = re.compile(r"(sd|cor)_(.+)\|(.+)")


def having(extra, family=None):
    """Return the ids of the fits with an extra."""
    return [
        fit_id
        for fit_id, extras in WITH.items()
        if extra in extras and family in (None, load_fit(fit_id)["family"])
    ]


def linear(reference, method):
    return interlace.fit(reference["formula"], load_data(reference["dataset"]), method=method)


def label_of(name, reference, labels):
    """Return the name here of a parameter that lme4's profile calls `name`."""
    found = R_NAME.fullmatch(name)
    if found is None:
        return name if name == "sigma" else coefficient_name(name, reference["factors"])
    kind, columns, group = found.groups()
    columns = columns.replace("(Intercept)", "Intercept").split(".")
    nested = ":".join(reversed(group.split(":")))
    candidates = [f"{kind}({', '.join(columns)} | {each})" for each in (group, nested)]
    return next(each for each in candidates if each in labels)


# the interactions of the cake's are 18 profiles of one kind: its other model has one of each
PROFILES = [
    pytest.param(each, marks=pytest.mark.slow) if each == "cake_reml_lme4" else each
    for each in having("confint_profile", "gaussian")
]


@pytest.mark.parametrize("fit_id", PROFILES)
def test_profile_intervals_of_linear_models_agree_with_lme4(fit_id):
    """lme4 profiles the likelihood, by ML, whatever the fit."""
    reference = load_fit(fit_id)
    expected = WITH[fit_id]["confint_profile"]
    found = linear(reference, "ML").confint(method="profile")
    labels = [label_of(name, reference, found.index) for name in expected["names"]]
    assert sorted(labels) == sorted(found.index)
    low, high = (np.array(expected[end], dtype=float) for end in ("lower", "upper"))
    # lme4 interpolates its profile by splines, to about 1e-4 of an interval's width
    assert np.all(np.abs(found["lower"][labels] - low) < 1e-3 * (high - low))
    assert np.all(np.abs(found["upper"][labels] - high) < 1e-3 * (high - low))


@pytest.mark.parametrize("fit_id", having("resid_pearson_head", "gaussian"))
def test_pearson_residuals_of_linear_models_agree_with_lme4(fit_id):
    """lme4 does not divide by the residual standard deviation; here all families are."""
    reference = load_fit(fit_id)
    ours = linear(reference, "REML" if reference["REML"] else "ML")
    expected = np.array(WITH[fit_id]["resid_pearson_head"], dtype=float)
    found = ours.residuals("pearson").head(len(expected)).to_numpy() * np.sqrt(ours.scale)
    assert found == pytest.approx(expected, abs=1e-3 * np.sqrt(ours.scale))


@pytest.mark.parametrize("kind", ["response", "pearson"])
def test_residuals_of_a_binomial_agree_with_glmmtmb(kind):
    fit = interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", load_data("cbpp"), "binomial"
    )
    expected = np.array(WITH["cbpp_logit_tmb"][f"resid_{kind}_head"], dtype=float)
    assert fit.residuals(kind).head(len(expected)).to_numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("fit_id", having("logLik_lognormal"))
def test_jacobian_of_a_logarithm_makes_its_likelihood_that_of_the_response(fit_id):
    """The lognormal of constant variation, by the linear model of the logarithm."""
    reference = load_fit(fit_id)
    fit = linear(reference, "ML")
    expected = WITH[fit_id]
    assert fit.llf - expected["sum_log_y"] == pytest.approx(expected["logLik_lognormal"], abs=1e-6)


@pytest.mark.parametrize("fit_id", having("logLik_lognormal"))
def test_lognormal_is_glmmtmbs_normal_of_the_logarithm(fit_id):
    """mu is the mean of y: the intercept is that of log(y) plus sigma^2 / 2."""
    reference, expected = load_fit(fit_id), WITH[fit_id]
    formula = re.sub(r"log\((\w+)\)", r"\1", reference["formula"])
    fit = interlace.glmer(formula, load_data(reference["dataset"]), "lognormal")
    assert fit.llf == pytest.approx(expected["logLik_lognormal"], abs=1e-6)
    sigma = fit.family_params["value"]["sigma"]
    for name, value in reference["fixef"].items():
        here = coefficient_name(name, reference["factors"])
        shift = 0.5 * sigma**2 if here == "Intercept" else 0.0
        assert fit.fe_params[here] - shift == pytest.approx(value, abs=1e-5)


def test_tests_in_sequence_agree_with_lme4_where_there_is_one_term():
    """lme4's covariance is that at known theta, without the curvature of log|H|."""
    from interlace_core.engine.joint_density import Conditional
    from interlace_core.engine.mode import find_mode
    from interlace_core.fitting.precondition import marginal_information

    (row,) = WITH["cbpp_logit_lme4"]["anova_wald_F_sequential"]
    fit = interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", load_data("cbpp"), "binomial"
    )
    conditional = Conditional(layout_of(fit.training.problem), fit.fit.psi)
    V = fit.fit.vcov.copy()
    mode = find_mode(conditional, fit.fit.mode)
    V[1:, 1:] = np.linalg.inv(marginal_information(conditional, mode))
    found = fit.term_tests(vcov=V).loc["period"]
    assert found["df"] == row["npar"]
    assert found["chisq"] / found["df"] == pytest.approx(row["F value"], rel=1e-6)


METHODS = ("satterthwaite", "kenward_roger", "asymptotic")
MEANS = [(fit_id, method) for method in METHODS for fit_id in having(f"emmeans_{method}")]


@pytest.mark.parametrize(
    ("fit_id", "method"), [each for each in MEANS if load_fit(each[0])["family"] == "gaussian"]
)
def test_means_of_linear_models_agree_with_emmeans(fit_id, method):
    reference = load_fit(fit_id)
    fit = interlace.fit(
        reference["formula"],
        load_data(reference["dataset"]),
        method="REML" if reference["REML"] else "ML",
        df_method="none" if method == "asymptotic" else method.replace("_", "-"),
    )
    beta, V = fit.fe_params.to_numpy(), fit.vcov()
    V = V.loc[fit.fe_params.index, fit.fe_params.index].to_numpy()
    rows = WITH[fit_id][f"emmeans_{method}"]
    assert len(rows) == 3
    for row in rows:
        contrast = np.array([1.0, row["Days"]])
        df, se = fit.contrast_df(contrast), np.sqrt(contrast @ V @ contrast)
        assert contrast @ beta == pytest.approx(row["emmean"], rel=1e-6)
        assert se == pytest.approx(row["SE"], rel=1e-4)
        ends = ("asymp.LCL", "asymp.UCL") if row["df"] is None else ("lower.CL", "upper.CL")
        assert df == pytest.approx(np.inf if row["df"] is None else row["df"], rel=1e-3)
        half = se * (norm.ppf(0.975) if row["df"] is None else t.ppf(0.975, df))
        found = contrast @ beta + np.array([-half, half])
        np.testing.assert_allclose(found, [row[end] for end in ends], rtol=1e-4)


def independent_checks():
    """Return fit ids by engine whose likelihood R code of its own has computed again."""
    return [
        (fit_id, key)
        for fit_id in having("checks")
        for key in WITH[fit_id]["checks"]
        if key.startswith("logLik_independent_laplace") and fit_id.endswith("_tmb")
    ]


@pytest.mark.parametrize(("fit_id", "key"), independent_checks())
def test_laplace_agrees_with_the_independent_computation(fit_id, key):
    from test_parity import expressible, refit

    reference = load_fit(fit_id)
    if not expressible(reference):
        pytest.skip("a structure that is not built")
    # at glmmTMB's estimates, where the likelihood is flat
    assert refit(reference).llf == pytest.approx(WITH[fit_id]["checks"][key], abs=1e-5)
