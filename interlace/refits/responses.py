"""Refits of one model to many responses without a step in Python per evaluation.

Where the objective is a function in C, it is made once and pointed to one response after the other;
a compiled search starts each time from the known fit, with its curvature. All that is judged after
a fit is looked at here too. Where something is in doubt there is no answer, and a fit of its own
has the word.
"""

from __future__ import annotations

import threading

import numpy as np

from interlace.refits.near import Known, has_bounds, is_inside, rule_of
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Problem
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.compiled import Served, served_by
from interlace_core.fitting.objective import Objective, possible_objective
from interlace_core.fitting.standard import standard_of
from interlace_core.records import Array, CompiledPath, Status


class Responses:
    """The objective of a known fit's model, for one response after the other.

    Parameters
    ----------
    served : Served
        The objective as a function in C.
    mode : ndarray, shape (q,)
        Of the known fit.
    known : Known
    psi : ndarray, shape (n_psi,)
        Of the known fit, in standard units.
    tol_decrement : float
    """

    def __init__(
        self, served: Served, mode: Array, known: Known, psi: Array, tol_decrement: float
    ) -> None:
        self._served, self._mode = served, mode
        self._known, self._psi = known, psi
        self._rule = rule_of(known, tol_decrement)
        self._lock = threading.Lock()

    def psi(self, problem: Problem) -> Array | None:
        """Return the estimates of a problem that differs in its response alone; None in doubt.

        In its own units.
        """
        standard = standard_of(problem)
        layout = layout_of(standard.problem)
        inner = layout.problem
        if inner.compiled is None or not layout.log_concave:
            return None
        found = inner.compiled.row_kernel(inner.family, inner.y)
        if found is None or not self._lock.acquire(blocking=False):
            return None  # another thread is in it
        try:
            if not self._served.objective.take(found[0], self._mode):
                return None
            path = self._search()
        finally:
            self._lock.release()
        if path is None or not path.reached:
            return None
        lowest = int(np.argmin(path.path[:, 0]))
        if not path.path[lowest, 1] <= self._rule.tol_abs_gradient:
            return None
        psi = self._psi + self._known.coordinates.B @ path.z
        inside = is_inside(standard.problem, psi, self._known)
        return standard.given_psi(psi) if inside else None

    def _search(self) -> CompiledPath | None:
        served, coordinates = self._served, self._known.coordinates
        floor, longest = served.floor - served.raised, coordinates.longest()
        for kernels in served.compiled.searches:
            found = kernels.search(
                served.function, self._rule, self._psi, coordinates.B, floor, longest
            )
            if found is not None:
                return found
        return None


class _Kept:
    """Of a problem's cache: addresses mean nothing in another process."""

    def __init__(self, responses: Responses | None = None) -> None:
        self.responses, self.asked = responses, False

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


def responses_of(
    problem: Problem, approximation: Approximation, known: Known, psi: Array, tol_decrement: float
) -> Responses | None:
    """Return what refits a problem's model to other responses, made once; None if none serves.

    Parameters
    ----------
    problem : Problem
    approximation : Approximation
    known : Known
    psi : ndarray, shape (n_psi,)
        Of the known fit.
    tol_decrement : float
    """
    kept: _Kept = problem.cache.setdefault(_Kept, _Kept())
    if not kept.asked:
        kept.responses = _made(problem, approximation, known, psi, tol_decrement)
        kept.asked = True
    return kept.responses


def _made(
    problem: Problem, approximation: Approximation, known: Known, psi: Array, tol_decrement: float
) -> Responses | None:
    if problem.parts is not None or not problem.terms or problem.correlation is not None:
        return None
    standard = standard_of(problem)
    inside, psi = standard.problem, standard.psi(psi)
    profiled = approximation.profiled(inside)
    # collapsed rows have other weights with another response
    collapsed = layout_of(inside).groups is not None
    if has_bounds(known) or collapsed or profiled.start != profiled.stop:
        return None
    possible = possible_objective(approximation, inside)
    objective = Objective(possible, known.coordinates, profiled)
    served, there = served_by(objective), objective.at(psi)
    if served is None or not served.compiled.searches or there.status is not Status.OK:
        return None
    return Responses(served, there.mode, known, psi, tol_decrement)
