"""BOBYQA (Powell 2009), bound-constrained optimisation by quadratic models without gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.contract import Array, Optimizer, OptimizerFacts, OptimizerResult
from interlace_core.families import check_options

FAR = 1e3
"""Stands for no bound: Py-BOBYQA wants finite ones. In standard errors of a parameter."""


@dataclass(frozen=True)
class BOBYQA(Optimizer):
    """Derivative-free trust region with bounds.

    Parameters
    ----------
    max_evaluations : int
        Budget of objective calls.
    radius_start, radius_end : float
        First and last trust-region radius, in standard errors of a parameter.
    """

    name = "bobyqa"
    facts = OptimizerFacts(uses_gradient=False, supports_bounds=True)

    max_evaluations: int = 5000
    radius_start: float = 1.0
    radius_end: float = 1e-4

    def __post_init__(self) -> None:
        check_options(
            self,
            positive_integers=("max_evaluations",),
            not_negative=("radius_start", "radius_end"),
        )

    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        """Minimise and return the best point seen."""
        import pybobyqa

        lower = np.maximum(bounds[0], start - FAR)
        upper = np.minimum(bounds[1], start + FAR)
        best: list[tuple[float, Array]] = []

        def value(x: Array) -> float:
            # interpolation points can leave the box by rounding
            inside = np.clip(x, lower, upper)
            here = objective(inside)[0]
            if not best or here < best[0][0]:
                best[:] = [(here, inside.copy())]
            return here

        radius = min(self.radius_start, 0.49 * float(np.min(upper - lower)))
        with warnings.catch_warnings():
            # moves a start near a bound into the box, and says so
            warnings.simplefilter("ignore")
            solution = pybobyqa.solve(
                value,
                start,
                bounds=(lower, upper),
                rhobeg=radius,
                rhoend=min(self.radius_end, 0.1 * radius),
                maxfun=self.max_evaluations,
                do_logging=False,
            )
        success = solution.flag == solution.EXIT_SUCCESS and np.isfinite(best[0][0])
        return OptimizerResult(
            best[0][1], best[0][0], bool(success), str(solution.msg), int(solution.nf)
        )
