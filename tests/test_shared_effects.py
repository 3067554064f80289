"""Effects shared by parameters: correlated between formulas, or one effect with loadings.

The stored fits are those of own code in R, checked there by 61 nodes and by integrate().
"""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, gammaln, logsumexp

import interlace
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.errors import FormulaError, NotAvailableError, UnsupportedModelError
from reference_fits import FOLDER, load_data

MODELS = {
    "shared_hurdle_pois_own": (
        "y ~ x + shared(1 | p | g)", "hurdle_poisson",
        {"ziformula": "~ x + shared(1 | p | g)"}, "pi", "zi",
    ),
    "shared_locscale_gauss_own": (
        "yls ~ x + shared(1 | p | g)", "gaussian",
        {"dispformula": "~ x + shared(1 | p | g)"}, "sigma", "disp",
    ),
}  # fmt: skip


def refit(fit_id, **more):
    formula, family, formulas, *_ = MODELS[fit_id]
    return interlace.glmer(formula, load_data("sim_shared"), family, **formulas, **more)


def load(fit_id):
    return json.loads((FOLDER / "shared" / f"{fit_id}.json").read_text())


@pytest.mark.parametrize("fit_id", MODELS)
def test_with_laplace_the_fit_is_the_stored_one(fit_id):
    reference, ours = load(fit_id)["extras"]["laplace_fit"], refit(fit_id)
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-7)
    sd, loading = ours.training.problem.terms[0].covariance.natural(ours.theta)
    theirs, se = reference["coefficients"], reference["se"]
    assert np.log(sd) == pytest.approx(theirs["logsd"], abs=1e-3 * se["logsd"])
    assert loading == pytest.approx(theirs["lambda"], abs=1e-3 * se["lambda"])
    assert ours.fe_params["x"] == pytest.approx(theirs["a:x"], abs=1e-3 * se["a:x"])


@pytest.mark.parametrize("fit_id", MODELS)
def test_with_quadrature_the_fit_is_the_stored_one(fit_id):
    reference, k, part = load(fit_id), *MODELS[fit_id][3:]
    ours = refit(fit_id, approximation="agq-vector", nAGQ=25)
    assert ours.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert ours.df == reference["df"]
    for found, errors, name in (
        (ours.fe_params, ours.fe_bse, ""),
        (ours.params_of(k), ours.bse_of(k), f"{part}_"),
    ):
        for theirs, own in (("(Intercept)", "Intercept"), ("x", "x")):
            se = reference[f"{name}se"][theirs]
            assert found[own] == pytest.approx(reference[f"{name}fixef"][theirs], abs=1e-3 * se)
            assert errors[own] == pytest.approx(se, rel=1e-3)
    numbers = ours.confint("structure")
    assert list(numbers.index) == [f"loading({k}: Intercept | g)"]
    sd, loading = ours.training.problem.terms[0].covariance.natural(ours.theta)
    estimate, se = reference["shared_loading"]["estimate"], reference["shared_loading"]["se"]
    assert loading == pytest.approx(estimate, abs=1e-3 * se)
    width = np.ptp(numbers[["lower", "upper"]].to_numpy()) / 2 / stats.norm.ppf(0.975)
    assert width == pytest.approx(se, rel=1e-3)
    assert np.log(sd) == pytest.approx(reference["theta"][0], abs=1e-3 * reference["theta_se"][0])


def hurdles(seed=3, groups=15, rows=8, level=1.0):
    """Return counts whose groups differ in the mean and, the other way, in the zeros."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    b = rng.normal(size=(groups, 2)) @ np.array([[0.5, -0.6], [0.0, 0.6]])
    some = rng.random(g.size) > expit(-0.7 + b[g, 1])
    mean = np.exp(level + 0.3 * x + b[g, 0])
    y = np.where(some, stats.poisson.ppf(rng.uniform(np.exp(-mean), 1.0), mean), 0)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g]})


CALL = {
    "formula": "y ~ x + (1 | p | g)", "family": "hurdle_poisson",
    "ziformula": "~ 1 + (1 | p | g)",
}  # fmt: skip


def test_correlated_parts_are_those_of_brute_force_with_doubled_nodes():
    data = hurdles(seed=6, groups=50, rows=4, level=0.2)
    y, x = data["y"].to_numpy(), data["x"].to_numpy()
    codes = pd.factorize(data["g"])[0]

    def negative(q, nodes=24):
        b0, b1, zero, s0, s1, r = q[0], q[1], q[2], np.exp(q[3]), np.exp(q[4]), np.tanh(q[5])
        points, weights = hermegauss(nodes)
        u, v = (each.ravel() for each in np.meshgrid(points, points))
        log_w = np.log(np.outer(weights, weights).ravel() / (2.0 * np.pi))
        log_mean = b0 + b1 * x[:, None] + s0 * u
        logit = zero + s1 * (r * u + np.sqrt(1.0 - r * r) * v) + 0.0 * x[:, None]
        mean = np.exp(log_mean)
        count = y[:, None] * log_mean - mean - gammaln(y[:, None] + 1) - np.log(-np.expm1(-mean))
        rows = np.where(y[:, None] == 0, -np.logaddexp(0, -logit), count - np.logaddexp(0, logit))
        groups = np.stack([rows[codes == g].sum(axis=0) for g in range(50)])
        return -logsumexp(groups + log_w, axis=1).sum()

    options = {"xatol": 1e-5, "fatol": 1e-8, "maxiter": 1200, "maxfev": 1200}
    start = [0.2, 0.3, -0.7, -1.7, -0.4, -0.8]
    best = minimize(negative, start, method="Nelder-Mead", options=options)
    assert negative(best.x, 48) == pytest.approx(best.fun, abs=1e-3)
    fit = interlace.glmer(data=data, approximation="agq-vector", nAGQ=21, **CALL)
    assert fit.converged
    assert -fit.llf == pytest.approx(best.fun, abs=1e-3)
    found = [*fit.fe_params, *fit.params_of("pi")]
    assert found == pytest.approx(best.x[:3], abs=2e-3)
    covariance = fit.variance_components["g"].to_numpy()
    sd = np.sqrt(np.diagonal(covariance))
    assert np.log(sd) == pytest.approx(best.x[3:5], abs=3e-3)
    assert covariance[0, 1] / sd[0] / sd[1] == pytest.approx(np.tanh(best.x[5]), abs=3e-3)
    # uncorrelated ones are the special case that their own terms are
    apart = interlace.glmer("y ~ x + (1 | g)", data, "hurdle_poisson", ziformula="~ 1 + (1 | g)")
    none = interlace.glmer(data=data, hold={"cor(Intercept, pi: Intercept | g)": 0.0}, **CALL)
    assert none.llf == pytest.approx(apart.llf, abs=1e-7)
    table = interlace.anova(apart, interlace.glmer(data=data, **CALL))
    assert table["chi_df"].iloc[-1] == 1


def test_one_effect_with_loadings_is_the_limit_of_rank_1():
    data = hurdles()
    one = interlace.glmer(
        "y ~ x + shared(1 | p | g)", data, "hurdle_poisson", ziformula="~ shared(1 | p | g)"
    )
    reduced = interlace.glmer(
        "y ~ x + rr(1 | p | g, d = 1)", data, "hurdle_poisson",
        ziformula="~ rr(1 | p | g, d = 1)",
    )  # fmt: skip
    assert one.llf == pytest.approx(reduced.llf, abs=1e-7)
    text = str(one.summary())
    assert "loading(pi: Intercept)" in text and "sd(Intercept)" in text
    held = interlace.glmer(
        "y ~ x + shared(1 | p | g)", data, "hurdle_poisson",
        ziformula="~ shared(1 | p | g)", hold={"loading(pi: Intercept | g)": 0.0},
    )  # fmt: skip
    plain = interlace.glmer("y ~ x + (1 | g)", data, "hurdle_poisson", ziformula="~ 1")
    assert held.llf == pytest.approx(plain.llf, abs=1e-6)
    with_prior = interlace.glmer(
        "y ~ x + shared(1 | p | g)", data, "hurdle_poisson", ziformula="~ shared(1 | p | g)",
        priors={"loading(pi: Intercept | g)": interlace.normal(0, 0.1), "sd": interlace.gamma()},
    )  # fmt: skip
    loading = with_prior.training.problem.terms[0].covariance.natural(with_prior.theta)[1]
    assert abs(loading) < 0.3


GRADIENTS = {
    "hurdle": (CALL["formula"], "hurdle_poisson", {"ziformula": CALL["ziformula"]}),
    "slopes": (
        "y ~ x + (1 + x | p | g)", "nbinom2", {"dispformula": "~ 1 + (1 + x | p | g)"},
    ),
    "three parts": (
        "y ~ x + (1 | p | g)", "zinb2",
        {"ziformula": "~ (1 | p | g)", "dispformula": "~ (1 | p | g)"},
    ),
    "crossed": (
        "y ~ x + shared(1 | p | g) + (1 | h)", "hurdle_poisson",
        {"ziformula": "~ shared(1 | p | g) + (1 | h)"},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("nAGQ", [1, 0])
def test_gradients_are_those_of_differences(name, nAGQ):
    formula, family, more = GRADIENTS[name]
    data = hurdles().assign(x=lambda d: 2000.0 + 10.0 * d["x"], h=[f"h{i % 4}" for i in range(120)])
    fit = interlace.glmer(formula, data, family, nAGQ=nAGQ, max_seconds=3.0, **more)
    standard = standard_of(fit.training.problem)
    problem, approximation = standard.problem, fit.training.approximation
    assert problem.given is not None
    evaluate = approximation.objective(problem)
    psi = standard.psi(fit.fit.psi) + 0.05
    psi[: problem.n_theta] += 0.2 * np.cos(np.arange(problem.n_theta))
    place = approximation.profiled(problem)
    here = evaluate(psi)
    for k in range(psi.size):
        step = 1e-5 * np.eye(psi.size)[k]
        rise = evaluate(psi + step).value - evaluate(psi - step).value
        expected = 0.0 if place.start <= k < place.stop else rise / 2e-5
        assert here.gradient[k] == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_units_and_zero_points_of_covariates_do_not_matter():
    data = hurdles(seed=5, groups=25, rows=12)
    call = {
        "formula": "y ~ x + (1 + x | p | g)", "family": "hurdle_poisson",
        "ziformula": "~ x + (1 | p | g)",
    }  # fmt: skip
    usual = interlace.glmer(data=data, **call)
    moved = interlace.glmer(data=data.assign(x=1e3 * data["x"] + 5e5), **call)
    assert moved.llf == pytest.approx(usual.llf, abs=1e-6)
    assert 1e3 * moved.fe_params["x"] == pytest.approx(usual.fe_params["x"], rel=1e-4)
    sd = np.sqrt(np.diagonal(usual.variance_components["g"]))
    other = np.sqrt(np.diagonal(moved.variance_components["g"]))
    assert other[2] == pytest.approx(sd[2], rel=1e-3)  # of pi, whose column is a constant
    assert 1e3 * other[1] == pytest.approx(sd[1], rel=1e-3)


def test_new_groups_are_averaged_over_with_the_correlation(tmp_path):
    data = hurdles()
    fit = interlace.glmer(data=data, **CALL)
    new = pd.DataFrame({"x": [0.0, 1.0], "g": ["g0", "new"]})
    T = fit.effects["g"].root
    rng = np.random.default_rng(1)
    b = rng.normal(size=(400_000, 2)) @ T.T
    zero = fit.params_of("pi")["Intercept"]
    beta = fit.fe_params
    means = []
    for x in new["x"]:
        mu = np.exp(beta["Intercept"] + beta["x"] * x + b[:, 0])
        means.append(np.mean(expit(-(zero + b[:, 1])) * mu / -np.expm1(-mu)))
    found = np.asarray(fit.predict(new, type="population", new_levels="marginal"))
    assert found == pytest.approx(means, rel=5e-3)
    # without the correlation it would be another number
    apart = []
    c = rng.normal(size=(400_000, 2)) * np.linalg.norm(T, axis=1)
    for x in new["x"]:
        mu = np.exp(beta["Intercept"] + beta["x"] * x + c[:, 0])
        apart.append(np.mean(expit(-(zero + c[:, 1])) * mu / -np.expm1(-mu)))
    assert np.all(np.abs(found - apart) > 0.02 * found)
    # of a known group: both of its effects
    own = fit.random_effects["g"].loc["g0"]
    mu = np.exp(beta["Intercept"] + own["Intercept"])
    expected = expit(-(zero + own["pi: Intercept"])) * mu / -np.expm1(-mu)
    assert np.asarray(fit.predict(new.iloc[:1]))[0] == pytest.approx(expected, rel=1e-10)
    in_sample = np.asarray(fit.predict(data.iloc[:5]))
    assert in_sample == pytest.approx(fit.fittedvalues.iloc[:5].to_numpy(), rel=1e-10)
    table = fit.predict(new, interval="prediction", se=True, seed=1, new_levels="marginal")
    assert np.isfinite(table.to_numpy(float)).all()
    fit.save(tmp_path / "fit")
    back = interlace.load(tmp_path / "fit")
    assert np.asarray(back.predict(new, type="population", new_levels="marginal")) == pytest.approx(
        found, rel=1e-12
    )
    assert back.refit(fit.y).llf == pytest.approx(fit.llf, abs=1e-6)


def test_simulate_and_refit_find_the_correlation_again():
    data = hurdles(seed=9, groups=60, rows=15)
    fit = interlace.glmer(data=data, **CALL)
    truth = fit.variance_components["g"].to_numpy()
    simulated = fit.simulate(5, seed=3, conditional=False)
    draws = np.asarray(simulated)
    draws = draws if draws.shape[0] == 5 else draws.T
    found = np.mean([fit.refit(y).variance_components["g"].to_numpy() for y in draws], axis=0)
    assert found == pytest.approx(truth, abs=0.2)
    assert found[0, 1] < -0.1


def test_ordered_categories_share_effects_between_location_and_scale():
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(40), 12)
    b = rng.normal(size=40)
    x = rng.normal(size=480)
    latent = 0.8 * x + b[g] + np.exp(0.4 * b[g]) * rng.logistic(size=480)
    data = pd.DataFrame({"y": np.digitize(latent, [-1.5, 0.0, 1.5]), "x": x, "g": g.astype(str)})
    fit = interlace.clmm("y ~ x + (1 | p | g)", data, scale="~ (1 | p | g)")
    apart = interlace.clmm("y ~ x + (1 | g)", data, scale="~ (1 | g)")
    assert fit.converged and fit.llf > apart.llf
    assert fit.variance_components["g"].iloc[0, 1] > 0.0


def test_reports_name_both_parts():
    fit = interlace.glmer(data=hurdles(), **CALL)
    assert "pi: Intercept" in str(fit.summary()) and "pi: Intercept" in str(fit.explain())
    labels = fit.confint().index
    for name in ("sd(Intercept | g)", "sd(pi: Intercept | g)", "cor(pi: Intercept, Intercept | g)"):
        assert name in labels
    assert len(fit.tidy(effects="ran_pars")) == 3
    assert not [note for note in fit.notes if "do not determine" in note]
    with pytest.raises(NotAvailableError, match="shared by parameters"):
        fit.r_code()
    assert fit.bootstrap(3, seed=1).values.shape[0] == 3
    again = interlace.glmer(data=hurdles(), start={"sd": {"g": {"pi: Intercept": 0.8}}}, **CALL)
    assert again.llf == pytest.approx(fit.llf, abs=1e-7)
    one_row_each = hurdles().assign(h=[f"r{i}" for i in range(120)], z=lambda d: d["x"] + d["y"])
    with pytest.raises(interlace.errors.DataError, match="residual"):
        interlace.glmer(
            "z ~ x + (1 | p | h)", one_row_each, "gaussian", dispformula="~ (1 | p | h)"
        )


@pytest.mark.parametrize(
    ("formula", "zeros", "words"),
    [
        ("y ~ (1 | p | g)", "~ 1", "alone"),
        ("y ~ (1 | p | g)", "~ (1 | q | g)", "alone"),
        ("y ~ (1 | p | g)", "~ (1 | p | h)", "one group"),
        ("y ~ (1 | p | g)", "~ shared(1 | p | g)", "one structure"),
        ("y ~ (1 || p | g)", "~ (1 | p | g)", "second bar"),
        ("y ~ (1 | p | q | g)", "~ (1 | p | g)", "second bar"),
        ("y ~ (1 | p + q | g)", "~ (1 | p | g)", "second bar"),
        ("y ~ (1 | p | g/h)", "~ (1 | p | g)", "one group"),
        ("y ~ ar1(0 + h | p | g)", "~ ar1(0 + h | p | g)", "structure of levels"),
        ("y ~ (1 | p | g) + (1 | p | g)", "~ 1", "twice|once"),
    ],
)
def test_what_cannot_be_shared_is_refused(formula, zeros, words):
    data = hurdles().assign(h=[f"h{i % 4}" for i in range(120)])
    with pytest.raises(FormulaError, match=words):
        interlace.glmer(formula, data, "hurdle_poisson", ziformula=zeros)


def test_linear_models_refuse_what_they_cannot_integrate():
    data = load_data("sim_shared")
    with pytest.raises(UnsupportedModelError, match="dispersion"):
        interlace.fit("yls ~ x + (1 | p | g)", data, dispformula="~ x + (1 | p | g)")
