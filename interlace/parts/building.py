"""A model of data in pieces: looked at, read of a witness, coded in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from interlace.data.assembly import CovarianceLookup
from interlace.data.problem import Model, build_problem
from interlace.data.request import ModelRequest
from interlace.parts.engine import LocalParts
from interlace.parts.gathering import gathered
from interlace.parts.look import SPREAD_ROWS, Look, look_at, missing_of
from interlace.parts.ranks import refuse_near_collinear, without_collinear
from interlace.parts.reading import Reading, read_model
from interlace.parts.recipe import recipe_of, with_moments
from interlace.parts.shuffle import together
from interlace.parts.sources import DataInParts, Source, merged, open_source
from interlace.parts.witness import levels_of_all, witness
from interlace.progress import tracked
from interlace.results.elsewhere import RowsElsewhere
from interlace_core.contract.family import Family
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem, RowReport
from interlace_core.fitting.outline import outline
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import DataError, DataWarning
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn

MOST_NAMED = 200_000
"""Levels of all factors up to which their names are kept, and their effects brought together."""

Hold = Callable[[Model], Model]
"""Holds parameters of a model."""


def model_in_parts(
    asked: DataInParts,
    request: ModelRequest,
    family: Family,
    covariance: CovarianceLookup,
    hold: Hold,
    compiled: Compiled | None,
) -> Model:
    """Return a model whose problem lies in parts.

    1. What is asked for, and where the data are.
    2. A look at each piece.
    3. Which pieces make a part, and the model as rows that stand for all show it.
    4. Each part coded.
    5. The rank over all rows.
    6. The outline, and parts laid out in the units of the fit.

    Raises
    ------
    InterlaceError
        If formula or data cannot be used, or the model needs all rows at once.
    """
    # 1. what is asked for
    source = open_source(asked)
    reading = read_model(request, source.columns)
    folder = None
    if source.batches is not None:
        on = min(reading.factors, key=len, default=reading.columns[:1])
        source, folder = together(source, reading.columns, on, asked)
    # 2. looks
    looks = _looks(source, reading, family)
    used = [each for each in looks if each.rows is not None]
    if not used:
        missing = missing_of(looks)
        worst = max(missing, key=lambda name: missing[name])
        raise DataError(
            "data: expected at least one row without missing values, got none: "
            f"{worst!r} is missing in {missing[worst]} of {sum(e.n_given for e in looks)} rows."
        )
    # 3. parts and model
    pieces = gathered(used, asked.rows)
    levels = levels_of_all(used, reading, source.categories)
    frame = witness(used, reading, levels)
    model = hold(
        build_problem(replace(request, data=frame), family, covariance=covariance, all_columns=True)
    )
    with_moments(model.encoder, _moments(used))
    recipe = recipe_of(model, reading, family, levels, frame)
    # 4. coding
    engine = LocalParts(asked)
    engine.keep(folder)
    few = sum(map(len, _levels(used).values())) <= MOST_NAMED
    for group in tracked(pieces, "coding", len(pieces)):
        piece = merged(group)
        problem, factors, rows = recipe.part(piece)
        engine.add(replace(problem, compiled=compiled), piece.name, rows.kept)
        if few and engine.factors is not None:
            engine.factors.append({name: each.encoder for name, each in factors.items()})
    engine.factors = engine.factors if few else None
    # 5. the rank
    refuse_near_collinear(engine, model.problem)
    like, encoder, dropped = without_collinear(engine, model.problem, model.encoder)
    if dropped:
        warn(
            f"formula: dropped the collinear column(s) {listed(dropped)}: each is a linear "
            "combination of columns before it and has no coefficient of its own. Leave it out of "
            "the formula to silence this warning.",
            DataWarning,
        )
    # 6. the outline
    problem = outline(replace(like, compiled=compiled), engine)
    inside = standard_of(problem).problem
    assert inside.parts is not None
    engine.settle(inside.parts.change)
    silent = int(engine.total(_silent))
    return replace(
        model,
        problem=problem,
        encoder=encoder,
        rows=RowReport(
            RowsElsewhere(),
            sum(each.n_given for each in looks),
            problem.n,
            missing_of(looks),
            silent,
        ),
        dropped_columns=(*model.dropped_columns, *dropped),
        notes=(*model.notes, *_notes(silent)),
    )


def _looks(source: Source, reading: Reading, family: Family) -> list[Look]:
    spread = max(5, min(200, SPREAD_ROWS // len(source.pieces)))
    looks = []
    for piece in tracked(source.pieces, "looking at the data", len(source.pieces)):
        looks.append(look_at(piece, reading, family, spread))
    return looks


def _moments(looks: Sequence[Look]) -> Mapping[str, Any]:
    names = looks[0].moments
    return {name: reduce(add, [look.moments[name] for look in looks]) for name in names}


def _levels(looks: Sequence[Look]) -> dict[tuple[str, ...], Any]:
    """Return the hashes of all levels of each factor."""
    return {
        columns: np.unique(np.concatenate([look.groups[columns] for look in looks]))
        for columns in looks[0].groups
    }


def _silent(part: Problem) -> int:
    """Return the number of rows that say nothing."""
    return int(np.count_nonzero(~part.informative))


def _notes(silent: int) -> list[str]:
    if not silent:
        return []
    return [f"{silent} row(s) of weight 0 or without trials say nothing, and are not counted"]
