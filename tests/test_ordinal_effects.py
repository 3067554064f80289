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
from interlace_core.messages.errors import OptionError
from reference_fits import FOLDER, coefficient_name, load_data

FITS = sorted(path.stem for path in (FOLDER / "ordinal").glob("*.json"))
TOL_ESTIMATE = 1e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-4
"""Relative; R's come from differences too."""


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
        link=reference["link"],
        threshold=reference["threshold"],
        nAGQ=reference.get("nAGQ") if reference["varcor"] else None,
        **given,
    )


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
    place = {name: i for i, name in enumerate(reference["vcov_names"])}
    for name, value in reference["fixef"].items():
        own = coefficient_name(name, reference["factors"])
        se = reference["se"][name]
        assert ours.fe_params[own] == pytest.approx(value, abs=TOL_ESTIMATE * se)
        assert ours.fe_bse[own] == pytest.approx(se, rel=TOL_STANDARD_ERROR)
        assert name in place
    for name, value in (reference.get("scale_fixef") or {}).items():
        own = coefficient_name(name.removeprefix("scale."), reference["factors"])
        se = reference["scale_se"][name]
        assert ours.params_of("scale")[own] == pytest.approx(value, abs=TOL_ESTIMATE * se)
        assert ours.bse_of("scale")[own] == pytest.approx(se, rel=TOL_STANDARD_ERROR)


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
            own = coefficient_name(column, reference["factors"])
            estimate, error = effects.loc[cut, own], errors.loc[cut, own]
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
    assert ours.predict(new).to_numpy() == pytest.approx(np.array(expected["fit"]), abs=1e-6)
    if reference["link"] == "cauchit":
        return  # R's infinite threshold is 1e5 there, which its errors show
    found = ours.predict(new, interval="confidence")
    assert list(found.columns.get_level_values(0).unique()) == list(expected["y_levels"])
    for column, theirs, tol in (
        ("se", "se.fit", 1e-5),
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
    alpha = np.array(cuts).reshape(3, 2) @ np.stack([np.ones(len(data)), data["z"]])
    eta = beta * data["x"] + sd_g * u[:6][data["g"]] + sd_h * u[6:][data["h"]]
    below = expit((alpha - eta.to_numpy()) / np.exp(zeta * data["z"].to_numpy()))
    ends = np.vstack([np.zeros(len(data)), below, np.ones(len(data))])
    y = data["y"].to_numpy()
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

    H = np.array([[second(i, j) for j in range(11)] for i in range(11)])
    return -joint(data, psi, mode) - 0.5 * np.linalg.slogdet(H)[1]


def test_crossed_effects_with_effects_on_thresholds_and_scale_are_those_of_brute_force():
    data = crossed()
    model = interlace.clmm("y ~ x + (1 | g) + (1 | h)", data, nominal="~ z", scale="~ z")
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
    with pytest.raises(interlace.InterlaceError, match=argument):
        interlace.clmm("rating ~ temp", load_data("wine"), **{argument: wrong})


def test_a_column_among_the_thresholds_has_no_place_among_the_fixed_effects():
    with pytest.raises(OptionError, match="contact.*nominal"):
        interlace.clmm("rating ~ temp + contact", load_data("wine"), nominal="~ contact")
