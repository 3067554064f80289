"""An optimizer under test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlace_core.contract.optimizer import Optimizer
from interlace_core.testing.objectives import Task, run
from interlace_core.testing.verdicts import expect

SMALL_BUDGET = 12
"""Objective calls that no optimizer minimises Rosenbrock's function with."""


@dataclass(frozen=True)
class OptimizerCase:
    """What the checks of an optimizer share.

    Attributes
    ----------
    optimizer : Optimizer
        With the options given.
    tol_abs_value : float
        How far above the minimum an answer may be.
    budget : mapping from option names to values
        Options under which only `SMALL_BUDGET` objective calls are made.
    """

    optimizer: Optimizer
    tol_abs_value: float
    budget: Mapping[str, Any]

    def limited(self) -> Optimizer:
        """Return the optimizer with a small budget."""
        return with_options(self.optimizer, self.budget)


def with_options(optimizer: Optimizer, options: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer with some options replaced."""
    origin: Any = optimizer
    changed: Optimizer = dataclasses.replace(origin, **options)
    return changed


def expect_minimum(case: OptimizerCase, task: Task, which: str) -> None:
    """Raise unless the optimizer finds the minimum and says so."""
    result, recorder = run(case.optimizer, task)
    expect(
        bool(result.success),
        f"success for the minimum {which}",
        f"success={result.success}, {result.message!r} after {len(recorder.values)} calls",
        "The default options must serve for a small smooth function.",
    )
    gap = result.value - task.minimum
    expect(
        gap <= case.tol_abs_value,
        f"a value within {case.tol_abs_value:g} of the minimum {task.minimum:g} {which}",
        f"{result.value:.12g} ({gap:.2g} above) at {result.x}, {result.message!r}",
        "Stop later, or give tol_abs_value= with a reason.",
    )
