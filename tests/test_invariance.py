"""Units and zero points of covariates and responses are arbitrary: results do not depend on them.

x -> a x + c changes no log-likelihood beyond the known constant, no z, no verdict and no note, for
a from 1e-12 to 1e12 and c up to 3e6 standard deviations (beyond 1e7 a column counts as constant).
Every installed family is tried, here for fixed effects.

Some cells of every model run always; the whole grid is marked slow.
"""

import functools

import numpy as np
import pandas as pd
import pytest

import interlace
from fuzz.recipes import RECIPES
from invariance import (
    CHANGES,
    FAMILIES,
    TOL_LOGLIK,
    TOL_Z,
    USUAL,
    assert_same_words,
    drawn,
    glmer,
    linear,
    ordinal,
    quiet,
    z_values,
)

MODELS = {
    **{name: glmer(name) for name in FAMILIES if name != "cumulative"},
    "cumulative": ordinal(),
    "poisson AGQ": glmer("poisson", nAGQ=9),
    "poisson nAGQ=0": glmer("poisson", nAGQ=0),
    "poisson bobyqa": glmer("poisson", optimizer="bobyqa"),
    "poisson without groups": glmer("poisson", "v"),
    "poisson v * w": glmer("poisson", "v * w + (1 | g)"),
    "poisson v * f": glmer("poisson", "f + v:f + (1 | g)"),
    "poisson crossed": glmer("poisson", "v + (1 | g) + (1 | h)"),
    "poisson cs": glmer("poisson", "v + cs(0 + f | g)"),
    "poisson (0 + f | g)": glmer("poisson", "v + (0 + f | g)"),
    "poisson weights": glmer("poisson", weights="k"),
    "poisson offset": glmer("poisson", "v + (1 | g) + offset(w)"),
    "binomial AGQ": glmer("binomial", nAGQ=5),
    "nb2 dispersion": glmer("negativebinomial", dispformula="~ v"),
    "gaussian dispersion": glmer("gaussian", dispformula="~ v"),
    "zip zero part": glmer("zeroinflated_poisson", ziformula="~ v"),
    "hurdle zero part": glmer("hurdle_negativebinomial", ziformula="~ v"),
    "clmm symmetric": ordinal(threshold="symmetric"),
    "clmm equidistant probit": ordinal(threshold="equidistant", link="probit"),
    "clmm AGQ": ordinal(nAGQ=5),
    "REML": linear(),
    "ML": linear(method="ML"),
    "REML crossed": linear("v + (1 | g) + (1 | h)"),
}


@functools.cache
def reference(model):
    """Return the fit to x as it was drawn, with sd 1 and mean 0."""
    family, fit = MODELS[model]
    data = drawn(family)
    return quiet(fit, data.assign(v=data["x"]))


CELLS = [(model, change) for model in MODELS for change in CHANGES]


@pytest.mark.parametrize(
    ("model", "change"),
    [pytest.param(*each, marks=() if each[1] in USUAL else pytest.mark.slow) for each in CELLS],
)
def test_units_and_zero_point_of_a_covariate_do_not_matter(model, change):
    family, fit = MODELS[model]
    a, c = CHANGES[change]
    data = drawn(family)
    known, _ = expected_words = reference(model)
    found, _ = words = quiet(fit, data.assign(v=a * (data["x"] + c)))
    # the restricted likelihood has log|X'V^-1 X| / 2 in it
    constant = -np.log(abs(a)) if known.restricted else 0.0
    assert_same_words(words, expected_words)
    assert found.llf == pytest.approx(known.llf + constant, abs=TOL_LOGLIK)
    expected = z_values(known)
    assert expected
    # of an interaction, the other variable's own coefficient is at v = 0: no invariant
    for key, z in z_values(found).items():
        invariant = expected[key] * np.sign(a)
        assert z == pytest.approx(invariant, rel=TOL_Z, abs=TOL_Z), key


def test_every_installed_family_is_swept():
    missing = sorted(set(FAMILIES) - set(RECIPES))
    assert not missing, f"draw data of {missing} in tests/fuzz/recipes.py"


@functools.cache
def years():
    """Return 1,500 rows of years 2000 to 2019 at 40 sites, and pressures of 1013 +- 5."""
    rng = np.random.default_rng(20)
    n = 1500
    data = pd.DataFrame({"site": rng.integers(0, 40, n), "year": rng.integers(2000, 2020, n)})
    data["c"] = data["year"] - 2010.0
    effect = rng.normal(0, 0.7, 40)[data["site"]]
    p = 1 / (1 + np.exp(-(0.06 * data["c"] + effect)))
    data["seen"] = (rng.random(n) < p).astype(int)
    data["count"] = rng.poisson(np.exp(0.3 + 0.04 * data["c"] + effect))
    data["size"] = effect + 0.05 * data["c"] + rng.normal(size=n)
    data["grade"] = np.digitize(0.05 * data["c"] + effect + rng.logistic(size=n), [-1, 0, 1])
    data["pressure"] = 1013 + 5 * rng.normal(size=n)
    data["p"] = data["pressure"] - 1013
    return data.assign(year=data["year"].astype(float))


def curved(response, family):
    """Return how a model of years is fitted to a right-hand side."""

    def fit(right):
        formula = f"{response} ~ {right} + (1 | site)"
        if family == "cumulative":
            return interlace.clmm(formula, years())
        if family == "linear":
            return interlace.fit(formula, years())
        return interlace.glmer(formula, years(), family)

    return fit


RAW = {
    "year + I(year ** 2)": "c + I(c ** 2)",
    "year * pressure": "c * p",
    "pressure + I(pressure ** 2)": "p + I(p ** 2)",
    "year + pressure + year:pressure + I(pressure ** 2)": "c + p + c:p + I(p ** 2)",
}
RESPONSES = [
    ("seen", "binomial"),
    ("count", "poisson"),
    ("count", "negativebinomial"),
    ("size", "gaussian"),
    ("size", "linear"),
    ("grade", "cumulative"),
]


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize(("response", "family"), RESPONSES)
def test_squares_and_products_of_columns_far_from_0(response, family, raw):
    """The last column, a square or a product, is the same function of the data either way."""
    fit = curved(response, family)
    found, centred = fit(raw), fit(RAW[raw])
    assert found.llf == pytest.approx(centred.llf, abs=near_its_limit(centred) or TOL_LOGLIK)
    assert_same_words((found, []), (centred, []))
    a, b = (each.fe_params.iloc[-1] / each.fe_bse.iloc[-1] for each in (found, centred))
    assert a == pytest.approx(b, rel=TOL_Z, abs=TOL_Z)


def near_its_limit(result):
    """Return how much a log-likelihood may depend on where on a flat line the search ended."""
    return 1e-4 if any("is at its limit" in note for note in result.notes) else 0.0


POSITIVE = ("gamma", "lognormal", "inversegaussian", "tweedie")
REAL = ("gaussian", "student_t", "skewnormal", "REML", "ML")
UNITS = (-12, -9, -6, -3, 3, 6, 9, 12)


def of_response(name):
    """Return the data of a model, and its fit, by the name of its family or of its method."""
    if name in ("REML", "ML"):
        return "gaussian", lambda data: interlace.fit("y ~ x + (1 | g)", data, method=name)
    return name, lambda data: interlace.glmer("y ~ x + (1 | g)", data, name)


@functools.cache
def of_response_in_its_own_units(name):
    """Return the fit to a response as it was drawn."""
    family, fit = of_response(name)
    return quiet(fit, drawn(family))


@pytest.mark.parametrize(
    "k", [pytest.param(k, marks=() if k in (-12, 9) else pytest.mark.slow) for k in UNITS]
)
@pytest.mark.parametrize("name", [*POSITIVE, *REAL])
def test_units_of_a_response_do_not_matter(name, k):
    family, fit = of_response(name)
    data = drawn(family)
    known, _ = expected_words = of_response_in_its_own_units(name)
    found, _ = words = quiet(fit, data.assign(y=data["y"] * 10.0**k))
    # dy changes with the unit; a zero of a Tweedie response has a probability, no density
    rows = int(np.sum(data["y"] != 0)) - (2 if known.restricted else 0)
    assert_same_words(words, expected_words)
    assert found.llf == pytest.approx(known.llf - rows * k * np.log(10), abs=TOL_LOGLIK)
    z, expected = (each.fe_params["x"] / each.fe_bse["x"] for each in (found, known))
    assert z == pytest.approx(expected, rel=TOL_Z)


@pytest.mark.parametrize(
    "shift", [pytest.param(k, marks=() if k == 1e6 else pytest.mark.slow) for k in (1e3, 1e6, 1e8)]
)
@pytest.mark.parametrize("name", REAL)
def test_the_zero_point_of_a_response_does_not_matter(name, shift):
    """Doubles leave a response of 1e8 with 8 digits behind the point: z is good to as many."""
    family, fit = of_response(name)
    data = drawn(family)
    known, _ = expected_words = of_response_in_its_own_units(name)
    found, _ = words = quiet(fit, data.assign(y=data["y"] + shift))
    assert_same_words(words, expected_words)
    assert found.llf == pytest.approx(known.llf, abs=max(TOL_LOGLIK, 1e-13 * shift * len(data)))
    z, expected = (each.fe_params["x"] / each.fe_bse["x"] for each in (found, known))
    assert z == pytest.approx(expected, rel=TOL_Z)


@pytest.mark.parametrize("shift", [10.0, 100.0, 300.0])
def test_the_zero_point_of_an_offset_does_not_matter(shift):
    """The intercept takes it up."""
    data = drawn("poisson")

    def fit(data):
        return interlace.glmer("y ~ x + (1 | g) + offset(w)", data, "poisson")

    known, found = fit(data), fit(data.assign(w=data["w"] + shift))
    assert found.llf == pytest.approx(known.llf, abs=TOL_LOGLIK)
    assert found.fe_params["Intercept"] == pytest.approx(
        known.fe_params["Intercept"] - shift, abs=1e-4
    )
    z, expected = (each.fe_params["x"] / each.fe_bse["x"] for each in (found, known))
    assert z == pytest.approx(expected, rel=TOL_Z)
