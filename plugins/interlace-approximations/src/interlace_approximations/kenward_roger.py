"""Kenward and Roger's covariance of the coefficients and degrees of freedom, by dense matrices.

Kenward & Roger (1997), Biometrics 53, 983-997, for a covariance that is linear in its parameters
(so that their second-derivative term R is 0), as in Halekoh & Hojsgaard (2014), J. Stat. Softw.
59(9). Parameters are the entries of each term's covariance matrix and the residual variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.contract import Array, Problem, RandomTerm, UnsupportedModelError

MAX_ROWS = 4000
"""Matrices of n x n numbers are formed, one for each variance parameter."""


@dataclass(frozen=True)
class KenwardRoger:
    """The small-sample covariance of the coefficients, and what degrees of freedom need.

    Attributes
    ----------
    adjusted : ndarray, shape (p, p)
        Covariance of the coefficients that includes what is not known of the variances.
    covariance : ndarray, shape (p, p)
        That given the variances.
    slopes : ndarray, shape (r, p, p)
        Derivatives of `covariance` in the variance parameters: the residual's, and the entries
        of each term's covariance.
    W : ndarray, shape (r, r)
        Covariance of these, by the expected information.
    """

    adjusted: Array
    covariance: Array
    slopes: Array
    W: Array


def kenward_roger(problem: Problem, psi: Array) -> KenwardRoger:
    """Return Kenward and Roger's quantities at the restricted maximum likelihood.

    Raises
    ------
    UnsupportedModelError
        If there are too many rows, or a covariance structure is not linear in its parameters.
    """
    if problem.n > MAX_ROWS:
        raise UnsupportedModelError(
            f"Kenward-Roger: at most {MAX_ROWS} rows, got {problem.n}; its matrices have a row and "
            "a column for each. With so many rows Satterthwaite's degrees of freedom hardly "
            'differ: use df_method="satterthwaite".'
        )
    shared = any(term.theta_of is not None for term in problem.terms)
    if shared or not problem.predictors[1].X.shape[1]:
        raise UnsupportedModelError(
            "Kenward-Roger: for variances that are all estimated, each by itself; here some are "
            'held, known or equal. Use df_method="satterthwaite".'
        )
    residual = np.ones(problem.n) if problem.weights is None else 1.0 / problem.weights
    G = [np.diag(residual)]
    V = np.exp(2.0 * psi[-1]) * G[0]
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        T = term.covariance.template(psi[place])
        same = _level_covariance(term)
        Z = np.asarray(term.Z)
        V = V + same * (Z @ T @ (Z @ T).T)
        for a, b in _components(term):
            product = np.outer(Z[:, a], Z[:, b])
            G.append(same * (product if a == b else product + product.T))
    return _from_matrices(problem.predictors[0].X, V, G)


def _from_matrices(X: Array, V: Array, G: list[Array]) -> KenwardRoger:
    V_inverse = np.linalg.inv(V)
    WX = V_inverse @ X
    Phi: Array = np.asarray(np.linalg.inv(X.T @ WX), dtype=np.float64)
    GX = [g @ WX for g in G]
    P = np.array([-WX.T @ gx for gx in GX])
    Q = np.array([[gx.T @ V_inverse @ hx for hx in GX] for gx in GX])
    VG = [V_inverse @ g for g in G]
    traces = np.array([[np.sum(g * h.T) for h in VG] for g in VG])
    PhiP = Phi @ P
    information = 0.5 * (
        traces - 2.0 * np.einsum("ij,rsji->rs", Phi, Q) + np.einsum("rij,sji->rs", PhiP, PhiP)
    )
    # variances of covariates far from 0 differ by powers of their mean: a diagonal of 1 first
    own = np.diagonal(information)
    size = np.sqrt(np.where(own > 0, own, 1.0))
    W = np.linalg.pinv(information / size / size[:, None], hermitian=True) / size / size[:, None]
    inner = np.einsum("rs,rsij->ij", W, Q) - np.einsum("rs,rij,sjk->ik", W, P, PhiP)
    return KenwardRoger(Phi + 2.0 * Phi @ inner @ Phi, Phi, -Phi @ P @ Phi, W)


def _level_covariance(term: RandomTerm) -> Array:
    """Return the covariance of the rows' levels, shape (n, n): 1 for the same level."""
    if term.relation is not None:
        return term.relation.covariance()[np.ix_(term.codes, term.codes)]
    return np.asarray(term.codes[:, None] == term.codes[None, :], dtype=np.float64)


def _components(term: RandomTerm) -> list[tuple[int, int]]:
    """Return the entries of a term's covariance that its parameters set one by one.

    Raises
    ------
    UnsupportedModelError
        If its free entries are not as many as its parameters.
    """
    covariance, c = term.covariance, term.Z.shape[1]
    theta = covariance.start() + 0.1 + 0.05 * np.arange(covariance.n_theta)
    T = covariance.template(theta)
    free = [(a, b) for a in range(c) for b in range(a, c) if (T @ T.T)[a, b] != 0.0]
    if len(free) != covariance.n_theta:
        raise UnsupportedModelError(
            f"Kenward-Roger: the covariance structure {covariance.name!r} of ({term.label}) is not "
            'linear in its parameters. Use df_method="satterthwaite".'
        )
    return free
