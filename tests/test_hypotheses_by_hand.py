"""Several hypotheses at once, from matrices by hand: redundant ones, and units that are unlike."""

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.inference.quadratic_forms import Uncorrelated
from interlace.inference.small_samples import _fai_cornelius


def test_no_more_combinations_are_made_than_hypotheses_are_independent():
    """The second row is the first but for what rounding left of it."""
    root = np.array([[1.0, 0.0], [1.0, 1e-6]])
    combined = Uncorrelated.of(root, 1).weights
    assert combined.shape == (1, 2)
    assert np.allclose(combined @ root @ root.T @ combined.T, 1.0)
    assert Uncorrelated.of(root).weights.shape == (2, 2)


def test_combinations_of_fai_and_cornelius_where_one_unit_hides_the_others():
    """A coefficient in units of 1e20 or 1e24: what is left of the others in L is rounding."""
    V = np.array([[1.0, 0.4, 0.1], [0.4, 1.0, -0.3], [0.1, -0.3, 1.0]])
    L = np.linalg.inv(np.linalg.cholesky(V))
    found = []
    for unit in (1e20, 1e24):
        scale = np.array([1.0, 1.0, unit])
        weights = _fai_cornelius(L * scale, np.ones(3) / scale)
        assert np.allclose(weights @ weights.T, np.eye(3))
        found.append(np.abs(weights))
    assert np.allclose(*found, atol=1e-9)


@pytest.mark.parametrize(("zero", "lost"), [(0.0, False), (1e3, False), (3e6, True)])
def test_a_covariance_given_that_has_lost_the_digits_of_a_test_is_told_of(zero, lost):
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(20), 10), rng.normal(size=200)
    y = rng.poisson(np.exp(0.4 + 0.3 * x + 0.3 * rng.normal(size=20)[g]))
    fit = interlace.glmer(
        "y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x + zero, "g": g}), "poisson"
    )
    at_mean = [1.0, zero + 0.1]
    own = fit.wald_test(at_mean)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        given = fit.wald_test(at_mean, vcov=fit.vcov())
        fit.wald_test([0.0, 1.0], vcov=fit.vcov())  # of one number nothing cancels
    told = [each for each in said if "has lost the digits" in str(each.message)]
    assert len(told) == lost
    if not lost:
        assert given["chisq"] == pytest.approx(own["chisq"], rel=2e-3)


def test_hypotheses_that_say_the_same_twice_are_not_called_lost():
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(20), 10), rng.normal(size=200)
    data = pd.DataFrame({"y": rng.poisson(1.5, 200), "x": x, "g": g})
    fit = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit.wald_test([[0.0, 1.0], [0.0, 2.0]], vcov=fit.vcov())
    assert found["df"] == 1
