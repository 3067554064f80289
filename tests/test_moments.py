"""Moments of columns over rows in any number of pieces."""

import numpy as np
import pytest

from interlace.data.moments import Moments


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shift", [0.0, 2010.0, 1e9])
def test_moments_of_pieces_are_those_of_all(weighted, shift):
    rng = np.random.default_rng(3)
    n = 500
    X = np.column_stack(
        [rng.normal(size=n) + shift, rng.random(n) < 0.3, np.ones(n), rng.integers(3, size=n)]
    )
    w = rng.integers(3, size=n).astype(float) if weighted else None
    cuts = np.split(np.arange(n), [3, 4, 100, 330])
    found = sum(
        (Moments.of(X[rows], None if w is None else w[rows]) for rows in cuts[1:]),
        Moments.of(X[cuts[0]], None if w is None else w[cuts[0]]),
    )
    rows = np.repeat(np.arange(n), np.ones(n, int) if w is None else w.astype(int))
    all_rows = X[rows]
    np.testing.assert_allclose(found.mean, all_rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.spread, all_rows.std(axis=0), rtol=1e-11 + 1e-16 * shift)
    used = [np.sqrt(np.mean(np.square(x[x != 0.0]))) for x in all_rows.T]
    np.testing.assert_allclose(found.size, used, rtol=1e-13)
    assert found.n == len(rows)
    assert found.least.tolist() == all_rows.min(axis=0).tolist()
    assert found.largest.tolist() == all_rows.max(axis=0).tolist()
    assert found.two.tolist() == [False, True, True, False]


def test_two_values_of_pieces_are_told_from_three():
    one, two, three = (Moments.of(np.array(x)) for x in ([1.0, 1.0], [1.0, 2.0], [1.5]))
    assert (one + two).two and (two + one).two and (one + three).two
    assert not (two + three).two and not (three + two).two
    assert not (one + three + two).two


def test_no_columns_have_none():
    assert Moments.of(np.zeros((4, 0))).mean.shape == (0,)


def test_no_rows_add_nothing():
    none = Moments.of(np.zeros((3, 2)), np.zeros(3))
    some = Moments.of(np.arange(6.0).reshape(3, 2))
    assert (none + some) is some and (some + none) is some
    assert none.spread.tolist() == [0.0, 0.0]
