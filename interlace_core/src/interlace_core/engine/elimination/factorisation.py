"""Factorisation of H = Lambda' Z' W Z Lambda + I by eliminating one grouping factor at a time.

1. A factor that nests in every later one is eliminated without fill: what remains has the pattern
   it had (`_Nested`).
2. The first factor that does not (crossed designs) is eliminated into a Schur complement on all
   that are left, dense or sparse, whichever is predicted to take less time (`Crossed`).
3. Where none are left, the last factor is block-diagonal (`_Leaf`).

Solves, log-determinant and the entries of the inverse on the pattern of Z'WZ follow the same
recursion (the latter after Takahashi, Fagan & Chin 1973).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace_core.engine.elimination.chain import ChainRoot, ChainSlopes
from interlace_core.engine.elimination.complement import FactorisedComplement
from interlace_core.engine.elimination.crossed import CrossedPattern
from interlace_core.engine.elimination.dense import bargain_of_dense
from interlace_core.engine.elimination.smallblocks import (
    LARGE_BLOCK,
    LargeBlocks,
    apply_each,
    apply_each_transposed,
    invert,
    multiply,
    multiply_transpose,
    transpose_multiply,
)
from interlace_core.engine.elimination.traces import Traces, crossed_traces, leaf_traces
from interlace_core.engine.structure import Blocks, Segments, Structure
from interlace_core.records import Array, IntArray


class Factorisation(ABC):
    """A factorised H.

    Attributes
    ----------
    logdet : float
        `log det H`.
    """

    logdet: float

    @abstractmethod
    def solve(self, parts: list[Array]) -> list[Array]:
        """Return H^-1 x, one array of shape (c, L) per factor, as x is given."""

    @abstractmethod
    def selected_inverse(self) -> Blocks:
        """Return the entries of H^-1 on the pattern of Z'WZ."""

    def traces(self, D: list[Array]) -> Traces | None:
        """Return traces of H^-1 and of its products; None, the default, where that is not done.

        Parameters
        ----------
        D : list of ndarray, shape (m, c, c), one per factor
            Symmetric; what each of m matrices has for every level of the factor.
        """
        return None

    def solve_columns(self, parts: list[Array]) -> list[Array]:
        """Return H^-1 x of several x at once, one array (c, m, L) per factor, as they are given."""
        if not parts:
            return []
        columns = (
            self.solve([np.ascontiguousarray(part[:, j]) for part in parts])
            for j in range(parts[0].shape[1])
        )
        return [np.stack(each, axis=1) for each in zip(*columns, strict=True)]

    def chain_slopes(self) -> ChainSlopes | None:
        """Return the derivatives of log|H| / 2 in the structure's chain, None without one."""
        return None

    def chain_covariance(self, r: int) -> Array:
        """Return the covariance of u of the structure's chain with a factor's, in each group.

        Parameters
        ----------
        r : int
            The chain's factor, or a later one with the chain's groups as levels.

        Returns
        -------
        ndarray, shape (times, c_r, L)
        """
        raise NotImplementedError


class Plan(ABC):
    """How to factorise H for a structure; made once per fit."""

    @property
    @abstractmethod
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is.

        It is where it takes no longer than a few passes over the data. Elsewhere one at another
        point preconditions the search for the mode.
        """

    def held(self) -> float:
        """Return how many numbers a factorisation holds at once beyond the blocks of H, at least.

        Asked before a fit, which is refused where there is no memory for them. By default 0.
        """
        return 0.0

    def root_of(self, r: int) -> ChainRoot | None:
        """Return C of a factor whose levels' effects are C u, where it is the chain's."""
        return None

    @abstractmethod
    def describe(self, structure: Structure) -> str:
        """Return the chosen elimination in words."""

    @abstractmethod
    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H; the blocks given are not modified.

        Raises
        ------
        NotPositiveDefiniteError
            If H is not positive definite.
        """


def factorise_posterior(plan: Plan, structure: Structure, H: Blocks) -> Factorisation:
    """Return the factorised H = Lambda' A Lambda + I from the blocks of Lambda' A Lambda.

    The blocks are overwritten.

    Raises
    ------
    NotPositiveDefiniteError
        If H is not positive definite.
    """
    for index, factor in enumerate(structure.factors):
        if factor.independent:
            diagonal = np.einsum("aal->al", H[index, index])  # a view
            diagonal += 1.0
    return plan.factorise(H)


@dataclass(frozen=True)
class NestedStep:
    """How to eliminate a factor that nests in all later ones.

    Attributes
    ----------
    later : tuple of int
        Indices of the later factors.
    parents : tuple of Segments
        Level in each later factor of each level of this one.
    links : dict from (r, s), r <= s, both later, to Segments
        The (r, s) pair above each level of this factor.
    """

    factor: int
    later: tuple[int, ...]
    parents: tuple[Segments, ...]
    links: dict[tuple[int, int], Segments]


@dataclass(frozen=True)
class EliminationPlan(Plan):
    """Elimination order of a structure with independent levels.

    Attributes
    ----------
    nested : tuple of NestedStep
    last : int
        Factor at which the chain of nested factors ends.
    crossed : CrossedPattern or None
        Pattern for eliminating `last` into a complement; None if nothing is left.
    then : Plan or None
        Of what follows the nested factors, where that is not `last`.
    columns : int
        Of `last`, where nothing is left after it.
    """

    nested: tuple[NestedStep, ...]
    last: int
    crossed: CrossedPattern | None
    then: Plan | None = None
    columns: int = 0

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        if self.then is not None:
            return self.then.bargain
        if self.crossed is not None:
            return self.crossed.complement.bargain
        return bargain_of_dense(self.columns)

    def describe(self, structure: Structure) -> str:
        """Return the chosen elimination in words."""
        names = [factor.name for factor in structure.factors]
        words = [f"{names[step.factor]} (nested, block-diagonal)" for step in self.nested]
        if self.then is not None:
            return "; ".join([*words, self.then.describe(structure)])
        if self.last < 0:
            return "no random effects"
        words.append(f"{names[self.last]} (block-diagonal)")
        if self.crossed is not None:
            rest = ", ".join(names[self.last + 1 :])
            words.append(f"{rest} ({self.crossed.complement.describe()})")
        return "; ".join(words)

    def held(self) -> float:
        """Return the entries of the complement, of its factor and of its inverse."""
        if self.then is not None:
            return self.then.held()
        return 0.0 if self.crossed is None else 3.0 * self.crossed.complement.n_entries

    def root_of(self, r: int) -> ChainRoot | None:
        """Return that of what follows the nested factors."""
        return None if self.then is None else self.then.root_of(r)

    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H."""
        return _factorise(self, 0, dict(H))


def build_plan(structure: Structure, first: int = 0) -> EliminationPlan:
    """Return the elimination order for a structure, or for its factors from one on."""
    count = len(structure.factors)
    steps: list[NestedStep] = []
    for i in range(first, count):
        later = tuple(range(i + 1, count))
        if not later:
            columns = len(structure.factors[i].columns)
            return EliminationPlan(tuple(steps), i, None, columns=columns)
        if not all(structure.pairs[i, j].nested for j in later):
            return EliminationPlan(tuple(steps), i, CrossedPattern.of(structure, i))
        steps.append(nested_step(structure, i, later))
    return EliminationPlan((), -1, None)


def _factorise(plan: EliminationPlan, depth: int, H: Blocks) -> Factorisation:
    if depth < len(plan.nested):  # 1.
        return _Nested(plan, depth, H)
    if plan.then is not None:
        return plan.then.factorise(H)
    if plan.crossed is not None:  # 2.
        return Eliminated(plan.last, plan.crossed, H).completed()
    if plan.last < 0:
        return _Empty()
    large = H[plan.last, plan.last].shape[0] >= LARGE_BLOCK
    return (_LargeLeaf if large else _Leaf)(plan.last, H)  # 3.


def nested_step(structure: Structure, i: int, later: tuple[int, ...]) -> NestedStep:
    """Return how to eliminate a factor that nests in all later ones."""
    parents = tuple(_segments(structure, i, j) for j in later)
    links = {}
    for r in later:
        for s in later:
            if r <= s:
                # every row of a level shares one (r, s) pair: any of its rows tells which
                above = np.zeros(structure.factors[i].rows.size, dtype=np.intp)
                above[structure.factors[i].rows.codes] = structure.pairs[r, s].rows.codes
                links[r, s] = Segments.of(above, structure.pairs[r, s].rows.size)
    return NestedStep(i, later, parents, links)


def _segments(structure: Structure, i: int, j: int) -> Segments:
    return Segments.of(_as_codes(structure.pairs[i, j].second), structure.factors[j].rows.size)


def _as_codes(levels: IntArray) -> IntArray:
    return np.ascontiguousarray(levels, dtype=np.intp)


class _Empty(Factorisation):
    """No random effects at all."""

    logdet = 0.0

    def solve(self, parts: list[Array]) -> list[Array]:
        return parts

    def selected_inverse(self) -> Blocks:
        return {}


class _Leaf(Factorisation):
    """One factor alone: block-diagonal."""

    def __init__(self, factor: int, H: Blocks) -> None:
        self._factor = factor
        self._inverse, self.logdet = invert(H[factor, factor])

    def solve(self, parts: list[Array]) -> list[Array]:
        return [*parts[:-1], apply_each(self._inverse, parts[-1])]

    def solve_columns(self, parts: list[Array]) -> list[Array]:
        return [*parts[:-1], multiply(self._inverse, parts[-1])]

    def selected_inverse(self) -> Blocks:
        return {(self._factor, self._factor): self._inverse}

    def traces(self, D: list[Array]) -> Traces | None:
        return leaf_traces(self._inverse, D[0]) if self._factor == 0 else None


class _LargeLeaf(Factorisation):
    """The same where blocks are large: on the way to a mode no inverse is needed."""

    def __init__(self, factor: int, H: Blocks) -> None:
        self._factor, self._blocks = factor, LargeBlocks(H[factor, factor])
        self.logdet = self._blocks.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        return [*parts[:-1], self._blocks.solve(parts[-1])]

    @cached_property
    def _inverse(self) -> Array:
        return self._blocks.inverse()

    def selected_inverse(self) -> Blocks:
        return {(self._factor, self._factor): self._inverse}


class _Nested(Factorisation):
    """A nested factor in front of the factorisation of what remains."""

    def __init__(self, plan: EliminationPlan, depth: int, H: Blocks) -> None:
        step = self._step = plan.nested[depth]
        i = step.factor
        self._roots = [plan.root_of(r) for r in step.later]
        self._inverse, logdet = invert(H[i, i])
        self._C = [H[i, r] for r in step.later]
        self._Y = [multiply(self._inverse, C) for C in self._C]
        for a, r in enumerate(step.later):
            for b, s in enumerate(step.later):
                if r <= s:
                    update = transpose_multiply(self._C[a], self._Y[b])
                    H[r, s] = H[r, s] - step.links[r, s].sum(update)
        self._rest = _factorise(plan, depth + 1, H)
        self.logdet = logdet + self._rest.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        step = self._step
        mine = parts[step.factor]
        parts = list(parts)
        later = list(zip(self._Y, step.parents, step.later, self._roots, strict=True))
        for Y, parent, r, root in later:
            pulled = parent.sum(apply_each_transposed(Y, mine))
            parts[r] = parts[r] - (pulled if root is None else root.gather(pulled))
        parts = self._rest.solve(parts)
        x = apply_each(self._inverse, mine)
        for Y, parent, r, root in later:
            effects = parts[r] if root is None else root.spread(parts[r])
            x = x - apply_each(Y, effects[:, parent.codes])
        parts[step.factor] = x
        return parts

    def selected_inverse(self) -> Blocks:
        step, N = self._step, self._rest.selected_inverse()
        i = step.factor
        own = self._inverse
        for a, r in enumerate(step.later):
            block = np.zeros_like(self._Y[a])
            for b, s in enumerate(step.later):
                if s <= r:
                    block -= multiply(self._Y[b], N[s, r][:, :, step.links[s, r].codes])
                else:
                    block -= multiply_transpose(self._Y[b], N[r, s][:, :, step.links[r, s].codes])
            N[i, r] = block
            own = own - multiply_transpose(block, self._Y[a])
        N[i, i] = own
        return N

    def chain_slopes(self) -> ChainSlopes | None:
        return self._rest.chain_slopes()

    def chain_covariance(self, r: int) -> Array:
        return self._rest.chain_covariance(r)


class Eliminated:
    """A factor eliminated into a Schur complement on all later ones, before that is factorised.

    Attributes
    ----------
    factor : int
    pattern : CrossedPattern
    inverse : ndarray, shape (c, c, L)
        D^-1.
    logdet : float
        log|D|.
    Y : sparse or dense matrix
        D^-1 C.
    left : ndarray
        Entries of the complement.
    """

    def __init__(self, factor: int, pattern: CrossedPattern, H: Blocks) -> None:
        self.factor, self.pattern = factor, pattern
        self.inverse, self.logdet = invert(H[factor, factor])
        Y = {
            r: multiply(self.inverse[:, :, first], H[factor, r])
            for r, first in zip(pattern.later, pattern.first_levels, strict=True)
        }
        self.Y = pattern.matrix(pattern.data(Y))
        self.left = pattern.left(H, pattern.data({r: H[factor, r] for r in pattern.later}), self.Y)

    def completed(self, rest: FactorisedComplement | None = None) -> Crossed:
        """Return the factorisation, with the complement's own or another in its place.

        The complement's entries may be overwritten.
        """
        return Crossed(self, self.pattern.complement.factorise(self.left) if rest is None else rest)


class Crossed(Factorisation):
    """A factor eliminated into a factorised complement on all later ones.

    Parameters
    ----------
    eliminated : Eliminated
    rest : FactorisedComplement
    """

    def __init__(self, eliminated: Eliminated, rest: FactorisedComplement) -> None:
        self._factor, self._pattern = eliminated.factor, eliminated.pattern
        self._inverse, self._Y, self._rest = eliminated.inverse, eliminated.Y, rest
        self.logdet = eliminated.logdet + rest.logdet

    def solve(self, parts: list[Array]) -> list[Array]:
        """Return H^-1 x."""
        pattern, i = self._pattern, self._factor
        mine = parts[i]
        rest = np.concatenate([parts[r].ravel() for r in pattern.later])
        x_rest = self._rest.solve(rest - self._Y.T @ mine.ravel())
        x = apply_each(self._inverse, mine) - (self._Y @ x_rest).reshape(mine.shape)
        out = list(parts)
        out[i] = x
        for r, part in zip(pattern.later, pattern.parts, strict=True):
            out[r] = x_rest[part].reshape(parts[r].shape)
        return out

    def selected_inverse(self) -> Blocks:
        """Return the entries of H^-1 on the pattern of Z'WZ."""
        return self._pattern.selected_inverse(self._inverse, self._Y, self._rest.inverse())

    def traces(self, D: list[Array]) -> Traces | None:
        """Return traces of H^-1 and of its products, where the complement is dense."""
        pattern = self._pattern
        if self._factor or not pattern.is_dense:
            return None
        entries = self._rest.inverse()
        own = pattern.selected_inverse(self._inverse, self._Y, entries)[0, 0]
        S_inverse = entries.reshape(pattern.complement.size, -1)
        return crossed_traces(pattern, self._inverse, own, self._Y, S_inverse, D)
