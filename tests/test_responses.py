"""Refits to many responses by one objective in C, against a fit of each."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import interlace
from interlace.inference.draws import generators
from interlace.inference.simulation import draw, new_predictors
from interlace.refits import responses
from interlace.refits.near import known_fit
from interlace.refits.refit import with_response
from test_compiled_objective import built, frame

MODELS = {
    "one factor": ("y ~ x + (1 | g)", "poisson", {}),
    "trials": ("y ~ x + (1 | g)", "binomial", {"weights": "trials"}),
    "units far from 1": ("y ~ I(1e6 * x + 3e8) + (1 | g)", "poisson", {}),
    "weights": ("y ~ x + (1 | g)", "poisson", {"weights": "w", "offset": "e"}),
    "slopes": ("y ~ x + (1 + x | g)", "poisson", {}),
    "two predictors": ("y ~ x + (1 | g)", "negativebinomial", {}),
    "nested": ("y ~ x + (1 | g/x10)", "poisson", {}),
    "crossed": ("y ~ x + (1 | g) + (1 | x10)", "poisson", {}),
    "quadrature": ("y ~ x + (1 | g)", "poisson", {"nAGQ": 5}),
}


def fitted(name, **more):
    formula, family, options = MODELS[name]
    data = frame(family, n=900)
    if "x10" in formula:  # of which there is no effect in the data
        inner = data.g + data.x10
        moves = dict(
            zip(sorted(set(inner)), np.random.default_rng(1).normal(size=99), strict=False)
        )
        data["y"] = np.random.default_rng(2).poisson(data.y * np.exp(0.6 * inner.map(moves)))
    return interlace.glmer(formula, data, family, **options, **more)


def responses_and_problems(m, count):
    """Return what refits the model of a fit, and problems with drawn responses."""
    training = m.training
    known = known_fit(training.problem, training.approximation, m.fit.psi, m.fit.uncertainty)
    found = responses.responses_of(
        training.problem, training.approximation, known, m.fit.psi, training.tol_decrement
    )
    drawn = [draw(m, new_predictors(m, rng), rng) for rng in generators(4, count)]
    return found, drawn, [with_response(training.problem, y) for y in drawn]


@built
@pytest.mark.parametrize("name", MODELS)
def test_estimates_are_those_of_a_fit_of_each(name):
    m, plain = fitted(name), fitted(name, kernels="off")
    found, drawn, problems = responses_and_problems(m, 6)
    answers = [found.psi(each) for each in problems]
    assert sum(psi is not None for psi in answers) >= 3
    for y, psi in zip(drawn, answers, strict=True):
        if psi is None:
            continue
        whole = plain.refit(y)
        assert whole.converged
        # within what the fit's tolerance allows for
        errors = np.sqrt(np.diag(whole.fit.vcov))
        np.testing.assert_allclose(psi / errors, whole.fit.psi / errors, atol=0.02)
    # what was seen before changes nothing but the last digits
    again = [found.psi(each) for each in problems]
    for first, second in zip(answers, again, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_allclose(first, second, rtol=1e-7)


@built
def test_the_bootstrap_makes_one_objective(monkeypatch):
    m, made = fitted("one factor"), []
    original = responses.possible_objective
    monkeypatch.setattr(responses, "possible_objective", lambda *a: made.append(a) or original(*a))
    monkeypatch.setattr("interlace.inference.bootstrap.refit_problem", None)  # is not called
    boot = m.bootstrap(20, seed=1)
    assert len(made) == 1
    assert not boot.failures
    assert boot.values.notna().all(axis=None)


@built
def test_variances_at_their_bound_are_left_to_a_whole_fit():
    data = frame("poisson", n=120, groups=6)
    data["y"] = np.random.default_rng(2).poisson(1.5, len(data)).astype(float)
    data.loc[data.g.isin(["g01", "g02"]), "y"] += 1
    tables = [
        interlace.glmer("y ~ x + (1 | g)", data, "poisson", kernels=each).bootstrap(30, seed=3)
        for each in ("auto", "off")
    ]
    at_zero = [(each.values.filter(like="sd").to_numpy() < 1e-6).sum() for each in tables]
    assert at_zero[0] == at_zero[1] > 0
    np.testing.assert_allclose(*(each.values.to_numpy() for each in tables), atol=5e-3)


@built
def test_threads_do_not_meet_in_the_objective():
    found, _, problems = responses_and_problems(fitted("slopes"), 12)
    alone = [found.psi(each) for each in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(found.psi, problems))
    for one, other in zip(alone, together, strict=True):
        if other is not None:  # None where another thread was in it: a fit of its own follows
            np.testing.assert_allclose(other, one, rtol=1e-7)


@built
def test_a_result_with_its_objective_may_be_pickled():
    m = fitted("one factor")
    before = m.bootstrap(5, seed=1)
    again = pickle.loads(pickle.dumps(m)).bootstrap(5, seed=1)
    np.testing.assert_allclose(before.values, again.values, rtol=1e-7)


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_collapsed_rows_are_fitted_one_by_one(kernels):
    data = frame("poisson", n=6000, groups=40)
    data["x"] = np.round(data.x)
    m = interlace.glmer("y ~ x + (1 | g)", data, "poisson", kernels=kernels)
    assert responses_and_problems(m, 1)[0] is None
    assert not m.bootstrap(3, seed=1).failures
