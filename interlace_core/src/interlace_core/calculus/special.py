"""Special functions that SciPy lacks, accurate where the obvious formula is not."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, prod, sqrt
from typing import Any

import numpy as np

from interlace_core.records import Array

_STIRLING_FROM = 30.0
"""From here four Stirling terms leave an error below 1e-16 (the fifth is 1 / (1188 x^9))."""


_SERIES_BELOW = 0.25
"""Below this, series replace the differences, which from there on lose at most 3 bits."""


def log1mexp(t: Any) -> Any:
    """Return log(1 - exp(-t)) for t > 0 without cancellation.

    Maechler (2012), "Accurately computing log(1 - exp(-|a|))": switch at log 2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(t < np.log(2.0), np.log(-np.expm1(-t)), np.log1p(-np.exp(-t)))


def log1p_lag(x: Any) -> Array:
    """Return 1 - log(1 + x) / x of a plain array above -1, to rounding; it is x / 2 near 0.

    With s = x / (2 + x), log(1 + x) = 2 artanh(s), whose series is used near 0.
    """
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < _SERIES_BELOW
    h = np.where(near, x, 0.0)
    s = h / (2.0 + h)
    square = np.square(s)
    tail: Any = 0.0
    for n in range(19, 1, -2):  # |s| < 1/7: the next term is 7^-18 / 21
        tail = tail * square + 1.0 / n
    series = s - (1.0 - s) * square * tail  # 2 / (2 + x) = 1 - s
    if np.all(near):
        return np.asarray(series)
    return np.asarray(np.where(near, series, 1.0 - np.log1p(x) / np.where(near, 1.0, x)))


def exp_excess(x: Any) -> Array:
    """Return exp(x) - 1 - x of a plain array, to rounding."""
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < _SERIES_BELOW
    h = np.where(near, x, 0.0)
    tail = np.ones_like(h)
    for n in range(13, 2, -1):  # 0.25^12 2 / 14! is below 1e-17
        tail = 1.0 + h / n * tail
    return np.where(near, 0.5 * np.square(h) * tail, np.expm1(x) - x)


def log_ndtr_derivatives(x: Any) -> tuple[Any, Any, Any, Any]:
    """Return log Phi(x) and its first three derivatives."""
    from scipy.special import log_ndtr

    return (log_ndtr(x), *log_ndtr_slopes(np.asarray(x, dtype=np.float64)))


def log_ndtr_slopes(x: Array) -> tuple[Array, Array, Array]:
    """Return the first three derivatives of log Phi(x), each to rounding.

    With t = -x and m = phi / Phi the inverse Mills ratio, they are m, -m d and
    m (d (t + 2 d) - 1), d = m - t. Both d and the bracket cancel in the left tail. There the
    continued fraction of Laplace (Abramowitz & Stegun 26.2.14),

        m = t + d,  d = 1/(t + e),  e = 2/(t + c),  c = 3/(t + 4/(t + ...)),

    gives d itself, and the bracket becomes d^2 e (c - e) without a difference of near equals.
    """
    from scipy.special import erfcx

    x = np.minimum(x, _PHI_IS_ZERO)
    m = sqrt(2.0 / pi) / erfcx(x * -sqrt(0.5))
    d = m + x
    bracket = d * (d + m) - 1.0
    tail = x < -_FRACTION_FROM
    if np.any(tail):
        t = np.where(tail, -x, _FRACTION_FROM)
        c = np.sqrt(_FRACTION_DEPTH + 0.25 * t * t) - 0.5 * t  # about the rest of the fraction
        for k in range(_FRACTION_DEPTH, 2, -1):
            c = k / (t + c)
        e = 2.0 / (t + c)
        d_tail = 1.0 / (t + e)
        m = np.where(tail, t + d_tail, m)
        d = np.where(tail, d_tail, d)
        bracket = np.where(tail, d_tail * d_tail * e * (c - e), bracket)
    return m, -m * d, m * bracket


FEW_NUMBERS = 512
"""Numbers up to which a sum of several terms costs the calls, and not the additions."""


def hurwitz_zetas(highest: int, a: Array) -> list[Array]:
    """Return the Hurwitz zeta function at s = 2, ..., highest, for a >= 1.

    Euler-Maclaurin (DLMF 25.11.5 with the sum carried on). Ten times as fast as
    `scipy.special.zeta`, which costs more than all the rest of a count density.
    """
    totals: list[Any] = [0.0] * (highest - 1)
    if a.size <= FEW_NUMBERS:  # all shifts at once, added in the same order
        shifts = np.arange(_SHIFT, dtype=np.float64).reshape(-1, *(1,) * a.ndim)
        inverse = 1.0 / (a + shifts)
        power = inverse
        for i in range(highest - 1):
            power = power * inverse
            totals[i] = np.add.reduce(power, axis=0)
    else:
        for shift in range(_SHIFT if highest > 1 else 0):
            inverse = 1.0 / (a + float(shift))
            power = inverse
            for i in range(highest - 1):
                power = power * inverse
                totals[i] = totals[i] + power
    inverse = 1.0 / (a + float(_SHIFT))
    power = inverse
    for i, s in enumerate(range(2, highest + 1)):
        totals[i] = totals[i] + power * _zeta_tail(s, inverse)
        power = power * inverse
    return totals


def _zeta_tail(s: int, inverse: Array) -> Array:
    """Return the tail's sum from 1 / inverse on, without its leading power s - 1."""
    square = inverse * inverse
    tail: Any = 0.0
    for j in range(len(_BERNOULLI), 0, -1):
        tail = square * (tail + _BERNOULLI[j - 1] * prod(range(s, s + 2 * j - 1)))
    return 1.0 / (s - 1) + 0.5 * inverse + tail  # type: ignore[no-any-return]


def by_count(function: Callable[[Array], tuple[Any, ...]], y: Array) -> tuple[Any, ...]:
    """Return elementwise functions of counts, evaluated once per possible count where that pays.

    Parameters
    ----------
    function : callable
        From counts, shape (m,), to a tuple of ndarrays of the same shape.
    y : ndarray, shape (n,)
        Counts; other numbers are passed to `function` as they are.
    """
    top = float(np.max(y, initial=0.0))
    if 0.25 * y.size > top >= 0.0:
        positions = y.astype(np.intp)
        if np.array_equal(positions, y) and positions.min(initial=0) >= 0:
            table = function(np.arange(top + 1.0))
            return tuple(values[positions] for values in table)
    return function(y)


MIN_COUNTS = 256
"""Counts below which a look for repeated ones costs more than it saves."""


def log_factorial(y: Array) -> Array:
    """Return log(y!), or log Gamma(y + 1) where y is not an integer."""
    from scipy.special import gammaln

    if y.size < MIN_COUNTS:
        return np.asarray(gammaln(y + 1.0))
    return np.asarray(by_count(lambda counts: (gammaln(counts + 1.0),), y)[0])


def log_rising(y: Any, log_t: Any, order: int = 3) -> tuple[Any, ...]:
    """Return R = log Gamma(y + t) - log Gamma(t) - y log t and its derivatives in log t.

    The difference that count densities need: it tends to 0 like y (y - 1) / (2 t) as t grows,
    where the two log-gammas separately lose all digits. For large t their Stirling series are
    subtracted analytically (Abramowitz & Stegun 6.1.41).

    Parameters
    ----------
    y : ndarray
        Counts, at least 0.
    log_t : ndarray
        Logarithm of t, broadcastable against y.
    order : int
        Highest derivative wanted, 0 to 3.

    Returns
    -------
    tuple of order + 1 ndarrays
    """
    y, log_t = np.asarray(y, np.float64), np.asarray(log_t, np.float64)
    if y.ndim == log_t.ndim == 1 and log_t.size in {1, y.size} - {0} and np.ptp(log_t) == 0.0:
        return by_count(lambda counts: _log_rising(counts, log_t[0], order), y)
    return _log_rising(y, log_t, order)


def _log_rising(y: Any, log_t: Any, order: int) -> tuple[Any, ...]:
    y, log_t = np.broadcast_arrays(y, log_t)
    # R falls like y^2 / t: beyond exp(60) it is 0 for every count, and t^4 must not overflow;
    # below exp(-700), where t leaves the range of floats, R is linear for every count
    below = np.minimum(log_t + 700.0, 0.0)
    log_t = np.clip(log_t, -700.0, 60.0)
    value, *slopes = _log_rising_within(y, np.exp(log_t), log_t, order)
    return (value + below * np.where(y > 0.0, 1.0 - y, 0.0), *slopes)


def _log_rising_within(y: Any, t: Any, log_t: Any, order: int) -> tuple[Any, ...]:
    large = t >= _STIRLING_FROM
    if np.all(large):
        return _log_rising_large(y, t, order)
    small = _log_rising_small(y, np.where(large, 1.0, t), np.where(large, 0.0, log_t), order)
    if not np.any(large):
        return small
    far = _log_rising_large(y, np.where(large, t, _STIRLING_FROM), order)
    return tuple(np.where(large, f, s) for f, s in zip(far, small, strict=True))


def _log_rising_small(y: Any, t: Any, log_t: Any, order: int) -> tuple[Any, ...]:
    from scipy.special import gammaln, psi

    s = y + t
    out = [gammaln(s) - gammaln(t) - y * log_t]
    if order >= 1:
        first = t * (psi(s) - psi(t))
        out.append(first - y)
    if order >= 2:
        # zeta(k, x) = zeta(k, x + 1) + x^-k; where y = 0 the two sides cancel exactly
        if s.size <= FEW_NUMBERS and s.shape == np.shape(t):
            both: list[Any] = [*hurwitz_zetas(order, np.stack([s, t]) + 1.0)]
        else:
            both = list(zip(*(hurwitz_zetas(order, x + 1.0) for x in (s, t)), strict=True))
        ratio = t / s
        second = t**2 * (both[0][0] - both[0][1]) + (ratio**2 - 1.0)
        out.append(first + second)
    if order >= 3:
        third = t**3 * (both[1][0] - both[1][1]) + (ratio**3 - 1.0)
        out.append(first + 3.0 * second - 2.0 * third)
    return tuple(out)


def _log_rising_large(y: Any, t: Any, order: int) -> tuple[Any, ...]:
    """Differentiate (t + y - 1/2) log1p(h) - y + S(t + y) - S(t), h = y / t, in log t.

    Written in K(h) = 1 - log1p(h) / h where h is small, so that what is left of y keeps its digits.
    """
    s, h = y + t, y / t
    L, r = np.log1p(h), y / s
    near = h < 1.0
    K = log1p_lag(np.where(near, h, 0.0))
    first = np.where(near, y * (h - (1.0 + h) * K), s * L - y)
    out = [first - 0.5 * L + _stirling(s, 0) - _stirling(t, 0)]
    if order >= 1:
        # d log1p(h) / d log t = -r
        tail1 = t * (_stirling(s, 1) - _stirling(t, 1))
        out.append(np.where(near, -y * K, t * L - y) + 0.5 * r + tail1)
    if order >= 2:
        # d r / d log t = -r (1 - r)
        tail2 = t**2 * (_stirling(s, 2) - _stirling(t, 2))
        slope = r * (1.0 - r)
        bend = np.where(near, h * (r - K), L - r)
        out.append(t * bend - 0.5 * slope + tail1 + tail2)
    if order >= 3:
        tail3 = t**3 * (_stirling(s, 3) - _stirling(t, 3))
        out.append(t * (bend - r * r) + 0.5 * slope * (1.0 - 2.0 * r) + tail1 + 3.0 * tail2 + tail3)
    return tuple(out)


def _stirling(x: Any, derivative: int) -> Any:
    """Return a derivative of S(x) = 1/(12x) - 1/(360x^3) + 1/(1260x^5) - 1/(1680x^7)."""
    coefficients = ((1, 1 / 12), (3, -1 / 360), (5, 1 / 1260), (7, -1 / 1680))
    total = 0.0
    for power, coefficient in coefficients:
        factor = coefficient
        for step in range(derivative):
            factor *= -(power + step)
        total = total + factor * x ** (-float(power + derivative))
    return total


_PHI_IS_ZERO = 40.0
"""The normal density underflows to 0 beyond 38.6."""

_FRACTION_FROM = 3.0
"""Left of -3 the continued fraction is used; at 3 the direct bracket has lost three digits."""

_FRACTION_DEPTH = 60
"""Levels of the continued fraction: at t = 3, c and e are exact to rounding from 50 on."""

_SHIFT = 8
"""Terms summed before the Euler-Maclaurin tail: its first neglected term is then below 1e-16."""

_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160,
    -691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000,
)  # fmt: skip
