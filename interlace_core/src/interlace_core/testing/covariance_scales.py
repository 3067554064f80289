"""Checks of a covariance structure's numbers for users, and of theta in other units."""

from __future__ import annotations

import numpy as np

from interlace_core.testing.covariance_case import CovarianceCase, thetas_of
from interlace_core.testing.verdicts import expect, expect_close

TOL_SAME = 1e-9
"""Rounding, and what a square root makes of it near an end of its range."""


def check_natural(case: CovarianceCase) -> None:
    """Require as many names as parameters, and numbers that the covariance alone decides."""
    for covariance, where in case.each():
        columns = [f"x{k}" for k in range(covariance.size)]
        names = covariance.names(columns)
        expect(
            len(set(names)) == len(names) == covariance.n_theta
            and all(isinstance(name, str) for name in names),
            f"{covariance.n_theta} distinct names {where}",
            names,
            "One for each number of natural().",
        )
        inside = thetas_of(covariance)
        mirrored = [-theta for theta in inside] if covariance.crosses_bounds else []
        for theta in (*inside, *mirrored):
            found = np.asarray(covariance.natural(theta))
            expect(
                found.shape == (covariance.n_theta,) and bool(np.all(np.isfinite(found))),
                f"natural() of {covariance.n_theta} finite numbers {where}",
                found,
                "A correlation with what does not vary is 0.",
            )
            expect_close(
                found,
                np.asarray(covariance.natural(covariance.canonical(theta))),
                what=f"natural() of theta, as of canonical(theta), {where}",
                tol=TOL_SAME,
                scale=1.0 + np.max(np.abs(found), initial=0.0),
                advice="The same covariance has the same standard deviations and correlations.",
            )


KINDS = ("sd", "correlation", "positive", "real")


def check_kinds(case: CovarianceCase) -> None:
    """Require a kind for each number, and numbers that are of their kinds."""
    for covariance, where in case.each():
        kinds = tuple(covariance.kinds())
        expect(
            len(kinds) == covariance.n_theta and set(kinds) <= set(KINDS),
            f"one of {', '.join(KINDS)} for each of {covariance.n_theta} numbers {where}",
            kinds,
            "Check kinds().",
        )
        for theta in thetas_of(covariance):
            for name, kind, value in zip(
                covariance.names([f"x{k}" for k in range(covariance.size)]),
                kinds,
                covariance.natural(theta),
                strict=True,
            ):
                fits = kind == "real" or (
                    abs(value) <= 1.0 if kind == "correlation" else value >= 0
                )
                expect(
                    bool(fits),
                    f"a number {name!r} of its kind, {kind}, {where}",
                    value,
                    "Intervals are made on the scale of the kind: log, or Fisher's z.",
                )


def check_from_natural(case: CovarianceCase) -> None:
    """Require that `from_natural` finds the covariance again that `natural` describes."""
    for covariance, where in case.each():
        for theta in thetas_of(covariance):
            values = np.asarray(covariance.natural(theta))
            back = np.asarray(covariance.from_natural(values.copy()))
            T, again = covariance.template(theta), covariance.template(back)
            expect_close(
                again @ again.T,
                T @ T.T,
                what=f"the covariance of from_natural(natural(theta)) {where}",
                tol=1e-7,
                scale=np.trace(T @ T.T),
                advice="from_natural() inverts natural(); the default needs them smooth.",
            )


def check_rescaled(case: CovarianceCase) -> None:
    """Require that other units of the columns are the linear map of theta that it says."""
    rng = np.random.default_rng(7)
    for covariance, where in case.each():
        c = covariance.size
        L = np.tril(rng.normal(size=(c, c)), -1) + np.diag(rng.uniform(0.5, 2.0, c))
        for factor in (L, np.diag(np.diagonal(L)), 1.5 * np.eye(c)):
            change = covariance.rescaled(factor)
            if change is None:
                continue
            expect(
                np.shape(change) == (covariance.n_theta,) * 2,
                f"rescaled() of shape {(covariance.n_theta,) * 2} {where}",
                np.shape(change),
                "It maps theta to theta.",
            )
            for theta in thetas_of(covariance):
                wanted = factor @ covariance.template(theta)
                expect_close(
                    covariance.template(change @ theta),
                    wanted,
                    what=f"template(rescaled(L) theta), as L template(theta), {where}",
                    tol=TOL_SAME,
                    scale=1.0 + np.max(np.abs(wanted)),
                    advice="Return None for what the structure cannot follow.",
                )


def check_placement(case: CovarianceCase) -> None:
    """Require that a structure which says where theta stands in T does nothing else."""
    advice = "Return None where the template does more than to put theta into T."
    for covariance, where in case.each():
        entries = covariance.placement()
        if entries is None:
            continue
        for theta in thetas_of(covariance):
            T = np.zeros((covariance.size, covariance.size))
            for k, i, j in np.asarray(entries).tolist():
                T[i, j] = theta[k]
            found = covariance.template(theta)
            what = f"T[i, j] = theta[k] for each entry of placement() {where}"
            expect_close(found, T, what=f"{what}, the template to be", tol=0.0, advice=advice)
