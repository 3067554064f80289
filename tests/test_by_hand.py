"""Answers after a fit, each against its formula written out here."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm
from scipy.stats import f as f_distribution

import interlace
from interlace.inference.bootstrap import Bootstrap
from interlace.inference.draws import draw_predictors
from interlace.inference.residuals import just_below
from interlace.inference.scaled_residuals import ScaledResiduals
from interlace.inference.small_samples import Spread, f_test
from interlace_core.messages.errors import OptionError
from interlace_core.registry.registry import default_registry
from reference_fits import load_data


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    n, g = 240, np.repeat(np.arange(24), 10)
    x = rng.normal(size=n)
    eta = 0.4 + 0.5 * x + rng.normal(0, 0.7, 24)[g]
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "w": rng.uniform(0.5, 3.0, n),
            "o": rng.normal(0, 0.4, n),
            "y": eta + rng.normal(size=n),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
            "count": rng.negative_binomial(2, 2.0 / (2.0 + np.exp(eta))),
            "yes": (rng.random(n) < 1.0 - np.exp(-np.exp(eta - 1.0))).astype(int),
            "grade": np.digitize(eta + rng.logistic(size=n), [-1.0, 0.2, 1.4]),
        }
    )


# Degrees of freedom


def test_denominator_of_several_is_that_of_an_f_with_the_mean_of_squared_ts():
    """Fai and Cornelius: E F(q, d) is the mean of E t^2 of the uncorrelated combinations."""
    A = np.diag([0.5, 0.2])  # 2 v^2 / (g' A g) = 4 and 10
    slopes = np.array([np.diag([1.0, 0.0]), np.diag([0.0, 2.0])])
    found = f_test(np.eye(2), np.array([1.0, 2.0]), Spread(np.diag([1.0, 2.0]), slopes, A))
    mean = np.mean([f_distribution.mean(1, d) for d in (4.0, 10.0)])
    expected = brentq(lambda d: f_distribution.mean(2, d) - mean, 2.1, 100.0)
    assert found.den_df == pytest.approx(expected, rel=1e-9)
    assert pytest.approx((1.0 + 4.0 / 2.0) / 2.0) == found.F


def test_kenward_and_roger_s_test_of_a_balanced_design_is_the_exact_one():
    """Treatments in complete blocks: the F of an analysis of variance, whose law is known."""
    rng = np.random.default_rng(8)
    blocks, treatments = 6, 4
    Y = rng.normal(size=(blocks, treatments)) + rng.normal(0, 2, (blocks, 1)) + [0, 0.5, 1, 0]
    names = np.array(list("abcd"))
    data = pd.DataFrame(
        {"y": Y.ravel(), "t": np.tile(names, blocks), "b": np.repeat(np.arange(blocks), treatments)}
    )
    m = interlace.fit("y ~ t + (1 | b)", data, df_method="kenward-roger")
    between = blocks * np.sum(np.square(Y.mean(axis=0) - Y.mean())) / (treatments - 1)
    rest = Y - Y.mean(axis=0) - Y.mean(axis=1, keepdims=True) + Y.mean()
    within = np.sum(np.square(rest)) / ((treatments - 1) * (blocks - 1))
    found = m.term_tests().loc["t"]
    assert found["F"] == pytest.approx(between / within, rel=1e-5)
    assert found["den_df"] == pytest.approx((treatments - 1) * (blocks - 1), rel=1e-5)


# Intervals


def drawn(values, estimate):
    """Return a bootstrap of one quantity."""
    return Bootstrap(pd.DataFrame({"a": values}), pd.Series({"a": estimate}), ())


def limits(sample, kind, level=0.9):
    return sample.confint("a", level=level, kind=kind)[["lower", "upper"]].to_numpy()[0]


def test_bootstrap_intervals_are_what_their_formulas_say():
    values = np.random.default_rng(3).permutation(np.arange(1.0, 20.0))  # the k-th is k
    sample = drawn(values, 12.0)
    spread = np.sqrt(np.sum((values - 10.0) ** 2) / 18.0)
    z = norm.ppf(0.95)
    np.testing.assert_allclose(limits(sample, "percentile"), [1.0, 19.0])
    np.testing.assert_allclose(limits(sample, "percentile", 0.8), [2.0, 18.0])
    np.testing.assert_allclose(limits(sample, "basic"), [24.0 - 19.0, 24.0 - 1.0])
    np.testing.assert_allclose(limits(sample, "normal"), 14.0 + z * spread * np.array([-1, 1]))
    assert sample.bse["a"] == pytest.approx(spread)
    # 11 are below the estimate and one is equal: Efron's z0 is that of 11.5 / 19
    z0 = norm.ppf(11.5 / 19.0)
    ranks = 20.0 * norm.cdf(2.0 * z0 + z * np.array([-1, 1]))
    np.testing.assert_allclose(
        limits(sample, "bias-corrected"), np.clip(ranks, 1.0, 19.0), rtol=1e-9
    )


MODELS = {
    "gamma": lambda d: interlace.glmer("positive ~ x + (1 | g)", d, "gamma"),
    "nb1": lambda d: interlace.glmer("count ~ x + (1 | g)", d, "negativebinomial1"),
    "nb2": lambda d: interlace.glmer("count ~ x + (1 | g)", d, "negativebinomial"),
    "linear": lambda d: interlace.fit("y ~ x + (1 | g)", d),
    "ordinal": lambda d: interlace.clmm("grade ~ x + (1 | g)", d),
}


@pytest.mark.parametrize("name", MODELS)
def test_lower_ends_are_below_the_estimates_and_upper_ends_above(name, rows):
    found = MODELS[name](rows).confint().dropna()
    assert len(found) >= 3
    assert (found["lower"] < found["estimate"]).all()
    assert (found["estimate"] < found["upper"]).all()


# Criteria and influence


def test_aicc_is_hurvich_and_tsai_s():
    m = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size"
    )
    assert m.df == 5
    assert m.nobs == 56
    assert m.aicc == pytest.approx(-2.0 * m.llf + 2.0 * 5 * 56 / (56 - 5 - 1), rel=1e-12)


def test_cook_s_distance_of_a_linear_model_is_that_of_the_books(rows):
    """One step: e^2 h / (p sigma^2), h the leverage (the exact one has (1 - h)^2 below it)."""
    m = interlace.glmer("y ~ x", rows, "gaussian")
    X, e = np.column_stack([np.ones(len(rows)), rows["x"]]), rows["y"] - m.fittedvalues
    h = np.sum(X @ np.linalg.inv(X.T @ X) * X, axis=1)
    expected = (np.square(e) * h / (2.0 * np.mean(np.square(e)))).to_numpy()
    found = m.influence().cook
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-3, atol=1e-9)
    assert found.index[0] == str(int(np.argmax(expected)))


def test_residual_variance_under_a_cloglog_link_is_that_of_gumbel_s_law(rows):
    m = interlace.glmer("yes ~ x + (1 | g)", rows, "binomial", link="cloglog")
    found = m.r2()
    assert found.residual == pytest.approx(np.pi**2 / 6.0)
    own = float(m.theta[0]) ** 2
    assert found.icc == pytest.approx(own / (own + np.pi**2 / 6.0), rel=1e-6)


# Thresholds


@pytest.mark.parametrize("structure", ["symmetric", "equidistant"])
def test_errors_of_thresholds_in_a_structure_are_by_the_delta_method(structure, rows):
    """By differences of the thresholds in the parameters that make them."""
    m = interlace.clmm("grade ~ x + (1 | g)", rows, threshold=structure)
    V = m.vcov()
    own = [
        name for name in V.index if "central" in name or "spacing" in name or "threshold" in name
    ]
    assert len(own) == 2
    B = {"symmetric": [[1, -1], [1, 0], [1, 1]], "equidistant": [[1, 0], [1, 1], [1, 2]]}
    block = V.loc[own, own].to_numpy()
    expected = np.sqrt([np.array(b) @ block @ np.array(b) for b in B[structure]])
    np.testing.assert_allclose(m.threshold_bse, expected, rtol=1e-9)
    assert abs(block[0, 1]) > 0.01 * np.sqrt(block[0, 0] * block[1, 1])


# Weights, offsets, new levels


def test_weights_and_an_offset_of_the_dispersion_are_one_precision(rows):
    both = interlace.fit(
        "y ~ x + (1 | g)", rows, weights="w", dispformula="~ 1 + offset(o)", method="ML"
    )
    one = rows.assign(p=rows["w"] * np.exp(-2.0 * rows["o"]))
    single = interlace.fit("y ~ x + (1 | g)", one, weights="p", method="ML")
    assert both.llf == pytest.approx(single.llf, rel=1e-9)
    np.testing.assert_allclose(both.fe_params, single.fe_params, rtol=1e-6)


def test_sampled_effects_of_two_terms_of_a_group_have_variances_of_their_own(rows):
    data = rows.assign(slope=rows["y"] + rows["x"] * (rows["g"] % 5 - 2.0))
    m = interlace.fit("slope ~ x + (1 | g) + (0 + x | g)", data)
    n = 4000
    new = pd.DataFrame({"g": np.tile(np.arange(100, 100 + n), 2), "x": np.repeat([0.0, 10.0], n)})
    found = m.predict(new, type="link", new_levels="sample", seed=1).to_numpy()
    fixed = m.predict(new, type="link", include_re=False).to_numpy()
    at_0, at_10 = (found - fixed).reshape(2, n)
    first, second = (np.square(each) for each in (m.theta * m.scale**0.5))
    assert second > 2.0 * first
    # of 4,000 draws variances are good to 2.2%
    assert np.var(at_0) == pytest.approx(first, rel=0.09)
    assert np.var(at_10) == pytest.approx(first + 100.0 * second, rel=0.09)
    assert np.var(at_10 - at_0) == pytest.approx(100.0 * second, rel=0.09)


# Comparisons


def test_fits_of_other_links_or_offsets_are_not_nested(rows):
    """Twice the difference of their log-likelihoods is no chi-square, however many parameters."""
    small = interlace.glmer("yes ~ 1", rows, "binomial")
    pairs = {
        "links": [
            (small, interlace.glmer("yes ~ x", rows, "binomial", link="probit")),
            (
                interlace.clmm("grade ~ 1", rows),
                interlace.clmm("grade ~ x", rows, link="probit"),
            ),
        ],
        "offsets": [(small, interlace.glmer("yes ~ x + offset(o)", rows, "binomial"))],
    }
    for what, of in pairs.items():
        for one, other in of:
            last = interlace.anova(one, other).iloc[-1]
            assert last["reference"] == f"not nested: different {what}"
            assert np.isnan(last["pvalue"])


def test_restricted_likelihoods_of_other_contrasts_or_weights_are_not_compared(rows):
    one = interlace.fit("y ~ x + (1 | g)", rows)
    offset = interlace.fit("y ~ x + offset(o) + (1 | g)", rows)
    with pytest.raises(OptionError, match="depends on the fixed effects, which differ"):
        interlace.anova(one, offset, refit=False)
    weighted = interlace.fit("y ~ x + (1 | g)", rows, weights="w")
    with pytest.raises(OptionError, match="their weights differ"):
        interlace.anova(one, weighted)


# Power


def test_likelihood_ratio_tests_of_no_effect_have_uniform_p_values(rows):
    """Their mean is 1/2; with half of the statistic it would be 2 atan(sqrt 2) / pi = 0.61."""
    found = interlace.power(
        "count ~ x", rows, "poisson", fixed={"Intercept": 1.0}, sd={}, test="x", method="lrt",
        n=200, seed=5,
    )  # fmt: skip
    assert found.pvalues.mean() == pytest.approx(0.5, abs=3.5 * np.sqrt(1.0 / 12.0 / 200.0))


def test_interval_of_a_power_is_clopper_and_pearson_s(rows):
    found = interlace.power(
        "count ~ x", rows, "poisson", fixed={"Intercept": 0.2, "x": 0.12}, sd={}, test="x", n=40,
        seed=2,
    )  # fmt: skip
    hits = int(np.sum(found.pvalues < 0.05))
    assert 0 < hits < 40
    low, high = found.interval
    assert binom.sf(hits - 1, 40, low) == pytest.approx(0.025, rel=1e-6)
    assert binom.cdf(hits, 40, high) == pytest.approx(0.025, rel=1e-6)


# Simulation


def test_effects_are_drawn_with_the_covariance_of_their_template(rows):
    """That of eta in rows of one group is z'TT'z; T'T is another matrix."""
    problem = interlace.fit("y ~ x + (x | g)", rows).training.problem
    T = np.array([[1.0, 0.0], [2.0, 0.5]])
    psi = np.zeros(problem.n_psi)
    psi[:3] = T[[0, 1, 1], [0, 0, 1]]
    np.testing.assert_allclose(problem.terms[0].covariance.template(psi[:3]), T)
    rng, first = np.random.default_rng(3), np.arange(0, 240, 10)
    eta = np.stack([draw_predictors(problem, psi, rng)[0] for _ in range(200)])
    z, other = problem.terms[0].Z[first], problem.terms[0].Z[first + 1]
    found = np.mean(eta[:, first] * eta[:, first + 1])
    expected = np.mean(np.sum((z @ T) * (other @ T), axis=1))
    wrong = np.mean(np.sum((z @ T.T) * (other @ T.T), axis=1))
    assert found == pytest.approx(expected, rel=0.1)
    assert wrong != pytest.approx(expected, rel=0.3)


def test_p_values_of_scaled_residuals_count_both_tails():
    draws = np.ones((99, 40))
    observed = np.r_[np.zeros(5), np.ones(35)]
    made = ScaledResiduals(pd.Series(np.full(40, 0.5)), observed, draws, False)
    assert made.test_zeros().pvalue == pytest.approx(2.0 / 100.0)  # more than all 99


def test_scaled_residuals_are_spread_within_their_ranks(rows):
    m = interlace.fit("y ~ x + (1 | g)", rows)
    values = m.scaled_residuals(3, seed=1).values
    within = np.mod(4.0 * values, 1.0)
    # of 240 uniform numbers
    assert within.mean() == pytest.approx(0.5, abs=3.5 * np.sqrt(1.0 / 12.0 / 240.0))


COUNTS = [
    each
    for each in default_registry().classes("family")
    if each.cls().is_discrete and each.cls().support == "counts" and "compois" not in each.name
]


@pytest.mark.parametrize("offer", COUNTS, ids=lambda each: each.name)
def test_distribution_functions_of_counts_leave_out_a_value_just_below_it(offer):
    """What residuals are randomised over is the jump: F(y) less F just below y is P(y)."""
    family = offer.cls()
    y = np.arange(1.0, 8.0)
    eta = [np.full(7, 0.3) for _ in family.parameters]
    with np.errstate(all="ignore"):
        jump = family.cdf(y, eta) - family.cdf(just_below(y), eta)
        expected = np.exp(family.log_density(y, eta))
    np.testing.assert_allclose(jump, expected, rtol=1e-7)


def test_a_variance_at_0_has_no_standard_error(rows):
    """No more than the covariances with it: the likelihood is not normal there."""
    noise = np.random.default_rng(6).normal(size=240)
    centred = noise - np.repeat(noise.reshape(24, 10).mean(axis=1), 10)
    m = interlace.fit("flat ~ x + (1 | g)", rows.assign(flat=centred))
    assert m.fit.verdict.status == "boundary"
    assert np.isnan(m.fit.vcov[0]).all()
    assert np.isnan(m.fit.vcov[:, 0]).all()
    assert np.isfinite(m.fit.vcov[1:, 1:]).all()
