"""Tweedie: its density against exact sums, the gamma limit, extreme predictors and messages."""

import numpy as np
import pytest
from scipy import integrate, stats

from interlace_core.contract import OptionError, ResponseError
from interlace_families.tweedie import PowerLink, TweedieFamily

EXTREME = (-800.0, -40.0, 0.0, 40.0, 800.0)
KEYS = ((1,), (2,), (1, 2), (2, 2), (1, 1, 1), (1, 1, 2), (1, 2, 2), (2, 2, 2))
REFERENCE = {
    (1.0, 0.0, 0.0, 0.0): (
        -1.0286152203419826, -0.63218906943743834, 0.0022869441941943077, 0.016252606410632031,
        0.024668935908255592, -0.34304092483287703, 0.097599204908612276, 0.045975523059109898,
        -0.036789684650614251,
    ),
    (2.5, 0.1, -0.5, -1.5): (
        -2.2293633350686951, 0.46576309196126646, -0.016896585042041687, -0.061890514640396336,
        -0.015339433819239344, 0.9964314117222895, 0.049820737209233396, -0.042831324946540332,
        -0.010454080320846416,
    ),
    (900.0, 7.0, -4.0, 2.0): (
        -7.5997470336757006, 1.7824174616372791, 1.3044291996809329, -1.6624993359784913,
        -2.2036906619649823, 2.2824156515071742, 1.6615325528653872, 2.4757592015095418,
        4.1284857585276177,
    ),
    (0.001, 0.7, 1.0, 1.0): (
        1.9736860649664071, 0.17336191319850151, 1.7048514549484806, 0.9783669835638566,
        -2.6104083589427003, 1.4500154930389988, -0.52147775812967294, -0.30327812940094805,
        3.1219069818511657,
    ),
    (30.0, 3.0, -1.0, -4.0): (
        -7.6014793121838237, 4.9491625148018066, 0.27196317198983227, -0.30215094677976328,
        0.24541740506164265, 5.4491851375005498, 0.30201304803209085, -0.27452778018838131,
        0.19559300057230053,
    ),
}  # fmt: skip
"""From (y, log mu, log phi, psi) to the log-density and its partial derivatives KEYS: the plain
series over all terms in mpmath 1.3 with 60 digits, differentiated by `mpmath.diff`."""


@pytest.mark.parametrize("case", REFERENCE)
def test_density_and_derivatives_are_those_of_the_exact_series(case):
    y, *eta = (np.array([x]) for x in case)
    got = TweedieFamily().derivatives(y, eta, 3, (0, 1, 2))
    found = [got.value[0], *(got.get(*key)[0] for key in KEYS)]
    assert found == pytest.approx(REFERENCE[case], rel=1e-10, abs=1e-12)


def test_derivatives_in_the_mean_are_those_of_the_unit_deviance():
    """The score is (y - mu) mu^(1 - p) / phi."""
    y, eta = np.array([0.0, 0.3, 5.0]), [np.full(3, 0.4), np.full(3, -0.2), np.full(3, 0.7)]
    mu, p, phi = np.exp(0.4), PowerLink().mu(0.7), np.exp(-0.2)
    got = TweedieFamily().derivatives(y, eta, 2, (0,))
    assert got.get(0) == pytest.approx((y - mu) * mu ** (1 - p) / phi, rel=1e-13)
    second = ((1 - p) * y * mu ** (1 - p) - (2 - p) * mu ** (2 - p)) / phi
    assert got.get(0, 0) == pytest.approx(second, rel=1e-13)


@pytest.mark.parametrize("psi", [-2.0, 0.0, 1.5])
def test_total_is_one_and_cdf_is_its_integral(psi):
    eta = [np.full(1, 0.5), np.full(1, 0.2), np.full(1, psi)]

    def density(y):
        return np.exp(TweedieFamily().log_density(np.array([y]), eta)[0])

    total = density(0.0)
    assert TweedieFamily().cdf(np.zeros(1), eta) == pytest.approx(total, rel=1e-13)
    for low, high in ((0.0, 0.5), (0.5, 3.0), (3.0, 200.0)):
        total += integrate.quad(density, low, high, limit=400, epsabs=1e-11)[0]
        assert TweedieFamily().cdf(np.array([high]), eta) == pytest.approx(total, abs=1e-9)
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("psi", [30.0, 40.0, 800.0])
def test_power_two_is_gamma(psi):
    y, phi = np.array([0.01, 0.7, 3.0]), 0.4
    eta = [np.full(3, 0.3), np.full(3, np.log(phi)), np.full(3, psi)]
    expected = stats.gamma(1.0 / phi, scale=phi * np.exp(0.3))
    got = TweedieFamily().derivatives(y, eta, 3, (0, 1, 2))
    assert got.value == pytest.approx(expected.logpdf(y), rel=1e-10)
    assert np.abs(got.get(2)).max() <= 100.0 * np.exp(-psi) + 1e-14
    assert TweedieFamily().cdf(y, eta) == pytest.approx(expected.cdf(y), rel=1e-6)
    draws = TweedieFamily().simulate([np.repeat(e[:1], 20_000) for e in eta], RNG())
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3


def RNG():
    return np.random.default_rng(2)


@pytest.mark.parametrize("log_mu", EXTREME)
@pytest.mark.parametrize("log_phi", EXTREME)
@pytest.mark.parametrize("psi", EXTREME)
def test_extreme_predictors_give_numbers(log_mu, log_phi, psi):
    y = np.array([0.0, 1e-3, 1.0, 1e6])
    eta = [np.full(4, log_mu), np.full(4, log_phi), np.full(4, psi)]
    got = TweedieFamily().derivatives(y, eta, 3, (0, 1, 2))
    assert not np.any(np.isnan(got.value)) and not np.any(np.isposinf(got.value))
    finite = np.isfinite(got.value)
    assert not any(np.any(np.isnan(partial[finite])) for partial in got.partials.values())
    with np.errstate(all="ignore"):
        cdf = TweedieFamily().cdf(y, eta)
    assert np.all((cdf >= 0.0) & (cdf <= 1.0))


def test_simulated_moments():
    eta = [np.full(400_000, 0.5), np.full(400_000, 0.2), np.full(400_000, -0.5)]
    draws = TweedieFamily().simulate(eta, RNG())
    assert draws.mean() == pytest.approx(np.exp(0.5), rel=0.01)
    assert draws.var() == pytest.approx(TweedieFamily().variance(eta)[0], rel=0.02)
    zeros = np.exp(TweedieFamily().log_density(np.zeros(1), [e[:1] for e in eta])[0])
    assert np.mean(draws == 0.0) == pytest.approx(zeros, abs=0.005)


def test_power_link_and_its_inverse():
    psi = np.array([-3.0, 0.0, 2.0])
    assert PowerLink().eta(PowerLink().mu(psi)) == pytest.approx(psi, abs=1e-12)
    assert PowerLink().mu(0.0) == 1.5
    _, d1, d2, _ = PowerLink().derivatives(psi)
    up, down = PowerLink().mu(psi + 1e-4), PowerLink().mu(psi - 1e-4)
    assert d1 == pytest.approx((up - down) / 2e-4, rel=1e-6)
    assert d2 == pytest.approx((up + down - 2.0 * PowerLink().mu(psi)) / 1e-8, abs=1e-6)


def test_start_is_the_moment_estimate():
    y = np.array([0.0, 1.0, 2.0, 5.0])
    log_mu, log_phi, psi = TweedieFamily().start(y, None)
    assert (np.exp(log_mu), psi) == pytest.approx((2.0, 0.0))
    assert np.exp(log_phi) == pytest.approx(3.5 / 2.0**1.5)
    assert TweedieFamily(power=1.2).start(y, None)[2] == pytest.approx(np.log(0.2 / 0.8))
    assert np.all(np.isfinite(TweedieFamily().start(np.zeros(3), None)))


def test_zeros_alone_have_a_density():
    got = TweedieFamily().derivatives(np.zeros(2), [np.zeros(2)] * 3, 3, (0, 1, 2))
    assert got.value == pytest.approx([-2.0, -2.0])


def test_messages():
    with pytest.raises(ResponseError, match="'tweedie'.*zeros and positive.*got -0.5 in row 1"):
        TweedieFamily().check_response(np.array([0.0, -0.5]), None)
    with pytest.raises(OptionError, match="'tweedie': phi must be a positive number"):
        TweedieFamily(phi=0.0)
    for power in (1, 2.0, float("nan"), "1.5", True):
        with pytest.raises(OptionError, match="'tweedie': power must be a number between 1 and 2"):
            TweedieFamily(power=power)
