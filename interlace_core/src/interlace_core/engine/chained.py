"""The structure of a problem one of whose terms is a chain of times: a factor of its own.

Its levels are the times of each group, so that a term of c columns and L groups is one column and
c L levels, in the order in which u has them. u is the same in both structures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.incidence import Incidence
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.elimination.chain import ChainRoot
from interlace_core.engine.elimination.chain_elimination import (
    ChainPlan,
    chain_plan,
    nests_above,
)
from interlace_core.engine.elimination.factorisation import (
    EliminationPlan,
    Plan,
    nested_step,
)
from interlace_core.engine.structure import (
    Column,
    Factor,
    Pair,
    Segments,
    Structure,
    pair_of,
)
from interlace_core.records import Array, IntArray

FEW_TIMES = 24
"""Columns below which the dense matrices of a term take less time than the recursions of a chain.
Measured with 1 and with 50 groups."""

DENSE_WORK = 4.0
"""Multiplications of a dense evaluation for each c^3 of a group: factor, inverse, two products."""


@dataclass(frozen=True)
class Place:
    """Where a term is in a structure: its factor, and its columns there."""

    term: int
    factor: int
    columns: slice


def chained_structure(
    problem: Problem, structure: Structure, few: int | None = None
) -> tuple[Structure, EliminationPlan] | None:
    """Return the structure with the longest chain as a factor of its own, and its plan.

    None where no term is a chain that is worth it: one with `few` times or more, each row at one
    of them, whose groups are independent. Other chains stay as they are, matrices of their columns;
    so do all where rows correlate, or where the effects that are crossed with its groups are so
    many that a border of them costs more than those matrices.
    """
    if problem.correlation is not None:
        return None
    found = [
        place
        for place in _places(problem, structure)
        if _size(place) >= (FEW_TIMES if few is None else few)
    ]
    found.sort(key=lambda place: -_size(place) * structure.factors[place.factor].rows.size)
    for place in found:
        at = _times(problem.terms[place.term])
        if at is not None:
            made = _split(problem, structure, place, *at)
            return made if _pays(made[1], structure, place) else None
    return None


def at_theta(structure: Structure, plan: Plan, root: ChainRoot) -> tuple[Structure, Plan]:
    """Return both with the chain at some theta."""
    factors = tuple(
        each if each.chain is None else replace(each, chain=root) for each in structure.factors
    )
    assert isinstance(plan, EliminationPlan) and isinstance(plan.then, ChainPlan)
    return replace(structure, factors=factors), replace(plan, then=replace(plan.then, root=root))


def _places(problem: Problem, structure: Structure) -> Iterator[Place]:
    """Yield the terms whose structures say that they are chains."""
    for f, factor in enumerate(structure.factors):
        if factor.relation is not None:
            continue
        for index, columns in factor.terms:
            covariance = problem.terms[index].covariance
            if problem.terms[index].along:
                continue  # columns of several parameters are no times
            if covariance.chain(covariance.start()) is not None:
                yield Place(index, f, columns)


def _size(place: Place) -> int:
    return int(place.columns.stop - place.columns.start)


def _times(term: RandomTerm) -> tuple[IntArray, Array] | None:
    """Return each row's column and its number there, (n,) each; None if some row has several."""
    if isinstance(term.Z, Incidence):
        return term.Z.at, term.Z.z
    used = term.Z != 0.0
    if np.any(np.count_nonzero(used, axis=1) > 1):
        return None
    at = np.argmax(used, axis=1)
    return at.astype(np.intp), term.Z[np.arange(len(at)), at]


def _split(
    problem: Problem, structure: Structure, place: Place, at: IntArray, z: Array
) -> tuple[Structure, EliminationPlan]:
    """Return the structure with a term as a factor of its own."""
    whole = structure.factors[place.factor]
    L = whole.rows.size
    levels = at * L + whole.rows.codes
    term = problem.terms[place.term]
    column = Column(term.predictor, None if np.all(z == 1.0) else z)
    chain = Factor(
        whole.name,
        Segments.of(levels, _size(place) * L),
        (column,),
        ((place.term, slice(0, 1)),),
        _part_of(whole, place.columns),
        chain=ChainRoot.unset(_size(place), L),
    )
    rest = [
        part
        for f, factor in enumerate(structure.factors)
        for part in (_around(whole, place) if f == place.factor else [factor])
    ]
    # those of the groups themselves never: their effects are wanted with the chain's
    first = [_nests(each.rows, levels) and each.rows is not whole.rows for each in rest]
    before = [each for each, is_first in zip(rest, first, strict=True) if is_first]
    after = [each for each, is_first in zip(rest, first, strict=True) if not is_first]
    # the first to be eliminated have to nest in all that follow
    while before and not all(_nests(before[-1].rows, each.rows.codes) for each in after):
        after.insert(0, before.pop())
    factors = [*before, chain, *after]
    c = len(before)
    pairs = _pairs(factors, c, L)
    made = replace(structure, factors=tuple(factors), pairs=pairs)
    steps = tuple(nested_step(made, i, tuple(range(i + 1, len(factors)))) for i in range(c))
    return made, EliminationPlan(steps, -1, None, chain_plan(made, c))


def _part_of(factor: Factor, columns: slice) -> slice:
    start, L = factor.place.start, factor.rows.size
    return slice(start + columns.start * L, start + columns.stop * L)


def _around(factor: Factor, place: Place) -> list[Factor]:
    """Return what is left of a factor before and after a term's columns, as factors."""
    found = []
    for part in (slice(0, place.columns.start), slice(place.columns.stop, len(factor.columns))):
        columns = factor.columns[part]
        if columns:
            terms = tuple(
                (index, slice(own.start - part.start, own.stop - part.start))
                for index, own in factor.terms
                if part.start <= own.start and own.stop <= part.stop
            )
            found.append(Factor(factor.name, factor.rows, columns, terms, _part_of(factor, part)))
    return found


def _nests(rows: Segments, codes: IntArray) -> bool:
    """Return whether each level occurs with one of the others' only."""
    parent = np.zeros(rows.size, dtype=np.intp)
    parent[rows.codes] = codes
    return bool(np.array_equal(parent[rows.codes], codes))


def _pairs(factors: list[Factor], c: int, L: int) -> dict[tuple[int, int], Pair]:
    pairs = {}
    for i, first in enumerate(factors):
        own = np.arange(first.rows.size)
        pairs[i, i] = Pair(first.rows, own, own, nested=True)
        for j in range(i + 1, len(factors)):
            above = nests_above(first, factors[j], L) if i == c else None
            if above is None:
                pairs[i, j] = pair_of(first.rows, factors[j].rows)
            else:  # times without rows too, in their groups
                times = first.rows.size // L
                pairs[i, j] = Pair(first.rows, own, np.tile(above, times), nested=True)
    return pairs


def _pays(plan: EliminationPlan, structure: Structure, place: Place) -> bool:
    """Return whether the border of a chain takes less than the matrices of its columns."""
    assert isinstance(plan.then, ChainPlan)
    border, c = float(plan.then.border), float(_size(place))
    effects = c * structure.factors[place.factor].rows.size
    return border**2 * (effects + border) <= DENSE_WORK * effects * c**2
