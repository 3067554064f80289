"""Random effects as users see them: modes and covariances per grouping factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from typing import Any

import numpy as np

from interlace.data.named import prefix_of
from interlace.results.frozen import Later
from interlace.results.predictors import LaterPredictors, Predictors
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.incidence import times_effects
from interlace_core.contract.problem import Problem, columns_by_predictor
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, apply
from interlace_core.engine.joint_density import Conditional, effects_covariance
from interlace_core.engine.layout import layout_of
from interlace_core.engine.structure import Factor
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.memory import require_memory
from interlace_core.records import Array, IntArray
from interlace_core.registry.blame import guard


@dataclass(frozen=True)
class TermPlace:
    """A random-effects term without its data, for summaries and prediction.

    Attributes
    ----------
    label : str
        The term as written, such as `1 + x | g`.
    predictor : int
        Index of the predictor it belongs to.
    group : str
        Grouping factor.
    names : tuple of str
        Its columns.
    structure : str
        Name of its covariance structure.
    columns : slice
        Its place among the group's columns.
    options, column_levels, points
        What the structure was made with; see `RandomTerm`.
    held : mapping from str to float
        Numbers of the structure that are held, by name.
    theta : slice
        Place of its parameters in psi.
    along : tuple of int
        Predictor of each column, where parameters share the term; else empty.
    """

    label: str
    predictor: int
    group: str
    names: tuple[str, ...]
    structure: str
    columns: slice
    options: Mapping[str, Any] = field(default_factory=dict)
    column_levels: tuple[str, ...] = ()
    points: Mapping[str, Array] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)
    theta: slice = field(default_factory=lambda: slice(0, 0))
    along: tuple[int, ...] = ()

    @property
    def by_predictor(self) -> tuple[tuple[int, IntArray], ...]:
        """Its predictors, each with the places of its columns within the term, shape (c_k,)."""
        return columns_by_predictor(self.predictor, self.along, len(self.names))


@dataclass(frozen=True)
class GroupEffects:
    """The random effects of one grouping factor, over all its terms.

    Attributes
    ----------
    levels : tuple of str, length L
        Those with data first, then others that a known covariance holds.
    names : tuple of str, length c
    values : ndarray, shape (L, c)
        Conditional modes of b, on the scale of eta.
    spread : ndarray, shape (L, c, c)
        Conditional covariance of u given the data, at the estimates of psi; b = T u.
    root : ndarray, shape (c, c)
        T, with T T' the estimated covariance of b: `prior`.
    scales : ndarray, shape (L,), or None
        Known variances of the levels, by which `prior` is multiplied; None where they are 1.
    without_data : int
        Number of levels at the end that have no data.
    uninformed : int
        Number of levels whose rows all say nothing (`Problem.informative`).
    """

    levels: tuple[str, ...]
    names: tuple[str, ...]
    values: Array
    spread: Array
    root: Array
    scales: Array | None = None
    without_data: int = 0
    uninformed: int = 0

    @property
    def covariance(self) -> Array:
        """Conditional covariance of b given the data, at the estimates of psi, shape (L, c, c).

        Of a covariate far from 0 its entries have most digits in common: what combines them again
        does so with `spread`.
        """
        covariance = np.asarray(self.root @ self.spread @ self.root.T)
        covariance.flags.writeable = False
        return covariance

    @property
    def prior(self) -> Array:
        """Estimated covariance of b, T T', shape (c, c); of known levels' covariance its factor."""
        return np.asarray(self.root @ self.root.T)

    def __repr__(self) -> str:
        return f"<GroupEffects of {len(self.levels)} levels: {', '.join(self.names)}>"


class LaterEffects(GroupEffects):
    """Random effects whose conditional covariances are made when they are first read.

    Of times by the thousand each group's has as many numbers as the square of their number.

    Parameters
    ----------
    known : GroupEffects
        With empty `spread` and `root`.
    make : callable
        Returns the effects with both.
    """

    def __init__(self, known: GroupEffects, make: Callable[[], GroupEffects]) -> None:
        for each in fields(GroupEffects):
            if each.name not in ("spread", "root"):
                object.__setattr__(self, each.name, getattr(known, each.name))
        object.__setattr__(self, "_make", make)

    def __getattr__(self, name: str) -> Any:
        if name not in ("spread", "root"):
            raise AttributeError(name)
        with np.errstate(all="ignore"):
            made = self.__dict__["_make"]()
        for each in ("spread", "root"):
            array = getattr(made, each)
            array.flags.writeable = False
            object.__setattr__(self, each, array)
        return self.__dict__[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return GroupEffects, tuple(getattr(self, each.name) for each in fields(GroupEffects))


def term_places(problem: Problem) -> tuple[TermPlace, ...]:
    """Return each term's place among the columns of its group."""
    used: dict[str, int] = {}
    places = []
    for term, theta in zip(problem.terms, problem.theta_slices(), strict=True):
        start = used.get(term.group, 0)
        used[term.group] = start + len(term.names)
        columns = slice(start, used[term.group])
        places.append(
            TermPlace(
                term.label,
                term.predictor,
                term.group,
                term.names,
                term.covariance.name,
                columns,
                dict(term.options),
                term.column_levels,
                term.points,
                dict(term.covariance.fixed),
                theta,
                term.along,
            )
        )
    return tuple(places)


def group_effects(
    problem: Problem, psi: Array, u: Array, approximation: Approximation | None
) -> dict[str, GroupEffects]:
    """Return the random effects of each grouping factor at the mode u.

    The conditional covariance is Lambda H^-1 Lambda', lme4's: it does not include the
    uncertainty of psi. H is taken in standard units, where u is the same. The approximation's own
    shortcut to it is of a whole problem; without one, as for a part, the rows tell.
    """
    if not problem.terms:
        return {}
    layout = layout_of(standard_of(problem).problem, rows="any")

    @cache
    def whole() -> dict[str, GroupEffects]:
        return _with_covariances(problem, psi, u, approximation)

    if not any(_is_long(factor) for factor in layout.structure.factors):
        return whole()
    empty, found = np.zeros(0), {}
    for factor, b in zip(layout.structure.factors, layout.effects(psi, u), strict=True):
        known = _known_effects(problem, factor, b, empty, empty)
        name = factor.name
        make = partial(lambda name: whole()[name], name)
        related = factor.relation is not None
        found[name] = whole()[name] if related else LaterEffects(known, make)
    return {term.group: found[term.group] for term in problem.terms}


LONG = 500
"""Columns of a group from which the covariances of its effects wait until somebody asks."""


def _is_long(factor: Factor) -> bool:
    return factor.relation is None and factor.shape[0] >= LONG


def _known_effects(
    problem: Problem, factor: Factor, b: Array, spread: Array, T: Array
) -> GroupEffects:
    term = problem.terms[factor.terms[0][0]]
    return GroupEffects(
        tuple(term.levels),
        _names(problem, factor.terms),
        b.T.copy(),
        spread,
        T,
        uninformed=len(term.levels) - np.unique(term.codes[problem.informative]).size,
    )


def _with_covariances(
    problem: Problem, psi: Array, u: Array, approximation: Approximation | None
) -> dict[str, GroupEffects]:
    standard = standard_of(problem)
    inside, layout = standard.psi(psi), layout_of(standard.problem, rows="any")
    structure = layout.structure
    for each in structure.factors:
        c, L = each.shape
        what = f"the conditional covariances of {c:,} effects of {L:,} levels"
        require_memory(24.0 * c**2 * L, f"random effects of {each.name}", what)
    templates = layout.templates(psi)
    shortcuts = None if approximation is None else approximation.shortcuts(standard.problem)
    if shortcuts:
        spread = shortcuts.effects_covariance(inside)
    else:
        spread = effects_covariance(standard.problem, inside, u)
    found = {}
    for index, (factor, part) in enumerate(
        zip(structure.factors, structure.spread(u), strict=True)
    ):
        T, (c, L) = templates[index], factor.shape
        if spread is None:
            own_spread = np.full((L, c, c), np.nan)
        else:
            own_spread = np.ascontiguousarray(np.moveaxis(spread[index], -1, 0))
        own = _known_effects(problem, factor, apply(T, part), own_spread, T)
        found[factor.name] = _with_relatives(own, Conditional(layout, inside), u, index)
    # in the order of the formula, not of elimination
    return {term.group: found[term.group] for term in problem.terms}


def _with_relatives(
    own: GroupEffects, conditional: Conditional, u: Array, index: int
) -> GroupEffects:
    """Return the effects of a factor with those of the levels that only its relation holds."""
    relation = conditional.layout.structure.factors[index].relation
    if relation is None:
        return own
    spread = own.spread
    if relation.others:
        spread = np.concatenate([spread, _relatives_spread(conditional, u, index)])
    return replace(
        own,
        levels=(*own.levels, *relation.others),
        values=relation.extend(own.values),
        spread=spread,
        scales=relation.variances(),
        without_data=len(relation.others),
    )


def _relatives_spread(conditional: Conditional, u: Array, index: int) -> Array:
    """Return the conditional covariance of u of the levels without data, shape (m, c, c)."""
    structure = conditional.layout.structure
    factor = structure.factors[index]
    relation, c = factor.relation, factor.shape[0]
    assert relation is not None
    try:
        information = conditional.information(conditional.evaluate(u, 3))
        factorisation = conditional.factorise(information)
    except NotPositiveDefiniteError:
        return np.full((len(relation.others), c, c), np.nan)
    found = []
    for weights, unexplained in zip(relation.weights, relation.unexplained, strict=True):
        pulled = []
        for row in np.eye(c):
            parts = [np.zeros(each.shape) for each in structure.factors]
            parts[index] = np.outer(row, weights)
            pulled.append(structure.gather(parts))
        solved = [structure.join(factorisation.solve(structure.split(each))) for each in pulled]
        found.append(np.array(pulled) @ np.array(solved).T + unexplained * np.eye(c))
    return np.array(found)


def _names(problem: Problem, terms: tuple[tuple[int, slice], ...]) -> tuple[str, ...]:
    names = []
    for index, _ in terms:
        term = problem.terms[index]
        parameter = problem.predictors[term.predictor].parameter
        prefix = prefix_of(term.predictor, term.along, parameter.name)
        names += [prefix + name for name in term.names]
    return tuple(names)


@dataclass(frozen=True)
class Fitted:
    """Random effects and linear predictors at the estimates.

    Attributes
    ----------
    effects : mapping from group to GroupEffects
        Made when it is first read: conditional covariances take a factorisation.
    predictors : Predictors
        Made when they are first read.
    """

    effects: Mapping[str, GroupEffects]
    predictors: Predictors


def fitted_state(
    problem: Problem,
    fit: Fit,
    approximation: Approximation | None,
    modes: Mapping[str, Array] | None = None,
) -> Fitted:
    """Return what a fit implies for its groups and rows.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    approximation : Approximation or None
        None for the rows of a part.
    modes : mapping from str to ndarray, optional
        As `modes_of` returns them.
    """

    def effects() -> dict[str, GroupEffects]:
        with guard(problem.family, "result"):
            return group_effects(problem, fit.psi, fit.mode, approximation)

    known = modes_of(problem, fit) if modes is None else modes
    predictors = LaterPredictors(lambda: row_predictors(problem, fit.psi, known))
    return Fitted(Later(effects), predictors)


CHUNK_ROWS = 16_384
"""Rows whose effects are looked up at once: what is made of them stays in cache."""


def row_predictors(
    problem: Problem, psi: Array, modes: Mapping[str, Array], end: int | None = None
) -> Predictors:
    """Return the linear predictors of a problem's rows with and without effects.

    Parameters
    ----------
    problem : Problem
    psi : ndarray, shape (n_psi,)
    modes : mapping from str to ndarray, shape (c, L)
        The effects b by group.
    end : int, optional
        Of so many rows, the first; of all by default.
    """
    n = problem.n if end is None else min(end, problem.n)
    eta_fixed = np.empty((len(problem.predictors), n))
    betas = problem.beta_slices()
    for row, predictor, where in zip(eta_fixed, problem.predictors, betas, strict=True):
        np.matmul(predictor.X[:n], psi[where], out=row)
        row += predictor.offset[:n]
    eta = eta_fixed.copy()
    for term, place in zip(problem.terms, term_places(problem), strict=True):
        b = modes[term.group][place.columns]
        for start in range(0, n, CHUNK_ROWS):
            rows = slice(start, min(start + CHUNK_ROWS, n))
            for k, own in term.by_predictor:
                Z = term.Z[rows] if own.size == term.Z.shape[1] else term.Z[rows][:, own]
                eta[k, rows] += times_effects(Z, b[own], term.codes[rows])
    return Predictors(eta, eta_fixed)


def modes_of(problem: Problem, fit: Fit) -> dict[str, Array]:
    """Return the effects b of the levels with data at a fit's mode u, shape (c, L) by group."""
    if not problem.terms:
        return {}
    layout = layout_of(standard_of(problem).problem, rows="any")
    effects = layout.effects(fit.psi, fit.mode)
    return {factor.name: b for factor, b in zip(layout.structure.factors, effects, strict=True)}
