"""Derivatives by differences, where no exact formula is used."""

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


def one_sided_jacobian(
    function: Callable[[Array], Array], x: Array, at_x: Array, steps: Array
) -> Array:
    """Return the Jacobian by forward differences, shape (m, len(x)).

    It takes half the calls of central ones.

    Parameters
    ----------
    function : callable
        From shape (len(x),) to shape (m,).
    x : ndarray
        Where.
    at_x : ndarray, shape (m,)
        The function there.
    steps : ndarray, shape (len(x),)
        Length of each difference; the error is steps / 2 times the second derivative.
    """
    columns = []
    for i, step in enumerate(steps):
        forward = x.copy()
        forward[i] += step
        columns.append((function(forward) - at_x) / step)
    return np.stack(columns, axis=1)


def symmetrised(matrix: Array) -> Array:
    """Return the symmetric part of a square matrix."""
    return 0.5 * (matrix + matrix.T)
