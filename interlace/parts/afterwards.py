"""What the parts of a fit have of its rows and levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.encoder import Encoder
from interlace.data.levels import FactorEncoder
from interlace.data.named import prefix_of
from interlace.data.problem import Model
from interlace.parts.coded import CodedRows
from interlace.parts.levels import joined_encoders
from interlace.results.elsewhere import RowsElsewhere
from interlace.results.random_effects import Fitted, GroupEffects, fitted_state, term_places
from interlace_core.contract.parts import Change, Levels, Question
from interlace_core.contract.problem import Problem
from interlace_core.engine.across_search import knowing
from interlace_core.engine.compiled import kernel_words
from interlace_core.engine.elimination.smallblocks import apply
from interlace_core.engine.known import has_across
from interlace_core.engine.layout import layout_of
from interlace_core.engine.shares import mode_at
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.records import Array

if TYPE_CHECKING:
    pass

MOST_NAMED = 200_000
"""Levels of all factors up to which their names are kept, and their effects brought together."""


@dataclass(frozen=True)
class Seen:
    """Where a fit ended, as parts are told it.

    Attributes
    ----------
    fit : Fit
    psi : ndarray, shape (n_psi,)
        In the units of the fit.
    change : callable, or None
        From a part as it was coded to these units.
    forth, back : ndarray, shape (n_psi, n_psi), or None
        Maps of psi; see `Standard`.
    """

    fit: Fit
    psi: Array
    change: Change | None
    forth: Array | None
    back: Array | None

    @classmethod
    def of(cls, problem: Problem, fit: Fit) -> Seen:
        """Return the end of a fit of a problem in parts."""
        standard = standard_of(problem)
        inside = knowing(standard.problem, standard.psi(fit.psi)).parts
        change = None if inside is None else inside.change
        told = replace(fit, path=(), mode=np.zeros(0))
        return cls(told, standard.psi(fit.psi), change, standard.forth, standard.back)

    def inside(self, part: Problem) -> Problem:
        """Return a part in the units of the fit."""
        changed: Problem = part if self.change is None else self.change(part)
        return changed


def of_parts(problem: Problem, fit: Fit, question: Question, *given: Any) -> Iterator[Any]:
    """Yield `question(part, seen, *given)` of each part, as it was coded."""
    assert problem.parts is not None
    return problem.parts.engine.stream(question, Seen.of(problem, fit), *given)


def state_in(part: Problem, seen: Seen) -> Fitted:
    """Return what a fit implies for a part's groups and rows."""
    changed = seen.inside(part)
    known = None if changed is part else (changed, seen.forth, seen.back)
    part.cache[Standard] = known
    return fitted_state(part, replace(seen.fit, mode=mode_at(changed, seen.psi)), None)


def eta_in(part: Problem, seen: Seen) -> Array:
    """Return a part's linear predictors, random effects included, shape (K, n_part)."""
    changed, psi = seen.inside(part), seen.psi
    layout = layout_of(changed)
    eta = [each.copy() for each in changed.fixed_part(psi)]
    spread = layout.structure.spread(mode_at(changed, psi))
    templates = layout.templates(psi)
    for factor, T, u in zip(layout.structure.factors, templates, spread, strict=True):
        b = apply(T, u)
        for index, place in factor.terms:
            term = changed.terms[index]
            for k, z, own in zip(
                term.column_predictors, np.asarray(term.Z).T, b[place], strict=True
            ):
                eta[k] += z * own[term.codes]
    return np.array(eta)


def effects_of_all(
    problem: Problem, fit: Fit, encoder: Encoder
) -> tuple[dict[str, GroupEffects], Encoder]:
    """Return the random effects of all levels, and an encoder that knows these.

    In the order in which a fit to all rows at once has them. Where there are too many for their
    names to be kept, levels are told by their number only, but for those that run across parts.
    """
    named = has_names(problem, encoder)
    if not problem.terms or not (named or has_across(problem)):
        return outlined(problem, fit), _without_levels(encoder, {})
    answers = list(of_parts(problem, fit, _effects_and_factors, named))
    across = {
        each.factor.columns: term.group
        for term, each in zip(problem.terms, encoder.terms, strict=True)
        if term.across
    }
    factors = {
        columns: own
        if columns in across
        else joined_encoders([each[1][columns] for each in answers])
        for columns, own in answers[0][1].items()
    }
    effects = outlined(problem, fit)
    for group in answers[0][0]:
        if group in across.values():  # each part has all of them
            informed = np.any([each[2][group] for each in answers], axis=0)
            uninformed = int(np.count_nonzero(~informed))
            effects[group] = replace(answers[0][0][group], uninformed=uninformed)
            continue
        levels = next(
            factors[each.factor.columns].levels
            for term, each in zip(problem.terms, encoder.terms, strict=True)
            if term.group == group
        )
        effects[group] = _stacked([each[0][group] for each in answers], levels)
    return effects, _without_levels(encoder, factors)


def has_names(problem: Problem, encoder: Encoder) -> bool:
    """Return whether levels are few enough for their names and effects to be brought together."""
    counts = {
        each.factor.columns: len(term.levels)
        for term, each in zip(problem.terms, encoder.terms, strict=True)
    }
    return sum(counts.values()) <= MOST_NAMED


def _effects_and_factors(part: CodedRows, seen: Seen, named: bool) -> tuple[Any, Any, Any]:
    """Return a part's random effects and its factors by their columns, and what it tells of others.

    Without those of the part alone where their names are too many. Last, by group, which levels of
    factors that run across parts have rows here that say something.
    """
    across = {term.group for term in part.terms if term.across}
    effects, factors = dict(state_in(part, seen).effects), dict(part.factors)
    if not named:
        effects = {group: each for group, each in effects.items() if group in across}
        factors = {c: each for c, each in factors.items() if ":".join(c) in across}
    informed = {}
    for term in part.terms:
        if term.across:
            counts = np.bincount(term.codes[part.informative], minlength=len(term.levels))
            informed[term.group] = counts > 0
    return effects, factors, informed


def _stacked(parts: Sequence[GroupEffects], levels: Sequence[str]) -> GroupEffects:
    """Return the effects of several parts' levels, in the order given."""
    names = [name for each in parts for name in each.levels]
    order = pd.Index(names, dtype=object).get_indexer(pd.Index(levels, dtype=object))
    return replace(
        parts[0],
        levels=tuple(levels),
        values=np.concatenate([each.values for each in parts])[order],
        spread=np.concatenate([each.spread for each in parts])[order],
        uninformed=sum(each.uninformed for each in parts),
    )


def outlined(problem: Problem, fit: Fit) -> dict[str, GroupEffects]:
    """Return the groups' covariances and numbers of levels, without the levels' effects."""
    found: dict[str, GroupEffects] = {}
    thetas, places = problem.theta_slices(), term_places(problem)
    for group in dict.fromkeys(term.group for term in problem.terms):
        members = [t for t, term in enumerate(problem.terms) if term.group == group]
        c = places[members[-1]].columns.stop
        T, names = np.zeros((c, c)), []
        for t in members:
            place, term = places[t].columns, problem.terms[t]
            T[place, place] = term.covariance.template(fit.psi[thetas[t]])
            parameter = problem.predictors[term.predictor].parameter
            prefix = prefix_of(term.predictor, term.along, parameter.name)
            names += [prefix + name for name in term.names]
        levels: Any = problem.terms[members[0]].levels
        found[group] = GroupEffects(levels, tuple(names), np.zeros((0, c)), np.zeros((0, c, c)), T)
    return found


def _without_levels(encoder: Encoder, known: Mapping[tuple[str, ...], FactorEncoder]) -> Encoder:
    """Return an encoder whose factors refuse to say which levels there are, but for known ones."""
    unknown: Any = Levels(1)
    terms = []
    for each in encoder.terms:
        columns = each.factor.columns
        factor = known.get(columns) or replace(
            each.factor, column_levels=tuple(unknown for _ in columns), levels=unknown
        )
        terms.append(replace(each, factor=factor))
    return replace(encoder, terms=tuple(terms))


def words_of(model: Model) -> tuple[str, str, str]:
    """Return the structure, the compiled code and the parts of a problem, in words."""
    problem, parts = model.problem, ""
    if isinstance(model.rows.index, RowsElsewhere) and problem.parts is None:
        parts = f"{model.rows.n_used} rows, counted as {problem.n} distinct ones"
    if problem.parts is not None:
        inside = standard_of(problem).problem.parts
        assert inside is not None
        number = inside.number
        parts = f"in {number} part{'s' if number > 1 else ''}"
        where = inside.engine.words()
        parts += f", {where}" if where else ""
        structure, kernel = inside.ask(_words_of_part)[0]
        return structure, kernel, parts
    return *_words_of_part(problem), parts


def _words_of_part(problem: Problem) -> tuple[str, str]:
    inside = standard_of(problem).problem  # which was fitted
    layout = layout_of(inside, rows="any")
    return layout.plan.describe(layout.structure), kernel_words(inside)


def reporting(problem: Problem, step: Callable[[str], None]) -> Callable[[str], None]:
    """Return who is told of evaluations; of a fit in parts also of the parts of each round."""
    if problem.parts is None:
        return step
    engine, last = problem.parts.engine, ""

    def told(words: str) -> None:
        nonlocal last
        last = words
        step(f"{words}  {engine.rounds} rounds of {problem.n} rows")

    engine.report = lambda words: step(f"{last}  {words}")
    return told
