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

Of rows in parts that share no effects V is block-diagonal, and all of this but the last step a sum
over the parts. Of effects that they share see `linear_across`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.linear_point import MAX_CONDITION, LinearPoint
from interlace_approximations.reduced import Reduced
from interlace_core.contract import Array, Curvature, Problem
from interlace_core.engine import Traces

LEAST_SHRINKAGE = 1e-4
"""Share of G in I below which I - H^-1 has lost the digits that a curvature needs."""


@dataclass(frozen=True)
class Directions:
    """How V moves along the entries of psi that are searched.

    Attributes
    ----------
    k : ndarray, shape (m,)
    J : list of ndarray, shape (m, c, c), one per factor
        T^-1 dT.
    """

    k: Array
    J: list[Array]

    @property
    def D(self) -> list[Array]:
        """J + J'."""
        return [J + J.transpose(0, 2, 1) for J in self.J]

    def of(self, factors: slice) -> Directions:
        """Return those of some factors."""
        return Directions(self.k, self.J[factors])


@dataclass(frozen=True)
class Slopes:
    """What the second derivatives are made of, of some rows; adds up over parts.

    Attributes
    ----------
    variance : ndarray, shape (m, m)
        Of tr(V^-1 d2V) - tr(V^-1 dV_i V^-1 dV_j).
    first : ndarray, shape (m, p + 1, p + 1)
        dM.
    second : ndarray, shape (m, m, s, s)
        What d2M has for the columns that are differenced.
    """

    variance: Array
    first: Array
    second: Array

    def __add__(self, other: Slopes) -> Slopes:
        """Return those of the rows of both."""
        return Slopes(
            self.variance + other.variance, self.first + other.first, self.second + other.second
        )


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
    directions = directions_at(data, psi)
    if directions is None:
        return None
    point = LinearPoint(data, psi)
    found = slopes_of(point, directions, point.columns(restricted))
    return None if found is None else completed(point, data.layout.problem, found, restricted)


def completed(
    point: Reduced, problem: Problem, found: Slopes, restricted: bool
) -> Curvature | None:
    """Return the curvature of all rows; None if it is not a number.

    Parameters
    ----------
    point : Reduced
    problem : Problem
    found : Slopes
    restricted : bool
    """
    hessian, moved = _criterion(point, found, restricted)
    if not np.all(np.isfinite(hessian)):
        return None
    at = np.arange(problem.n_theta)
    if problem.predictors[1].X.shape[1]:
        at = np.append(at, problem.n_psi - 1)
    whole = np.zeros((problem.n_psi, problem.n_psi))
    whole[np.ix_(at, at)] = hessian
    slope = np.zeros((len(point.root), problem.n_psi))
    slope[:, at] = solve_triangular(point.R, moved) if len(moved) else moved
    return Curvature(whole, slope)


def directions_at(data: CrossProducts, psi: Array) -> Directions | None:
    """Return how V moves at psi; None where theta are no entries of T, or that has no inverse."""
    layout = data.layout
    entries, templates = layout.template_entries(), layout.at(psi).templates(psi)
    factors = layout.structure.factors
    if entries is None or any(factor.chain is not None for factor in factors):
        return None
    if any(np.linalg.cond(T) > MAX_CONDITION for T in templates):
        return None
    n_theta, start, J = layout.problem.n_theta, 0, []
    for T in templates:
        c = len(T)
        dT = np.zeros((n_theta, c * c))
        inside = (entries[:, 1] >= start) & (entries[:, 1] < start + c * c)
        dT[entries[inside, 0], entries[inside, 1] - start] = 1.0
        own = np.array([np.linalg.solve(T, each.reshape(c, c)) for each in dT])
        own = own.reshape(n_theta, c, c)
        if data.estimates_sigma:
            own = np.concatenate([own, -np.eye(c)[None]])
        J.append(own)
        start += c * c
    k = np.zeros(n_theta + data.estimates_sigma)
    k[n_theta:] = 2.0
    return Directions(k, J)


def slopes_of(point: LinearPoint, directions: Directions, columns: Array) -> Slopes | None:
    """Return what rows that share no effects with others have; None where rounding hides it.

    Parameters
    ----------
    point : LinearPoint
    directions : Directions
    columns : ndarray, shape (p + 1, s)
        Combinations of [Q r] that are differenced; see `Reduced.columns`.
    """
    traces = point.factorisation.traces(directions.D)
    if traces is None:
        return None
    levels = [factor.shape[1] for factor in point.layout.structure.factors]
    variance = variance_slopes(directions, levels, traces, point.data.n)
    if variance is None:
        return None

    def unshared(moved: list[Array]) -> Array:
        """Return the products of v with H^-1 v, v being D_i u of columns, (m s, m s)."""
        flat = [each.reshape(each.shape[0], -1, each.shape[-1]) for each in moved]
        total = np.zeros((flat[0].shape[1],) * 2)
        for v, solved in zip(flat, point.factorisation.solve_columns(flat), strict=True):
            total += sum(a @ b.T for a, b in zip(v, solved, strict=True))
        return total

    first, second = column_slopes(directions, point.U, columns, point.M, unshared)
    return Slopes(variance, first, second)


def variance_slopes(
    directions: Directions, levels: list[int], traces: Traces, n: int
) -> Array | None:
    """Return tr(V^-1 d2V) - tr(V^-1 dV_i V^-1 dV_j) of some factors' levels and of n rows.

    None where rounding hides it.

    Parameters
    ----------
    directions : Directions
    levels : list of int, one per factor
    traces : Traces
    n : int
    """
    G = [L * np.eye(len(N)) - N for L, N in zip(levels, traces.sums, strict=True)]
    if any(np.trace(g) < LEAST_SHRINKAGE * L for g, L in zip(G, levels, strict=True)):
        return None
    k, D = directions.k, directions.D
    GD = np.zeros(len(k))
    for Di, g in zip(D, G, strict=True):
        GD += np.tensordot(Di, g, axes=((1, 2), (1, 0)))
    second = -traces.products - n * np.outer(k, k) - np.outer(k, GD) - np.outer(GD, k)
    for L, Di, N in zip(levels, D, traces.sums, strict=True):
        once = np.einsum("mab,nbc,ca->mn", Di, Di, N)
        second += once + once.T - L * np.einsum("mab,nba->mn", Di, Di)
    # tr(V^-1 d2V): along log sigma alone that is twice dV
    both = np.outer(k != 0.0, k != 0.0)
    second += np.where(both, 2.0 * (2.0 * n + GD), 0.0)
    neither = np.outer(k == 0.0, k == 0.0)
    for g, J in zip(G, directions.J, strict=True):
        once = np.einsum("xy,mxz,nyz->mn", g, J, J)
        second += np.where(neither, once + once.T, 0.0)
    return np.asarray(second)


def column_slopes(
    directions: Directions,
    U: list[Array],
    columns: Array,
    M: Array,
    products: Callable[[list[Array]], Array],
) -> tuple[Array, Array]:
    """Return dM, shape (m, p + 1, p + 1), and what d2M has for columns, shape (m, m, s, s).

    Parameters
    ----------
    directions : Directions
    U : list of ndarray, shape (c, p + 1, L), one per factor
    columns : ndarray, shape (p + 1, s)
    M : ndarray, shape (p + 1, p + 1)
        Of the rows.
    products : callable
        From v = D_i u of the columns, (c, m, s, L) per factor, to v'H^-1 v, shape (m s, m s).
    """
    k, D = directions.k, directions.D
    m, s = len(k), columns.shape[1]
    first = -k[:, None, None] * M
    for Di, each in zip(D, U, strict=True):
        first -= np.einsum("ajl,mab,bkl->mjk", each, Di, each, optimize=True)
    u = [np.einsum("ajl,js->asl", each, columns) for each in U]
    moved = [np.einsum("mab,bsl->amsl", Di, each) for Di, each in zip(D, u, strict=True)]
    # U'D_i G D_j U
    through = -products(moved)
    for each in moved:
        flat = each.transpose(1, 2, 0, 3).reshape(m * s, -1)
        through += flat @ flat.T
    through = through.reshape(m, s, m, s).transpose(0, 2, 1, 3)
    inner, uDu = columns.T @ M @ columns, np.zeros((m, s, s))
    for a, b in zip(u, moved, strict=True):
        uDu += np.einsum("asl,amtl->mst", a, b)
    half = through + k[:, None, None, None] * uDu[None] + k[None, :, None, None] * uDu[:, None]
    half += np.multiply.outer(np.outer(k, k), inner)
    second = half + half.transpose(0, 1, 3, 2)
    own = np.flatnonzero(k)
    for i in own:
        second[i, own] -= 2.0 * (k[i] * inner + uDu[i])
    theta = np.flatnonzero(k == 0.0)
    for J, each in zip(directions.J, u, strict=True):
        lengths = np.einsum("asl,btl->asbt", each, each, optimize=True)
        pairs = np.einsum("maz,nbz->mnab", J[theta], J[theta])
        pairs = pairs + pairs.transpose(0, 1, 3, 2)
        second[np.ix_(theta, theta)] -= np.einsum("mnab,asbt->mnst", pairs, lengths)
    return first, second


def _criterion(point: Reduced, found: Slopes, restricted: bool) -> tuple[Array, Array]:
    """Return the Hessian, shape (m, m), and the slopes of gamma, shape (p, m)."""
    first, second = found.first, found.second
    p = len(point.root)
    half = point.inverse_root  # half half' = M_QQ^-1
    along = first @ point.residual  # dM a
    turned = along[:, :p] @ half
    hessian = found.variance + second[:, :, 0, 0] - 2.0 * turned @ turned.T
    if restricted:
        own = np.einsum("jr,mjk,ks->mrs", half, first[:, :p, :p], half, optimize=True)
        hessian += np.einsum("mnss->mn", second[:, :, 1:, 1:])
        hessian -= np.einsum("mrs,nsr->mn", own, own)
    return 0.5 * hessian, half @ turned.T
