"""Counts to 1e9 and predictors far out: densities and derivatives against mpmath, and fits."""

import time

import mpmath
import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.families import differentiate_density, log_rising
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.negative_binomial12 import NegativeBinomial12Family
from interlace_counts.truncated import (
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
)

STEP_DIGITS = 30
"""Central differences with steps of 1e-30 leave errors of 1e-60."""

COUNTS = (0, 1, 7, 999, 10**6, 10**9)

FORMS = [
    (NegativeBinomial2Family(), lambda mu, theta: theta),
    (NegativeBinomial1Family(), lambda mu, alpha: mu / alpha),
]
"""Families with the size from the mean and their own parameter."""


def exact(y, log_mu, own, size_of):
    """Return the log-density to all digits."""
    mu = mpmath.exp(log_mu)
    t = size_of(mu, mpmath.exp(own))
    rising = mpmath.loggamma(y + t) - mpmath.loggamma(t) - mpmath.loggamma(y + 1)
    return rising - t * mpmath.log1p(mu / t) - (y * mpmath.log1p(t / mu) if y else 0)


def exact_partials(f, a, b):
    """Return the partials of f to order 3 by differences in many digits."""
    h = mpmath.mpf(10) ** -STEP_DIGITS
    stencils = {
        0: {0: 1},
        1: {-1: -1 / (2 * h), 1: 1 / (2 * h)},
        2: {-1: 1 / h**2, 0: -2 / h**2, 1: 1 / h**2},
        3: {k: c / (2 * h**3) for k, c in ((-2, -1), (-1, 2), (1, -2), (2, 1))},
    }
    values = {}

    def at(i, j):
        if (i, j) not in values:
            values[i, j] = f(a + i * h, b + j * h)
        return values[i, j]

    return {
        (0,) * m + (1,) * n: sum(
            c * d * at(i, j) for i, c in stencils[m].items() for j, d in stencils[n].items()
        )
        for m in range(4)
        for n in range(4 - m)
    }


@pytest.mark.parametrize(("family", "size_of"), FORMS, ids=["NB2", "NB1"])
@pytest.mark.parametrize("log_mu", [-3.0, 6.9, 13.8, 20.7])
@pytest.mark.parametrize("own", [-12.0, 0.0, 12.0])
def test_values_and_derivatives_of_large_counts_keep_their_digits(family, size_of, log_mu, own):
    """Relative to the value, and to what one rounding of the predictors does to it."""
    y = np.array(COUNTS, dtype=float)
    eta = [np.full(y.size, log_mu), np.full(y.size, own)]
    hand = family.derivatives(y, eta, 3, (0, 1))
    jets = differentiate_density(family.log_density, y, eta, 3, (0, 1))
    for i, count in enumerate(COUNTS):
        with mpmath.workdps(160):
            wanted = exact_partials(
                lambda a, b, count=count: exact(count, a, b, size_of),
                mpmath.mpf(log_mu), mpmath.mpf(own),
            )  # fmt: skip
        wanted = {key: float(value) for key, value in wanted.items()}
        moved = abs(wanted[0,] * log_mu) + abs(wanted[1,] * own)
        for found in (hand, jets):
            assert abs(found.value[i] - wanted[()]) <= 4e-15 * (1.0 + abs(wanted[()]) + moved)
            for key in hand.partials:
                # a derivative is the difference of terms of the size of the pure ones
                size = max(abs(wanted[(k,) * n]) for k in key for n in (1, 2, 3))
                error = abs(found.partials[key][i] - wanted[key])
                rounding = 4e-15 * (moved + abs(wanted[()]))
                assert error <= 1e-13 * (size + 1.0) + rounding, (count, key)


@pytest.mark.parametrize("family", [form[0] for form in FORMS], ids=["NB2", "NB1"])
def test_a_size_of_one_gives_every_count_one_over_the_mean_far_out(family):
    """With theta = 1, P(k) tends to 1 / mu: the log-density is -eta, at any eta."""
    y = np.array([0.0, 3.0, 150.0, 1e9])
    for eta in (50.0, 500.0, 590.0, 650.0, 700.0, 5000.0):
        own = 0.0 if isinstance(family, NegativeBinomial2Family) else eta
        predictors = [np.full(4, eta), np.full(4, own)]
        got = family.derivatives(y, predictors, 3, (0, 1))
        # at 50, y / mu is left of 1e9 counts
        assert got.value == pytest.approx(-eta, rel=1e-9)
        assert family.log_density(y, predictors) == pytest.approx(-eta, rel=1e-9)
        if own == 0.0:
            assert got.get(0) == pytest.approx(-1.0, abs=1e-9)
            assert got.get(0, 0) == pytest.approx(0.0, abs=1e-9)


def test_nb12_is_that_of_its_parts_far_out():
    """phi to 0 is NB2 with theta = psi, also beyond exp(600)."""
    y = np.array([0.0, 3.0, 2000.0])
    for eta in (-700.0, 20.0, 700.0, 5000.0):
        nb12 = [np.full(3, eta), np.full(3, -900.0), np.zeros(3)]
        nb2 = NegativeBinomial2Family().log_density(y, [np.full(3, eta), np.zeros(3)])
        assert NegativeBinomial12Family().log_density(y, nb12) == pytest.approx(nb2, rel=1e-9)


@pytest.mark.parametrize("log_t", [-27.6, -5.0, 0.0, 3.3, 3.5, 12.0, 20.0, 27.6])
def test_log_rising_keeps_its_digits(log_t):
    y = np.array(COUNTS, dtype=float)
    found = log_rising(y, np.full(y.size, log_t))
    for i, count in enumerate(COUNTS):
        with mpmath.workdps(160):
            h = mpmath.mpf(10) ** -STEP_DIGITS

            def f(s, count=count):
                t = mpmath.exp(s)
                return mpmath.loggamma(count + t) - mpmath.loggamma(t) - count * s

            s = mpmath.mpf(log_t)
            values = {k: f(s + k * h) for k in (-2, -1, 0, 1, 2)}
            wanted = [
                values[0],
                (values[1] - values[-1]) / (2 * h),
                (values[1] - 2 * values[0] + values[-1]) / h**2,
                (values[2] - 2 * values[1] + 2 * values[-1] - values[-2]) / (2 * h**3),
            ]
        # the third derivative changes its sign: relative to the largest of them
        size = max(abs(float(each)) for each in wanted)
        for got, exact_value in zip(found, wanted, strict=True):
            # below exp(3.4), where log-gammas are subtracted as they are, in units of y
            unavoidable = count * (1.0 + abs(log_t)) if log_t < 3.4 else 0.0
            assert abs(got[i] - float(exact_value)) <= 4e-15 * (size + unavoidable) + 2e-14


@pytest.mark.parametrize("log_theta", [-200.0, -40.0, 40.0, 200.0])
@pytest.mark.parametrize("log_mu", [-300.0, -30.0])
def test_a_vanishing_mean_leaves_the_log_series_or_the_positive_poisson(log_mu, log_theta):
    """P(Y = y | Y > 0) at mu to 0: NB2 by its size, NB1 by alpha."""
    y = np.array([1, 2, 9])
    families = [(TruncatedNegativeBinomial2Family(), lambda mu, own: own)]
    families.append((TruncatedNegativeBinomial1Family(), lambda mu, own: mu / own))
    for family, size_of in families:
        eta = [np.full(3, log_mu), np.full(3, log_theta)]
        found = family.log_density(y.astype(float), eta)
        got = family.derivatives(y.astype(float), eta, 3, (0, 1))
        with mpmath.workdps(600):
            for i, count in enumerate(y):
                a, b = mpmath.mpf(log_mu), mpmath.mpf(log_theta)
                mu = mpmath.exp(a)
                t = size_of(mu, mpmath.exp(b))
                positive = -mpmath.expm1(-t * mpmath.log1p(mu / t))
                wanted = float(exact(int(count), a, b, size_of) - mpmath.log(positive))
                assert found[i] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
                assert got.value[i] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
        assert all(np.all(np.isfinite(partial)) for partial in got.partials.values())


def large(power, n=240):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": rng.integers(0, 12, n), "x": rng.normal(size=n)})
    lin = 0.5 * data["x"] + rng.normal(0, 1, 12)[data["g"]] + rng.normal(size=n)
    return data.assign(y=(np.exp(lin) * 10.0**power).round())


@pytest.mark.parametrize(
    "family",
    ["negativebinomial", "negativebinomial1", "zeroinflated_negativebinomial",
     "truncated_negativebinomial"],
)  # fmt: skip
def test_large_counts_are_fitted_at_ordinary_speed(family):
    """In units that are 1e4 times smaller nothing changes but the intercept and the scale of y."""
    found = {}
    for power in (4, 8):
        data = large(power)
        data["y"] = np.maximum(data["y"], 1.0 if family.startswith("truncated") else 0.0)
        start = time.process_time()
        fit = interlace.glmer("y ~ x + (1 | g)", data, family)
        assert time.process_time() - start < 10.0
        found[power] = fit
    a, b = (found[power] for power in (4, 8))
    if family != "zeroinflated_negativebinomial":  # whose zero part has nothing to explain
        assert b.converged
    if family != "negativebinomial1":  # whose alpha is in units of y
        assert b.fe_params["x"] == pytest.approx(a.fe_params["x"], abs=1e-3)


@pytest.mark.parametrize(
    ("family", "power", "llf"),
    [
        ("negativebinomial", 4, -2515.1599728),
        ("negativebinomial", 6, -3620.38754217),
        ("negativebinomial1", 4, -2550.2376005),
        ("negativebinomial1", 6, -3655.46961699),
    ],
)
def test_likelihood_of_large_counts_is_that_of_glmmtmb(family, power, llf):
    """glmmTMB 1.1.5, glmmTMB(y ~ x + (1 | g), family = nbinom2 or nbinom1); at 1e8 it warns."""
    fit = interlace.glmer("y ~ x + (1 | g)", large(power), family)
    assert fit.llf == pytest.approx(llf, abs=1e-5)
    assert str(fit.status).startswith("optimum")


@pytest.mark.parametrize("log_mu", [0.0, 6.9, 20.7])
@pytest.mark.parametrize("log_phi", [0.0, 2.0, 12.0])
def test_generalised_poisson_of_large_counts_keeps_its_digits(log_mu, log_phi):
    y = np.array(COUNTS, dtype=float)
    eta = [np.full(y.size, log_mu), np.full(y.size, log_phi)]
    family = GeneralizedPoissonFamily()
    values = (family.log_density(y, eta), family.derivatives(y, eta, 0, ()).value)
    for i, count in enumerate(COUNTS):
        with mpmath.workdps(60):
            m, p = mpmath.mpf(log_mu), mpmath.mpf(log_phi)
            theta = mpmath.exp(m - p / 2)
            W = theta - count * mpmath.expm1(-p / 2)
            exact_value = mpmath.log(theta) + (count - 1) * mpmath.log(W) - W
            exact_value = float(exact_value - mpmath.loggamma(count + 1))
            # one rounding of W
            moved = float(abs(count - W))
        for value in values:
            assert abs(value[i] - exact_value) <= 4e-15 * (1.0 + abs(exact_value) + moved)


def test_generalised_poisson_is_a_number_at_its_ends():
    """A count of 0 where lambda overflows, and phi = 1 with a vanishing mean."""
    y = np.array([0.0, 1.0, 7.0])
    for log_mu in (-5000.0, -700.0, 0.0, 700.0):
        for log_phi in (-5000.0, -700.0, 0.0, 700.0, 5000.0):
            eta = [np.full(3, log_mu), np.full(3, log_phi)]
            with np.errstate(all="ignore"):
                got = GeneralizedPoissonFamily().derivatives(y, eta, 3, (0, 1))
            assert not np.any(np.isnan(got.value))
            finite = np.isfinite(got.value)
            for partial in got.partials.values():
                assert not np.any(np.isnan(partial[finite])), (log_mu, log_phi)
