"""Designs whose Schur complement is sparse, fitted with a dense and with a sparse one."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.engine.elimination import sparsity
from interlace_core.engine.layout import layout_of
from interlace_core.records import Status
from interlace_core.registry.registry import default_registry

STEP = 1e-4


@pytest.fixture
def ways(monkeypatch):
    """Return a function that sets how complements are factorised from then on."""

    def choose(way):
        for limit in ("ALWAYS_DENSE", "FULL_SHARE", "GAIN"):
            forced = {"dense": np.inf if limit == "ALWAYS_DENSE" else 0.0}
            forced["sparse"] = 0.0 if limit == "ALWAYS_DENSE" else np.inf
            monkeypatch.setattr(sparsity, limit, forced[way])

    return choose


def movers(seed, *, pupils=600, schools=150, occasions=4, share=0.15):
    """Return pupils in schools, some of whom change school half-way; five schools have no rows."""
    rng = np.random.default_rng(seed)
    pupil = np.repeat(np.arange(pupils), occasions)
    half = np.tile(np.arange(occasions), pupils) >= occasions // 2
    home, away = rng.integers(0, schools, (2, pupils))
    school = np.where((rng.random(pupils) < share)[pupil] & half, away[pupil], home[pupil])
    x = rng.normal(size=pupil.size)
    effect = rng.normal(0, 0.7, pupils)[pupil] + rng.normal(0, 0.6, schools)[school]
    eta = 0.4 + 0.5 * x + effect + 0.3 * rng.normal(size=schools)[school] * x
    categories = np.arange(schools + 5).astype(str)
    return pd.DataFrame({
        "y": rng.binomial(1, 1 / (1 + np.exp(-eta))),
        "z": eta + rng.normal(size=x.size),
        "n": rng.poisson(np.exp(0.3 * eta)),
        "x": x,
        "w": rng.uniform(0.5, 2.0, x.size),
        "pupil": pupil.astype(str),
        "school": pd.Categorical(school.astype(str), categories=categories),
        "district": (school % 12).astype(str),
        "teacher": rng.integers(0, 8, x.size) * schools + school,
    })  # fmt: skip


MODELS = {
    "intercepts": ("y ~ x + (1 | pupil) + (1 | school)", "binomial", None),
    "weights": ("n ~ x + (1 | pupil) + (1 | school)", "poisson", "w"),
    "slopes of schools": ("n ~ x + (1 | pupil) + (1 + x | school)", "poisson", None),
    "slopes of pupils": ("n ~ x + (1 + x || pupil) + (1 | school)", "poisson", None),
    "partly nested": ("n ~ x + (1 | pupil) + (1 | school) + (1 | district)", "poisson", None),
    "teachers": ("n ~ x + (1 | pupil) + (1 | teacher) + (1 | school)", "poisson", None),
}


@pytest.mark.parametrize("model", MODELS)
def test_dense_and_sparse_give_one_likelihood_and_gradient(model, ways):
    formula, family, weights = MODELS[model]
    data, found = movers(1), {}
    for way in ("dense", "sparse"):
        ways(way)
        problem = problem_of(formula, data, family, weights)
        assert way + " Schur" in layout_of(problem).plan.describe(layout_of(problem).structure)
        psi = np.full(problem.n_psi, 0.1)
        psi[: problem.n_theta] = np.concatenate([0.5 * t.covariance.start() for t in problem.terms])
        objective = default_registry().approximation("laplace")().objective(problem)
        found[way] = objective(psi)
        assert found[way].status is Status.OK
    assert found["sparse"].value == pytest.approx(found["dense"].value, rel=1e-12)
    scale = np.abs(found["dense"].gradient).max()
    # the mode is exact to 1e-8, and the two searches need not take the same steps
    assert np.abs(found["sparse"].gradient - found["dense"].gradient).max() <= 1e-8 * scale


@pytest.mark.parametrize("model", ["slopes of schools", "teachers"])
def test_gradient_with_a_sparse_complement_matches_differences(model, ways):
    formula, family, weights = MODELS[model]
    ways("sparse")
    problem = problem_of(formula, movers(2), family, weights)
    objective = default_registry().approximation("laplace")().objective(problem)
    psi = np.full(problem.n_psi, 0.1)
    psi[: problem.n_theta] = np.concatenate([0.5 * t.covariance.start() for t in problem.terms])
    gradient = objective(psi).gradient
    differences = np.array([difference(objective, psi, i) for i in range(psi.size)])
    assert np.abs(gradient - differences).max() <= 1e-6 * np.abs(gradient).max()


def test_fits_with_a_dense_and_a_sparse_complement_agree(ways):
    data, fits = movers(3), {}
    for way in ("dense", "sparse"):
        ways(way)
        m = interlace.glmer("y ~ x + (1 | pupil) + (1 | school)", data, "binomial")
        assert way + " Schur complement" in m.settings["structure"]
        fits[way] = m
    assert fits["sparse"].llf == pytest.approx(fits["dense"].llf, abs=1e-8)
    assert np.allclose(fits["sparse"].fe_params, fits["dense"].fe_params, rtol=1e-6)
    assert np.allclose(fits["sparse"].fe_bse, fits["dense"].fe_bse, rtol=1e-5)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_linear_fits_with_a_dense_and_a_sparse_complement_agree(method, ways):
    data, fits = movers(4), {}
    for way in ("dense", "sparse"):
        ways(way)
        fits[way] = interlace.fit("z ~ x + (1 | pupil) + (1 + x | school)", data, method=method)
        assert way + " Schur complement" in fits[way].settings["structure"]
    assert fits["sparse"].llf == pytest.approx(fits["dense"].llf, abs=1e-8)
    assert np.allclose(fits["sparse"].fe_params, fits["dense"].fe_params, rtol=1e-6)
    assert np.allclose(fits["sparse"].fe_bse, fits["dense"].fe_bse, rtol=1e-5)


def test_sparse_is_chosen_where_few_pupils_move_and_dense_where_all_do():
    few = movers(5, pupils=4_000, schools=800, share=0.03)
    m = interlace.fit("z ~ x + (1 | pupil) + (1 | school)", few)
    assert "school (sparse Schur complement" in m.settings["structure"]
    rng = np.random.default_rng(6)
    every = few.assign(school=rng.integers(0, 300, len(few)), pupil=few["pupil"].astype(int) % 500)
    m = interlace.fit("z ~ x + (1 | pupil) + (1 | school)", every)
    assert "school (dense Schur complement, 300 rows)" in m.settings["structure"]


def problem_of(formula, data, family, weights):
    """Return the problem of a model."""
    registry = default_registry()
    chosen = registry.family(family)()
    request = ModelRequest(formula, data, chosen, weights=weights)
    return build_problem(request, chosen, covariance=registry.covariance).problem


def difference(objective, psi, i):
    """Return a central difference of fourth order: its error is STEP^4."""
    h = np.zeros(psi.size)
    h[i] = STEP
    near = objective(psi + h).value - objective(psi - h).value
    far = objective(psi + 2 * h).value - objective(psi - 2 * h).value
    return (8.0 * near - far) / (12.0 * STEP)
