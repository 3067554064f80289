"""BOBYQA on problems with known answers, and on bad luck."""

import numpy as np
import pytest

from interlace_bobyqa.bobyqa import BOBYQA
from interlace_core.errors import OptionError

FREE = (np.full(2, -np.inf), np.full(2, np.inf))


def rosenbrock(x):
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    return a**2 + 100.0 * b**2, np.array([-2.0 * a - 400.0 * x[0] * b, 200.0 * b])


def bowl(x):
    return float(np.sum((x - 0.3) ** 2)), 2.0 * (x - 0.3)


def test_rosenbrock_is_solved():
    result = BOBYQA().minimize(rosenbrock, np.array([-1.2, 1.0]), FREE)
    assert result.success
    assert result.x == pytest.approx([1.0, 1.0], abs=1e-2)


def test_an_active_bound_is_kept():
    asked = []

    def watched(x):
        asked.append(x.copy())
        return bowl(x)

    bounds = (np.array([0.5, -1.0]), np.array([2.0, 2.0]))
    result = BOBYQA().minimize(watched, np.array([1.0, 1.0]), bounds)
    assert result.x == pytest.approx([0.5, 0.3], abs=1e-3)
    assert all(np.all(x >= bounds[0]) and np.all(x <= bounds[1]) for x in asked)


def test_the_best_point_seen_is_returned():
    seen = []

    def watched(x):
        value, gradient = rosenbrock(x)
        seen.append(value)
        return value, gradient

    result = BOBYQA(max_evaluations=20).minimize(watched, np.array([-1.2, 1.0]), FREE)
    assert result.value == min(seen)
    assert rosenbrock(result.x)[0] == result.value


def test_a_spent_budget_is_not_success():
    result = BOBYQA(max_evaluations=7).minimize(rosenbrock, np.array([-1.2, 1.0]), FREE)
    assert not result.success
    assert result.message


def test_bad_options_are_all_named():
    with pytest.raises(OptionError, match="max_evaluations must be an integer of at least 1"):
        BOBYQA(max_evaluations=0)
