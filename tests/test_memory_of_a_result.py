"""What a result keeps of many rows: its own, and no copies that can be made again."""

import numpy as np
import pytest

import interlace
from interlace_core.engine import layout as layouts
from interlace_core.engine.layout import Layout
from interlace_core.fitting.standard import standard_of
from test_compiled_objective import frame


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_sorted_copies_of_many_rows_are_let_go(monkeypatch, scale):
    data = frame("poisson").eval(f"x = {scale} * x")
    few = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert Layout in standard_of(few.training.problem).problem.cache
    monkeypatch.setattr(layouts, "MANY_ROWS", 10)
    many = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert Layout not in standard_of(many.training.problem).problem.cache
    # whoever asks gets it made again
    assert many.settings == few.settings
    assert str(many.summary()) == str(few.summary())
    np.testing.assert_allclose(many.bootstrap(3, seed=1).values, few.bootstrap(3, seed=1).values)


def test_what_was_made_of_a_layout_keeps_it(monkeypatch):
    """Cross-products of a linear model are the better part of its fit."""
    monkeypatch.setattr(layouts, "MANY_ROWS", 10)
    m = interlace.fit("y ~ x + (1 | g)", frame("gaussian"))
    assert Layout in m.training.problem.cache


def test_a_family_keeps_no_response_of_its_own():
    m = interlace.glmer("y ~ x + (1 | g)", frame("binomial"), "binomial", weights="trials")
    assert np.shares_memory(m.family.trials, m.training.problem.y)
