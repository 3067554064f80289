"""Correlated residuals and unequal variances against nlme, dense matrices and differences."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import fits
from interlace.data.request import ModelRequest
from interlace.fits import options_in_force
from interlace.results.estimates import Estimates
from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Parameter
from interlace_core.contract.hooks import hookimpl
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.covariances import Diagonal
from interlace_core.messages.errors import (
    DataError,
    FormulaError,
    NotAvailableError,
    UnsupportedModelError,
)
from interlace_core.registry.registry import Registry
from reference_fits import FOLDER, load_data

NLME = json.loads((FOLDER / "nlme_residuals.json").read_text())


def series():
    return load_data("sim_ts")


def with_gaps():
    data = series()
    group = data["g"].astype("category").cat.codes.to_numpy() + 1
    data = data[(data["t"].to_numpy(int) * 7 + group * 3) % 5 != 0].copy()
    data["w"] = 1 + data["t"].to_numpy(int) % 4
    data["half"] = np.where(data["t"].to_numpy(int) > 8, "b", "a")
    return data


MODELS = {
    "ar1_intercept": ("yg ~ x + (1 | g)", series, {"correlation": "ar1(t | g)"}),
    "ar1_gaps": ("yg ~ x + (1 | g)", with_gaps, {"correlation": "ar1(t | g)"}),
    "ar1_days": (
        "Reaction ~ Days + (1 | Subject)",
        lambda: load_data("sleepstudy"),
        {"correlation": "ar1(Days | Subject)"},
    ),
    "ar1_gls": (
        "Reaction ~ Days",
        lambda: load_data("sleepstudy"),
        {"correlation": "ar1(Days | Subject)"},
    ),
    "cs_gls": ("yg ~ x", with_gaps, {"correlation": "cs(1 | g)"}),
    "ar1_weights": (
        "yg ~ x + (1 | g)",
        with_gaps,
        {"correlation": "ar1(t | g)", "weights": "w"},
    ),
    "ar1_dispersion": (
        "yg ~ x + (1 | g)",
        with_gaps,
        {"correlation": "ar1(t | g)", "dispformula": "~ half"},
    ),
    "dispersion": ("yg ~ x + (1 | g)", with_gaps, {"dispformula": "~ half"}),
}


def fitted(name, method, **more):
    formula, data, options = MODELS[name]
    return interlace.fit(formula, data(), method=method, **options, **more)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", MODELS)
def test_fits_are_those_of_nlme(name, method):
    found, expected = fitted(name, method), NLME[name][method]
    assert found.converged
    # nlme stops a little early where a variance is next to 0
    assert expected["loglik"] - 1e-6 < found.llf < expected["loglik"] + 1e-6
    se = np.array(expected["se"])
    if name.endswith("gls") and method == "ML":
        se = se * np.sqrt((found.nobs - 2) / found.nobs)  # nlme's sigma there is the unbiased one
    np.testing.assert_allclose((found.fe_params - expected["beta"]) / se, np.zeros(2), atol=1e-3)
    np.testing.assert_allclose(found.fe_bse, se, rtol=1e-3)
    if expected["rho"]:
        rho = found.family_params["value"]["rho"]
        assert rho == pytest.approx(expected["rho"], abs=1e-4)
    if expected["ratio"]:
        assert np.exp(found.fit.psi[found.coefficients[1].place][1]) == pytest.approx(
            expected["ratio"], rel=1e-4
        )
    else:
        assert found.scale == pytest.approx(expected["sigma"] ** 2, rel=1e-3)


def dense(data, psi, found, restricted):
    """Return the criterion of a random intercept and slope with AR(1) errors, by dense matrices."""
    T = found.training.problem.terms[0].covariance.template(psi[:3])
    d0, d1, eta = psi[-3:]
    rho = np.tanh(eta / 2.0)
    n = len(data)
    X = np.column_stack([np.ones(n), data["x"]])
    same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()[None, :]
    t = data["t"].to_numpy(float)
    sd = np.exp(d0 + d1 * (data["half"] == "b").to_numpy())
    R = same * rho ** np.abs(t[:, None] - t[None, :]) * np.outer(sd, sd)
    V = same * (X @ T @ T.T @ X.T) + R
    V_inverse = np.linalg.inv(V)
    information = X.T @ V_inverse @ X
    covariance = np.linalg.inv(information)
    r = data["yg"] - X @ (covariance @ X.T @ V_inverse @ data["yg"])
    total = n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ V_inverse @ r
    if restricted:
        total += np.linalg.slogdet(information)[1] - 2 * np.log(2 * np.pi)
    return 0.5 * total, covariance, V, V_inverse @ r


@pytest.fixture(scope="module", params=["ML", "REML"])
def slopes(request):
    found = interlace.fit(
        "yg ~ x + (1 + x | g)",
        with_gaps(),
        correlation="ar1(t | g)",
        dispformula="~ half",
        method=request.param,
    )
    psi = found.fit.psi + np.array([0.2, 0.1, 0.15, 0.0, 0.0, 0.1, -0.2, 0.3])
    return found, psi


def test_criterion_and_gradient_are_those_of_dense_matrices(slopes):
    found, psi = slopes
    data, restricted = with_gaps(), found.method == "REML"
    objective = found.training.approximation.objective(found.training.problem)
    here = objective(psi)
    assert here.value == pytest.approx(dense(data, psi, found, restricted)[0], abs=1e-8)
    for i in [0, 1, 2, 5, 6, 7]:
        step = np.zeros(8)
        step[i] = 1e-5
        up, down = (dense(data, psi + sign * step, found, restricted)[0] for sign in (1, -1))
        assert here.gradient[i] == pytest.approx((up - down) / 2e-5, abs=2e-6, rel=1e-6)


def test_satterthwaites_slopes_are_those_of_the_covariance(slopes):
    found, psi = slopes
    training = found.training
    extras = training.approximation.extras(training.problem, psi)
    data = with_gaps()
    np.testing.assert_allclose(
        extras["coefficient_covariance"], dense(data, psi, found, True)[1], rtol=1e-8
    )
    for row, i in enumerate([0, 1, 2, 5, 6, 7]):
        step = np.zeros(8)
        step[i] = 1e-4
        up, down = (dense(data, psi + sign * step, found, True)[1] for sign in (1, -1))
        slope = (up - down) / 2e-4
        np.testing.assert_allclose(extras["covariance_slopes"][row], slope, atol=1e-8, rtol=1e-5)
    assert np.all(found.fe_df > 5)


def test_random_effects_are_predicted_given_correlated_errors(slopes):
    found, _ = slopes
    data = with_gaps()
    _, _, _, weighted = dense(data, found.fit.psi, found, True)
    effects = found.effects["g"]
    own = (data["g"].to_numpy() == "g03") * np.asarray(weighted)
    Z = np.column_stack([np.ones(len(data)), data["x"]])
    expected = effects.prior @ Z.T @ own
    np.testing.assert_allclose(found.random_effects["g"].loc["g03"], expected, atol=1e-6)
    # conditional covariance: G - G Z' V^-1 Z G for one group
    rows = (data["g"] == "g03").to_numpy()
    V = dense(data, found.fit.psi, found, True)[2][np.ix_(rows, rows)]
    G = effects.prior
    S = G - G @ Z[rows].T @ np.linalg.inv(V) @ Z[rows] @ G
    np.testing.assert_allclose(effects.covariance[effects.levels.index("g03")], S, atol=1e-8)


def test_autoregressive_residuals_are_random_effects_without_a_residual():
    """The same law as a term for every row; the reference fit is glmmTMB's own."""
    data = series().assign(tf=lambda d: pd.Categorical(d["t"].astype(int)))
    one = interlace.fit("yg ~ x", data, correlation="ar1(t | g)", method="ML")
    two = interlace.fit("yg ~ x + ar1(0 + tf | g)", data, method="ML")
    assert two.llf >= one.llf - 1e-6  # which adds a residual variance
    three = interlace.fit("yg ~ x", data, correlation="ar1(tf | g)", method="ML")
    assert three.llf == pytest.approx(one.llf, abs=1e-8)


def test_compound_symmetry_is_a_random_intercept_where_the_correlation_is_positive():
    data = with_gaps()
    one = interlace.fit("yg ~ x", data, correlation="cs(1 | g)")
    two = interlace.fit("yg ~ x + (1 | g)", data)
    assert one.llf == pytest.approx(two.llf, abs=1e-7)
    np.testing.assert_allclose(one.fe_params, two.fe_params, atol=1e-5)
    np.testing.assert_allclose(one.fe_bse, two.fe_bse, rtol=1e-4)
    np.testing.assert_allclose(one.fe_df, two.fe_df, rtol=1e-2)
    variance = two.effects["g"].prior[0, 0]
    assert one.scale == pytest.approx(variance + two.scale, rel=1e-3)


def test_negative_correlations_are_found():
    rng = np.random.default_rng(4)
    errors = rng.normal(size=(60, 3))
    errors = errors - 0.9 * errors.mean(axis=1, keepdims=True)
    data = pd.DataFrame({"y": errors.ravel(), "g": np.repeat(np.arange(60), 3)})
    found = interlace.fit("y ~ 1", data, correlation="cs(1 | g)")
    assert -0.5 < found.family_params["value"]["rho"] < -0.3
    assert found.converged


def test_rows_in_any_order_give_the_same_fit():
    data = with_gaps()
    shuffled = data.sample(frac=1.0, random_state=3)
    one = interlace.fit("yg ~ x + (1 | g)", data, correlation="ar1(t | g)")
    two = interlace.fit("yg ~ x + (1 | g)", shuffled, correlation="ar1(t | g)")
    assert two.llf == pytest.approx(one.llf, abs=1e-8)
    np.testing.assert_allclose(two.fittedvalues.loc[data.index], one.fittedvalues, atol=1e-4)


def test_rows_with_missing_times_are_left_out():
    data = series()
    data["t"] = data["t"].astype(float)
    data.loc[data.index[3], "t"] = np.nan
    found = interlace.fit("yg ~ x", data, correlation="ar1(t | g)")
    rest = interlace.fit("yg ~ x", data.dropna(), correlation="ar1(t | g)")
    assert found.nobs == len(data) - 1
    assert found.llf == pytest.approx(rest.llf, abs=1e-9)


def test_draws_are_correlated_as_estimated():
    data = series()
    found = interlace.fit("yg ~ x", data, correlation="ar1(t | g)", weights="tf")
    draws = found.simulate(3000, seed=2).to_numpy()
    rows = np.flatnonzero((data["g"] == "g01").to_numpy())
    t, w = data["t"].to_numpy(float)[rows], data["tf"].to_numpy(float)[rows]
    rho = found.family_params["value"]["rho"]
    sd = np.sqrt(found.scale / w)
    expected = rho ** np.abs(t[:, None] - t[None, :]) * np.outer(sd, sd)
    # a covariance of N draws has a standard error of about V sqrt(2 / N)
    tolerance = 6 * np.outer(sd, sd) * np.sqrt(2 / 3000)
    assert np.all(np.abs(np.cov(draws[rows]) - expected) < tolerance)
    other = np.flatnonzero((data["g"] == "g02").to_numpy())
    between = np.corrcoef(draws[rows[0]], draws[other[0]])[0, 1]
    assert abs(between) < 5 / np.sqrt(3000)


def test_everything_after_the_fit_works_or_is_refused_in_words(tmp_path):
    data = with_gaps()
    found = interlace.fit("yg ~ x + (1 | g)", data, correlation="ar1(t | g)", method="ML")
    text = str(found.summary())
    assert "ar1(t | g)" in text and "rho" in text
    assert "rho" in str(found.explain())
    predicted = found.predict(data.head(4), interval="confidence")
    np.testing.assert_allclose(predicted["fit"], found.fittedvalues.iloc[:4], atol=1e-10)
    assert np.all(predicted["se"] > 0)
    boot = found.bootstrap(4, seed=1)
    assert not boot.failures
    again = pickle.loads(pickle.dumps(found))
    assert again.refit(found.y).llf == pytest.approx(found.llf, abs=1e-7)
    found.save(tmp_path / "fit.interlace")
    loaded = interlace.load(tmp_path / "fit.interlace")
    np.testing.assert_array_equal(loaded.predict(data.head(4)), predicted["fit"])
    np.testing.assert_allclose(loaded.fe_df, found.fe_df)
    np.testing.assert_array_equal(loaded.simulate(1, seed=1), found.simulate(1, seed=1))
    found.save(tmp_path / "small.interlace", data=False)
    with pytest.raises(NotAvailableError):
        interlace.load(tmp_path / "small.interlace").simulate(1, seed=1)
    with pytest.raises(NotAvailableError):
        found.r_code()
    with pytest.raises(UnsupportedModelError):
        found.vcov_robust()
    plain = interlace.fit("yg ~ x + (1 | g)", data, method="ML")
    table = interlace.anova(plain, found)
    assert table["chisq"].iloc[1] == pytest.approx(2.0 * (found.llf - plain.llf))
    assert table["chi_df"].iloc[1] == 1
    # not (1 | g), which cannot be told from one correlation in all of g
    other = interlace.fit("yg ~ x + (0 + w | g)", data, correlation="cs(1 | g)", method="ML")
    assert "as many parameters" in interlace.anova(found, other)["reference"].iloc[1]
    bigger = interlace.fit(
        "yg ~ x", data, correlation="cs(1 | g)", dispformula="~ half + w", method="ML"
    )
    assert "residual correlation ar1" in interlace.anova(found, bigger)["reference"].iloc[1]
    with pytest.raises(UnsupportedModelError, match="exact"):
        found.accuracy()
    wide = found.predict(data.head(4), interval="prediction")
    half = 0.5 * (wide["upper"] - wide["lower"])
    np.testing.assert_allclose(half, 1.96 * np.sqrt(found.scale), rtol=0.1)


class Decay(ResidualCorrelation):
    """A third party's structure: exp(-d / range), at any times."""

    name = "decay"

    def parameters(self, largest):
        return (Parameter("range", LINKS["log"]),)

    def start(self, largest):
        return np.zeros(1)

    def matrix(self, times, values):
        return np.exp(-np.abs(times[:, :, None] - times[:, None, :]) / values[0])

    def slopes(self, times, values):
        d = np.abs(times[:, :, None] - times[:, None, :])
        return (d / values[0] ** 2 * self.matrix(times, values))[None]


class DecayCovariance(Diagonal):
    name = "decay"

    @classmethod
    def residuals(cls):
        return Decay


class ThirdParty:
    @hookimpl
    def interlace_covariances(self):
        return [DecayCovariance]


def test_a_third_partys_structure_is_a_full_citizen():
    registry = Registry()
    registry.register_plugin(ThirdParty(), distribution="interlace-decay", version="1")
    data = with_gaps()
    ours = interlace.fit("yg ~ x + (1 | g)", data, correlation="ar1(t | g)")
    halved = data.assign(t=data["t"] / 2.0)
    theirs = fits.fitted(
        ModelRequest("yg ~ x + (1 | g)", halved, "gaussian", correlation="decay(t | g)"),
        options_in_force(approximation="reml"),
        returns=Estimates,
        registry=registry,
    )
    assert theirs.llf == pytest.approx(ours.llf, abs=1e-7)
    reach = theirs.family_params["value"]["range"]
    assert np.exp(-0.5 / reach) == pytest.approx(ours.family_params["value"]["rho"], abs=1e-4)


def refusal(kind, data, formula="yg ~ x + (1 | g)", **options):
    with pytest.raises(kind) as caught:
        interlace.fit(formula, data, **options)
    return str(caught.value)


def test_what_cannot_be_meant_is_refused_in_words():
    data = with_gaps()
    fractions = data.assign(t=data["t"] / 2.0)
    assert "whole numbers" in refusal(DataError, fractions, correlation="ar1(t | g)")
    twice = data.assign(t=1)
    assert "once within a group" in refusal(DataError, twice, correlation="ar1(t | g)")
    assert "'tt'" in refusal(FormulaError, data, correlation="ar1(tt | g)")
    assert "such as ar1(time | subject)" in refusal(FormulaError, data, correlation="(t | g)")
    assert "random effects only" in refusal(UnsupportedModelError, data, correlation="toep(t | g)")
    assert "ar3" in refusal(LookupError, data, correlation="ar3(t | g)")
    crossed = data.assign(h=np.arange(len(data)) % 5)
    assert "several levels of 'h'" in refusal(
        UnsupportedModelError, crossed, "yg ~ x + (1 | h)", correlation="ar1(t | g)"
    )
    assert "satterthwaite" in refusal(
        UnsupportedModelError, data, correlation="ar1(t | g)", df_method="kenward-roger"
    )
    alone = data.assign(row=np.arange(len(data)))
    assert "two rows or more" in refusal(DataError, alone, correlation="ar1(t | row)")


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_coefficients_without_a_profile_say_what_serves_instead(method):
    data = with_gaps()
    call = dict(formula="yg ~ x + (1 | g)", data=data, correlation="ar1(t | g)")
    fit = interlace.fit(**call, method=method)
    with pytest.raises(NotAvailableError, match="residuals are correlated") as caught:
        fit.confint("x", method="profile")
    said = str(caught.value)
    assert "fit by maximum likelihood" not in said
    assert "hold={'x': value}" in said and '"boot"' in said
    assert fit.confint(["sd", "family"], method="profile").notna().all(axis=None)
    held = interlace.fit(**call, method="ML", hold={"x": float(fit.refit_ml().fe_params["x"])})
    assert held.llf == pytest.approx(fit.refit_ml().llf, abs=1e-6)
