"""One factor with independent levels, divided into runs of levels.

Given psi its levels share nothing: what is a sum over rows is the sum over runs. Where rows are
many, nothing of an evaluation is then as long as the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.engine.layout import Layout, choose_plan, compiled_plan
from interlace_core.engine.parts import chunks, subset
from interlace_core.engine.structure import build_structure
from interlace_core.records import IntArray

RUN_ROWS = 65_536
"""Rows of a run: half a megabyte an array, of which an evaluation holds some twenty. With a million
rows 15% quicker than all at once, as runs of 131,072 are; runs of 16,384 were no quicker."""


@dataclass(frozen=True)
class LevelRun:
    """Some levels with their rows.

    Attributes
    ----------
    layout : Layout
        Of these rows, which are views of the whole's.
    levels : slice
        Place of the levels among all.
    """

    layout: Layout
    levels: slice


def level_runs(layout: Layout, size: int = RUN_ROWS) -> list[LevelRun]:
    """Return runs of levels of about `size` rows; none where rows are few, or levels are not apart.

    Parameters
    ----------
    layout : Layout
    size : int
    """
    problem, factors = layout.problem, layout.structure.factors
    if len(factors) != 1 or not factors[0].independent or factors[0].across:
        return []
    starts = factors[0].rows.starts
    if starts is None or problem.correlation is not None or layout.plain is not None:
        return []
    rows = chunks(problem, starts, size)
    return [_run(layout, each, starts) for each in rows] if len(rows) > 1 else []


def _run(layout: Layout, rows: slice, starts: IntArray) -> LevelRun:
    part = subset(layout.problem, rows)
    structure = build_structure(part)
    plan = compiled_plan(part, structure, choose_plan(structure))
    low, high = np.searchsorted(starts, (rows.start, rows.stop)).tolist()
    return LevelRun(Layout(part, structure, plan), slice(low, high))
