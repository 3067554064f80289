"""The conformance checks of an approximation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.messages.errors import OptionError
from interlace_core.testing import approximation_behaviour as behaviour
from interlace_core.testing import approximation_values as values
from interlace_core.testing.approximation_case import ApproximationCase, Trial
from interlace_core.testing.approximation_models import MODELS, NORMAL_MODELS, Plan
from interlace_core.testing.approximation_parts import check_parts
from interlace_core.testing.approximation_shortcuts import check_shortcuts
from interlace_core.testing.verdicts import Checks, build, collect, shown

Run = Callable[[], None]


def approximation_checks(
    approximation: Approximation | type[Approximation],
    *,
    exact: bool = False,
    tol_abs_group: float = 0.02,
    expected_failures: Mapping[str, str] | None = None,
) -> Checks:
    """Return the checks of an approximation as pairs of name and callable.

    The models of the kit that `check` refuses are left out, so what is checked follows from
    what the approximation says it can do.

    Parameters
    ----------
    approximation : Approximation or its class
    exact : bool
        Whether the value equals numerical integration to 1e-8, as quadrature with enough points
        does.
    tol_abs_group : float
        If not exact, allowed error of one group's log-likelihood, in groups of seven rows. For
        Laplace's approximation 0.01 is usual.
    expected_failures : mapping from check names to reasons, optional
        Such a check passes if it fails, and fails if it passes.

    Raises
    ------
    OptionError
        If a tolerance is not positive, or an expected failure names no check or has no reason.

    Examples
    --------
    The whole test file of a plugin::

        @pytest.mark.parametrize("name, check", approximation_checks(MyApproximation))
        def test_conformance(name, check):
            check()
    """
    if not 0.0 < tol_abs_group < np.inf:
        raise OptionError(
            f"tol_abs_group: expected a positive number, got {tol_abs_group!r}. Use exact=True "
            "for an approximation without error."
        )
    instance: Approximation = build(approximation)
    case = ApproximationCase(instance, 0.0 if exact else tol_abs_group)
    return collect(shown(instance), _checks(case), expected_failures)


def _checks(case: ApproximationCase) -> dict[str, Run]:
    normal, models = case.accepted(NORMAL_MODELS), case.accepted(MODELS)
    known = {
        name: plan
        for name, plan in models.items()
        if plan.family.linear_normal or not case.restricted
    }
    scalar = {name: plan for name, plan in known.items() if plan.scalar}
    quick = {
        name: plan
        for name, plan in (normal | models).items()
        if case.approximation.shortcuts(plan.problem()) is not None
    }
    curved = {
        name: plan
        for name, plan in (normal | models).items()
        if case.approximation.curvature(plan.problem(), Trial(case, name, plan).psi) is not None
    }
    bounded = {
        name: plan
        for name, plan in models.items()
        if case.approximation.bounded(plan.problem()) is not None
    }
    profiling = {
        name: plan for name, plan in models.items() if case.free(p := plan.problem()).size < p.n_psi
    }
    checks: dict[str, Run] = {
        "accepts or refuses in words": partial(behaviour.check_refusals, case),
        "is found by name and nAGQ": partial(behaviour.check_named, case),
        "says what it is": partial(behaviour.check_words, case),
    }
    for name in normal:
        run = _each(values.check_normal, case, {name: normal[name]})
        checks[f"exact for normal responses: {name}"] = run
    checks["equals the likelihood at Lambda = 0"] = _each(values.check_without_effects, case, known)
    if scalar:
        checks["agrees with numerical integration"] = _each(values.check_integral, case, scalar)
    for name in models:
        checks[f"gradient: {name}"] = _each(values.check_gradient, case, {name: models[name]})
    checks |= {name: _each(check, case, models) for name, check in _BEHAVIOUR.items()}
    if quick:
        checks["shortcuts say what the rows say"] = _each(check_shortcuts, case, quick)
    if curved:
        checks["curvature is the slope of the gradient"] = _each(
            values.check_curvature, case, curved
        )
    if bounded:
        checks["what stands in for it is an approximation"] = _each(
            values.check_bounded, case, bounded
        )
    if profiling:
        checks["profiled entries do not matter"] = _each(behaviour.check_profiled, case, profiling)
    return checks


_BEHAVIOUR: dict[str, Callable[[Trial], None]] = {
    "evaluations are well formed": behaviour.check_evaluation,
    "order of rows does not matter": behaviour.check_rows,
    "order of levels does not matter": behaviour.check_labels,
    "signs of covariates do not matter": behaviour.check_signs,
    "covariates told by row alone do not matter": behaviour.check_incidence,
    "units of covariates do not matter": behaviour.check_units,
    "same value whatever came before": behaviour.check_history,
    "a given mode is only a start": behaviour.check_given_mode,
    "what is said of a penalty is of the shape of psi": behaviour.check_penalty,
    "far points fail by status": behaviour.check_far,
    "parts of the rows add up": check_parts,
    "objective can be pickled": behaviour.check_pickle,
    "inputs stay as they are": behaviour.check_inputs,
}


def _each(
    check: Callable[[Trial], None], case: ApproximationCase, plans: Mapping[str, Plan]
) -> Run:
    """Return a check of several models as one."""
    trials = [Trial(case, name, plan) for name, plan in plans.items()]
    return partial(_run_all, check, trials)


def _run_all(check: Callable[[Trial], None], trials: list[Trial]) -> None:
    for trial in trials:
        check(trial)
