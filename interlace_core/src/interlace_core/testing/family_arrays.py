"""Checks of arrays in and out: nothing given is changed, shapes broadcast, float64 stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from interlace_core.contract.composition import Composition
from interlace_core.contract.family import Family
from interlace_core.records import Array
from interlace_core.testing.family_sample import FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close

TOL_SAME = 1e-12
"""Rounding may differ with the shape, by vector instructions."""

LAYERS = np.array([0.0, 0.05, 0.1])
"""Shifts of a predictor along a leading axis."""

MOMENTS = ("mean", "variance", "conditional_mean")

OPTIONAL = ("variance", "conditional_mean", "simulate", "cdf", "recession_forms")


NEEDS_PARTS = ("variance", "simulate", "cdf")
"""What a composition can do only if the families that it is made of can."""


def offers(family: Family, method: str) -> bool:
    """Return whether a family has a method of its own, and so have those that it is made of."""
    own = getattr(type(family), method) is not getattr(Family, method)
    parts = family.inside if isinstance(family, Composition) and method in NEEDS_PARTS else ()
    return own and all(offers(part, method) for part in parts)


def check_inputs(case: FamilyCase) -> None:
    """Require that no method changes the arrays it is given."""
    raw = np.repeat(case.support.examples(), 2, axis=0)
    family, y = case.bound(raw)
    weights, eta = np.linspace(0.5, 2.0, raw.shape[0]), case.sample_of(raw).eta
    arrays = {"the response": raw, "y": y, "weights": weights, "eta": eta}
    calls: dict[str, Callable[[], object]] = {
        "check_response": lambda: case.family.check_response(raw, weights),
        "bind": lambda: case.family.bind(y),
        "observed": lambda: family.observed(y),
        "start": lambda: family.start(y, weights),
        "log_density": lambda: family.log_density(y, list(eta)),
        "derivatives": lambda: family.derivatives(y, list(eta), 3, tuple(range(len(eta)))),
        "mean": lambda: family.mean(list(eta)),
        "variance": lambda: family.variance(list(eta)),
        "conditional_mean": lambda: family.conditional_mean(list(eta)),
        "simulate": lambda: family.simulate(list(eta), np.random.default_rng(0)),
        "cdf": lambda: family.cdf(y, list(eta)),
    }
    for name, call in calls.items():
        if name not in OPTIONAL or offers(family, name):
            _expect_untouched(name, call, arrays)


def _expect_untouched(name: str, call: Callable[[], object], arrays: dict[str, Array]) -> None:
    before = {what: array.copy() for what, array in arrays.items()}
    with np.errstate(all="ignore"):
        call()
    for what, array in arrays.items():
        expect(
            np.array_equal(before[what], array),
            f"{name}() to leave {what} as it was",
            "changed values",
            "Work on a copy: in-place operators and out= change the caller's array.",
        )


def check_shapes(case: FamilyCase) -> None:
    """Require float64 of shape (n,), and of (J, n) where one predictor has J leading rows.

    Also of n = 0: of a group whose responses are all zeros, a hurdle has no other rows.
    """
    sample = case.sample
    _check_no_rows(sample)
    n = sample.y.shape[0]
    for name, call in _methods(sample).items():
        _expect_array(name, call(sample.copies()[1]), [(n,)])
        for k in sample.every:
            stacked: list[Array] = sample.copies()[1]
            stacked[k] = sample.eta[k] + LAYERS[:, None]
            together = call([e.copy() for e in stacked])
            # a moment need not depend on every predictor
            moment = name in MOMENTS and k > 0
            shapes = [(LAYERS.size, n), (n,)] if moment else [(LAYERS.size, n)]
            _expect_array(f"{name} with eta[{k}] of shape {(LAYERS.size, n)}", together, shapes)
            layers = np.stack([call(_layer(sample, k, shift)) for shift in LAYERS])
            expect_close(
                together,
                layers,
                what=f"{name} with leading axes, the same as layer by layer,",
                tol=TOL_SAME,
                scale=1.0 + np.abs(layers),
                advice="Sum or select along the last axis only.",
            )


def _check_no_rows(sample: Sample) -> None:
    """Require empty answers for an empty part of the rows."""
    none = Sample(sample.family, sample.y[:0], sample.eta[:, :0])
    for name, call in _methods(none).items():
        if name in MOMENTS:  # of every row that the family is bound to
            continue
        for shape in ((0,), (LAYERS.size, 0)):
            what = f"{name} of no rows, with predictors of shape {shape},"
            try:
                answer = call([np.empty(shape) for _ in sample.eta])
            except (ValueError, IndexError) as error:
                expect(False, f"{what} to be empty", repr(error), "Let n be 0.")
            else:
                _expect_array(what, answer, [shape])


def _layer(sample: Sample, k: int, shift: float) -> list[Array]:
    eta = sample.copies()[1]
    eta[k] = eta[k] + shift
    return eta


def _methods(sample: Sample) -> dict[str, Callable[[list[Array]], Any]]:
    """Return what gives one number per row, as functions of the predictors."""
    family, y = sample.family, sample.y
    methods: dict[str, Callable[[list[Array]], Any]] = {
        "log_density": lambda eta: family.log_density(y.copy(), eta),
        "derivatives": lambda eta: _value_of_derivatives(sample, eta),
        "mean": family.mean,
    }
    if offers(family, "variance"):
        methods["variance"] = family.variance
    if offers(family, "conditional_mean"):
        methods["conditional_mean"] = family.conditional_mean
    if offers(family, "cdf"):
        methods["cdf"] = lambda eta: family.cdf(y.copy(), eta)
    return methods


def _value_of_derivatives(sample: Sample, eta: Sequence[Array]) -> Array:
    """Return the value, after a look at the shapes of the partial derivatives."""
    with np.errstate(all="ignore"):
        got = sample.family.derivatives(sample.y.copy(), eta, 3, sample.every)
    for key, partial in got.partials.items():
        fits = np.broadcast_shapes(partial.shape, got.value.shape) == got.value.shape
        expect(
            fits and partial.dtype == np.float64,
            f"partial derivative {key} as float64 that broadcasts to {got.value.shape}",
            f"{partial.dtype} of shape {partial.shape}",
            "Let y and all predictors broadcast.",
        )
    return got.value


def _expect_array(name: str, values: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    expect(
        isinstance(values, np.ndarray) and values.shape in shapes and values.dtype == np.float64,
        f"{name} to return a float64 array of shape {shapes[0]}",
        f"{type(values).__name__} {getattr(values, 'dtype', '')} of shape {np.shape(values)}",
        "Let y and all predictors broadcast, and keep their precision.",
    )
