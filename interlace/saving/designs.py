"""Codecs of the encoders of new data: column codes, grouping factors, offsets and designs.

A design's formula is stored as its expanded terms, never as text to be parsed again. Each factor
of a term is a column, a number, or an expression that `allowed` lets through; anything else is
refused when saving and when loading.
"""

from __future__ import annotations

from typing import Any

from formulaic import Formula, ModelSpec
from formulaic.materializers.base import EncodedTermStructure
from formulaic.materializers.types import EvaluatedFactor, NAAction, ScopedFactor, ScopedTerm
from formulaic.parser.types import Factor, Term

from interlace.saving.allowed import MAX_TEXT, RefusedError, check_expression
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
from interlace_core.data.design import DesignEncoder
from interlace_core.data.encoder import Encoder, PredictorEncoder, TermEncoder
from interlace_core.data.levels import ColumnCode, FactorEncoder
from interlace_core.formulas.expressions import Expression, parse_expression
from interlace_core.formulas.tokens import Source, Span
from interlace_core.messages.errors import FormulaError, SavedFileError

_texts = tuple_of(text)


def check_factors(spec: ModelSpec, columns: tuple[str, ...]) -> None:
    """Raise a RefusedError if a factor of a design may not stand in a file."""
    for term in spec.formula:
        for factor in term.factors:
            _check_factor(factor, columns)


def _check_factor(factor: Factor, columns: tuple[str, ...]) -> None:
    method = factor.eval_method.value
    if method == "python":
        check_expression(factor.expr, columns)
    elif method == "lookup" and factor.expr not in columns:
        raise RefusedError(f"the name {factor.expr!r}")
    elif method == "literal" and not factor.expr.isdecimal():
        raise RefusedError(f"the literal {factor.expr!r}")


_factor = pair(text, text)
_terms = tuple_of(tuple_of(_factor))
_scoped = tuple_of(pair(number, tuple_of(pair(text, flag))))
_structure = tuple_of(pair(_scoped, _texts))
_states = mapping_of(value)
_encodings = mapping_of(pair(text, value))


def _write_spec(spec: ModelSpec, store: Store) -> dict[str, Any]:
    terms = [[(f.expr, f.eval_method.value) for f in term.factors] for term in spec.formula]
    structure = [
        ([(t.scale, [(f.factor.expr, f.reduced) for f in t.factors]) for t in scoped], columns)
        for _, scoped, columns in spec.structure or ()
    ]
    # The contrasts kept beside the categories are for looking at; they are made anew when used.
    encodings = {
        expression: (kind.value, _without_contrasts(state))
        for expression, (kind, state) in spec.encoder_state.items()
    }
    return {
        "terms": _terms.write(terms, store),
        "structure": _structure.write(structure, store),
        "transforms": _states.write(spec.transform_state, store),
        "encodings": _encodings.write(encodings, store),
    }


def _without_contrasts(state: dict[Any, Any]) -> dict[Any, Any]:
    return {
        key: _without_contrasts(each) if isinstance(each, dict) else each
        for key, each in state.items()
        if key != "contrasts"
    }


def _read_spec(given: Any, store: Store, where: str) -> ModelSpec:
    keys = ("terms", "structure", "transforms", "encodings")
    if type(given) is not dict or set(given) != set(keys):
        raise wrong(where, f"the entries {', '.join(keys)}", given)
    terms = _read_terms(given["terms"], store, f"{where}.terms")
    structure = _structure.read(given["structure"], store, f"{where}.structure")
    states = _states.read(given["transforms"], store, f"{where}.transforms")
    encodings = _encodings.read(given["encodings"], store, f"{where}.encodings")
    for key, state in [*states.items(), *((key, state) for key, (_, state) in encodings.items())]:
        if not isinstance(state, dict):
            raise wrong(f"{where}: state of {key!r}", "a table", state)
    if len(terms) != len(structure):
        raise wrong(where, f"the structure of {len(terms)} terms", len(structure))
    factors = {factor.expr: factor for term in terms for factor in term.factors}
    try:
        return ModelSpec(
            formula=Formula(terms, _ordering="none"),
            materializer="pandas",
            materializer_params={},
            na_action=NAAction.IGNORE,
            output="numpy",
            structure=[
                _term_structure(term, scoped, columns, factors)
                for term, (scoped, columns) in zip(terms, structure, strict=True)
            ],
            transform_state=states,
            encoder_state={
                expression: (Factor.Kind(kind), state)
                for expression, (kind, state) in encodings.items()
            },
        )
    except (KeyError, ValueError) as error:
        raise wrong(where, f"a design that fits together ({error})", sorted(factors)) from error


def _read_terms(given: Any, store: Store, where: str) -> list[Term]:
    terms = []
    for factors in _terms.read(given, store, where):
        for _, method in factors:
            if method not in ("literal", "lookup", "python"):
                raise wrong(where, "literal, lookup or python", method)
        terms.append(Term([Factor(expr, eval_method=method) for expr, method in factors]))
    return terms


def _term_structure(
    term: Term, scoped: Any, columns: tuple[str, ...], factors: dict[str, Factor]
) -> EncodedTermStructure:
    parts = [
        ScopedTerm(
            [ScopedFactor(EvaluatedFactor(factors[expr], None), reduced) for expr, reduced in each],
            scale=scale,
        )
        for scale, each in scoped
    ]
    return EncodedTermStructure(term, parts, list(columns))


_spec = Codec(_write_spec, _read_spec)
_design_entries = entries(
    {
        "text": text,
        "names": _texts,
        "columns": _texts,
        "spec": maybe(_spec),
        "kept": maybe(array(1, "i")),
        "points": maybe(array(2)),
        "mix": maybe(array(2)),
        "shared": mapping_of(text),
    }
)


def _write_design(design: DesignEncoder, store: Store) -> Any:
    if design.spec is not None:
        try:
            check_factors(design.spec, design.columns)
        except RefusedError as refused:
            raise SavedFileError(
                f"save: expected a formula of columns, operators and known functions, got "
                f"{refused} in {design.text!r}, which a file without code cannot hold. Add the "
                "result to the data as a column and refit, or use pickle, in places that you trust."
            ) from None
    return _design_entries.write(design, store)


def _read_design(given: Any, store: Store, where: str) -> DesignEncoder:
    design = DesignEncoder(**_design_entries.read(given, store, where))
    if design.spec is not None:
        try:
            check_factors(design.spec, design.columns)
        except RefusedError as refused:
            raise SavedFileError(
                f"load: {where}: expected a formula of columns, operators and known functions, "
                f"got {refused}. Computing it could run code that came with the file; do not use "
                "this file."
            ) from None
    width = 1 if design.spec is None else len(design.spec.column_names)
    kept = design.kept
    if kept is not None and not ((kept >= 0) & (kept < width)).all():
        raise wrong(f"{where}.kept", f"places below {width}", kept.tolist())
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


def _write_expression(expression: Expression, store: Store) -> dict[str, Any]:
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
    inside = 0 <= span.start < span.stop <= len(span.source.text) <= MAX_TEXT
    if not inside:
        raise wrong(where, "an expression within its text", (span.start, span.stop))
    try:
        found = parse_expression(span, parts["columns"])
    except (FormulaError, IndexError, MemoryError, RecursionError) as error:
        raise wrong(where, f"an expression in columns ({error})", span.text) from error
    if found.columns != parts["columns"]:
        raise wrong(f"{where}.columns", ", ".join(found.columns), parts["columns"])
    return found


design = Codec(_write_design, _read_design)
expression = Codec(_write_expression, _read_expression)
column_code = record(ColumnCode, name=text, levels=maybe_index)
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
term = record(TermEncoder, design=design, factor=factor)
encoder = record(
    Encoder,
    columns=mapping_of(column_code),
    predictors=tuple_of(predictor),
    terms=tuple_of(term),
    external_offset=flag,
)
