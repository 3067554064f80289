"""Priors against which the data speak, or that leave a parameter next to no choice."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import cauchy, gamma, half_cauchy, half_normal, lkj, normal, student_t


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    g, x, w = np.repeat(np.arange(20), 15), rng.normal(size=300), rng.normal(size=300)
    eta = 0.5 + 0.3 * x + 0.6 * rng.normal(size=20)[g] + 0.4 * rng.normal(size=20)[g] * x
    return pd.DataFrame(
        {
            "g": g,
            "v": x,
            "w": w,
            "y": rng.poisson(np.exp(eta)),
            "z": eta + 0.7 * rng.normal(size=300),
            "c": np.digitize(eta + rng.logistic(size=300), [-1.0, 0.0, 1.0]),
        }
    )


MODELS = {
    "counts": lambda d, **o: interlace.glmer("y ~ v + w + (v | g)", d, "poisson", **o),
    "linear": lambda d, **o: interlace.fit("z ~ v + w + (v | g)", d, method="ML", **o),
    "ordinal": lambda d, **o: interlace.clmm("c ~ v + w + (v | g)", d, **o),
}


SE = {"counts": 1e-3, "linear": 5e-3, "ordinal": 1e-3}
"""Of a linear model's coefficients the errors are those at known variances; with priors on them
they are the posterior's, whose variances are not known."""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-8, 1e-4])
def test_a_narrow_prior_holds_a_coefficient(model, scale, data):
    narrow = MODELS[model](data, priors={"v": normal(0.1, scale)})
    held = MODELS[model](data, hold={"v": 0.1})
    assert narrow.fit.verdict.status == "optimum"
    assert narrow.llf == pytest.approx(held.llf, abs=1e-4)
    assert narrow.fe_params["v"] == pytest.approx(0.1, abs=50 * scale)
    assert narrow.fe_bse["v"] == pytest.approx(scale, rel=1e-3)
    assert narrow.fe_params["w"] == pytest.approx(held.fe_params["w"], rel=1e-3)
    assert narrow.fe_bse["w"] == pytest.approx(held.fe_bse["w"], rel=SE[model])
    # next to nothing is asked of the search: its coordinates are those of the posterior
    assert narrow.fit.n_evaluations < 100


@pytest.mark.parametrize("model", MODELS)
def test_a_wide_prior_changes_nothing(model, data):
    priors = {"fixed": normal(0, 1e8), "sd": half_normal(1e8), "cor": lkj(1)}
    wide, free = MODELS[model](data, priors=priors), MODELS[model](data)
    assert wide.llf == pytest.approx(free.llf, abs=1e-8)
    np.testing.assert_allclose(wide.fe_params, free.fe_params, rtol=1e-6)
    np.testing.assert_allclose(wide.fe_bse, free.fe_bse, rtol=SE[model])


def by_holding(model, data, prior, places, **options):
    """Return the highest posterior of those with the coefficient held at places."""
    heights = []
    for place in places:
        held = MODELS[model](data, hold={"v": place}, **options)
        heights.append(-held.fit.value + prior.log_density(place)[0])
    return max(heights)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "prior", [cauchy(0, 1e-6), cauchy(0, 0.01), student_t(2, 0, 0.02)], ids=str
)
def test_of_the_two_modes_of_a_heavy_tailed_prior_the_higher_one_is_kept(model, prior, data):
    fit = MODELS[model](data, priors={"v": prior})
    near = prior.loc + prior.scale * np.array([0.0, 0.03, 0.1])
    brute = by_holding(model, data, prior, [*near, *np.linspace(0.02, 0.8, 14)])
    assert -fit.fit.value >= brute - 1e-6
    assert -fit.fit.value < brute + 0.2  # the grid is no finer


def test_a_lower_mode_is_told_of(data):
    fit = MODELS["counts"](data, priors={"v": cauchy(0, 1e-6)})
    assert fit.fit.verdict.status == "optimum"
    assert "several optima" in fit.status
    assert abs(fit.fe_params["v"]) < 1e-6
    origins = [each.origin for each in fit.fit.searches]
    assert "the centre of the prior of v" in origins


def test_standard_deviations_give_way_to_a_heavy_tailed_prior_where_that_is_higher(data):
    none = data.assign(y=np.random.default_rng(3).poisson(2.0, 300))
    none["y"] += (none["g"] == 7) * 1
    prior = {"sd(Intercept | g)": half_cauchy(1e-7)}
    fit = interlace.glmer("y ~ w + (1 | g)", none, "poisson", priors=prior)
    without = interlace.glmer("y ~ w", none, "poisson")
    at_0 = without.llf + half_cauchy(1e-7).log_density(0.0)[0]
    assert -fit.fit.value >= at_0 - 1e-6


@pytest.mark.parametrize("prior", [normal(0, 2.5), student_t(4, 0, 2.5), cauchy(0, 2.5)], ids=str)
def test_ordinary_priors_cost_one_search(prior, data):
    fit = MODELS["counts"](data, priors={"fixed": prior, "sd": half_cauchy(2.5)})
    assert len(fit.fit.searches) <= 1


def test_curvature_of_penalties_is_that_of_their_slopes(data):
    from interlace_core.fitting.standard import standard_of

    far = data.assign(v=3000.0 + 20.0 * data["v"])
    priors = {"fixed": normal(0, 0.5), "Intercept": student_t(4, 0, 500.0)}
    fit = interlace.glmer("y ~ v + w + (1 | g)", far, "poisson", priors=priors)
    problem, approximation = standard_of(fit.training.problem).problem, fit.training.approximation
    psi = standard_of(fit.training.problem).psi(fit.fit.psi)
    curvature = approximation.penalty_curvature(problem, psi)
    assert problem.given is not None
    h = 1e-3
    steps = h * np.eye(psi.size)
    for i in range(psi.size):
        for j in range(psi.size):
            found = sum(
                a * b * approximation.penalty(problem, psi + a * steps[i] + b * steps[j])
                for a in (1, -1)
                for b in (1, -1)
            )
            assert curvature[i, j] == pytest.approx(found / (4 * h * h), rel=1e-4, abs=1e-5)


def test_a_gamma_of_large_shape_holds_a_standard_deviation(data):
    priors = {"sd(v | g)": gamma(1e6, 1e6 / 0.3)}
    narrow = MODELS["counts"](data, priors=priors)
    held = MODELS["counts"](data, hold={"sd(v | g)": 0.3})
    assert narrow.llf == pytest.approx(held.llf, abs=0.02)
    sd = np.sqrt(narrow.variance_components["g"].loc["v", "v"])
    assert sd == pytest.approx(0.3, abs=1e-3)


@pytest.fixture(scope="module")
def separated(data):
    d = data.assign(rare=((data["g"] % 4 == 0) & (data["v"] > 0.5)).astype(int))
    return d.assign(yes=np.where(d["rare"] == 1, 1, (d["z"] > 0.5).astype(int)))


@pytest.mark.parametrize(
    "prior", [normal(0, 2.5), cauchy(0, 2.5), normal(0, 50), normal(30, 1e-6)], ids=str
)
def test_a_prior_that_holds_a_separated_coefficient_leaves_nothing_to_say(prior, separated):
    fit = interlace.glmer("yes ~ rare + w + (1 | g)", separated, "binomial", priors={"rare": prior})
    assert fit.notes == ()


@pytest.mark.parametrize("prior", [normal(0, 1e8), cauchy(0, 1e8)], ids=str)
def test_a_prior_too_wide_to_hold_a_separated_coefficient_does_not_hide_it(prior, separated):
    with pytest.warns(interlace.errors.ConvergenceWarning, match="'rare' separates the response"):
        interlace.glmer("yes ~ rare + w + (1 | g)", separated, "binomial", priors={"rare": prior})


@pytest.mark.parametrize("rate", [1e5, 1e8, 1e12])
def test_a_prior_without_density_at_0_keeps_a_variance_from_it_however_small(rate, data):
    """Its mode is at one over the rate, where the data say next to nothing."""
    fit = interlace.glmer("y ~ v + w + (1 | g)", data, "poisson", priors={"sd": gamma(2, rate)})
    assert fit.fit.verdict.status == "optimum"
    assert np.sqrt(fit.effects["g"].prior[0, 0]) == pytest.approx(1.0 / rate, rel=1e-3)
    assert len(fit.singularity()) == 0
    at_0 = interlace.glmer("y ~ v + w + (1 | g)", data, "poisson", priors={"sd": gamma(1, rate)})
    assert at_0.fit.verdict.status == "boundary"


@pytest.mark.parametrize(
    ("formula", "hold"), [("y ~ 1 + (1 | g)", None), ("y ~ v + (1 | g)", {"v": 0.3})]
)
def test_a_prior_of_coefficients_that_are_none_is_refused(formula, hold, data):
    with pytest.raises(interlace.errors.OptionError, match="'fixed', of which the model has none"):
        interlace.glmer(formula, data, "poisson", priors={"fixed": normal(0, 1)}, hold=hold)


def test_refits_of_a_posterior_with_two_modes_end_at_the_lower_one_as_fits_do():
    """Steps from a known fit ended at the mode of the data: 22 of 60 draws were at a wrong one."""
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(20), 5), rng.normal(size=100)
    y = rng.poisson(np.exp(0.2 + 0.35 * x + 0.4 * rng.normal(size=20)[g]))
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    priors = {"x": interlace.student_t(1.0, 0.7, 0.003)}
    m = interlace.glmer("y ~ x + (1 | g)", data, "poisson", priors=priors)
    drawn = np.asarray(m.simulate(12, seed=1))
    refitted = np.asarray(m.bootstrap(n=12, seed=1).values)[:, 1]
    fitted = [
        interlace.glmer("y ~ x + (1 | g)", data.assign(y=each), "poisson", priors=priors)
        for each in drawn.T
    ]
    np.testing.assert_allclose(refitted, [each.fe_params["x"] for each in fitted], atol=1e-4)
    assert 2 <= np.count_nonzero(refitted > 0.65) <= 10, "both modes win"
