"""Refits to many responses by one objective in C, against a fit of each."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.inference.draws import generators
from interlace.inference.simulation import draw, new_predictors
from interlace.refits import responses
from interlace.refits.many import Refits
from interlace.refits.near import known_fit
from interlace.refits.refit import with_response
from interlace_core.engine.layout import layout_of
from interlace_core.engine.parts import subset
from interlace_core.fitting.fit import fit_problem
from interlace_core.messages.errors import DataError
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
    "taken together": ("y ~ x10 + (1 | g)", "poisson", {}),
    "trials taken together": ("y ~ x10 + (1 | g)", "binomial", {"weights": "trials"}),
    "linear, slopes": ("y ~ x + (1 + z | g)", "gaussian", {}),
    "linear, ml": ("y ~ x + (1 | g)", "gaussian", {"method": "ML"}),
    "linear, weights": ("y ~ I(1e6 * x + 3e8) + (1 | g)", "gaussian", {"weights": "w"}),
}


def fitted(name, **more):
    formula, family, options = MODELS[name]
    data = frame(family, n=2000 if "together" in name else 900)
    if "slopes" in name and family == "gaussian":
        data["y"] += 0.8 * data.z * np.sin(np.arange(99.0))[data.g.str[1:].astype(int)]
    if family == "gaussian":
        return interlace.fit(formula, data, **options, **more)
    if "x10" in formula and "together" not in name:  # of which there is no effect in the data
        inner = data.g + data.x10
        moves = dict(
            zip(sorted(set(inner)), np.random.default_rng(1).normal(size=99), strict=False)
        )
        data["y"] = np.random.default_rng(2).poisson(data.y * np.exp(0.6 * inner.map(moves)))
    return interlace.glmer(formula, data, family, **options, **more)


def refits_of(m, standard_errors=False):
    """Return the refits that a fit is known to."""
    training = m.training
    known = known_fit(training.problem, training.approximation, m.fit.psi, m.fit.uncertainty)
    return Refits(training, m.fit.psi, known, standard_errors)


def drawn(m, count):
    return [draw(m, new_predictors(m, rng), rng) for rng in generators(4, count)]


def anew(m, y):
    """Return a refit from the usual start by the model's own components, to a small tolerance."""
    training = m.training
    problem = with_response(training.problem, y)
    return fit_problem(problem, training.approximation, training.optimizer, tol_decrement=1e-12)


@built
@pytest.mark.parametrize("name", MODELS)
def test_estimates_are_those_of_a_fit_of_each(name):
    m, plain = fitted(name), fitted(name, kernels="off")
    responses = drawn(m, 6)
    answers = refits_of(m).together(responses)
    assert sum(found is not None for found in answers) >= 3
    for y, found in zip(responses, answers, strict=True):
        if found is None:
            continue
        whole = anew(plain, y)
        assert whole.verdict.status == found.verdict.status
        errors = np.sqrt(np.diag(m.fit.vcov))
        assert np.max(np.abs(found.psi - whole.psi) / errors) < 1e-5
        assert found.value == pytest.approx(whole.value, abs=1e-8)


@built
@pytest.mark.parametrize("name", MODELS)
def test_an_answer_is_the_same_whatever_was_asked_before(name):
    m = fitted(name)
    responses = drawn(m, 5)
    together = refits_of(m).together(responses)
    one_by_one = [refits_of(m).together([y])[0] for y in reversed(responses)][::-1]
    for one, other in zip(together, one_by_one, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert np.array_equal(one.psi, other.psi)
            assert one.value == other.value


@built
@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("linear")])
def test_standard_errors_are_those_of_a_fit_of_each(name):
    m = fitted(name)
    responses = drawn(m, 4)
    answers = refits_of(m, standard_errors=True).together(responses)
    assert any(found is not None for found in answers)
    for y, found in zip(responses, answers, strict=True):
        if found is not None:
            wanted = np.sqrt(np.diag(anew(m, y).vcov))
            np.testing.assert_allclose(np.sqrt(np.diag(found.uncertainty.given)), wanted, rtol=1e-3)


@built
@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("linear")])
def test_rows_of_weight_0_are_rows_left_out(name):
    """Against a fit of the other rows, whose other groups are all that is left."""
    m = fitted(name)
    problem = m.training.problem
    assert problem.terms
    y, codes = problem.y, problem.terms[0].codes
    usual = np.ones(problem.n) if problem.weights is None else problem.weights
    for level in (0, 3):
        out = codes == level
        (found,) = refits_of(m).together([y], [np.where(out, 0.0, usual)])
        assert found is not None
        rest = fit_problem(
            subset(problem, np.flatnonzero(~out)), m.training.approximation, m.training.optimizer,
            tol_decrement=1e-12,
        )  # fmt: skip
        errors = np.sqrt(np.diag(rest.vcov))
        assert np.max(np.abs(found.psi - rest.psi) / errors) < 1e-5


def test_rows_that_say_the_same_are_taken_together():
    """So that the models above by that name are what they are called."""
    for name in ("taken together", "trials taken together"):
        assert layout_of(fitted(name).training.problem).groups is not None


@built
def test_what_is_on_its_way_to_a_limit_is_not_claimed():
    """Of separated data, the last step is flat as at an optimum, and its curvature is next to 0."""
    m = fitted("one factor")
    refits = refits_of(m, standard_errors=True)
    zeros = np.zeros(m.training.problem.n)
    assert refits.together([zeros]) == [None]
    usual = np.ones(zeros.size)
    assert replace(refits, standard_errors=False).together([zeros], [usual]) == [None]


@built
def test_a_standard_deviation_that_was_passed_through_0_is_told_as_one():
    m = fitted("one factor")
    refits, y = refits_of(m), drawn(m, 1)[0]
    mirrored = replace(refits, psi=np.where(np.arange(m.fit.psi.size) == 0, -m.fit.psi, m.fit.psi))
    (one,), (other,) = refits.together([y]), mirrored.together([y])
    assert one is not None and other is not None
    assert other.psi[0] > 0.0
    np.testing.assert_allclose(other.psi, one.psi, rtol=1e-5)


@built
def test_a_response_in_another_form_is_left_to_who_says_so():
    m = fitted("one factor")
    y = drawn(m, 1)[0]
    wrong = np.where(np.arange(y.size) == 5, np.nan, y)
    found = refits_of(m).together([wrong, y, y[1:]])
    assert [each is None for each in found] == [True, False, True]
    with pytest.raises(DataError, match="finite"):
        refits_of(m).alone(wrong)


@built
def test_other_components_of_a_model_have_refits_of_their_own():
    """By REML and by ML: the objective of one is not that of the other."""
    m = fitted("linear, weights")
    likelihood = m.refit_ml()
    y = drawn(m, 1)[0]
    for each in (m, likelihood, m):
        (found,) = refits_of(each).together([y])
        wanted = anew(each, y)
        assert found.value == pytest.approx(wanted.value, abs=1e-8)


@built
def test_the_bootstrap_makes_one_objective(monkeypatch):
    m, made = fitted("one factor"), []
    original = responses.possible_objective
    monkeypatch.setattr(responses, "possible_objective", lambda *a: made.append(a) or original(*a))
    monkeypatch.setattr("interlace.refits.many.refit_problem", None)  # is not called
    boot = m.bootstrap(20, seed=1)
    assert len(made) == 1
    assert not boot.failures
    assert boot.values.notna().all(axis=None)


def with_little_variance():
    """Return counts of which two groups are a little higher than the other four."""
    data = frame("poisson", n=120, groups=6)
    data["y"] = np.random.default_rng(2).poisson(1.5, len(data)).astype(float)
    data.loc[data.g.isin(["g01", "g02"]), "y"] += 1
    return data


@built
@pytest.mark.parametrize(
    ("family", "formula"),
    [
        ("poisson", "y ~ x + (1 | g)"),
        ("poisson", "y ~ x + (1 | g) + (1 | x10)"),
        ("gaussian", "y ~ x + (1 | g)"),
    ],
)
def test_variances_at_their_bound_are_those_of_a_fit_of_each(family, formula):
    data = with_little_variance()
    data["y"] += data.x10 == "2"
    if family == "gaussian":
        m = interlace.fit(formula, data.assign(y=data.y - 0.5 * data.g.isin(["g01", "g02"])))
    else:
        m = interlace.glmer(formula, data, family)
    responses, told = drawn(m, 40), 0
    for y, found in zip(responses, refits_of(m).together(responses), strict=True):
        if found is None:
            continue
        whole = anew(m, y)
        if whole.value < found.value - 1e-3:  # of two optima, steps from the known fit reach one
            whole = refits_of(m).alone(y)
        assert found.verdict.status == whole.verdict.status
        assert found.verdict.boundary == whole.verdict.boundary
        assert found.value == pytest.approx(whole.value, abs=1e-7)
        if whole.verdict.status == "boundary":
            told += 1
            thetas = slice(0, m.training.problem.n_theta)
            assert np.array_equal(found.psi[thetas] == 0.0, whole.psi[thetas] == 0.0)
            errors = np.sqrt(np.diag(m.fit.vcov))
            assert np.max(np.abs(found.psi - whole.psi) / errors) < 1e-4
    assert told >= 3


@built
def test_bootstraps_with_variances_at_their_bound_are_those_without_compiled_code():
    data = with_little_variance()
    tables = [
        interlace.glmer("y ~ x + (1 | g)", data, "poisson", kernels=each).bootstrap(30, seed=3)
        for each in ("auto", "off")
    ]
    at_zero = [(each.values.filter(like="sd").to_numpy() < 1e-6).sum() for each in tables]
    assert at_zero[0] == at_zero[1] > 0
    np.testing.assert_allclose(*(each.values.to_numpy() for each in tables), atol=5e-3)


@built
def test_a_variance_at_0_that_a_search_from_away_moves_is_left_to_a_whole_fit(monkeypatch):
    """Of a fit that is told to be at 0 where it is not, the second search does not come back."""
    m = fitted("one factor")
    refits, y = refits_of(m), drawn(m, 1)[0]
    usual, asked = responses.Bounds.at, []

    def at_first(bounds, psi):
        asked.append(psi)
        return np.ones(1, dtype=bool) if len(asked) < 3 else usual(bounds, psi)

    monkeypatch.setattr(responses.Bounds, "at", at_first)
    monkeypatch.setattr(responses.Bounds, "any", lambda bounds, psi: bool(at_first(bounds, psi)[0]))
    assert refits.together([y]) == [None]
    assert len(asked) == 2


@built
@pytest.mark.parametrize("name", ["one factor", "linear, ml"])
def test_from_a_standard_deviation_of_0_there_is_a_search_from_elsewhere(name):
    """Its slope is 0 there whatever the data say, and a search that begins there stays."""
    m = fitted(name)
    refits, y = refits_of(m), drawn(m, 1)[0]
    at_zero = replace(refits, psi=np.where(np.arange(m.fit.psi.size) == 0, 0.0, m.fit.psi))
    assert at_zero.together([y]) == [None]
    assert refits.together([y])[0].psi[0] > 0.1


@built
@pytest.mark.parametrize("method", ["wald", "lrt"])
def test_power_is_that_without_compiled_code(method):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(15), 6), "x": rng.normal(size=90)})
    call = {"fixed": {"x": 0.25}, "sd": {"g": 0.4}, "test": "x", "n": 25, "seed": 3}
    found = []
    for each in ("auto", "off"):
        with interlace.options(kernels=each):
            found.append(interlace.power("y ~ x + (1 | g)", data, "poisson", method=method, **call))
    one, other = found
    assert [each.draw for each in one.failures] == [each.draw for each in other.failures]
    np.testing.assert_allclose(one.pvalues, other.pvalues, rtol=2e-3, atol=1e-6)


@built
def test_influence_by_refits_is_that_without_compiled_code(monkeypatch):
    data = frame("poisson", n=300, groups=15)
    fits = [interlace.glmer("y ~ x + (1 | g)", data, "poisson", kernels=k) for k in ("auto", "off")]
    other = fits[1].influence(exact=5)
    monkeypatch.setattr("interlace.inference.influence.refit_problem", None)  # is not called
    one = fits[0].influence(exact=5)
    errors = np.sqrt(np.diag(fits[0].fit.vcov))
    change = (one.exact_change.to_numpy() - other.exact_change.to_numpy()) / errors
    assert np.max(np.abs(change)) < 5e-4
    assert not one.failures and not other.failures


@built
def test_threads_do_not_meet_in_the_objective():
    m = fitted("slopes")
    refits, responses = refits_of(m), drawn(m, 12)
    alone = refits.together(responses)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda y: refits.together([y])[0], responses))
    for one, other in zip(alone, together, strict=True):
        if other is not None:  # None where another thread was in it: a fit of its own follows
            assert np.array_equal(other.psi, one.psi)


@built
def test_a_result_with_its_objective_may_be_pickled():
    m = fitted("one factor")
    before = m.bootstrap(5, seed=1)
    again = pickle.loads(pickle.dumps(m)).bootstrap(5, seed=1)
    np.testing.assert_allclose(before.values, again.values, rtol=1e-7)
