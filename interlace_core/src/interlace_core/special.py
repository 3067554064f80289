"""Special functions that SciPy lacks, accurate where the obvious formula is not."""

from __future__ import annotations

from typing import Any

import numpy as np

_MILLS_SERIES_FROM = 25.0
"""Beyond this the asymptotic series of the Mills ratio is exact to rounding: its eighth term
is 2027025 / 25^16, below 1e-16."""

_STIRLING_FROM = 30.0
"""From here four Stirling terms leave an error below 1e-16 (the fifth is 1 / (1188 x^9))."""


def log1mexp(t: Any) -> Any:
    """Return log(1 - exp(-t)) for t > 0 without cancellation.

    Maechler (2012), "Accurately computing log(1 - exp(-|a|))": switch at log 2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(t < np.log(2.0), np.log(-np.expm1(-t)), np.log1p(-np.exp(-t)))


def log_ndtr_derivatives(x: Any) -> tuple[Any, Any, Any, Any]:
    """Return log Phi(x) and its first three derivatives.

    With the inverse Mills ratio m = phi / Phi and d = m + x: m, -m d, m (d (d + m) - 1). In the
    far left tail d and the bracket come from the asymptotic series of the Mills ratio
    (Abramowitz & Stegun 26.2.12), since their direct forms cancel.
    """
    from scipy.special import log_ndtr

    x = np.asarray(x, dtype=np.float64)
    value = log_ndtr(x)
    m = np.exp(-0.5 * np.square(x) - value) / np.sqrt(2.0 * np.pi)
    d = m + x
    bracket = d * (d + m) - 1.0
    tail = x < -_MILLS_SERIES_FROM
    if np.any(tail):
        z = np.where(tail, -x, _MILLS_SERIES_FROM)
        s = 1.0 / np.square(z)
        # Phi(-z) = phi(z) / z * series, series = 1 - s + 3 s^2 - 15 s^3 + ...
        series = 1 - s * (1 - s * (3 - s * (15 - s * (105 - s * (945 - s * 10395)))))
        shift = s * (1 - s * (3 - s * (15 - s * (105 - s * (945 - s * 10395)))))
        gap = -s * (2 - s * (12 - s * (90 - s * (840 - s * 9450)))) / series
        d_tail = z * shift / series
        m = np.where(tail, z / series, m)
        d = np.where(tail, d_tail, d)
        bracket = np.where(tail, 2.0 * np.square(d_tail) + gap, bracket)
    return value, m, -m * d, m * bracket


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
    y, log_t = np.broadcast_arrays(np.asarray(y, np.float64), np.asarray(log_t, np.float64))
    # beyond exp(690) both t and R(t) = 0 are out of range; the derivatives are zero there
    t = np.exp(np.minimum(log_t, 690.0))
    large = t >= _STIRLING_FROM
    if np.all(large):
        return _log_rising_large(y, t, order)
    small = _log_rising_small(y, np.where(large, 1.0, t), np.where(large, 0.0, log_t), order)
    if not np.any(large):
        return small
    far = _log_rising_large(y, np.where(large, t, _STIRLING_FROM), order)
    return tuple(np.where(large, f, s) for f, s in zip(far, small, strict=True))


def _log_rising_small(y: Any, t: Any, log_t: Any, order: int) -> tuple[Any, ...]:
    from scipy.special import gammaln, psi, zeta

    out = [gammaln(y + t) - gammaln(t) - y * log_t]
    if order >= 1:
        first = t * (psi(y + t) - psi(t))
        out.append(first - y)
    if order >= 2:
        second = t**2 * (zeta(2.0, y + t) - zeta(2.0, t))
        out.append(first + second)
    if order >= 3:
        out.append(first + 3.0 * second - 2.0 * t**3 * (zeta(3.0, y + t) - zeta(3.0, t)))
    return tuple(out)


def _log_rising_large(y: Any, t: Any, order: int) -> tuple[Any, ...]:
    """Differentiate (t + y - 1/2) log1p(y / t) - y + S(t + y) - S(t) in log t."""
    s = y + t
    L = np.log1p(y / t)
    out = [(s - 0.5) * L - y + _stirling(s, 0) - _stirling(t, 0)]
    r = y / s  # 1 - t / s
    if order >= 1:
        # d log1p(y/t) / d log t = -y / s
        out.append(t * L - (s - 0.5) * r + t * _stirling(s, 1) - t * _stirling(t, 1))
    if order >= 2:
        tail2 = t**2 * (_stirling(s, 2) - _stirling(t, 2))
        tail1 = t * (_stirling(s, 1) - _stirling(t, 1))
        # d r / d log t = -r (1 - r)
        out.append(t * L - 2.0 * t * r + (s - 0.5) * r * (1.0 - r) + tail1 + tail2)
    if order >= 3:
        tail3 = t**3 * (_stirling(s, 3) - _stirling(t, 3))
        slope = r * (1.0 - r)
        out.append(
            t * L - 3.0 * t * r + 3.0 * t * slope
            - (s - 0.5) * slope * (1.0 - 2.0 * r)
            + tail1 + 3.0 * tail2 + tail3
        )  # fmt: skip
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
