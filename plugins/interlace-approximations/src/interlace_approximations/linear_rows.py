"""The likelihood of a linear model whose rows are correlated or of unequal variance.

With R = D C D the covariance of the errors and P = V^-1 (for REML less its part in the space of
X), e = V^-1 (y - X beta), a parameter of R moves the criterion by

    dF = tr(P dR) / 2 - e' dR e / 2 .

Rows are whitened at each evaluation (`interlace_core.engine`), the criterion is that of
independent rows on cross-products plus log|R| / 2, and P is `I - Z M Z'` in whitened rows, with M
needed on the pattern of Z'Z alone: rows that correlate share their levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular

from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.linear_point import LinearPoint
from interlace_core.contract import Array, Evaluation, Problem, Profiled, Status
from interlace_core.engine import (
    Layout,
    NotPositiveDefiniteError,
    RowRoots,
    row_deviations,
    row_roots,
)

Fields = list[Array]
"""One array per factor, shape (c, n)."""


SMALLEST = 1e-150
"""Standard deviation whose square is still no underflow."""


@dataclass(frozen=True)
class RowPoint:
    """A linear model at one psi.

    Attributes
    ----------
    layout : Layout
        Whitened.
    point : LinearPoint
        Of the whitened rows.
    roots : RowRoots
    log_deviations : float
        Sum of the logarithms of the rows' standard deviations.
    half : ndarray, shape (p, p)
        With half half' the covariance of the coefficients.
    """

    layout: Layout
    point: LinearPoint
    roots: RowRoots
    log_deviations: float

    @classmethod
    def at(cls, layout: Layout, psi: Array) -> RowPoint:
        """Return the model at psi.

        Raises
        ------
        numpy.linalg.LinAlgError
            If a row's standard deviation is 0 or infinite there, to rounding.
        """
        problem = layout.problem
        with np.errstate(over="ignore", under="ignore"):
            deviations = row_deviations(problem, psi)
        if not np.all((deviations > SMALLEST) & (deviations < 1.0 / SMALLEST)):
            raise np.linalg.LinAlgError("a standard deviation of 0 or infinity")
        white = layout.whitened(psi)
        mean, *others = white.problem.predictors
        plain = (mean, *(replace(each, offset=np.zeros(problem.n)) for each in others))
        white = replace(white, problem=replace(white.problem, predictors=plain))
        unit = np.append(psi[: problem.n_theta], 0.0)
        total = float(np.sum(np.log(deviations)))
        point = LinearPoint(CrossProducts.of(white), unit)
        return cls(white, point, row_roots(problem, psi), total)

    @property
    def half(self) -> Array:
        """B with B B' the covariance of the coefficients, shape (p, p)."""
        return np.asarray(solve_triangular(self.point.data.R, self.point.inverse_root))

    def deviance(self, restricted: bool) -> float:
        """Return the negative (restricted) log-likelihood, with all constants."""
        rows = self.log_deviations + 0.5 * self.roots.logdet
        return self.point.deviance(restricted) + rows

    def residuals(self) -> tuple[Array, Array]:
        """Return V^-1 (y - X beta), shape (n, 1), and V^-1 X B, shape (n, p), whitened."""
        mean = self.layout.problem.predictors[0]
        y = self.layout.problem.y - mean.offset - mean.X @ self.point.beta
        rows = np.column_stack([y, mean.X @ self.half])
        p = len(self.point.root)
        fixed = np.vstack([self.point.inverse_root, np.zeros((1, p))])
        columns = np.column_stack([self.point.residual, fixed])
        factors = self.layout.structure.factors
        for factor, T, U in zip(factors, self.point.T, self.point.U, strict=True):
            b = np.einsum("ab,bjl,jm->alm", T, factor.spread(U), columns, optimize=True)
            for column, effects in zip(factor.columns, b, strict=True):
                part = effects[factor.rows.codes]
                rows -= part if column.z is None else part * column.z[:, None]
        return rows[:, :1], rows[:, 1:]

    def effects_covariance(self) -> dict[tuple[int, int], Array]:
        """Return M = T H^-1 T' on the pattern of Z'Z."""
        T, inverse = self.point.T, self.point.factorisation.selected_inverse()
        return {
            (i, j): np.einsum("ab,bcp,dc->adp", T[i], N, T[j], optimize=True)
            for (i, j), N in inverse.items()
        }

    def covariates(self) -> Fields:
        """Return the whitened columns of Z by factor."""
        ones = np.ones(self.layout.problem.n)
        return [
            np.array([ones if column.z is None else column.z for column in factor.columns])
            for factor in self.layout.structure.factors
        ]

    def diagonal(self, M: dict[tuple[int, int], Array], first: Fields, second: Fields) -> Array:
        """Return the diagonal of F M S' for two fields of covariates on the pattern, shape (n,)."""
        total = np.zeros(self.layout.problem.n)
        for (i, j), block in M.items():
            codes = self.layout.structure.pairs[i, j].rows.codes
            rows = block[:, :, codes]
            total += np.einsum("an,abn,bn->n", first[i], rows, second[j])
            if i != j:
                total += np.einsum("an,abn,bn->n", second[i], rows, first[j])
        return total


class RowObjective:
    """psi -> Evaluation."""

    def __init__(self, layout: Layout, restricted: bool) -> None:
        self.layout, self.restricted = layout, restricted

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient, mode and the profiled coefficients at psi."""
        gradient = np.zeros(psi.size)
        try:
            here = RowPoint.at(self.layout, psi)
            value = here.deviance(self.restricted)
        except (NotPositiveDefiniteError, np.linalg.LinAlgError):
            nowhere = np.zeros(self.layout.structure.q)
            return Evaluation(np.inf, gradient, nowhere, Status.NOT_FINITE)
        dT, _, _ = here.point.gradient(self.restricted)
        problem = self.layout.problem
        gradient[: problem.n_theta] = self.layout.template_pullback(psi, dT)
        _add_row_gradient(problem, here, psi, gradient, self.restricted)
        profiled = Profiled(here.point.beta, here.point.covariance())
        return Evaluation(value, gradient, here.point.mode, profiled=profiled)


def covariance_slopes(layout: Layout, psi: Array) -> Array:
    """Return the derivatives of the coefficients' covariance, shape (r, p, p).

    In theta, the coefficients of the standard deviation and the correlation's parameters.
    """
    problem, here = layout.problem, RowPoint.at(layout, psi)
    half, Q = here.half, here.residuals()[1]
    slopes = list(here.point.covariance_slopes(np.append(psi[: problem.n_theta], 0.0)))
    slopes = slopes[: problem.n_theta]
    left, right = here.roots.whiten_transposed(Q), here.roots.colour(Q)
    for x in problem.predictors[1].X.T:
        inner = (left * x[:, None]).T @ right
        slopes.append(half @ (inner + inner.T) @ half.T)
    for k, slope in enumerate(_natural_slopes(problem, psi)):
        slopes.append(slope * half @ (Q.T @ here.roots.slope(k, Q)) @ half.T)
    return np.array(slopes)


def _add_row_gradient(
    problem: Problem, here: RowPoint, psi: Array, gradient: Array, restricted: bool
) -> None:
    """Add the derivatives in the rows' standard deviations and correlations."""
    e, Q = here.residuals()
    columns = np.hstack([e, Q]) if restricted else e
    M, z, roots = here.effects_covariance(), here.covariates(), here.roots
    left, right = (_each(z, operate) for operate in (roots.whiten_transposed, roots.colour))
    moved = roots.whiten_transposed(columns) * roots.colour(columns)
    per_row = 1.0 - here.diagonal(M, left, right) - np.sum(moved, axis=1)
    places = problem.beta_slices()
    gradient[places[1]] = problem.predictors[1].X.T @ per_row
    for k, slope in enumerate(_natural_slopes(problem, psi)):
        turned = _each(z, partial(roots.slope, k))
        total = roots.logdet_slope(k) - float(np.sum(here.diagonal(M, z, turned)))
        total -= float(np.sum(columns * roots.slope(k, columns)))
        gradient[places[2 + k]] = 0.5 * slope * total


def _each(fields: Fields, operate: Callable[[Array], Array]) -> Fields:
    return [np.ascontiguousarray(operate(field.T).T) for field in fields]


def _natural_slopes(problem: Problem, psi: Array) -> list[float]:
    """Return the derivative of each correlation parameter in its predictor."""
    return [
        float(np.asarray(predictor.parameter.link.derivatives(psi[place][0])[1]))
        for predictor, place in zip(problem.predictors[2:], problem.beta_slices()[2:], strict=True)
    ]
