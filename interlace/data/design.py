"""Design matrices from formulas, with encoders that code new data in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from interlace.data.coding import Coding, Part, parts_of_terms
from interlace.data.columns import Column, Frame
from interlace.data.evaluation import States
from interlace.data.factors import (
    INTERCEPT,
    Coded,
    Columns,
    DesignFactor,
    DesignTerm,
    as_trained,
    code_factor,
)
from interlace.data.levels import labels_of
from interlace.data.rank import (
    Dependence,
    dependence,
    independent_columns,
    of_ordinary_size,
)
from interlace.data.rows import Rows, frozen, require_computable
from interlace.formulas.allowed import Vocabulary
from interlace.formulas.expressions import Expression
from interlace.formulas.terms import LinearFormula
from interlace.formulas.tokens import formula_error
from interlace_core.calculus.grams import gram_of
from interlace_core.messages.errors import DataError, FormulaError
from interlace_core.records import Array, BoolArray, IntArray


@dataclass(frozen=True)
class DesignEncoder:
    """What is kept of a design to code new data; it holds no data.

    Attributes
    ----------
    text : str
        The formula in the user's spelling.
    names : tuple of str, length p
        Column names of the design.
    columns : tuple of str
        Columns of the data that it uses.
    terms : tuple of DesignTerm
        In the order of their columns, before collinear ones were dropped.
    factors : mapping from str to DesignFactor
        By name.
    kept : ndarray of intp, shape (p,), or None
        Columns left after collinear ones were dropped; None if all are.
    points : ndarray, shape (p, k), or None
        Distinct values of k covariates, one of which each column stands for; None where columns
        are what the formula makes.
    mix : ndarray, shape (len(kept), p), or None
        By which the columns left are multiplied, where coefficients are held equal.
    shared : mapping from str to str
        Coefficients that are held equal to another, by its name.
    dependence : Dependence, or None
        How the columns that were dropped depend on the others; None if none were.
    """

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    terms: tuple[DesignTerm, ...]
    factors: Mapping[str, DesignFactor] = field(default_factory=dict)
    kept: IntArray | None = None
    points: Array | None = None
    mix: Array | None = None
    shared: Mapping[str, str] = field(default_factory=dict)
    dependence: Dependence | None = None

    @property
    def is_intercept(self) -> bool:
        """Whether it is the constant alone."""
        return not self.factors and len(self.terms) == 1

    @property
    def width(self) -> int:
        """Number of columns before collinear ones were dropped."""
        return sum(len(each.names) for each in self.terms)


@dataclass(frozen=True)
class Design:
    """A design matrix with its encoder.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        Read-only.
    encoder : DesignEncoder
        For new data.
    empty : tuple of str
        Terms without columns: factors with a single level.
    gram : ndarray, shape (p, p), or None
        `X'X`, where it has been made.
    """

    X: Array
    encoder: DesignEncoder
    empty: tuple[str, ...] = ()
    gram: Array | None = None


class DesignBuilder:
    """Builds designs over one set of rows; equal formulas share their matrix.

    Parameters
    ----------
    frame : Frame, n rows
        Rows in use.
    rows : Rows
        To name a row in a message.
    vocabulary : Vocabulary
        What the names of a formula can mean, and how large it may be.
    """

    def __init__(self, frame: Frame, rows: Rows, vocabulary: Vocabulary) -> None:
        self.frame = frame
        self.rows = rows
        self.vocabulary = vocabulary
        self._built: dict[str, Design] = {}
        self._matrices: dict[tuple[tuple[Part, ...], ...], tuple[Array, Array | None]] = {}
        self._coded: dict[str, tuple[DesignFactor, Coded]] = {}

    def build(self, formula: LinearFormula) -> Design:
        """Return the design of a formula.

        Parameters
        ----------
        formula : LinearFormula
            Without bars and offsets.

        Raises
        ------
        FormulaError
            If the formula cannot be read or evaluated, or has too many columns.
        DataError
            If a column of it is not finite in some row, or holds dates.
        """
        if formula.text not in self._built:
            self._built[formula.text] = self._new(formula)
        return self._built[formula.text]

    def _new(self, formula: LinearFormula) -> Design:
        expanded = formula.expanded
        if not expanded.products and expanded.intercept:
            n = self.frame.n
            return Design(_ones(n), constant_encoder(formula.text), gram=np.full((1, 1), float(n)))
        found = {
            name: self._factor(name, each) for name, each in formula.read(self.vocabulary).items()
        }
        coded = {name: each for name, (_, each) in found.items()}
        factors = {name: each for name, (each, _) in found.items()}
        key = _key(formula, factors, coded)
        layout = _LAYOUTS.get(key)
        if layout is None:
            layout = _lay_out(formula, factors, coded)
            if len(_LAYOUTS) >= MOST_LAYOUTS:
                _LAYOUTS.clear()
            if len(layout.names) <= MOST_KEPT:
                _LAYOUTS[key] = layout
        limits = self.vocabulary.limits
        if len(layout.names) > limits.columns:
            raise formula_error(
                formula.span,
                f"expected at most {limits.columns} columns, got {len(layout.names)}. Categories "
                f"with many levels are groups, as in (1 | g). {limits.hint('columns')}",
            )
        terms, parts = layout.terms, layout.parts
        if parts not in self._matrices:  # the terms of `x` and of (1 + x | g) are the same
            X = Columns(factors, coded, self.frame.n, layout.codings).matrix(terms)
            X.flags.writeable = False
            gram = gram_of(X) if X.shape[1] <= FEW_COLUMNS else None
            if gram is None or not of_ordinary_size(gram):
                _require_computable_columns(X, layout.names, self.rows)
            self._matrices[parts] = X, gram
        X, gram = self._matrices[parts]
        encoder = DesignEncoder(formula.text, layout.names, layout.columns, terms, factors)
        return Design(X, encoder, layout.empty, gram)

    def _factor(self, name: str, expression: Expression) -> tuple[DesignFactor, Coded]:
        """Return a factor, evaluated once for all designs over the rows."""
        if name not in self._coded:
            for column in expression.columns:
                _refuse_dates(self.frame[column])
            states: States = {}
            coded = code_factor(name, expression, self.frame, states)
            self._coded[name] = DesignFactor(expression, coded.levels, states), coded
        return self._coded[name]


@dataclass(frozen=True)
class _Layout:
    """What columns a formula has, which depends on the levels of factors and on no other value.

    Attributes
    ----------
    terms : tuple of DesignTerm
    parts : tuple of tuple of tuple
        Of each term: by these and the factors its columns are what they are.
    names : tuple of str, length p
        Of the columns of all terms.
    columns : tuple of str
        Columns of the data that it uses.
    empty : tuple of str
        Terms without columns.
    codings : dict
        Of the factors, as `Columns` has them.
    """

    terms: tuple[DesignTerm, ...]
    parts: tuple[tuple[Part, ...], ...]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    empty: tuple[str, ...]
    codings: dict[tuple[str, bool], Coding]


FEW_COLUMNS = 30
"""Columns up to which all their products cost no more than a look at each of them. Those of a
factor of levels or times may be thousands, and nobody asks for the products of these."""

MOST_LAYOUTS, MOST_KEPT = 128, 500
"""Formulas whose columns are kept, as the same ones are fitted again and again, and columns of one
up to which they are: names of more take memory."""

_LAYOUTS: dict[tuple[object, ...], _Layout] = {}


def _key(
    formula: LinearFormula, factors: Mapping[str, DesignFactor], coded: Mapping[str, Coded]
) -> tuple[object, ...]:
    """Return all that the columns of a formula depend on."""
    key: list[object] = [formula.text, formula.limits]
    for name, each in coded.items():
        expression = factors[name].expression
        key += (expression.node.kind, expression.columns, each.names, each.spans_constant)
        if each.levels is not None:
            labels = labels_of(each.levels)
            key += (labels.names, labels.types)
    return tuple(key)


def _lay_out(
    formula: LinearFormula, factors: Mapping[str, DesignFactor], coded: Mapping[str, Coded]
) -> _Layout:
    expanded = formula.expanded
    products = [(), *expanded.products] if expanded.intercept else list(expanded.products)
    columns = Columns(factors, coded, 0)
    parts = parts_of_terms(products, lambda name: coded[name].spans_constant)
    terms = tuple(
        DesignTerm(names, tuple(each), tuple(columns.names(each)))
        for names, each in zip(products, parts, strict=True)
    )
    return _Layout(
        terms,
        tuple(each.parts for each in terms),
        tuple(name for each in terms for name in each.names),
        tuple(dict.fromkeys(n for each in factors.values() for n in each.expression.columns)),
        tuple(each.name for each in terms if not each.names),
        columns.codings,
    )


def constant_encoder(text: str) -> DesignEncoder:
    """Return the encoder of a design that is the constant alone."""
    return DesignEncoder(text, (INTERCEPT,), (), (DesignTerm((), ((),), (INTERCEPT,)),))


def design_of(encoder: DesignEncoder, frame: Frame) -> Array:
    """Return the design of new data, coded as the training data were, with all its columns.

    Parameters
    ----------
    encoder : DesignEncoder
    frame : Frame, n rows
        Nothing missing; categories coded as in training.

    Returns
    -------
    ndarray, shape (n, width)
        Collinear columns that were dropped from the fit among them.

    Raises
    ------
    DataError
        If a level was not seen in training, or a function cannot be computed.
    """
    if encoder.is_intercept:
        return np.ones((frame.n, encoder.width))
    coded = {}
    for name, factor in encoder.factors.items():
        states = {key: dict(each) for key, each in factor.states.items()}
        found = code_factor(name, factor.expression, frame, states)
        coded[name] = as_trained(name, factor, found)
    return Columns(encoder.factors, coded, frame.n).matrix(encoder.terms)


def columns_left(encoder: DesignEncoder, full: Array) -> Array:
    """Return the columns that have coefficients, shape (n, p), from all of a design's."""
    X = full if encoder.kept is None else full[:, encoder.kept]
    return X if encoder.mix is None else X @ encoder.mix


def drop_collinear(
    design: Design, informative: BoolArray | None = None
) -> tuple[Design, tuple[str, ...]]:
    """Return a design of full column rank, and the names of the columns dropped.

    Of columns that depend on each other the later ones go, as in R.

    Parameters
    ----------
    design : Design
    informative : ndarray of bool, shape (n,), optional
        Rows that count; all by default.
    """
    X, gram = design.X, design.gram
    if not (informative is None or informative.all()):
        X, gram = design.X[informative], None
    keep = independent_columns(X, gram)
    if keep.all():
        return design, design.empty
    kept = np.flatnonzero(keep)
    names = np.array(design.encoder.names, dtype=object)
    encoder = replace(
        design.encoder, names=tuple(names[kept]), kept=kept, dependence=dependence(X, keep)
    )
    dropped = (*tuple(names[~keep]), *design.empty)
    return Design(frozen(design.X[:, kept]), encoder), dropped


def drop_intercept(design: Design, parameter: str) -> Design:
    """Return a design without its intercept, for a parameter that has none.

    Factors stay coded as differences from their first level.

    Raises
    ------
    FormulaError
        If the formula has no intercept to leave out, so that factors are coded otherwise.
    """
    names = design.encoder.names
    if INTERCEPT not in names:
        raise FormulaError(
            f"formula: expected one with an intercept for {parameter!r}, whose place the "
            f"family's further parameters take, got {design.encoder.text!r}. Leave out the 0 or -1."
        )
    place = names.index(INTERCEPT)
    keep = np.arange(len(names)) != place
    kept = np.arange(len(names)) if design.encoder.kept is None else design.encoder.kept
    encoder = replace(
        design.encoder,
        names=tuple(name for name in names if name != INTERCEPT),
        kept=kept[keep],
    )
    return replace(design, X=frozen(design.X[:, keep]), encoder=encoder, gram=None)


def _ones(n: int) -> Array:
    ones = np.ones((n, 1))
    ones.flags.writeable = False
    return ones


def _refuse_dates(column: Column) -> None:
    if column.levels is None or not len(column.levels) or isinstance(column.levels[0], str):
        return
    kind = pd.api.types.infer_dtype(column.levels, skipna=True)
    if kind.startswith(("date", "time", "period")):
        raise DataError(
            f"column {column.name!r}: expected numbers, text or categories, got {kind} values. "
            "Convert them to numbers (days since a start), or to text for a factor."
        )


def _require_computable_columns(X: Array, names: Sequence[str], rows: Rows) -> None:
    for place, name in enumerate(names):
        require_computable(X[:, place], f"term {name!r}", rows)
