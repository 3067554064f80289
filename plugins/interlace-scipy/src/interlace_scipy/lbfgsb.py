"""L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) from SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contracts import Optimizer, OptimizerFacts, check_options
from interlace_core.records import Array, OptimizerResult


@dataclass(frozen=True)
class LBFGSB(Optimizer):
    """Limited-memory quasi-Newton with bounds; uses exact gradients.

    Parameters
    ----------
    max_evaluations : int
        Budget of objective calls.
    tol_abs_gradient : float
        Stop where no projected gradient entry exceeds this, per standard error of a parameter:
        1e-3 leaves a gain of about 1e-6 in log-likelihood, which the Newton steps that
        follow every optimizer take.
    tol_rel_value : float
        Stop where an iteration changes the value by less than this, relatively.
    memory : int
        Past steps that shape the curvature.
    """

    name = "lbfgsb"
    facts = OptimizerFacts(uses_gradient=True, supports_bounds=True)

    max_evaluations: int = 1000
    tol_abs_gradient: float = 1e-3
    tol_rel_value: float = 1e-13
    memory: int = 20

    def __post_init__(self) -> None:
        check_options(
            self,
            positive_integers=("max_evaluations", "memory"),
            not_negative=("tol_abs_gradient", "tol_rel_value"),
        )

    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        """Minimise and return the best point seen."""
        from scipy.optimize import Bounds, minimize

        best = _Best(objective)
        options: dict[str, Any] = {
            "maxfun": self.max_evaluations,
            "maxiter": self.max_evaluations,
            "gtol": self.tol_abs_gradient,
            "ftol": self.tol_rel_value,
            "maxcor": self.memory,
        }
        # the stubs know no callable object that returns a pair
        search: Any = minimize
        result = search(
            best, start, jac=True, method="L-BFGS-B", bounds=Bounds(*bounds), options=options
        )
        success = bool(result.success and np.isfinite(best.value))
        return OptimizerResult(best.x, best.value, success, str(result.message), best.count)


class _Best:
    """Remembers the best point: L-BFGS-B returns its last."""

    def __init__(self, objective: Callable[[Array], tuple[float, Array]]) -> None:
        self._objective = objective
        self.x, self.value, self.count = np.zeros(0), np.inf, 0

    def __call__(self, x: Array) -> tuple[float, Array]:
        value, gradient = self._objective(x)
        self.count += 1
        if self.count == 1 or value < self.value:
            self.x, self.value = x.copy(), value
        return value, gradient
