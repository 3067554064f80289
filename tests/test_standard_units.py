"""After a fit in other units: everything that users see is that of the columns as they wrote them.

One model is fitted to a covariate of mean 0, whose design is ordinary and left alone, and to the
same covariate 1e5 standard deviations away, which is fitted in other columns. It is the same model,
so that whatever does not speak of the covariate's zero point is the same.
"""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.fitting.standard import standard_of
from invariance import quiet, without_numbers

FAR = 1e5
SE = 3e-4
"""Relative, of what comes from a Hessian: see test_invariance_of_slopes."""


@functools.cache
def drawn():
    """Return 300 rows of counts and of numbers in 20 groups, with random slopes; and none, flat."""
    rng = np.random.default_rng(7)
    n, g = 300, np.repeat(np.arange(20), 15)
    x = rng.normal(size=n)
    x = (x - x.mean()) / x.std()
    eta = 0.5 + 0.3 * x + rng.normal(0, 0.6, 20)[g] + rng.normal(0, 0.4, 20)[g] * x
    none = rng.normal(0, 0.7, n)
    for k in range(20):  # slopes within groups that are more alike than those of chance
        inside = g == k
        slope = np.polyfit(x[inside], none[inside], 1)[0]
        none[inside] -= slope * (x[inside] - x[inside].mean())
    flat = 0.5 + 0.3 * x + rng.normal(0, 0.6, 20)[g] + none
    return pd.DataFrame(
        {
            "g": g,
            "h": rng.integers(0, 5, n),
            "v": x,
            "w": rng.normal(size=n),
            "y": rng.poisson(np.exp(eta)),
            "z": eta + rng.normal(0, 0.7, n),
            "flat": flat,
            "yes": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int),
            "grade": np.digitize(eta + rng.logistic(size=n), [-1, 0, 1]),
        }
    )


def moved(shift=FAR):
    """Return the data with the covariate far from 0."""
    return drawn().assign(v=drawn()["v"] + shift)


MODELS = {
    "poisson": lambda data, **o: interlace.glmer("y ~ v + w + (v | g)", data, "poisson", **o),
    "crossed": lambda data, **o: interlace.glmer(
        "y ~ v + w + (v | g) + (1 | h)", data, "poisson", **o
    ),
    "linear": lambda data, **o: interlace.fit("z ~ v + w + (v | g)", data, **o),
    "ordinal": lambda data, **o: interlace.clmm("grade ~ v + w + (v | g)", data, **o),
    "nAGQ=0": lambda data, **o: interlace.glmer("y ~ v + w + (v | g)", data, "poisson", nAGQ=0),
}


@functools.cache
def pair(name):
    """Return a model's fit to the covariate as drawn, and to that far from 0."""
    return MODELS[name](drawn()), MODELS[name](moved())


def agree(name, of, rel=1e-6, abs=1e-8):
    """Hold what is made of the fit far from 0 to what is made of the usual one."""
    usual, far = (np.asarray(of(each), dtype=float) for each in pair(name))
    np.testing.assert_allclose(far, usual, rtol=rel, atol=abs)


every_model = pytest.mark.parametrize("name", MODELS)


@pytest.mark.ordinary
@every_model
def test_what_is_far_is_fitted_in_other_columns_and_what_is_not_is_left_alone(name):
    usual, far = pair(name)
    assert standard_of(usual.training.problem).back is None
    assert standard_of(far.training.problem).back is not None


@every_model
def test_likelihood_slopes_and_verdict(name):
    agree(name, lambda m: m.llf, rel=1e-11)
    agree(name, lambda m: m.fe_params[["v", "w"]], rel=1e-5)
    agree(name, lambda m: m.fe_bse[["v", "w"]], rel=SE)
    usual, far = pair(name)
    assert usual.fit.verdict.status == far.fit.verdict.status
    assert list(map(without_numbers, usual.notes)) == list(map(without_numbers, far.notes))


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"ordinal"}))
def test_intercept_is_that_at_the_zero_point_as_written(name):
    usual, far = pair(name)
    V = usual.vcov().loc[["Intercept", "v"], ["Intercept", "v"]].to_numpy()
    at_zero = np.array([1.0, -FAR])
    assert far.fe_params["Intercept"] == pytest.approx(
        at_zero @ usual.fe_params[["Intercept", "v"]], rel=1e-5
    )
    assert far.fe_bse["Intercept"] == pytest.approx(np.sqrt(at_zero @ V @ at_zero), rel=SE)
    between = far.vcov().loc["Intercept", "v"]
    assert between == pytest.approx(at_zero @ V[:, 1], rel=2 * SE)


@every_model
def test_random_slopes_and_their_spread(name):
    agree(name, lambda m: m.random_effects["g"].iloc[:, 1], rel=1e-5, abs=1e-6)
    agree(name, lambda m: m.random_effects_se["g"].iloc[:, 1], rel=1e-5)
    agree(name, lambda m: m.variance_components["g"].iloc[1, 1], rel=1e-5)


@every_model
def test_fitted_values_and_predictions(name):
    rows = {0.0: drawn().iloc[:12], FAR: moved().iloc[:12]}

    def newdata(m):
        return rows[FAR if pair(name)[1] is m else 0.0]

    agree(name, lambda m: m.fittedvalues, rel=1e-6, abs=1e-6)
    if name != "ordinal":  # whose location is relative to the zero point, as its thresholds are
        agree(name, lambda m: m.predict(newdata(m), type="link"), abs=1e-6)
        agree(name, lambda m: m.predict(newdata(m), type="link", se=True)["se"], rel=SE)
    options = {"type": "response", "interval": "confidence"}
    agree(name, lambda m: m.predict(newdata(m), **options)["upper"], rel=SE)
    if name != "ordinal":
        new = {key: each.assign(g=99) for key, each in rows.items()}

        def at(m):
            return new[FAR if pair(name)[1] is m else 0.0]

        options = {"type": "response", "new_levels": "marginal", "se": True}
        agree(name, lambda m: m.predict(at(m), **options)["fit"], rel=1e-5)
        agree(name, lambda m: m.predict(at(m), **options)["se"], rel=SE)


@pytest.mark.parametrize("name", ["poisson", "crossed", "linear", "ordinal"])
def test_profile_intervals(name):
    agree(name, lambda m: m.confint("v", method="profile").select_dtypes("number"), rel=1e-5)


def test_profile_of_a_standard_deviation():
    labels = pair("poisson")[0].confint().index
    (name,) = (each for each in labels if each.startswith("sd") and "v" in each)

    def interval(m):
        return m.confint(name, method="profile").select_dtypes("number")

    agree("poisson", interval, rel=1e-4)


@pytest.mark.parametrize("name", ["poisson", "ordinal"])
def test_robust_covariance_and_influence(name):
    agree(name, lambda m: m.vcov_robust("g").loc[["v", "w"], ["v", "w"]], rel=2 * SE, abs=1e-6)
    agree(name, lambda m: m.influence("g", exact=1).cook.sort_index(), rel=2 * SE, abs=1e-6)
    agree(name, lambda m: m.influence("g", exact=1).exact_cook, rel=2 * SE)


@pytest.mark.parametrize("shift", [0.0, 10.0, 1e3, 1e5])
@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_do_not_depend_on_the_zero_point(method, shift):
    """Against the covariate of mean 0, which pbkrtest and lmerTest hold (see test_linear)."""
    known = MODELS["linear"](drawn(), df_method=method)
    found = MODELS["linear"](moved(shift), df_method=method)
    for of in ("fe_df", "fe_pvalues", "fe_bse"):
        a, b = (getattr(each, of)[["v", "w"]].to_numpy() for each in (found, known))
        np.testing.assert_allclose(a, b, rtol=2e-6)
    L = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    tests = [each.joint_test(0, L, np.zeros(2)) for each in (found, known)]
    assert tests[0]["F"] == pytest.approx(tests[1]["F"], rel=1e-6)
    assert tests[0]["den_df"] == pytest.approx(tests[1]["den_df"], rel=2e-6)


def test_restricted_likelihood_has_the_volume_of_the_columns_as_written():
    usual, far = pair("linear")
    assert far.llf == pytest.approx(usual.llf, rel=1e-11)
    scaled = MODELS["linear"](drawn().assign(v=1e6 * drawn()["v"]))
    assert scaled.llf == pytest.approx(usual.llf - 6.0 * np.log(10.0), rel=1e-9)


def test_a_start_of_the_users_is_in_the_users_units():
    usual, far = pair("poisson")
    again = MODELS["poisson"](moved(), start={"theta": far.theta})
    assert again.llf == pytest.approx(usual.llf, rel=1e-11)
    assert again.fit.n_evaluations < far.fit.n_evaluations + 5


def test_priors_are_on_the_coefficients_as_written():
    def fitted(data, unit):
        v = interlace.normal(0.1 / unit, 0.05 / abs(unit))
        return MODELS["poisson"](data, priors={"v": v, "w": interlace.normal(0.0, 0.1)})

    usual = fitted(drawn(), 1.0)
    free = MODELS["poisson"](drawn())
    assert abs(usual.fe_params["v"] - free.fe_params["v"]) > 0.1 * free.fe_bse["v"]
    for unit, zero in ((1.0, FAR), (1e6, 0.0), (1e-6, FAR), (-1e3, 1e3)):
        far = fitted(drawn().assign(v=unit * (drawn()["v"] + zero)), unit)
        # the likelihood has a slope at a posterior mode: it differs as the estimates do
        assert far.llf == pytest.approx(usual.llf, rel=1e-9)
        estimates = far.fe_params[["v", "w"]] * [unit, 1.0]
        np.testing.assert_allclose(estimates, usual.fe_params[["v", "w"]], rtol=1e-5)
        errors = far.fe_bse[["v", "w"]] * [abs(unit), 1.0]
        np.testing.assert_allclose(errors, usual.fe_bse[["v", "w"]], rtol=SE)


@pytest.mark.parametrize("name", ["poisson", "linear", "ordinal"])
def test_refits_and_comparisons(name):
    y = drawn()[{"poisson": "y", "linear": "z", "ordinal": "grade"}[name]].to_numpy()[::-1].copy()
    if name == "ordinal":
        y = y.astype(float)
    agree(name, lambda m: m.refit(y).llf, rel=1e-9)
    agree(name, lambda m: m.refit(y).fe_bse["v"], rel=SE)
    agree(name, lambda m: m.drop1().select_dtypes("number").iloc[1:, :2], rel=1e-8)


def test_bootstrap_of_the_same_responses():
    agree("poisson", lambda m: m.bootstrap(3, seed=1, conditional=True).values["v"], rel=1e-4)


def test_accuracy_of_quadrature():
    def fitted(data):
        return interlace.glmer("yes ~ v + (0 + v | g)", data, "binomial")

    for scale in (1.0, 1e-7):
        m = fitted(drawn().assign(v=scale * drawn()["v"]))
        found = m.accuracy()
        if scale == 1.0:
            known = found
    assert found.loglik_better == pytest.approx(known.loglik_better, rel=1e-9)
    assert found.largest_move == pytest.approx(known.largest_move, rel=1e-2)


def test_saved_and_loaded(tmp_path):
    usual, far = pair("poisson")
    path = tmp_path / "far.interlace"
    far.save(path)
    loaded = interlace.load(path)
    np.testing.assert_array_equal(loaded.fe_params, far.fe_params)
    np.testing.assert_array_equal(loaded.fit.vcov, far.fit.vcov)
    rows = moved().iloc[:9]
    np.testing.assert_allclose(loaded.predict(rows), usual.predict(drawn().iloc[:9]), rtol=1e-6)
    found, known = (
        m.predict(data.iloc[:9], include_re=False, type="link", se=True)["se"]
        for m, data in ((loaded, moved()), (usual, drawn()))
    )
    np.testing.assert_allclose(found, known, rtol=SE)


def test_the_same_words_at_a_boundary():
    def fitted(data):
        return quiet(lambda d: interlace.fit("flat ~ v + (v | g)", d), data)

    (usual, heard), (far, heard_far) = fitted(drawn()), fitted(moved())
    assert usual.fit.verdict.boundary
    words = [tuple(map(without_numbers, m.fit.verdict.boundary)) for m in (usual, far)]
    assert words[0] == words[1]
    assert heard == heard_far
    tables = [m.singularity() for m in (usual, far)]
    assert list(tables[0]["found"]) == list(tables[1]["found"])
    assert np.isnan(far.fit.vcov).any() == np.isnan(usual.fit.vcov).any()


def test_separation_far_from_0_is_named_as_it_is_near():
    data = drawn().assign(sure=(drawn()["v"] > 0).astype(int))
    notes = []
    for shift in (0.0, 1e4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m = interlace.glmer("sure ~ v + (1 | g)", data.assign(v=data["v"] + shift), "binomial")
        notes.append(m.notes[0].partition(":")[0])
    assert notes[0] == notes[1]


def test_searches_report_likelihoods_of_the_columns_as_written():
    data = drawn().assign(v=1e6 * drawn()["v"])
    m = MODELS["linear"](data, starts=1)
    heights = [each.value for each in m.fit.searches]
    assert min(heights) == pytest.approx(-m.llf, abs=1e-6)
    assert m.fit.path[-1][0] == pytest.approx(-m.llf, abs=1.0)
