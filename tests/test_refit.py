"""Every family of numbers: data drawn from a model, and the fit that finds its parameters again."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import interlace
from interlace_core.messages.errors import DataError
from interlace_core.registry.registry import default_registry

GROUPS, ROWS = 60, 12
INTERCEPT, SLOPE, SD = 0.6, 0.4, 0.5
FURTHER = {
    "alpha": 0.0,
    "nu": 1.4,
    "sigma": -0.3,
    "phi": 0.7,
    "theta": 0.6,
    "psi": 1.2,
    "pi": -0.8,
    "shape": 0.8,
    "power": 0.2,
    "c1": -1.2,
    "gap": 1.0,
    "p0": -1.5,
    "p1": -1.2,
}
"""Truth of each further parameter, on the scale of its predictor."""

INTEGRALS = {"skewnormal": {"alpha": 3.0}, "negativebinomial12": {"phi": 0.5, "psi": 1.0}}
"""Where a name's truth is different: the slant must be told from 0, the two excesses apart."""

NAMES = sorted(
    each.name
    for each in default_registry().classes("family")
    if "ordered" not in each.cls.response_forms
)
"""Ordered categories have thresholds in place of the intercept; they have a test of their own."""
WITHIN_STANDARD_ERRORS = 4.0
"""One in 16,000 by chance for each estimate."""


def drawn(name, seed):
    """Return data of a family with a group effect, and the truth by parameter."""
    rng = np.random.default_rng(seed)
    family = default_registry().family(name)()
    g = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=g.size)
    trials = np.full(g.size, 6)
    linear = INTERCEPT + SLOPE * x + SD * rng.normal(size=GROUPS)[g]
    truth = {p.name: FURTHER[p.name] for p in family.parameters[1:]} | INTEGRALS.get(name, {})
    eta = [linear, *(np.full(g.size, value) for value in truth.values())]
    if "pair" in family.response_forms:
        family = family.bind(np.column_stack([trials, trials]).astype(float))
    y = family.simulate(eta, rng)
    y = y[:, 0] / y[:, 1] if y.ndim == 2 else y
    return pd.DataFrame({"y": y, "x": x, "g": g, "trials": trials}), family, truth


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_refit_finds_the_parameters_again(name):
    data, family, truth = drawn(name, seed=20)
    weights = "trials" if "pair" in family.response_forms else None
    fit = interlace.glmer("y ~ x + (1 | g)", data, name, weights=weights)
    assert fit.converged
    error = WITHIN_STANDARD_ERRORS * fit.fe_bse
    assert abs(fit.fe_params["x"] - SLOPE) < error["x"]
    assert abs(fit.fe_params["Intercept"] - INTERCEPT) < error["Intercept"]
    # the standard deviation among 60 groups is known to 10% and what its rows leave open
    assert abs(fit.theta[0] - SD) < WITHIN_STANDARD_ERRORS * max(0.1 * SD, fit_error(fit))
    for parameter, value in truth.items():
        estimate = fit.params_of(parameter)["Intercept"]
        assert abs(estimate - value) < WITHIN_STANDARD_ERRORS * fit.bse_of(parameter)["Intercept"]


def fit_error(fit):
    """Return an upper bound for the standard error of the group effects' standard deviation."""
    return 0.5 * float(np.max(fit.random_effects_se["g"].to_numpy())) / np.sqrt(GROUPS / 4)


THRESHOLDS = [-1.0, 0.2, 1.1]
LATENT = {
    "logit": lambda u: np.log(u) - np.log1p(-u),
    "probit": norm.ppf,
    "cloglog": lambda u: np.log(-np.log1p(-u)),
    "loglog": lambda u: -np.log(-np.log(u)),
    "cauchit": lambda u: np.tan(np.pi * (u - 0.5)),
}
"""Quantiles of the latent errors: P(Y <= k) = F(alpha_k - eta)."""


@pytest.mark.slow
@pytest.mark.parametrize("link", LATENT)
def test_refit_finds_thresholds_again(link):
    rng = np.random.default_rng(21)
    g = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=g.size)
    eta = SLOPE * x + SD * rng.normal(size=GROUPS)[g]
    latent = eta + LATENT[link](rng.uniform(size=g.size))
    data = pd.DataFrame({"y": np.searchsorted(THRESHOLDS, latent), "x": x, "g": g})
    fit = interlace.clmm("y ~ x", data, groups="g", link=link)
    assert fit.converged
    assert abs(fit.fe_params["x"] - SLOPE) < WITHIN_STANDARD_ERRORS * fit.fe_bse["x"]
    error = np.abs(fit.thresholds.to_numpy() - THRESHOLDS)
    assert np.all(error < WITHIN_STANDARD_ERRORS * fit.threshold_bse.to_numpy())
    assert abs(fit.theta[0] - SD) < WITHIN_STANDARD_ERRORS * max(0.1 * SD, fit_error(fit))


@pytest.mark.parametrize("name", ["binomial", "betabinomial"])
def test_a_model_of_proportions_is_refitted_to_proportions_of_its_trials(name):
    cbpp = interlace.datasets.load("cbpp")
    fit = interlace.glmer("incidence / size ~ period + (1 | herd)", cbpp, name, weights="size")
    pairs = fit.simulate(seed=3, raw=True)[0]
    shares = fit.simulate(seed=3)["sim_1"]
    for y in (shares, shares.to_numpy(), list(shares)):
        assert fit.refit(y).llf == pytest.approx(fit.refit(pairs).llf, abs=1e-9)
    with pytest.raises(DataError, match="between 0 and 1"):
        fit.refit(cbpp["incidence"] + 2)
    with pytest.raises(DataError, match=r"shape \(56, 2\).*or proportions, shape \(56,\)"):
        fit.refit(shares[:5])
