"""Effects on thresholds and on the scale of ordered categories, held against stored fits.

The fits are those of R's ordinal (clm) and, with random effects, of own code in R by 25 nodes, each
checked there against a second engine (`extras.checks` of each).
"""

import json
from itertools import pairwise

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
