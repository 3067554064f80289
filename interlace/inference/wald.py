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

from interlace.inference.quadratic_forms import errors_of, wald_chi_square
from interlace.inference.terms import FixedTerm, fixed_terms
from interlace_core.messages.checks import numbers_of, require_choice
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


def term_tests(
    result: Estimates, *, type: int | str, parameter: int | str, vcov: Any
) -> pd.DataFrame:
    """Return a Wald test of each term; see `GLMMResult.term_tests`."""
    kinds = {2: 2, 3: 3, "II": 2, "III": 3}
    require_choice(type, kinds, "term_tests: type")
    k = result.parameter_index(parameter)
    V = coefficient_vcov(result, k, vcov, "term_tests")
    beta = result.coefficients[k].estimates
    terms = fixed_terms(result, k)
    rows = {}
    for term in terms:
        if kinds[type] == 2 and not term.factors:
            continue
        L = _type_two(term, terms, V) if kinds[type] == 2 else _rows_of(term.columns, beta.size)
        rows[term.name] = _test(result, k, L, np.zeros(len(L)), None if vcov is None else V)
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
    V = coefficient_vcov(result, k, vcov, "wald_test")
    shift = numbers_of(value, "wald_test: value", "a number, or one for each row of L")
    if shift.shape not in ((), (1,), matrix.shape[:1]):
        raise OptionError(
            f"wald_test: value must be a number, or one for each of the {len(matrix)} row(s) of L, "
            f"got shape {shift.shape}."
        )
    shift = np.broadcast_to(shift, matrix.shape[:1])
    return pd.Series(_test(result, k, matrix, shift, None if vcov is None else V))


def _test(
    result: Estimates, k: int, L: Array, value: Array, given: Array | None
) -> Mapping[str, float]:
    """Return the test that goes with the result, or a chi-square by a given covariance."""
    if given is None:
        return result.joint_test(k, L, value)
    return wald_chi_square(L, result.coefficients[k].estimates, given, value)


def coefficient_vcov(result: Estimates, k: int, vcov: Any, who: str) -> Array:
    """Return the covariance of one predictor's coefficients, the model's or a given one."""
    place = result.coefficients[k].place
    whole = result.fit.vcov if vcov is None else vcov_of(result, vcov, who)
    return whole[place, place]


def vcov_of(result: Estimates, vcov: Any, who: str) -> Array:
    """Return a covariance of all parameters that the user gives, shape (n_psi, n_psi).

    NaN stands for parameters at a boundary, as in `vcov()` itself.

    Raises
    ------
    OptionError
        If it is of another shape, or no numbers.
    """
    what = "the covariance of all parameters, as vcov() returns it"
    shape = result.fit.vcov.shape
    return numbers_of(vcov, f"{who}: vcov", what, shape, finite=False)


def _rows_of(columns: Any, p: int) -> Array:
    return np.asarray(np.eye(p)[columns])


def _type_two(term: FixedTerm, terms: list[FixedTerm], V: Array) -> Array:
    """Return the hypotheses on a term that are uncorrelated with those on what contains it."""
    p = V.shape[0]
    containing = [other.columns for other in terms if term.inside(other)]
    own = _rows_of(term.columns, p)
    if not containing:
        return own
    others = _rows_of(np.concatenate(containing), p)
    both = np.vstack([others, own])
    # c' both is wanted with covariance 0 with all of `others`, in units of standard errors
    size = errors_of(np.diagonal(V))
    correlated = both @ (V / size / size[:, None]) @ others.T
    basis = np.linalg.qr(correlated, mode="complete")[0][:, others.shape[0] :]
    return np.asarray(basis.T @ both / size)
