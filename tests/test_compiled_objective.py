"""Compiled objectives against those of NumPy, and which models take which way."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.request import ModelRequest
from interlace.fits import options_in_force, prepared
from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.laplace import Laplace
from interlace_core.contract import Status
from interlace_core.engine import ModeSettings, layout_of
from interlace_core.engine.compiled import CompiledRows, WithSecondOpinion, kernel_words
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.mode import find_mode
from interlace_core.fitting.precondition import marginal_information
from interlace_core.messages.errors import OptionError
from interlace_core.registry.registry import default_registry

(REGISTERED,) = default_registry().classes("kernel")
BUILT = bool(REGISTERED.cls().build)
built = pytest.mark.skipif(not BUILT, reason="nothing was built here")
EXACT = ModeSettings(tol_sq_decrement=1e-23)
"""The mode to rounding: at the usual tolerance gradients differ by its error, 1e-8."""

TOL_VALUE, TOL_GRADIENT = 1e-10, 1e-9


@dataclass(frozen=True)
class Case:
    """A model by formula; the response is drawn for its family."""

    family: str
    formula: str = "y ~ x + (1 | g)"
    options: tuple[tuple[str, object], ...] = ()
    family_options: tuple[tuple[str, object], ...] = ()


def frame(family, n=400, groups=23, seed=3):
    """Return data with unequal groups, one of them a single row, in shuffled order."""
    rng = np.random.default_rng(seed)
    g = np.concatenate([[0], 1 + rng.integers(0, groups - 1, n - 1)])
    data = pd.DataFrame(
        {
            "g": [f"g{i:02d}" for i in g],
            "h": rng.integers(0, 7, n).astype(str),
            "x10": rng.integers(0, 3, n).astype(str),
            "row": [f"r{i}" for i in range(n)],
            "area": [f"a{i % 4}" for i in g],
            "x": rng.normal(size=n),
            "z": rng.uniform(-1.0, 1.0, n),
            "w": rng.uniform(0.5, 2.0, n),
            "e": rng.normal(size=n) * 0.3,
            "trials": rng.integers(1, 9, n).astype(float),
        }
    )
    eta = 0.3 + 0.5 * data.x + rng.normal(size=groups)[g] * 0.7
    return data.assign(y=drawn(family, eta.to_numpy(), data.trials.to_numpy(), rng))


def drawn(family, eta, trials, rng):
    if family == "binomial":
        return rng.binomial(trials.astype(int), 1 / (1 + np.exp(-eta))) / trials
    if family == "beta":
        return np.clip(rng.beta(2 + eta**2, 3.0), 1e-4, 1 - 1e-4)
    if family == "gaussian":
        return eta + rng.normal(size=eta.size)
    if family in ("gamma", "inversegaussian"):
        return np.exp(eta) * rng.gamma(2.0, 0.5, eta.size)
    if family == "cumulative":
        return np.clip(np.round(eta + rng.logistic(size=eta.size)), -1, 2) + 1
    counts = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, eta.size)).astype(float)
    return np.maximum(counts, 1.0) if family.startswith("truncated") else counts


def problem_of(case, **data):
    table = frame(case.family, **data)
    options = dict(case.options)
    if case.family == "binomial":
        options = {"weights": "trials", **options}
    family = default_registry().family(case.family)(**dict(case.family_options))
    if case.family == "cumulative":
        table["y"] = pd.Categorical(table.y, ordered=True)
    request = ModelRequest(formula=case.formula, data=table, family=family, **options)
    return prepared(request, options_in_force()).model.problem


def points(problem, count=3, seed=5):
    """Return a few psi: about the family's start, variances of about 0.5."""
    rng = np.random.default_rng(seed)
    intercepts = problem.family.start(problem.y, problem.weights)
    for _ in range(count):
        psi = 0.2 * rng.normal(size=problem.n_psi)
        for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
            psi[place] += 0.6 * np.asarray(term.covariance.start())
        for predictor, place, start in zip(
            problem.predictors, problem.beta_slices(), intercepts, strict=True
        ):
            if place.stop > place.start and np.all(predictor.X[:, 0] == 1.0):
                psi[place.start] = start
        yield psi


SEVERAL = [
    Case("binomial", "y ~ x + (1 | g) + (1 | h)"),
    Case("poisson", "y ~ x + (1 | g) + (1 | h) + (1 | x10)", (("weights", "w"), ("offset", "e"))),
    Case("poisson", "y ~ x + (1 + x | g) + (1 | h)"),
    Case("poisson", "y ~ x + (1 | g) + (0 + x + z | h)"),
    Case("poisson", "y ~ x + (1 + x | g) + (1 + z | h) + (0 + e | h) + (1 | x10)"),
    Case("poisson", "y ~ x + (1 | row) + (1 | g) + (1 | h)"),
    Case("poisson", "y ~ x + (1 | row) + (1 + x | g) + (1 + x + z | h)"),
    Case("poisson", "y ~ x + (1 + x | g/h)"),
    Case("binomial", "y ~ x + (0 + x | g/h) + (1 | g/h)"),
    Case("poisson", "y ~ x + (1 + x | area/g/h)", (("weights", "w"),)),
    Case("negativebinomial", "y ~ x + (1 | g) + (1 | h)", (("parameters", {"theta": "~ z"}),)),
    Case("negativebinomial", "y ~ x + (1 + x | g/h)", family_options=(("theta", 1.5),)),
    Case("gamma", "y ~ x + (1 + x | area/g)"),
    Case("cumulative", "y ~ x + (1 | g) + (1 | h)"),
    Case("gaussian", "y ~ x", (("parameters", {"sigma": "~ z + (1 | g) + (1 | h)"}),)),
]
"""Of several factors, for c/several.c."""

SERVED = [
    Case("binomial"),
    Case("binomial", family_options=(("link", "probit"),)),
    Case("binomial", family_options=(("link", "cloglog"),)),
    Case("binomial", "y ~ x + (1 + x | g)"),
    Case("binomial", "y ~ x + (0 + x | g)"),
    Case("binomial", "y ~ x + (1 | g) + (0 + x | g)"),
    Case("poisson"),
    Case("poisson", "y ~ x + (1 + x + z | g)"),
    Case("poisson", "y ~ x + (0 + x + z | g)"),
    Case("poisson", "y ~ x + (1 + x + z + e | g)"),
    Case("poisson", "y ~ x + (0 + w + x + z + e | g)"),
    Case("poisson", options=(("weights", "w"), ("offset", "e"))),
    Case("poisson", "y ~ x + z + e + w + I(x**2) + I(z**2) + (1 | g)"),
    Case("poisson", "y ~ 1 + (1 | g)"),
    Case("negativebinomial"),
    Case("negativebinomial", "y ~ x + (1 + x | g)"),
    Case("negativebinomial", options=(("parameters", {"theta": "~ z"}),)),
    Case("negativebinomial", family_options=(("theta", 1.5),)),
    Case("gamma"),
    Case("gamma", options=(("weights", "w"), ("parameters", {"shape": "~ z"}))),
    Case("gaussian", "y ~ x + (1 + x | g)"),
    Case("gaussian", "y ~ x", (("parameters", {"sigma": "~ z + (1 | g)"}),)),
    Case("cumulative"),
    Case("cumulative", "y ~ x + (1 + x | g)", family_options=(("link", "probit"),)),
    Case("cumulative", family_options=(("threshold", "equidistant"),)),
    Case("poisson", "y ~ x + (1 | g) + (1 | row)"),
    Case("poisson", "y ~ x + (1 | g/h/x10)", (("weights", "w"), ("offset", "e"))),
    Case("binomial", "y ~ x + (1 | g/h)"),
    Case("negativebinomial", "y ~ x + (1 | g/h)", (("parameters", {"theta": "~ z"}),)),
    Case("gamma", "y ~ x + (1 | area/g)"),
    Case("cumulative", "y ~ x + (1 | g/h)"),
    Case("gaussian", "y ~ x", (("parameters", {"sigma": "~ z + (1 | g/h)"}),)),
    *SEVERAL,
]


@built
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_the_compiled_objective_is_that_of_numpy(case):
    problem = problem_of(case)
    compiled = Laplace(EXACT).objective(problem)
    plain = Laplace(EXACT).objective(replace(problem, compiled=None))
    assert isinstance(compiled, WithSecondOpinion)
    assert not isinstance(plain, WithSecondOpinion)
    for psi in points(problem):
        got, expected = compiled(psi), plain(psi)
        assert got.status is expected.status is Status.OK
        assert got.value == pytest.approx(expected.value, rel=TOL_VALUE)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(
            got.gradient, expected.gradient, rtol=0, atol=TOL_GRADIENT * size
        )
        np.testing.assert_allclose(got.mode, expected.mode, atol=1e-9)
    assert compiled._second is None  # nothing was asked of the other one
    assert kernel_words(problem).endswith(": objective")


def information_of_numpy(problem, psi):
    conditional = Conditional(layout_of(problem), psi)
    mode = find_mode(conditional, np.zeros(conditional.layout.structure.q), EXACT)
    factors = range(len(conditional.layout.structure.factors))
    effects = [np.einsum("aal->al", mode.information[f, f]) for f in factors]
    return marginal_information(conditional, mode), effects


def holds_information(problem):
    """Require the information of NumPy, and that what follows does not depend on it."""
    compiled, other = (Laplace(EXACT).objective(problem) for _ in range(2))
    for psi in points(problem):
        found = compiled.information(psi)
        coefficients, effects = information_of_numpy(problem, psi)
        size = np.max(np.abs(coefficients))
        np.testing.assert_allclose(found.coefficients, coefficients, rtol=0, atol=1e-9 * size)
        for got, expected in zip(found.effects, effects, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9 * np.max(expected))
        moved = psi + 0.01
        got, expected = compiled(moved), other(moved)
        assert got.value == pytest.approx(expected.value, rel=TOL_VALUE)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(got.gradient, expected.gradient, atol=TOL_GRADIENT * size)


@built
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_the_information_at_the_mode_is_that_of_numpy(case):
    holds_information(problem_of(case))


@built
@pytest.mark.parametrize("n, groups", [(5000, 3), (5000, 1500)])
def test_blocks_of_rows_are_those_of_numpy(n, groups):
    """Groups larger than a block, and more groups than a block holds."""
    require_same(problem_of(Case("poisson", "y ~ x + (1 + x | g)"), n=n, groups=groups))


@built
def test_collapsed_rows_are_served():
    table = frame("poisson", n=6000, groups=40)
    table["x"] = np.round(table.x)
    request = ModelRequest(formula="y ~ x + (1 | g)", data=table, family="poisson")
    problem = prepared(request, options_in_force()).model.problem
    assert layout_of(problem).groups is not None
    require_same(problem)


def require_same(problem):
    psi = next(points(problem))
    got, expected = (
        Laplace(EXACT).objective(each)(psi) for each in (problem, replace(problem, compiled=None))
    )
    assert got.value == pytest.approx(expected.value, rel=TOL_VALUE)
    size = np.max(np.abs(expected.gradient))
    np.testing.assert_allclose(got.gradient, expected.gradient, atol=TOL_GRADIENT * size)


QUADRATURE = [
    (AdaptiveGaussHermite(1, EXACT), Case("poisson")),
    (AdaptiveGaussHermite(7, EXACT), Case("binomial")),
    (AdaptiveGaussHermite(25, EXACT), Case("negativebinomial")),
    (AdaptiveGaussHermite(9, EXACT), Case("poisson", "y ~ x + (0 + x | g)")),
    (
        AdaptiveGaussHermite(9, EXACT),
        Case("gamma", options=(("weights", "w"), ("parameters", {"shape": "~ z"}))),
    ),
    (AdaptiveGaussHermite(9, EXACT), Case("cumulative", family_options=(("link", "probit"),))),
    (VectorGaussHermite(5, EXACT), Case("binomial", "y ~ x + (1 + x | g)")),
    (VectorGaussHermite(3, EXACT), Case("poisson", "y ~ x + (1 + x + z | g)")),
    (
        AdaptiveGaussHermite(9, EXACT),
        Case("gaussian", "y ~ x", (("parameters", {"sigma": "~ z + (1 | g)"}),)),
    ),
]


@built
@pytest.mark.parametrize("approximation, case", QUADRATURE, ids=str)
def test_the_compiled_integral_is_that_of_numpy(approximation, case):
    problem = problem_of(case)
    compiled = approximation.objective(problem)
    plain = approximation.objective(replace(problem, compiled=None))
    assert isinstance(compiled, WithSecondOpinion)
    for psi in points(problem):
        got, expected = compiled(psi), plain(psi)
        assert got.status is expected.status is Status.OK
        assert got.value == pytest.approx(expected.value, rel=TOL_VALUE)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(got.gradient, expected.gradient, atol=TOL_GRADIENT * size)
    assert compiled._second is None


NOT_SERVED = {
    "five effects": Case("poisson", "y ~ x + (1 + x + z + e + w | g)"),
    "effects on two predictors": Case(
        "gaussian", "y ~ x + (1 | g)", (("parameters", {"sigma": "~ (1 | g)"}),)
    ),
    "a mode that is not unique": Case("beta"),
    "a link without kernel": Case("binomial", family_options=(("link", "cauchit"),)),
    "a family without kernel": Case("inversegaussian"),
}


@built
@pytest.mark.parametrize("case", NOT_SERVED.values(), ids=list(NOT_SERVED))
def test_what_is_not_served_takes_the_other_way(case):
    assert not isinstance(Laplace().objective(problem_of(case)), WithSecondOpinion)


@built
def test_a_level_of_too_many_rows_takes_another_way(monkeypatch):
    monkeypatch.setattr("interlace_kernels.objectives.MOST_NUMBERS", 5)
    one, nested = (
        Laplace().objective(problem_of(Case("poisson", formula)))
        for formula in ("y ~ x + (1 | g)", "y ~ x + (1 | g/h)")
    )
    assert not isinstance(one, WithSecondOpinion)
    # rows of several factors go by in blocks whatever their levels
    assert type(nested._compiled).__name__ == "SeveralObjective"


def crossed_problem(formula, first, second, n=3000, moved=1.0):
    """Return counts in crossed groups; of a share `moved` of the rows the second is drawn anew."""
    rng = np.random.default_rng(8)
    a = np.arange(n) % first
    own = rng.integers(0, second, first)[a]
    b = np.where(rng.random(n) < moved, rng.integers(0, second, n), own)
    table = pd.DataFrame({"a": a, "b": b, "c": rng.integers(0, 5, n), "x": rng.normal(size=n)})
    eta = 0.3 + 0.4 * table.x + rng.normal(0, 0.5, first)[a] + rng.normal(0, 0.5, second)[b]
    table["y"] = rng.poisson(np.exp(eta)).astype(float)
    request = ModelRequest(formula=formula, data=table, family="poisson")
    return prepared(request, options_in_force()).model.problem


COMPLEMENTS = {
    "own, few partners": ("y ~ x + (1 | a) + (1 | b)", 1000, 60, 1.0),
    "own, all partners": ("y ~ x + (1 | a) + (1 | b)", 70, 30, 1.0),
    "dense": ("y ~ x + (1 | a) + (1 | b)", 1000, 90, 1.0),
    "dense, many partners": ("y ~ x + (1 + x | a) + (1 | b)", 100, 80, 1.0),
    "dense and costly": ("y ~ x + (1 | a) + (1 | b) + (1 | c)", 900, 300, 1.0),
    "dense, slopes": ("y ~ x + (1 + x | a) + (1 + x | b)", 500, 90, 1.0),
    "sparse": ("y ~ x + (1 | a) + (1 | b)", 1200, 600, 0.05),
    "sparse, slopes": ("y ~ x + (1 + x | a) + (1 + x | b)", 800, 400, 0.05),
}


@built
@pytest.mark.parametrize("model", COMPLEMENTS.values(), ids=list(COMPLEMENTS))
def test_complements_of_all_kinds_are_those_of_numpy(model):
    *arguments, moved = model
    problem = crossed_problem(*arguments, moved=moved)
    compiled = Laplace(EXACT).objective(problem)
    plain = Laplace(EXACT).objective(replace(problem, compiled=None))
    assert isinstance(compiled, WithSecondOpinion)
    for psi in points(problem):  # the second search has a factorisation from the first
        got, expected = compiled(psi), plain(psi)
        assert got.value == pytest.approx(expected.value, rel=TOL_VALUE)
        size = np.max(np.abs(expected.gradient))
        np.testing.assert_allclose(got.gradient, expected.gradient, atol=TOL_GRADIENT * size)
    assert compiled._second is None


@built
@pytest.mark.parametrize("model", COMPLEMENTS.values(), ids=list(COMPLEMENTS))
def test_information_by_complements_of_all_kinds_is_that_of_numpy(model):
    *arguments, moved = model
    holds_information(crossed_problem(*arguments, moved=moved))


def test_the_complements_above_are_of_these_kinds():
    for name, (*arguments, moved) in COMPLEMENTS.items():
        layout = layout_of(crossed_problem(*arguments, moved=moved))
        assert ("sparse" in layout.plan.describe(layout.structure)) == ("sparse" in name)
        if "dense" in name:
            assert (layout.plan.bargain > 0) == (name in ("dense and costly", "dense, slopes"))


@built
def test_what_a_complement_raises_within_c_is_raised(monkeypatch):
    problem = crossed_problem("y ~ x + (1 | a) + (1 | b)", 1000, 90)
    compiled = Laplace(EXACT).objective(problem)

    def interrupted(self, entries):
        raise KeyboardInterrupt

    plan = layout_of(replace(problem, compiled=None)).plan
    monkeypatch.setattr(type(plan.crossed.complement), "factorise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiled(next(points(problem)))


@built
def test_where_the_complement_is_not_positive_definite_numpy_has_the_last_word(monkeypatch):
    problem = crossed_problem("y ~ x + (1 | a) + (1 | b)", 1000, 90)
    psi = next(points(problem))
    for far in (np.nan, np.inf, 1e3):
        bad = psi.copy()
        bad[-2] = far
        got = Laplace().objective(problem)(bad)
        expected = Laplace().objective(replace(problem, compiled=None))(bad)
        assert got.status is expected.status
        assert got.value == pytest.approx(expected.value, rel=1e-8, nan_ok=True)


@built
def test_weights_may_be_a_view():
    problem = problem_of(Case("poisson", options=(("weights", "w"),)))
    spread = np.repeat(problem.weights, 2)[::2]
    assert not spread.flags.c_contiguous
    require_same(replace(problem, weights=spread))


@built
def test_correlated_levels_take_the_other_way():
    table = frame("poisson")
    names = sorted(set(table.g))
    known = pd.DataFrame(np.eye(len(names)) + 0.1, index=names, columns=names)
    request = ModelRequest("y ~ x + (1 | g)", table, "poisson", known={"g": known})
    problem = prepared(request, options_in_force()).model.problem
    assert not isinstance(Laplace().objective(problem), WithSecondOpinion)


@pytest.mark.parametrize("off", [False, "off"])
def test_the_switch_turns_everything_off(off):
    m = interlace.glmer("y ~ x + (1 | g)", frame("poisson"), "poisson", kernels=off)
    assert m.settings["kernel"] == "none"
    assert m.training.problem.compiled is None


def test_what_was_used_is_said():
    m = interlace.glmer("y ~ x + (1 | g)", frame("poisson"), "poisson")
    crossed = interlace.glmer("y ~ x + (1 | g) + (1 | h)", frame("poisson"), "poisson")
    if BUILT:
        assert m.settings["kernel"].startswith("interlace-kernels, ")
        assert m.settings["kernel"].endswith(": objective and search")
        assert crossed.settings["kernel"].endswith(": objective and search")
    else:
        assert m.settings["kernel"] == crossed.settings["kernel"] == "none"


def test_a_linear_model_of_many_effects_says_that_none_was_used():
    m = interlace.fit("y ~ x + (1 | g) + (0 + x + z + w + e | g)", frame("gaussian"))
    assert m.settings["kernel"] == "none"
    # nothing is made only to say so
    assert CompiledRows not in layout_of(m.training.problem).problem.cache


def test_correlated_rows_are_left_to_numpy():
    for weights in (None, "w"):
        m, plain = (
            interlace.fit(
                "y ~ x + (1 | g)", frame("gaussian"), correlation="ar1(1 | g)", kernels=kernels,
                weights=weights,
            )
            for kernels in ("auto", "off")
        )  # fmt: skip
        assert m.settings["kernel"] == "none"
        assert m.fit.path == plain.fit.path


def test_kernels_can_be_required(monkeypatch):
    arguments = ("y ~ x + (1 | g)", frame("poisson"), "poisson")
    if BUILT:
        assert interlace.glmer(*arguments, kernels="required").settings["kernel"] != "none"
    monkeypatch.setattr("interlace_kernels.kernels.library", lambda: None)
    with pytest.raises(OptionError, match="kernels='required'.*none are built"):
        interlace.glmer(*arguments, kernels="required")
    assert interlace.glmer(*arguments).settings["kernel"] == "none"


@built
@pytest.mark.parametrize("far", [np.nan, np.inf, 1e3, -1e5])
def test_where_the_mode_is_not_found_numpy_has_the_last_word(far):
    problem = problem_of(Case("poisson"))
    compiled = Laplace().objective(problem)
    plain = Laplace().objective(replace(problem, compiled=None))
    psi = next(points(problem))
    before = compiled(psi)
    bad = psi.copy()
    bad[-1] = far
    got, expected = compiled(bad), plain(bad)
    assert got.status is expected.status
    assert got.value == pytest.approx(expected.value, rel=1e-8, nan_ok=True)
    again = compiled(psi)
    assert again.status is Status.OK
    assert again.value == pytest.approx(before.value, rel=1e-13)


LEVELS = [case for case in SERVED[:25] if case not in SEVERAL]
"""Of one factor, whose modes are continued by their slopes."""


@built
@pytest.mark.parametrize("nodes", [1, 5])
@pytest.mark.parametrize("case", LEVELS, ids=str)
def test_the_next_mode_is_looked_for_where_the_last_one_leads(case, nodes):
    """One Newton step tells that the mode is there, whatever direction psi moves in."""
    problem = problem_of(case)
    c = sum(len(term.names) for term in problem.terms)
    if nodes > 1 and c > 3:
        pytest.skip("no compiled integral over so many effects")
    agq = VectorGaussHermite if c > 1 else AdaptiveGaussHermite
    approximation = Laplace() if nodes == 1 else agq(nodes)
    objective = approximation.objective(problem)
    assert isinstance(objective, WithSecondOpinion)
    (here, *_) = points(problem)
    objective(here)
    objective(here)
    for direction in np.eye(problem.n_psi):
        objective(here)
        found = objective(here + 1e-5 * direction)
        assert found.status is Status.OK
        assert found.inner_iterations == 1


@built
def test_an_evaluation_does_not_depend_on_the_ones_before():
    problem = problem_of(Case("binomial", "y ~ x + (1 + x | g)"))
    here, *others = points(problem, 4)
    fresh = Laplace(EXACT).objective(problem)(here)
    used = Laplace(EXACT).objective(problem)
    for psi in others:
        used(psi)
    again = used(here)
    assert again.value == pytest.approx(fresh.value, rel=1e-14)
    np.testing.assert_allclose(again.gradient, fresh.gradient, rtol=1e-9, atol=1e-9)


@built
def test_fits_agree_with_and_without():
    for case in (Case("binomial"), Case("negativebinomial", "y ~ x + (1 + x | g)"), Case("gamma")):
        table = frame(case.family)
        weights = "trials" if case.family == "binomial" else None
        fast, plain = (
            interlace.glmer(case.formula, table, case.family, weights=weights, kernels=each)
            for each in (True, False)
        )
        assert fast.llf == pytest.approx(plain.llf, abs=1e-9)
        np.testing.assert_allclose(fast.fit.psi, plain.fit.psi, atol=2e-6)
        errors = [np.sqrt(np.diag(each.fit.vcov)) for each in (fast, plain)]
        # by differences of gradients whose modes are each known to 1e-8; NaN at a bound
        np.testing.assert_allclose(*errors, rtol=1e-3)


@built
def test_builds_differ_in_the_last_bits_only():
    """The baseline, in a process of its own."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_compiled_objective import Case, Laplace, EXACT, points, problem_of\n"
        "p = problem_of(Case('negativebinomial', 'y ~ x + (1 + x | g)'))\n"
        "print(repr(Laplace(EXACT).objective(p)(next(points(p))).value))\n"
    )
    values = []
    for build in ("base", ""):
        variables = {**os.environ, "IK_LEVEL": build}
        folder = os.path.dirname(__file__)
        done = subprocess.run(
            [sys.executable, "-c", code, folder],
            capture_output=True, text=True, env=variables, check=True,
        )  # fmt: skip
        values.append(float(done.stdout))
    assert values[0] == pytest.approx(values[1], rel=1e-12)
