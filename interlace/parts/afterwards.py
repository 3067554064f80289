"""What the parts of a fit have of its rows and levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.encoder import Encoder
from interlace.data.levels import Factor, FactorEncoder, build_factor
from interlace.data.named import prefix_of
from interlace.data.problem import Model
from interlace.parts.engine import LocalParts
from interlace.results.elsewhere import RowsElsewhere
from interlace.results.random_effects import Fitted, GroupEffects, fitted_state, term_places
from interlace_core.contract.parts import Levels
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import kernel_words
from interlace_core.engine.elimination.smallblocks import apply
from interlace_core.engine.layout import layout_of
from interlace_core.engine.shares import mode_at
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


def states(problem: Problem, fit: Fit) -> Iterator[tuple[Problem, Fitted]]:
    """Yield each part with what the fit implies for its groups and rows."""
    standard = standard_of(problem)
    assert problem.parts is not None
    inside = standard.problem.parts
    engine = problem.parts.engine
    assert isinstance(engine, LocalParts)
    psi = standard.psi(fit.psi)
    for part in engine.parts:
        changed = part if inside is None or inside.change is None else inside.change(part)
        known = None if changed is part else (changed, standard.forth, standard.back)
        part.cache[Standard] = known
        own = replace(fit, mode=mode_at(changed, psi))
        yield part, fitted_state(part, own, None)


def etas(problem: Problem, fit: Fit) -> Iterator[tuple[Problem, Array]]:
    """Yield each part with its linear predictors, random effects included, shape (K, n_part)."""
    standard = standard_of(problem)
    inside = standard.problem.parts
    assert problem.parts is not None
    engine = problem.parts.engine
    assert isinstance(engine, LocalParts)
    psi = standard.psi(fit.psi)
    for part in engine.parts:
        changed = part if inside is None or inside.change is None else inside.change(part)
        layout = layout_of(changed)
        eta = [each.copy() for each in changed.fixed_part(psi)]
        spread = layout.structure.spread(mode_at(changed, psi))
        templates = layout.templates(psi)
        for factor, T, u in zip(layout.structure.factors, templates, spread, strict=True):
            b = apply(T, u)
            for index, place in factor.terms:
                term = changed.terms[index]
                for k, z, own in zip(term.column_predictors, term.Z.T, b[place], strict=True):
                    eta[k] += z * own[term.codes]
        yield part, np.array(eta)


def effects_of_all(
    problem: Problem, fit: Fit, encoder: Encoder
) -> tuple[dict[str, GroupEffects], Encoder]:
    """Return the random effects of all levels, and an encoder that knows these.

    In the order in which a fit to all rows at once has them. Where there are too many for their
    names to be kept, levels are told by their number only.
    """
    assert problem.parts is not None
    engine = problem.parts.engine
    assert isinstance(engine, LocalParts)
    if engine.factors is None or not problem.terms:
        return _outlined(problem, fit), _without_levels(encoder)
    factors = {
        columns: _joined([each[columns] for each in engine.factors])
        for columns in engine.factors[0]
    }
    encoder = replace(
        encoder,
        terms=tuple(replace(each, factor=factors[each.factor.columns]) for each in encoder.terms),
    )
    found: dict[str, list[GroupEffects]] = {}
    for _, state in states(problem, fit):
        for group, effects in state.effects.items():
            found.setdefault(group, []).append(effects)
    columns = {
        term.group: each.factor.columns
        for term, each in zip(problem.terms, encoder.terms, strict=True)
    }
    return {
        group: _stacked(each, factors[columns[group]].levels) for group, each in found.items()
    }, encoder


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


def _joined(encoders: Sequence[FactorEncoder]) -> FactorEncoder:
    """Return the encoder of the levels of several parts, as one of all rows is."""
    columns = encoders[0].columns
    rows: list[list[str]] = [[] for _ in columns]
    for encoder in encoders:
        for place, values in enumerate(_combinations(encoder)):
            rows[place] += values
    frame = {}
    for name, values in zip(columns, rows, strict=True):
        try:  # numbers are in their own order
            numbers = pd.to_numeric(pd.Series(values, dtype=object)).to_numpy()
            frame[name] = Column(name, numbers)
        except (ValueError, TypeError):
            codes, found = pd.factorize(np.array(values, dtype=object), sort=True)
            frame[name] = Column(name, codes, pd.Index(found, dtype=object))
    factor: Factor = build_factor(columns, Frame(frame, len(rows[0])))
    return factor.encoder


def _combinations(encoder: FactorEncoder) -> list[list[str]]:
    """Return the value of each column for each level."""
    names = [np.array(each, dtype=object) for each in encoder.column_levels]
    values: list[Any] = [names[0]]
    for own, keys in zip(names[1:], encoder.combinations, strict=True):
        values = [each[keys // len(own)] for each in values]
        values.append(own[keys % len(own)])
    return [each.tolist() for each in values]


def _outlined(problem: Problem, fit: Fit) -> dict[str, GroupEffects]:
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


def _without_levels(encoder: Encoder) -> Encoder:
    """Return an encoder whose factors refuse to say which levels there are."""
    unknown: Any = Levels(1)
    return replace(
        encoder,
        terms=tuple(
            replace(
                each,
                factor=replace(
                    each.factor,
                    column_levels=tuple(unknown for _ in each.factor.columns),
                    levels=unknown,
                ),
            )
            for each in encoder.terms
        ),
    )


def parts_of(result: Estimates) -> PartsOfFit:
    """Return the rows and levels of a fit in parts.

    Raises
    ------
    NotAvailableError
        If all rows are here, or the result no longer has its data.
    """
    training = result.training
    if training is None or training.problem.parts is None:
        raise NotAvailableError(
            "in_parts: this is of fits whose data lie in parts, and was made of one that holds all "
            "its rows: see fittedvalues, resid and random_effects."
        )
    return PartsOfFit(training.problem, result.fit)


def words_of(model: Model) -> tuple[str, str, str]:
    """Return the structure, the compiled code and the parts of a problem, in words."""
    problem, parts = model.problem, ""
    if isinstance(model.rows.index, RowsElsewhere) and problem.parts is None:
        parts = f"{model.rows.n_used} rows, counted as {problem.n} distinct ones"
    if problem.parts is not None:
        inside = standard_of(problem).problem.parts
        assert inside is not None
        engine = problem.parts.engine
        assert isinstance(engine, LocalParts)
        number = len(engine.parts)
        parts = f"in {number} part{'s' if number > 1 else ''}"
        parts += f", {engine.aside} of them in files" if engine.aside else ""
        part = engine.parts[0]
        problem = part if inside.change is None else inside.change(part)
    inner = standard_of(problem).problem
    layout = layout_of(inner)
    return layout.plan.describe(layout.structure), kernel_words(inner), parts


def reporting(problem: Problem, step: Callable[[str], None]) -> Callable[[str], None]:
    """Return who is told of evaluations; of a fit in parts also of the parts of each round."""
    if problem.parts is None or not isinstance(problem.parts.engine, LocalParts):
        return step
    engine, last = problem.parts.engine, ""

    def told(words: str) -> None:
        nonlocal last
        last = words
        step(f"{words}  {engine.rounds} rounds of {problem.n} rows")

    engine.report = lambda words: step(f"{last}  {words}")
    return told


class PartsOfFit:
    """Rows and levels of a fit in parts, one part after the other.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    """

    def __init__(self, problem: Problem, fit: Fit) -> None:
        self._problem, self._fit = problem, fit

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._engine.parts)

    def __repr__(self) -> str:
        aside = f", {self._engine.aside} of them in files" if self._engine.aside else ""
        return f"<{len(self)} parts of {self._problem.n} rows{aside}>"

    @property
    def rounds(self) -> int:
        """Questions that all parts were asked so far."""
        return self._engine.rounds

    @property
    def _engine(self) -> LocalParts:
        assert self._problem.parts is not None
        engine = self._problem.parts.engine
        assert isinstance(engine, LocalParts)
        return engine

    def random_effects(self, group: str) -> Iterator[pd.DataFrame]:
        """Yield the random effects of each part's levels of one grouping factor.

        Parameters
        ----------
        group : str

        Yields
        ------
        DataFrame
            Indexed by level: conditional modes, and `sd(...)`, their conditional standard
            deviations.

        Raises
        ------
        OptionError
            If there is no such factor.
        """
        groups = [term.group for term in self._problem.terms]
        if group not in groups:
            raise OptionError(
                f"random_effects: expected a grouping factor of the model, got {group!r}."
                f"{did_you_mean(group, groups)}"
            )
        return self._effects(group)

    def _effects(self, group: str) -> Iterator[pd.DataFrame]:
        for _, state in states(self._problem, self._fit):
            effects = state.effects[group]
            sd = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
            columns = [*effects.names, *(f"sd({name})" for name in effects.names)]
            index = pd.Index(effects.levels, dtype=object, name=group)
            yield pd.DataFrame(np.hstack([effects.values, sd]), index=index, columns=columns)

    def fitted(self) -> Iterator[pd.Series]:
        """Yield the fitted means of each part's rows, random effects included.

        Yields
        ------
        Series
            Named by the file or piece, indexed by the place of the row in it, counted from 0 (of
            several pieces that are one part, through all of them).
        """
        for number, (part, state) in enumerate(states(self._problem, self._fit)):
            yield self._by_row(number, part.family.mean(list(state.eta)))

    def residuals(self) -> Iterator[pd.Series]:
        """Yield the response less the fitted means of each part's rows, labelled as `fitted`."""
        for number, (part, state) in enumerate(states(self._problem, self._fit)):
            left = part.family.observed(part.y) - part.family.mean(list(state.eta))
            yield self._by_row(number, left)

    def _by_row(self, number: int, values: Any) -> pd.Series:
        kept = self._engine.kept[number]
        index = pd.RangeIndex(len(values)) if kept is None else pd.Index(kept)
        return pd.Series(np.asarray(values), index=index, name=self._engine.names[number])
