"""Elimination of some rows' own random effects, before those that other rows have too.

Rows lie in parts, and H of all of them is

    H = [[D_1, 0, C_1], [0, D_2, C_2], [C_1', C_2', I + E_1 + E_2]]

with D_p the part's own random effects, and last those that all parts have. Each part eliminates its
own, `S_p = E_p - C_p' D_p^-1 C_p`, and `S = I + sum_p S_p` is inverted once. With S^-1 a part has
its rows of H^-1 as if all rows were there: it is what H^-1 has for the effects that all parts have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from interlace_core.engine.elimination.complement import FactorisedComplement
from interlace_core.engine.elimination.crossed import CrossedPattern
from interlace_core.engine.elimination.dense import DenseComplement
from interlace_core.engine.elimination.factorisation import (
    Crossed,
    Eliminated,
    Factorisation,
    Plan,
)
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, apply_each
from interlace_core.engine.elimination.traces import (
    Traces,
    effect_products,
    eliminated_traces,
    is_too_large,
)
from interlace_core.engine.structure import Blocks, Structure
from interlace_core.records import Array


@dataclass(frozen=True)
class AcrossPlan(Plan):
    """Elimination of the factors of a part alone, then of those that other parts have too.

    Attributes
    ----------
    pattern : CrossedPattern
        Of the first factor; what is left is dense.
    own : int
        Rows of what is left that are of the part alone; they come first.
    across : tuple of int
        Factors that other parts have too, the last ones.
    """

    pattern: CrossedPattern
    own: int
    across: tuple[int, ...]

    @classmethod
    def of(cls, structure: Structure) -> AcrossPlan:
        """Return the plan of a structure with factors of both kinds."""
        first, *later = structure.factors
        assert not first.across
        sizes = [len(each.columns) * each.rows.size for each in later]
        own = sum(size for size, each in zip(sizes, later, strict=True) if not each.across)
        across = tuple(i for i, each in enumerate(structure.factors) if each.across)
        pattern = CrossedPattern.of(structure, 0, DenseComplement(sum(sizes)), whole=False)
        return cls(pattern, own, across)

    @property
    def size(self) -> int:
        """Number of random effects that other parts have too."""
        return self.pattern.complement.size - self.own

    @property
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""
        return self.pattern.complement.bargain

    def held(self) -> float:
        """Return the entries of the complement, of its factor and of its inverse."""
        return 3.0 * self.pattern.complement.n_entries

    def describe(self, structure: Structure) -> str:
        """Return the chosen elimination in words."""
        names = [factor.name for factor in structure.factors]
        own, across = names[1 : self.across[0]], [names[i] for i in self.across]
        words = [f"{names[0]} (block-diagonal)"]
        if own:
            words.append(f"{', '.join(own)} (dense Schur complement, {self.own} rows)")
        words.append(
            f"{', '.join(across)} (dense Schur complement over all parts, {self.size} rows)"
        )
        return "; ".join(words)

    def factorise(self, H: Blocks) -> Factorisation:
        """Return the factorisation of H as if there were no other parts."""
        return Eliminated(0, self.pattern, H).completed()

    def eliminate(self, H: Blocks) -> OwnEliminated:
        """Return H with the part's own random effects eliminated.

        Raises
        ------
        NotPositiveDefiniteError
            If it is not positive definite in these.
        """
        return OwnEliminated(self, Eliminated(0, self.pattern, H))


class OwnEliminated:
    """H of a part's rows with its own random effects eliminated.

    Attributes
    ----------
    logdet : float
        log|D|.
    complement : ndarray, shape (m (m + 1) / 2,), or None
        S_p, its lower triangle row by row; who keeps the rest may let go of it.
    """

    def __init__(self, plan: AcrossPlan, eliminated: Eliminated) -> None:
        self.plan, self._first = plan, eliminated
        rows, own = plan.pattern.complement.size, plan.own
        left = eliminated.left.reshape(rows, rows)
        corner, self.logdet = left[own:, own:], eliminated.logdet
        if own:
            root, info = lapack.dpotrf(left[:own, :own].T, lower=0, clean=1)
            logdet = 2.0 * float(np.sum(np.log(np.abs(np.diagonal(root)))))
            if info != 0 or not np.isfinite(logdet):
                raise NotPositiveDefiniteError("a part's own random effects have no factor")
            self.logdet += logdet
            self._root = np.asarray(root).T
            self._below = solve_triangular(self._root, left[own:, :own].T, lower=True).T
            corner = corner - self._below @ self._below.T
        self.complement: Array | None = pack(corner)
        eliminated.left = np.zeros(0)  # as large as all else together

    def reduce(self, parts: list[Array]) -> Array:
        """Return x_h - C' D^-1 x_g, shape (m,), x given as one array (c, L) per factor."""
        return self._forward(parts)[1]

    def solve(self, parts: list[Array], across: Array | None = None) -> list[Array]:
        """Return D^-1 (x_g - C y_h) and y_h, as x is given.

        Parameters
        ----------
        parts : list of ndarray, shape (c, L) each
        across : ndarray, shape (m,), optional
            y_h, the solution for what other parts have too; 0 by default.
        """
        own, _ = self._forward(parts)
        rest = np.zeros(self.plan.pattern.complement.size)
        if across is not None:
            rest[own.size :] = across
        if own.size:
            left = own if across is None else own - self._below.T @ across
            rest[: own.size] = solve_triangular(self._root.T, left)
        first = apply_each(self._first.inverse, parts[0])
        out = [first - (self._first.Y @ rest).reshape(first.shape)]
        for part, place in zip(parts[1:], self.plan.pattern.parts, strict=True):
            out.append(rest[place].reshape(part.shape))
        return out

    def completed(self, inverse: Array) -> Crossed:
        """Return the part's rows of the factorised H of all parts.

        Its log|H| is log|D|: log|S| is of all parts.

        Parameters
        ----------
        inverse : ndarray, shape (m (m + 1) / 2,)
            S^-1, packed.
        """
        S_inverse, own = mirrored(inverse), self.plan.own
        rest: FactorisedComplement = KnownInverse(S_inverse)
        if own:
            rest = BesideKnown(S_inverse, self._root, self._below)
        found = Crossed(self._first, rest)
        found.logdet = self.logdet
        return found

    def traces(self, inverse: Array, D: Array) -> tuple[Traces, list[Array]] | None:
        """Return what the part's own levels have of the traces of products of H^-1.

        None where more than one factor is the part's own, or too much would have to be held.

        Parameters
        ----------
        inverse : ndarray, shape (m (m + 1) / 2,)
            S^-1, packed.
        D : ndarray, shape (k, c, c)
            What each of k matrices has for every level of the part's own factor.

        Returns
        -------
        Traces
        list of ndarray, shape (m (m + 1) / 2,)
            The part's `effect_products`, packed, of whose sums `complement_traces` makes the rest.
        """
        first = self._first
        if self.plan.own or is_too_large(len(first.inverse), 2 * inverse.size):
            return None
        inside = self.completed(inverse).selected_inverse()[first.factor, first.factor]
        products = effect_products(first.Y, len(first.inverse))
        return eliminated_traces(first.inverse, inside, D), [pack(each) for each in products]

    def _forward(self, parts: list[Array]) -> tuple[Array, Array]:
        """Return what is left of x after the first factor: its own rows solved for, and others."""
        rest = np.concatenate([part.ravel() for part in parts[1:]])
        rest = rest - self._first.Y.T @ parts[0].ravel()
        own = self.plan.own
        if not own:
            return rest[:0], rest
        solved = solve_triangular(self._root, rest[:own], lower=True)
        return solved, rest[own:] - self._below @ solved


class KnownInverse(FactorisedComplement):
    """A matrix whose inverse somebody else has made.

    Parameters
    ----------
    inverse : ndarray, shape (m, m)
    """

    logdet = 0.0

    def __init__(self, inverse: Array) -> None:
        self._inverse = inverse

    def solve(self, x: Array) -> Array:
        """Return S^-1 x."""
        return np.asarray(self._inverse @ x)

    def inverse(self) -> Array:
        """Return S^-1 row by row, both triangles."""
        return self._inverse.reshape(-1)


class BesideKnown(FactorisedComplement):
    """A part's own rows of a complement, in front of those that all parts have.

    Parameters
    ----------
    inverse : ndarray, shape (m, m)
        S^-1.
    root : ndarray, shape (own, own)
        Lower Cholesky factor of the part's own rows.
    below : ndarray, shape (m, own)
        What that of all rows has below it.
    """

    logdet = 0.0

    def __init__(self, inverse: Array, root: Array, below: Array) -> None:
        self._inverse, self._root, self._below = inverse, root, below

    def solve(self, x: Array) -> Array:
        """Return the inverse times x."""
        own = len(self._root)
        first = solve_triangular(self._root, x[:own], lower=True)
        last = self._inverse @ (x[own:] - self._below @ first)
        return np.concatenate([solve_triangular(self._root.T, first - self._below.T @ last), last])

    def inverse(self) -> Array:
        """Return the inverse row by row, both triangles."""
        own = len(self._root)
        half = solve_triangular(self._root, np.eye(own), lower=True)
        across = self._below @ half
        beside = -self._inverse @ across
        whole = np.empty((own + len(across),) * 2)
        whole[:own, :own] = half.T @ half - across.T @ beside
        whole[own:, :own], whole[:own, own:] = beside, beside.T
        whole[own:, own:] = self._inverse
        return whole.reshape(-1)


def eliminate_posterior(plan: Plan, structure: Structure, H: Blocks) -> OwnEliminated:
    """Return H of a part's rows with its own effects eliminated, from Lambda' A Lambda.

    The identity of the effects that other parts have too is left out: all have it once. The blocks
    are overwritten.

    Raises
    ------
    NotPositiveDefiniteError
        If it is not positive definite in the part's own.
    """
    assert isinstance(plan, AcrossPlan)
    for index, factor in enumerate(structure.factors):
        if not factor.across:
            diagonal = np.arange(len(factor.columns))
            H[index, index][diagonal, diagonal] += 1.0
    return plan.eliminate(H)


def pack(square: Array) -> Array:
    """Return the lower triangle of a square matrix row by row, shape (m (m + 1) / 2,)."""
    return np.concatenate([row[: i + 1] for i, row in enumerate(square)])


def mirrored(packed: Array) -> Array:
    """Return the symmetric matrix of a lower triangle, shape (m, m)."""
    lower = unpack(packed)
    return np.asarray(lower + np.tril(lower, -1).T)


def unpack(packed: Array) -> Array:
    """Return the square matrix of a lower triangle, the rest 0, shape (m, m)."""
    m = int((np.sqrt(8.0 * packed.size + 1.0) - 1.0) / 2.0 + 0.5)
    square, start = np.zeros((m, m)), 0
    for i in range(m):
        square[i, : i + 1] = packed[start : start + i + 1]
        start += i + 1
    return square
