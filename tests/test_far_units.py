"""What combines estimates again in units and at zero points as far away as data may have them.

Joint tests, intervals of predictions and power: everything there is the same for v -> a v + c, and
the covariate as drawn is the reference.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

import interlace
from interlace.inference.quadratic_forms import chi_square, rank_of
from interlace.inference.small_samples import Spread, f_test
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import DataError
from test_standard_units import MODELS, drawn, moved

FARTHEST = 3e6
"""Standard deviations; beyond 1e7 a column counts as constant."""
SCALES = (1e-12, 1e-9, 1e9, 1e12)


@functools.cache
def fitted(name, a=1.0, c=0.0):
    """Return one of the models fitted to a (v + c)."""
    return MODELS[name](drawn().assign(v=a * (drawn()["v"] + c)))


# Joint tests


def of_v_and_w(m):
    """Return the joint hypothesis on both covariates."""
    names = list(m.coefficients[0].names)
    L = np.zeros((2, len(names)))
    L[0, names.index("v")] = L[1, names.index("w")] = 1.0
    return L


def kenward_roger(a=1.0):
    """Return a linear model with Kenward and Roger's tests, fitted to a v."""
    data = drawn().assign(v=a * drawn()["v"])
    return interlace.fit("z ~ v + w + (v | g)", data, df_method="kenward-roger")


@pytest.mark.parametrize("a", SCALES)
@pytest.mark.parametrize("name", ["poisson", "linear", "ordinal"])
def test_joint_tests_do_not_depend_on_units(name, a):
    """Of coefficients of 1e12 and of 1: a covariance of both has not one digit of the smaller."""
    usual, far = fitted(name), fitted(name, a)
    for given in (False, True):
        known, found = (
            m.wald_test(of_v_and_w(m), **({"vcov": m.vcov()} if given else {}))
            for m in (usual, far)
        )
        statistic = "F" if "F" in known else "chisq"
        assert found[statistic] == pytest.approx(known[statistic], rel=3e-4)
        assert found["df"] == 2
        if statistic == "chisq":
            assert found["pvalue"] == pytest.approx(known["pvalue"], rel=1e-3)
    known, found = (m.term_tests(type=2).loc["w"].iloc[0] for m in (usual, far))
    assert found == pytest.approx(known, rel=3e-4)


@pytest.mark.parametrize("a", SCALES)
def test_joint_tests_of_kenward_and_roger_do_not_depend_on_units(a):
    """Fai and Cornelius' degrees of freedom do, here as in lmerTest: they are of its combinations.

    They lie between those of single coefficients.
    """
    usual, far = kenward_roger(), kenward_roger(a)
    known, found = (m.wald_test(of_v_and_w(m)) for m in (usual, far))
    np.testing.assert_allclose(found, known, rtol=2e-5)
    m = fitted("linear", a)
    single = m.fe_df[["v", "w"]]
    assert single.min() < m.wald_test(of_v_and_w(m))["den_df"] < single.max()


def test_wald_statistic_is_that_of_uncorrelated_combinations():
    """Against z of each coefficient with those before it taken out, one after the other."""
    rng = np.random.default_rng(2)
    root = np.tril(rng.normal(size=(4, 4)))
    beta = rng.normal(size=4)
    z = np.linalg.solve(root, beta)  # V = root root'
    for units in (np.ones(4), np.array([1e-12, 1.0, 1e9, 1e3])):
        V = (root @ root.T) / units / units[:, None]
        known = PsiCovariance(V)
        statistic, df, p = chi_square(np.eye(4), beta / units, known)
        assert statistic == pytest.approx(z @ z, rel=1e-9)
        assert df == 4
        assert p == pytest.approx(chi2.sf(z @ z, 4), rel=1e-8)
        # a hypothesis that others imply counts once
        L = np.vstack([np.eye(4), units * [1.0, -2.0, 0.5, 3.0]])
        again, df, _ = chi_square(L, beta / units, known)
        assert again == pytest.approx(z @ z, rel=1e-6)
        assert df == rank_of(L, np.diagonal(V)) == 4


def test_rank_of_hypotheses_is_counted_in_standard_errors():
    V = np.diag([1.0, 1e34])
    L = np.array([[1.0, 0.0], [1.0, 1e-17]])  # the second coefficient is of 1e17
    assert rank_of(L, np.diagonal(V)) == 2
    assert rank_of(np.array([[1.0, 1e-17], [2.0, 2e-17]]), np.diagonal(V)) == 1


def test_f_of_unlike_units_is_the_mean_of_squares_of_uncorrelated_t():
    V = np.array([[2.0, 0.3], [0.3, 1.0]])
    slopes, A = np.array([V]), np.array([[0.05]])  # V itself times a variance: one df for all
    difference = np.array([1.0, 2.0])
    expected = difference @ np.linalg.solve(V, difference) / 2.0
    for units in (np.ones(2), np.array([1e-12, 1.0]), np.array([1e12, 1.0])):
        scale = np.outer(units, units)
        spread = Spread(V / scale, slopes / scale, A)
        found = f_test(np.eye(2), difference / units, spread)
        assert pytest.approx(expected, rel=1e-9) == found.F
        assert found.den_df == pytest.approx(2.0 / 0.05, rel=1e-9)
        adjusted = Spread(V / scale, slopes / scale, A, V / scale)
        exact = f_test(np.eye(2), difference / units, adjusted)
        assert exact.pvalue == pytest.approx(
            f_test(np.eye(2), difference, Spread(V, slopes, A, V)).pvalue, rel=1e-8
        )


OF_TERMS = {
    "poisson": lambda data: interlace.glmer("y ~ v * f + (1 | g)", data, "poisson"),
    "ordinal": lambda data: interlace.clmm("grade ~ v * f + (1 | g)", data),
    "linear": lambda data: interlace.fit("z ~ v * f + (v | g)", data),
    "ML": lambda data: interlace.fit("z ~ v * f + (v | g)", data, method="ML"),
    "Kenward-Roger": lambda data: interlace.fit(
        "z ~ v * f + (v | g)", data, df_method="kenward-roger"
    ),
}


@functools.cache
def of_terms(name, a=1.0, c=0.0):
    """Return one of these models fitted to a (v + c), with a factor that v interacts with."""
    f = np.random.default_rng(3).choice(list("abc"), len(drawn()))
    return OF_TERMS[name](drawn().assign(f=f, v=a * (drawn()["v"] + c)))


@pytest.mark.parametrize(("a", "c"), [(1.0, 1e3), (1.0, FARTHEST), (1e-6, 1e5), (1e6, 0.0)])
@pytest.mark.parametrize("name", OF_TERMS)
def test_tests_of_terms_do_not_depend_on_units_and_zero_point(name, a, c):
    """Of type II, which of f is that at the mean of v, however far from 0 that is; and of values.

    Two values of v near its mean are two combinations of coefficients as alike as these are far.
    """
    usual, far = of_terms(name), of_terms(name, a, c)
    tables = [m.term_tests(type=2) for m in (far, usual)]
    statistic = tables[0].columns[0]
    tol = 5e-5 if statistic == "chisq" else 1e-8
    np.testing.assert_allclose(*(each[statistic] for each in tables), rtol=tol)
    np.testing.assert_allclose(*(each["pvalue"] for each in tables), rtol=200 * tol)
    names = list(usual.coefficients[0].names)
    tests = []
    for m, (unit, zero) in ((far, (a, c)), (usual, (1.0, 0.0))):
        L = np.zeros((3, len(names)))
        if name != "ordinal":  # whose thresholds are of another parameter
            L[:2, names.index("Intercept")] = 1.0
        L[:2, names.index("v")] = unit * (
            np.array([0.5, -0.5]) + (zero if name != "ordinal" else 0)
        )
        L[2] = L[0] - L[1]  # which the others imply
        if name == "ordinal":
            L = L[:1]
        tests.append(m.wald_test(L))
        if hasattr(m, "contrast_df"):
            tests[-1]["single"] = m.contrast_df(L[0])
    compared = [statistic, "df"] + (["den_df"] if name == "Kenward-Roger" else [])
    compared += ["single"] if "single" in tests[0] else []
    for each in compared:
        assert tests[0][each] == pytest.approx(tests[1][each], rel=max(tol, 1e-6)), each


# Predictions


@pytest.mark.parametrize("name", ["poisson", "crossed", "linear"])
@pytest.mark.parametrize("c", [1e4, FARTHEST])
def test_intervals_of_predictions_do_not_depend_on_the_zero_point(name, c):
    """The covariance of effects of a group has 13 digits in common there, of 16."""
    rows = slice(0, 40)
    options = [
        {"type": "link", "interval": "confidence"},
        {"type": "response", "interval": "prediction", "seed": 3, "n_sim": 300},
    ]
    for each in options:
        known = fitted(name).predict(drawn().iloc[rows], se=True, **each)
        found = fitted(name, 1.0, c).predict(moved(c).iloc[rows], se=True, **each)
        np.testing.assert_allclose(found["se"], known["se"], rtol=1e-4)
        for end in ("lower", "upper"):
            np.testing.assert_allclose(found[end], known[end], rtol=1e-4, atol=1e-4)


# What has no constant


def test_a_scale_without_a_constant_takes_no_covariate_far_from_0():
    """The zero point is another unit of the latent variable there, by a factor of exp(c g)."""

    def fitted(c):
        data = drawn().assign(v=drawn()["v"] + c)
        return interlace.clmm("grade ~ w + (1 | g)", data, scale="~ v")

    usual, near = fitted(0.0), fitted(29.0)
    assert near.llf == pytest.approx(usual.llf, abs=1e-7)
    z = [m.params_of("scale")["v"] / m.bse_of("scale")["v"] for m in (usual, near)]
    assert z[0] == pytest.approx(z[1], rel=1e-3)
    for c in (-31.0, 330.0, FARTHEST):
        with pytest.raises(DataError, match=r"scale: 'v' lies .* deviations from 0.*subtr"):
            fitted(c)


# Power


def power(a, c, right, sd, **options):
    """Return the simulated p-values of one model, its assumptions in the units of v."""
    data = drawn().drop(columns="y")
    data["v"] = a * (data["v"] + c)
    fixed = {"Intercept": 0.5 - 0.25 * c, "v": 0.25 / a, "w": 0.1}
    found = interlace.power(
        f"y ~ v + w + {right}", data, "poisson", fixed=fixed, sd=sd, n=6, seed=3, **options
    )
    assert not found.failures
    return found.pvalues


TESTS = [
    pytest.param({"test": test, "method": method}, id=f"{method} of {test}")
    for method, test in (("wald", "v"), ("wald", ["v", "w"]), ("lrt", "v"))
]


@pytest.mark.parametrize("options", TESTS)
@pytest.mark.parametrize(("a", "c"), [(1e9, 0.0), (1.0, FARTHEST), (1e-9, 1e5)])
def test_power_does_not_depend_on_units_and_zero_point(a, c, options):
    known = power(1.0, 0.0, "(1 | g)", {"g": 0.5}, **options)
    found = power(a, c, "(1 | g)", {"g": 0.5}, **options)
    np.testing.assert_allclose(found, known, rtol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("a", SCALES)
def test_power_simulates_the_standard_deviations_assumed_in_any_units(a, slope):
    """One of 0 stays 0, also beside one that is larger by 12 digits."""
    options = {"test": ["v", "w"], "method": "lrt"}
    known = power(1.0, 0.0, "(v | g)", {"g": {"Intercept": 0.5, "v": slope}}, **options)
    found = power(a, 0.0, "(v | g)", {"g": {"Intercept": 0.5, "v": slope / a}}, **options)
    np.testing.assert_allclose(found, known, rtol=1e-6)


# The maps themselves


def test_gradients_go_back_so_that_derivatives_along_a_line_stay():
    m = fitted("poisson", 1e3, 1e4)
    standard = standard_of(m.training.problem)
    rng = np.random.default_rng(1)
    gradient, move = rng.normal(size=(2, m.fit.psi.size))
    inside = replace(
        m.fit,
        psi=standard.psi(m.fit.psi),
        gradient=gradient,
        uncertainty=PsiCovariance(standard.covariance(m.fit.uncertainty)),
    )
    found = standard.given_fit(inside)
    np.testing.assert_allclose(found.psi, m.fit.psi, rtol=1e-9)
    along = standard.psi(m.fit.psi + move) - standard.psi(m.fit.psi)
    assert found.gradient @ move == pytest.approx(gradient @ along, rel=1e-6)


@pytest.mark.parametrize("a", [1e-6, 1e6])
def test_objective_in_standard_units_speaks_of_the_columns_as_written(a):
    """Value with the constant of the restricted likelihood, coefficients and their covariance."""
    units = np.array([1.0, a, 1.0])
    usual, far = fitted("linear"), fitted("linear", a)
    at = []
    for m in (usual, far):
        standard = standard_of(m.training.problem)
        at.append(standard.objective(m.training.approximation)(m.fit.psi))
    assert at[1].value == pytest.approx(-far.llf, rel=1e-10)
    assert at[1].value == pytest.approx(at[0].value + np.log(a), rel=1e-8)
    np.testing.assert_allclose(at[1].profiled.values, far.fe_params, rtol=1e-8)
    np.testing.assert_allclose(at[1].profiled.values * units, at[0].profiled.values, rtol=1e-5)
    covariance = at[1].profiled.covariance * units * units[:, None]
    np.testing.assert_allclose(covariance, at[0].profiled.covariance, rtol=1e-4, atol=1e-8)
