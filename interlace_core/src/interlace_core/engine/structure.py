"""What stays fixed through a whole fit: grouping factors, their pairs, and who nests in whom.

Blocks of per-level small matrices are stored with the level last, shape (c_i, c_j, P): sums
over rows land in contiguous vectors and small products are a few vector operations, whatever
the number of levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import overload

import numpy as np
from scipy.sparse import csr_array

from interlace_core.contract.incidence import Incidence
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.problem import Problem, RandomTerm, random_predictors
from interlace_core.engine.elimination.chain import ChainRoot
from interlace_core.engine.elimination.complement import index_array
from interlace_core.engine.parts import subset
from interlace_core.records import Array, IntArray

FEW_COLUMNS = 4
"""Below so many columns it is not asked which of them meet."""

FEW_POINTS = 8
"""Columns from which those that share the rows among them are handled together."""

Blocks = dict[tuple[int, int], Array]
"""Upper block triangle of a symmetric matrix: (i, j), i <= j -> shape (c_i, c_j, P_ij)."""


@dataclass(frozen=True)
class Column:
    """One random-effects covariate.

    Attributes
    ----------
    predictor : int
        The predictor it enters.
    z : ndarray, shape (n,), or None
        Covariate; None for a column of ones.
    """

    predictor: int
    z: Array | None


class LazyColumns(Sequence[Column]):
    """The columns of some terms, each made when it is asked for first.

    Where a term is a chain nobody asks for those of its times, which all together have as many
    numbers as there are rows times times.
    """

    def __init__(self, terms: Sequence[RandomTerm]) -> None:
        self._terms = terms
        self._ends = np.cumsum([term.Z.shape[1] for term in terms])
        self._made: dict[int, Column] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> Column: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Column, ...]: ...
    def __getitem__(self, place: int | slice) -> Column | tuple[Column, ...]:
        """Return one column, or several."""
        places = range(len(self))[place]
        if isinstance(places, range):
            return tuple(self[each] for each in places)
        if places not in self._made:
            t = int(np.searchsorted(self._ends, places, "right"))
            term, k = self._terms[t], places - int(self._ends[t]) + self._terms[t].Z.shape[1]
            self._made[places] = _column(term, k)
        return self._made[places]


@dataclass(frozen=True)
class Segments:
    """Sums over the rows of each level.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Level of each row.
    size : int
        Number of levels.
    starts : ndarray of intp, shape (size,), or None
        First row of each level where rows are sorted by level and every level occurs, which makes
        sums contiguous.
    """

    codes: IntArray
    size: int
    starts: IntArray | None

    @classmethod
    def of(cls, codes: IntArray, size: int) -> Segments:
        """Return the segments of a code vector."""
        if codes.size and np.all(codes[1:] >= codes[:-1]):
            starts = np.searchsorted(codes, np.arange(size)).astype(np.intp)
            if starts[-1] < codes.size and np.all(starts[1:] > starts[:-1]):
                return cls(codes, size, starts)
        return cls(codes, size, None)

    def sum(self, values: Array) -> Array:
        """Return the sums over each level, shape (..., size) from (..., n)."""
        if self.starts is not None:
            return np.asarray(np.add.reduceat(values, self.starts, axis=-1))
        if values.ndim == 1 or 0 < values.size == values.shape[-1]:
            return self._count(values.ravel()).reshape(*values.shape[:-1], self.size)
        flat = values.reshape(-1, values.shape[-1])
        sums = np.stack([self._count(row) for row in flat])
        return sums.reshape(*values.shape[:-1], self.size)

    def _count(self, values: Array) -> Array:
        sums: Array = np.bincount(self.codes, values, self.size)  # type: ignore[assignment]
        return sums


@dataclass(frozen=True)
class Points:
    """Columns that share the rows among them, as times and places do: each row is in one at most.

    What runs over all columns of each row then takes one pass over the rows.

    Attributes
    ----------
    predictor : int
        The predictor of all of them.
    cells : Segments
        Of each row its place in an array of shape (c, L), laid out by row.
    z : ndarray, shape (n,), or None
        The row's number in its column; None where all are 1.
    """

    predictor: int
    cells: Segments
    z: Array | None

    @classmethod
    def of(cls, predictor: int, Z: Incidence, rows: Segments) -> Points:
        """Return the columns of an incidence."""
        cells = Segments.of(Z.cells(rows.codes, rows.size), Z.size * rows.size)
        return cls(predictor, cells, None if np.all(Z.z == 1.0) else Z.z)


def points_of(columns: Sequence[Column], rows: Segments) -> Points | None:
    """Return some columns as points; None where they are few, or some row has several."""
    if len(columns) < FEW_POINTS:
        return None
    predictors = {column.predictor for column in columns}
    if len(predictors) > 1:
        return None
    at, z = np.zeros(rows.codes.size, dtype=np.intp), np.zeros(rows.codes.size)
    for k, column in enumerate(columns):
        if column.z is None:
            return None
        used = np.flatnonzero(column.z)
        if np.any(z[used]):
            return None
        at[used], z[used] = k, column.z[used]
    return Points.of(predictors.pop(), Incidence(at, z, len(columns)), rows)


@dataclass(frozen=True)
class Factor:
    """A grouping factor with the columns of all terms on it.

    Attributes
    ----------
    name : str
        Name of the grouping factor.
    rows : Segments
        Its levels' rows.
    columns : sequence of Column, length c
        Columns of all its terms, in order.
    terms : tuple of (int, slice)
        Index of each term in the problem, with the term's place among the columns.
    place : slice
        Its place in u; there u is laid out column by column, reshape to (c, L).
    relation : Relation, or None
        Known covariance of its levels; None where they are independent.
    chain : ChainRoot, or None
        Where its levels are the times of groups, and correlated as a chain: its one column stands
        for all of its term's. At a theta; see `interlace_core.engine.chained`.
    points : Points, or None
        Its columns, where no row is in two of them.
    across : bool
        Whether its levels are those of other parts of the rows too.
    """

    name: str
    rows: Segments
    columns: Sequence[Column]
    terms: tuple[tuple[int, slice], ...]
    place: slice
    relation: Relation | None = None
    chain: ChainRoot | None = None
    points: Points | None = None
    across: bool = False

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(c, L): columns and levels."""
        return len(self.columns), self.rows.size

    @cached_property
    def meetings(self) -> tuple[tuple[int, int], ...]:
        """Columns a <= b that are both other than 0 in some row.

        All other products are 0, as those of the levels of a factor.
        """
        if self.points is not None:
            return tuple((a, a) for a in range(len(self.columns)))
        return meetings_of(self.columns)

    @property
    def independent(self) -> bool:
        """Whether its levels are."""
        return self.relation is None and self.chain is None

    @property
    def root(self) -> Array:
        """R with R R' the known covariance of the levels, shape (L, L)."""
        assert self.relation is not None
        return self.relation.root

    def spread(self, u: Array) -> Array:
        """Return the levels' effects u R' from independent ones, shape (..., L)."""
        if self.chain is not None:
            return self.chain.spread(u)
        return u if self.relation is None else np.asarray(u @ self.root.T)

    def gather(self, values: Array) -> Array:
        """Return values R, the transpose of `spread`, shape (..., L)."""
        if self.chain is not None:
            return self.chain.gather(values)
        return values if self.relation is None else np.asarray(values @ self.root)


@dataclass(frozen=True)
class Pair:
    """Levels of two factors that occur together in a row.

    Attributes
    ----------
    rows : Segments
        Pair of each row.
    first, second : ndarray of int, shape (P,)
        Level in the first and in the second factor.
    nested : bool
        Whether each level of the first occurs with one level of the second only; then pairs
        are numbered by the first's levels.
    """

    rows: Segments
    first: IntArray
    second: IntArray
    nested: bool


@dataclass(frozen=True)
class Structure:
    """Grouping factors by decreasing number of levels, and their pairs.

    Correlated levels come last, and those that other parts of the rows have too.

    Attributes
    ----------
    factors : tuple of Factor
    pairs : dict from (i, j), i <= j, to Pair
        For i = j the pair is the level itself.
    n, q : int
        Rows; random effects over all levels.
    random_predictors : tuple of int
        Predictors that have random effects.
    """

    factors: tuple[Factor, ...]
    pairs: dict[tuple[int, int], Pair]
    n: int
    q: int
    random_predictors: tuple[int, ...]

    def split(self, u: Array) -> list[Array]:
        """Return u as one array per factor, shape (c, L); views."""
        return [u[factor.place].reshape(factor.shape) for factor in self.factors]

    def spread(self, u: Array) -> list[Array]:
        """Return the levels' effects before the template, one array per factor, shape (c, L)."""
        parts = self.split(u)
        return [factor.spread(part) for factor, part in zip(self.factors, parts, strict=True)]

    def gather(self, parts: list[Array]) -> Array:
        """Return the transpose of `spread` times one array per factor, shape (q,)."""
        return self.join(
            [factor.gather(part) for factor, part in zip(self.factors, parts, strict=True)]
        )

    def products(self, i: int, j: int) -> Iterable[tuple[int, int]]:
        """Return the columns of two factors whose products are not all 0; of one, a <= b."""
        if i == j:
            return self.factors[i].meetings
        return product(range(len(self.factors[i].columns)), range(len(self.factors[j].columns)))

    def within(self, across: bool = False) -> Structure:
        """Return the factors whose levels other parts of the rows do not have, or the others.

        Their places in u are counted anew.
        """
        kept = [i for i, factor in enumerate(self.factors) if factor.across == across]
        start = self.factors[kept[0]].place.start if kept else 0
        factors = tuple(
            replace(each, place=slice(each.place.start - start, each.place.stop - start))
            for each in (self.factors[i] for i in kept)
        )
        return Structure(
            factors,
            {
                (a, b): self.pairs[i, j]
                for a, i in enumerate(kept)
                for b, j in enumerate(kept)
                if a <= b
            },
            self.n,
            sum(len(each.columns) * each.rows.size for each in factors),
            tuple(sorted({column.predictor for each in factors for column in each.columns})),
        )

    def join(self, parts: list[Array]) -> Array:
        """Return u, shape (q,), from one array per factor."""
        u = np.empty(self.q)
        for factor, part in zip(self.factors, parts, strict=True):
            u[factor.place] = part.ravel()
        return u


def sort_rows(problem: Problem) -> tuple[Problem, IntArray | None]:
    """Return the problem with rows sorted by the factor with the most levels, and their order.

    Nothing that a fit computes depends on the order of rows, but contiguous levels make every
    sum over a level a sequential pass.
    """
    if not problem.terms:
        return problem, None
    main = max(problem.terms, key=lambda term: (not term.across, len(term.levels))).codes
    if np.all(main[1:] >= main[:-1]):
        return problem, None
    order = order_by(main)
    return subset(problem, order), order


def order_by(codes: IntArray) -> IntArray:
    """Return the places of rows in the order of their codes, equal ones as they are, shape (n,).

    By 16 bits at a time, from the lowest: such numbers are sorted in linear time.
    """
    order = np.argsort((codes & 0xFFFF).astype(np.uint16), kind="stable")
    most = int(codes.max(initial=0))
    for shift in range(16, most.bit_length(), 16):
        digits = ((codes >> shift) & 0xFFFF).astype(np.uint16).take(order)
        order = order.take(np.argsort(digits, kind="stable"))
    return order


def build_structure(problem: Problem) -> Structure:
    """Return the structure of a problem's random effects; the symbolic work of a fit."""
    groups: dict[str, list[int]] = {}
    for index, term in enumerate(problem.terms):
        groups.setdefault(term.group, []).append(index)
    ordered = sorted(groups.items(), key=lambda item: _rank(problem.terms[item[1][0]]))
    factors: list[Factor] = []
    start = 0
    for name, members in ordered:
        factor = _factor(name, [(index, problem.terms[index]) for index in members], start)
        factors.append(factor)
        start = factor.place.stop
    return Structure(
        factors=tuple(factors),
        pairs=_pairs(factors),
        n=problem.n,
        q=start,
        random_predictors=random_predictors(problem),
    )


def _rank(term: RandomTerm) -> tuple[bool, bool, int]:
    return term.relation is not None, term.across, -len(term.levels)


def _factor(name: str, terms: list[tuple[int, RandomTerm]], start: int) -> Factor:
    places, c = [], 0
    for index, term in terms:
        places.append((index, slice(c, c + term.Z.shape[1])))
        c += term.Z.shape[1]
    first = terms[0][1]
    levels = len(first.levels)
    rows = Segments.of(first.codes, levels)
    columns, points = _columns([term for _, term in terms], rows)
    place = slice(start, start + c * levels)
    return Factor(
        name, rows, columns, tuple(places), place, first.relation,
        points=points, across=first.across,
    )  # fmt: skip


def _columns(terms: Sequence[RandomTerm], rows: Segments) -> tuple[Sequence[Column], Points | None]:
    """Return the columns of the terms of a factor, as points where they are."""
    if any(isinstance(term.Z, Incidence) for term in terms):
        lazy = LazyColumns(terms)
        (first, *others) = terms
        if others or not isinstance(first.Z, Incidence) or first.Z.size < FEW_POINTS:
            return lazy, None
        return lazy, Points.of(first.predictor, first.Z, rows)
    columns = tuple(_column(term, k) for term in terms for k in range(term.Z.shape[1]))
    points = points_of(columns, rows)
    if points is None:
        # each in one piece: they are read again and again
        columns = tuple(Column(each.predictor, _in_one_piece(each.z)) for each in columns)
    return columns, points


def _column(term: RandomTerm, k: int) -> Column:
    z = term.Z.column(k) if isinstance(term.Z, Incidence) else term.Z[:, k]
    few = z[:1] if z.strides == (0,) else z  # where all rows are one number in memory
    return Column(term.column_predictors[k], None if (few == 1.0).all() else z)


def _in_one_piece(z: Array | None) -> Array | None:
    return None if z is None else np.ascontiguousarray(z)


def meetings_of(columns: Sequence[Column]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of columns that are both other than 0 in some row."""
    c = len(columns)
    if any(column.z is None for column in columns) or c < FEW_COLUMNS:
        return tuple((a, b) for a in range(c) for b in range(a, c))
    some = csr_array(np.array([column.z for column in columns], dtype=bool).astype(np.float32))
    first, second = (some @ some.T).nonzero()
    kept = first <= second
    return tuple(zip(first[kept].tolist(), second[kept].tolist(), strict=True))


def _pairs(factors: list[Factor]) -> dict[tuple[int, int], Pair]:
    pairs = {}
    for i, first in enumerate(factors):
        levels = np.arange(first.rows.size)
        pairs[i, i] = Pair(first.rows, levels, levels, nested=True)
        for j in range(i + 1, len(factors)):
            pairs[i, j] = pair_of(first.rows, factors[j].rows)
    return pairs


def pair_of(a: Segments, b: Segments) -> Pair:
    """Return the levels of two factors that occur together."""
    parent = np.zeros(a.size, dtype=np.intp)
    parent[a.codes] = b.codes
    if np.array_equal(parent[a.codes], b.codes):
        return Pair(a, np.arange(a.size), parent, nested=True)
    from pandas import factorize

    combined = a.codes.astype(np.int64) * b.size + b.codes
    codes, unique = factorize(combined, sort=True)
    rows = Segments.of(codes.astype(np.intp), len(unique))
    first, second = np.divmod(unique, b.size)
    return Pair(rows, index_array(first, a.size), index_array(second, b.size), False)
