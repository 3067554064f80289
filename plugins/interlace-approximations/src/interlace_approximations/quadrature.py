"""Integrals over the effects of one grouping factor by nodes around the mode, exact gradient.

Each group's integral over its c effects is a weighted sum over nodes that follow the group's
conditional mode u and a factor of the curvature H there. With `L L' = H`, `S = L'^-1`,
`u_j = u + S x_j` and `q(u) = l_g(u) - |u|^2 / 2`,

    log L_g = -log|H| / 2 + log sum_j exp(log_w_j + q(u_j))

The standard nodes x_j with their weights are given: a grid of Gauss-Hermite nodes (Liu & Pierce
1994; Pinheiro & Bates 1995), or draws of the normal distribution. All constants are kept: one
node at 0 of weight 1 gives Laplace's value.

Nodes move with psi. With pi_j the normalised terms of the sum,

    d log L_g = sum_j pi_j dq(u_j) + alpha' du + <M, dS> - <H^-1, dH> / 2
    alpha = sum_j pi_j q'(u_j) ,   M = sum_j pi_j q'(u_j) x_j'

Differentiating `L L' = H` gives `dL = L phi(S' dH S)`, where phi keeps the lower triangle and
halves the diagonal, and so `dS = -S phi(S' dH S)'`. With `B = M' S` and phi its own adjoint,

    <M, dS> - <H^-1, dH> / 2 = -<K, dH> / 2 ,   K = S (I + phi(B) + phi(B)') S'

K stands exactly where Laplace's gradient has H^-1, and alpha adds to what the mode is sensitive
to; the rest of the gradient is Laplace's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_approximations.groups import Block, blocks_of_groups
from interlace_approximations.laplace_slopes import (
    effective_score,
    fixed_gradient,
    predictor_pullback,
    template_pullback,
)
from interlace_core.contract import Array, Derivatives, Evaluation, Problem, Status
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    Conditional,
    Layout,
    Mode,
    ModeMemory,
    ModeSettings,
    lowest_mode,
    sandwich,
    scaled,
    scatter,
    weighted_derivatives,
)


@dataclass(frozen=True)
class Nodes:
    """Standard nodes, on the scale of a standard normal variable, and their weights.

    Attributes
    ----------
    x : ndarray, shape (c, J)
    log_w : ndarray, shape (J,)
        Logarithm of each weight, divided by exp(-|x|^2 / 2).
    """

    x: Array
    log_w: Array


@dataclass(frozen=True)
class Integrals:
    """The groups' integrals, and what their gradient needs.

    Attributes
    ----------
    log_likelihood : ndarray, shape (L,)
    alpha : ndarray, shape (c, L)
        Mean slope of q over the nodes.
    M : ndarray, shape (L, c, c)
        Mean of slope times node.
    scores : dict from predictor to ndarray, shape (n,)
        Mean over the nodes of each row's first derivatives.
    dT : ndarray, shape (c, c)
        Sum over groups of the mean over the nodes of `Z' l_R (u_j - u)'`.
    """

    log_likelihood: Array
    alpha: Array
    M: Array
    scores: dict[int, Array]
    dT: Array


class NodesObjective:
    """psi -> Evaluation, for one grouping factor; past modes tell where the next search starts.

    Parameters
    ----------
    layout : Layout
        Of a problem whose terms share one grouping factor.
    nodes : Nodes
        As many dimensions as there are effects per group.
    settings : ModeSettings
    mode : ndarray, shape (q,), optional
        Where the first search for the mode begins; 0 by default.
    """

    def __init__(
        self,
        layout: Layout,
        nodes: Nodes,
        settings: ModeSettings = DEFAULT_SETTINGS,
        mode: Array | None = None,
    ) -> None:
        self.layout = layout
        self._settings = settings
        self._memory = ModeMemory(layout.structure.q, mode)
        self._nodes = nodes
        self._blocks = tuple(blocks_of_groups(layout, nodes.log_w.size))

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi."""
        conditional = Conditional(self.layout, psi)
        start = self._memory.predict(conditional)
        mode = lowest_mode(conditional, start, self._settings)
        if mode is None:
            return Evaluation(np.inf, np.zeros(psi.size), start, Status.MODE_NOT_FOUND)
        self._memory.remember(conditional, mode)
        try:
            S = _scale(conditional, mode)
        except np.linalg.LinAlgError:  # definite only but for rounding
            return Evaluation(np.inf, np.zeros(psi.size), mode.point.u, Status.NOT_FINITE)
        parts = [_integrate(conditional, mode, S, self._nodes, block) for block in self._blocks]
        value, gradient = value_gradient(conditional, mode, S, _joined(parts), psi)
        finite = np.isfinite(value) and np.all(np.isfinite(gradient))
        status = Status.OK if finite else Status.NOT_FINITE
        return Evaluation(value, gradient, mode.point.u, status, mode.iterations)


def value_gradient(
    conditional: Conditional, mode: Mode, S: Array, integrals: Integrals, psi: Array
) -> tuple[float, Array]:
    """Return F and dF/dpsi, shape (n_psi,), for the effects of one grouping factor.

    The steps of `laplace_value_gradient`, with the integrals' part in each:

    1. The value: minus the groups' log-integrals and log|S|, less what the Newton step that the
       search for the mode left undone changes them by, to first order.
    2. The adjoint of the mode, as every node moves with it.
    3. In the coefficients, with each row's score averaged over the nodes.
    4. In the template, at the mode and at the nodes' distance from it.
    """
    layout = conditional.layout
    problem, structure = layout.problem, layout.structure
    derivatives, random = mode.point.derivatives, structure.random_predictors
    # 1. the value
    K = {(0, 0): _scale_adjoint(S, integrals.M)}
    c = predictor_pullback(conditional, mode, K)
    sensitivity = conditional.pull({r: c.get(r) for r in random}) - integrals.alpha.ravel()
    value = (
        0.5 * mode.factorisation.logdet
        - float(np.sum(integrals.log_likelihood))
        + float(sensitivity @ mode.step)
    )
    # 2. the adjoint
    v = structure.join(mode.factorisation.solve(structure.split(sensitivity)))
    # 3. the coefficients
    averaged = Derivatives(
        derivatives.value,
        {**derivatives.partials, **{(k,): score for k, score in integrals.scores.items()}},
    )
    pushed = conditional.push(v)
    scores = {k: effective_score(averaged, c, pushed, k, problem.n) for k in problem.active()}
    gradient = fixed_gradient(problem, scores, psi.size)
    # 4. the template
    (Zs,) = scatter(structure, {r: scores[r] for r in random})
    (Zl,) = scatter(structure, {r: derivatives.get(r) for r in random})
    (u,), (v_part,) = structure.split(mode.point.u), structure.split(v)
    (dT,) = template_pullback(conditional, mode, K)
    dT += Zs @ u.T + Zl @ v_part.T - integrals.dT
    gradient[: problem.n_theta] = layout.template_pullback(psi, [dT])
    return value, gradient


def _scale(conditional: Conditional, mode: Mode) -> Array:
    """Return S = L'^-1 of each group's curvature H = L L', shape (L, c, c)."""
    (T,) = conditional.T
    H = np.moveaxis(sandwich(T, mode.information[0, 0], T), -1, 0) + np.eye(T.shape[0])
    return np.asarray(np.linalg.inv(np.linalg.cholesky(H)).transpose(0, 2, 1))


def _scale_adjoint(S: Array, M: Array) -> Array:
    """Return K = S (I + phi(B) + phi(B)') S' with B = M' S, shape (c, c, L)."""
    B = M.transpose(0, 2, 1) @ S
    lower = np.tril(B)
    symmetric = np.tril(B, -1) + lower.transpose(0, 2, 1) + np.eye(S.shape[1])
    return np.ascontiguousarray(np.moveaxis(S @ symmetric @ S.transpose(0, 2, 1), 0, -1))


def _integrate(
    conditional: Conditional, mode: Mode, S: Array, nodes: Nodes, block: Block
) -> Integrals:
    """Return the integrals of a block's groups.

    1. Place the nodes around each group's mode: u_j = u + S x_j.
    2. Evaluate the density of every row at every node of its group.
    3. Weigh the nodes: the integral is the sum of their masses, pi are their shares.
    4. Average the slopes of the log-density over the nodes, for the gradient.
    """
    # 1. nodes
    (T,), columns = conditional.T, conditional.layout.structure.factors[0].columns
    (u,) = conditional.layout.structure.split(mode.point.u)
    away = np.einsum("lab,bj->ajl", S[block.levels], nodes.x)  # u_j - u
    at = u[:, None, block.levels] + away
    eta: list[Array] = [fixed[block.rows] for fixed in conditional.eta_fixed]
    for column, z, b in zip(columns, block.z, _times(T, at), strict=True):
        rows = scaled(b[:, block.segments.codes], z, None)
        eta[column.predictor] = eta[column.predictor] + rows
    # 2. densities
    derivatives = _at_nodes(block.problem, eta, (nodes.log_w.size, block.problem.n))
    q = block.segments.sum(derivatives.value) - 0.5 * np.sum(np.square(at), axis=0)
    # 3. weights
    pi, log_likelihood = _normalised(nodes.log_w[:, None] + q)
    # 4. slopes
    zero = np.zeros(derivatives.value.shape)
    Zl = np.stack(
        [
            block.segments.sum(scaled(derivatives.partials.get((column.predictor,), zero), z, None))
            for column, z in zip(columns, block.z, strict=True)
        ]
    )
    slope = pi * (_times(T.T, Zl) - at)
    weight = pi[:, block.segments.codes]
    return Integrals(
        log_likelihood,
        np.sum(slope, axis=1),
        np.einsum("ajl,bj->lab", slope, nodes.x),
        {k: np.einsum("jn,jn->n", weight, d) for (k,), d in derivatives.partials.items()},
        np.einsum("ajl,bjl->ab", pi * Zl, away),
    )


def _times(T: Array, x: Array) -> Array:
    """Return T x, shape (c, J, L); sums of a few scaled arrays, which a matrix product is not."""
    out = T[:, 0, None, None] * x[0]
    for b in range(1, x.shape[0]):
        out += T[:, b, None, None] * x[b]
    return np.asarray(out)


def _at_nodes(problem: Problem, eta: list[Array], shape: tuple[int, int]) -> Derivatives:
    """Return density and scores at the nodes, shape (J, n)."""
    raw = weighted_derivatives(problem, eta, 1, problem.active())
    value = np.broadcast_to(raw.value, shape)
    # a node where the model is not defined (a mean below 0) carries no mass
    inside = np.isfinite(value)
    if np.all(inside):
        return Derivatives(
            value, {key: np.broadcast_to(d, shape) for key, d in raw.partials.items()}
        )
    return Derivatives(
        np.where(inside, value, -np.inf),
        {key: np.where(inside, d, 0.0) for key, d in raw.partials.items()},
    )


def _normalised(terms: Array) -> tuple[Array, Array]:
    """Return exp(terms) scaled to sums of 1 along the nodes, and the logarithm of the sums."""
    top = np.max(terms, axis=0)
    mass = np.exp(terms - top)
    total = np.sum(mass, axis=0)
    return mass / total, top + np.log(total)


def _joined(parts: list[Integrals]) -> Integrals:
    """Return the integrals of all groups from those of consecutive blocks."""
    if len(parts) == 1:
        return parts[0]
    keys = {k: None for part in parts for k in part.scores}
    rows = [np.zeros(0) if not part.scores else next(iter(part.scores.values())) for part in parts]
    scores = {
        k: np.concatenate(
            [part.scores.get(k, np.zeros_like(row)) for part, row in zip(parts, rows, strict=True)]
        )
        for k in keys
    }
    return Integrals(
        np.concatenate([part.log_likelihood for part in parts]),
        np.concatenate([part.alpha for part in parts], axis=1),
        np.concatenate([part.M for part in parts]),
        scores,
        np.sum([part.dT for part in parts], axis=0),
    )
