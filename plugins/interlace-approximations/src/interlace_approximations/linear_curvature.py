"""Exact second derivatives of a linear mixed model's profiled (restricted) likelihood.

With `V = Z T T' Z' + sigma^2 / w` and psi's theta as entries of T, a change of psi_i moves V by

    dV_i = k_i V + Z T D_i T' Z' ,   D_i = T^-1 dT_i + (T^-1 dT_i)' ,

of each level the same, and with k_i = 0 for theta; for log sigma, whose variance is what V has
beside that of the effects, k = 2 and D = -2 I. With G = T'Z'V^-1 Z T = I - H^-1 and
U = T'Z'V^-1 [Q r], what the criterion is made of has

    tr(V^-1 dV_i V^-1 dV_j) = k_i k_j n + k_i tr(G D_j) + k_j tr(G D_i) + tr(G D_i G D_j) ,
    -dM / dpsi_i = k_i M + U'D_i U ,   M = [Q r]'V^-1 [Q r] ,

and second derivatives by the same products (Lindstrom & Bates 1988, section 3, for one factor).
The coefficients are profiled: what M's residual column loses by their moving is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.linear_point import MAX_CONDITION, LinearPoint
from interlace_core.contract import Array, Curvature
from interlace_core.engine import Traces

LEAST_SHRINKAGE = 1e-4
"""Share of G in I below which I - H^-1 has lost the digits that a curvature needs."""


@dataclass(frozen=True)
class _Direction:
    """How V moves along one entry of psi.

    Attributes
    ----------
    k : float
    J : list of ndarray, shape (c, c), one per factor
        T^-1 dT; D is J + J'.
    """

    k: float
    J: list[Array]

    @property
    def D(self) -> list[Array]:
        return [J + J.T for J in self.J]


def curvature_of(data: CrossProducts, psi: Array, restricted: bool) -> Curvature | None:
    """Return the second derivatives at psi, and how the coefficients move.

    None where theta are no entries of T, T has no inverse to speak of, or the whole inverse of H
    is more than can be had.

    Parameters
    ----------
    data : CrossProducts
    psi : ndarray, shape (n_psi,)
    restricted : bool
    """
    directions = _directions(data, psi)
    if directions is None:
        return None
    point = LinearPoint(data, psi)
    D = [np.array(each) for each in zip(*(one.D for one in directions), strict=True)]
    traces = point.factorisation.traces(D)
    if traces is None:
        return None
    dVV = _variance_traces(point, directions, D, traces)
    if dVV is None:
        return None
    M1, M2 = _column_slopes(point, directions, D, restricted)
    hessian, moved = _criterion(point, dVV, M1, M2, restricted)
    problem = data.layout.problem
    at = np.arange(problem.n_theta)
    if data.estimates_sigma:
        at = np.append(at, psi.size - 1)
    whole = np.zeros((psi.size, psi.size))
    whole[np.ix_(at, at)] = hessian
    slope = np.zeros((len(data.beta), psi.size))
    slope[:, at] = solve_triangular(data.R, moved) if len(moved) else moved
    return Curvature(whole, slope)


def _directions(data: CrossProducts, psi: Array) -> list[_Direction] | None:
    layout = data.layout
    entries, templates = layout.template_entries(), layout.at(psi).templates(psi)
    factors = layout.structure.factors
    if entries is None or any(factor.chain is not None for factor in factors):
        return None
    if any(np.linalg.cond(T) > MAX_CONDITION for T in templates):
        return None
    sizes = [len(T) for T in templates]
    starts = np.cumsum([0, *(c * c for c in sizes)])
    dT = np.zeros((layout.problem.n_theta, starts[-1]))
    dT[entries[:, 0], entries[:, 1]] = 1.0
    found = [
        _Direction(
            0.0,
            [
                np.linalg.solve(T, row[start : start + c * c].reshape(c, c))
                for T, start, c in zip(templates, starts, sizes, strict=False)
            ],
        )
        for row in dT
    ]
    if data.estimates_sigma:
        found.append(_Direction(2.0, [-np.eye(c) for c in sizes]))
    return found


def _variance_traces(
    point: LinearPoint, directions: list[_Direction], D: list[Array], traces: Traces
) -> Array | None:
    """Return tr(V^-1 dV_ij) - tr(V^-1 dV_i V^-1 dV_j), None where rounding hides it."""
    levels = [factor.shape[1] for factor in point.layout.structure.factors]
    G = [L * np.eye(len(N)) - N for L, N in zip(levels, traces.sums, strict=True)]
    if any(np.trace(g) < LEAST_SHRINKAGE * L for g, L in zip(G, levels, strict=True)):
        return None
    k, n = np.array([each.k for each in directions]), point.data.n
    GD = sum(np.tensordot(Di, g, axes=((1, 2), (1, 0))) for Di, g in zip(D, G, strict=True))
    second = -traces.products - n * np.outer(k, k) - np.outer(k, GD) - np.outer(GD, k)
    for L, Di, N in zip(levels, D, traces.sums, strict=True):
        once = np.einsum("mab,nbc,ca->mn", Di, Di, N)
        second += once + once.T - L * np.einsum("mab,nba->mn", Di, Di)
    for i, one in enumerate(directions):
        for j, other in enumerate(directions):
            second[i, j] += _second_trace(one, other, G, n)
    return np.asarray(second)


def _second_trace(one: _Direction, other: _Direction, G: list[Array], n: int) -> float:
    """Return tr(V^-1 d2V); along log sigma alone that is twice dV."""
    if one.k or other.k:
        if not (one.k and other.k):
            return 0.0
        return 2.0 * (2.0 * n + sum(float(np.sum(g * d)) for g, d in zip(G, one.D, strict=True)))
    return sum(
        float(np.sum(g * (a @ b.T + b @ a.T)))
        for g, a, b in zip(G, one.J, other.J, strict=True)
    )  # fmt: skip


def _column_slopes(
    point: LinearPoint, directions: list[_Direction], D: list[Array], restricted: bool
) -> tuple[Array, Array]:
    """Return dM, shape (m, p + 1, p + 1), and what d2M has for the columns that are differenced.

    The second of shape (m, m, s, s) for the residual's combination, and for REML those of the
    coefficients before it.
    """
    structure, m = point.layout.structure, len(directions)
    first = np.zeros((m, *point.M.shape))
    for Di, U in zip(D, point.U, strict=True):
        first -= np.einsum("ajl,mab,bkl->mjk", U, Di, U, optimize=True)
    k = np.array([each.k for each in directions])
    first -= k[:, None, None] * point.M
    columns = point.columns(restricted)
    u = [np.einsum("ajl,js->asl", U, columns) for U in point.U]
    moved = [np.einsum("mab,bsl->masl", Di, each) for Di, each in zip(D, u, strict=True)]
    s = columns.shape[1]
    solved: list[list[list[Array]]] = [
        [
            point.factorisation.solve([np.ascontiguousarray(each[i, :, j]) for each in moved])
            for j in range(s)
        ]
        for i in range(m)
    ]
    # U'D_i G D_j U
    through = np.zeros((m, m, s, s))
    for f, (each, (c, L)) in enumerate(
        zip(moved, (factor.shape for factor in structure.factors), strict=True)
    ):
        kept = np.array([[solved[i][j][f] for j in range(s)] for i in range(m)])
        left = each.transpose(0, 2, 1, 3).reshape(m * s, c * L)
        right = left - kept.reshape(m * s, c * L)
        through += (left @ right.T).reshape(m, s, m, s).transpose(0, 2, 1, 3)
    M = columns.T @ point.M @ columns
    uDu = sum(np.einsum("asl,matl->mst", a, b) for a, b in zip(u, moved, strict=True))
    half = through + k[:, None, None, None] * uDu[None] + k[None, :, None, None] * uDu[:, None]
    half += np.multiply.outer(np.outer(k, k), M)
    second = half + half.transpose(0, 1, 3, 2)
    lengths = [np.einsum("asl,btl->asbt", each, each, optimize=True) for each in u]
    for i, one in enumerate(directions):
        for j, other in enumerate(directions):
            if one.k and other.k:
                second[i, j] -= 2.0 * (one.k * M + uDu[i])
            elif not (one.k or other.k):
                for a, b, w in zip(one.J, other.J, lengths, strict=True):
                    second[i, j] -= np.einsum("ab,asbt->st", a @ b.T + b @ a.T, w)
    return first, second


def _criterion(
    point: LinearPoint, dVV: Array, first: Array, second: Array, restricted: bool
) -> tuple[Array, Array]:
    """Return the Hessian, shape (m, m), and the slopes of gamma, shape (p, m)."""
    p = len(point.root)
    half = point.inverse_root  # half half' = M_QQ^-1
    along = first @ point.residual  # dM a
    turned = along[:, :p] @ half
    hessian = dVV + second[:, :, 0, 0] - 2.0 * turned @ turned.T
    if restricted:
        own = np.einsum("jr,mjk,ks->mrs", half, first[:, :p, :p], half, optimize=True)
        hessian += np.einsum("mnss->mn", second[:, :, 1:, 1:])
        hessian -= np.einsum("mrs,nsr->mn", own, own)
    return 0.5 * hessian, half @ turned.T
