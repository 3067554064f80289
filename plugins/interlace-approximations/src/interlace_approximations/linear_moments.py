"""Variances of effects from second moments of the residuals, to begin a search with.

For residuals r of the model without random effects, E(z'w r)^2 of a level is a sum over all
variances, with squares of Z'wZ as weights: MIVQUE(0) of Rao (1971), but for the degrees of freedom
of the coefficients. Nothing is factorised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace_approximations.cross_products import CrossProducts
from interlace_core.contract import Array, IntArray, Problem
from interlace_core.engine import pack, unpack

LEAST_SIZE, LARGEST_SIZE = 0.02, 20.0
"""Effects on eta, in residual standard deviations, beyond which moments are not believed."""


@dataclass(frozen=True)
class Moments:
    """Sums of squares of residuals' products with columns, and their weights; adds up over parts.

    Attributes
    ----------
    weights : ndarray, shape (C + 1, C + 1)
        Of the variances of the C columns of all terms, in the problem's order, and of the residual.
    squares : ndarray, shape (C + 1,)
    known : bool
        Whether levels are independent and the residual variance is sought.
    shared : ndarray, shape (h (h + 1) / 2,)
        Z'wZ of effects that other parts have too, packed: of its sums there are squares.
    pulled : ndarray, shape (h,)
        Z'w r of these.
    columns : ndarray of intp, shape (h,)
        The column of each.
    """

    weights: Array
    squares: Array
    known: bool
    shared: Array
    pulled: Array
    columns: IntArray

    @classmethod
    def unknown(cls, count: int) -> Moments:
        """Return those of so many columns that tell nothing."""
        nothing = np.zeros(0)
        weights, squares = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
        return cls(weights, squares, False, nothing, nothing, nothing.astype(np.intp))

    def __add__(self, other: Moments) -> Moments:
        """Return those of the rows of both."""
        return Moments(
            self.weights + other.weights,
            self.squares + other.squares,
            self.known and other.known,
            self.shared + other.shared,
            self.pulled + other.pulled,
            self.columns,
        )

    def variances(self) -> Array | None:
        """Return the variance of each column's effects, and the residual one, last."""
        weights, squares = self.weights.copy(), self.squares.copy()
        lower = np.square(unpack(self.shared))
        whole = lower + np.tril(lower, -1).T
        of_columns = np.zeros((len(squares), len(self.columns)))
        of_columns[self.columns, np.arange(len(self.columns))] = 1.0
        weights += of_columns @ whole @ of_columns.T
        squares += of_columns @ np.square(self.pulled)
        try:
            found = np.asarray(np.linalg.solve(weights, squares), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        return found if np.all(np.isfinite(found)) and found[-1] > 0.0 else None


def sizes_by_moments(
    problem: Problem, found: Moments
) -> tuple[Sequence[Array | None], float | None]:
    """Return what each term's columns move eta by, and the logarithm of the residual deviation.

    In root mean square, shape (c,) each. None for a term of which moments tell nothing: its effects
    may be small, or the search has to find out.

    The residual's is None where some term's is.

    Parameters
    ----------
    problem : Problem
    found : Moments
        Of all rows.
    """
    sizes: list[Array | None] = [None] * len(problem.terms)
    variances = found.variances() if found.known else None
    if variances is None:
        return sizes, None
    residual = np.sqrt(variances[-1])
    for index, (term, place) in enumerate(zip(problem.terms, _places(problem), strict=True)):
        size = np.sqrt(np.maximum(variances[place], 0.0)) * term.reach
        if np.all((size > LEAST_SIZE * residual) & (size < LARGEST_SIZE * residual)):
            sizes[index] = size
    whole = all(size is not None for size in sizes)
    return sizes, float(np.log(residual)) if whole else None


def _places(problem: Problem) -> list[slice]:
    ends = np.cumsum([term.Z.shape[1] for term in problem.terms]).tolist()
    return [
        slice(end - term.Z.shape[1], end) for term, end in zip(problem.terms, ends, strict=True)
    ]


def moments_of(data: CrossProducts) -> Moments:
    """Return the moments of some rows."""
    factors, places = data.layout.structure.factors, _places(data.layout.problem)
    count = places[-1].stop if places else 0
    if any(factor.chain is not None for factor in factors):
        return Moments.unknown(count)  # its columns are not those of its term
    order = [np.empty(len(factor.columns), dtype=np.intp) for factor in factors]
    for own, factor in zip(order, factors, strict=True):
        for index, place in factor.terms:
            own[place] = np.r_[places[index]]
    weights, squares = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
    for (i, j), A in data.A.items():
        rows, beside = order[i], order[j]
        if i == j:
            weights[rows, -1] = weights[-1, rows] = np.einsum("aap->a", A)
        if factors[i].across and factors[j].across:
            continue
        weights[np.ix_(rows, beside)] = np.einsum("abp,abp->ab", A, A)
        weights[np.ix_(beside, rows)] = weights[np.ix_(rows, beside)].T
        if i == j:
            squares[rows] = np.einsum("al,al->a", data.Zs[i][:, -1], data.Zs[i][:, -1])
    weights[-1, -1], squares[-1] = data.n, data.SS[-1, -1]
    known = all(factor.independent for factor in factors) and data.estimates_sigma
    shared, pulled, columns = _shared(data, order)
    return Moments(weights, squares, known, shared, pulled, columns)


def _shared(data: CrossProducts, order: list[IntArray]) -> tuple[Array, Array, IntArray]:
    """Return Z'wZ, packed, and Z'w r of effects that other parts have too, and their columns."""
    structure, starts, size = data.layout.structure, {}, 0
    for i, factor in enumerate(structure.factors):
        if factor.across:
            starts[i] = size
            size += factor.shape[0] * factor.shape[1]
    if not size:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp)
    E = np.zeros((size, size))
    for (i, j), A in data.A.items():
        if i in starts and j in starts:
            pair, (L, other) = (
                structure.pairs[i, j],
                (structure.factors[f].shape[1] for f in (i, j)),
            )
            for a, b in np.ndindex(A.shape[:2]):
                rows, columns = starts[i] + a * L + pair.first, starts[j] + b * other + pair.second
                E[np.maximum(rows, columns), np.minimum(rows, columns)] = A[a, b]
    pulled = np.concatenate([data.Zs[i][:, -1].ravel() for i in starts])
    columns = np.concatenate([np.repeat(order[i], structure.factors[i].shape[1]) for i in starts])
    return pack(E), pulled, columns
