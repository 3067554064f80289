"""Wald tests of terms and of linear hypotheses about coefficients.

Type III tests a term's coefficients as they are coded. Type II tests it after all terms that do
not contain it: of the hypotheses on the term and its interactions, those whose estimates are
uncorrelated with the interactions' (Fox & Weisberg 2019, chapter 5; for linear models these are
the usual sums of squares of type II).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.inference.quadratic_forms import Uncorrelated, rounding_of, wald_chi_square
from interlace.inference.terms import FixedTerm, fixed_terms
from interlace_core.fitting.psi_covariance import PsiCovariance, embedded
from interlace_core.messages.checks import numbers_of, require_choice
from interlace_core.messages.errors import DataWarning, OptionError
from interlace_core.messages.warn import warn
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

MOST_ROUNDING = 1e-3
"""Of a standard error, that rounding of a covariance that is given may move it by."""


def term_tests(
    result: Estimates, *, type: int | str, parameter: int | str, vcov: Any
) -> pd.DataFrame:
    """Return a Wald test of each term; see `GLMMResult.term_tests`."""
    kinds = {2: 2, 3: 3, "II": 2, "III": 3}
    require_choice(type, kinds, "term_tests: type")
    k = result.parameter_index(parameter)
    given = None if vcov is None else vcov_of(result, vcov, "term_tests")
    p, terms = result.coefficients[k].estimates.size, fixed_terms(result, k)
    place = result.coefficients[k].place
    covariance = result.fit.uncertainty if given is None else given
    rows = {}
    for term in terms:
        if kinds[type] == 2 and not term.factors:
            continue
        L = _rows_of(term.columns, p)
        if kinds[type] == 2:
            L = _type_two(term, terms, p, place, covariance)
        who = f"term_tests: {term.name}"
        rows[term.name] = _test(result, k, L, np.zeros(len(L)), given, who)
    return pd.DataFrame.from_dict(rows, orient="index")


def wald_test(
    result: Estimates, L: Any, *, value: Any, parameter: int | str, vcov: Any
) -> pd.Series:
    """Return the joint test of L beta = value; see `GLMMResult.wald_test`."""
    k = result.parameter_index(parameter)
    beta = result.coefficients[k].estimates
    what = f"rows of one number for each of the {beta.size} coefficients"
    matrix = np.atleast_2d(numbers_of(L, "wald_test: L", what))
    if matrix.ndim != 2 or matrix.shape[1] != beta.size or not len(matrix):
        raise OptionError(f"wald_test: L must be {what}, got shape {np.shape(L)}.")
    given = None if vcov is None else vcov_of(result, vcov, "wald_test")
    shift = numbers_of(value, "wald_test: value", "a number, or one for each row of L")
    if shift.shape not in ((), (1,), matrix.shape[:1]):
        raise OptionError(
            f"wald_test: value must be a number, or one for each of the {len(matrix)} row(s) of L, "
            f"got shape {shift.shape}."
        )
    shift = np.broadcast_to(shift, matrix.shape[:1])
    return pd.Series(_test(result, k, matrix, shift, given, "wald_test"))


def _test(
    result: Estimates, k: int, L: Array, value: Array, given: PsiCovariance | None, who: str
) -> Mapping[str, float]:
    """Return the test that goes with the result, or a chi-square by a given covariance."""
    if given is None:
        return result.joint_test(k, L, value)
    psi = result.fit.psi
    rows = embedded(L, result.coefficients[k].place, psi.size)
    if rounding_of(rows, given.inner) > MOST_ROUNDING:
        warn(
            f"{who}: the covariance given has lost the digits that this test is made of: a "
            "covariate lies far from 0, and what is left of the terms is rounding. Subtract a "
            "constant from it, such as its mean, and fit again; the fit's own covariance, without "
            "vcov=, keeps its digits.",
            DataWarning,
        )
    return wald_chi_square(rows, psi, given, value)


def vcov_of(result: Estimates, vcov: Any, who: str) -> PsiCovariance:
    """Return a covariance of all parameters that the user gives.

    NaN stands for parameters at a boundary, as in `vcov()` itself.

    Raises
    ------
    OptionError
        If it is of another shape, or no numbers.
    """
    what = "the covariance of all parameters, as vcov() returns it"
    shape = result.fit.vcov.shape
    return PsiCovariance(numbers_of(vcov, f"{who}: vcov", what, shape, finite=False))


def _rows_of(columns: Any, p: int) -> Array:
    return np.asarray(np.eye(p)[columns])


def _type_two(
    term: FixedTerm, terms: list[FixedTerm], p: int, place: slice, covariance: PsiCovariance
) -> Array:
    """Return the hypotheses on a term that are uncorrelated with those on what contains it.

    A term at the value 0 of a covariate that is nowhere near is nearly a combination of its
    interaction's: the roots of the covariance still tell them apart.
    """
    containing = [other.columns for other in terms if term.inside(other)]
    own = _rows_of(term.columns, p)
    if not containing:
        return own
    others = _rows_of(np.concatenate(containing), p)
    roots = [
        covariance.roots(embedded(each, place, len(covariance.inner))) for each in (others, own)
    ]
    if not all(np.isfinite(each).all() for each in roots):
        return own  # without variances there is no test either
    # what is left of its own, in standard errors, beside the others: own - W others
    within = Uncorrelated.of(roots[0])
    W = roots[1] @ within.combine(roots[0]).T @ within.weights
    return np.asarray(own - W @ others)
