"""Correlation matrices of stationary sequences from angles, by plane reflections.

For partial autocorrelations `sin(a_1), sin(a_2), ...` let H be the product of the reflections
G_k = [[sin a_k, cos a_k], [cos a_k, -sin a_k]] in coordinates (k, k + 1). H is orthogonal, so
that the vectors `v_k = H^k e_1` have length 1 and inner products that depend on the distance
alone; v_k ends at coordinate k + 1, so that they are the rows of a triangular root. (The unitary
Hessenberg matrix of the Schur parameters; see Simon 2005, "Orthogonal Polynomials on the Unit
Circle", section 4.1.)
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array


def stationary_root(angles: Array) -> Array:
    """Return the lower-triangular C, shape (c, c), with C C' Toeplitz, from c - 1 angles."""
    H = np.eye(angles.size + 1)
    for place, angle in enumerate(angles):
        H = H @ _reflection(place, angle, angles.size + 1)
    return _powers(H)


def correlations_pullback(angles: Array, dC: Array) -> Array:
    """Return dF/dangles, shape (c - 1,), from dF/dC, shape (c, c)."""
    c = angles.size + 1
    before = [np.eye(c)]
    for place, angle in enumerate(angles):
        before.append(before[-1] @ _reflection(place, angle, c))
    H = before[-1]
    C = _powers(H)
    dH, dv = np.zeros((c, c)), np.zeros(c)
    for k in range(c - 1, 0, -1):
        dv = dC[k] + dv
        dH += np.outer(dv, C[k - 1])
        dv = H.T @ dv
    gradient = np.empty(angles.size)
    after = np.eye(c)
    for place in range(angles.size - 1, -1, -1):
        moved = before[place].T @ dH @ after.T
        gradient[place] = np.sum(moved * _slope(place, angles[place], c))
        after = _reflection(place, angles[place], c) @ after
    return gradient


def partial_autocorrelations(r: Array) -> Array:
    """Return partial autocorrelations from correlations at distances 1, 2, ..., clipped to 1.

    The Levinson-Durbin recursion; beyond a partial autocorrelation of 1 they are 0.
    """
    partial = np.zeros(r.size)
    phi = np.zeros(0)
    left = 1.0
    for k, correlation in enumerate(r):
        if left <= 1e-12:
            break
        value = float(np.clip((correlation - phi @ r[:k][::-1]) / left, -1.0, 1.0))
        phi = np.append(phi - value * phi[::-1], value)
        left *= 1.0 - value**2
        partial[k] = value
    return partial


def _powers(H: Array) -> Array:
    C = np.zeros_like(H)
    C[0, 0] = 1.0
    for k in range(1, len(H)):
        C[k] = H @ C[k - 1]
    return C


def _reflection(place: int, angle: float, size: int) -> Array:
    G = np.eye(size)
    sin, cos = np.sin(angle), np.cos(angle)
    G[place : place + 2, place : place + 2] = [[sin, cos], [cos, -sin]]
    return G


def _slope(place: int, angle: float, size: int) -> Array:
    G = np.zeros((size, size))
    sin, cos = np.sin(angle), np.cos(angle)
    G[place : place + 2, place : place + 2] = [[cos, -sin], [-sin, -cos]]
    return G
