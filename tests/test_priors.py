"""Priors: densities against SciPy, posterior modes against stored fits and against brute force.

The stored fits are those of own code in R, each checked there against glmmTMB, and blme where it
has the prior (`extras.checks` of each). Brute force shares nothing with the engine: Gauss-Hermite
sums over the prior of the effects, maximised by Nelder and Mead's search.
"""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy import integrate, stats
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

import interlace
from interlace import (
    cauchy,
    exponential,
    gamma,
    half_cauchy,
    half_normal,
    half_t,
    lkj,
    normal,
    student_t,
)
from interlace.priors.targets import OfMatrix
from interlace_core.covariances import Unstructured
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from reference_fits import FOLDER, load_data

TOL_ESTIMATE = 1e-4
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-4
"""Relative; both sides use finite differences of the gradient for the Hessian."""

DENSITIES = [
    (normal(0.3, 1.7), stats.norm(0.3, 1.7), [-4.0, 0.0, 2.0]),
    (student_t(4, 0.3, 1.7), stats.t(4, 0.3, 1.7), [-4.0, 0.0, 20.0]),
    (cauchy(-1, 0.5), stats.cauchy(-1, 0.5), [-4.0, 0.0, 200.0]),
    (exponential(3), stats.expon(scale=1 / 3), [0.0, 0.1, 4.0]),
    (gamma(2.5, 0.2), stats.gamma(2.5, scale=5.0), [0.01, 1.0, 40.0]),
    (gamma(150, 30), stats.gamma(150, scale=1 / 30), [0.1, 4.0, 5.0, 40.0]),
    (half_normal(2), stats.halfnorm(scale=2), [0.0, 0.1, 4.0]),
    (half_t(5, 2), None, [0.0, 0.1, 4.0]),
    (half_cauchy(2), stats.halfcauchy(scale=2), [0.0, 0.1, 4.0]),
]


@pytest.mark.parametrize(("prior", "law", "values"), DENSITIES, ids=lambda each: str(each)[:20])
def test_densities_are_those_of_scipy_and_slopes_those_of_differences(prior, law, values):
    for x in values:
        height, slope = prior.log_density(x)
        expected = law.logpdf(x) if law else np.log(2.0) + stats.t(5, 0, 2).logpdf(x)
        assert height == pytest.approx(expected, abs=1e-12)
        step = 1e-6 * max(1.0, abs(x))
        if x > 0.0 or prior.support == "real":
            slopes = [prior.log_density(x + s)[1] for s in (step, -step)]
            second = (slopes[0] - slopes[1]) / (2 * step)
            assert prior.second(x) == pytest.approx(second, rel=1e-5, abs=1e-8)
            ahead, behind = (prior.log_density(x + s)[0] for s in (step, -step))
            assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-8)


def test_lkj_of_one_correlation_has_its_second_derivative():
    for value in (-0.7, 0.0, 0.4):
        slopes = [lkj(3.5).log_density(value + s)[1] for s in (1e-6, -1e-6)]
        second = (slopes[0] - slopes[1]) / 2e-6
        assert lkj(3.5).second(value) == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("shape", [1e6, 1e10, 1e14])
def test_a_gamma_of_large_shape_is_normal_about_its_mode(shape):
    prior = gamma(shape, shape / 0.3)
    sd = 0.3 / np.sqrt(shape)
    mode = 0.3 * (1.0 - 1.0 / shape)
    top = prior.log_density(mode)[0]
    assert top == pytest.approx(stats.norm(mode, sd).logpdf(mode), abs=1e-5)
    for z in (-1.0, 0.5):
        assert prior.log_density(mode + z * sd)[0] - top == pytest.approx(-0.5 * z * z, abs=2e-3)


@pytest.mark.parametrize("df", [1e6, 1e10, 1e300])
def test_students_t_of_many_degrees_of_freedom_is_normal(df):
    found, expected = student_t(df, 0.3, 1.7), normal(0.3, 1.7)
    for x in (-4.0, 0.0, 5.0):
        assert found.log_density(x) == pytest.approx(expected.log_density(x), abs=1e-4)
        assert found.second(x) == pytest.approx(expected.second(x), abs=1e-4)


@pytest.mark.parametrize("eta", [1.0, 1.7, 4.0])
def test_lkj_is_a_density_of_matrices(eta):
    prior = lkj(eta)
    two = integrate.quad(lambda r: np.exp(prior.log_density(r)[0]), -1, 1)[0]
    assert two == pytest.approx(1.0, abs=1e-9)
    nodes, weights = np.polynomial.legendre.leggauss(120)
    a, b, c = np.meshgrid(nodes, nodes, nodes, indexing="ij", sparse=True)
    det = 1.0 + 2.0 * a * b * c - a * a - b * b - c * c
    density = np.where(det > 0.0, np.maximum(det, 0.0) ** (eta - 1.0), 0.0)
    total = np.einsum("i,j,k,ijk->", weights, weights, weights, density)
    # at eta = 1 the density has a jump at the edge, where nodes do their worst
    tol = 1e-2 if eta == 1.0 else 1e-3
    assert total * np.exp(prior.log_constant(3)) == pytest.approx(1.0, abs=tol)


def test_lkj_of_a_template_is_that_of_its_correlations_with_its_slope():
    rng, covariance = np.random.default_rng(1), Unstructured(3)
    theta = rng.normal(size=6)
    T = covariance.template(theta)
    part = OfMatrix(covariance, slice(1, 7), lkj(2.5))
    sd = np.sqrt(np.diagonal(T @ T.T))
    R = T @ T.T / np.outer(sd, sd)
    psi = np.concatenate([[9.0], theta])
    value, slope = part.penalty(psi)
    assert value == pytest.approx(-1.5 * np.linalg.slogdet(R)[1] - lkj(2.5).log_constant(3))
    for k in range(7):
        step = 1e-6 * np.eye(7)[k]
        rise = part.penalty(psi + step)[0] - part.penalty(psi - step)[0]
        assert slope[k] == pytest.approx(rise / 2e-6, abs=1e-7)
    # of effects that do not vary a correlation is 0; the others keep theirs
    psi[1:4] = 0.0
    left = T.copy()
    left[:, 0] = 0.0
    r = left[1] @ left[2] / np.linalg.norm(left[1]) / np.linalg.norm(left[2])
    none = -1.5 * np.log(1.0 - min(r * r, 1.0)) if abs(r) < 1 else np.inf
    assert part.penalty(psi)[0] == pytest.approx(none - lkj(2.5).log_constant(3))
    psi[4] = 0.0
    assert np.isfinite(part.penalty(psi)[0])


FITS = {
    "prior_normal_binom_own": {
        "Intercept": normal(0, 5), "fixed": normal(0, 2.5), "sd": gamma(2.5, 2),
    },
    "prior_t_binom_own": {
        "Intercept": student_t(3), "fixed": student_t(3), "sd": {"g": gamma(2, 1)},
    },
    "prior_gamma_pois_own": {"sd": {"g": {"Intercept": gamma(2, 0.1)}}},
    "prior_halft_gauss_own": {
        "fixed": student_t(4, 0, 2), "sd(Intercept | g)": gamma(3, 4), "sigma": exponential(1),
    },
}  # fmt: skip


@pytest.mark.parametrize("by_fit", [False, True])
@pytest.mark.parametrize("fit_id", FITS)
def test_the_mode_is_that_of_the_stored_fit(fit_id, by_fit):
    reference = json.loads((FOLDER / "priors" / f"{fit_id}.json").read_text())
    data, call = load_data("sim_few"), reference["formula"]
    if by_fit and reference["family"] != "gaussian":
        pytest.skip("fit() is for normal responses")
    if by_fit:
        ours = interlace.fit(call, data, method="ML", priors=FITS[fit_id])
    else:
        ours = interlace.glmer(call, data, reference["family"], priors=FITS[fit_id])
    assert ours.converged
    assert -ours.fit.value == pytest.approx(reference["log_posterior"], abs=1e-7)
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-5)
    assert ours.settings.penalty == pytest.approx(-reference["log_prior"], abs=1e-5)
    for name, value in reference["fixef"].items():
        own = "Intercept" if name == "(Intercept)" else name
        se = reference["se"][name]
        assert ours.fe_params[own] == pytest.approx(value, abs=TOL_ESTIMATE * se)
        assert ours.fe_bse[own] == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    sd = np.sqrt(ours.variance_components["g"])
    assert sd == pytest.approx(reference["varcor"]["g"]["sd"][0], rel=1e-4)
    # the standard error of log sd, which the reference has
    se = reference["theta_se"][0]
    found = ours.tidy(effects="ran_pars")["std.error"].iloc[0] / sd
    assert found == pytest.approx(se, rel=TOL_STANDARD_ERROR)


def few(seed=5):
    """Return 10 groups of 6 counts with an intercept and a slope that vary."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(10), 6), rng.normal(size=60)
    b = rng.normal(size=(10, 2)) @ np.array([[0.5, 0.2], [0.0, 0.3]])
    y = rng.poisson(np.exp(0.4 + 0.3 * x + b[g, 0] + b[g, 1] * x))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{each}" for each in g]})


def summed(parameters, data, nodes):
    """Return the log-likelihood by sums over the prior of both effects of each group."""
    b0, b1, s0, s1, r = parameters
    points, weights = hermegauss(nodes)
    u, v = (each.ravel() for each in np.meshgrid(points, points))
    log_weights = np.log(np.outer(weights, weights).ravel() / (2.0 * np.pi))
    intercept, slope = s0 * u, s1 * (r * u + np.sqrt(1.0 - r * r) * v)
    total = 0.0
    for _, rows in data.groupby("g"):
        x, y = rows["x"].to_numpy()[:, None], rows["y"].to_numpy()[:, None]
        eta = b0 + intercept + (b1 + slope) * x
        total += logsumexp(log_weights + np.sum(y * eta - np.exp(eta) - gammaln(y + 1), axis=0))
    return total


def test_the_mode_is_that_of_brute_force_with_a_prior_of_each_kind():
    data = few()

    def posterior(q, nodes=40):
        b0, b1, s0, s1, r = q[0], q[1], np.exp(q[2]), np.exp(q[3]), np.tanh(q[4])
        log_prior = (
            stats.norm.logpdf(b0, 0.2, 0.3)
            + stats.t.logpdf(b1, 4, 0.1, 0.2)
            + np.log(2.0) + stats.t.logpdf(s0, 3, 0, 0.4)
            + stats.expon.logpdf(s1, scale=1 / 4)
            + 2.0 * np.log(1.0 - r * r) + np.log(15.0 / 16.0)
        )  # fmt: skip
        return -summed((b0, b1, s0, s1, r), data, nodes) - log_prior

    options = {"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
    best = minimize(posterior, [0.4, 0.3, -0.9, -1.2, 0.3], method="Nelder-Mead", options=options)
    assert posterior(best.x, 80) == pytest.approx(best.fun, abs=1e-6)
    fit = interlace.glmer(
        "y ~ x + (1 + x | g)", data, "poisson", nAGQ=25, approximation="agq-vector",
        priors={
            "Intercept": normal(0.2, 0.3), "x": student_t(4, 0.1, 0.2),
            "sd": {"g": {"Intercept": half_t(3, 0.4), "x": exponential(4)}}, "cor": lkj(3),
        },
    )  # fmt: skip
    sd = np.sqrt(np.diagonal(fit.variance_components["g"]))
    r = fit.variance_components["g"].iloc[0, 1] / sd[0] / sd[1]
    assert fit.converged
    assert fit.fit.value == pytest.approx(best.fun, abs=1e-6)
    assert fit.fe_params.to_numpy() == pytest.approx(best.x[:2], abs=2e-5)
    assert [*sd, r] == pytest.approx([*np.exp(best.x[2:4]), np.tanh(best.x[4])], abs=1e-4)
    # a prior of the one correlation is that of its matrix
    again = interlace.glmer(
        "y ~ x + (1 + x | g)", data, "poisson", nAGQ=25, approximation="agq-vector",
        priors={
            "Intercept": normal(0.2, 0.3), "x": student_t(4, 0.1, 0.2), "cor(Intercept, x | g)":
            lkj(3), "sd(x | g)": exponential(4), "sd": half_t(3, 0.4),
        },
    )  # fmt: skip
    assert again.fit.value == pytest.approx(fit.fit.value, abs=1e-8)


def test_priors_of_crossed_effects_and_a_zero_part_by_brute_force():
    rng = np.random.default_rng(8)
    a, b = np.divmod(np.arange(32) // 2, 2)
    x = rng.normal(size=32)
    effects = 0.5 * rng.normal(size=8)[a] + np.array([-0.4, 0.4])[b]
    y = np.where(rng.random(32) < 0.25, 0, rng.poisson(np.exp(0.8 + 0.4 * x + effects)))
    data = pd.DataFrame({"y": y, "x": x, "a": a.astype(str), "b": b.astype(str)})

    def log_prior(b1, zero, sa, sb):
        return (
            stats.norm.logpdf(b1, 0, 0.5) + stats.t.logpdf(zero, 7, 0, 1.5)
            + stats.gamma.logpdf(sa, 2, scale=1 / 3) + stats.halfnorm.logpdf(sb, scale=0.5)
        )  # fmt: skip

    def posterior(q, nodes=14):
        b0, b1, zero, sa, sb = q[0], q[1], q[2], np.exp(q[3]), np.exp(q[4])
        points, weights = hermegauss(nodes)
        log_w = np.log(weights / np.sqrt(2.0 * np.pi))
        # of both levels of b all combinations; given these the levels of a are apart
        u = np.stack(np.meshgrid(points, points, indexing="ij"), -1).reshape(-1, 2)
        outer = np.add.outer(log_w, log_w).ravel()
        eta = b0 + b1 * x[None, :, None] + sb * u[:, b][:, :, None] + sa * points[None, None, :]
        count, mean, none = y[None, :, None], np.exp(eta), np.logaddexp(0.0, zero)
        # log(1 - pi) = -none and log(pi) = zero - none
        log_count = count * eta - mean - gammaln(count + 1.0) - none
        rows = np.where(count == 0, np.logaddexp(zero - none, log_count), log_count)
        levels = rows.reshape(len(u), 8, 4, nodes).sum(axis=2)
        total = logsumexp(outer + logsumexp(levels + log_w, axis=2).sum(axis=1))
        return -total - log_prior(b1, zero, sa, sb)

    options = {"xatol": 1e-4, "fatol": 1e-6, "maxiter": 700, "maxfev": 700}
    best = minimize(posterior, [0.8, 0.4, -1.2, -0.8, -1.0], method="Nelder-Mead", options=options)
    assert posterior(best.x, 28) == pytest.approx(best.fun, abs=5e-3)
    priors = {
        "fixed": normal(0, 0.5), "pi: Intercept": student_t(7, 0, 1.5),
        "sd": {"a": gamma(2, 3), "b": half_normal(0.5)},
    }  # fmt: skip
    fit = interlace.glmer(
        "y ~ x + (1 | a) + (1 | b)", data, "poisson", ziformula="~ 1", priors=priors
    )
    # Laplace's approximation is no sum: close in the value, and in a part of an error in the rest
    assert fit.fit.value == pytest.approx(best.fun, abs=0.1)
    found = np.array([*fit.fe_params, *fit.params_of("pi")])
    errors = np.array([*fit.fe_bse, *fit.bse_of("pi")])
    assert np.max(np.abs(found - best.x[:3]) / errors) < 0.15
    sds = np.sqrt([fit.variance_components["a"], fit.variance_components["b"]])
    assert fit.settings.penalty == pytest.approx(-log_prior(found[1], found[2], *sds), abs=1e-12)


def test_priors_are_on_the_numbers_in_the_users_units():
    data = few()
    priors = {
        "x": student_t(4, 0.1, 0.2), "sd": {"g": {"x": gamma(2, 3), "Intercept": half_t(3, 1)}},
        "cor": lkj(2),
    }  # fmt: skip
    usual = interlace.glmer("y ~ x + (1 + x | g)", data, "poisson", priors=priors)
    # in thousandths; the columns are then fitted in other units than they are given in
    small = 1e-3
    priors = {
        "x": student_t(4, 0.1 / small, 0.2 / small), "cor": lkj(2),
        "sd": {"g": {"x": gamma(2, 3 * small), "Intercept": half_t(3, 1)}},
    }  # fmt: skip
    moved = interlace.glmer(
        "y ~ x + (1 + x | g)", data.assign(x=small * data["x"]), "poisson", priors=priors
    )
    assert moved.llf == pytest.approx(usual.llf, abs=1e-5)
    assert small * moved.fe_params["x"] == pytest.approx(usual.fe_params["x"], rel=1e-5)
    # two densities are per unit
    assert moved.fit.value == pytest.approx(usual.fit.value - 2 * np.log(1 / small) * -1, abs=1e-7)


def test_another_zero_point_leaves_priors_that_do_not_name_it():
    data = few()
    priors = {"x": normal(0, 0.2), "sd(x | g)": gamma(2, 3)}
    usual = interlace.glmer("y ~ x + (1 + x | g)", data, "poisson", priors=priors)
    far = data.assign(x=data["x"] + 3000.0)
    moved = interlace.glmer("y ~ x + (1 + x | g)", far, "poisson", priors=priors)
    assert moved.fit.value == pytest.approx(usual.fit.value, abs=1e-6)
    assert moved.fe_params["x"] == pytest.approx(usual.fe_params["x"], rel=1e-5)
    assert moved.fe_bse["x"] == pytest.approx(usual.fe_bse["x"], rel=1e-4)


def test_weak_priors_have_the_published_scales_in_units_of_the_data():
    data = load_data("sim_few")
    fit = interlace.glmer("y ~ x + trt + (1 + x | g)", data, "binomial", priors="weak")
    x = data["x"].to_numpy()
    given = dict(fit.training.approximation.priors)
    assert (given["x"].df, given["x"].loc) == (1.0, 0.0)
    assert given["x"].scale == pytest.approx(2.5 / (2 * x.std()), rel=1e-14)
    assert given["trt"] == cauchy(0, 2.5)  # from one of two values to the other
    assert given["sd(x | g)"].rate == pytest.approx(0.1 * x.std())
    to_zero = np.sqrt(1.0 + (x.mean() / x.std()) ** 2)  # what a slope may do from the mean to 0
    assert given["sd(Intercept | g)"].shape == 2
    assert given["sd(Intercept | g)"].rate == pytest.approx(0.1 / to_zero)
    alone = interlace.glmer("y ~ x + (0 + x | g)", data, "binomial", priors="weak")
    rate = dict(alone.training.approximation.priors)["sd(x | g)"].rate
    assert rate == pytest.approx(0.1 * np.sqrt(np.mean(x * x)))
    assert given["cor"] == lkj(2)
    assert fit.fit.verdict.status == "optimum"
    assert fit.fe_bse["trt"] < 10.0
    normal_fit = interlace.fit("yg ~ x + trt + (1 | g)", data, method="ML", priors="weak")
    unit = 2 * data["yg"].std(ddof=0)
    scale = dict(normal_fit.training.approximation.priors)["trt"].scale
    assert scale == pytest.approx(2.5 * unit)
    restricted = interlace.fit("yg ~ x + trt + (1 | g)", data, priors="weak")
    assert list(restricted.settings.priors) == ["sd(Intercept | g)"]
    zeros = interlace.glmer("yp ~ x + (1 | g)", data, "poisson", ziformula="~ 1", priors="weak")
    assert zeros.settings.priors["pi: Intercept"] == "normal(0, 5)"
    assert np.isfinite(zeros.bse_of("pi")).all()


def test_weak_priors_are_the_same_in_other_units():
    data = load_data("sim_few")
    usual = interlace.glmer("yg ~ x + trt + (1 + x | g)", data, "gaussian", priors="weak")
    other = data.assign(x=0.01 * data["x"], yg=1000.0 * data["yg"])
    moved = interlace.glmer("yg ~ x + trt + (1 + x | g)", other, "gaussian", priors="weak")
    assert moved.llf == pytest.approx(usual.llf - 56 * np.log(1000.0), abs=1e-4)
    assert moved.fe_params["x"] == pytest.approx(1e5 * usual.fe_params["x"], rel=1e-4)


@pytest.mark.parametrize("shift", [100.0, 1e4, 3e6])
def test_weak_priors_stay_weak_at_another_zero_point(shift):
    """What is left is that of sds and correlation at 0, where these are those of the slopes."""
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(25), 12), rng.normal(size=300)
    eta = 0.5 + 0.3 * x + rng.normal(0, 0.6, 25)[g] + rng.normal(0, 0.4, 25)[g] * x
    data = pd.DataFrame({"g": g, "x": x, "y": rng.poisson(np.exp(eta))})
    formula = "y ~ x + (1 + x | g)"
    free = interlace.glmer(formula, data, "poisson")
    usual, far = (
        interlace.glmer(formula, each, "poisson", priors="weak")
        for each in (data, data.assign(x=x + shift))
    )
    for m in (usual, far):
        assert m.fe_params["x"] == pytest.approx(free.fe_params["x"], abs=0.1 * free.fe_bse["x"])
        sds = (np.sqrt(each.variance_components["g"].loc["x", "x"]) for each in (m, free))
        assert next(sds) == pytest.approx(next(sds), rel=0.1)
        assert m.llf == pytest.approx(free.llf, abs=0.5)
    assert far.fe_bse["x"] == pytest.approx(usual.fe_bse["x"], rel=0.05)


def no_variance():
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(20), 10), rng.normal(size=200)
    y = rng.poisson(np.exp(0.5 + 0.3 * x))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{each}" for each in g]})


@pytest.mark.parametrize(
    "prior", [exponential(1), exponential(100), half_normal(0.1), half_t(3, 1)]
)
def test_a_prior_that_is_finite_at_0_leaves_an_estimate_of_0(prior):
    fit = interlace.glmer("y ~ x + (1 | g)", no_variance(), "poisson", priors={"sd": prior})
    assert fit.fit.verdict.status == "boundary"
    assert fit.variance_components["g"] == 0.0
    without = interlace.glmer("y ~ x", no_variance(), "poisson")
    assert fit.llf == pytest.approx(without.llf, abs=1e-7)
    row = fit.singularity().iloc[0]
    assert row["prior"] == 'priors={"sd": {"g": interlace.gamma(2, 0.1)}}'
    assert np.isnan(row["loglik"])


def test_the_prior_that_singularity_names_gives_a_variance():
    plain = interlace.glmer("y ~ x + (1 + x | g)", no_variance(), "poisson")
    assert plain.fit.verdict.status == "boundary"
    named = plain.singularity()["prior"].iloc[0]
    assert named in (
        'priors={"cor": {"g": interlace.lkj(2)}}', 'priors={"sd": {"g": interlace.gamma(2, 0.1)}}',
    )  # fmt: skip
    priors = {"cor": {"g": lkj(2)}, "sd": {"g": gamma(2, 0.1)}}
    fit = interlace.glmer("y ~ x + (1 + x | g)", no_variance(), "poisson", priors=priors)
    assert fit.fit.verdict.status == "optimum"
    assert (np.diagonal(fit.variance_components["g"]) > 1e-3).all()
    assert fit.singularity().empty


def test_priors_of_thresholds_and_ordinal_coefficients_by_direct_search():
    wine = load_data("wine")
    temp = (wine["temp"] == "warm").to_numpy(float)
    y = wine["rating"].astype(int).to_numpy() - 1

    def posterior(q):
        alpha, b = q[:4], q[4]
        upper = np.concatenate([alpha, [np.inf]])[y]
        lower = np.concatenate([[-np.inf], alpha])[y]
        p = stats.logistic.cdf(upper - b * temp) - stats.logistic.cdf(lower - b * temp)
        log_prior = stats.t.logpdf(b, 3, 0, 1.0) + np.sum(stats.norm.logpdf(alpha, 0, 1.0))
        return -np.sum(np.log(np.maximum(p, 1e-300))) - log_prior

    best = minimize(posterior, [-1.5, 0.0, 1.5, 3.0, 1.0], tol=1e-12)
    fit = interlace.clmm(
        "rating ~ temp",
        wine,
        priors={"temp[T.warm]": student_t(3, 0, 1), "thresholds": normal(0, 1)},
    )
    assert fit.fit.value == pytest.approx(best.fun, abs=1e-8)
    assert [*fit.thresholds, *fit.fe_params] == pytest.approx(best.x, abs=2e-5)
    one = interlace.clmm("rating ~ temp", wine, priors={"1|2": normal(0, 0.1)})
    assert abs(one.thresholds["1|2"]) < 0.3
    others = interlace.clmm(
        "rating ~ temp", wine, threshold="equidistant", priors={"4|5": normal(0, 0.1)}
    )
    assert abs(others.thresholds["4|5"]) < 0.6
    first = fit.coefficients[1].parameter.name
    with pytest.raises(OptionError, match="one parameter"):
        interlace.clmm("rating ~ temp", wine, priors={"1|2": normal(), first: normal()})
    random = interlace.clmm(
        "rating ~ temp + (1 | judge)", wine, priors={"sd": gamma(2, 2), "fixed": normal(0, 1)}
    )
    assert "(MAP)" in str(random.summary())
    with pytest.raises(OptionError, match="priors"):
        random.nominal_test()


def test_a_family_parameter_has_its_prior_on_its_own_scale():
    rng = np.random.default_rng(2)
    x = rng.normal(size=80)
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(0.5 + 0.4 * x)))
    data = pd.DataFrame({"y": y, "x": x})
    fit = interlace.glmer("y ~ x", data, "nbinom2", priors={"theta": gamma(4, 3)})

    def posterior(q):
        theta, mu = np.exp(q[2]), np.exp(q[0] + q[1] * x)
        likelihood = stats.nbinom.logpmf(y, theta, theta / (theta + mu)).sum()
        return -likelihood - stats.gamma.logpdf(theta, 4, scale=1 / 3)

    best = minimize(posterior, [0.5, 0.4, 0.5], tol=1e-12)
    assert fit.fit.value == pytest.approx(best.fun, abs=1e-8)
    assert fit.family_params.loc["theta", "value"] == pytest.approx(np.exp(best.x[2]), rel=1e-5)
    with pytest.raises(OptionError, match="one parameter"):
        interlace.glmer(
            "y ~ x", data, "nbinom2", priors={"theta": gamma(4, 3), "theta: Intercept": normal()}
        )


def test_priors_stay_with_a_fit_through_all_that_fits_again(tmp_path):
    data = few()
    priors = {"fixed": cauchy(0, 1), "sd": gamma(2, 3), "cor": lkj(2)}
    fit = interlace.glmer("y ~ x + (1 + x | g)", data, "poisson", priors=priors)
    for text in (str(fit.summary()), str(fit.explain())):
        assert "MAP" in text and "cauchy(0, 1)" in text and "gamma(2, 3)" in text
    assert fit.heading[1] == "penalised maximum likelihood (MAP)"
    assert np.isnan(fit.glance()["AIC"].iloc[0])
    fit.save(tmp_path / "fit")
    back = interlace.load(tmp_path / "fit")
    assert back.training.approximation == fit.training.approximation
    assert back.refit(fit.y).llf == pytest.approx(fit.llf, abs=1e-4)
    drawn = fit.bootstrap(6, seed=1)
    assert len(drawn.values) == 6 and not drawn.failures
    profile = fit.confint("x", method="profile")
    assert profile.columns.name == "penalised by priors"
    # the interval is the posterior's, and a prior of next to nothing leaves that of the likelihood
    flat = interlace.glmer("y ~ x + (1 + x | g)", data, "poisson")
    faint = interlace.glmer("y ~ x + (1 + x | g)", data, "poisson", priors={"x": normal(0, 1e4)})
    wanted = flat.confint("x", method="profile").to_numpy()
    assert faint.confint("x", method="profile").to_numpy() == pytest.approx(wanted, abs=1e-3)
    assert faint.vcov_robust().to_numpy() == pytest.approx(
        flat.vcov_robust().to_numpy(), rel=1e-3, abs=3e-5
    )
    new = fit.predict(data.iloc[:3])
    assert np.isfinite(np.asarray(new)).all()


def test_weights_hold_and_start_go_with_priors():
    data = few()
    priors = {"x": normal(0, 0.2), "sd": {"g": gamma(2, 3)}}
    call = {"formula": "y ~ x + (1 | g)", "family": "poisson"}
    twice = interlace.glmer(data=data, weights=np.full(60, 2.0), priors=priors, **call)
    copied = pd.concat([data, data])
    assert twice.fit.value == pytest.approx(
        interlace.glmer(data=copied, priors=priors, **call).fit.value, abs=1e-7
    )
    usual = interlace.glmer(data=data, priors=priors, **call)
    begun = interlace.glmer(data=data, priors=priors, start={"x": 0.1, "sd": {"g": 1.0}}, **call)
    assert begun.fit.value == pytest.approx(usual.fit.value, abs=1e-7)
    held = interlace.glmer(
        data=data, priors={"sd": gamma(2, 3)}, hold={"x": float(usual.fe_params["x"])}, **call
    )
    assert held.llf == pytest.approx(usual.llf, abs=1e-5)
    with pytest.raises(OptionError, match="not held.*'x'"):
        interlace.glmer(data=data, priors=priors, hold={"x": 0.3}, **call)
    # of two variances that are held equal there is one, with one prior
    data["h"] = [f"h{i % 5}" for i in range(60)]
    both = interlace.glmer(
        "y ~ x + (1 | g) + (1 | h)", data, "poisson",
        hold={"sd": {"h": "g"}}, priors={"sd": gamma(2, 3)},
    )  # fmt: skip
    own = stats.gamma.logpdf(np.sqrt(both.variance_components["g"]), 2, scale=1 / 3)
    assert both.settings.penalty == pytest.approx(-own, abs=1e-12)


def test_a_restricted_fit_takes_priors_of_variances_and_says_so():
    data = load_data("sleepstudy")
    priors = {"sd": gamma(2, 0.01), "cor": lkj(4)}
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", data, priors=priors)
    assert "penalised restricted maximum likelihood (REML, MAP)" in str(fit.summary())
    # the restricted likelihood at the mode, by the fit without priors held there
    natural = fit.confint(["sd", "family"])["lower"]
    assert np.isfinite(natural).all() and np.isfinite(fit.fe_df).all()
    refitted = fit.refit_ml()
    assert refitted.settings.priors == fit.settings.priors and refitted.method == "ML"
    with pytest.raises(OptionError, match="priors"):
        interlace.anova(fit, interlace.fit("Reaction ~ Days + (1 | Subject)", data))
    with pytest.raises(UnsupportedModelError, match='method="ML"'):
        interlace.fit("Reaction ~ Days + (Days | Subject)", data, priors={"Days": normal(0, 5)})


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ("week", "'weak'"),
        ({"x": 3.0}, "priors: 'x'.*got 3.0"),
        ({"sd": normal()}, "exponential, gamma"),
        ({"x": gamma()}, "normal, student_t"),
        ({"sd": {"h": gamma()}}, "'sd of h'"),
        ({"sd": {"g": {"z": gamma()}}}, r"'sd\(z \| g\)'"),
        ({"cor": lkj()}, "'cor'"),
        ({"fixde": normal()}, "Did you mean 'fixed'"),
        ([normal()], "mapping"),
    ],
)
def test_what_is_no_prior_of_the_model_is_refused(priors, words):
    with pytest.raises(OptionError, match=words):
        interlace.glmer("y ~ x + (1 | g)", few(), "poisson", priors=priors)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: gamma(0.5, 1), lambda: gamma(2, 0), lambda: exponential(-1), lambda: lkj(0.5),
        lambda: half_t(0, 1), lambda: half_cauchy(float("nan")), lambda: student_t("3"),
        lambda: half_normal(None), lambda: cauchy(np.inf),
    ],
)  # fmt: skip
def test_densities_without_a_mode_or_with_no_numbers_are_refused(wrong):
    with pytest.raises(OptionError, match="must be"):
        wrong()


def test_gradients_are_those_of_differences_in_standard_and_in_given_units():
    from interlace_core.fitting.standard import standard_of

    data = few().assign(x=lambda d: 4000.0 + 300.0 * d["x"])
    priors = {
        "fixed": student_t(4, 0, 0.01), "sd": gamma(2, 3), "cor": lkj(2), "theta": gamma(2, 0.1),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = interlace.glmer("y ~ x + (1 + x | g)", data, "nbinom2", priors=priors)
    problem = standard_of(fit.training.problem).problem
    assert problem.given is not None
    evaluate = fit.training.approximation.objective(problem)
    psi = standard_of(fit.training.problem).psi(fit.fit.psi) + 0.05
    gradient = evaluate(psi).gradient
    for k in range(psi.size):
        step = 1e-5 * np.eye(psi.size)[k]
        rise = evaluate(psi + step).value - evaluate(psi - step).value
        assert gradient[k] == pytest.approx(rise / 2e-5, rel=1e-5, abs=1e-5)


def test_priors_stay_with_an_objective_from_a_given_mode():
    fit = interlace.glmer("y ~ x + (1 | g)", few(), "poisson", priors={"x": normal(0, 0.1)})
    problem, approximation, psi = fit.training.problem, fit.training.approximation, fit.fit.psi
    found = approximation.objective_from(problem, np.zeros(fit.fit.mode.size))(psi + 0.1)
    usual = approximation.objective(problem)(psi + 0.1)
    assert found.value == pytest.approx(usual.value, rel=1e-9)
    assert found.gradient == pytest.approx(usual.gradient, rel=1e-6, abs=1e-6)


def test_a_prior_of_two_terms_with_one_variance_counts_once():
    data = few().assign(h=lambda d: np.arange(len(d)) % 5)
    fit = interlace.glmer(
        "y ~ x + (1 | g) + (1 | h)",
        data,
        "poisson",
        hold={"sd(Intercept | h)": "sd(Intercept | g)"},
        priors={"sd": gamma(2, 3)},
    )
    (sd,) = fit.theta
    penalty = fit.training.approximation.penalty(fit.training.problem, fit.fit.psi)
    assert penalty == pytest.approx(-stats.gamma(2, scale=1 / 3).logpdf(abs(sd)), rel=1e-9)
