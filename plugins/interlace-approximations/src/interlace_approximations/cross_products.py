"""What the likelihood of a linear mixed model needs of the data: cross-products of its columns.

`linear_point` computes the model at a theta and sigma from them, without a pass over the rows.
Columns are taken orthonormal and the response less its fit without random effects, so that nothing
large cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_approximations.reduced import triangular_solution
from interlace_core.contract import (
    Array,
    LinearProducts,
    LinearResponses,
    Predictor,
    Problem,
    RowColumns,
    RowSums,
)
from interlace_core.engine import (
    Blocks,
    Layout,
    compiled_products,
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
        inverse = triangular_solution(self.R, np.eye(len(self.R))) if len(self.R) else self.R
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
        np.matmul(triangular_solution(R, np.eye(p)).T, mean.X.T, out=S[:p])
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
        layout = layout_of(problem, chains=True, rows="given")
        found = _in_one_pass(layout)
        problem.cache[CrossProducts] = CrossProducts.of(layout) if found is None else found
    known: CrossProducts = problem.cache[CrossProducts]
    return known


SAMPLE_ROWS = 4096
"""Rows of which the first coefficients are, from all over the data."""

LEAST_LEFT = 0.1
"""Share of the residuals' squares that better coefficients leave, below which they are summed
again with these."""

LARGEST_INVERSE = 1e2
"""Of the triangle of X in units of its columns: above it, products have lost four digits."""

MOST_PASSES = 4
"""Over the rows: what is left after these is rounding."""


def _in_one_pass(layout: Layout) -> CrossProducts | None:
    """Return the cross-products by compiled sums of the rows as they are, None where none serve.

    1. Sums of [X r] with residuals r of coefficients that a sample of the rows tells: r is then
       about as large as what is left by those of all rows, so that nothing large cancels.
    2. The triangle of X, and better coefficients, from these sums.
    3. Where these leave much less of r, the same again.
    4. [Q r] of the triangle and the best coefficients instead of [X r].
    """
    problem, structure = layout.problem, layout.structure
    if any(f.points is not None or f.chain is not None for f in structure.factors):
        return None
    if structure.random_predictors != (0,):
        return None
    w = precisions(problem)
    summed = _summed(layout, w)
    if summed is None:
        return None
    found, R, G, beta = summed
    # 4. [Q r]
    A = {(f, f): each.A for f, each in enumerate(found.levels)}
    others = {at for at in structure.pairs if at not in A}
    if others:
        ones = np.ones(problem.n) if w is None else w
        A |= products_on_pattern(structure, lambda k, m: ones, others)
    Zs = [np.ascontiguousarray(G.T @ each.Zs) for each in found.levels]
    log_weights = 0.0 if w is None else float(np.sum(np.log(w)))
    return CrossProducts(layout, A, Zs, G.T @ found.SS @ G, R, beta, problem.n, log_weights)


def _summed(layout: Layout, w: Array | None) -> tuple[RowSums, Array, Array, Array] | None:
    """Return steps 1 to 3: sums, R, the map G with [Q r'] = [X r] G, and beta, which r' is of."""
    problem, mean = layout.problem, layout.problem.predictors[0]
    p, beta = mean.X.shape[1], _sampled(mean, problem.y, w)
    factors = tuple(
        (f.rows.codes, f.rows.size, tuple(column.z for column in f.columns))
        for f in layout.structure.factors
    )
    for passes in range(1, MOST_PASSES + 1):
        # 1. sums
        columns = RowColumns(mean.X, problem.y, mean.offset, beta, w, factors)
        found = compiled_products(problem, columns)
        # 2. triangle and coefficients
        R = None if found is None else _root_of(found.SS[:p, :p])
        if found is None or R is None:
            return None
        G = np.eye(p + 1)
        G[:p, :p] = triangular_solution(R, np.eye(p)) if p else 0.0
        G[:p, p] = -G[:p, :p] @ (G[:p, :p].T @ found.SS[:p, p])
        left = G[:, p] @ found.SS @ G[:, p]
        beta = beta - G[:p, p]
        # 3. again
        if left >= LEAST_LEFT * found.SS[p, p] or passes == MOST_PASSES:
            return found, R, G, beta
    return None


def _sampled(mean: Predictor, y: Array, w: Array | None) -> Array:
    """Return the coefficients nearest to some of the rows, shape (p,)."""
    some = slice(None, None, max(len(y) // SAMPLE_ROWS, 1))
    root = 1.0 if w is None else np.sqrt(w[some])
    target = (y[some] - mean.offset[some]) * root
    return np.asarray(np.linalg.lstsq((mean.X[some].T * root).T, target, rcond=None)[0])


def _root_of(gram: Array) -> Array | None:
    """Return R, upper triangular, with R'R the products; None where these tell too little of it."""
    size = np.sqrt(np.diagonal(gram))
    if not np.all(size > 0.0):
        return None
    try:
        unit = np.asarray(np.linalg.cholesky(gram / size / size[:, None]).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    if len(unit) and np.max(np.abs(triangular_solution(unit, np.eye(len(unit))))) > LARGEST_INVERSE:
        return None
    return np.asarray(unit * size)


def triangle_of(problem: Problem) -> Array:
    """Return R, upper triangular, of w^(1/2) [X y], the response less its offset."""
    mean, w = problem.predictors[0], precisions(problem)
    return triangular_factor(mean.X, problem.y - mean.offset, None if w is None else np.sqrt(w))


def fit_of(triangle: Array) -> tuple[Array, Array]:
    """Return R of X, shape (p, p), and the coefficients of the fit without random effects."""
    p = triangle.shape[1] - 1
    R = triangle[:p, :p]
    return R, triangular_solution(R, triangle[:p, p]) if p else np.zeros(0)


def precisions(problem: Problem) -> Array | None:
    """Return w with Var(y) = sigma^2 / w, sigma the constant of the dispersion; None if all 1.

    Weights, and an offset of the logarithm of the standard deviation.
    """
    offset = problem.predictors[1].offset
    if not np.any(offset):
        return problem.weights
    w: Array = np.exp(-2.0 * offset)
    return w if problem.weights is None else w * problem.weights
