"""Whether a family answers for every row that it is asked about, tried before a fit.

A method that forgets its `return`, or loses rows, would be met deep inside an approximation, which
would then take the blame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.contract.problem import Problem
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import PluginError
from interlace_core.records import Derivatives
from interlace_core.registry.registry import Registry, default_registry

ROWS = 5
"""Rows tried: one lost of them is no shape that broadcasts."""


def require_answers(
    problem: Problem, family: Family | None = None, *, registry: Registry | None = None
) -> None:
    """Raise a PluginError if the family's answer to some rows has no number for each of them.

    What it raises there is left to the fit, which tries other points.

    Parameters
    ----------
    problem : Problem
    family : Family, optional
        As it was before it was bound to the data: of one that answered before, nothing is asked.
    registry : Registry, optional
        Who provides the family, and whether it answered; that of the process by default.

    Raises
    ------
    PluginError
        Naming family, method and what came instead.
    """
    if problem.correlation is not None or problem.n < 2:  # its law is of all rows together
        return
    registry = registry or default_registry()
    known = {} if family is None else registry.found_out(family)
    key = require_answers, problem.y.shape[1:]
    if key in known:
        return
    try:
        wrong = next(_wrong_answers(problem), None)
    except Exception:  # the point may be outside of the family's domain
        return
    if wrong is None:
        known[key] = True
    else:
        where = registry.provenance(problem.family)
        raise PluginError(
            f"family {problem.family.name!r} of {where}: {wrong}. Report it to its authors, or "
            "choose another family."
        )


def _wrong_answers(problem: Problem) -> Iterator[str]:
    y = problem.y[:ROWS]
    m = len(y)
    family: Family = problem.family.bind_part(y)
    eta = [each.offset[:ROWS] + np.zeros(m) for each in problem.predictors]
    for name, answer in (("mean", family.mean(eta)), ("log_density", family.log_density(y, eta))):
        if not _is_for_rows(answer, m):
            yield f"{name}() must return one number for each of {m} rows, got {shown(answer)}"
    found = family.derivatives(y, eta, 2, problem.active())
    if not isinstance(found, Derivatives):
        yield f"derivatives() must return Derivatives, got {shown(found)}"
        return
    for key, partial in (("value", found.value), *found.partials.items()):
        if not _is_for_rows(partial, m):
            yield (
                f"derivatives() must have one number for each of {m} rows, got {shown(partial)} as "
                f"{key}"
            )


def _is_for_rows(answer: Any, m: int) -> bool:
    """Return whether an answer has a number for each row, or one for all of them."""
    if answer is None or np.asarray(answer).dtype.kind not in "fiub":
        return False
    return np.shape(answer) in ((), (1,), (m,))
