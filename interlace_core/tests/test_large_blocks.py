"""Products and inverses of blocks with many columns, against loops over levels."""

import numpy as np
import pytest

from interlace_core.engine.elimination.smallblocks import (
    LARGE_BLOCK,
    MANY_COLUMNS,
    NotPositiveDefiniteError,
    invert,
    sandwich,
)


@pytest.mark.parametrize("c", [MANY_COLUMNS - 1, MANY_COLUMNS, LARGE_BLOCK + 2])
@pytest.mark.parametrize("diagonal", [True, False])
def test_sandwiches_are_products_level_by_level(c, diagonal):
    rng = np.random.default_rng(1)
    T, S, A = rng.normal(size=(c, c)), rng.normal(size=(c, c)), rng.normal(size=(c, c, 3))
    if diagonal:
        A *= np.eye(c)[:, :, None]
    expected = np.stack([T.T @ A[:, :, level] @ S for level in range(3)], axis=-1)
    np.testing.assert_allclose(sandwich(T, A, S), expected, atol=1e-11)


@pytest.mark.parametrize("c", [3, LARGE_BLOCK, LARGE_BLOCK + 5])
def test_inverses_and_determinants(c):
    root = np.random.default_rng(2).normal(size=(4, c, c + 5))
    A = np.moveaxis(root @ root.transpose(0, 2, 1) + np.eye(c), 0, -1)
    inverse, logdet = invert(A)
    for level in range(4):
        np.testing.assert_allclose(A[:, :, level] @ inverse[:, :, level], np.eye(c), atol=1e-9)
    expected = sum(np.linalg.slogdet(A[:, :, level])[1] for level in range(4))
    assert logdet == pytest.approx(expected, rel=1e-12)
    for wrong in (-1.0, np.nan):
        broken = A.copy()
        broken[1, 1, 2] = wrong
        with pytest.raises(NotPositiveDefiniteError):
            invert(broken)
