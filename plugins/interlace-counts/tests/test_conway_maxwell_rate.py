"""The rate of Conway-Maxwell-Poisson laws, at the limits that closed forms describe."""

import numpy as np
import pytest

from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.conway_maxwell_rate import log_factorial_excess, solve_rate

LOG_MU = [-500.0, -3.0, 0.3, 3.0, 10.2, 40.0, 300.0]


@pytest.mark.parametrize("log_mu", LOG_MU)
@pytest.mark.parametrize("log_phi", [-250.0, -121.5, -40.0, -5.0, 0.0, 5.0, 40.0, 100.0, 800.0])
def test_rate_gives_the_mean_asked_for(log_mu, log_phi):
    mu, nu = np.exp([log_mu]), np.exp([-log_phi])
    rate = solve_rate(mu, nu)
    centred = rate.grid.offset - rate.grid.spread(rate.mu - rate.k)
    assert np.all(np.isfinite(rate.delta))
    assert abs(rate.grid.sum(rate.mass * centred)[0]) <= 1e-12 * mu[0]


@pytest.mark.parametrize("log_mu", LOG_MU)
def test_exponent_of_zero_is_geometric_whatever_the_mean(log_mu):
    family, mu = ConwayMaxwellPoissonFamily(), np.exp(log_mu)
    y = np.array([0.0, 1.0, 30.0, 1e6])
    found = family.log_density(y, [np.full(4, log_mu), np.full(4, 800.0)])
    # log(mu / (1 + mu)), of which y many, and log(1 / (1 + mu))
    exact = -y * (np.log1p(mu) - log_mu if log_mu < 1 else np.log1p(1.0 / mu)) - np.log1p(mu)
    assert found == pytest.approx(exact, rel=1e-12)
    variance = family.variance([np.array([log_mu]), np.array([800.0])])
    assert variance == pytest.approx(mu * (1.0 + mu), rel=1e-12)


@pytest.mark.parametrize("log_mu", [-3.0, 0.3, 3.0, 10.2])
@pytest.mark.parametrize("log_phi", [-40.0, -121.5, -250.0])
def test_infinite_exponent_is_on_the_two_counts_around_the_mean(log_mu, log_phi):
    mu = np.exp(log_mu)
    k, above = np.floor(mu), mu - np.floor(mu)
    eta = [np.full(2, log_mu), np.full(2, log_phi)]
    density = np.exp(ConwayMaxwellPoissonFamily().log_density(np.array([k, k + 1.0]), eta))
    assert density == pytest.approx([1.0 - above, above], rel=1e-10)


@pytest.mark.parametrize("k", [0.0, 3.0, 20.0, 31.0, 1e6])
def test_log_factorial_excess_is_exactly_zero_at_its_zeros(k):
    """An exponent of exp(250) multiplies it."""
    assert np.array_equal(log_factorial_excess(np.full(2, k), np.array([0.0, 1.0])), [0.0, 0.0])


def test_no_rows_have_no_draws_and_no_moments():
    family, eta = ConwayMaxwellPoissonFamily(), [np.empty(0), np.empty(0)]
    assert family.simulate(eta, np.random.default_rng(0)).shape == (0,)
    assert family.variance(eta).shape == (0,)
