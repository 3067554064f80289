"""Gamma: its density, its limits, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate_density
from interlace_families.gamma import GammaFamily

RNG = np.random.default_rng(3)
Y = RNG.gamma(2.0, 1.0, size=300)
ETA = [RNG.normal(size=300), RNG.normal(size=300)]
EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)


def test_density_and_cdf_are_scipys():
    mu, shape = np.exp(ETA[0]), np.exp(ETA[1])
    law = stats.gamma(shape, scale=mu / shape)
    assert GammaFamily().log_density(Y, ETA) == pytest.approx(law.logpdf(Y), rel=1e-11)
    assert GammaFamily().cdf(Y, ETA) == pytest.approx(law.cdf(Y), rel=1e-12)
    assert GammaFamily().variance(ETA) == pytest.approx(law.var(), rel=1e-13)


def test_shape_one_is_exponential():
    eta = [ETA[0], np.zeros(300)]
    expected = stats.expon.logpdf(Y, scale=np.exp(ETA[0]))
    assert GammaFamily().log_density(Y, eta) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("log_shape", [10.0, 20.0, 40.0, 60.0])
def test_large_shape_is_normal(log_shape):
    """In z = (y - mu) sqrt(k) / mu the first correction to -z^2/2 is (z^3/3 - z) / sqrt(k)."""
    z = np.linspace(-3.0, 3.0, 13)
    d = np.log1p(z * np.exp(-0.5 * log_shape))
    eta = [-d, np.full(13, log_shape)]  # y = 1, so that d is not rounded
    got = GammaFamily().derivatives(np.ones(13), eta, 3, (0, 1))
    gap = 10.0 * np.exp(-0.5 * log_shape)
    normal = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) + 0.5 * log_shape
    assert np.abs(got.value - normal).max() <= gap + 1e-14 * log_shape
    assert np.abs(got.get(1) - 0.5 * (1.0 - z**2)).max() <= gap + 1e-13


@pytest.mark.parametrize("link", ["log", "inverse", "identity"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_match_the_density(link, order):
    family = GammaFamily(link)
    eta = ETA if link == "log" else [0.1 + np.abs(ETA[0]), ETA[1]]
    hand = family.derivatives(Y, eta, order, (0, 1))
    exact = differentiate_density(family.log_density, Y, eta, order, (0, 1))
    assert set(hand.partials) == set(exact.partials)
    for key, wanted in exact.partials.items():
        assert np.abs(hand.partials[key] - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("log_mu", EXTREME)
@pytest.mark.parametrize("log_shape", EXTREME)
def test_extreme_predictors_give_numbers(log_mu, log_shape):
    y = np.array([1e-3, 1.0, 1e6])
    eta = [np.full(3, log_mu), np.full(3, log_shape)]
    got = GammaFamily().derivatives(y, eta, 3, (0, 1))
    assert not np.any(np.isnan(got.value))
    assert got.value == pytest.approx(GammaFamily().log_density(y, eta), rel=1e-12)
    assert not any(np.any(np.isnan(partial)) for partial in got.partials.values())


def test_a_huge_mean_keeps_its_finite_density():
    """For mu to infinity it is k log k - k log mu + (k - 1) log y - log Gamma(k)."""
    value = GammaFamily().log_density(np.array([2.0]), [np.array([800.0]), np.log([2.0])])
    assert value == pytest.approx(2.0 * np.log(2.0) - 1600.0 + np.log(2.0), rel=1e-14)


@pytest.mark.parametrize("link", ["inverse", "identity"])
def test_density_is_zero_where_the_mean_is_not_positive(link):
    eta = [np.array([-1.0, 0.0, 0.5]), np.zeros(3)]
    got = GammaFamily(link).derivatives(np.ones(3), eta, 2, (0, 1))
    assert np.all(np.isneginf(got.value[:2])) and np.isfinite(got.value[2])


def test_simulated_moments_and_a_positive_response_at_a_tiny_shape():
    eta = [np.full(200_000, 0.5), np.full(200_000, 1.0)]
    draws = GammaFamily().simulate(eta, np.random.default_rng(1))
    assert draws.mean() == pytest.approx(np.exp(0.5), rel=0.01)
    assert draws.var() == pytest.approx(np.exp(1.0 - 1.0), rel=0.03)
    tiny = GammaFamily().simulate([np.zeros(1000), np.full(1000, -7.0)], np.random.default_rng(1))
    GammaFamily().check_response(tiny, None)


def test_start_is_the_moment_estimate():
    y = np.array([1.0, 2.0, 3.0])
    assert GammaFamily().start(y, None) == pytest.approx([np.log(2.0), np.log(6.0)])
    weights = np.array([1.0, 0.0, 1.0])
    assert GammaFamily("inverse").start(y, weights) == pytest.approx([0.5, np.log(4.0)])


def test_fixed_shape_is_a_constant():
    mean, shape = GammaFamily(shape=2.0).parameters
    assert (mean.fixed, shape.fixed) == (None, 2.0)
    assert shape.fixed_eta() == pytest.approx(np.log(2.0))


def test_messages():
    with pytest.raises(ResponseError, match="'gamma'.*positive numbers.*got 0 in row 1.*1 such"):
        GammaFamily().check_response(np.array([1.0, 0.0]), None)
    with pytest.raises(OptionError, match="'gamma': shape must be a positive number.*got 0"):
        GammaFamily(shape=0)
    with pytest.raises(UnknownNameError, match="'gamma' has no link 'sqrt'.*log, inverse, ident"):
        GammaFamily("sqrt")
