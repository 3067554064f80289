"""The conformance checks of a covariance structure."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.records import Array
from interlace_core.testing.covariance_case import CovarianceCase, thetas_of
from interlace_core.testing.covariance_chain import check_chain
from interlace_core.testing.covariance_held import check_holding
from interlace_core.testing.covariance_scales import (
    check_from_natural,
    check_kinds,
    check_natural,
    check_placement,
    check_rescaled,
)
from interlace_core.testing.differences import gradient
from interlace_core.testing.verdicts import Checks, collect, expect, expect_close

TOL_REL_DIFFERENCES = 1e-7

TOL_REL_NEAREST = 1e-6
"""Leaves room for a structure that regularises a covariance before it takes its root."""

TOL_SAME = 1e-10

SPREAD_AT_START = 4.0
"""Variances at the start lie within this factor of 1: near the identity."""

ZERO = 1e-4
"""Largest entry of the template at a variance of 0, which a structure may have to regularise."""

REGULAR = 1e-3
"""Least slope of a variance's root at 0 relative to that at the start: on a log scale it is 0."""


def covariance_checks(
    structure: type[Covariance],
    *,
    sizes: Sequence[int] = (1, 2, 3, 4),
    expected_failures: Mapping[str, str] | None = None,
    coordinates: int = 0,
) -> Checks:
    """Return the checks of a covariance structure as pairs of name and callable.

    Parameters
    ----------
    structure : type
        Its class, made by `from_columns`.
    sizes : sequence of int
        Numbers of columns to try.
    expected_failures : mapping from check names to reasons, optional
        Such a check passes if it fails, and fails if it passes.
    coordinates : int
        Numeric covariates that its columns are points of, for a structure of times or places; 0
        for the levels of a factor, or for covariates.

    Raises
    ------
    OptionError
        If an expected failure names no check or has no reason.

    Examples
    --------
    The whole test file of a plugin::

        @pytest.mark.parametrize("name, check", covariance_checks(MyStructure))
        def test_conformance(name, check):
            check()
    """
    case = CovarianceCase(structure, sizes, coordinates)
    checks: dict[str, Callable[[], None]] = {
        name: partial(check, case) for name, check in _CHECKS.items()
    }
    if coordinates > 1:
        checks["points are told apart"] = partial(check_points, case)
    return collect(structure.__name__, checks, expected_failures)


def check_start(case: CovarianceCase) -> None:
    """Require n_theta parameters that start near unit variances."""
    for covariance, where in case.each():
        n, start = covariance.n_theta, np.asarray(covariance.start())
        expect(isinstance(n, Integral), f"an integer n_theta {where}", n, "Return an int.")
        expect(
            start.shape == (n,) and start.dtype == np.float64 and bool(np.isfinite(start).all()),
            f"start() of {n} finite float64 {where}",
            start,
            "Return one number per parameter.",
        )
        V = _covariance(covariance, start)
        variances = np.diag(V)
        near = (variances > 1.0 / SPREAD_AT_START) & (variances < SPREAD_AT_START)
        definite = not covariance.full_rank or bool(np.all(np.linalg.eigvalsh(V) > 0.0))
        expect(
            (bool(near.all()) or not covariance.n_theta) and definite,
            f"a template near the identity at the start {where}",
            f"a covariance {V.tolist()}",
            "Start at unit variances, whatever the parameters are.",
        )


def check_capabilities(case: CovarianceCase) -> None:
    """Require that what the core asks of a structure is answered by True or False."""
    for covariance, where in case.each():
        for name in ("crosses_bounds", "takes_levels_only", "takes_matrix", "full_rank"):
            answer = getattr(covariance, name)
            expect(
                isinstance(answer, (bool, np.bool_)),
                f"{name} to be True or False {where}",
                answer,
                "Make it a class attribute; a method counts as True.",
            )


def check_bounds(case: CovarianceCase) -> None:
    """Require lower bounds below upper ones, and the start between them."""
    for covariance, where in case.each():
        lower, upper = (np.asarray(bound) for bound in covariance.bounds())
        start = np.asarray(covariance.start())
        expect(
            lower.shape == upper.shape == (covariance.n_theta,) and bool(np.all(lower < upper)),
            f"lower bounds below upper bounds, one pair per parameter, {where}",
            (lower, upper),
            "Use -inf and inf where there is no bound.",
        )
        expect(
            bool(np.all((start > lower) & (start < upper))),
            f"a start strictly within the bounds {where}",
            start,
            "A search cannot start outside.",
        )


def check_template(case: CovarianceCase) -> None:
    """Require a finite template of shape (c, c) within the bounds that leaves theta as it is."""
    for covariance, where in case.each():
        for theta in thetas_of(covariance):
            before = theta.copy()
            T = covariance.template(theta)
            covariance.pullback(theta, np.ones_like(T))
            covariance.canonical(theta)
            expect(np.array_equal(before, theta), f"theta as it was {where}", theta, "Copy it.")
            expect(
                T.shape == (covariance.size,) * 2
                and T.dtype == np.float64
                and bool(np.isfinite(T).all()),
                f"a finite float64 template of shape {(covariance.size,) * 2} {where}",
                f"{T.dtype} of shape {T.shape}: {T}",
                "Check template() and size.",
            )


def check_pullback(case: CovarianceCase) -> None:
    """Hold `pullback` against differences of a linear function of the template."""
    rng = np.random.default_rng(1)
    for covariance, where in case.each():
        for theta in thetas_of(covariance):
            dT = rng.normal(size=(covariance.size,) * 2)

            def F(x: Array, c: Covariance = covariance, dT: Array = dT) -> float:
                return float(np.sum(dT * c.template(x)))

            expect_close(
                covariance.pullback(theta, dT.copy()),
                gradient(F, theta, 1e-4),
                what=f"pullback {where}, by differences of the template,",
                tol=TOL_REL_DIFFERENCES,
                scale=1.0 + np.abs(dT).sum(),
                advice="pullback() is the transposed derivative of template().",
            )


def check_nearest(case: CovarianceCase) -> None:
    """Require `nearest` to find a covariance of the structure again, and others within bounds."""
    rng = np.random.default_rng(2)
    for covariance, where in case.each():
        for theta in thetas_of(covariance):
            V = _covariance(covariance, theta)
            expect_close(
                _covariance(covariance, covariance.nearest(V.copy())),
                V,
                what=f"the covariance of nearest() {where}, one of the structure's own,",
                tol=TOL_REL_NEAREST,
                scale=np.trace(V),
                advice="nearest() inverts theta -> T T'.",
            )
            root = rng.normal(size=(covariance.size, covariance.size + 1))
            _expect_within(covariance, covariance.nearest(root @ root.T), f"nearest() {where}")


def check_canonical(case: CovarianceCase) -> None:
    """Require `canonical` to give the same covariance within the bounds."""
    for covariance, where in case.each():
        thetas = thetas_of(covariance)
        if covariance.crosses_bounds:
            signs = np.random.default_rng(3).choice([-1.0, 1.0], size=(6, covariance.n_theta))
            thetas += [sign * theta for sign in signs for theta in thetas]
        for theta in thetas:
            canonical = covariance.canonical(theta.copy())
            _expect_within(covariance, canonical, f"canonical() {where}")
            V = _covariance(covariance, theta)
            expect_close(
                _covariance(covariance, canonical),
                V,
                what=f"the covariance of canonical() {where}, that of theta,",
                tol=TOL_SAME,
                scale=np.trace(V),
                advice="canonical() mirrors theta into the bounds; the covariance stays.",
            )


def check_zero(case: CovarianceCase) -> None:
    """Require that variances of 0 are an ordinary point: finite, and the template moves there."""
    for covariance, where in case.each():
        if not covariance.n_theta:
            continue  # known, and nothing moves it
        zero = covariance.canonical(covariance.nearest(np.zeros((covariance.size,) * 2)))
        T = covariance.template(zero)
        expect(
            bool(np.isfinite(zero).all()) and float(np.max(np.abs(T))) <= ZERO,
            f"a finite theta with a template of 0 {where}",
            f"theta {zero}, template {T.tolist()}",
            "Parameterise T, not its logarithm: a fit must be able to reach a variance of 0.",
        )
        here, usual = _reach(covariance, zero), _reach(covariance, covariance.start())
        expect(
            bool(np.all(here >= REGULAR * usual)),
            f"a template that moves with theta at 0 {where}",
            f"slopes {here} of the diagonal, {usual} at the start",
            "At 0 the template needs a slope, or no search can leave it.",
        )


def check_points(case: CovarianceCase) -> None:
    """Require that a structure of places sees them: in another order, it is in another order."""
    for size in case.sizes:
        order = np.random.default_rng(6).permutation(size)
        one, other = case.made(size), case.made(size, order)
        for theta in thetas_of(one):
            expect_close(
                _covariance(other, theta),
                _covariance(one, theta)[np.ix_(order, order)],
                what=f"the covariance of {size} points in another order",
                tol=TOL_SAME * 1e3,
                scale=np.trace(_covariance(one, theta)),
                advice="from_columns() tells the coordinates of each column.",
            )


def check_pickle(case: CovarianceCase) -> None:
    """Require that a structure survives pickling."""
    for covariance, where in case.each():
        copy, theta = pickle.loads(pickle.dumps(covariance)), covariance.start()
        expect_close(
            copy.template(theta),
            covariance.template(theta),
            what=f"the template of the pickled structure {where} to be",
            tol=0.0,
            advice="Keep no lambdas or open resources in a structure.",
        )


_CHECKS: dict[str, Callable[[CovarianceCase], None]] = {
    "start is near the identity": check_start,
    "capabilities are true or false": check_capabilities,
    "natural parameters have names": check_natural,
    "natural parameters have kinds": check_kinds,
    "natural parameters lead back": check_from_natural,
    "other units are a linear map": check_rescaled,
    "placement is the template": check_placement,
    "bounds hold the start": check_bounds,
    "template is finite and theta untouched": check_template,
    "pullback matches differences": check_pullback,
    "a chain is the template": check_chain,
    "held numbers stay": check_holding,
    "nearest finds its own": check_nearest,
    "canonical keeps the covariance": check_canonical,
    "a variance of zero is regular": check_zero,
    "can be pickled": check_pickle,
}


def _covariance(covariance: Covariance, theta: Array) -> Array:
    T = covariance.template(theta)
    return np.asarray(T @ T.T)


def _reach(covariance: Covariance, theta: Array) -> Array:
    """Return how fast each diagonal entry of the template moves at most, shape (c,)."""
    units = np.eye(covariance.size)
    slopes = [covariance.pullback(theta, np.outer(unit, unit)) for unit in units]
    return np.array([np.max(np.abs(slope)) for slope in slopes])


def _expect_within(covariance: Covariance, theta: Array, what: str) -> None:
    lower, upper = covariance.bounds()
    theta = np.asarray(theta)
    within = theta.shape == lower.shape and bool(np.all((theta >= lower) & (theta <= upper)))
    expect(within, f"{what} to give a theta within the bounds", theta, "Mirror or clip it.")
