"""Count densities far out: sizes of 1e-300 to 1e300, counts to a million, against mpmath."""

import mpmath
import numpy as np
import pytest

from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.hurdle import HurdleNB1Family, HurdleNB2Family, HurdlePoissonFamily
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.negative_binomial12 import NegativeBinomial12Family
from interlace_counts.truncated import (
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
    TruncatedPoissonFamily,
)
from interlace_counts.zero_inflated import (
    ZeroInflatedNB1Family,
    ZeroInflatedNB2Family,
    ZeroInflatedPoissonFamily,
)

DIGITS = 200
"""Log-gammas of exp(300) that nearly cancel need 135 digits before the first that counts."""

COUNTS = (0, 1, 2, 7, 1000, 1_000_000)
MEANS = (-40.0, -1.0, 0.5, 6.9, 13.8, 40.0)
SIZES = (-40.0, -5.0, 0.0, 3.4, 12.0, 40.0, 300.0)

FAMILIES = [
    NegativeBinomial1Family,
    NegativeBinomial2Family,
    NegativeBinomial12Family,
    TruncatedPoissonFamily,
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
    ZeroInflatedPoissonFamily,
    ZeroInflatedNB1Family,
    ZeroInflatedNB2Family,
    HurdlePoissonFamily,
    HurdleNB1Family,
    HurdleNB2Family,
    GeneralizedPoissonFamily,
    ConwayMaxwellPoissonFamily,
]


def exact_nb(y, log_mu, log_t):
    """Return the log-density to all digits, and the size of its largest cancelling pair."""
    mu, t = mpmath.exp(log_mu), mpmath.exp(log_t)
    rising = mpmath.loggamma(y + t) - mpmath.loggamma(t) - mpmath.loggamma(y + 1)
    return rising + t * mpmath.log(t / (t + mu)) + (y * mpmath.log(mu / (t + mu)) if y else 0)


@pytest.mark.parametrize("log_mu", MEANS)
@pytest.mark.parametrize("log_t", SIZES)
def test_nb2_density_keeps_its_digits(log_mu, log_t):
    """Relative to the terms that cannot be avoided: y log mu, log y! and the mean."""
    y = np.array(COUNTS, dtype=float)
    eta = [np.full(y.size, log_mu), np.full(y.size, log_t)]
    found = NegativeBinomial2Family().log_density(y, eta)
    derived = NegativeBinomial2Family().derivatives(y, eta, 0, ()).value
    with mpmath.workdps(DIGITS):
        exact = [float(exact_nb(int(each), log_mu, log_t)) for each in y]
    unavoidable = 1.0 + y * (abs(log_mu) + abs(log_t)) + y * np.log1p(y)
    assert np.all(np.abs(found - exact) <= 1e-14 * (unavoidable + np.abs(exact)))
    assert np.all(np.abs(derived - exact) <= 1e-14 * (unavoidable + np.abs(exact)))


@pytest.mark.parametrize("log_mu", MEANS)
@pytest.mark.parametrize("log_alpha", SIZES)
def test_nb1_density_keeps_its_digits(log_mu, log_alpha):
    y = np.array(COUNTS, dtype=float)
    log_t = log_mu - log_alpha
    eta = [np.full(y.size, log_mu), np.full(y.size, log_alpha)]
    found = NegativeBinomial1Family().log_density(y, eta)
    with mpmath.workdps(DIGITS):
        exact = [float(exact_nb(int(each), log_mu, log_t)) for each in y]
    unavoidable = 1.0 + y * (abs(log_mu) + abs(log_t)) + y * np.log1p(y)
    assert np.all(np.abs(found - exact) <= 1e-14 * (unavoidable + np.abs(exact)))


@pytest.mark.parametrize("log_theta", [18.0, 25.0, 40.0, 300.0])
def test_slope_towards_the_poisson_limit_keeps_its_digits(log_theta):
    """d log f / d log theta is ((y - mu)^2 - y) / (2 theta) there, far below any log-gamma."""
    y, mu = np.array([0.0, 1.0, 5.0, 40.0]), 3.0
    eta = [np.full(4, np.log(mu)), np.full(4, log_theta)]
    slope = NegativeBinomial2Family().derivatives(y, eta, 1, (1,)).partials[1,]
    expected = -(np.square(y - mu) - y) / 2.0 * np.exp(-log_theta)
    # rounding of terms of size y is all that may be left
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-14)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [40.0, 800.0])
def test_no_corner_of_the_predictors_gives_nan_or_infinity(family, size):
    family = family()
    y = np.array([1.0, 2.0, 30.0, 1e3, 1e6])
    K = len(family.parameters)
    for corner in np.ndindex(*(2,) * K):
        eta = [np.full(y.size, size * (2 * c - 1.0)) for c in corner]
        with np.errstate(all="ignore"):
            value = family.log_density(y, eta)
            found = family.derivatives(y, eta, 3, tuple(range(K)))
        assert not np.any(np.isnan(value)), corner
        assert not np.any(value > 1e-12), corner
        finite = np.isfinite(value)
        for key, partial in found.partials.items():
            assert not np.any(np.isnan(partial[finite])), (corner, key)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_a_million_counts_have_a_mode_at_their_mean(family):
    """The score in log mu vanishes near y = mu for counts of a million, and falls through 0."""
    family = family()
    further = [np.zeros(3)] * (len(family.parameters) - 1)
    y = np.full(3, 1e6)
    log_mu = np.log(1e6) + np.array([-0.02, 0.0, 0.02])
    score = family.derivatives(y, [log_mu, *further], 1, (0,)).partials[0,]
    assert score[0] > 0.0 > score[2]
    assert abs(score[1]) < 1e-2 * abs(score[0])
