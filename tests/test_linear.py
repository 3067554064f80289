"""The linear mixed model on cross-products, against dense arithmetic and differences."""

import numpy as np
import pytest

from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_approximations import linear_point
from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.linear_point import LinearPoint
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of
from interlace_core.engine.mode import ModeSettings, find_mode
from interlace_core.registry.registry import default_registry


def problem_of(formula, weights, rng):
    n = 60
    data = {
        "x": rng.normal(3.0, 1.0, n),
        "g": rng.integers(0, 7, n).astype(str),
        "h": rng.integers(0, 4, n).astype(str),
        "w": rng.uniform(0.5, 2.0, n),
        "o": rng.normal(size=n),
    }
    data["y"] = 50.0 + 2.0 * data["x"] + rng.normal(size=n)
    registry = default_registry()
    family = registry.family("gaussian")()
    request = ModelRequest(formula, data, family, weights=weights, offset="o")
    return build_problem(request, family, covariance=registry.covariance).problem


def dense(problem, psi, restricted):
    """Return the negative (restricted) log-likelihood from the n x n covariance."""
    sigma = np.exp(psi[-1])
    n = problem.n
    w = np.ones(n) if problem.weights is None else problem.weights
    V = np.diag(sigma**2 / w)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        T = term.covariance.template(psi[place])
        same = term.codes[:, None] == term.codes[None, :]
        Z = np.asarray(term.Z)
        V = V + same * (Z @ T @ T.T @ Z.T)
    X, y = problem.predictors[0].X, problem.y - problem.predictors[0].offset
    W = np.linalg.inv(V)
    M = X.T @ W @ X
    beta = np.linalg.solve(M, X.T @ W @ y)
    r = y - X @ beta
    value = n * np.log(2.0 * np.pi) + np.linalg.slogdet(V)[1] + r @ W @ r
    if restricted:
        value += np.linalg.slogdet(M)[1] - X.shape[1] * np.log(2.0 * np.pi)
    return 0.5 * value, beta, np.linalg.inv(M)


MODELS = ["y ~ x + (1 | g)", "y ~ x + (1 + x | g)", "y ~ x + (1 | g) + (1 | h)",
          "y ~ x + (1 + x | g/h)", "y ~ x + (x || g) + (1 | h)", "y ~ x"]  # fmt: skip


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("formula", MODELS)
def test_likelihood_and_gradient_agree_with_dense_arithmetic(formula, weights, restricted):
    rng = np.random.default_rng(5)
    problem = problem_of(formula, weights, rng)
    psi = np.concatenate([rng.uniform(0.3, 0.9, problem.n_theta), np.zeros(2), [0.2]])
    point = LinearPoint(CrossProducts.of(layout_of(problem)), psi)
    value, beta, covariance = dense(problem, psi, restricted)
    assert point.deviance(restricted) == pytest.approx(value, abs=1e-9)
    assert point.beta == pytest.approx(beta, abs=1e-9)
    assert point.covariance() == pytest.approx(covariance, rel=1e-9, abs=1e-12)
    dT, _, d_sigma = point.gradient(restricted)
    gradient = np.append(layout_of(problem).template_pullback(psi, dT), d_sigma)
    places = [*range(problem.n_theta), psi.size - 1]
    for found, place in zip(gradient, places, strict=True):
        step = np.zeros(psi.size)
        step[place] = 1e-5
        ends = [dense(problem, psi + sign * step, restricted)[0] for sign in (1, -1)]
        assert found == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=2e-6), place


def test_derivatives_of_a_quadratic_form_agree_with_differences():
    rng = np.random.default_rng(6)
    problem = problem_of("y ~ x + (1 + x | g) + (1 | h)", "w", rng)
    psi = np.concatenate([rng.uniform(0.3, 0.9, problem.n_theta), np.zeros(2), [0.2]])
    data = CrossProducts.of(layout_of(problem))
    columns = rng.normal(size=(3, 2))
    dT, d_sigma = LinearPoint(data, psi).quadratic_gradient(columns)
    for m in range(2):
        own = layout_of(problem).template_pullback(psi, [d[:, :, m] for d in dT])
        gradient = np.append(own, d_sigma[m])

        def form(x, s=columns[:, m]):
            return s @ LinearPoint(data, x).M @ s

        for found, place in zip(gradient, [*range(problem.n_theta), psi.size - 1], strict=True):
            step = np.zeros(psi.size)
            step[place] = 1e-5
            slope = (form(psi + step) - form(psi - step)) / 2e-5
            assert found == pytest.approx(slope, rel=1e-6, abs=1e-8)


SINGULAR = {
    "a variance of 0": [0.0, 0.0, 0.4, 0.7],
    "both variances of a term 0": [0.0, 0.0, 0.0, 0.7],
    "a correlation of 1": [0.5, 0.3, 0.0, 0.7],
    "next to one": [0.5, 0.3, 1e-8, 0.7],
    "a variance of 0 on the other factor": [0.5, 0.3, 0.4, 0.0],
}


@pytest.mark.parametrize("theta", SINGULAR.values(), ids=SINGULAR)
@pytest.mark.parametrize("restricted", [False, True])
def test_gradients_are_right_where_a_template_cannot_be_inverted(theta, restricted):
    rng = np.random.default_rng(7)
    problem = problem_of("y ~ x + (1 + x | g) + (1 | h)", "w", rng)
    psi = np.array([*theta, 0.0, 0.0, 0.2])
    dT, _, d_sigma = LinearPoint(CrossProducts.of(layout_of(problem)), psi).gradient(restricted)
    gradient = np.append(layout_of(problem).template_pullback(psi, dT), d_sigma)
    for found, place in zip(gradient, [0, 1, 2, 3, 6], strict=True):
        step = np.zeros(psi.size)
        step[place] = 1e-5
        ends = [dense(problem, psi + sign * step, restricted)[0] for sign in (1, -1)]
        assert found == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=2e-6), place


def test_sums_by_division_are_those_over_the_cross_products(monkeypatch):
    rng = np.random.default_rng(8)
    problem = problem_of("y ~ x + (1 + x | g/h)", "w", rng)
    psi = np.concatenate([rng.uniform(0.3, 0.9, problem.n_theta), np.zeros(2), [0.2]])
    divided = LinearPoint(CrossProducts.of(layout_of(problem)), psi).moments
    monkeypatch.setattr(linear_point, "MAX_CONDITION", 0.0)
    summed = LinearPoint(CrossProducts.of(layout_of(problem)), psi).moments
    for one, other in zip(divided, summed, strict=True):
        np.testing.assert_allclose(one[0], other[0], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("formula", [each for each in MODELS if "|" in each])
def test_shortcuts_say_what_the_rows_say(formula, weights):
    """Start, scales and spread from cross-products, against passes over the rows."""
    problem = problem_of(formula, weights, np.random.default_rng(9))
    shortcuts = default_registry().approximation("ml")().shortcuts(problem)
    beginning = shortcuts.begin()
    X, y = problem.predictors[0].X, problem.y - problem.predictors[0].offset
    w = np.ones(problem.n) if weights is None else problem.weights
    beta = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * y))
    sigma = np.sqrt(np.mean(w * np.square(y - X @ beta)))
    found = by_moments(problem, w, y - X @ beta)
    sizes = np.sqrt(np.maximum(found[:-1], 0.0)) * np.concatenate(
        [term.reach for term in problem.terms]
    )
    believed = np.all((sizes > 0.02 * found[-1] ** 0.5) & (sizes < 20.0 * found[-1] ** 0.5))
    own = found[-1] ** 0.5 if believed else sigma
    assert beginning.beta == pytest.approx([*beta, np.log(own)], rel=1e-8)
    if believed:
        assert np.concatenate(beginning.sizes) == pytest.approx(sizes, rel=1e-8)
    assert beginning.units == pytest.approx([sigma / np.sqrt(np.mean(w)), 1.0])

    psi = np.concatenate([rng_theta(problem), beginning.beta])
    layout = layout_of(problem)
    conditional = Conditional(layout, psi)
    mode = find_mode(conditional, np.zeros(layout.structure.q), ModeSettings())
    known = shortcuts.information(psi)
    # of the coefficients, which are profiled out, nothing is said
    np.testing.assert_array_equal(known.coefficients, np.diag([0.0, 0.0, 2.0 * problem.n]))
    inverse = conditional.factorise(conditional.information(mode.point)).selected_inverse()
    covariances = shortcuts.effects_covariance(psi)
    for f, covariance in enumerate(covariances):
        np.testing.assert_allclose(covariance, inverse[f, f], rtol=1e-7, atol=1e-12)
        diagonal = np.einsum("aal->al", mode.information[f, f])
        np.testing.assert_allclose(known.effects[f], diagonal, rtol=1e-9)


def by_moments(problem, w, r):
    """Return variances of columns and residual whose expected squares are those of the data."""
    blocks = []
    for term in problem.terms:
        indicator = np.eye(term.codes.max() + 1)[term.codes]
        blocks += [indicator * z[:, None] for z in np.asarray(term.Z).T]
    products = [w[:, None] * B for B in blocks]
    weights = [[np.sum((A.T @ wB) ** 2) for wB in products] for A in blocks]
    alone = [np.sum(B * wB) for B, wB in zip(blocks, products, strict=True)]
    whole = np.block([[np.array(weights), np.array(alone)[:, None]], [np.array(alone), len(r)]])
    squares = [np.sum((wB.T @ r) ** 2) for wB in products]
    return np.linalg.solve(whole, [*squares, np.sum(w * r * r)])


def rng_theta(problem):
    return np.random.default_rng(10).uniform(0.3, 0.9, problem.n_theta)
