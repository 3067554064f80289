"""What is simulated is found again: estimates of many simulated responses lie around the truth.

Slow. The covariances of structures are simulated from closed formulas, not by the structures; other
models by their own `simulate`, which the kit holds against the densities.
"""

import numpy as np
import pandas as pd
import pytest

import interlace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning"),
]

DRAWS = 30
MOST = 3.0
"""Of the standard error of a mean of 30 estimates, 0.55 of that of one."""

MOST_OF_SDS = 4.2
"""The same of standard deviations of effects, which maximum likelihood finds too small: with 40
groups by up to 0.7 of a standard error, where little tells them apart and some estimates are 0."""

GROUPS, LEVELS = 50, 5
SD = np.array([0.6, 0.8, 1.0, 0.9, 0.7])
STEPS = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
PLACES = np.array([[0.0, 0.0], [0.3, 1.1], [1.0, 0.2], [1.2, 2.4], [2.0, 1.5]])  # in order
APART = np.linalg.norm(PLACES[:, None] - PLACES[None], axis=2)
TIMES = np.array([0.0, 0.7, 1.1, 2.5, 4.0])
LAGS = np.array([1.0, 0.6, 0.35, 0.2, 0.1])
LOADINGS = np.array([[0.9, 0.7, -0.5, 0.8, 0.4]]).T
KNOWN = 0.5 ** np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)) / 2)
SAME = np.full((5, 5), 0.4) + 0.6 * np.eye(5)


def scaled(sd, correlation):
    return np.outer(np.broadcast_to(sd, 5), np.broadcast_to(sd, 5)) * correlation


def matern(d, smoothness=1.5):
    """Return Matern's correlation of a smoothness of 3/2."""
    assert smoothness == 1.5
    return (1.0 + d) * np.exp(-d)


STRUCTURES = {
    "us": ("us(0 + f | g)", scaled(SD, 0.6**STEPS)),
    "diag": ("diag(0 + f | g)", np.diag(SD**2)),
    "homdiag": ("homdiag(0 + f | g)", 0.64 * np.eye(5)),
    "hetcs": ("hetcs(0 + f | g)", scaled(SD, SAME)),
    "homcs": ("homcs(0 + f | g)", scaled(0.8, SAME)),
    "toep": ("toep(0 + f | g)", scaled(SD, LAGS[STEPS.astype(int)])),
    "homtoep": ("homtoep(0 + f | g)", scaled(0.8, LAGS[STEPS.astype(int)])),
    "ar1": ("ar1(0 + f | g)", scaled(0.8, (-0.5) ** STEPS)),
    "hetar1": ("hetar1(0 + f | g)", scaled(SD, 0.6**STEPS)),
    "ou": ("ou(0 + time | g)", scaled(0.8, np.exp(-np.abs(np.subtract.outer(TIMES, TIMES)) / 2))),
    "exp": ("exp(0 + a + b | g)", scaled(0.8, np.exp(-APART / 1.5))),
    "gau": ("gau(0 + a + b | g)", scaled(0.8, np.exp(-np.square(APART / 1.5)))),
    "mat": ("mat(0 + a + b | g)", scaled(0.8, matern(APART))),
    "rr": ("rr(0 + f | g, d = 1)", LOADINGS @ LOADINGS.T),
    "propto": ("propto(0 + f | g)", 0.64 * KNOWN),
}


def frame():
    at = np.tile(np.arange(LEVELS), 2 * GROUPS)
    data = pd.DataFrame({"g": np.repeat([f"g{k:02d}" for k in range(GROUPS)], 2 * LEVELS)})
    data["f"] = [f"f{k}" for k in at]
    data["time"], data["a"], data["b"] = TIMES[at], PLACES[at, 0], PLACES[at, 1]
    return data.assign(y=0.0), at


def mean_error(values, truth):
    """Return how many standard errors the means of estimates are off, the largest."""
    values = np.asarray(values)
    error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    off = np.abs(np.mean(values, axis=0) - truth)
    moved = error > 1e-9 * (1.0 + np.abs(truth))
    assert np.all(off[~moved] < 1e-6)
    return np.max(off[moved] / error[moved])


@pytest.mark.parametrize("name", STRUCTURES)
def test_covariances_of_structures_are_found_again(name):
    term, covariance = STRUCTURES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    data, at = frame()
    codes = np.repeat(np.arange(GROUPS), 2 * LEVELS)
    known = {"known": {"f": pd.DataFrame(KNOWN, index=sorted(set(data["f"])),
                                         columns=sorted(set(data["f"])))}}  # fmt: skip
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(5))
    found, residuals = [], []
    fit = None
    for _ in range(DRAWS):
        b = rng.normal(size=(GROUPS, 5)) @ root.T
        y = 2.0 + b[codes, at] + 0.5 * rng.normal(size=len(data))
        if fit is None:
            options = known if name == "propto" else {}
            fit = interlace.fit(f"y ~ 1 + {term}", data.assign(y=y), method="ML", **options)
        each = fit.refit(y)
        found.append(each.effects["g"].prior[np.triu_indices(5)])
        residuals.append(np.sqrt(each.scale))
    assert mean_error(found, covariance[np.triu_indices(5)]) < MOST
    assert mean_error(np.array(residuals)[:, None], np.array([0.5])) < MOST


def counts(seed=4, groups=40, each=12):
    """Return covariates and responses of every kind of support, of groups with effects."""
    rng = np.random.default_rng(seed)
    n = groups * each
    data = pd.DataFrame({"g": np.repeat([f"g{k:02d}" for k in range(groups)], each)})
    data["x"] = rng.normal(size=n).round(2)
    data["n"] = rng.integers(3, 9, n)
    eta = 0.5 + 0.4 * data["x"] + np.repeat(0.5 * rng.normal(size=groups), each)
    mean, share = np.exp(eta), 1 / (1 + np.exp(0.5 - eta))
    there = rng.random(n) > 0.3
    data["count"] = there * rng.negative_binomial(3.0, 3.0 / (3.0 + mean))
    data["plus"] = there * rng.gamma(3.0, mean / 3.0)
    data["s"] = there * rng.binomial(data["n"], rng.beta(6 * share, 6 * (1 - share)))
    data["f"] = data["n"] - data["s"]
    data["part"] = there * rng.beta(8 * share, 8 * (1 - share)).clip(1e-6, 1 - 1e-6)
    data["full"] = np.where(there, data["part"], 1.0)
    positive = rng.poisson(mean) + 1
    data["from_1"] = positive
    data["mark"] = np.digitize(eta + rng.logistic(size=n), [-0.8, 0.4, 1.6])
    return data


ZERO = {"ziformula": "~ x"}
MODELS = {
    "zip": ("glmer", "count ~ x + (1 | g)", "zip", ZERO),
    "zinb2": ("glmer", "count ~ x + (1 | g)", "zinb2", {}),
    "hurdle_nb1": ("glmer", "count ~ x + (1 | g)", "hurdle_nbinom1", ZERO),
    "zi_genpois": ("glmer", "count ~ x + (1 | g)", "zeroinflated_genpois", {}),
    "truncated_genpois": ("glmer", "from_1 ~ x + (1 | g)", "truncated_genpois", {}),
    "truncated_compois": ("glmer", "from_1 ~ x + (1 | g)", "truncated_compois", {}),
    "hurdle_compois": ("glmer", "count ~ x + (1 | g)", "hurdle_compois", ZERO),
    "zi_binomial": ("glmer", "cbind(s, f) ~ x + (1 | g)", "binomial", ZERO),
    "zi_betabinomial": ("glmer", "cbind(s, f) ~ x + (1 | g)", "betabinomial", ZERO),
    "hurdle_binomial": ("glmer", "cbind(s, f) ~ x + (1 | g)", "hurdle_binomial", ZERO),
    "hurdle_betabinomial": ("glmer", "cbind(s, f) ~ x + (1 | g)", "hurdle_betabinomial", {}),
    "gamma": ("glmer", "plus ~ x + (1 | g)", "gamma", ZERO),
    "inverse_gaussian": ("glmer", "plus ~ x + (1 | g)", "inversegaussian", ZERO),
    "lognormal": ("glmer", "plus ~ x + (1 | g)", "lognormal", ZERO),
    "beta": ("glmer", "part ~ x + (1 | g)", "beta", ZERO),
    "one": ("glmer", "full ~ x + (1 | g)", "beta", {"parameters": {"one": "~ x"}}),
    "shared": ("glmer", "count ~ x + (1 | p | g)", "hurdle_poisson", {"ziformula": "~(1|p|g)"}),
    "loading": (
        "glmer", "count ~ x + shared(1 | p | g)", "hurdle_poisson",
        {"ziformula": "~ shared(1 | p | g)"},
    ),
    "reml": ("glmer", "from_1 ~ x + (1 | g)", "poisson", {"REML": True}),
    "nominal": ("clmm", "mark ~ 1 + (1 | g)", None, {"nominal": "~ x"}),
    "scale": ("clmm", "mark ~ x + (1 | g)", None, {"scale": "~ x"}),
    "log_gamma": ("clmm", "mark ~ x + (1 | g)", None, {"link": "log-gamma"}),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_estimates_of_simulated_responses_lie_around_those_they_are_of(name):
    function, formula, family, options = MODELS[name]
    data = counts()
    if function == "clmm":
        fit = interlace.clmm(formula, data, **options)
    else:
        fit = interlace.glmer(formula, data, family, **options)
    boot = fit.bootstrap(DRAWS, seed=7)
    assert len(boot.failures) <= 2, boot.failures[:1]
    values = boot.values.dropna()
    assert len(values) >= DRAWS - 4
    sds = values.columns.str.startswith("sd")
    for columns, most in ((values.columns[~sds], MOST), (values.columns[sds], MOST_OF_SDS)):
        if len(columns):
            assert mean_error(values[columns], boot.estimates[columns].to_numpy()) < most
