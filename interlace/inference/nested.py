"""Whether one fitted model is a special case of another, and if not, why."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from interlace.results.estimates import Estimates
from interlace.results.fitted_model import require_training
from interlace_core.contract import Link
from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.records import Array

TOL_REL_SPAN = 1e-7
"""Residual, relative, below which a column counts as a combination of others."""

LATENT = "thresholds and location"


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
    one, other = _parts(small, a), _parts(large, b)
    for name, part in one.items():
        why = _part_not_within(part, other[name]) if name in other else f"not nested: {name}"
        if why:
            return why
    added = 0 if a.correlation or not b.correlation else len(b.correlation.parameters)
    if len(one) + added != len(other) and LATENT not in one:
        return "not tested: different families; compare AIC"
    for term in a.terms:
        if not any(_term_within(term, other) for other in b.terms):
            return f"not nested: random effects ({term.label})"
    return ""


class _Part(NamedTuple):
    """What a model is linear in: `eta = X beta + offset`, of one parameter or of all thresholds."""

    label: str
    X: Array
    offset: Array
    link: Link | None
    fixed: float | None


def _parts(result: Estimates, problem: Problem) -> dict[str, _Part]:
    """Return the parts of a model by name; an ordinal one's thresholds and location are one."""
    matrix = result.family.threshold_matrix()
    latent = 0 if matrix is None else 1 + matrix.shape[1]
    found = {
        p.parameter.name: _Part(
            f"fixed effects of {p.parameter.name}",
            *(p.X, p.offset, p.parameter.link, p.parameter.fixed),
        )
        for p in problem.predictors[latent:]
    }
    if matrix is None:
        return found
    location, *cuts = problem.predictors[:latent]
    X = [
        np.hstack([-location.X, *(t * cut.X for t, cut in zip(row, cuts, strict=True))])
        for row in matrix
    ]
    offset = [row @ [cut.offset for cut in cuts] - location.offset for row in matrix]
    whole = _Part("thresholds or fixed effects", np.vstack(X), np.concatenate(offset), None, None)
    return {LATENT: whole, **found}


def _part_not_within(one: _Part, other: _Part) -> str:
    """Return why a part is not a special case of another, in words; empty if it is one."""
    if one.link != other.link:
        return "not nested: different links"
    if one.fixed is None and not within(one.X, other.X):
        return f"not nested: {one.label}"
    if other.fixed is not None and one.fixed != other.fixed:
        return f"not nested: {other.label} are held"
    between = one.offset - other.offset
    near = np.allclose(one.offset, other.offset)
    if one.fixed is None and not near and not within(between[:, None], other.X):
        return "not nested: different offsets"
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
        k in theirs and _within(term.Z[:, own], other.Z[:, theirs[k]])
        for k, own in term.by_predictor
    )


def _within(Z: Covariates, other: Covariates) -> bool:
    """Return whether columns are combinations of others; of points, whether they are the same."""
    if isinstance(Z, Incidence) and isinstance(other, Incidence) and Z.size == other.size:
        return np.array_equal(Z.at, other.at) and bool(np.all((Z.z == 0.0) == (other.z == 0.0)))
    return within(np.asarray(Z), np.asarray(other))


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
