"""The ordered beta family: probabilities in order, exact derivatives, open ends and messages."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from interlace_core.contract import DataWarning, OptionError, ResponseError
from interlace_core.families import differentiate
from interlace_core.testing.differences import slope
from interlace_proportions.beta import BetaFamily
from interlace_proportions.ordered_beta import OrderedBetaFamily

RNG = np.random.default_rng(8)
INSIDE = RNG.uniform(0.01, 0.99, size=120)
Y = np.concatenate([np.zeros(40), np.ones(40), INSIDE])
ETA = [RNG.normal(size=200), RNG.uniform(0.0, 3.0, size=200), *RNG.normal(size=(2, 200))]
FAMILY = OrderedBetaFamily()


def plain_density(eta):
    """The density as written by Kubinec (2023), without regard to cancellation."""
    c2 = eta[2] + np.exp(eta[3])
    mu, phi = special.expit(eta[0]), np.exp(eta[1])
    a, b = mu * phi, (1.0 - mu) * phi
    between = np.where((Y > 0) & (Y < 1), Y, 0.5)
    beta = special.gammaln(phi) - special.gammaln(a) - special.gammaln(b)
    beta = beta + (a - 1.0) * np.log(between) + (b - 1.0) * np.log1p(-between)
    inside = np.log(special.expit(eta[0] - eta[2]) - special.expit(eta[0] - c2))
    ends = np.where(
        Y == 0, np.log(1.0 - special.expit(eta[0] - eta[2])), np.log(special.expit(eta[0] - c2))
    )
    return np.where((Y > 0) & (Y < 1), inside + beta, ends)


def test_derivatives_are_those_of_the_plain_density():
    """1e-9: where both probabilities are near 1, the plain difference has lost three digits."""
    found = FAMILY.derivatives(Y, ETA, 3, (0, 1, 2, 3))
    exact = differentiate(plain_density, ETA, 3, (0, 1, 2, 3))
    assert found.value == pytest.approx(exact.value, abs=1e-11)
    for key, expected in exact.partials.items():
        got = found.get(*key)
        got = np.zeros(200) if got is None else got
        error = np.abs(got - expected) / (1.0 + np.abs(expected))
        assert error.max() < 1e-9, key


def test_derivatives_are_differences_of_the_order_below():
    found = FAMILY.derivatives(Y, ETA, 3, (0, 1, 2, 3))
    for key in found.partials:
        k = key[-1]

        def below(x, key=key, k=k):
            eta = [x if j == k else ETA[j] for j in range(4)]
            result = FAMILY.derivatives(Y, eta, 2, (0, 1, 2, 3))
            return result.get(*key[:-1]) if key[:-1] else result.value

        expected = slope(below, ETA[k], 1e-3)
        assert found.partials[key] == pytest.approx(expected, rel=1e-8, abs=1e-8), key


def test_probabilities_are_those_of_the_cutpoints():
    c2 = ETA[2] + np.exp(ETA[3])
    p0, p1, inside = FAMILY.probabilities(ETA)
    assert p0 == pytest.approx(special.expit(ETA[2] - ETA[0]), rel=1e-12)
    assert p1 == pytest.approx(special.expit(ETA[0] - c2), rel=1e-12)
    assert p0 + p1 + inside == pytest.approx(1.0, rel=1e-12)


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


@pytest.mark.parametrize("log_gap", [-20.0, -40.0, -300.0])
def test_a_closing_gap_does_not_cancel(log_gap):
    """P(inside) tends to gap expit(u) expit(-u)."""
    eta = [np.array([0.4]), np.array([1.0]), np.array([-0.2]), np.array([log_gap])]
    beta = BetaFamily().log_density(np.array([0.3]), eta[:2])
    value = FAMILY.log_density(np.array([0.3]), eta)
    expected = beta + log_gap + special.log_expit(0.6) + special.log_expit(-0.6)
    assert value == pytest.approx(expected, abs=np.exp(log_gap) + 1e-12)


def test_without_ends_it_is_beta():
    family = OrderedBetaFamily(c1=-40.0, gap=80.0)
    eta = [e[80:] for e in ETA[:2]]
    fixed = [np.full(120, family.parameters[k].fixed_eta()) for k in (2, 3)]
    expected = BetaFamily().log_density(INSIDE, eta)
    assert family.log_density(INSIDE, [*eta, *fixed]) == pytest.approx(expected, abs=1e-12)


def test_cdf_jumps_at_the_ends():
    eta = [np.full(4, v) for v in (0.3, 1.0, -1.0, 0.5)]
    p0, p1, inside = (p[0] for p in FAMILY.probabilities(eta))
    mu, phi = special.expit(0.3), np.e
    half = p0 + inside * stats.beta.cdf(0.5, mu * phi, (1 - mu) * phi)
    found = FAMILY.cdf(np.array([-0.1, 0.0, 0.5, 1.0]), eta)
    assert found == pytest.approx([0.0, p0, half, 1.0], abs=1e-12)


def test_simulated_shares_and_moments_are_those_of_the_family():
    n = 100_000
    eta = [np.full(n, v) for v in (0.5, 2.0, -1.0, 1.0)]
    draws = FAMILY.simulate(eta, np.random.default_rng(3))
    p0, p1, _ = (p[0] for p in FAMILY.probabilities(eta))
    assert abs(np.mean(draws == 0) - p0) < 4.0 * np.sqrt(p0 * (1 - p0) / n)
    assert abs(np.mean(draws == 1) - p1) < 4.0 * np.sqrt(p1 * (1 - p1) / n)
    variance = FAMILY.variance(eta)[0]
    assert abs(draws.mean() - FAMILY.mean(eta)[0]) < 4.0 * np.sqrt(variance / n)
    assert abs(draws.var() - variance) < 4.0 * variance * np.sqrt(2.0 / n)
    assert FAMILY.start(draws, None) == pytest.approx([0.5, 2.0, -1.0, 1.0], abs=0.05)


def test_an_end_without_rows_has_its_cutpoint_fixed_with_a_warning():
    with pytest.warns(DataWarning, match="no row of the response is 0, so that c1 is fixed at -40"):
        bound = FAMILY.bind(np.array([0.2, 0.4, 1.0]))
    assert (bound.c1, bound.gap) == (-40.0, None)
    with pytest.warns(DataWarning, match="no row of the response is 1, so that gap is fixed at 80"):
        bound = FAMILY.bind(np.array([0.0, 0.2, 0.4]))
    assert (bound.c1, bound.gap) == (None, 80.0)
    assert FAMILY.bind(Y) == FAMILY


def test_start_respects_a_fixed_cutpoint():
    y = np.array([0.2, 0.4, 0.5, 1.0])
    start = OrderedBetaFamily(c1=-40.0).start(y, np.ones(4))
    c2 = start[0] - special.logit(1.5 / 5.5)
    assert np.exp(start[3]) == pytest.approx(c2 + 40.0, rel=1e-12)


def test_response_is_checked_in_words():
    with pytest.raises(ResponseError, match=r"ordered_beta.*from 0 to 1, got -0\.2 in row 1"):
        FAMILY.check_response(np.array([0.5, -0.2]), None)
    with pytest.raises(ResponseError, match="some values strictly between 0 and 1.*'binomial'"):
        FAMILY.bind(np.array([0.0, 1.0, 1.0]))


def test_arguments_are_checked():
    names = [(p.name, p.role, p.fixed) for p in OrderedBetaFamily(c1=-1, gap=2.0).parameters]
    assert names == [
        ("mu", "mean", None),
        ("phi", "dispersion", None),
        ("c1", "shape", -1),
        ("gap", "shape", 2.0),
    ]
    with pytest.raises(OptionError, match="gap must be a positive number"):
        OrderedBetaFamily(gap=-1.0)
    with pytest.raises(OptionError, match="c1 must be a finite number"):
        OrderedBetaFamily(c1=np.inf)
