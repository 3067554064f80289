"""Compiled rows: who is joined with whom, what is asked of a kernel, and what is done without."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from callback_kernel import CallbackKernels, Counts

from interlace_core.calculus.links import Log
from interlace_core.contract import (
    Compiled,
    Composition,
    Parameter,
    Predictor,
    Problem,
    hookimpl,
)
from interlace_core.engine.compiled import BLOCK_ROWS, all_keys, compiled_rows, slots, wanted
from interlace_core.engine.joint_density import weighted_derivatives
from interlace_core.engine.parts import subset
from interlace_core.messages.errors import PluginWarning
from interlace_core.registry.registry import Registry
from interlace_core.testing import ConformanceError, kernel_checks


def problem(n=50, compiled=None, weights=None, seed=1):
    rng = np.random.default_rng(seed)
    y = rng.poisson(3.0, n).astype(float)
    mean = Predictor(Counts.parameters[0], np.ones((n, 1)), ("Intercept",), np.zeros(n))
    return Problem(y, weights, Counts(), (mean,), (), compiled=compiled)


def joined(kernels):
    return Compiled((kernels,), (kernels,))


@pytest.mark.parametrize("name, check", kernel_checks(CallbackKernels(), Counts()))
def test_a_kernel_that_calls_the_family_meets_the_kit(name, check):
    check()


def spoilt_value(key, values, constant):
    return values + 1e-8 if key == () else values


def spoilt_third(key, values, constant):
    return -values if key == (0, 0, 0) else values


def spoilt_constant(key, values, constant):
    return values * (1.0 + 1e-9) if constant else values


def clipped(key, values, constant):
    return np.clip(values, -1e8, 1e8)


@pytest.mark.parametrize(
    "spoil, check",
    [
        (spoilt_value, "every slot is that of derivatives"),
        (spoilt_third, "every slot is that of derivatives"),
        (spoilt_constant, "constant predictors change nothing"),
        (clipped, "slots of large counts"),
    ],
)
def test_the_kit_finds_a_faulty_twin(spoil, check):
    checks = dict(kernel_checks(CallbackKernels(spoil), Counts()))
    with pytest.raises(ConformanceError, match="slot|block"):
        checks[check]()


def test_the_kit_says_which_slot_is_not_offered():
    checks = dict(kernel_checks(CallbackKernels(code=2), Counts()))
    with pytest.raises(ConformanceError, match="not offered"):
        checks["every slot is that of derivatives"]()


def test_nothing_is_checked_where_nothing_was_built():
    assert kernel_checks(CallbackKernels(built=""), Counts()) == []


def looked_at(fast, kernels):
    """Have the first rows looked at, and forget that call."""
    assert compiled_rows(fast) is not None
    kernels.calls.blocks.clear()


@pytest.mark.parametrize("nodes", [(), (3,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_in_blocks_and_at_nodes_are_those_of_the_family(nodes, weighted):
    n = 2 * BLOCK_ROWS + 7
    kernels = CallbackKernels()
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    eta = [rng.normal(size=(*nodes, n))]
    plain, fast = problem(n, weights=weights), problem(n, joined(kernels), weights)
    looked_at(fast, kernels)
    expected, got = (weighted_derivatives(each, eta, 3, (0,)) for each in (plain, fast))
    np.testing.assert_array_equal(got.value, expected.value)
    for key in all_keys(3, (0,)):
        np.testing.assert_array_equal(got.partials[key], expected.partials[key])
    assert [size for size, *_ in kernels.calls.blocks[:3]] == [BLOCK_ROWS, BLOCK_ROWS, 7]
    assert len(kernels.calls.blocks) == 3 * int(np.prod(nodes))


def test_constants_are_added_and_parts_have_rows_of_their_own():
    kernels = CallbackKernels()
    whole = problem(20, joined(kernels))
    eta = [np.linspace(-1.0, 1.0, 20)]
    all_rows = weighted_derivatives(whole, eta, 1, (0,))
    rows = np.array([3, 1, 7])
    part = weighted_derivatives(subset(whole, rows), [eta[0][rows]], 1, (0,))
    np.testing.assert_array_equal(part.value, all_rows.value[rows])
    lifted = Problem(
        whole.y, None, whole.family, whole.predictors, (), np.arange(20.0), None, whole.compiled
    )
    np.testing.assert_array_equal(
        weighted_derivatives(lifted, eta, 1, (0,)).value, all_rows.value + np.arange(20.0)
    )


def test_only_what_is_wanted_is_asked_for_and_the_rest_when_it_is():
    kernels = CallbackKernels()
    few = problem(5, joined(kernels))
    looked_at(few, kernels)
    found = weighted_derivatives(few, [np.zeros(5)], 3, (0,), ())
    places = slots(1)
    assert kernels.calls.blocks == [(5, 1, (places[()], places[0,]))]
    assert list(found.partials) == [(0,)]
    assert found.get(0, 0) is not None and found.get(0, 1) is None
    assert kernels.calls.blocks[1:] == [(5, 1, (places[()], places[0, 0]))]


def test_wanted_leaves_out_what_no_gradient_needs():
    assert wanted(3, (0, 1), (0,)) == ((0,), (1,), (0, 0), (0, 1), (0, 0, 0), (0, 0, 1))
    assert wanted(2, (0, 1), None) == all_keys(2, (0, 1))


def test_a_slot_that_is_not_offered_comes_from_the_family():
    fast, eta = problem(5, joined(CallbackKernels(code=2))), [np.linspace(-1, 1, 5)]
    got, expected = (weighted_derivatives(p, eta, 2, (0,)) for p in (fast, problem(5)))
    np.testing.assert_array_equal(got.value, expected.value)
    np.testing.assert_array_equal(got.get(0, 0), expected.get(0, 0))


def test_a_kernel_that_fails_gives_no_number():
    fast = problem(5, joined(CallbackKernels(code=7)))
    assert np.all(np.isnan(weighted_derivatives(fast, [np.zeros(5)], 1, (0,)).value))


def test_a_kernel_of_another_convention_is_not_called():
    class Newer(CallbackKernels):
        def rows(self, family, y):
            return replace(super().rows(family, y), abi=2)

    assert compiled_rows(problem(5, joined(Newer()))) is None


def test_a_problem_is_pickled_without_addresses():
    fast = problem(5, joined(BuiltElsewhere()))
    assert compiled_rows(fast) is not None
    again = pickle.loads(pickle.dumps(fast))
    assert again.compiled is not None and compiled_rows(again) is not None
    assert compiled_rows(again) is not compiled_rows(fast)


class BuiltElsewhere(CallbackKernels):
    """Made anew wherever it is unpickled, as a library is loaded anew."""

    def __reduce__(self):
        return BuiltElsewhere, ()


class Mixed(Counts, Composition):
    """A composition whose parts have to be served too."""

    name = "mixture"

    def __init__(self, base=None):
        self.base = base

    @classmethod
    def of(cls, base):
        return cls(base)


class OwnLink(Log):
    """Somebody's own link of a known name."""

    name = "log"


class Relinked(Counts):
    parameters = (Parameter("mu", OwnLink(), role="mean"),)


class Unbuilt(CallbackKernels):
    name = "unbuilt"

    @property
    def build(self):
        return ""


def registry(families=(Counts,), kernels=(CallbackKernels,), distribution="local"):
    class Plugin:
        @hookimpl
        def interlace_families(self):
            return list(families)

        @hookimpl
        def interlace_kernels(self):
            return list(kernels)

    found = Registry(entry_points=[])
    found.register_plugin(Plugin(), distribution=distribution)
    return found


def test_a_family_is_joined_by_distribution_name_and_link():
    assert registry().compiled(Counts()).rows
    assert not registry(distribution="elsewhere").compiled(Counts()).rows
    assert not registry(families=()).compiled(Counts()).rows  # of no plugin
    assert not registry(families=(Relinked,)).compiled(Relinked()).rows


def test_a_composition_is_joined_where_its_parts_are():
    found = registry()
    found.register_plugin(Mixing(), distribution="local", name="mixing")
    assert found.compiled(Mixed(Counts())).rows
    assert not found.compiled(Mixed(Relinked())).rows


class Mixing:
    @hookimpl
    def interlace_compositions(self):
        return [Mixed]


def test_without_a_library_nothing_is_compiled():
    assert registry(kernels=()).compiled(Counts()) is None
    assert registry(kernels=(Unbuilt,)).compiled(Counts()) is None


def test_a_familys_own_kernel_comes_first():
    own = CallbackKernels()

    class Own(Counts):
        def row_kernel(self, y):
            return own.rows(self, y)

    compiled = registry(kernels=()).compiled(Own())
    assert compiled == Compiled()
    served = Problem(np.ones(3), None, Own(), problem(3).predictors, (), compiled=compiled)
    assert compiled_rows(served).origin == "family 'tally'"


def forgets_an_option(key, values, constant):
    return values + 1e-3 if key == (0, 0) else values


def test_a_kernel_that_computes_something_else_is_found_out_and_left_out():
    kernels = CallbackKernels(forgets_an_option)
    spoilt = problem(20, joined(kernels))
    with pytest.warns(PluginWarning, match="callback, Python: the compiled rows of family 'tally'"):
        assert compiled_rows(spoilt) is None
    eta = [np.linspace(-1.0, 1.0, 20)]
    got, expected = (weighted_derivatives(each, eta, 2, (0,)) for each in (spoilt, problem(20)))
    np.testing.assert_array_equal(got.get(0, 0), expected.get(0, 0))
    # once for a model and its refits
    calls = len(kernels.calls.blocks)
    assert compiled_rows(replace(spoilt, y=spoilt.y + 1.0)) is None
    assert len(kernels.calls.blocks) == calls


def test_rows_that_agree_are_looked_at_once_for_all_refits():
    kernels = CallbackKernels()
    first = problem(20, joined(kernels))
    assert compiled_rows(first) is not None
    calls = len(kernels.calls.blocks)
    assert compiled_rows(replace(first, y=first.y + 1.0)) is not None
    assert len(kernels.calls.blocks) == calls


def doubles(key, values, constant):
    return 2.0 * values


class TwoFunctions(CallbackKernels):
    """Kernels with a function of its own for large counts, which is wrong."""

    def rows(self, family, y):
        if np.max(y) < 100.0:
            return super().rows(family, y)
        return self.large.rows(family, y)


def test_a_function_that_other_data_are_given_is_looked_at_for_itself():
    kernels = TwoFunctions()
    object.__setattr__(kernels, "large", CallbackKernels(doubles))
    first = problem(20, joined(kernels))
    assert compiled_rows(first) is not None
    with pytest.warns(PluginWarning, match="are not those of its"):
        assert compiled_rows(replace(first, y=first.y + 1000.0)) is None
    assert compiled_rows(replace(first, y=first.y + 1.0)) is not None


def test_where_nothing_can_be_compared_the_next_model_is_looked_at():
    kernels = CallbackKernels(forgets_an_option)
    first = problem(20, joined(kernels))
    nowhere = replace(first, predictors=tuple(
        replace(each, offset=np.full(20, np.nan)) for each in first.predictors
    ))  # fmt: skip
    assert compiled_rows(nowhere) is not None
    with pytest.warns(PluginWarning, match="are not those of its"):
        assert compiled_rows(first) is None
