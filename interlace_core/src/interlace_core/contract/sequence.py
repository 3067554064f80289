"""A sequence of effects each of which depends on the one before alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.records import Array


@dataclass(frozen=True)
class Chain:
    """Effects `b = scale v` with `v_1 = d_1 u_1` and `v_t = r_t v_(t-1) + d_t u_t`.

    Where a structure says that its template has this form, the work of a fit grows with the number
    of its columns, not with their cube: the precision of v has three diagonals (Rue & Held 2005,
    "Gaussian Markov Random Fields", section 1.1).

    Attributes
    ----------
    scale : float
        By which all effects are multiplied; 0 is an ordinary value.
    carry : ndarray, shape (c - 1,)
        r_2, ..., r_c.
    shocks : ndarray, shape (c,)
        d_1, ..., d_c, greater than 0.
    """

    scale: float
    carry: Array
    shocks: Array

    def root(self) -> Array:
        """Return C with v = C u, lower triangular, shape (c, c)."""
        C = np.diag(self.shocks)
        for t in range(1, self.shocks.size):
            C[t, :t] = self.carry[t - 1] * C[t - 1, :t]
        return C

    def template(self) -> Array:
        """Return T = scale C, shape (c, c)."""
        return np.asarray(self.scale * self.root())

    def times(self, u: Array) -> Array:
        """Return T u, shape (c, ...), in time proportional to c."""
        v = self.shocks.reshape(-1, *(1,) * (u.ndim - 1)) * u
        for t in range(1, self.shocks.size):
            v[t] += self.carry[t - 1] * v[t - 1]
        return np.asarray(self.scale * v)

    def moments(self) -> tuple[Array, Array]:
        """Return the variances of b, shape (c,), and its covariances with the next, (c - 1,)."""
        variances, own = [], 0.0
        for r, d in zip([0.0, *self.carry.tolist()], self.shocks.tolist(), strict=True):
            own = r * r * own + d * d
            variances.append(own)
        found = self.scale**2 * np.array(variances)
        return found, self.carry * found[:-1]

    def pullback(self, dT: Array) -> Chain:
        """Return dF/dscale, dF/dcarry and dF/dshocks from dF/dT, shape (c, c)."""
        C, size = self.root(), self.shocks.size
        d_carry, d_shocks = np.zeros(max(size - 1, 0)), np.zeros(size)
        carried = np.zeros(size)
        for t in range(size - 1, -1, -1):
            carried += self.scale * dT[t]
            d_shocks[t] = carried[t]
            if t:
                d_carry[t - 1] = carried[:t] @ C[t - 1, :t]
                carried[t:] = 0.0
                carried *= self.carry[t - 1]
        return Chain(float(np.sum(dT * C)), d_carry, d_shocks)
