"""The Tweedie series against a plain sum, and across its two ways of summing."""

import numpy as np
import pytest
from scipy.special import gammaln

from interlace_core.families import differentiate
from interlace_families.tweedie_series import evaluate, saturated

BETAS = (-3.0, -1.0, 0.0, 1.0, 2.0)
KEYS = ((0,), (1,), (0, 0), (0, 1), (1, 1), (0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1))


def plain(eta):
    """Return B from the terms of Dunn & Smyth as they stand, for j0 up to 60."""
    L, beta = eta
    alpha = np.exp(beta)
    total = None
    for j in range(1, 200):
        gamma = j * alpha * (L + beta) - alpha * np.exp(L) - gammaln(j * alpha)
        term = j * L - np.exp(L) - gammaln(j + 1.0) + gamma
        total = term if total is None else np.logaddexp(total, term)
    return total


@pytest.mark.parametrize("beta", BETAS)
def test_derivatives_match_those_of_the_plain_sum(beta):
    L = np.linspace(-4.0, 4.0, 33)
    eta = [L, np.full(33, beta)]
    got, exact = evaluate(*eta, 3, (0, 1)), differentiate(plain, eta, 3, (0, 1))
    assert got[()] == pytest.approx(exact.value, abs=1e-11)
    for key in KEYS:
        wanted = exact.get(*key)
        # the plain sum's cumulants of j alpha lose digits
        assert np.abs(got[key] - wanted).max() <= 1e-10 * max(1.0, np.abs(wanted).max()), key


def test_constant_and_varying_beta_agree():
    L = np.linspace(-1.0, 5.0, 2000)
    same = evaluate(L, np.zeros(2000), 3, (0, 1))
    mixed = evaluate(L, np.where(np.arange(2000) % 2, 0.0, 1.0), 3, (0, 1))
    for key, values in same.items():
        assert values[1::2] == pytest.approx(mixed[key][1::2], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_no_step_where_the_sum_becomes_an_integral(beta):
    """A third difference of the first derivative shows a step of 1e-13 between neighbours."""
    L = np.linspace(2.0, 7.0, 5001)
    first = evaluate(L, np.full(5001, beta), 1, (0,))[0,]
    assert np.abs(np.diff(first, 3)).max() <= 2e-9


def test_many_terms_reach_the_saddlepoint():
    """B tends to log(j0 alpha / (1 + alpha)) / 2 - log(2 pi) / 2, with slope 1/2 in L."""
    L = np.array([20.0, 100.0, 300.0, 900.0])
    got = evaluate(L, np.zeros(4), 3, (0,))
    limit = 0.5 * (L - np.log(2.0)) - 0.5 * np.log(2.0 * np.pi)
    assert got[()] == pytest.approx(limit, rel=1e-9)
    assert got[0,] == pytest.approx(np.full(4, 0.5), abs=1e-9)
    assert got[0, 0] == pytest.approx(np.zeros(4), abs=1e-9)


def test_few_terms_reach_the_first():
    L = np.array([-50.0, -800.0])
    got = evaluate(L, np.zeros(2), 2, (0,))
    assert got[()] == pytest.approx(2.0 * L, rel=1e-12)  # log(j0^(1 + alpha) / Gamma(alpha))
    assert got[0,] == pytest.approx(np.full(2, 2.0), rel=1e-12)


def test_leading_axes_and_jets():
    L, beta = np.linspace(0.0, 5.0, 6).reshape(2, 3), np.zeros(3)
    assert saturated(L, beta).shape == (2, 3)
    got = differentiate(lambda e: saturated(e[0] + 2.0 * e[1], -e[1]), [L, beta], 3, (0, 1))
    B = evaluate(L, beta, 3, (0, 1))
    assert got.get(0, 0, 1) == pytest.approx(2.0 * B[0, 0, 0] - B[0, 0, 1], rel=1e-12)
    second = 4.0 * B[0, 0] - 4.0 * B[0, 1] + B[1, 1]
    assert got.get(1, 1) == pytest.approx(second, rel=1e-12)
