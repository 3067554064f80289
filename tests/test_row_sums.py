"""Cross-products by one pass over rows in any order, against those of sorted rows by NumPy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_approximations import cross_products
from interlace_approximations.cross_products import CrossProducts, cross_products_of
from interlace_core.engine import layout_of

kernels = pytest.importorskip("interlace_kernels.library")
built = pytest.mark.skipif(kernels.library() is None, reason="no library was built")


def rows(n=3000, levels=150, seed=1):
    rng = np.random.default_rng(seed)
    g, h = rng.permutation(np.arange(n) % levels), rng.integers(0, 12, n)
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = 1.0 + 0.5 * x + rng.normal(size=levels)[g] + 0.4 * rng.normal(size=levels)[g] * x
    data = pd.DataFrame({"x": x, "z": z, "g": g, "h": h, "y": y + rng.normal(size=n)})
    return data.assign(w=rng.uniform(0.5, 2.0, n), shift=rng.normal(size=n))


def problem_of(formula, data, **options):
    return interlace.fit(formula, data, method="ML", **options).training.problem


MODELS = {
    "one factor": ("y ~ x + (1 + x | g)", {}),
    "weights and offset": ("y ~ x + z + (1 + x | g)", {"weights": "w", "offset": "shift"}),
    "crossed": ("y ~ x + (1 + z | g) + (1 | h)", {}),
    "no coefficient": ("y ~ 0 + (1 | g)", {}),
}


@built
@pytest.mark.parametrize("name", MODELS)
def test_one_pass_has_the_products_of_sorted_rows(name):
    formula, options = MODELS[name]
    problem = problem_of(formula, rows(), **options)
    problem.cache.clear()
    one = cross_products._in_one_pass(layout_of(problem, chains=True, rows="given"))
    problem.cache.clear()
    other = CrossProducts.of(layout_of(problem, chains=True))
    assert one.layout.order is None and other.layout.order is not None
    # both make X orthonormal, up to the signs of its columns
    signs = np.append(np.sign(np.diagonal(one.R) * np.diagonal(other.R)), 1.0)
    assert one.beta == pytest.approx(other.beta, rel=1e-11, abs=1e-12)
    assert one.R == pytest.approx(other.R * signs[:-1, None], rel=1e-11, abs=1e-11)
    assert one.SS == pytest.approx(other.SS * np.outer(signs, signs), rel=1e-11, abs=1e-9)
    for a, b in zip(one.Zs, other.Zs, strict=True):
        assert a == pytest.approx(b * signs[:, None], rel=1e-10, abs=1e-10)
    assert set(one.A) == set(other.A)
    for at in one.A:
        assert one.A[at] == pytest.approx(other.A[at], rel=1e-12, abs=1e-12)


@built
def test_a_response_far_from_zero_that_columns_all_but_predict_keeps_its_residual():
    data = rows()
    small = 1e-6 * data["y"]
    far = problem_of("y ~ x + (1 | g)", data.assign(y=1e3 + 1e3 * data["x"] + small))
    near = problem_of("y ~ x + (1 | g)", data.assign(y=small))
    left = [cross_products_of(each).SS[-1, -1] for each in (far, near)]
    assert left[0] == pytest.approx(left[1], rel=1e-6)


@built
def test_columns_in_a_few_rows_that_the_sample_misses_get_their_coefficients():
    data = rows(20_000)
    rare = np.zeros(len(data))
    rare[[7, 13, 4001]] = 1e4  # no row of the sample
    data = data.assign(rare=rare, y=data["y"] + 1e5 * rare)
    problem = problem_of("y ~ x + rare + (1 | g)", data)
    assert not np.any(rare[:: len(data) // cross_products.SAMPLE_ROWS])
    one = cross_products_of(problem)
    other = CrossProducts.of(layout_of(problem, chains=True))
    assert one.beta == pytest.approx(other.beta, rel=1e-8)
    assert one.SS[-1, -1] == pytest.approx(other.SS[-1, -1], rel=1e-9)


@built
def test_columns_that_products_tell_too_little_of_are_left_to_orthogonal_transformations():
    problem = problem_of("y ~ x + z + (1 | g)", rows())
    X = problem.predictors[0].X.copy()
    X[:, 2] = X[:, 1] + 1e-6 * X[:, 2]
    near = replace(problem.predictors[0], X=X)
    problem = replace(problem, predictors=(near, *problem.predictors[1:]))
    assert cross_products._in_one_pass(layout_of(problem, chains=True, rows="given")) is None
    found = cross_products_of(problem)
    Q = np.linalg.qr(X)[0]
    left = problem.y - Q @ (Q.T @ problem.y)
    assert found.SS[-1, -1] == pytest.approx(left @ left, rel=1e-9)


def test_rows_as_given_are_sorted_for_whoever_passes_over_them_again():
    problem = replace(problem_of("y ~ x + (1 | g)", rows()))
    given = layout_of(problem, rows="given")
    assert given.problem is problem
    assert layout_of(problem, rows="any") is given
    by_level = layout_of(problem)
    assert by_level.order is not None
    assert layout_of(problem, rows="any") is by_level is layout_of(problem, rows="given")
    assert layout_of(problem, chains=True) is by_level


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_does_not_depend_on_the_order_of_rows(seed):
    data = rows(seed=seed + 5)
    first, second = (
        interlace.fit("y ~ x + z + (1 + x | g) + (1 | h)", each)
        for each in (data, data.sample(frac=1.0, random_state=seed))
    )
    assert first.llf == pytest.approx(second.llf, rel=1e-12)
    assert first.fe_params.to_numpy() == pytest.approx(second.fe_params.to_numpy(), abs=1e-8)
