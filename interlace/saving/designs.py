"""Codecs of the encoders of new data: column codes, grouping factors, offsets and designs.

A design is stored as its terms and their factors. Each factor is an expression, which is read anew
by the rule for every formula: columns, constants, operators and the functions listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from interlace.config.options import Config
from interlace.data.design import DesignEncoder
from interlace.data.encoder import Encoder, PredictorEncoder, TermEncoder
from interlace.data.factors import DesignFactor, DesignTerm
from interlace.data.levels import ColumnCode, FactorEncoder, level_names
from interlace.data.rank import Dependence
from interlace.formulas.allowed import Vocabulary, parse_expression
from interlace.formulas.expressions import Expression
from interlace.formulas.limits import Limits
from interlace.formulas.tokens import Source, Span, whole
from interlace.saving.codecs import (
    Codec,
    Store,
    array,
    entries,
    flag,
    integer,
    mapping_of,
    maybe,
    number,
    pair,
    record,
    text,
    tuple_of,
    wrong,
)
from interlace.saving.values import maybe_index, value
from interlace_core.messages.errors import FormulaError, SavedFileError

_texts = tuple_of(text)

MOST_LEVELS = 1_000_000
"""Levels that a column or factor of a file may have: a few bytes can ask for any number of them."""


def _read_levels(given: Any, store: Store, where: str) -> pd.Index[Any] | None:
    levels: pd.Index[Any] | None = maybe_index.read(given, store, where)
    if levels is None:
        return None
    if isinstance(levels, pd.MultiIndex) or levels.size > MOST_LEVELS:
        raise wrong(where, f"at most {MOST_LEVELS} levels", given)
    names = level_names(levels)
    if len(set(names)) < len(names):
        raise wrong(where, "levels of different names", names)
    return levels


_levels = Codec(maybe_index.write, _read_levels)


_part = tuple_of(pair(text, flag))
_term = record(DesignTerm, factors=_texts, parts=tuple_of(_part), names=_texts)
_states = mapping_of(value)
_factor_entries = entries(
    {"expression": text, "columns": _texts, "levels": _levels, "states": _states}
)


def _write_factor(factor: DesignFactor, store: Store) -> Any:
    _refuse_functions(factor.expression)
    return {
        "expression": factor.expression.node.text,
        "columns": _texts.write(factor.expression.columns, store),
        "levels": maybe_index.write(factor.levels, store),
        "states": _states.write(factor.states, store),
    }


def _read_factor(given: Any, store: Store, where: str) -> DesignFactor:
    """Return a factor whose expression was read anew, by the rule for every formula."""
    parts = _factor_entries.read(given, store, where)
    span = whole(Source(parts["expression"], where))
    found = _parsed(lambda known: parse_expression(span, known, transforms=True), parts, where)
    calls = {each.text for each in found.node.walk() if each.kind == "call"}
    for key, state in parts["states"].items():
        if not isinstance(state, dict) or key not in calls:
            raise wrong(f"{where}.states", "what functions of the expression remember", key)
    return DesignFactor(found, parts["levels"], parts["states"])


_factor = Codec(_write_factor, _read_factor)
_design_entries = record(
    DesignEncoder,
    text=text,
    names=_texts,
    columns=_texts,
    terms=tuple_of(_term),
    factors=mapping_of(_factor),
    kept=maybe(array(1, "i")),
    points=maybe(array(2)),
    mix=maybe(array(2)),
    shared=mapping_of(text),
    dependence=maybe(
        record(Dependence, kept=array(1, "i"), dropped=array(1, "i"), relations=array(2))
    ),
)


def _read_design(given: Any, store: Store, where: str) -> DesignEncoder:
    design: DesignEncoder = _design_entries.read(given, store, where)
    known = {name for each in design.factors.values() for name in each.expression.columns}
    if known != set(design.columns):
        raise wrong(f"{where}.columns", ", ".join(sorted(known)), design.columns)
    for term in design.terms:
        used = {name for part in term.parts for name, _ in part}
        if not used <= set(term.factors) <= set(design.factors):
            raise wrong(f"{where}.terms", "terms of the factors listed", term.factors)
    width, kept = design.width, design.kept
    if kept is not None and not ((kept >= 0) & (kept < width)).all():
        raise wrong(f"{where}.kept", f"places below {width}", kept.tolist())
    if design.dependence is not None:
        _check_dependence(design.dependence, width, f"{where}.dependence")
    points = design.points
    if points is not None:
        if kept is not None or points.shape != (len(design.names), width):
            raise wrong(f"{where}.points", f"{len(design.names)} points", points.shape)
    elif design.mix is not None:
        if kept is None or design.mix.shape != (len(kept), len(design.names)):
            raise wrong(f"{where}.mix", f"{len(design.names)} columns", design.mix.shape)
    elif len(design.names) != (width if kept is None else len(kept)):
        raise wrong(f"{where}.names", f"{width} columns", design.names)
    return design


def _check_dependence(found: Dependence, width: int, where: str) -> None:
    places = [*found.kept.tolist(), *found.dropped.tolist()]
    if sorted(places) != list(range(width)):
        raise wrong(where, f"each of {width} columns once", places)
    if found.relations.shape != (len(found.kept), len(found.dropped)):
        raise wrong(where, "one number for each pair of columns", found.relations.shape)


def _write_expression(expression: Expression, store: Store) -> dict[str, Any]:
    _refuse_functions(expression)
    source = expression.span.source
    return {
        "source": source.text,
        "argument": source.argument,
        "start": expression.span.start,
        "stop": expression.span.stop,
        "columns": list(expression.columns),
    }


def _read_expression(given: Any, store: Store, where: str) -> Expression:
    """Return an expression parsed anew, by the parser that runs no code."""
    known = {"source": text, "argument": text, "start": integer, "stop": integer, "columns": _texts}
    parts = entries(known).read(given, store, where)
    span = Span(Source(parts["source"], parts["argument"]), parts["start"], parts["stop"])
    if not 0 <= span.start < span.stop <= len(span.source.text):
        raise wrong(where, "an expression within its text", (span.start, span.stop))
    return _parsed(lambda known: parse_expression(span, known), parts, where)


def _parsed(
    parse: Callable[[Vocabulary], Expression], parts: dict[str, Any], where: str
) -> Expression:
    try:
        limits = Limits(**(Config({}).resolve("formula_limits") or {}))
        found = parse(Vocabulary(parts["columns"], limits=limits))
    except (FormulaError, RecursionError) as error:
        raise SavedFileError(
            f"load: {where[:200]}: expected a formula of columns, operators and known functions. "
            f"Running another could run code that came with the file; do not use this file. {error}"
        ) from error
    if found.columns != parts["columns"]:
        raise wrong(f"{where}.columns", ", ".join(found.columns), parts["columns"])
    return found


def _refuse_functions(expression: Expression) -> None:
    if expression.functions:
        raise SavedFileError(
            f"save: expected a formula of columns, operators and known functions, got "
            f"{', '.join(expression.functions)}(), handed over in functions=, which a file without "
            "code cannot hold. Add the result to the data as a column and refit, or use pickle, in "
            "places that you trust."
        )


design = Codec(_design_entries.write, _read_design)
expression = Codec(_write_expression, _read_expression)
column_code = record(ColumnCode, name=text, levels=_levels, ordered=flag)
predictor = record(
    PredictorEncoder,
    design=maybe(design),
    offsets=tuple_of(expression),
    constant=number,
    known=maybe(design),
    known_values=array(1),
)
factor = record(
    FactorEncoder,
    columns=_texts,
    column_levels=tuple_of(_texts),
    combinations=tuple_of(array(1, "i")),
    levels=_texts,
)
term = record(TermEncoder, design=design, factor=factor, more=tuple_of(design))
encoder = record(
    Encoder,
    columns=mapping_of(column_code),
    predictors=tuple_of(predictor),
    terms=tuple_of(term),
    external_offset=flag,
)
