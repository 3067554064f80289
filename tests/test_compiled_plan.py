"""Factorisations in C, for objectives that are not: linear models, other families, nAGQ=0."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.request import ModelRequest
from interlace.fits import options_in_force, prepared
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace
from interlace_approximations.linear import MaximumLikelihood, RestrictedLikelihood
from interlace_core.contract import Status
from interlace_core.engine import NotPositiveDefiniteError, layout_of
from interlace_kernels import elimination
from test_compiled_objective import COMPLEMENTS, EXACT, built, crossed_problem, points

pytestmark = built
STRUCTURES = (
    "(1 | a) + (1 | b)",
    "(1 + x | a) + (1 | b)",
    "(1 | a) + (1 + x | b) + (1 | c)",
    "(1 + x | a/c)",
    "(1 | row) + (1 + x | a) + (1 | b)",
)


def table(rows=600, seed=4):
    """Return rows in groups that cross, 60 and 11 of them."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 60, rows), rng.integers(0, 11, rows)
    x = rng.normal(size=rows)
    eta = 0.4 * x + rng.normal(0, 0.7, 60)[a] + rng.normal(0, 0.5, 11)[b]
    noise = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "a": a, "b": b, "c": rng.integers(0, 4, rows), "row": np.arange(rows) // 3, "x": x,
            "y": eta + noise, "p": 1 / (1 + np.exp(-eta - noise)), "w": rng.uniform(0.5, 2, rows),
        }
    )  # fmt: skip


def problem_of(formula, family, **options):
    request = ModelRequest(formula=formula, data=table(), family=family, **options)
    return prepared(request, options_in_force()).model.problem


def require_same(approximation, problem, tol_value=1e-12, tol_gradient=1e-9):
    plain_problem = replace(problem, compiled=None)
    compiled, plain = (approximation.objective(each) for each in (problem, plain_problem))
    words = type(layout_of(problem).plan).__name__, type(layout_of(plain_problem).plan).__name__
    assert words == ("CompiledPlan", "EliminationPlan")
    for psi in points(problem):
        got, expected = compiled(psi), plain(psi)
        assert got.status is expected.status is Status.OK
        assert got.value == pytest.approx(expected.value, rel=tol_value)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(got.gradient, expected.gradient, atol=tol_gradient * size)
        np.testing.assert_allclose(got.mode, expected.mode, atol=1e-8)


@pytest.mark.parametrize("rows", [64, 2])
@pytest.mark.parametrize("random", STRUCTURES[:3])
def test_second_derivatives(random, rows, monkeypatch):
    """The complement is factorised in C where it is small, and by LAPACK where it is not."""
    monkeypatch.setattr(elimination, "OWN_ROWS", rows)
    problem = problem_of(f"y ~ x + {random}", "gaussian")
    plain = replace(problem, compiled=None)
    for psi in points(problem):
        for approximation in (MaximumLikelihood(), RestrictedLikelihood()):
            got = approximation.curvature(problem, psi)
            expected = approximation.curvature(plain, psi)
            for one, other in (
                (got.hessian, expected.hessian),
                (got.profiled_slope, expected.profiled_slope),
            ):
                np.testing.assert_allclose(one, other, atol=1e-11 * np.max(np.abs(other)))


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("random", STRUCTURES)
def test_linear_models(random, weights):
    problem = problem_of(f"y ~ x + {random}", "gaussian", weights=weights)
    require_same(MaximumLikelihood(), problem)
    require_same(RestrictedLikelihood(), problem)


@pytest.mark.parametrize("random", STRUCTURES)
def test_a_family_without_compiled_rows(random):
    require_same(Laplace(EXACT), problem_of(f"p ~ x + {random}", "beta"), 1e-10)


def test_effects_on_two_predictors():
    options = {"parameters": {"sigma": "~ (1 | b)"}}
    require_same(Laplace(EXACT), problem_of("y ~ x + (1 + x | a)", "gaussian", **options), 1e-10)


@pytest.mark.parametrize("model", COMPLEMENTS.values(), ids=list(COMPLEMENTS))
def test_complements_of_all_kinds(model):
    *arguments, moved = model
    require_same(JointMode(EXACT), crossed_problem(*arguments, moved=moved), 1e-10)


def test_several_factorisations_of_one_plan():
    """Each keeps its own, as the search for a mode keeps an old one beside the new."""
    problem = problem_of("y ~ x + (1 + x | a) + (1 | b)", "gaussian")
    layout = layout_of(problem)
    rng = np.random.default_rng(1)

    def matrix(scale):
        blocks = {}
        for (i, j), pair in layout.structure.pairs.items():
            shape = (*(len(layout.structure.factors[f].columns) for f in (i, j)), pair.first.size)
            blocks[i, j] = 0.01 * rng.normal(size=shape)
            if i == j:
                blocks[i, j] = blocks[i, j] + blocks[i, j].transpose(1, 0, 2)
                blocks[i, j] += scale * np.eye(shape[0])[:, :, None]
        return blocks

    first = layout.plan.factorise(matrix(2.0))
    x = layout.structure.split(rng.normal(size=layout.structure.q))
    before = layout.structure.join(first.solve(x)), first.selected_inverse()[0, 0].copy()
    kept = first.selected_inverse()[0, 0]
    second = layout.plan.factorise(matrix(5.0))
    second.selected_inverse()
    assert second.logdet > first.logdet
    np.testing.assert_array_equal(layout.structure.join(first.solve(x)), before[0])
    np.testing.assert_array_equal(kept, before[1])
    for bad in (-1.0, np.nan):
        with pytest.raises(NotPositiveDefiniteError):
            layout.plan.factorise(matrix(bad))


def test_a_layout_may_be_pickled():
    problem = problem_of("y ~ x + (1 | a) + (1 | b)", "gaussian")
    value = MaximumLikelihood().objective(problem)(next(points(problem))).value
    layout = pickle.loads(pickle.dumps(layout_of(problem)))
    assert type(layout.plan).__name__ == "CompiledPlan"
    again = MaximumLikelihood().objective(layout.problem)(next(points(problem))).value
    assert again == pytest.approx(value, rel=1e-14)


def test_what_was_used_is_said():
    fits = {each: interlace.fit("y ~ x + (1 | a) + (1 | b)", table(), kernels=each)
            for each in ("auto", "off")}  # fmt: skip
    assert fits["auto"].settings["kernel"].endswith(": factorisation")
    assert fits["off"].settings["kernel"] == "none"
    assert fits["auto"].llf == pytest.approx(fits["off"].llf, abs=1e-9)
    np.testing.assert_allclose(fits["auto"].fit.psi, fits["off"].fit.psi, atol=1e-6)
