"""Separation is decided: no word where a finite estimate exists, and the right columns if not.

What is right comes from exact arithmetic on the data (`exact_separation`), not from the library.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_expit

import interlace
from interlace.diagnostics.open_rows import open_rows
from interlace.diagnostics.separation import SUSPECT_SE, largest_variance
from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.fitting.constants import mean_columns
from interlace_core.messages.errors import ConvergenceWarning
from interlace_families.binomial import BinomialFamily
from separation_cases import NEARLY, ORDINARY, SEPARATED, random_case

SETS_OF_A_KIND = {"ordinary": 20, "separated": 20, "nearly": 10}
"""In the slow run: 200 ordinary data sets, 200 separated and 50 nearly separated ones."""

QUICK_SEEDS = 1
"""Of each kind in the usual run."""

LEAST_SE = 5.0
"""A finite standard error from which a data set counts as nearly separated."""

SCALES = (1e-6, 1e-3, 3.0, 1e3, 1e6)
SHIFTS = (1e4, 0.0, 1e6, 1e2)
"""Of a covariate: its units, and by how many of its standard deviations its zero point moves. All
20 pairs occur."""


def seeds(kinds, size):
    """Return a parameter for each kind and seed, all but the first seeds slow."""
    return [
        pytest.param(
            kind,
            seed,
            marks=[pytest.mark.slow] if seed >= QUICK_SEEDS else [],
            id=f"{kind}, {seed}",
        )
        for kind in kinds
        for seed in range(size)
    ]


def notes_of(case):
    """Return the fit, and the notes on separation among its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = case.call(case.data)
    return fit, [str(each.message) for each in caught if "separates" in str(each.message)]


def named(note):
    """Return the sets of columns that a note names as causes, in its order."""
    head, _, tail = note.partition(" separates ")
    causes = [head, *re.findall(r"So do(?:es)? columns? (.*?) (?:by itself|together)\.", tail)]
    return [tuple(re.findall(r"'((?:[^'])*)'", each)) for each in causes]


@pytest.mark.parametrize(("kind", "seed"), seeds(ORDINARY, SETS_OF_A_KIND["ordinary"]))
def test_ordinary_data_are_not_called_separated(kind, seed):
    case = ORDINARY[kind](seed)
    assert case.expected() == []
    assert notes_of(case)[1] == []


@pytest.mark.parametrize(("kind", "seed"), seeds(NEARLY, SETS_OF_A_KIND["nearly"]))
def test_nearly_separated_data_are_not_called_separated(kind, seed, request):
    """Two sets have another height, of Laplace's approximation alone, at deviations beyond 100.

    Which of both heights a search finds there depends on its way, and so on its coordinates.
    """
    case = NEARLY[kind](seed)
    assert case.expected() == []
    fit, notes = notes_of(case)
    assert notes == []
    if request.config.getoption("--standardised") and fit.fit.verdict.status == "not determined":
        assert (kind, seed) in (("groups", 0), ("clmm", 8))
        assert fit.theta[0] > 100.0
        return
    assert LEAST_SE < np.max(fit.fe_bse) < np.inf


@pytest.mark.parametrize(("kind", "seed"), seeds(SEPARATED, SETS_OF_A_KIND["separated"]))
def test_separated_data_are_named_by_the_columns_of_exact_arithmetic(kind, seed):
    case = SEPARATED[kind](seed)
    expected = case.expected()
    assert expected
    (note,) = notes_of(case)[1]
    assert sorted(named(note)) == sorted(expected)
    assert ("of pi separates the zeros" in note) == case.zeros


@pytest.mark.parametrize(("kind", "seed"), seeds(SEPARATED, SETS_OF_A_KIND["separated"]))
def test_units_and_zero_point_do_not_change_what_is_named(kind, seed):
    case = SEPARATED[kind](seed)
    scale, shift = SCALES[seed % len(SCALES)], SHIFTS[seed % len(SHIFTS)]
    moved = case.with_units(scale, shift * scale * np.std(case.data[case.moved]))
    (note,) = notes_of(moved)[1]
    assert sorted(named(note)) == sorted(case.expected())


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=[pytest.mark.slow] * (s >= 8)) for s in range(300)]
)
def test_random_designs_are_named_as_exact_arithmetic_names_them(seed):
    """Few rows, so that some third is separated, in all kinds of ways."""
    case = random_case(seed)
    expected = case.expected()
    notes = notes_of(case)[1]
    assert [each for note in notes for each in named(note)] == [e for e in expected if e]


# --- other ways to be separated, and not


def frame(seed=3, n=160):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n) + 50.0,
            "f": np.resize(list("abcd"), n),
            "g": rng.integers(0, 10, n),
            "coin": rng.integers(0, 2, n),
            "count": rng.poisson(2.0, n),
        }
    )
    return rng, data


def messages(call):
    """Return the fit, and its notes on separation."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = call()
    return fit, [str(each.message) for each in caught if each.category is ConvergenceWarning]


def test_years_and_heights_of_the_reports_separate_nothing():
    """What users saw: `faults` 1 and 2."""
    rng, n = np.random.default_rng(3), 600
    data = pd.DataFrame({"g": rng.integers(0, 30, n), "year": rng.integers(2000, 2020, n)})
    eta = 0.05 * (data["year"] - 2010) + rng.normal(0, 0.6, 30)[data["g"]]
    data["y"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    data["r"] = np.digitize(0.1 * eta + rng.logistic(size=n), [-1, 0, 1])
    for fit in (
        interlace.glmer("y ~ year + I(year ** 2) + (1 | g)", data, "binomial"),
        interlace.clmm("r ~ year + (1 | g)", data),
    ):  # warnings are errors
        assert not any("separates" in note for note in fit.notes)


def test_every_column_that_separates_by_itself_is_named():
    _, data = frame()
    data["y"] = np.where(data["f"].isin(["b", "d"]), 1, data["coin"])
    _, (note,) = messages(lambda: interlace.glmer("y ~ f + x + (1 | g)", data, "binomial"))
    assert named(note) == [("f[T.b]",), ("f[T.d]",)]
    assert "'Intercept'" not in note and "'x'" not in note


def test_a_reference_level_is_named_by_the_columns_of_all_others():
    _, data = frame()
    data["y"] = np.where(data["f"] == "a", 1, data["coin"])
    _, (note,) = messages(lambda: interlace.glmer("y ~ f + x + (1 | g)", data, "binomial"))
    assert named(note) == [("f[T.b]", "f[T.c]", "f[T.d]")]
    assert "The coefficient of 'Intercept' runs off as well." in note
    assert note.index("'Intercept'") > note.index("'f[T.d]'")


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_every_link_of_a_probability(link):
    _, data = frame()
    data["y"] = np.where(data["f"] == "c", 0, data["coin"])
    _, notes = messages(lambda: interlace.glmer("y ~ f", data, BinomialFamily(link=link)))
    assert [named(each) for each in notes if "separates" in each] == [[("f[T.c]",)]]


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_complete_separation_far_beyond_all_curvature(link):
    """A search may end so far out that its standard errors are small: 0 of all there is to tell."""
    _, data = frame(n=25)
    data["y"] = (data["x"] > 50.1).astype(int)
    _, notes = messages(lambda: interlace.glmer("y ~ x", data, BinomialFamily(link=link)))
    assert [named(each) for each in notes if "separates" in each] == [[("x",)]]


@pytest.mark.parametrize(
    "family",
    [
        "poisson",
        "negativebinomial1",
        "compois",
        "genpois",
        "zeroinflated_poisson",
    ],
)
def test_every_family_of_counts_by_a_level_of_zeros(family):
    rng, data = frame()
    count = np.where(rng.random(len(data)) < 0.2, 0, data["count"])
    data["y"] = np.where(data["f"] == "c", 0, count)
    _, notes = messages(lambda: interlace.glmer("y ~ f", data, family))
    assert [named(each) for each in notes if "separates" in each] == [[("f[T.c]",)]]


def test_truncated_counts_by_a_level_of_ones():
    _, data = frame()
    data["y"] = np.where(data["f"] == "c", 1, data["count"] + 1)
    _, (note,) = messages(lambda: interlace.glmer("y ~ f", data, "truncated_poisson"))
    assert named(note) == [("f[T.c]",)]


def test_trials_by_a_level_without_failures():
    """A row with failures and successes stays where it is, one without trials says nothing."""
    rng, data = frame()
    data["n"] = np.where(np.arange(len(data)) % 7 == 0, 0, 5)
    data["y"] = np.where(data["f"] == "c", 1.0, rng.integers(1, 5, len(data)) / 5)
    for family in ("binomial", "betabinomial"):
        _, notes = messages(
            lambda family=family: interlace.glmer("y ~ f", data, family, weights="n")
        )
        assert [named(each) for each in notes if "separates" in each] == [[("f[T.c]",)]]


@pytest.mark.parametrize("threshold", ["flexible", "symmetric", "equidistant"])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchit"])
def test_every_kind_of_thresholds(link, threshold):
    rng, data = frame()
    data["r"] = np.where(data["f"] == "c", 3, rng.integers(0, 4, len(data)))
    _, notes = messages(lambda: interlace.clmm("r ~ f + x", data, link=link, threshold=threshold))
    assert [named(each) for each in notes if "separates" in each] == [[("f[T.c]",)]]


def test_a_middle_category_separates_nothing():
    """A level whose answers are all the same lies between two thresholds: finite."""
    rng, data = frame()
    data["r"] = np.where(data["f"] == "c", 1, rng.integers(0, 4, len(data)))
    _, notes = messages(lambda: interlace.clmm("r ~ f + x", data))
    assert notes == []


def test_rows_without_weight_are_not_counted():
    """Without them the level is separated; with any weight it is not."""
    _, data = frame()
    data["y"] = np.where(data["f"] == "c", 1, data["coin"])
    data.loc[data.index[data["f"] == "c"][0], "y"] = 0
    odd = (data["f"] == "c") & (data["y"] == 0)
    for weight, causes in ((0.0, [[("f[T.c]",)]]), (1.0, [])):
        w = np.where(odd, weight, 1.0)
        data["n"], data["p"] = w, data["y"]
        call = interlace.glmer
        _, notes = messages(lambda call=call: call("y ~ f", data, "poisson", weights="n"))
        assert not any("separates" in each for each in notes)
        data["z"] = 1 - data["y"]  # zeros but for the odd row
        _, notes = messages(lambda call=call: call("z ~ f", data, "poisson", weights="n"))
        assert [named(each) for each in notes if "separates" in each] == causes


def test_a_prior_keeps_finite_what_has_one():
    _, data = frame()
    data["y"] = np.where(data["f"] == "c", 1, data["coin"])
    wide = interlace.normal(0, 100.0)
    for priors, causes in (
        ({"fixed": wide}, []),
        ({"f[T.c]": wide}, []),
        ({"x": wide}, [[("f[T.c]",)]]),
    ):
        _, notes = messages(
            lambda priors=priors: interlace.glmer("y ~ f + x", data, "binomial", priors=priors)
        )
        assert [named(each) for each in notes if "separates" in each] == causes


def test_groups_with_constant_responses_separate_nothing():
    """Their variance is infinite, which is no matter of the fixed effects."""
    _, data = frame()
    data["y"] = data["g"] % 2
    fit, notes = messages(lambda: interlace.glmer("y ~ x + (1 | g)", data, "binomial"))
    assert not any("separates" in each for each in notes)
    assert fit.fe_bse["x"] > 0


def test_a_zero_part_without_zeros_names_its_limit():
    """Beside other columns, too, whose coefficients then say nothing."""
    _, data = frame()
    data["y"] = data["count"] + 1
    _, (note,) = messages(lambda: interlace.glmer("y ~ 1", data, "hurdle_poisson", ziformula="~ x"))
    assert "best predicted by the lowest pi there can be, where the family becomes" in note
    assert "its positive counts alone, without zeros" in note
    fit, notes = messages(lambda: interlace.glmer("y ~ 1", data, "hurdle_poisson"))
    assert notes == [] and any("at its limit" in note for note in fit.notes)


def test_a_family_of_somebody_else_is_asked_by_its_density():
    """A geometric count by its success probability: it rises where the count is 0."""
    _, data = frame()
    data["y"] = np.where(data["f"] == "c", 0, data["count"])
    _, notes = messages(lambda: interlace.glmer("y ~ f", data, Geometric()))
    assert [named(each) for each in notes] == [[("f[T.c]",)]]
    data["y"] = data["count"]
    assert messages(lambda: interlace.glmer("y ~ f", data, Geometric()))[1] == []


class Geometric(Family):
    name = "geometric_by_probability"
    parameters = (Parameter("p", LINKS["logit"], role="mean"),)

    def log_density(self, y, eta):
        return log_expit(eta[0]) + y * log_expit(-eta[0])

    def mean(self, eta):
        return np.exp(-eta[0])

    def start(self, y, weights):
        return np.zeros(1)


@pytest.mark.parametrize("family", ["binomial", "poisson", "negativebinomial"])
def test_which_rows_are_open_does_not_rest_on_the_fit(family):
    """At any predictors, however bad: separation is told of fits that were not reached, too."""
    rng, data = frame()
    data["y"] = data["coin"] if family == "binomial" else data["count"]
    fit = interlace.glmer("y ~ x", data, family)
    problem, n = fit.training.problem, fit.training.problem.n
    y = problem.y if problem.y.ndim == 1 else problem.y[:, 0]
    for spread in (0.0, 1.0, 30.0, 300.0):
        eta = fit.eta.copy()
        eta[0] = spread * rng.normal(size=n)
        up, down = open_rows(problem, eta, 0)
        assert np.array_equal(down, y == 0)
        assert np.array_equal(up, (y == 1) & (family == "binomial"))


def test_the_look_before_the_programme_has_no_units():
    """A row's variance is the same in other units and from another zero point."""
    rng, data = frame()
    data["y"] = data["coin"]
    data["far"] = (data["x"] - 50.0) * 1e-4 + 7.0
    found = []
    for x in ("x", "far"):
        fit = interlace.glmer(f"y ~ {x} + f", data, "binomial")
        problem = fit.training.problem
        X, zero = problem.predictors[0].X, mean_columns(problem, 0)
        found.append(largest_variance(X, fit.fit.vcov, zero))
    # 7 is 70,000 standard deviations away: its square times 1e-16 is 5e-7
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0] < SUSPECT_SE**2


def of_a_level_that_lacks_a_category(lost, structure="~ w"):
    """Three categories, of which level b of w has none of one."""
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=120)})
    d["w"] = rng.choice(["a", "b"], 120)
    effect = rng.normal(0.0, 0.7, 12)[d["g"]]
    latent = 0.7 * d["x"] + effect + rng.logistic(size=120)
    d["r"] = 1 + (latent > -1.0) + (latent > 1.0)
    d.loc[(d["w"] == "b") & (d["r"] == lost), "r"] = 2
    return interlace.clmm("r ~ x + (1 | g)", d, nominal=structure), d


@pytest.mark.parametrize("structure", ["~ w", "~ 0 + w"])
@pytest.mark.parametrize(("lost", "which", "sign"), [(3, 2, 1.0), (1, 1, -1.0)])
def test_a_nominal_effect_without_finite_estimate_is_named(lost, which, sign, structure):
    name = "w[T.b]" if structure == "~ w" else "w[b]"
    words = rf"column '{re.escape(name)}' of threshold_{which} separates the response"
    with pytest.warns(ConvergenceWarning, match=words):
        fit, d = of_a_level_that_lacks_a_category(lost, structure)
    assert fit.fit.verdict.status == "optimum"
    assert "optimum at a limit: column" in fit.fit.verdict.message
    assert sign * fit.params_of(f"threshold_{which}")[name] > 10.0
    # the supremum: that of the model in which b is cut once, at the other threshold
    key = f"threshold_{which}: {name}"
    held = interlace.clmm("r ~ x + (1 | g)", d, nominal=structure, hold={key: sign * 30.0})
    assert fit.llf == pytest.approx(held.llf, abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some = interlace.clmm(
            "r ~ x + (1 | g)", d, nominal=structure, priors={key: interlace.normal(0, 2.5)}
        )
    assert np.isfinite(some.bse_of(f"threshold_{which}")[name])


def test_a_column_of_the_location_is_named_beside_a_nominal_effect():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"g": np.repeat(np.arange(10), 12), "w": rng.choice(["a", "b"], 120)})
    latent = rng.normal(0.0, 0.5, 10)[d["g"]] + rng.logistic(size=120)
    d["r"] = 1 + (latent > -0.5) + (latent > 1.0)
    d.loc[(d["w"] == "b") & (d["r"] == 3), "r"] = 2
    d["high"] = 0.0
    d.loc[d.index[d["r"] == 3][:6], "high"] = 1.0
    with pytest.warns(ConvergenceWarning) as said:
        fit = interlace.clmm("r ~ high + (1 | g)", d, nominal="~ w")
    words = " ".join(str(each.message) for each in said)
    assert "column 'high' separates the response" in words
    assert "column 'w[T.b]' of threshold_2 separates the response" in words
    assert fit.fit.verdict.converged
