"""The zero-one-inflated beta family: the mixture, its probabilities, fixed ones and messages."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from interlace_core.contract import DataWarning, OptionError, ResponseError
from interlace_core.families import differentiate
from interlace_core.testing.differences import slope
from interlace_proportions.beta import BetaFamily
from interlace_proportions.shares import MultinomialLogit, ScaledLogit
from interlace_proportions.zero_one_inflated import ZeroOneInflatedBetaFamily

RNG = np.random.default_rng(7)
INSIDE = RNG.uniform(0.01, 0.99, size=120)
Y = np.concatenate([np.zeros(40), np.ones(40), INSIDE])
ETA = [RNG.normal(size=200), RNG.uniform(0.0, 3.0, size=200), *RNG.normal(size=(2, 200))]
FAMILY = ZeroOneInflatedBetaFamily()


def probabilities(eta):
    weights = np.array([np.exp(eta[2]), np.exp(eta[3]), np.ones_like(eta[2])])
    return weights / weights.sum(axis=0)


def test_density_is_the_mixture():
    p0, p1, rest = probabilities(ETA)
    mu, phi = special.expit(ETA[0]), np.exp(ETA[1])
    between = np.where((Y > 0) & (Y < 1), Y, 0.5)
    beta = stats.beta.logpdf(between, mu * phi, (1 - mu) * phi)
    expected = np.where(Y == 0, np.log(p0), np.where(Y == 1, np.log(p1), np.log(rest) + beta))
    assert FAMILY.log_density(Y, ETA) == pytest.approx(expected, abs=1e-11)


def test_probabilities_and_natural_scale_come_from_both_predictors():
    p0, p1, rest = probabilities(ETA)
    assert np.allclose(FAMILY.probabilities(ETA), (p0, p1, rest), rtol=1e-13)
    mu, phi, natural0, natural1 = FAMILY.natural(ETA)
    assert np.allclose(mu, special.expit(ETA[0])) and np.allclose(phi, np.exp(ETA[1]))
    assert np.allclose(natural0, p0, rtol=1e-13) and np.allclose(natural1, p1, rtol=1e-13)
    by_jets = differentiate(lambda eta: FAMILY.natural(eta)[2], ETA, 1, (0, 1, 2, 3))
    assert by_jets.partials.keys() == {(2,), (3,)}
    assert by_jets.get(2) == pytest.approx(p0 * (1 - p0), rel=1e-12)
    assert by_jets.get(3) == pytest.approx(-p0 * p1, rel=1e-12)


def test_total_mean_and_variance_are_those_of_the_density():
    for row in range(5):
        eta = [e[row] for e in ETA]
        p0, p1, _ = (float(p) for p in FAMILY.probabilities(eta))

        def moment(power, eta=eta):
            def integrand(y):
                return y**power * np.exp(float(FAMILY.log_density(np.array(y), eta)))

            return integrate.quad(integrand, 0.0, 1.0, limit=500, epsabs=1e-12)[0]

        # the density is unbounded at the ends where a shape is below 1: quad is good to 1e-7
        assert p0 + p1 + moment(0) == pytest.approx(1.0, abs=1e-7)
        mean = p1 + moment(1)
        assert float(FAMILY.mean(eta)) == pytest.approx(mean, abs=1e-7)
        variance = p0 * mean**2 + p1 * (1 - mean) ** 2 + moment(2) - 2 * mean * moment(1)
        variance += mean**2 * moment(0)
        assert float(FAMILY.variance(eta)) == pytest.approx(variance, abs=1e-7)


def test_derivatives_are_differences_and_the_parts_do_not_mix():
    found = FAMILY.derivatives(Y, ETA, 3, (0, 1, 2, 3))
    assert not any({0, 1} & set(key) and {2, 3} & set(key) for key in found.partials)
    for key in found.partials:
        k = key[-1]

        def below(x, key=key, k=k):
            eta = [x if j == k else ETA[j] for j in range(4)]
            result = FAMILY.derivatives(Y, eta, 2, (0, 1, 2, 3))
            return result.get(*key[:-1]) if key[:-1] else result.value

        expected = slope(below, ETA[k], 1e-3)
        assert found.partials[key] == pytest.approx(expected, rel=1e-8, abs=1e-8), key


def test_derivatives_of_the_beta_part_are_those_of_beta():
    found = FAMILY.derivatives(Y, ETA, 3, (0, 1))
    beta = BetaFamily().derivatives(INSIDE, [e[80:] for e in ETA[:2]], 3, (0, 1))
    for key, expected in beta.partials.items():
        assert np.all(found.get(*key)[:80] == 0.0)
        assert found.get(*key)[80:] == pytest.approx(expected, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("size", [-800.0, -40.0, 40.0, 800.0])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_everything_is_finite_far_out(k, size):
    y, rng = np.array([0.0, 1e-300, 0.4, 1.0]), np.random.default_rng(1)
    eta = [np.full(4, size if j == k else 0.3) for j in range(4)]
    found = FAMILY.derivatives(y, eta, 3, (0, 1, 2, 3))
    assert all(np.all(np.isfinite(x)) for x in (found.value, *found.partials.values()))
    assert np.all(np.isfinite(FAMILY.simulate(eta, rng)))
    assert np.all((FAMILY.mean(eta) >= 0) & (FAMILY.mean(eta) <= 1) & (FAMILY.variance(eta) >= 0))
    assert np.all(np.diff(FAMILY.cdf(y, eta)) >= 0)


def test_cdf_jumps_at_the_ends():
    eta = [np.full(4, v) for v in (0.3, 1.0, -1.0, -0.5)]
    p0, p1, rest = (p[0] for p in FAMILY.probabilities(eta))
    mu, phi = special.expit(0.3), np.e
    half = p0 + rest * stats.beta.cdf(0.5, mu * phi, (1 - mu) * phi)
    found = FAMILY.cdf(np.array([-0.1, 0.0, 0.5, 1.0]), eta)
    assert found == pytest.approx([0.0, p0, half, 1.0], abs=1e-12)
    assert FAMILY.cdf(np.full(4, 1.0 - 1e-15), eta)[0] == pytest.approx(1.0 - p1, abs=1e-6)


def test_simulated_shares_and_moments_are_those_of_the_family():
    n = 100_000
    eta = [np.full(n, v) for v in (0.5, 2.0, -1.0, -0.3)]
    draws = FAMILY.simulate(eta, np.random.default_rng(3))
    p0, p1, _ = (p[0] for p in FAMILY.probabilities(eta))
    assert abs(np.mean(draws == 0) - p0) < 4.0 * np.sqrt(p0 * (1 - p0) / n)
    assert abs(np.mean(draws == 1) - p1) < 4.0 * np.sqrt(p1 * (1 - p1) / n)
    variance = FAMILY.variance(eta)[0]
    assert abs(draws.mean() - FAMILY.mean(eta)[0]) < 4.0 * np.sqrt(variance / n)
    assert abs(draws.var() - variance) < 4.0 * variance * np.sqrt(2.0 / n)
    start = FAMILY.start(draws, None)
    assert start == pytest.approx([0.5, 2.0, -1.0, -0.3], abs=0.05)


def test_conditional_mean_is_that_of_the_inside():
    assert FAMILY.conditional_mean(ETA) == pytest.approx(special.expit(ETA[0]), rel=1e-14)


@pytest.mark.parametrize(("p0", "p1"), [(0.1, 0.2), (0.3, 0.0), (0.0, 0.7), (0.0, 0.0)])
def test_fixed_probabilities_are_exact(p0, p1):
    family = ZeroOneInflatedBetaFamily(p0=p0, p1=p1)
    fixed = family.parameters[2:]
    assert [parameter.fixed for parameter in fixed] == [p0, p1]
    eta = [0.2, 1.0, *(parameter.fixed_eta() for parameter in fixed)]
    assert np.allclose(family.probabilities(eta), (p0, p1, 1.0 - p0 - p1), rtol=1e-12, atol=0)
    y = np.array([0.4])
    density = family.log_density(y, [np.array([e]) for e in eta])
    beta = BetaFamily().log_density(y, [np.array([0.2]), np.array([1.0])])
    assert density == pytest.approx(np.log1p(-p0 - p1) + beta, rel=1e-12)
    found = family.derivatives(y, [np.array([e]) for e in eta], 3, (0, 1))
    assert all(np.all(np.isfinite(partial)) for partial in found.partials.values())


def test_one_probability_fixed_at_zero_leaves_a_logit_for_the_other():
    family = ZeroOneInflatedBetaFamily(p1=0.0)
    zero = family.parameters[2]
    eta = [np.array([v]) for v in (0.2, 1.0, -0.8, -np.inf)]
    assert family.probabilities(eta)[0] == pytest.approx(special.expit(-0.8), rel=1e-13)
    assert zero.link.mu(-0.8) == pytest.approx(special.expit(-0.8), rel=1e-13)
    found = family.derivatives(np.zeros(1), eta, 3, (0, 1, 2))
    assert found.get(2) == pytest.approx(special.expit(0.8), rel=1e-12)
    assert found.get(2, 2) == pytest.approx(-special.expit(0.8) * special.expit(-0.8), rel=1e-12)


def test_links_of_the_probabilities():
    free0, free1 = FAMILY.parameters[2:]
    assert isinstance(free0.link, MultinomialLogit) and isinstance(free1.link, MultinomialLogit)
    link = ScaledLogit(0.7)
    assert link.domain == (0.0, 0.7)
    assert link.eta(link.mu(1.3)) == pytest.approx(1.3, rel=1e-12)
    assert link.derivatives(0.4)[1] == pytest.approx(slope(link.mu, 0.4, 1e-3), rel=1e-10)
    with pytest.raises(OptionError, match="upper must be above 0"):
        ScaledLogit(1.5)


def test_only_one_probability_fixed_is_refused():
    with pytest.raises(OptionError, match=r"p0 = 0\.1 is fixed and p1 is not.*Fix both"):
        ZeroOneInflatedBetaFamily(p0=0.1)
    with pytest.raises(OptionError, match=r"p1 = 0\.1 is fixed and p0 is not"):
        ZeroOneInflatedBetaFamily(p1=0.1)
    with pytest.raises(OptionError, match=r"p0 \+ p1 must be below 1"):
        ZeroOneInflatedBetaFamily(p0=0.5, p1=0.5)


@pytest.mark.parametrize("bad", [-0.1, 1.0, np.nan, "x", True])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(OptionError, match="zerooneinflated_beta.*p0 must be a probability"):
        ZeroOneInflatedBetaFamily(p0=bad, p1=0.1)


def test_response_is_checked_in_words():
    with pytest.raises(ResponseError, match=r"proportions from 0 to 1, got 1\.2 in row 1"):
        FAMILY.check_response(np.array([0.5, 1.2]), None)
    with pytest.raises(ResponseError, match="no 0, since p0 is fixed at 0"):
        ZeroOneInflatedBetaFamily(p0=0.0).check_response(np.array([0.5, 0.0]), None)
    with pytest.raises(ResponseError, match="no 1, since p1 is fixed at 0"):
        ZeroOneInflatedBetaFamily(p1=0.0).check_response(np.array([0.5, 1.0]), None)
    with pytest.raises(ResponseError, match="some values strictly between 0 and 1.*'binomial'"):
        FAMILY.bind(np.array([0.0, 1.0, 1.0]))


def test_an_end_without_rows_is_fixed_at_zero_with_a_warning():
    with pytest.warns(DataWarning, match="no row of the response is 1, so that p1 is fixed at 0"):
        bound = FAMILY.bind(np.array([0.0, 0.4, 0.7]))
    assert (bound.p0, bound.p1) == (None, 0.0)
    assert FAMILY.bind(Y) == FAMILY
