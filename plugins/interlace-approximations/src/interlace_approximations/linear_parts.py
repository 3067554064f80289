"""The linear mixed model over parts of the rows: products of a few columns, which add up.

Columns are taken orthonormal over all rows, and the response less its fit to all rows, so that
`M = [Q r]'V^-1 [Q r]`, log|H| and their derivatives in theta and log sigma are sums over the parts:
one question to each part for an evaluation, whatever the criterion does with the coefficients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from interlace_approximations.cross_products import (
    CrossProducts,
    fit_of,
    precisions,
    triangle_of,
)
from interlace_approximations.linear_across import PartSlopes, slopes_in, with_shared
from interlace_approximations.linear_curvature import completed
from interlace_approximations.linear_moments import Moments, moments_of
from interlace_approximations.linear_point import Across, LinearPoint, Scaled, columns_of
from interlace_approximations.reduced import Reduced
from interlace_core.contract import (
    Array,
    Curvature,
    Evaluation,
    IntArray,
    Problem,
    Profiled,
    Status,
    Sums,
)
from interlace_core.engine import (
    LARGE,
    NotPositiveDefiniteError,
    Triangle,
    has_across,
    layout_of,
    unpack,
)
from interlace_core.engine import Curvature as Factorised

EXACT = 1e-12
"""Residual, relative to the response, that is rounding."""


class LinearOverParts:
    """psi -> Evaluation of a linear mixed model whose rows lie in parts.

    Parameters
    ----------
    problem : Problem
    restricted : bool
    """

    def __init__(self, problem: Problem, restricted: bool) -> None:
        assert problem.parts is not None
        self.problem, self.restricted = problem, restricted
        triangle, self._squares, self._same, weights = problem.parts.total(_begun)
        self.average_weight = weights / problem.n
        self._left = float(np.square(triangle.root[-1, -1]))
        self.R, self.beta = fit_of(triangle.root)

    @property
    def log_sigma(self) -> float:
        """The logarithm of the residual standard deviation of the fit without random effects."""
        return 0.5 * float(np.log(max(self._left, np.finfo(float).tiny) / self.problem.n))

    def moments(self) -> Moments:
        """Return moments of the residuals, by which effects' sizes are begun with."""
        assert self.problem.parts is not None
        found: Moments = self.problem.parts.total(_moments, self.R, self.beta)
        return found

    def obstacle(self) -> str:
        """Return in words why nothing is left for a residual; empty if something is."""
        if not self.problem.predictors[1].X.shape[1]:
            return ""
        wrong = without_residual(self.problem.n, len(self.beta), self._left, self._squares)
        if not wrong and self._same.names:
            wrong = f"a response that is the same in all rows of each level of {self._same}"
        return wrong

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and the profiled coefficients at psi."""
        nothing = np.zeros(0)
        try:
            point, slopes, by_size = self._at(psi, self._across(psi))
            value = point.deviance(self.restricted)
        except np.linalg.LinAlgError:
            return Evaluation(np.inf, np.zeros(psi.size), nothing, Status.NOT_FINITE)
        columns = point.columns(self.restricted)
        moved = 0.5 * np.einsum("jm,rjk,km->r", columns, slopes, columns) + by_size
        gradient = np.zeros(psi.size)
        n_theta = self.problem.n_theta
        gradient[:n_theta] = moved[:n_theta]
        if self.problem.predictors[1].X.shape[1]:
            gradient[-1] = moved[-1]
        profiled = Profiled(point.beta, point.covariance())
        return Evaluation(value, gradient, nothing, profiled=profiled)

    def covariance_slopes(self, psi: Array) -> tuple[Array, Array]:
        """Return the covariance of the coefficients, and its derivatives in theta and log sigma.

        Returns
        -------
        ndarray, shape (p, p)
        ndarray, shape (n_theta + 1, p, p)
            Without the last where the residual variances are known.
        """
        point, slopes, _ = self._at(psi, self._across(psi))
        p, half = len(self.beta), point.inverse_root
        inner = np.einsum("jm,rjk,kn->rmn", half, slopes[:, :p, :p], half)
        B = solve_triangular(self.R, half)
        kept = self.problem.n_theta + self.problem.predictors[1].X.shape[1]
        return point.covariance(), -np.einsum("im,rmk,jk->rij", B, inner[:kept], B)

    def curvature(self, psi: Array) -> Curvature | None:
        """Return the second derivatives at psi, by questions to the parts.

        None where the parts have none, or cannot add them: see `linear_across`.
        """
        assert self.problem.parts is not None
        try:
            told = self._across(psi)
            point, _, _ = self._at(psi, told)
            columns = point.columns(self.restricted)
        except np.linalg.LinAlgError:
            return None
        found = self.problem.parts.total(_curved, self.R, self.beta, psi, columns, told)
        slopes = with_shared(found, told, columns)
        if slopes is None:
            return None
        return completed(point, self.problem, slopes, self.restricted)

    def _at(self, psi: Array, told: Across | None) -> tuple[Reduced, Array, Array]:
        """Return the model at psi, the slopes of M, and those of what else the criterion has."""
        assert self.problem.parts is not None
        found = self.problem.parts.total(_share, self.R, self.beta, psi, told)
        M, logdet, slopes, by_size, n, log_weights = found
        if told is not None:
            logdet += told.logdet
            slopes[-1] += 2.0 * told.effects.T @ told.effects
        if not np.all(np.isfinite(M)):
            raise np.linalg.LinAlgError("some part has no factor there")
        own = self.problem.predictors[1].X.shape[1]
        log_sigma = float(psi[-1]) if own else 0.0
        whole = self._left * float(np.exp(-2.0 * log_sigma))
        point = Reduced(M, logdet, self.R, self.beta, n, log_sigma, log_weights, whole)
        return point, slopes, by_size

    def _across(self, psi: Array) -> Across | None:
        """Return what parts are told of the effects that they share; None where they share none."""
        if not has_across(self.problem):
            return None
        assert self.problem.parts is not None
        pulled, S = self.problem.parts.total(_left_across, self.R, self.beta, psi)
        lower = unpack(S)
        lower[np.diag_indices_from(lower)] += 1.0
        try:
            curvature = Factorised(lower)
        except NotPositiveDefiniteError:
            raise np.linalg.LinAlgError("some part has no factor there") from None
        inverse, logdet = curvature.corner(len(lower))
        return Across(inverse, logdet, curvature.solve(pulled))


def _left_across(problem: Problem, R: Array, beta: Array, psi: Array) -> Sums:
    """Return what a part's own effects leave for those that all parts share.

    Returns
    -------
    Sums
        Of tau T'Z'w [Q r], shape (m, p + 1), and of H, the lower triangle row by row.
    """
    scaled = _scaled(problem, R, beta, psi)
    eliminated = scaled.eliminated
    columns = [eliminated.reduce(column) for column in columns_of(scaled.pulled())]
    return Sums(np.array(columns).T, scaled.complement())


def _scaled(problem: Problem, R: Array, beta: Array, psi: Array) -> Scaled:
    """Return a part's cross-products at psi; the last ones, if they were those."""
    data, kept = _products_in(problem, R, beta), problem.cache.setdefault(LARGE, {})
    known: tuple[Array, Scaled] | None = kept.get(Scaled)
    if known is None or known[1].data is not data or not np.array_equal(known[0], psi):
        known = kept[Scaled] = psi.copy(), Scaled(data, psi)
    return known[1]


def _share(
    problem: Problem, R: Array, beta: Array, psi: Array, across: Across | None = None
) -> Sums:
    """Return M, log|H|, the slopes of both in theta and log sigma, rows and log weights.

    Of a part that shares effects with others log|D| of its own.
    """
    data = _products_in(problem, R, beta)
    size, n_theta, layout = len(R) + 1, problem.n_theta, data.layout
    try:
        scaled = None if across is None else _scaled(problem, R, beta, psi)
        point = LinearPoint(data, psi, across, scaled)
    except (NotPositiveDefiniteError, np.linalg.LinAlgError):
        none = np.full((size, size), np.nan)
        slopes = np.zeros((n_theta + 1, size, size))
        return Sums(none, np.nan, slopes, np.zeros(n_theta + 1), data.n, data.log_weights)
    dT = point.logdet_pullback()
    by_size = np.zeros(n_theta + 1)
    by_size[:n_theta] = layout.template_pullback(psi, dT)
    by_size[-1] = data.n - sum(float(np.sum(T * d)) for T, d in zip(point.T, dT, strict=True))
    slopes = np.zeros((n_theta + 1, size, size))
    slopes[-1] = -2.0 * (point.M - point.lengths)
    twice = [-(r + r.transpose(0, 3, 2, 1)) for r, _ in point.moments]
    for j in range(size):
        for k in range(j + 1):
            slopes[:n_theta, j, k] = layout.template_pullback(psi, [d[:, j, :, k] for d in twice])
            slopes[:n_theta, k, j] = slopes[:n_theta, j, k]
    logdet = point.logdet if scaled is None else scaled.eliminated.logdet
    return Sums(point.M, logdet, slopes, by_size, data.n, data.log_weights)


def _curved(
    problem: Problem, R: Array, beta: Array, psi: Array, columns: Array, across: Across | None
) -> PartSlopes:
    """Return what a part has of the second derivatives."""
    data = _products_in(problem, R, beta)
    scaled = None if across is None else _scaled(problem, R, beta, psi)
    try:
        return slopes_in(data, psi, columns, across, scaled)
    except (NotPositiveDefiniteError, np.linalg.LinAlgError):
        return PartSlopes()


def _products_in(problem: Problem, R: Array, beta: Array) -> CrossProducts:
    """Return a part's cross-products in the columns of all rows, made once."""
    known: tuple[Any, CrossProducts] | None = problem.cache.get(_products_in)
    if known is None or not (np.array_equal(known[0][0], R) and np.array_equal(known[0][1], beta)):
        known = (R, beta), CrossProducts.of(layout_of(problem), (R, beta))
        problem.cache[_products_in] = known
    return known[1]


def _begun(problem: Problem) -> Sums:
    """Return the triangle of w^(1/2) [X y], squares of y, factors it does not vary in, weights."""
    y = problem.y - problem.predictors[0].offset
    w = precisions(problem)
    squares = np.square(y) if w is None else w * np.square(y)
    return Sums(
        Triangle(triangle_of(problem)),
        float(np.sum(squares)),
        _Same(same_in_levels(problem)),
        float(problem.n if w is None else np.sum(w)),
    )


def _moments(problem: Problem, R: Array, beta: Array) -> Moments:
    """Return a part's moments."""
    return moments_of(_products_in(problem, R, beta))


class _Same:
    """Factors in whose levels all parts' responses do not vary."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def __add__(self, other: _Same) -> _Same:
        return _Same(self.names & other.names)

    def __str__(self) -> str:
        return repr(min(self.names))


FIRST_ROWS = 4096
"""Rows that are looked at before all others: of most responses they tell."""


def same_in_levels(problem: Problem) -> set[str]:
    """Return the factors in each of whose levels all rows have one response, to rounding."""
    found = set()
    layout = layout_of(problem, rows="given")
    inner = layout.problem.y - layout.problem.predictors[0].offset
    rounding = EXACT * max(float(inner.max()), -float(inner.min()))
    for factor in layout.structure.factors:
        if factor.across:  # other rows of its levels are elsewhere
            continue
        codes = factor.rows.codes
        if _differ(inner[:FIRST_ROWS], codes[:FIRST_ROWS], rounding):
            continue
        counts = np.bincount(codes, minlength=factor.rows.size)
        if counts.max() == 1:  # what tells the variances apart is then not within levels
            continue
        means = factor.rows.sum(inner) / np.maximum(counts, 1)
        if float(np.ptp(inner - means[codes])) <= rounding:
            found.add(factor.name)
    return found


def _differ(values: Array, codes: IntArray, rounding: float) -> bool:
    """Return whether two rows of one level differ by more than rounding."""
    _, first, level = np.unique(codes, return_index=True, return_inverse=True)
    return bool(np.any(np.abs(values - values[first[level]]) > rounding))


def without_residual(n: int, p: int, left: float, squares: float) -> str:
    """Return in words why fixed effects leave nothing for a residual; empty if they do.

    Parameters
    ----------
    n, p : int
        Rows and coefficients.
    left, squares : float
        Sums of squares of what they leave, and of the response.
    """
    if n <= p:
        return f"{p} coefficients for {n} rows"
    if left <= EXACT**2 * squares:
        return "fixed effects that predict the response exactly"
    return ""


def without_weight(problem: Problem) -> int:
    """Return the number of rows without a positive weight."""
    return 0 if problem.weights is None else int(np.count_nonzero(problem.weights <= 0.0))
