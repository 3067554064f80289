"""Refits of one model to many responses without a step in Python for any of them.

Where the objective is a function in C, it is made once and pointed to one response after the other,
or to other weights; a compiled search starts each time from the known fit, with its curvature. What
is judged after a fit is judged here of the gradient where each search ended, and of the curvature
there if that was asked for. Where something is in doubt there is no answer, and a fit of its own
has the word.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from interlace.refits.near import Known, has_bounds, is_inside
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import WithSecondOpinion
from interlace_core.fitting.compiled import Served, served_by
from interlace_core.fitting.curvature import DIFFERENCE_STEP
from interlace_core.fitting.objective import Objective, possible_objective
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import standard_of
from interlace_core.records import Array, CompiledEnds, Status

TOL_SLOPE = 1e-6
"""Slope, per standard error of the known fit, at which a search ends: what is left is as many
standard errors. The last of its steps doubles the digits and costs next to nothing."""

SHARE_OF_TOLERANCE = 0.01
"""Share of the tolerated gain that may be left where a search ended elsewhere, by rounding."""

MAX_EVALUATIONS = 100
"""Of a search."""

FARTHEST = 12.0
"""Standard errors from the known fit beyond which nothing is claimed: estimates so far away are on
their way to a limit, as where a response is separated."""

PLAIN = (0.05, 20.0)
"""Curvatures, the known fit's being 1, within which they are taken as those of an optimum."""

MOST_NUMBERS = 1 << 19
"""Of responses that are taken at once, and numbers in them: what C reads of them stays in cache."""

MOST_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Reached:
    """The optimum of a refit.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
        In the units of the problem.
    value : float
        Negative log-likelihood.
    decrement : float
        What it has to gain.
    uncertainty : PsiCovariance, or None
        Where it was asked for.
    """

    psi: Array
    value: float
    decrement: float
    uncertainty: PsiCovariance | None


class Responses:
    """The objective of a known fit's model, for many responses.

    Parameters
    ----------
    problem : Problem
        Of the known fit.
    approximation : Approximation
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
        self, problem: Problem, approximation: Approximation, served: Served, mode: Array,
        known: Known, psi: Array, tol_decrement: float,
    ) -> None:  # fmt: skip
        self._standard, self._served, self._mode = standard_of(problem), served, mode
        self._profiled = approximation.profiled(self._standard.problem)
        self._precisions = approximation.precision_weights
        self._known, self._psi, self._tol_decrement = known, psi, tol_decrement
        self._lock = threading.Lock()

    def reached(
        self, responses: Array, weights: Array | None = None, *, curvature: bool = False
    ) -> list[Reached | None]:
        """Return the optimum for each response; None in doubt.

        Parameters
        ----------
        responses : ndarray, shape (count, n) or (count, n, columns)
            Finite, with rows as given.
        weights : ndarray, shape (count, n), or None
            In place of the problem's.
        curvature : bool
            Whether the curvature is looked at, and gives the covariance of the estimates.
        """
        nothing: list[Reached | None] = [None] * len(responses)
        profiles = self._profiled.stop > self._profiled.start
        objective = self._served.objective
        if not isinstance(objective, WithSecondOpinion) or (curvature and profiles):
            return nothing
        if weights is not None and self._precisions:
            return nothing  # 0 is no precision
        if not self._lock.acquire(blocking=False):
            return nothing  # another thread is in it
        try:
            raised = objective.respond(self._mode, responses, weights)
            step = DIFFERENCE_STEP if curvature else 0.0
            ends = None if raised is None else self._ends(len(responses), step)
        finally:
            self._lock.release()
        if ends is None or raised is None:
            return nothing
        return self._judged(ends, raised)

    def _ends(self, count: int, step: float) -> CompiledEnds | None:
        served, coordinates = self._served, self._known.coordinates
        floor, longest = served.floor - served.raised, coordinates.longest()
        rule = QuasiNewton(TOL_SLOPE, 0.0, MAX_EVALUATIONS)
        for kernels in served.compiled.searches:
            found = kernels.search_each(
                served.function, count, rule, self._psi, coordinates.B, floor, longest, step
            )
            if found is not None:
                return found
        return None

    def _judged(self, ends: CompiledEnds, raised: Array) -> list[Reached | None]:
        """Return ends as optima; None for one that is none, or not clearly one."""
        served, slopes = self._served, ends.slopes
        decrements = 0.5 * np.einsum("im,im->i", slopes, slopes)
        values = ends.values + served.raised + raised
        with np.errstate(invalid="ignore"):
            clear = ends.found & (decrements <= SHARE_OF_TOLERANCE * self._tol_decrement)
            clear &= np.max(np.abs(ends.z), axis=1, initial=0.0) <= FARTHEST
            clear &= values >= served.floor
        found: list[Reached | None] = [None] * len(values)
        for i in np.flatnonzero(clear).tolist():
            found[i] = self._inside(ends, i, float(values[i]), float(decrements[i]))
        return found

    def _inside(self, ends: CompiledEnds, i: int, value: float, decrement: float) -> Reached | None:
        """Return one of the ends; None if it is at a bound, or not curved like an optimum."""
        # one by one: products of many rows at once round otherwise than those of few
        psi = self._psi + self._known.coordinates.B @ ends.z[i]
        psi[self._profiled] = ends.profiled[i]
        if not is_inside(self._standard.problem, psi, self._known):
            return None
        uncertainty = None
        if ends.hessians is not None:
            curved = self._curved(ends.hessians[i], ends.slopes[i])
            if curved is None:
                return None
            uncertainty, decrement = curved
        return Reached(self._standard.given_psi(psi), value, decrement, uncertainty)

    def _curved(self, hessian: Array, slope: Array) -> tuple[PsiCovariance, float] | None:
        """Return covariance and decrement; None for what is no clear curvature of an optimum.

        Parameters
        ----------
        hessian, slope : ndarrays, shape (m, m) and (m,)
            In z.
        """
        if not np.all(np.isfinite(hessian)):
            return None
        values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        if values.size and not (PLAIN[0] <= values[0] and values[-1] <= PLAIN[1]):
            return None
        roots = self._known.coordinates.B @ (vectors / np.sqrt(values))
        decrement = 0.5 * float(np.sum(np.square(vectors.T @ slope) / values))
        return PsiCovariance(roots @ roots.T, self._standard.back), decrement


class _Kept:
    """Of a problem's cache: addresses mean nothing in another process."""

    def __init__(self) -> None:
        self.responses: Responses | None = None
        self.of: tuple[object, ...] = ()

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
    of = approximation, known
    if len(kept.of) != len(of) or any(a is not b for a, b in zip(kept.of, of, strict=True)):
        kept.responses = _made(problem, approximation, known, psi, tol_decrement)
        kept.of = of
    return kept.responses


def at_once(problem: Problem) -> int:
    """Return how many responses to take at once."""
    return max(1, min(MOST_AT_ONCE, MOST_NUMBERS // max(problem.y.size, 1)))


def _made(
    problem: Problem, approximation: Approximation, known: Known, psi: Array, tol_decrement: float
) -> Responses | None:
    if problem.parts is not None or not problem.terms or problem.correlation is not None:
        return None
    standard = standard_of(problem)
    inside, psi = standard.problem, standard.psi(psi)
    if has_bounds(known) or problem.family.row_variables:
        return None
    objective = Objective(
        possible_objective(approximation, inside), known.coordinates, approximation.profiled(inside)
    )
    served, there = served_by(objective), objective.at(psi)
    if served is None or not served.function.turn or there.status is not Status.OK:
        return None
    return Responses(problem, approximation, served, there.mode, known, psi, tol_decrement)
