"""An approximation under test, with the kit's models that it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Problem
from interlace_core.records import Array, Evaluation, IntArray, Status
from interlace_core.testing.approximation_models import Plan, typical_psi
from interlace_core.testing.approximation_references import restriction
from interlace_core.testing.verdicts import expect


@dataclass(frozen=True, eq=False)
class ApproximationCase:
    """What the checks of an approximation share.

    Attributes
    ----------
    approximation : Approximation
    tol_abs_group : float
        Allowed error of one group's log-likelihood against numerical integration; 0 if exact.
    """

    approximation: Approximation
    tol_abs_group: float

    def accepted(self, plans: Mapping[str, Plan]) -> dict[str, Plan]:
        """Return the models that `check` does not refuse."""
        return {name: plan for name, plan in plans.items() if self.accepts(plan.problem())}

    def accepts(self, problem: Problem) -> bool:
        """Return whether `check` passes; what it raises is judged elsewhere."""
        try:
            self.approximation.check(problem)
        except Exception:
            return False
        return True

    @property
    def restricted(self) -> bool:
        """Whether its value is a restricted likelihood."""
        return self.approximation.method.restricted

    def restriction(self, problem: Problem, psi: Array) -> float:
        """Return what its value is above the negative log-likelihood of a normal response."""
        return restriction(problem, psi) if self.restricted else 0.0

    def evaluate(self, problem: Problem, psi: Array) -> Evaluation:
        """Return a fresh objective's evaluation."""
        return self.approximation.objective(problem)(psi.copy())

    def completed(self, problem: Problem, psi: Array, evaluation: Evaluation) -> Array:
        """Return psi with the entries that the approximation determined."""
        psi = psi.copy()
        if evaluation.profiled is not None:
            psi[self.approximation.profiled(problem)] = evaluation.profiled.values
        return psi

    def free(self, problem: Problem) -> IntArray:
        """Return the entries of psi that the approximation does not determine."""
        every = np.arange(problem.n_psi)
        return np.setdiff1d(every, every[self.approximation.profiled(problem)])


@dataclass(frozen=True, eq=False)
class Trial:
    """One model at a typical psi.

    Attributes
    ----------
    case : ApproximationCase
    name : str
        The model.
    plan : Plan
    """

    case: ApproximationCase
    name: str
    plan: Plan

    @cached_property
    def problem(self) -> Problem:
        """The model's problem."""
        return self.plan.problem()

    @cached_property
    def psi(self) -> Array:
        """Where it is evaluated."""
        return typical_psi(self.problem)

    def evaluation(self, psi: Array | None = None) -> Evaluation:
        """Return a fresh objective's evaluation, which must be trustworthy."""
        evaluation = self.case.evaluate(self.problem, self.psi if psi is None else psi)
        expect(
            evaluation.status is Status.OK,
            f"status OK at a moderate psi for the model {self.name!r}",
            evaluation.status,
            "The kit's models are well behaved; see why the search for the mode failed.",
        )
        return evaluation
