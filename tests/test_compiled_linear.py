"""Linear models in C against NumPy: the criterion, its gradient, the fits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_approximations.linear import (
    LinearObjective,
    MaximumLikelihood,
    RestrictedLikelihood,
    cross_products_of,
)
from interlace_core.contract import Status
from interlace_core.engine.compiled import WithSecondOpinion
from interlace_core.fitting.standard import standard_of
from interlace_core.registry.registry import default_registry

(REGISTERED,) = default_registry().classes("kernel")
BUILT = bool(REGISTERED.cls().build)
built = pytest.mark.skipif(not BUILT, reason="nothing was built here")


def frame(n=900, groups=130, seed=4):
    """Return data with more levels than two blocks of 64, of unequal sizes."""
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)])
    x = rng.normal(size=(n, 3))
    b = rng.normal(size=(groups, 4)) * [1.0, 0.5, 0.3, 0.4]
    y = 1.0 + x[:, 0] + b[g, 0] + np.sum(b[g, 1:] * x, axis=1) + rng.normal(size=n)
    columns = {"y": y, "g": g, "h": rng.integers(0, 5, n), "w": rng.uniform(0.5, 2.0, n)}
    return pd.DataFrame({**columns, "x": x[:, 0], "z": x[:, 1], "e": x[:, 2]})


SERVED = {
    "intercepts": ("y ~ x + (1 | g)", {}),
    "no fixed effects": ("y ~ 0 + (1 | g)", {}),
    "weights": ("y ~ x * z + (1 | g)", {"weights": "w"}),
    "slopes": ("y ~ x + (1 + x | g)", {}),
    "independent slopes": ("y ~ x + (1 + x || g)", {"weights": "w"}),
    "known variances": ("y ~ x + (1 + x | g)", {"known_variance": "w"}),
    "three effects": ("y ~ x + (1 + x + z | g)", {}),
    "four effects": ("y ~ x + e + (1 + x + z + e | g)", {}),
}
METHODS = {"ML": MaximumLikelihood(), "REML": RestrictedLikelihood()}


def problem_of(name):
    formula, options = SERVED[name]
    m = interlace.fit(formula, frame(), **options)
    standard = standard_of(m.training.problem)
    return standard.problem, standard.psi(m.fit.psi)


def points(problem, psi, rng):
    """Yield psi near the estimates and far from them, and templates that are all but singular."""
    for spread in (0.01, 0.3, 1.0):
        yield psi + spread * rng.normal(size=psi.size) * np.maximum(np.abs(psi), 0.1)
    small = psi.copy()
    small[: problem.n_theta] *= 1e-9
    yield small
    gone = psi.copy()
    gone[problem.n_theta - 1] = 0.0
    yield gone
    large = psi.copy()
    large[: problem.n_theta] *= 100.0
    yield large


@built
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SERVED)
def test_the_criterion_is_that_of_numpy(name, method):
    problem, psi = problem_of(name)
    compiled = METHODS[method].objective(problem)
    plain = LinearObjective(cross_products_of(problem), method == "REML")
    assert isinstance(compiled, WithSecondOpinion)
    for at in points(problem, psi, np.random.default_rng(1)):
        got, expected = compiled(at), plain(at)
        assert got.status is expected.status is Status.OK
        assert got.value == pytest.approx(expected.value, rel=1e-12)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(got.gradient, expected.gradient, rtol=0, atol=1e-9 * size)
        np.testing.assert_allclose(got.mode, expected.mode, atol=1e-9)
        for one, other in zip(
            (got.profiled.values, got.profiled.covariance),
            (expected.profiled.values, expected.profiled.covariance),
            strict=True,
        ):
            atol = 1e-9 * np.max(np.abs(other), initial=0.0)
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=atol)
    assert compiled._second is None


@built
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SERVED)
def test_fits_are_the_same_with_and_without(name, method):
    formula, options = SERVED[name]
    with_, without = (
        interlace.fit(formula, frame(), method=method, kernels=kernels, **options)
        for kernels in ("required", "off")
    )
    assert "objective" in with_.settings["kernel"]
    assert with_.llf == pytest.approx(without.llf, rel=1e-10)
    sd = np.sqrt(np.diagonal(without.fit.vcov))
    moved = np.abs(with_.fit.psi - without.fit.psi) / np.where(np.isnan(sd), 1.0, sd)
    assert np.max(moved, initial=0.0) < 1e-5
    np.testing.assert_allclose(with_.fit.vcov, without.fit.vcov, rtol=2e-4, atol=1e-7)
    np.testing.assert_allclose(with_.fe_df, without.fe_df, rtol=1e-4)


@built
def test_what_is_not_served_takes_the_other_way():
    words = {
        "y ~ x + (1 | g) + (1 | h)": "factorisation",
        "y ~ x + (1 + x + z + e + w | g)": "none",
    }
    for formula, expected in words.items():
        m = interlace.fit(formula, frame(), method="ML")
        assert m.settings["kernel"].endswith(expected)
    wide = frame().assign(**{f"c{i}": np.random.default_rng(i).normal(size=900) for i in range(64)})
    columns = " + ".join(f"c{i}" for i in range(64))
    assert interlace.fit(f"y ~ {columns} + (1 | g)", wide).settings["kernel"] == "none"


@built
def test_no_matrix_that_is_not_definite_has_a_value():
    problem, psi = problem_of("slopes")
    compiled = MaximumLikelihood().objective(problem)
    plain = MaximumLikelihood().objective(replace(problem, compiled=None))
    bad = psi.copy()
    bad[0] = np.nan
    assert compiled(bad).status is plain(bad).status is Status.NOT_FINITE
    assert compiled(psi).value == pytest.approx(plain(psi).value, rel=1e-13)
