"""Check of what a family says about log-concavity: Hessians near and far."""

from __future__ import annotations

import numpy as np

from interlace_core.records import Array, BoolArray, Derivatives
from interlace_core.testing.family_sample import SEED, FamilyCase, Sample
from interlace_core.testing.verdicts import expect

WIDE = 6.0
"""Predictors are tried between minus and plus this, or as far inside the end of a domain: a
log-density that is not concave shows it where a response is unlikely."""

ROUNDS = 20
"""Draws of the predictors for each example response; at a fault that a quarter of the plane shows,
one round of them is enough."""

TOL_REL_CONCAVE = 1e-8
"""Largest eigenvalue that counts as 0, relative to value and derivatives: what rounding leaves of
a Hessian whose terms cancel."""

ADVICE = "Return False from log_concave() for these predictors: it says 'not known'."


def check_concavity(case: FamilyCase) -> None:
    """Hold the Hessian in each set of predictors that is said to be concave against that."""
    sample = _wide(case)
    claimed = [wrt for wrt in sample.subsets() if wrt and sample.family.log_concave(wrt)]
    for wrt in claimed:
        for k in wrt:
            expect(
                sample.family.log_concave((k,)),
                f"what is concave in predictors {wrt} jointly to be so in {(k,)}",
                f"log_concave({(k,)}) is False",
                "Answer for any set of predictors inside one for which you say True.",
            )
        got = sample.derivatives(2, wrt)
        curved = _curved(got, wrt) & _inside(case, sample)
        rows = np.flatnonzero(curved)
        expect(
            not rows.size,
            f"a log-density that is concave in predictors {wrt}, as log_concave() says",
            f"a Hessian with a positive eigenvalue in {rows.size} of {curved.size} rows, first at "
            f"{sample.describe((int(rows[0]),)) if rows.size else ''}",
            ADVICE,
        )


def _wide(case: FamilyCase) -> Sample:
    """Return every example response with predictors from moderate to unlikely ones."""
    near = case.sample
    rng = np.random.default_rng(SEED)
    raw = np.repeat(case.support.examples(), near.eta.shape[1] // len(case.support.examples()), 0)
    family, y = case.bound(np.concatenate([raw] * ROUNDS))
    eta = np.tile(near.eta, ROUNDS)
    for k in near.every:
        low, high = case.domain(family, k)
        wide: Array = np.asarray(rng.uniform(-WIDE, WIDE, eta.shape[1]))
        if np.isfinite(low):
            wide = low + 0.01 + np.abs(wide)
        elif np.isfinite(high):
            wide = high - 0.01 - np.abs(wide)
        eta[k] = np.where(rng.uniform(size=eta.shape[1]) < 0.7, wide, eta[k])
    return Sample(family, y, eta)


def _curved(got: Derivatives, wrt: tuple[int, ...]) -> BoolArray:
    """Return the rows whose Hessian has an eigenvalue above 0 by more than rounding."""
    H = np.zeros((got.value.size, len(wrt), len(wrt)))
    for a, k in enumerate(wrt):
        for b, m in enumerate(wrt):
            second = got.get(k, m)
            if second is not None:
                H[:, a, b] = second
    size = _size(got)
    use = np.isfinite(got.value) & np.isfinite(size)
    largest = np.linalg.eigvalsh(np.where(use[:, None, None], H, 0.0))[:, -1]
    return np.asarray(use & (largest > TOL_REL_CONCAVE * np.where(use, size, 1.0)))


def _size(got: Derivatives) -> Array:
    size = 1.0 + np.abs(got.value)
    for partial in got.partials.values():
        size = np.maximum(size, np.abs(partial))
    return size


def _inside(case: FamilyCase, sample: Sample) -> BoolArray:
    """Return the rows whose predictors are all inside of their domains."""
    inside = np.ones(sample.eta.shape[1], dtype=bool)
    for k in sample.every:
        low, high = case.domain(sample.family, k)
        inside &= (sample.eta[k] > low) & (sample.eta[k] < high)
    return inside
