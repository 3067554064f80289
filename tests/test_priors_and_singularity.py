"""Weak priors as a penalised fit, called so everywhere; singular fits told plainly."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

import interlace
from interlace_core.covariances import Diagonal
from interlace_core.messages.errors import ConvergenceWarning, OptionError, UnsupportedModelError
from interlace_core.records import Array
from reference_fits import load_data

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def separated():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": np.repeat([0.0, 1.0], 40), "g": np.tile(np.arange(10), 8)})
    data["y"] = np.where(data["x"] == 1.0, 1, rng.integers(0, 2, 80))
    return data


def test_prior_makes_a_separated_coefficient_finite_and_silent(separated):
    with pytest.warns(ConvergenceWarning, match="separates"):
        plain = interlace.glmer("y ~ x + (1 | g)", separated, "binomial")
    assert any("priors=" in note for note in plain.notes)
    fit = interlace.glmer(
        "y ~ x + (1 | g)", separated, "binomial", priors={"fixed": interlace.normal(0, 2.5)}
    )
    assert 1.0 < fit.fe_params["x"] < 8.0 and fit.fe_bse["x"] < 3.0
    assert fit.converged


def test_penalised_estimate_is_the_posterior_mode_by_direct_search():
    """Without random effects the posterior is a few lines of SciPy."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 60))
    y = rng.binomial(1, expit(0.5 + 2 * x))
    data = pd.DataFrame({"x": x, "z": z, "y": y})
    fit = interlace.glmer(
        "y ~ x + z", data, "binomial",
        priors={"fixed": interlace.normal(0, 0.5), "z": interlace.normal(0.2, 0.1)},
    )  # fmt: skip

    def posterior(b):
        eta = b[0] + b[1] * x + b[2] * z
        likelihood = np.sum(y * eta - np.logaddexp(0, eta))
        return -likelihood - norm.logpdf(b[1], 0, 0.5) - norm.logpdf(b[2], 0.2, 0.1)

    best = minimize(posterior, np.zeros(3), tol=1e-10)
    assert fit.fe_params.to_numpy() == pytest.approx(best.x, abs=2e-5)
    assert fit.fit.value == pytest.approx(best.fun, abs=1e-8)
    b = fit.fe_params.to_numpy()
    eta = b[0] + b[1] * x + b[2] * z
    assert fit.llf == pytest.approx(np.sum(y * eta - np.logaddexp(0, eta)), abs=1e-8)


def test_penalised_fit_is_called_so_and_has_no_likelihood_ratio_tests(separated):
    priors = {"fixed": interlace.normal(0, 2.5)}
    fit = interlace.glmer("y ~ x + (1 | g)", separated, "binomial", priors=priors)
    null = interlace.glmer("y ~ 1 + (1 | g)", separated, "binomial")
    text = str(fit.summary())
    assert "penalised maximum likelihood (MAP), with priors fixed ~ normal(0, 2.5)" in text
    assert "not defined for a penalised fit" in text
    assert np.isnan([fit.aic, fit.bic, fit.aicc]).all() and np.isfinite(fit.llf)
    with pytest.raises(OptionError, match="priors"):
        interlace.anova(fit, null)
    with pytest.raises(OptionError, match="priors"):
        fit.drop1()
    again = fit.refit(fit.y)
    # the likelihood has a slope where the penalised optimum is: an error of 1e-5 in beta shows
    assert again.llf == pytest.approx(fit.llf, abs=1e-4)
    assert fit.term_tests().loc["x", "pvalue"] < 0.05


def test_priors_are_checked(separated):
    call = ("y ~ x + (1 | g)", separated, "binomial")
    with pytest.raises(OptionError, match="'xx'.*Parameters: Intercept, x"):
        interlace.glmer(*call, priors={"xx": interlace.normal()})
    with pytest.raises(OptionError, match="'x' must be a prior"):
        interlace.glmer(*call, priors={"x": 2.5})
    with pytest.raises(OptionError, match="scale must be a positive number"):
        interlace.normal(0, -1)
    with pytest.raises(UnsupportedModelError, match="nAGQ=1 or more"):
        interlace.glmer(*call, nAGQ=0, priors={"x": interlace.normal()})


def test_singularity_names_a_variance_of_zero_and_what_dropping_it_changes():
    data = load_data("Dyestuff2")
    fit = interlace.glmer("Yield ~ 1 + (1 | Batch)", data, "gaussian")
    assert fit.fit.verdict.status == "boundary"
    row = fit.singularity().iloc[0]
    assert row["found"] == "variance of Intercept | Batch is 0"
    without = interlace.glmer("Yield ~ 1", data, "gaussian")
    assert row["loglik"] == pytest.approx(without.llf, abs=1e-7)
    assert row["aic_change"] == pytest.approx(without.aic - fit.aic, abs=1e-6)
    assert row["aic_change"] == pytest.approx(-2.0, abs=1e-5)


def test_singularity_names_a_correlation_of_one():
    rng = np.random.default_rng(0)
    g, x, b = np.repeat(np.arange(6), 5), rng.normal(size=30), rng.normal(size=6)
    data = pd.DataFrame({"x": x, "g": g.astype(str)})
    data["y"] = 1 + b[g] * (1 + 0.5 * x) + rng.normal(size=30)
    fit = interlace.glmer("y ~ x + (1 + x | g)", data, "gaussian")
    assert fit.fit.verdict.status == "boundary"
    row = fit.singularity().iloc[0]
    assert "singular" in row["found"] and row["without"] == "its correlations"
    diagonal = interlace.glmer("y ~ x + (1 + x || g)", data, "gaussian")
    assert row["loglik"] == pytest.approx(diagonal.llf, abs=1e-6)


def test_singularity_of_a_fit_that_was_stopped_at_a_boundary():
    sleep = interlace.datasets.load("sleepstudy")
    sleep["half"] = sleep["Days"] % 2
    with pytest.warns(ConvergenceWarning, match="stopped"):
        m = interlace.fit(
            "Reaction ~ Days + (1 | Subject) + (1 | half)",
            sleep,
            method="ML",
            start={"theta": [0.0, 0.0]},
            max_seconds=1e-9,
        )
    assert m.fit.verdict.status == "stopped"
    assert list(m.singularity()["term"]) == ["(1 | Subject)", "(1 | half)"]


def test_a_variance_that_a_prior_keeps_is_not_listed_beside_one_that_is_0():
    rng = np.random.default_rng(3)
    g, h = np.repeat(np.arange(30), 10), np.tile(np.arange(10), 30)
    y = rng.normal(size=300)
    y -= pd.Series(y).groupby(g).transform("mean") + pd.Series(y).groupby(h).transform("mean")
    data = pd.DataFrame({"y": y, "g": g, "h": h})
    priors = {"sd": {"g": interlace.gamma(2, 1e8)}}
    m = interlace.fit("y ~ 1 + (1 | g) + (1 | h)", data, method="ML", priors=priors)
    assert list(m.singularity()["term"]) == ["(1 | h)"]


def test_singularity_is_empty_for_a_regular_fit():
    fit = interlace.glmer("Reaction ~ Days + (1 | Subject)", load_data("sleepstudy"), "gaussian")
    assert fit.singularity().empty


class Stretched(Diagonal):
    """Standard deviations in another unit, given as an option."""

    name = "stretched"
    made: ClassVar[list[float]] = []

    def __init__(self, size: int, unit: float = 1.0) -> None:
        super().__init__(size)
        self.unit = unit
        self.made.append(unit)

    def template(self, theta: Array) -> Array:
        return self.unit * super().template(theta)

    def pullback(self, theta: Array, dT: Array) -> Array:
        return self.unit * super().pullback(theta, dT)

    def nearest(self, covariance: Array) -> Array:
        return super().nearest(covariance) / self.unit


def test_singularity_keeps_the_options_of_a_structure():
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(8), 6), rng.normal(size=48)
    data = pd.DataFrame({"x": x, "g": g.astype(str)})
    data["y"] = 1 + rng.normal(size=8)[g] + rng.normal(size=48)
    fit = interlace.glmer("y ~ x + diag(1 + x | g)", data, "gaussian")
    assert "x | g is 0" in fit.singularity()["found"].iloc[0]
    problem = fit.training.problem
    term = replace(problem.terms[0], covariance=Stretched(2, unit=4.0), options=(("unit", 4.0),))
    psi = fit.fit.psi.copy()
    psi[:2] /= 4.0
    changed = replace(
        fit,
        fit=replace(fit.fit, psi=psi),
        training=replace(fit.training, problem=replace(problem, terms=(term,))),
    )
    Stretched.made.clear()
    row = changed.singularity().iloc[0]
    assert Stretched.made == [4.0]
    assert row["loglik"] == pytest.approx(fit.singularity()["loglik"].iloc[0], abs=1e-7)
