"""The compiled search: where it serves, where it ends, and that it is said."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_approximations.laplace import Laplace
from interlace_core.contract import CompiledFunction, Descent, QuasiNewton
from interlace_core.engine.compiled import function_of
from interlace_core.fitting.differences import Differences
from interlace_core.fitting.standard import standard_of
from interlace_core.registry.registry import default_registry
from test_compiled_linear import built
from test_compiled_objective import Case, frame, problem_of

GLMS = {
    "poisson": ("y ~ x + (1 + x | g)", {}),
    "binomial": ("y ~ x + (1 | g)", {"weights": "trials"}),
    "negativebinomial": ("y ~ x + (1 | g/h)", {}),
    "gamma": ("y ~ x + (1 + x || g)", {}),
}


def fitted(family, **options):
    formula, own = GLMS[family]
    return interlace.glmer(formula, frame(family), family, **own, **options)


@built
@pytest.mark.parametrize("family", GLMS)
def test_it_ends_where_the_optimizer_does(family):
    compiled, stepwise = fitted(family), fitted(family, optimizer="lbfgsb")
    assert compiled.settings["kernel"].endswith(": objective and search")
    assert stepwise.settings["kernel"].endswith(": objective")
    assert "compiled" in compiled.fit.optimizer.message
    assert "compiled" not in stepwise.fit.optimizer.message
    assert compiled.llf == pytest.approx(stepwise.llf, abs=1e-7)
    np.testing.assert_allclose(compiled.fit.psi, stepwise.fit.psi, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        compiled.fit.standard_errors(), stepwise.fit.standard_errors(), rtol=1e-3
    )


@built
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "lbfgsb"},
        {"optimizer_options": {"memory": 5}},
        {"max_seconds": 100.0},
        {"callback": lambda step: None},
    ],
    ids=lambda options: next(iter(options)),
)
def test_who_asks_for_a_search_or_to_be_told_of_steps_gets_that(options):
    assert fitted("poisson", **options).settings["kernel"].endswith(": objective")


@built
def test_configuration_is_a_choice_too():
    with interlace.options(optimizer="lbfgsb"):
        assert fitted("poisson").settings["kernel"].endswith(": objective")


def test_every_step_is_counted():
    m = fitted("binomial")
    assert m.fit.n_evaluations == len(m.fit.path) + m.fit.n_failed
    values = [value for value, _ in m.fit.path]
    assert min(values) == pytest.approx(m.fit.value, abs=1e-6)


@built
@pytest.mark.parametrize("family", GLMS)
def test_the_function_in_c_is_the_objective(family):
    problem = problem_of(Case(family, GLMS[family][0]))
    evaluate = Laplace().objective(problem)
    function = function_of(evaluate)
    assert isinstance(function, CompiledFunction)
    (registered,) = default_registry().classes("kernel")
    psi = np.full(problem.n_psi, 0.3) + 0.01 * np.arange(3)[:, None]
    values, gradients, profiled, inner = registered.cls().at_each(function, psi)
    assert profiled.shape == (3, 0) and inner > 0
    for value, gradient, at in zip(values, gradients, psi, strict=True):
        expected = evaluate(at)
        assert value == pytest.approx(expected.value, rel=1e-12)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(gradient, expected.gradient, atol=1e-6 * size)


@built
@pytest.mark.parametrize("model", ["few rows", "many rows", "profiled"])
def test_differences_of_the_search_are_those_that_were_taken_after_it(model, monkeypatch):
    data = frame("poisson", *((6_000, 400) if model == "many rows" else (400, 23)))

    def fit():
        if model == "profiled":
            return interlace.fit("y ~ x + (1 | g)", frame("gaussian"))
        return interlace.glmer("y ~ x + (1 | g)", data, "poisson")

    used = []
    own = Differences.at

    def noted(self, *where):
        used.append(own(self, *where))
        return used[-1]

    monkeypatch.setattr(Differences, "at", noted)
    together = fit()
    assert used and used[0] is not None
    monkeypatch.setattr(Differences, "at", lambda self, *where: None)
    apart = fit()
    # gradients' own errors of 1e-9, by a step of 1e-4, in standard errors
    one, other = together.fit.uncertainty.inner, apart.fit.uncertainty.inner
    se = np.sqrt(np.diagonal(other))
    np.testing.assert_allclose(one / np.outer(se, se), other / np.outer(se, se), atol=2e-5)
    assert together.fit.n_evaluations < apart.fit.n_evaluations


@built
def test_a_value_below_the_floor_is_left_to_others():
    problem = problem_of(Case("poisson"))
    evaluate = Laplace().objective(problem)
    (registered,) = default_registry().classes("kernel")
    B, origin = 0.1 * np.eye(problem.n_psi), np.full(problem.n_psi, 0.3)
    rule = QuasiNewton(1e-3, 1e-13, 200)
    kernels, function = registered.cls(), function_of(evaluate)
    steps = np.full(problem.n_psi, 2.0)
    found = kernels.search(Descent(function, rule, origin, B, -np.inf, steps))
    assert found.reached and found.path[-1, 1] < 1e-3
    lowest = found.path[:, 0].min()
    assert kernels.search(Descent(function, rule, origin, B, lowest + 1.0, steps)) is None
    nowhere = np.full(problem.n_psi, np.nan)
    assert kernels.search(Descent(function, rule, nowhere, B, -np.inf, steps)) is None
    few = kernels.search(Descent(function, QuasiNewton(1e-3, 1e-13, 3), origin, B, -np.inf, steps))
    assert not few.reached and few.n_searched == 3 and "evaluations" in few.message


@built
def test_no_step_is_longer_than_it_may_be():
    problem = problem_of(Case("poisson"))
    evaluate = Laplace().objective(problem)
    (registered,) = default_registry().classes("kernel")
    B, origin = 0.02 * np.eye(problem.n_psi), np.full(problem.n_psi, 0.3)
    kernels, function = registered.cls(), function_of(evaluate)

    def taken(longest):
        rule = QuasiNewton(1e-6, 1e-16, 200)
        return kernels.search(Descent(function, rule, origin, B, -np.inf, np.full(len(B), longest)))

    short, free = taken(0.5), taken(100.0)
    assert short.reached and free.reached
    assert short.n_evaluations > 1.5 * free.n_evaluations
    np.testing.assert_allclose(short.z, free.z, atol=1e-3)
    # the point where it began, and one step
    once = QuasiNewton(1e-3, 1e-13, 2)
    one = kernels.search(Descent(function, once, origin, B, -np.inf, np.full(len(B), 0.5)))
    assert 0.0 < np.max(np.abs(one.z)) <= 0.5 * (1 + 1e-12)


@built
def test_with_many_rows_a_search_takes_few_steps():
    """The start is dozens of standard errors from the estimates, and next to them on eta."""
    rng = np.random.default_rng(5)
    g, x = rng.integers(0, 2_000, 20_000), rng.normal(size=20_000)
    y = rng.poisson(np.exp(0.3 * x + rng.normal(0, 1.0, 2_000)[g]))
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    m = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert "search" in m.settings["kernel"]
    assert m.fit.optimizer.n_evaluations <= 12


@built
def test_a_model_fitted_in_other_columns_says_what_served_it():
    data = frame("poisson")
    data["x"] += 1_000.0
    m = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert m.settings["kernel"].endswith(": objective and search")


@built
def test_structures_whose_theta_are_no_entries_are_searched_step_by_step():
    m = interlace.glmer("y ~ x + homdiag(1 + x | g)", frame("poisson"), "poisson")
    assert m.settings["kernel"].endswith(": objective")


def test_placements_are_the_templates():
    for name in ("us", "diag"):
        covariance = default_registry().covariance(name)(3)
        theta = np.arange(1.0, 1.0 + covariance.n_theta)
        k, i, j = covariance.placement().T
        T = np.zeros((3, 3))
        T[i, j] = theta[k]
        np.testing.assert_array_equal(T, covariance.template(theta))


@built
def test_a_structure_that_inherits_a_placement_which_it_breaks_is_found_out(monkeypatch):
    problem = standard_of(problem_of(Case("poisson", "y ~ x + (1 + x | g)"))).problem
    own = type(problem.terms[0].covariance).template
    monkeypatch.setattr(
        type(problem.terms[0].covariance), "template", lambda self, theta: 2.0 * own(self, theta)
    )
    assert function_of(Laplace().objective(problem)) is None
