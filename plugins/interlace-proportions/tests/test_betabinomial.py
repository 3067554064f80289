"""The beta-binomial family: closed forms, exact derivatives, the binomial limit and messages."""

from itertools import combinations

import numpy as np
import pytest
from scipy import special, stats

from interlace_core.contract import LINKS, DataWarning, OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate
from interlace_core.testing.differences import slope
from interlace_proportions import betabinomial
from interlace_proportions.betabinomial import BetaBinomialFamily

RNG = np.random.default_rng(6)
N = RNG.integers(1, 40, size=200).astype(float)
S = RNG.binomial(N.astype(int), RNG.uniform(size=200)).astype(float)
Y = np.column_stack([S, N])
ETA = [RNG.normal(size=200), RNG.uniform(-1.0, 4.0, size=200)]
LINK_NAMES = ("logit", "probit", "cloglog")


def shapes(link, eta):
    mu, failure = np.exp(LINKS[link].log_mu(eta[0])), np.exp(LINKS[link].log1m_mu(eta[0]))
    return mu * np.exp(eta[1]), failure * np.exp(eta[1])


def plain_density(link, eta):
    """The density as textbooks write it, without regard to tails or to large phi."""
    a, b = shapes(link, eta)
    choose = special.gammaln(N + 1) - special.gammaln(S + 1) - special.gammaln(N - S + 1)
    upper = special.gammaln(S + a) + special.gammaln(N - S + b) - special.gammaln(N + a + b)
    return choose + upper + special.gammaln(a + b) - special.gammaln(a) - special.gammaln(b)


@pytest.mark.parametrize("link", LINK_NAMES)
def test_density_and_cdf_are_scipys(link):
    a, b = shapes(link, ETA)
    family = BetaBinomialFamily(link=link).bind(Y)
    expected = stats.betabinom.logpmf(S, N, a, b)
    assert family.log_density(Y, ETA) == pytest.approx(expected, abs=1e-11)
    assert family.cdf(Y, ETA) == pytest.approx(stats.betabinom.cdf(S, N, a, b), abs=1e-11)
    assert family.mean(ETA) == pytest.approx(stats.betabinom.mean(N, a, b) / N, rel=1e-10)
    variance = stats.betabinom.var(N, a, b) / N**2
    assert family.variance(ETA) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("link", LINK_NAMES)
def test_derivatives_are_those_of_the_plain_density(link):
    hand = BetaBinomialFamily(link=link).derivatives(Y, ETA, 3, (0, 1))
    exact = differentiate(lambda eta: plain_density(link, eta), ETA, 3, (0, 1))
    assert hand.partials.keys() == exact.partials.keys()
    assert hand.value == pytest.approx(exact.value, abs=1e-11)
    for key, expected in exact.partials.items():
        error = np.abs(hand.partials[key] - expected) / (1.0 + np.abs(expected))
        assert error.max() < 1e-10, key


@pytest.mark.parametrize("link", LINK_NAMES)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_are_those_of_the_density(link, order):
    family = BetaBinomialFamily(link=link)
    for wrt in [*combinations((0, 1), 1), (0, 1), ()]:
        hand = family.derivatives(Y, ETA, order, wrt)
        exact = differentiate(lambda eta: family.log_density(Y, eta), ETA, order, wrt)
        assert hand.partials.keys() == exact.partials.keys()
        assert hand.value == pytest.approx(exact.value, rel=1e-12, abs=1e-12)
        for key, expected in exact.partials.items():
            assert hand.partials[key] == pytest.approx(expected, rel=1e-11, abs=1e-11), key


@pytest.mark.parametrize("k", [0, 1])
def test_derivatives_are_differences_of_the_order_below(k):
    family = BetaBinomialFamily()
    found = family.derivatives(Y, ETA, 3, (0, 1))

    def below(x, key):
        eta = [x if j == k else ETA[j] for j in (0, 1)]
        result = family.derivatives(Y, eta, 2, (0, 1))
        return result.partials[key] if key else result.value

    for key in [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]:
        expected = slope(lambda x, key=key: below(x, key), ETA[k], 1e-3)
        assert found.get(*key, k) == pytest.approx(expected, rel=1e-8, abs=1e-8), key


@pytest.mark.parametrize("eta", [-3.0, 0.2])
@pytest.mark.parametrize("log_phi", [-2.0, 1.0, 5.0])
@pytest.mark.parametrize("trials", [1, 2, 17])
def test_probabilities_sum_to_one(eta, log_phi, trials):
    s = np.arange(trials + 1.0)
    y = np.column_stack([s, np.full(trials + 1, float(trials))])
    far = [np.full(trials + 1, eta), np.full(trials + 1, log_phi)]
    family = BetaBinomialFamily()
    probabilities = np.exp(family.log_density(y, far))
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert family.cdf(y, far) == pytest.approx(np.cumsum(probabilities), abs=1e-12)


@pytest.mark.parametrize("log_phi", [12.0, 20.0, 40.0, 300.0, 800.0])
def test_large_phi_tends_to_binomial(log_phi):
    """R(y, t) = y (y - 1) / (2 t) to first order, so all is linear in 1 / phi."""
    eta = [ETA[0], np.full(200, log_phi)]
    found = BetaBinomialFamily().derivatives(Y, eta, 3, (0, 1))
    mu = special.expit(ETA[0])
    parts = S * (S - 1) / mu + (N - S) * (N - S - 1) / (1 - mu) + N * (N - 1)
    gap = np.max(parts) * np.exp(-log_phi)
    assert np.abs(found.value - stats.binom.logpmf(S, N, mu)).max() <= gap + 1e-11
    assert np.abs(found.get(0) - (S - N * mu)).max() <= 10.0 * gap + 1e-11
    assert np.abs(found.get(0, 0) + N * mu * (1 - mu)).max() <= 10.0 * gap + 1e-11
    for key in [(1,), (1, 1), (1, 1, 1), (0, 1)]:
        assert np.abs(found.get(*key)).max() <= 10.0 * gap + 1e-10, key


def test_first_order_of_the_binomial_limit():
    eta = [ETA[0], np.full(200, 16.0)]
    found = BetaBinomialFamily().derivatives(Y, eta, 1, (0, 1))
    mu = special.expit(ETA[0])
    first = S * (S - 1) / mu + (N - S) * (N - S - 1) / (1 - mu) - N * (N - 1)
    expected = 0.5 * first * np.exp(-16.0)
    # the next order is n^3 / phi^2; what is looked for are 3 digits of a difference of 1e-5
    gap = found.value - stats.binom.logpmf(S, N, mu)
    assert gap == pytest.approx(expected, rel=1e-3, abs=1e-9)
    assert found.get(1) == pytest.approx(-expected, rel=1e-3, abs=1e-10)


def test_small_phi_is_all_or_nothing():
    """As phi -> 0: n successes with probability mu, none otherwise."""
    y, eta = np.array([[0.0, 9.0], [9.0, 9.0]]), np.array([0.4, 0.4])
    value = BetaBinomialFamily().log_density(y, [eta, np.full(2, -800.0)])
    expected = [special.log_expit(-0.4), special.log_expit(0.4)]
    assert value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("size", [40.0, 800.0])
def test_tails_are_right_where_mu_rounds_to_zero_or_one(size):
    """As b -> 0, P(f failures) tends to b B(n - f + phi, f) C(n, f) / B(phi, 1) / phi."""
    n, phi = 6.0, 2.5
    s = np.arange(6.0)
    far = [np.full(6, size), np.full(6, np.log(phi))]
    f = n - s
    expected = np.log(phi) - size + np.log(special.comb(n, f)) + special.betaln(s + phi, f)
    found = BetaBinomialFamily().derivatives(np.column_stack([s, np.full(6, n)]), far, 3, (0, 1))
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.get(0) == pytest.approx(-1.0, rel=1e-10)
    assert np.abs(found.get(0, 0)).max() < 1e-10


@pytest.mark.parametrize("link", LINK_NAMES)
@pytest.mark.parametrize("size", [-800.0, -40.0, 40.0, 800.0])
def test_everything_is_finite_far_out(link, size):
    y = np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 5.0], [2.0, 5.0], [1e6, 2e6]])
    family, rng = BetaBinomialFamily(link=link).bind(y), np.random.default_rng(1)
    for log_phi in (-800.0, -40.0, 0.0, 40.0, 800.0):
        eta = [np.full(5, size), np.full(5, log_phi)]
        with np.errstate(over="ignore"):  # as in a fit
            found = family.derivatives(y, eta, 3, (0, 1))
        assert all(np.all(np.isfinite(x)) for x in (found.value, *found.partials.values()))
        draws = family.simulate(eta, rng)
        assert np.all((draws[:, 0] >= 0) & (draws[:, 0] <= draws[:, 1]))
        cdf = family.cdf(y[:4], [e[:4] for e in eta])
        assert np.all((cdf >= 0) & (cdf <= 1))


def test_a_row_without_trials_contributes_nothing():
    found = BetaBinomialFamily().derivatives(np.zeros((1, 2)), [np.ones(1), np.ones(1)], 3, (0, 1))
    assert found.value[0] == 0.0
    assert all(abs(partial[0]) < 1e-15 for partial in found.partials.values())


def test_large_counts():
    y = np.array([[1e6, 3e6]])
    value = BetaBinomialFamily().log_density(y, [np.array([-0.5]), np.array([1.0])])
    a, b = shapes("logit", [-0.5, 1.0])
    # log-gammas of 3e6 are 4e7: the sum of nine is exact to 1e-7 in SciPy, too
    assert value[0] == pytest.approx(stats.betabinom.logpmf(1e6, 3e6, a, b), abs=1e-6)


def test_cdf_does_not_depend_on_chunks(monkeypatch):
    family = BetaBinomialFamily()
    whole = family.cdf(Y, ETA)
    monkeypatch.setattr(betabinomial, "CHUNK_ELEMENTS", 7)
    assert np.array_equal(family.cdf(Y, ETA), whole)


def test_cdf_beyond_the_ends_and_with_nodes():
    family = BetaBinomialFamily()
    y = np.array([[-1.0, 5.0], [5.0, 5.0], [2.5, 5.0]])
    nodes = [np.array([[0.1] * 3, [0.7] * 3]), np.ones(3)]
    found = family.cdf(y, nodes)
    a, b = shapes("logit", [0.7, 1.0])
    assert found.shape == (2, 3)
    assert found[1] == pytest.approx([0.0, 1.0, stats.betabinom.cdf(2, 5, a, b)], abs=1e-12)


def test_simulated_moments_are_those_of_the_family():
    n = 100_000
    y = np.column_stack([np.arange(n) % 8, np.full(n, 7.0)])
    eta = [np.full(n, -0.7), np.full(n, 1.2)]
    family = BetaBinomialFamily().bind(y)
    draws = family.observed(family.simulate(eta, np.random.default_rng(3)))
    variance = family.variance(eta)[0]
    assert abs(draws.mean() - family.mean(eta)[0]) < 4.0 * np.sqrt(variance / n)
    assert abs(draws.var() - variance) < 4.0 * variance * np.sqrt(2.0 / n)


def test_start_is_the_moment_estimate():
    n = 20_000
    y = np.column_stack([np.zeros(n), RNG.integers(1, 30, size=n)])
    family = BetaBinomialFamily()
    y = family.bind(np.array(y, float)).simulate(
        [np.full(n, -0.4), np.full(n, 1.5)], np.random.default_rng(2)
    )
    assert family.start(y, None) == pytest.approx([-0.4, 1.5], abs=0.1)
    underdispersed = np.column_stack([np.full(5, 2.0), np.full(5, 4.0)])
    assert np.all(np.isfinite(family.start(underdispersed, np.ones(5))))


def test_pairs_and_proportions_with_trials_are_the_same():
    family = BetaBinomialFamily()
    pairs = family.check_response(np.column_stack([S, N - S]), None)
    proportions = family.check_response(S / N, N)
    assert np.array_equal(pairs.y, proportions.y)
    assert pairs.weights is None and proportions.weights is None
    assert np.allclose(family.observed(pairs.y), S / N)


def test_proportions_that_are_no_counts_warn_by_row():
    with pytest.warns(DataWarning, match=r"betabinomial.*not an integer in 1 row.*row 1"):
        BetaBinomialFamily().check_response(np.array([0.5, 0.3]), np.array([2.0, 4.0]))


@pytest.mark.parametrize("bad", [-0.5, 1.5])
def test_response_outside_names_the_row(bad):
    with pytest.raises(ResponseError, match="betabinomial.*proportion between 0 and 1.*row 1"):
        BetaBinomialFamily().check_response(np.array([0.2, bad]), None)


def test_single_trials_are_refused_unless_phi_is_fixed():
    y = np.array([[0.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ResponseError, match="betabinomial.*2 trials or more.*'binomial'"):
        BetaBinomialFamily().bind(y)
    assert BetaBinomialFamily(phi=2.0).bind(y).trials is not None


def test_arguments_are_checked():
    with pytest.raises(OptionError, match="'betabinomial': phi must be a positive number"):
        BetaBinomialFamily(phi=-1.0)
    with pytest.raises(UnknownNameError, match="'betabinomial' has no link 'log'"):
        BetaBinomialFamily(link="log")
    names = [(p.name, p.role, p.fixed) for p in BetaBinomialFamily(phi=2.0).parameters]
    assert names == [("mu", "mean", None), ("phi", "dispersion", 2.0)]
