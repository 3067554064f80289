"""The covariance structures of the core: the contract, and what is known of each."""

import numpy as np
import pytest

from interlace_core.covariances import Diagonal, Unstructured
from interlace_core.testing import covariance_checks


@pytest.mark.parametrize("structure", [Unstructured, Diagonal])
def test_conformance(structure):
    for _, check in covariance_checks(structure):
        check()


def test_unstructured_theta_is_the_lower_triangle_column_by_column():
    T = Unstructured(3).template(np.arange(1.0, 7.0))
    assert np.array_equal(T, [[1.0, 0.0, 0.0], [2.0, 4.0, 0.0], [3.0, 5.0, 6.0]])


def test_unstructured_reaches_every_covariance():
    V = np.array([[2.0, -0.6, 0.3], [-0.6, 1.0, 0.1], [0.3, 0.1, 0.5]])
    structure = Unstructured(3)
    T = structure.template(structure.nearest(V))
    assert T @ T.T == pytest.approx(V, rel=1e-6)


def test_unstructured_finds_a_singular_covariance():
    """A correlation of 1 is an ordinary point too."""
    V = np.array([[4.0, 2.0], [2.0, 1.0]])
    structure = Unstructured(2)
    T = structure.template(structure.nearest(V))
    assert T @ T.T == pytest.approx(V, rel=1e-6)


def test_diagonal_theta_is_the_standard_deviations():
    assert np.array_equal(Diagonal(2).nearest(np.array([[4.0, 1.0], [1.0, 9.0]])), [2.0, 3.0])


@pytest.mark.parametrize(("structure", "count"), [(Unstructured, 10), (Diagonal, 4)])
def test_the_number_of_parameters_for_four_columns(structure, count):
    assert structure(4).n_theta == count


@pytest.mark.parametrize("structure", [Unstructured, Diagonal])
def test_standard_deviations_are_mirrored_into_the_bounds(structure):
    covariance = structure(2)
    lower, _ = covariance.bounds()
    theta = covariance.canonical(-covariance.start())
    assert np.all(theta >= lower)
    assert np.array_equal(theta, covariance.start())


def test_unstructured_snaps_a_singular_covariance_to_leading_columns():
    """Two roots of the same covariance, of which only the second has a slope everywhere."""
    structure = Unstructured(2)
    snapped = structure.snapped(np.array([0.0, 0.3, 0.4]), np.ones(2), 1e-3)
    T = structure.template(snapped)
    assert T @ T.T == pytest.approx(np.diag([0.0, 0.25]), abs=1e-12)
    assert not np.any(T[:, 1])
    assert np.array_equal(structure.at_bound(snapped, np.ones(2), 1e-3), [False, False, True])


def test_unstructured_snaps_in_the_scale_of_eta():
    """A covariate of large numbers has small effects; that is not next to nothing."""
    structure, sizes = Unstructured(2), np.array([1.0, 1000.0])
    theta = np.array([0.5, 0.0, 5e-4])
    assert structure.snapped(theta, sizes, 1e-3) == pytest.approx(theta)
    assert not np.any(structure.at_bound(theta, sizes, 1e-3))
    assert np.any(structure.at_bound(theta, np.ones(2), 1e-3))


def test_unstructured_snaps_nothing_to_zero_in_every_column():
    structure = Unstructured(3)
    snapped = structure.snapped(np.full(6, 1e-5), np.ones(3), 1e-3)
    assert np.array_equal(snapped, np.zeros(6))
    assert np.all(structure.at_bound(snapped, np.ones(3), 1e-3))


def test_unstructured_restarts_from_every_lower_rank():
    structure, theta = Unstructured(3), np.array([1.0, 0.4, 0.3, 0.2, 0.1, 0.05])
    V = structure.template(theta) @ structure.template(theta).T
    values, vectors = np.linalg.eigh(V)
    for rank, restart in zip((2, 1), structure.restarts(theta, np.ones(3)), strict=True):
        T = structure.template(restart)
        closest = (vectors[:, -rank:] * values[-rank:]) @ vectors[:, -rank:].T
        assert T @ T.T == pytest.approx(closest, abs=1e-12)
        assert not np.any(T[:, rank:])


def test_diagonal_snaps_each_standard_deviation_by_itself():
    snapped = Diagonal(2).snapped(np.array([1e-5, 0.7]), np.ones(2), 1e-3)
    assert np.array_equal(snapped, [0.0, 0.7])
