"""Jets: exact derivatives of ordinary NumPy code.

References, in order of preference: closed forms by hand; else each derivative against a
fourth-order central difference of the derivative one order below, the first against the function.
"""

from collections import Counter

import numpy as np
import pytest
from scipy import special

from interlace_core.calculus.jets.density import differentiate, differentiate_density
from interlace_core.calculus.jets.functions import UnsupportedFunctionError
from interlace_core.calculus.jets.numbers import compose, value_of
from interlace_core.calculus.links import LINKS, Log
from interlace_core.calculus.special import log1mexp
from interlace_core.contract.family import Family, Parameter
from interlace_core.messages.errors import InterlaceError, OptionError

WIDE = np.array([-3.1, -1.2, -0.3, 0.4, 1.7, 4.2])
POSITIVE = np.array([0.03, 0.4, 1.3, 2.7, 9.5, 60.0])
UNIT = np.array([0.02, 0.3, 0.5, 0.71, 0.9])


def nb2(y, eta):
    mu, theta = np.exp(eta[0]), np.exp(eta[1])
    return (
        special.gammaln(y + theta) - special.gammaln(theta) - special.gammaln(y + 1.0)
        + theta * np.log(theta / (theta + mu)) + y * np.log(mu / (theta + mu))
    )  # fmt: skip


def nb2_by_hand(y, a, b):
    """All nine partial derivatives in a = log mu, b = log theta."""
    m, t = np.exp(a), np.exp(b)
    s = t + m
    r, w = m / s, t / s
    psi = special.polygamma
    g = psi(0, y + t) - psi(0, t) + np.log(t) + 1 - np.log(s) - (t + y) / s
    g1 = psi(1, y + t) - psi(1, t) + 1 / t - 2 / s + (t + y) / s**2
    g2 = psi(2, y + t) - psi(2, t) - 1 / t**2 + 3 / s**2 - 2 * (t + y) / s**3
    return {
        (0,): y - (t + y) * r,
        (1,): t * g,
        (0, 0): -(t + y) * r * w,
        (0, 1): -t * r + (t + y) * r * w,
        (1, 1): t * g + t**2 * g1,
        (0, 0, 0): -(t + y) * r * w * (w - r),
        (0, 0, 1): -t * r * w + (t + y) * r * w * (w - r),
        (0, 1, 1): -t * r + 2 * t * r * w + (t + y) * r * w * (r - w),
        (1, 1, 1): t * g + 3 * t**2 * g1 + t**3 * g2,
    }


def nb2_data(n=200):
    rng = np.random.default_rng(20240607)
    eta = [rng.normal(0.8, 0.6, n), rng.normal(0.3, 0.5, n)]
    return rng.poisson(np.exp(eta[0])).astype(float), eta


def partial(result, *index):
    found = result.get(*index)
    return np.zeros_like(result.value) if found is None else found


def assert_consistent(function, points, rtol=2e-8):
    """Hold every partial to order 3 against differences of the one without its last index."""
    points = [np.asarray(p, dtype=float) for p in points]
    everything = tuple(range(len(points)))
    at = differentiate(function, points, 3, everything)
    # power and float_power, the two libraries' expm1, or an expit with another exponential may
    # differ in the last bit, which the logarithm of a number near 1 shows as an absolute error
    np.testing.assert_allclose(at.value, function(points), rtol=5e-16, atol=2e-16)
    keys = [
        tuple(sorted((*low, k)))
        for low in [(), *((i,) for i in everything), *_pairs(everything)]
        for k in everything
    ]
    for key in sorted(set(keys)):
        *low, k = key
        step = 4e-4 * np.minimum(np.abs(points[k]) + 1e-3, 1.0)

        def lower(multiple, low=tuple(low), k=k, step=step):
            moved = [p + multiple * step if i == k else p for i, p in enumerate(points)]
            result = differentiate(function, moved, len(low), everything)
            return partial(result, *low) if low else np.asarray(function(moved))

        expected = (lower(-2) - 8 * lower(-1) + 8 * lower(1) - lower(2)) / (12 * step)
        # a difference of numbers of size |f| has an absolute error of eps |f| / step
        noise = 20 * np.finfo(float).eps * (1 + np.abs(lower(0))) / step
        got = partial(at, *key)
        assert np.all(np.abs(got - expected) <= rtol * np.abs(expected) + noise), (
            key,
            got,
            expected,
        )


def _pairs(indices):
    return [(i, j) for i in indices for j in indices if i <= j]


def test_nb2_all_partials_equal_closed_forms():
    y, eta = nb2_data()
    result = differentiate(lambda jets: nb2(y, jets), eta, 3, (0, 1))
    expected = nb2_by_hand(y, *eta)
    assert set(result.partials) == set(expected)
    np.testing.assert_array_equal(result.value, nb2(y, eta))
    for key, value in expected.items():
        # 1e-13 absolute where a third derivative passes through zero
        np.testing.assert_allclose(result.get(*key), value, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_order_limits_the_partials(order):
    y, eta = nb2_data(5)
    result = differentiate(lambda jets: nb2(y, jets), eta, order, (0, 1))
    full = nb2_by_hand(y, *eta)
    assert set(result.partials) == {key for key in full if len(key) <= order}
    for key, value in result.partials.items():
        np.testing.assert_allclose(value, full[key], rtol=1e-11)


# SciPy has it from 1.15 on; before, what it is made of.
SOFTPLUS = getattr(special, "softplus", lambda x: np.logaddexp(0.0, x))

ONE_ARGUMENT = {
    "negative": (lambda x: -x, WIDE),
    "positive": (lambda x: np.positive(+x), WIDE),
    "exp": (np.exp, WIDE),
    "expm1": (np.expm1, WIDE),
    "special_expm1": (special.expm1, WIDE),
    "log": (np.log, POSITIVE),
    "log1p": (np.log1p, POSITIVE - 0.5),
    "special_log1p": (special.log1p, POSITIVE - 0.5),
    "sqrt": (np.sqrt, POSITIVE),
    "square": (np.square, WIDE),
    "reciprocal": (np.reciprocal, WIDE),
    "abs": (abs, WIDE),
    "fabs": (np.fabs, WIDE),
    "sin": (np.sin, WIDE),
    "cos": (np.cos, WIDE),
    "tan": (np.tan, WIDE / 3),
    "tanh": (np.tanh, WIDE),
    "arctan": (np.arctan, WIDE),
    "gammaln": (special.gammaln, POSITIVE),
    "loggamma": (special.loggamma, POSITIVE),
    "digamma": (special.digamma, POSITIVE),
    "expit": (special.expit, WIDE),
    "log_expit": (special.log_expit, WIDE),
    "logit": (special.logit, UNIT),
    "ndtr": (special.ndtr, WIDE),
    "log_ndtr": (special.log_ndtr, np.array([-25.0, -12.0, -5.0, -3.1, -2.9, -1.0, 0.2, 4.0])),
    "ndtri": (special.ndtri, UNIT),
    "erf": (special.erf, WIDE),
    "erfc": (special.erfc, WIDE),
    "softplus": (SOFTPLUS, WIDE),
    "power_0": (lambda x: x**0, WIDE),
    "power_1": (lambda x: x**1, WIDE),
    "power_2": (lambda x: x**2, WIDE),
    "power_5": (lambda x: x**5, WIDE),
    "power_minus_2": (lambda x: x**-2, WIDE),
    "power_2.5": (lambda x: x**2.5, POSITIVE),
    "float_power": (lambda x: np.float_power(x, -0.5), POSITIVE),
    "power_array": (lambda x: x ** np.linspace(-2.0, 3.0, 6), POSITIVE),
    "base_number": (lambda x: 2.0**x, WIDE),
    "base_array": (lambda x: POSITIVE**x, WIDE),
    "xlogy_data": (lambda x: special.xlogy(np.arange(6), x), POSITIVE),
    "xlog1py_data": (lambda x: special.xlog1py(np.arange(6), x), POSITIVE),
    "betaln_data": (lambda x: special.betaln(x, 2.5), POSITIVE),
    "arctan2_data": (lambda x: np.arctan2(1.0, -x), WIDE),
    "gammainc": (lambda x: special.gammainc(2.5, x), POSITIVE[:5]),
    "gammaincc": (lambda x: special.gammaincc(np.array([0.3, 1, 2, 5, 9]), x), POSITIVE[:5]),
    "logaddexp_data": (lambda x: np.logaddexp(0.3, x), WIDE),
    "log1mexp": (log1mexp, POSITIVE[:5]),
    "integers": (lambda x: 3 * x - np.arange(6) / (x + 7), WIDE),
    "booleans": (lambda x: (WIDE > 0) * np.exp(x) - x * True, WIDE),
}


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_function_of_one_argument_matches_differences(name):
    function, points = ONE_ARGUMENT[name]
    assert_consistent(lambda eta: function(eta[0]), [points])


TWO_ARGUMENTS = {
    "divide": (lambda a, b: a / b, WIDE, POSITIVE),
    "power": (lambda a, b: a**b, POSITIVE[:5], WIDE[:5]),
    "logaddexp": (np.logaddexp, WIDE, WIDE[::-1]),
    "xlogy": (special.xlogy, WIDE, POSITIVE),
    "xlog1py": (special.xlog1py, WIDE, POSITIVE),
    "betaln": (special.betaln, POSITIVE, POSITIVE[::-1]),
    "arctan2": (np.arctan2, WIDE, WIDE[::-1] + 0.1),
    "maximum": (np.maximum, WIDE, WIDE[::-1]),
    "minimum": (np.minimum, np.exp(WIDE), WIDE[::-1]),
    "mixture": (
        lambda a, b: np.logaddexp(special.log_expit(b), special.log_expit(-b) - np.exp(a)),
        WIDE[:5], WIDE[1:],
    ),
    "nested": (lambda a, b: np.tanh(a * np.exp(b)) / (1.0 + a**2 * b), WIDE / 3, POSITIVE[:6] / 30),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO_ARGUMENTS)
def test_function_of_two_arguments_matches_differences(name):
    function, *points = TWO_ARGUMENTS[name]
    assert_consistent(lambda eta: function(*eta), points)


@pytest.mark.parametrize("name", sorted(LINKS))
def test_inverse_links_have_the_derivatives_they_state(name):
    link = LINKS[name]
    low = link.eta_domain[0]
    eta = POSITIVE if low == 0.0 else WIDE / 2
    result = differentiate(lambda jets: link.mu(jets[0]), [eta], 3, (0,))
    for k, expected in enumerate(link.derivatives(eta)):
        got = partial(result, *[0] * k) if k else result.value
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_products_and_compositions_in_three_variables():
    rng = np.random.default_rng(1)
    a, b, c = rng.uniform(0.5, 2.0, (3, 7))
    f = np.exp(a * b + c)
    result = differentiate(lambda e: np.exp(e[0] * e[1] + e[2]), [a, b, c], 3, (0, 1, 2))
    expected = {
        (0,): b * f, (2,): f, (0, 1): (1 + a * b) * f, (0, 2): b * f, (2, 2): f,
        (0, 1, 2): (1 + a * b) * f, (0, 0, 1): (2 * b + a * b**2) * f, (0, 0, 0): b**3 * f,
        (1, 2, 2): a * f, (2, 2, 2): f,
    }  # fmt: skip
    assert len(result.partials) == 19
    for key, value in expected.items():
        np.testing.assert_allclose(result.get(*key), value, rtol=1e-13)

    result = differentiate(lambda e: e[0] / (e[1] * e[2]), [a, b, c], 3, (0, 1, 2))
    expected = {
        (0, 1, 2): 1 / (b * c) ** 2, (1, 1, 2): -2 * a / (b**3 * c**2),
        (1, 1, 1): -6 * a / (b**4 * c), (0, 1, 1): 2 / (b**3 * c),
    }  # fmt: skip
    for key, value in expected.items():
        np.testing.assert_allclose(result.get(*key), value, rtol=1e-13)


def test_polynomial_is_exact():
    result = differentiate(
        lambda e: e[0] ** 2 * e[1] * e[2] + 4.0 * e[1] ** 3, [[2.0], [3.0], [5.0]], 3, (0, 1, 2)
    )
    expected = {
        (0,): 60.0, (1,): 128.0, (2,): 12.0, (0, 0): 30.0, (0, 1): 20.0, (0, 2): 12.0,
        (1, 1): 72.0, (1, 2): 4.0, (0, 0, 1): 10.0, (0, 0, 2): 6.0, (0, 1, 2): 4.0,
        (1, 1, 1): 24.0,
    }  # fmt: skip
    found = {key: float(value[0]) for key, value in result.partials.items() if value[0] != 0.0}
    assert found == expected


def test_structural_zeros_are_omitted():
    eta = [np.arange(3.0)] * 3
    result = differentiate(lambda e: np.exp(e[0]) + 2.0 * e[1] + e[1] * e[2], eta, 3, (0, 1, 2))
    assert set(result.partials) == {(0,), (0, 0), (0, 0, 0), (1,), (2,), (1, 2)}
    assert result.get(0, 1) is None
    cancelled = differentiate(lambda e: e[0] - e[0] + e[1], eta, 2, (0, 1))
    assert set(cancelled.partials) == {(1,)}


def test_partials_are_fresh_arrays_of_full_shape():
    y = np.arange(4.0)
    result = differentiate(lambda e: y * e[0] + e[1], [np.zeros(1), np.zeros(())], 2, (0, 1))
    result.get(0)[:] = -1.0
    result.get(1)[:] = -1.0
    np.testing.assert_array_equal(y, np.arange(4.0))
    assert {value.shape for value in result.partials.values()} == {(4,)}


def test_predictors_outside_wrt_are_plain_arrays_without_partials():
    y, eta = nb2_data(6)
    seen = []

    def density(jets):
        seen.append(type(jets[1]))
        return nb2(y, jets)

    result = differentiate(density, eta, 3, (0,))
    assert seen == [np.ndarray]
    assert set(result.partials) == {(0,), (0, 0), (0, 0, 0)}
    second = differentiate(lambda jets: nb2(y, jets), eta, 2, (1,))
    assert set(second.partials) == {(1,), (1, 1)}
    np.testing.assert_allclose(second.get(1, 1), nb2_by_hand(y, *eta)[1, 1], rtol=1e-11)


def test_a_constant_function_has_no_partials():
    result = differentiate(lambda eta: np.arange(3), [np.zeros(3)], 3, (0,))
    assert result.partials == {}
    assert result.value.dtype == np.float64


def test_leading_axes_broadcast():
    y, (a, b) = nb2_data(6)
    nodes = a + np.array([[-0.5], [0.0], [0.7]])
    result = differentiate(lambda jets: nb2(y, jets), [nodes, b], 3, (0, 1))
    assert result.value.shape == (3, 6)
    for j in range(3):
        expected = nb2_by_hand(y, nodes[j], b)
        for key, value in expected.items():
            np.testing.assert_allclose(result.get(*key)[j], value, rtol=1e-11, atol=1e-13)


class TestTails:
    FAR = np.array([-800.0, -400.0, -50.0, 50.0, 400.0, 800.0])

    @pytest.mark.parametrize(
        "function",
        [
            special.expit, special.log_expit, special.ndtr, special.log_ndtr, special.erf,
            special.erfc, np.tanh, np.arctan, SOFTPLUS,
            lambda x: np.logaddexp(x, -x),
            lambda x: np.log1p(np.exp(-abs(x))),
            lambda x: np.log1p(np.exp(np.minimum(x, 700.0))),
        ],
    )  # fmt: skip
    def test_everything_is_finite(self, function):
        result = differentiate(lambda eta: function(eta[0]), [self.FAR], 3, (0,))
        for k in (1, 2, 3):
            assert np.all(np.isfinite(partial(result, *[0] * k)))

    def test_log_expit_has_slopes_one_and_zero(self):
        result = differentiate(lambda eta: special.log_expit(eta[0]), [self.FAR], 3, (0,))
        np.testing.assert_allclose(result.get(0), special.expit(-self.FAR), rtol=1e-15)
        np.testing.assert_allclose(result.get(0, 0, 0)[0], 0.0, atol=1e-300)

    def test_log_ndtr_follows_the_series_of_the_mills_ratio(self):
        t = np.array([100.0, 300.0, 800.0])
        result = differentiate(lambda eta: special.log_ndtr(eta[0]), [-t], 3, (0,))
        s = t**-2.0
        # 1 / Mills ratio = t + 1/t - 2/t^3 + 10/t^5 - 74/t^7 + ..., differentiated in -t
        np.testing.assert_allclose(result.get(0), t * (1 + s - 2 * s**2 + 10 * s**3), rtol=1e-13)
        np.testing.assert_allclose(result.get(0, 0), -(1 - s + 6 * s**2 - 50 * s**3), rtol=1e-12)
        # the next term is 63540 s^4 / 2, so 3e-12 at t = 100
        np.testing.assert_allclose(
            result.get(0, 0, 0),
            2 * s / t * (1 - 12 * s + 150 * s**2 - 2072 * s**3),
            rtol=1e-11,
        )

    def test_log_undoes_exp(self):
        x = np.array([-700.0, -400.0, 300.0])
        result = differentiate(lambda eta: np.log(np.exp(eta[0])), [x], 3, (0,))
        np.testing.assert_allclose(result.get(0), 1.0, rtol=1e-15)
        np.testing.assert_allclose(result.get(0, 0, 0), 0.0, atol=1e-15)

    def test_gammaln_of_a_vanishing_argument_is_minus_its_log(self):
        x = np.array([-700.0, -400.0])
        result = differentiate(lambda eta: special.gammaln(np.exp(eta[0])), [x], 3, (0,))
        np.testing.assert_allclose(result.get(0), -1.0, rtol=1e-15)
        np.testing.assert_allclose(result.get(0, 0, 0), 0.0, atol=1e-15)

    def test_gammaln_agrees_with_polygamma_from_small_to_large(self):
        x = np.geomspace(1e-6, 1e8, 200)
        result = differentiate(lambda eta: special.gammaln(eta[0]), [x], 3, (0,))
        # absolute next to the zero of digamma at 1.46
        np.testing.assert_allclose(result.get(0), special.digamma(x), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(result.get(0, 0), special.polygamma(1, x), rtol=1e-14)
        np.testing.assert_allclose(result.get(0, 0, 0), special.polygamma(2, x), rtol=1e-14)
        digamma = differentiate(lambda eta: special.digamma(eta[0]), [x], 3, (0,))
        np.testing.assert_allclose(digamma.get(0, 0, 0), special.polygamma(3, x), rtol=1e-14)

    def test_gammaln_below_zero_has_no_higher_derivatives(self):
        # the series behind them holds for positive arguments: NaN, rather than a wrong number
        result = differentiate(lambda eta: special.gammaln(eta[0]), [np.array([-9.5])], 3, (0,))
        assert np.isnan(result.get(0, 0)) and np.isnan(result.get(0, 0, 0))

    def test_quotients_of_tiny_numbers(self):
        x = np.array([-690.0, -300.0])
        result = differentiate(lambda eta: np.exp(eta[0]) / np.exp(2.0 * eta[0]), [x / 2], 3, (0,))
        np.testing.assert_allclose(result.get(0, 0, 0), -np.exp(-x / 2), rtol=1e-13)

    def test_powers_at_zero(self):
        zero = np.zeros(1)
        smooth = differentiate(lambda eta: eta[0] ** 3.5, [zero], 3, (0,))
        assert all(np.all(value == 0.0) for value in smooth.partials.values())
        cube = differentiate(lambda eta: eta[0] ** np.array([3.0]), [zero], 3, (0,))
        assert cube.get(0, 0, 0) == 6.0
        line = differentiate(lambda eta: eta[0] ** np.array([1.0]), [zero], 3, (0,))
        assert (line.get(0), line.get(0, 0), line.get(0, 0, 0)) == (1.0, 0.0, 0.0)
        root = differentiate(lambda eta: np.sqrt(eta[0]), [zero], 1, (0,))
        assert np.isinf(root.get(0))
        data = differentiate(lambda eta: np.array([0.0, 2.0]) ** eta[0], [np.ones(2)], 1, (0,))
        np.testing.assert_allclose(data.get(0), [0.0, 2.0 * np.log(2.0)])

    def test_xlogy_of_data_zero_ignores_the_other_argument(self):
        result = differentiate(
            lambda eta: special.xlogy(np.array([0.0, 2.0]), eta[0]), [np.array([0.0, 4.0])], 2, (0,)
        )
        np.testing.assert_array_equal(result.get(0), [0.0, 0.5])
        np.testing.assert_array_equal(result.get(0, 0), [0.0, -0.125])

    def test_logaddexp_with_minus_infinity(self):
        floor = np.array([-np.inf, 0.0])
        result = differentiate(lambda eta: np.logaddexp(floor, eta[0]), [np.zeros(2)], 3, (0,))
        np.testing.assert_array_equal(result.get(0), [1.0, 0.5])
        np.testing.assert_array_equal(result.get(0, 0), [0.0, 0.25])
        nothing = differentiate(
            lambda eta: np.logaddexp(floor, np.where(floor == 0.0, eta[0], -np.inf)),
            [np.zeros(2)], 3, (0,),
        )  # fmt: skip
        np.testing.assert_array_equal(nothing.value, [-np.inf, np.log(2.0)])
        np.testing.assert_array_equal(nothing.get(0), [0.0, 0.5])

    def test_arctan2_at_the_origin_has_a_value(self):
        result = differentiate(lambda eta: np.arctan2(eta[0], eta[0]), [np.zeros(1)], 1, (0,))
        assert result.value[0] == 0.0


class TestSelection:
    def test_where_selects_by_data(self):
        y = np.array([0.0, 0.0, 3.0])
        a, b = np.array([0.2, -1.0, 0.5]), np.array([-0.5, 0.3, 1.0])

        def zip_density(eta):
            mu = np.exp(eta[0])
            zero = np.logaddexp(special.log_expit(eta[1]), special.log_expit(-eta[1]) - mu)
            rest = special.log_expit(-eta[1]) + y * eta[0] - mu - special.gammaln(y + 1.0)
            return np.where(y == 0, zero, rest)

        result = differentiate(zip_density, [a, b], 3, (0, 1))
        mu, pi = np.exp(a), special.expit(b)
        p0 = pi + (1 - pi) * np.exp(-mu)
        expected = np.where(y == 0, -(1 - pi) * np.exp(-mu) * mu / p0, y - mu)
        np.testing.assert_allclose(result.get(0), expected, rtol=1e-14)
        cross = mu * np.exp(-mu) * pi * (1 - pi) / p0**2
        np.testing.assert_allclose(result.get(0, 1), np.where(y == 0, cross, 0.0), rtol=1e-13)

    def test_where_ignores_the_other_branch_even_if_not_finite(self):
        x = np.array([0.0, 2.0])
        with np.errstate(divide="ignore"):
            result = differentiate(
                lambda eta: np.where(x == 0, eta[0] * 3.0, np.log(eta[0])), [x], 3, (0,)
            )
        np.testing.assert_array_equal(result.get(0), [3.0, 0.5])
        np.testing.assert_array_equal(result.get(0, 0, 0), [0.0, 0.25])

    def test_where_takes_plain_branches_and_leading_axes(self):
        y = np.array([0.0, 1.0])
        result = differentiate(
            lambda eta: np.where(y > 0, eta[0] ** 2, 7.0), [np.array([[1.0], [2.0]])], 2, (0,)
        )
        np.testing.assert_array_equal(result.value, [[7.0, 1.0], [7.0, 4.0]])
        np.testing.assert_array_equal(result.get(0), [[0.0, 2.0], [0.0, 4.0]])

    def test_clip_maximum_minimum_select_by_value(self):
        x = np.array([-3.0, 0.5, 3.0])
        for clip in (
            lambda v: np.clip(v, -1.0, 1.0),
            lambda v: np.clip(v, a_min=-1.0, a_max=1.0),
            lambda v: np.minimum(np.maximum(v, -1.0), 1.0),
        ):
            result = differentiate(lambda eta, clip=clip: clip(eta[0]) ** 2, [x], 2, (0,))
            np.testing.assert_array_equal(result.value, [1.0, 0.25, 1.0])
            np.testing.assert_array_equal(result.get(0), [0.0, 1.0, 0.0])
        one_sided = differentiate(lambda eta: np.clip(eta[0], None, 1.0), [x], 1, (0,))
        np.testing.assert_array_equal(one_sided.get(0), [1.0, 1.0, 0.0])

    def test_comparisons_give_plain_arrays(self):
        x = np.array([-1.0, 0.0, 2.0])

        def function(eta):
            j = eta[0]
            for got, expected in [
                (j > 0, x > 0), (j >= 0, x >= 0), (j < 0, x < 0), (j <= 0, x <= 0),
                (j == 0, x == 0), (j != 0, x != 0), (0 < j, x > 0), (np.isfinite(j), x == x),
                (np.sign(j), np.sign(x)), (np.zeros_like(j), 0 * x), (np.ones_like(j), 0 * x + 1),
                (np.full_like(j, 3.0), 0 * x + 3),
            ]:  # fmt: skip
                assert type(got) is np.ndarray
                np.testing.assert_array_equal(got, expected)
            assert j.shape == (3,)
            return np.where(j > 0, j, 0.5 * j)

        result = differentiate(function, [x], 1, (0,))
        np.testing.assert_array_equal(result.get(0), [0.5, 0.5, 1.0])


def test_operators_accept_numbers_arrays_and_lists_on_either_side():
    x = np.array([0.5, 2.0])
    forms = [
        lambda j: 1 + j, lambda j: j + [1, 1], lambda j: np.float64(1.0) + j,
        lambda j: np.ones(2) + j, lambda j: np.ones(2, dtype=int) + j, lambda j: sum([j, 1]),
    ]  # fmt: skip
    for form in forms:
        result = differentiate(lambda eta, form=form: form(eta[0]), [x], 1, (0,))
        np.testing.assert_array_equal(result.value, x + 1)
        np.testing.assert_array_equal(result.get(0), [1.0, 1.0])
    result = differentiate(lambda eta: 2.0 - (1 - eta[0]) * 2 / 1.0, [x], 1, (0,))
    np.testing.assert_array_equal(result.get(0), [2.0, 2.0])


def test_augmented_assignment_to_a_jet_leaves_the_old_one_alone():
    def function(eta):
        total = eta[0]
        total += 1.0
        total *= eta[0]
        return total

    result = differentiate(function, [np.array([3.0])], 2, (0,))
    assert (result.value, result.get(0), result.get(0, 0)) == (12.0, 7.0, 2.0)


class TestUnsupported:
    @pytest.mark.parametrize(
        ("function", "noun"),
        [
            (np.floor, r"floor\(\)"),
            (special.gamma, r"gamma\(\)"),
            (lambda x: np.arctan2.outer(x, x), r"arctan2\.outer"),
            (np.sum, r"sum\(\)"),
            (lambda x: np.sum([x, x]), "conversion to a plain array"),
            (np.cumsum, r"cumsum\(\)"),
            (lambda x: np.stack([x, x]), r"stack\(\)"),
            (np.asarray, "conversion to a plain array"),
            (lambda x: np.where(x, 1.0, x), r"where\(\) on the truth value"),
            (lambda x: special.gammainc(x, 1.0), "first argument of gammainc"),
            (lambda x: np.add(x, 1.0, where=np.array([True])), r"add\(\) with where"),
            (lambda x: np.clip(x, 0.0, 1.0, dtype=float), r"clip\(\) with dtype"),
        ],
    )  # fmt: skip
    def test_message_names_the_function_and_the_ways_out(self, function, noun):
        with pytest.raises(TypeError, match=noun) as caught:
            differentiate(lambda eta: function(eta[0]), [np.ones(1)], 2, (0,))
        assert isinstance(caught.value, UnsupportedFunctionError)
        assert isinstance(caught.value, InterlaceError)
        for word in ("gammaln", "where()", "compose()", "derivatives()"):
            assert word in str(caught.value)

    def test_in_place_addition_to_a_plain_array_says_what_to_write(self):
        def function(eta):
            total = np.zeros(1)
            total += eta[0]
            return total

        with pytest.raises(TypeError, match=r"write `array = array \+ \.\.\.`"):
            differentiate(function, [np.ones(1)], 1, (0,))

    @pytest.mark.parametrize("order", [-1, 4])
    def test_order_out_of_range(self, order):
        with pytest.raises(OptionError, match=f"order.*{order}"):
            differentiate(lambda eta: eta[0], [np.ones(1)], order, (0,))

    @pytest.mark.parametrize("wrt", [(2,), (0, -1)])
    def test_predictor_out_of_range(self, wrt):
        with pytest.raises(OptionError, match=rf"wrt.*0 to 1.*{wrt[-1]}"):
            differentiate(lambda eta: eta[0], [np.ones(1)] * 2, 1, wrt)


class TestCompose:
    X = np.array([-0.7, 0.4, 1.1])

    def test_arrays_and_functions_agree_with_a_closed_form(self):
        def by_functions(eta):
            return compose(2.0 * eta[0] * eta[1], np.cosh, np.sinh, np.cosh, np.sinh)

        def by_arrays(eta):
            x = 2.0 * eta[0] * eta[1]
            c, s = np.cosh(value_of(x)), np.sinh(value_of(x))
            return compose(x, c, s, c, s)

        def closed(eta):
            x = 2.0 * eta[0] * eta[1]
            return (np.exp(x) + np.exp(-x)) / 2.0

        eta = [self.X, self.X + 1.0]
        expected = differentiate(closed, eta, 3, (0, 1))
        for function in (by_functions, by_arrays):
            result = differentiate(function, eta, 3, (0, 1))
            assert set(result.partials) == set(expected.partials)
            for key, value in expected.partials.items():
                np.testing.assert_allclose(result.get(*key), value, rtol=1e-12)

    def test_plain_argument_gives_the_plain_value(self):
        np.testing.assert_array_equal(compose(self.X, np.exp, None, None, None), np.exp(self.X))
        np.testing.assert_array_equal(compose(self.X, self.X, None, None, None), self.X)

    def test_nothing_above_the_order_is_called(self):
        def refuse(value):
            raise AssertionError("called above the order")

        differentiate(lambda e: compose(e[0], np.sin, np.cos, refuse, refuse), [self.X], 1, (0,))

    def test_none_is_structurally_zero(self):
        result = differentiate(
            lambda e: compose(e[0], lambda v: 3.0 * v, lambda v: 3.0 + 0.0 * v, None, None),
            [self.X], 3, (0,),
        )  # fmt: skip
        assert set(result.partials) == {(0,)}


class TestDensity:
    @pytest.mark.parametrize("chunk_rows", [1, 7, 50, 200, 1000, None])
    def test_chunks_equal_the_whole(self, chunk_rows):
        y, eta = nb2_data()
        whole = differentiate(lambda jets: nb2(y, jets), eta, 3, (0, 1))
        result = differentiate_density(nb2, y, eta, 3, (0, 1), chunk_rows=chunk_rows)
        assert set(result.partials) == set(whole.partials)
        # vectorised loops may round differently at the ends of a chunk
        np.testing.assert_allclose(result.value, whole.value, rtol=1e-13)
        for key, value in whole.partials.items():
            np.testing.assert_allclose(result.get(*key), value, rtol=1e-11, atol=1e-13)

    def test_default_chunks_cover_many_rows(self):
        y, eta = nb2_data(20_011)
        result = differentiate_density(nb2, y, eta, 2, (0, 1))
        expected = nb2_by_hand(y, *eta)
        for key, value in result.partials.items():
            np.testing.assert_allclose(value, expected[key], rtol=1e-9, atol=1e-12)

    def test_predictors_of_every_shape(self):
        y, (a, b) = nb2_data(11)
        nodes = a + np.array([[-0.5], [0.0], [0.7]])
        for eta in ([nodes, b], [nodes, 0.4], [nodes, np.array([0.4])], [a, np.full((3, 1), 0.4)]):
            whole = differentiate(lambda jets: nb2(y, jets), eta, 3, (0, 1))
            result = differentiate_density(nb2, y, eta, 3, (0, 1), chunk_rows=4)
            assert result.value.shape == (3, 11)
            for key, value in whole.partials.items():
                np.testing.assert_allclose(result.get(*key), value, rtol=1e-11, atol=1e-13)

    def test_response_with_a_second_axis(self):
        y = np.column_stack([np.arange(9.0), np.full(9, 9.0)])

        def binomial(y, eta):
            return y[:, 0] * eta[0] + y[:, 1] * special.log_expit(-eta[0])

        result = differentiate_density(binomial, y, [np.zeros(9)], 2, (0,), chunk_rows=2)
        np.testing.assert_allclose(result.get(0), y[:, 0] - 4.5)
        np.testing.assert_allclose(result.get(0, 0), np.full(9, -2.25))

    def test_value_has_all_rows_even_if_nothing_depends_on_them(self):
        result = differentiate_density(
            lambda y, eta: eta[0] ** 2, np.zeros(5), [3.0], 1, (0,), chunk_rows=2
        )
        np.testing.assert_array_equal(result.value, np.full(5, 9.0))
        np.testing.assert_array_equal(result.get(0), np.full(5, 6.0))

    def test_partial_that_some_chunks_lack_is_zero_there(self):
        def density(y, eta):
            return eta[0] if np.all(y == 0) else eta[0] * eta[1]

        y = np.array([0.0, 0.0, 1.0])
        result = differentiate_density(density, y, [np.ones(3)] * 2, 2, (0, 1), chunk_rows=2)
        np.testing.assert_array_equal(result.get(0, 1), [0.0, 0.0, 1.0])

    def test_no_rows(self):
        result = differentiate_density(nb2, np.zeros(0), [np.zeros(0)] * 2, 3, (0, 1))
        assert result.value.shape == (0,)
        assert result.get(0, 1, 1).shape == (0,)

    def test_chunk_rows_must_be_positive(self):
        with pytest.raises(OptionError, match="chunk_rows.*0"):
            differentiate_density(nb2, np.zeros(1), [np.zeros(1)] * 2, 1, (0,), chunk_rows=0)


class _NB2(Family):
    name = "nb2"
    parameters = (Parameter("mu", Log(), role="mean"), Parameter("theta", Log()))

    def log_density(self, y, eta):
        return nb2(y, eta)

    def mean(self, eta):
        return np.exp(eta[0])


def test_family_default_derivatives_are_exact():
    y, eta = nb2_data()
    result = _NB2().derivatives(y, eta, 3, (0, 1))
    for key, value in nb2_by_hand(y, *eta).items():
        np.testing.assert_allclose(result.get(*key), value, rtol=1e-11, atol=1e-13)


def test_every_partial_counts_its_repetitions():
    """A Taylor coefficient becomes a derivative by the factorial of each repetition."""
    x = [np.array([0.3]), np.array([-0.2]), np.array([0.1])]
    result = differentiate(lambda e: np.exp(e[0] + 2.0 * e[1] + 3.0 * e[2]), x, 3, (0, 1, 2))
    for key, value in result.partials.items():
        counts = Counter(key)
        slope = np.prod([(k + 1.0) ** count for k, count in counts.items()])
        np.testing.assert_allclose(value, slope * result.value, rtol=1e-14)


@pytest.mark.parametrize("x", [-800.0, -40.0, -1e-9, 0.0, 1e-9, 0.3, 40.0, 800.0, -np.inf, np.inf])
def test_logistic_functions_equal_those_of_scipy(x):
    """Values come from one exponential; one or two units in the last place are their rounding."""
    for ufunc in (special.expit, special.log_expit):
        got = differentiate(lambda eta, f=ufunc: f(eta[0]), [np.array([x])], 1, (0,))
        np.testing.assert_allclose(got.value, ufunc(np.array([x])), rtol=5e-16)


def test_a_predictor_without_variation_is_computed_once():
    """What depends on it alone has one row; the answer is that of all rows, to the last bit."""
    y, eta = nb2_data()
    eta = [eta[0], np.full(y.size, 0.3)]
    seen = []

    def density(y, eta):
        seen.append(eta[1].shape)
        return nb2(y, eta)

    together = differentiate_density(density, y, eta, 3, (0, 1))
    assert seen == [(1,)]
    plain = differentiate(lambda jets: nb2(y, jets), eta, 3, (0, 1))
    np.testing.assert_array_equal(together.value, plain.value)
    assert together.partials.keys() == plain.partials.keys()
    for key, partial_ in plain.partials.items():
        assert together.partials[key].shape == y.shape
        np.testing.assert_allclose(together.partials[key], partial_, rtol=1e-14, atol=1e-14)
