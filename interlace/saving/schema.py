"""What a file holds of a result: one codec per record, and what must agree between them.

A field added to one of these records needs its codec here and a higher `SCHEMA`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interlace.config.fit_options import ConfiguredOption
from interlace.results.estimates import AnyEstimates, Estimates
from interlace.results.fit_settings import FitSettings
from interlace.results.fitted_model import Coefficients
from interlace.results.predictors import Predictors
from interlace.results.random_effects import GroupEffects, TermPlace
from interlace.saving.agreement import contradictions
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
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import OptimizerResult

SCHEMA = 9
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
    uncertainty=record(PsiCovariance, inner=array(2), back=maybe(array(2))),
    undetermined=array(1, "b"),
    mode=array(1),
    verdict=verdict,
    optimizer=optimizer_result,
    n_evaluations=integer,
    n_failed=integer,
    n_inner=integer,
    path=tuple_of(pair(number, number)),
    seconds=number,
    searches=tuple_of(record(Searched, origin=text, value=number, converged=flag, lost=text)),
    unsound=text,
    lost=text,
    profiled_covariance=maybe(array(2)),
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
    spread=array(3),
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
    parts=text,
    configured=tuple_of(configured_option),
    frames=text,
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

predictors = record(Predictors, eta=array(2), eta_fixed=array(2))

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
    "predictors": predictors,
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
    for where, expected, got in contradictions(result):
        raise wrong(f"result.{where}", expected, got)
    if training is None:
        return result
    return replace(result, training=read_training(training, store, result))
