"""Checks of `derivatives`: against jets, against differences, and only what was asked for."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from interlace_core.calculus.jets.density import differentiate_density
from interlace_core.calculus.jets.functions import UnsupportedFunctionError
from interlace_core.records import Array, Derivatives
from interlace_core.testing.differences import slope
from interlace_core.testing.family_sample import FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close

Key = tuple[int, ...]

STEP = 1e-3

TOL_REL_DIFFERENCES = 1e-7
"""Five-point differences with step 1e-3 have errors near 1e-12 for moderate predictors; the rest
is for densities that are themselves sums of series."""


def check_jets(case: FamilyCase) -> None:
    """Hold value and all partial derivatives against jets, for each order and set of predictors.

    The tolerance is relative to the summands of a partial, which the value and the partials up
    to its order show: a small difference of large terms cannot be better than these.
    """
    sample = case.sample
    reference = jets(sample)
    if reference is None:
        return  # log_density has a function without a rule; differences are the only witness
    use = np.isfinite(reference.value)  # the support may depend on the parameters
    for wrt in sample.subsets():
        for order in range(4):
            got = sample.derivatives(order, wrt)
            for key, partial in {(): got.value, **got.partials}.items():
                here = use | (key == ())
                expect_close(
                    np.where(here, partial, 0.0),
                    np.where(here, _partial(reference, key), 0.0),
                    what=f"partial derivative {key} (order={order}, wrt={wrt}), by jets,",
                    tol=case.tol_rel_derivatives,
                    scale=_scale(reference, len(key)),
                    advice="Compare derivatives() with log_density().",
                    describe=sample.describe,
                )


def check_differences(case: FamilyCase) -> None:
    """Hold each partial derivative against differences of the next lower order."""
    sample = case.sample
    got = sample.derivatives(3, sample.every)
    for key in _keys(len(sample.every)):
        if key not in got.partials or (key[:-1] and key[:-1] not in got.partials):
            continue  # what is missing is judged elsewhere
        wanted = _difference(sample, key)
        use = np.isfinite(got.value) & np.isfinite(wanted)
        expect(
            bool(2 * np.count_nonzero(use) >= use.size),
            "a finite density with finite slopes for most moderate predictors",
            f"{np.count_nonzero(use)} of {use.size} rows",
            "Give ranges= in which the density is defined.",
        )
        expect_close(
            np.where(use, got.partials[key], 0.0),
            np.where(use, wanted, 0.0),
            what=f"partial derivative {key}, by differences,",
            tol=TOL_REL_DIFFERENCES,
            scale=_scale(got, len(key)),
            advice="If log_density uses jets.compose(), check the derivatives given to it; "
            "otherwise check derivatives().",
            describe=sample.describe,
        )


def check_requested(case: FamilyCase) -> None:
    """Require partials of the requested predictors and orders only, and missing ones to be 0."""
    sample = case.sample
    missing: dict[Key, str] = {}
    for wrt in sample.subsets():
        for order in range(4):
            request = f"(order={order}, wrt={wrt})"
            keys = set(sample.derivatives(order, wrt).partials)
            asked = {key for key in _keys(len(sample.every)) if set(key) <= set(wrt)}
            asked = {key for key in asked if len(key) <= order}
            expect(
                keys <= asked,
                f"only sorted predictors among those asked for {request} as keys",
                f"also {sorted(keys - asked)}",
                "Leave out what was not asked for: the others are constants.",
            )
            missing |= {key: request for key in sorted(asked - keys)}
    for key, request in missing.items():
        _expect_zero(sample, key, request)


def jets(sample: Sample, order: int = 3) -> Derivatives | None:
    """Return value and partials of log_density by jets, or None where a rule is missing."""
    y, eta = sample.copies()
    try:
        with np.errstate(all="ignore"):
            return differentiate_density(sample.family.log_density, y, eta, order, sample.every)
    except UnsupportedFunctionError:
        return None


def _keys(K: int) -> list[Key]:
    return [key for m in (1, 2, 3) for key in combinations_with_replacement(range(K), m)]


def _partial(derivatives: Derivatives, key: Key) -> Array:
    if not key:
        return derivatives.value
    return derivatives.partials.get(key, np.zeros_like(derivatives.value))


def _scale(derivatives: Derivatives, order: int) -> Array:
    size = 1.0 + np.abs(derivatives.value)
    for key, partial in derivatives.partials.items():
        if len(key) <= order:
            size = np.maximum(size, np.abs(partial))
    return size


def _difference(sample: Sample, key: Key) -> Array:
    """Return a partial derivative as the slope of one of the next lower order."""
    k, lower = key[-1], key[:-1]

    def at(x: Array) -> Array:
        eta = sample.eta.copy()
        eta[k] = x
        moved = Sample(sample.family, sample.y, eta)
        if not lower:
            return moved.log_density()
        return _partial(moved.derivatives(len(lower), sample.every), lower)

    return np.asarray(slope(at, sample.eta[k], STEP))


def _expect_zero(sample: Sample, key: Key, request: str) -> None:
    """Require that a missing partial derivative is zero."""
    reference = jets(sample)
    wanted = _difference(sample, key) if reference is None else _partial(reference, key)
    wanted = np.where(np.isfinite(sample.log_density()), wanted, 0.0)
    size = float(np.max(np.abs(wanted) / _scale(sample.derivatives(3, sample.every), len(key))))
    expect(
        size <= TOL_REL_DIFFERENCES,
        f"partial derivative {key} {request}, which is not zero",
        "no such key, which says that it is zero for every observation",
        "Return it, or do not override derivatives().",
    )
