"""Laplace's approximation with dense matrices: a plain reference, good for small problems.

The formulas are those of the structured engine, written without any structure: with M_r the
n x q matrix Z_r Lambda of predictor r and H = I + sum_rs M_r' W_rs M_s,

    F = f(u) + log|H| / 2,     dF/dM_r = s_r u' + l_r v' + sum_s W_rs M_s H^-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.records import Evaluation, Status


@dataclass(frozen=True)
class DenseLaplace(Approximation):
    name = "twin"
    serves_nAGQ = range(1, 2)

    def check(self, problem):
        pass

    def objective(self, problem):
        return DenseObjective(problem)


class DenseObjective:
    def __init__(self, problem):
        self.problem = problem

    def __call__(self, psi):
        p, M = self.problem, effects(self.problem, psi)
        q = next(iter(M.values())).shape[1]
        with np.errstate(all="ignore"):
            u, d = self._mode(psi, M, np.zeros(q))
        if u is None:
            return Evaluation(np.inf, np.zeros(psi.size), np.zeros(q), Status.MODE_NOT_FOUND)
        H = hessian(M, d)
        H_inverse = np.linalg.inv(H)
        value = 0.5 * u @ u - np.sum(d[()]) + 0.5 * np.linalg.slogdet(H)[1]
        score, v = effective_scores(p, M, d, H_inverse)
        gradient = np.zeros(psi.size)
        for k, place in enumerate(p.beta_slices()):
            gradient[place] = p.predictors[k].X.T @ score[k]
        for r in M:
            dM = np.outer(score[r], u) + np.outer(d.get((r,), 0.0) * np.ones(p.n), v)
            for s in M:
                dM += -(second(d, r, s, p.n)[:, None]) * M[s] @ H_inverse
            add_theta(p, r, dM, psi, gradient)
        return Evaluation(float(value), gradient, u)

    def _mode(self, psi, M, u):
        """Return the mode by damped Newton steps, with the weighted derivatives there."""
        value, d = self._joint(psi, M, u)
        for _ in range(100):
            gradient = u - sum(M[r].T @ (d.get((r,), 0.0) * np.ones(len(M[r]))) for r in M)
            H = hessian(M, d)
            if not (np.isfinite(value) and np.all(np.isfinite(H))):
                return None, d
            low = np.linalg.eigvalsh(H)[0]
            if low <= 1e-8:
                H = H + (1e-3 - low) * np.eye(u.size)
            step = -np.linalg.solve(H, gradient)
            if -gradient @ step < 1e-20:
                return u, d
            length = 1.0
            while length > 1e-10:
                moved, there = self._joint(psi, M, u + length * step)
                if moved <= value + 1e-12 * (1.0 + abs(value)):
                    break
                length *= 0.5
            else:
                return None, d
            u, value, d = u + length * step, moved, there
        return None, d

    def _joint(self, psi, M, u):
        p = self.problem
        eta = p.fixed_part(psi)
        for r in M:
            eta[r] = eta[r] + M[r] @ u
        got = p.family.derivatives(p.y, eta, 3, p.active())
        w = 1.0 if p.weights is None else p.weights
        d = {key: w * partial for key, partial in {(): got.value, **got.partials}.items()}
        return 0.5 * u @ u - np.sum(d[()]), d


def effects(problem, psi):
    """Return M_r, shape (n, q), per predictor with random effects."""
    q = sum(len(t.levels) * t.Z.shape[1] for t in problem.terms)
    M = {t.predictor: np.zeros((problem.n, q)) for t in problem.terms}
    for term, columns, T in places(problem, psi):
        M[term.predictor][np.arange(problem.n)[:, None], columns] = np.asarray(term.Z) @ T
    return M


def places(problem, psi):
    """Yield each term with the columns of M that a row's level has, shape (n, c), and T."""
    offset = 0
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        c = term.Z.shape[1]
        yield (
            term,
            offset + term.codes[:, None] * c + np.arange(c),
            term.covariance.template(psi[place]),
        )
        offset += c * len(term.levels)


def second(d, k, m, n):
    return d.get(tuple(sorted((k, m))), 0.0) * np.ones(n)


def hessian(M, d):
    H = np.eye(next(iter(M.values())).shape[1])
    for r in M:
        for s in M:
            H -= M[r].T @ (second(d, r, s, len(M[r]))[:, None] * M[s])
    return H


def effective_scores(problem, M, d, H_inverse):
    """Return s_k for every predictor, and v."""
    n = problem.n
    c = {m: np.zeros(n) for m in range(len(problem.predictors))}
    for k in M:
        for l in M:  # noqa: E741
            h = np.sum((M[k] @ H_inverse) * M[l], axis=1)
            for m in c:
                c[m] = c[m] - 0.5 * h * d.get(tuple(sorted((k, l, m))), 0.0)
    v = H_inverse @ sum(M[r].T @ c[r] for r in M)
    score = {}
    for k in c:
        score[k] = c[k] - d.get((k,), 0.0) + sum(second(d, r, k, n) * (M[r] @ v) for r in M)
    return score, v


def add_theta(problem, r, dM, psi, gradient):
    """Add the pullback of dF/dM_r to the entries of theta."""
    rows = np.arange(problem.n)[:, None]
    for (term, columns, _), place in zip(places(problem, psi), problem.theta_slices(), strict=True):
        if term.predictor == r:
            dT = np.asarray(term.Z).T @ dM[rows, columns]
            gradient[place] += term.covariance.pullback(psi[place], dT)
