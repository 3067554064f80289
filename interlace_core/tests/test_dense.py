"""Factorisations of small matrices against numpy.linalg, and what they refuse."""

import numpy as np
import pytest

from interlace_core.calculus import dense

SIZES = (0, 1, 2, 5, 40)


def spread(n):
    A = np.random.default_rng(n).normal(size=(n + 3, n))
    return A.T @ A + np.eye(n)


@pytest.mark.parametrize("n", SIZES)
def test_symmetric_matrices(n):
    A = spread(n)
    np.testing.assert_allclose(dense.cholesky(A), np.linalg.cholesky(A), rtol=1e-12, atol=1e-12)
    values, vectors = dense.eigh(A)
    np.testing.assert_allclose(values, np.linalg.eigh(A)[0], rtol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, A, atol=1e-12 * (1.0 + n))


@pytest.mark.parametrize("shape", [(0, 3), (2, 3), (3, 3), (50, 4), (4000, 4), (5, 0)])
def test_rectangles(shape):
    A = np.random.default_rng(1).normal(size=shape)
    R = dense.triangle(A)
    assert R.shape == np.linalg.qr(A, mode="r").shape
    np.testing.assert_allclose(R.T @ R, A.T @ A, atol=1e-10)
    assert np.array_equal(R, np.triu(R))
    expected = np.linalg.svd(A, compute_uv=False)
    np.testing.assert_allclose(dense.singular_values(A), expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [-np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros((1, 1))])
def test_what_is_not_positive_definite_is_refused(bad):
    with pytest.raises(np.linalg.LinAlgError):
        dense.cholesky(bad)
    assert dense.solution(bad, np.ones(len(bad))) is None


def test_a_solution_is_one_of_a_matrix_that_is_clearly_positive_definite():
    A, b = spread(4), np.arange(4.0)
    size = np.sqrt(np.diagonal(A))
    A = A / size / size[:, None]
    np.testing.assert_allclose(dense.solution(A, b), np.linalg.solve(A, b), rtol=1e-12)
    almost = 1.0 - 1e-10
    assert dense.solution(np.array([[1.0, almost], [almost, 1.0]]), np.ones(2)) is None
    assert dense.solution(np.zeros((0, 0)), np.zeros(0)).size == 0
