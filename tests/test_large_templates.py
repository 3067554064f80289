"""Terms of many places, whose products are made otherwise than those of a few columns."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace_approximations.laplace_slopes as laplace_slopes
import interlace_approximations.linear_point as linear_point
from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.engine.elimination import factorisation, smallblocks
from interlace_core.registry.registry import default_registry
from interlace_core.testing.differences import gradient

RNG = np.random.default_rng(2)
PLACES = RNG.uniform(0.0, 8.0, size=(60, 2))
DATA = pd.DataFrame(np.vstack([PLACES, PLACES[:50], PLACES[::3]]), columns=["a", "b"])
DATA["g"] = np.repeat(["one", "two", "one"], [60, 50, 20])
DATA["x"], DATA["z"] = RNG.normal(size=(2, len(DATA)))
DATA["count"] = RNG.poisson(2.0, size=len(DATA))


def problem_of(formula, family):
    registry = default_registry()
    made = registry.family(family)()
    request = ModelRequest(formula, DATA, made)
    return build_problem(request, made, covariance=registry.covariance).problem


@pytest.mark.parametrize(
    ("approximation", "formula", "family"),
    [
        ("ml", "z ~ x + exp(0 + a + b | g)", "gaussian"),
        ("reml", "z ~ x + mat(0 + a + b | g)", "gaussian"),
        ("reml", "z ~ x + (x | g) + exp(0 + a + b | g)", "gaussian"),
        ("laplace", "count ~ x + gau(0 + a + b | g)", "poisson"),
        ("laplace", "count ~ x + (x | g) + exp(0 + a + b | g)", "poisson"),
        ("joint-mode", "count ~ x + exp(0 + a + b | g)", "poisson"),
    ],
)
def test_gradients_are_those_of_differences_and_of_few_columns(
    approximation, formula, family, monkeypatch
):
    problem = problem_of(formula, family)
    made = default_registry().approximation(approximation)()
    start = np.concatenate([each.covariance.start() for each in problem.terms])
    psi = np.concatenate([0.5 * start, 0.1 * RNG.normal(size=problem.n_beta)])
    objective = made.objective(problem)
    found = objective(psi)
    free = slice(0, problem.n_theta)

    def value(theta):
        return objective(np.concatenate([theta, psi[free.stop :]])).value

    wanted = gradient(value, psi[free].copy(), 1e-4)
    size = np.max(np.abs(wanted))
    assert found.gradient[free] == pytest.approx(wanted, abs=1e-6 * size)
    for module in (laplace_slopes, linear_point):
        monkeypatch.setattr(module, "LARGE_TEMPLATE", 10_000)
    for module in (factorisation, smallblocks):
        monkeypatch.setattr(module, "LARGE_BLOCK", 10_000)
    small = made.objective(replace(problem))(psi)
    assert found.value == pytest.approx(small.value, rel=1e-11)
    assert found.gradient == pytest.approx(small.gradient, abs=1e-9 * size)
