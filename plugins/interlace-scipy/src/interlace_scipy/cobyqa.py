"""COBYQA (Ragonneau & Zhang 2022) from SciPy: quadratic models without gradients, with bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from interlace_core.contract import Array, Optimizer, OptimizerFacts, OptimizerResult
from interlace_core.families import check_options

FIRST = (1, 14)
"""The first version of SciPy with it."""


@dataclass(frozen=True)
class COBYQA(Optimizer):
    """Derivative-free trust region with bounds, a successor of BOBYQA.

    Parameters
    ----------
    max_evaluations : int
        Budget of objective calls.
    radius_start, radius_end : float
        First and last trust-region radius, in standard errors of a parameter.
    """

    name = "cobyqa"
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

    @property
    def unavailable(self) -> str:
        """What to install where SciPy is older than COBYQA; empty elsewhere."""
        if scipy_version() >= FIRST:
            return ""
        wanted, found = (".".join(map(str, each)) for each in (FIRST, scipy_version()))
        return (
            f"It needs SciPy {wanted} or newer, and {found} is installed. Run "
            f"pip install 'scipy>={wanted}', or choose another optimizer."
        )

    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        """Minimise and return the best point seen."""
        from scipy.optimize import Bounds, minimize

        best: list[tuple[float, Array]] = []
        values: list[float] = []

        def value(x: Array) -> float:
            # interpolation points can leave the box by rounding
            inside = np.clip(x, *bounds)
            here = float(objective(inside)[0])
            values.append(here)
            if not best or here < best[0][0]:
                best[:] = [(here, inside.copy())]
            return here

        # a narrow box has no room for the radius; COBYQA would widen the last one to the first
        room = 0.5 * float(np.min(bounds[1] - bounds[0]))
        radius = min(self.radius_start, room)
        options: dict[str, Any] = {
            "maxfev": self.max_evaluations,
            "initial_tr_radius": radius,
            "final_tr_radius": min(self.radius_end, 0.1 * radius),
        }
        # the stubs do not know the options of this method
        search: Any = minimize
        result = search(
            value, start.copy(), method="COBYQA", bounds=Bounds(*bounds), options=options
        )
        # it takes the other points for a model where some are not finite, and calls that success
        success = bool(result.success and np.all(np.isfinite(values)))
        return OptimizerResult(best[0][1], best[0][0], success, str(result.message), len(values))


@cache
def scipy_version() -> tuple[int, int]:
    """Return the installed version of SciPy, without importing it."""
    major, minor = version("scipy").split(".")[:2]
    return int(major), int(minor)
