"""Structures with a number for each of many levels or distances: searches that end, and costs."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.cost import refuse_costly
from interlace_core.contract import DataError
from interlace_core.contract.covariance import template_slopes
from interlace_core.fitting.precondition import _expected_errors
from interlace_core.messages.errors import DataWarning
from interlace_core.registry.registry import default_registry


def structure(name, size):
    return default_registry().covariance(name)(size)


def counts(levels, groups=30):
    """Counts of groups at so many levels, with correlations that fall by 0.6 a level."""
    rng = np.random.default_rng(20_240_501)
    apart = np.abs(np.subtract.outer(np.arange(levels), np.arange(levels)))
    b = rng.normal(size=(groups, levels)) @ np.linalg.cholesky(0.6**apart).T
    x = rng.normal(size=(groups, levels))
    y = rng.poisson(np.exp(1.0 + 0.3 * x + 0.6 * b)).ravel()
    g, t = np.divmod(np.arange(groups * levels), levels)
    f = pd.Categorical([f"{each:05d}" for each in t])
    return pd.DataFrame({"y": y, "x": x.ravel(), "g": [f"g{k:02d}" for k in g], "f": f})


@pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning")
@pytest.mark.parametrize(
    ("term", "levels", "groups", "height", "most"),
    [
        ("hetcs", 20, 40, -1763.8426148018, 60),
        ("toep", 16, 30, -1017.2018985004, 220),
        ("homtoep", 24, 12, -613.4852521274, 250),
    ],
)
def test_many_numbers_take_few_evaluations(term, levels, groups, height, most):
    """The first height is glmmTMB's to 3e-8, the others' are what searches of two kinds agree on.

    Without scales by the information they take 133 and 283; without steps down the valley, or
    sequences without noise, the last two end short of their singular optima.
    """
    fit = interlace.glmer(f"y ~ x + {term}(0 + f | g)", counts(levels, groups), "poisson")
    assert fit.converged
    assert fit.llf == pytest.approx(height, abs=2e-9)
    assert fit.fit.n_evaluations <= most


@pytest.mark.parametrize("name", ["hetcs", "toep", "homtoep", "rr"])
def test_scales_are_standard_errors_by_the_expected_information(name):
    """Of effects with errors of known variances: tr(V^-1 dV V^-1 dV) L / 2, by dense matrices."""
    made, rng, L = structure(name, 7), np.random.default_rng(1), 25
    theta = made.start() * rng.uniform(0.5, 0.9, made.n_theta)
    w = rng.uniform(0.5, 4.0, 7)
    T = made.template(theta)
    inverse = np.linalg.inv(np.diag(1.0 / w) + T @ T.T)
    found = _expected_errors(made, L, w, theta)
    for k, slope in enumerate(template_slopes(made, theta)):
        dV = slope @ T.T + T @ slope.T
        information = 0.5 * L * np.trace(inverse @ dV @ inverse @ dV)
        # no step is longer than what changes a column by its own size
        longest = np.linalg.norm(T, axis=1).max() / np.linalg.norm(slope, axis=1).max()
        assert found[k] == pytest.approx((information + longest**-2) ** -0.5, rel=1e-6)


def test_terms_that_would_take_hours_are_refused_with_their_cost():
    with pytest.raises(
        DataError, match=r"250 effects in each of 3 groups and 31,375 numbers .* in"
    ):
        interlace.glmer("y ~ 1 + us(0 + f | g)", counts(250, 3), "poisson")
    with pytest.raises(DataError, match=r"1,001 numbers .* evaluations of .* hours in all"):
        refuse_costly("hetcs(0 + f | g)", structure("hetcs", 1000), 40)


def test_terms_that_take_minutes_say_so():
    with pytest.warns(DataWarning, match=r"2 numbers .* 16 minutes in all"):
        refuse_costly("homcs(0 + f | g)", structure("homcs", 1000), 40)
    for name, size, groups in (("hetcs", 200, 40), ("us", 50, 40), ("ar1", 50_000, 9)):
        refuse_costly(f"{name}(0 + f | g)", structure(name, size), groups)
