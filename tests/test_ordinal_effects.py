"""Effects on thresholds and on the scale of ordered categories, held against stored fits.

The fits are those of R's ordinal (clm) and, with random effects, of own code in R by 25 nodes, each
checked there against a second engine (`extras.checks` of each).
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import interlace
from interlace_core.messages.errors import InterlaceError, OptionError, ResponseError
from reference_fits import FOLDER, load_data

FITS = sorted(path.stem for path in (FOLDER / "ordinal").glob("*.json"))
TOL_ESTIMATE = 1e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-4
"""Relative; R's come from differences too."""
ROUGH = {"wine_clm_arandaordaz": 3e-3}
"""Where ordinal warns that it did not converge (gradient 1.2e-5, condition 389)."""
TOL_PROBABILITY = 1e-5
"""What 1e-4 standard errors of the estimates, the accuracy of an optimum, do to one."""


def load(fit_id):
    return json.loads((FOLDER / "ordinal" / f"{fit_id}.json").read_text())


def refit(reference):
    formula, *rest = reference["formula"].split(", ")
    given = dict(each.split(" = ") for each in rest)
    for argument in ("nominal", "scale"):
        given |= (
            {argument: reference[f"{argument}_formula"]}
            if reference.get(f"{argument}_formula")
            else {}
        )
    return interlace.clmm(
        formula,
        load_data(reference["dataset"]),
        link=reference["link"].lower(),
        threshold=reference["threshold"],
        nAGQ=reference.get("nAGQ") if reference["varcor"] else None,
        **given,
    )


def by_r_name(values):
    """Return values by R's names of treatment contrasts, `tempwarm` for `temp[T.warm]`."""
    return {name.replace("[T.", "").replace("]", ""): value for name, value in values.items()}


@pytest.fixture(scope="module")
def fits():
    return {fit_id: refit(load(fit_id)) for fit_id in FITS}


def test_there_are_fits_of_each_kind():
    kinds = [
        ("nominal" in fit_id, "scale" in fit_id, fit_id.endswith("_re_own")) for fit_id in FITS
    ]
    assert {(True, False, True), (False, True, True), (True, True, False)} <= set(kinds)


@pytest.mark.parametrize("fit_id", FITS)
def test_the_fit_is_that_of_r(fits, fit_id):
    reference, ours = load(fit_id), fits[fit_id]
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert ours.df == reference["df"]
    tol = ROUGH.get(fit_id, TOL_STANDARD_ERROR)
    for parameter, prefix, key in ((0, "", ""), ("scale", "scale.", "scale_")):
        for name, value in (reference.get(f"{key}fixef") or {}).items():
            own, se = name.removeprefix(prefix), reference[f"{key}se"][name]
            estimate = by_r_name(ours.params_of(parameter))[own]
            assert estimate == pytest.approx(value, abs=TOL_ESTIMATE * se)
            assert by_r_name(ours.bse_of(parameter))[own] == pytest.approx(se, rel=tol)


@pytest.mark.parametrize("fit_id", [each for each in FITS if "nominal" in each])
def test_effects_on_thresholds_are_those_of_r(fits, fit_id):
    reference, ours = load(fit_id), fits[fit_id]
    effects, errors = ours.nominal_effects, ours.nominal_bse
    found = 0
    for name, value in reference["threshold_params"].items():
        cut, _, column = name.partition(".")
        se = reference["threshold_params_se"][name]
        if column == "(Intercept)":
            estimate, error = ours.thresholds[cut], ours.threshold_bse[cut]
        else:
            estimate, error = (
                by_r_name(effects.loc[cut])[column],
                by_r_name(errors.loc[cut])[column],
            )
            found += 1
        assert estimate == pytest.approx(value, abs=TOL_ESTIMATE * se)
        assert error == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    assert found == effects.size


@pytest.mark.parametrize("fit_id", [each for each in FITS if "clm_" in each])
def test_probabilities_and_their_errors_are_those_of_r(fits, fit_id):
    reference, ours = load(fit_id), fits[fit_id]
    expected = reference["extras"].get("predict_prob")
    if expected is None:
        pytest.skip("the stored fit has none")
    new = pd.DataFrame(expected["newdata"])
    assert ours.predict(new).to_numpy() == pytest.approx(
        np.array(expected["fit"]), abs=TOL_PROBABILITY
    )
    if reference["link"] == "cauchit":
        return  # R's infinite threshold is 1e5 there, which its errors show
    found = ours.predict(new, interval="confidence")
    assert list(found.columns.get_level_values(0).unique()) == list(expected["y_levels"])
    for column, theirs, tol in (
        ("se", "se.fit", 2e-5),
        ("lower", "lwr", 1e-4),
        ("upper", "upr", 1e-4),
    ):
        values = found.xs(column, axis=1, level=1).to_numpy()
        assert values == pytest.approx(np.array(expected[theirs]), abs=tol)


def crossed():
    rng = np.random.default_rng(11)
    rows = [(i, j, k) for i in range(6) for j in range(5) for k in range(3)]
    data = pd.DataFrame(rows, columns=["g", "h", "k"])
    data["x"] = rng.normal(size=len(data))
    data["z"] = rng.normal(size=len(data))
    eta = 0.8 * data["x"] + rng.normal(size=6)[data["g"]] + 0.7 * rng.normal(size=5)[data["h"]]
    latent = eta + np.exp(0.4 * data["z"]) * rng.logistic(size=len(data))
    cuts = np.array([-1.0, 0.3, 1.5])
    data["y"] = (latent.to_numpy()[:, None] > cuts - 0.3 * data[["z"]].to_numpy()).sum(axis=1)
    return data


def joint(data, psi, u):
    """Return the joint density of y and u, written for this model alone; minus its logarithm."""
    sd_g, sd_h, beta, *cuts, zeta = psi
    y, x, z, g, h = data
    alpha = np.array(cuts).reshape(3, 2) @ np.stack([np.ones(len(z)), z])
    eta = beta * x + sd_g * u[:6][g] + sd_h * u[6:][h]
    below = expit((alpha - eta) / np.exp(zeta * z))
    ends = np.vstack([np.zeros(len(z)), below, np.ones(len(z))])
    p = np.take_along_axis(ends, y[None] + 1, 0) - np.take_along_axis(ends, y[None], 0)
    return -np.sum(np.log(p)) + 0.5 * u @ u


def laplace(data, psi):
    """Return Laplace's approximation by SciPy's minimiser and differences alone."""
    found = minimize(lambda u: joint(data, psi, u), np.zeros(11), tol=1e-12, method="BFGS")
    mode, h, eye = found.x, 1e-3, np.eye(11)

    def second(i, j):
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        values = [s * t * joint(data, psi, mode + h * (s * eye[i] + t * eye[j])) for s, t in signs]
        return sum(values) / (4 * h * h)

    H = np.zeros((11, 11))
    for i in range(11):
        for j in range(i + 1):
            H[i, j] = H[j, i] = second(i, j)
    return -joint(data, psi, mode) - 0.5 * np.linalg.slogdet(H)[1]


def test_crossed_effects_with_effects_on_thresholds_and_scale_are_those_of_brute_force():
    frame = crossed()
    model = interlace.clmm("y ~ x + (1 | g) + (1 | h)", frame, nominal="~ z", scale="~ z")
    data = [frame[name].to_numpy() for name in "yxzgh"]
    assert model.converged
    assert model.llf == pytest.approx(laplace(data, model.fit.psi), abs=2e-5)
    # moved along every parameter by a standard error, the value falls
    se = model.fit.standard_errors()
    for i in range(model.fit.psi.size):
        for side in (-1.0, 1.0):
            psi = model.fit.psi.copy()
            psi[i] += side * 0.5 * se[i]
            assert laplace(data, psi) < model.llf


def test_a_scale_without_effect_changes_nothing_and_costs_a_parameter():
    wine = load_data("wine")
    wine["one"] = np.tile([0.0, 1.0], len(wine) // 2)
    plain = interlace.clmm("rating ~ temp + contact", wine)
    scaled = interlace.clmm("rating ~ temp + contact", wine, scale="~ one")
    assert plain.llf <= scaled.llf + 1e-9
    assert scaled.df == plain.df + 1
    held = plain.fit.psi
    eta = [*np.stack([np.asarray(each) for each in plain.eta]), np.zeros(len(wine))]
    assert scaled.family.log_density(plain.y, eta).sum() == pytest.approx(plain.llf, abs=1e-9)
    assert held.size + 1 == scaled.fit.psi.size


def test_simulated_effects_are_found_again():
    rng = np.random.default_rng(5)
    n, x, z = 6000, rng.normal(size=6000), rng.integers(0, 2, 6000)
    g = rng.integers(0, 60, n)
    b = 0.8 * rng.normal(size=60)
    latent = 0.9 * x + b[g] + np.exp(0.5 * z) * rng.logistic(size=n)
    cuts = np.array([-1.0, 0.5, 2.0])
    shifts = np.array([0.6, 0.0, -0.5])
    y = (latent[:, None] > cuts + np.outer(z, shifts)).sum(axis=1)
    data = pd.DataFrame({"y": y, "x": x, "z": z, "g": g})
    model = interlace.clmm("y ~ x + (1 | g)", data, nominal="~ z", scale="~ z")
    for found, se, truth in (
        (model.fe_params, model.fe_bse, [0.9]),
        (model.thresholds, model.threshold_bse, cuts),
        (model.nominal_effects["z"], model.nominal_bse["z"], shifts),
        (model.params_of("scale"), model.bse_of("scale"), [0.5]),
    ):
        assert np.all(np.abs(found.to_numpy() - truth) < 4.0 * se.to_numpy())


@pytest.mark.parametrize("argument", ["nominal", "scale"])
@pytest.mark.parametrize("wrong", ["contact +", "~ nothing", 3])
def test_formulas_that_are_none_are_refused(argument, wrong):
    with pytest.raises(InterlaceError, match=rf"^{argument}: "):
        interlace.clmm("rating ~ temp", load_data("wine"), **{argument: wrong})


TESTS = {
    # ordinal 2022.11-16: nominal_test() and scale_test() of clm(rating ~ temp + contact, wine)
    "nominal_test": {"temp": (3, -84.9044348158, 0.36543), "contact": (3, -86.2085532315, 0.90400)},
    "scale_test": {"temp": (1, -86.4394628794, 0.74600), "contact": (1, -86.3552727024, 0.60113)},
}


@pytest.mark.parametrize("which", TESTS)
def test_tests_of_proportional_odds_are_those_of_r(which):
    model = interlace.clmm("rating ~ temp + contact", load_data("wine"))
    table = getattr(model, which)()
    assert list(table.index) == ["<none>", "temp", "contact"]
    for term, (npar, loglik, pvalue) in TESTS[which].items():
        assert table.loc[term, "npar"] == npar
        assert table.loc[term, "loglik"] == pytest.approx(loglik, abs=1e-7)
        assert table.loc[term, "pvalue"] == pytest.approx(pvalue, abs=1e-5)
    assert list(getattr(model, which)("temp").index) == ["<none>", "temp"]


def test_a_term_that_is_tested_is_that_of_the_fit_with_it():
    wine = load_data("wine")
    model = interlace.clmm("rating ~ temp + contact + (1 | judge)", wine)
    nominal = interlace.clmm("rating ~ temp + (1 | judge)", wine, nominal="~ contact")
    scale = interlace.clmm("rating ~ temp + contact + (1 | judge)", wine, scale="~ contact")
    found = model.nominal_test("contact").loc["contact", "loglik"]
    assert found == pytest.approx(nominal.llf, abs=1e-7)
    assert model.scale_test("contact").loc["contact", "loglik"] == pytest.approx(
        scale.llf, abs=1e-7
    )


def test_a_saved_fit_with_effects_on_thresholds_and_scale_comes_back(tmp_path):
    wine = load_data("wine")
    model = interlace.clmm("rating ~ temp + (1 | judge)", wine, nominal="~ contact", scale="~ temp")
    model.save(tmp_path / "fit.interlace")
    loaded = interlace.load(tmp_path / "fit.interlace")
    pd.testing.assert_frame_equal(loaded.nominal_effects, model.nominal_effects)
    pd.testing.assert_frame_equal(loaded.predict(wine), model.predict(wine))
    assert str(loaded.summary()) == str(model.summary())
    assert "2|3.contact[T.yes]" in str(model.summary())
    assert "Coefficients of scale" in str(model.summary())


def test_polars_gets_polars_with_a_name_for_each_number():
    import polars as pl

    model = interlace.clmm("rating ~ temp", load_data("wine"))
    new = pl.DataFrame({"temp": ["cold", "warm"]})
    found = model.predict(new, interval="confidence")
    assert found.columns[:5] == ["1.fit", "1.se", "1.lower", "1.upper", "2.fit"]
    assert model.predict(new).columns == ["1", "2", "3", "4", "5"]


def test_a_column_among_the_thresholds_has_no_place_among_the_fixed_effects():
    with pytest.raises(OptionError, match="contact.*nominal"):
        interlace.clmm("rating ~ temp + contact", load_data("wine"), nominal="~ contact")


LOG_GAMMA = {
    "rating ~ temp + contact": (
        {},
        -85.72141081,
        [-0.87977735, 0.66783068, 1.98068261, 2.85931250],
        [1.50719595, 0.86144005],
        0.16147406,
    ),
    "rating ~ temp": (
        {"nominal": "~ contact"},
        -85.19325438,
        [-0.98238585, 0.61404174, 2.00298339, 2.58256313],
        [1.53728307],
        0.34075041,
    ),
}
"""By R's `ordinal::clm(..., data = wine, link = "log-gamma")` (2022.11.16), whose gradients are
2e-5 at the end: log-likelihood, thresholds, coefficients, lambda."""


@pytest.mark.parametrize("formula", LOG_GAMMA)
def test_log_gamma_links_are_those_of_r(formula):
    given, llf, thresholds, beta, shape = LOG_GAMMA[formula]
    model = interlace.clmm(formula, load_data("wine"), link="log-gamma", **given)
    assert model.converged
    assert model.llf == pytest.approx(llf, abs=1e-7)
    close = {"abs": 2e-3 * float(model.fe_bse.min())}
    assert model.thresholds.to_numpy() == pytest.approx(thresholds, **close)
    assert model.fe_params.to_numpy() == pytest.approx(beta, **close)
    assert model.family_params.loc["lambda", "value"] == pytest.approx(shape, abs=2e-3)


@pytest.mark.parametrize(("shape", "link"), [(0.0, "probit"), (1.0, "cloglog"), (-1.0, "loglog")])
def test_log_gamma_with_a_held_shape_is_another_link(shape, link):
    formula, wine = "rating ~ temp + contact + (1 | judge)", load_data("wine")
    held = interlace.clmm(formula, wine, link="log-gamma", hold={"lambda": shape})
    assert held.llf == pytest.approx(interlace.clmm(formula, wine, link=link).llf, abs=1e-8)
    free = interlace.clmm(formula, wine, link="log-gamma")
    assert free.converged
    assert free.llf > held.llf
    assert free.df == held.df + 1


def odd_data():
    rng = np.random.default_rng(4)
    x, f = rng.normal(size=200), rng.choice(list("abc"), 200)
    y = np.digitize(0.8 * x + rng.logistic(size=200), [-1.0, 0.0, 1.0])
    return pd.DataFrame({"y": y, "x": x, "f": f, "on": x > 0.0})


@pytest.mark.parametrize(
    "nominal", ["~ 2 * x", "~ scale(x)", "~ poly(x, 2)", "~ x:f", "~ I(1e9 * x)"]
)
def test_a_location_that_thresholds_carry_in_other_words_is_refused(nominal):
    nominal = nominal.replace("2 * x", "I(2 * x)")
    with pytest.raises(OptionError, match="clmm: x stands among the fixed effects and in"):
        interlace.clmm("y ~ x", odd_data(), nominal=nominal)


@pytest.mark.parametrize("nominal", ["~ 0", "~ -1", "~ 0 + x"])
def test_thresholds_without_a_constant_are_refused(nominal):
    with pytest.raises(OptionError, match="clmm: expected a constant in the formula of threshold"):
        interlace.clmm("y ~ f", odd_data(), nominal=nominal)


@pytest.mark.parametrize("column", ["f", "on"])
def test_levels_in_place_of_a_constant_are_the_same_model(column):
    fits = [
        interlace.clmm("y ~ x", odd_data(), nominal=f"~ {each}")
        for each in (column, f"0 + {column}")
    ]
    assert fits[0].llf == pytest.approx(fits[1].llf, abs=1e-8)


def test_two_categories_about_0_are_a_binary_model_without_an_intercept():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=120), "g": np.repeat(np.arange(12), 10).astype(str)})
    data["y"] = (data["x"] + rng.logistic(size=120) > 0.0).astype(int)
    ordered = interlace.clmm("y ~ x + (1 | g)", data, threshold="symmetric2")
    binary = interlace.glmer("y ~ 0 + x + (1 | g)", data, "binomial")
    assert ordered.llf == pytest.approx(binary.llf, abs=1e-8)
    assert ordered.df == binary.df == 2


def test_a_category_in_rows_of_weight_0_alone_is_refused():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.integers(0, 3, 60), "g": np.repeat(np.arange(12), 5).astype(str)})
    data["w"] = np.where(data["y"] == 1, 0.0, 1.0)
    with pytest.raises(ResponseError, match="got '?1'? in rows of weight 0 only"):
        interlace.clmm("y ~ 1 + (1 | g)", data, weights="w")
