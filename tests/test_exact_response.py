"""A response that the model predicts exactly: the likelihood has no maximum, and that is said.

Every row's density grows without end as the residual goes to 0, so that there is no fit to report;
data with a residual, however small, and counts, whose likelihood is bounded, are fitted.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import multivariate_normal, poisson

import interlace
from interlace_core.fitting import exact as exact_responses
from interlace_core.messages.errors import ExactResponseError, UnsupportedModelError
from interlace_families.gamma import GammaFamily
from interlace_families.gaussian import GaussianFamily
from interlace_families.inverse_gaussian import InverseGaussianFamily

WORDS = r"predicts? the response exactly|same in all rows of each level"


def exact(seed=1, groups=12, rows=10):
    """Return linear predictors that fixed and random effects give exactly, by name."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(
        {"g": np.repeat(np.arange(groups), rows), "h": np.tile(np.arange(rows), groups)}
    )
    d["x"] = rng.normal(size=len(d))
    own = rng.normal(size=groups)[d["g"]]
    d["line"] = 2.0 + 3.0 * d["x"]
    d["group"] = own
    d["both"] = d["line"] + own
    d["slopes"] = d["both"] + rng.normal(size=groups)[d["g"]] * d["x"]
    d["crossed"] = d["both"] + rng.normal(size=rows)[d["h"]]
    d["whole"] = 3.0 * d["g"] + 7.0
    return d


SHAPES = {
    "line": "", "line and groups": "+ (1 | g)", "group": "+ (1 | g)", "both": "+ (1 | g)",
    "slopes": "+ (x | g)", "crossed": "+ (1 | g) + (1 | h)", "whole": "+ (1 | g)",
}  # fmt: skip

FAMILIES = {
    "gaussian": ("gaussian", lambda eta: eta),
    "student_t": ("student_t", lambda eta: eta),
    "skewnormal": ("skewnormal", lambda eta: eta),
    "gamma": (GammaFamily(link="log"), lambda eta: np.exp(eta / 4.0)),
    "inversegaussian": (InverseGaussianFamily(link="log"), lambda eta: np.exp(eta / 4.0)),
    "lognormal": ("lognormal", lambda eta: np.exp(eta / 4.0)),
    "tweedie": ("tweedie", lambda eta: np.exp(eta / 4.0)),
    "beta": ("beta", lambda eta: expit(eta / 4.0)),
}


def column(shape):
    return "line" if shape.startswith("line") else shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_response_without_residual_is_refused_in_words(family, shape):
    chosen, response = FAMILIES[family]
    data = exact()
    data["y"] = response(data[column(shape)])
    if family in ("skewnormal", "tweedie") and shape in ("crossed", "both"):
        return  # a second each, and the road of the others
    with pytest.raises(UnsupportedModelError, match=WORDS):
        interlace.glmer(f"y ~ x {SHAPES[shape]}", data, chosen)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options", [{}, {"method": "ML"}, {"dispformula": "~ x"}, {"correlation": "ar1(h | g)"}]
)
def test_a_linear_model_without_residual_is_refused_in_words(options, shape):
    data = exact()
    if shape == "crossed" and "correlation" in options:
        return  # rows correlate across levels of h, which is refused by itself
    with pytest.raises(UnsupportedModelError, match=WORDS):
        interlace.fit(f"{column(shape)} ~ x {SHAPES[shape]}", data, **options)


@pytest.mark.parametrize("options", [{"nAGQ": 0}, {"nAGQ": 9}])
def test_other_approximations_refuse_alike(options):
    with pytest.raises(UnsupportedModelError, match=WORDS):
        interlace.glmer("both ~ x + (1 | g)", exact(), "gaussian", **options)


@pytest.mark.parametrize("change", [lambda y: y + 1e6, lambda y: 1e9 * y, lambda y: 1e-9 * y])
def test_the_response_is_refused_in_any_unit(change):
    data = exact()
    data["y"] = change(data["both"])
    for call in (
        lambda: interlace.glmer("y ~ x + (1 | g)", data, "gaussian"),
        lambda: interlace.fit("y ~ x + (1 | g)", data),
    ):
        with pytest.raises(UnsupportedModelError, match=WORDS):
            call()


def test_offsets_weights_and_many_levels():
    data = exact(groups=500, rows=8).assign(o=lambda d: d["x"] ** 2, w=lambda d: 1.0 + d["h"])
    data["y"] = data["both"] + data["o"]
    with pytest.raises(UnsupportedModelError, match="estimate sigma from"):
        interlace.glmer("y ~ x + (1 | g)", data, "gaussian", offset="o", weights="w")


@pytest.mark.parametrize("noise", [1e-2, 1e-3, 1e-4])
def test_a_small_residual_is_a_residual(noise):
    data = exact()
    rest = noise * np.random.default_rng(3).normal(size=len(data))
    data["y"] = data["both"] + rest
    fitted = interlace.glmer("y ~ x + (1 | g)", data, "gaussian")
    assert fitted.converged
    assert fitted.family_params.loc["sigma", "value"] == pytest.approx(noise, rel=0.2)
    data["e"] = np.exp(data["y"] / 4.0)
    assert interlace.glmer("e ~ x + (1 | g)", data, "lognormal").converged


def test_a_fixed_dispersion_is_no_obstacle():
    fitted = interlace.glmer("both ~ x + (1 | g)", exact(), GaussianFamily(sigma=0.3))
    assert fitted.converged


def test_counts_that_are_predicted_exactly_are_fitted():
    """Their likelihood is at most that of the saturated model."""
    data = pd.DataFrame({"f": np.repeat(list("abcd"), 5), "y": np.repeat([1, 4, 9, 20], 5)})
    fitted = interlace.glmer("y ~ f", data, "poisson")
    assert fitted.llf == pytest.approx(poisson.logpmf(data["y"], data["y"]).sum(), abs=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theta goes to infinity: the Poisson law
        spread = interlace.glmer("y ~ f", data, "negativebinomial")
    assert spread.llf == pytest.approx(fitted.llf, abs=1e-3)


def test_an_infinite_likelihood_is_never_an_optimum():
    """One group without residual and a deviation of its own: no search can reach the maximum."""
    data = exact()
    rest = np.random.default_rng(5).normal(size=len(data))
    data["y"] = data["line"] + np.where(data["g"] < 4, 0.0, rest)
    data["f"] = (data["g"] < 4).astype(str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = interlace.glmer("y ~ x", data, "gaussian", dispformula="~ f")
    assert not fitted.converged


def test_a_doubtful_fit_of_few_rows_is_looked_at_without_harm():
    """Nothing to combine: no fixed effects, no groups; or less rounding than numbers have."""
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 0.0, 1e-74, 0.0]})
    from interlace.data.request import ModelRequest
    from interlace.fits import options_in_force, prepared
    from interlace_core.fitting.exact import refuse_exact

    for formula in ("y ~ 0", "y ~ 0 + x"):
        request = ModelRequest(formula, data, "gaussian")
        refuse_exact(prepared(request, options_in_force()).model.problem)


def many(groups=1200, rows=10):
    """Return more rows than are asked first, whose response groups give exactly."""
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"g": np.repeat(np.arange(groups), rows), "x": rng.normal(size=groups * rows)})
    d["y"] = 1.0 + 0.5 * d["x"] + rng.normal(size=groups)[d["g"]]
    return d


def test_many_rows_that_are_predicted_exactly_are_refused():
    with pytest.raises(UnsupportedModelError, match=WORDS):
        interlace.fit("y ~ x + (1 | g)", many())


def test_a_residual_in_late_groups_alone_is_one():
    d = many()
    late = d["g"] >= 900
    d.loc[late, "y"] += np.random.default_rng(5).normal(size=int(late.sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert interlace.fit("y ~ x + (1 | g)", d).scale > 0.0


def test_a_boundary_asks_few_of_many_rows(monkeypatch):
    """A variance of 0 makes one look closer, which takes little where rows are many."""
    asked = []
    solve = exact_responses._least_squares_rest

    def seen(columns, rest):
        asked.append(len(rest))
        return solve(columns, rest)

    monkeypatch.setattr(exact_responses, "_least_squares_rest", seen)
    d = many()
    d["y"] = d["x"] + np.random.default_rng(6).normal(size=len(d))
    d["y"] -= d.groupby("g")["y"].transform("mean")
    assert interlace.fit("y ~ x + (1 | g)", d).fit.verdict.boundary
    assert asked and max(asked) < 5000


@pytest.mark.parametrize("family", ["hurdle_gamma", "hurdle_lognormal", "oneinflated_beta"])
@pytest.mark.parametrize("share", [0.01, 0.3])
def test_values_beside_zeros_that_are_all_predicted_exactly_are_refused(family, share):
    """Rows of the part for zeros, or ones, tell nothing of the mean of the others."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=200), "g": np.repeat(np.arange(20), 10).astype(str)})
    part = 1.0 if family == "oneinflated_beta" else 0.0
    data["y"] = np.where(np.arange(200) < 200 * share, 0.4, part)
    with pytest.raises(ExactResponseError):
        interlace.glmer("y ~ x + (1 | g)", data, family)


def at_times():
    """Return rows at distinct times, with precisions, of a series in each group."""
    rng = np.random.default_rng(1)
    rows = [
        (f"g{g}", t + 2000, rng.normal(), rng.uniform(0.5, 2.0))
        for g in range(14)
        for t in rng.choice(5, size=rng.integers(1, 6), replace=False)
    ]
    d = pd.DataFrame(rows, columns=["g", "year", "x", "w"])
    same = np.equal.outer(d["g"].to_numpy(), d["g"].to_numpy())
    apart = np.abs(np.subtract.outer(d["year"].to_numpy(), d["year"].to_numpy()))
    series = rng.multivariate_normal(np.zeros(len(d)), same * 0.7**apart)
    d["y"] = 3.0 + 0.5 * d["x"] + series + 0.2 * rng.normal(size=len(d)) / np.sqrt(d["w"])
    return d


def of_series(d, size, decay, sigma):
    """Return the log-density of the normal distribution at its own best coefficients."""
    same = np.equal.outer(d["g"].to_numpy(), d["g"].to_numpy())
    apart = np.abs(np.subtract.outer(d["year"].to_numpy(), d["year"].to_numpy()))
    V = size**2 * same * np.exp(-decay * apart) + np.diag(sigma**2 / d["w"].to_numpy())
    X = np.column_stack([np.ones(len(d)), d["x"]])
    beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, d["y"]))
    return multivariate_normal(X @ beta, V).logpdf(d["y"])


@pytest.mark.parametrize("structure", ["ou", "exp", "ar1"])
@pytest.mark.parametrize("method", ["ML", "REML"])
def test_rows_at_times_of_their_own_leave_a_finite_limit(structure, method):
    """Precisions are no copies: the effects reach every row, and the likelihood is bounded."""
    d = at_times()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = interlace.fit(f"y ~ x + {structure}(0 + year | g)", d, weights="w", method=method)
    assert fitted.status != "not reached"
    if method == "ML" and structure == "ou":
        best = max(
            minimize(lambda t: -of_series(d, *np.exp(t)), np.log(at), method="Nelder-Mead").fun
            * -1.0
            for at in ([1.0, 0.4, 0.3], [1.0, 0.4, 0.01], [0.5, 2.0, 1.0])
        )
        assert fitted.llf == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_effects_and_covariates_that_give_any_response_refuse_none(seed):
    """One level less than rows, and a covariate that tells the two rows of a level apart."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"h": [0, *range(39)], "x": rng.normal(size=40), "y": rng.normal(size=40)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(interlace.fit("y ~ x + (1 | h)", d).llf)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | h)"])
def test_precisions_do_not_hide_a_response_without_residual(formula):
    d = exact().assign(w=lambda d: 0.01 * (1.0 + d["h"]))
    d["y"] = d["crossed" if "h)" in formula else "both"]
    with pytest.raises(ExactResponseError, match=WORDS):
        interlace.fit(formula, d, weights="w")
