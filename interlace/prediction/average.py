"""Averages over random effects that are not known: of a new group, or of the whole population.

A linear predictor's random part is a sum of normal effects, so it is normal with variance z'Sz:
one Gauss-Hermite rule per predictor with random effects integrates it, however many terms and
columns there are. The nodes are those of the normal density, fixed; a polynomial of degree 2 J - 1
in the random part is integrated exactly, a logistic curve at standard deviation 3 to about 1e-8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Array, BoolArray

POINTS = {1: 64, 2: 24, 3: 12}
"""Nodes per predictor with random effects, by their number; the grid has about 2,000 at most."""


def average(transform: Callable[[list[Array]], Array], eta: Array, variance: Array) -> Array:
    """Return the mean of a transform over independent normal parts of the predictors, shape (n,).

    Parameters
    ----------
    transform : callable
        From K predictors, shape (n,) each, to shape (n,).
    eta : ndarray, shape (K, n)
        Means of the predictors.
    variance : ndarray, shape (K, n)
        Variances of their unknown parts; a row of zeros is known.

    Raises
    ------
    UnsupportedModelError
        If more than three predictors have random effects.
    """
    random = [k for k in range(len(eta)) if np.any(variance[k] > 0.0)]
    if not random:
        return np.asarray(transform(list(eta)))
    if len(random) not in POINTS:
        raise UnsupportedModelError(
            f"predict: averages over the random effects of {len(random)} distributional "
            f"parameters; the grid serves up to {max(POINTS)}. Use simulate() instead."
        )
    x, w = np.polynomial.hermite_e.hermegauss(POINTS[len(random)])
    w = w / np.sum(w)
    sd = np.sqrt(variance)
    total = np.zeros(eta.shape[1])
    for nodes in product(range(x.size), repeat=len(random)):
        moved = list(eta)
        for k, j in zip(random, nodes, strict=True):
            moved[k] = eta[k] + sd[k] * x[j]
        total += np.prod([w[j] for j in nodes]) * transform(moved)
    return total


def prior_variance(
    roots: Sequence[Array],
    predictors: Sequence[int],
    Z: Sequence[Array],
    unknown: Sequence[BoolArray],
    shape: tuple[int, int],
    scales: Sequence[Array | None] | None = None,
) -> Array:
    """Return z'Sz of the terms whose effects are unknown, by predictor, shape (K, n).

    As the square of T'z: of a covariate far from 0 the entries of S have most digits in common.

    Parameters
    ----------
    roots : sequence of ndarray, shape (c, m)
        T of each term, S = T T' its covariance.
    predictors : sequence of int
        The predictor of each term.
    Z : sequence of ndarray, shape (n, c)
    unknown : sequence of ndarray of bool, shape (n, c)
        Which of the term's effects are not known in each row; (n, 1) for all or none of them.
    shape : (K, n)
    scales : sequence of ndarray, shape (n,), or None, optional
        Known variance of each row's level, by term; None where it is 1.
    """
    variance = np.zeros(shape)
    scales = [None] * len(roots) if scales is None else scales
    for T, k, columns, which, scale in zip(roots, predictors, Z, unknown, scales, strict=True):
        own = np.sum(np.square(np.where(which, columns, 0.0) @ T), axis=1)
        variance[k] += own if scale is None else own * scale
    return variance
