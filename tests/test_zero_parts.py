"""Parts for zeros beside families of any kind: fits of R, the kit, factorisation, what is refused.

The fits are those of glmmTMB (of a lognormal: of its two factors), each checked there against own
code in R or the sum of two fits (`extras.checks` of each).
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit

import interlace
from interlace.components import composed
from interlace_core.contract import LINKS, Family, Parameter, Response, hookimpl
from interlace_core.families import require
from interlace_core.messages.errors import (
    InterlaceWarning,
    OptionError,
    ResponseError,
    UnsupportedModelError,
)
from interlace_core.registry.registry import Registry, default_registry
from interlace_core.testing import family_checks
from interlace_counts.zeros.compositions import Hurdle, ZeroInflated
from interlace_counts.zeros.truncated import ZeroTruncated
from reference_fits import FOLDER, load_data

FITS = sorted(path.stem for path in (FOLDER / "zeros").glob("*.json"))
FAMILIES = {"Gamma": "gamma", "hurdle_lognormal": "lognormal"}
"""Names here of the families in them; the others are the same."""

TOL_LOGLIK = 1e-5
TOL_COEFFICIENT = 2e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-3
"""Relative; both sides use finite differences of the gradient for the Hessian."""
TOL_MEAN = 1e-4
"""Relative."""
NUMBERS = 10
"""As many rows are in the references' predictions."""


@dataclass(frozen=True)
class Weibull(Family):
    """A third party's family: positive numbers with mean mu and shape k."""

    name = "weibull"
    support = "positive"

    k: float | None = None

    @property
    def parameters(self):
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("k", LINKS["log"], self.k, role="dispersion"),
        )

    def check_response(self, y, weights):
        require(self, y > 0, y, "positive numbers")
        return Response(y, weights)

    def log_density(self, y, eta):
        from scipy.special import gammaln

        k = np.exp(eta[1])
        z = np.log(y) - eta[0] + gammaln(1.0 + 1.0 / k)
        return eta[1] + k * z - np.exp(k * z) - np.log(y)

    def mean(self, eta):
        return np.exp(eta[0])


def family(name, **options):
    return default_registry().family(name)(**options)


def load(fit_id):
    return json.loads((FOLDER / "zeros" / f"{fit_id}.json").read_text())


def refit(reference):
    zero = reference["zi_formula"]
    name = FAMILIES.get(reference["family"], reference["family"])
    return interlace.glmer(
        reference["formula"],
        load_data("sim_zi"),
        name,
        ziformula=None if zero in (None, "~0") else zero,
    )


@pytest.fixture(scope="module")
def fits():
    return {fit_id: refit(load(fit_id)) for fit_id in FITS}


def by_r_name(values):
    return {name.replace("Intercept", "(Intercept)"): float(x) for name, x in values.items()}


@pytest.mark.parametrize("fit_id", FITS)
def test_a_fit_agrees_with_the_reference(fits, fit_id):
    ours, reference = fits[fit_id], load(fit_id)
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    assert (ours.nobs, ours.df) == (reference["n"], reference["df"])
    for kind, role in (("", "mean"), ("zi_", "zero"), ("disp_", "dispersion")):
        if not reference.get(f"{kind}fixef") or (kind == "disp_" and "lognormal" in fit_id):
            continue
        estimates, errors = (
            by_r_name(found) for found in (ours.params_of(role), ours.bse_of(role))
        )
        for name, se in reference[f"{kind}se"].items():
            wanted = reference[f"{kind}fixef"][name]
            if "lognormal" in fit_id and not kind and name == "(Intercept)":
                continue  # the mean of log(y), where ours is log(mean): see below
            assert estimates[name] == pytest.approx(wanted, abs=TOL_COEFFICIENT * se), name
            assert errors[name] == pytest.approx(se, rel=TOL_STANDARD_ERROR), name
    own = reference["varcor"]["g"]["cov"][0][0]
    zero = (reference.get("zi_varcor") or {}).get("g", {}).get("cov", [[]])[0]
    found = ours.effects["g"].prior
    assert np.diag(found) == pytest.approx([own, *zero], rel=5e-3)


WITH_MEANS = [fit_id for fit_id in FITS if load(fit_id).get("fitted_head")]


@pytest.mark.parametrize("fit_id", WITH_MEANS)
def test_predictions_agree_with_the_reference(fits, fit_id):
    ours, reference = fits[fit_id], load(fit_id)
    rows = load_data("sim_zi").head(NUMBERS)
    wanted = {"response": "fitted_head", "mean": "predict_conditional_head"}
    wanted |= {"zero": "predict_zprob_head"}
    for kind, key in wanted.items():
        if reference.get(key):
            found = ours.predict(rows, type=kind).to_numpy()
            assert found == pytest.approx(reference[key][:NUMBERS], rel=TOL_MEAN), kind
    if not reference.get("zi_varcor"):  # glmmTMB 1.1.5 leaves those in its population mean
        found = ours.predict(rows, include_re=False).to_numpy()
        assert found == pytest.approx(reference["predict_pop_head"][:NUMBERS], rel=TOL_MEAN)


def test_a_lognormal_hurdle_is_its_two_factors(fits):
    """In R's coordinates: the mean of log(y) is log(mu) - sigma^2 / 2."""
    ours, reference = fits["zi_lognormal_fact"], load("zi_lognormal_fact")
    sigma = ours.family_params.loc["sigma", "value"]
    assert sigma == pytest.approx(reference["sigma_or_dispersion"], rel=1e-5)
    moved = ours.fe_params["Intercept"] - 0.5 * sigma**2
    assert moved == pytest.approx(reference["fixef"]["(Intercept)"], abs=1e-5)


FACTORS = ["gamma", "inverse_gaussian", "lognormal", "lognormal_sd", Weibull]


@pytest.mark.parametrize("positive", FACTORS)
def test_a_hurdle_is_the_sum_of_two_fits(positive):
    """Zero or not, and the positive rows: likelihoods multiply, and coefficients are the same."""
    data = load_data("sim_zi")
    data["zero"] = (data["ygam"] == 0).astype(float)
    both = interlace.glmer("ygam ~ x + (1 | g)", data, positive, ziformula="~ x")
    others = interlace.glmer("ygam ~ x + (1 | g)", data[data["ygam"] > 0], positive)
    zero = interlace.glmer("zero ~ x", data, "binomial")
    assert both.llf == pytest.approx(others.llf + zero.llf, abs=1e-6)
    assert both.params_of("zero").to_numpy() == pytest.approx(zero.fe_params.to_numpy(), abs=1e-5)
    assert both.fe_params.to_numpy() == pytest.approx(others.fe_params.to_numpy(), abs=1e-4)


OVERDISPERSED = {"phi": (0.1, 1.2)}
KIT = [
    (Hurdle(family("gamma")), {}),
    (Hurdle(family("inverse_gaussian")), {"ranges": {"mu": (-0.5, 0.5)}}),
    (Hurdle(family("lognormal")), {"ranges": {"sigma": (-0.7, 0.0)}}),
    (Hurdle(family("beta")), {}),
    (Hurdle(family("gaussian")), {}),
    (Hurdle(Weibull()), {"ranges": {"k": (0.0, 1.0)}, "extreme_etas": (3.0,)}),
    (Hurdle(family("negativebinomial")), {}),
    (ZeroInflated(family("binomial")), {}),
    (ZeroInflated(family("binomial", link="cloglog")), {}),
    (ZeroInflated(family("betabinomial")), {}),
    (Hurdle(family("binomial")), {}),
    (Hurdle(family("binomial", link="probit")), {}),
    (Hurdle(family("betabinomial")), {"extreme_etas": (3.0,)}),
    (ZeroTruncated(family("binomial")), {}),
    (ZeroTruncated(family("betabinomial")), {"extreme_etas": (3.0,)}),
    (ZeroInflated(family("tweedie")), {}),
    (ZeroInflated(family("poisson")), {}),
    (ZeroTruncated(family("genpois")), {"ranges": OVERDISPERSED}),
]
CHECKS = [each for made, options in KIT for each in family_checks(made, **options)]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()


def of_law(made, eta, y):
    columns = [np.full(len(y), value) for value in eta]
    return np.exp(made.log_density(y, columns)), made.cdf(y, columns), columns


def test_a_hurdle_of_a_real_response_is_normal_beside_its_zeros():
    made, y = Hurdle(family("gaussian")), np.array([-2.0, -0.5, 0.0, 0.7])
    law = stats.norm(0.4, 1.5)
    density, F, columns = of_law(made, [0.4, np.log(1.5), 0.0], y)
    assert density == pytest.approx(np.where(y == 0, 0.5, 0.5 * law.pdf(y)), rel=1e-12)
    assert F == pytest.approx(0.5 * law.cdf(y) + 0.5 * (y >= 0), rel=1e-12)
    assert made.mean(columns) == pytest.approx(0.2)
    assert made.variance(columns) == pytest.approx(0.5 * (1.5**2 + 0.4**2) - 0.2**2)


def test_a_zero_inflated_binomial_adds_rows_without_successes():
    s, n, pi, mu = np.arange(8.0), 7.0, 0.3, 0.4
    y = np.column_stack([s, np.full(8, n)])
    made = ZeroInflated(family("binomial")).bind(y)
    density, F, columns = of_law(made, [np.log(mu / (1 - mu)), np.log(pi / (1 - pi))], y)
    pmf = pi * (s == 0) + (1 - pi) * stats.binom(n, mu).pmf(s)
    assert density == pytest.approx(pmf, rel=1e-12)
    assert F == pytest.approx(np.cumsum(pmf), rel=1e-12)
    share = s / n
    assert made.mean(columns) == pytest.approx(pmf @ share)
    assert made.variance(columns) == pytest.approx(pmf @ share**2 - (pmf @ share) ** 2)


@pytest.mark.parametrize(
    ("base", "law"),
    [
        ("binomial", lambda n: stats.binom(n, 0.4)),
        ("betabinomial", lambda n: stats.betabinom(n, 0.4 * 3.0, 0.6 * 3.0)),
    ],
)
def test_a_hurdle_of_successes_has_the_law_given_one(base, law):
    pi, trials = 0.3, 7.0
    s = np.arange(8.0)
    y = np.column_stack([s, np.full(8, trials)])
    made = Hurdle(family(base)).bind(y)
    inner = [np.log(0.4 / 0.6)] + [np.log(3.0)] * (base == "betabinomial")
    density, F, columns = of_law(made, [*inner, np.log(pi / (1 - pi))], y)
    pmf = law(trials).pmf(s) / (1 - law(trials).pmf(0))
    pmf = np.where(s == 0, pi, (1 - pi) * pmf)
    assert density == pytest.approx(pmf, rel=1e-11)
    assert F == pytest.approx(np.cumsum(pmf), rel=1e-11)
    share = s / trials
    assert made.mean(columns) == pytest.approx(pmf @ share)
    assert made.variance(columns) == pytest.approx(pmf @ share**2 - (pmf @ share) ** 2)


def successes(seed=3, groups=25, each=8):
    """Successes of 1 to 8 trials, more than one by rejection, or none with a chance of its own."""
    rng = np.random.default_rng(seed)
    n = groups * each
    data = pd.DataFrame({"g": np.repeat(np.arange(groups), each), "x": rng.normal(size=n)})
    data["n"] = rng.integers(1, 9, n)
    mu = expit(-0.6 + 0.7 * data["x"] + 0.8 * rng.normal(size=groups)[data["g"]])
    s = np.zeros(n)
    while np.any(s == 0):
        s = np.where(s == 0, rng.binomial(data["n"], mu), s)
    data["s"] = np.where(rng.random(n) < 0.4, 0.0, s)
    data["f"] = data["n"] - data["s"]
    return data


def test_a_hurdle_binomial_by_quadrature_is_its_integral():
    """Against adaptive integration over each group's effect, which shares no code with the fit."""
    data = successes()
    fit = interlace.glmer(
        "cbind(s, f) ~ x + (1 | g)", data, "hurdle_binomial", ziformula="~ x", nAGQ=25
    )
    assert fit.converged
    beta, sd = fit.fe_params.to_numpy(), float(np.sqrt(fit.effects["g"].prior[0, 0]))
    zero = fit.params_of("zero").to_numpy()
    total = 0.0
    for _, rows in data.groupby("g"):
        s, n, x = (rows[name].to_numpy(float) for name in ("s", "n", "x"))
        pi = expit(zero[0] + zero[1] * x)

        def joint(b, s=s, n=n, x=x, pi=pi):
            law = stats.binom(n, expit(beta[0] + beta[1] * x + b))
            given = law.pmf(s) / (1 - law.pmf(0))
            return np.prod(np.where(s == 0, pi, (1 - pi) * given)) * stats.norm.pdf(b, 0, sd)

        found = integrate.quad(joint, -8 * sd, 8 * sd, epsabs=0, epsrel=1e-10, limit=200)[0]
        total += np.log(found)
    assert fit.llf == pytest.approx(total, abs=1e-6)
    by_family = interlace.glmer(
        "cbind(s, f) ~ x + (1 | g)", data, "truncated_binomial", ziformula="~ x", nAGQ=25
    )
    assert by_family.llf == pytest.approx(fit.llf, abs=1e-9)


def test_the_mean_of_new_rows_needs_their_trials(tmp_path):
    data = successes(groups=10)
    fit = interlace.glmer("cbind(s, f) ~ x", data, "hurdle_binomial")
    rows = data.head(4)
    with pytest.raises(OptionError, match="number of trials"):
        fit.predict(rows)
    found = fit.predict(rows, weights=rows["n"]).to_numpy()
    assert found == pytest.approx(fit.predict().to_numpy()[:4], rel=1e-12)
    assert not np.allclose(found, fit.predict(rows, weights=rows["n"] + 1))
    assert fit.predict(rows, type="zero").notna().all()
    path = tmp_path / "hurdle.fit"
    fit.save(path)
    again = interlace.load(path).predict(rows, weights=rows["n"]).to_numpy()
    assert again == pytest.approx(found, rel=1e-12)


def test_compositions_are_asked_for_by_name():
    data = successes(groups=10)
    data["y"] = np.where(data["s"] > 0, data["x"] ** 2 + 0.1, 0.0)
    by_name = interlace.glmer("y ~ x", data, "hurdle_gamma")
    by_formula = interlace.glmer("y ~ x", data, "gamma", ziformula="~ 1")
    assert by_name.llf == pytest.approx(by_formula.llf, abs=1e-9)
    with pytest.raises(UnsupportedModelError, match="These can: .*binomial"):
        interlace.glmer("y ~ x", data, "truncated_gamma")
    with pytest.raises(ResponseError, match="at least one success"):
        interlace.glmer("cbind(s, f) ~ x", data, "truncated_binomial")
    with pytest.raises(ResponseError, match="at least one trial"):
        none = data.assign(f=np.where(data["s"] == 0, 0.0, data["f"]))
        interlace.glmer("cbind(s, f) ~ x", none, "hurdle_binomial")


def test_a_zero_inflated_binomial_by_quadrature_is_its_integral():
    """Against adaptive integration over each group's effect, which shares no code with the fit."""
    data = load_data("sim_zi")
    fit = interlace.glmer(
        "yzib / n ~ x + (1 | g)", data, "binomial", weights="n", ziformula="~ 1", nAGQ=25
    )
    beta, sd = fit.fe_params.to_numpy(), float(np.sqrt(fit.effects["g"].prior[0, 0]))
    pi = expit(fit.params_of("zero").to_numpy()[0])
    total = 0.0
    for _, rows in data.groupby("g", observed=True):
        y, n, x = (rows[name].to_numpy(float) for name in ("yzib", "n", "x"))

        def joint(b, y=y, n=n, x=x):
            pmf = (1 - pi) * stats.binom.pmf(y, n, expit(beta[0] + beta[1] * x + b)) + pi * (y == 0)
            return np.prod(pmf) * stats.norm.pdf(b, 0, sd)

        total += np.log(
            integrate.quad(joint, -8 * sd, 8 * sd, epsabs=0, epsrel=1e-10, limit=200)[0]
        )
    assert fit.llf == pytest.approx(total, abs=1e-6)


def test_weights_are_trials_of_a_proportion_and_multiply_a_pair():
    data = load_data("sim_zi")
    data["share"] = data["yzib"] / data["n"]
    shares = interlace.glmer("share ~ x", data, "binomial", weights="n", ziformula="~ 1")
    pairs = interlace.glmer("cbind(yzib, n - yzib) ~ x", data, "binomial", ziformula="~ 1")
    assert shares.llf == pytest.approx(pairs.llf, abs=1e-8)


@pytest.mark.parametrize("fit_id", ["zi_gamma_tmb", "zi_binom_tmb", "zi_beta_tmb"])
def test_simulated_rows_and_residuals_follow_the_model(fits, fit_id):
    fit = fits[fit_id]
    draws = fit.simulate(200, seed=3)
    values = np.asarray(draws, float)
    observed = fit.fittedvalues.to_numpy()
    zero = fit.predict(type="zero").to_numpy()
    values = values if values.shape[0] == observed.size else values.T
    values = values.reshape(observed.size, -1)
    if fit_id == "zi_binom_tmb":
        assert np.mean(values == 0) > np.mean(zero)
    else:
        assert np.mean(values == 0) == pytest.approx(np.mean(zero), abs=0.01)
    residuals = fit.residuals("quantile", seed=1).to_numpy()
    assert np.all(np.isfinite(residuals))
    assert stats.kstest(residuals, "norm").pvalue > 1e-3
    for kind in ("response", "pearson", "deviance"):
        assert np.all(np.isfinite(fit.residuals(kind).to_numpy())), kind


@pytest.mark.parametrize("fit_id", ["zi_gamma_tmb", "zi_betabinom_tmb", "trunc_compois_tmb"])
def test_a_saved_fit_comes_back(fits, fit_id, tmp_path):
    fit = fits[fit_id]
    fit.save(tmp_path / "fit.json")
    back = interlace.load(tmp_path / "fit.json")
    assert back.family.name == fit.family.name
    rows = load_data("sim_zi").head(NUMBERS)
    assert back.predict(rows).to_numpy() == pytest.approx(fit.predict(rows).to_numpy(), rel=1e-12)


def test_words_of_a_hurdle_name_its_parts(fits):
    text = str(fits["zi_gamma_tmb"].explain())
    assert "hurdle_gamma" in text
    assert "the mean of the part beside the zeros" in text
    assert "the odds of pi" in text


def test_columns_that_separate_the_zeros_are_named():
    data = load_data("sim_zi")
    data["late"] = (data["x"] > 1.0).astype(float)
    data.loc[data["late"] == 1, "ygam"] += 0.5
    with pytest.warns(InterlaceWarning, match="zeros of the response"):
        interlace.glmer("ygam ~ x + (1 | g)", data, "gamma", ziformula="~ late")


class TestRefusals:
    def test_a_family_that_can_have_none_is_told_which_can(self):
        data = load_data("sim_zi")
        data["grade"] = pd.Categorical(np.where(data["x"] > 0, "b", "a"), ordered=True)
        with pytest.raises(UnsupportedModelError, match="ziformula: expected.*gamma.*poisson"):
            interlace.glmer("grade ~ x + (1 | g)", data, "cumulative", ziformula="~ 1")

    def test_a_support_that_is_not_declared(self):
        class Silent(Weibull):
            support = ""

        with pytest.raises(
            UnsupportedModelError, match="of no declared kind.*declares its support"
        ):
            interlace.glmer("ygam ~ x", load_data("sim_zi"), Silent, ziformula="~ 1")

    def test_a_negative_response_in_the_users_row(self):
        data = load_data("sim_zi")
        data.loc[7, "ygam"] = -1.0
        with pytest.raises(ResponseError, match="hurdle_gamma.*numbers of at least 0.*-1"):
            interlace.glmer("ygam ~ x", data, "gamma", ziformula="~ 1")

    def test_a_one_beside_zeros_of_a_proportion(self):
        data = load_data("sim_zi")
        data.loc[7, "ybeta"] = 1.0
        with pytest.raises(ResponseError, match="hurdle_beta.*below 1.*got 1 "):
            interlace.glmer("ybeta ~ x", data, "beta", ziformula="~ 1")

    def test_a_base_of_the_wrong_kind(self):
        with pytest.raises(OptionError, match="ZeroInflated: expected.*'positive'"):
            ZeroInflated(family("gamma"))
        with pytest.raises(OptionError, match="without a zero part"):
            Hurdle(Hurdle(family("gamma")))

    def test_zeros_without_a_zero_part_point_to_it(self):
        with pytest.raises(ResponseError, match="ziformula"):
            interlace.glmer("ygam ~ x", load_data("sim_zi"), "gamma")


@dataclass(frozen=True)
class Own(Hurdle):
    """A third party's composition, for its own family alone."""

    name = "own"
    prefix = "own"

    @classmethod
    def of(cls, base):
        return cls(base) if isinstance(base, Weibull) else None


class Plugin:
    """What a third party's distribution hands over."""

    @hookimpl
    def interlace_families(self):
        return [Weibull]

    @hookimpl
    def interlace_compositions(self):
        return [Own]


def test_a_distributions_own_composition_goes_first():
    registry = Registry()
    registry.register_plugin(Plugin(), distribution="third-party", name="plugin")
    assert composed(Weibull(), "zero", registry).name == "own_weibull"
    assert composed(Silenced(), "zero", registry).name == "hurdle_silenced"


class Silenced(family("gamma").__class__):
    """Of no distribution that has compositions."""

    name = "silenced"
