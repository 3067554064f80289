"""Laplace's approximation by runs of levels, and of intercepts in a form of their own."""

import numpy as np
import pytest
from models import TwoPart, random_problem

from interlace_approximations.laplace import LaplaceObjective, LaplaceOverRuns
from interlace_core.contract import Status
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    Conditional,
    conditional_at,
    layout_of,
    level_runs,
)

ONE_FACTOR = {
    "intercepts": dict(groups=[(20, 1)]),
    "slopes": dict(groups=[(20, 3)]),
    "two terms": dict(groups=[(12, 1), (12, 2)], nested=True),
    "weights": dict(groups=[(20, 2)], weights=True),
    "zero part alone": dict(groups=[(15, 1)], family=TwoPart(), predictors=[1]),
    "both parts": dict(groups=[(15, 1), (15, 2)], family=TwoPart(), predictors=[0, 1], nested=True),
}


def start(problem):
    psi = 0.1 * np.random.default_rng(1).normal(size=problem.n_psi)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] += 0.7 * term.covariance.start()
    return psi


@pytest.mark.parametrize("name", ONE_FACTOR)
def test_the_sum_over_runs_is_the_whole(name):
    problem = random_problem(**ONE_FACTOR[name])
    layout, psi = layout_of(problem), start(problem)
    runs = level_runs(layout, 20)
    assert len(runs) > 2, "several of these rows"
    assert sum(run.layout.problem.n for run in runs) == problem.n
    alone = LaplaceObjective(layout, DEFAULT_SETTINGS)
    together = LaplaceOverRuns(layout, runs, DEFAULT_SETTINGS)
    for at in (psi, 1.02 * psi, 0.9 * psi):  # the second and third begin at the last mode
        whole, summed = alone(at), together(at)
        assert whole.status is summed.status is Status.OK
        assert summed.value == pytest.approx(whole.value, rel=1e-12)
        np.testing.assert_allclose(summed.gradient, whole.gradient, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(summed.mode, whole.mode, rtol=0, atol=1e-8)


def test_runs_begin_at_the_mode_that_is_given():
    problem = random_problem(**ONE_FACTOR["slopes"])
    layout, psi = layout_of(problem), start(problem)
    mode = LaplaceObjective(layout, DEFAULT_SETTINGS)(psi).mode
    again = LaplaceOverRuns(layout, level_runs(layout, 20), DEFAULT_SETTINGS, mode)(psi)
    assert again.inner_iterations == 1, "which is where it stays"
    np.testing.assert_allclose(again.mode, mode, rtol=0, atol=1e-8)


def test_few_rows_and_levels_of_several_factors_are_not_divided():
    assert not level_runs(layout_of(random_problem(**ONE_FACTOR["slopes"])))
    assert not level_runs(layout_of(random_problem(groups=[(30, 1), (7, 2)])), 20)


@pytest.mark.parametrize("name", ["intercepts", "zero part alone"])
def test_intercepts_are_what_any_other_random_effects_are(name):
    problem = random_problem(**ONE_FACTOR[name])
    layout, psi = layout_of(problem), start(problem)
    quick, plain = conditional_at(layout, psi), Conditional(layout, psi)
    assert type(quick) is not type(plain)
    u, x = np.random.default_rng(1).normal(size=(2, layout.structure.q))
    here, there = quick.evaluate(u, 3), plain.evaluate(u, 3)
    assert here.value == there.value
    (r,) = layout.structure.random_predictors
    rows = {r: np.random.default_rng(2).normal(size=problem.n)}
    np.testing.assert_array_equal(quick.gradient(here), plain.gradient(there))
    np.testing.assert_array_equal(quick.pull(rows), plain.pull(rows))
    np.testing.assert_array_equal(quick.push(u)[r], plain.push(u)[r])
    for concave in (False, True):
        A, B = (each.information(here, concave) for each in (quick, plain))
        np.testing.assert_array_equal(A[0, 0], B[0, 0])
    H, K = quick.factorise(A), plain.factorise(B)
    assert H.logdet == pytest.approx(K.logdet, rel=1e-14)
    np.testing.assert_allclose(quick.solve(H, x), plain.solve(K, x), rtol=1e-14)


def test_slopes_keep_their_general_form():
    layout = layout_of(random_problem(**ONE_FACTOR["slopes"]))
    psi = start(layout.problem)
    assert type(conditional_at(layout, psi)) is Conditional
