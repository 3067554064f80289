"""Rows whose errors are correlated within groups: roots of their covariance, and whitened problems.

With `y ~ N(X beta + Z b, D C D)`, D the diagonal of standard deviations and C = L L' block-diagonal
over groups of rows, the rows of `L^-1 D^-1 [y X Z]` are independent with variance 1 (Pinheiro &
Bates 2000, section 5.1). Groups of equal size are worked on together; those with the same times
share their blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from interlace_core.contract.problem import Predictor, Problem
from interlace_core.contract.row_correlation import Batch, RowCorrelation
from interlace_core.records import Array


class RowRoots:
    """C = L L' at some parameters, and its derivatives."""

    def __init__(
        self, batches: tuple[Batch, ...], L: list[Array], slopes: list[Array], count: int
    ) -> None:
        self._batches, self._L, self.count = batches, L, count
        self._inverse = [_inverse(root) for root in L]
        self._slopes = [
            inverse @ slope @ inverse.transpose(0, 2, 1)
            for inverse, slope in zip(self._inverse, slopes, strict=True)
        ]

    @property
    def logdet(self) -> float:
        """Logarithm of the determinant of C."""
        total = 0.0
        for batch, L in zip(self._batches, self._L, strict=True):
            logs = np.sum(np.log(np.diagonal(L, axis1=1, axis2=2)), axis=1)
            total += 2.0 * float(np.sum(logs[batch.pattern]))
        return total

    def whiten(self, x: Array) -> Array:
        """Return L^-1 x, shape (n, m)."""
        return self._apply(self._inverse, x)

    def whiten_transposed(self, x: Array) -> Array:
        """Return L'^-1 x, shape (n, m)."""
        return self._apply([each.transpose(0, 2, 1) for each in self._inverse], x)

    def colour(self, x: Array) -> Array:
        """Return L x, shape (n, m)."""
        return self._apply(self._L, x)

    def slope(self, k: int, x: Array) -> Array:
        """Return L^-1 C_k L'^-1 x with C_k the derivative of C in parameter k, shape (n, m)."""
        return self._apply([each[k] for each in self._slopes], x)

    def logdet_slope(self, k: int) -> float:
        """Return the derivative of `log det C` in parameter k."""
        traces = [np.trace(each[k], axis1=1, axis2=2) for each in self._slopes]
        return sum(
            float(np.sum(trace[batch.pattern]))
            for batch, trace in zip(self._batches, traces, strict=True)
        )

    def _apply(self, blocks: list[Array], x: Array) -> Array:
        out = np.empty_like(x)
        for batch, block in zip(self._batches, blocks, strict=True):
            chosen = block if len(block) == 1 else block[batch.pattern]
            out[batch.rows] = np.matmul(chosen, x[batch.rows])
        return out


def _cholesky(C: Array) -> Array:
    return np.asarray(np.linalg.cholesky(C), np.float64)


def _inverse(L: Array) -> Array:
    return np.asarray(np.linalg.inv(L), np.float64)


class IndependentRows(RowRoots):
    """Rows without correlation: C = I."""

    def __init__(self) -> None:
        super().__init__((), [], [], 0)

    def _apply(self, blocks: list[Array], x: Array) -> Array:
        return x


def row_roots(problem: Problem, psi: Array) -> RowRoots:
    """Return the roots of the rows' correlation at psi.

    The parameters of the family beyond the second are those of the correlation.
    """
    if problem.correlation is None:
        return IndependentRows()
    values = [
        float(predictor.parameter.link.mu(psi[place][0]))
        for predictor, place in zip(problem.predictors[2:], problem.beta_slices()[2:], strict=True)
    ]
    return roots_at(problem.correlation, values)


def row_deviations(problem: Problem, psi: Array) -> Array:
    """Return the standard deviation of each row's error, shape (n,); weights are precisions."""
    sd = np.exp(problem.fixed_part(psi)[1])
    return sd if problem.weights is None else np.asarray(sd / np.sqrt(problem.weights))


def whitened(problem: Problem, psi: Array) -> Problem:
    """Return the problem with rows that are independent and of variance 1 at psi.

    The predictors of standard deviation and correlation are 0 there.
    """
    sd = row_deviations(problem, psi)[:, None]
    roots = row_roots(problem, psi)
    mean = problem.predictors[0]
    designs = [np.asarray(term.Z) for term in problem.terms]
    parts = [problem.y[:, None], mean.offset[:, None], mean.X, *designs]
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    y, offset, X, *Z = np.split(roots.whiten(np.hstack(parts) / sd), ends, axis=1)
    others = [
        _zero_at(predictor, psi[place])
        for predictor, place in zip(problem.predictors[1:], problem.beta_slices()[1:], strict=True)
    ]
    return replace(
        problem,
        y=y[:, 0],
        weights=None,
        predictors=(replace(mean, X=np.asfortranarray(X), offset=offset[:, 0]), *others),
        terms=tuple(replace(term, Z=z) for term, z in zip(problem.terms, Z, strict=True)),
        correlation=None,
        # the family has the correlation's parameters too, of which no kernel of its name knows
        compiled=None,
    )


def _zero_at(predictor: Predictor, beta: Array) -> Predictor:
    return replace(predictor, offset=-(predictor.X @ beta))


def roots_at(correlation: RowCorrelation, values: Sequence[float]) -> RowRoots:
    """Return the roots of the correlation matrices at some parameters.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.
    """
    roots = [
        _cholesky(correlation.structure.matrix(batch.times, values))
        for batch in correlation.batches
    ]
    slopes = [correlation.structure.slopes(batch.times, values) for batch in correlation.batches]
    return RowRoots(correlation.batches, roots, slopes, len(values))
