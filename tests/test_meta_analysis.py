"""Known sampling variances: metafor's fits, and its I squared, Q and intervals in closed form."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import ndtri
from scipy.stats import chi2
from scipy.stats import t as t_distribution

import interlace
from interlace import datasets
from interlace_core.messages.errors import (
    DataError,
    NotAvailableError,
    OptionError,
    UnsupportedModelError,
)
from reference_fits import load_data, load_fit

BCG = load_data("meta_bcg")
FORMULAS = {
    "meta_bcg_ml": "yi ~ 1 + (1 | trial)",
    "meta_bcg_reml": "yi ~ 1 + (1 | trial)",
    "meta_bcg_mods_ml": "yi ~ ablat + (1 | trial)",
    "meta_bcg_mods_reml": "yi ~ ablat + alloc + (1 | trial)",
    "meta_school_3level_mods_ml": "yi ~ I(year - 1990) + (1 | district/school)",
    "meta_school_3level_reml": "yi ~ 1 + (1 | district/school)",
}


def fit(fit_id, **options):
    reference = load_fit(fit_id)
    method = "REML" if reference["REML"] else "ML"
    data = load_data(reference["dataset"])
    found = interlace.fit(FORMULAS[fit_id], data, method=method, known_variance="vi", **options)
    return found, reference


@pytest.mark.parametrize("fit_id", FORMULAS)
def test_fits_agree_with_metafor(fit_id):
    ours, reference = fit(fit_id)
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-5)
    assert ours.df == reference["df"]
    se = np.array(list(reference["se"].values()))
    assert ours.fe_params.to_numpy() == pytest.approx(
        np.array(list(reference["fixef"].values())), abs=2e-3 * se.min()
    )
    assert ours.fe_bse.to_numpy() == pytest.approx(se, rel=1e-5)
    variances = [np.ravel(each["cov"])[0] for each in reference["varcor"].values()]
    assert list(ours.variance_components.values()) == pytest.approx(variances, rel=5e-3)


@pytest.mark.parametrize("fit_id", ["meta_bcg_ml", "meta_school_3level_mods_ml"])
def test_laplace_of_a_normal_response_is_the_same(fit_id):
    reference = load_fit(fit_id)
    data = load_data(reference["dataset"])
    ours = interlace.glmer(FORMULAS[fit_id], data, "gaussian", known_variance="vi")
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert ours.df == reference["df"]


def sampling_covariance():
    data = load_data("meta_berkey")
    V = np.zeros((10, 10))
    for i in range(0, 10, 2):
        V[i : i + 2, i : i + 2] = data[["v1i", "v2i"]].to_numpy()[i : i + 2]
    return data, V


def test_known_covariances_within_studies():
    reference = load_fit("meta_berkey_us_ml")
    data, V = sampling_covariance()
    model = "yi ~ 0 + outcome + (0 + outcome | trial)"
    ours = interlace.fit(model, data, method="ML", known_variance=V)
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert ours.df == 5
    expected = np.array(reference["varcor"]["trial"]["cov"])
    assert ours.variance_components["trial"].to_numpy() == pytest.approx(expected, rel=1e-3)
    order = np.random.default_rng(1).permutation(10)
    other = interlace.fit(
        model, data.iloc[order], method="ML", known_variance=V[np.ix_(order, order)]
    )
    assert other.llf == pytest.approx(ours.llf, abs=1e-8)
    missing = data.assign(yi=data["yi"].where(data.index != 3))
    fewer = interlace.fit(model, missing, method="ML", known_variance=V)
    rest = [0, 1, 2, *range(4, 10)]
    same = interlace.fit(model, data.iloc[rest], method="ML", known_variance=V[np.ix_(rest, rest)])
    assert fewer.llf == pytest.approx(same.llf, abs=1e-8)


def restricted_tau2(y, v):
    """Return tau^2 that is highest in the restricted likelihood of `y_i ~ N(mu, v_i + tau^2)`."""

    def deviance(log_tau2):
        w = 1.0 / (v + np.exp(log_tau2))
        mu = np.sum(w * y) / np.sum(w)
        return -np.sum(np.log(w)) + np.log(np.sum(w)) + np.sum(w * (y - mu) ** 2)

    found = minimize_scalar(
        deviance, bounds=(-8.0, 3.0), method="bounded", options={"xatol": 1e-11}
    )
    return np.exp(found.x)


def test_heterogeneity_is_that_of_higgins_and_thompson():
    """Their 2002 paper's equations (2), (9) and (10), from sums over the trials alone."""
    ours, _ = fit("meta_bcg_reml")
    found = ours.heterogeneity()
    y, v = BCG["yi"].to_numpy(), BCG["vi"].to_numpy()
    w, k = 1.0 / v, len(BCG)
    Q = np.sum(w * y**2) - np.sum(w * y) ** 2 / np.sum(w)
    typical = (k - 1) * np.sum(w) / (np.sum(w) ** 2 - np.sum(w**2))
    tau2 = restricted_tau2(y, v)
    assert ours.variance_components["trial"] == pytest.approx(tau2, rel=1e-5)
    assert found.I2 == pytest.approx(tau2 / (tau2 + typical), rel=1e-5)
    assert found.H2 == pytest.approx((tau2 + typical) / typical, rel=1e-5)
    assert found.Q == pytest.approx(Q, rel=1e-10)
    assert found.df == k - 1
    assert found.pvalue == pytest.approx(chi2.sf(Q, k - 1), rel=1e-8)
    assert found.typical_variance == pytest.approx(typical, rel=1e-10)
    assert "I2" in str(found)


def test_known_covariances_enter_the_test_of_heterogeneity():
    data, V = sampling_covariance()
    ours = interlace.fit("yi ~ 0 + outcome + (1 | trial)", data, known_variance=V)
    W, X = np.linalg.inv(V), np.column_stack([data["outcome"] == "AL", data["outcome"] == "PD"])
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    found = ours.heterogeneity()
    assert found.Q == pytest.approx(data["yi"] @ P @ data["yi"], rel=1e-8)
    assert found.typical_variance == pytest.approx(8 / np.trace(P), rel=1e-8)


def test_levels_share_the_total():
    ours, _ = fit("meta_school_3level_reml")
    table = ours.heterogeneity().table
    assert table["I2"].iloc[:-1].sum() == pytest.approx(table["I2"].iloc[-1])
    assert list(table.index) == ["1 | district", "1 | district:school", "total"]


def test_prediction_intervals():
    """mu +- z (tau^2 + se^2)^(1/2), Riley, Higgins & Deeks 2011; 1 / se^2 the sum of weights."""
    ours, _ = fit("meta_bcg_reml")
    row = ours.prediction_interval().iloc[0]
    y, v = BCG["yi"].to_numpy(), BCG["vi"].to_numpy()
    tau2, z = restricted_tau2(y, v), ndtri(0.975)
    w = 1.0 / (v + tau2)
    mu, se2 = np.sum(w * y) / np.sum(w), 1.0 / np.sum(w)
    confidence, whole = z * np.sqrt(se2), z * np.sqrt(tau2 + se2)
    assert row[["conf.low", "conf.high"]].tolist() == pytest.approx(
        [mu - confidence, mu + confidence], abs=1e-6
    )
    assert row[["pred.low", "pred.high"]].tolist() == pytest.approx(
        [mu - whole, mu + whole], abs=1e-6
    )
    t = t_distribution.ppf(0.975, 11) / z
    wider = ours.prediction_interval(df=11).iloc[0]
    assert wider["pred.low"] == pytest.approx(mu - t * whole, abs=1e-6)
    assert ours.prediction_interval(df=11).iloc[0]["pred.low"] < row["pred.low"]
    mods, _ = fit("meta_bcg_mods_ml")
    new = mods.prediction_interval({"ablat": [10.0, 50.0]}, level=0.9)
    X = np.array([[1.0, 10.0], [1.0, 50.0]])
    V = mods.vcov().to_numpy()[-2:, -2:]
    se = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
    assert new["estimate"].to_numpy() == pytest.approx(X @ mods.fe_params.to_numpy())
    half = (new["conf.high"] - new["estimate"]).to_numpy()
    assert half == pytest.approx(ndtri(0.95) * se, rel=1e-6)
    assert mods.predict({"ablat": [10.0]}, include_re=False).iloc[0] == pytest.approx(
        new["estimate"].iloc[0]
    )


@pytest.mark.parametrize(
    ("given", "options", "error", "words"),
    [
        ("yi", {}, DataError, "positive numbers"),
        (np.ones(3), {}, DataError, "13"),
        (np.ones((3, 3)), {}, DataError, "shape"),
        ("vi", {"weights": "vi"}, OptionError, "leave out weights"),
        ("vi", {"dispformula": "~ ablat"}, OptionError, "formula too"),
        ("vi", {"hold": {"sigma": 1.0}}, OptionError, "leave out sigma"),
        (np.ones((13, 13)), {}, DataError, "positive definite"),
    ],
)
def test_mistakes_are_named(given, options, error, words):
    with pytest.raises(error, match=words):
        interlace.fit("yi ~ 1 + (1 | trial)", BCG, known_variance=given, **options)


def test_what_has_no_residual_variance_takes_none():
    with pytest.raises(UnsupportedModelError, match="normal response"):
        interlace.glmer(
            "r ~ 1 + (1 | trial)", BCG.assign(r=np.arange(13)), "poisson", known_variance="vi"
        )
    plain = interlace.fit("yi ~ ablat + (1 | alloc)", BCG)
    with pytest.raises(NotAvailableError, match="known_variance"):
        plain.heterogeneity()


def test_heterogeneity_shows_itself():
    m = interlace.fit("yi ~ 1 + (1 | trial)", datasets.load("meta_bcg"), known_variance="vi")
    found = m.heterogeneity()
    assert repr(found) == str(found) and len(repr(found).splitlines()) == 5
    html = found._repr_html_()
    assert "<caption>Variances between studies</caption>" in html and f"{found.I2:.5f}" in html


def studies():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 3), "x": rng.normal(size=36)})
    data["v"] = rng.uniform(0.2, 2.0, size=36)
    mean = 1.0 + 0.5 * data["x"] + 0.7 * rng.normal(size=12)[data["g"]]
    data["y"] = mean + np.sqrt(data["v"]) * rng.normal(size=36)
    return data


NEW = pd.DataFrame({"g": [0, 1, 2], "x": [0.0, 1.0, -1.0], "v": [0.01, 1.0, 9.0]})


@pytest.mark.parametrize("call", ["fit", "glmer"])
@pytest.mark.parametrize("given", ["v", "2 * `v` / 2"])
def test_prediction_intervals_of_new_rows_take_their_known_variance(call, given, tmp_path):
    """Normal with the variance of the predictor and the error; quantiles of 20000 draws to 3%."""
    if call == "fit":
        m = interlace.fit("y ~ x + (1 | g)", studies(), known_variance=given)
    else:
        m = interlace.glmer("y ~ x + (1 | g)", studies(), "gaussian", known_variance=given)
    m.save(tmp_path / "known.interlace")
    for each in (m, interlace.load(tmp_path / "known.interlace")):
        found = each.predict(NEW, interval="prediction", n_sim=20000, seed=1)
        half = 1.959964 * np.sqrt(found["se"] ** 2 + NEW["v"])
        assert (found["upper"] - found["fit"]).to_numpy() == pytest.approx(half, rel=0.03)
        assert (found["fit"] - found["lower"]).to_numpy() == pytest.approx(half, rel=0.03)
    means = m.predict(NEW.drop(columns="v"), interval="confidence")
    assert means.notna().all(axis=None)


def test_prediction_intervals_of_new_rows_need_a_known_variance():
    data = studies()
    m = interlace.fit("y ~ x + (1 | g)", data, known_variance="v")
    with pytest.raises(DataError, match="no column 'v'. Add it to newdata"):
        m.predict(NEW.drop(columns="v"), interval="prediction")
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(DataError, match="positive known variance.* row 1"):
            m.predict(NEW.assign(v=[1.0, wrong, 1.0]), interval="prediction")
    for given in (data["v"].to_numpy(), np.diag(data["v"])):
        unnamed = interlace.fit("y ~ x + (1 | g)", data, known_variance=given)
        with pytest.raises(NotAvailableError, match="Give it as a column"):
            unnamed.predict(NEW, interval="prediction")
        assert unnamed.predict(interval="prediction").notna().all(axis=None)
