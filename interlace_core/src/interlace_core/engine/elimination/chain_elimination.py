"""A chain of times eliminated before what is left of the other factors.

With M = C H_c^-1 C' the covariance of the chain's effects but for the others, and K their products
with it, the complement is `S = H_o - K' M K`. Where every group lies in one level of each of the
others it has the pattern it had, and K has a column for each of their columns; elsewhere K has one
for each of their levels, and S is dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from interlace_core.engine.elimination.chain import ChainRoot, ChainSlopes, ChainSystem
from interlace_core.engine.elimination.dense import DenseFactor, bargain_of_dense
from interlace_core.engine.elimination.factorisation import Factorisation, Plan, build_plan
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.structure import Blocks, Factor, Segments, Structure
from interlace_core.records import Array, IntArray


@dataclass(frozen=True)
class ChainPlan(Plan):
    """How to eliminate a chain and what follows it.

    Attributes
    ----------
    structure : Structure
    index : int
        The chain's factor.
    root : ChainRoot
        At a theta.
    rest : Plan or None
        Of the factors that follow, where all groups nest in them; None for a dense complement.
    above : dict from r to Segments
        Level of each group in each of these.
    links : dict from (r, s), r <= s, to Segments
        Pair of each group.
    """

    structure: Structure
    index: int
    root: ChainRoot
    rest: Plan | None
    above: dict[int, Segments]
    links: dict[tuple[int, int], Segments]

    @property
    def later(self) -> range:
        """The factors that follow."""
        return range(self.index + 1, len(self.structure.factors))

    @property
    def border(self) -> int:
        """Number of columns of K."""
        shapes = [self.structure.factors[r].shape for r in self.later]
        return sum(c if self.rest is not None else c * L for c, L in shapes)

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return bargain_of_dense(self.border) if self.rest is None else self.rest.bargain

    def held(self) -> float:
        """Return K, M K and the complement's entries, and a dozen numbers for each effect."""
        effects = float(np.prod(self.root.shape))
        if self.rest is not None:
            return effects * (12.0 + 3.0 * self.border) + self.rest.held()
        return effects * (12.0 + 3.0 * self.border) + 3.0 * float(self.border) ** 2

    def root_of(self, r: int) -> ChainRoot | None:
        """Return C of the chain's factor."""
        return self.root if r == self.index else None

    def describe(self, structure: Structure) -> str:
        """Return the chosen elimination in words."""
        c, L = self.root.shape
        words = f"{self.structure.factors[self.index].name} (chain of {c} times)"
        if not self.later:
            return words
        if self.rest is not None:
            return f"{words}; {self.rest.describe(structure)}"
        names = ", ".join(self.structure.factors[r].name for r in self.later)
        return f"{words}; {names} (dense Schur complement, {self.border} rows)"

    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H."""
        return _ChainFirst(self, H) if self.rest is not None else _ChainBordered(self, H)


def chain_plan(structure: Structure, index: int) -> ChainPlan:
    """Return the plan of a chain's factor and what follows it."""
    factor = structure.factors[index]
    assert factor.chain is not None
    L, later = factor.chain.L, range(index + 1, len(structure.factors))
    above, links = {}, {}
    for r in later:
        found = nests_above(factor, structure.factors[r], L)
        if found is None:
            return ChainPlan(structure, index, factor.chain, None, {}, {})
        above[r] = Segments.of(found, structure.factors[r].rows.size)
    groups = factor.rows.codes % L
    for r in later:
        for s in range(r, len(structure.factors)):
            codes = np.zeros(L, dtype=np.intp)
            codes[groups] = structure.pairs[r, s].rows.codes
            links[r, s] = Segments.of(codes, structure.pairs[r, s].rows.size)
    rest = build_plan(structure, index + 1)
    return ChainPlan(structure, index, factor.chain, rest, above, links)


def nests_above(chain: Factor, other: Factor, L: int) -> IntArray | None:
    """Return the level of each group of a chain in another factor, shape (L,); None if several."""
    groups, parent = chain.rows.codes % L, np.zeros(L, dtype=np.intp)
    parent[groups] = other.rows.codes
    return parent if np.array_equal(parent[groups], other.rows.codes) else None


class _Chained(Factorisation):
    """What both ways share: the chain's own system, and its response to columns of K."""

    def __init__(self, plan: ChainPlan, H: Blocks) -> None:
        self._plan, self._i = plan, plan.index
        self._system = ChainSystem(plan.root, H[self._i, self._i].reshape(-1))

    def _responses(self, K: Array) -> None:
        """Keep `u / d` and v of each column of K, shape (m, c L)."""
        self._K = K
        responses = [self._system.respond(k) for k in K]
        self._relative = np.array([u for u, _ in responses]).reshape(K.shape)
        self._v = np.array([v for _, v in responses]).reshape(K.shape)

    def chain_slopes(self) -> ChainSlopes:
        own = self._system.slopes()
        if not len(self._K):
            return own
        c, L = shape = self._plan.root.shape
        d = self._plan.root.shocks
        # the others' uncertainty adds to the variances of u and v, and to their covariance
        moved = self._with_others(self._relative).reshape(-1, *shape)
        relative, v = self._relative.reshape(-1, *shape), self._v.reshape(-1, *shape)
        return own + ChainSlopes(
            np.einsum("atl,atl->t", moved[:, 1:], -v[:, :-1]),
            np.einsum("atl,atl->t", moved, -d * relative),
        )

    def chain_covariance(self, r: int) -> Array:
        c, L = shape = self._plan.root.shape
        u = self._plan.root.shocks * self._relative.reshape(-1, c, L)
        moved = self._with_others(u.reshape(self._K.shape)) if len(self._K) else self._K
        if r != self._i:
            return -self._in_groups(r, moved).reshape(-1, *shape).transpose(1, 0, 2)
        own = self._system.covariance()
        if len(self._K):
            own += np.einsum("atl,asl->tsl", moved.reshape(-1, c, L), u, optimize=True)
        return own

    def _in_groups(self, r: int, moved: Array) -> Array:
        """Return the rows of some columns of K that are a factor's in each group, (c_r, c L)."""
        raise NotImplementedError

    def _with_others(self, x: Array) -> Array:
        """Return N x with N the covariance of the others that K's columns belong to."""
        raise NotImplementedError


class _ChainFirst(_Chained):
    """A chain whose groups nest in all that follow."""

    def __init__(self, plan: ChainPlan, H: Blocks) -> None:
        super().__init__(plan, H)
        columns = [H[self._i, r][0] for r in plan.later]
        effects = int(np.prod(plan.root.shape))
        self._responses(np.concatenate([np.zeros((0, effects)), *columns]))
        ends = np.cumsum([0, *(len(each) for each in columns)])
        self._places = {
            r: slice(int(a), int(b))
            for r, a, b in zip(plan.later, ends[:-1], ends[1:], strict=True)
        }
        H = dict(H)
        for r, s in plan.links:
            update = self._by_group(self._K[self._places[r]], self._v[self._places[s]])
            H[r, s] = H[r, s] - plan.links[r, s].sum(update)
        assert plan.rest is not None
        self._rest = plan.rest.factorise(H)
        self.logdet = self._system.logdet + self._rest.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        plan, i = self._plan, self._i
        y = self._system.solve(parts[i])
        parts = list(parts)
        v = plan.root.spread(y)[None]
        for r, place in self._places.items():
            parts[r] = parts[r] - plan.above[r].sum(self._by_group(self._K[place], v)[:, 0])
        parts = self._rest.solve(parts)
        c, L = plan.root.shape
        for r, place in self._places.items():
            x = parts[r][:, plan.above[r].codes]
            y = y - np.einsum("atl,al->tl", self._relative[place].reshape(-1, c, L), x).reshape(
                -1
            ) * np.repeat(plan.root.shocks, L)
        parts[i] = y[None]
        return parts

    def selected_inverse(self) -> Blocks:
        N, i = dict(self._inverse_of_rest), self._i
        moved = self._with_others(self._v)
        for r, place in self._places.items():
            N[i, r] = -moved[place][None]
        own = self._system.variances.reshape(-1) + np.einsum("ap,ap->p", moved, self._v)
        N[i, i] = own[None, None]
        return N

    @cached_property
    def _inverse_of_rest(self) -> Blocks:
        return self._rest.selected_inverse()

    @cached_property
    def _others(self) -> Array:
        """The covariance of the others above each group, shape (m, m, L)."""
        m, L = len(self._K), self._plan.root.L
        N = np.empty((m, m, L))
        for (r, s), link in self._plan.links.items():
            block = self._inverse_of_rest[r, s][:, :, link.codes]
            N[self._places[r], self._places[s]] = block
            N[self._places[s], self._places[r]] = block.transpose(1, 0, 2)
        return N

    def _with_others(self, x: Array) -> Array:
        c, L = self._plan.root.shape
        moved = np.einsum("abl,btl->atl", self._others, x.reshape(-1, c, L))
        return np.asarray(moved.reshape(x.shape))

    def _in_groups(self, r: int, moved: Array) -> Array:
        return moved[self._places[r]]

    def _by_group(self, a: Array, b: Array) -> Array:
        """Return the sums over times of products of columns, shape (m, k, L)."""
        c, L = self._plan.root.shape
        return np.asarray(np.einsum("atl,btl->abl", a.reshape(-1, c, L), b.reshape(-1, c, L)))


class _ChainBordered(_Chained):
    """A chain with others that its groups are crossed with: a dense complement."""

    def __init__(self, plan: ChainPlan, H: Blocks) -> None:
        super().__init__(plan, H)
        factors = plan.structure.factors
        ends = np.cumsum([0, *(int(np.prod(factors[r].shape)) for r in plan.later)])
        self._starts = dict(zip(plan.later, ends[:-1].tolist(), strict=True))
        m, effects = int(ends[-1]), int(np.prod(plan.root.shape))
        K, S = np.zeros((m, effects)), np.eye(m)
        for (r, s), pair in plan.structure.pairs.items():
            if r == self._i < s:
                rows = self._scalars(s, pair.second)
                K[rows, pair.first[None, :]] = H[r, s][0]
            elif r > self._i:
                rows, columns = self._scalars(r, pair.first), self._scalars(s, pair.second)
                S[rows[:, None, :], columns[None, :, :]] = H[r, s]
                S[columns[None, :, :], rows[:, None, :]] = H[r, s]
        self._responses(K)
        cholesky, info = lapack.dpotrf(S - K @ self._v.T, lower=0, clean=1)
        self._factor = DenseFactor(cholesky)
        if info != 0 or not np.isfinite(self._factor.logdet):
            raise NotPositiveDefiniteError("the Schur complement of a chain is not definite")
        self.logdet = self._system.logdet + self._factor.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        plan, factors = self._plan, self._plan.structure.factors
        y = self._system.solve(parts[self._i])
        rest = np.concatenate([parts[r].ravel() for r in plan.later])
        x = self._factor.solve(rest - self._K @ plan.root.spread(y))
        shocks = np.repeat(plan.root.shocks, plan.root.L)
        out = list(parts)
        out[self._i] = (y - shocks * (x @ self._relative))[None]
        for r, start in self._starts.items():
            c, L = factors[r].shape
            out[r] = x[start : start + c * L].reshape(c, L)
        return out

    def selected_inverse(self) -> Blocks:
        plan, N = self._plan, self._inverse
        moved, found = N @ self._v, {}
        for (r, s), pair in plan.structure.pairs.items():
            if r < self._i:
                continue
            columns = self._scalars(s, pair.second) if s > self._i else None
            if columns is None:
                own = self._system.variances.reshape(-1)
                found[r, s] = (own + np.einsum("ap,ap->p", moved, self._v))[None, None]
            elif r == self._i:
                found[r, s] = -moved[columns, pair.first[None, :]][None]
            else:
                rows = self._scalars(r, pair.first)
                found[r, s] = N[rows[:, None, :], columns[None, :, :]]
        return found

    @cached_property
    def _inverse(self) -> Array:
        m = len(self._K)
        return self._factor.inverse().reshape(m, m)

    def _with_others(self, x: Array) -> Array:
        return np.asarray(self._inverse @ x)

    def _in_groups(self, r: int, moved: Array) -> Array:
        c, L = self._plan.root.shape
        groups = np.tile(np.arange(L), c)
        return np.asarray(moved[self._scalars(r, groups), np.arange(c * L)[None, :]])

    def _scalars(self, r: int, levels: IntArray) -> IntArray:
        """Return the places in the border of levels of a factor, shape (c, P)."""
        c, L = self._plan.structure.factors[r].shape
        return np.asarray(self._starts[r] + np.arange(c)[:, None] * L + levels[None, :], np.intp)
