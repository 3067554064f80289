"""Standard errors of models with random slopes, against central differences at the estimates."""

import numpy as np
import pytest

import interlace
from interlace_core.fitting import curvature, polish
from invariance import drawn
from test_invariance_of_slopes import MODELS
from test_standard_units import drawn as counts_and_numbers

TOL = 4e-5
"""Relative; a Hessian holds to 1e-4, and standard errors to half of that."""


def central(m):
    """Return standard errors from the gradient 1e-3 of them to either side of each estimate."""
    evaluate = m.training.approximation.objective(m.training.problem)
    psi, se = m.fit.psi, np.sqrt(np.diagonal(m.fit.vcov))
    columns = []
    for i, step in enumerate(1e-3 * se):
        ends = []
        for sign in (1.0, -1.0):
            moved = psi.copy()
            moved[i] += sign * step
            ends.append(evaluate(moved).gradient * se)
        columns.append((ends[0] - ends[1]) / 2e-3)
    hessian = np.array(columns)
    return se * np.sqrt(np.diagonal(np.linalg.inv(0.5 * (hessian + hessian.T))))


def test_standard_errors_with_weights_of_millions():
    """One-sided differences were off by 3%, and the central ones refused for being others."""
    data = counts_and_numbers()
    rng = np.random.default_rng(3)
    rng.choice(3, len(data))
    k = 1e6 * rng.integers(1, 4, len(data))
    m = interlace.glmer("y ~ v + (v | g)", data.assign(k=k), "poisson", weights="k")
    place = m.coefficients[0].place
    found = np.sqrt(np.diagonal(m.fit.vcov))[place]
    np.testing.assert_allclose(found, central(m)[place], rtol=4 * TOL)


@pytest.mark.parametrize(
    ("name", "a", "c"),
    [
        # off by 6e-5 and 9e-5 with a Hessian that was kept too long
        ("poisson", 1.0, 1e2),
        ("negativebinomial", 1.0, 0.0),
        ("negativebinomial", 1e3, 0.0),
        # by 9e-5 and 3e-4 with one-sided differences
        ("offset", 1.0, 0.0),
        ("known levels", 1e3, 0.0),
    ],
)
def test_standard_errors_are_those_of_the_curvature_at_the_estimates(name, a, c):
    family, fit = MODELS[name]
    data = drawn(family, slopes=True)
    m = fit(data.assign(v=a * (data["x"] + c)))
    place = m.coefficients[0].place
    found = np.sqrt(np.diagonal(m.fit.vcov))[place]
    np.testing.assert_allclose(found, central(m)[place], rtol=TOL)


def test_an_error_of_the_diagonal_is_seen_on_the_other_side(monkeypatch):
    """Asymmetry does not tell of it; standard errors of a skew likelihood were off by 4e-4."""
    for module in (curvature, polish):  # with tenfold steps here, by 1.4e-3
        monkeypatch.setattr(module, "ONE_SIDED_STEP", 1e-3)
    monkeypatch.setattr(polish, "MOST_ASYMMETRY", np.inf)
    data = drawn("zeroinflated_poisson", slopes=True)
    m = interlace.glmer("y ~ x + (x | g)", data, "zeroinflated_poisson", kernels="off")
    found = np.sqrt(np.diagonal(m.fit.vcov))
    np.testing.assert_allclose(found, central(m), rtol=TOL)


def test_directions_of_little_curvature_alone_are_taken_centrally(monkeypatch):
    """One direction: as good as all seven, with twelve gradients fewer."""
    data = interlace.datasets.load("grouseticks")
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"
    m = interlace.glmer(formula, data, "poisson", kernels="off")
    found = np.sqrt(np.diagonal(m.fit.vcov))
    # the last step is short enough to keep the Hessian before it, to 1e-4
    np.testing.assert_allclose(found, central(m), rtol=polish.TOL_REL_HESSIAN)
    monkeypatch.setattr(curvature, "CLEAR_CURVATURE", np.inf)  # all
    other = interlace.glmer(formula, data, "poisson", kernels="off")
    assert other.fit.n_evaluations - m.fit.n_evaluations == 12
    np.testing.assert_allclose(found, np.sqrt(np.diagonal(other.fit.vcov)), rtol=1e-5)


def test_what_is_known_along_directions_takes_the_place_of_what_was_there():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(5, 5))
    hessian, tail = A @ A.T, rng.normal(size=(2, 5))
    exact = np.concatenate([hessian, tail])
    directions = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    rough = exact + 1e-3 * rng.normal(size=exact.shape)
    found = curvature._with_directions(lambda z: z @ exact.T, rough, directions)
    np.testing.assert_allclose(found @ directions, exact @ directions, atol=1e-9)
    np.testing.assert_allclose(directions.T @ found[:5], directions.T @ hessian, atol=1e-9)
    beside = np.linalg.qr(np.column_stack([directions, rng.normal(size=(5, 3))]))[0][:, 2:]
    both = beside.T @ found[:5] @ beside, beside.T @ rough[:5] @ beside
    np.testing.assert_allclose(*both, atol=1e-12)
