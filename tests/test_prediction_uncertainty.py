"""Standard errors and intervals of predictions, against glmmTMB and closed forms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

import interlace
from interlace.prediction.average import average
from interlace.prediction.design import fit_rows
from interlace.prediction.uncertainty import spread
from interlace_core.messages.errors import DataWarning, OptionError
from reference_fits import load_data, load_fit

REFERENCE = json.loads((Path(__file__).parent / "reference" / "after_fit.json").read_text())


@pytest.fixture(scope="module")
def fits():
    return {
        "cbpp": interlace.glmer(
            "cbind(incidence, size - incidence) ~ period + (1 | herd)",
            load_data("cbpp"),
            "binomial",
        ),
        "sleepstudy": interlace.glmer(
            "Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"), "gaussian"
        ),
        "Penicillin": interlace.glmer(
            "diameter ~ 1 + (1 | plate) + (1 | sample)", load_data("Penicillin"), "gaussian"
        ),
    }


@pytest.mark.parametrize("name", ["cbpp", "sleepstudy", "Penicillin"])
def test_standard_errors_with_random_effects_agree_with_glmmtmb(fits, name):
    expected = REFERENCE[name]
    found = fits[name].predict(type="link", se=True).head(20)
    assert found["fit"].to_numpy() == pytest.approx(expected["fit"], rel=1e-4, abs=1e-4)
    # glmmTMB's covariance of the parameters is from a numerical Hessian
    assert found["se"].to_numpy() == pytest.approx(expected["se"], rel=2e-3)


@pytest.mark.parametrize("name", ["sleepstudy", "Penicillin"])
def test_spread_at_known_theta_is_the_inverse_of_hendersons_equations(fits, name):
    fit = fits[name]
    problem, psi = fit.training.problem, fit.fit.psi
    X, blocks, prior = problem.predictors[0].X, [], []
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        T, L = term.covariance.template(psi[place]), len(term.levels)
        level = np.eye(L)[term.codes]
        blocks.append(np.einsum("nl,nc->nlc", level, term.Z).reshape(problem.n, -1))
        prior.append(np.kron(np.eye(L), np.linalg.inv(T @ T.T)))
    W = np.hstack([X, *blocks])
    from scipy.linalg import block_diag

    M = W.T @ W / fit.scale + block_diag(np.zeros((X.shape[1],) * 2), *prior)
    expected = np.sum(W @ np.linalg.inv(M) * W, axis=1)
    found = spread(
        fit, fit_rows(fit), tuple(np.ones(len(t.names), dtype=bool) for t in problem.terms)
    )
    V = np.zeros_like(found.V)
    place = fit.coefficients[0].place
    V[place, place] = found.V[place, place]
    variance = np.einsum("np,pr,nr->n", found.D[0], V, found.D[0]) + found.conditional[0, 0]
    assert variance == pytest.approx(expected, rel=1e-4)  # V is by differences


def test_standard_errors_and_ends_without_random_effects_agree_with_emmeans(fits):
    extras = load_fit("cbpp_logit_lme4")["extras"]
    new = pd.DataFrame({"period": ["1", "2", "3", "4"]})
    link = fits["cbpp"].predict(new, include_re=False, type="link", interval="confidence")
    response = fits["cbpp"].predict(new, include_re=False, interval="confidence")
    for row, a, b in zip(range(4), extras["emmeans_link"], extras["emmeans_response"], strict=True):
        assert link["se"].iloc[row] == pytest.approx(a["SE"], rel=2e-4)
        assert response["se"].iloc[row] == pytest.approx(b["SE"], rel=3e-4)
        assert response["lower"].iloc[row] == pytest.approx(b["asymp.LCL"], rel=3e-4)
        assert response["upper"].iloc[row] == pytest.approx(b["asymp.UCL"], rel=3e-4)


def test_population_prediction_is_the_integral_over_the_random_effect(fits):
    fit = fits["cbpp"]
    found = fit.predict(pd.DataFrame({"period": ["1", "4"]}), type="population")
    sd = np.sqrt(fit.variance_components["herd"])
    for value, eta in zip(found, [-1.3985, -2.9788], strict=True):
        eta = fit.predict(
            pd.DataFrame({"period": ["1" if eta > -2 else "4"]}), include_re=False, type="link"
        ).iloc[0]
        expected = quad(lambda x, e=eta: expit(e + sd * x) * norm.pdf(x), -12, 12)[0]
        assert value == pytest.approx(expected, rel=1e-8)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 6)
    x = rng.normal(size=180)
    b = rng.normal(size=(30, 2)) * [0.6, 0.3]
    mu = np.exp(0.5 + 0.3 * x + b[g, 0] + b[g, 1] * x)
    return pd.DataFrame({"x": x, "g": [f"g{i:02}" for i in g], "y": rng.poisson(mu)})


@pytest.fixture(scope="module")
def slopes(counts):
    return interlace.glmer("y ~ x + (1 + x | g)", counts, "poisson")


def test_population_mean_and_its_error_are_those_of_the_lognormal(slopes):
    """For a log link the average is exp(eta + z'Sz / 2): value and delta method in closed form."""
    new = pd.DataFrame({"x": [-1.0, 0.0, 2.0]})
    found = slopes.predict(new, type="population", se=True)
    z = np.column_stack([np.ones(3), new["x"]])

    def log_mean(psi):
        T = np.array([[psi[0], 0.0], [psi[1], psi[2]]])
        return z @ psi[3:] + 0.5 * np.sum((z @ T) ** 2, axis=1)

    psi = slopes.fit.psi
    J = np.stack([(log_mean(psi + h) - log_mean(psi - h)) / 2e-6 for h in 1e-6 * np.eye(5)], axis=1)
    se = np.exp(log_mean(psi)) * np.sqrt(np.sum(J @ slopes.fit.vcov * J, axis=1))
    assert found["fit"].to_numpy() == pytest.approx(np.exp(log_mean(psi)), rel=1e-10)
    assert found["se"].to_numpy() == pytest.approx(se, rel=1e-5)


def test_average_over_two_predictors_is_that_of_a_product():
    eta, variance = np.array([[0.2, -1.0], [0.5, 0.1]]), np.array([[0.3, 0.0], [0.8, 0.5]])
    covariance = np.zeros((2, 2, 2))
    covariance[0, 0], covariance[1, 1] = variance
    found = average(lambda e: np.exp(e[0] - e[1]), eta, covariance)
    assert found == pytest.approx(np.exp(eta[0] - eta[1] + variance.sum(axis=0) / 2), rel=1e-10)
    covariance[0, 1] = covariance[1, 0] = [-0.4, 0.0]
    found = average(lambda e: np.exp(e[0] - e[1]), eta, covariance)
    total = variance.sum(axis=0) - 2 * covariance[0, 1]
    assert found == pytest.approx(np.exp(eta[0] - eta[1] + total / 2), rel=1e-8)


def test_new_level_marginal_averages_over_it_and_keeps_known_ones(slopes):
    new = pd.DataFrame({"x": [0.5, 0.5], "g": ["g03", "new"]})
    found = slopes.predict(new, new_levels="marginal", se=True)
    assert found["fit"].iloc[0] == pytest.approx(slopes.predict(new.iloc[:1]).iloc[0], rel=1e-12)
    population = slopes.predict(new.iloc[1:], type="population", se=True).iloc[0]
    assert found.iloc[1].tolist() == pytest.approx(population.tolist(), rel=1e-6)


def test_new_level_sample_draws_one_effect_per_level_from_their_distribution(slopes):
    new = pd.DataFrame({"x": np.tile([0.0, 1.0], 2000), "g": np.repeat(np.arange(2000), 2)})
    found = slopes.predict(new, type="link", new_levels="sample", seed=1).to_numpy().reshape(-1, 2)
    again = slopes.predict(new, type="link", new_levels="sample", seed=1)
    assert np.array_equal(found.ravel(), again)
    b = np.column_stack([found[:, 0], found[:, 1] - found[:, 0]]) - slopes.fe_params.to_numpy()
    # 2000 draws give a variance to 3%
    S = slopes.variance_components["g"].to_numpy()
    assert np.cov(b.T) == pytest.approx(S, abs=0.12 * S[0, 0])
    assert np.diag(np.cov(b.T)) == pytest.approx(np.diag(S), rel=0.12)


def test_include_re_by_term_adds_up(fits):
    fit = fits["Penicillin"]
    none, both = fit.predict(include_re=False), fit.predict()
    plate, sample = fit.predict(include_re="plate"), fit.predict(include_re=["1 | sample"])
    assert (plate + sample - none).to_numpy() == pytest.approx(both.to_numpy(), rel=1e-12)


def test_prediction_interval_of_a_linear_model_has_its_normal_width(fits):
    fit = fits["sleepstudy"]
    rows = load_data("sleepstudy").iloc[:3]
    sure = fit.predict(rows, type="link", se=True)
    found = fit.predict(rows, interval="prediction", n_sim=8000, seed=2)
    half = 1.96 * np.sqrt(sure["se"] ** 2 + fit.scale)
    # an end at 2.5% of 8000 normal draws has a standard error of 3% of a standard deviation
    error = 0.12 * half / 1.96
    assert np.all(np.abs(found["upper"] - found["fit"] - half) < error)
    assert np.all(np.abs(found["fit"] - found["lower"] - half) < error)


def test_prediction_interval_of_a_new_group_is_wider_by_its_variance(fits):
    fit = fits["sleepstudy"]
    new = pd.DataFrame({"Days": [0.0, 9.0], "Subject": ["x", "y"]})
    with pytest.warns(DataWarning):
        found = fit.predict(new, interval="prediction", n_sim=8000, seed=2)
    z = np.array([[1.0, 0.0], [1.0, 9.0]])
    fixed = np.sum(z @ fit.vcov().iloc[3:5, 3:5].to_numpy() * z, axis=1)
    prior = np.sum(z @ fit.variance_components["Subject"].to_numpy() * z, axis=1)
    half = 1.96 * np.sqrt(fixed + prior + fit.scale)
    assert np.all(np.abs(found["upper"] - found["fit"] - half) < 0.12 * half / 1.96)


def test_prediction_interval_of_a_proportion_needs_its_trials(fits):
    new = load_data("cbpp").iloc[:4]
    wide = fits["cbpp"].predict(new, interval="prediction", seed=1)
    assert set(np.unique(wide[["lower", "upper"]])) <= {0.0, 1.0}  # one trial each
    many = fits["cbpp"].predict(new, interval="prediction", seed=1, weights=1e6)
    sure = fits["cbpp"].predict(new, interval="confidence")
    assert many["upper"].to_numpy() == pytest.approx(sure["upper"].to_numpy(), rel=0.15)
    with pytest.raises(OptionError, match="interval"):
        fits["cbpp"].predict(new, interval="credible")
