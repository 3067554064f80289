"""Checks of what an optimizer is as an object: options, facts, types of its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from interlace_core.contract.optimizer import Optimizer, OptimizerFacts, QuasiNewton
from interlace_core.messages.checks import is_real
from interlace_core.messages.errors import OptionError
from interlace_core.records import OptimizerResult
from interlace_core.testing import objectives
from interlace_core.testing.objectives import run
from interlace_core.testing.optimizer_case import OptimizerCase, expect_minimum, with_options
from interlace_core.testing.verdicts import expect, expect_raises


def check_dataclass(case: OptimizerCase) -> None:
    """Require a frozen dataclass whose options all have defaults."""
    kind: Any = type(case.optimizer)
    parameters = getattr(kind, "__dataclass_params__", None)
    expect(
        bool(getattr(parameters, "frozen", False)),
        "a frozen dataclass whose fields are the options",
        f"{kind.__name__}, which is not",
        "Decorate it with @dataclass(frozen=True).",
    )
    expect(kind() == kind(), "equal options to make equal optimizers", "a difference", "Use eq.")


def check_facts(case: OptimizerCase) -> None:
    """Require facts, and that an optimizer which needs no gradient does not look at it."""
    facts = getattr(type(case.optimizer), "facts", None)
    expect(
        isinstance(facts, OptimizerFacts),
        "a class attribute `facts`, OptimizerFacts",
        facts,
        "Set facts = OptimizerFacts(uses_gradient=..., supports_bounds=...).",
    )
    assert isinstance(facts, OptimizerFacts)
    why = case.optimizer.unavailable
    advice = 'Say why it cannot run here, or leave it "".'
    expect(isinstance(why, str), "unavailable to be a text", why, advice)
    rule = case.optimizer.quasi_newton()
    advice = "Return QuasiNewton with the numbers at which it ends, or leave quasi_newton() out."
    numbers = rule is None or (
        isinstance(rule, QuasiNewton) and facts.uses_gradient and rule.max_evaluations > 0
    )
    expect(numbers, "quasi_newton() of a gradient's user to be a rule, or None", rule, advice)
    if not facts.uses_gradient:
        task = objectives.quadratic(2)

        def blind(x: Any) -> tuple[float, Any]:
            return task.function(x)[0], np.full(x.size, np.nan)

        expect_minimum(case, dataclasses.replace(task, function=blind), "without gradients")


def check_options(case: OptimizerCase) -> None:
    """Require an OptionError that names the option for each impossible value."""
    for option, value in _bad_options(case.optimizer):
        act = partial(with_options, case.optimizer, {option: value})
        expect_raises(act, OptionError, (option,), f"for {option}={value!r}")


def check_result(case: OptimizerCase) -> None:
    """Require a result of the types that OptimizerResult promises."""
    result, _ = run(case.optimizer, objectives.quadratic(2))
    kind = type(result)
    expect(
        issubclass(kind, OptimizerResult),
        "an OptimizerResult",
        kind.__name__,
        "Import it from records.",
    )
    x, types = result.x, (type(result.value), type(result.success), type(result.n_evaluations))
    expect(
        isinstance(x, np.ndarray) and x.shape == (2,) and x.dtype == np.float64,
        "x as float64 of shape (2,)",
        x,
        "Return the point as an array.",
    )
    expect(
        issubclass(types[0], float) and types[1:] == (bool, int),
        "value, success and n_evaluations as float, bool and int",
        [f"{each.__module__}.{each.__name__}" for each in types],
        "Convert what the library returns.",
    )
    worded = isinstance(result.message, str) and bool(result.message.strip())
    expect(worded, "a message in words", result.message, "Pass on what the library says.")


def check_inputs(case: OptimizerCase) -> None:
    """Require that start and bounds stay as they are."""
    bounded = case.optimizer.facts.supports_bounds
    task = objectives.cornered() if bounded else objectives.quadratic(3)
    start, bounds = task.start.copy(), (task.bounds[0].copy(), task.bounds[1].copy())
    case.optimizer.minimize(task.function, start, bounds)
    expect(np.array_equal(start, task.start), "start as it was", start, "Work on a copy.")
    same = all(np.array_equal(a, b) for a, b in zip(bounds, task.bounds, strict=True))
    expect(same, "bounds as they were", bounds, "Work on copies.")


def _bad_options(optimizer: Optimizer) -> Iterator[tuple[str, Any]]:
    """Yield options with values that cannot be right, by the type of their present value."""
    for field in dataclasses.fields(optimizer):  # type: ignore[arg-type]
        value = getattr(optimizer, field.name)
        if not field.init or not (is_real(value) or isinstance(value, str)):
            continue
        yield field.name, "no such value"
        if isinstance(value, int):
            yield field.name, -1
        elif isinstance(value, float):
            yield field.name, float("nan")
