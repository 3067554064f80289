"""Student t: its density, the normal limit, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError, UnknownNameError
from interlace_core.families import differentiate_density
from interlace_families.student_t import StudentTFamily

RNG = np.random.default_rng(8)
Y = 3.0 * RNG.normal(size=300)
ETA = [RNG.normal(size=300), RNG.normal(size=300), 2.0 * RNG.normal(size=300)]
EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)


def test_density_and_cdf_are_scipys():
    law = stats.t(np.exp(ETA[2]), ETA[0], np.exp(ETA[1]))
    assert StudentTFamily().log_density(Y, ETA) == pytest.approx(law.logpdf(Y), rel=1e-10)
    assert StudentTFamily().cdf(Y, ETA) == pytest.approx(law.cdf(Y), rel=1e-10)


def test_variance_is_infinite_up_to_two_degrees_of_freedom():
    eta = [np.zeros(3), np.full(3, 0.5), np.log([0.5, 2.0, 4.0])]
    assert StudentTFamily().variance(eta) == pytest.approx([np.inf, np.inf, 2.0 * np.e])
    assert np.all(StudentTFamily().mean([np.ones(3), *eta[1:]]) == 1.0)


@pytest.mark.parametrize("psi", [10.0, 20.0, 40.0, 800.0])
def test_many_degrees_of_freedom_are_normal(psi):
    """The first correction is (z^4 - 2 z^2 - 1) / (4 nu), to full relative accuracy."""
    eta = [*ETA[:2], np.full(300, psi)]
    z = (Y - ETA[0]) * np.exp(-ETA[1])
    got = StudentTFamily().derivatives(Y, eta, 3, (0, 1, 2))
    correction = (z**4 - 2.0 * z**2 - 1.0) * (np.exp(-psi) / 4.0)
    rest = 10.0 * (1.0 + z**6) * np.exp(-2.0 * psi)
    normal = stats.norm.logpdf(Y, ETA[0], np.exp(ETA[1]))
    assert np.all(np.abs(got.value - normal - correction) <= rest + 1e-14 * (1.0 + z**2))
    for order in (1, 2, 3):
        slope = (-1.0) ** order * correction
        # 1 / nu is kept above exp(-100) = 4e-44
        rounding = (1e-13 * np.exp(-psi) + 1e-43) * (1.0 + z**4)
        assert np.all(np.abs(got.get(*[2] * order) - slope) <= 8.0 * rest + rounding)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("wrt", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_hand_written_derivatives_match_the_density(order, wrt):
    family = StudentTFamily()
    hand = family.derivatives(Y, ETA, order, wrt)
    exact = differentiate_density(family.log_density, Y, ETA, order, wrt)
    assert set(hand.partials) == set(exact.partials)
    for key, wanted in exact.partials.items():
        assert np.abs(hand.partials[key] - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("log_sigma", EXTREME)
@pytest.mark.parametrize("psi", EXTREME)
def test_extreme_predictors_give_numbers(log_sigma, psi):
    y = np.array([-1e6, 0.0, 1e-3])
    eta = [np.zeros(3), np.full(3, log_sigma), np.full(3, psi)]
    got = StudentTFamily().derivatives(y, eta, 3, (0, 1, 2))
    assert np.all(np.isfinite(got.value))
    assert got.value == pytest.approx(StudentTFamily().log_density(y, eta), rel=1e-12)
    assert not any(np.any(np.isnan(partial)) for partial in got.partials.values())


def test_a_vanishing_scale_keeps_the_power_law():
    """Far out the density is that of nu^(nu/2) sigma^nu / |y - mu|^(nu + 1), times a constant."""
    value = StudentTFamily().log_density(np.ones(1), [np.zeros(1), np.full(1, -800.0), np.zeros(1)])
    assert value == pytest.approx(-np.log(np.pi) - 800.0, rel=1e-14)


def test_simulated_values_follow_the_cdf():
    eta = [np.full(20_000, 1.0), np.full(20_000, 0.5), np.full(20_000, 1.0)]
    draws = StudentTFamily().simulate(eta, np.random.default_rng(2))
    assert stats.kstest(StudentTFamily().cdf(draws, eta), "uniform").pvalue > 1e-3


def test_start_ignores_outliers():
    y = np.concatenate([np.linspace(-1.0, 1.0, 101), [1e6]])
    location, log_scale, psi = StudentTFamily().start(y, None)
    assert abs(location) < 0.1 and 0.3 < np.exp(log_scale) < 1.5 and psi == pytest.approx(np.log(5))
    assert np.all(np.isfinite(StudentTFamily().start(np.ones(4), None)))


def test_fixed_parameters():
    _, sigma, nu = StudentTFamily(nu=4.0).parameters
    assert (sigma.fixed, nu.fixed) == (None, 4.0)
    assert (sigma.role, nu.role) == ("dispersion", "shape")


def test_messages():
    with pytest.raises(OptionError, match="'student_t': nu must be a positive number.*got -3"):
        StudentTFamily(nu=-3)
    with pytest.raises(OptionError, match="'student_t': sigma must be a positive number"):
        StudentTFamily(sigma=float("inf"))
    with pytest.raises(UnknownNameError, match="'student_t' has no link 'log'. Use one of ident"):
        StudentTFamily(link="log")
