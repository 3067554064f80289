"""Linear algebra of many equal chains of effects, in time proportional to their number.

With `v_t = r_t v_(t-1) + d_t u_t` and information w_t about v_t, `H = C' diag(w) C + 1` in u. From
the last effect back to the first let J_t be what all from t on say of v_t:

    p_t = 1 + d_t^2 J_t ,    J_(t-1) = w_(t-1) + r_t^2 J_t / p_t ,    log|H| = sum log p_t .

For w >= 0 no term cancels, however small a shock d_t is; the tridiagonal matrix
`diag(w) + C'^-1 C^-1` of the same determinant has entries of 1 / d_t^2. All else are linear
recursions with the coefficients r_t / p_t (the information filter and its smoother; Kailath, Sayed
& Hassibi 2000, "Linear Estimation", chapter 10), which are triangular systems of two diagonals.
J is found by Newton's method on all t at once: the recursion is increasing and concave, so that
after one step it falls to its solution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import blas

from interlace_core.contract.sequence import Chain
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.records import Array

NEWTON_STEPS = 40

TOL_REL_NEWTON = 1e-10
"""Of a step, whose square the next one would be."""


@dataclass(frozen=True)
class ChainSlopes:
    """Derivatives in what a chain is made of, summed over the groups.

    Attributes
    ----------
    carry : ndarray, shape (c - 1, ...)
    shocks : ndarray, shape (c, ...)
    """

    carry: Array
    shocks: Array

    def __add__(self, other: ChainSlopes) -> ChainSlopes:
        """Return the sums."""
        return ChainSlopes(self.carry + other.carry, self.shocks + other.shocks)


class Recursion:
    """`y_t = k_t y_(t-1) + x_t` and its transpose for L chains of length c, one after another."""

    def __init__(self, k: Array) -> None:
        """Take k, shape (c, L); what stands at the first time is not looked at."""
        c, L = self.shape = k.shape
        band = np.zeros((2, c * L), order="F")
        if c > 1:
            steps = band[1].reshape(L, c)  # column j of the band holds what j hands on to j + 1
            steps[:, :-1] = -k[1:].T
            band[1] = steps.ravel()
        self._band = band

    def forward(self, x: Array) -> Array:
        """Return y, shape (c, L)."""
        return self._solved(x, 0)

    def backward(self, x: Array) -> Array:
        """Return the y of `y_t = x_t + k_(t+1) y_(t+1)`, shape (c, L)."""
        return self._solved(x, 1)

    def _solved(self, x: Array, trans: int) -> Array:
        c, L = self.shape
        line = np.array(x.T, order="C").reshape(-1)
        if c > 1:
            line = blas.dtbsv(1, self._band, line, lower=1, trans=trans, diag=1, overwrite_x=1)
        return np.ascontiguousarray(line.reshape(L, c).T)


@dataclass(frozen=True)
class ChainRoot:
    """`v = C u` of L equal chains: u and v have shape (c, L), and come as (..., c L).

    Attributes
    ----------
    chain : Chain
    L : int
    """

    chain: Chain
    L: int

    @classmethod
    def unset(cls, c: int, L: int) -> ChainRoot:
        """Return what stands in where theta is not known; nothing comes of it but NaN."""
        return cls(Chain(np.nan, np.full(c - 1, np.nan), np.full(c, np.nan)), L)

    @property
    def shape(self) -> tuple[int, int]:
        """(c, L)."""
        return self.chain.shocks.size, self.L

    @cached_property
    def carry(self) -> Array:
        """r, shape (c, 1), 0 for the first."""
        return np.concatenate([[0.0], self.chain.carry])[:, None]

    @cached_property
    def shocks(self) -> Array:
        """d, shape (c, 1)."""
        return self.chain.shocks[:, None]

    @cached_property
    def steps(self) -> Recursion:
        """The recursion of v."""
        return Recursion(np.broadcast_to(self.carry, self.shape))

    def spread(self, u: Array) -> Array:
        """Return v of u, shape (..., c L)."""
        return self._each(lambda x: self.steps.forward(self.shocks * x), u)

    def gather(self, x: Array) -> Array:
        """Return C' x, the transpose of `spread`, shape (..., c L)."""
        return self._each(lambda each: self.shocks * self.steps.backward(each), x)

    def slopes(self, x: Array, u: Array) -> ChainSlopes:
        """Return the derivatives of x' C u, shape (c L,) each."""
        a, u = self.steps.backward(x.reshape(self.shape)), u.reshape(self.shape)
        v = self.steps.forward(self.shocks * u)
        return ChainSlopes(np.sum(a[1:] * v[:-1], axis=1), np.sum(a * u, axis=1))

    def _each(self, change: Callable[[Array], Array], x: Array) -> Array:
        flat = x.reshape(-1, *self.shape)
        return np.stack([change(each) for each in flat]).reshape(x.shape)


class ChainSystem:
    """The factorised `H = C' diag(w) C + 1` of all chains.

    Attributes
    ----------
    logdet : float
    """

    def __init__(self, root: ChainRoot, w: Array) -> None:
        """Take w, shape (c L,).

        Raises
        ------
        NotPositiveDefiniteError
            If H is not positive definite.
        """
        self.root = root
        self.J = _information(root, w.reshape(root.shape))
        self.p = 1.0 + np.square(root.shocks) * self.J
        if not (self.p.min(initial=1.0) > 0.0 and self.p.max(initial=1.0) < np.inf):
            raise NotPositiveDefiniteError("a chain of effects is not positive definite")
        self.logdet = float(np.sum(np.log(self.p)))
        self._gain = root.carry / self.p
        self._steps = Recursion(self._gain)

    def solve(self, r: Array) -> Array:
        """Return H^-1 r, shape (c L,)."""
        d, r = self.root.shocks, r.reshape(self.root.shape)
        pulled = np.zeros_like(r)
        pulled[:-1] = -(self._gain * d * self.J * r)[1:]
        half = (r + d * self._steps.backward(pulled)) / self.p
        v = self._steps.forward(d * half)
        half[1:] -= (self._gain * d * self.J)[1:] * v[:-1]
        return np.asarray(half.reshape(-1))

    def respond(self, x: Array) -> tuple[Array, Array]:
        """Return u / d and v for `u = H^-1 C' x`, from x, shape (c L,); shape (c L,) each."""
        d = self.root.shocks
        h = self._steps.backward(x.reshape(self.root.shape))
        v = self._steps.forward(np.square(d) * h / self.p)
        relative = h / self.p
        relative[1:] -= (self._gain * self.J)[1:] * v[:-1]
        return relative.reshape(-1), v.reshape(-1)

    @cached_property
    def variances(self) -> Array:
        """The diagonal of C H^-1 C', shape (c, L)."""
        return Recursion(np.square(self._gain)).forward(np.square(self.root.shocks) / self.p)

    def covariance(self) -> Array:
        """Return H^-1 within each group, shape (c, c, L).

        Given what was before it u_t is `- beta_t v_(t-1)` and noise of variance 1 / p_t, and v
        hands on its covariance with u_s.
        """
        c, L = self.root.shape
        beta = self.root.shocks * self._gain * self.J
        found, with_v = np.empty((c, c, L)), np.zeros((c, L))
        for t in range(c):
            found[t, :t] = found[:t, t] = -beta[t] * with_v[:t]
            found[t, t] = 1.0 / self.p[t]
            with_v[:t] *= self._gain[t]
            if t:
                before = -beta[t] * self.variances[t - 1]
                found[t, t] -= beta[t] * before
                with_v[t] = self.root.carry[t] * before
            with_v[t] += self.root.shocks[t] * found[t, t]
        return found

    def slopes(self) -> ChainSlopes:
        """Return the derivatives of log|H| / 2 at fixed w."""
        d, r, pull = self.root.shocks, self.root.carry, self.J / self.p
        before = np.zeros_like(pull)
        before[1:] = self.variances[:-1]
        seen = r * before * pull
        return ChainSlopes(np.sum(seen[1:], axis=1), np.sum(d * pull * (1.0 - r * seen), axis=1))


def _information(root: ChainRoot, w: Array) -> Array:
    """Return J, shape (c, L); where Newton's method does not end, time by time."""
    r2, d2 = np.square(root.carry), np.square(root.shocks)
    J = np.maximum(w, 0.0)
    with np.errstate(all="ignore"):
        for _ in range(NEWTON_STEPS):
            p = 1.0 + d2 * J
            slope = r2 / np.square(p)
            left = w - J
            left[:-1] += (r2 * J / p)[1:]
            change = Recursion(slope).backward(left)
            J = J + change
            if not np.all(np.isfinite(change)) or not np.all(1.0 + d2 * J > 0.0):
                break
            if np.all(np.abs(change) <= TOL_REL_NEWTON * np.abs(J)):
                return J
        J = w.copy()
        for t in range(len(w) - 1, 0, -1):
            p = 1.0 + d2[t] * J[t]
            J[t - 1] += np.where(p > 0.0, r2[t] * J[t] / p, -np.inf)
    return J
