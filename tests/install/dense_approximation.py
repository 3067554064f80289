"""Laplace's approximation by dense algebra, written as somebody else would: on promised modules.

The mode comes from the engine; what follows from it is plain linear algebra. With M_r the n x q
matrix of the effects of u on predictor r, W = -l'' and H = I + sum_rs M_r' W_rs M_s,

    F = f(u) + log|H| / 2 ,    dF/dM_r = s_r u' + l_r v' + sum_s W_rs M_s H^-1 .
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from interlace_core.contract import Approximation, Evaluation, Status, hookimpl
from interlace_core.engine import Conditional, ModeMemory, ModeSettings, layout_of, lowest_mode


@dataclass(frozen=True)
class Dense(Approximation):
    """Laplace's approximation with dense matrices, for small problems."""

    name = "dense"

    inner: int = 5  # a field of its own, of a name that others use too
    settings: ModeSettings = field(default_factory=lambda: ModeSettings(tol_sq_decrement=1e-20))

    def check(self, problem):
        """Accept every model."""

    def objective(self, problem):
        """Return the negative approximate log-likelihood as a function of psi."""
        return DenseObjective(layout_of(problem), self.settings)


class DenseObjective:
    """psi -> Evaluation."""

    def __init__(self, layout, settings):
        self.layout, self.settings = layout, settings

    def __call__(self, psi):
        """Return value, gradient and mode at psi."""
        layout, structure = self.layout, self.layout.structure
        conditional, start = Conditional(layout, psi), np.zeros(structure.q)
        mode = lowest_mode(conditional, start, self.settings, ModeMemory(structure.q))
        if mode is None:
            return Evaluation(np.inf, np.zeros(psi.size), start, Status.MODE_NOT_FOUND)
        u, n = mode.point.u, layout.problem.n
        d = Slopes(mode.point.derivatives, n)
        M = matrices(conditional, structure, n)
        H = np.eye(u.size) - sum(
            (M[r].T @ (d(r, s)[:, None] * M[s]) for r in M for s in M), np.zeros((u.size, u.size))
        )
        inverse = np.linalg.inv(H)
        value = mode.point.value + 0.5 * float(np.linalg.slogdet(H)[1])
        scores, v = adjoint(layout.problem, M, d, inverse)
        gradient = np.zeros(psi.size)
        for k, place in enumerate(layout.problem.beta_slices()):
            gradient[place] = layout.problem.predictors[k].X.T @ scores[k]
        dM = {
            r: np.outer(scores[r], u)
            + np.outer(d(r), v)
            - sum(d(r, s)[:, None] * (M[s] @ inverse) for s in M)
            for r in M
        }
        dT = [template_slope(factor, dM) for factor in structure.factors]
        gradient[: layout.problem.n_theta] = layout.template_pullback(psi, dT)
        status = Status.OK if np.all(np.isfinite(gradient)) else Status.NOT_FINITE
        return Evaluation(value, gradient, u, status, mode.iterations)


class Slopes:
    """Derivatives of the rows' log-densities in predictors, zeros where there are none."""

    def __init__(self, derivatives, n):
        self.derivatives, self.n = derivatives, n

    def __call__(self, *predictors):
        """Return one partial derivative, shape (n,)."""
        found = self.derivatives.get(*sorted(predictors))
        return np.zeros(self.n) + (0.0 if found is None else found)


def matrices(conditional, structure, n):
    """Return M_r, shape (n, q), per predictor with random effects."""
    M = {r: np.zeros((n, structure.q)) for r in structure.random_predictors}
    for j, unit in enumerate(np.eye(structure.q)):
        for r, column in conditional.push(unit).items():
            M[r][:, j] = column
    return M


def adjoint(problem, M, d, inverse):
    """Return dF/deta_k of every predictor with the mode moving along, and v."""
    active = problem.active()
    c = {m: np.zeros(problem.n) for m in active}
    for r in M:
        for s in M:
            leverage = np.sum((M[r] @ inverse) * M[s], axis=1)
            for m in active:
                c[m] -= 0.5 * leverage * d(r, s, m)
    v = inverse @ sum((M[r].T @ c[r] for r in M), np.zeros(len(inverse)))
    scores = {}
    for k in range(len(problem.predictors)):
        moved = sum((d(r, k) * (M[r] @ v) for r in M), np.zeros(problem.n))
        scores[k] = c[k] - d(k) + moved if k in c else np.zeros(problem.n)
    return scores, v


def template_slope(factor, dM):
    """Return dF/dT of one factor, shape (c, c)."""
    c, levels = factor.shape
    dT = np.zeros((c, c))
    for a, column in enumerate(factor.columns):
        z = 1.0 if column.z is None else column.z
        for b in range(c):
            entries = factor.place.start + b * levels + factor.rows.codes
            rows = dM[column.predictor][np.arange(entries.size), entries]
            dT[a, b] = np.sum(z * rows)
    return dT


@hookimpl
def interlace_approximations():
    """Return the class."""
    return [Dense]
