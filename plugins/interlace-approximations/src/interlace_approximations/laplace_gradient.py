"""How log|H| / 2 moves with the predictors and with the templates.

H = Lambda' Z' W Z Lambda + I depends on eta through W = -l'' and on Lambda directly. Only the
entries of H^-1 on the pattern of Z'WZ are needed.
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array, Derivatives
from interlace_core.engine import Blocks, Conditional, Mode, sandwich, scaled


def predictor_pullback(conditional: Conditional, mode: Mode, inverse: Blocks) -> dict[int, Array]:
    """Return c_m = d(log|H| / 2) / d eta_m at fixed Lambda, one array (n,) per predictor.

    `c_m = -1/2 sum_{k,l} h_kl l_klm`, with h the blocks of the diagonal of
    Z Lambda H^-1 Lambda' Z'. Predictors that do not move H are left out.
    """
    derivatives = mode.point.derivatives
    c: dict[int, Array] = {}
    for (k, m), h in _leverages(conditional, inverse).items():
        for predictor in conditional.layout.problem.active():
            third = derivatives.get(k, m, predictor)
            if third is None:
                continue
            share = h * third
            if predictor in c:
                c[predictor] -= 0.5 * share
            else:
                c[predictor] = -0.5 * share
    return c


def template_pullback(conditional: Conditional, mode: Mode, inverse: Blocks) -> list[Array]:
    """Return d(log|H| / 2) / dT at fixed W, one array (c, c) per factor: Z'WZ Lambda H^-1."""
    T = conditional.T
    out = [np.zeros_like(t) for t in T]
    for (i, j), A in mode.information.items():
        N = inverse[i, j]
        out[i] += _contract(A, T[j], N)
        if i != j:
            out[j] += _contract(A.transpose(1, 0, 2), T[i], N.transpose(1, 0, 2))
    return out


def effective_score(
    derivatives: Derivatives, c: dict[int, Array], moved: dict[int, Array], k: int, n: int
) -> Array:
    """Return dF / d eta_k with the mode moving along, shape (n,).

    Parameters
    ----------
    derivatives : Derivatives
        Of the log-density.
    c : dict from predictor to ndarray, shape (n,)
        See `predictor_pullback`.
    moved : dict from predictor to ndarray, shape (n,)
        Z Lambda v, with v the adjoint of the mode.
    k, n : int
        Predictor, and number of rows.
    """
    first = derivatives.get(k)
    score = np.zeros(n) if first is None else -first
    if k in c:
        score += c[k]
    for r, shift in moved.items():
        cross = derivatives.get(r, k)
        if cross is not None:
            score += cross * shift
    return score


def _contract(A: Array, T: Array, N: Array) -> Array:
    """Return sum_p A_p T N_p'."""
    if A.shape[:2] == (1, 1):
        return T * float(A[0, 0] @ N[0, 0])
    return np.asarray(np.tensordot(A, np.einsum("bd,edp->bep", T, N), axes=((1, 2), (0, 2))))


def _leverages(conditional: Conditional, inverse: Blocks) -> dict[tuple[int, int], Array]:
    """Return h_kl + h_lk (k < l) or h_kk per row, for the predictors with random effects."""
    structure, T = conditional.layout.structure, conditional.T
    h: dict[tuple[int, int], Array] = {}
    for (i, j), N in inverse.items():
        V = sandwich(T[i].T, N, T[j].T)
        pair = structure.pairs[i, j]
        for a, first in enumerate(structure.factors[i].columns):
            for b, second in enumerate(structure.factors[j].columns):
                if i == j and b < a:
                    continue
                twice = 1.0 if i == j and a == b else 2.0
                rows = scaled((twice * V[a, b])[pair.rows.codes], first.z, second.z)
                key = (
                    min(first.predictor, second.predictor),
                    max(first.predictor, second.predictor),
                )
                h[key] = h[key] + rows if key in h else rows
    return h
