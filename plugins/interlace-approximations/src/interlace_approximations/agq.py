"""Adaptive Gauss-Hermite quadrature for one scalar random effect per group, exact gradient.

Each group's integral is taken with nodes centred at its conditional mode and scaled by the
curvature there (Liu & Pierce 1994; Pinheiro & Bates 1995). Nodes move with psi, and the
gradient accounts for it: with `q(u) = l_g(u) - u^2 / 2`, `u_j = u + sqrt(2) sigma x_j`,

    log L_g = log sigma + log sum_j w_j exp(x_j^2 + q(u_j)) - log(pi) / 2
    d log L_g = sum_j pi_j dq(u_j) + alpha du - kappa sigma^3 dH / 2

where `alpha = sum_j pi_j q'(u_j)` and `kappa = 1 / sigma + sqrt(2) sum_j pi_j x_j q'(u_j)`.
All constants are kept: one point gives Laplace's value, many the exact log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from interlace_core.contracts import Approximation
from interlace_core.errors import OptionError, UnsupportedModelError
from interlace_core.numerics.conditional import (
    Conditional,
    Layout,
    scaled,
    weighted_derivatives,
)
from interlace_core.numerics.mode import (
    DEFAULT_SETTINGS,
    Mode,
    ModeMemory,
    ModeSettings,
    find_mode,
)
from interlace_core.records import Array, Derivatives, Evaluation, Problem, Status

MAX_POINTS = 100
"""Beyond this the smallest Gauss-Hermite weights underflow and nothing is gained."""


@dataclass(frozen=True)
class AdaptiveGaussHermite(Approximation):
    """Adaptive Gauss-Hermite quadrature.

    Parameters
    ----------
    points : int
        Quadrature points per group, 1 to 100.
    mode : ModeSettings
        Tolerances of the search for the conditional mode.

    Raises
    ------
    OptionError
        If the number of points is out of range.
    """

    name = "agq"
    serves_nAGQ = range(2, MAX_POINTS + 1)

    points: int = 11
    mode: ModeSettings = DEFAULT_SETTINGS

    def __post_init__(self) -> None:
        if not isinstance(self.points, int) or not 1 <= self.points <= MAX_POINTS:
            raise OptionError(
                f"approximation 'agq': points must be an integer from 1 to {MAX_POINTS}, "
                f"got {self.points!r}. 7 to 25 serve nearly always."
            )

    @classmethod
    def from_nAGQ(cls, nAGQ: int) -> Self:
        """Return the approximation with nAGQ points."""
        return cls(points=nAGQ)

    def check(self, problem: Problem) -> None:
        """Refuse all but one scalar random-effects term."""
        columns = sum(term.Z.shape[1] for term in problem.terms)
        if len(problem.terms) == 1 and columns == 1:
            return
        terms = ", ".join(f"({term.label})" for term in problem.terms) or "none"
        raise UnsupportedModelError(
            f"adaptive quadrature (nAGQ={self.points}) integrates one scalar random effect per "
            f"group; this model has {columns} random-effects column(s) in {len(problem.terms)} "
            f"term(s): {terms}. The grid would grow as a power of their number. "
            "Use nAGQ=1 (Laplace), which has no such limit."
        )

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative approximate log-likelihood as a function of psi."""
        return QuadratureObjective(problem.layout, self.points, self.mode)


@dataclass(frozen=True)
class Nodes:
    """Each group's nodes and what the integrand does there.

    Attributes
    ----------
    u : ndarray, shape (J, L)
        Node positions.
    pi : ndarray, shape (J, L)
        Normalised weights.
    sigma : ndarray, shape (L,)
        Scale, H^(-1/2).
    log_likelihood : float
        Of all groups.
    scores : dict from predictor to ndarray, shape (J, n)
        First derivatives of the log-density at the nodes.
    x : ndarray, shape (J, 1)
        Standard nodes.
    """

    u: Array
    pi: Array
    sigma: Array
    log_likelihood: float
    scores: dict[int, Array]
    x: Array


class QuadratureObjective:
    """psi -> Evaluation; the last mode tells where the next search starts."""

    def __init__(self, layout: Layout, points: int, settings: ModeSettings) -> None:
        self.layout = layout
        self._settings = settings
        self._memory = ModeMemory(layout.structure.q)
        x, w = np.polynomial.hermite.hermgauss(points)
        self._x = x[:, None]
        self._log_w = (np.log(w) + x**2)[:, None]

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi."""
        conditional = Conditional(self.layout, psi)
        start = self._memory.predict(conditional)
        mode = find_mode(conditional, start, self._settings)
        if mode is None:
            return Evaluation(np.inf, np.zeros(psi.size), start, Status.MODE_NOT_FOUND)
        self._memory.remember(conditional, mode)
        nodes = self._nodes(conditional, mode)
        value, gradient = quadrature_value_gradient(conditional, mode, nodes, psi)
        finite = np.isfinite(value) and np.all(np.isfinite(gradient))
        status = Status.OK if finite else Status.NOT_FINITE
        return Evaluation(value, gradient, mode.point.u, status, mode.iterations)

    def _nodes(self, conditional: Conditional, mode: Mode) -> Nodes:
        problem, factor = self.layout.problem, self.layout.structure.factors[0]
        column, t = factor.columns[0], float(conditional.T[0][0, 0])
        A = mode.information[0, 0][0, 0]
        sigma = 1.0 / np.sqrt(t * t * A + 1.0)
        u = mode.point.u + np.sqrt(2.0) * sigma * self._x
        eta = list(mode.point.eta)
        rows = scaled((t * u)[:, factor.rows.codes], column.z, None)
        eta[column.predictor] = conditional.eta_fixed[column.predictor] + rows
        derivatives = _spread(weighted_derivatives(problem, eta, 1, problem.active()), rows.shape)
        # a node where the model is not defined (a mean below 0) carries no mass
        inside = np.isfinite(derivatives.value)
        q = factor.rows.sum(np.where(inside, derivatives.value, -np.inf)) - 0.5 * np.square(u)
        terms = self._log_w + q
        top = np.max(terms, axis=0)
        mass = np.exp(terms - top)
        total = np.sum(mass, axis=0)
        log_likelihood = np.log(sigma) + top + np.log(total) - 0.5 * np.log(np.pi)
        scores = {
            key[0]: np.where(inside, partial, 0.0)
            for key, partial in derivatives.partials.items()
            if len(key) == 1
        }
        return Nodes(u, mass / total, sigma, float(np.sum(log_likelihood)), scores, self._x)


def quadrature_value_gradient(
    conditional: Conditional, mode: Mode, nodes: Nodes, psi: Array
) -> tuple[float, Array]:
    """Return F and dF/dpsi, shape (n_psi,), for one scalar random effect per group.

    The Newton step that the search for the mode left undone is accounted for to first order.
    """
    problem, factor = conditional.layout.problem, conditional.layout.structure.factors[0]
    rows, column = factor.rows, factor.columns[0]
    r, codes, t = column.predictor, factor.rows.codes, float(conditional.T[0][0, 0])
    d, u, sigma = mode.point.derivatives, mode.point.u, nodes.sigma
    z = np.ones(problem.n) if column.z is None else column.z

    slope = t * rows.sum(z * nodes.scores[r]) - nodes.u  # q'(u_j)
    alpha = np.sum(nodes.pi * slope, axis=0)
    kappa = 1.0 / sigma + np.sqrt(2.0) * np.sum(nodes.pi * nodes.x * slope, axis=0)
    spread = (kappa * sigma**3)[codes]
    c = {
        m: 0.5 * spread * t * t * z * z * third
        for m in problem.active()
        if (third := d.get(r, r, m)) is not None
    }
    H = 1.0 / np.square(sigma)
    l_r = _required(d.get(r), problem.n)
    l_rr = _required(d.get(r, r), problem.n)
    c_r = rows.sum(z * _required(c.get(r), problem.n))
    adjoint = alpha + t * c_r  # d log L / du
    value = -(nodes.log_likelihood + float(adjoint @ mode.step))
    v = adjoint / H

    gradient = np.empty(psi.size)
    pi_rows = nodes.pi[:, codes]
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        if not predictor.X.shape[1]:
            continue
        score = _required(c.get(k), problem.n).copy()
        if k in nodes.scores:
            score += np.sum(pi_rows * nodes.scores[k], axis=0)
        cross = d.get(r, k)
        if cross is not None:
            score += t * v[codes] * z * cross
        gradient[place] = -(predictor.X.T @ score)
    at_nodes = np.sum(nodes.pi * nodes.u * rows.sum(z * nodes.scores[r]), axis=0)
    through_mode = rows.sum(z * l_r) + t * rows.sum(z * z * l_rr) * u
    through_scale = kappa * sigma**3 * t * rows.sum(z * z * l_rr)  # W = -l_rr
    dt = np.sum(at_nodes + u * c_r + through_scale + v * through_mode)
    dT = [np.array([[-dt]])]
    gradient[: problem.n_theta] = conditional.layout.template_pullback(psi, dT)
    return value, gradient


def _spread(derivatives: Derivatives, shape: tuple[int, ...]) -> Derivatives:
    """Return all arrays at shape (J, n): a predictor without nodes may give shape (n,)."""
    return Derivatives(
        np.broadcast_to(derivatives.value, shape),
        {key: np.broadcast_to(part, shape) for key, part in derivatives.partials.items()},
    )


def _required(values: Array | None, n: int) -> Array:
    return np.zeros(n) if values is None else values
