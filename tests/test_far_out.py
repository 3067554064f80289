"""Densities far out: many trials and large counts against mpmath, no 0 times infinity anywhere."""

from itertools import product

import mpmath
import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.families import differentiate_density
from interlace_families.binomial import BinomialFamily
from interlace_families.gamma import GammaFamily
from interlace_families.gaussian import GaussianFamily
from interlace_families.inverse_gaussian import InverseGaussianFamily
from interlace_families.lognormal import LognormalFamily
from interlace_families.lognormal_sd import LognormalSDFamily
from interlace_families.poisson import PoissonFamily
from interlace_families.skew_normal import SkewNormalFamily
from interlace_families.student_t import StudentTFamily
from interlace_families.tweedie import TweedieFamily

EXTREME = (-5000.0, -700.0, -50.0, -3.0, 0.0, 3.0, 50.0, 700.0, 5000.0)
FAR = (-700.0, -50.0, -3.0, 0.0, 3.0, 50.0, 700.0)

POSITIVE = (1e-12, 1e-3, 1.0, 100.0, 1e6, 1e12)
LINE = (-1e9, -1.0, 0.0, 1e-9, 10.0, 1e6)
CONTINUOUS = [
    (GaussianFamily(), LINE),
    (StudentTFamily(), LINE),
    (SkewNormalFamily(), LINE),
    (GammaFamily(), POSITIVE),
    (InverseGaussianFamily(), POSITIVE),
    (LognormalFamily(), POSITIVE),
    (LognormalSDFamily(), POSITIVE),
    (TweedieFamily(), (0.0, *POSITIVE)),
]


@pytest.mark.parametrize(("family", "y"), CONTINUOUS, ids=lambda each: getattr(each, "name", ""))
def test_no_density_is_nan_or_infinite_far_out(family, y):
    """With a residual of exactly 0 among them, which random predictors never give."""
    y = np.array(y)
    K = len(family.parameters)
    for corner in product(EXTREME if K < 3 else FAR, repeat=K):
        eta = [np.full(y.size, each) for each in corner]
        with np.errstate(all="ignore"):
            value = np.asarray(family.log_density(y, eta))
            got = family.derivatives(y, eta, 1, tuple(range(K)))
        assert not np.any(np.isnan(value)), corner
        assert not np.any(np.isposinf(value)), corner
        ordinary = np.abs(value) < 1e100
        assert np.allclose(got.value[ordinary], value[ordinary], rtol=1e-8, atol=1e-8), corner
        for partial in got.partials.values():
            assert not np.any(np.isnan(partial[ordinary])), corner


TRIALS = np.array(
    [[0, 5e3], [5e3, 5e3], [1500, 5e3], [5e8, 1e9], [1, 1e9], [1e9 - 1, 1e9], [0, 1e9], [3, 7]]
)


@pytest.mark.parametrize("eta", [-50.0, -20.7, -0.85, 0.0, 1.0, 20.7, 50.0])
def test_binomial_of_a_thousand_million_trials_keeps_its_digits(eta):
    x = np.full(len(TRIALS), eta)
    hand = BinomialFamily().derivatives(TRIALS, [x], 3, (0,))
    jets = differentiate_density(BinomialFamily().log_density, TRIALS, [x], 3, (0,))
    for i, (s, n) in enumerate(TRIALS):
        with mpmath.workdps(60):
            s, n, e = mpmath.mpf(s), mpmath.mpf(n), mpmath.mpf(eta)
            choose = mpmath.loggamma(n + 1) - mpmath.loggamma(s + 1) - mpmath.loggamma(n - s + 1)
            wanted = (
                choose - s * mpmath.log1p(mpmath.exp(-e)) - (n - s) * mpmath.log1p(mpmath.exp(e))
            )
            slope = float(s - n / (1 + mpmath.exp(-e)))
        scale = 1.0 + abs(float(wanted)) + abs(slope * eta)
        assert abs(hand.value[i] - float(wanted)) <= 3e-15 * scale
        assert abs(jets.value[i] - float(wanted)) <= 3e-15 * scale
        for key in hand.partials:
            size = 1e-15 * float(n) * np.exp(-abs(eta)) + 1e-12 * abs(hand.partials[key][i])
            assert abs(jets.partials[key][i] - hand.partials[key][i]) <= 10.0 * size + 1e-12


@pytest.mark.parametrize("link", ["probit", "cloglog", "cauchit"])
def test_many_trials_agree_with_few_in_every_link(link):
    """1,000 trials are written the plain way, 1,001 by the distance from the share."""
    family = BinomialFamily(link)
    y = np.array([[300.0, 1000.0], [700.0, 1000.0]])
    eta = [np.array([-0.4, 0.3])]
    plain = family.derivatives(y, eta, 0, ()).value
    both = np.vstack([y, [[1.0, 2000.0]]])
    around = family.derivatives(both, [np.append(eta[0], -3.0)], 0, ()).value
    assert around[:2] == pytest.approx(plain, rel=1e-11)


@pytest.mark.parametrize("link", ["log", "identity", "sqrt"])
def test_poisson_of_a_thousand_million_keeps_its_digits(link):
    family = PoissonFamily(link)
    y = np.array([0.0, 1.0, 5.0, 1001.0, 1e6, 1e9])
    for mu in (1.0, 1000.0, 1.0001e6, 1e9):
        x = np.full(y.size, float(family.parameters[0].link.eta(np.float64(mu))))
        hand = family.derivatives(y, [x], 3, (0,))
        jets = differentiate_density(family.log_density, y, [x], 3, (0,))
        exact_mu = {"log": mpmath.exp, "identity": mpmath.mpf, "sqrt": lambda e: mpmath.mpf(e) ** 2}
        for i, count in enumerate(y):
            with mpmath.workdps(60):
                m = exact_mu[link](float(x[i]))
                wanted = float(count * mpmath.log(m) - m - mpmath.loggamma(count + 1))
                moved = float(abs(count - m) * (1 + abs(mpmath.log(m))))
            assert abs(hand.value[i] - wanted) <= 3e-15 * (1.0 + abs(wanted) + moved)
            assert abs(jets.value[i] - wanted) <= 3e-15 * (1.0 + abs(wanted) + moved)
        for key in hand.partials:
            assert jets.partials[key] == pytest.approx(hand.partials[key], rel=1e-9, abs=1e-9)


@pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning")
def test_intervals_of_a_tweedie_with_its_power_at_one_are_no_error():
    """Whole numbers: the power runs to 1, where p - 1 rounds to 0 and its logit is infinite.

    The likelihood rises without an end, so that where a search stops is a matter of its path: the
    limits there are NaN, or the end itself.
    """
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": rng.integers(0, 12, 240), "x": rng.normal(size=240)})
    mean = np.exp(0.5 + 0.3 * data["x"] + rng.normal(0, 0.5, 12)[data["g"]])
    data["y"] = np.where(data["x"] < -0.5, 0, rng.poisson(mean))
    fit = interlace.glmer("y ~ x + (1 | g)", data, "tweedie")
    table = fit.confint()
    assert table.loc["power", "estimate"] == pytest.approx(1.0)
    limits = table.loc["power", ["lower", "upper"]].astype(float)
    assert not fit.converged and (np.isnan(limits) | (limits == 1.0)).all()


@pytest.mark.parametrize(("psi", "wanted"), [(-25.0, 1.0), (25.0, 2.0)])
def test_wald_limits_next_to_the_end_of_a_link_are_those_of_its_predictor(psi, wanted):
    """1 + expit(-25) tells only three digits of -25: the limits are taken from psi itself."""
    from interlace.inference.confint import wald_limits
    from interlace.inference.quantities import Coordinate
    from interlace_core.fitting.psi_covariance import PsiCovariance
    from interlace_families.tweedie import PowerLink

    link = PowerLink()
    quantity = Coordinate(label="power", kind="family", index=0, link=link)
    low, high = wald_limits(
        quantity, np.array([psi]), PsiCovariance(np.array([[4.0]])).variance, 0.95
    )
    half = 2.0 * 1.959963984540054
    ends = [float(link.mu(np.float64(psi + sign * half))) for sign in (-1, 1)]
    assert (low, high) == pytest.approx(ends, rel=1e-15)
    assert low == pytest.approx(wanted, abs=1e-6)
