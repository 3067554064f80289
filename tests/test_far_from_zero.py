"""Responses and offsets far from 0, and responses in any unit: the same fit, moved or scaled.

A response y + c has the digits of y that c leaves it: 1e-8 of a residual of size 1 at c = 1e8. The
log-likelihood then agrees to about 1e-6, and z to the 1e-4 of the Hessian's differences.
"""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_families.gamma import GammaFamily
from interlace_families.inverse_gaussian import InverseGaussianFamily

LADDER = (1e2, 1e4, 1e6, 1e7, 1e8)


def grouped():
    rng = np.random.default_rng(1)
    n = 120
    d = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=n)})
    d["y"] = 1.0 + 0.5 * d["x"] + 0.7 * rng.normal(size=12)[d["g"]] + rng.normal(size=n)
    d["o"] = rng.normal(size=n)
    d["e"] = np.exp(d["y"] / 2.0)
    d["tw"] = np.where(d["x"] > 1.2, 0.0, d["e"])
    d["k"] = rng.poisson(np.exp(1.0 + 0.4 * d["x"] + 0.4 * rng.normal(size=12)[d["g"]]))
    d["b"] = (d["y"] > 1.0).astype(int)
    return d


MOVED = {
    "REML": lambda d, **k: interlace.fit("y ~ x + (1 | g)", d, **k),
    "ML": lambda d, **k: interlace.fit("y ~ x + (1 | g)", d, method="ML", **k),
    "deviations": lambda d, **k: interlace.fit("y ~ x + (1 | g)", d, dispformula="~ x", **k),
    "gaussian": lambda d, **k: interlace.glmer("y ~ x + (1 | g)", d, "gaussian", **k),
    "slopes": lambda d, **k: interlace.glmer("y ~ x + (x | g)", d, "gaussian", **k),
    "nAGQ=0": lambda d, **k: interlace.glmer("y ~ x + (1 | g)", d, "gaussian", nAGQ=0, **k),
    "nAGQ=5": lambda d, **k: interlace.glmer("y ~ x + (1 | g)", d, "gaussian", nAGQ=5, **k),
    "no groups": lambda d, **k: interlace.glmer("y ~ x", d, "gaussian", **k),
    "student_t": lambda d, **k: interlace.glmer("y ~ x + (1 | g)", d, "student_t", **k),
    "skewnormal": lambda d, **k: interlace.glmer("y ~ x + (1 | g)", d, "skewnormal", **k),
}


def compare(fitted, usual, shift=0.0, llf=1e-6, z=1e-4):
    assert fitted.llf + shift == pytest.approx(usual.llf, abs=llf)
    one, two = (each.fe_params["x"] / each.fe_bse["x"] for each in (fitted, usual))
    assert one == pytest.approx(two, rel=z)
    assert fitted.status.split("(")[0] == usual.status.split("(")[0]
    assert len(fitted.notes) == len(usual.notes)


@pytest.mark.parametrize("model", MOVED)
def test_a_response_far_from_0(model):
    data, fit = grouped(), MOVED[model]
    usual = fit(data)
    for shift in LADDER:
        compare(fit(data.assign(y=data["y"] + shift)), usual)


@pytest.mark.parametrize("model", MOVED)
def test_offsets_far_from_0(model):
    data, fit = grouped(), MOVED[model]
    usual = fit(data)
    for size in (1e6, 1e8):
        compare(fit(data, offset=np.full(len(data), size)), usual)
        # taken off again, an offset that varies by so much leaves the model as it was
        moved = data.assign(y=data["y"] + size * data["o"])
        compare(fit(moved, offset=size * data["o"].to_numpy()), usual)


@pytest.mark.parametrize("model", ["REML", "gaussian", "nAGQ=0", "student_t", "no groups"])
def test_offsets_that_are_larger_than_the_response(model):
    """The residual is then the offset's: the log-likelihood falls by n log of its size."""
    data, fit = grouped(), MOVED[model]
    found = {size: fit(data, offset=size * data["o"].to_numpy()) for size in (1e6, 1e8)}
    rows = len(data) - (2 if model == "REML" else 0)
    # what the response adds to an offset of 1e6 is a 1e-6 of it
    compare(found[1e8], found[1e6], shift=rows * np.log(100.0), llf=1e-3, z=1e-4)


SCALED = {
    **{name: (fit, "y") for name, fit in MOVED.items()},
    "gamma": (lambda d: interlace.glmer("e ~ x + (1 | g)", d, GammaFamily(link="log")), "e"),
    "inverse link": (
        lambda d: interlace.glmer("e ~ x + (1 | g)", d, GammaFamily(link="inverse")), "e",
    ),
    "lognormal": (lambda d: interlace.glmer("e ~ x + (1 | g)", d, "lognormal"), "e"),
    "inversegaussian": (
        lambda d: interlace.glmer("e ~ x + (1 | g)", d, InverseGaussianFamily(link="log")), "e",
    ),
    "tweedie": (lambda d: interlace.glmer("tw ~ x + (1 | g)", d, "tweedie"), "tw"),
}  # fmt: skip


@pytest.mark.parametrize("model", SCALED)
def test_a_response_in_another_unit(model):
    data, (fit, column) = grouped(), SCALED[model]
    usual = fit(data)
    rows = np.count_nonzero(data[column]) - (2 if model in ("REML", "deviations") else 0)
    # beyond, coefficients of 1e9 on an inverse scale are taken for separation
    for power in (-2, 6, 12) if model == "inverse link" else (-12, -6, 6, 12):
        moved = fit(data.assign(**{column: data[column] * 10.0**power}))
        compare(moved, usual, shift=rows * power * np.log(10.0), llf=1e-5)


@pytest.mark.parametrize("nAGQ", [0, 1, 5])
@pytest.mark.parametrize(
    ("formula", "family"),
    [("k ~ x + (1 | g)", "poisson"), ("k ~ x + (1 | g)", "negativebinomial"),
     ("b ~ x + (1 | g)", "binomial"), ("e ~ x + (1 | g)", GammaFamily(link="log"))],
)  # fmt: skip
def test_a_constant_offset_is_the_intercepts(formula, family, nAGQ):
    data = grouped()
    usual = interlace.glmer(formula, data, family, nAGQ=nAGQ)
    for size in (50.0, -50.0):
        moved = interlace.glmer(formula, data, family, nAGQ=nAGQ, offset=np.full(120, size))
        compare(moved, usual)
        assert moved.fe_params["Intercept"] + size == pytest.approx(
            usual.fe_params["Intercept"], abs=1e-6
        )


def test_counts_of_exposures_up_to_1e15():
    rng = np.random.default_rng(2)
    data = grouped()
    exposure = np.exp(rng.uniform(0.0, np.log(1e15), len(data)))
    mean = exposure * np.exp(-16.0 + 0.4 * data["x"] + 0.4 * rng.normal(size=12)[data["g"]])
    data["k"] = rng.poisson(mean).astype(float)
    fits = [
        interlace.glmer("k ~ x + (1 | g)", data, "poisson", offset=np.log(exposure) + shift)
        for shift in (0.0, 16.0, -16.0)
    ]
    assert fits[0].converged
    # z is 2,700 here: its error is that of a difference of gradients of 1e15
    for each in fits[1:]:
        compare(each, fits[0], llf=1e-5, z=1e-3)
    assert fits[0].fe_params["x"] == pytest.approx(0.4, abs=0.01)


def test_a_small_residual_beside_a_large_effect():
    """Effects of the covariate a million times the residual, which start values drowned."""
    data = grouped()
    small = MOVED["gaussian"](data)
    data["y"] = data["y"] + 1e6 * data["x"]
    large = MOVED["gaussian"](data)
    assert large.llf == pytest.approx(small.llf, abs=1e-6)
    assert large.fe_bse["x"] == pytest.approx(small.fe_bse["x"], rel=1e-4)
