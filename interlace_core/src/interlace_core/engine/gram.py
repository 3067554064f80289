"""Products and triangular factors of tall matrices, a part of the rows at a time."""

from __future__ import annotations

import numpy as np

from interlace_core.records import Array

CHUNK_NUMBERS = 65_536
"""Numbers of W X held at once: they stay in the second-level cache, three times as fast."""


def weighted_gram(X: Array, w: Array, Y: Array) -> Array:
    """Return X' diag(w) Y, shape (p, m), from (n, p), (n,) and (n, m)."""
    step = max(CHUNK_NUMBERS // max(X.shape[1], 1), 1)
    product = np.zeros((X.shape[1], Y.shape[1]))
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        product += (X[rows].T * w[rows]) @ Y[rows]
    return product


def triangular_factor(X: Array, y: Array, root_weights: Array | None = None) -> Array:
    """Return R, upper triangular, of the QR factorisation of w^(1/2) [X y].

    Parameters
    ----------
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)
    root_weights : ndarray, shape (n,), optional
        Square roots of w; 1 if None.

    Returns
    -------
    ndarray, shape (p + 1, p + 1)
        To the accuracy of orthogonal transformations: nothing is squared. Fewer rows if n <= p.
    """
    step = max(CHUNK_NUMBERS // (X.shape[1] + 1), 1)
    R = np.zeros((0, X.shape[1] + 1))
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        part = np.column_stack([X[rows], y[rows]])
        if root_weights is not None:
            part *= root_weights[rows, None]
        R = np.asarray(np.linalg.qr(np.vstack([R, part]), mode="r"))
    return R
