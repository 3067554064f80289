"""A problem in parts is fitted as the whole is: by sums that parts answer, whatever they forget.

Whole and parts start fresh: the conditional mode is found to a tolerance, which what was evaluated
before moves within. Where values and slopes are compared the tolerance is next to nothing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from interlace.data.request import ModelRequest
from interlace.fits import options_in_force, prepared
from interlace_core.contract import (
    Approximation,
    NotAvailableError,
    PartsHere,
    Problem,
    UnsupportedModelError,
)
from interlace_core.engine import ModeSettings, layout_of
from interlace_core.engine.parts import subset
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.objective import possible_objective
from interlace_core.fitting.outline import outline
from interlace_core.fitting.standard import standard_of

PARTS = 3


class Forgetful(PartsHere):
    """Parts that have lost all that they knew whenever they are asked."""

    def ask(self, question, *given):
        for part in self.parts:
            part.cache.clear()
        return super().ask(question, *given)


def table():
    """Return rows of 24 groups, with three finer ones in each."""
    rng = np.random.default_rng(1)
    n, groups = 480, 24
    d = pd.DataFrame({"g": rng.integers(0, groups, n), "x": rng.normal(size=n)})
    d["h"] = 3 * d["g"] + rng.integers(0, 3, n)
    d["year"] = 2000.0 + rng.integers(0, 20, n)
    d["f"] = rng.choice(list("abc"), n)
    d["w"], d["o"] = rng.uniform(0.5, 2.0, n), 0.1 * rng.normal(size=n)
    effects = [0.6 * rng.normal(size=groups), 0.3 * rng.normal(size=groups)]
    eta = 0.3 * d["x"] + effects[0][d["g"]] + effects[1][d["g"]] * d["x"]
    eta = eta + 0.3 * rng.normal(size=3 * groups)[d["h"]]
    d["k"] = rng.poisson(np.exp(0.5 + eta))
    d["z"] = np.where(rng.uniform(size=n) < 0.25, 0, d["k"])
    d["m"] = rng.integers(1, 8, n)
    d["s"] = rng.binomial(d["m"], expit(eta))
    d["r"] = eta + rng.normal(size=n) + 5.0
    d["p"] = np.exp(0.2 * eta + 0.1 * rng.normal(size=n))
    d["c"] = np.digitize(eta + rng.logistic(size=n), [-1.0, 0.0, 1.0])
    return d


MODELS = {
    "binomial, trials by column": ("s / m ~ x + f + (1 | g)", "binomial", {"weights": "m"}),
    "slopes": ("k ~ x + (1 + x | g)", "poisson", {}),
    "nested, offset by column": ("k ~ x + (1 | g / h)", "poisson", {"offset": "o"}),
    "far from zero": ("k ~ year + I(year**2) + (1 + year | g)", "poisson", {}),
    "no intercept in Z": ("k ~ x + (0 + f | g)", "poisson", {}),
    "diagonal": ("k ~ x + diag(1 + year | g)", "poisson", {}),
    "zero part with effects": ("z ~ x + (1 | g)", "zip", {"parameters": {"zero": "~ 1 + (1 | g)"}}),
    "dispersion": ("r ~ x + (1 | g)", "gaussian", {"parameters": {"dispersion": "~ x + (1 | g)"}}),
    "dispersed counts": ("k ~ x + (1 | g)", "negativebinomial", {}),
    "gamma": ("p ~ x + (1 | g)", "gamma", {}),
    "normal, weights by column": ("r ~ x + (1 | g)", "gaussian", {"weights": "w"}),
    "quadrature": ("k ~ x + (1 | g)", "poisson", {"nAGQ": 9}),
    "quadrature of slopes": ("k ~ x + (1 + x | g)", "poisson", {"approximation": "agq-vector"}),
    "joint mode": ("k ~ x + f + (1 + x | g)", "poisson", {"nAGQ": 0}),
    "joint mode far from zero": ("s / m ~ year + (1 | g)", "binomial", {"weights": "m", "nAGQ": 0}),
    "ordinal": ("c ~ x + year + (1 | g)", "cumulative", {"who": "clmm"}),
    "REML": ("r ~ x + f + (1 + x | g)", "gaussian", {"approximation": "reml"}),
    "REML far from zero": ("r ~ year + (1 + year | g)", "gaussian", {"approximation": "reml"}),
    "ML, weights": ("r ~ x + (1 | g / h)", "gaussian", {"approximation": "ml", "weights": "w"}),
    "restricted Laplace": ("k ~ x + f + (1 + x | g)", "poisson", {"approximation": "laplace-reml"}),
    "restricted, two predictors": (
        "r ~ year + (1 | g / h)",
        "gaussian",
        {"approximation": "laplace-reml", "parameters": {"dispersion": "~ x"}},
    ),
    "no random effects": ("k ~ x + f", "poisson", {}),
}


def ready_for(name):
    """Return a model of the table with its components."""
    formula, family, asked = MODELS[name]
    choices = {key: asked[key] for key in ("nAGQ", "approximation") if key in asked}
    more = {key: each for key, each in asked.items() if key not in choices}
    request = ModelRequest(formula, table(), family, **more)
    return prepared(request, options_in_force(kernels="off", **choices))


def in_parts(problem, engine=PartsHere, order=range(PARTS)):
    """Return the problem with its groups dealt out to parts."""
    part = np.asarray(table()["g"] % PARTS)
    parts = [subset(problem, np.flatnonzero(part == k)) for k in order]
    return outline(parts[0], engine(parts))


def evaluated(approximation, problem, psi):
    """Return value and gradient in the user's units, of a problem seen for the first time."""
    standard = standard_of(problem)
    found = possible_objective(approximation, standard.problem)(standard.psi(psi))
    return found.value, standard.given_gradient(found.gradient), found.profiled


def beside(problem, psi):
    """Return a psi a little beside, in the units of a fit: where the likelihood has a value."""
    standard = standard_of(replace(problem))
    return standard.given_psi(standard.psi(psi) + 0.03)


def exactly(approximation):
    """Return an approximation that finds its mode to rounding, if it looks for one."""
    if not hasattr(approximation, "mode"):
        return approximation
    return replace(approximation, mode=ModeSettings(tol_sq_decrement=1e-25))


@pytest.fixture(scope="module", params=MODELS)
def whole(request):
    """A model's components, and its fit by all rows at once."""
    ready = ready_for(request.param)
    return ready, fit_problem(ready.model.problem, ready.approximation, ready.optimizer)


@pytest.mark.parametrize("engine", [PartsHere, Forgetful])
def test_value_and_gradient_over_parts_are_those_of_all_rows(whole, engine):
    ready, fit = whole
    problem, approximation = ready.model.problem, exactly(ready.approximation)
    psi = beside(problem, fit.psi)
    value, gradient, profiled = evaluated(approximation, replace(problem), psi)
    assert np.isfinite(value)
    found = evaluated(approximation, in_parts(problem, engine), psi)
    assert found[0] == pytest.approx(value, rel=1e-10)
    scale = np.max(np.abs(gradient))
    assert np.max(np.abs(found[1] - gradient)) <= 1e-10 * scale
    if profiled is not None:
        np.testing.assert_allclose(found[2].values, profiled.values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[2].covariance, profiled.covariance, rtol=1e-9)


@pytest.mark.parametrize("engine", [PartsHere, Forgetful])
def test_a_fit_in_parts_ends_where_that_of_all_rows_does(whole, engine):
    ready, fit = whole
    problem = in_parts(ready.model.problem, engine)
    found = fit_problem(problem, ready.approximation, ready.optimizer)
    assert found.verdict.status == fit.verdict.status
    assert found.value == pytest.approx(fit.value, rel=1e-11)
    se = fit.standard_errors()
    known = np.isfinite(se)
    assert np.all(np.abs(found.psi - fit.psi)[known] <= 1e-6 * se[known])
    # by differences of gradients, whose noise is that of the mode
    np.testing.assert_allclose(found.standard_errors()[known], se[known], rtol=1e-3)


def test_the_order_of_parts_does_not_matter():
    ready = ready_for("slopes")
    fits = [
        fit_problem(
            in_parts(ready.model.problem, order=order), ready.approximation, ready.optimizer
        )
        for order in ((0, 1, 2), (2, 0, 1))
    ]
    assert fits[0].value == pytest.approx(fits[1].value, rel=1e-14)
    np.testing.assert_allclose(fits[0].psi, fits[1].psi, atol=1e-8)


def test_standard_columns_over_parts_are_those_of_all_rows():
    problem = ready_for("far from zero").model.problem
    one, other = standard_of(problem), standard_of(in_parts(problem))
    np.testing.assert_allclose(one.forth, other.forth, rtol=1e-10)
    for term, found in zip(one.problem.terms, other.problem.terms, strict=True):
        np.testing.assert_allclose(term.sizes, found.sizes, rtol=1e-12)
        np.testing.assert_allclose(term.reach, found.reach, rtol=1e-12)


def test_a_mode_that_one_part_does_not_find_fails_the_evaluation():
    ready = ready_for("slopes")
    problem = standard_of(in_parts(ready.model.problem)).problem
    psi = np.full(problem.n_psi, 800.0)
    assert ready.approximation.over_parts(problem)(psi).status is not None
    found = possible_objective(ready.approximation, problem)(psi)
    assert not (np.isfinite(found.value) and found.status.value == "ok")


def test_what_takes_all_rows_refuses_in_words():
    class Whole(Approximation):
        name = "whole"

        def check(self, problem: Problem) -> None:
            pass

        def objective(self, problem):
            raise AssertionError

    problem = in_parts(ready_for("slopes").model.problem)
    with pytest.raises(UnsupportedModelError, match="'whole' takes all rows at once"):
        Whole().require(problem)
    with pytest.raises(NotAvailableError, match="lie in parts"):
        layout_of(problem)
    with pytest.raises(NotAvailableError, match="names of the levels"):
        problem.terms[0].levels[0]
