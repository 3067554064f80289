"""Refits of one known model, many at once: the door of all that loops over them.

Together those that compiled code brings to an end that can be claimed; alone, by `refit_problem`,
those that it does not. The answers are of the same things, and so is what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.refits.near import Known
from interlace.refits.refit import refit_problem, with_response
from interlace.refits.responses import Responses, at_once, responses_of
from interlace.results.fitted_model import Training
from interlace.threads import blas_threads, threads_of
from interlace_core.contract.problem import Problem
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.verdict import Verdict, judge
from interlace_core.records import Array, OptimizerResult


@dataclass(frozen=True, eq=False)
class Refit:
    """What a refit found.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    value : float
        Negative log-likelihood, or what else was minimised.
    verdict : Verdict
    uncertainty : PsiCovariance, or None
        Where it was asked for.
    """

    psi: Array
    value: float
    verdict: Verdict
    uncertainty: PsiCovariance | None

    @classmethod
    def of(cls, fit: Fit) -> Refit:
        """Return what a whole fit found."""
        return cls(fit.psi, fit.value, fit.verdict, fit.uncertainty)


@dataclass(frozen=True, eq=False)
class Refits:
    """Refits of a model of which a fit is known; can be pickled.

    Attributes
    ----------
    training : Training
    psi : ndarray, shape (n_psi,)
        Where they begin.
    known : Known, or None
        What is known of a fit there.
    standard_errors : bool
        Whether they are needed.
    """

    training: Training
    psi: Array
    known: Known | None
    standard_errors: bool = False

    @property
    def at_once(self) -> int:
        """How many responses to give to `together` at once; 1 where each is refitted alone."""
        return 1 if self._served() is None else at_once(self.training.problem)

    def together(
        self, responses: Sequence[Array], weights: Sequence[Array] | None = None
    ) -> list[Refit | None]:
        """Return what refits to several responses find; None for those that are to be made alone.

        Parameters
        ----------
        responses : sequence of ndarray
            In the form of the problem's own; others are left to `alone`, which says what is wrong.
        weights : sequence of ndarray, shape (n,), or None
            Of the rows, for each response; None for the problem's.
        """
        training, problem = self.training, self.training.problem
        found: list[Refit | None] = [None] * len(responses)
        usual = [i for i, y in enumerate(responses) if _is_usual(y, problem)]
        served = self._served()
        if served is None or not usual:
            return found
        with blas_threads(threads_of(problem, training.threads)):
            reached = served.reached(
                np.stack([responses[i] for i in usual]),
                None if weights is None else np.stack([weights[i] for i in usual]),
                curvature=self.standard_errors or weights is not None,
            )
        for i, each in zip(usual, reached, strict=True):
            if each is not None:
                ended = OptimizerResult(each.psi, each.value, True, "steps from a known fit", 0)
                verdict = judge(each.boundary, each.decrement, training.tol_decrement, ended)
                found[i] = Refit(each.psi, each.value, verdict, each.uncertainty)
        return found

    def _served(self) -> Responses | None:
        """Return what refits many at once; None where that is not to be had."""
        training, problem = self.training, self.training.problem
        if self.known is None or problem.parts is not None:
            return None
        return responses_of(
            problem, training.approximation, self.known, self.psi, training.tol_decrement
        )

    def alone(self, y: Array, psi: Array | None = None) -> Refit:
        """Return what a refit to one response finds.

        Parameters
        ----------
        y : ndarray
        psi : ndarray, shape (n_psi,), optional
            Where it begins, if not where all do.

        Raises
        ------
        InterlaceError
            If the response is not in the form of the problem's own, or there is no fit.
        """
        problem = with_response(self.training.problem, y)
        fit = refit_problem(
            self.training,
            problem,
            self.psi if psi is None else psi,
            known=self.known,
            standard_errors=self.standard_errors,
        )
        return Refit.of(fit)


def _is_usual(y: Array, problem: Problem) -> bool:
    return y.shape == problem.y.shape and bool(np.isfinite(y).all())
