"""Laplace's formula at a mode, with its exact gradient.

`F(psi) = f(u) + log|H| / 2` at the conditional mode u. The gradient takes one adjoint solve for the
whole of psi (implicit differentiation of the mode; see Kristensen et al. 2016, section 2, for the
same quantities by automatic differentiation).

H = Lambda' Z' W Z Lambda + I depends on eta through W = -l'' and on Lambda directly: log|H| / 2
moves by `predictor_pullback` and `template_pullback`, which need the entries of H^-1 on the pattern
of Z'WZ alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from interlace_core.contract import Array, BoolArray, Derivatives, Problem
from interlace_core.engine import (
    Blocks,
    ChainSlopes,
    Conditional,
    Mode,
    sandwich,
    scaled,
    template_times,
)

LARGE_TEMPLATE = 48
"""Columns from which a template's own products, c^3 each, are what an evaluation takes."""


@dataclass(frozen=True)
class Adjoint:
    """The solution of the adjoint system.

    Attributes
    ----------
    v : ndarray, shape (q,)
        H^-1 times the sensitivity of log|H| / 2 to u.
    moved : dict from predictor to ndarray, shape (n,)
        Z Lambda v, for the predictors that the inner variables move.
    undone : float
        What an undone step in inner variables other than u still changes the value by.
    """

    v: Array
    moved: dict[int, Array]
    undone: float = 0.0


@dataclass(frozen=True)
class Further:
    """What log|H| / 2 has beside its part in u, where other inner variables are integrated out too.

    Attributes
    ----------
    value : float
    leverages : dict from pairs of predictors to ndarray, shape (n,)
        What the rows' leverages are higher by, as `predictor_pullback` takes them.
    template : list of ndarray, shape (c, c)
        Its derivative in T at fixed W, one per factor.
    """

    value: float
    leverages: dict[tuple[int, int], Array]
    template: list[Array]


@dataclass(frozen=True)
class Volume:
    """A matrix whose log-determinant a value has in place of that of H.

    Attributes
    ----------
    mode : Mode
        The mode, with that matrix in place of the information and of the factorised H.
    counted : dict from predictor to ndarray of bool, shape (n,)
        The rows whose curvature is in it. Nothing of two predictors together is.
    """

    mode: Mode
    counted: dict[int, BoolArray]


def laplace_value_gradient(
    conditional: Conditional,
    mode: Mode,
    psi: Array,
    solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
    further: Further | None = None,
    volume: Volume | None = None,
) -> tuple[float, Array]:
    """Return F and dF/dpsi, shape (n_psi,), at the conditional mode.

    1. The value is f + log|H| / 2. F is stationary in u for f but not for log|H|: the Newton step
       that the search left undone is accounted for to first order, so that the error in F is
       quadratic in the error of u.
    2. The adjoint v = H^-1 d(log|H| / 2)/du says how the mode moving along changes log|H|.
    3. In the coefficients, dF is X' of each row's effective score.
    4. In the templates, it is what log|H| moves by, and Z' of scores times u, v.

    Parameters
    ----------
    conditional, mode
        f at psi, and its mode.
    psi : ndarray, shape (n_psi,)
    solve_adjoint : callable, optional
        From the sensitivities of log|H| / 2 to u and to the predictors to the adjoint
        solution; by default u alone is determined by the mode.
    further : Further, optional
        Of inner variables that are integrated out beside u.
    volume : Volume, optional
        What stands for H in log|H|; H itself, by which the mode moves, if None.
    """
    layout = conditional.layout
    problem, structure = layout.problem, layout.structure
    derivatives, random = mode.point.derivatives, structure.random_predictors
    at = mode if volume is None else volume.mode
    # 1. the value
    inverse = at.factorisation.selected_inverse()
    c = predictor_pullback(
        conditional,
        at,
        inverse,
        further.leverages if further else {},
        volume.counted if volume else None,
    )
    sensitivity = conditional.pull({r: c.get(r) for r in random})
    value = (
        mode.point.value
        + 0.5 * at.factorisation.logdet
        + float((0.5 * mode.gradient + sensitivity) @ mode.step)
        + (further.value if further else 0.0)
    )
    # 2. the adjoint
    if solve_adjoint is None:
        v = conditional.solve(mode.factorisation, sensitivity)
        adjoint = Adjoint(v, conditional.push(v))
    else:
        adjoint = solve_adjoint(sensitivity, c)
        value += adjoint.undone
    # 3. the coefficients
    scores = {
        k: effective_score(derivatives, c, adjoint.moved, k, problem.n) for k in problem.active()
    }
    gradient = fixed_gradient(problem, scores, psi.size)
    # 4. the templates
    dT = template_pullback(conditional, at, inverse)
    for f, own in enumerate(further.template if further else ()):
        dT[f] += own
    Zs = conditional.sums({r: scores[r] for r in random})
    Zl = conditional.sums({r: derivatives.get(r) for r in random})
    u_parts, v_parts = structure.spread(mode.point.u), structure.spread(adjoint.v)
    for f, (u, v_part) in enumerate(zip(u_parts, v_parts, strict=True)):
        dT[f] += Zs[f] @ u.T + Zl[f] @ v_part.T
    chain = chain_slopes(conditional, at, adjoint.v, Zs, Zl)
    gradient[: problem.n_theta] = layout.template_pullback(psi, dT, chain)
    return value, gradient


def chain_slopes(
    conditional: Conditional, mode: Mode, v: Array, Zs: list[Array], Zl: list[Array]
) -> ChainSlopes | None:
    """Return dF in the numbers of the structure's chain; None where it has none.

    What log|H| / 2 moves by, and scores times u, v, as in the templates.
    """
    found = mode.factorisation.chain_slopes()
    if found is None:
        return None
    u_parts, v_parts = (conditional.layout.structure.split(each) for each in (mode.point.u, v))
    for f, factor in enumerate(conditional.layout.structure.factors):
        if factor.chain is not None:
            scale = conditional.T[f][0, 0]
            found = found + factor.chain.slopes(scale * Zs[f], u_parts[f])
            found = found + factor.chain.slopes(scale * Zl[f], v_parts[f])
    return found


def fixed_gradient(problem: Problem, scores: dict[int, Array], n_psi: int) -> Array:
    """Return X' times the predictors' scores in their places, shape (n_psi,); 0 in theta's."""
    gradient = np.zeros(n_psi)
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        if predictor.X.shape[1]:
            gradient[place] = predictor.X.T @ scores[k]
    return gradient


def predictor_pullback(
    conditional: Conditional,
    mode: Mode,
    inverse: Blocks,
    more: Mapping[tuple[int, int], Array] = MappingProxyType({}),
    counted: Mapping[int, BoolArray] | None = None,
) -> dict[int, Array]:
    """Return c_m = d(log|H| / 2) / d eta_m at fixed Lambda, one array (n,) per predictor.

    `c_m = -1/2 sum_{k,l} h_kl l_klm`, with h the blocks of the diagonal of
    Z Lambda H^-1 Lambda' Z', and `more` added to them. Predictors that do not move H are left out,
    and where some rows are `counted` alone (`Volume`), all that others move.
    """
    derivatives = mode.point.derivatives
    c: dict[int, Array] = {}
    leverages = _leverages(conditional, inverse)
    if counted is not None:
        leverages = {(k, k): leverages[k, k] * rows for k, rows in counted.items()}
    for pair, h in more.items():
        leverages[pair] = leverages[pair] + h if pair in leverages else h
    for (k, m), h in leverages.items():
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
    if len(A) >= LARGE_TEMPLATE and _is_diagonal(A):
        TN = template_times(T, N.transpose(1, 0, 2))
        return np.asarray(np.einsum("aap,abp->ab", A, TN))
    return np.asarray(np.tensordot(A, np.tensordot(T, N, axes=(1, 1)), axes=((1, 2), (0, 2))))


def _is_diagonal(A: Array) -> bool:
    """Return whether A's matrices, shape (a, b, P), are square and diagonal."""
    if A.shape[0] != A.shape[1]:
        return False
    return bool(np.count_nonzero(A) == np.count_nonzero(np.einsum("aap->ap", A)))


def _variances(T: Array, N: Array) -> Array:
    """Return T N T' with its diagonal alone filled, shape (c, c, L): products of c^3 once."""
    V = np.zeros((len(T), len(T), N.shape[-1]))
    diagonal = np.arange(len(T))
    V[diagonal, diagonal] = np.einsum("adp,ad->ap", template_times(T, N), T)
    return V


def _leverages(conditional: Conditional, inverse: Blocks) -> dict[tuple[int, int], Array]:
    """Return h_kl + h_lk (k < l) or h_kk per row, for the predictors with random effects."""
    structure, T = conditional.layout.structure, conditional.T
    h: dict[tuple[int, int], Array] = {}
    # of levels, before they go to rows: nested factors share these
    levels: dict[tuple[int, ...], list[Any]] = {}
    for (i, j), N in inverse.items():
        pair, points = structure.pairs[i, j], structure.factors[i].points
        apart = i == j and len(structure.factors[i].meetings) == len(T[i]) >= LARGE_TEMPLATE
        V = _variances(T[i], N) if apart else sandwich(T[i].T, N, T[j].T)
        if i == j and points is not None:
            own = np.einsum("aap->ap", V).ravel()[points.cells.codes]
            key = (points.predictor, points.predictor)
            rows = scaled(own, points.z, points.z)
            h[key] = h[key] + rows if key in h else rows
            continue
        for a, b in structure.products(i, j):
            first, second = structure.factors[i].columns[a], structure.factors[j].columns[b]
            own = V[a, b] if i == j and a == b else 2.0 * V[a, b]
            at = first.predictor, second.predictor, id(pair.rows), id(first.z), id(second.z)
            if at in levels:
                levels[at][0] = levels[at][0] + own
            else:
                levels[at] = [own, pair.rows.codes, first.z, second.z]
    for (k, m, *_), (own, codes, *covariates) in levels.items():
        rows, key = scaled(own.take(codes), *covariates), (min(k, m), max(k, m))
        h[key] = h[key] + rows if key in h else rows
    return h
