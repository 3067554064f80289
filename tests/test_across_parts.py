"""A factor whose levels lie in several parts is fitted as by all rows at once.

Whole and parts start fresh, and where values and slopes are compared the mode is found to rounding,
as in `test_fit_in_parts`, whose table and whose forgetful parts these are.
"""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.request import ModelRequest
from interlace.errors import DataError, UnsupportedModelError
from interlace.fits import options_in_force, prepared
from interlace_core.contract import PartsHere
from interlace_core.engine import layout_of
from interlace_core.engine.across import point_of, reduced
from interlace_core.engine.across_search import AcrossSearch, known_of
from interlace_core.engine.mode import DEFAULT_SETTINGS
from interlace_core.engine.parts import subset
from interlace_core.engine.shares import summed
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.outline import outline
from interlace_core.fitting.standard import standard_of
from test_data_in_parts import same
from test_fit_in_parts import Forgetful, beside, evaluated, exactly
from test_fit_in_parts import table as rows

PARTS = 3
ACROSS = ("v", "i")


def table():
    """Return rows of groups, which lie in one part, with two factors that run across them."""
    d = rows()
    rng = np.random.default_rng(7)
    d["v"], d["i"] = rng.integers(0, 7, len(d)), rng.integers(0, 40, len(d))
    eta = 0.5 * rng.normal(size=7)[d["v"]] + 0.4 * rng.normal(size=7)[d["v"]] * d["x"]
    d["k"] = rng.poisson(np.exp(np.clip(np.log(d["k"] + 0.5) + eta, -3.0, 4.0)))
    d["s"] = rng.binomial(d["m"], 1.0 / (1.0 + np.exp(-eta - 0.3 * d["x"])))
    d["r"], d["p"] = d["r"] + eta, d["p"] * np.exp(0.5 * eta)
    d["z"] = np.where(rng.uniform(size=len(d)) < 0.25, 0, d["k"])
    return d


MODELS = {
    "binomial, trials by column": ("s / m ~ x + (1 | g) + (1 | v)", "binomial", {"weights": "m"}),
    "slopes across": ("k ~ x + (1 + x | g) + (1 + x | v)", "poisson", {}),
    "far from zero": ("k ~ year + (1 | g) + (1 + year | v)", "poisson", {}),
    "two terms across": ("k ~ x + (1 | g) + (1 | v) + (0 + x | v)", "poisson", {"offset": "o"}),
    "more levels than groups": ("k ~ x + (1 | g) + (1 | i)", "poisson", {}),
    "two factors across": ("k ~ x + (1 | g) + (1 | v) + (1 | i)", "poisson", {}),
    "nested within": ("k ~ x + (1 | g / h) + (1 | v)", "poisson", {}),
    "dispersed counts": ("k ~ x + (1 | g) + (1 | v)", "negativebinomial", {}),
    "gamma": ("p ~ x + (1 | g) + (1 | v)", "gamma", {}),
    "zero part across": (
        "z ~ x + (1 | g)", "zip", {"parameters": {"zero": "~ 1 + (1 | v)"}},
    ),
    "dispersion within": (
        "r ~ x + (1 | g) + (1 | v)", "gaussian", {"parameters": {"dispersion": "~ x + (1 | g)"}},
    ),
    "ordinal": ("c ~ x + (1 | g) + (1 | v)", "cumulative", {"who": "clmm"}),
    "joint mode": ("k ~ x + f + (1 + x | g) + (1 | v)", "poisson", {"nAGQ": 0}),
    "REML": ("r ~ x + f + (1 + x | g) + (1 + x | v)", "gaussian", {"approximation": "reml"}),
    "REML far from zero": (
        "r ~ year + (1 | g) + (1 + year | v)", "gaussian", {"approximation": "reml"},
    ),
    "ML, weights": (
        "r ~ x + (1 | g / h) + (1 | v)", "gaussian", {"approximation": "ml", "weights": "w"},
    ),
    "restricted Laplace": (
        "k ~ x + f + (1 | g) + (1 + x | v)", "poisson", {"approximation": "laplace-reml"},
    ),
}  # fmt: skip


def ready_for(name):
    """Return a model of the table with its components."""
    formula, family, asked = MODELS[name]
    choices = {key: asked[key] for key in ("nAGQ", "approximation") if key in asked}
    more = {key: each for key, each in asked.items() if key not in choices}
    request = ModelRequest(formula, table(), family, **more)
    return prepared(request, options_in_force(kernels="off", **choices))


def in_parts(problem, engine=PartsHere):
    """Return the problem with its groups dealt out to parts, which share the levels of `ACROSS`."""
    terms = tuple(replace(term, across=term.group in ACROSS) for term in problem.terms)
    part = np.asarray(table()["g"] % PARTS)
    problem = replace(problem, terms=terms)
    parts = [subset(problem, np.flatnonzero(part == k)) for k in range(PARTS)]
    return outline(parts[0], engine(parts))


@pytest.fixture(scope="module", params=MODELS)
def whole(request):
    """A model's components, and its fit by all rows at once."""
    ready = ready_for(request.param)
    return ready, fit_problem(ready.model.problem, ready.approximation, ready.optimizer)


@pytest.mark.parametrize("engine", [PartsHere, Forgetful])
def test_value_and_gradient_over_parts_are_those_of_all_rows(whole, engine):
    ready, fit = whole
    problem, approximation = ready.model.problem, exactly(ready.approximation)
    psi = beside(problem, fit.psi)
    value, gradient, profiled = evaluated(approximation, replace(problem), psi)
    assert np.isfinite(value)
    found = evaluated(approximation, in_parts(problem, engine), psi)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert np.max(np.abs(found[1] - gradient)) <= 1e-10 * np.max(np.abs(gradient))
    if profiled is not None:
        np.testing.assert_allclose(found[2].values, profiled.values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[2].covariance, profiled.covariance, rtol=1e-8)


def test_a_fit_in_parts_ends_where_that_of_all_rows_does(whole):
    ready, fit = whole
    found = fit_problem(in_parts(ready.model.problem), ready.approximation, ready.optimizer)
    assert found.verdict.status == fit.verdict.status
    assert found.value == pytest.approx(fit.value, rel=1e-11)
    se = fit.standard_errors()
    known = np.isfinite(se)
    assert np.all(np.abs(found.psi - fit.psi)[known] <= 1e-6 * se[known])
    np.testing.assert_allclose(found.standard_errors()[known], se[known], rtol=1e-3)


def test_parts_that_forget_end_at_the_same_estimates():
    ready = ready_for("slopes across")
    fits = [
        fit_problem(in_parts(ready.model.problem, engine), ready.approximation, ready.optimizer)
        for engine in (PartsHere, Forgetful)
    ]
    assert fits[0].value == pytest.approx(fits[1].value, rel=1e-12)
    se = fits[0].standard_errors()
    assert np.nanmax(np.abs(fits[0].psi - fits[1].psi) / se) <= 1e-6


def test_the_slopes_of_the_shared_mode_are_those_of_differences():
    ready = ready_for("slopes across")
    problem = standard_of(in_parts(ready.model.problem)).problem
    psi = np.linspace(0.3, 0.5, problem.n_psi)
    settings = replace(DEFAULT_SETTINGS, tol_sq_decrement=1e-24)
    search = AcrossSearch(problem, settings)
    found = search(psi)
    slopes = problem.parts.total(slopes_of, settings, psi, found.u)
    moves = -found.curvature.solve(slopes.T)
    for k, move in enumerate(1e-4 * np.eye(psi.size)):
        numbers = (search(psi + move).u - search(psi - move).u) / 2e-4
        np.testing.assert_allclose(moves[:, k], numbers, atol=1e-5 * np.max(np.abs(moves)))


def slopes_of(part, settings, psi, u):
    return point_of(part, settings, psi, u).slopes(psi)


def test_a_question_asked_twice_has_one_answer_and_keeps_no_dense_matrix():
    ready = ready_for("more levels than groups")
    problem = in_parts(ready.model.problem)
    part, psi = problem.parts.engine.parts[0], np.full(problem.n_psi, 0.4)
    first, again = (reduced(part, DEFAULT_SETTINGS, psi, np.zeros(40), ()) for _ in range(2))
    for one, other in zip(list(first)[:4], list(again)[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    at = point_of(part, DEFAULT_SETTINGS, psi, np.zeros(40))
    assert at.eliminated.complement is None and not at.eliminated._first.left.size


def test_levels_of_a_part_that_has_few_of_them_come_last():
    problem = in_parts(ready_for("more levels than groups").model.problem)
    structure = layout_of(problem.parts.engine.parts[0]).structure
    assert [factor.name for factor in structure.factors] == ["g", "i"]
    assert structure.factors[0].rows.size == 8 and structure.factors[1].rows.size == 40


def test_a_mode_that_one_part_does_not_find_fails_the_evaluation():
    ready = ready_for("slopes across")
    problem = standard_of(in_parts(ready.model.problem)).problem
    found = ready.approximation.over_parts(problem)(np.full(problem.n_psi, 800.0))
    assert found.status.value != "ok"
    assert known_of(problem, np.full(problem.n_psi, 800.0)) is None


# data that are read part by part


@pytest.fixture(scope="module")
def data():
    d = table()
    d["v"] = "item" + d["v"].astype(str)
    d.loc[[3, 77, 200], "x"] = np.nan
    return d


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("across")
    for k in range(6):
        part = data[data["g"] % 6 == k]
        part = part[part["v"] != "item3"] if k == 1 else part  # a level that a piece lacks
        part.to_parquet(path / f"part-{k}.parquet", index=False)
    return path


@pytest.fixture(scope="module")
def frame(folder):
    return pd.concat([pd.read_parquet(each) for each in sorted(folder.glob("*.parquet"))])


def apart(folder, **options):
    return interlace.in_parts(str(folder), rows=100, distinct=False, **options)


CALLS = {
    "binomial": ("s / m ~ x + (1 | g) + (1 | v)", {"family": "binomial", "weights": "m"}),
    "slopes": ("k ~ center(x) + (1 | g) + (1 + x | v)", {"family": "poisson"}),
    "nested": ("k ~ x + (1 | g / h) + (1 | v)", {"family": "poisson"}),
    "combinations": ("k ~ x + (1 | g) + (1 | v:f)", {"family": "poisson"}),
    "joint mode": ("k ~ x + (1 | g) + (1 | v)", {"family": "poisson", "nAGQ": 0}),
    "priors": (
        "k ~ x + (1 | g) + (1 | v)",
        {"family": "poisson", "priors": {"x": interlace.normal(0, 0.1)}},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_files_give_the_fit_of_all_rows(name, folder, frame):
    formula, options = CALLS[name]
    model = interlace.glmer(formula, apart(folder), **options)
    one = interlace.glmer(formula, frame, **options)
    same(model, one)
    assert "dense Schur complement over all parts" in model.settings["structure"]
    assert model.settings["parts"] == "in 6 parts"
    for group, effects in one.random_effects.items():
        assert list(model.random_effects[group].index) == list(effects.index)
        np.testing.assert_allclose(model.random_effects[group], effects, atol=1e-6)
        own, other = model.effects[group], one.effects[group]
        np.testing.assert_allclose(own.spread, other.spread, atol=1e-6)
        assert own.uninformed == other.uninformed


@pytest.fixture(scope="module")
def both(folder, frame):
    formula = "k ~ x + (1 | g) + (1 + x | v)"
    return interlace.glmer(formula, apart(folder), "poisson"), interlace.glmer(
        formula, frame, "poisson"
    )


def test_what_belongs_to_rows_and_levels(both, frame):
    model, one = both
    np.testing.assert_allclose(pd.concat(model.in_parts.fitted()), one.fittedvalues, rtol=1e-6)
    np.testing.assert_allclose(pd.concat(model.in_parts.residuals()), one.resid, atol=1e-5)
    np.testing.assert_allclose(model.predict(frame), one.predict(frame), rtol=1e-6)
    (across,) = model.in_parts.random_effects("v")
    np.testing.assert_allclose(across[["Intercept", "x"]], one.random_effects["v"], atol=1e-6)
    sd = np.sqrt(np.diagonal(one.effects["v"].covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(across[["sd(Intercept)", "sd(x)"]], sd, atol=1e-6)
    assert len(pd.concat(model.in_parts.random_effects("g"))) == one.ngroups["g"]
    assert (
        str(model.summary()).split("Random effects")[1]
        == str(one.summary()).split("Random effects")[1]
    )


def test_effects_that_run_across_have_names_where_others_are_too_many(
    both, folder, frame, monkeypatch
):
    monkeypatch.setattr("interlace.parts.afterwards.MOST_NAMED", 5)
    model = interlace.glmer("k ~ x + (1 | g) + (1 + x | v)", apart(folder), "poisson")
    wanted = both[1].effects["v"]
    assert model.effects["v"].levels == wanted.levels
    np.testing.assert_allclose(model.effects["v"].values, wanted.values, atol=1e-6)
    assert not len(model.effects["g"].values)


def test_further_rounds(both):
    model, one = both
    found, wanted = (each.confint("x", method="profile") for each in (model, one))
    numbers = wanted.select_dtypes("number").columns
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-5)
    draws = model.bootstrap(2, seed=1)
    assert not draws.failures and draws.values["x"].nunique() == 2
    with pytest.raises(UnsupportedModelError, match="runs across the parts"):
        model.vcov_robust()
    pickle.loads(pickle.dumps(model.without_training()))


def test_parts_draw_the_effects_that_they_share_together(both, frame):
    """Rows of one level of v have one drawn effect of it, whichever part they are in."""
    model, _ = both
    n, psi = 2000, model.fit.psi.copy()
    draws = pd.concat(model.in_parts.simulate(n, seed=3, conditional=False)).to_numpy()
    logs = np.log(draws + 0.5)
    logs = logs - logs.mean(axis=1, keepdims=True)
    kept = frame.dropna()
    part = (kept["g"] % 6).to_numpy()
    one, other = (
        logs[(part == k) & (kept["v"] == "item0").to_numpy()].mean(axis=0) for k in (0, 2)
    )
    third = logs[(part == 2) & (kept["v"] == "item1").to_numpy()].mean(axis=0)
    assert psi.size and np.corrcoef(one, other)[0, 1] > 0.3
    assert abs(np.corrcoef(one, third)[0, 1]) < 0.1


def test_linear_and_ordinal_models(folder, frame):
    for method in ("REML", "ML"):
        formula = "r ~ x + (1 | g) + (1 + x | v)"
        one = interlace.fit(formula, frame, method=method)
        same(interlace.fit(formula, apart(folder), method=method), one)
    formula = "c ~ x + (1 | g) + (1 | v)"
    same(interlace.clmm(formula, apart(folder)), interlace.clmm(formula, frame))


def test_levels_with_a_row_in_each_part_are_told_from_the_rows(tmp_path):
    """By itself each part would say that its rows have a level each."""
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"h": np.concatenate([rng.permutation(40) for _ in range(6)])})
    d["part"], d["g"] = np.arange(240) // 40, np.arange(240) // 10
    d["x"] = rng.normal(size=240)
    d["r"] = rng.normal(size=24)[d["g"]] + 0.7 * rng.normal(size=40)[d["h"]] + rng.normal(size=240)
    d["y"] = (d["r"] > 0).astype(int)
    for k, part in d.groupby("part"):
        part.to_parquet(tmp_path / f"{k}.parquet", index=False)
    data = interlace.in_parts(str(tmp_path), rows=40, distinct=False)
    same(
        interlace.fit("r ~ x + (1 | g) + (1 | h)", data), interlace.fit("r ~ x + (1|g) + (1|h)", d)
    )
    formula = "y ~ x + (1 | g) + (1 | h)"
    model = interlace.glmer(formula, data, "binomial")
    one = interlace.glmer(formula, d, "binomial")
    same(model, one)
    assert model.notes == one.notes


def test_parts_in_files_give_the_same(folder, both):
    model = interlace.glmer("k ~ x + (1 | g) + (1 + x | v)", apart(folder, memory=1.0), "poisson")
    assert model.settings["parts"] == "in 6 parts, 6 of them in files"
    assert model.llf == pytest.approx(both[0].llf, rel=1e-12)


def test_too_many_levels_are_refused_with_what_to_do(folder, monkeypatch):
    for where in ("look", "gathering"):
        monkeypatch.setattr(f"interlace.parts.{where}.MOST_ACROSS", 10)
    formula = "k ~ x + (1 | g) + (1 | i)"
    with pytest.raises(DataError, match=r"10 random effects together.*g: 24, i: 40.*data=frame"):
        interlace.glmer(formula, apart(folder), "poisson")
    with pytest.raises(
        DataError, match=r"at most 10 random effects .* got 14 \(\(1 \+ x \| v\): 14\)"
    ):
        interlace.glmer("k ~ x + (1 | g) + (1 + x | v)", apart(folder), "poisson")


def test_the_factor_of_many_levels_is_to_be_brought_together(data, tmp_path, monkeypatch):
    for where in ("look", "gathering"):
        monkeypatch.setattr(f"interlace.parts.{where}.MOST_ACROSS", 10)
    data.to_parquet(tmp_path / "all.parquet", index=False, row_group_size=50)
    small = interlace.in_parts(str(tmp_path / "all.parquet"), rows=60, distinct=False)
    with pytest.raises(DataError, match=r"each level of 'g'.*\(v may run across\).*on='g'"):
        interlace.glmer("k ~ x + (1 | v) + (1 | g)", small, "poisson")


def test_a_sum_over_parts_is_refused_in_words_where_they_share_effects():
    ready = ready_for("more levels than groups")
    with pytest.raises(UnsupportedModelError, match="levels of 'i' lie in several. Use nAGQ=1"):
        summed(ready.approximation, in_parts(ready.model.problem))
