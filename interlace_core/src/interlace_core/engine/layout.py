"""A problem laid out for computing: rows collapsed and sorted, structure, elimination plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.parts import require_here
from interlace_core.contract.problem import Problem
from interlace_core.contract.sequence import Chain
from interlace_core.engine.collapse import collapse_rows
from interlace_core.engine.elimination.chain import ChainRoot, ChainSlopes
from interlace_core.engine.elimination.factorisation import Plan, build_plan
from interlace_core.engine.elimination.smallblocks import apply
from interlace_core.engine.row_correlation import whitened
from interlace_core.engine.structure import (
    Factor,
    Structure,
    build_structure,
    points_of,
    sort_rows,
)
from interlace_core.records import Array, IntArray

RowOrder = Literal["sorted", "given", "any"]
"""By level of the factor with the most of them; as given; either, whichever is there already."""


def layout_of(problem: Problem, chains: bool = False, rows: RowOrder = "sorted") -> Layout:
    """Return the rows, structure and elimination plan: the symbolic work, done once.

    Parameters
    ----------
    problem : Problem
    chains : bool
        Whether a term of times whose covariance is a `Chain` may be a factor of its own, one
        column with the times of each group as its levels, which is quicker by the square of their
        number. Whoever asks for it takes structures from `Layout.at`, adds what `chain_slopes`
        says to the slopes in the templates, and leads answers back by `Layout.by_term`. u is the
        same either way.
    rows : str
        "sorted" by the factor with the most levels, for whoever passes over them again and again.
        "given" for whoever passes over them once: sorted ones are taken where they are there, and
        otherwise rows stay where they are. "any" for whoever has no use of their order.

    Raises
    ------
    NotAvailableError
        If the rows lie in parts, each of which has a layout of its own.
    """
    key: Any = Layout
    if Layout not in problem.cache and (
        rows == "given" or rows == "any" and _Given in problem.cache
    ):
        key = _Given
    if key not in problem.cache:
        require_here(problem)
        problem.cache[key] = Layout.of(problem, key is Layout)
    found: Layout = problem.cache[key]
    if not chains:
        return found
    known: Layout | None = problem.cache.get(_Chained)
    if known is None or (known is not found and known.plain is not found):
        known = problem.cache[_Chained] = found.chained()
    return known


MANY_ROWS = 100_000
"""Rows from which a layout's copies of them are worth their memory only as long as a fit takes:
to sort as many again takes some hundredths of a second."""


def release(problem: Problem) -> None:
    """Let go of the layouts of many rows, and of what was made of them.

    Whoever asks for them later gets them made again. One without copies of rows goes too: it refers
    to the problem that keeps it, and rows are let go at once only where nothing goes in a circle.
    """
    there = (key in problem.cache for key in (Layout, _Given, _Chained))
    if problem.n < MANY_ROWS or not any(there):
        return
    for key, made in list(problem.cache.items()):
        if made is not None and not isinstance(made, (str, bool)):
            del problem.cache[key]


class _Given:
    """The key of the layout with rows as they were given in a problem's cache."""


class _Chained:
    """The key of the layout with a chain in a problem's cache."""


@dataclass(frozen=True)
class Layout:
    """A problem with rows collapsed and sorted, its structure and its elimination plan.

    Built once per fit.

    Attributes
    ----------
    problem : Problem
    structure : Structure
    plan : Plan
    groups : ndarray of intp, shape (n given,), or None
        Collapsed row that each given row went to, before sorting; None where none collapsed.
    order : ndarray of intp, shape (n,), or None
        Place before sorting of each row; None where rows were in order.
    plain : Layout, or None
        That of the terms as they are, where `structure` has a chain as a factor of its own.
    """

    problem: Problem
    structure: Structure
    plan: Plan
    groups: IntArray | None = None
    order: IntArray | None = None
    plain: Layout | None = None

    @classmethod
    def of(cls, problem: Problem, by_level: bool = True) -> Layout:
        """Return the model of a problem with at least one random-effects term.

        Parameters
        ----------
        problem : Problem
        by_level : bool
            Whether rows are sorted.
        """
        problem, groups = collapse_rows(problem)
        problem, order = sort_rows(problem) if by_level else (problem, None)
        structure = build_structure(problem)
        plan = compiled_plan(problem, structure, choose_plan(structure))
        return cls(problem, structure, plan, groups, order)

    @cached_property
    def alone(self) -> Layout:
        """The same rows with those random effects that are of them alone, where others are too."""
        structure = self.structure.within()
        return replace(self, structure=structure, plan=choose_plan(structure))

    @cached_property
    def log_concave(self) -> bool:
        """Whether the family says so in the predictors with random effects: the mode is unique."""
        predictors = self.structure.random_predictors
        return not predictors or self.problem.family.log_concave(predictors)

    def at(self, psi: Array) -> Layout:
        """Return the layout at psi: rows whitened where they correlate, the chain with its numbers.

        The layout itself where nothing depends on psi.
        """
        if self.plain is not None:
            return self._with_chain(psi)
        return self if self.problem.correlation is None else self.whitened(psi)

    def chained(self) -> Layout:
        """Return the layout with a chain as a factor of its own, the same where none is worth it.

        The same u, in the same order.
        """
        from interlace_core.engine.chained import chained_structure

        if any(factor.across for factor in self.structure.factors):
            return self
        found = chained_structure(self.problem, self.structure)
        if found is None:
            return self
        return replace(self, structure=found[0], plan=found[1], plain=self)

    def _with_chain(self, psi: Array) -> Layout:
        from interlace_core.engine.chained import at_theta

        (factor,) = (each for each in self.structure.factors if each.chain is not None)
        (index, _), thetas = factor.terms[0], self.problem.theta_slices()
        chain = self.problem.terms[index].covariance.chain(psi[thetas[index]])
        assert chain is not None and factor.chain is not None
        structure, plan = at_theta(self.structure, self.plan, ChainRoot(chain, factor.chain.L))
        return replace(self, structure=structure, plan=plan)

    def by_term(self, parts: list[Array]) -> list[Array]:
        """Return numbers of each effect, one array (c, L) per factor, by the factors of terms.

        Those of a chain are then in columns for its times.
        """
        if self.plain is None:
            return parts
        return self.plain.structure.split(self.structure.join(parts))

    def whitened(self, psi: Array) -> Layout:
        """Return the layout of rows that are independent and of variance 1 at psi."""
        problem = whitened(self.problem, psi)
        factors = tuple(_with_columns(factor, problem) for factor in self.structure.factors)
        return replace(self, problem=problem, structure=replace(self.structure, factors=factors))

    def templates(self, psi: Array) -> list[Array]:
        """Return each factor's template T, shape (c, c), block-diagonal over its terms."""
        thetas = self.problem.theta_slices()
        templates = []
        for factor in self.structure.factors:
            T = np.zeros((len(factor.columns),) * 2)
            for index, place in factor.terms:
                covariance, theta = self.problem.terms[index].covariance, psi[thetas[index]]
                chain = None if factor.chain is None else covariance.chain(theta)
                T[place, place] = covariance.template(theta) if chain is None else chain.scale
            templates.append(T)
        return templates

    def effects(self, psi: Array, u: Array) -> list[Array]:
        """Return b = T u of each factor of terms, shape (c, L), u that of its independent levels.

        Of a chain in time proportional to its length.
        """
        if self.plain is not None:
            return self.plain.effects(psi, u)
        thetas, found = self.problem.theta_slices(), []
        for factor, part in zip(self.structure.factors, self.structure.spread(u), strict=True):
            b = np.empty(factor.shape)
            for index, place in factor.terms:
                covariance, theta = self.problem.terms[index].covariance, psi[thetas[index]]
                b[place] = _times_template(covariance, theta, part[place])
            found.append(b)
        return found

    def template_entries(self) -> IntArray | None:
        """Return where theta stands in the templates, (from, to) in psi and in all T by row.

        None where a structure's theta are no entries of its T.

        Returns
        -------
        ndarray of intp, shape (e, 2), or None
            `T.ravel()[to] = psi[from]` of the templates of all factors, one after the other.
        """
        thetas, found, before = self.problem.theta_slices(), [], 0
        for factor in self.structure.factors:
            c = len(factor.columns)
            for index, place in factor.terms:
                covariance, start = self.problem.terms[index].covariance, thetas[index].start
                entries = covariance.placement()
                if entries is None or not _only_places(covariance, entries):
                    return None
                k, i, j = entries.T
                to = before + (place.start + i) * c + place.start + j
                found.append(np.stack([start + k, to], axis=1))
            before += c * c
        return np.concatenate(found) if found else None

    def template_pullback(
        self, psi: Array, dT: Sequence[Array], chain: ChainSlopes | None = None
    ) -> Array:
        """Return dF/dtheta of all terms from dF/dT of each factor.

        Parameters
        ----------
        psi : ndarray, shape (n_psi,)
        dT : sequence of ndarray, shape (c, c) each
        chain : ChainSlopes, optional
            The same in what the structure's chain is made of, where it has one.
        """
        thetas = self.problem.theta_slices()
        gradient = np.zeros(self.problem.n_theta)
        for factor, derivative in zip(self.structure.factors, dT, strict=True):
            for index, place in factor.terms:
                covariance, theta = self.problem.terms[index].covariance, psi[thetas[index]]
                if factor.chain is None:
                    own = covariance.pullback(theta, derivative[place, place])
                else:
                    assert chain is not None
                    slopes = Chain(float(derivative[0, 0]), chain.carry, chain.shocks)
                    own = covariance.chain_pullback(theta, slopes)
                gradient[thetas[index]] += own
        return gradient


def _times_template(covariance: Covariance, theta: Array, u: Array) -> Array:
    chain = covariance.chain(theta)
    return apply(covariance.template(theta), u) if chain is None else chain.times(u)


def _only_places(covariance: Covariance, entries: IntArray) -> bool:
    """Return whether a template is what its structure says of it: one may inherit the claim."""
    theta = np.sqrt(2.0 + np.arange(covariance.n_theta))
    T = np.zeros((covariance.size, covariance.size))
    T[entries[:, 1], entries[:, 2]] = theta[entries[:, 0]]
    return np.array_equal(covariance.template(theta), T)


FACTORISED = "compiled factorisation"
"""Of a problem's cache: whose factorisations its layout has."""


def compiled_plan(problem: Problem, structure: Structure, plan: Plan) -> Plan:
    """Return the plan in compiled code, where some kernel serves it, else the plan."""
    kernels = problem.compiled.objectives if problem.compiled is not None else ()
    if not all(factor.independent and not factor.across for factor in structure.factors):
        return plan
    for each in kernels:
        made = each.plan(structure, plan)
        if made is not None:
            problem.cache[FACTORISED] = f"{each.name}, {each.build}"
            found: Plan = made
            return found
    return plan


def choose_plan(structure: Structure) -> Plan:
    """Return the way to factorise H for a structure."""
    if any(factor.relation is not None for factor in structure.factors):
        from interlace_core.engine.elimination.correlated_levels import bordered_plan

        return bordered_plan(structure)
    if any(factor.across for factor in structure.factors):
        from interlace_core.engine.elimination.across import AcrossPlan

        return AcrossPlan.of(structure)
    return build_plan(structure)


def _with_columns(factor: Factor, problem: Problem) -> Factor:
    """Return a factor with the covariates of another problem's terms."""
    columns = list(factor.columns)
    for index, place in factor.terms:
        Z = np.asarray(problem.terms[index].Z)
        for a, z in zip(range(place.start, place.stop), Z.T, strict=True):
            columns[a] = replace(columns[a], z=z.copy())
    # whitened rows mix: columns that did not meet may do so now
    return replace(factor, columns=tuple(columns), points=points_of(columns, factor.rows))
