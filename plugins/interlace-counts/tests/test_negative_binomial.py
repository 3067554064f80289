"""NB2: hand-written derivatives against the density, its limit, and its messages."""

import numpy as np
import pytest
from scipy import stats

from interlace_core.contract import OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate_density
from interlace_counts.negative_binomial import NegativeBinomial2Family

RNG = np.random.default_rng(11)
Y = RNG.poisson(4.0, size=200).astype(float)
ETA = [RNG.normal(size=200), RNG.normal(size=200)]


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("wrt", [(0,), (1,), (0, 1)])
def test_hand_written_derivatives_match_the_density(order, wrt):
    family = NegativeBinomial2Family()
    hand = family.derivatives(Y, ETA, order, wrt)
    exact = differentiate_density(family.log_density, Y, ETA, order, wrt)
    assert set(hand.partials) == set(exact.partials)
    for key in exact.partials:
        scale = max(1.0, np.abs(exact.partials[key]).max())
        assert np.abs(hand.partials[key] - exact.partials[key]).max() <= 1e-12 * scale, key


def test_density_is_scipys():
    mu, theta = np.exp(ETA[0]), np.exp(ETA[1])
    expected = stats.nbinom.logpmf(Y, theta, theta / (theta + mu))
    assert NegativeBinomial2Family().log_density(Y, ETA) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("log_theta", [12.0, 20.0, 40.0, 300.0])
def test_large_theta_tends_to_poisson(log_theta):
    """The difference is (y(y-1) - 2 y mu + mu^2) / (2 theta) to first order."""
    eta = [ETA[0], np.full(200, log_theta)]
    found = NegativeBinomial2Family().derivatives(Y, eta, 3, (0, 1))
    mu = np.exp(ETA[0])
    gap = np.max(np.abs(Y * (Y - 1) - 2 * Y * mu + mu**2) / 2) * np.exp(-log_theta)
    assert np.abs(found.value - stats.poisson.logpmf(Y, mu)).max() <= 2.0 * gap + 1e-12
    assert np.abs(found.partials[(1,)]).max() <= 2.0 * gap + 1e-10
    assert all(np.all(np.isfinite(partial)) for partial in found.partials.values())


def test_large_counts():
    y = np.array([1e6])
    value = NegativeBinomial2Family().derivatives(y, [np.log(y), np.zeros(1)], 0, ()).value
    assert value[0] == pytest.approx(stats.nbinom.logpmf(1e6, 1, 1 / (1 + 1e6)), rel=1e-9)


def test_fixed_theta_is_not_truncated():
    parameter = NegativeBinomial2Family(theta=1.5).parameters[1]
    assert parameter.fixed == 1.5
    assert parameter.fixed_eta() == np.log(1.5)


@pytest.mark.parametrize("theta", [0, -1.0, np.nan, np.inf, "2", True])
def test_bad_theta_is_refused(theta):
    with pytest.raises(OptionError, match="negativebinomial.*theta must be a positive number"):
        NegativeBinomial2Family(theta=theta)


def test_bad_link_lists_what_exists():
    with pytest.raises(UnknownNameError, match="logit.*log, identity, sqrt"):
        NegativeBinomial2Family(link="logit")


def test_first_offending_row_is_named():
    with pytest.raises(ResponseError, match=r"counts.*got 1\.5 in row 2"):
        NegativeBinomial2Family().check_response(np.array([0.0, 3.0, 1.5, -1.0]), None)


def test_simulated_moments():
    n = 200_000
    eta = [np.full(n, 1.0), np.full(n, 0.5)]
    family = NegativeBinomial2Family()
    draws = family.simulate(eta, np.random.default_rng(3))
    variance = family.variance(eta)[0]
    assert draws.mean() == pytest.approx(np.e, abs=5 * np.sqrt(variance / n))
    assert draws.var() == pytest.approx(variance, rel=0.05)


def test_cdf_sums_the_density():
    y = np.arange(12.0)
    eta = [np.full(12, 0.7), np.full(12, -0.3)]
    family = NegativeBinomial2Family()
    assert family.cdf(y, eta) == pytest.approx(np.cumsum(np.exp(family.log_density(y, eta))))
