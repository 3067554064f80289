"""The covariance structures of the core: the contract, and what is known of each."""

import numpy as np
import pytest

from interlace_core.covariance import Diagonal, Unstructured
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
