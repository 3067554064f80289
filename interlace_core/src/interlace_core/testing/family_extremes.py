"""Checks of the density far out, where a search may look on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from interlace_core.records import Array, BoolArray
from interlace_core.testing.differences import slope
from interlace_core.testing.family_sample import FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close

REL_STEP = 2.5e-4
"""Step of differences, in units of eta: 0.01 at 40, where exp(2 eta) is still differentiated to
1e-8."""

TOL_REL_VALUE = 1e-8

TOL_REL_SLOPE = 1e-6
TOL_ABS_SLOPE = 1e-8
TOL_ROUNDING = 1e-12
"""A slope may be off by so much of itself, by so much (a value that cancels to 0 is not 0), and
by so much of the value (rounding divided by the step)."""

TOL_PROBABILITY = 1.0
"""Above 0: what is looked for grows with the predictor. A constant that is lost is of the order of
1, and found by the sum of the density."""

HOPELESS = 1e100
"""A log-density below minus this only tells a search to turn back; its slope is not looked at,
and a family may keep it finite by bounding its exponentials."""

ROW_ADVICE = (
    "Write tails with log1p, expm1, logaddexp and log_expit; use the same branch for value and "
    "derivatives."
)


def check_values(case: FamilyCase) -> None:
    """Require a value that is no NaN, the same in both methods, with derivatives if finite."""
    for sample, k, size in _far(case):
        defined = _defined(case, sample)
        value, got = sample.log_density(), sample.derivatives(3, sample.every)
        where = f"at eta[{k}] = {size:g}"
        for name, values in (("log_density()", value), ("derivatives().value", got.value)):
            expect(
                not np.any(np.isnan(values[defined])),
                f"no NaN from {name} {where}",
                _rows(sample, np.isnan(values) & defined),
                ROW_ADVICE,
            )
        expect_close(
            np.where(defined, got.value, 0.0),
            np.where(defined, value, 0.0),
            what="the value of derivatives(), that of log_density(),",
            tol=TOL_REL_VALUE,
            scale=1.0 + np.abs(value),
            advice=ROW_ADVICE,
            describe=sample.describe,
        )
        for key, values in got.partials.items():
            bad = np.isnan(values) & np.isfinite(value) & defined
            expect(
                not np.any(bad),
                f"no NaN in partial derivative {key} {where}, where the value is finite",
                _rows(sample, bad),
                ROW_ADVICE,
            )


def check_probabilities(case: FamilyCase) -> None:
    """Require of outcomes that have a probability that its logarithm is nowhere above 0."""
    certain = _has_probability(case, case.sample)
    sample = replace(case.sample, y=case.sample.y[certain], eta=case.sample.eta[:, certain])
    for corner in product(
        (None, *(s * e for e in case.extremes for s in (-1, 1))), repeat=len(sample.every)
    ):
        eta = sample.eta.copy()
        for k, far in enumerate(corner):
            if far is not None:
                eta[k] = far
        there = replace(sample, eta=eta)
        value = there.log_density()
        bad = _defined(case, there) & (value > TOL_PROBABILITY)
        expect(
            not np.any(bad),
            "log-probabilities of at most 0",
            "".join(f"{value[i]:.6g} at {there.describe((i,))}" for i in np.flatnonzero(bad)[:1]),
            "Clip sums of exponents, not their terms, and see that the probabilities add up to 1.",
        )


def check_branches(case: FamilyCase) -> None:
    """Require that the first derivatives are the slopes of the value, on the same branch."""
    for sample, k, far in _far(case):
        step = REL_STEP * abs(far)
        wanted = np.asarray(slope(partial(_value_at, sample, k), sample.eta[k], step))
        score = sample.derivatives(1, (k,)).get(k)
        got = np.zeros_like(wanted) if score is None else np.broadcast_to(score, wanted.shape)
        value = sample.log_density()
        use = (np.abs(value) < HOPELESS) & np.isfinite(wanted)
        for end in (-2.0, 2.0):
            use &= _defined(case, _moved(sample, k, sample.eta[k] + end * step))
        wanted, value = np.where(use, wanted, 0.0), np.where(use, value, 0.0)
        tolerance = TOL_REL_SLOPE * np.abs(wanted) + TOL_ROUNDING * np.abs(value) + TOL_ABS_SLOPE
        expect_close(
            np.where(use, got, 0.0),
            wanted,
            what=f"the first derivative in eta[{k}], the slope of log_density(),",
            tol=1.0,
            scale=tolerance,
            advice="Clip value and derivatives alike, or neither.",
            describe=sample.describe,
        )


def _has_probability(case: FamilyCase, sample: Sample) -> BoolArray:
    """Return the rows whose response is an isolated point of the support."""
    if case.support.interval is None:
        return np.ones(len(sample.y), dtype=bool)
    return np.isin(sample.y, case.support.masses)


def _far(case: FamilyCase) -> Iterator[tuple[Sample, int, float]]:
    """Yield the sample with one predictor far out, for each predictor, size and sign."""
    sample = case.sample
    for k in sample.every:
        for size in case.extremes:
            for far in (size, -size):
                eta = sample.eta.copy()
                eta[k] = far
                yield Sample(sample.family, sample.y, eta), k, far


def _value_at(sample: Sample, k: int, x: Array) -> Array:
    return _moved(sample, k, x).log_density()


def _moved(sample: Sample, k: int, x: Array) -> Sample:
    eta = sample.eta.copy()
    eta[k] = x
    return Sample(sample.family, sample.y, eta)


def _defined(case: FamilyCase, sample: Sample) -> BoolArray:
    """Return the rows whose predictors are inside of their domains."""
    inside = np.ones(sample.eta.shape[1], dtype=bool)
    for k in sample.every:
        low, high = case.domain(sample.family, k)
        inside &= (sample.eta[k] > low) & (sample.eta[k] < high)
    return inside


def _rows(sample: Sample, bad: BoolArray) -> str:
    rows = np.flatnonzero(bad)
    first = f", first at {sample.describe((int(rows[0]),))}" if rows.size else ""
    return f"NaN in {rows.size} of {bad.size} rows{first}"
