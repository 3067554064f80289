"""Second derivatives and moments of linear models, and what a fit takes with them."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_approximations.cross_products import cross_products_of
from interlace_approximations.linear import LinearObjective, MaximumLikelihood
from interlace_approximations.linear_moments import sizes_by_moments
from interlace_core.fitting.curvature import jacobian

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
    found, log_sigma = sizes_by_moments(cross_products_of(problem))
    sizes = np.concatenate(found) / np.concatenate([term.reach for term in problem.terms])
    estimates = m.fit.psi[: problem.n_theta]
    np.testing.assert_allclose(sizes, np.abs(estimates), rtol=0.2)
    assert log_sigma == pytest.approx(m.fit.psi[-1], abs=0.1)
