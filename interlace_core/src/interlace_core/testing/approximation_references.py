"""Log-likelihoods by other means: a dense normal density, no random effects, integration."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.records import Array, IntArray

REACH = 12.0
"""Half-width of an integral in standard deviations of u around its peak: exp(-72) is left out."""

GRID = np.linspace(-REACH, REACH, 97)
"""Where the peak is looked for; its place need not be exact."""


def without_effects(problem: Problem, psi: Array) -> float:
    """Return the negative log-likelihood with all random effects 0."""
    return -float(np.sum(_weights(problem) * _log_density(problem, problem.fixed_part(psi))))


def normal_value(problem: Problem, psi: Array) -> float:
    """Return the negative log-likelihood of normal responses with identity link.

    y ~ N(eta, Z Lambda Lambda' Z' + sigma^2 diag(1 / w)), and a row's weight w multiplies its
    log-density, which differs from a normal one of variance sigma^2 / w by a constant.
    """
    mean, log_sigma = problem.fixed_part(psi)
    w = _weights(problem)
    L = np.linalg.cholesky(_covariance(problem, psi))
    r = np.linalg.solve(L, problem.y - mean)
    value = float(np.sum(np.log(np.diag(L)))) + 0.5 * float(r @ r)
    value += 0.5 * problem.n * float(np.log(2.0 * np.pi))
    constants = (w - 1.0) * (0.5 * np.log(2.0 * np.pi) + log_sigma) + 0.5 * np.log(w)
    return value + float(np.sum(constants))


def restriction(problem: Problem, psi: Array) -> float:
    """Return what a restricted likelihood adds: half of log |X'V^-1 X| - p log(2 pi)."""
    X = problem.predictors[0].X
    information = X.T @ np.linalg.solve(_covariance(problem, psi), X)
    return 0.5 * float(np.linalg.slogdet(information)[1] - X.shape[1] * np.log(2.0 * np.pi))


def _covariance(problem: Problem, psi: Array) -> Array:
    """Return the covariance of a normal response, shape (n, n)."""
    log_sigma = problem.fixed_part(psi)[1]
    V = np.diag(np.exp(2.0 * log_sigma) / _weights(problem))
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        ZT = np.asarray(term.Z) @ term.covariance.template(psi[place])
        V += (ZT @ ZT.T) * (term.codes[:, None] == term.codes)
    return V


def integrated_value(problem: Problem, psi: Array) -> float:
    """Return the negative log-likelihood of one scalar effect per group, by adaptive integration.

    Each group's log-integrand is the sum of its rows' log-densities at u minus u^2 / 2.
    """
    from scipy.integrate import quad

    (term,), (place,) = problem.terms, problem.theta_slices()
    z = float(term.covariance.template(psi[place])[0, 0]) * np.asarray(term.Z)[:, 0]
    fixed = problem.fixed_part(psi)
    total = 0.0
    for level in range(len(term.levels)):
        rows = np.flatnonzero(term.codes == level).astype(np.intp)

        def log_integrand(u: Any, rows: IntArray = rows) -> Array:
            eta = [part[rows] for part in fixed]
            eta[term.predictor] = eta[term.predictor] + np.asarray(u)[..., None] * z[rows]
            density = problem.family.log_density(problem.y[rows], eta)
            return np.asarray(np.sum(_weights(problem)[rows] * density, axis=-1) - 0.5 * u**2)

        heights = log_integrand(GRID)
        peak, top = GRID[np.argmax(heights)], float(np.max(heights))
        area, _ = quad(
            lambda u, f=log_integrand, top=top: float(np.exp(f(u) - top)),
            peak - REACH,
            peak + REACH,
            points=[peak],
            epsabs=1e-12,
            epsrel=1e-12,
            limit=200,
        )
        total += top + float(np.log(area)) - 0.5 * float(np.log(2.0 * np.pi))
    return -total


def _log_density(problem: Problem, eta: list[Array]) -> Array:
    return np.asarray(problem.family.log_density(problem.y, eta))


def _weights(problem: Problem) -> Array:
    return np.ones(problem.n) if problem.weights is None else problem.weights
