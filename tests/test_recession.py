"""Directions of recession: the linear programme's answers against exact arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from exact_separation import exact_sets, is_separated
from interlace.diagnostics.recession import FIRST_ROWS, Cone, distinct_rows, separating_sets


def small_rows(seed):
    """Return rows of small whole numbers, so that ties, zero rows and dependent columns occur."""
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 6))
    size = int(rng.integers(1, 4))
    rising = rng.integers(-size, size + 1, (int(rng.integers(0, 12)), p))
    still = rng.integers(-size, size + 1, (int(rng.integers(0, 4)), p))
    return rising, still * (rng.random() < 0.5)


@pytest.mark.parametrize("block", range(4))
def test_the_answer_is_that_of_exact_arithmetic(block):
    yes = 0
    for seed in range(150 * block, 150 * (block + 1)):
        rising, still = small_rows(seed)
        cone = Cone(rising.astype(float), still.astype(float))
        columns = range(rising.shape[1])
        expected = is_separated(rising, still)
        assert cone.has_direction(columns) == expected, seed
        sets = separating_sets(cone, [0], columns[1:])
        assert [*sets] == exact_sets(rising, still, [0], [*columns[1:]]), seed
        yes += expected
    assert 20 < yes < 130  # both answers occur


@pytest.mark.parametrize("seed", range(20))
def test_columns_far_from_0_in_any_units(seed):
    """x becomes a x + c beside a column of ones, c up to a million of its spreads."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(80, int), rng.integers(-50, 51, (80, 3))])
    score = X[:, 1] + X[:, 2] * (seed % 3) - 3
    up = score > 0
    if seed % 2:
        up = up ^ (rng.random(80) < 0.2)  # overlap
    sign = np.where(up, 1, -1)[:, None]
    expected = exact_sets(sign * X, X[:0], [0], [1, 2, 3])
    scale, shift = 10.0 ** rng.uniform(-9, 9, 3), 10.0 ** rng.uniform(0, 6, 3) * 30.0
    moved = X.astype(float)
    moved[:, 1:] = (X[:, 1:] + np.round(shift)) * scale
    assert [*separating_sets(Cone(sign * moved, moved[:0]), [0], [1, 2, 3])] == expected
    assert bool(expected) == (seed % 2 == 0)


def test_one_row_of_many_is_enough_to_overlap():
    """The programme starts with a few rows, and takes in those that its answer violates."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.normal(size=50 * FIRST_ROWS))
    X = np.column_stack([np.ones(x.size), x])
    up = x > 0.3
    assert Cone(np.where(up[:, None], X, -X), X[:0]).has_direction([0, 1])
    odd = np.flatnonzero(up)[3]
    up[odd] = False
    assert not Cone(np.where(up[:, None], X, -X), X[:0]).has_direction([0, 1])


def test_one_row_of_many_is_enough_to_move():
    """All rows but one tie: the direction that moves that one is found."""
    X = np.column_stack([np.ones(4000), np.arange(4000) == 7])
    up = np.arange(4000) % 2 == 0
    rising = np.concatenate([X[up], -X[~up]])
    assert separating_sets(Cone(rising, X[:0]), [0], [1]) == ((1,),)


@pytest.mark.parametrize("gap", [1e-3, 1e-6])
def test_a_narrow_gap_is_told_from_a_narrow_overlap(gap):
    x = np.concatenate([np.linspace(-1.0, -gap, 50), np.linspace(gap, 1.0, 50)])
    X = np.column_stack([np.ones(100), x])
    for swap, expected in ((False, True), (True, False)):
        up = x > 0
        if swap:
            up[[49, 50]] = up[[50, 49]]
        cone = Cone(np.where(up[:, None], X, -X), X[:0])
        assert cone.has_direction([0, 1]) == expected


def test_an_outlier_does_not_make_a_small_move_none():
    """Rows that have to stay differ by 1e-7 of the spread: they stay only if the column does."""
    x = np.concatenate([np.linspace(0.0, 1.0, 40), [1e7]])
    X = np.column_stack([np.ones(41), x])
    assert not Cone(-X[40:], X[:40]).has_direction([0, 1])
    X[:40, 1] = 1.0
    assert Cone(-X[40:], X[:40]).has_direction([0, 1])


def test_nothing_to_say_gives_no_direction():
    nothing = np.zeros((0, 2))
    assert not Cone(nothing, nothing).has_direction([0, 1])
    assert not Cone(nothing, np.ones((3, 2))).has_direction([0, 1])
    assert not Cone(np.zeros((3, 2)), nothing).has_direction([0, 1])
    assert not Cone(np.ones((3, 2)), nothing).has_direction([])


def test_rows_are_taken_once():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [2.0, 1.0]])
    assert distinct_rows(rows).tolist() == [[1.0, 2.0], [3.0, 4.0], [2.0, 1.0]]
