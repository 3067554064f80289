"""A residual that effects of each row take up: sigma goes to 0, and the likelihood to a limit.

Where the search ends must not rest on rounding: it is the same in any unit of the response, and the
standard errors of the other parameters are those of the limit.
"""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import interlace

UNITS = [1.0, 1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9]


def series(seed):
    """Return rows at distinct times of 14 groups, with precisions and without residual."""
    rng, rows = np.random.default_rng(seed), []
    for g in range(14):
        times = rng.choice(5, size=rng.integers(1, 6), replace=False)
        V = 0.8 * 0.6 ** np.abs(np.subtract.outer(range(5), range(5)))
        b = rng.multivariate_normal(np.zeros(5), V)
        rows += [(f"g{g}", t + 2000, b[t], rng.normal(), rng.uniform(0.5, 2.0)) for t in times]
    d = pd.DataFrame(rows, columns=["g", "year", "b", "x", "w"])
    return d.assign(y=3.0 + 0.5 * d["x"] + d["b"])


def fitted(formula, d, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interlace.fit(formula, d, **options)


def negative_log_density(d, logs):
    """Return -log of the normal density without residual at a size and a decay, and beta's GLS."""
    size, decay = np.exp(logs)
    g, t = d["g"].to_numpy(dtype=object), d["year"].to_numpy(dtype=float)
    V = size**2 * np.equal.outer(g, g) * np.exp(-decay * np.abs(np.subtract.outer(t, t)))
    X, y = np.column_stack([np.ones(len(d)), d["x"]]), d["y"].to_numpy()
    beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))
    r = y - X @ beta
    whole = len(y) * np.log(2.0 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    return 0.5 * whole


@pytest.mark.parametrize("seed", [0, 1, 3, 7, 10, 13])
def test_the_limit_is_that_of_the_density_without_residual(seed):
    d = series(seed)
    m = fitted("y ~ x + ou(0 + year | g)", d, weights="w", method="ML")
    found = minimize(
        functools.partial(negative_log_density, d), [0.0, -0.5], method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-10},
    )  # fmt: skip
    assert m.status.startswith("not determined: the log-likelihood does not change with sigma;")
    assert "the residual variance goes to 0, since the effects of (ou(0 + year | g))" in m.status
    assert m.llf == pytest.approx(-found.fun, abs=1e-4)
    assert m.family_params.loc["sigma", "value"] < 1e-2
    assert np.all(np.isfinite(m.fe_bse))


def places():
    """Return rows at places of their own in groups, of which effects take all that is left."""
    rng, rows = np.random.default_rng(1), []
    V = 0.8 * 0.6 ** np.abs(np.subtract.outer(range(5), range(5)))
    for g in range(14):
        times = rng.choice(5, size=rng.integers(1, 6), replace=g % 3 == 0)
        b = rng.multivariate_normal(np.zeros(5), V)
        rows += [(f"g{g}", b[t], rng.normal(), *rng.uniform(0, 10, 2)) for t in times]
    d = pd.DataFrame(rows, columns=["g", "b", "x", "u", "v"])
    d["y"] = 3.0 + 0.5 * d["x"] + d["b"] + 0.5 * rng.normal(size=len(d))
    return d.assign(all="one")


@functools.cache
def of_unit(unit):
    d = places()
    return fitted("y ~ x + exp(0 + u + v | all) + (1 | g)", d.assign(y=unit * d["y"]), method="ML")


@pytest.mark.parametrize("unit", UNITS[1:])
def test_a_residual_at_its_limit_is_so_in_any_unit(unit):
    one, other = of_unit(1.0), of_unit(unit)
    moved = other.llf + len(one.y) * np.log(unit)
    assert moved == pytest.approx(one.llf, rel=1e-8)
    words = [each.fit.verdict.undetermined for each in (one, other)]
    assert words[0] == words[1] == ("sigma",)
    np.testing.assert_allclose(other.fe_zvalues, one.fe_zvalues, rtol=1e-5)


def test_a_search_never_moves_to_a_point_without_a_value():
    """The same covariance, written in another way, may not be computable: the point stays then."""
    from interlace_core.fitting.curvature import _best_in_canonical_form
    from interlace_core.records import Evaluation, Status

    class Objective:
        best, best_psi = Evaluation(1.0, np.zeros(3), np.zeros(0)), np.array([-1.0, 3.0, 0.5])

        def at(self, psi):
            return Evaluation(np.inf, np.zeros(3), np.zeros(0), Status.NOT_FINITE)

        def move_to(self, psi, evaluation):
            raise AssertionError("moved to a point without a value")

    class Search:
        problem = fitted("y ~ 1 + (1 | g)", series(0)).training.problem
        objective, units = Objective(), np.ones(2)
        coordinates = type("Coordinates", (), {"lower": np.zeros(3)})

    best, psi, _ = _best_in_canonical_form(Search)
    assert best.status is Status.OK
    np.testing.assert_array_equal(psi, [-1.0, 3.0, 0.5])
