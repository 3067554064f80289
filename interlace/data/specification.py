"""What the user asked for, read against the columns of the data but not yet their values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.frames import Table
from interlace.data.levels import check_distinct
from interlace.data.request import ModelRequest
from interlace.data.rows import Vector, read_vector
from interlace.formulas.allowed import Vocabulary, parse_expression, parse_response
from interlace.formulas.bars import DEFAULT_STRUCTURE, KNOWN_LEVELS, Bar
from interlace.formulas.expressions import Expression
from interlace.formulas.formula import ParsedFormula, parse_formula, parse_group, parse_random
from interlace.formulas.terms import LinearFormula
from interlace.formulas.tokens import Source, unknown_column, whole
from interlace_core.contract.family import Family
from interlace_core.messages.checks import names_of, shown
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.messages.names import did_you_mean, listed
from interlace_core.records import Array


@dataclass(frozen=True)
class ParameterFormula:
    """What was asked for one distributional parameter; by default `~ 1`.

    Attributes
    ----------
    fixed : LinearFormula
        Fixed effects.
    offsets : tuple of Expression
        Offsets within the formula.
    bars : tuple of Bar
        Random-effects terms.
    columns : tuple of str
        Columns of the data that these use.
    argument : str
        Of the call, by which it was given, for messages.
    """

    fixed: LinearFormula = LinearFormula(())
    offsets: tuple[Expression, ...] = ()
    bars: tuple[Bar, ...] = ()
    columns: tuple[str, ...] = ()
    argument: str = "parameters"


@dataclass(frozen=True)
class Specification:
    """A model as asked for.

    Attributes
    ----------
    formula : str
        As written.
    response : tuple of Expression
        One, or two for successes and failures.
    mean : ParameterFormula
        The first parameter's part, with the terms of `groups` and `random`.
    parameters : mapping from str to ParameterFormula
        The other parameters' parts by the user's key, a name or a role.
    weights, offset, known_variance : Expression, ndarray of shape (n_given,), or None
        As given; the diagonal of a known covariance.
    known_covariance : ndarray, shape (n_given, n_given), or None
        Of the rows' errors.
    correlated : bool
        Whether a correlation of the rows' errors is asked for.
    """

    formula: str
    response: tuple[Expression, ...]
    mean: ParameterFormula
    parameters: Mapping[str, ParameterFormula]
    weights: Vector | None
    offset: Vector | None
    known_variance: Vector | None = None
    known_covariance: Array | None = None
    correlated: bool = False

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column of the data that the model uses, each once."""
        given = (self.weights, self.offset, self.known_variance)
        vectors = [each for each in given if isinstance(each, Expression)]
        expressions = [name for each in (*self.response, *vectors) for name in each.columns]
        parts = [name for each in self.parameters.values() for name in each.columns]
        return tuple(dict.fromkeys([*expressions, *self.mean.columns, *parts]))

    @cached_property
    def covariates(self) -> tuple[str, ...]:
        """Columns that stand alone as factors of fixed or random effects, each once."""
        parts = (self.mean, *self.parameters.values())
        formulas = [part.fixed for part in parts] + [
            bar.left for part in parts for bar in part.bars
        ]
        nodes = [node for each in formulas for node in each.expanded.factors.values()]
        return tuple(dict.fromkeys(str(node.value) for node in nodes if node.kind == "name"))

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Weights and offset given as arrays, by argument."""
        vectors = {
            "weights": self.weights,
            "offset": self.offset,
            "known_variance": self.known_variance,
        }
        return {
            name: each
            for name, each in vectors.items()
            if each is not None and not isinstance(each, Expression)
        }


def read_specification(
    request: ModelRequest, table: Table, vocabulary: Vocabulary
) -> Specification:
    """Return the model asked for, with every name checked against the data's columns.

    Parameters
    ----------
    request : ModelRequest
    table : Table
        The data.
    vocabulary : Vocabulary
        What the names of a formula can mean.

    Raises
    ------
    FormulaError
        If a formula cannot be read, a name is no column, or a term is there twice.
    OptionError
        If an argument has the wrong type.
    DataError
        If weights or offset have the wrong length or are no numbers.
    """
    parsed = parse_formula(request.formula, limits=vocabulary.limits)
    assert parsed.response is not None
    more = [
        *_group_bars(request.groups, table.columns),
        *_random_bars(request.random, vocabulary),
    ]
    mean, others = structured(
        _read_part(parsed, more, vocabulary),
        _read_parameters(request, vocabulary),
        request.covariance,
    )
    matrix = read_matrix(request.known_variance, len(table.index))
    variances = request.known_variance if matrix is None else np.diagonal(matrix).copy()
    specification = Specification(
        formula=request.formula,
        response=parse_response(parsed.response, vocabulary),
        mean=mean,
        parameters=others,
        weights=read_vector(request.weights, "weights", table, vocabulary),
        offset=read_vector(request.offset, "offset", table, vocabulary),
        known_variance=read_vector(variances, "known_variance", table, vocabulary),
        known_covariance=matrix,
        correlated=request.correlation is not None,
    )
    _refuse_response(specification)
    return specification


def _refuse_response(specification: Specification) -> None:
    """Raise a DataError if the response, a column as it is, stands among what is to explain it."""
    own = [each.column for each in specification.response if each.column is not None]
    for name in dict.fromkeys(own):
        if name in specification.covariates:
            raise DataError(
                f"formula: {name!r} is the response and stands among the covariates too, in the "
                "formula or in that of another parameter. What explains itself leaves nothing to "
                "estimate: leave it out there, or give another column."
            )


def read_matrix(given: Any, n_given: int) -> Array | None:
    """Return a covariance of all rows given, shape (n_given, n_given); None for what is none.

    Raises
    ------
    DataError
        If it has another shape, or is not symmetric.
    """
    if not isinstance(given, (pd.DataFrame, np.ndarray)) or np.ndim(given) != 2:
        return None
    try:
        V = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        V = np.zeros((0, 0))
    if V.shape != (n_given, n_given):
        raise DataError(
            f"known_variance: expected a column, a number for each of the {n_given} rows, or a "
            f"covariance of shape {(n_given, n_given)}, got shape {np.shape(given)}."
        )
    apart = np.abs(V - V.T)
    finite = np.isfinite(apart)
    if np.any(apart[finite] > 1e-8 * np.max(np.abs(V[finite]), initial=0.0)):
        raise DataError("known_variance: expected a symmetric matrix, got one that is not.")
    return 0.5 * (V + V.T)


def assign_parameters(specification: Specification, family: Family) -> tuple[ParameterFormula, ...]:
    """Return what was asked for each of the family's parameters, in their order.

    Raises
    ------
    OptionError
        If a key is no name or role of a parameter beyond the first, stands for several that
        differ, or belongs to a parameter that is fixed.
    """
    found = [
        (name, part)
        for key, part in specification.parameters.items()
        for name in _find_parameters(key, family, part.argument)
    ]
    asked = dict(found)
    if len(asked) < len(found):
        raise OptionError(
            f"parameters: expected one formula per parameter, got "
            f"{listed(specification.parameters)}, which mean the same. Keep one of them."
        )
    others = family.parameters[1:]
    return (specification.mean, *(asked.get(each.name, ParameterFormula()) for each in others))


def _read_part(
    parsed: ParsedFormula, more: Sequence[Bar], vocabulary: Vocabulary
) -> ParameterFormula:
    """Return a parsed formula with its names checked, and further random-effects terms added."""
    offsets = tuple(parse_expression(each, vocabulary) for each in parsed.offsets)
    bars = (*parsed.bars, *more)
    named = list(parsed.fixed.columns(vocabulary))
    named += [name for each in offsets for name in each.columns]
    for bar in bars:
        named += bar.left.columns(vocabulary)
        for span, name in zip(bar.factors, bar.columns, strict=True):
            if name not in vocabulary.columns:
                raise unknown_column(span, name, vocabulary.columns)
        named += bar.columns
    check_distinct(bars)
    return ParameterFormula(parsed.fixed, offsets, bars, tuple(dict.fromkeys(named)))


def _read_parameters(request: ModelRequest, vocabulary: Vocabulary) -> dict[str, ParameterFormula]:
    parts = {}
    for key, text in request.parameters.items():
        argument = request.argument_of(key)
        parsed = parse_formula(text, response=False, argument=argument, limits=vocabulary.limits)
        given = request.arguments.get(key, "parameters")
        parts[key] = replace(_read_part(parsed, (), vocabulary), argument=given)
    return parts


def _group_bars(groups: str | Sequence[str] | None, columns: Collection[str]) -> Iterable[Bar]:
    for text in _texts(groups, "groups", "'herd'"):
        if text in columns:
            span = whole(Source(text, "groups"))
            yield Bar(span, LinearFormula(()), (span,))
        else:
            yield from parse_group(text)


def _random_bars(random: str | Sequence[str] | None, vocabulary: Vocabulary) -> Iterable[Bar]:
    for text in _texts(random, "random", "'(1 + x | g)'"):
        yield from parse_random(text, limits=vocabulary.limits)


def _texts(values: str | Sequence[str] | None, argument: str, example: str) -> Sequence[str]:
    """Return one text or several as a list."""
    if values is None:
        return []
    return names_of(values, argument, f"text such as {example}")


def _find_parameters(key: str, family: Family, argument: str) -> list[str]:
    """Return the names of the parameters that a key means: one, or all that are of one kind."""
    first, *others = family.parameters
    found = [each for each in others if each.name == key]
    found = found or [each for each in others if each.role == key]
    free = all(each.fixed is None for each in found)
    if free and (len(found) == 1 or (found and key == "threshold")):
        return [each.name for each in found]
    known = [each.name for each in others if each.fixed is None]
    if key in (first.name, first.role):
        got = f"{key!r}, which is modelled by the formula itself. Put its terms there."
    elif len(found) > 1:
        got = f"{key!r}, which is the role of several. Use the name."
    elif found:
        got = f"{key!r}, which is fixed at {found[0].fixed:g}. Leave out the value or the formula."
    else:
        got = f"{key!r}.{did_you_mean(key, known)}"
    choice = f" ({listed(known)})" if known else ", which has none"
    raise OptionError(
        f"{argument}: expected a parameter of family {family.name!r} that can have a formula"
        f"{choice}, got {got}{'' if known else f' Leave {argument} out, or choose another family.'}"
    )


def structured(
    mean: ParameterFormula, others: Mapping[str, ParameterFormula], given: object
) -> tuple[ParameterFormula, dict[str, ParameterFormula]]:
    """Return the formulas with structures put into the terms of the grouping factors named.

    Parameters
    ----------
    mean : ParameterFormula
    others : mapping from str to ParameterFormula
        Of further parameters.
    given : mapping from str to str, or to (str, mapping), or None
        Structure, or structure and options, by grouping factor.

    Raises
    ------
    OptionError
        If it is no such mapping, names no grouping factor of the model, or a term of that factor
        has a structure already.
    """
    if given is None:
        return mean, dict(others)
    if not isinstance(given, Mapping):
        raise OptionError(
            "covariance: expected a dict from grouping factor to structure, such as "
            f"{{'g': 'ar1'}}, got {shown(given)}."
        )
    read = {str(group): _read(str(group), each) for group, each in given.items()}
    bars = [bar for part in (mean, *others.values()) for bar in part.bars]
    groups = list(dict.fromkeys(bar.group for bar in bars))
    for group in read:
        if group not in groups:
            raise OptionError(
                f"covariance: expected grouping factors of the model ({listed(groups) or 'none'}), "
                f"got {group!r}. Write a term such as (0 + time | {group})."
            )
    return _part(mean, read), {name: _part(part, read) for name, part in others.items()}


def _part(
    part: ParameterFormula, read: Mapping[str, tuple[str, tuple[tuple[str, Any], ...]]]
) -> ParameterFormula:
    bars = tuple(_bar(bar, *read[bar.group]) if bar.group in read else bar for bar in part.bars)
    return replace(part, bars=bars)


def _bar(bar: Bar, structure: str, options: tuple[tuple[str, Any], ...]) -> Bar:
    if bar.structure == KNOWN_LEVELS:
        return replace(bar, options=(*bar.options, ("structure", structure), *options))
    if bar.structure != DEFAULT_STRUCTURE or bar.options:
        raise OptionError(
            f"covariance[{bar.group!r}]: expected terms of {bar.group!r} without a structure, got "
            f"({bar.label}). Give the structure in one place."
        )
    return replace(bar, structure=structure, options=options)


def _read(group: str, given: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    if isinstance(given, str):
        return given, ()
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[0], str)
        and isinstance(given[1], Mapping)
    ):
        return given[0], tuple((str(name), value) for name, value in given[1].items())
    raise OptionError(
        f"covariance[{group!r}]: expected the name of a structure, such as 'ar1', or a name with "
        f"options, such as ('ar1', {{...}}), got {shown(given)}."
    )
