"""Derivatives by central differences, where no exact formula is used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from interlace_core.records import Array


def jacobian(function: Callable[[Array], Array], x: Array, steps: Array) -> Array:
    """Return the Jacobian of a vector function by central differences, shape (m, len(x)).

    Parameters
    ----------
    function : callable
        From shape (len(x),) to shape (m,).
    x : ndarray
        Where.
    steps : ndarray, shape (len(x),)
        Half-width of each difference; the error is steps^2 / 6 times the third derivative.
    """
    columns = []
    for i, step in enumerate(steps):
        forward, backward = x.copy(), x.copy()
        forward[i] += step
        backward[i] -= step
        columns.append((function(forward) - function(backward)) / (2.0 * step))
    return np.stack(columns, axis=1)


def symmetrised(matrix: Array) -> Array:
    """Return the symmetric part of a square matrix."""
    return 0.5 * (matrix + matrix.T)
