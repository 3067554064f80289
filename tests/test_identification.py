"""What the data cannot tell apart is refused or said, by the rank of the covariance's slopes.

`LME4` holds what lme4 1.1-31 (R 4.2.2) said of the same models: `lmer(formula, data)`, the data
being sleepstudy, or `two`, `subset(sleepstudy, Days %in% c(1, 9))` with `f` its `factor(Days)`.
Where lme4 refuses what is fitted here, the rank is computed by hand, from dense matrices.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import interlace
from fakes import NumericFamily, ResidualFamily, build
from interlace.data.request import ModelRequest
from interlace.diagnostics.identification import Fitting, identification_notes
from interlace.fits import options_in_force, prepared
from interlace_core.calculus.links import LINKS
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family, Parameter
from interlace_core.covariances import Diagonal, Unstructured
from interlace_core.messages.errors import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    FormulaError,
    ResponseError,
)
from interlace_families.gaussian import GaussianFamily
from reference_fits import load_data

LME4 = {
    ("Reaction ~ Days + (Days | Subject)", "two"): (
        "number of observations (=36) <= number of random effects (=36) for term (Days | Subject); "
        "the random-effects parameters and the residual variance (or scale parameter) are probably "
        "unidentifiable"
    ),
    ("Reaction ~ Days + (0 + f | Subject)", "two"): (
        "number of observations (=36) <= number of random effects (=36) for term (0 + f | Subject);"
        " the random-effects parameters and the residual variance (or scale parameter) are probably"
        " unidentifiable"
    ),
    ("Reaction ~ Days + (1 | obs)", "all"): (
        "number of levels of each grouping factor must be < number of observations (problems: obs)"
    ),
    ("Reaction ~ Days + (1 | Subject/obs)", "all"): (
        "number of levels of each grouping factor must be < number of observations "
        "(problems: obs:Subject)"
    ),
    ("Reaction ~ Days + (Days || Subject)", "two"): "",  # fits, logLik -181.3354
    ("Reaction ~ Days + (Days | Subject)", "all"): "",
}


@pytest.fixture(scope="module")
def frames():
    sleep = interlace.datasets.load("sleepstudy")
    sleep["obs"] = [f"o{i}" for i in range(len(sleep))]
    sleep["day"] = sleep["Days"].astype(int).astype("category")
    sleep["w"] = 1.0 + sleep["Days"]
    sleep["one"] = 2.0
    sleep["count"] = np.round(sleep["Reaction"] / 20)
    sleep["slow"] = (sleep["Reaction"] > 290).astype(float)
    sleep["grade"] = pd.cut(sleep["Reaction"], [0, 250, 300, 600], labels=["a", "b", "c"])
    codes = sleep["Subject"].astype("category").cat.codes
    sleep["between"] = np.where(codes % 2, "x", "y")
    sleep["alias"] = "k" + codes.astype(str)
    two = sleep[sleep["Days"].isin([1, 9])].reset_index(drop=True)
    two["f"] = two["Days"].astype(int).astype(str)
    return {"all": sleep, "two": two}


def notes_of(formula, data, family="gaussian", approximation="laplace", **options):
    """Return the notes of a model, before anything is fitted."""
    request = ModelRequest(formula, data, family, **options)
    return prepared(request, options_in_force(approximation=approximation)).model.notes


# The same rule as lme4's, wherever its reason holds


@pytest.mark.parametrize("approximation", ["reml", "ml", "laplace"])
@pytest.mark.parametrize("case", LME4, ids=lambda case: f"{case[0]} of {case[1]}")
def test_what_lme4_refuses_is_refused_by_every_way_to_fit(frames, case, approximation):
    formula, which = case
    if LME4[case]:
        with pytest.raises(DataError, match="residual variance"):
            notes_of(formula, frames[which], approximation=approximation)
    else:
        assert notes_of(formula, frames[which], approximation=approximation) == ()


def test_the_refusal_says_what_and_what_next(frames):
    with pytest.raises(DataError) as caught:
        interlace.fit("Reaction ~ Days + (Days | Subject)", frames["two"])
    for noun in ("1 + Days | Subject", "36 random effects in 36 rows", "3 parameter", "(x || g)"):
        assert noun in str(caught.value)


@dataclass(frozen=True)
class Foreign(Family):
    """A normal law of a third party that says nothing of itself; its second parameter 1 / sd."""

    name = "foreign"

    @property
    def parameters(self):
        return (Parameter("m", LINKS["identity"], role="mean"), Parameter("rate", LINKS["log"]))

    def log_density(self, y, eta):
        square = (y - eta[0]) * (y - eta[0])
        return eta[1] - 0.5 * square * np.exp(2.0 * eta[1]) - 0.5 * np.log(2.0 * np.pi)

    def mean(self, eta):
        return eta[0]


class Declared(Foreign):
    """One that says that it is linear and normal."""

    name = "declared"
    linear_normal = True


class Logarithms(Foreign):
    """Normal logarithms: a parabola in the mean's predictor too."""

    name = "logarithms"

    def log_density(self, y, eta):
        return super().log_density(np.log(y), eta) - np.log(y)


@pytest.mark.parametrize("family", [Foreign(), Declared(), Logarithms(), "skewnormal"])
def test_normal_families_of_others_are_held_to_it(frames, family):
    """A skew-normal law with a normal effect added is a skew-normal one (Azzalini 1985)."""
    with pytest.raises(DataError, match="36 random effects in 36 rows"):
        notes_of("Reaction ~ Days + (Days | Subject)", frames["two"], family)
    with pytest.raises(DataError, match="180 levels in 180 rows"):
        notes_of("Reaction ~ Days + (1 | obs)", frames["all"], family)
    assert notes_of("Reaction ~ Days + (Days | Subject)", frames["all"], family) == ()


def test_a_family_that_is_not_normal_is_not_taken_for_it(frames):
    for family in ("gamma", "student_t", "inversegaussian"):
        (note,) = notes_of("Reaction ~ Days + (1 | obs)", frames["all"], family)
        assert "shape of the distribution alone" in note
    assert notes_of("count ~ Days + (1 | obs)", frames["all"], "poisson") == ()


def test_a_residual_variance_that_is_given_leaves_nothing_to_confound(frames):
    for formula in ("Reaction ~ Days + (1 | obs)", "Reaction ~ Days + (Days | obs)"):
        assert notes_of(formula, frames["all"], GaussianFamily(sigma=20.0)) == ()


# Where the reason fails: other times, weights, relations, structures. Ranks by dense matrices.


def dense_rank(problem):
    """Return (number of variance parameters, rank of their slopes), from whole matrices."""
    n = problem.n
    matrices = []
    for term in problem.terms:
        L = len(term.levels)
        loading = np.zeros((n, L, term.Z.shape[1]))
        loading[np.arange(n), term.codes] = term.Z
        K = np.eye(L) if term.relation is None else term.relation.covariance()

        def V(theta, term=term, loading=loading, K=K):
            T = term.covariance.template(theta)
            return np.einsum("ria,ij,ab,sjb->rs", loading, K, T @ T.T, loading, optimize=True)

        theta = term.covariance.start() + 0.1 * np.sin(np.arange(1, term.covariance.n_theta + 1))
        for j in range(theta.size):
            step = 1e-5 * np.eye(theta.size)[j]
            matrices.append((V(theta + step) - V(theta - step)) / 2e-5)
    w = np.ones(n) if problem.weights is None else problem.weights
    for column in problem.predictors[1].X.T:
        sd = np.exp(0.3 * np.sum(problem.predictors[1].X[:, 1:], axis=1))
        matrices.append(np.diag(column * sd**2 / w))
    flat = np.array([M.ravel() / np.linalg.norm(M) for M in matrices])
    return len(flat), int(np.linalg.matrix_rank(flat, tol=1e-7))


def relation(levels, correlation):
    """Return a matrix in which neighbours are related."""
    K = np.eye(len(levels))
    K[np.arange(0, len(levels) - 1, 2), np.arange(1, len(levels), 2)] = correlation
    return pd.DataFrame(np.maximum(K, K.T), index=levels, columns=levels)


def other_days(frames):
    chosen = [d.iloc[[i % 4, 4 + i % 5]] for i, (_, d) in enumerate(frames["all"].groupby("alias"))]
    return pd.concat(chosen)


IDENTIFIED = {
    "other days for each": ("Reaction ~ 1 + (Days | Subject)", other_days, {}),
    "unequal weights": ("Reaction ~ 1 + (1 | obs)", "all", {"weights": "w"}),
    "relatives": ("Reaction ~ 1 + (1 | obs)", "all", {"known": 0.5}),
    "times": ("Reaction ~ 1 + ar1(0 + day | Subject)", "all", {}),
    "lags": ("Reaction ~ 1 + toep(0 + day | Subject)", "all", {}),
    "one correlation": ("Reaction ~ 1 + cs(0 + day | Subject)", "all", {}),
    "dispersion of many values": (
        "Reaction ~ 1 + (1 | obs)",
        "all",
        {"parameters": {"dispersion": "~ Days"}},
    ),
}

NOT_IDENTIFIED = {
    "equal weights": ("Reaction ~ 1 + (1 | obs)", "all", {"weights": "one"}),
    "strangers": ("Reaction ~ 1 + (1 | obs)", "all", {"known": 0.0}),
    "times apart": ("Reaction ~ 1 + diag(0 + day | Subject)", "all", {}),
    "times apart, of one variance": ("Reaction ~ 1 + homdiag(0 + day | Subject)", "all", {}),
    "all times": ("Reaction ~ 1 + (0 + day | Subject)", "all", {}),
    "dispersion of two values": (
        "Reaction ~ 1 + (1 | obs)",
        "two",
        {"parameters": {"dispersion": "~ f"}},
    ),
}


def model_of(case, frames):
    formula, which, options = case
    data = which(frames) if callable(which) else frames[which]
    if "known" in options:
        options = {"known": {"obs": relation(list(data["obs"]), options["known"])}}
    return formula, data, options


@pytest.mark.parametrize("name", [*IDENTIFIED, *NOT_IDENTIFIED])
@pytest.mark.parametrize("approximation", ["reml", "ml"])
def test_the_rule_is_the_rank_of_whole_matrices(frames, name, approximation, monkeypatch):
    formula, data, options = model_of((IDENTIFIED | NOT_IDENTIFIED)[name], frames)
    said = None
    try:
        notes_of(formula, data, approximation=approximation, **options)
    except DataError as error:
        said = str(error)
    assert (said is None) == (name in IDENTIFIED)
    monkeypatch.setattr("interlace.fits.identified", lambda problem, fitting: ())
    request = ModelRequest(formula, data, "gaussian", **options)
    ready = prepared(request, options_in_force(approximation="ml"))
    count, rank = dense_rank(ready.model.problem)
    assert (rank == count) == (name in IDENTIFIED)


def test_weights_that_multiply_densities_tell_nothing(frames):
    """A row of weight 2 is two equal rows: with an effect of its own, a residual of 0."""
    with pytest.raises(DataError, match="180 levels in 180 rows"):
        notes_of("Reaction ~ 1 + (1 | obs)", frames["all"], weights="w")
    (note,) = notes_of("Reaction ~ 1 + (1 | obs)", frames["all"], approximation="ml", weights="w")
    assert "(1 | obs)" in note and "unequal weights" in note


@pytest.mark.parametrize(("a", "c"), [(1e9, 0.0), (1e-9, 0.0), (1.0, 1e6), (1e-9, 1e-3)])
def test_units_and_origin_of_a_covariate_change_no_answer(frames, a, c):
    two = frames["two"].assign(v=a * frames["two"]["Days"] + c)
    with pytest.raises(DataError, match="36 random effects"):
        notes_of("Reaction ~ 1 + (v | Subject)", two, approximation="reml")
    other = other_days(frames)
    other["v"] = a * other["Days"] + c
    assert notes_of("Reaction ~ 1 + (v | Subject)", other, approximation="reml") == ()


def test_many_rows_are_judged_by_all_of_them():
    """Levels of one row but for the last two: these tell the variances apart, if little."""
    n = 5000
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.normal(size=n), "g": np.arange(n), "x": rng.normal(size=n)})
    with pytest.raises(DataError, match="5000 levels in 5000 rows"):
        notes_of("y ~ x + (1 | g)", data)
    data["h"] = np.minimum(data["g"], n - 2)
    assert notes_of("y ~ x + (1 | h)", data) == ()
    data["t"] = np.tile([0.0, 1.0], n // 2)
    data["pair"] = data["g"] // 2
    with pytest.raises(DataError, match="5000 random effects in 5000 rows"):
        notes_of("y ~ x + (t | pair)", data)
    data.loc[n - 1, "t"] = 2.0  # one pair at other times
    data.loc[n - 3, "t"] = 3.0
    assert notes_of("y ~ x + (t | pair)", data) == ()


# Correlated residuals


def test_a_correlation_that_is_a_random_intercept_is_refused(frames):
    for formula in ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ 1 + (Days | Subject)"):
        with pytest.raises(DataError) as caught:
            interlace.fit(formula, frames["all"], correlation="cs(1 | Subject)")
        assert "cs(1 | Subject)" in str(caught.value) and "Leave one" in str(caught.value)
    with pytest.raises(DataError, match="ar1"):  # of two rows, which have one correlation
        interlace.fit("Reaction ~ 1 + (1 | Subject)", frames["two"], correlation="ar1(1 | Subject)")


def test_correlations_of_another_form_are_not(frames):
    for formula, correlation in (
        ("Reaction ~ 1 + (1 | Subject)", "ar1(Days | Subject)"),
        ("Reaction ~ 1", "cs(1 | Subject)"),
        ("Reaction ~ 1 + (1 | between)", "cs(1 | Subject)"),
        ("Reaction ~ 1 + (0 + Days | Subject)", "cs(1 | Subject)"),
    ):
        notes = notes_of(formula, frames["all"], approximation="reml", correlation=correlation)
        assert len(notes) == 1  # which says that residuals are correlated


# What is fitted with a word


def test_a_single_outcome_per_row_with_a_level_of_its_own_is_noted(frames):
    """Phi(eta / sqrt(1 + s^2)) is the probability with a probit link: any s, other coefficients."""
    for data, formula, family in (
        ("all", "slow ~ Days + (1 | obs)", "binomial"),
        ("all", "grade ~ Days + (1 | obs)", "cumulative"),
        ("two", "slow ~ Days + (Days | Subject)", "binomial"),
        ("all", "slow ~ Days + (1 | Subject) + (1 | obs)", "binomial"),
    ):
        (note,) = notes_of(formula, frames[data], family)
        assert "single outcome" in note
    for formula in ("slow ~ Days + (1 | Subject)", "slow ~ Days + (Days | Subject)"):
        assert notes_of(formula, frames["all"], "binomial") == ()
    trials = frames["all"].assign(n=5.0, share=0.2 * (frames["all"]["count"] % 6))
    assert notes_of("share ~ Days + (1 | obs)", trials, "binomial", weights="n") == ()


def test_the_note_is_in_the_summary(frames):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such a fit may not converge, which is said too
        found = interlace.clmm("grade ~ Days + (1 | obs)", frames["all"])
    assert "single outcome" in str(found.summary())


def test_a_covariate_between_groups_is_noted(frames):
    """lme4 fits it with 'degenerate Hessian'. Two variances of three parameters show."""
    for approximation in ("reml", "ml", "laplace"):
        (note,) = notes_of(
            "Reaction ~ Days + (between | Subject)", frames["all"], approximation=approximation
        )
        assert "1 + between | Subject" in note and "do not determine" in note
    (note,) = notes_of("count ~ Days + (between | Subject)", frames["all"], "poisson")
    assert "do not determine" in note


def test_one_partition_under_two_names_is_noted(frames):
    (note,) = notes_of("count ~ Days + (1 | Subject) + (1 | alias)", frames["all"], "poisson")
    assert "only the sum" in note
    assert notes_of("count ~ Days + (1 | Subject) + (1 | day)", frames["all"], "poisson") == ()


def test_effects_that_are_fixed_too_are_noted_where_the_likelihood_is_restricted(frames):
    """P M P = 0, with P the projection off the fixed effects; not so for the likelihood."""
    formula = "Reaction ~ Days + Subject + (1 | Subject)"
    (note,) = notes_of(formula, frames["all"], approximation="reml")
    assert "fixed effects as well" in note
    assert notes_of(formula, frames["all"], approximation="ml") == ()
    few = "Reaction ~ Days + between + (1 | day)"
    assert notes_of(few, frames["all"], approximation="reml") == ()


# Refits of a model that was taken are not asked again


def test_what_refits_a_part_of_the_data_is_not_refused():
    """Without one group, effects reach the rows: 2 per level in 2 rows."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), [8, *[2] * 11])
    data = pd.DataFrame({"g": g, "x": rng.normal(size=g.size)})
    data["y"] = data["x"] + rng.normal(size=12)[g] + rng.normal(size=g.size)
    found = interlace.fit("y ~ x + (1 | g)", data, method="ML")
    influence = found.influence(exact=2)
    assert not influence.failures
    assert found.drop1().shape[0] >= 1
    assert not found.bootstrap(3, seed=1).failures


# Structures of levels


WITH_INTERCEPT = [
    "{}(Days | Subject)",
    "{}(1 + Days | Subject)",
    "{}(1 + day | Subject)",
    "{}(1 | Subject)",
    "{}(0 + day + Days | Subject)",
]


@pytest.mark.parametrize("structure", ["ar1", "toep", "cs"])
@pytest.mark.parametrize("term", WITH_INTERCEPT)
def test_structures_of_levels_refuse_anything_else(frames, structure, term):
    with pytest.raises(FormulaError) as caught:
        notes_of("Reaction ~ 1 + " + term.format(structure), frames["all"], approximation="ml")
    message = str(caught.value)
    assert f"{structure}(0 + " in message and "a factor or numbers" in message


def test_numbers_are_times(frames):
    days = frames["all"]
    for term in ("day", "C(Days)", "Days"):
        term = f"ar1(0 + {term} | Subject)"
        found = interlace.fit(f"Reaction ~ Days + {term}", days)
        # glmmTMB 1.1.5: "ar1() expects a single, factor variable as the time component"
        assert found.llf == pytest.approx(-867.09323, abs=1e-4)


class OfLevels(Diagonal):
    """A third party's structure that is one of levels."""

    name = "oflevels"
    takes_levels_only = True


def test_the_rule_is_asked_of_the_contract(frames):
    assert not Covariance.takes_levels_only and not Unstructured.takes_levels_only
    from interlace.data.problem import build_problem

    def build(term):
        request = ModelRequest(f"count ~ 1 + {term}", frames["all"], Foreign())
        return build_problem(request, request.family, covariance=lambda name: OfLevels)

    assert build("oflevels(0 + between | day)").problem.terms[0].covariance.size == 2
    assert build("oflevels(0 + Days | Subject)").problem.terms[0].covariance.size == 10
    with pytest.raises(FormulaError, match="oflevels"):
        build("oflevels(1 + Days | Subject)")


# A continuous response for ordered categories


def test_a_continuous_response_is_no_ordered_one():
    """ordinal 2022.11-16: "response needs to be a factor"."""
    cake = interlace.datasets.load("sleepstudy").head(72)
    with pytest.raises(ResponseError) as caught:
        interlace.clmm("Reaction ~ Days + (1 | Subject)", cake)
    for noun in ("'Reaction'", "72 distinct values", "pd.cut", "ordered=True", "fit()"):
        assert noun in str(caught.value)


def read_levels(values):
    data = pd.DataFrame(
        {"y": values, "x": np.arange(len(values)) % 7, "g": np.arange(len(values)) % 5}
    )
    request = ModelRequest("y ~ x + (1 | g)", data, "cumulative")
    ready = prepared(request, options_in_force())
    return len(ready.model.response_levels)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (np.arange(80) % 5, 5),
        (np.arange(80) % 20 + 1.0, 20),
        (np.arange(80) % 21, None),
        ((np.arange(80) % 10) / 2, 10),
        ((np.arange(80) % 11) / 2 + 0.25, None),
        (np.sqrt(np.arange(80)), None),
        (pd.Categorical(np.sqrt(np.arange(40).repeat(2)), ordered=True), 40),
        (pd.Categorical(np.sqrt(np.arange(40).repeat(2))), None),
        (np.arange(80) % 2 == 0, 2),
    ],
    ids=[
        "codes", "twenty", "twenty-one", "halves", "quarters", "measured", "ordered", "unordered",
        "bool",
    ],
)  # fmt: skip
def test_numbers_are_categories_up_to_a_limit(values, count):
    if count is None:
        with pytest.raises(ResponseError, match="distinct values"):
            read_levels(values)
    else:
        assert read_levels(values) == count


def test_ordinary_models_are_not_examined(frames, monkeypatch):
    """What it costs them is a count of effects."""
    monkeypatch.setattr("interlace.diagnostics.identification._examined", None)
    request = ModelRequest("Reaction ~ Days + (Days | Subject)", frames["all"], "gaussian")
    ready = prepared(request, options_in_force(approximation="reml"))
    assert identification_notes(ready.model.problem, Fitting(restricted=True)) == ()


def test_one_level_per_row_is_refused_where_a_familys_residual_is_the_same():
    data = pd.DataFrame({"y": np.arange(24.0) % 5 + 1, "row": np.arange(24)})
    with pytest.raises(DataError, match="grouping factor 'row'.*24 levels in 24 rows"):
        identification_notes(build("y ~ 1 + (1 | row)", data, ResidualFamily()).problem, Fitting())
    for family in (NumericFamily(), ResidualFamily(phi=1.0)):
        problem = build("y ~ 1 + (1 | row)", data, family).problem
        identification_notes(problem, Fitting())
        assert len(problem.terms[0].levels) == 24


# A covariance of far more numbers than groups show is refused before anything is searched


@pytest.mark.parametrize(
    "term, numbers, shown",
    [
        ("(Subject | Subject)", 171, 18),  # a group shows the sum of its intercept and own column
        ("(0 + Subject | alias)", 171, 18),
        ("(obs | Subject)", 16290, 990),  # ten rows each: 18 groups times 10 (11) / 2
        ("(obs | obs)", 16290, 180),
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial"])
def test_far_more_numbers_than_groups_show_are_refused(frames, term, numbers, shown, family):
    response = {"gaussian": "Reaction", "poisson": "count", "binomial": "slow"}[family]
    with pytest.raises(
        DataError, match=rf"one of {numbers} numbers .* groups show at most {shown}:"
    ):
        interlace.glmer(f"{response} ~ Days + {term}", frames["all"], family)


def test_far_more_numbers_are_refused_by_every_call_and_for_every_parameter(frames):
    data = frames["all"]
    for call in (
        lambda: interlace.fit("Reaction ~ Days + (Subject | Subject)", data),
        lambda: interlace.clmm("grade ~ Days + (Subject | Subject)", data),
        lambda: interlace.glmer("count ~ Days", data, "nb2", dispformula="~ (Subject | Subject)"),
    ):
        with pytest.raises(DataError, match="171 numbers"):
            call()


def test_numbers_that_groups_show_are_no_ground_to_refuse(frames):
    # ten days of each subject show all 55 numbers; times of one diagonal have one number each
    with pytest.warns(DataWarning, match="parameters, for 180 rows"):  # they take long
        assert notes_of("count ~ 1 + (0 + day | Subject)", frames["all"], "poisson") == ()
        notes_of("count ~ 1 + diag(0 + obs | day)", frames["all"], "poisson")


def test_a_covariance_with_more_parameters_than_rows_tell_of_is_warned_about_before_the_fit():
    sleep = load_data("sleepstudy")
    data = sleep.assign(
        day=sleep["Days"].astype(int).astype(str), slow=(sleep["Reaction"] > 300.0).astype(int)
    )
    begun = []
    with pytest.warns(
        DataWarning, match=r"\(1 \+ day \| Subject\) has 55 parameters, for 180 rows"
    ):
        with pytest.raises(KeyboardInterrupt):
            interlace.glmer(
                "slow ~ Days + (day | Subject)", data, "binomial", callback=interrupt(begun)
            )
    assert len(begun) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        for term in ("(Days | Subject)", "diag(0 + day | Subject)"):
            with pytest.warns(ConvergenceWarning, match="stopped"):
                interlace.glmer(f"slow ~ Days + {term}", data, "binomial", callback=lambda _: True)


def interrupt(begun):
    def called(step):
        begun.append(step)
        raise KeyboardInterrupt

    return called
