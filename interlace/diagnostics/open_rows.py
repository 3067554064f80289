"""Which rows' log-densities do not fall however far a linear predictor goes.

Asked of the family's own derivatives, so that it holds for any link and any family: successes under
a logit rise upwards, zero counts downwards, a positive count in neither direction.
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.fitting.start import on_own_scale
from interlace_core.records import Array, BoolArray
from interlace_core.registry.blame import guard

FAR = 50.0
"""How far beyond 0 and the fitted value a predictor is taken to its limit: exp(50) is more than
any count that has all its digits, exp(-50) less than rounding."""

TOL_REL_FALL = 1e-9
"""Log-density that a row may lose on the way, per 1 + its size, and slope that it may have there:
rounding of normalising constants."""


def forms_of_rows(problem: Problem, eta: Array, k: int) -> tuple[Array, Array]:
    """Return what each row asks of a direction of predictor k's coefficients.

    Parameters
    ----------
    problem : Problem
    eta : ndarray, shape (K, n)
        The linear predictors. Those other than k stay where they are.
    k : int

    Returns
    -------
    rising : ndarray, shape (m, p_k)
        Rows a with a'd >= 0: of rows that are open one way.
    still : ndarray, shape (l, p_k)
        Rows c with c'd = 0: of rows that are open neither way. A row that is open both ways, as
        one with weight 0 is, asks nothing.
    """
    up, down = open_rows(problem, eta, k)
    X = problem.predictors[k].X
    rising = np.concatenate([X[up & ~down], -X[down & ~up]])
    return rising, X[~up & ~down]


def open_rows(problem: Problem, eta: Array, k: int) -> tuple[BoolArray, BoolArray]:
    """Return which rows are open upwards and downwards in predictor k, each shape (n,).

    A row is open where its log-density ends no lower than it is anywhere else that is looked at
    (the fit, 0, the other end), so that the answer does not rest on the fit's being an optimum.
    """
    link = problem.predictors[k].parameter.link
    low, high = link.eta_domain
    # a predictor that is in units of the response, or of its inverse, goes as far in these
    unit = 1.0 if on_own_scale(link) else max(1.0, float(np.max(np.abs(eta[k]))))
    ends = (np.maximum(eta[k], 0.0) + FAR * unit, np.minimum(eta[k], 0.0) - FAR * unit)
    with guard(problem.family, "separation"), np.errstate(all="ignore"):
        inside = [_at(problem, eta, k, eta[k])[0]]
        if low < 0.0 < high:
            inside.append(_at(problem, eta, k, np.zeros(problem.n))[0])
        upper, rising = _at(problem, eta, k, ends[0]) if high == np.inf else _closed(problem.n)
        lower, falling = _at(problem, eta, k, ends[1]) if low == -np.inf else _closed(problem.n)
        best = np.fmax.reduce([*inside, upper, lower])
        tolerance = TOL_REL_FALL * (1.0 + np.abs(best))
        up = (upper >= best - tolerance) & (rising * unit >= -TOL_REL_FALL)
        down = (lower >= best - tolerance) & (falling * unit <= TOL_REL_FALL)
    idle = rows_without_weight(problem)
    return up | idle, down | idle


def rows_without_weight(problem: Problem) -> BoolArray:
    """Return which rows do not count, shape (n,)."""
    if problem.weights is None:
        return np.zeros(problem.n, dtype=bool)
    return np.asarray(problem.weights == 0.0)


def _at(problem: Problem, eta: Array, k: int, values: Array) -> tuple[Array, Array]:
    """Return each row's log-density and its slope in predictor k, with that at some values."""
    moved = [values if m == k else row for m, row in enumerate(eta)]
    there = problem.family.derivatives(problem.y, moved, 1, (k,))
    slope = there.get(k)
    return np.asarray(there.value), np.zeros(problem.n) if slope is None else slope


def _closed(n: int) -> tuple[Array, Array]:
    """Return the value and slope of rows at an end that the link does not have."""
    return np.full(n, -np.inf), np.zeros(n)
