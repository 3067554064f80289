"""What is known of each structure: its covariance in closed form, and its mirror images."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from interlace_covariances.markov import Autoregressive
from interlace_covariances.rotations import (
    correlations_pullback,
    partial_autocorrelations,
    stationary_root,
)
from interlace_covariances.structures import (
    CompoundSymmetry,
    EqualVariances,
    HomogeneousSymmetry,
    HomogeneousToeplitz,
    Toeplitz,
)


def covariance(structure, theta):
    T = structure.template(np.asarray(theta))
    return T @ T.T


@pytest.mark.parametrize("rho", [-0.49, 0.0, 0.3, 0.99])
def test_compound_symmetry_has_one_correlation(rho):
    sd = np.array([1.0, 2.0, 0.5])
    expected = np.outer(sd, sd) * (rho + (1.0 - rho) * np.eye(3))
    structure = CompoundSymmetry(3)
    assert covariance(structure, structure.nearest(expected)) == pytest.approx(expected)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.7])
def test_autoregressive_correlations_are_powers(rho):
    expected = 2.5 * toeplitz(rho ** np.arange(5.0))
    structure = Autoregressive(5)
    assert covariance(structure, structure.nearest(expected)) == pytest.approx(expected)
    assert covariance(structure, [np.sqrt(2.5), np.arcsin(rho)]) == pytest.approx(expected)


def test_toeplitz_correlations_depend_on_the_distance():
    expected = toeplitz([1.0, 0.5, 0.2, 0.1])
    structure = Toeplitz(4)
    assert covariance(structure, structure.nearest(expected)) == pytest.approx(expected)


def test_autoregressive_is_toeplitz_with_one_partial_autocorrelation():
    angle = 0.6
    C = stationary_root(np.array([angle, 0.0, 0.0, 0.0]))
    assert C @ C.T == pytest.approx(toeplitz(np.sin(angle) ** np.arange(5.0)))


def test_partial_autocorrelations_are_regression_coefficients():
    """The k-th is the last coefficient of the regression on k predecessors."""
    r = np.array([0.5, 0.2, -0.3])
    R = toeplitz(np.append(1.0, r))
    last = [np.linalg.solve(R[:k, :k], r[:k])[-1] for k in (1, 2, 3)]
    assert partial_autocorrelations(r) == pytest.approx(last)


@pytest.mark.parametrize("structure", [CompoundSymmetry(3), Autoregressive(3), Toeplitz(3)])
def test_correlations_are_mirrored_at_the_ends_of_their_range(structure):
    low, high = structure.angle_range
    for end in (low, high):
        before, after = structure.start(), structure.start()
        before[-1], after[-1] = end - 0.2, end + 0.2
        assert covariance(structure, before) == pytest.approx(covariance(structure, after))
        folded = structure.canonical(after)
        assert low <= folded[-1] <= high
        assert covariance(structure, folded) == pytest.approx(covariance(structure, after))


def test_a_singular_correlation_is_at_a_bound():
    structure = Autoregressive(3)
    theta = structure.nearest(np.ones((3, 3)))
    assert np.array_equal(structure.at_bound(theta, np.ones(3), 1e-3), [False, True])
    assert not np.any(structure.at_bound(np.array([1.0, 1.5]), np.ones(3), 1e-3))


def test_a_vanishing_standard_deviation_is_at_a_bound():
    structure = CompoundSymmetry(2)
    theta = structure.nearest(np.diag([1.0, 0.0]))
    assert np.array_equal(structure.at_bound(theta, np.ones(2), 1e-3), [False, True, False])


@pytest.mark.parametrize(
    ("structure", "count"),
    [(EqualVariances, 1), (CompoundSymmetry, 5), (Autoregressive, 2), (Toeplitz, 7)],
)
def test_the_number_of_parameters_for_four_columns(structure, count):
    assert structure(4).n_theta == count


def test_one_variance_for_several_is_their_mean():
    structure = HomogeneousSymmetry(2)
    found = covariance(structure, structure.nearest(np.array([[1.0, 1.5], [1.5, 9.0]])))
    assert found == pytest.approx(5.0 * np.array([[1.0, 0.5], [0.5, 1.0]]))


def test_angles_after_a_sequence_that_is_determined_do_nothing():
    """Of a partial autocorrelation next to 1: it is put there, and those after it start anew."""
    structure, sizes = HomogeneousToeplitz(5), np.ones(5)
    theta = np.array([1.5, 0.3, 0.5 * np.pi - 1e-5, 0.7, -0.2])
    assert structure.at_bound(theta, sizes, 1e-4).tolist() == [False, False, True, True, True]
    snapped = structure.snapped(theta, sizes, 1e-4)
    assert covariance(structure, snapped) == pytest.approx(covariance(structure, theta), abs=1e-4)
    assert snapped[2] == 0.5 * np.pi and np.all(snapped[3:] == 0.0)
    other = np.append(snapped[:3], [0.4, 1.0])
    assert covariance(structure, other) == pytest.approx(covariance(structure, snapped), abs=1e-14)


@pytest.mark.parametrize("structure", [HomogeneousToeplitz(6), Toeplitz(6)])
def test_restarts_of_a_sequence_with_next_to_no_noise_have_none(structure):
    """A sum of two waves and noise of a thousandth: without the noise, of rank 4."""
    lag = np.arange(6.0)
    waves = toeplitz(0.7 * np.cos(0.9 * lag) + 0.3 * np.cos(2.1 * lag))
    noisy = 0.999 * waves + 0.001 * np.eye(6)
    sizes, theta = np.ones(6), structure.nearest(4.0 * noisy)
    assert covariance(structure, theta) == pytest.approx(4.0 * noisy)
    found = structure.restarts(theta, sizes)
    ranks = [np.linalg.matrix_rank(covariance(structure, each), tol=1e-9) for each in found]
    assert ranks[0] == 4
    assert covariance(structure, found[0]) == pytest.approx(4.0 * 0.999 * waves, abs=1e-9)
    assert not structure.restarts(structure.start(), sizes)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_slopes_of_a_stationary_root_are_those_of_differences(n):
    rng = np.random.default_rng(n)
    angles, weights, step = rng.normal(size=n), rng.normal(size=(n + 1, n + 1)), 1e-6
    found = correlations_pullback(angles, weights)
    for k, each in enumerate(step * np.eye(n)):
        change = stationary_root(angles + each) - stationary_root(angles - each)
        assert found[k] == pytest.approx(np.sum(weights * change) / (2 * step), abs=1e-8)
