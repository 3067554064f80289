"""What a part of the rows is told of the random effects that all parts share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.records import Array


def has_across(problem: Problem) -> bool:
    """Return whether some random effects of a problem are those of all parts of its rows."""
    return any(term.across for term in problem.terms)


@dataclass(frozen=True)
class Known:
    """Where the random effects that all parts share are at some psi.

    A change of a part, as it comes with a question: the part remembers it, and whatever needs it is
    asked of the part as of any other.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    u : ndarray, shape (m,)
        Their mode.
    inverse : ndarray, shape (m (m + 1) / 2,)
        S^-1, its lower triangle row by row; see `interlace_core.engine.elimination.across`.
    """

    psi: Array
    u: Array
    inverse: Array

    def __call__(self, part: Problem) -> Problem:
        """Return the part, which knows it from now on."""
        part.cache[Known] = self
        return part


def known_at(part: Problem, psi: Array) -> Known | None:
    """Return what a part was told at psi; None where it shares no random effects.

    Raises
    ------
    LookupError
        If it was not told: by itself it cannot know.
    """
    if not has_across(part):
        return None
    found: Known | None = part.cache.get(Known)
    if found is None or not np.array_equal(found.psi, psi):
        raise LookupError("a part was not told of the random effects that all parts share")
    return found
