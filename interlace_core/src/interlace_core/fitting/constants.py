"""Coefficients near the family's own constants, by sums over all rows, wherever these are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace_core.calculus.dense import solution
from interlace_core.calculus.grams import gram_of
from interlace_core.contract.parts import Sums, total
from interlace_core.contract.problem import Problem
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.exact import MEETS, refuse_exact
from interlace_core.records import Array


def first_coefficients(problem: Problem, *, beside_offsets: bool = False) -> Array:
    """Return coefficients whose predictors are near the family's own constants.

    Where the mean's predictor is in units of the response, the mean's coefficients are those of
    least squares, and constants are those of what these leave: offsets, effects and the distance
    of the response from 0 can be larger than the residual by as much as numbers have digits.

    Parameters
    ----------
    problem : Problem
    beside_offsets : bool
        Whether the predictors are near the constants without their offsets. A coefficient that is
        held far out is an offset of some rows, for which the others would have to make up: of
        thresholds that may not cross, too far.
    """
    first, beta = problem.predictors[0], None
    places, parts = list(range(len(problem.predictors))), []
    if total(problem, _units_of_response).of_all:
        beta = _weighted_least_squares(problem)
        left, observed = total(problem, _ranges, beta)
        if left.width <= MEETS * observed.width:
            refuse_exact(problem)
        if first.X.shape[1]:
            parts, places = [beta], places[1:]
    constants = total(problem, _constants, beta).value + _carried(problem)
    towards = [(k, float(constants[k])) for k in places if problem.predictors[k].X.shape[1]]
    parts += nearest(problem, towards, beside_offsets)
    return np.concatenate(parts) if parts else np.zeros(0)


def nearest(
    problem: Problem, towards: Sequence[tuple[int, float]], beside_offsets: bool = False
) -> list[Array]:
    """Return the coefficients of some predictors that bring them nearest to constants.

    Parameters
    ----------
    problem : Problem
    towards : sequence of (int, float)
        Predictors, and where they should be in all rows.
    beside_offsets : bool
        Whether without their offsets.
    """
    if not towards:
        return []
    return [_solved(*each) for each in total(problem, _towards, tuple(towards), beside_offsets)]


def _towards(problem: Problem, towards: Sequence[tuple[int, float]], beside_offsets: bool) -> Sums:
    """Return X'X and X'(constant - offset) of each predictor."""
    rows, found = layout_of(problem).problem, []
    for k, constant in towards:
        X, offset = rows.predictors[k].X, rows.predictors[k].offset
        if beside_offsets:
            offset = np.zeros_like(offset)
        found.append(Sums(X.T @ X, X.T @ (constant - offset)))
    return Sums(*found)


@dataclass(frozen=True)
class _Average:
    """A mean over rows; that of two parts is weighted by their numbers."""

    n: int
    value: Array

    def __add__(self, other: _Average) -> _Average:
        n = self.n + other.n
        return _Average(n, (self.n * self.value + other.n * other.value) / n)


def _constants(problem: Problem, beta: Array | None) -> _Average:
    """Return the family's constants, those of the rest where the mean's coefficients are known."""
    rows = layout_of(problem).problem
    y = rows.y if beta is None else _left(rows, beta)
    return _Average(rows.n, rows.family.start(y, rows.weights))


def _left(rows: Problem, beta: Array) -> Array:
    first = rows.predictors[0]
    return np.asarray(rows.y - first.offset - first.X @ beta)


@dataclass(frozen=True)
class _Range:
    """From the least to the largest of some numbers."""

    least: float
    largest: float

    @classmethod
    def of(cls, values: Array) -> _Range:
        return cls(float(np.min(values)), float(np.max(values)))

    @property
    def width(self) -> float:
        return self.largest - self.least

    def __add__(self, other: _Range) -> _Range:
        return _Range(min(self.least, other.least), max(self.largest, other.largest))


def _ranges(problem: Problem, beta: Array) -> Sums:
    """Return the ranges of what least squares leaves, and of the response."""
    rows = layout_of(problem).problem
    return Sums(_Range.of(_left(rows, beta)), _Range.of(rows.y))


def _carried(problem: Problem) -> Array:
    """Return what an offset of the mean adds to the constants, shape (K,), if others carry it.

    A mean without an intercept has no column for the level of its offset. Where the family says
    that other predictors move with it (thresholds with a location), they do.
    """
    mean, moved = problem.predictors[0], np.zeros(len(problem.predictors))
    if mean.parameter.intercept:
        return moved
    average = total(problem, _offset_and_forms)
    level, forms = float(average.n and average.level / average.n), average.forms
    if not level or forms is None:
        return moved
    forms = np.unique(forms, axis=0)
    ratio = np.linalg.lstsq(forms[:, 1:], -forms[:, 0], rcond=None)[0]
    if np.allclose(forms[:, 1:] @ ratio, -forms[:, 0]):
        moved[0], moved[1:] = level, ratio * level
    return moved


@dataclass(frozen=True)
class _OffsetAndForms:
    """Sum of the mean's offset, and the forms of the predictors that rows are open along."""

    n: int
    level: float
    forms: Array | None

    def __add__(self, other: _OffsetAndForms) -> _OffsetAndForms:
        both = [each for each in (self.forms, other.forms) if each is not None]
        forms = np.unique(np.concatenate(both), axis=0) if both else None
        return _OffsetAndForms(self.n + other.n, self.level + other.level, forms)


def _offset_and_forms(problem: Problem) -> _OffsetAndForms:
    rows = layout_of(problem).problem
    offset = rows.predictors[0].offset
    found = rows.family.recession_forms(rows.y) if np.any(offset) else None
    forms = None if found is None else np.unique(found[1], axis=0)
    return _OffsetAndForms(rows.n, float(np.sum(offset)), forms)


@dataclass(frozen=True)
class _Every:
    """Whether something is so in all parts."""

    of_all: bool

    def __add__(self, other: _Every) -> _Every:
        return _Every(self.of_all and other.of_all)


def _units_of_response(problem: Problem) -> _Every:
    return _Every(_in_units_of_response(layout_of(problem).problem))


def _in_units_of_response(problem: Problem) -> bool:
    """Return whether the mean's predictor is the mean, which may lie anywhere."""
    y, mean = problem.y, problem.predictors[0].parameter
    ends = (*mean.link.domain, *mean.link.eta_domain)
    if y.ndim > 1 or problem.family.is_discrete or np.any(np.isfinite(ends)):
        return False
    return np.array_equal(problem.family.observed(y), y) and np.array_equal(mean.link.eta(y), y)


def _weighted_least_squares(problem: Problem) -> Array:
    """Return the mean's coefficients by least squares of the response less its offset."""
    if not problem.predictors[0].X.shape[1]:
        return np.zeros(0)
    # the response's mean apart: the products below would lose the digits that it has more
    centre = total(problem, _centre)
    beta = _solved(*total(problem, _normal_equations, centre.value, None))
    for _ in range(2):
        beta = beta + _solved(*total(problem, _normal_equations, None, beta))
    return beta


def _centre(problem: Problem) -> _Average:
    rows = layout_of(problem).problem
    target = rows.y - rows.predictors[0].offset
    if rows.weights is not None:
        target = target * np.sqrt(rows.weights)
    return _Average(rows.n, np.asarray(np.mean(target)))


def _normal_equations(problem: Problem, centre: Array | None, beta: Array | None) -> Sums:
    """Return X'WX and X'W of a constant response, or of what coefficients leave."""
    rows = layout_of(problem).problem
    X, target = rows.predictors[0].X, rows.y - rows.predictors[0].offset
    if rows.weights is not None:
        root = np.sqrt(rows.weights)
        X, target = X * root[:, None], target * root
    left = np.full(len(X), centre) if beta is None else target - X @ beta
    return Sums(X.T @ X, X.T @ left)


def least_squares(X: Array, target: Array) -> Array:
    """Return the coefficients nearest to a target, whatever the units of the columns."""
    return _solved(X.T @ X, X.T @ target) if X.shape[1] else np.zeros(0)


def _solved(gram: Array, product: Array) -> Array:
    """Return the solution of the normal equations, whatever the units of the columns."""
    size = np.sqrt(np.diagonal(gram))
    unit = np.where(size > 0, size, 1.0)
    scaled = gram / unit / unit[:, None]
    found = solution(scaled, product / unit)
    if found is None:
        found = np.asarray(np.linalg.lstsq(scaled, product / unit, rcond=None)[0], np.float64)
    return np.asarray(found / unit)


def mean_gram(problem: Problem, k: int) -> Array:
    """Return X'X / n of a predictor over all rows, shape (p, p); made once."""
    key = mean_gram, k
    if key not in problem.cache:
        problem.cache[key] = np.asarray(total(problem, _gram, k) / problem.n)
    return np.array(problem.cache[key])


def mean_columns(problem: Problem, k: int) -> Array:
    """Return the means of a predictor's columns over all rows, shape (p,)."""
    return np.asarray(total(problem, _column_sums, k) / problem.n)


def _gram(problem: Problem, k: int) -> Array:
    return gram_of(problem.predictors[k].X)


def _column_sums(problem: Problem, k: int) -> Array:
    return np.asarray(problem.predictors[k].X.sum(axis=0))
