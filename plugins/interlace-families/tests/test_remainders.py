"""The remainders of exp, log1p and log Gamma, where their plain formulas are still good."""

import numpy as np
import pytest
from scipy.special import digamma, gammaln, polygamma

from interlace_core.families import differentiate, stirling_remainder
from interlace_families.remainders import (
    exp_excess,
    half_rising,
    log1p_deficit,
    scaled_exp_excess,
    stirling,
)

TINY = np.array([-1e-3, -1e-8, -1e-30, 1e-30, 1e-8, 1e-3])


def test_exp_excess_is_half_the_square_near_zero():
    series = TINY**2 * (1 / 2 + TINY * (1 / 6 + TINY * (1 / 24 + TINY / 120)))
    assert exp_excess(TINY) == pytest.approx(series, rel=1e-12)


def test_log1p_deficit_is_half_the_square_near_zero():
    series = TINY**2 * (1 / 2 - TINY * (1 / 3 - TINY * (1 / 4 - TINY / 5)))
    assert log1p_deficit(TINY) == pytest.approx(series, rel=1e-12)


@pytest.mark.parametrize("edge", [-0.25, 0.25])
def test_both_branches_agree_where_they_meet(edge):
    x = edge * np.array([1.0 - 1e-12, 1.0 + 1e-12])
    assert exp_excess(x) == pytest.approx(np.expm1(x) - x, rel=1e-14)
    assert log1p_deficit(x) == pytest.approx(x - np.log1p(x), rel=1e-14)


def test_stirling_remainder_has_the_derivatives_of_the_log_gamma():
    log_x = np.linspace(-3.0, 6.0, 61)
    x = np.exp(log_x)
    first = x * (digamma(x) - log_x) + 0.5
    second = x**2 * polygamma(1, x) - x - 0.5
    third = x**3 * polygamma(2, x) + x + 1.0
    expected = (
        gammaln(x) - (x - 0.5) * log_x + x - 0.5 * np.log(2.0 * np.pi),
        first,
        first + second,
        first + 3.0 * second + third,
    )
    for got, wanted in zip(stirling_remainder(log_x, 3), expected, strict=True):
        assert got == pytest.approx(wanted, abs=1e-11)  # the plain formulas lose digits at 400


def test_stirling_remainder_reaches_both_limits():
    S, d1, d2, d3 = stirling_remainder(np.array([-800.0, 40.0, 800.0]), 3)
    assert S[0] == pytest.approx(400.0 - 0.5 * np.log(2.0 * np.pi), rel=1e-15)
    assert (d1[0], d2[0], d3[0]) == pytest.approx((-0.5, 0.0, 0.0), abs=1e-15)
    assert S[1] == pytest.approx(np.exp(-40.0) / 12.0, rel=1e-14)
    assert d1[1] == pytest.approx(-S[1], rel=1e-14)
    assert 0.0 < S[2] < 1e-300


def test_half_rising_is_a_ratio_of_gammas():
    log_t = np.linspace(-3.0, 5.0, 41)
    t = np.exp(log_t)
    got = half_rising(log_t, 2)
    assert got[0] == pytest.approx(gammaln(t + 0.5) - gammaln(t) - 0.5 * log_t, abs=1e-12)
    assert got[1] == pytest.approx(t * (digamma(t + 0.5) - digamma(t)) - 0.5, abs=1e-12)


def test_half_rising_reaches_both_limits():
    R, d1, d2, d3 = half_rising(np.array([-800.0, 30.0]), 3)
    assert R[0] == pytest.approx(0.5 * (np.log(np.pi) - 800.0), rel=1e-15)
    assert d1[0] == 0.5
    assert R[1] == pytest.approx(-np.exp(-30.0) / 8.0, rel=1e-14)
    assert (d1[1], d2[1], d3[1]) == pytest.approx((-R[1], R[1], -R[1]), rel=1e-14)


def test_scaled_exp_excess_lets_a_tiny_scale_meet_a_large_exponent():
    got = scaled_exp_excess(np.array([-800.0, 800.0, 0.0]), np.array([800.0, 0.0, 1.0]))
    assert got == pytest.approx([1.0, 0.0, np.e - 2.0], rel=1e-15)


def test_functions_of_jets_are_differentiated():
    eta = [np.array([0.3, 4.0]), np.array([0.1, 1.0])]
    got = differentiate(lambda e: stirling(e[0]) + scaled_exp_excess(e[0], e[1]), eta, 3, (0, 1))
    S = stirling_remainder(eta[0], 3)
    scale, x = np.exp(eta[0]), eta[1]
    assert got.get(0, 0, 0) == pytest.approx(S[3] + scale * exp_excess(x), rel=1e-12)
    assert got.get(0, 1, 1) == pytest.approx(scale * np.exp(x), rel=1e-14)
