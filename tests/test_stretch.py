"""The count of fill-in against a factorisation, and the probes against the determinant."""

import numpy as np
import pytest
import stretch


def test_fill_of_a_chain_and_of_a_star_is_none():
    chain = np.eye(30, k=1) + np.eye(30, k=-1) != 0
    star = np.zeros((30, 30), bool)
    star[0, 1:] = star[1:, 0] = True
    for pattern in (chain, star):
        # The factor of a tree has its edges and the diagonal; each pivot but the last has one.
        assert stretch.count_fill(pattern.copy()).filled == 30 + 29


def test_fill_of_a_grid_is_between_its_pattern_and_a_band():
    side = 12
    line = np.eye(side, k=1) + np.eye(side, k=-1)
    grid = np.kron(line, np.eye(side)) + np.kron(np.eye(side), line) != 0
    fill = stretch.count_fill(grid)
    band = side**2 * (side + 1)
    assert fill.nonzeros == side**2 + 2 * side * (side - 1)
    assert fill.nonzeros < fill.filled < band


def test_fill_of_a_dense_matrix_is_its_triangle():
    fill = stretch.count_fill(np.ones((20, 20), bool))
    assert (fill.nonzeros, fill.filled) == (210, 210)


def test_probes_estimate_the_determinant_without_bias():
    C = stretch.weighted_pairs(1_200, 200, 80)
    exact = stretch.exact_logdet(C, stretch.THETA)
    errors = [
        stretch.lanczos_logdet(C, stretch.THETA, stretch.probes(80, 20, seed=seed)) - exact
        for seed in range(30)
    ]
    # 30 independent estimates: a mean beyond 4 of its standard errors comes once in thousands.
    assert abs(np.mean(errors)) < 4 * np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert np.std(errors) < 1e-2 * abs(exact)


def test_the_exact_determinant_is_that_of_the_whole_curvature():
    C = stretch.weighted_pairs(120, 20, 8)
    cross = stretch.THETA[0] * C.toarray() * stretch.THETA[1]
    diagonal = [1 + t**2 * C.sum(axis=axis) for t, axis in zip(stretch.THETA, (1, 0), strict=True)]
    H = np.block([[np.diag(diagonal[0]), cross], [cross.T, np.diag(diagonal[1])]])
    assert stretch.exact_logdet(C, stretch.THETA) == pytest.approx(
        np.linalg.slogdet(H)[1], rel=1e-12
    )
