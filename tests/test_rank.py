import numpy as np
import pytest

from interlace.data.rank import independent_columns


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_later_columns_go(rng):
    x, z = rng.normal(size=(2, 50))
    one = np.ones(50)
    X = np.column_stack([one, x, 2 * x - 3 * one, z, x + z])
    assert independent_columns(X).tolist() == [True, True, False, True, False]


def test_constant_and_zero_columns_go(rng):
    X = np.column_stack([np.ones(20), np.full(20, 7.0), np.zeros(20), rng.normal(size=20)])
    assert independent_columns(X).tolist() == [True, False, False, True]


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1.0, 1e12, 1e200])
def test_scale_does_not_matter(rng, scale):
    x, z = rng.normal(size=(2, 50))
    X = np.column_stack([np.ones(50), scale * x, z, scale * (x + 2)])
    assert independent_columns(X).tolist() == [True, True, True, False]


def test_years_and_dates_in_seconds_are_kept(rng):
    year = rng.integers(1990, 2020, size=500).astype(float)
    seconds = 1.6e9 + rng.uniform(0, 1e6, size=500)
    X = np.column_stack([np.ones(500), year, year**2, seconds])
    assert independent_columns(X).all()


def test_threshold_is_relative_to_the_column(rng):
    x, noise = rng.normal(size=(2, 200))
    for size, kept in [(1e-5, True), (1e-6, True), (1e-9, False)]:
        X = np.column_stack([np.ones(200), x, x + size * noise])
        assert independent_columns(X).tolist() == [True, True, kept]


def test_more_columns_than_rows(rng):
    X = rng.normal(size=(3, 5))
    assert independent_columns(X).tolist() == [True, True, True, False, False]


def test_no_columns():
    assert independent_columns(np.zeros((4, 0))).shape == (0,)


def test_rank_agrees_with_singular_values(rng):
    for _ in range(20):
        base = rng.normal(size=(30, 4))
        X = base @ rng.integers(-2, 3, size=(4, 7))
        scale = np.abs(X).max(axis=0)
        rank = np.linalg.matrix_rank(X / np.where(scale > 0, scale, 1.0))
        assert independent_columns(X).sum() == rank
