"""Terms of times by the thousand: as matrices say, in numbers for each row and time."""

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.diagnostics import marginal
from interlace.diagnostics.marginal import TermSlopes
from interlace.prediction.places import by_neighbours
from interlace_core.contract import Chain, Incidence
from interlace_core.contract.covariance import (
    column_sds,
    marginal_slopes,
    response_slopes,
    template_slopes,
    times,
    with_sds_times,
)
from interlace_core.contract.incidence import numbers_used, sums_of_squares, times_effects
from interlace_core.engine.columns import Reach, Rows
from interlace_core.registry.registry import default_registry

RNG = np.random.default_rng(4)


def series(n, groups=1):
    level = np.empty((groups, n))
    level[:, 0] = RNG.normal(size=groups)
    for t in range(1, n):
        level[:, t] = 0.7 * level[:, t - 1] + np.sqrt(0.51) * RNG.normal(size=groups)
    x = RNG.normal(size=(groups, n))
    return pd.DataFrame(
        {
            "t": np.tile(np.arange(n), groups),
            "g": np.repeat([f"g{k:02d}" for k in range(groups)], n),
            "x": x.ravel(),
            "y": RNG.poisson(np.exp(1.0 + 0.3 * x + 0.6 * level)).ravel(),
        }
    )


@pytest.fixture
def incidence():
    z = RNG.normal(size=30)
    z[[3, 9]] = 0.0
    return Incidence(RNG.integers(0, 6, size=30), z, 7)  # the last column has no rows


def test_an_incidence_is_its_matrix(incidence):
    Z, codes = np.asarray(incidence), RNG.integers(0, 4, size=30)
    assert Z.shape == incidence.shape == (30, 7)
    assert np.count_nonzero(Z) == 28
    b = RNG.normal(size=(7, 4))
    assert times_effects(incidence, b, codes) == pytest.approx(times_effects(Z, b, codes))
    assert sums_of_squares(incidence) == pytest.approx(sums_of_squares(Z))
    assert numbers_used(incidence) == pytest.approx(numbers_used(Z))
    rows = RNG.permutation(30)[:11]
    for wanted in (rows, slice(2, 20, 3), Z[:, 0] > 0.0):
        assert np.array_equal(np.asarray(incidence[wanted]), Z[wanted])
    for columns in ([4, 1], slice(1, 3), np.arange(7) % 2 == 0):
        assert np.array_equal(np.asarray(incidence[:, columns]), Z[:, columns])
    assert np.array_equal(incidence.column(2), Z[:, 2])
    with pytest.raises(TypeError):
        Z[:, 0] * incidence


def test_sizes_of_its_columns_are_those_of_the_matrix(incidence):
    Z, units = np.asarray(incidence), np.exp(RNG.normal(size=7))
    for name in ("largest", "squares", "used"):
        assert getattr(Reach.of(incidence), name) == pytest.approx(getattr(Reach.of(Z), name))
    own, theirs = Rows.here(incidence), Rows.here(Z)
    assert own.products(units) == pytest.approx(theirs.products(units))
    assert own.reach() == pytest.approx(theirs.reach())
    R, S = own.triangle(units), theirs.triangle(units)
    assert R.T @ R == pytest.approx(S.T @ S)


def structures():
    registry = default_registry()
    gaps = np.cumsum(1.0 + np.arange(9) % 3)
    for name in ("ar1", "ou"):
        texts = [str(each) for each in gaps]
        yield registry.covariance(name).from_columns(texts, texts, {"t": gaps})


@pytest.mark.parametrize("structure", list(structures()), ids=lambda each: each.name)
def test_a_chain_answers_as_its_matrix(structure):
    theta = structure.start() + [0.4, 0.2]
    T = structure.template(theta)
    u = RNG.normal(size=(9, 3))
    assert times(structure, theta, u) == pytest.approx(T @ u)
    assert column_sds(structure, theta) == pytest.approx(np.linalg.norm(T, axis=1))
    chain = structure.chain(theta)
    assert isinstance(chain, Chain)
    variances, neighbours = chain.moments()
    assert variances == pytest.approx(np.diagonal(T @ T.T))
    assert neighbours == pytest.approx(np.diagonal(T @ T.T, 1))
    for own, slope in zip(
        response_slopes(structure, theta), template_slopes(structure, theta), strict=True
    ):
        assert own == pytest.approx(np.sum(slope, axis=1), abs=1e-9)
    larger = with_sds_times(structure, theta, 3.0)
    assert structure.template(larger) == pytest.approx(3.0 * T)
    moved = [
        np.max(np.abs(slope)) / largest for slope, largest in marginal_slopes(structure, theta)
    ]
    assert moved[0] == pytest.approx(2.0 / theta[0], rel=1e-6)
    assert moved[1] > 1e-3


@pytest.mark.parametrize("kind", ["ar1", "ou"])
def test_slopes_of_the_marginal_covariance_are_those_of_matrices(kind, monkeypatch):
    data = series(70, groups=3)
    data = data.drop(index=RNG.choice(len(data), 40, replace=False))
    fit = interlace.glmer(f"y ~ x + {kind}(0 + t | g)", data, "poisson")
    (term,) = fit.training.problem.terms
    rows = np.sort(RNG.choice(len(data), 120, replace=False))
    v = RNG.normal(size=rows.size)
    chained = TermSlopes(term, rows).act(v)
    monkeypatch.setattr(marginal, "MANY_COLUMNS", 10_000)
    dense = TermSlopes(replace(term, Z=np.asarray(term.Z)), rows).act(v)
    # two bases of one plane: each is a combination of the other
    for one, other in ((chained, dense), (dense, chained)):
        left = one - other @ np.linalg.lstsq(other, one, rcond=None)[0]
        assert np.linalg.norm(left) <= 1e-8 * np.linalg.norm(one)
    assert np.linalg.matrix_rank(chained) == 2


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_memory_grows_with_the_number_of_times(family):
    """Indicators of 8,000 times take 512 MB as a matrix, and there were three of them."""
    data = series(8_000)
    tracemalloc.start()
    try:
        fit = interlace.glmer("y ~ x + ar1(0 + t | g)", data, family)
        fit.summary()
        fit.predict(data.head(5))
        fit.r2()
        fit.simulate(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fit.status.startswith("optimum")
    assert peak < 6e7


def test_a_long_chain_is_saved_and_loaded(tmp_path):
    data = series(600)
    fit = interlace.glmer("y ~ x + ar1(0 + t | g)", data, "poisson")
    path = str(tmp_path / "fit.zip")
    fit.save(path)
    for again in (interlace.load(path), pickle.loads(pickle.dumps(fit))):
        assert again.llf == fit.llf
        new = data.iloc[10:30]
        kind = {"interval": "confidence"}
        assert again.predict(new, **kind).to_numpy() == pytest.approx(
            fit.predict(new, **kind).to_numpy()
        )
        assert again.summary() is not None


@pytest.mark.parametrize("kind", ["ar1", "ou"])
@pytest.mark.parametrize("second", [0.05, 0.7, -0.6, 0.999])
def test_new_times_are_told_by_their_neighbours_alone(kind, second):
    known = np.array([2.0, 5.0, 6.0, 10.0, 11.0])
    new = np.array([-1.0, 3.0, 4.0, 7.0, 12.0, 20.0])
    whole = np.append(known, new)
    order = np.argsort(whole)
    texts = [str(each) for each in whole[order]]
    made = default_registry().covariance(kind).from_columns(texts, texts, {"t": whole[order]})
    theta = made.from_natural(np.array([0.8, abs(second) * 5.0 if kind == "ou" else second]))
    T = made.template(theta)[np.argsort(order)]
    S = T @ T.T
    w, left = by_neighbours(made.chain(theta), np.argsort(order), 5)
    dense = np.linalg.solve(S[:5, :5], S[:5, 5:])
    assert w == pytest.approx(dense.T, abs=1e-6)
    unexplained = np.diagonal(S)[5:] - np.einsum("cp,cp->p", dense, S[:5, 5:])
    assert left == pytest.approx(unexplained, abs=1e-8)
    assert np.all(np.count_nonzero(w, axis=1) <= 2)


def test_a_standard_deviation_of_zero_tells_nothing_of_new_times():
    w, left = by_neighbours(Chain(0.0, np.full(3, 0.5), np.ones(4)), np.array([0, 1, 3, 2]), 3)
    assert not np.any(w)
    assert not np.any(left)


def test_forecasts_of_a_long_series_take_memory_for_their_own_rows():
    data = series(6_000)
    fit = interlace.glmer("y ~ x + ar1(0 + t | g)", data, "poisson")
    tracemalloc.start()
    try:
        later = fit.predict(pd.DataFrame({"t": [6_000, 6_100], "x": 0.0, "g": "g00"}), type="link")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e7
    without = fit.fe_params["Intercept"]
    last = fit.predict(data.tail(1).assign(x=0.0), type="link").iloc[0] - without
    rho = fit.confint("correlation")["estimate"].iloc[0]
    assert later.to_numpy() - without == pytest.approx([rho * last, 0.0], abs=1e-6)
