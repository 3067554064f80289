"""Whether compiled rows are those of the family, looked at in a few rows before they serve a model.

The conformance kit holds every slot of a kernel against NumPy. What it cannot see is an option of a
family that the kernel does not know of: it would evaluate another model, without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import PluginWarning
from interlace_core.messages.warn import warn
from interlace_core.records import Array, Derivatives

ROWS = 4
"""Rows that are looked at: an option that is forgotten shows in any of them."""

SPACING = 0.1
"""Between the predictors, and between the rows, at which one looks: none is a special place."""

TOL_REL = 1e-6
"""Of the largest derivative of a row. Kernels agree to 1e-10; other models do not nearly."""


def agrees(rows: Any, problem: Problem) -> bool | None:
    """Return whether compiled rows give the family's derivatives; warns where they do not.

    None where the family itself raises there, its derivatives are not finite, or the kernel does
    not offer them: nothing is known then, and the next model is looked at again.

    Parameters
    ----------
    rows : CompiledRows
        Of the problem.
    problem : Problem
    """
    y = problem.y[:ROWS]
    eta = [_at(each.offset[:ROWS], k, each) for k, each in enumerate(problem.predictors)]
    try:
        with np.errstate(all="ignore"):
            expected = problem.family.bind_part(y).derivatives(y, eta, 3, problem.active())
    except Exception:  # a point outside of the family's domain: the fit tries others
        return None
    got = rows.derivatives(slice(0, len(y)), eta, tuple(expected.partials))
    same = None if got is None else _same(got, expected)
    if same is not False:
        return same
    warn(
        f"{rows.origin}: the compiled rows of family {problem.family.name!r} are not those of its "
        "derivatives() (an option that the kernel does not know of?), and are left out: NumPy "
        "evaluates the model. Report it to the kernel's authors.",
        PluginWarning,
    )
    return False


def _at(offset: Array, k: int, predictor: Any) -> Array:
    if not predictor.X.shape[1]:
        return offset
    return np.asarray(offset + SPACING * (k + 1.0 + np.arange(len(offset))))


def _same(got: Derivatives, expected: Derivatives) -> bool | None:
    """Return whether the numbers agree, as far as expected ones are finite; None if none is."""
    keys = list(expected.partials)
    wanted = _stacked(expected.value, [expected.partials[key] for key in keys])
    found = _stacked(got.value, [got.partials[key] for key in keys])
    # a row for which the kernel has no number at all is a failure, which evaluations tell of
    known = np.isfinite(wanted).all(axis=0) & ~np.isnan(found).all(axis=0)
    if not known.any():
        return None
    wanted, found = wanted[:, known], found[:, known]
    size = np.maximum(np.abs(wanted).max(axis=0, initial=0.0), 1.0)
    return bool(np.all(np.abs(found - wanted) <= TOL_REL * size))


def _stacked(value: Array, partials: list[Array]) -> Array:
    return np.stack([value, *(np.broadcast_to(each, value.shape) for each in partials)])
