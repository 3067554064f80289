"""A part of a problem is a whole problem: whatever belongs to rows goes with them.

Every kind of row-bound thing meets every consumer of parts: what is summed over parts is what the
whole gives, and quadrature in blocks of collapsed rows is quadrature of the rows as given.
"""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import interlace
from interlace.data.request import ModelRequest
from interlace.diagnostics.approximation_error import finer_approximation
from interlace.fits import options_in_force, prepared
from interlace.inference.accuracy import independent_parts
from interlace.inference.parts import independent_rows
from interlace_approximations import groups
from interlace_core.engine import collapse
from interlace_core.engine.layout import layout_of
from interlace_core.engine.parts import subset
from interlace_core.fitting.start import find_start
from interlace_ordinal.cumulative import CumulativeFamily

TOL_REL = 1e-11
"""Sums of a few hundred terms in another order."""


def table(n=240, seed=4):
    """Return rows of 12 groups in no order; rows of groups 0 and 1 lack what bind() looks for."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {
            "g": rng.integers(0, 12, n),
            "x": rng.integers(0, 3, n) - 1.0,
            "f": rng.choice(["a", "b"], n),
            "w": rng.uniform(0.5, 2.0, n),
            "o": rng.normal(size=n),
            "t": rng.permutation(n).astype(float),
        }
    )
    few = d["g"] <= 1
    d["m"] = np.where(few, 1, rng.integers(2, 9, n))
    eta = 0.4 * d["x"] + 0.7 * rng.normal(size=12)[d["g"]]
    d["s"] = rng.binomial(d["m"], expit(eta + rng.normal(size=n)))
    d["k"] = np.where(rng.uniform(size=n) < 0.2, 0, rng.poisson(np.exp(0.5 + eta)))
    d["r"] = eta + rng.normal(size=n)
    share = np.clip(expit(eta + rng.normal(size=n)), 0.01, 0.99)
    inside = rng.uniform(size=n)
    d["p"] = np.where(few, share, np.where(inside < 0.1, 0.0, np.where(inside > 0.9, 1.0, share)))
    category = np.digitize(d["r"], [-1.0, 0.2, 1.2])
    d["c"] = np.where(few, category // 2, category)  # no category 2 or 3 in groups 0 and 1
    d["h"] = d["g"] // 4
    return d


def relation():
    """Return a covariance of the 12 levels, all correlated."""
    levels = [str(i) for i in range(12)]
    return pd.DataFrame(0.3 + 0.7 * np.eye(12), index=levels, columns=levels)


KINDS = {
    "trials": ("cbind(s, m - s) ~ x + (1 | g)", "binomial", {}),
    "trials and weights": ("s / m ~ x + (1 | g)", "binomial", {"weights": "m"}),
    "weights": ("k ~ x + (1 | g)", "poisson", {"weights": "w"}),
    "offset": ("k ~ x + f + (1 | g)", "poisson", {"offset": "o"}),
    "weights of a normal response": ("r ~ x + (1 | g)", "gaussian", {"weights": "w"}),
    "dispersion formula": ("r ~ x + (1 | g)", "gaussian", {"parameters": {"sigma": "~ x"}}),
    "zero part with a formula": ("k ~ x + (1 | g)", "poisson", {"parameters": {"zero": "~ f"}}),
    "trials and precision": ("cbind(s, m - s) ~ x + (1 | g)", "betabinomial", {}),
    "ends that a part lacks": ("p ~ x + (1 | g)", "ordered_beta", {}),
    "zeros and ones that a part lacks": ("p ~ x + (1 | g)", "zerooneinflated_beta", {}),
    "categories that a part lacks": ("c ~ x + (1 | g)", "cumulative", {}),
    "slope": ("k ~ x + (0 + o | g)", "poisson", {}),
}
"""One effect per group, so that quadrature takes them."""

MORE = {
    "slope and intercept": ("k ~ x + (1 + o | g)", "poisson", {}),
    "nested": ("k ~ x + (1 | h) + (1 | g)", "poisson", {"weights": "w"}),
    "effects on two predictors": (
        "r ~ x + (1 | g)", "gaussian", {"parameters": {"sigma": "~ x + (1 | g)"}},
    ),
}  # fmt: skip


def ready(formula, family, options, nAGQ=1, data=None):
    """Return problem and approximation, without fitting."""
    request = ModelRequest(formula, table() if data is None else data, family, **options)
    made = prepared(request, options_in_force(nAGQ=nAGQ))
    return made.model.problem, made.approximation


def typical(problem):
    """Return a psi with effects of a usual size."""
    psi = find_start(problem).psi
    psi[: problem.n_theta] = np.where(psi[: problem.n_theta] == 0.0, 0.1, psi[: problem.n_theta])
    return psi


def family_of(name):
    if name == "cumulative":
        return CumulativeFamily()
    return name


@pytest.mark.parametrize("nAGQ", [1, 7])
@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_value_and_gradient_are_the_sums_over_groups(kind, nAGQ):
    formula, family, options = {**KINDS, **MORE}[kind]
    if nAGQ > 1 and kind in MORE:
        return
    problem, approximation = ready(formula, family_of(family), options, nAGQ)
    psi = typical(problem)
    whole = approximation.objective(problem)(psi)
    rows = independent_rows(problem)
    assert len(rows) == (3 if kind == "nested" else 12)
    parts = [approximation.objective(subset(problem, each))(psi) for each in rows]
    assert sum(each.value for each in parts) == pytest.approx(whole.value, rel=TOL_REL)
    total = np.sum([each.gradient for each in parts], axis=0)
    scale = np.abs(whole.gradient).max()
    # each mode is found to 1e-8
    assert total == pytest.approx(whole.gradient, rel=1e-7, abs=1e-7 * scale)


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_a_part_of_all_rows_in_another_order_is_the_whole(kind):
    formula, family, options = {**KINDS, **MORE}[kind]
    problem, approximation = ready(formula, family_of(family), options)
    psi = typical(problem)
    order = np.random.default_rng(1).permutation(problem.n)
    same = subset(problem, order)
    value = approximation.objective(problem)(psi).value
    assert approximation.objective(same)(psi).value == pytest.approx(value, rel=TOL_REL)
    eta = [part[order] for part in problem.fixed_part(psi)]
    assert np.array_equal(
        same.family.mean(eta), problem.family.mean(problem.fixed_part(psi))[order]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_quadrature_does_not_depend_on_blocks(kind, monkeypatch):
    formula, family, options = KINDS[kind]
    problem, approximation = ready(formula, family_of(family), options, 5)
    psi = typical(problem)
    one = approximation.objective(problem)(psi)
    monkeypatch.setattr(groups, "BLOCK_ELEMENTS", 1)  # a group in each
    many = approximation.objective(problem)(psi)
    assert many.value == pytest.approx(one.value, rel=TOL_REL)
    scale = np.abs(one.gradient).max()
    assert many.gradient == pytest.approx(one.gradient, rel=1e-9, abs=1e-9 * scale)


COLLAPSING = {
    "binary": ("y ~ x + f + (1 | g)", "binomial", {}),
    "trials": ("cbind(s, m - s) ~ x + f + (1 | g)", "binomial", {}),
    "counts": ("k ~ x + f + (1 | g)", "poisson", {}),
    "weights": ("k ~ x + f + (1 | g)", "poisson", {"weights": "x + 2"}),
    "offset": ("k ~ f + (1 | g)", "poisson", {"offset": "x"}),
    "slope": ("y ~ x + f + (0 + x | g)", "binomial", {}),
}


@pytest.mark.parametrize("blocks", [1, 1 << 9, 1 << 30])
@pytest.mark.parametrize("approximation", ["laplace", "agq", "agq-vector"])
@pytest.mark.parametrize("kind", COLLAPSING)
def test_collapsed_rows_give_the_value_of_rows_as_given(kind, approximation, blocks, monkeypatch):
    formula, family, options = COLLAPSING[kind]
    data = table(2000, seed=8)
    data["y"] = data["s"] > 0
    problem, chosen = ready(formula, family, options, data=data)
    if approximation != "laplace":
        chosen = interlace_approximation(approximation)
    monkeypatch.setattr(groups, "BLOCK_ELEMENTS", blocks)
    psi = typical(problem)
    together = chosen.objective(problem)(psi)
    assert layout_of(problem).problem.n <= 100
    with monkeypatch.context() as patch:
        patch.setattr(collapse, "MIN_ROWS", 1 << 40)
        apart = replace(problem)
        expanded = chosen.objective(apart)(psi)
        assert layout_of(apart).problem.n == 2000
    assert together.value == pytest.approx(expanded.value, rel=TOL_REL)
    scale = np.abs(expanded.gradient).max()
    assert together.gradient == pytest.approx(expanded.gradient, rel=1e-9, abs=1e-9 * scale)


def interlace_approximation(name):
    from interlace_core.registry.registry import default_registry

    return default_registry().approximation(name)(points=5)


def test_parts_of_collapsed_rows_have_their_constants(monkeypatch):
    """Also where rows that were taken together are taken together again."""
    data = table(4000, seed=8)
    data["y"] = data["s"] > 0
    problem, approximation = ready("y ~ x + f + (1 | g)", "binomial", {}, data=data)
    psi = typical(problem)
    whole = approximation.objective(problem)(psi)
    inner = layout_of(problem).problem
    assert inner.constants is not None
    parts = [
        approximation.objective(subset(inner, each))(psi).value for each in independent_rows(inner)
    ]
    assert sum(parts) == pytest.approx(whole.value, rel=TOL_REL)
    twice = subset(inner, np.tile(np.arange(inner.n), 20))
    assert twice.n >= 1000 > layout_of(twice).problem.n
    again = approximation.objective(twice)(psi).value
    monkeypatch.setattr(collapse, "MIN_ROWS", 1 << 40)
    assert again == pytest.approx(approximation.objective(replace(twice))(psi).value, rel=TOL_REL)


def test_nested_clusters_of_a_known_relation_are_one_part():
    data = table().assign(g=lambda d: d["g"].astype(str))
    problem, approximation = ready(
        "k ~ x + (1 | g)", "poisson", {"known": {"g": relation()}}, 1, data
    )
    (part,) = independent_parts(problem)
    psi = typical(problem)
    assert approximation.objective(part)(psi).value == pytest.approx(
        approximation.objective(problem)(psi).value, rel=TOL_REL
    )
    some = subset(problem, np.flatnonzero(problem.terms[0].codes < 5))
    assert len(some.terms[0].levels) == 5
    assert some.terms[0].relation.covariance() == pytest.approx(0.3 + 0.7 * np.eye(5))


def test_correlated_rows_are_correlated_in_each_cluster():
    data = table()
    request = ModelRequest("r ~ x + (1 | g)", data, "gaussian", correlation="ar1(t | g)")
    made = prepared(request, options_in_force(approximation="ml"))
    problem, approximation = made.model.problem, made.approximation
    psi = find_start(problem).psi
    psi[-1] = 0.4
    beta = approximation.objective(problem)(psi).profiled.values
    fixed = replace(problem.predictors[0], X=np.zeros((problem.n, 0)), names=(),
                    offset=problem.predictors[0].X @ beta)  # fmt: skip
    problem = replace(problem, predictors=(fixed, *problem.predictors[1:]))
    psi = np.delete(psi, problem.n_theta + np.arange(beta.size))
    whole = approximation.objective(problem)(psi)
    rows = [np.flatnonzero(problem.terms[0].codes == g)[::-1] for g in range(12)]
    parts = [approximation.objective(subset(problem, each))(psi) for each in rows]
    assert sum(each.value for each in parts) == pytest.approx(whole.value, rel=TOL_REL)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_clusters_and_refits_without_one(kind):
    """The sandwich's clusters add up; influence leaves out what a fit of fewer rows leaves out."""
    formula, family, options = KINDS[kind]
    data = table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: some of these models are at a boundary
        if family == "cumulative":
            fitted = interlace.clmm("c ~ x + (1 | g)", data.astype({"c": "category"}))
        else:
            fitted = interlace.glmer(formula, data, family, **options)
        assert np.isfinite(fitted.vcov_robust().to_numpy()).any()
        found = fitted.influence(exact=12)
    assert len(found.exact_cook) + len(found.failures) == 12
    assert not [each for each in found.failures if "Error" in each.reason]


def test_influence_without_a_group_is_the_fit_without_it():
    data = table()
    whole = interlace.glmer("cbind(s, m - s) ~ x + (1 | g)", data, "betabinomial")
    found = whole.influence(exact=1)
    (worst,) = found.exact_cook.index
    less = interlace.glmer(
        "cbind(s, m - s) ~ x + (1 | g)", data[data["g"] != int(worst)], "betabinomial"
    )
    moved = found.exact_change.loc[worst].to_numpy()
    # where both searches end: standard errors are about 0.1
    assert whole.fit.psi + moved == pytest.approx(less.fit.psi, abs=1e-4)


def test_a_refit_knows_its_own_trials():
    data = table()
    fitted = interlace.glmer("cbind(s, m - s) ~ x + (1 | g)", data, "binomial")
    more = fitted.refit(np.column_stack([data["s"], data["m"] + 3]))
    again = interlace.glmer("cbind(s, m + 3 - s) ~ x + (1 | g)", data, "binomial")
    assert more.llf == pytest.approx(again.llf, abs=1e-6)
    assert np.array_equal(more.family.trials, data["m"] + 3)
    # Pearson residuals divide by the trials that the family knows
    pearson = more.residuals("pearson"), again.residuals("pearson")
    assert pearson[0].to_numpy() == pytest.approx(pearson[1].to_numpy(), abs=1e-4)


def test_finer_quadrature_of_some_groups_is_their_share():
    """What the note on accuracy looks at: 200 of many groups, of rows taken together."""
    data = table(6000, seed=3)
    data["g"] = np.random.default_rng(0).integers(0, 400, 6000)
    data["y"] = data["s"] > 0
    problem, _ = ready("y ~ x + (1 | g)", "binomial", {}, data=data)
    psi = typical(problem)
    finer = finer_approximation(problem, 5)
    codes = problem.terms[0].codes
    halves = [subset(problem, np.flatnonzero(codes % 2 == half)) for half in (0, 1)]
    values = [finer.objective(half)(psi).value for half in halves]
    assert sum(values) == pytest.approx(finer.objective(problem)(psi).value, rel=TOL_REL)


def test_nagq_25_on_8600_binary_rows():
    """Rows collapse and groups come in blocks: counted by hand, the data are the same."""
    rng = np.random.default_rng(3)
    n = 8600
    data = pd.DataFrame(
        {
            "g": rng.integers(0, 411, n),
            "a": rng.choice(list("MF"), n),
            "b": rng.choice(list("NY"), n),
        }
    )
    eta = -1.2 + 0.5 * (data["a"] == "M") - 0.6 * (data["b"] == "Y")
    data["y"] = rng.binomial(1, expit(eta + rng.normal(size=411)[data["g"]]))
    counted = data.groupby(["g", "a", "b"], observed=True)["y"].agg(["sum", "count"]).reset_index()
    counted["f"] = counted["count"] - counted["sum"]
    by_count = interlace.glmer("cbind(sum, f) ~ a + b + (1 | g)", counted, "binomial", nAGQ=25)
    by_row = interlace.glmer("y ~ a + b + (1 | g)", data, "binomial", nAGQ=25)
    assert by_row.fe_params.to_numpy() == pytest.approx(by_count.fe_params.to_numpy(), abs=1e-6)
    assert by_row.fe_bse.to_numpy() == pytest.approx(by_count.fe_bse.to_numpy(), rel=1e-5)
