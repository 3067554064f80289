"""The log-gamma distribution with a shape, and its derivatives in the shape (Prentice 1974).

With k = 1 / lambda^2 the density is `lambda k^k / Gamma(k) exp(k (lambda x - exp(lambda x)))`:
normal at lambda 0, cloglog's at 1, loglog's at -1, its mode always at 0. In z = lambda x,

    log f = -log(2 pi) / 2 - R(lambda) - x^2 g(z),    g(z) = (exp(z) - 1 - z) / z^2,

with R what Stirling's formula leaves of log Gamma(k), is smooth through 0. The mirror image of the
distribution has the shape -lambda, so that one tail beyond the mode is all that is integrated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Parameter
from interlace_core.families import (
    HALF_LOG_2PI,
    STIRLING,
    Jet,
    compose,
    expand,
    stirling_remainder,
    value_of,
)
from interlace_ordinal.latent import LARGEST_EXPONENT, Shaped

LARGEST_SHAPE = 30.0
"""Beyond it, on either side, the distribution is nearly exponential with an end, and stays so."""

FROM_STIRLING = 0.25
"""Below this the remainder is its series, whose eight terms are then exact to rounding."""

_V = np.arange(-3.5, 8.5, 1.0 / 12.0)
LONG = np.exp(_V - np.exp(-_V)), np.exp(_V - np.exp(-_V)) * (1.0 + np.exp(-_V)) / 12.0
"""Nodes and weights of the trapezoidal rule after `t = exp(v - exp(-v))`, for tails that fall like
an exponential (Takahasi & Mori 1974), from a thousandth of the unit to two thousand of it."""

_X, _W = np.polynomial.legendre.leggauss(64)
SHORT = 0.5 * (1.0 + _X), 0.5 * _W
"""Nodes and weights of Gauss and Legendre, for tails that end like a normal one or sooner."""

ENOUGH = 38.0
"""Fall of a log-density beyond which nothing is left to rounding."""

FURTHEST = 1e6
"""Beyond it nothing changes, nor where exp(lambda x) is 6e100."""

HOPELESS = -690.0
"""Logarithm below which an integrand is left out."""


class LogGamma(Shaped):
    """The link log-gamma, normal where its shape is 0.

    Parameters
    ----------
    shape : array-like
        lambda of each row; may be a truncated Taylor number.
    """

    parameter = Parameter("lambda", LINKS["identity"])

    def __init__(self, shape: Any) -> None:
        self._shape = np.clip(shape, -LARGEST_SHAPE, LARGEST_SHAPE)
        self._known: list[tuple[Any, Any]] = []

    @property
    def variance(self) -> Array:
        """Of the logarithm of a gamma variable over lambda, k trigamma(k)."""
        from scipy.special import polygamma

        square = np.square(value_of(self._shape))
        k = 1.0 / np.maximum(square, 1e-4)
        near = 1.0 + square / 2.0 + np.square(square) / 6.0
        return np.asarray(np.where(square < 1e-4, near, k * polygamma(1, k)))

    def log_cdf(self, x: Any) -> Any:
        """Return log F(x)."""
        tail, above = self._tail(x), value_of(x) > 0.0
        return np.where(above, _complement(tail), tail)

    def log_sf(self, x: Any) -> Any:
        """Return log(1 - F(x))."""
        tail, above = self._tail(x), value_of(x) > 0.0
        return np.where(above, tail, _complement(tail))

    def log_density(self, x: Any) -> Any:
        """Return log f(x), the same beyond where the tails stay as they are."""
        size = np.abs(value_of(self._shape))
        most = LARGEST_EXPONENT / np.maximum(size, LARGEST_EXPONENT / FURTHEST)
        z = self._shape * np.clip(x, -most, most)
        g = compose(z, *_g(np.asarray(value_of(z)), 3))
        rest = compose(self._shape, *_remainder(np.asarray(value_of(self._shape)), 3))
        return -np.square(x) * g - rest - HALF_LOG_2PI

    def quantile(self, p: Array) -> Array:
        """Return the logarithm of a gamma quantile over its mean, over lambda."""
        from scipy.special import gammainccinv, gammaincinv, ndtri

        shape = np.asarray(value_of(self._shape), dtype=np.float64)
        lam = np.where(np.abs(shape) < 1e-4, 1e-4, shape)
        k = 1.0 / np.square(lam)
        q = np.where(lam > 0.0, gammaincinv(k, p), gammainccinv(k, p))
        return np.asarray(np.where(np.abs(shape) < 1e-4, ndtri(p), np.log(q / k) / lam))

    def _tail(self, x: Any) -> Any:
        """Return the logarithm of the probability beyond x, away from the mode."""
        for known, tail in self._known:
            if known is x:
                return tail
        side = np.where(value_of(x) > 0.0, 1.0, -1.0)
        tail = log_tail(x * side, self._shape * side)
        self._known.append((x, tail))
        return tail


def log_tail(x: Any, shape: Any) -> Any:
    """Return log P(X > x) for x of at least 0; both may be truncated Taylor numbers.

    P / f(x) is an integral along the density relative to f(x), and the derivatives of log P are
    moments of what lies beyond x, taken from what is at x.
    """
    order = max((each.order for each in (x, shape) if isinstance(each, Jet)), default=0)
    most = LARGEST_EXPONENT / np.maximum(value_of(shape), LARGEST_EXPONENT / FURTHEST)
    x = np.minimum(x, most)
    x0, lam = np.broadcast_arrays(*(np.asarray(value_of(each), float) for each in (x, shape)))
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        here = _log_density(x0, lam, order)
        beyond = [np.empty(x0.shape) for _ in range(3 + 2 * max(order - 1, 0))]
        for part, rule in ((lam >= 0.0, SHORT), (lam < 0.0, LONG)):
            found = _moments(x0[part], lam[part], [each[part] for each in here], rule)
            for all_rows, own in zip(beyond, found, strict=False):
                all_rows[part] = own
        return expand(_log_partials(x0, lam, here, beyond, order), [x, shape])


def _moments(x: Array, lam: Array, here: list[Array], rule: tuple[Array, Array]) -> list[Array]:
    """Return what lies beyond x, with m_j the change of the j-th derivative of log f in lambda.

    The integral of f(x + t) / f(x) over t > 0; the means of the change of -(log f)' and of m_1;
    the variance of m_1 and the mean of m_2; the third cumulants' share and the mean of m_3.
    """
    nodes, weights = rule
    order = len(here) - 1
    unit = _length(x, lam) if rule is SHORT else _unit(x, lam, 1.0)
    t = unit[:, None] * nodes
    lt, e = lam[:, None] * t, np.exp(lam * x)[:, None]
    g0 = _g(lt, 0)[0]
    # without the difference of two log-densities, which can be large
    fall = -e * np.square(t) * g0 + t * _slope(x, lam)[:, None]
    inside = fall > HOPELESS
    w = np.where(inside, np.exp(np.where(inside, fall, 0.0)) * weights, 0.0) * unit[:, None]
    total = np.sum(w, axis=-1)

    def mean(values: Array) -> Array:
        return np.asarray(np.sum(w * np.where(inside, values, 0.0), axis=-1) / total)

    found = [total, mean(e * t * (1.0 + lt * g0))]
    if not order:
        return [*found, np.zeros_like(total)]
    there = _log_density(x[:, None] + t, lam[:, None], order)
    m = [each - own[:, None] for each, own in zip(there[1:], here[1:], strict=True)]
    first = mean(m[0])
    found.append(first)
    if order > 1:
        off = m[0] - first[:, None]
        second = mean(m[1])
        found += [mean(np.square(off)), second]
    if order > 2:
        found += [mean(off**3) + 3.0 * mean(off * (m[1] - second[:, None])), mean(m[2])]
    return found


def _log_partials(
    x: Array, lam: Array, here: list[Array], beyond: list[Array], order: int
) -> Derivatives:
    """Return log P with its partials in x (0) and lambda (1).

    With h = f(x) / P: `d log P / dx = -h`, and h changes by h times the mean change of -(log f)'
    in x, and by h times that of -(log f)_lambda in lambda.
    """
    total, delta, m1, *more = beyond
    value, h = here[0] + np.log(total), 1.0 / total
    if not order:
        return Derivatives(value, {})
    partials: dict[tuple[int, ...], Array] = {(0,): -h, (1,): here[1] + m1}
    if order > 1:
        variance, m2 = more[:2]
        in_shape = here[2] + m2 + variance
        partials |= {(0, 0): -h * delta, (0, 1): h * m1, (1, 1): in_shape}
    if order > 2:
        z = lam * x
        g0 = _g(z, 0)[0]
        cross = -np.square(x) * (1.0 + z * g0 - g0)
        partials |= {
            (0, 0, 0): h * np.exp(z) - h * delta * (delta + h),
            (0, 0, 1): h * m1 * (delta + h) - h * cross,
            (0, 1, 1): h * (m2 + variance - np.square(m1)),
            (1, 1, 1): here[3] + more[3] + more[2],
        }
    return Derivatives(value, partials)


def _slope(x: Array, lam: Array) -> Array:
    """Return (log f)' at x, -(exp(lambda x) - 1) / lambda."""
    at_zero = lam == 0.0
    return -np.where(at_zero, x, np.expm1(lam * x) / np.where(at_zero, 1.0, lam))


def _unit(x: Array, lam: Array, fall: float) -> Array:
    """Return the step in which the log-density falls by so much, by its slope and curvature."""
    slope, curvature = -_slope(x, lam), np.exp(lam * x)
    return 2.0 * fall / (slope + np.sqrt(np.square(slope) + 2.0 * fall * curvature))


def _length(x: Array, lam: Array) -> Array:
    """Return where a tail has ended, for lambda of at least 0: the fall grows faster than by both.

    It is at least `exp(lambda x) (exp(w) - 1 - w) / lambda^2` in a step of w / lambda.
    """
    m = ENOUGH * np.square(lam) * np.exp(-lam * x)
    w = np.sqrt(2.0 * m)
    for _ in range(6):  # from above
        w = np.minimum(w, np.log1p(m + w))
    ends = np.where(lam == 0.0, np.inf, w / np.where(lam == 0.0, 1.0, lam))
    return np.minimum(_unit(x, lam, ENOUGH), ends)


def _log_density(x: Array, lam: Array, order: int) -> list[Array]:
    """Return log f(x) and its derivatives in lambda."""
    R, g = _remainder(lam, order), _g(lam * x, order)
    return [
        -R[j] - x ** (2 + j) * g[j] - (HALF_LOG_2PI if j == 0 else 0.0) for j in range(order + 1)
    ]


def _g(z: Array, order: int) -> list[Array]:
    """Return g(z) = (exp(z) - 1 - z) / z^2 and its derivatives: near 0 by the series of z^j."""
    near = np.abs(z) < 1.0
    small, large = np.where(near, z, 0.0), np.where(near, 1.0, z)
    square, e = np.square(large), np.exp(large)
    found = [(np.expm1(large) - large) / square]
    if order > 0:
        found.append((np.expm1(large) - 2.0 * large * found[0]) / square)
    if order > 1:
        found.append((e - 2.0 * found[0] - 4.0 * large * found[1]) / square)
    if order > 2:
        found.append((e - 6.0 * found[1] - 6.0 * large * found[2]) / square)
    return [np.where(near, _series(small, j), each) for j, each in enumerate(found)]


def _series(z: Array, j: int) -> Array:
    """Return the j-th derivative of g near 0, the sum of z^m / (m! (m + j + 1) (m + j + 2))."""
    m = np.arange(19.0)
    coefficients = 1.0 / (np.cumprod(np.maximum(m, 1.0)) * (m + j + 1.0) * (m + j + 2.0))
    total = np.full_like(z, coefficients[-1])
    for each in coefficients[-2::-1].tolist():
        total *= z
        total += each
    return total


def _remainder(lam: Array, order: int) -> list[Array]:
    """Return R(lambda), what Stirling's formula leaves of log Gamma(1 / lambda^2), and slopes."""
    near = np.abs(lam) < FROM_STIRLING
    small, large = np.where(near, lam, 0.0), np.where(near, 1.0, lam)
    r = stirling_remainder(-2.0 * np.log(np.abs(large)), order)
    s1, s2, s3 = -2.0 / large, 2.0 / np.square(large), -4.0 / large**3
    found = [r[0]]
    if order > 0:
        found.append(r[1] * s1)
    if order > 1:
        found.append(r[2] * s1**2 + r[1] * s2)
    if order > 2:
        found.append(r[3] * s1**3 + 3.0 * r[2] * s1 * s2 + r[1] * s3)
    coefficients = np.zeros(4 * len(STIRLING) - 1)
    coefficients[2::4] = STIRLING
    powers = np.polynomial.Polynomial(coefficients)
    return [
        np.where(near, powers(small) if j == 0 else powers.deriv(j)(small), each)
        for j, each in enumerate(found)
    ]


def _complement(log_p: Any) -> Any:
    """Return log(1 - p)."""
    return np.log(-np.expm1(log_p))
