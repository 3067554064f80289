"""Predictors and random-effects terms of a problem, each with its encoder for new data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from interlace.data.cost import refuse_costly
from interlace.data.design import DesignBuilder, DesignEncoder, drop_collinear, drop_intercept
from interlace.data.encoder import Encoder, PredictorEncoder, TermEncoder, total_offset
from interlace.data.evaluation import evaluate
from interlace.data.level_covariances import KnownCovariances
from interlace.data.levels import (
    Factor,
    FactorEncoder,
    build_factor,
    check_levels,
    column_code,
)
from interlace.data.moments import Moments
from interlace.data.numbers_shown import refuse_unshown_numbers
from interlace.data.points import TermColumns, term_columns, warn_of_order
from interlace.data.rank import advice_on_columns, refuse_far_factors
from interlace.data.rows import Vector, frozen, require_computable, vector_values
from interlace.data.specification import ParameterFormula
from interlace.formulas.bars import DEFAULT_STRUCTURE, KNOWN_LEVELS, Bar
from interlace.formulas.expressions import Expression
from interlace.formulas.tokens import formula_error
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.problem import Predictor, RandomTerm, columns_by_predictor
from interlace_core.messages.errors import DataError, InterlaceError, OptionError
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
    advice : tuple of str
        What to do with those that are nearly, and not quite, combinations of others.
    """

    predictors: tuple[Predictor, ...]
    terms: tuple[RandomTerm, ...]
    encoder: Encoder
    dropped: tuple[str, ...]
    advice: tuple[str, ...] = ()


def assemble(
    parts: Sequence[ParameterFormula],
    family: Family,
    offset: Vector | None,
    designs: DesignBuilder,
    covariance: CovarianceLookup,
    known: object = None,
    informative: BoolArray | None = None,
    *,
    all_columns: bool = False,
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
    designs : DesignBuilder
        Over the rows in use.
    covariance : callable
        From the name of a covariance structure to its class.
    known : mapping from str to DataFrame, optional
        Covariance of the levels of grouping factors.
    informative : ndarray of bool, shape (n,), optional
        Rows that say anything: columns that these do not tell apart are collinear.
    all_columns : bool
        Whether collinear columns stay.
    """
    bars = [bar for part in parts for bar in part.bars]
    levels = _KnownLevels(known, bars, covariance)
    work = _Assembly(designs, covariance, levels, informative, all_columns)
    predictors = []
    terms = []
    for place, (parameter, part) in enumerate(zip(family.parameters, parts, strict=True)):
        predictors.append(work.predictor(parameter, part, offset if place == 0 else None, place))
    for pieces in _joined(family, parts):
        terms.append(work.term(pieces))
    columns = dict.fromkeys(name for _, each in predictors for name in _columns(each))
    columns |= dict.fromkeys(name for _, each in terms for name in each.columns)
    encoder = Encoder(
        columns={name: column_code(designs.frame[name]) for name in columns},
        predictors=tuple(each for _, each in predictors),
        terms=tuple(each for _, each in terms),
        external_offset=isinstance(offset, np.ndarray),
    )
    return Assembled(
        tuple(each for each, _ in predictors),
        tuple(each for each, _ in terms),
        encoder,
        tuple(work.dropped),
        tuple(dict.fromkeys(work.advice)),
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
        alike = not one.along and not other.along and one.predictor == other.predictor
        if shared and alike and _same_groups(one, other):
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


@dataclass(frozen=True)
class _Piece:
    """A term where it stands: in the formula of the parameter of that place and name."""

    place: int
    parameter: str
    bar: Bar


def _joined(family: Family, parts: Sequence[ParameterFormula]) -> list[list[_Piece]]:
    """Return the terms of all formulas in order, those of one shared name together.

    Raises
    ------
    FormulaError
        If a name is there once, or its terms differ in group or structure.
    """
    found: dict[object, list[_Piece]] = {}
    for place, (parameter, part) in enumerate(zip(family.parameters, parts, strict=True)):
        for bar in part.bars:
            key = bar.shared or object()
            found.setdefault(key, []).append(_Piece(place, parameter.name, bar))
    for pieces in found.values():
        first, *others = (each.bar for each in pieces)
        if first.shared and not others:
            raise formula_error(
                first.span,
                f"expected the name {first.shared!r} between two bars in the formulas of two "
                "parameters or more, which share the effects; it is here alone. Write it in the "
                f"other formula too, or ({first.design} | {first.group}) here.",
            )
        for other in others:
            what = ((first.group, other.group), (first.structure, other.structure))
            if (first.group, first.structure, first.options) != (
                other.group,
                other.structure,
                other.options,
            ):
                raise formula_error(
                    other.span,
                    f"expected terms of the name {first.shared!r} to have one group and one "
                    f"structure, got {' and '.join(' and '.join(each) for each in what)}.",
                )
    return list(found.values())


class _Assembly:
    """Builds predictors and terms over one set of rows; equal parts share their arrays."""

    def __init__(
        self,
        designs: DesignBuilder,
        covariance: CovarianceLookup,
        known: _KnownLevels,
        informative: BoolArray | None,
        all_columns: bool,
    ) -> None:
        self.designs = designs
        self.all_columns = all_columns
        self.informative = informative
        self.frame = designs.frame
        self.rows = designs.rows
        self.known = known
        self.covariance = covariance
        self.factors: dict[tuple[str, ...], Factor] = {}
        self.dropped: list[str] = []
        self.advice: list[str] = []

    def predictor(
        self, parameter: Parameter, part: ParameterFormula, offset: Vector | None, place: int
    ) -> tuple[Predictor, PredictorEncoder]:
        """Return one parameter's predictor, and add its collinear columns to those dropped."""
        n = self.frame.n
        if parameter.fixed is not None:
            encoder = PredictorEncoder(None, (), parameter.fixed_eta())
            empty = np.zeros((n, 0))
            empty.flags.writeable = False
            return Predictor(parameter, empty, (), total_offset(encoder, [], n)), encoder
        whole = self.designs.build(part.fixed)
        design, dropped = whole, whole.empty
        if not self.all_columns:
            design, dropped = drop_collinear(whole, self.informative)
        if dropped:
            self.advice += advice_on_columns(whole.X, whole.encoder.names)
        if not parameter.intercept:
            design = drop_intercept(design, parameter.name)
            if parameter.role == "dispersion" and not self.all_columns:
                refuse_far_factors(Moments.of(design.X), design.encoder.names, parameter.name)
        self.dropped += [f"{parameter.name}: {each}" if place else each for each in dropped]
        values = [self._offset_term(each) for each in part.offsets]
        values += [] if offset is None else [vector_values(offset, "offset", self.frame, self.rows)]
        known = [*part.offsets, *([offset] if isinstance(offset, Expression) else [])]
        encoder = PredictorEncoder(design.encoder, tuple(known))
        offset_sum = total_offset(encoder, values, n)
        return Predictor(parameter, design.X, design.encoder.names, offset_sum), encoder

    def term(self, pieces: Sequence[_Piece]) -> tuple[RandomTerm, TermEncoder]:
        """Return one random-effects term; of several pieces where parameters share it."""
        bar = pieces[0].bar
        if bar.columns not in self.factors:
            self.factors[bar.columns] = build_factor(bar.columns, self.frame)
        factor = self.factors[bar.columns]
        group, relation, levels = self.known.of(bar, factor.encoder)
        cls, options = self._class(bar)
        columns, more = self._columns(pieces, cls)
        if len(columns.levels) < 2:
            check_levels(bar, factor)
        if cls.takes_matrix:
            options["matrix"] = self.known.matrix(bar, columns)
        structure = _structure(bar, cls, columns, options)
        if not self.all_columns:  # rows that stand for others do not decide
            if relation is None:
                refuse_unshown_numbers(bar.label, structure, columns, factor.codes)
            refuse_costly(bar.label, structure, len(factor.encoder.levels))
            _refuse_near_collinear(bar, structure, columns)
            warn_of_order(structure, columns, self.frame)
        term = RandomTerm(
            label=bar.label,
            predictor=pieces[0].place,
            group=group,
            codes=factor.codes,
            levels=factor.encoder.levels,
            Z=columns.Z,
            names=columns.names,
            covariance=structure,
            relation=relation,
            options=tuple(options.items()),
            column_levels=columns.levels,
            points=columns.frame,
            along=columns.along,
        )
        return term, TermEncoder(columns.encoder, levels, more)

    def _columns(
        self, pieces: Sequence[_Piece], structure: type[Covariance]
    ) -> tuple[TermColumns, tuple[DesignEncoder, ...]]:
        """Return a term's columns, those of all its pieces, and the encoders of further pieces."""
        found = [
            term_columns(each.bar, structure, self.designs.build(each.bar.left), self.frame)
            for each in pieces
        ]
        if len(found) == 1:
            return found[0], ()
        first = pieces[0].bar
        if structure.takes_levels_only:
            raise formula_error(
                first.span,
                f"effects shared by parameters have no structure of levels such as "
                f"{first.structure!r}. Leave it out, or write 'shared'.",
            )
        names = [
            (f"{each.parameter}: {name}" if each.place else name)
            for each, columns in zip(pieces, found, strict=True)
            for name in columns.encoder.names
        ]
        if len(set(names)) < len(names):
            raise formula_error(
                first.span, f"effects shared as {first.shared!r} are there twice. Write each once."
            )
        along = tuple(
            each.place
            for each, columns in zip(pieces, found, strict=True)
            for _ in columns.encoder.names
        )
        Z = frozen(np.hstack([np.asarray(each.Z) for each in found]))
        joined = replace(found[0], Z=Z, along=along, joint=tuple(names), gram=None)
        return joined, tuple(each.encoder for each in found[1:])

    def _offset_term(self, offset: Expression) -> Array:
        values = evaluate(offset, self.frame).astype(np.float64)
        require_computable(values, f"offset({offset.text})", self.rows)
        return values

    def _class(self, bar: Bar) -> tuple[type[Covariance], dict[str, Any]]:
        """Return the class of a term's structure, and the options that are its own."""
        options, name = dict(bar.options), bar.structure
        if name == KNOWN_LEVELS:
            name = str(options.pop("structure", DEFAULT_STRUCTURE))
        return self.covariance(name), options


def _structure(
    bar: Bar, cls: type[Covariance], columns: TermColumns, options: dict[str, Any]
) -> Covariance:
    try:
        return cls.from_columns(columns.names, columns.levels, columns.frame, **options)
    except InterlaceError as error:
        raise formula_error(bar.span, str(error)) from error
    except TypeError as error:
        if not options:
            raise
        raise formula_error(
            bar.span,
            f"covariance structure {bar.structure!r} does not take the option(s) "
            f"{', '.join(options)} ({error}). Remove them, or correct their names.",
        ) from error


class _KnownLevels:
    """Which terms have levels that are correlated by a known matrix."""

    def __init__(self, given: object, bars: Sequence[Bar], covariance: CovarianceLookup) -> None:
        self.given = KnownCovariances(given)
        groups = {bar.group for bar in bars}
        # known(...) stands for a structure, of which no matrix of columns is asked
        inner = [bar for bar in bars if bar.structure != KNOWN_LEVELS]
        columns = {_covariate(bar) for bar in inner if covariance(bar.structure).takes_matrix}
        for name in self.given.factors:
            if name not in groups | columns:
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

    def matrix(self, bar: Bar, columns: TermColumns) -> Array:
        """Return the known matrix of a term's columns, shape (c, c)."""
        name = _covariate(bar)
        if name not in self.given.factors:
            raise formula_error(
                bar.span,
                f"expected the matrix of {name!r} in the argument known, got "
                f"{listed(self.given.factors) or 'none'}. Give known={{{name!r}: K}}, K a "
                "DataFrame labelled by its levels.",
            )
        return self.given.matrix(name, columns.levels)


def _covariate(bar: Bar) -> str:
    """Return what stands left of a bar, by which the matrix of its columns is given."""
    return " + ".join(term.span.text.strip("`") for term in bar.left.covariates)


def _columns(encoder: PredictorEncoder) -> list[str]:
    design = encoder.design.columns if encoder.design else ()
    return [*design, *(name for each in encoder.offsets for name in each.columns)]


def _refuse_near_collinear(bar: Bar, structure: Covariance, columns: TermColumns) -> None:
    """Refuse effects that only the digits lost in rounding would tell apart.

    Where the structure lets all columns mix, so that the covariance in other columns is the same
    model. Exact combinations are left to whoever looks for variances that cannot be told apart.

    Raises
    ------
    DataError
    """
    if columns.levels or columns.Z.shape[1] < 2 or not structure.mixes_columns:
        return
    advice: list[str] = []
    for _, own in columns_by_predictor(0, columns.along, columns.Z.shape[1]):
        Z = np.asarray(columns.Z)
        Z = Z if own.size == Z.shape[1] else Z[:, own]
        advice += advice_on_columns(Z, tuple(columns.names[j] for j in own), columns.gram)
    if advice:
        raise DataError(
            f"random effects ({bar.label}): expected columns that 16 digits tell apart, got some "
            f"that are next to combinations of those before them. {' '.join(advice)}"
        )
