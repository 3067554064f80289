"""The beta family: closed forms, exact derivatives, tails, limits and messages."""

from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, special, stats

from interlace_core.contract import LINKS, OptionError, ResponseError, UnknownNameError
from interlace_core.families import differentiate
from interlace_core.testing.differences import slope
from interlace_proportions.beta import BetaFamily

RNG = np.random.default_rng(5)
Y = RNG.uniform(0.01, 0.99, size=200)
ETA = [RNG.normal(size=200), RNG.uniform(-1.0, 4.0, size=200)]
LINK_NAMES = ("logit", "probit", "cloglog")


def shapes(link, eta):
    mu, failure = np.exp(LINKS[link].log_mu(eta[0])), np.exp(LINKS[link].log1m_mu(eta[0]))
    return mu * np.exp(eta[1]), failure * np.exp(eta[1])


def plain_density(link, eta):
    """The density as textbooks write it, without regard to tails."""
    a, b = shapes(link, eta)
    constant = special.gammaln(a + b) - special.gammaln(a) - special.gammaln(b)
    return constant + (a - 1.0) * np.log(Y) + (b - 1.0) * np.log1p(-Y)


@pytest.mark.parametrize("link", LINK_NAMES)
def test_density_and_cdf_are_scipys(link):
    a, b = shapes(link, ETA)
    family = BetaFamily(link=link)
    assert family.log_density(Y, ETA) == pytest.approx(stats.beta.logpdf(Y, a, b), abs=1e-11)
    assert family.cdf(Y, ETA) == pytest.approx(stats.beta.cdf(Y, a, b), abs=1e-12)
    assert family.mean(ETA) == pytest.approx(stats.beta.mean(a, b), rel=1e-12)
    assert family.variance(ETA) == pytest.approx(stats.beta.var(a, b), rel=1e-10)


@pytest.mark.parametrize("link", LINK_NAMES)
def test_derivatives_are_those_of_the_plain_density(link):
    """1e-10: the three log-gammas of the plain density cancel from about 1e3."""
    hand = BetaFamily(link=link).derivatives(Y, ETA, 3, (0, 1))
    exact = differentiate(lambda eta: plain_density(link, eta), ETA, 3, (0, 1))
    assert hand.partials.keys() == exact.partials.keys()
    assert hand.value == pytest.approx(exact.value, abs=1e-11)
    for key, expected in exact.partials.items():
        error = np.abs(hand.partials[key] - expected) / (1.0 + np.abs(expected))
        assert error.max() < 1e-10, key


@pytest.mark.parametrize("link", LINK_NAMES)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_are_those_of_the_density(link, order):
    family = BetaFamily(link=link)
    for wrt in [*combinations((0, 1), 1), (0, 1), ()]:
        hand = family.derivatives(Y, ETA, order, wrt)
        exact = differentiate(lambda eta: family.log_density(Y, eta), ETA, order, wrt)
        assert hand.partials.keys() == exact.partials.keys()
        assert hand.value == pytest.approx(exact.value, rel=1e-13, abs=1e-13)
        for key, expected in exact.partials.items():
            assert hand.partials[key] == pytest.approx(expected, rel=1e-11, abs=1e-11), key


@pytest.mark.parametrize("k", [0, 1])
def test_derivatives_are_differences_of_the_order_below(k):
    family = BetaFamily()
    found = family.derivatives(Y, ETA, 3, (0, 1))

    def below(x, key):
        eta = [x if j == k else ETA[j] for j in (0, 1)]
        result = family.derivatives(Y, eta, 2, (0, 1))
        return result.partials[key] if key else result.value

    for key in [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]:
        expected = slope(lambda x, key=key: below(x, key), ETA[k], 1e-3)
        got = found.get(*key, k)
        # rounding over the step, 1e-13, times the size of the function
        assert got == pytest.approx(expected, rel=1e-8, abs=1e-8), key


def test_constant_phi_is_as_good_as_one_per_row():
    family, far = BetaFamily(), np.full(Y.size, 1.3)
    constant = family.derivatives(Y, [ETA[0], far], 3, (0, 1))
    far = far + np.linspace(0.0, 1e-300, Y.size)
    scalar = family.derivatives(Y, [ETA[0], np.float64(1.3)], 3, (0, 1))
    exact = differentiate(lambda eta: family.log_density(Y, eta), [ETA[0], far], 3, (0, 1))
    for key, expected in exact.partials.items():
        assert constant.partials[key].shape == scalar.partials[key].shape == Y.shape
        assert constant.partials[key] == pytest.approx(expected, rel=1e-11, abs=1e-11)
        assert scalar.partials[key] == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_nodes_are_a_leading_axis():
    family = BetaFamily()
    nodes = ETA[0] + np.array([[-1.0], [0.5]])
    found = family.derivatives(Y, [nodes, ETA[1]], 3, (0, 1))
    rows = family.derivatives(Y, [nodes[1], ETA[1]], 3, (0, 1))
    assert found.value.shape == (2, Y.size)
    for key, partial in found.partials.items():
        assert np.array_equal(np.broadcast_to(partial, (2, Y.size))[1], rows.partials[key])


@pytest.mark.parametrize(
    ("eta", "log_phi"), [(0.3, 2.0), (-1.0, 4.0), (2.0, 0.5), (-2.0, 0.3), (0.1, 8.0)]
)
def test_density_integrates_to_one(eta, log_phi):
    def below_half(t, eta):
        """The part of y < 1/2 over t = logit(y); above it, y soon rounds to 1."""
        y = special.expit(t)
        value = BetaFamily().log_density(np.array([y]), [np.array([eta]), np.array([log_phi])])
        return float(np.exp(value[0] + np.log(y) + np.log1p(-y)))

    # 1 - y has the same law with eta mirrored
    parts = [
        integrate.quad(below_half, -300.0, 0.0, args=(e,), points=[-20.0, -5.0, -abs(eta)])[0]
        for e in (eta, -eta)
    ]
    assert sum(parts) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("size", [40.0, 800.0])
@pytest.mark.parametrize("log_phi", [-40.0, 0.0, 3.0, 12.0])
def test_tails_are_right_where_mu_rounds_to_zero_or_one(size, log_phi):
    """As b -> 0 the density tends to b y^(phi - 1) / (1 - y), b = phi exp(-eta)."""
    y, phi = np.array([1e-8, 0.2, 0.5, 0.999]), np.exp(log_phi)
    family, far = BetaFamily(), [np.full(4, size), np.full(4, log_phi)]
    expected = log_phi - size + (phi - 1.0) * np.log(y) - np.log1p(-y)
    found = family.derivatives(y, far, 3, (0, 1))
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.get(0) == pytest.approx(-1.0, rel=1e-10)
    assert found.get(1) == pytest.approx(1.0 + phi * np.log(y), rel=1e-10)
    for key in [(0, 0), (0, 1), (0, 0, 0), (0, 0, 1), (0, 1, 1)]:
        assert np.abs(found.get(*key)).max() < 1e-9
    mirrored = family.derivatives(y, [-far[0], far[1]], 3, (0, 1))
    expected = log_phi - size + (phi - 1.0) * np.log1p(-y) - np.log(y)
    assert mirrored.value == pytest.approx(expected, rel=1e-12)
    assert mirrored.get(0) == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("link", LINK_NAMES)
@pytest.mark.parametrize("size", [-800.0, -40.0, 40.0, 800.0])
def test_everything_is_finite_far_out(link, size):
    family, rng = BetaFamily(link=link), np.random.default_rng(1)
    y = np.array([1e-300, 1e-8, 0.5, 1.0 - 1e-16])
    for log_phi in (-800.0, -40.0, 0.0, 40.0, 800.0):
        eta = [np.full(4, size), np.full(4, log_phi)]
        with np.errstate(over="ignore"):  # as in a fit
            found = family.derivatives(y, eta, 3, (0, 1))
        assert all(np.all(np.isfinite(x)) for x in (found.value, *found.partials.values()))
        draws = family.simulate(eta, rng)
        assert np.all((draws > 0) & (draws < 1))
        cdf = family.cdf(y, eta)
        assert np.all((cdf >= 0) & (cdf <= 1)) and np.all(np.diff(cdf) > -1e-15)
        assert np.all(np.isfinite(family.variance(eta)))


@pytest.mark.parametrize("log_phi", [20.0, 25.0])
def test_large_phi_tends_to_a_normal_density(log_phi):
    """With z standardised, the difference is z (z^2 - 3) skew / 6 to first order."""
    eta = np.linspace(-2.0, 2.0, 9)
    mu, z = special.expit(eta), np.linspace(-3.0, 3.0, 9)
    sd = np.sqrt(mu * (1.0 - mu) / (1.0 + np.exp(log_phi)))
    y = mu + z * sd
    value = BetaFamily().log_density(y, [eta, np.full(9, log_phi)])
    skew = 2.0 * (1.0 - 2.0 * mu) * np.exp(-0.5 * log_phi) / np.sqrt(mu * (1.0 - mu))
    # rounding of y, 1e-16, over sd^2, times z sd
    noise = 1e-15 * np.exp(0.5 * log_phi) + 20.0 * np.exp(-log_phi)
    expected = stats.norm.logpdf(y, mu, sd) + z * (z**2 - 3.0) * skew / 6.0
    assert np.abs(value - expected).max() < 1e-9 + 1e2 * noise + 1e-16 * np.exp(log_phi)


def test_tiny_phi_puts_everything_at_the_ends():
    eta = [np.full(4000, 0.8), np.full(4000, -800.0)]
    mu, family = special.expit(0.8), BetaFamily()
    assert family.cdf(np.full(4000, 0.5), eta)[0] == pytest.approx(1.0 - mu, rel=1e-12)
    draws = family.simulate(eta, np.random.default_rng(4))
    assert abs(np.mean(draws > 0.5) - mu) < 4.0 * np.sqrt(mu * (1.0 - mu) / 4000)


def test_simulated_moments_are_those_of_the_family():
    n = 100_000
    eta = [np.full(n, -0.7), np.full(n, 1.2)]
    family = BetaFamily()
    draws = family.simulate(eta, np.random.default_rng(3))
    variance = family.variance(eta)[0]
    assert abs(draws.mean() - family.mean(eta)[0]) < 4.0 * np.sqrt(variance / n)
    # the variance of a sample variance is below (kurtosis - 1) variance^2 / n, kurtosis 2.4
    assert abs(draws.var() - variance) < 4.0 * variance * np.sqrt(1.5 / n)


@pytest.mark.parametrize("link", LINK_NAMES)
def test_start_is_the_moment_estimate(link):
    family = BetaFamily(link=link)
    y = family.simulate([np.full(5000, 0.4), np.full(5000, 2.5)], np.random.default_rng(2))
    start = family.start(y, None)
    assert start == pytest.approx([0.4, 2.5], abs=0.1)
    assert family.start(y, np.ones(5000)) == pytest.approx(start, rel=1e-12)
    assert family.start(np.full(4, 0.3), None)[1] == pytest.approx(np.log(1e4))


def test_parameters_estimated_and_fixed():
    mu, phi = BetaFamily().parameters
    assert (mu.name, mu.role, mu.fixed) == ("mu", "mean", None)
    assert (phi.name, phi.role, phi.fixed) == ("phi", "dispersion", None)
    assert BetaFamily(phi=4.0).parameters[1].fixed_eta() == pytest.approx(np.log(4.0))


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 1.2])
def test_response_outside_names_row_and_families(bad):
    y = np.array([0.2, 0.5, bad])
    message = r"beta.*strictly between 0 and 1.*zerooneinflated_beta.*ordered_beta.*in row 2"
    with pytest.raises(ResponseError, match=message):
        BetaFamily().check_response(y, None)


def test_response_inside_keeps_weights():
    weights = np.array([1.0, 2.0])
    response = BetaFamily().check_response(np.array([1e-300, 1.0 - 1e-16]), weights)
    assert response.weights is weights


@pytest.mark.parametrize("phi", [0, -1.0, np.inf, "2", True])
def test_bad_phi_is_refused(phi):
    with pytest.raises(OptionError, match="'beta': phi must be a positive number"):
        BetaFamily(phi=phi)


def test_bad_link_lists_what_exists():
    with pytest.raises(UnknownNameError, match="'beta' has no link 'log'.*logit, probit, cloglog"):
        BetaFamily(link="log")
    with pytest.raises(TypeError, match="'beta': link 'log' is not a ProbabilityLink"):
        BetaFamily(link=LINKS["log"])
