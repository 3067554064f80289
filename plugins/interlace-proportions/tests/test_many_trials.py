"""Beta-binomial of 5,000 to 1e9 trials against mpmath, in value and scores."""

import mpmath
import numpy as np
import pytest

from interlace_core.families import differentiate_density
from interlace_proportions.betabinomial import BetaBinomialFamily

Y = np.array(
    [[0, 5e3], [5e3, 5e3], [1500, 5e3], [5e8, 1e9], [1, 1e9], [1e9 - 1, 1e9], [0, 1e9], [3, 7]]
)


def exact(s, n, eta, log_phi):
    a, b = (mpmath.exp(log_phi) / (1 + mpmath.exp(sign * eta)) for sign in (-1, 1))
    L = mpmath.loggamma
    choose = L(n + 1) - L(s + 1) - L(n - s + 1)
    return choose + L(s + a) - L(a) + L(n - s + b) - L(b) - L(n + a + b) + L(a + b)


@pytest.mark.parametrize("eta", [-20.0, -0.85, 0.0, 3.0])
@pytest.mark.parametrize("log_phi", [-20.0, 0.0, 5.0, 12.0, 50.0])
def test_values_keep_their_digits(eta, log_phi):
    """Relative to the value, and to what one rounding of the predictors does to it."""
    predictors = [np.full(len(Y), eta), np.full(len(Y), log_phi)]
    hand = BetaBinomialFamily().derivatives(Y, predictors, 3, (0, 1))
    jets = differentiate_density(BetaBinomialFamily().log_density, Y, predictors, 3, (0, 1))
    h = mpmath.mpf(10) ** -25
    for i, (s, n) in enumerate(Y):
        with mpmath.workdps(80):
            s, n, e, p = (mpmath.mpf(each) for each in (s, n, eta, log_phi))
            wanted = float(exact(s, n, e, p))
            scores = [
                float((exact(s, n, e + h, p) - exact(s, n, e - h, p)) / (2 * h)),
                float((exact(s, n, e, p + h) - exact(s, n, e, p - h)) / (2 * h)),
            ]
        moved = abs(scores[0]) * max(abs(eta), 1.0) + abs(scores[1] * log_phi)
        assert abs(hand.value[i] - wanted) <= 1e-13 * (1.0 + abs(wanted) + moved)
        assert abs(jets.value[i] - wanted) <= 1e-13 * (1.0 + abs(wanted) + moved)
        for k in (0, 1):
            # differences of digamma functions in units of the trials
            assert abs(hand.get(k)[i] - scores[k]) <= 1e-12 * abs(scores[k]) + 2e-15 * float(n)


def test_many_trials_agree_with_few():
    """1,000 trials are written the plain way; beside 2,000 they are written around the share."""
    y = np.array([[300.0, 1000.0], [0.0, 1000.0], [1000.0, 1000.0]])
    eta = [np.array([-0.4, 0.3, 2.0]), np.array([1.0, -2.0, 8.0])]
    plain = BetaBinomialFamily().derivatives(y, eta, 0, ()).value
    beside = [np.append(each, 0.5) for each in eta]
    around = BetaBinomialFamily().derivatives(np.vstack([y, [[1.0, 2e3]]]), beside, 0, ()).value
    assert around[:3] == pytest.approx(plain, rel=1e-10, abs=1e-11)
