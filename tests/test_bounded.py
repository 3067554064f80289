"""What stands in for Laplace's approximation where a group loses its mode, and fits beside there.

Values are held against dense algebra, gradients against differences, and fits against the same
model in other units.
"""

import numpy as np
import pandas as pd
import pytest
from models import random_problem

import interlace
from interlace.priors.densities import normal
from interlace.priors.penalised import penalise
from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace
from interlace_approximations.linear import MaximumLikelihood
from interlace_approximations.restricted_laplace import RestrictedLaplace
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of
from interlace_core.messages.errors import ConvergenceWarning
from interlace_core.registry.registry import default_registry
from test_gradients import REL_ERROR, difference, simulated_problem

STRUCTURES = {
    "scalar": dict(groups=[(16, 1)]),
    "slopes": dict(groups=[(16, 2)]),
    "crossed": dict(groups=[(20, 1), (6, 1)]),
    "nested": dict(groups=[(24, 1), (8, 2)], nested=True),
    "on two predictors": dict(groups=[(16, 1), (16, 1)], nested=True, predictors=[0, 1]),
    "crossed predictors": dict(groups=[(20, 1), (6, 1)], predictors=[1, 0]),
    "weights": dict(groups=[(16, 1)], weights=True),
}
CONVEX = ("student_t", "zeroinflated_negativebinomial1", "zeroinflated_genpois")
"""Families with rows that are convex in the mean's predictor."""


def family(name):
    """Return a family by its name."""
    (found,) = (each.cls for each in default_registry().classes("family") if each.name == name)
    return found()


def dense(problem, psi, u):
    """Return f(u), and H+ by dense algebra, W+ from the family's own second derivatives."""
    layout = layout_of(problem)
    conditional = Conditional(layout, psi)
    point = conditional.evaluate(u, 2)
    H = np.eye(u.size)
    columns = np.column_stack([_stacked(conditional.push(unit)) for unit in np.eye(u.size)])
    for place, r in enumerate(layout.structure.random_predictors):
        rows = columns[place * problem.n : (place + 1) * problem.n]
        weight = np.maximum(-point.derivatives.get(r, r), 0.0)
        H += rows.T @ (weight[:, None] * rows)
    convex = sum(
        np.sum(point.derivatives.get(r, r) > 0.0) for r in layout.structure.random_predictors
    )
    return point.value, H, convex


def _stacked(moved):
    """Return Z Lambda u of all random predictors, one below the other."""
    return np.concatenate([moved[r] for r in sorted(moved)])


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("name", CONVEX)
def test_the_bounded_value_is_that_of_dense_algebra_and_its_gradient_that_of_the_value(
    name, structure
):
    problem, psi = simulated_problem(family(name), STRUCTURES[structure])
    objective = Laplace().bounded(problem).objective(problem)
    found = objective(psi)
    f, H, convex = dense(problem, psi, found.mode)
    # the mode is exact to 1e-8, and f alone does not feel it
    assert found.value == pytest.approx(f + 0.5 * np.linalg.slogdet(H)[1], abs=1e-7)
    differences = np.array([difference(objective, psi, i) for i in range(psi.size)])
    assert np.abs(found.gradient - differences).max() <= REL_ERROR * np.abs(found.gradient).max()
    assert convex > 0 or structure != "slopes"  # what is left out is there


def test_where_rows_are_concave_it_is_laplaces_own():
    problem = random_problem(groups=[(20, 2), (6, 1)])
    psi = np.concatenate([0.7 * t.covariance.start() for t in problem.terms] + [np.full(2, 0.2)])
    plain = Laplace().objective(problem)(psi)
    bounded = Laplace().bounded(problem).objective(problem)(psi)
    assert bounded.value == pytest.approx(plain.value, rel=1e-14)
    np.testing.assert_allclose(bounded.gradient, plain.gradient, rtol=1e-10)


def test_who_has_a_mode_offers_a_stand_in_with_the_priors_of_the_fit():
    problem = random_problem(groups=[(20, 1)])
    around = (Laplace(), AdaptiveGaussHermite(), VectorGaussHermite(), JointMode())
    for approximation in (*around, RestrictedLaplace()):
        assert approximation.bounded(problem).accepts(problem)
        assert approximation.bounded(problem).bounded(problem) is None
    assert MaximumLikelihood().bounded(problem) is None
    psi = np.full(problem.n_psi, 0.5)
    penalised = penalise(Laplace(), {"a": normal(0.0, 1.0)}, problem, (), "glmer")
    bounded, plain = penalised.bounded(problem), Laplace().bounded(problem)
    added = bounded.objective(problem)(psi).value - plain.objective(problem)(psi).value
    assert added == pytest.approx(penalised.penalty(problem, psi))


def convex_counts(seed, family, n):
    """Return counts with zeros of their own in 20 groups with random slopes, few rows in each."""
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % 20, rng.normal(size=n)
    eta = 0.8 + 0.3 * x + rng.normal(0, 0.7, 20)[g] + rng.normal(0, 0.6, 20)[g] * x
    mu = np.exp(eta)
    poisson = family == "zeroinflated_poisson"
    y = rng.poisson(mu) if poisson else rng.negative_binomial(mu / 1.5, 1 / 2.5)
    return pd.DataFrame({"y": np.where(rng.random(n) < 0.3, 0, y), "x": x, "g": g})


@pytest.mark.parametrize(
    ("family", "seed", "n"),
    [
        ("zeroinflated_poisson", 5, 120),
        # a lower optimum beside was once called one, in the first of these units
        pytest.param("zeroinflated_negativebinomial1", 2, 100, marks=pytest.mark.slow),
    ],
)
def test_a_fit_without_an_optimum_ends_where_the_stand_in_does_in_any_units(family, seed, n):
    data, fits = convex_counts(seed, family, n), []
    for scale, shift in ((1.0, 0.0), (1.0, 3e6)):
        moved = data.assign(v=scale * (data["x"] + shift))
        with pytest.warns(ConvergenceWarning, match="not reached: the estimates are those of a"):
            fits.append(interlace.glmer("y ~ v + (v | g)", moved, family))
    one, other = fits
    assert one.fit.searches[1].origin == "where a bounded stand-in ended"
    assert one.llf == pytest.approx(other.llf, abs=1e-4)
    assert one.fe_params["v"] == pytest.approx(other.fe_params["v"], abs=1e-3)
    assert np.all(np.isnan(one.fe_bse))
    # a rough fit, and a fit: the integral itself has little to gain from there
    quadrature = VectorGaussHermite(points=9)
    best = interlace.glmer(
        "y ~ v + (v | g)", data.assign(v=data["x"]), family, approximation=quadrature
    )
    there = -quadrature.objective(one.training.problem)(one.fit.psi).value
    assert best.converged and 0.0 < best.llf - there < 0.5
