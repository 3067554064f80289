"""Predictors and random-effects terms of a problem, each with its encoder for new data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.problem import Predictor, RandomTerm
from interlace_core.data.design import Design, DesignBuilder, drop_collinear, drop_intercept
from interlace_core.data.encoder import Encoder, PredictorEncoder, TermEncoder, total_offset
from interlace_core.data.grouping import Factor, FactorEncoder, build_factor, check_levels
from interlace_core.data.level_covariances import KnownCovariances
from interlace_core.data.levels import column_code
from interlace_core.data.rows import Rows, require_finite
from interlace_core.data.specification import ParameterFormula
from interlace_core.data.weights_offset import Vector, vector_values
from interlace_core.formulas.bars import DEFAULT_STRUCTURE, KNOWN_LEVELS, Bar
from interlace_core.formulas.expressions import Expression, evaluate
from interlace_core.formulas.spans import formula_error
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray

CovarianceLookup = Callable[[str], type[Covariance]]
"""From the name of a covariance structure to its class."""


@dataclass(frozen=True)
class Assembled:
    """The right-hand sides of a model as arrays.

    Attributes
    ----------
    predictors : tuple of Predictor
        One per distributional parameter.
    terms : tuple of RandomTerm
        Those of the first parameter first.
    encoder : Encoder
        For new data.
    dropped : tuple of str
        Collinear columns left out.
    """

    predictors: tuple[Predictor, ...]
    terms: tuple[RandomTerm, ...]
    encoder: Encoder
    dropped: tuple[str, ...]


def assemble(
    parts: Sequence[ParameterFormula],
    family: Family,
    offset: Vector | None,
    frame: pd.DataFrame,
    rows: Rows,
    covariance: CovarianceLookup,
    known: object = None,
    informative: BoolArray | None = None,
) -> Assembled:
    """Return the predictors and terms that were asked for.

    Parameters
    ----------
    parts : sequence of ParameterFormula
        One per parameter of the family.
    family : Family
        Bound to the data.
    offset : Expression, ndarray of shape (n_given,), or None
        The argument `offset`, which belongs to the first parameter.
    frame : DataFrame, n rows
        Rows in use.
    rows : Rows
        To name a row in a message.
    covariance : callable
        From the name of a covariance structure to its class.
    known : mapping from str to DataFrame, optional
        Covariance of the levels of grouping factors.
    informative : ndarray of bool, shape (n,), optional
        Rows that say anything: columns that these do not tell apart are collinear.
    """
    levels = _KnownLevels(known, [bar for part in parts for bar in part.bars])
    work = _Assembly(frame, rows, covariance, levels, informative)
    predictors = []
    terms = []
    for place, (parameter, part) in enumerate(zip(family.parameters, parts, strict=True)):
        predictors.append(work.predictor(parameter, part, offset if place == 0 else None, place))
        terms += [work.term(bar, place) for bar in part.bars]
    columns = dict.fromkeys(name for _, each in predictors for name in _columns(each))
    columns |= dict.fromkeys(name for _, each in terms for name in each.design.columns)
    encoder = Encoder(
        columns={name: column_code(frame[name]) for name in columns},
        predictors=tuple(each for _, each in predictors),
        terms=tuple(each for _, each in terms),
        external_offset=isinstance(offset, np.ndarray),
    )
    return Assembled(
        tuple(each for each, _ in predictors),
        tuple(each for each, _ in terms),
        encoder,
        tuple(work.dropped),
    )


def relation_notes(terms: Sequence[RandomTerm]) -> list[str]:
    """Return a note for each factor whose levels are correlated by a known matrix."""
    related = {term.group: term.relation for term in terms if term.relation is not None}
    return [
        f"the levels of {group} are correlated by a known matrix, which the variances multiply"
        + (f"; it holds {len(each.others)} level(s) without data" if each.others else "")
        for group, each in related.items()
    ]


def overlap_notes(terms: Sequence[RandomTerm]) -> list[str]:
    """Return a note for each two terms that give the same groups the same effect twice."""
    notes = []
    for one, other in combinations(terms, 2):
        shared = [name for name in one.names if name in other.names]
        if shared and one.predictor == other.predictor and _same_groups(one, other):
            notes.append(
                f"terms ({one.label}) and ({other.label}) share {', '.join(shared)}: only the "
                "sum of their variances can be estimated"
            )
    return notes


def _same_groups(one: RandomTerm, other: RandomTerm) -> bool:
    """Return whether two terms divide the rows alike, whatever their levels are called."""
    if one.group == other.group:
        return True
    if len(one.levels) != len(other.levels) or one.relation is not other.relation:
        return False
    partner = np.zeros(len(one.levels), dtype=np.intp)
    partner[one.codes] = other.codes
    return bool(np.all(partner[one.codes] == other.codes))


class _Assembly:
    """Builds predictors and terms over one set of rows; equal parts share their arrays."""

    def __init__(
        self,
        frame: pd.DataFrame,
        rows: Rows,
        covariance: CovarianceLookup,
        known: _KnownLevels,
        informative: BoolArray | None,
    ) -> None:
        self.informative = informative
        self.known = known
        self.frame = frame
        self.rows = rows
        self.covariance = covariance
        self.designs = DesignBuilder(frame, rows)
        self.factors: dict[tuple[str, ...], Factor] = {}
        self.dropped: list[str] = []

    def predictor(
        self, parameter: Parameter, part: ParameterFormula, offset: Vector | None, place: int
    ) -> tuple[Predictor, PredictorEncoder]:
        """Return one parameter's predictor, and add its collinear columns to those dropped."""
        n = len(self.frame)
        if parameter.fixed is not None:
            encoder = PredictorEncoder(None, (), parameter.fixed_eta())
            empty = np.zeros((n, 0))
            empty.flags.writeable = False
            return Predictor(parameter, empty, (), total_offset(encoder, [], n)), encoder
        design, dropped = drop_collinear(self.designs.build(part.fixed), self.informative)
        if not parameter.intercept:
            design = drop_intercept(design, parameter.name)
        self.dropped += [f"{parameter.name}: {each}" if place else each for each in dropped]
        values = [self._offset_term(each) for each in part.offsets]
        values += [] if offset is None else [vector_values(offset, "offset", self.frame, self.rows)]
        known = [*part.offsets, *([offset] if isinstance(offset, Expression) else [])]
        encoder = PredictorEncoder(design.encoder, tuple(known))
        offset_sum = total_offset(encoder, values, n)
        return Predictor(parameter, design.X, design.encoder.names, offset_sum), encoder

    def term(self, bar: Bar, place: int) -> tuple[RandomTerm, TermEncoder]:
        """Return one random-effects term of the predictor at `place`."""
        if bar.columns not in self.factors:
            self.factors[bar.columns] = build_factor(bar.columns, self.frame)
        factor = self.factors[bar.columns]
        group, relation, levels = self.known.of(bar, factor.encoder)
        check_levels(bar, factor)
        design = self.designs.build(bar.left)
        structure = self._structure(bar, design.X.shape[1])
        if structure.takes_levels_only:
            _require_levels(bar, structure, design)
        term = RandomTerm(
            label=bar.label,
            predictor=place,
            group=group,
            codes=factor.codes,
            levels=factor.encoder.levels,
            Z=design.X,
            names=design.encoder.names,
            covariance=structure,
            relation=relation,
            options=tuple(_structure_options(bar).items()),
        )
        return term, TermEncoder(design.encoder, levels)

    def _offset_term(self, offset: Expression) -> Array:
        values = evaluate(offset, self.frame).astype(np.float64)
        require_finite(values, f"offset({offset.text})", self.rows)
        return values

    def _structure(self, bar: Bar, size: int) -> Covariance:
        options, name = _structure_options(bar), bar.structure
        if name == KNOWN_LEVELS:
            name = str(dict(bar.options).get("structure", DEFAULT_STRUCTURE))
        structure = self.covariance(name)
        if not options:
            return structure(size)
        try:
            return structure(size, **options)
        except TypeError as error:
            names = ", ".join(name for name, _ in bar.options)
            raise formula_error(
                bar.span,
                f"covariance structure {bar.structure!r} does not take the option(s) {names} "
                f"({error}). Remove them, or correct their names.",
            ) from error


class _KnownLevels:
    """Which terms have levels that are correlated by a known matrix."""

    def __init__(self, given: object, bars: Sequence[Bar]) -> None:
        self.given = KnownCovariances(given)
        groups = {bar.group for bar in bars}
        for name in self.given.factors:
            if name not in groups:
                raise OptionError(
                    f"known: expected grouping factors of the model ({listed(groups) or 'none'}), "
                    f"got {name!r}. Write a term such as (1 | {name})."
                )
        self.marked = {bar.group for bar in bars if bar.structure == KNOWN_LEVELS}
        self.mixed = {bar.group for bar in bars if bar.structure != KNOWN_LEVELS} & self.marked
        self.found: dict[str, tuple[Relation, FactorEncoder]] = {}

    def of(self, bar: Bar, encoder: FactorEncoder) -> tuple[str, Relation | None, FactorEncoder]:
        """Return a term's group, the relation of its levels, and the encoder of new levels.

        Where some terms of a factor are marked, the others' levels are independent, and the
        marked ones are a group of their own.
        """
        group, marked = bar.group, bar.structure == KNOWN_LEVELS
        if marked and group not in self.given.factors:
            raise formula_error(
                bar.span,
                f"expected the matrix of {group!r} in the argument known, got "
                f"{listed(self.given.factors) or 'none'}. Give "
                f"known={{{group!r}: K}}, K a DataFrame labelled by the levels.",
            )
        if group not in self.given.factors or (group in self.marked and not marked):
            return group, None, encoder
        if group not in self.found:
            self.found[group] = self.given.relation(group, encoder)
        relation, levels = self.found[group]
        return f"{KNOWN_LEVELS}({group})" if group in self.mixed else group, relation, levels


def _structure_options(bar: Bar) -> dict[str, Any]:
    """Return the options of a term's structure, without that which names it."""
    own = dict(bar.options)
    if bar.structure == KNOWN_LEVELS:
        own.pop("structure", None)
    return own


def _columns(encoder: PredictorEncoder) -> list[str]:
    design = encoder.design.columns if encoder.design else ()
    return [*design, *(name for each in encoder.offsets for name in each.columns)]


def _require_levels(bar: Bar, structure: Covariance, design: Design) -> None:
    """Refuse columns that are not the levels of one factor, each row in one of them."""
    X = design.X
    indicators = bool(np.all((X == 0.0) | (X == 1.0)) and np.all(np.sum(X, axis=1) == 1.0))
    if indicators and not bar.left.has_intercept:
        return
    covariates = [term.span.text for term in bar.left.covariates]
    got = [] if indicators or not covariates else [f"covariates ({listed(covariates)})"]
    got += ["an intercept"] if bar.left.has_intercept else []
    name = covariates[0] if len(covariates) == 1 else "time"
    example = f"{structure.name}(0 + {name} | {bar.group})"
    raise formula_error(
        bar.span,
        f"covariance structure {structure.name!r}: expected the levels of one factor, got "
        f"{' and '.join(got)}. "
        f"Write {example} with {name!r} a factor that has a level for each time or unit, in "
        f"order: data[{name!r}] = data[{name!r}].astype('category'). For covariates use us or "
        "diag.",
    )
