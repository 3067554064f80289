"""Several hypotheses at once, from matrices by hand: redundant ones, and units that are unlike."""

import numpy as np

from interlace.inference.quadratic_forms import Uncorrelated
from interlace.inference.small_samples import _fai_cornelius


def test_no_more_combinations_are_made_than_hypotheses_are_independent():
    """The second row is the first but for what rounding left of it."""
    root = np.array([[1.0, 0.0], [1.0, 1e-6]])
    combined = Uncorrelated.of(root, 1).weights
    assert combined.shape == (1, 2)
    assert np.allclose(combined @ root @ root.T @ combined.T, 1.0)
    assert Uncorrelated.of(root).weights.shape == (2, 2)


def test_combinations_of_fai_and_cornelius_where_one_unit_hides_the_others():
    """A coefficient in units of 1e20 or 1e24: what is left of the others in L is rounding."""
    V = np.array([[1.0, 0.4, 0.1], [0.4, 1.0, -0.3], [0.1, -0.3, 1.0]])
    L = np.linalg.inv(np.linalg.cholesky(V))
    found = []
    for unit in (1e20, 1e24):
        scale = np.array([1.0, 1.0, unit])
        weights = _fai_cornelius(L * scale, np.ones(3) / scale)
        assert np.allclose(weights @ weights.T, np.eye(3))
        found.append(np.abs(weights))
    assert np.allclose(*found, atol=1e-9)
