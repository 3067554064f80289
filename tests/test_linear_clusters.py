"""Robust covariance and influence of linear mixed models, against dense formulas."""

import numpy as np
import pytest

import interlace
from interlace_core.messages.errors import UnsupportedModelError
from reference_fits import load_data

WEIGHTS = [None, "w"]


@pytest.fixture(scope="module")
def data():
    return load_data("sleepstudy_w")


def fitted(data, weights, method="ML"):
    return interlace.fit("Reaction ~ Days + (Days | Subject)", data, method=method, weights=weights)


def marginal(model, data, weights):
    """Return each subject's X, residual and inverse covariance, from the estimates."""
    w = np.ones(len(data)) if weights is None else data[weights].to_numpy(float)
    b = model.variance_components["Subject"].to_numpy()
    for _, rows in data.reset_index(drop=True).groupby("Subject", observed=True):
        X = np.column_stack([np.ones(len(rows)), rows["Days"]])
        V = X @ b @ X.T + np.diag(model.scale / w[rows.index])
        yield X, rows["Reaction"].to_numpy() - X @ model.fe_params.to_numpy(), np.linalg.inv(V)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_robust_covariance_of_coefficients_is_liang_and_zegers(data, weights):
    model = fitted(data, weights)
    parts = list(marginal(model, data, weights))
    bread = np.linalg.inv(sum(X.T @ W @ X for X, _, W in parts))
    scores = np.array([X.T @ W @ r for X, r, W in parts])
    G = len(parts)
    expected = bread @ scores.T @ scores @ bread * G / (G - 1.0)
    labels = list(model.fe_params.index)
    found = model.vcov_robust().loc[labels, labels].to_numpy()
    # scores at the optimum: 1e-7 of log-likelihood is 4e-4 of a standard error
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_influence_of_one_step_is_near_that_of_a_refit(data, weights):
    found = fitted(data, weights).influence(exact=2)
    assert len(found.exact_cook) == 2
    coefficients = ["Intercept", "Days"]
    exact = found.exact_change[coefficients].to_numpy()
    one_step = found.change.loc[found.exact_change.index, coefficients].to_numpy()
    # a step with the Hessian of the whole understates what leaving out 1 of 18 subjects does
    assert np.all(np.abs(exact - one_step) <= 0.35 * np.abs(exact).max(axis=0))
    assert not found.failures


def test_a_restricted_likelihood_is_no_sum_and_the_message_says_what_to_do(data):
    model = fitted(data, None, "REML")
    for call in (model.vcov_robust, model.influence):
        with pytest.raises(UnsupportedModelError, match=r"no sum over clusters.*refit_ml\(\)"):
            call()
    refitted, by_ml = model.refit_ml(), fitted(data, None)
    # two fits that may differ by 4e-4 of a standard error
    np.testing.assert_allclose(refitted.vcov_robust(), by_ml.vcov_robust(), rtol=2e-2, atol=1e-4)


def test_profiles_of_coefficients_are_made_with_precisions_too(data):
    model = fitted(data, "w")
    interval = model.confint("Days", method="profile").loc["Days"]
    half = 1.96 * model.fe_bse["Days"]
    assert interval["upper"] - model.fe_params["Days"] == pytest.approx(half, rel=0.2)
    assert model.fe_params["Days"] - interval["lower"] == pytest.approx(half, rel=0.2)


def test_an_offset_of_the_dispersion_is_a_weight(data):
    """Both say that the standard deviation of a row is sigma / sqrt(w)."""
    weighted = fitted(data, "w")
    shifted = interlace.glmer(
        "Reaction ~ Days + (Days | Subject)",
        data,
        "gaussian",
        dispformula="~ 1 + offset(-0.5 * log(w))",
        approximation="ml",
    )
    assert shifted.llf == pytest.approx(weighted.llf, abs=1e-6)
    assert shifted.fe_params.to_numpy() == pytest.approx(weighted.fe_params.to_numpy(), rel=1e-5)
