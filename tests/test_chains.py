"""Terms of times as chains: the same value, gradient and mode as with dense matrices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.engine import chained
from interlace_core.engine.joint_density import effects_covariance
from interlace_core.engine.layout import choose_plan, layout_of
from interlace_core.registry.registry import default_registry

RNG = np.random.default_rng(1)


def rows():
    """Return 8 groups of 10 times, some with two rows and some with none."""
    n, G = 10, 8
    data = pd.DataFrame({"t": np.tile(np.arange(n), G), "g": np.repeat(np.arange(G), n)})
    data = pd.concat([data, data.iloc[5:60:7]]).drop(index=[3, 17, 40]).reset_index(drop=True)
    data["time"] = np.cumsum(1.0 + np.arange(n) % 3)[data["t"]] * 0.4
    data["x"], data["item"] = RNG.normal(size=(2, len(data)))
    data["item"] = RNG.integers(0, 7, size=len(data)).astype(str)
    data["region"] = [f"r{g % 3}" for g in data["g"]]
    data["g"] = data["g"].astype(str)
    data["row"] = np.arange(len(data)).astype(str)
    data["count"] = RNG.poisson(np.exp(0.5 + 0.3 * data["x"]))
    data["yes"] = (RNG.random(len(data)) < 0.5).astype(float)
    data["z"] = RNG.normal(size=len(data))
    data["w"] = RNG.uniform(0.5, 2.0, size=len(data))
    data["few"] = RNG.integers(1, 4, size=len(data))
    return data


DATA = rows()

MODELS = {
    "alone": "count ~ x + ar1(0 + t | g)",
    "uneven times": "count ~ x + ou(0 + time | g)",
    "beside the group's": "count ~ x + (1 + x | g) + ar1(0 + t | g)",
    "between the group's": "count ~ x + (1 | g) + ar1(0 + t | g) + (0 + x | g)",
    "within regions": "count ~ x + (1 | region) + ou(0 + time | g)",
    "beside rows'": "count ~ x + (1 | row) + ar1(0 + t | g)",
    "crossed": "count ~ x + (1 | item) + ar1(0 + t | g)",
    "all of them": "count ~ (1 | row) + (1 | item) + (x | g) + ou(0 + time | g) + (0 + x | region)",
    "two chains": "count ~ x + ar1(0 + t | g) + ou(0 + time | region)",
    "crossed with cells": "count ~ x + (1 | g) + ar1(0 + t | region) + (1 | g:item)",
    "one group": "count ~ x + ar1(0 + t | all)",
}


def problem_of(formula, family, **options):
    registry = default_registry()
    made = registry.family(family)()
    request = ModelRequest(formula, DATA.assign(all="one"), made, **options)
    return build_problem(request, made, covariance=registry.covariance).problem


def both(problem, approximation, monkeypatch, seed=3):
    """Return the evaluations by a chain and by dense matrices at a random psi."""
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    monkeypatch.setattr(chained, "DENSE_WORK", np.inf)
    layout = layout_of(problem, chains=True)
    assert "chain of 10 times" in layout.plan.describe(layout.structure)
    rng = np.random.default_rng(seed)
    start = [each.covariance.start() for each in problem.terms]
    psi = np.concatenate([0.4 * np.concatenate(start), np.zeros(problem.n_beta)])
    psi += 0.15 * rng.normal(size=psi.size)
    registry = default_registry()
    found = registry.approximation(approximation)().objective(problem)(psi)
    monkeypatch.setattr(chained, "FEW_TIMES", 10_000)
    plain = replace(problem)
    dense = registry.approximation(approximation)().objective(plain)(psi)
    assert layout_of(plain, chains=True).plain is None
    return found, dense


def assert_same(found, dense):
    assert found.value == pytest.approx(dense.value, rel=1e-12)
    assert found.gradient == pytest.approx(
        dense.gradient, abs=1e-10 * np.max(np.abs(dense.gradient))
    )
    assert found.mode == pytest.approx(dense.mode, abs=1e-8)


@pytest.mark.parametrize("approximation", ["laplace", "joint-mode"])
@pytest.mark.parametrize("model", MODELS)
def test_values_and_gradients_are_those_of_dense_matrices(model, approximation, monkeypatch):
    problem = problem_of(MODELS[model], "poisson")
    assert_same(*both(problem, approximation, monkeypatch))


@pytest.mark.parametrize("approximation", ["ml", "reml"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("model", [each for each in MODELS if "row" not in MODELS[each]])
def test_linear_models_are_those_of_dense_matrices(model, weights, approximation, monkeypatch):
    formula = MODELS[model].replace("count", "z")
    problem = problem_of(formula, "gaussian", weights=weights)
    found, dense = both(problem, approximation, monkeypatch)
    assert_same(found, dense)
    assert found.profiled.values == pytest.approx(dense.profiled.values, rel=1e-9)


@pytest.mark.parametrize(
    ("family", "formula", "options"),
    [
        ("binomial", "yes ~ x + ar1(0 + t | g)", {}),
        ("nbinom2", "count ~ x + ar1(0 + t | g)", {"weights": "few", "offset": "x"}),
        ("gaussian", "z ~ x + ou(0 + time | g)", {}),
        ("gamma", "w ~ x + ar1(0 + t | g)", {"parameters": {"dispersion": "~ x"}}),
    ],
)
def test_other_families_too(family, formula, options, monkeypatch):
    assert_same(*both(problem_of(formula, family, **options), "laplace", monkeypatch))


def test_two_parameters_that_share_rows(monkeypatch):
    """A chain of the mean beside effects of the dispersion, which share second derivatives."""
    problem = problem_of(
        "w ~ x + ar1(0 + t | g)",
        "gamma",
        parameters={"dispersion": "~ 1 + ar1(0 + t | g) + (1 | region)"},
    )
    assert_same(*both(problem, "laplace", monkeypatch))


@pytest.mark.parametrize("rho", [1.0, -1.0, 0.9999])
def test_the_ends_of_a_correlation(rho, monkeypatch):
    problem = problem_of("z ~ x + ar1(0 + t | g)", "gaussian")
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    psi = np.array([0.8, np.arcsin(rho), 0.2, 0.1, -0.3])
    ml = default_registry().approximation("ml")()
    found = ml.objective(problem)(psi)
    monkeypatch.setattr(chained, "FEW_TIMES", 10_000)
    dense = ml.objective(replace(problem))(psi)
    assert found.value == pytest.approx(dense.value, rel=1e-12)
    assert found.gradient == pytest.approx(dense.gradient, abs=1e-9)


def test_a_standard_deviation_of_zero(monkeypatch):
    problem = problem_of("count ~ x + (1 | g) + ar1(0 + t | g)", "poisson")
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    psi = np.array([0.4, 0.0, 0.6, 0.2, 0.1])
    laplace = default_registry().approximation("laplace")()
    found = laplace.objective(problem)(psi)
    monkeypatch.setattr(chained, "FEW_TIMES", 10_000)
    assert_same(found, laplace.objective(replace(problem))(psi))


def test_what_costs_more_than_dense_matrices_stays_dense(monkeypatch):
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    monkeypatch.setattr(chained, "DENSE_WORK", 1e-3)
    problem = problem_of(MODELS["crossed"], "poisson")
    assert layout_of(problem, chains=True) is layout_of(problem)


def test_rows_that_correlate_and_related_groups_stay_dense(monkeypatch):
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    data = DATA.drop_duplicates(["t", "g"])
    groups = sorted(data["g"].unique())
    K = pd.DataFrame(0.3 + 0.7 * np.eye(len(groups)), index=groups, columns=groups)
    model = interlace.glmer("count ~ x + ar1(0 + t | g)", data, "poisson", known={"g": K})
    assert model.converged
    layout = layout_of(model.training.problem, chains=True)
    assert layout.plain is None


def test_the_structure_by_term_has_the_same_effects(monkeypatch):
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    problem = problem_of(MODELS["between the group's"], "poisson")
    layout, plain = layout_of(problem, chains=True), layout_of(problem)
    u = np.arange(float(layout.structure.q))
    parts = layout.by_term(layout.structure.split(u))
    assert [each.shape for each in parts] == [each.shape for each in plain.structure.factors]
    assert plain.structure.join(parts) == pytest.approx(u)
    assert choose_plan(plain.structure).describe(plain.structure)


@pytest.mark.parametrize("model", [each for each in MODELS if "two" not in each])
def test_the_covariance_of_the_effects_is_that_of_dense_matrices(model, monkeypatch):
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    monkeypatch.setattr(chained, "DENSE_WORK", np.inf)
    problem = problem_of(MODELS[model], "poisson")
    rng = np.random.default_rng(4)
    psi = 0.5 + 0.1 * rng.normal(size=problem.n_psi)
    u = 0.1 * rng.normal(size=layout_of(problem).structure.q)
    found = effects_covariance(problem, psi, u)
    monkeypatch.setattr(chained, "FEW_TIMES", 10_000)
    dense = effects_covariance(replace(problem), psi, u)
    for one, other in zip(found, dense, strict=True):
        assert one == pytest.approx(other, abs=1e-13)


def test_groups_with_one_time_each(monkeypatch):
    monkeypatch.setattr(chained, "FEW_TIMES", 2)
    data = DATA.drop_duplicates("g").assign(t=np.arange(DATA["g"].nunique()))
    data = pd.concat([data, data])
    made = default_registry().family("poisson")()
    request = ModelRequest("count ~ x + (1 | g) + ar1(0 + t | g)", data, made)
    problem = build_problem(request, made, covariance=default_registry().covariance).problem
    psi = np.array([0.5, 0.6, 0.4, 0.1, 0.2])
    u = np.zeros(layout_of(problem).structure.q)
    found = effects_covariance(problem, psi, u)
    assert layout_of(problem, chains=True).plain is not None
    monkeypatch.setattr(chained, "FEW_TIMES", 10_000)
    for one, other in zip(found, effects_covariance(replace(problem), psi, u), strict=True):
        assert one == pytest.approx(other, abs=1e-13)
