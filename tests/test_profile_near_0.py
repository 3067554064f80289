"""Profiles of standard deviations down to 0, where the surface of a value is a small sphere."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.inference.constrained import ConstrainedSearch
from interlace.inference.parameters import quantities
from interlace.inference.quantities import StandardDeviation

UNITS = [(1.0, 0.0), (1e3, 3e4), (1e-4, 2.0)]
# the last one's zero point is 20,000 standard deviations away


def slopes(seed, unit=1.0, zero=0.0, random="v"):
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(25), 16), rng.normal(size=400)
    b, s = 0.5 * rng.normal(size=25), 0.22 * rng.normal(size=25)
    y = rng.poisson(np.exp(0.3 + 0.2 * x + b[g] + s[g] * x))
    data = pd.DataFrame({"g": g, "v": unit * x + zero, "y": y})
    return interlace.glmer(f"y ~ v + ({random} | g)", data, "poisson")


def sd_of_slope(fit):
    return next(each for each in quantities(fit) if each.label == "sd(v | g)")


@pytest.mark.parametrize("seed", [6, 7, 9])
def test_limits_near_0_are_the_same_in_other_units(seed):
    fit, found = slopes(seed), []
    se = ConstrainedSearch(fit, fit.training).scale(sd_of_slope(fit))
    for unit, zero in UNITS:
        limits = slopes(seed, unit, zero).confint("sd(v | g)", method="profile")
        found.append(limits[["lower", "upper"]].to_numpy(dtype=float)[0] * unit / se)
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", [6, 7])
def test_a_profile_that_does_not_rise_enough_ends_at_0(seed):
    fit = slopes(seed)
    search, sd = ConstrainedSearch(fit, fit.training), sd_of_slope(fit)
    least = search.constrained(sd, 1e-9, fit.fit.psi)
    smaller = slopes(seed, random="1")
    assert least.value == pytest.approx(-smaller.llf, abs=1e-6)
    zeta = np.sqrt(2.0 * (fit.llf - smaller.llf))
    assert zeta < 1.9
    assert fit.confint("sd(v | g)", method="profile").loc["sd(v | g)", "lower"] == 0.0


@pytest.mark.parametrize("label", ["sd(v | g)", "sd(Intercept | g)", "cor(v, Intercept | g)", "v"])
def test_the_multiplier_is_the_slope_of_the_profile(label):
    fit = slopes(9)
    search = ConstrainedSearch(fit, fit.training)
    quantity = next(each for each in quantities(fit) if each.label == label)
    value, unit = quantity.value(fit.fit.psi), search.scale(quantity)
    h = 1e-2 * unit
    for away in (-1.0, 0.7):
        at = [
            search.constrained(quantity, value + away * unit + step, fit.fit.psi)
            for step in (-h, 0.0, h)
        ]
        slope = (at[2].value - at[0].value) / (2.0 * h)
        assert at[1].slope == pytest.approx(slope, rel=1e-3)


STRUCTURES = {
    "(1 + v + w | g)": [1, 2, 3],
    "(1 + v + w || g)": [1, 1, 1],
    "(0 + t | g)": [1, 2, 3],
}


@pytest.mark.parametrize("term", STRUCTURES)
def test_which_entries_a_standard_deviation_is_the_length_of(term):
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(30), 12)
    data = pd.DataFrame({"g": g, "v": rng.normal(size=360), "w": rng.normal(size=360)})
    data["t"] = pd.Categorical(np.tile(np.arange(3), 120))
    data["y"] = rng.normal(size=360) + rng.normal(size=30)[g] * (1.0 + data["v"])
    fit = interlace.glmer(f"y ~ 1 + {term}", data, "gaussian")
    sds = [each for each in quantities(fit) if isinstance(each, StandardDeviation)]
    assert [len(each.length_of(fit.fit.psi)) for each in sds] == STRUCTURES[term]
    for each in sds:
        psi = fit.fit.psi.copy()
        psi[each.length_of(psi)] *= 3.0
        assert each.value(psi) == pytest.approx(3.0 * each.value(fit.fit.psi), rel=1e-12)
