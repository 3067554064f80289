"""What the likelihood of a linear mixed model needs of the data: cross-products of its columns.

`linear_point` computes the model at a theta and sigma from them, without a pass over the rows.
Columns are taken orthonormal and the response less its fit without random effects, so that nothing
large cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from interlace_core.contract import Array, LinearProducts, LinearResponses, Predictor, Problem
from interlace_core.engine import (
    Blocks,
    Layout,
    layout_of,
    products_on_pattern,
    scaled,
    scatter,
    triangular_factor,
)


@dataclass(frozen=True)
class CrossProducts:
    """What the likelihood of a linear mixed model needs of the data.

    Attributes
    ----------
    layout : Layout
    A : Blocks
        Z'wZ on its pattern.
    Zs : list of ndarray, shape (c, p + 1, L), one per factor
        Z'w[Q r], Q the orthonormal columns of X, r the response less its weighted
        least-squares fit.
    SS : ndarray, shape (p + 1, p + 1)
        [Q r]'w[Q r].
    R : ndarray, shape (p, p)
        X = Q R, upper triangular.
    beta : ndarray, shape (p,)
        Coefficients of the fit without random effects.
    n : int
    log_weights : float
        Sum of the logarithms of the weights.
    """

    layout: Layout
    A: Blocks
    Zs: list[Array]
    SS: Array
    R: Array
    beta: Array
    n: int
    log_weights: float

    @classmethod
    def of(
        cls, layout: Layout, without_effects: tuple[Array, Array] | None = None
    ) -> CrossProducts:
        """Return the cross-products of a problem whose first predictor is the mean's.

        1. X = Q R and the fit without random effects, by orthogonal transformations.
        2. The columns [Q r], row by row.
        3. Their products with each other and with Z.

        Parameters
        ----------
        layout : Layout
        without_effects : (ndarray, ndarray), optional
            R and the coefficients of that fit, where they are those of more rows than these.
        """
        # 1. without random effects
        problem, structure = layout.problem, layout.structure
        mean = problem.predictors[0]
        w = precisions(problem)
        R, beta = without_effects or fit_of(triangle_of(problem))
        # 2. and 3. columns and their products
        SS, Zs = _with_columns(layout, _columns(mean, problem.y, R, beta), w)
        ones = np.ones(problem.n) if w is None else w
        information = products_on_pattern(structure, lambda k, m: ones)
        return cls(
            layout, information, Zs, SS, R, beta, problem.n,
            0.0 if w is None else float(np.sum(np.log(w))),
        )  # fmt: skip

    @property
    def estimates_sigma(self) -> bool:
        """Whether the residual standard deviation is a parameter, and not known row by row."""
        return bool(self.layout.problem.predictors[1].X.shape[1])

    def record(self) -> LinearProducts:
        """Return them as compiled code is given them."""
        return LinearProducts(
            self.A, self.Zs, self.SS, self.R, self.beta, self.n, self.log_weights,
            self.estimates_sigma,
        )  # fmt: skip

    def responses(self, responses: Array) -> LinearResponses | None:
        """Return what depends on other responses, shape (count, n) with rows as given.

        None where rows were taken together.
        """
        layout, problem = self.layout, self.layout.problem
        if layout.groups is not None:
            return None
        mean, w = problem.predictors[0], precisions(problem)
        y = responses if layout.order is None else responses[:, layout.order]
        inverse = _solved(self.R, np.eye(len(self.R))) if len(self.R) else self.R
        Q = mean.X @ inverse
        weighted = Q if w is None else Q * w[:, None]
        fixed, structure = mean.offset + mean.X @ self.beta, layout.structure
        Zs, SS, beta = [], [], []
        for each in y:  # one by one: products of many at once round otherwise than those of few
            # from what the known coefficients leave, so that nothing large cancels
            r = each - fixed
            moved = r @ weighted
            r -= Q @ moved
            own = scaled(r, w, None)
            Zs.append(scatter(structure, dict.fromkeys(structure.random_predictors, own)))
            SS.append(np.append(r @ weighted, r @ (r if own is None else own)))
            beta.append(self.beta + inverse @ moved)
        return LinearResponses(
            [np.stack(parts) for parts in zip(*Zs, strict=True)], np.stack(SS), np.stack(beta)
        )

    def log_sigma_without_effects(self) -> float:
        """Return the logarithm of the residual standard deviation of weighted least squares.

        Of a unit weight, by maximum likelihood. Data that leave no residual stand for rounding.
        """
        total = max(float(self.SS[-1, -1]), float(np.finfo(float).tiny))
        return 0.5 * float(np.log(total / self.n))


def _columns(mean: Predictor, y: Array, R: Array, beta: Array) -> Array:
    """Return [Q r] by columns, shape (p + 1, n)."""
    p = len(beta)
    S = np.empty((p + 1, len(y)))
    if p:
        np.matmul(_solved(R, np.eye(p)).T, mean.X.T, out=S[:p])
    S[p] = y - mean.offset - mean.X @ beta
    return S


def _with_columns(layout: Layout, S: Array, w: Array | None) -> tuple[Array, list[Array]]:
    """Return the weighted products of columns with each other, and of Z with them by factor."""
    structure = layout.structure
    SS = S @ S.T if w is None else (S * w) @ S.T
    columns = [
        scatter(structure, dict.fromkeys(structure.random_predictors, scaled(s, w, None)))
        for s in S
    ]
    return SS, [np.stack(parts, axis=1) for parts in zip(*columns, strict=True)]


def cross_products_of(problem: Problem) -> CrossProducts:
    """Return what the likelihood of a linear mixed model needs of the rows, made once."""
    if CrossProducts not in problem.cache:
        problem.cache[CrossProducts] = CrossProducts.of(layout_of(problem, chains=True))
    found: CrossProducts = problem.cache[CrossProducts]
    return found


def triangle_of(problem: Problem) -> Array:
    """Return R, upper triangular, of w^(1/2) [X y], the response less its offset."""
    mean, w = problem.predictors[0], precisions(problem)
    return triangular_factor(mean.X, problem.y - mean.offset, None if w is None else np.sqrt(w))


def fit_of(triangle: Array) -> tuple[Array, Array]:
    """Return R of X, shape (p, p), and the coefficients of the fit without random effects."""
    p = triangle.shape[1] - 1
    R = triangle[:p, :p]
    return R, _solved(R, triangle[:p, p]) if p else np.zeros(0)


def _solved(R: Array, x: Array) -> Array:
    """Return R^-1 x, of R upper triangular; raises LinAlgError where that is singular.

    Without the checks of `scipy.linalg.solve_triangular`, which take longer than small ones.
    """
    found, failed = lapack.dtrtrs(R, x)
    if failed:
        raise np.linalg.LinAlgError("singular triangle")
    return np.asarray(found)


def precisions(problem: Problem) -> Array | None:
    """Return w with Var(y) = sigma^2 / w, sigma the constant of the dispersion; None if all 1.

    Weights, and an offset of the logarithm of the standard deviation.
    """
    offset = problem.predictors[1].offset
    if not np.any(offset):
        return problem.weights
    w: Array = np.exp(-2.0 * offset)
    return w if problem.weights is None else w * problem.weights
