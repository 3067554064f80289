"""L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) from SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import (
    Array,
    Optimizer,
    OptimizerFacts,
    OptimizerResult,
    QuasiNewton,
)
from interlace_core.families import check_options


@dataclass(frozen=True)
class LBFGSB(Optimizer):
    """Limited-memory quasi-Newton with bounds; uses exact gradients.

    Parameters
    ----------
    max_evaluations : int
        Budget of objective calls.
    tol_abs_gradient : float
        Stop where no projected gradient entry exceeds this, per standard error of a parameter:
        1e-4 leaves a gain of about 1e-8 in log-likelihood, which the Newton step that
        follows every optimizer takes; the Hessian of that step is then still that of its end.
        1e-3 saves an evaluation or two, and has the Hessian taken twice.
    tol_rel_value : float
        Stop where an iteration changes the value by less than this, relatively.
    memory : int
        Past steps that shape the curvature.
    """

    name = "lbfgsb"
    facts = OptimizerFacts(uses_gradient=True, supports_bounds=True)

    max_evaluations: int = 1000
    tol_abs_gradient: float = 1e-4
    tol_rel_value: float = 1e-13
    memory: int = 20

    def __post_init__(self) -> None:
        check_options(
            self,
            positive_integers=("max_evaluations", "memory"),
            not_negative=("tol_abs_gradient", "tol_rel_value"),
        )

    def quasi_newton(self) -> QuasiNewton:
        """Return the options by which it ends."""
        return QuasiNewton(self.tol_abs_gradient, self.tol_rel_value, self.max_evaluations)

    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        """Minimise and return the best point seen."""
        from scipy.optimize import Bounds, minimize

        best = _Best(objective)
        unit = _first_unit(best, start, bounds)
        options: dict[str, Any] = {
            "maxfun": self.max_evaluations,
            "maxiter": self.max_evaluations,
            "gtol": self.tol_abs_gradient * unit,
            "ftol": self.tol_rel_value,
            "maxcor": self.memory,
        }
        # the stubs know no callable object that returns a pair
        search: Any = minimize
        result = search(
            lambda x: best.scaled(x, unit),
            start / unit,
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(bounds[0] / unit, bounds[1] / unit),
            options=options,
        )
        success = bool(result.success and np.isfinite(best.value))
        return OptimizerResult(best.x, best.value, success, str(result.message), best.count)


def _first_unit(best: _Best, start: Array, bounds: tuple[Array, Array]) -> float:
    """Return the unit of length in which the first trial step is minus the gradient.

    L-BFGS-B's first step has length 1; the contract says that curvatures are about 1, and then
    the step is the slope. Within bounds its stopping rule mixes lengths and slopes: unit 1.
    """
    if np.any(np.isfinite(bounds[0])) or np.any(np.isfinite(bounds[1])):
        return 1.0
    slope = float(np.linalg.norm(best(start)[1]))
    return slope if np.isfinite(slope) and slope > 0.0 else 1.0


class _Best:
    """Remembers the best point, since L-BFGS-B returns its last, and the latest evaluation."""

    def __init__(self, objective: Callable[[Array], tuple[float, Array]]) -> None:
        self._objective = objective
        self._latest: tuple[Array, float, Array] | None = None
        self.x, self.value, self.count = np.zeros(0), np.inf, 0

    def scaled(self, x: Array, unit: float) -> tuple[float, Array]:
        """Return value and gradient as a function of x in other units."""
        value, gradient = self(x * unit)
        return value, gradient * unit

    def __call__(self, x: Array) -> tuple[float, Array]:
        if self._latest is not None and np.allclose(self._latest[0], x, rtol=1e-15, atol=0.0):
            return self._latest[1:]
        value, gradient = self._objective(x)
        self._latest = x.copy(), value, gradient
        self.count += 1
        if self.count == 1 or value < self.value:
            self.x, self.value = x.copy(), value
        return value, gradient
