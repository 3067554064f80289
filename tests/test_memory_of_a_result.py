"""What a result keeps of many rows: its own, and no copies that can be made again."""

import gc
import weakref

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


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_what_was_made_of_a_layout_goes_with_it(monkeypatch, scale):
    """Cross-products of a linear model, which hold the layout."""
    data = frame("gaussian").eval(f"x = {scale} * x")
    few = interlace.fit("y ~ x + (x | g)", data)
    monkeypatch.setattr(layouts, "MANY_ROWS", 10)
    many = interlace.fit("y ~ x + (x | g)", data)
    held = standard_of(many.training.problem).problem.cache.values()
    assert all(each is None or isinstance(each, (str, bool)) for each in held)
    assert many.settings["structure"] == few.settings["structure"]
    assert str(many.summary()) == str(few.summary())


def test_a_family_keeps_no_response_of_its_own():
    m = interlace.glmer("y ~ x + (1 | g)", frame("binomial"), "binomial", weights="trials")
    assert np.shares_memory(m.family.trials, m.training.problem.y)


@pytest.mark.parametrize("kind", ["poisson", "gaussian"])
def test_rows_are_let_go_without_a_collection_of_cycles(monkeypatch, kind):
    """A compiled objective and its function in C do not hold each other."""
    monkeypatch.setattr(layouts, "MANY_ROWS", 10)
    seen = []
    of = Layout.of

    def noted(*given):
        made = of(*given)
        seen.append(weakref.ref(made))
        return made

    monkeypatch.setattr(Layout, "of", noted)
    gc.collect()
    gc.disable()
    try:
        if kind == "gaussian":
            interlace.fit("y ~ x + (1 | g)", frame(kind))
        else:
            interlace.glmer("y ~ x + (1 | g)", frame(kind), kind)
        assert seen
        assert not any(each() for each in seen)
    finally:
        gc.enable()
