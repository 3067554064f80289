"""A model of data in pieces: looked at, read of a witness, coded in parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from interlace.data.assembly import CovarianceLookup
from interlace.data.levels import FactorEncoder
from interlace.data.problem import Model, build_problem
from interlace.data.request import ModelRequest
from interlace.parts.coded import coded_rows
from interlace.parts.gathering import gathered, refuse_many_across
from interlace.parts.levels import joined_encoders
from interlace.parts.look import SPREAD_ROWS, Look, look_at, missing_of
from interlace.parts.ranks import refuse_far_scales, refuse_near_collinear, without_collinear
from interlace.parts.reading import Reading
from interlace.parts.recipe import Recipe, recipe_of, with_moments
from interlace.parts.witness import levels_of_all, witness
from interlace.progress import tracked
from interlace.results.elsewhere import RowsElsewhere
from interlace_core.contract.family import Family
from interlace_core.contract.frames import Frames
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem, RowReport
from interlace_core.fitting.outline import outline
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import DataError, DataWarning
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn

Hold = Callable[[Model], Model]
"""Holds parameters of a model."""


@dataclass(frozen=True)
class Asked:
    """A model that is asked for of data in pieces.

    Attributes
    ----------
    request : ModelRequest
    family : Family
        Not bound.
    covariance : callable
        From the name of a covariance structure to its class.
    hold : callable
        Holds parameters of a model.
    compiled : Compiled, or None
        Compiled code that may serve the parts.
    rows : int
        About the rows of a part.
    """

    request: ModelRequest
    family: Family
    covariance: CovarianceLookup
    hold: Hold
    compiled: Compiled | None
    rows: int


def model_in_parts(frames: Frames, reading: Reading, asked: Asked) -> Model:
    """Return a model whose problem lies in parts.

    1. A look at each piece.
    2. The model, as rows that stand for all show it.
    3. Which pieces make a part, and each part coded.
    4. The rank over all rows; without columns that depend on others parts are coded again.
    5. The outline, and parts laid out in the units of the fit.

    Parameters
    ----------
    frames : Frames
        The data.
    reading : Reading
        What of them is read.
    asked : Asked

    Raises
    ------
    InterlaceError
        If formula or data cannot be used, or the model needs all rows at once.
    """
    looks = _looks(frames, reading, asked.family)
    used = _with_rows(looks)
    pieces, across = gathered(used, asked.rows, frames)
    model, recipe = _model_of_witness(used, reading, frames.categories, asked, across)
    refuse_many_across(model.problem)
    engine = frames.engine(coded_rows, pieces, reading.columns, recipe, asked.compiled)
    refuse_near_collinear(engine, model.problem)
    like, encoder, dropped = without_collinear(engine, model.problem, model.encoder)
    if dropped:
        _tell_dropped(dropped)
        recipe = replace(recipe, model=like, encoder=encoder)
        engine = frames.engine(coded_rows, pieces, reading.columns, recipe, asked.compiled)
    refuse_far_scales(engine, like)
    problem = outline(replace(like, compiled=asked.compiled), engine)
    silent = _settled(problem)
    n_given = sum(each.n_given for each in looks)
    return replace(
        model,
        problem=problem,
        encoder=encoder,
        rows=RowReport(RowsElsewhere(), n_given, problem.n, missing_of(looks), silent),
        dropped_columns=(*model.dropped_columns, *dropped),
        notes=(*model.notes, *_notes(silent)),
    )


def _looks(frames: Frames, reading: Reading, family: Family) -> list[Look]:
    """Return what there is to know of each piece."""
    number = len(frames.pieces)
    spread = max(5, min(200, SPREAD_ROWS // number))
    found = frames.ask(look_at, reading.columns, reading, family, spread)
    looks = tracked(found, "looking at the data", number)
    return [replace(each, place=place) for place, each in enumerate(looks)]


def _with_rows(looks: Sequence[Look]) -> list[Look]:
    """Return the pieces with rows in use.

    Raises
    ------
    DataError
        If there are none.
    """
    used = [each for each in looks if each.rows is not None]
    if used:
        return used
    missing = missing_of(looks)
    if not missing:
        raise DataError("data: expected at least one row, got pieces without any.")
    worst = max(missing, key=lambda name: missing[name])
    raise DataError(
        "data: expected at least one row without missing values, got none: "
        f"{worst!r} is missing in {missing[worst]} of {sum(e.n_given for e in looks)} rows."
    )


def _model_of_witness(
    used: Sequence[Look],
    reading: Reading,
    categories: Collection[str],
    asked: Asked,
    across: Sequence[tuple[str, ...]],
) -> tuple[Model, Recipe]:
    """Return the model of the rows that stand for all, and how any piece is coded alike."""
    levels = levels_of_all(used, reading, categories)
    frame = witness(used, reading, levels)
    model = asked.hold(
        build_problem(
            replace(asked.request, data=frame),
            asked.family,
            covariance=asked.covariance,
            all_columns=True,
        )
    )
    with_moments(model.encoder, _moments(used))
    factors = {
        columns: joined_encoders([each.members[columns] for each in used]) for columns in across
    }
    model = _with_levels_of_all(model, factors)
    return model, recipe_of(model, reading, asked.family, levels, frame, factors)


def _with_levels_of_all(model: Model, factors: Mapping[tuple[str, ...], FactorEncoder]) -> Model:
    """Return a model of which some factors run across parts."""
    terms = []
    for term, each in zip(model.problem.terms, model.encoder.terms, strict=True):
        known = factors.get(each.factor.columns)
        if known is not None:
            term = replace(term, across=True, levels=known.levels)
        terms.append(term)
    return replace(model, problem=replace(model.problem, terms=tuple(terms)))


def _moments(looks: Sequence[Look]) -> Mapping[str, Any]:
    names = looks[0].moments
    return {name: reduce(add, [look.moments[name] for look in looks]) for name in names}


def _tell_dropped(dropped: Sequence[str]) -> None:
    warn(
        f"formula: dropped the collinear column(s) {listed(dropped)}: each is a linear "
        "combination of columns before it and has no coefficient of its own. Leave it out of "
        "the formula to silence this warning.",
        DataWarning,
    )


def _settled(problem: Problem) -> int:
    """Let the parts get ready for the units of the fit, and return the rows that say nothing."""
    assert problem.parts is not None
    inside = standard_of(problem).problem
    assert inside.parts is not None
    problem.parts.engine.settle(inside.parts.change)
    return int(problem.parts.total(_silent))


def _silent(part: Problem) -> int:
    """Return the number of rows that say nothing."""
    return int(np.count_nonzero(~part.informative))


def _notes(silent: int) -> list[str]:
    if not silent:
        return []
    return [f"{silent} row(s) of weight 0 or without trials say nothing, and are not counted"]
