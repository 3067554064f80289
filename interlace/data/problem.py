"""From a formula and a data frame to the immutable arrays of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from interlace.data.asked import read_request
from interlace.data.assembly import (
    Assembled,
    CovarianceLookup,
    assemble,
    overlap_notes,
    relation_notes,
)
from interlace.data.columns import Frame
from interlace.data.correlation import build_correlation
from interlace.data.design import DesignBuilder
from interlace.data.encoder import Encoder
from interlace.data.frames import open_table, read_columns
from interlace.data.known_variance import known_errors, log_deviation, with_known_variance
from interlace.data.levels import drop_unused_levels, numbers_among_text
from interlace.data.request import ModelRequest
from interlace.data.response import (
    RawResponse,
    read_response,
    refuse_constant,
    refuse_silent_categories,
)
from interlace.data.rows import (
    Rows,
    Vector,
    check_weights,
    complete_rows,
    frozen,
    refuse_infinite,
    vector_values,
)
from interlace.data.specification import assign_parameters
from interlace_core.contract.family import Family
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem, RowReport, informative_rows
from interlace_core.contract.row_correlation import RowCorrelation
from interlace_core.families.correlated_rows import CorrelatedRows
from interlace_core.messages.errors import DataWarning, ResponseError
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn
from interlace_core.records import Array, Response


@dataclass(frozen=True)
class Model:
    """A problem with everything needed to report on it and to code new data.

    Attributes
    ----------
    problem : Problem
        Arrays, read-only.
    encoder : Encoder
        Codes new data.
    rows : RowReport
        Rows used and missing values.
    family : Family
        Bound to the data.
    formula : str
        As written.
    dropped_columns : tuple of str
        Collinear columns of the designs; those of other parameters than the mean as
        `parameter: column`.
    notes : tuple of str
        What was done to the data without a warning, such as unused levels dropped.
    response_levels : tuple of str
        Names behind the codes of a response with levels; empty for numbers.
    """

    problem: Problem
    encoder: Encoder
    rows: RowReport
    family: Family
    formula: str
    dropped_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    response_levels: tuple[str, ...] = ()


def build_problem(
    request: ModelRequest,
    family: Family,
    *,
    covariance: CovarianceLookup,
    all_columns: bool = False,
    compiled: Compiled | None = None,
) -> Model:
    """Return a model as immutable arrays, with encoders for new data.

    Parameters
    ----------
    request : ModelRequest
        Its family is not looked at; nor are hold, start and priors.
    family : Family
        Decides on the response and on the parameters.
    covariance : callable
        From the name of a covariance structure to its class.
    all_columns : bool
        Whether collinear columns stay, where these rows stand for others that decide.
    compiled : Compiled, optional
        Compiled code that may serve the problem.

    Returns
    -------
    Model

    Raises
    ------
    FormulaError
        If a formula cannot be read or a name is no column.
    OptionError
        If an argument has the wrong type, or `parameters` an unknown name.
    DataError
        If the data, weights, offset or groups cannot be used.
    ResponseError
        If the response does not suit the family.
    """
    table = open_table(request.data)
    asked = read_request(request, table)
    specification, serial = asked.specification, asked.correlation
    given = read_columns(table, asked.columns)
    rows = complete_rows(given, specification.arrays, table.index)
    frame, notes = drop_unused_levels(rows.select(given))
    refuse_infinite(frame, rows)
    _warn_text(specification.covariates, frame, rows)
    raw = read_response(specification.response, frame, family, rows)
    response = _checked(family, raw, _weights(specification.weights, frame, rows), rows)
    response = replace(response, y=frozen(response.y))  # before a family keeps some of it
    bound = family.bind(response.y)
    errors = known_errors(specification, family, frame, rows, request.who)
    correlated = None if serial is None else build_correlation(serial, frame, rows, covariance)
    if correlated is not None:
        bound = CorrelatedRows(bound, correlated.structure, correlated.largest)
    parts = assign_parameters(specification, bound)
    designs = DesignBuilder(frame, rows, asked.vocabulary)
    informative = informative_rows(bound, response.y, response.weights)
    design = assemble(
        parts,
        bound,
        specification.offset,
        designs,
        covariance,
        request.known,
        informative,
        all_columns=all_columns,
    )
    if errors is not None:
        values, correlated = errors
        written = log_deviation(specification.known_variance, asked.vocabulary)
        predictors, encoder = with_known_variance(
            design.predictors, design.encoder, bound, values, written, frame
        )
        design = replace(design, predictors=predictors, encoder=encoder)
    text = " and ".join(each.text for each in specification.response)
    refuse_constant(response, raw, bound, design.predictors[0].offset, text)
    if not all_columns:  # rows that stand for others do not decide
        refuse_silent_categories(response, raw, bound, informative, text)
    _warn_dropped(design.dropped, design.advice)
    problem = _problem(response, bound, design, correlated, compiled)
    silent = problem.n - int(np.count_nonzero(informative))
    return Model(
        problem=problem,
        encoder=design.encoder,
        rows=rows.report(uninformative=silent),
        family=bound,
        formula=request.formula,
        dropped_columns=design.dropped,
        notes=(
            *notes,
            *overlap_notes(design.terms),
            *relation_notes(design.terms),
            *(_correlation_notes(correlated) if errors is None else _error_notes(correlated)),
            *(_known_notes(design) if errors is None else ()),
            *_uninformative_notes(silent),
        ),
        response_levels=raw.levels,
    )


def _weights(weights: Vector | None, frame: Frame, rows: Rows) -> Array | None:
    """Return the weights of the rows in use, checked; None if there are none."""
    if weights is None:
        return None
    values = vector_values(weights, "weights", frame, rows)
    check_weights(values, rows)
    return values


def _checked(family: Family, raw: RawResponse, weights: Array | None, rows: Rows) -> Response:
    """Return the response as the family takes it; an error names the row of the user's data."""
    try:
        return family.check_response(raw.y, weights)
    except ResponseError as error:
        if error.row is None:
            raise
        raise error.at(rows.describe(error.row)) from None


def _error_notes(correlation: RowCorrelation | None) -> list[str]:
    """Return a note on errors that are known."""
    also = "" if correlation is None else ", and their covariances"
    return [f"the residual variances of the rows{also} are known"]


def _correlation_notes(correlation: RowCorrelation | None) -> list[str]:
    """Return a note on the correlation of rows."""
    if correlation is None:
        return []
    groups = int(correlation.codes.max()) + 1
    return [f"residuals are correlated: {correlation.label}, {groups} groups"]


def _known_notes(design: Assembled) -> list[str]:
    """Return a note for each further parameter whose formula leaves nothing to estimate."""
    random = {k for term in design.terms for k, _ in term.by_predictor}
    notes = []
    for k, each in enumerate(design.predictors):
        parameter = each.parameter
        if k == 0 or k in random or each.X.shape[1] or parameter.fixed is not None:
            continue
        value = "given by its offset"
        if not np.ptp(each.offset):
            value = f"fixed at {float(parameter.link.mu(each.offset[0])):g}"
        notes.append(f"{parameter.name} is {value}: its formula has no coefficients")
    return notes


def _uninformative_notes(silent: int) -> list[str]:
    """Return a note on rows that say nothing."""
    if not silent:
        return []
    return [f"{silent} row(s) of weight 0 or without trials say nothing, and are not counted"]


def _problem(
    response: Response,
    family: Family,
    design: Assembled,
    correlation: RowCorrelation | None,
    compiled: Compiled | None,
) -> Problem:
    return Problem(
        y=response.y,
        weights=None if response.weights is None else frozen(response.weights),
        family=family,
        predictors=design.predictors,
        terms=design.terms,
        correlation=correlation,
        compiled=compiled,
    )


def _warn_text(covariates: Sequence[str], frame: Frame, rows: Rows) -> None:
    for name in covariates:
        suspicion = numbers_among_text(frame[name], rows)
        if suspicion:
            warn(suspicion, DataWarning)


def _warn_dropped(dropped: Sequence[str], advice: Sequence[str]) -> None:
    if dropped:
        nearly = " Or leave it out" if advice else " Leave it out"
        warn(
            f"formula: dropped the collinear column(s) {listed(dropped)}: each is a linear "
            "combination of columns before it and has no coefficient of its own."
            f"{''.join(f' {each}' for each in advice)}{nearly} of the formula to silence this "
            "warning.",
            DataWarning,
        )
