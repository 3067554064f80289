"""What a file holds of a result: one codec per record, and what must agree between them.

A field added to one of these records needs its codec here and a higher `SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from interlace.config.fit_options import ConfiguredOption
from interlace.results.estimates import AnyEstimates, Estimates
from interlace.results.fit_settings import FitSettings
from interlace.results.fitted_model import Coefficients
from interlace.results.random_effects import GroupEffects, TermPlace
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
    place,
    record,
    text,
    tuple_of,
    wrong,
)
from interlace.saving.components import family
from interlace.saving.designs import encoder
from interlace.saving.training import read_training, write_training
from interlace.saving.values import index_labels, value
from interlace_core.contract.approximation import Method
from interlace_core.contract.problem import RowReport
from interlace_core.fitting.fitted import Fit, Searched
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import OptimizerResult

SCHEMA = 6
"""Version of the layout described here."""

_texts = tuple_of(text)

verdict = record(
    Verdict,
    status=text,
    converged=flag,
    remaining_gain=number,
    boundary=_texts,
    message=text,
    undetermined=_texts,
)
optimizer_result = record(
    OptimizerResult, x=array(1), value=number, success=flag, message=text, n_evaluations=integer
)
fit = record(
    Fit,
    psi=array(1),
    value=number,
    gradient=array(1),
    vcov=array(2),
    undetermined=array(1, "b"),
    mode=array(1),
    verdict=verdict,
    optimizer=optimizer_result,
    n_evaluations=integer,
    n_failed=integer,
    n_inner=integer,
    path=tuple_of(pair(number, number)),
    seconds=number,
    searches=tuple_of(record(Searched, origin=text, value=number, converged=flag)),
    unsound=text,
)
term_place = record(
    TermPlace,
    label=text,
    predictor=integer,
    group=text,
    names=_texts,
    structure=text,
    columns=place,
    options=mapping_of(value),
    column_levels=_texts,
    points=mapping_of(array(1)),
    held=mapping_of(number),
    theta=place,
    along=tuple_of(integer),
)
group_effects = record(
    GroupEffects,
    levels=_texts,
    names=_texts,
    values=array(2),
    covariance=array(3),
    root=array(2),
    scales=maybe(array(1)),
    without_data=integer,
    uninformed=integer,
)


row_report = record(
    RowReport,
    index=index_labels,
    n_given=integer,
    n_used=integer,
    missing=mapping_of(integer),
    uninformative=integer,
)
configured_option = record(ConfiguredOption, name=text, value=text, origin=text)
settings = record(
    FitSettings,
    approximation=text,
    optimizer=text,
    structure=text,
    new_levels=text,
    extras=mapping_of(value),
    parameters=mapping_of(text),
    weights=maybe(text),
    offset=maybe(text),
    correlation=maybe(text),
    response_levels=_texts,
    priors=mapping_of(text),
    penalty=number,
    df_method=text,
    returned=text,
    kernel=text,
    configured=tuple_of(configured_option),
)
# The parameter itself comes from the family.
coefficients = entries({"names": _texts, "estimates": array(1), "place": place})

method = record(
    Method,
    name=text,
    points=maybe(integer),
    nAGQ=maybe(integer),
    restricted=flag,
    penalised=flag,
)

FIELDS: dict[str, Codec] = {
    "formula": text,
    "family": family,
    "coefficients": tuple_of(coefficients),
    "terms": tuple_of(term_place),
    "effects": mapping_of(group_effects),
    "fit": fit,
    "rows": row_report,
    "y": array(),
    "weights": maybe(array(1)),
    "eta": array(2),
    "eta_fixed": array(2),
    "encoder": encoder,
    "settings": settings,
    "fitted_by": method,
    "dropped_columns": _texts,
    "notes": _texts,
}
WITH_DATA = ("training",)
"""The arrays of the fit and its components, without which a result does not fit again; apart from
the others, since it is read with what they say."""
LATE = ("look_closer", "known_notes")
"""What notes are made of when asked; they are saved whole."""

_entries = entries(FIELDS)


def write_result(result: Estimates, store: Store, data: bool) -> Any:
    """Return a result as JSON can hold it; its arrays go into the store.

    Parameters
    ----------
    result : Estimates
    store : Store
    data : bool
        Whether what it was fitted to is written, if it has that.
    """
    training = result.training if data else None
    return {
        **_entries.write(result, store),
        "training": None if training is None else write_training(training, store),
    }


def read_result(given: Any, store: Store, returns: type[AnyEstimates]) -> AnyEstimates:
    """Return the result that was written.

    Raises
    ------
    SavedFileError
        If an entry is missing, unknown, of another type, or contradicts another.
    UnknownNameError
        If the family is not installed.
    """
    if type(given) is not dict or "training" not in given:
        raise wrong("result", "an entry training", given)
    training = given["training"]
    others = {name: each for name, each in given.items() if name != "training"}
    fields = _entries.read(others, store, "result")
    parameters = fields["family"].parameters
    found = fields["coefficients"]
    if len(found) != len(parameters):
        raise wrong("result.coefficients", f"one entry for each of {len(parameters)}", len(found))
    fields["coefficients"] = tuple(
        Coefficients(parameter, **each) for parameter, each in zip(parameters, found, strict=True)
    )
    result = returns(known_notes=fields.pop("notes"), **fields)
    for where, expected, got in _contradictions(result):
        raise wrong(f"result.{where}", expected, got)
    if training is None:
        return result
    return replace(result, training=read_training(training, store, result))


def _contradictions(result: Estimates) -> Iterator[tuple[str, str, Any]]:
    """Yield each place where sizes do not fit together: where, what was expected, what is there."""
    n, K, P = result.rows.n_used, len(result.coefficients), result.fit.psi.size
    checks = [
        ("rows.index", n, len(result.rows.index)),
        ("rows.uninformative", True, 0 <= result.rows.uninformative <= n),
        ("y", (n,), result.y.shape[:1]),
        ("weights", n, n if result.weights is None else len(result.weights)),
        ("eta", (K, n), result.eta.shape),
        ("eta_fixed", (K, n), result.eta_fixed.shape),
        ("fit.gradient", P, result.fit.gradient.size),
        ("fit.vcov", (P, P), result.fit.vcov.shape),
        ("fit.undetermined", P, result.fit.undetermined.size),
        ("encoder.predictors", K, len(result.encoder.predictors)),
        ("encoder.terms", len(result.terms), len(result.encoder.terms)),
        *_coefficient_sizes(result),
        *_effect_sizes(result),
    ]
    yield from ((where, str(expected), got) for where, expected, got in checks if expected != got)


def _coefficient_sizes(result: Estimates) -> Iterator[tuple[str, Any, Any]]:
    stop = result.coefficients[0].place.start
    for k, (found, coder) in enumerate(
        zip(result.coefficients, result.encoder.predictors, strict=False)
    ):
        where, width = f"coefficients[{k}]", len(found.names)
        yield f"{where}.place", (stop, stop + width), (found.place.start, found.place.stop)
        yield f"{where}.estimates", width, found.estimates.size
        names = coder.design.names if coder.design else ()
        yield f"encoder.predictors[{k}]", found.names, names
        used = {name for each in coder.offsets for name in each.columns}
        used |= set(coder.design.columns if coder.design else ())
        yield "encoder.columns", set(), used - set(result.encoder.columns)
        stop = found.place.stop
    yield "fit.psi", stop, result.fit.psi.size


def _effect_sizes(result: Estimates) -> Iterator[tuple[str, Any, Any]]:
    for group, effects in result.effects.items():
        L, c = len(effects.levels), len(effects.names)
        yield f"effects.{group}.values", (L, c), effects.values.shape
        yield f"effects.{group}.covariance", (L, c, c), effects.covariance.shape
        yield f"effects.{group}.root", (c, c), effects.root.shape
        scales = (L,) if effects.scales is None else effects.scales.shape
        yield f"effects.{group}.scales", (L,), scales
        yield f"effects.{group}.without_data", True, 0 <= effects.without_data < L
        yield f"effects.{group}.uninformed", True, 0 <= effects.uninformed < L
    for t, (term, coder) in enumerate(zip(result.terms, result.encoder.terms, strict=False)):
        where = f"terms[{t}]"
        yield f"{where}.group", True, term.group in result.effects
        if term.group not in result.effects:
            continue
        effects = result.effects[term.group]
        K = len(result.coefficients)
        yield f"{where}.predictor", True, all(0 <= k < K for k in (term.predictor, *term.along))
        yield f"{where}.along", True, len(term.along) in (0, len(term.names))
        yield f"{where}.columns", len(term.names), term.columns.stop - term.columns.start
        yield f"{where}.columns", True, term.columns.stop <= len(effects.names)
        yield f"encoder.{where}.design", len(term.names), coder.size
        yield f"encoder.{where}.factor", effects.levels, coder.factor.levels
        yield (
            f"encoder.{where}.factor.columns",
            len(coder.factor.columns),
            len(coder.factor.column_levels),
        )
        yield (
            f"encoder.{where}.factor.combinations",
            len(coder.factor.columns) - 1,
            len(coder.factor.combinations),
        )
        yield "encoder.columns", set(), set(coder.columns) - set(result.encoder.columns)
