"""Checks of an optimizer's answers: right ones, and failures that are not called success."""

from __future__ import annotations

import numpy as np

from interlace_core.records import OptimizerResult
from interlace_core.testing import objectives
from interlace_core.testing.objectives import run
from interlace_core.testing.optimizer_case import SMALL_BUDGET, OptimizerCase, expect_minimum
from interlace_core.testing.verdicts import expect

BUDGET_SLACK = 20
"""Calls beyond a budget that a line search or a set of interpolation points may finish."""


def check_quadratic(case: OptimizerCase) -> None:
    """Require the minimum of a quadratic, in one dimension and in five."""
    for m in (1, 5):
        expect_minimum(case, objectives.quadratic(m), f"of a quadratic in {m} dimension(s)")


def check_valley(case: OptimizerCase) -> None:
    """Require the minimum of Rosenbrock's function."""
    expect_minimum(case, objectives.rosenbrock(), "of Rosenbrock's function")


def check_active_bound(case: OptimizerCase) -> None:
    """Require the least value within a box where bounds are active there."""
    expect_minimum(case, objectives.cornered(), "of a quadratic in a box")
    expect_minimum(case, objectives.boxed_valley(), "of Rosenbrock's function in a box")


def check_inside(case: OptimizerCase) -> None:
    """Require that no point outside of the bounds is ever asked for."""
    for task in (objectives.cornered(), objectives.boxed_valley()):
        _, recorder = run(case.optimizer, task)
        lower, upper = task.bounds
        outside = [x for x in recorder.points if np.any(x < lower) or np.any(x > upper)]
        expect(
            not outside,
            f"every point within {lower} and {upper}",
            f"{len(outside)} of {len(recorder.points)} points outside, first {outside[:1]}",
            "Clip interpolation points and line searches: outside, a model is not defined.",
        )


def check_best(case: OptimizerCase) -> None:
    """Require the best point seen as the answer, also where the last one is worse."""
    tasks = ((case.optimizer, objectives.ripples()), (case.limited(), objectives.rosenbrock()))
    for optimizer, task in tasks:
        result, recorder = run(optimizer, task)
        best = int(np.argmin(recorder.values))
        expect(
            result.value == recorder.values[best],
            f"the least value seen, {recorder.values[best]:.12g}",
            f"{result.value:.12g}",
            "Remember the best point; a search may end on a worse one.",
        )
        seen = zip(recorder.points, recorder.values, strict=True)
        expect(
            any(v == result.value and np.array_equal(result.x, x) for x, v in seen),
            f"the point with the least value, {recorder.points[best]}",
            result.x,
            "Return x as it was when the value was best, a copy.",
        )


def check_count(case: OptimizerCase) -> None:
    """Require the number of objective calls."""
    result, recorder = run(case.optimizer, objectives.rosenbrock())
    expect(
        result.n_evaluations == len(recorder.values),
        f"n_evaluations={len(recorder.values)}, the calls made",
        result.n_evaluations,
        "Count the calls of the objective.",
    )


def check_nan(case: OptimizerCase) -> None:
    """Require that an objective of NaN is not called success, whether or not the start has one."""
    result, _ = run(case.optimizer, objectives.undefined())
    _expect_failure(result, "an objective that is NaN everywhere")
    result, _ = run(case.optimizer, objectives.undefined_around())
    _expect_failure(result, "an objective that is NaN everywhere but at the start")


def check_budget(case: OptimizerCase) -> None:
    """Require that a spent budget is kept to and not called success."""
    result, recorder = run(case.limited(), objectives.rosenbrock())
    _expect_failure(result, f"a budget of {SMALL_BUDGET} calls, which is too small")
    expect(
        len(recorder.values) <= SMALL_BUDGET + BUDGET_SLACK,
        f"about {SMALL_BUDGET} objective calls",
        f"{len(recorder.values)}",
        "Stop when the budget is spent.",
    )


def _expect_failure(result: OptimizerResult, when: str) -> None:
    expect(not result.success, f"success=False with {when}", "success=True", "Never call it so.")
    worded = isinstance(result.message, str) and bool(result.message.strip())
    expect(worded, f"a message in words with {when}", result.message, "Say why it stopped.")
