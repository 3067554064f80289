"""Hand-written derivatives against exact derivatives of the density itself."""

import numpy as np
import pytest

from interlace_core.families import differentiate_density
from interlace_families.binomial import BinomialFamily
from interlace_families.gaussian import GaussianFamily
from interlace_families.poisson import PoissonFamily

RNG = np.random.default_rng(7)
ETA = RNG.normal(size=300)
BELOW_ZERO, ABOVE_ZERO = -0.05 - np.abs(ETA), 0.2 + np.abs(ETA)
COUNTS = RNG.poisson(3.0, size=300).astype(float)
TRIALS = RNG.integers(1, 30, size=300).astype(float)
SUCCESSES = RNG.binomial(TRIALS.astype(int), 0.4).astype(float)
PAIRS = np.column_stack([SUCCESSES, TRIALS])
CASES = {
    "binomial logit": (BinomialFamily(), PAIRS, [ETA]),
    "binomial probit": (BinomialFamily("probit"), PAIRS, [ETA]),
    "binomial cloglog": (BinomialFamily("cloglog"), PAIRS, [ETA]),
    "binomial cauchit": (BinomialFamily("cauchit"), PAIRS, [ETA]),
    "binomial log": (BinomialFamily("log"), PAIRS, [BELOW_ZERO]),
    "poisson log": (PoissonFamily(), COUNTS, [ETA]),
    "poisson identity": (PoissonFamily("identity"), COUNTS, [ABOVE_ZERO]),
    "poisson sqrt": (PoissonFamily("sqrt"), COUNTS, [ABOVE_ZERO]),
    "gaussian": (GaussianFamily(), ETA + 1.0, [ETA, 0.3 * ETA[::-1]]),
    "gaussian log": (GaussianFamily("log"), ETA + 1.0, [ETA, 0.3 * ETA[::-1]]),
    "gaussian inverse": (GaussianFamily("inverse"), ETA + 1.0, [ABOVE_ZERO, 0.3 * ETA]),
}
TOL_REL = 1e-12
"""Of the largest value over the rows: both sides round, nothing else separates them."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_hand_written_derivatives_match_the_density(case, order):
    family, y, eta = CASES[case]
    every = tuple(range(len(eta)))
    for wrt in {every, every[:1], every[-1:]}:
        hand = family.derivatives(y, eta, order, wrt)
        exact = differentiate_density(family.log_density, y, eta, order, wrt)
        assert np.allclose(hand.value, exact.value, rtol=TOL_REL, atol=TOL_REL)
        assert all(len(key) <= order for key in hand.partials)
        for key in set(hand.partials) | set(exact.partials):
            a, b = hand.get(*key), exact.get(*key)
            a, b = (np.zeros(y.shape[0]) if x is None else x for x in (a, b))
            assert np.abs(a - b).max() <= TOL_REL * max(1.0, np.abs(b).max()), key


@pytest.mark.parametrize("eta", [-800.0, -40.0, 40.0, 800.0])
@pytest.mark.parametrize("link", ["logit", "probit", "cauchit"])
def test_binomial_is_finite_far_out(eta, link):
    y = np.array([[0.0, 1.0], [1.0, 1.0], [3.0, 7.0]])
    found = BinomialFamily(link).derivatives(y, [np.full(3, eta)], 3, (0,))
    assert np.all(np.isfinite(found.value))
    assert all(np.all(np.isfinite(partial)) for partial in found.partials.values())


def test_binomial_tail_is_exact():
    y = np.array([[1.0, 1.0]])
    assert BinomialFamily().log_density(y, [np.array([-800.0])])[0] == -800.0


def test_poisson_with_a_large_count():
    y = np.array([1e6])
    found = PoissonFamily().derivatives(y, [np.log(y)], 2, (0,))
    assert found.value[0] == pytest.approx(-0.5 * np.log(2 * np.pi * 1e6), abs=1e-6)
    assert found.partials[0, 0][0] == pytest.approx(-1e6)
