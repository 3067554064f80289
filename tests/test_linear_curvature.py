"""Second derivatives and moments of linear models, and what a fit takes with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_approximations.cross_products import cross_products_of
from interlace_approximations.linear import (
    LinearObjective,
    MaximumLikelihood,
    RestrictedLikelihood,
)
from interlace_approximations.linear_moments import moments_of, sizes_by_moments
from interlace_core.contract.parts import PartsHere
from interlace_core.engine.parts import subset
from interlace_core.fitting.curvature import jacobian
from interlace_core.fitting.outline import outline

FORMULAS = {
    "one factor": "y ~ x + (1 | g)",
    "slopes": "y ~ x + (1 + x | g)",
    "crossed": "y ~ x + (1 | g) + (1 | h) + (1 | k)",
    "crossed slopes": "y ~ x + (1 + x | g) + (1 | h) + (0 + x | k)",
    "independent": "y ~ x + diag(1 + x | g) + (1 | h)",
}


def table(rows=900, seed=2):
    rng = np.random.default_rng(seed)
    g, h, k = (rng.integers(0, levels, rows) for levels in (60, 21, 14))
    x = rng.normal(size=rows)
    y = 1 + x + rng.normal(0, 0.8, 60)[g] + rng.normal(0, 0.5, 21)[h] + rng.normal(0, 1.2, 14)[k]
    y += x * rng.normal(0, 0.4, 60)[g] + x * rng.normal(0, 0.6, 14)[k] + rng.normal(size=rows)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "k": k, "w": rng.uniform(0.5, 2, rows)})


def factors(data):
    return data.assign(**{name: data[name].astype(str) for name in "ghk"})


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", FORMULAS)
def test_they_are_the_slopes_of_the_gradient(name, method, weights):
    m = interlace.fit(FORMULAS[name], factors(table()), method=method, weights=weights)
    problem, approximation = m.training.problem, m.training.approximation
    data = cross_products_of(problem)
    evaluate = LinearObjective(data, approximation.restricted)
    psi = m.fit.psi.copy()
    entries = np.append(np.arange(problem.n_theta), psi.size - 1)
    psi[entries] += 0.1  # away from the optimum too, where nothing vanishes

    def stacked(values):
        moved = psi.copy()
        moved[entries] = values
        found = evaluate(moved)
        return np.concatenate([found.gradient[entries], found.profiled.values])

    wanted = jacobian(stacked, psi[entries], np.full(entries.size, 3e-5))
    found = approximation.curvature(problem, psi)
    got = np.concatenate(
        [found.hessian[np.ix_(entries, entries)], found.profiled_slope[:, entries]]
    )
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-7 * np.max(np.abs(wanted)))


SHARED = {
    "one factor": "y ~ x + (1 + x | g)",
    "shared effects": "y ~ x + (1 | g) + (1 | h)",
    "shared slopes, two factors": "y ~ x + (1 + x | g) + (1 | h) + (0 + x | k)",
    "slopes on both sides": "y ~ x + diag(1 + x | g) + (1 + x | h)",
}


def in_parts(problem, number=3):
    """Return a problem whose levels of g lie in one part each, and all others in several."""
    terms = tuple(replace(term, across=term.group != "g") for term in problem.terms)
    divided, top = replace(problem, terms=terms), problem.terms[0]
    parts = [subset(divided, np.flatnonzero(top.codes % number == k)) for k in range(number)]
    return outline(parts[0], PartsHere(parts))


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("approximation", [MaximumLikelihood(), RestrictedLikelihood()])
@pytest.mark.parametrize("name", SHARED)
def test_those_of_parts_add_up_to_those_of_all_rows(name, approximation, weights):
    m = interlace.fit(SHARED[name], factors(table()), weights=weights)
    problem = m.training.problem
    divided, psi = in_parts(problem), m.fit.psi.copy()
    psi[: problem.n_theta] += 0.1
    psi[-1] += 0.1
    whole, found = (approximation.curvature(each, psi) for each in (problem, divided))
    for one, other in (
        (found.hessian, whole.hessian),
        (found.profiled_slope, whole.profiled_slope),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * np.max(np.abs(other)))
    here, there = (approximation.shortcuts(each).begin() for each in (problem, divided))
    np.testing.assert_allclose(there.beta, here.beta, rtol=1e-12)
    np.testing.assert_allclose(there.units, here.units, rtol=1e-12)
    for one, other in zip(there.sizes, here.sizes, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_parts_take_as_many_evaluations_as_one_frame(tmp_path):
    data = factors(table())
    for k in range(3):
        data[data["g"].astype(int) % 3 == k].to_parquet(tmp_path / f"{k}.parquet")
    asked = interlace.in_parts(tmp_path, rows=200, distinct=False)
    for method in ("ML", "REML"):
        one = interlace.fit("y ~ x + (1 | g) + (1 | h)", data, method=method, kernels="off")
        m = interlace.fit("y ~ x + (1 | g) + (1 | h)", asked, method=method, kernels="off")
        assert len(m.in_parts) == 3
        assert m.fit.verdict.status == "optimum"
        assert m.fit.n_evaluations <= one.fit.n_evaluations + 1
        assert m.llf == pytest.approx(one.llf, rel=1e-10)
        np.testing.assert_allclose(m.fe_bse, one.fe_bse, rtol=1e-7)


def test_parts_with_several_factors_of_their_own_have_differences():
    m = interlace.fit("y ~ x + (1 | g) + (1 | h) + (1 | k)", factors(table()))
    problem = m.training.problem
    terms = tuple(replace(term, across=term.group == "h") for term in problem.terms)
    divided = replace(problem, terms=terms)
    halves = np.arange(problem.n) < 450
    parts = [subset(divided, np.flatnonzero(halves == side)) for side in (True, False)]
    found = outline(parts[0], PartsHere(parts))
    assert MaximumLikelihood().curvature(found, m.fit.psi) is None


def test_a_fit_takes_a_few_evaluations_and_no_differences():
    m = interlace.fit(FORMULAS["crossed"], factors(table()), kernels=False)
    assert m.fit.verdict.status == "optimum"
    assert m.fit.n_evaluations <= 15


def test_at_a_bound_there_are_differences():
    data = factors(table())
    data["y"] -= data.groupby("h")["y"].transform("mean")
    m = interlace.fit("y ~ x + (1 | g) + (1 | h)", data)
    assert "boundary" in m.fit.verdict.status
    assert MaximumLikelihood().curvature(m.training.problem, m.fit.psi) is None
    assert np.all(np.isfinite(m.fe_bse))


def test_moments_are_near_the_estimates():
    m = interlace.fit(FORMULAS["crossed"], factors(table(4_000)))
    problem = m.training.problem
    found, log_sigma = sizes_by_moments(problem, moments_of(cross_products_of(problem)))
    sizes = np.concatenate(found) / np.concatenate([term.reach for term in problem.terms])
    estimates = m.fit.psi[: problem.n_theta]
    np.testing.assert_allclose(sizes, np.abs(estimates), rtol=0.2)
    assert log_sigma == pytest.approx(m.fit.psi[-1], abs=0.1)
