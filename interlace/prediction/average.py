"""Averages over random effects that are not known: of a new group, or of the whole population.

The linear predictors' random parts are sums of normal effects, so they are jointly normal, with
covariances z'Sz: one Gauss-Hermite rule per predictor with random effects integrates them, however
many terms and columns there are. They are correlated where a term is shared by parameters. The
nodes are those of the normal density, fixed; a polynomial of degree 2 J - 1 in the random part is
integrated exactly, a logistic curve at standard deviation 3 to about 1e-8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Array, BoolArray, IntArray

POINTS = {1: 64, 2: 24, 3: 12}
"""Nodes per predictor with random effects, by their number; the grid has about 2,000 at most."""


def average(transform: Callable[[list[Array]], Array], eta: Array, covariance: Array) -> Array:
    """Return the mean of a transform over normal parts of the predictors, shape (n,).

    Parameters
    ----------
    transform : callable
        From K predictors, shape (n,) each, to shape (n,).
    eta : ndarray, shape (K, n)
        Means of the predictors.
    covariance : ndarray, shape (K, K, n)
        Covariance of their unknown parts; what has no variance is known.

    Raises
    ------
    UnsupportedModelError
        If more than three predictors have random effects.
    """
    random = [k for k in range(len(eta)) if np.any(covariance[k, k] > 0.0)]
    if not random:
        return np.asarray(transform(list(eta)))
    if len(random) not in POINTS:
        raise UnsupportedModelError(
            f"predict: averages over the random effects of {len(random)} distributional "
            f"parameters; the grid serves up to {max(POINTS)}. Use simulate() instead."
        )
    x, w = np.polynomial.hermite_e.hermegauss(POINTS[len(random)])
    w = w / np.sum(w)
    root = _root(covariance[np.ix_(random, random)])
    total = np.zeros(eta.shape[1])
    for nodes in product(range(x.size), repeat=len(random)):
        moved = list(eta)
        at = x[list(nodes)]
        for place, k in enumerate(random):
            moved[k] = eta[k] + at @ root[place]
        total += np.prod([w[j] for j in nodes]) * transform(moved)
    return total


def _root(covariance: Array) -> Array:
    """Return R with R R' the covariance of each row, shape (r, r, n), which may be singular."""
    r = len(covariance)
    root = np.zeros(covariance.shape)
    if not np.any(covariance[np.triu_indices(r, 1)]):
        root[np.arange(r), np.arange(r)] = np.sqrt(covariance[np.arange(r), np.arange(r)])
        return root
    values, vectors = np.linalg.eigh(covariance.transpose(2, 0, 1))
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.ascontiguousarray(roots.transpose(1, 2, 0))


def prior_covariance(
    roots: Sequence[Array],
    predictors: Sequence[Sequence[tuple[int, IntArray]]],
    Z: Sequence[Covariates],
    unknown: Sequence[BoolArray],
    shape: tuple[int, int],
    scales: Sequence[Array | None] | None = None,
) -> Array:
    """Return z'Sz of the terms whose effects are unknown, between predictors, shape (K, K, n).

    From T'z: of a covariate far from 0 the entries of S have most digits in common.

    Parameters
    ----------
    roots : sequence of ndarray, shape (c, m)
        T of each term, S = T T' its covariance; of an incidence the standard deviations, (c,).
    predictors : sequence of tuple of (int, ndarray of intp)
        The predictors of each term with their columns.
    Z : sequence of ndarray or Incidence, shape (n, c)
    unknown : sequence of ndarray of bool, shape (n, c)
        Which of the term's effects are not known in each row; (n, 1) for all or none of them.
    shape : (K, n)
    scales : sequence of ndarray, shape (n,), or None, optional
        Known variance of each row's level, by term; None where it is 1.
    """
    covariance = np.zeros((shape[0], *shape))
    scales = [None] * len(roots) if scales is None else scales
    for T, by, columns, which, scale in zip(roots, predictors, Z, unknown, scales, strict=True):
        if isinstance(columns, Incidence):
            at = columns.at if which.shape[1] > 1 else np.zeros_like(columns.at)
            seen = which[np.arange(len(which)) if len(which) > 1 else 0, at]
            own = np.where(seen, np.square(columns.z * T[columns.at]), 0.0)
            k = by[0][0]
            covariance[k, k] += own if scale is None else own * scale
            continue
        z = np.where(which, columns, 0.0)
        moves = {k: z[:, own] @ T[own] for k, own in by}
        for k, first in moves.items():
            for m, second in moves.items():
                product = np.sum(first * second, axis=1)
                covariance[k, m] += product if scale is None else product * scale
    return covariance
