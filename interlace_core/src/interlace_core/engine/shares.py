"""An objective that is the sum of those of a problem's parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.parts import Parts
from interlace_core.contract.problem import Problem
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.known import known_at
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import find_mode
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Array, Evaluation, Status

LATEST = "latest mode"
LARGE = "as large as the rows"
"""Keys of what a part remembers: psi and mode of the last evaluation; and what takes as much memory
as its rows, which whoever has little of it lets go of after each question."""


@dataclass(frozen=True)
class Share:
    """What some rows have of an evaluation: a dozen numbers, whatever their number.

    Attributes
    ----------
    value : float
    gradient : ndarray, shape (n_psi,)
    status : Status
        The first that is not OK.
    iterations : int
        Newton steps for the mode, of the part that took most.
    """

    value: float
    gradient: Array
    status: Status = Status.OK
    iterations: int = 0

    def __add__(self, other: Share) -> Share:
        """Return the share of the rows of both."""
        return Share(
            self.value + other.value,
            self.gradient + other.gradient,
            other.status if self.status is Status.OK else self.status,
            max(self.iterations, other.iterations),
        )


@dataclass(frozen=True)
class Summed:
    """The sum of the objectives of a problem's parts, psi -> Evaluation.

    Attributes
    ----------
    approximation : Approximation
        Whose objective it is, in each part.
    parts : Parts
    """

    approximation: Approximation
    parts: Parts

    def __call__(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi."""
        found: Share = self.parts.total(share, self.approximation, psi)
        return Evaluation(found.value, found.gradient, np.zeros(0), found.status, found.iterations)


def summed(approximation: Approximation, problem: Problem) -> Summed:
    """Return the sum of the objectives of a problem's parts, `psi -> Evaluation`.

    For an approximation whose objective is a sum over groups that share nothing. Conditional modes
    stay with the parts.

    Parameters
    ----------
    approximation : Approximation
    problem : Problem
        In parts.
    """
    parts = problem.parts
    assert parts is not None
    shared = [term.group for term in problem.terms if term.across]
    if shared:
        raise UnsupportedModelError(
            f"approximation {approximation.method.name!r} takes groups that each lie in one part "
            f"of the data, and the levels of {shared[0]!r} lie in several. Use nAGQ=1, or data "
            "that memory holds."
        )

    return Summed(approximation, parts)


def share(part: Problem, approximation: Approximation, psi: Array) -> Share:
    """Return a part's value and gradient; its objective is kept, and with it the last mode."""
    found = objective_in(part, approximation)(psi)
    part.cache[LATEST] = psi.copy(), found.mode
    return Share(found.value, found.gradient, found.status, found.inner_iterations)


def objective_in(part: Problem, approximation: Approximation) -> Callable[[Array], Evaluation]:
    """Return a part's objective, begun at the last mode that it remembers."""
    kept, key = part.cache.setdefault(LARGE, {}), repr(approximation)
    if key not in kept:
        known = part.cache.get(LATEST)
        if known is not None and known[1].size:
            kept[key] = approximation.objective_from(part, known[1])
        else:
            kept[key] = approximation.objective(part)
    found: Callable[[Array], Evaluation] = kept[key]
    return found


def mode_at(part: Problem, psi: Array) -> Array:
    """Return the conditional mode of a part's random effects at psi, shape (q,).

    The one that was found last, if that was there; 0 where there is none. The part has to know
    where those random effects are that all parts share.
    """
    layout, told = layout_of(part), known_at(part, psi)
    if told is not None:
        found = find_mode(Conditional.alone(layout, psi, told.u), _own_start(part, layout))
        own = np.zeros(layout.alone.structure.q) if found is None else found.point.u
        return np.concatenate([own, told.u])
    known = part.cache.get(LATEST)
    if known is not None and np.array_equal(known[0], psi) and known[1].size == layout.structure.q:
        return np.asarray(known[1])
    start = np.zeros(layout.structure.q) if known is None else known[1]
    if start.size != layout.structure.q:
        start = np.zeros(layout.structure.q)
    found = find_mode(Conditional(layout, psi), start)
    if found is None:
        return np.zeros(layout.structure.q)
    part.cache[LATEST] = psi.copy(), found.point.u
    return found.point.u


OWN = "mode of a part's own random effects"
"""Key of what a part remembers: the last mode of its own effects, given those of all parts."""


def _own_start(part: Problem, layout: Layout) -> Array:
    known: Array | None = part.cache.get(OWN)
    return np.zeros(layout.alone.structure.q) if known is None else known
