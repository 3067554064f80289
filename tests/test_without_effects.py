"""Models without fixed effects, and models without random effects, by every approximation.

R: 4.2.2, lme4 1.1-31, glmmTMB 1.1.5, `glmer(cbind(incidence, size - incidence) ~ 0 + (1 | herd),
cbpp, binomial, nAGQ = 1, 9, 25)`, `glmmTMB(incidence ~ 0 + (1 | herd) [+ (1 | period)], cbpp,
poisson / nbinom2)`, `lmer(Reaction ~ 0 + (Days | Subject), sleepstudy, REML = FALSE)`; options as
by default. Both stop at gradients of about 1e-3, hence tolerances of 1e-5 in standard deviations.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp
from scipy.stats import binom, chi2, norm, poisson

import interlace
from interlace_core.messages.errors import OptionError
from interlace_families.binomial import BinomialFamily

BINOMIAL = "incidence / size ~ 0 + (1 | herd)"
APPROXIMATIONS = {
    "laplace": {},
    "nAGQ=9": {"nAGQ": 9},
    "nAGQ=0": {"nAGQ": 0},
    "agq-vector": {"approximation": "agq-vector"},
}


def cbpp():
    data = interlace.datasets.load("cbpp")
    rng = np.random.default_rng(1)
    herd = data["herd"].astype("category").cat.codes
    data["r"] = 1.5 + rng.normal(size=15)[herd] + rng.normal(size=len(data))
    data["e"] = np.exp(0.3 * data["r"])
    return data


# --- no fixed effects ---


U = np.linspace(-9.0, 9.0, 2001)
"""The trapezoidal rule of a smooth integrand that vanishes at both ends is exact to rounding."""


def integral(rows, sd, mean):
    """Return the exact log-likelihood of binomial groups."""
    total = 0.0
    for _, group in rows:
        y, m = group["incidence"].to_numpy()[:, None], group["size"].to_numpy()[:, None]
        terms = binom.logpmf(y, m, mean(sd * U)).sum(axis=0) + norm.logpdf(U)
        total += logsumexp(terms) + np.log(U[1] - U[0])
    return total


@pytest.mark.parametrize(("link", "mean"), [("logit", expit), ("probit", norm.cdf)])
def test_a_binomial_model_of_random_effects_alone_is_the_exact_integral(link, mean):
    data = cbpp()
    fitted = interlace.glmer(BINOMIAL, data, BinomialFamily(link=link), weights="size", nAGQ=25)
    (sd,), groups = fitted.theta, data.groupby("herd")
    assert fitted.llf == pytest.approx(integral(groups, sd, mean), abs=1e-6)
    best = minimize_scalar(lambda t: -integral(groups, t, mean), (0.9 * sd, sd, 1.1 * sd), tol=1e-6)
    assert sd == pytest.approx(best.x, abs=1e-4)
    assert fitted.fe_params.empty and fitted.df == 1


@pytest.mark.parametrize(
    ("options", "sd", "llf"),
    [({}, 2.2466048, -118.3749548), ({"nAGQ": 0}, 2.2466048, -118.3749548),
     ({"nAGQ": 9}, 2.2551594, None), ({"nAGQ": 25}, 2.255218, None)],
)  # fmt: skip
def test_a_binomial_model_of_random_effects_alone_is_that_of_lme4(options, sd, llf):
    fitted = interlace.glmer(BINOMIAL, cbpp(), "binomial", weights="size", **options)
    assert fitted.theta == pytest.approx([sd], abs=1e-5)
    if llf is not None:  # lme4's quadrature leaves constants out
        assert fitted.llf == pytest.approx(llf, abs=1e-6)
    assert fitted.status.startswith("optimum")


def test_counts_and_normal_responses_without_fixed_effects_are_those_of_r():
    data = cbpp()
    two = interlace.glmer("incidence ~ 0 + (1 | herd) + (1 | period)", data, "poisson")
    assert two.theta == pytest.approx([0.54347787, 0.71888262], abs=1e-5)
    assert two.llf == pytest.approx(-102.8256259, abs=1e-6)
    counts = interlace.glmer("incidence ~ 0 + (1 | herd)", data, "negativebinomial")
    assert counts.theta == pytest.approx([0.55260925], abs=1e-5)
    assert counts.llf == pytest.approx(-104.4893526, abs=1e-6)
    sleep = interlace.datasets.load("sleepstudy")
    formula = "Reaction ~ 0 + (Days | Subject)"
    for method in ("ML", "REML"):  # the same: no coefficients to restrict
        linear = interlace.fit(formula, sleep, method=method)
        assert linear.llf == pytest.approx(-916.3906822, abs=1e-6)
    assert interlace.glmer(formula, sleep, "gaussian").llf == pytest.approx(linear.llf, abs=1e-6)


AFTER = {
    "summary": lambda m, new: str(m.summary()),
    "repr": lambda m, new: repr(m),
    "predict": lambda m, new: m.predict(),
    "predict of new data": lambda m, new: m.predict(new),
    "predict of the population": lambda m, new: m.predict(new, include_re=False),
    "confint": lambda m, new: m.confint(),
    "conf_int": lambda m, new: m.conf_int(),
    "vcov": lambda m, new: m.vcov(),
    "simulate": lambda m, new: m.simulate(2, seed=1),
    "tidy": lambda m, new: m.tidy(),
    "glance": lambda m, new: m.glance(),
    "explain": lambda m, new: str(m.explain()),
    "term_tests": lambda m, new: m.term_tests(),
    "drop1": lambda m, new: m.drop1(),
    "residuals": lambda m, new: m.residuals(),
    "r2": lambda m, new: m.r2(),
    "singularity": lambda m, new: m.singularity(),
    "bootstrap": lambda m, new: m.bootstrap(n=2, seed=1),
    "refit": lambda m, new: m.refit(np.asarray(m.y)),
    "r_code": lambda m, new: m.r_code(),
}


def models(data):
    """Return models with no fixed effects by name, as functions that fit them."""
    fits = {
        name: lambda options=options: interlace.glmer(
            BINOMIAL, data, "binomial", weights="size", **options
        )
        for name, options in APPROXIMATIONS.items()
    }
    fits["gamma"] = lambda: interlace.glmer("e ~ 0 + (1 | herd)", data, "gamma")
    fits["fit"] = lambda: interlace.fit("r ~ 0 + (1 | herd)", data, method="ML")
    fits["nothing"] = lambda: interlace.glmer(
        "incidence / size ~ 0", data, "binomial", weights="size"
    )
    fits["dispersion known"] = lambda: interlace.glmer(
        "r ~ 0 + (1 | herd)", data, "gaussian", dispformula="~ 0"
    )
    fits["random effects everywhere"] = lambda: interlace.glmer(
        "incidence ~ 0 + (1 | herd)", data, "poisson", ziformula="~ 0 + (1 | herd)"
    )
    return fits


@pytest.mark.parametrize("model", models(None))
def test_everything_after_a_fit_without_fixed_effects(model, tmp_path):
    data = cbpp()
    fitted = models(data)[model]()
    failed = {}
    for name, call in AFTER.items():
        try:
            call(fitted, data.head(3))
        except Exception as error:
            failed[name] = error
    assert failed == {}
    if model != "random effects everywhere":
        fitted.confint(method="profile")
    fitted.save(tmp_path / "fit")
    again = interlace.load(tmp_path / "fit")
    assert np.array_equal(again.predict(data.head(3)), fitted.predict(data.head(3)))


def test_anova_with_and_without_fixed_effects():
    data = cbpp()
    small = interlace.glmer(BINOMIAL, data, "binomial", weights="size")
    large = interlace.glmer("incidence / size ~ 1 + (1 | herd)", data, "binomial", weights="size")
    table = interlace.anova(small, large)
    statistic = 2.0 * (large.llf - small.llf)
    assert table["pvalue"].iloc[1] == pytest.approx(chi2.sf(statistic, 1), rel=1e-10)


# --- formulas of further parameters without coefficients ---


def test_a_dispersion_without_coefficients_is_known_and_said_to_be():
    data = cbpp()
    free = interlace.glmer("r ~ 1 + (1 | herd)", data, "gaussian", dispformula="~ 0")
    fixed = interlace.glmer("r ~ 1 + (1 | herd)", data, fixed_sigma())
    assert free.llf == pytest.approx(fixed.llf, abs=1e-8)
    assert free.df == 2
    assert "sigma is fixed at 1: its formula has no coefficients" in str(free.summary())
    assert "map" in free.r_code() and "~ 0" not in free.r_code()


def fixed_sigma():
    from interlace_families.gaussian import GaussianFamily

    return GaussianFamily(sigma=1.0)


def test_zi_formula_0_is_no_zero_part():
    """As in glmmTMB; a probability of 1/2, which is what a predictor of 0 means, nobody wants."""
    data = cbpp()
    plain = interlace.glmer("incidence ~ 1 + (1 | herd)", data, "poisson")
    for text in ("~ 0", "~0", "~ -1"):
        none = interlace.glmer("incidence ~ 1 + (1 | herd)", data, "poisson", ziformula=text)
        assert none.llf == plain.llf and none.family.name == "poisson"
    with pytest.raises(OptionError, match="asks for no zero part"):
        interlace.glmer("incidence ~ 1 + (1 | herd)", data, "zeroinflated_poisson", ziformula="~ 0")


# --- no random effects ---


def grouped(n=240, seed=5):
    """Return binary rows with 12 groups, and a factor h that varies not at all."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": rng.integers(0, 12, n), "x": rng.normal(size=n)})
    eta = data["x"] + rng.normal(0, 1, 12)[data["g"]]
    data["y"] = (rng.random(n) < expit(eta)).astype(int)
    # neighbours in the order of (y, x) are spread over the levels
    order = np.lexsort((data["x"], data["y"]))
    data["h"] = np.empty(n, dtype=int)
    data.loc[order, "h"] = np.arange(n) % 15
    data["k"] = rng.poisson(np.exp(0.4 * data["x"]))
    data["r"] = data["x"] + rng.normal(size=n)
    return data


@pytest.mark.parametrize("options", APPROXIMATIONS.values(), ids=APPROXIMATIONS)
def test_a_model_without_random_effects_has_its_exact_likelihood(options):
    data = grouped()
    fitted = interlace.glmer("y ~ x", data, "binomial", **options)
    assert fitted.llf == pytest.approx(binom.logpmf(data["y"], 1, fitted.fittedvalues).sum())
    counts = interlace.glmer("k ~ x", data, "poisson", **options)
    assert counts.llf == pytest.approx(poisson.logpmf(data["k"], counts.fittedvalues).sum())
    normal = interlace.glmer("r ~ x", data, "gaussian", **options)
    X = np.column_stack([np.ones(len(data)), data["x"]])
    rest = data["r"] - X @ np.linalg.lstsq(X, data["r"], rcond=None)[0]
    sigma = np.sqrt(np.mean(rest**2))
    assert normal.llf == pytest.approx(norm.logpdf(rest, scale=sigma).sum(), abs=1e-8)
    # the coefficient's profile is there whatever nAGQ
    lower, upper = counts.confint(method="profile").loc["x", ["lower", "upper"]]
    assert lower < counts.fe_params["x"] < upper


def test_configured_quadrature_leaves_ordinary_models_alone():
    with interlace.options(nAGQ=7):
        plain = interlace.glmer("y ~ x", grouped(), "binomial")
        mixed = interlace.glmer("y ~ x + (1 | g)", grouped(), "binomial")
    assert plain.status.startswith("optimum")
    assert "quadrature" not in plain.r_code() and "nAGQ" not in plain.r_code()
    assert interlace.anova(plain, mixed)["pvalue"].iloc[1] < 0.05


@pytest.mark.parametrize("plain_nAGQ", [0, 1, 9])
@pytest.mark.parametrize("options", APPROXIMATIONS.values(), ids=APPROXIMATIONS)
def test_a_variance_is_tested_whatever_the_approximations(options, plain_nAGQ):
    data = grouped()
    plain = interlace.glmer("y ~ x", data, "binomial", nAGQ=plain_nAGQ)
    mixed = interlace.glmer("y ~ x + (1 | g)", data, "binomial", **options)
    for table in (interlace.anova(plain, mixed), interlace.anova(mixed, plain)):
        row = table.iloc[1]
        statistic = 2.0 * (mixed.llf - plain.llf)
        assert row["chisq"] == pytest.approx(statistic)
        assert row["pvalue"] == pytest.approx(0.5 * chi2.sf(statistic, 1), rel=1e-10)
        assert row["reference"].startswith("half chi2(0), half chi2(1)")


def test_weights_of_two_meanings_are_not_compared():
    """Precisions in `fit`, multipliers of the log-density in `glmer`."""
    data = grouped().assign(w=lambda d: 1.0 + d["g"] % 3)
    plain = interlace.fit("r ~ x", data, weights="w", method="ML")
    mixed = interlace.glmer("r ~ x + (1 | g)", data, "gaussian", weights="w")
    with pytest.raises(OptionError, match="approximated differently"):
        interlace.anova(plain, mixed)
    plain = interlace.fit("r ~ x", data, method="ML")
    mixed = interlace.glmer("r ~ x + (1 | g)", data, "gaussian")
    statistic = max(2.0 * (mixed.llf - plain.llf), 0.0)
    found = interlace.anova(plain, mixed)["chisq"].iloc[1]
    assert found == pytest.approx(statistic, abs=1e-6)


def test_mixed_models_by_different_approximations_are_still_refused():
    data = grouped()
    one = interlace.glmer("y ~ 1 + (1 | g)", data, "binomial")
    other = interlace.glmer("y ~ x + (1 | g)", data, "binomial", nAGQ=9)
    with pytest.raises(OptionError, match="approximated differently"):
        interlace.anova(one, other)


@pytest.mark.parametrize("options", APPROXIMATIONS.values(), ids=APPROXIMATIONS)
def test_singularity_of_a_variance_at_0(options):
    data = grouped()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = interlace.glmer("y ~ x + (1 | h)", data, "binomial", **options)
    assert fitted.status.startswith("boundary")
    plain = interlace.glmer("y ~ x", data, "binomial")
    (row,) = fitted.singularity().to_dict("records")
    assert row["loglik"] == pytest.approx(plain.llf, abs=1e-6)
    assert row["df"] == 2


def test_clmm_without_groups_by_quadrature():
    data = grouped().assign(c=lambda d: np.digitize(d["r"], [-1.0, 0.0, 1.0]))
    plain, by_nodes = (interlace.clmm("c ~ x", data, nAGQ=n) for n in (1, 9))
    assert by_nodes.llf == pytest.approx(plain.llf, abs=1e-9)
    mixed = interlace.clmm("c ~ x + (1 | g)", data, nAGQ=9)
    assert np.isfinite(interlace.anova(plain, mixed)["pvalue"].iloc[1])
