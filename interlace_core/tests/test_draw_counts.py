"""Poisson draws of any mean."""

import numpy as np
import pytest

from interlace_core.families import draw_counts


@pytest.mark.parametrize("mean", [3.0, 1e14, 3e15, 1e19, 1e40])
def test_mean_and_spread_are_those_of_the_distribution(mean):
    draws = draw_counts(np.full(4000, mean), np.random.default_rng(1))
    scaled = (draws - mean) / np.sqrt(mean)
    # beyond 1e32 numbers are further apart than the distribution is wide
    assert abs(np.mean(scaled)) < 0.08 or mean > 1e32
    assert abs(np.std(scaled) - 1.0) < 0.06 or mean > 1e32
    assert np.all(np.abs(draws / mean - 1.0) < 1e-6) or mean < 1e14
    assert np.all(draws == np.rint(draws)) and np.all(draws >= 0.0)


def test_ends_of_the_scale():
    draws = draw_counts(np.array([0.0, np.inf, 2.0]), np.random.default_rng(1))
    assert draws[0] == 0.0 and draws[1] == np.inf and np.isfinite(draws[2])
