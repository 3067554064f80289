"""Skew-normal: its density, its limits, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError
from interlace_families.skew_normal import SkewNormalFamily

RNG = np.random.default_rng(9)
Y = 2.0 * RNG.normal(size=300)
ETA = [RNG.normal(size=300), RNG.normal(size=300), 4.0 * RNG.normal(size=300)]
EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)


def law(eta):
    delta = eta[2] / np.sqrt(1.0 + eta[2] ** 2)
    omega = np.exp(eta[1]) / np.sqrt(1.0 - 2.0 * delta**2 / np.pi)
    return stats.skewnorm(eta[2], eta[0] - omega * delta * np.sqrt(2.0 / np.pi), omega)


def test_density_and_cdf_are_scipys():
    assert SkewNormalFamily().log_density(Y, ETA) == pytest.approx(law(ETA).logpdf(Y), rel=1e-11)
    assert SkewNormalFamily().cdf(Y, ETA) == pytest.approx(law(ETA).cdf(Y), abs=1e-13)


def test_mean_and_variance_are_the_parameters():
    assert SkewNormalFamily().mean(ETA) == pytest.approx(law(ETA).mean(), abs=1e-12)
    assert SkewNormalFamily().variance(ETA) == pytest.approx(law(ETA).var(), rel=1e-11)


def test_no_slant_is_normal_and_stationary_in_it():
    eta = [*ETA[:2], np.zeros(300)]
    got = SkewNormalFamily().derivatives(Y, eta, 2, (0, 1, 2))
    assert got.value == pytest.approx(stats.norm.logpdf(Y, ETA[0], np.exp(ETA[1])), rel=1e-12)
    z = (Y - ETA[0]) * np.exp(-ETA[1])
    assert np.abs(got.get(2)).max() <= 1e-13 * np.abs(z).max()


def test_an_infinite_slant_is_half_normal():
    y = np.array([0.2, 1.0, 2.5])
    sd = np.sqrt(1.0 - 2.0 / np.pi)
    eta = [np.full(3, np.sqrt(2.0 / np.pi)), np.full(3, np.log(sd)), np.full(3, 1e8)]
    assert SkewNormalFamily().log_density(y, eta) == pytest.approx(stats.halfnorm.logpdf(y))


def test_derivatives_are_slopes():
    got = SkewNormalFamily().derivatives(Y, ETA, 2, (0, 1, 2))
    h = 1e-5
    for k in range(3):
        up, down = ([e + s * h * (i == k) for i, e in enumerate(ETA)] for s in (1, -1))
        above, below = (SkewNormalFamily().derivatives(Y, e, 1, (0, 1, 2)) for e in (up, down))
        slope = (above.value - below.value) / (2.0 * h)
        assert np.allclose(got.get(k), slope, rtol=1e-6, atol=1e-5)
        for m in range(3):
            second = (above.get(m) - below.get(m)) / (2.0 * h)
            assert np.allclose(got.get(k, m), second, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("log_sigma", EXTREME)
@pytest.mark.parametrize("alpha", EXTREME)
def test_extreme_predictors_give_numbers(log_sigma, alpha):
    y = np.array([-1e6, 0.0, 1e-3])
    eta = [np.zeros(3), np.full(3, log_sigma), np.full(3, alpha)]
    got = SkewNormalFamily().derivatives(y, eta, 3, (0, 1, 2))
    assert np.all(np.isfinite(got.value))
    assert not any(np.any(np.isnan(partial)) for partial in got.partials.values())


@pytest.mark.parametrize("alpha", [-5.0, 0.0, 2.0])
def test_simulated_values_follow_the_cdf(alpha):
    eta = [np.full(20_000, 1.0), np.full(20_000, 0.5), np.full(20_000, alpha)]
    draws = SkewNormalFamily().simulate(eta, np.random.default_rng(2))
    assert stats.kstest(SkewNormalFamily().cdf(draws, eta), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("alpha", [-5.0, -2.0, 3.0])
def test_start_recovers_the_slant(alpha):
    eta = [np.full(200_000, 1.0), np.full(200_000, 0.5), np.full(200_000, alpha)]
    y = SkewNormalFamily().simulate(eta, np.random.default_rng(6))
    assert SkewNormalFamily().start(y, None) == pytest.approx([1.0, 0.5, alpha], rel=0.1, abs=0.01)


def test_start_keeps_away_from_no_slant():
    for y in (np.array([-1.0, 0.0, 1.0]), np.ones(4), np.array([0.0, 0.0, 0.0, 1e9])):
        start = SkewNormalFamily().start(y, None)
        assert np.all(np.isfinite(start)) and 1.0 <= abs(start[2]) < 10.0


def test_fixed_slant_may_be_zero():
    assert SkewNormalFamily(alpha=0).parameters[2].fixed == 0
    assert SkewNormalFamily(alpha=-2.0).parameters[2].fixed_eta() == -2.0


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), "3", True])
def test_messages(alpha):
    with pytest.raises(OptionError, match="'skewnormal': alpha must be a finite number.*got"):
        SkewNormalFamily(alpha=alpha)
    with pytest.raises(OptionError, match="'skewnormal': sigma must be a positive number"):
        SkewNormalFamily(sigma=0.0)
