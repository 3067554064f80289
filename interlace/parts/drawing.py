"""Responses drawn from a fit in parts: each part draws its own, again the same if it forgets.

A draw is a number, from which and the part's name the part's generator begins. A model of another
response is then the same parts seen through a change, and is fitted like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from interlace.inference.draws import draw_predictors
from interlace.inference.precisions import with_precisions
from interlace.parts.afterwards import Seen, state_in
from interlace.parts.coded import CodedRows
from interlace_core.contract.problem import Problem
from interlace_core.engine.shares import LARGE
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.records import Array
from interlace_core.registry.blame import guard


@dataclass(frozen=True, eq=False)
class Drawn:
    """From a part as it was coded to the same part with a response that is drawn.

    Attributes
    ----------
    seen : Seen
        The fit that it is drawn from.
    number : int
        Of the draw: the same number is the same response.
    conditional : bool
        Whether random effects stay as they are, or are drawn anew.
    precisions : bool
        Whether weights are precisions, and no multipliers of log-densities.
    """

    seen: Seen
    number: int
    conditional: bool
    precisions: bool

    def __call__(self, part: CodedRows) -> CodedRows:
        """Return the part with its response, which is kept as long as there is memory."""
        kept = part.cache.setdefault(LARGE, {})
        key = self.number, self.conditional
        if kept.get(Drawn, (None, None))[0] != key:
            y = response(part, self.seen, self.number, self.conditional, self.precisions)
            kept[Drawn] = key, replace(part, y=y, family=part.family.bind_part(y))
        found: CodedRows = kept[Drawn][1]
        return found


def response(
    part: CodedRows, seen: Seen, number: int, conditional: bool, precisions: bool
) -> Array:
    """Return a response drawn for a part, in the form in which the family takes it."""
    rng = np.random.default_rng([number, crc32(part.name.encode())])
    if conditional or not part.terms:
        eta = np.asarray(state_in(part, seen).predictors.eta)
    else:
        eta = draw_predictors(part, seen.fit.psi, rng, np.random.default_rng(number))
    if precisions and part.weights is not None:
        eta = with_precisions(eta, part.weights)
    with guard(part.family, "simulate"):
        return np.asarray(part.family.simulate(list(eta), rng), dtype=np.float64)


def drawn_in(
    part: CodedRows, seen: Seen, numbers: list[int], conditional: bool, precisions: bool
) -> pd.DataFrame:
    """Return several responses of a part as observations, one column each."""
    values = [
        part.family.observed(response(part, seen, each, conditional, precisions))
        for each in numbers
    ]
    columns = [f"sim_{i + 1}" for i in range(len(numbers))]
    return pd.DataFrame(np.stack(values, axis=1), index=part.labels, columns=columns)


def problem_of_draw(
    problem: Problem, fit: Fit, number: int, conditional: bool, precisions: bool
) -> Problem:
    """Return a problem in parts with a response drawn from its fit, in the units of the fit."""
    known = standard_of(problem)
    assert problem.parts is not None
    change = Drawn(Seen.of(problem, fit), number, conditional, precisions)
    found = replace(problem, parts=problem.parts.changed(change))
    inside = known.problem.parts
    if known.forth is None or inside is None:
        found.cache[Standard] = None
        return found
    assert inside.change is not None and found.parts is not None
    parts: Any = found.parts.changed(inside.change)
    found.cache[Standard] = replace(known.problem, parts=parts), known.forth, known.back
    return found
