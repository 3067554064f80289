"""Whether one fitted model is a special case of another, and if not, why."""

from __future__ import annotations

import numpy as np

from interlace.results.estimates import Estimates
from interlace.results.fitted_model import require_training
from interlace.results.thresholds import thresholds_of
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.records import Array

TOL_REL_SPAN = 1e-7
"""Residual, relative, below which a column counts as a combination of others."""


def not_nested(small: Estimates, large: Estimates) -> str:
    """Return why a model is not a special case of another, in words; empty if it is one."""
    if large.df == small.df:
        return "not nested: as many parameters"
    if small.family.name != large.family.name:
        return "not tested: different families; compare AIC"
    if small.family.latent_link != large.family.latent_link:
        return "not nested: different links"
    a, b = require_training(small, "anova").problem, require_training(large, "anova").problem
    if a.correlation is not None and not _same_correlation(a, b):
        return f"not nested: residual correlation {a.correlation.label}"
    added = 0 if a.correlation or not b.correlation else len(b.correlation.parameters)
    cuts = [thresholds_of(each) for each in (small, large)]
    if cuts[0] is not None and cuts[1] is not None:
        if not within(cuts[0].matrix, cuts[1].matrix):
            return "not nested: thresholds"
        pairs = [(a.predictors[0], b.predictors[0])]
    elif len(a.predictors) + added != len(b.predictors):
        return "not tested: different families; compare AIC"
    else:
        pairs = list(zip(a.predictors, b.predictors, strict=False))
    for one, other in pairs:
        if one.parameter.link != other.parameter.link:
            return "not nested: different links"
        if one.parameter.fixed is None and not within(one.X, other.X):
            return f"not nested: fixed effects of {one.parameter.name}"
        if other.parameter.fixed is not None and one.parameter.fixed != other.parameter.fixed:
            return f"not nested: {one.parameter.name} is fixed"
    if not np.allclose(a.predictors[0].offset, b.predictors[0].offset):
        return "not nested: different offsets"
    for term in a.terms:
        if not any(_term_within(term, other) for other in b.terms):
            return f"not nested: random effects ({term.label})"
    return ""


def _same_correlation(a: Problem, b: Problem) -> bool:
    one, two = a.correlation, b.correlation
    return one is not None and two is not None and one.label == two.label


def _term_within(term: RandomTerm, other: RandomTerm) -> bool:
    return (
        term.group == other.group
        and _columns_within(term, other)
        and _same_relation(term, other)
        and _structure_within(term, other)
    )


def _columns_within(term: RandomTerm, other: RandomTerm) -> bool:
    """Return whether the columns of one term are combinations of the other's, in each predictor."""
    theirs = dict(other.by_predictor)
    return all(
        k in theirs and within(term.Z[:, own], other.Z[:, theirs[k]])
        for k, own in term.by_predictor
    )


def _structure_within(term: RandomTerm, other: RandomTerm) -> bool:
    """Return whether every covariance of one term's structure is one of the other's.

    By looking for a covariance of the one, at a theta of no importance, among those of the other.
    """
    one, two, c = term.covariance, other.covariance, term.Z.shape[1]
    if one.name == two.name or two.n_theta == other.Z.shape[1] * (other.Z.shape[1] + 1) // 2:
        return True
    if other.Z.shape[1] != c:
        return False
    from scipy.optimize import least_squares

    T = one.template(one.canonical(one.start() + 0.1 * np.sin(1.0 + np.arange(one.n_theta))))
    wanted, lower = T @ T.T, np.tril_indices(c)

    def missing(theta: Array) -> Array:
        found = two.template(theta)
        return np.asarray((found @ found.T - wanted)[lower])

    found = least_squares(missing, two.start(), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return bool(np.max(np.abs(found.fun)) <= TOL_REL_SPAN * np.max(np.abs(wanted)))


def _same_relation(term: RandomTerm, other: RandomTerm) -> bool:
    """Return whether the levels of two terms have the same covariance."""
    one, two = term.relation, other.relation
    if one is None or two is None:
        return one is two
    return bool(np.allclose(one.covariance(), two.covariance(), rtol=1e-8, atol=1e-10))


def within(A: Array, B: Array) -> bool:
    """Return whether every column of A is a combination of B's."""
    if A.shape[1] == 0:
        return True
    if B.shape[1] == 0:
        return False
    Q = np.linalg.qr(_of_length_1(B))[0]
    rest = _of_length_1(A)
    for _ in range(2):  # the second removes what rounding left in the first
        rest = rest - Q @ (Q.T @ rest)
    return bool(np.all(np.linalg.norm(rest, axis=0) <= TOL_REL_SPAN))


def _of_length_1(X: Array) -> Array:
    """Return the columns divided by their lengths, whatever their units; zeros stay."""
    largest = np.max(np.abs(X), axis=0, initial=0.0)
    unit = X / np.where(largest > 0.0, largest, 1.0)
    length = np.linalg.norm(unit, axis=0)
    return np.asarray(unit / np.where(length > 0.0, length, 1.0))
