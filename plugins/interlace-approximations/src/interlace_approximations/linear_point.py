"""The linear mixed model on cross-products alone: no pass over the rows after the first.

With `y ~ N(X beta + Z T u, sigma^2 / w)`, `u ~ N(0, I)` and tau = 1 / sigma^2, the structured
`H = tau T' A T + I` has A = Z'wZ for ever, and all that the likelihood needs of the data are A,
Z'w[X y] and [X y]'w[X y] (Bates, Maechler, Bolker & Walker 2015, section 3). For a column s of
[X y],

    s' V^-1 s = min_u tau |w^(1/2) (s - Z T u)|^2 + |u|^2 ,

so that its derivative in T is `-2 r u'` with `r = tau Z'w (s - Z T u)` at the minimum, where
`T' r = u`, and in log sigma `-2 (s' V^-1 s - |u|^2)`. Columns are taken orthonormal and the
response less its fit without random effects, so that nothing large cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack, solve_triangular

from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.reduced import Reduced
from interlace_core.contract import Array, IntArray
from interlace_core.engine import (
    Blocks,
    ChainSlopes,
    Factor,
    Factorisation,
    OwnEliminated,
    eliminate_posterior,
    factorise_posterior,
    sandwich,
    template_times,
)

MAX_CONDITION = 1e6
"""Of a template by whose transpose u is divided; above it what is divided for is summed anew. The
division costs as many digits as the condition has, and a gradient needs no more than eight."""


FEW_COLUMNS = 4
"""Columns up to which products of all entries of two blocks are quicker than products of blocks."""

LARGE_TEMPLATE = 48
"""Columns from which a template's own products, c^3 each, are what an evaluation takes."""

LEAST_SHARE_LEFT = 1e-2
"""Of the response's sum of squares, below which what effects leave of it is made to more digits."""


@dataclass(frozen=True)
class Across:
    """What a part of the rows is told of the random effects that all parts share.

    Attributes
    ----------
    inverse : ndarray, shape (m (m + 1) / 2,)
        S^-1 of what is left of H for them; see `Known`.
    logdet : float
        log|S|.
    effects : ndarray, shape (m, p + 1)
        U of them, one column for each of [Q r].
    """

    inverse: Array
    logdet: float
    effects: Array


class Scaled:
    """Cross-products at one psi, before anything is eliminated.

    Attributes
    ----------
    data : CrossProducts
    layout : Layout
    T : list of ndarray, shape (c, c), one per factor
    log_sigma, tau : float
    """

    def __init__(self, data: CrossProducts, psi: Array) -> None:
        self.data = data
        self.log_sigma = float(psi[-1]) if data.estimates_sigma else 0.0
        self.tau = np.exp(-2.0 * self.log_sigma)
        self.layout = data.layout.at(psi)
        self.T = self.layout.templates(psi)

    def pulled(self) -> list[Array]:
        """Return tau T' Z'w [Q r], shape (c, p + 1, L), one per factor."""
        factors = self.layout.structure.factors
        return [
            factor.gather(self.tau * _templated(T.T, Zs))
            for factor, T, Zs in zip(factors, self.T, self.data.Zs, strict=True)
        ]

    def factorise(self) -> Factorisation:
        """Return the factorised H."""
        return factorise_posterior(self.layout.plan, self.layout.structure, self._curvature())

    @cached_property
    def eliminated(self) -> OwnEliminated:
        """H with a part's own effects eliminated, where others are of all parts."""
        return eliminate_posterior(self.layout.plan, self.layout.structure, self._curvature())

    def complement(self) -> Array:
        """Return what the part's own effects leave of H, packed; it is not kept."""
        found, self.eliminated.complement = self.eliminated.complement, None
        if found is None:
            del self.eliminated
            return self.complement()
        return found

    def _curvature(self) -> Blocks:
        return {
            (i, j): sandwich(self.T[i], self.tau * block, self.T[j])
            for (i, j), block in self.data.A.items()
        }


def columns_of(pulled: list[Array]) -> list[list[Array]]:
    """Return arrays of shape (c, p + 1, L) as one list of arrays (c, L) for each column.

    None where there are no random effects.
    """
    if not pulled:
        return []
    return [
        [np.ascontiguousarray(part[:, j]) for part in pulled] for j in range(pulled[0].shape[1])
    ]


class LinearPoint(Reduced):
    """A linear mixed model at one psi = (theta, beta, log sigma); beta is not looked at.

    Without the last where the residual variances are known.

    1. Factorise `H = tau T' A T + I`.
    2. Solve for u of each column of [Q r]: `U = H^-1 tau T' Z'w [Q r]`.
    3. `M = [Q r]'V^-1 [Q r]` is what that leaves; its factor gives beta, its last entry the
       residual sum of squares.

    Of a part of the rows that is told of the effects which all parts share, M and the derivatives
    are its share of those of all rows.
    """

    def __init__(
        self,
        data: CrossProducts,
        psi: Array,
        across: Across | None = None,
        scaled: Scaled | None = None,
    ) -> None:
        scaled = Scaled(data, psi) if scaled is None else scaled
        self.data, self.tau, self.layout, self.T = data, scaled.tau, scaled.layout, scaled.T
        self._moments: dict[int, tuple[Array, Array]] = {}
        pulled = scaled.pulled()
        # 1. H, and 2. U
        if across is None:
            self.factorisation = scaled.factorise()
            self.U = self.factorisation.solve_columns(pulled)
        else:
            eliminated = scaled.eliminated
            self.factorisation = eliminated.completed(across.inverse)
            solved = [
                eliminated.solve(column, u)
                for column, u in zip(columns_of(pulled), across.effects.T, strict=True)
            ]
            self.U = [np.stack(parts, axis=1) for parts in zip(*solved, strict=True)]
        # 3. M
        M = self.tau * data.SS
        for part, u in zip(pulled, self.U, strict=True):
            M = M - sum(a @ b.T for a, b in zip(part, u, strict=True))
        if across is None and M.size and M[-1, -1] < LEAST_SHARE_LEFT * self.tau * data.SS[-1, -1]:
            M = M - self._undone()
        logdet = self.factorisation.logdet
        log_sigma = scaled.log_sigma
        whole = float(self.tau * data.SS[-1, -1])
        super().__init__(M, logdet, data.R, data.beta, data.n, log_sigma, data.log_weights, whole)

    def _undone(self) -> Array:
        """Return U'(p - H U) of the columns, p what they were solved from: 0 but for rounding.

        What is left of [Q r] is least at U, and by as much too large where it is off: without it an
        error in U counts once, with it by its square. That matters where effects leave little.
        """
        total = np.zeros(self.data.SS.shape)
        for i, (factor, T, U) in enumerate(zip(self._factors, self.T, self.U, strict=True)):
            left = factor.gather(_templated(T.T, self._left_over(i))) - U
            total += sum(a @ b.T for a, b in zip(U, left, strict=True))
        return 0.5 * (total + total.T)

    @property
    def _factors(self) -> tuple[Factor, ...]:
        return self.layout.structure.factors

    @property
    def mode(self) -> Array:
        """Conditional mode of u, shape (q,)."""
        return self.layout.structure.join([self.residual @ u for u in self.U])

    def gradient(self, restricted: bool) -> tuple[list[Array], ChainSlopes | None, float]:
        """Return the derivatives of `deviance` in each factor's T, the chain, and log sigma."""
        dT = self.logdet_pullback()
        # tr(H^-1 T' tau A T), which is what a change of tau does to log|H|
        shrinkage = sum(float(np.sum(T * d)) for T, d in zip(self.T, dT, strict=True))
        columns = self.columns(restricted)
        moved, d_sigma = self.quadratic_gradient(columns)
        dT = [d + 0.5 * np.sum(m, axis=-1) for d, m in zip(dT, moved, strict=True)]
        return (
            dT,
            self._chain_gradient(columns),
            self.data.n - shrinkage + 0.5 * float(np.sum(d_sigma)),
        )

    def _summed_quadratic(self, i: int, columns: Array, weights: Array) -> Array:
        """Return the derivative in one T of s'V^-1 s / 2, summed over combinations s of [Q r].

        Parameters
        ----------
        i : int
        columns : ndarray, shape (p + 1, m)
        weights : ndarray, shape (p + 1, p + 1)
            Their products, columns columns'.
        """
        if len(self.T[i]) < LARGE_TEMPLATE:
            return np.asarray(-np.einsum("ajbk,jk->ab", self._moment(i)[0], weights))
        # of many columns no products of all with all, for each pair of [Q r]
        factor, T = self._factors[i], self.T[i]
        u = np.einsum("ajl,jm->aml", self.U[i], columns)
        v = factor.spread(u).reshape(len(T), -1)
        if factor.independent and not factor.across and _condition(T) < MAX_CONDITION:
            r = np.linalg.solve(T.T, u.reshape(len(T), -1))
        else:
            r = np.einsum("ajl,jm->aml", self._left_over(i), columns).reshape(len(T), -1)
        return np.asarray(-(r @ v.T))

    def quadratic_gradient(self, columns: Array) -> tuple[list[Array], Array]:
        """Return derivatives of s'V^-1 s for combinations s of [Q r].

        Parameters
        ----------
        columns : ndarray, shape (p + 1, m)

        Returns
        -------
        list of ndarray, shape (c, c, m)
            In each factor's T.
        ndarray, shape (m,)
            In log sigma.
        """
        # in this order: a search for the best one costs more than the products
        dT = [
            -2.0 * np.einsum("abkm,km->abm", np.einsum("ajbk,jm->abkm", r, columns), columns)
            for r, _ in self.moments
        ]
        value = np.einsum("jm,jk,km->m", columns, self.M, columns)
        lengths = np.einsum("jm,jk,km->m", columns, self.lengths, columns)
        return dT, -2.0 * (value - lengths)

    def _chain_gradient(self, columns: Array) -> ChainSlopes | None:
        """Return the derivatives in the chain, with those of s'V^-1 s / 2 for the columns s."""
        own = self.factorisation.chain_slopes()
        if own is None or self.chain_moments is None:
            return None
        weights = columns @ columns.T
        r = self.chain_moments
        return own + ChainSlopes(
            -np.einsum("tjk,jk->t", r.carry, weights), -np.einsum("tjk,jk->t", r.shocks, weights)
        )

    def covariance_slopes(self, psi: Array) -> Array:
        """Return the derivatives of `covariance` in theta and log sigma, (n_theta + 1, p, p)."""
        layout, p = self.layout, len(self.root)
        columns = self.fixed_columns()
        half = [
            np.einsum("ajbk,jm,kn->abmn", r, columns, columns, optimize=True)
            for r, _ in self.moments
        ]
        dT = [-(d + d.transpose(0, 1, 3, 2)) for d in half]
        chains = None
        if self.chain_moments is not None:
            in_chain = [
                np.einsum("tjk,jm,kn->mnt", each, columns, columns, optimize=True)
                for each in (self.chain_moments.carry, self.chain_moments.shocks)
            ]
            chains = [-(each + each.transpose(1, 0, 2)) for each in in_chain]
        inner = columns.T @ self.lengths @ columns
        n_theta = layout.problem.n_theta
        slopes = np.empty((n_theta + self.data.estimates_sigma, p, p))
        slopes[n_theta:] = -2.0 * (np.eye(p) - inner)
        for m in range(p):
            for k in range(p):
                chain = None if chains is None else ChainSlopes(chains[0][m, k], chains[1][m, k])
                own = [d[:, :, m, k] for d in dT]
                slopes[:n_theta, m, k] = layout.template_pullback(psi, own, chain)
        # d(M^-1) = -B (B' dM B) B' where B B' = M^-1
        B = solve_triangular(self.data.R, self.inverse_root)
        return np.asarray(-np.einsum("im,rmk,jk->rij", B, slopes, B))

    @cached_property
    def moments(self) -> list[tuple[Array, Array]]:
        """Sums over levels of r v' and u u' for the columns of [Q r], by factor.

        v are the levels' effects before the template, u itself where levels are independent; u is
        T'r, spread by the transpose, so that u u' tells of r v'.

        Each of shape (c, p + 1, c, p + 1), the first two of r or u.
        """
        return [self._moment(i) for i in range(len(self.T))]

    def _moment(self, i: int) -> tuple[Array, Array]:
        if i not in self._moments:
            T, U = self.T[i], self.U[i]
            uu = _outer_sums(U, U)
            if not self._factors[i].across and _condition(T) < MAX_CONDITION:
                inverse = np.asarray(np.linalg.inv(T), dtype=np.float64)
                ru = np.tensordot(inverse, uu, axes=(0, 0))
            else:
                ru = _outer_sums(self._left_over(i), self._factors[i].spread(U))
            self._moments[i] = ru, uu
        return self._moments[i]

    @cached_property
    def chain_moments(self) -> ChainSlopes | None:
        """Sums over groups of a v' and a u' for the columns of [Q r], for each number of the chain.

        With a the response of its effects, u = d a; None where there is no chain. Each of shape
        (c - 1 or c, p + 1, p + 1), the first of a.
        """
        for factor, (U,) in (
            (factor, U) for factor, U in zip(self._factors, self.U, strict=True) if factor.chain
        ):
            assert factor.chain is not None
            c, L = factor.chain.shape
            u, v = (x.reshape(-1, c, L) for x in (U, factor.spread(U)))
            a = u / factor.chain.shocks
            return ChainSlopes(
                np.einsum("jtl,ktl->tjk", a[:, 1:], v[:, :-1], optimize=True),
                np.einsum("jtl,ktl->tjk", a, u, optimize=True),
            )
        return None

    @property
    def lengths(self) -> Array:
        """Products of u over all factors and levels of these rows alone, shape (p + 1, p + 1)."""
        total = np.zeros(self.data.SS.shape)
        for i, (factor, U) in enumerate(zip(self._factors, self.U, strict=True)):
            if factor.across:
                continue
            if len(U) < LARGE_TEMPLATE:  # what the gradient needs too
                total += np.einsum("ajak->jk", self._moment(i)[1])
            else:
                total += np.einsum("ajl,akl->jk", U, U, optimize=True)
        return total

    def _effects(self, i: int) -> Array:
        """Return the effects of one factor for the columns of [Q r], shape (c, p + 1, L)."""
        return _templated(self.T[i], self._factors[i].spread(self.U[i]))

    def _left_over(self, i: int) -> Array:
        """Return r = tau Z'w (s - Z T u) of one factor, shape (c, p + 1, L), without dividing."""
        total: Array = self.data.Zs[i].copy()
        for (j, k), block in self.data.A.items():
            pair = self.layout.structure.pairs[j, k]
            if j == i:
                b = self._effects(k)[:, :, pair.second]
                total -= _spread(block, b, pair.first, total)
            if k == i and j != k:
                b = self._effects(j)[:, :, pair.first]
                total -= _spread(block.transpose(1, 0, 2), b, pair.second, total)
        return np.asarray(self.tau * total)

    def logdet_pullback(self) -> list[Array]:
        """Return d(log|H| / 2) / dT, tau A T H^-1 on the templates."""
        inverse = self.factorisation.selected_inverse()
        out = [np.zeros_like(T) for T in self.T]
        for (i, j), A in self.data.A.items():
            N = inverse[i, j]
            if i == j and len(A) >= LARGE_TEMPLATE and _is_diagonal(A):
                TN = template_times(self.T[j], N.transpose(1, 0, 2))  # (a, b, p)
                out[i] += self.tau * np.einsum("aap,abp->ab", A, TN)
                continue
            if max(A.shape[:2]) <= FEW_COLUMNS:
                products = _outer_sums(A, N)  # (a, b, d, e)
                out[i] += self.tau * np.einsum("abde,be->ad", products, self.T[j])
                if i != j:
                    out[j] += self.tau * np.einsum("abde,ad->be", products, self.T[i])
                continue
            pulled = np.tensordot(A, self.T[j], axes=(1, 0))  # (a, p, d)
            out[i] += self.tau * np.tensordot(pulled, N, axes=((2, 1), (1, 2)))
            if i != j:
                pulled = np.tensordot(A, self.T[i], axes=(0, 0))  # (a, p, d)
                out[j] += self.tau * np.tensordot(pulled, N, axes=((2, 1), (0, 2)))
        return out


def _is_diagonal(A: Array) -> bool:
    """Return whether each of the matrices, shape (c, c, L), is."""
    return bool(np.count_nonzero(A) == np.count_nonzero(np.einsum("aal->al", A)))


def _condition(T: Array) -> float:
    """Return the condition of a template; of a triangular one an estimate."""
    if np.any(np.triu(T, 1)):
        return float(np.linalg.cond(T))
    reciprocal, _ = lapack.dtrcon(T, norm="1", uplo="L")
    return 1.0 / reciprocal if reciprocal > 0.0 else np.inf


def _templated(T: Array, x: Array) -> Array:
    """Return T x for one T, shape (a, b), and x, shape (b, m, L)."""
    return np.asarray((T @ x.reshape(len(x), -1)).reshape(len(T), *x.shape[1:]))


def _outer_sums(x: Array, y: Array) -> Array:
    """Return the sums over levels of x y', shape (c, m, c, m) from (c, m, L) each."""
    flat = x.reshape(-1, x.shape[-1]) @ y.reshape(-1, y.shape[-1]).T
    return np.asarray(flat.reshape(*x.shape[:2], *y.shape[:2]))


def _spread(block: Array, b: Array, levels: IntArray, like: Array) -> Array:
    """Return the sums over pairs of A_p b_p at each level, shape (c, m, L)."""
    moved = np.einsum("abp,bmp->amp", block, b)
    size = like.shape[-1]
    if moved.shape[-1] == size and np.array_equal(levels, np.arange(size)):
        return np.asarray(moved)
    out = np.empty_like(like)
    for a in range(like.shape[0]):
        for k in range(like.shape[1]):
            out[a, k] = np.bincount(levels, moved[a, k], size)
    return out
