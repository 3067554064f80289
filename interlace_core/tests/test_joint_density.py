"""The joint density's gradient and Hessian against differences."""

import numpy as np
import pytest
from models import random_problem

from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of


@pytest.mark.parametrize("groups", [((6, 1),), ((6, 2),), ((6, 2), (4, 1))])
def test_gradient_and_products_with_the_hessian_are_differences(groups):
    problem = random_problem(groups=groups, n=90)
    rng = np.random.default_rng(1)
    psi = 0.3 * rng.normal(size=problem.n_psi)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.start()
    conditional = Conditional(layout_of(problem), psi)
    q = conditional.layout.structure.q
    u, x = 0.5 * rng.normal(size=(2, q))
    h = 1e-5
    ends = [conditional.evaluate(u + sign * h * x, 2) for sign in (1.0, -1.0)]
    here = conditional.evaluate(u, 2)
    slope = (ends[0].value - ends[1].value) / (2.0 * h)
    assert conditional.gradient(here) @ x == pytest.approx(slope, rel=1e-6)
    gradients = [conditional.gradient(each) for each in ends]
    expected = (gradients[0] - gradients[1]) / (2.0 * h)
    np.testing.assert_allclose(conditional.hessian_times(here, x), expected, rtol=1e-5, atol=1e-6)
