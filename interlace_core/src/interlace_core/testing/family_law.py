"""Checks of the density as a law: total, moments, simulation and distribution function."""

from __future__ import annotations

import numpy as np

from interlace_core.records import Array
from interlace_core.testing.family_sample import SEED, FamilyCase
from interlace_core.testing.laws import Law
from interlace_core.testing.verdicts import expect, expect_close

TOL_TOTAL = 1e-8
"""Integrals and sums are taken to 1e-11; the rest is for densities that are series."""

TOL_REL_MOMENT = 1e-6
"""Second moments of heavy tails are integrated less exactly than the density."""

TOL_CDF = 1e-8

STANDARD_ERRORS = 5.0
"""Of a simulated moment. With the fixed seed a family that is right passes or fails for good;
a chance failure has probability 6e-7 per moment and point."""


def check_total(case: FamilyCase) -> None:
    """Require that the density, with all constants, has total 1."""
    expect_close(
        case.law.moments[0],
        1.0,
        what="sum or integral of the density over the support to be",
        tol=TOL_TOTAL,
        advice="Look for a missing constant, and check that support= is the family's.",
    )


def check_mean(case: FamilyCase) -> None:
    """Hold `mean` against the sum or integral of y times the density."""
    _check_moment(case, 1, "mean", np.asarray(case.law.family.mean(case.law.points())))


def check_variance(case: FamilyCase) -> None:
    """Hold `variance` against the second moment of the density."""
    _check_moment(case, 2, "variance", np.asarray(case.law.family.variance(case.law.points())))


def check_simulated_moments(case: FamilyCase) -> None:
    """Hold averages and variances of draws against the density's, in standard errors."""
    R, N = case.law.eta.shape[1], case.draws
    law = case.law_at(np.repeat(case.law.eta, N, axis=1))
    draws = law.family.simulate(law.points(), np.random.default_rng(SEED))
    values = np.asarray(law.family.observed(draws), np.float64).reshape(R, N)
    average, variance = np.mean(values, axis=1), np.var(values, axis=1, ddof=1)
    fourth = np.mean((values - average[:, None]) ** 4, axis=1)
    errors = (np.sqrt(variance / N), np.sqrt(np.maximum(fourth - variance**2, 0.0) / N))
    _, mean, second = case.law.moments
    for name, got, wanted, error in zip(
        ("average", "variance"), (average, variance), (mean, second), errors, strict=True
    ):
        finite = np.isfinite(np.asarray(case.law.family.mean(case.law.points())))
        expect_close(
            got[finite],
            wanted[finite],
            what=f"{name} of {N} simulated responses, by the density,",
            tol=STANDARD_ERRORS,
            scale=np.maximum(error, 1e-12)[finite],
            advice="simulate() draws from another distribution than log_density() describes.",
        )


def check_cdf_range(case: FamilyCase) -> None:
    """Require a rising cdf between 0 and 1, also far out in the response and in the mean."""
    law = case.law
    raw = np.sort(case.support.examples(), axis=0) if law.raw.ndim == 1 else case.support.listed(0)
    for far in (0.0, *case.extremes[:1], *(-e for e in case.extremes[:1])):
        eta = law.eta.copy()
        if far:
            eta[0] = far
        low, high = case.domain(law.family, 0)
        if low < far < high or not far:
            where = f"at eta[0] = {far:g}" if far else "at moderate predictors"
            _expect_rising(_cdf(case.law_at(eta), _beyond(case, raw)), where)


def check_cdf(case: FamilyCase) -> None:
    """Hold `cdf` against sums and integrals of the density."""
    law = case.law
    raw = np.sort(case.support.examples(), axis=0) if law.raw.ndim == 1 else case.support.listed(0)
    expect_close(
        _cdf(law, case.family.check_response(raw, None).y),
        law.distribution(raw),
        what="P(Y <= y), summed or integrated from the density,",
        tol=TOL_CDF,
        advice="Check the ends, and whether y itself is included: cdf is P(Y <= y).",
    )


def _cdf(law: Law, y: Array) -> Array:
    """Return the cdf at all points and all values, shape (R, m)."""
    columns = [np.repeat(value[None], law.eta.shape[1], axis=0) for value in y]
    with np.errstate(all="ignore"):
        return np.stack([np.asarray(law.family.cdf(c, law.points())) for c in columns], axis=1)


def _expect_rising(F: Array, where: str) -> None:
    advice = "cdf(y) is P(Y <= y): 0 before the support, 1 after it, never NaN."
    expect(bool(np.all((F >= 0.0) & (F <= 1.0))), f"cdf in [0, 1] {where}", _range(F), advice)
    falls = -np.minimum(np.diff(F, axis=1), 0.0)
    expect(
        bool(np.all(falls <= 1e-12)),
        f"cdf that does not fall {where}",
        f"a fall of {np.max(falls, initial=0.0):.2g}",
        advice,
    )


def _beyond(case: FamilyCase, raw: Array) -> Array:
    """Return checked responses, with values before and after the support for plain numbers."""
    y = case.family.check_response(raw, None).y
    if y.ndim > 1:
        return y
    interval = case.support.interval or (0.0, np.inf)
    before = interval[0] - 1.0 if np.isfinite(interval[0]) else -50.0
    after = interval[1] + 1.0 if np.isfinite(interval[1]) else 1e4
    return np.concatenate([[before], y, [after]])


def _range(F: Array) -> str:
    return f"values from {np.min(F):.12g} to {np.max(F):.12g}"


def _check_moment(case: FamilyCase, order: int, name: str, got: Array) -> None:
    wanted = case.law.moments
    use = np.isfinite(got)
    expect(bool(use.any()), f"a finite {name} somewhere", got, "Give ranges= where it exists.")
    expect_close(
        got[use],
        wanted[order][use],
        what=f"{name}, by the density,",
        tol=TOL_REL_MOMENT,
        scale=(np.abs(wanted[1]) + np.sqrt(np.abs(wanted[2])))[use] ** order,
        advice=f"Check {name}(), or give ranges= where it exists and is finite.",
    )
