"""Data at a limit of a family: the fit ends quietly at the simpler model and says so in words."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import logser

import interlace
from interlace_core.messages.errors import ConvergenceWarning
from interlace_counts.negative_binomial import NegativeBinomial2Family

GROUPS, ROWS = 20, 8
NEXT_TO_NOTHING = 1e-3
"""Log-likelihood by which the fit may differ from the simpler model's where it says they agree."""


def effects(seed, intercept=0.5):
    """Return data with a linear predictor whose groups differ by 0.5."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=g.size)
    eta = intercept + 0.3 * x + 0.5 * rng.normal(size=GROUPS)[g]
    return rng, pd.DataFrame({"x": x, "g": g, "eta": eta, "n": np.full(g.size, 8)})


def halves(rng, mean):
    """Return counts that vary half as much as Poisson."""
    return rng.binomial(np.ceil(2.0 * mean).astype(int), mean / np.ceil(2.0 * mean))


def positive(draw):
    """Return draws given that they are positive."""
    y = draw()
    while np.any(y == 0):
        y = np.where(y == 0, draw(), y)
    return y


def counts(rng, data):
    return halves(rng, np.exp(data.eta))


def positive_counts(rng, data):
    return positive(lambda: counts(rng, data))


def many_zeros(rng, data):
    return np.where(rng.random(len(data)) < 0.3, 0, positive_counts(rng, data))


def even_shares(rng, data):
    share = 1.0 / (1.0 + np.exp(-data.eta))
    return np.clip(np.round(8 * share + 0.5 * rng.normal(size=len(data))), 0, 8) / 8


def bounded_errors(rng, data):
    return data.eta + rng.uniform(-1.0, 1.0, len(data))


TRIALS = {"weights": "n"}
POISSON, NORMAL = "the Poisson distribution", "the normal distribution"
CASES = [
    ("negativebinomial", "poisson", counts, {}, POISSON),
    ("negativebinomial1", "poisson", counts, {}, POISSON),
    ("zeroinflated_poisson", "poisson", counts, {}, "without additional zeros"),
    ("truncated_negativebinomial", "truncated_poisson", positive_counts, {}, POISSON),
    ("truncated_negativebinomial1", "truncated_poisson", positive_counts, {}, POISSON),
    ("hurdle_negativebinomial", "hurdle_poisson", many_zeros, {}, f"{POISSON} in its count part"),
    ("hurdle_negativebinomial1", "hurdle_poisson", many_zeros, {}, f"{POISSON} in its count part"),
    ("hurdle_poisson", "truncated_poisson", positive_counts, {}, "its positive counts alone"),
    ("betabinomial", "binomial", even_shares, TRIALS, "the binomial distribution"),
    ("student_t", "gaussian", bounded_errors, {}, NORMAL),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("family", "simpler", "respond", "options", "words"), CASES)
def test_limit_is_named_and_is_the_simpler_model(family, simpler, respond, options, words, seed):
    rng, data = effects(seed)
    data["y"] = respond(rng, data)
    # warnings are errors here: a fit at a limit is no cause for alarm
    fit = interlace.glmer("y ~ x + (1 | g)", data, family, **options)
    limit = interlace.glmer("y ~ x + (1 | g)", data, simpler, **options)
    assert fit.converged
    assert any(words in note and "at its limit" in note for note in fit.notes)
    assert words in str(fit.summary())
    assert fit.llf == pytest.approx(limit.llf, abs=NEXT_TO_NOTHING)
    assert fit.fe_params.to_numpy() == pytest.approx(limit.fe_params.to_numpy(), abs=1e-3)
    assert fit.fe_bse.to_numpy() == pytest.approx(limit.fe_bse.to_numpy(), rel=1e-3)
    assert fit.theta == pytest.approx(limit.theta, abs=1e-3)


@pytest.mark.parametrize("family", ["zeroinflated_negativebinomial", "negativebinomial12"])
def test_several_parameters_at_their_limits_are_each_named(family):
    """Neither overdispersion nor zeros beyond Poisson: every further parameter has nothing to do.

    In NB12 one of the two excesses remains as a name for the other's zero.
    """
    rng, data = effects(3)
    data["y"] = counts(rng, data)
    fit = interlace.glmer("y ~ x + (1 | g)", data, family)
    poisson = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert fit.converged
    assert fit.llf == pytest.approx(poisson.llf, abs=NEXT_TO_NOTHING)
    assert fit.fe_bse.to_numpy() == pytest.approx(poisson.fe_bse.to_numpy(), rel=1e-3)
    assert len(fit.notes) >= (2 if family.startswith("zero") else 1)


@pytest.mark.parametrize(
    ("family", "draw"),
    [
        ("negativebinomial", lambda rng, mu: rng.negative_binomial(2.0, 2.0 / (2.0 + mu))),
        ("negativebinomial1", lambda rng, mu: rng.negative_binomial(mu, 0.5)),
        ("zeroinflated_poisson", lambda rng, mu: rng.poisson(mu) * (rng.random(mu.size) < 0.7)),
        ("compois", lambda rng, mu: rng.poisson(mu)),
        ("genpois", lambda rng, mu: rng.poisson(mu)),
    ],
)
def test_an_estimate_inside_the_scale_is_not_called_a_limit(family, draw):
    for seed in range(3):
        rng, data = effects(seed)
        data["y"] = draw(rng, np.exp(data.eta.to_numpy()))
        fit = interlace.glmer("y ~ x + (1 | g)", data, family)
        assert fit.converged
        assert not any("limit" in note for note in fit.notes), fit.notes


def test_geometric_counts_end_conway_maxwell_at_its_upper_limit():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.geometric(0.4, size=300) - 1, "g": np.repeat(np.arange(30), 10)})
    # counts that vary still more than geometric ones
    data["y"] = np.where(rng.random(300) < 0.2, 3 * data.y, data.y)
    fit = interlace.glmer("y ~ 1 + (1 | g)", data, "compois")
    assert fit.converged
    assert any("the geometric distribution" in note for note in fit.notes)
    geometric = interlace.glmer("y ~ 1 + (1 | g)", data, NegativeBinomial2Family(theta=1.0))
    assert fit.llf == pytest.approx(geometric.llf, abs=NEXT_TO_NOTHING)


def test_logarithmic_series_is_no_separation():
    """A truncated NB2 whose size and untruncated mean vanish together."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.logseries(0.7, size=200)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = interlace.glmer("y ~ 1", data, "truncated_negativebinomial")
    # size and mean vanish together, so that neither is determined by itself
    assert ["not determined" in str(each.message) for each in caught] in ([], [True])
    assert not any("separates" in each for each in fit.notes)
    assert any("logarithmic series" in each for each in fit.notes) or not caught
    assert fit.family_params.loc["theta", "value"] < 1e-3
    assert any("the logarithmic series distribution" in note for note in fit.notes)
    p = np.exp(fit.fe_params["Intercept"] - np.log(fit.family_params.loc["theta", "value"]))
    p = p / (1.0 + p)
    assert fit.llf == pytest.approx(float(np.sum(logser.logpmf(data.y, p))), abs=1e-3)


def test_a_tweedie_power_that_runs_to_1_names_its_limit_and_has_intervals():
    """Whole numbers with zeros: the density degenerates, and no interval may fail by dividing."""
    rng, data = effects(5)
    y = rng.poisson(np.exp(data["eta"]))
    data["y"] = np.where(data["x"] < -0.5, 0, y)
    with pytest.warns(ConvergenceWarning, match="not reached"):
        fit = interlace.glmer("y ~ x + (1 | g)", data, "tweedie")
    assert any("phi times a Poisson count" in note for note in fit.notes)
    assert list(fit.confint().index)[-1] == "power"
