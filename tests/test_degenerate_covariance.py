"""Fits whose covariance of slopes is nearly or exactly singular: the optimum, without an alarm.

The data have no variance between groups at all, so that the estimate is at or next to a boundary,
where the Cholesky factor is far from unique and searches crawl.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import interlace

# Seeds at which earlier versions stopped short of the optimum, and said so.
HARD = [
    *(("binomial", seed) for seed in (3, 34, 62, 71, 89)),
    *(("gaussian", seed) for seed in (25, 34, 39, 64)),
    ("poisson", 4),
]

# A fit counts as an optimum with 1e-7 of log-likelihood to gain, and snaps to a bound for 1e-7.
TOL_ABS_LOGLIK = 1e-6


def no_variance(family: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=200)
    eta = 0.2 + 0.3 * x
    if family == "binomial":
        y = (rng.uniform(size=200) < expit(eta)).astype(float)
    elif family == "poisson":
        y = rng.poisson(np.exp(eta)).astype(float)
    else:
        y = eta + rng.normal(size=200)
    groups = np.repeat(np.arange(20), 10).astype(str)
    return pd.DataFrame({"y": y, "x": x, "one": 1.0, "g": groups})


@pytest.mark.parametrize(("family", "seed"), HARD)
def test_glmer_reaches_the_same_optimum_whatever_the_order_of_effects(family, seed):
    data = no_variance(family, seed)
    fit = interlace.glmer("y ~ x + (0 + one + x | g)", data, family)
    turned = interlace.glmer("y ~ x + (0 + x + one | g)", data, family)
    assert fit.converged and turned.converged
    assert fit.llf == pytest.approx(turned.llf, abs=TOL_ABS_LOGLIK)
    names = ["one", "x"]
    np.testing.assert_allclose(
        fit.variance_components["g"].loc[names, names],
        turned.variance_components["g"].loc[names, names],
        # The likelihood is flat here: 1e-6 of it are worth about 1e-3 of a variance's error.
        atol=2e-3,
    )


@pytest.mark.parametrize(("family", "seed"), [HARD[1], HARD[7], HARD[-1]])
def test_glmer_does_no_worse_than_a_search_without_derivatives(family, seed):
    data = no_variance(family, seed)
    fit = interlace.glmer("y ~ x + (x | g)", data, family)
    other = interlace.glmer("y ~ x + (x | g)", data, family, optimizer="bobyqa")
    assert fit.llf >= other.llf - TOL_ABS_LOGLIK


def test_glmer_finds_one_effect_behind_three():
    data = no_variance("binomial", 1045)
    data["z"] = np.random.default_rng(1_001_045).normal(size=200)
    fit = interlace.glmer("y ~ x + (1 + x + z | g)", data, "binomial")
    assert fit.converged
    assert fit.status.startswith("boundary: the covariance of Intercept, x, z | g is singular")
    others = [
        interlace.glmer("y ~ x + (1 + x + z | g)", data, "binomial", start={"theta": theta}).llf
        for theta in np.random.default_rng(7).normal(0.0, 0.4, (3, 6))
    ]
    assert fit.llf >= max(others) - TOL_ABS_LOGLIK
