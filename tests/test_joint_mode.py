"""nAGQ=0 where columns separate the response: coefficients go to infinity, the value does not.

The data have the shape of lme4's `colonizer_rand` (a three-way design with five blocks, cells with
no success or nothing but). lme4 1.1-31, R 4.2.2: `glmer(f, d, family, nAGQ = 0)`, whose search for
the joint mode ends at changes of 1e-7 relative and which lies up to 2e-4 below (`LME4`).
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace

LME4 = {
    (1, "y ~ a*b*c + (1 | blk)", "binomial"): -30.196599,
    (1, "y ~ a*b + c + (1 | blk)", "binomial"): -33.1445573,
    (1, "k ~ a*b*c + (1 | blk)", "poisson"): -98.9086948,
    (1, "k ~ a*b + (1 | blk)", "poisson"): -110.048387,
    (2, "y ~ a*b*c + (1 | blk)", "binomial"): -27.5042373,
    (2, "y ~ a*b + c + (1 | blk)", "binomial"): -34.9285147,
    (2, "k ~ a*b*c + (1 | blk)", "poisson"): -94.3090566,
    (2, "k ~ a*b + (1 | blk)", "poisson"): -110.53023,
    (3, "y ~ a*b*c + (1 | blk)", "binomial"): -29.2781098,
}


def design(seed):
    rng = np.random.default_rng(seed)
    cells = [(a, b, c, block) for a in "ABC" for b in "xyz" for c in "uv" for block in range(5)]
    d = pd.DataFrame(cells, columns=["a", "b", "c", "blk"])
    effects = rng.normal(size=5) * 0.7
    eta = (d["a"] == "B") * 1.5 + (d["b"] == "y") * 1.0 - (d["c"] == "v") * 1.0 + effects[d["blk"]]
    p = 1.0 / (1.0 + np.exp(-eta))
    p = np.where((d["a"] == "A") & (d["b"] == "x"), 0.0, p)
    p = np.where((d["a"] == "C") & (d["c"] == "u"), 1.0, p)
    p = np.where((d["a"] == "B") & (d["b"] == "z") & (d["c"] == "v"), 0.0, p)
    d["y"] = (rng.random(len(d)) < p).astype(int)
    d["k"] = rng.poisson(2.0 * p)
    return d


def quietly(formula, data, family, nAGQ):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of separation, which these data are made of
        return interlace.glmer(formula, data, family, nAGQ=nAGQ)


@pytest.mark.parametrize("case", LME4)
def test_separated_data_by_no_points_reach_what_lme4_reaches(case):
    seed, formula, family = case
    fitted = quietly(formula, design(seed), family, 0)
    assert fitted.converged
    assert -1e-6 <= fitted.llf - LME4[case] <= 2e-4
    # the coefficients of nAGQ=0 are not those that maximise Laplace's likelihood
    assert fitted.llf <= quietly(formula, design(seed), family, 1).llf + 1e-5
    far = fitted.fe_bse[np.abs(fitted.fe_params) > 15.0]
    assert len(far) and far.min() > 10.0


@pytest.mark.parametrize("seed", range(8))
def test_separation_by_a_covariate_in_any_unit(seed):
    """The information that tells what is determined is relative to each column's own."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"x": rng.normal(size=60), "a": rng.choice(list("AB"), 60)})
    d["g"] = rng.integers(0, 6, 60)
    p = np.where(d["x"] > 0.2, 0.6, 0.0)
    d["y"] = (rng.random(60) < p).astype(int)
    values = []
    for unit in (1.0, 1e6, 1e-6):
        fitted = quietly("y ~ a * x + (1 | g)", d.assign(x=d["x"] * unit), "binomial", 0)
        assert fitted.converged
        values.append(fitted.llf)
    assert values == pytest.approx([values[0]] * 3, abs=1e-6)
