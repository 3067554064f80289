"""REML of generalised linear mixed models: glmmTMB's fits, lmer's of normal ones, brute force.

The stored fits are glmmTMB's, each checked there against own code in R (`extras.checks`).
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln

import interlace
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from reference_fits import FOLDER, coefficient_name, load_data

FITS = sorted(path.stem for path in (FOLDER / "restricted").glob("*.json"))
FAMILIES = {"Gamma": "gamma"}
TOL_ESTIMATE = 1e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 1e-3
"""Relative; both sides use finite differences of the gradient for the Hessian."""


def refit(reference):
    data = load_data(reference["dataset"])
    if "ygam > 0" in reference["r_call"]:
        data = data[data["ygam"] > 0]
    family = FAMILIES.get(reference["family"], reference["family"])
    link = reference["link"]
    return interlace.glmer(reference["formula"], data, family, link=link, REML=True)


@pytest.mark.parametrize("fit_id", FITS)
def test_the_fit_is_that_of_glmmtmb(fit_id):
    reference = json.loads((FOLDER / "restricted" / f"{fit_id}.json").read_text())
    ours = refit(reference)
    assert ours.converged and ours.restricted
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert ours.df == reference["df"]
    for name, value in reference["fixef"].items():
        own, se = coefficient_name(name, reference["factors"]), reference["se"][name]
        assert ours.fe_params[own] == pytest.approx(value, abs=TOL_ESTIMATE * se)
        assert ours.fe_bse[own] == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    for group, theirs in reference["varcor"].items():
        assert np.sqrt(ours.variance_components[group]) == pytest.approx(theirs["sd"][0], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
        ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
        ("sleepstudy", "Reaction ~ Days"),
    ],
)
def test_of_a_normal_response_it_is_that_of_the_linear_model(name, formula):
    data = load_data(name)
    linear = interlace.fit(formula, data)
    ours = interlace.glmer(formula, data, "gaussian", REML=True)
    assert ours.llf == pytest.approx(linear.llf, abs=1e-8)
    assert ours.fe_params.to_numpy() == pytest.approx(linear.fe_params.to_numpy(), rel=1e-6)
    assert ours.family_params.loc["sigma", "value"] == pytest.approx(
        linear.family_params.loc["sigma", "value"], rel=1e-5
    )
    for group, covariance in linear.variance_components.items():
        assert np.asarray(ours.variance_components[group]) == pytest.approx(
            np.asarray(covariance), rel=1e-4, abs=1e-4
        )


def counts():
    rng = np.random.default_rng(4)
    a, b = np.repeat(np.arange(9), 8), np.tile(np.arange(4), 18)
    x = rng.normal(size=72)
    eta = 0.6 + 0.4 * x + 0.6 * rng.normal(size=9)[a] + 0.4 * rng.normal(size=4)[b]
    y = rng.negative_binomial(3.0, 3.0 / (3.0 + np.exp(eta)))
    return pd.DataFrame({"y": y, "x": x, "a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b]})


def test_it_is_laplaces_integral_over_effects_and_coefficients_by_dense_matrices():
    """Shares nothing with the engine: dense design, differences for the curvature."""
    data = counts()
    y, x = data["y"].to_numpy(), data["x"].to_numpy()
    A, B = (pd.get_dummies(data[g]).to_numpy(float) for g in ("a", "b"))
    X = np.column_stack([np.ones(72), x])

    def restricted(q):
        sa, sb, theta = np.exp(q)
        W = np.hstack([sa * A, sb * B, X])

        def f(v):
            mu = np.exp(W @ v)
            p = theta / (theta + mu)
            density = gammaln(y + theta) - gammaln(theta) - gammaln(y + 1)
            density = density + theta * np.log(p) + y * np.log1p(-p)
            return -density.sum() + 0.5 * np.sum(v[:13] ** 2)

        def slope(v):
            mu = np.exp(W @ v)
            score = (y - mu) * theta / (theta + mu)
            return -W.T @ score + np.where(np.arange(15) < 13, v, 0.0)

        v = minimize(f, np.zeros(15), jac=slope, tol=1e-12, options={"gtol": 1e-9}).x
        H = np.array([(slope(v + e) - slope(v - e)) / 2e-5 for e in 1e-5 * np.eye(15)])
        return f(v) + 0.5 * np.linalg.slogdet(H)[1] - np.log(2.0 * np.pi)

    ours = interlace.glmer("y ~ x + (1 | a) + (1 | b)", data, "nbinom2", REML=True)
    sds = [np.sqrt(ours.variance_components[g]) for g in ("a", "b")]
    q = np.log([*sds, ours.family_params.loc["theta", "value"]])
    assert restricted(q) == pytest.approx(-ours.llf, abs=1e-6)
    rises = [restricted(q + step) - restricted(q - step) for step in 1e-3 * np.eye(3)]
    assert np.max(np.abs(rises)) / 2e-3 < 1e-4
    more = interlace.glmer("y ~ x + (1 | a) + (1 | b)", data, "nbinom2")
    assert sds[0] > np.sqrt(more.variance_components["a"])


MODELS = {
    "slopes": ("y ~ x + (1 + x | a)", "poisson", {}),
    "crossed": ("y ~ x + (1 | a) + (1 | b)", "nbinom2", {}),
    "effects on the dispersion": ("y ~ x + (1 | a)", "nbinom2", {"dispformula": "~ x + (1 | a)"}),
    "effects on the zero part alone": ("y ~ x", "poisson", {"ziformula": "~ 1 + (1 | b)"}),
    "none": ("y ~ x", "nbinom2", {}),
}


@pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_differences(name):
    formula, family, more = MODELS[name]
    data = counts().assign(x=lambda d: 3000.0 + d["x"])  # in other columns than they are given
    fit = interlace.glmer(formula, data, family, REML=True, **more)
    standard = standard_of(fit.training.problem)
    problem = standard.problem
    assert problem.given is not None
    evaluate = fit.training.approximation.objective(problem)
    psi = standard.psi(fit.fit.psi) + 0.1
    psi[: problem.n_theta] += 0.2
    gradient, place = evaluate(psi).gradient, problem.beta_slices()[0]
    for k in range(psi.size):
        step = 1e-5 * np.eye(psi.size)[k]
        rise = evaluate(psi + step).value - evaluate(psi - step).value
        expected = 0.0 if place.start <= k < place.stop else rise / 2e-5
        assert gradient[k] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_it_is_called_so_and_compared_as_a_restricted_likelihood():
    data = load_data("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    fit = interlace.glmer(formula, data, "binomial", REML=True)
    text = str(fit.summary())
    assert "restricted maximum likelihood (REML)" in text and "logLik by REML" in text
    assert "restricted maximum likelihood (REML)" in str(fit.explain())
    assert "REML = TRUE" in fit.r_code()
    null = interlace.glmer(formula.replace("period", "1"), data, "binomial", REML=True)
    # other fixed effects: refitted by ML, and refused where that is not wanted
    table = interlace.anova(null, fit)
    plain = [interlace.glmer(f, data, "binomial") for f in (null.formula, formula)]
    wanted = interlace.anova(*plain)
    assert table.columns.name == "refitted by ML"
    assert table["loglik"].to_numpy() == pytest.approx(wanted["loglik"].to_numpy(), abs=1e-6)
    with pytest.raises(OptionError, match="depends on the fixed effects"):
        interlace.anova(null, fit, refit=False)
    with pytest.raises(OptionError, match="restricted"):
        interlace.anova(plain[1], fit, refit=False)
    back = fit.refit_ml()
    assert not back.restricted and back.llf == pytest.approx(plain[1].llf, abs=1e-6)
    assert str(back.fitted_by) == "laplace"
    with pytest.raises(UnsupportedModelError, match="restricted"):
        fit.vcov_robust()


def test_units_and_saving_and_simulation_leave_it_as_it_is(tmp_path):
    data = counts()
    fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson", REML=True)
    moved = interlace.glmer(
        "y ~ x + (1 | a)", data.assign(x=1e-3 * data["x"] + 7.0), "poisson", REML=True
    )
    # the volume of what is integrated out is per unit of its coefficient
    assert moved.llf == pytest.approx(fit.llf + np.log(1e3), abs=1e-6)
    assert moved.variance_components["a"] == pytest.approx(fit.variance_components["a"], rel=1e-5)
    fit.save(tmp_path / "fit")
    back = interlace.load(tmp_path / "fit")
    assert back.restricted and back.refit(fit.y).llf == pytest.approx(fit.llf, abs=1e-7)
    drawn = fit.bootstrap(20, seed=2)
    assert len(drawn.values) == 20
    inside = fit.confint("sd", method="profile")
    assert inside.columns.name == "by REML"
    assert inside["lower"].iloc[0] < np.sqrt(fit.variance_components["a"]) < inside["upper"].iloc[0]


def test_a_restricted_likelihood_may_be_above_1():
    """It is a density per unit of the coefficients: of few rows and wide covariates above 1."""
    data = counts().iloc[:12]
    fit = interlace.glmer("y ~ x + (1 | a)", data, "poisson", REML=True)
    wide = data.assign(x=1e-30 * data["x"])
    moved = interlace.glmer("y ~ x + (1 | a)", wide, "poisson", REML=True)
    assert moved.llf == pytest.approx(fit.llf + 30 * np.log(10.0), abs=1e-5)
    assert moved.llf > 0.0 and moved.converged


def test_variances_are_less_too_small_than_by_maximum_likelihood():
    rng = np.random.default_rng(12)
    g = np.repeat(np.arange(6), 10)
    between = np.repeat([0.0, 1.0], 30)  # one covariate that differs between groups
    sds = []
    for _ in range(30):
        y = rng.poisson(np.exp(1.0 + 0.7 * rng.normal(size=6)[g] + 0.5 * between))
        data = pd.DataFrame({"y": y, "t": between, "g": [f"g{i}" for i in g]})
        sds.append(
            [
                np.sqrt(interlace.glmer("y ~ t + (1 | g)", data, "poisson", REML=REML)
                        .variance_components["g"])
                for REML in (False, True)
            ]
        )  # fmt: skip
    ml, reml = np.mean(np.square(sds), axis=0)
    assert ml < reml
    assert abs(reml - 0.49) < abs(ml - 0.49)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"nAGQ": 9}, "nAGQ=9"),
        ({"nAGQ": 0}, "nAGQ=0"),
        ({"approximation": "agq"}, "approximation"),
        ({"REML": "yes"}, "True or False"),
    ],
)
def test_what_does_not_go_with_it_is_refused(more, words):
    arguments = {"REML": True, **more}
    with pytest.raises(OptionError, match=words):
        interlace.glmer("y ~ x + (1 | a)", counts(), "poisson", **arguments)
