"""The function an optimizer sees: counted, recorded, and finite whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Problem
from interlace_core.fitting.differences import Differences
from interlace_core.fitting.precondition import Coordinates
from interlace_core.fitting.standard import log_volume
from interlace_core.fitting.stopping import Stopping
from interlace_core.messages.errors import InterlaceError
from interlace_core.records import Array, Evaluation, Status

FAILED_RISE = 1e3
"""How far above the best value a failed evaluation is reported: enough for any line search to
turn back, small enough not to wreck an optimizer's quadratic model."""


STEEP = 100.0
"""Slope, per standard error at the start, from which it is asked whether a search is lost. Where an
approximation rises without an end it is in the hundreds and more; near optima it is below 1."""

TOL_ABS_IMPOSSIBLE = 1e-6
"""Log-likelihood of discrete data above 0 that is rounding."""


def possible_objective(
    approximation: Approximation,
    problem: Problem,
    evaluate: Callable[[Array], Evaluation] | None = None,
) -> Callable[[Array], Evaluation]:
    """Return the objective of a search: with the given problem's value, failed if impossible.

    The value is that in the units that the problem is given in. The probability of discrete data
    is at most 1. An approximation says otherwise where it has lost its meaning, and a search that
    follows it would end at any value.

    Parameters
    ----------
    approximation : Approximation
    problem : Problem
    evaluate : callable, optional
        An objective that the approximation has made already.
    """
    if evaluate is None:
        here = problem.parts is None
        evaluate = (approximation.objective if here else approximation.over_parts)(problem)
    return Possible(evaluate, approximation, problem, log_volume(approximation, problem))


def is_per_unit(approximation: Approximation, problem: Problem) -> bool:
    """Return whether a likelihood is one per unit of coefficients, which are integrated out."""
    place = approximation.restricted_volume(problem)
    return bool(place.stop > place.start)


@dataclass(frozen=True)
class Possible:
    """An objective with the given problem's value, failed where it is impossible.

    Attributes
    ----------
    evaluate : callable
    approximation : Approximation
    problem : Problem
    raised : float
        By which the value is higher than that of `evaluate`.
    """

    evaluate: Callable[[Array], Evaluation]
    approximation: Approximation
    problem: Problem
    raised: float

    @property
    def floor(self) -> float:
        """The value below which nothing is possible.

        Nothing is impossible where coefficients are integrated out: per unit of these.
        """
        likelihood = not is_per_unit(self.approximation, self.problem)
        possible = self.problem.family.is_discrete and likelihood
        return -TOL_ABS_IMPOSSIBLE if possible else -np.inf

    def __call__(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi."""
        found = self.evaluate(psi)
        if self.raised:
            found = replace(found, value=found.value + self.raised)
        if found.value < self.floor:  # a penalty may be below 0, a likelihood not
            if found.value - self.approximation.penalty(self.problem, psi) < self.floor:
                return replace(found, status=Status.IMPOSSIBLE)
        return found


class SearchStopped(InterlaceError):
    """The optimizer has used up the evaluations that it may take, or cannot reach an optimum."""


@dataclass
class Tally:
    """What the searches of one fit share: counts, the path, the latest point.

    Attributes
    ----------
    report : callable, or None
        Is told in words of each successful evaluation.
    n_evaluations, n_failed, n_inner : int
    path : list of (float, float)
        Value and largest gradient entry in z of each successful evaluation.
    last_failure : Status
    latest : (psi, Evaluation), or (None, None)
    best : (psi, Evaluation), or (None, None)
        The highest point of all searches, complete.
    stopping : Stopping, or None
        Whether the fit is to end; asked after each evaluation.
    """

    report: Callable[[str], None] | None = None
    n_evaluations: int = 0
    n_failed: int = 0
    n_inner: int = 0
    path: list[tuple[float, float]] = field(default_factory=list)
    last_failure: Status = Status.OK
    latest: tuple[Array | None, Evaluation | None] = (None, None)
    best: tuple[Array | None, Evaluation | None] = (None, None)
    stopping: Stopping | None = None

    def count(self, evaluations: int, failed: int, inner: int) -> None:
        """Count evaluations that were made together."""
        self.n_evaluations += evaluations
        self.n_failed += failed
        self.n_inner += inner

    def add(self, evaluation: Evaluation, slope: float) -> None:
        """Note a successful evaluation and the largest entry of its gradient in z."""
        self.path.append((evaluation.value, slope))
        if self.report is not None:
            height = f"logLik {-evaluation.value:.6f}  slope {slope:.2e}"
            self.report(f"evaluation {self.n_evaluations}  {height}")


@dataclass
class Objective:
    """The function of one search: remembers its best point and applies the failure policy.

    A search from elsewhere has an objective of its own, made by `anew`, so that what it finds is
    a candidate and leaves this one as it is; what is counted is counted together.

    Attributes
    ----------
    evaluate : callable
        psi -> Evaluation, from the approximation.
    coordinates : Coordinates
        In which the optimizer works.
    profiled : slice
        Entries of psi that the approximation determines itself.
    tally : Tally
    limit : int, or None
        Evaluations of the fit after which the optimizer is stopped.
    lost : callable, or None
        From psi and mode to whether no search comes back from there; asked at new best points
        where the slope is steep, and the optimizer is stopped if so.
    best : Evaluation, or None
    best_psi : ndarray, or None
        The best successful evaluation and its complete psi; written here alone.
    differences : Differences, or None
        Those that a compiled search took where it ended.
    """

    evaluate: Callable[[Array], Evaluation]
    coordinates: Coordinates
    profiled: slice
    tally: Tally = field(default_factory=Tally)
    limit: int | None = None
    lost: Callable[[Array, Array], bool] | None = None
    best: Evaluation | None = None
    best_psi: Array | None = None
    differences: Differences | None = None

    def __call__(self, z: Array) -> tuple[float, Array]:
        """Return value and gradient in the optimizer's coordinates, always finite.

        Raises
        ------
        SearchStopped
            If the limit of evaluations is reached, or the search is lost.
        """
        if self.limit is not None and self.tally.n_evaluations >= self.limit:
            raise SearchStopped(f"stopped after {self.tally.n_evaluations} evaluations")
        evaluation = self.at(self.coordinates.psi(z))
        if evaluation.status is not Status.OK:
            ceiling = self.best.value if self.best is not None else 0.0
            return ceiling + FAILED_RISE * (1.0 + abs(ceiling)), np.zeros(z.size)
        slope = self.coordinates.gradient(evaluation.gradient)
        if self.lost is not None and evaluation is self.best and np.abs(slope).max() > STEEP:
            assert self.best_psi is not None
            if self.lost(self.best_psi, evaluation.mode):
                raise SearchStopped("stopped where a group has lost its conditional mode")
        return evaluation.value, slope

    def anew(self, evaluate: Callable[[Array], Evaluation] | None = None) -> Objective:
        """Return the objective of another search of the fit, which has seen no point yet.

        Parameters
        ----------
        evaluate : callable, optional
            Another function in place of the present one; points seen by that are forgotten.
        """
        if evaluate is not None:
            self.tally.latest = self.tally.best = (None, None)
        return replace(
            self, evaluate=evaluate or self.evaluate, best=None, best_psi=None, differences=None
        )

    def seen_in(self, coordinates: Coordinates) -> Objective:
        """Return the objective in other coordinates, with the best point that it has seen."""
        return replace(self, coordinates=coordinates)

    def move_to(self, psi: Array, evaluation: Evaluation) -> None:
        """Take a complete psi as the best point, whether or not its value is the lowest."""
        self.best, self.best_psi = evaluation, psi

    def complete(self, psi: Array, evaluation: Evaluation) -> Array:
        """Return psi with the entries that the approximation determined."""
        psi = psi.copy()
        if evaluation.profiled is not None:
            psi[self.profiled] = evaluation.profiled.values
        return psi

    def at(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi, with a status that is OK only if all is finite.

        The best and the latest point are remembered: optimizers start where the fit was checked
        to be finite, and the fit ends at the best point.
        """
        known = self.seen(psi)
        return self.again(psi) if known is None else known

    def again(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi, made anew though it may be remembered."""
        return self.record(psi, self.evaluate(psi))

    def seen(self, psi: Array) -> Evaluation | None:
        """Return the evaluation at psi if that is the best or the latest point, else None."""
        for known, evaluation in ((self.best_psi, self.best), self.tally.latest):
            if known is not None and evaluation is not None and np.array_equal(known, psi):
                return evaluation
        return None

    def record(self, psi: Array, evaluation: Evaluation) -> Evaluation:
        """Count an evaluation and remember it; return it with a status that tells all.

        Raises
        ------
        FitStopped
            If the fit is to end here.
        """
        evaluation = self._record(psi, evaluation)
        self.tally.latest = (psi.copy(), evaluation)
        if self.tally.stopping is not None and evaluation.status is Status.OK:
            self.tally.stopping.see(self.tally.n_evaluations, -evaluation.value)
        return evaluation

    def _record(self, psi: Array, evaluation: Evaluation) -> Evaluation:
        tally = self.tally
        tally.n_evaluations += 1
        tally.n_inner += evaluation.inner_iterations
        finite = np.isfinite(evaluation.value) and np.all(np.isfinite(evaluation.gradient))
        if evaluation.status is not Status.OK or not finite:
            tally.n_failed += 1
            status = Status.NOT_FINITE if evaluation.status is Status.OK else evaluation.status
            tally.last_failure = status
            return Evaluation(
                evaluation.value, evaluation.gradient, evaluation.mode, status,
                evaluation.inner_iterations,
            )  # fmt: skip
        slope = float(np.max(np.abs(self.coordinates.gradient(evaluation.gradient)), initial=0.0))
        tally.add(evaluation, slope)
        self.remember(psi, evaluation)
        return evaluation

    def remember(self, psi: Array, evaluation: Evaluation) -> None:
        """Take a successful evaluation as the best where it is; it has been counted."""
        best = self.tally.best[1]
        if self.best is None or evaluation.value < self.best.value:
            self.move_to(self.complete(psi, evaluation), evaluation)
        if best is None or evaluation.value < best.value:
            self.tally.best = (self.complete(psi, evaluation), evaluation)
