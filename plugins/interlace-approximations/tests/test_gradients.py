"""The exact gradient of every approximation against central differences of its value.

Families here give only their density, so that jets, engine and adjoint are tested together.
Whole families are held against jets by the conformance kit.
"""

import numpy as np
import pytest
from models import TwoPart, random_problem

from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace

STRUCTURES = {
    "scalar": dict(groups=[(20, 1)]),
    "slopes": dict(groups=[(20, 3)]),
    "crossed": dict(groups=[(30, 1), (7, 2)]),
    "nested": dict(groups=[(24, 2), (12, 1), (4, 1)], nested=True),
    "nested within crossed": dict(groups=[(40, 1), (9, 1), (6, 2)]),
    "two terms on one factor": dict(groups=[(12, 1), (12, 2)], nested=True),
    "weights": dict(groups=[(20, 2)], weights=True),
    "zero part alone": dict(groups=[(15, 1)], family=TwoPart(), predictors=[1]),
    "both parts": dict(groups=[(15, 1), (15, 2)], family=TwoPart(), predictors=[0, 1], nested=True),
    "both parts crossed": dict(groups=[(15, 1), (8, 2)], family=TwoPart(), predictors=[0, 1]),
}
REL_ERROR = 1e-6
"""Central differences of the value, step 1e-5, lose about this to rounding and curvature."""


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("approximation", [Laplace(), JointMode()], ids=lambda a: a.name)
def test_gradient_matches_differences(approximation, structure):
    problem = random_problem(**STRUCTURES[structure])
    assert gradient_error(approximation, problem) < REL_ERROR


@pytest.mark.parametrize("points", [1, 2, 5, 25])
@pytest.mark.parametrize("structure", ["scalar", "zero part alone"])
def test_quadrature_gradient_matches_differences(points, structure):
    problem = random_problem(**STRUCTURES[structure])
    assert gradient_error(AdaptiveGaussHermite(points), problem) < REL_ERROR


@pytest.mark.parametrize("points", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "structure", ["slopes", "two terms on one factor", "weights", "zero part alone", "both parts"]
)
def test_vector_quadrature_gradient_matches_differences(points, structure):
    problem = random_problem(**STRUCTURES[structure])
    assert gradient_error(VectorGaussHermite(points), problem) < REL_ERROR


@pytest.mark.parametrize(
    ("approximation", "groups"),
    [(AdaptiveGaussHermite(1), [(20, 1)]), (VectorGaussHermite(1), [(20, 3)])],
    ids=lambda each: getattr(each, "name", ""),
)
def test_one_point_is_laplace(approximation, groups):
    problem = random_problem(groups=groups)
    psi = start(problem)
    one = approximation.objective(problem)(psi)
    laplace = Laplace().objective(problem)(psi)
    assert one.value == pytest.approx(laplace.value, rel=1e-12)
    assert one.gradient == pytest.approx(laplace.gradient, rel=1e-8, abs=1e-8)


def test_three_effects_agree_with_integration_on_a_grid():
    """A trapezium of 61 points a side over +-8 prior standard deviations is exact to 1e-8 here."""
    problem = random_problem(groups=[(8, 3)], n=96)
    psi = start(problem)
    (term,), (place,) = problem.terms, problem.theta_slices()
    unit = np.linspace(-8.0, 8.0, 61)
    u = np.stack(np.meshgrid(unit, unit, unit, indexing="ij")).reshape(3, -1)
    b = term.covariance.template(psi[place]) @ u
    fixed, total = problem.fixed_part(psi)[0], 0.0
    for level in range(8):
        joint = -0.5 * np.sum(u**2, axis=0) - 1.5 * np.log(2 * np.pi)
        for i in np.flatnonzero(term.codes == level):
            joint += problem.family.log_density(problem.y[i], [fixed[i] + term.Z[i] @ b])
        total += np.log(np.sum(np.exp(joint))) + 3 * np.log(unit[1] - unit[0])
    value = VectorGaussHermite(15).objective(problem)(psi).value
    assert -value == pytest.approx(total, abs=1e-6)
    laplace = Laplace().objective(problem)(psi).value
    assert abs(laplace - value) > 1e-3


def test_joint_mode_profiles_the_means_coefficients():
    """At the profiled coefficients and mode, f is stationary in both: the score is zero."""
    problem = random_problem(groups=[(20, 2)])
    place = problem.beta_slices()[0]
    evaluation = JointMode().objective(problem)(start(problem))
    psi = start(problem)
    psi[place] = evaluation.profiled.values
    eta = problem.fixed_part(psi)[0]
    term, u = problem.terms[0], evaluation.mode.reshape(2, 20)
    b = term.covariance.template(psi[problem.theta_slices()[0]]) @ u
    eta = eta + np.sum(term.Z * b.T[term.codes], axis=1)
    score = problem.predictors[0].X.T @ (problem.y - np.exp(eta))
    assert np.abs(score).max() < 1e-6


def start(problem):
    rng = np.random.default_rng(1)
    psi = 0.1 * rng.normal(size=problem.n_psi)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] += 0.7 * term.covariance.start()
    return psi


def gradient_error(approximation, problem):
    """Return the largest error of the gradient, relative to its largest entry."""
    objective = approximation.objective(problem)
    psi = start(problem)
    profiled = approximation.profiled(problem)
    free = np.setdiff1d(np.arange(psi.size), np.arange(psi.size)[profiled])
    gradient = objective(psi).gradient[free]
    differences = [
        (objective(psi + h).value - objective(psi - h).value) / 2e-5
        for h in 1e-5 * np.eye(psi.size)[free]
    ]
    return np.abs(gradient - differences).max() / np.abs(gradient).max()
