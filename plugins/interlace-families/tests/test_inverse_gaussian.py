"""Inverse Gaussian: its density, its limits, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate_density
from interlace_families.inverse_gaussian import InverseGaussianFamily

RNG = np.random.default_rng(4)
Y = RNG.gamma(2.0, 1.0, size=300)
ETA = [RNG.normal(size=300), RNG.normal(size=300)]
EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)


def test_density_and_cdf_are_scipys():
    mu, phi = np.exp(ETA[0]), np.exp(ETA[1])
    law = stats.invgauss(mu * phi, scale=1.0 / phi)
    family = InverseGaussianFamily()
    assert family.log_density(Y, ETA) == pytest.approx(law.logpdf(Y), rel=1e-11)
    assert family.cdf(Y, ETA) == pytest.approx(law.cdf(Y), rel=1e-11)
    assert family.variance(ETA) == pytest.approx(mu**3 * phi, rel=1e-13)


def test_an_infinite_mean_is_the_levy_distribution():
    eta = [np.full(300, 800.0), ETA[1]]
    expected = stats.levy.logpdf(Y, scale=np.exp(-ETA[1]))
    got = InverseGaussianFamily().derivatives(Y, eta, 3, (0, 1))
    assert got.value == pytest.approx(expected, rel=1e-12)
    assert np.all(got.get(0) == 0.0)


def test_small_dispersion_is_normal():
    """In z = (y - mu) / sqrt(mu^3 phi) the density tends to the normal one."""
    z, log_phi = np.linspace(-3.0, 3.0, 13), -40.0
    eta = [-np.log1p(z * np.exp(0.5 * log_phi)), np.full(13, log_phi)]
    got = InverseGaussianFamily().log_density(np.ones(13), eta)
    assert got == pytest.approx(stats.norm.logpdf(z) - 0.5 * log_phi, abs=1e-6)


@pytest.mark.parametrize("link", ["log", "1/mu^2", "inverse"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_match_the_density(link, order):
    family = InverseGaussianFamily(link)
    eta = ETA if link == "log" else [0.1 + np.abs(ETA[0]), ETA[1]]
    hand = family.derivatives(Y, eta, order, (0, 1))
    exact = differentiate_density(family.log_density, Y, eta, order, (0, 1))
    assert set(hand.partials) == set(exact.partials)
    for key, wanted in exact.partials.items():
        assert np.abs(hand.partials[key] - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())


def test_links_give_the_same_density():
    mu = np.exp(ETA[0])
    expected = InverseGaussianFamily().log_density(Y, ETA)
    for link, eta in (("1/mu^2", mu**-2.0), ("inverse", 1.0 / mu)):
        got = InverseGaussianFamily(link).log_density(Y, [eta, ETA[1]])
        assert got == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("log_mu", EXTREME)
@pytest.mark.parametrize("log_phi", EXTREME)
def test_extreme_predictors_give_numbers(log_mu, log_phi):
    y = np.array([1e-3, 1.0, 1e6])
    eta = [np.full(3, log_mu), np.full(3, log_phi)]
    got = InverseGaussianFamily().derivatives(y, eta, 3, (0, 1))
    assert not np.any(np.isnan(got.value))
    assert got.value == pytest.approx(InverseGaussianFamily().log_density(y, eta), rel=1e-12)
    finite = np.isfinite(got.value)
    assert not any(np.any(np.isnan(partial[finite])) for partial in got.partials.values())


@pytest.mark.parametrize("link", ["1/mu^2", "inverse"])
def test_density_is_zero_where_the_mean_is_not_positive(link):
    eta = [np.array([-1.0, 0.0, 0.5]), np.zeros(3)]
    got = InverseGaussianFamily(link).derivatives(np.ones(3), eta, 2, (0, 1))
    assert np.all(np.isneginf(got.value[:2])) and np.isfinite(got.value[2])


@pytest.mark.parametrize("log_phi", [-2.0, 2.0, 9.0])
def test_simulated_values_follow_the_cdf(log_phi):
    """Also where mu phi is large and the textbook difference of roots would cancel."""
    eta = [np.full(20_000, 1.0), np.full(20_000, log_phi)]
    draws = InverseGaussianFamily().simulate(eta, np.random.default_rng(2))
    uniform = InverseGaussianFamily().cdf(draws, eta)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_cdf_outside_the_support():
    eta = [np.zeros(2), np.zeros(2)]
    assert InverseGaussianFamily().cdf(np.array([-1.0, 0.0]), eta) == pytest.approx([0.0, 0.0])


def test_start_is_the_maximum_for_a_constant_mean():
    y = np.array([1.0, 2.0, 4.0])
    mean, phi = InverseGaussianFamily().start(y, None)
    assert np.exp(mean) == pytest.approx(7.0 / 3.0)
    assert np.exp(phi) == pytest.approx(np.mean(1.0 / y) - 3.0 / 7.0)


def test_messages():
    with pytest.raises(ResponseError, match="'inversegaussian'.*positive numbers.*got -1 in row 0"):
        InverseGaussianFamily().check_response(np.array([-1.0, 2.0]), None)
    with pytest.raises(OptionError, match="'inversegaussian': phi must be a positive number"):
        InverseGaussianFamily(phi=-1.0)
    with pytest.raises(UnknownNameError, match="no link 'identity'.*log, 1/mu\\^2, inverse"):
        InverseGaussianFamily("identity")
