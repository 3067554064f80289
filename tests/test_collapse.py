"""Rows that share all predictors are fitted together: the same answers, on the user's rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import interlace
from interlace.refits.response import another_response
from interlace_core.engine import collapse
from interlace_core.engine.layout import layout_of


def repeated_rows(family, weighted):
    """Return 6,000 rows in 50 groups with a covariate of 3 values and a factor of 2."""
    rng = np.random.default_rng(5)
    n = 6000
    data = pd.DataFrame(
        {
            "x": rng.integers(0, 3, n) - 1.0,
            "f": rng.choice(["a", "b"], n),
            "g": rng.integers(0, 50, n),
            "w": rng.integers(1, 4, n).astype(float) if weighted else 1.0,
        }
    )
    eta = 0.3 * data["x"] + 0.2 * (data["f"] == "b") + 0.6 * rng.normal(size=50)[data["g"]]
    if family == "poisson":
        data["y"] = rng.poisson(np.exp(eta))
    else:
        data["y"] = rng.binomial(data["w"].astype(int), expit(eta)) / data["w"]
    return data


def both_ways(monkeypatch, data, family, **options):
    """Return a fit with rows collapsed, its number of rows, and one without."""
    problems = []
    original = collapse.collapse_rows

    def spied(problem):
        found = original(problem)
        problems.append(found[0])
        return found

    from interlace_core.engine import layout

    monkeypatch.setattr(layout, "collapse_rows", spied)
    together = interlace.glmer("y ~ x + f + (1 + x | g)", data, family, **options)
    monkeypatch.setattr(layout, "collapse_rows", lambda problem: (problem, None))
    apart = interlace.glmer("y ~ x + f + (1 + x | g)", data, family, **options)
    return together, problems[-1].n, apart


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_collapsed_rows_give_the_same_fit(monkeypatch, family, weighted):
    data = repeated_rows(family, weighted)
    options = {"weights": "w"} if weighted else {}
    together, rows, apart = both_ways(monkeypatch, data, family, **options)
    assert rows == len(data[["x", "f", "g"]].drop_duplicates()) <= 300
    assert together.nobs == len(data)
    assert together.llf == pytest.approx(apart.llf, abs=1e-7)  # rounding of sums over 6,000 rows
    assert together.fe_params.to_numpy() == pytest.approx(apart.fe_params.to_numpy(), abs=1e-6)
    assert together.fe_bse.to_numpy() == pytest.approx(apart.fe_bse.to_numpy(), rel=1e-4)
    assert together.fittedvalues.to_numpy() == pytest.approx(
        apart.fittedvalues.to_numpy(), rel=1e-5
    )


def test_rows_that_differ_are_left_alone(monkeypatch):
    data = repeated_rows("poisson", weighted=False)
    data["x"] = np.random.default_rng(1).normal(size=len(data))
    _, rows, _ = both_ways(monkeypatch, data, "poisson")
    assert rows == len(data)


def test_a_family_without_sums_is_left_alone(monkeypatch):
    data = repeated_rows("poisson", weighted=False)
    _, rows, _ = both_ways(monkeypatch, data, "negativebinomial")
    assert rows == len(data)


def test_layout_of_another_response_is_that_of_a_new_problem():
    data = repeated_rows("binomial", weighted=True)
    problem = interlace.glmer(
        "y ~ x + f + (1 + x | g)", data, "binomial", weights="w"
    ).training.problem
    rng = np.random.default_rng(8)
    shuffled = rng.permutation(problem.n)
    problem = replace(
        problem,
        y=problem.y[shuffled],
        predictors=tuple(
            replace(each, X=each.X[shuffled], offset=each.offset[shuffled])
            for each in problem.predictors
        ),
        terms=tuple(
            replace(each, Z=each.Z[shuffled], codes=each.codes[shuffled]) for each in problem.terms
        ),
    )
    assert layout_of(problem).groups is not None
    assert layout_of(problem).order is not None
    y = np.column_stack([rng.binomial(problem.y[:, 1].astype(int), 0.4), problem.y[:, 1]])
    kept = layout_of(another_response(problem, y.astype(float))).problem
    anew = layout_of(replace(problem, y=y.astype(float))).problem
    assert np.array_equal(kept.y, anew.y)
    assert np.array_equal(kept.constants, anew.constants)
    assert np.array_equal(kept.terms[0].codes, anew.terms[0].codes)
    assert np.array_equal(kept.predictors[0].X, anew.predictors[0].X)


def test_constants_of_rows_taken_together_are_added():
    data = repeated_rows("poisson", False)
    m = interlace.glmer("y ~ x + f + (1 | g)", data, "poisson")
    problem, approximation = m.training.problem, m.training.approximation
    constants = np.random.default_rng(1).normal(size=problem.n)
    more = replace(problem, constants=constants)
    assert layout_of(more).problem.n < problem.n
    found = approximation.objective(more)(m.fit.psi).value
    assert found == pytest.approx(-m.llf - constants.sum(), rel=1e-10)
