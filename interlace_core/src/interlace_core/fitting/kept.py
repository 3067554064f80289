"""What a result keeps of the approximation that it was fitted by."""

from __future__ import annotations

from typing import Any

from interlace_core.contracts import Approximation
from interlace_core.priors import penalty_settings
from interlace_core.records import Array, Problem


def kept_of_approximation(
    approximation: Approximation, problem: Problem, psi: Array
) -> dict[str, Any]:
    """Return the entries of a result's settings that the approximation and its optimum decide.

    Parameters
    ----------
    approximation, problem
        As fitted.
    psi : ndarray, shape (n_psi,)
        The optimum.
    """
    return {
        "approximation": _describe(approximation),
        "points": _points(approximation),
        "restricted": approximation.unrestricted() is not None,
        "extras": approximation.extras(problem, psi),
        **penalty_settings(approximation, problem, psi),
    }


def _points(approximation: Approximation) -> int | None:
    """Return the nAGQ that gives this approximation, if there is one."""
    inner = getattr(approximation, "inner", None)
    if inner is not None:
        return _points(inner)
    points: int | None = getattr(approximation, "points", None)
    served = approximation.serves_nAGQ
    return served.start if points is None and served is not None and len(served) == 1 else points


def _describe(approximation: Approximation) -> str:
    inner = getattr(approximation, "inner", None)
    if inner is not None:
        return f"{_describe(inner)}, {approximation.name}"
    points = getattr(approximation, "points", None)
    return approximation.name if points is None else f"{approximation.name}, {points} points"
