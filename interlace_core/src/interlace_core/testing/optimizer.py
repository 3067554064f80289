"""The conformance checks of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from interlace_core.contract.optimizer import Optimizer, OptimizerFacts
from interlace_core.messages.errors import OptionError
from interlace_core.testing import optimizer_answers as answers
from interlace_core.testing import optimizer_form as form
from interlace_core.testing.optimizer_case import SMALL_BUDGET, OptimizerCase
from interlace_core.testing.verdicts import Checks, build, collect, shown


def optimizer_checks(
    optimizer: Optimizer | type[Optimizer],
    *,
    tol_abs_value: float = 1e-4,
    budget: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Checks:
    """Return the checks of an optimizer as pairs of name and callable.

    Bounds are not checked where `facts` says that it supports none.

    Parameters
    ----------
    optimizer : Optimizer or its class
    tol_abs_value : float
        How far above the minimum an answer may be. Values are log-likelihoods, and the driver
        goes the rest of the way by Newton steps.
    budget : mapping from option names to values, optional
        What limits the objective calls to 12; by default `{"max_evaluations": 12}`.
    expected_failures : mapping from check names to reasons, optional
        Such a check passes if it fails, and fails if it passes.

    Raises
    ------
    OptionError
        If there is no option that limits objective calls, or an expected failure names no check
        or has no reason.

    Examples
    --------
    The whole test file of a plugin::

        @pytest.mark.parametrize("name, check", optimizer_checks(MyOptimizer))
        def test_conformance(name, check):
            check()
    """
    instance: Optimizer = build(optimizer)
    budget = {"max_evaluations": SMALL_BUDGET} if budget is None else budget
    lacking = [option for option in budget if not hasattr(instance, option)]
    if lacking:
        raise OptionError(
            f"{shown(instance)}: expected an option {lacking[0]!r} that limits objective calls, "
            "got none. Name the one there is by budget=."
        )
    case = OptimizerCase(instance, tol_abs_value, budget)
    checks = dict(_ALWAYS)
    facts = getattr(instance, "facts", None)
    if isinstance(facts, OptimizerFacts) and facts.supports_bounds:
        checks |= _BOUNDED
    runs: dict[str, Callable[[], None]] = {n: partial(c, case) for n, c in checks.items()}
    return collect(shown(instance), runs, expected_failures)


_ALWAYS: dict[str, Callable[[OptimizerCase], None]] = {
    "is a frozen dataclass": form.check_dataclass,
    "facts are there and true": form.check_facts,
    "bad options are refused": form.check_options,
    "minimises a quadratic": answers.check_quadratic,
    "minimises Rosenbrock's function": answers.check_valley,
    "returns the best point seen": answers.check_best,
    "counts its evaluations": answers.check_count,
    "NaN is no success": answers.check_nan,
    "a spent budget is no success": answers.check_budget,
    "result is well formed": form.check_result,
    "inputs stay as they are": form.check_inputs,
}

_BOUNDED: dict[str, Callable[[OptimizerCase], None]] = {
    "finds a minimum on a bound": answers.check_active_bound,
    "never asks outside of bounds": answers.check_inside,
}
