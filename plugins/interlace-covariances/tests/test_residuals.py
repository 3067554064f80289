"""Residual correlations: matrices in closed form, slopes against differences, ranges."""

import numpy as np
import pytest

from interlace_core.contract import Correlation
from interlace_covariances.markov import Autoregressive
from interlace_covariances.residuals import AutoregressiveResiduals, ExchangeableResiduals
from interlace_covariances.structures import CompoundSymmetry, Toeplitz

TIMES = np.array([[0.0, 1.0, 4.0], [0.0, 2.0, 3.0]])


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.7])
def test_autoregressive_correlations_are_powers_of_the_gap(rho):
    C = AutoregressiveResiduals().matrix(TIMES, [rho])
    expected = [[1.0, rho, rho**4], [rho, 1.0, rho**3], [rho**4, rho**3, 1.0]]
    np.testing.assert_allclose(C[0], expected, atol=1e-15)
    assert C.shape == (2, 3, 3)


@pytest.mark.parametrize("structure", [AutoregressiveResiduals(), ExchangeableResiduals()])
@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.7])
def test_slopes_are_those_of_the_matrix(structure, rho):
    up, down = (structure.matrix(TIMES, [rho + step]) for step in (1e-6, -1e-6))
    np.testing.assert_allclose(structure.slopes(TIMES, [rho])[0], (up - down) / 2e-6, atol=1e-9)


@pytest.mark.parametrize("structure", [AutoregressiveResiduals(), ExchangeableResiduals()])
def test_every_value_of_the_parameter_is_a_correlation_matrix(structure):
    (rho,) = structure.parameters(3)
    for eta in (-6.0, 0.0, 6.0):
        C = structure.matrix(TIMES, [float(rho.link.mu(eta))])
        assert np.all(np.linalg.eigvalsh(C) > 0.0)
    assert float(rho.link.mu(structure.start(3)[0])) == pytest.approx(0.0, abs=1e-15)


def test_the_least_exchangeable_correlation_is_that_of_the_largest_group():
    (rho,) = ExchangeableResiduals().parameters(5)
    assert float(rho.link.mu(-40.0)) == pytest.approx(-0.25)


@pytest.mark.parametrize("low", [-1.0, -0.25])
def test_the_link_of_correlations_and_its_derivatives(low):
    link = Correlation(low)
    eta = np.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(link.eta(link.mu(eta)), eta, atol=1e-12)
    mu, *slopes = link.derivatives(eta)
    np.testing.assert_allclose(mu, link.mu(eta), atol=1e-15)
    for lower, upper in zip((mu, *slopes), slopes, strict=False):
        place = [v is lower for v in (mu, *slopes)].index(True)
        up, down = (link.derivatives(eta + step)[place] for step in (1e-6, -1e-6))
        np.testing.assert_allclose(upper, (up - down) / 2e-6, atol=1e-9)
    if low == -1.0:
        np.testing.assert_allclose(link.eta(0.3), 2.0 * np.arctanh(0.3))


def test_structures_of_random_effects_offer_those_of_residuals():
    assert Autoregressive.residuals() is AutoregressiveResiduals
    assert CompoundSymmetry.residuals() is ExchangeableResiduals
    assert Toeplitz.residuals() is None
