"""Design matrices from formulas, with encoders that code new data in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace_core.data.coding import Part, code_levels, parts_of_terms
from interlace_core.data.columns import Column, Frame
from interlace_core.data.evaluation import Basis, Evaluation, States
from interlace_core.data.levels import level_names, unique_level_names
from interlace_core.data.rank import independent_columns
from interlace_core.data.rows import Rows, frozen, require_finite
from interlace_core.formulas.allowed import CATEGORIES, CATEGORY_ARGUMENTS, arguments_of, constant
from interlace_core.formulas.allowed import Vocabulary
from interlace_core.formulas.expressions import Expression
from interlace_core.formulas.terms import LinearFormula
from interlace_core.formulas.tokens import formula_error
from interlace_core.messages.errors import DataError, FormulaError
from interlace_core.messages.names import listed
from interlace_core.records import Array, IntArray

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class DesignFactor:
    """One factor of a design's terms: a column or an expression, as new data are coded by.

    Attributes
    ----------
    expression : Expression
        What it computes.
    levels : Index or None
        Its categories in order; None for numbers.
    states : mapping
        What its functions remember of the training data, by the text of their call.
    """

    expression: Expression
    levels: pd.Index[Any] | None = None
    states: States = field(default_factory=dict)


@dataclass(frozen=True)
class DesignTerm:
    """One term of a design.

    Attributes
    ----------
    factors : tuple of str
        Names of the factors that it is a product of; none for the constant.
    parts : tuple of tuple of (str, bool)
        Products of factors, each coded in full or by contrasts (True), whose columns it has.
    names : tuple of str
        Of its columns.
    """

    factors: tuple[str, ...]
    parts: tuple[Part, ...]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, such as `a:x`."""
        return ":".join(self.factors) or INTERCEPT


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
    """

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    terms: tuple[DesignTerm, ...]
    factors: Mapping[str, DesignFactor] = field(default_factory=dict)
    kept: IntArray | None = None

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
    """

    X: Array
    encoder: DesignEncoder
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coded:
    """A factor over some rows.

    Attributes
    ----------
    values : ndarray, shape (n,) or (n, k)
        Numbers, or codes of levels.
    names : tuple of str
        Of the columns of numbers.
    levels : Index or None
        The categories; None for numbers.
    spans_constant : bool
        Whether its columns, all of them, add up to the constant.
    """

    values: npt.NDArray[Any]
    names: tuple[str, ...] = ()
    levels: pd.Index[Any] | None = None
    spans_constant: bool = False


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
            return Design(_ones(self.frame.n), constant_encoder(formula.text))
        found = {name: self._factor(name, each) for name, each in formula.read(self.vocabulary).items()}
        coded = {name: each for name, (_, each) in found.items()}
        products = [(), *expanded.products] if expanded.intercept else list(expanded.products)
        columns = _Columns({name: each for name, (each, _) in found.items()}, coded, self.frame.n)
        parts = parts_of_terms(products, lambda name: coded[name].spans_constant)
        terms = tuple(
            DesignTerm(names, tuple(each), tuple(columns.names(each)))
            for names, each in zip(products, parts, strict=True)
        )
        width = sum(len(each.names) for each in terms)
        limits = self.vocabulary.limits
        if width > limits.columns:
            raise formula_error(
                formula.span,
                f"expected at most {limits.columns} columns, got {width}. Categories with many "
                f"levels are groups, as in (1 | g). {limits.hint('columns')}",
            )
        X = columns.matrix(terms)
        encoder = DesignEncoder(
            formula.text,
            tuple(name for each in terms for name in each.names),
            tuple(dict.fromkeys(n for each, _ in found.values() for n in each.expression.columns)),
            terms,
            {name: each for name, (each, _) in found.items()},
        )
        _require_finite_columns(X, encoder.names, self.rows)
        X.flags.writeable = False
        return Design(X, encoder, tuple(each.name for each in terms if not each.names))

    def _factor(self, name: str, expression: Expression) -> tuple[DesignFactor, Coded]:
        """Return a factor, evaluated once for all designs over the rows."""
        if name not in self._coded:
            for column in expression.columns:
                _refuse_dates(self.frame[column])
            states: States = {}
            coded = code_factor(name, expression, self.frame, states)
            self._coded[name] = DesignFactor(expression, coded.levels, states), coded
        return self._coded[name]


def constant_encoder(text: str) -> DesignEncoder:
    """Return the encoder of a design that is the constant alone."""
    return DesignEncoder(text, (INTERCEPT,), (), (DesignTerm((), ((),), (INTERCEPT,)),))


def design_of(encoder: DesignEncoder, frame: Frame) -> Array:
    """Return the design of new data, shape (n, p), coded as the training data were.

    Parameters
    ----------
    encoder : DesignEncoder
    frame : Frame, n rows
        Nothing missing; categories coded as in training.

    Raises
    ------
    DataError
        If a level was not seen in training, or a function cannot be computed.
    """
    if encoder.is_intercept:
        return np.ones((frame.n, len(encoder.names)))
    coded = {}
    for name, factor in encoder.factors.items():
        states = {key: dict(each) for key, each in factor.states.items()}
        found = code_factor(name, factor.expression, frame, states)
        coded[name] = _as_trained(name, factor, found)
    X = _Columns(encoder.factors, coded, frame.n).matrix(encoder.terms)
    return X if encoder.kept is None else X[:, encoder.kept]


def drop_collinear(design: Design) -> tuple[Design, tuple[str, ...]]:
    """Return a design of full column rank, and the names of the columns dropped.

    Of columns that depend on each other the later ones go, as in R.
    """
    keep = independent_columns(design.X)
    if keep.all():
        return design, design.empty
    kept = np.flatnonzero(keep)
    names = np.array(design.encoder.names, dtype=object)
    encoder = replace(design.encoder, names=tuple(names[kept]), kept=kept)
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
    return replace(design, X=frozen(design.X[:, keep]), encoder=encoder)


def code_factor(name: str, expression: Expression, frame: Frame, states: States) -> Coded:
    """Return a factor over the rows of a frame: numbers, or codes of its own levels.

    Parameters
    ----------
    name : str
        Of the factor.
    expression : Expression
    frame : Frame, n rows
    states : dict
        Of functions that remember the training data; filled where they are not there yet.
    """
    value = Evaluation(expression, frame, states).value()
    node = expression.node
    if node.kind == "call" and node.value == CATEGORIES:
        column = _as_column(name, value, frame.n)
        given = arguments_of(node, CATEGORY_ARGUMENTS, skip=1)
        return _categories(column, constant(given["levels"]) if "levels" in given else None)
    if isinstance(value, Basis):
        names = tuple(f"{name}[{each}]" for each in value.names)
        return Coded(value.values, names, spans_constant=value.spans_intercept)
    if isinstance(value, Column):
        if value.levels is None and not value.is_boolean:
            return Coded(value.numbers, (name,))
        return _categories(value, None)
    array = np.asarray(value)
    if array.dtype.kind == "U" or array.dtype.kind == "O":
        return _categories(_as_column(name, array, frame.n), None)
    array = np.broadcast_to(array, (frame.n,)) if array.ndim == 0 else array
    if array.dtype == bool and array.ndim == 1:
        return _categories(Column(name, array), None)
    if array.ndim == 2:
        return Coded(array, tuple(f"{name}[{k}]" for k in range(array.shape[1])))
    return Coded(np.asarray(array, dtype=np.float64), (name,))


def _as_column(name: str, value: Any, n: int) -> Column:
    if isinstance(value, Column):
        return value
    array = np.asarray(value)
    if isinstance(value, Basis) or array.ndim > 1:
        raise DataError(f"{name!r}: expected one column to make categories of, got several.")
    array = np.broadcast_to(array, (n,)) if array.ndim == 0 else array
    if array.dtype.kind in "UO":
        codes, levels = pd.factorize(array.astype(object), sort=True)
        return Column(name, codes, pd.Index(levels, dtype=object))
    return Column(name, array)


def _categories(column: Column, wanted: Sequence[Any] | None) -> Coded:
    """Return a column as categories; those that were asked for, if any were."""
    if column.is_boolean:
        levels: pd.Index[Any] = pd.Index(np.unique(column.values))
        codes = column.values.astype(np.intp) - int(len(levels) == 1 and bool(levels[0]))
    else:
        codes, levels = column.factorise()
    if wanted is not None:
        given = pd.Index(list(wanted), dtype=object)
        codes, levels = matched(column.name, codes, levels, given), given
    unique_level_names(column.name, levels)
    return Coded(codes, levels=levels, spans_constant=len(levels) > 0)


def matched(
    name: str, codes: IntArray, levels: pd.Index[Any], wanted: pd.Index[Any]
) -> IntArray:
    """Return codes into the levels wanted, which are told by their names.

    Raises
    ------
    DataError
        If a row has a level that is none of them.
    """
    places = pd.Index(level_names(wanted), dtype=object).get_indexer(
        pd.Index(level_names(levels), dtype=object)
    )
    found = np.append(places, -1)[codes]
    strange = np.unique(codes[(found < 0) & (codes >= 0)])
    if len(strange):
        raise DataError(
            f"{name!r}: expected the levels listed or seen in training "
            f"({listed(level_names(wanted))}), got {listed(level_names(levels[strange]))}. Drop "
            "the rows or recode them."
        )
    return found


def _as_trained(name: str, factor: DesignFactor, found: Coded) -> Coded:
    """Return a factor of new data with the levels of the training data."""
    if factor.levels is None:
        if found.levels is not None:
            raise DataError(
                f"{name!r}: expected numbers as in training, got levels such as "
                f"{found.levels[0]!r}. Convert the column."
            )
        return found
    if found.levels is None:
        codes, levels = pd.factorize(found.values, sort=True)
        found = Coded(codes, levels=pd.Index(levels))
    assert found.levels is not None
    codes = matched(name, found.values, found.levels, factor.levels)
    return Coded(codes, levels=factor.levels, spans_constant=True)


class _Columns:
    """Columns of products of factors."""

    def __init__(
        self, factors: Mapping[str, DesignFactor], coded: Mapping[str, Coded], n: int
    ) -> None:
        self.factors = factors
        self.coded = coded
        self.n = n
        self._names: dict[tuple[str, bool], tuple[str, ...]] = {}

    def coding(self, name: str, reduced: bool) -> Any:
        levels = self.coded[name].levels
        assert levels is not None
        return code_levels(name, self.factors[name].expression.node, levels.tolist(), reduced)

    def factor_names(self, name: str, reduced: bool) -> tuple[str, ...]:
        key = (name, reduced)
        if key not in self._names:
            coded = self.coded[name]
            if coded.levels is not None:
                self._names[key] = self.coding(name, reduced).names
            else:
                self._names[key] = coded.names[1:] if reduced else coded.names
        return self._names[key]

    def names(self, parts: Sequence[Part]) -> list[str]:
        """Return the names of a term's columns, the levels of its first factor fastest."""
        found = []
        for part in parts:
            if not part:
                found.append(INTERCEPT)
                continue
            each = [self.factor_names(name, reduced) for name, reduced in part]
            if prod(map(len, each)) > 1_000_000:
                raise DataError(
                    f"{':'.join(name for name, _ in part)}: expected a term of at most a million "
                    "columns. Categories with many levels are groups, as in (1 | g)."
                )
            found += [":".join(reversed(names)) for names in product(*reversed(each))]
        return found

    def matrix(self, terms: Sequence[DesignTerm]) -> Array:
        """Return the columns of all terms, shape (n, p)."""
        X = np.empty((self.n, sum(len(each.names) for each in terms)))
        start = 0
        for term in terms:
            stop = start + len(term.names)
            for part in term.parts:
                if start + prod(len(self.factor_names(*each)) for each in part) > stop:
                    raise self._unequal(term)
                start = self._fill(X, start, part)
            if start != stop:
                raise self._unequal(term)
        return X

    def _unequal(self, term: DesignTerm) -> DataError:
        return DataError(
            f"{term.name!r}: expected the {len(term.names)} columns of the training data, got "
            "another number of them. A function in the formula must return as many as it did."
        )

    def _fill(self, X: Array, start: int, part: Part) -> int:
        """Write the columns of a product, and return the place after them."""
        if not part:
            X[:, start] = 1.0
            return start + 1
        if len(part) == 1:
            columns = self.values(*part[0])
            X[:, start : start + columns.shape[1]] = columns
            return start + columns.shape[1]
        each = [self.values(name, reduced) for name, reduced in part]
        for chosen in product(*(range(columns.shape[1]) for columns in reversed(each))):
            X[:, start] = each[0][:, chosen[-1]]
            for columns, k in zip(each[1:], reversed(chosen[:-1]), strict=True):
                X[:, start] *= columns[:, k]
            start += 1
        return start

    def values(self, name: str, reduced: bool) -> Array:
        """Return the columns of one factor, shape (n, k)."""
        coded = self.coded[name]
        if coded.levels is None:
            values = coded.values if coded.values.ndim == 2 else coded.values[:, None]
            return values[:, 1:] if reduced else values
        coding = self.coding(name, reduced)
        if coding.matrix is not None:
            return np.asarray(coding.matrix[coded.values])
        levels = np.arange(len(coded.levels))
        return np.asarray(coded.values[:, None] == levels[levels != coding.place], dtype=np.float64)


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


def _require_finite_columns(X: Array, names: tuple[str, ...], rows: Rows) -> None:
    if np.isfinite(X).all():
        return
    for place, name in enumerate(names):
        require_finite(X[:, place], f"term {name!r}", rows)
