"""Linear mixed models through the front door, held against lme4 and lmerTest (tests/reference)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import NotAvailableError, OptionError, UnsupportedModelError
from reference_fits import coefficient_name, fit_ids, load_data, load_fit
from test_parity import assert_same_covariances

TOL_LOGLIK = 1e-6
TOL_COEFFICIENT = 1e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 1e-4
"""Relative; given the variances, which lme4's optimizer leaves at about 1e-5."""
TOL_DF = 1e-4
"""Relative."""


def linear(fit_id):
    fit = load_fit(fit_id)
    treatment = all(
        each.get("contrasts", "contr.treatment") == "contr.treatment"
        for each in (fit.get("factors") or {}).values()
    )
    return fit["engine"] == "lme4" and fit["family"] == "gaussian" and treatment


FITS = [fit_id for fit_id in fit_ids() if linear(fit_id)]


@pytest.fixture(scope="module")
def sleepstudy():
    return load_data("sleepstudy")


@pytest.fixture(scope="module")
def model(sleepstudy):
    return interlace.fit("Reaction ~ Days + (Days | Subject)", sleepstudy)


def refit(reference):
    return interlace.fit(
        reference["formula"],
        load_data(reference["dataset"]),
        method="REML" if reference["REML"] else "ML",
        weights="w" if "weights = w" in reference["r_call"] else None,
    )


LONG = {"insteval_lmm_reml_lme4"}
"""Beside the one by ML nothing new, and some seconds."""


@pytest.mark.parametrize(
    "fit_id", [pytest.param(each, marks=[pytest.mark.slow] * (each in LONG)) for each in FITS]
)
def test_fit_agrees_with_lme4(fit_id):
    reference = load_fit(fit_id)
    ours = refit(reference)
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    assert (ours.nobs, ours.df) == (reference["n"], reference["df"])
    assert (ours.aic, ours.bic) == pytest.approx((reference["AIC"], reference["BIC"]), abs=1e-5)
    sigma = reference["sigma_or_dispersion"]
    assert np.sqrt(ours.scale) == pytest.approx(sigma, rel=1e-4)
    assert ours.is_singular == reference["singular"]
    for name, value in reference["fixef"].items():
        ours_name, se = coefficient_name(name, reference["factors"]), reference["se"][name]
        assert ours.fe_params[ours_name] == pytest.approx(value, abs=TOL_COEFFICIENT * se)
        assert ours.fe_bse[ours_name] == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    assert_same_covariances(ours, reference)
    head = np.array(reference["fitted_head"])
    assert ours.fittedvalues.to_numpy()[: len(head)] == pytest.approx(head, rel=1e-5)


@pytest.mark.parametrize(
    "fit_id", [each for each in FITS if "satterthwaite" in (load_fit(each).get("extras") or {})]
)
def test_satterthwaite_agrees_with_lmerTest(fit_id):
    reference = load_fit(fit_id)
    expected, ours = reference["extras"]["satterthwaite"], refit(reference)
    for name, df, t, p in zip(*(expected[key] for key in ("names", "df", "t", "p")), strict=True):
        ours_name = coefficient_name(name, reference["factors"])
        assert ours.fe_df[ours_name] == pytest.approx(df, rel=TOL_DF), name
        assert ours.fe_tvalues[ours_name] == pytest.approx(t, rel=1e-3, abs=1e-6), name
        assert ours.fe_pvalues[ours_name] == pytest.approx(p, rel=2e-2, abs=1e-12), name


@pytest.mark.parametrize(
    "fit_id", [each for each in FITS if "kenward_roger" in (load_fit(each).get("extras") or {})]
)
def test_kenward_roger_agrees_with_pbkrtest(fit_id):
    reference = load_fit(fit_id)
    expected = reference["extras"]["kenward_roger"]
    ours = interlace.fit(
        reference["formula"], load_data(reference["dataset"]), df_method="kenward-roger"
    )
    for name, df, se, p in zip(*(expected[key] for key in ("names", "df", "se", "p")), strict=True):
        ours_name = coefficient_name(name, reference["factors"])
        assert ours.fe_df[ours_name] == pytest.approx(df, rel=5e-3), name
        assert ours.fe_bse[ours_name] == pytest.approx(se, rel=1e-3), name
        assert ours.fe_pvalues[ours_name] == pytest.approx(p, rel=2e-2, abs=1e-12), name


def test_kenward_roger_does_not_depend_on_the_zero_point_of_a_slope():
    """From 22.44 to 843.7 at a mean of 100, before orthogonal columns."""
    rng = np.random.default_rng(4)
    g, v = np.repeat(np.arange(25), 8), rng.normal(size=200)
    b = (rng.normal(size=25) * 0.8)[g] + (rng.normal(size=25) * 0.5)[g] * v
    y = 1 + 0.4 * v + b + rng.normal(size=200)
    df = [
        interlace.fit(
            "y ~ v + (v | g)",
            pd.DataFrame({"y": y, "v": v + shift, "g": g}),
            df_method="kenward-roger",
        ).fe_df["v"]
        for shift in (0.0, 10.0, 100.0)
    ]
    assert df == pytest.approx([df[0]] * 3, rel=1e-6)


def test_kenward_roger_refuses_what_it_cannot_do(sleepstudy):
    with pytest.raises(UnsupportedModelError, match="REML"):
        interlace.fit(
            "Reaction ~ Days", sleepstudy, groups="Subject", method="ML", df_method="kenward-roger"
        )
    with pytest.raises(UnsupportedModelError, match="not linear"):
        days = sleepstudy.assign(day=sleepstudy["Days"].astype(str))
        interlace.fit("Reaction ~ 1 + ar1(0 + day | Subject)", days, df_method="kenward-roger")


def test_the_references_are_found():
    assert len(FITS) >= 20


def test_random_effects_have_the_conditional_spread_of_lme4(model):
    expected = load_fit("sleepstudy_reml_lme4")["ranef_head"]["Subject"]
    levels = expected["levels"]
    found = model.random_effects["Subject"].loc[levels].to_numpy()
    assert found == pytest.approx(np.array(expected["values"]), abs=2e-3)
    sd = model.random_effects_se["Subject"].loc[levels].to_numpy()
    assert sd == pytest.approx(np.array(expected["condsd"]), rel=1e-4)
    interval = model.random_effects_ci["Subject"]
    width = interval["Days", "upper"] - interval["Days", "lower"]
    assert width.loc[levels[0]] == pytest.approx(2 * 1.959964 * sd[0, 1], rel=1e-6)


def test_reml_and_glmmtmb_agree():
    """glmmTMB's standard errors include what is not known of the variances."""
    reference = load_fit("sleepstudy_reml_tmb")
    ours = interlace.fit(reference["formula"], load_data("sleepstudy"))
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)


def test_polynomial_and_sum_contrasts_are_those_of_r():
    """The coding of factors changes a restricted likelihood, so that it is compared too."""
    reference = load_fit("cake_reml_poly_lme4")
    ours = interlace.fit(
        "angle ~ C(recipe, contr.sum) + C(temperature, contr.poly) + (1 | recipe:replicate)",
        load_data("cake"),
    )
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    # coefficients are in the same order under other names
    se = np.array(list(reference["se"].values()))
    expected = np.array(list(reference["fixef"].values()))
    assert np.all(np.abs(ours.fe_params.to_numpy() - expected) <= TOL_COEFFICIENT * se)
    assert ours.fe_bse.to_numpy() == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    assert np.sqrt(ours.scale) == pytest.approx(reference["sigma_or_dispersion"], rel=1e-4)
    assert_same_covariances(ours, reference)


def test_nlme_finds_the_same_optimum(model):
    reference = load_fit("sleepstudy_reml_nlme")
    assert model.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    expected = np.array(list(reference["fixef"].values()))
    assert model.fe_params.to_numpy() == pytest.approx(expected, rel=1e-6)
    # nlme's optimum is the looser one
    assert model.fe_bse.to_numpy() == pytest.approx(list(reference["se"].values()), rel=1e-3)


ELSEWHERE = {
    "cake_reml_poly_lme4": "test_polynomial_and_sum_contrasts_are_those_of_r",
    "sleepstudy_reml_nlme": "test_nlme_finds_the_same_optimum",
    "sleepstudy_reml_tmb": "test_reml_and_glmmtmb_agree",
}
NOT_BUILT = {"ts_ar1_int_nlme": "autoregressive residuals"}
"""Linear models among the references that no call here can fit."""

IN_OTHER_FILES = {
    "meta_bcg_reml": "test_meta_analysis.py",
    "meta_bcg_mods_reml": "test_meta_analysis.py",
    "meta_school_3level_reml": "test_meta_analysis.py",
    "rep_hetar1_gauss_nlme": "test_structure_fits.py",
}


def test_every_linear_reference_is_tested_or_named():
    found = {
        fit_id
        for fit_id in fit_ids()
        if load_fit(fit_id)["engine"] in ("lme4", "nlme") or load_fit(fit_id).get("REML")
        if load_fit(fit_id)["family"] == "gaussian"
    }
    assert found - set(FITS) == {*ELSEWHERE, *NOT_BUILT, *IN_OTHER_FILES}
    for fit_id, file in IN_OTHER_FILES.items():
        assert fit_id in Path(__file__).with_name(file).read_text()
    assert all(name in globals() for name in ELSEWHERE.values())


def test_ml_is_the_likelihood_of_glmer(sleepstudy):
    """Two routes to one number: profiled on cross-products, and the joint one on rows."""
    formula = "Reaction ~ Days + (Days || Subject)"
    linear = interlace.fit(formula, sleepstudy, method="ML")
    general = interlace.glmer(formula, sleepstudy, "gaussian")
    assert linear.llf == pytest.approx(general.llf, abs=1e-8)
    assert linear.theta == pytest.approx(general.theta, rel=1e-4)
    assert linear.fe_params.to_numpy() == pytest.approx(general.fe_params.to_numpy(), rel=1e-6)


def test_a_dispersion_formula_has_the_joint_likelihood(sleepstudy):
    formula = "Reaction ~ Days + (1 | Subject)"
    linear = interlace.fit(formula, sleepstudy, method="ML", dispformula="~ Days")
    general = interlace.glmer(formula, sleepstudy, "gaussian", dispformula="~ Days")
    assert linear.llf == pytest.approx(general.llf, abs=1e-9)
    # its standard errors are those given the variances, the joint ones are about the same
    assert linear.fe_bse.to_numpy() == pytest.approx(general.fe_bse.to_numpy(), rel=0.02)


def test_covariance_structures_serve_linear_models():
    reference = load_fit("ts_ar1_gauss_tmb")
    ours = interlace.fit(reference["formula"], load_data("sim_ts"), method="ML")
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-5)


def test_without_random_effects_reml_is_least_squares(sleepstudy):
    ours = interlace.fit("Reaction ~ Days", sleepstudy, random=[])
    X = np.column_stack([np.ones(180), sleepstudy["Days"]])
    beta, rss = np.linalg.lstsq(X, sleepstudy["Reaction"], rcond=None)[:2]
    assert ours.fe_params.to_numpy() == pytest.approx(beta)
    assert ours.scale == pytest.approx(rss[0] / 178, rel=1e-6)
    assert ours.fe_df.to_numpy() == pytest.approx([178.0, 178.0], rel=1e-3)


def test_centring_the_response_and_a_covariate_changes_only_the_intercept(sleepstudy, model):
    moved = sleepstudy.assign(Reaction=sleepstudy["Reaction"] + 1e6)
    again = interlace.fit("Reaction ~ Days + (Days | Subject)", moved)
    assert again.llf == pytest.approx(model.llf, abs=1e-6)
    assert again.fe_params["Days"] == pytest.approx(model.fe_params["Days"], rel=1e-6)


def test_predictions_take_new_data(model):
    new = pd.DataFrame({"Days": [0, 10], "Subject": ["308", "308"]})
    b = model.random_effects["Subject"].loc["308"]
    expected = [model.fe_params["Intercept"] + b["Intercept"]]
    expected.append(expected[0] + 10 * (model.fe_params["Days"] + b["Days"]))
    assert model.predict(new).to_numpy() == pytest.approx(expected)


def test_the_summary_names_the_criterion_and_the_degrees_of_freedom(model, sleepstudy):
    text = str(model.summary())
    assert "restricted maximum likelihood" in text
    assert "Satterthwaite" in text and "  df" in text
    plain = interlace.fit("Reaction ~ Days", sleepstudy, groups="Subject", df_method="none")
    assert "z tests" in str(plain.summary())
    assert np.all(np.isinf(plain.fe_df))


@pytest.mark.parametrize("option", [{"method": "reml"}, {"df_method": "guess"}])
def test_an_unknown_option_is_refused_with_those_there_are(sleepstudy, option):
    with pytest.raises(OptionError, match="must be one of"):
        interlace.fit("Reaction ~ Days", sleepstudy, groups="Subject", **option)


def test_the_criterion_refuses_what_is_not_a_linear_model(sleepstudy):
    for name in ("reml", "ml"):
        with pytest.raises(UnsupportedModelError, match="normal response"):
            interlace.glmer(
                "Reaction ~ Days", sleepstudy, "gamma", groups="Subject", approximation=name
            )


def test_maximum_likelihood_fits_are_compared(sleepstudy):
    formulas = ["Reaction ~ Days + (1 | Subject)", "Reaction ~ 1 + (1 | Subject)"]
    large, small = (interlace.fit(each, sleepstudy, method="ML") for each in formulas)
    statistic = 2.0 * (large.llf - small.llf)
    assert interlace.anova(small, large)["chisq"].iloc[1] == pytest.approx(statistic)
    # 1e-6: each fit may leave 1e-7 of log-likelihood to gain
    assert large.drop1().loc["Days", "lrt"] == pytest.approx(statistic, abs=1e-6)


def test_profiles_of_coefficients_are_those_of_the_likelihood(sleepstudy):
    """Gaussian Laplace is exact, and searches over all parameters at once."""
    linear = interlace.fit("Reaction ~ Days", sleepstudy, groups="Subject", method="ML")
    general = interlace.glmer("Reaction ~ Days", sleepstudy, "gaussian", groups="Subject")
    found, expected = (
        each.confint("Days", method="profile")[["lower", "upper"]] for each in (linear, general)
    )
    # the two fits' estimates may differ by what 1e-7 of log-likelihood is worth
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_reports_of_a_restricted_fit_say_what_it_is(sleepstudy):
    fitted = interlace.fit("Reaction ~ Days", sleepstudy, groups="Subject")
    fixed = fitted.tidy().query("effect == 'fixed' and component == 'cond'")
    assert fixed["p.value"].to_numpy() == pytest.approx(fitted.fe_pvalues.to_numpy())
    assert "REML = TRUE" in fitted.r_code()
    with pytest.raises(UnsupportedModelError, match="restricted likelihood is another quantity"):
        fitted.accuracy()


def test_precision_weights_are_written_for_lmer(sleepstudy):
    weighted = interlace.fit("Reaction ~ Days", sleepstudy, groups="Subject", weights="Days + 1")
    code = weighted.r_code("d")
    assert "lmer(" in code and "weights = Days + 1" in code and "REML = TRUE" in code
    both = interlace.fit(
        "Reaction ~ Days", sleepstudy, groups="Subject", weights="Days + 1", dispformula="~ Days"
    )
    with pytest.raises(NotAvailableError, match="precisions"):
        both.r_code()
