"""Known covariances of levels: roots, parts, and levels without data."""

import numpy as np
import pytest

from interlace_core.contract.level_covariance import Relation
from interlace_core.messages.errors import DataError


@pytest.fixture
def K():
    B = np.random.default_rng(3).normal(size=(7, 9))
    return B @ B.T


def singular(K):
    values, vectors = np.linalg.eigh(K)
    values[:3] = 0.0
    return vectors * values @ vectors.T


@pytest.mark.parametrize("change", [lambda K: K, singular])
def test_root_and_weights_give_the_conditional_normal_law(K, change):
    K = change(K)
    relation = Relation.of(K, 5, ("f", "g"))
    own, cross = K[:5, :5], K[5:, :5]
    np.testing.assert_allclose(relation.covariance(), own, atol=1e-10)
    inverse = np.linalg.pinv(own, rcond=1e-10, hermitian=True)
    np.testing.assert_allclose(relation.weights, cross @ inverse, atol=1e-8)
    spare = np.diagonal(K[5:, 5:] - cross @ inverse @ cross.T)
    np.testing.assert_allclose(relation.unexplained, spare, atol=1e-8)
    np.testing.assert_allclose(relation.variances(), np.diagonal(K), atol=1e-8)


def test_a_part_has_the_covariance_of_its_levels(K):
    levels = np.array([4, 1, 2])
    part = Relation.of(K, 7).part(levels)
    np.testing.assert_allclose(part.covariance(), K[np.ix_(levels, levels)], atol=1e-12)
    assert part.root.shape == (3, 3)


def test_a_level_takes_its_own_effect_or_those_of_its_relatives(K):
    relation = Relation.of(K, 5, ("f", "g"))
    values = np.arange(10.0).reshape(5, 2)
    extended = relation.extend(values)
    for level in range(7):
        np.testing.assert_allclose(relation.loading(level) @ values, extended[level])


def test_a_matrix_that_is_no_covariance_is_refused(K):
    with pytest.raises(DataError, match="eigenvalues"):
        Relation.of(K - 20.0 * np.eye(7), 7)
