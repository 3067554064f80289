"""Lognormal: its density, its limits, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate_density
from interlace_families.lognormal_sd import LognormalSDFamily

RNG = np.random.default_rng(5)
Y = RNG.gamma(2.0, 1.0, size=300)
ETA = [RNG.normal(size=300), RNG.normal(size=300)]
EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)


def test_density_and_cdf_are_scipys():
    v = np.log1p(np.exp(2.0 * (ETA[1] - ETA[0])))
    law = stats.lognorm(np.sqrt(v), scale=np.exp(ETA[0] - 0.5 * v))
    assert LognormalSDFamily().log_density(Y, ETA) == pytest.approx(law.logpdf(Y), rel=1e-11)
    assert LognormalSDFamily().cdf(Y, ETA) == pytest.approx(law.cdf(Y), rel=1e-11)
    assert np.exp(ETA[0]) == pytest.approx(law.mean(), rel=1e-12)
    assert LognormalSDFamily().variance(ETA) == pytest.approx(law.var(), rel=1e-12)


@pytest.mark.parametrize("log_phi", [-8.0, -16.0, -30.0])
def test_a_small_standard_deviation_is_normal(log_phi):
    z = np.linspace(-3.0, 3.0, 13)
    log_mu = -np.log1p(z * np.exp(log_phi))  # y = 1 lies about z standard deviations above mu
    eta = [log_mu, np.full(13, log_phi)]
    got = LognormalSDFamily().derivatives(np.ones(13), eta, 3, (0, 1))
    gap = 200.0 * np.exp(log_phi)
    assert np.abs(got.value - stats.norm.logpdf(z) + log_phi).max() <= gap + 1e-13 * abs(log_phi)
    assert np.abs(got.get(1) - (z**2 - 1.0)).max() <= gap + 1e-13
    assert np.abs(got.get(1, 1) + 2.0 * z**2).max() <= gap + 1e-13


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("wrt", [(0,), (1,), (0, 1)])
def test_hand_written_derivatives_match_the_density(order, wrt):
    family, eta = LognormalSDFamily(), [ETA[0], 3.0 * ETA[1]]
    hand = family.derivatives(Y, eta, order, wrt)
    exact = differentiate_density(family.log_density, Y, eta, order, wrt)
    assert set(hand.partials) == set(exact.partials)
    for key, wanted in exact.partials.items():
        assert np.abs(hand.partials[key] - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("log_mu", EXTREME)
@pytest.mark.parametrize("log_phi", EXTREME)
def test_extreme_predictors_give_numbers(log_mu, log_phi):
    y = np.array([1e-3, 1.0, 1e6])
    eta = [np.full(3, log_mu), np.full(3, log_phi)]
    got = LognormalSDFamily().derivatives(y, eta, 3, (0, 1))
    assert np.all(np.isfinite(got.value))
    assert got.value == pytest.approx(LognormalSDFamily().log_density(y, eta), rel=1e-12)
    assert all(np.all(np.isfinite(partial)) for partial in got.partials.values())


def test_simulated_values_follow_the_cdf():
    eta = [np.full(20_000, 1.0), np.full(20_000, 1.5)]
    draws = LognormalSDFamily().simulate(eta, np.random.default_rng(2))
    assert stats.kstest(LognormalSDFamily().cdf(draws, eta), "uniform").pvalue > 1e-3


def test_cdf_is_zero_up_to_zero():
    assert np.all(LognormalSDFamily().cdf(np.array([-1.0, 0.0]), [np.zeros(2), np.zeros(2)]) == 0.0)


def test_start_recovers_the_moments():
    eta = [np.full(100_000, 1.0), np.full(100_000, 0.5)]
    y = LognormalSDFamily().simulate(eta, np.random.default_rng(6))
    assert LognormalSDFamily().start(y, None) == pytest.approx([1.0, 0.5], abs=0.02)
    assert np.all(np.isfinite(LognormalSDFamily().start(np.full(3, 2.0), None)))
    assert np.all(np.isfinite(LognormalSDFamily().start(np.array([1e-300, 1e300]), None)))


def test_messages():
    with pytest.raises(ResponseError, match="'lognormal_sd'.*positive numbers.*got 0 in row 1"):
        LognormalSDFamily().check_response(np.array([1.0, 0.0]), None)
    with pytest.raises(
        OptionError, match="'lognormal_sd': phi must be a positive number.*got bool True"
    ):
        LognormalSDFamily(phi=True)
    with pytest.raises(UnknownNameError, match="'lognormal_sd' has no link 'identity'"):
        LognormalSDFamily("identity")
