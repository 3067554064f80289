"""Variances of effects from second moments of the residuals, to begin a search with.

For residuals r of the model without random effects, E(z'w r)^2 of a level is a sum over all
variances, with squares of Z'wZ as weights: MIVQUE(0) of Rao (1971), but for the degrees of freedom
of the coefficients. Nothing is factorised.
"""

from __future__ import annotations

import numpy as np

from interlace_approximations.cross_products import CrossProducts
from interlace_core.contract import Array

LEAST_SIZE, LARGEST_SIZE = 0.02, 20.0
"""Effects on eta, in residual standard deviations, beyond which moments are not believed."""


def sizes_by_moments(data: CrossProducts) -> tuple[list[Array | None], float | None]:
    """Return what each term's columns move eta by, and the logarithm of the residual deviation.

    In root mean square, shape (c,) each. None for a term of which moments tell nothing: its effects
    may be small, or the search has to find out. With one factor too, of which an evaluation takes
    less than to find a start.

    The residual's is None where some term's is.

    Parameters
    ----------
    data : CrossProducts
    """
    layout = data.layout
    problem, factors = layout.problem, layout.structure.factors
    found: list[Array | None] = [None] * len(problem.terms)
    known = all(factor.independent for factor in factors) and data.estimates_sigma
    variances = _variances(data) if known and len(factors) > 1 else None
    if variances is None:
        return found, None
    residual, at = np.sqrt(variances[-1]), 0
    for factor in factors:
        for index, place in factor.terms:
            term = problem.terms[index]
            own = variances[at + place.start : at + place.stop]
            size = np.sqrt(np.maximum(own, 0.0)) * term.reach
            if np.all((size > LEAST_SIZE * residual) & (size < LARGEST_SIZE * residual)):
                found[index] = size
        at += len(factor.columns)
    whole = all(size is not None for size in found)
    return found, float(np.log(residual)) if whole else None


def _variances(data: CrossProducts) -> Array | None:
    """Return the variance of each column's effects, and the residual one, last."""
    sizes = [len(factor.columns) for factor in data.layout.structure.factors]
    starts = np.cumsum([0, *sizes])
    weights = np.zeros((starts[-1] + 1, starts[-1] + 1))
    squares = np.zeros(starts[-1] + 1)
    for (i, j), A in data.A.items():
        rows, columns = slice(*starts[i : i + 2]), slice(*starts[j : j + 2])
        weights[rows, columns] = np.einsum("abp,abp->ab", A, A)
        weights[columns, rows] = weights[rows, columns].T
        if i == j:
            squares[rows] = np.einsum("al,al->a", data.Zs[i][:, -1], data.Zs[i][:, -1])
            weights[rows, -1] = weights[-1, rows] = np.einsum("aap->a", A)
    weights[-1, -1], squares[-1] = data.n, data.SS[-1, -1]
    try:
        found = np.linalg.solve(weights, squares)
    except np.linalg.LinAlgError:
        return None
    return found if np.all(np.isfinite(found)) and found[-1] > 0.0 else None
