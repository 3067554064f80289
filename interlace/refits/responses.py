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

from interlace.refits.near import Known, canonical_psi, has_bounds, is_beyond
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.kernels import Descent
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import WithSecondOpinion
from interlace_core.fitting.compiled import Served, served_by
from interlace_core.fitting.curvature import TOL_ABS_BOUND
from interlace_core.fitting.differences import CENTRAL_STEP
from interlace_core.fitting.elsewhere import may_be_crowded
from interlace_core.fitting.fit import BOUNDARY_RESTART, TOL_ABS_RESTART
from interlace_core.fitting.objective import Objective, possible_objective
from interlace_core.fitting.precondition import LONGEST_STEP
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import standard_of
from interlace_core.fitting.start import unit_theta
from interlace_core.fitting.verdict import Bounds, boundary_words
from interlace_core.records import Array, Status

TOL_SLOPE = 1e-6
"""Slope, per standard error of the known fit, at which a search ends: what is left is as many
standard errors. The last of its steps doubles the digits and costs next to nothing."""

SHARE_OF_TOLERANCE = 0.01
"""Share of the tolerated gain that may be left where a search ended elsewhere, by rounding."""

MAX_EVALUATIONS = 100
"""Of a search."""

PLAIN = (0.05, 20.0)
"""Curvatures, the known fit's being 1, within which they are taken as those of an optimum."""

MOST_NUMBERS = 1 << 19
"""Of responses that are taken at once, and numbers in them: what C reads of them stays in cache."""

MOST_AT_ONCE = 256


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
    boundary : tuple of str
        What is at its bound, in words.
    """

    psi: Array
    value: float
    decrement: float
    uncertainty: PsiCovariance | None
    boundary: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _End:
    """Where a search ended, by its slope as at an optimum; in standard units.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    value, decrement : float
    slope : ndarray, shape (m,)
    hessian : ndarray, shape (m, m), or None
    """

    psi: Array
    value: float
    decrement: float
    slope: Array
    hessian: Array | None


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
        self._bounds = Bounds(self._standard.problem, known.units)
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
            if raised is None:
                return nothing
            coordinates, step = self._known.coordinates, CENTRAL_STEP if curvature else 0.0
            ends = self._ends(self._psi, coordinates.B, raised, step)
            found = [self._inside(each) for each in ends]
            for i, (each, end) in enumerate(zip(found, ends, strict=True)):
                if each is None and end is not None and not curvature:
                    own = None if weights is None else weights[i : i + 1]
                    found[i] = self._at_bound(objective, responses[i : i + 1], own, end)
            return found
        finally:
            self._lock.release()

    def _ends(self, origin: Array, B: Array, raised: Array, step: float) -> list[_End | None]:
        """Return where searches end, one for each response; None for one without a clear end.

        Parameters
        ----------
        origin, B : ndarrays, shape (n_psi,) and (n_psi, m)
            Of the coordinates of the searches.
        raised : ndarray, shape (count,)
            What the value of each response is higher by.
        step : float
            Of differences for Hessians; 0 for none.
        """
        served, tol = self._served, SHARE_OF_TOLERANCE * self._tol_decrement
        floor, longest = served.floor - served.raised, np.full(B.shape[1], LONGEST_STEP)
        rule = QuasiNewton(TOL_SLOPE, 0.0, MAX_EVALUATIONS)
        descent = Descent(served.function, rule, origin, B, floor, longest, step=step)
        for kernels in served.compiled.searches:
            found = kernels.search_each(descent, len(raised))
            if found is not None:
                break
        else:
            return [None] * len(raised)
        decrements = 0.5 * np.einsum("im,im->i", found.slopes, found.slopes)
        values = found.values + served.raised + raised
        with np.errstate(invalid="ignore"):
            clear = found.found & (decrements <= tol) & (values >= served.floor)
        ends: list[_End | None] = [None] * len(raised)
        for i in np.flatnonzero(clear).tolist():
            # one by one: products of many rows at once round otherwise than those of few
            psi = origin + B @ found.z[i]
            psi[self._profiled] = found.profiled[i]
            hessian = None if found.hessians is None else found.hessians[i]
            ends[i] = _End(psi, float(values[i]), float(decrements[i]), found.slopes[i], hessian)
        return ends

    def _inside(self, end: _End | None) -> Reached | None:
        """Return an end as an optimum; None if it is at a bound, or not curved like one."""
        problem = self._standard.problem
        if end is None or self._bounds.any(end.psi):
            return None
        uncertainty, decrement = None, end.decrement
        if end.hessian is not None:
            curved = self._curved(end.hessian, end.slope)
            if curved is None or is_beyond(problem, end.psi):
                return None  # the covariance would be that of what is mirrored
            uncertainty, decrement = curved
        psi = self._standard.given_psi(canonical_psi(problem, end.psi))
        return Reached(psi, end.value, decrement, uncertainty)

    def _at_bound(
        self, objective: WithSecondOpinion, response: Array, weights: Array | None, end: _End
    ) -> Reached | None:
        """Return the optimum with the standard deviations that came next to 0 held there.

        As after a fit, a search from away from 0 tells whether they belong there: where it does not
        come back, or a covariance is more than one number, there is no answer.
        """
        standard, units = self._standard, self._known.units
        problem, B = standard.problem, self._known.coordinates.B
        bound = self._bounds.at(end.psi)
        single = all(
            term.covariance.n_theta == term.covariance.size == 1 and term.theta_of is None
            for term, place in zip(problem.terms, problem.theta_slices(), strict=True)
            if np.any(bound[place])
        )
        if not single or may_be_crowded(problem):
            return None
        raised = objective.respond(self._mode, response, weights)
        held = np.flatnonzero(bound)
        face = end.psi.copy()
        face[held] = 0.0
        (there,) = [None] if raised is None else self._ends(
            face, np.delete(B, held, axis=1), raised, 0.0
        )  # fmt: skip
        if raised is None or there is None or there.value > end.value + TOL_ABS_BOUND:
            return None
        away = there.psi.copy()
        for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
            away[place] += np.where(
                bound[place], unit_theta(term, BOUNDARY_RESTART * term.own(units)), 0.0
            )
        (other,) = self._ends(away, B, raised, 0.0)
        if other is None or other.value < there.value - TOL_ABS_RESTART:
            return None
        psi = standard.given_psi(canonical_psi(problem, there.psi))
        words = boundary_words(standard.given, psi, bound, units)
        return Reached(psi, there.value, there.decrement, None, words)

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
        self.known: Known | None = None
        self.psi = np.zeros(0)

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
    if kept.known is not known or not np.array_equal(kept.psi, psi):
        kept.responses = _made(problem, approximation, known, psi, tol_decrement)
        kept.known, kept.psi = known, psi
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
