"""An optimizer that passes the conformance kit, and faulty twins that each fail one check."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, minimize

from interlace_core.contract.optimizer import Optimizer, OptimizerFacts
from interlace_core.families.responses import check_options
from interlace_core.messages.errors import OptionError
from interlace_core.records import OptimizerResult


@dataclass(frozen=True)
class QuasiNewton(Optimizer):
    name = "twin"
    facts = OptimizerFacts(uses_gradient=True, supports_bounds=True)

    max_evaluations: int = 500
    tol_abs_gradient: float = 1e-4
    norm: str = "largest"
    quiet: bool = True

    def __post_init__(self):
        if self.norm != "largest":
            raise OptionError(f"optimizer 'twin': norm must be 'largest', got {self.norm!r}.")
        check_options(
            self, positive_integers=("max_evaluations",), not_negative=("tol_abs_gradient",)
        )

    def minimize(self, objective, start, bounds):
        seen = []

        def remember(x):
            value, gradient = objective(x)
            seen.append((value, x.copy()))
            return value, gradient

        result = minimize(
            remember, start, jac=True, method="L-BFGS-B", bounds=Bounds(*bounds),
            options={"maxfun": self.max_evaluations, "gtol": self.tol_abs_gradient, "ftol": 1e-13},
        )  # fmt: skip
        value, x = min(seen, key=lambda pair: pair[0])
        success = bool(result.success and np.isfinite(value))
        return OptimizerResult(x, float(value), success, str(result.message), len(seen))


@dataclass
class Thawed(Optimizer):
    """Not frozen."""

    name = "twin"
    facts = QuasiNewton.facts
    max_evaluations: int = 500

    def __post_init__(self):
        check_options(self, positive_integers=("max_evaluations",))

    def minimize(self, objective, start, bounds):
        return QuasiNewton(self.max_evaluations).minimize(objective, start, bounds)


@dataclass(frozen=True)
class LooksAtGradient(QuasiNewton):
    facts = OptimizerFacts(uses_gradient=False, supports_bounds=True)


@dataclass(frozen=True)
class TakesAnyOption(QuasiNewton):
    def __post_init__(self):
        pass


@dataclass(frozen=True)
class StopsAtStart(QuasiNewton):
    """Says success at the start where `stops` holds."""

    def stops(self, start, bounds):
        return False

    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        if not result.success or not self.stops(start, bounds):
            return result
        value, _ = objective(start)
        return replace(result, x=start, value=value, n_evaluations=result.n_evaluations + 1)


@dataclass(frozen=True)
class StopsInFiveDimensions(StopsAtStart):
    def stops(self, start, bounds):
        return start.size == 5


@dataclass(frozen=True)
class StopsInTheValley(StopsAtStart):
    def stops(self, start, bounds):
        return start[0] == -1.2 and np.isinf(bounds[0][0])


@dataclass(frozen=True)
class StopsInBoxes(StopsAtStart):
    def stops(self, start, bounds):
        return bool(np.isfinite(bounds[0][0]))


@dataclass(frozen=True)
class LooksOutside(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        if np.isfinite(bounds[0][0]):
            objective(np.append(bounds[0][0] - 1e-9, start[1:]))
        return result


@dataclass(frozen=True)
class ReturnsTheLast(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        if result.success:
            return result
        value, _ = objective(start)
        return replace(result, x=start, value=value, n_evaluations=result.n_evaluations + 1)


@dataclass(frozen=True)
class ReturnsRounded(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        return replace(result, x=np.round(result.x, 8))


@dataclass(frozen=True)
class CountsOneLess(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        return replace(result, n_evaluations=result.n_evaluations - 1)


@dataclass(frozen=True)
class NaNIsSuccess(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        return replace(result, success=result.success or bool(np.isnan(result.value)))


@dataclass(frozen=True)
class StuckIsSuccess(QuasiNewton):
    """A line search that finds nothing but NaN counts as the end."""

    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        stuck = np.isfinite(result.value) and np.array_equal(result.x, start)
        return replace(result, success=result.success or bool(stuck))


@dataclass(frozen=True)
class SpentIsSuccess(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        spent = result.n_evaluations >= 12 and not np.array_equal(result.x, start)
        return replace(result, success=result.success or spent)


@dataclass(frozen=True)
class IgnoresBudget(QuasiNewton):
    def minimize(self, objective, start, bounds):
        return QuasiNewton().minimize(objective, start, bounds)


@dataclass(frozen=True)
class NumPyBool(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        return replace(result, success=np.bool_(result.success))


@dataclass(frozen=True)
class SaysNothing(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        return replace(result, message="" if result.success else result.message)


@dataclass(frozen=True)
class MovesStart(QuasiNewton):
    def minimize(self, objective, start, bounds):
        result = super().minimize(objective, start, bounds)
        start[:] = result.x
        return result


class AvailabilityIsFlag(QuasiNewton):
    unavailable = False


class RuleIsFlag(QuasiNewton):
    def quasi_newton(self):
        return True


TWINS = {
    "is a frozen dataclass": [Thawed()],
    "facts are there and true": [LooksAtGradient(), AvailabilityIsFlag(), RuleIsFlag()],
    "bad options are refused": [TakesAnyOption()],
    "minimises a quadratic": [StopsInFiveDimensions()],
    "minimises Rosenbrock's function": [StopsInTheValley()],
    "finds a minimum on a bound": [StopsInBoxes()],
    "never asks outside of bounds": [LooksOutside()],
    "returns the best point seen": [ReturnsTheLast(), ReturnsRounded()],
    "counts its evaluations": [CountsOneLess()],
    "NaN is no success": [NaNIsSuccess(), StuckIsSuccess()],
    "a spent budget is no success": [SpentIsSuccess(), IgnoresBudget()],
    "result is well formed": [NumPyBool(), SaysNothing()],
    "inputs stay as they are": [MovesStart()],
}
"""Faulty twins by the one check that each fails."""
