"""Where a fit starts does not decide where it ends, at a boundary least of all."""

import numpy as np
import pandas as pd
import pytest

import interlace

GROUPS, ROWS = 15, 10
SAME = 1e-5
"""Log-likelihood between the ends of two searches that found the same optimum."""


def drawn(seed, sd):
    """Return zero-inflated NB2 counts with group effects on mean, zero part and dispersion."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(GROUPS), ROWS)
    b = rng.normal(size=(3, GROUPS))[:, g] * np.array(sd)[:, None]
    x = rng.normal(size=g.size)
    mu, theta = np.exp(1.2 + 0.3 * x + b[0]), np.exp(0.7 + b[2])
    pi = 1.0 / (1.0 + np.exp(1.0 - b[1]))
    y = np.where(rng.random(g.size) < pi, 0, rng.negative_binomial(theta, theta / (theta + mu)))
    return pd.DataFrame({"y": y, "x": x, "g": g})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sd", [(0.5, 0.0, 0.0), (0.0, 0.6, 0.0), (0.5, 0.3, 0.5)])
def test_effects_on_every_part_end_at_the_best_of_several_starts(seed, sd):
    """Of the three variances some are truly 0: the answer is then often, rightly, the boundary."""
    model = {
        "ziformula": "~ 1 + (1 | g)",
        "dispformula": "~ 1 + (1 | g)",
    }
    data = drawn(seed, sd)
    fit = interlace.glmer("y ~ x + (1 | g)", data, "negativebinomial", **model)
    for theta in ([0.05, 0.05, 0.05], [1.0, 0.1, 1.0], [0.1, 1.5, 0.1]):
        other = interlace.glmer(
            "y ~ x + (1 | g)", data, "negativebinomial", start={"theta": theta}, **model
        )
        assert fit.llf > other.llf - SAME, (theta, fit.theta, other.theta)
