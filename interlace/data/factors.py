"""Factors of a design over the rows of a frame, and the columns that their products are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interlace.data.coding import Coding, Part, code_levels
from interlace.data.columns import Column, Frame
from interlace.data.evaluation import Basis, States, compute
from interlace.data.levels import level_names, unique_level_names
from interlace.formulas.expressions import Expression
from interlace.formulas.functions import (
    CATEGORIES,
    CATEGORY_ARGUMENTS,
    arguments_of,
    constant,
)
from interlace_core.messages.errors import DataError
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
    value = compute(expression, frame, states)
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


def matched(name: str, codes: IntArray, levels: pd.Index[Any], wanted: pd.Index[Any]) -> IntArray:
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


def as_trained(name: str, factor: DesignFactor, found: Coded) -> Coded:
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


class Columns:
    """Columns of products of factors.

    Parameters
    ----------
    factors : mapping from str to DesignFactor
    coded : mapping from str to Coded
        The same over n rows.
    n : int
    codings : dict, optional
        Of factors coded in full (False) or by contrasts (True), where they are known.
    """

    def __init__(
        self,
        factors: Mapping[str, DesignFactor],
        coded: Mapping[str, Coded],
        n: int,
        codings: dict[tuple[str, bool], Coding] | None = None,
    ) -> None:
        self.factors = factors
        self.coded = coded
        self.n = n
        self.codings = {} if codings is None else codings
        self._names: dict[tuple[str, bool], tuple[str, ...]] = {}

    def coding(self, name: str, reduced: bool) -> Coding:
        """Return the coding of a factor's levels, in full or by contrasts."""
        key = (name, reduced)
        if key not in self.codings:
            levels = self.coded[name].levels
            assert levels is not None
            node = self.factors[name].expression.node
            self.codings[key] = code_levels(name, node, levels.tolist(), reduced)
        return self.codings[key]

    def factor_names(self, name: str, reduced: bool) -> tuple[str, ...]:
        """Return the names of the columns of one factor."""
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
            return start + int(columns.shape[1])
        each = [self.values(name, reduced) for name, reduced in part]
        for chosen in product(*(range(columns.shape[1]) for columns in reversed(each))):
            X[:, start] = each[0][:, chosen[-1]]
            for columns, k in zip(each[1:], reversed(chosen[:-1]), strict=True):
                X[:, start] *= columns[:, k]
            start += 1
        return start

    def values(self, name: str, reduced: bool) -> npt.NDArray[Any]:
        """Return the columns of one factor, shape (n, k): numbers, or true and false."""
        coded = self.coded[name]
        if coded.levels is None:
            values = coded.values if coded.values.ndim == 2 else coded.values[:, None]
            return values[:, 1:] if reduced else values
        coding = self.coding(name, reduced)
        if coding.matrix is not None:
            return np.asarray(coding.matrix[coded.values])
        levels = np.arange(len(coded.levels), dtype=coded.values.dtype)
        return np.asarray(coded.values[:, None] == levels[levels != coding.place])
