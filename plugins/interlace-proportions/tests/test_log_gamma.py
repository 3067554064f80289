"""The log-gamma remainders: closed forms, recurrences, limits, and no seam between branches."""

import numpy as np
import pytest
from scipy import special

from interlace_core.families import HALF_LOG_2PI, differentiate, stirling_remainder
from interlace_core.testing.differences import slope
from interlace_proportions.log_gamma import log_pochhammer, log_pochhammer_jet, stirling_jet

LOG_X = np.linspace(-5.0, 5.0, 41)
COUNTS = np.array([0.0, 1.0, 2.0, 7.0, 40.0])


def test_stirling_remainder_is_what_the_formula_leaves():
    x = np.exp(LOG_X)
    expected = special.gammaln(x) - (x - 0.5) * LOG_X + x - HALF_LOG_2PI
    # log Gamma(150) is 600
    assert stirling_remainder(LOG_X, 0)[0] == pytest.approx(expected, abs=1e-12)
    assert stirling_remainder(0.0, 0)[0] == pytest.approx(1.0 - HALF_LOG_2PI, abs=1e-15)


@pytest.mark.parametrize("x", [3.0, 14.5, 14.999, 15.001, 60.0, 1e4, 1e8])
def test_stirling_remainder_obeys_the_recurrence_in_both_branches(x):
    """S(x) - S(x + 1) = (x + 1/2) log(1 + 1/x) - 1, a series for large x."""
    if x < 100.0:
        expected = (x + 0.5) * np.log1p(1.0 / x) - 1.0
    else:
        expected = 1.0 / (12.0 * x**2) - 1.0 / (12.0 * x**3)
    first, second = (stirling_remainder(np.log(v), 0)[0] for v in (x, x + 1.0))
    assert first - second == pytest.approx(expected, rel=1e-3, abs=2e-15)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_stirling_derivatives_are_differences(order):
    expected = slope(lambda t: stirling_remainder(t, order - 1)[order - 1], LOG_X, 1e-3)
    assert stirling_remainder(LOG_X, order)[order] == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_stirling_remainder_reaches_both_limits():
    value, first, second, third = stirling_remainder(np.array([-800.0, 800.0]), 3)
    assert value == pytest.approx([400.0 - HALF_LOG_2PI, 0.0], rel=1e-14)
    assert first == pytest.approx([-0.5, 0.0], abs=1e-15)
    assert np.abs(second).max() < 1e-290 and np.abs(third).max() < 1e-290


def test_log_pochhammer_is_a_difference_of_log_gammas():
    log_t, log_scale = 0.7, 1.1
    t = np.exp(log_t)
    expected = special.gammaln(COUNTS + t) - special.gammaln(t) - COUNTS * log_scale
    found = log_pochhammer(COUNTS, np.full(5, log_t), log_scale, 0)[0]
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("log_t", [-59.9, -60.1, -500.0, -1e300])
def test_log_pochhammer_of_a_tiny_argument_is_linear(log_t):
    """log Gamma(y + t) - log Gamma(t) tends to log Gamma(y) + log t for y > 0."""
    value, first, second, third = log_pochhammer(COUNTS, np.full(5, log_t), 0.0, 3)
    expected = np.where(COUNTS > 0, special.gammaln(np.maximum(COUNTS, 1.0)) + log_t, 0.0)
    assert value == pytest.approx(expected, rel=1e-12)
    assert first == pytest.approx(np.where(COUNTS > 0, 1.0 - COUNTS, 0.0), abs=1e-12)
    assert np.abs(second).max() < 1e-12 and np.abs(third).max() < 1e-12


@pytest.mark.parametrize("log_t", [-70.0, -1.0, 2.0, 9.0])
def test_jets_have_the_derivatives(log_t):
    x = np.full(5, log_t)
    found = differentiate(lambda e: log_pochhammer_jet(COUNTS, e[0], e[1]), [x, x], 3, (0, 1))
    value, *derivatives = log_pochhammer(COUNTS, x, x, 3)
    assert found.value == pytest.approx(value, rel=1e-14, abs=1e-14)
    # at a scale of its own, t has y more in its slope
    assert found.get(0) == pytest.approx(derivatives[0] + COUNTS, rel=1e-12, abs=1e-12)
    assert found.get(1) == pytest.approx(-COUNTS)
    assert found.get(0, 0) == pytest.approx(derivatives[1], abs=1e-12)
    by_jets = differentiate(lambda e: stirling_jet(e[0]), [x], 3, (0,))
    for order, expected in enumerate(stirling_remainder(x, 3)):
        got = by_jets.get(*(0,) * order) if order else by_jets.value
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-14)
