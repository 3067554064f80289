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
    return _powers(_product(angles))


def correlations_pullback(angles: Array, dC: Array) -> Array:
    """Return dF/dangles, shape (c - 1,), from dF/dC, shape (c, c).

    With B_k the reflections before the k-th and A_k those after it, its slope needs four entries of
    `B_k' dF/dH A_k'`, which two reflections make out of that of the one before.
    """
    c = angles.size + 1
    H = _product(angles)
    C = _powers(H)
    dv = np.empty((c, c))
    dv[-1] = dC[-1]
    for k in range(c - 2, -1, -1):
        dv[k] = dC[k] + H.T @ dv[k + 1]
    left = (dv[1:].T @ C[:-1]) @ H.T
    gradient = np.empty(angles.size)
    for k, G in enumerate(_reflections(angles)):
        left[:, k : k + 2] = left[:, k : k + 2] @ G  # the k-th is taken out of what comes after
        (a, b), (d, e) = left[k : k + 2, k : k + 2].tolist()
        gradient[k] = G[0, 1] * (a - e) - G[0, 0] * (b + d)
        left[k : k + 2] = G @ left[k : k + 2]
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


def _product(angles: Array) -> Array:
    """Return H, the product of the reflections."""
    H = np.eye(angles.size + 1)
    for k, G in enumerate(_reflections(angles)):
        H[:, k : k + 2] = H[:, k : k + 2] @ G
    return H


def _reflections(angles: Array) -> Array:
    """Return the reflections in their own two coordinates, shape (c - 1, 2, 2)."""
    sin, cos = np.sin(angles), np.cos(angles)
    return np.stack([sin, cos, cos, -sin], axis=-1).reshape(-1, 2, 2)
