"""What the engine does where nothing can be computed, or next to nothing has to be."""

from dataclasses import replace

import numpy as np
import pytest
from callback_kernel import CallbackKernels, Counts
from models import random_problem

from interlace_core.contract.kernels import Compiled
from interlace_core.engine import joint_density
from interlace_core.engine.collapse import collapse_rows
from interlace_core.engine.conjugate import newton_step
from interlace_core.engine.elimination.dense import bargain_of_dense
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.joint_density import Conditional, effects_covariance
from interlace_core.engine.kernel_guard import agrees
from interlace_core.engine.layout import layout_of


def at_zero(problem, theta=0.5):
    psi = np.concatenate([np.full(problem.n_theta, theta), np.zeros(problem.n_beta)])
    conditional = Conditional(layout_of(problem), psi)
    return conditional, conditional.evaluate(np.zeros(layout_of(problem).structure.q), 2)


def test_effects_without_a_definite_curvature_have_no_covariance(monkeypatch):
    problem = random_problem()
    psi = np.concatenate([np.full(problem.n_theta, 0.5), np.zeros(problem.n_beta)])
    q = layout_of(problem).structure.q
    (block,) = effects_covariance(problem, psi, np.zeros(q))
    assert block.shape == (1, 1, 20) and np.all((block > 0.0) & (block < 1.0))

    def refuses(*arguments):
        raise NotPositiveDefiniteError("no")

    monkeypatch.setattr(joint_density, "factorise_posterior", refuses)
    assert effects_covariance(problem, psi, np.zeros(q)) is None


class Refusing(Counts):
    """A family with a narrow domain, which raises beyond it."""

    def derivatives(self, y, eta, order, wrt):
        raise FloatingPointError("outside of the domain")


def test_a_family_that_raises_where_the_guard_looks_says_nothing_of_the_kernel(recwarn):
    problem = replace(random_problem(), family=Refusing(), compiled=Compiled())
    assert agrees(object(), problem) is None
    assert not recwarn.list
    assert CallbackKernels().build == "Python"


def test_steps_with_a_factorisation_of_another_sign_are_not_taken():
    problem = random_problem()
    conditional, point = at_zero(problem)
    gradient = conditional.gradient(point)

    class Opposite:
        def solve(self, parts):
            return [-part for part in parts]

    assert newton_step(conditional, point, gradient, Opposite(), 1e-12) is None

    class Nothing:
        def solve(self, parts):
            return [np.full_like(part, np.nan) for part in parts]

    assert newton_step(conditional, point, gradient, Nothing(), 1e-12) is None


def test_products_are_counted_and_none_is_made_with_the_factorisation_of_this_point():
    conditional, point = at_zero(random_problem(), theta=5.0)
    gradient = conditional.gradient(point)
    own = conditional.factorise(conditional.information(point))
    exact = -conditional.solve(own, gradient)

    class Elsewhere:
        def solve(self, parts):
            return [part * np.linspace(1.0, 9.0, part.size).reshape(part.shape) for part in parts]

    step, products = newton_step(conditional, point, gradient, own, 1e-12)
    assert products <= 1 and step == pytest.approx(exact)
    step, products = newton_step(conditional, point, gradient, Elsewhere(), 1e-12)
    assert products > 3
    # to a tenth, which is what a Newton step is worth that far off
    assert np.linalg.norm(step - exact) < 0.1 * np.linalg.norm(exact)


def test_a_factorisation_is_a_bargain_the_sooner_the_smaller_it_is():
    assert [bargain_of_dense(rows) for rows in (100, 150, 500, 10_000)] == [0, 1, 5, 30]


def test_rows_of_a_family_that_cannot_be_taken_together_stay_as_they_are():
    problem = random_problem()
    found, groups = collapse_rows(problem)
    assert found is problem and groups is None
