"""What log|A| / 2 moves by, A the information about the mean's coefficients, u eliminated.

With S = H^-1 C, the columns of D = X - Z Lambda S are the moves of eta by beta with u moving
along. The inverse of the joint curvature is that of H, bordered: leverages are higher by
`D A^-1 D'`, and in T there is `- Z' W D (S A^-1)'` beside `Z' W Z Lambda H^-1`. Both are of each
row and each group by itself, given A.
"""

from __future__ import annotations

import numpy as np

from interlace_approximations.laplace_slopes import Further
from interlace_core.contract import Array
from interlace_core.engine import Conditional, Mode, scatter


def further_of(conditional: Conditional, mode: Mode, S: Array, inverse: Array) -> Further:
    """Return what rows and groups add to the slopes, without the value.

    Parameters
    ----------
    conditional, mode
        f at psi, and its mode.
    S : ndarray, shape (q, p)
        H^-1 C with C = Lambda' Z' W X.
    inverse : ndarray, shape (p, p)
        A^-1, of all rows.
    """
    structure, X = conditional.layout.structure, conditional.layout.problem.predictors[0].X
    p = X.shape[1]
    moves = {r: np.zeros(X.shape) for r in (0, *structure.random_predictors)}
    moves[0] += X
    for j in range(p):
        for r, along in conditional.push(S[:, j]).items():
            moves[r][:, j] -= along
    leverages = {
        (k, m): (1.0 if k == m else 2.0) * np.einsum("ij,ij->i", D @ inverse, moves[m])
        for k, D in moves.items()
        for m in moves
        if k <= m
    }
    template = [np.zeros_like(T) for T in conditional.T]
    turned = S @ inverse
    for j in range(p):
        curved = {
            r: _curved(mode, r, {m: D[:, j] for m, D in moves.items()})
            for r in structure.random_predictors
        }
        pairs = zip(scatter(structure, curved), structure.spread(turned[:, j]), strict=True)
        for f, (Zw, part) in enumerate(pairs):
            template[f] += Zw @ part.T
    return Further(0.0, leverages, template)


def _curved(mode: Mode, r: int, moves: dict[int, Array]) -> Array | None:
    """Return the sum over predictors m of l_rm times their moves, shape (n,)."""
    total: Array | None = None
    for m, move in moves.items():
        second = mode.point.derivatives.get(r, m)
        if second is not None:
            total = second * move if total is None else total + second * move
    return total
