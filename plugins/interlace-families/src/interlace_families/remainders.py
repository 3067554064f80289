"""What exp, log1p and log Gamma leave when their leading terms cancel.

The densities of this distribution are limits of one another (gamma of Tweedie, normal of all),
and written in these remainders they reach the limits without losing digits. The functions of
truncated Taylor numbers are for `log_density`, those of plain arrays for derivatives by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from interlace_core.jets import compose, value_of
from interlace_core.links import Link
from interlace_core.records import Array
from interlace_core.special import hurwitz_zetas, log_rising

HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))

LARGEST_LOG = 690.0
"""Parameters on the log scale are taken as this where they exceed it: exp overflows at 709, and
the limit at infinity is reached long before."""

_SERIES_BELOW = 0.25
"""Below this, series replace the differences, which from there on lose at most 3 bits."""

_STIRLING_FROM = 15.0
"""From here eight Stirling terms, differentiated three times, are exact to rounding: the ninth is
55 / (306 x^17), times 17^3."""

_STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
"""Coefficients of x^-1, x^-3, ... in Stirling's series (Abramowitz & Stegun 6.1.41)."""

_HALF_RISING = tuple(c * (2.0 ** (-1 - 2 * i) - 2.0) for i, c in enumerate(_STIRLING))
"""Coefficients of t^-1, t^-3, ... in the series of `half_rising`."""


def exp_excess(x: Any) -> Array:
    """Return exp(x) - 1 - x of a plain array, to rounding."""
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < _SERIES_BELOW
    h = np.where(near, x, 0.0)
    tail = np.ones_like(h)
    for n in range(13, 2, -1):  # 0.25^12 2 / 14! is below 1e-17
        tail = 1.0 + h / n * tail
    return np.where(near, 0.5 * np.square(h) * tail, np.expm1(x) - x)


def log1p_deficit(x: Any) -> Array:
    """Return x - log1p(x) of a plain array above -1, to rounding.

    With s = x / (2 + x), log1p(x) = 2 artanh(s) and x - 2 s = s x.
    """
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) < _SERIES_BELOW
    h = np.where(near, x, 0.0)
    s = h / (2.0 + h)
    square = np.square(s)
    tail = np.zeros_like(h)
    for n in range(19, 1, -2):  # |s| < 1/7: the next term is 7^-18 / 21
        tail = tail * square + 1.0 / n
    return np.where(near, s * (h - 2.0 * square * tail), x - np.log1p(x))


def stirling_remainder(log_x: Any, order: int) -> tuple[Array, ...]:
    """Return S = log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 and derivatives in log x.

    S tends to 0 like 1 / (12 x), where the log-gamma itself has lost all digits.

    Parameters
    ----------
    log_x : ndarray
        Logarithm of x; plain.
    order : int
        Highest derivative wanted, 0 to 3.

    Returns
    -------
    tuple of order + 1 ndarrays
    """
    log_x = np.minimum(np.asarray(log_x, dtype=np.float64), LARGEST_LOG)
    x = np.exp(log_x)
    large = x >= _STIRLING_FROM
    if np.all(large):
        return _remainder_large(x, order)
    x_small, log_small = np.where(large, 1.0, x), np.where(large, 0.0, log_x)
    small = _remainder_small(x_small, log_small, order)
    if not np.any(large):
        return small
    far = _remainder_large(np.where(large, x, _STIRLING_FROM), order)
    return tuple(np.where(large, f, s) for f, s in zip(far, small, strict=True))


def _remainder_large(x: Array, order: int) -> tuple[Array, ...]:
    return _odd_series(_STIRLING, x, order)


def _odd_series(coefficients: Sequence[float], x: Array, order: int) -> tuple[Array, ...]:
    """Sum c_1 / x + c_2 / x^3 + ...; a derivative in log x multiplies x^-m by -m."""
    inverse = 1.0 / x
    square = np.square(inverse)
    sums = []
    for derivative in range(order + 1):
        total = np.zeros_like(x)
        for i in range(len(coefficients) - 1, -1, -1):
            total = total * square + coefficients[i] * (-(2.0 * i + 1.0)) ** derivative
        sums.append(total * inverse)
    return tuple(sums)


def _remainder_small(x: Array, log_x: Array, order: int) -> tuple[Array, ...]:
    """Form S from the polygamma functions, moved by one so that x -> 0 is harmless."""
    from scipy.special import digamma, gammaln

    out = [np.asarray(gammaln(x + 1.0) - (x + 0.5) * log_x + x - HALF_LOG_2PI)]
    if order >= 1:
        first = x * (digamma(x + 1.0) - log_x) - 0.5
        out.append(np.asarray(first))
    zetas = hurwitz_zetas(max(order, 1), x + 1.0)
    if order >= 2:
        # x^2 psi'(x) - x - 1/2 with psi'(x) = psi'(x + 1) + 1 / x^2
        second = np.square(x) * zetas[0] - x + 0.5
        out.append(first + second)
    if order >= 3:
        third = -2.0 * x**3 * zetas[1] + x - 1.0
        out.append(first + 3.0 * second + third)
    return tuple(out)


def half_rising(log_t: Any, order: int) -> tuple[Array, ...]:
    """Return log Gamma(t + 1/2) - log Gamma(t) - log(t) / 2 and derivatives in log t.

    Its series for large t is Stirling's with B_2k(1/2) - B_2k = (2^(1-2k) - 2) B_2k in place of
    B_2k (DLMF 5.11.8); it tends to 0 like -1 / (8 t).
    """
    log_t = np.minimum(np.asarray(log_t, dtype=np.float64), LARGEST_LOG)
    t = np.exp(log_t)
    large = t >= _STIRLING_FROM
    far = _odd_series(_HALF_RISING, np.where(large, t, _STIRLING_FROM), order)
    if np.all(large):
        return far
    low = np.where(large, 0.0, np.maximum(log_t, -LARGEST_LOG))
    near = log_rising(0.5, low, order)
    # for t -> 0 it is (log t + log pi) / 2
    near = (near[0] + 0.5 * np.minimum(log_t + LARGEST_LOG, 0.0), *near[1:])
    return tuple(np.where(large, f, s) for f, s in zip(far, near, strict=True))


def stirling(log_x: Any) -> Any:
    """Return the remainder S of `stirling_remainder`, for truncated Taylor numbers too."""
    return compose(log_x, *(partial(_stirling_derivative, k) for k in range(4)))


def _stirling_derivative(k: int, log_x: Array) -> Array:
    return stirling_remainder(log_x, k)[k]


def scaled_exp_excess(log_scale: Any, x: Any) -> Any:
    """Return exp(log_scale) (exp(x) - 1 - x), for truncated Taylor numbers too.

    Where x is large the scale joins the exponent, so that a tiny scale times an overflowing
    exponential is still right.
    """
    near = np.abs(value_of(x)) < _SERIES_BELOW
    h, far = np.where(near, x, 0.0), np.where(near, 0.0, x)
    log_scale = np.minimum(log_scale, LARGEST_LOG)
    scale = np.exp(log_scale)
    with np.errstate(over="ignore"):
        away = np.exp(log_scale + far) - scale * (1.0 + far)
    return np.where(near, scale * compose(h, exp_excess, np.expm1, np.exp, np.exp), away)


def log_mean(link: Link, eta: Any) -> tuple[Any, Any]:
    """Return log(mu) of a positive mean, and where eta is inside the link's domain.

    Parameters
    ----------
    link : Link
    eta : Jet or ndarray, shape (..., n)
        Linear predictor; log(mu) is 0 where it gives no positive mean.

    Returns
    -------
    log_mu : Jet or ndarray, shape (..., n)
    inside : ndarray of bool, shape (..., n), or None
        None if all of it is, whatever eta.
    """
    if link.name == "log":
        return eta, None
    with np.errstate(invalid="ignore", divide="ignore"):
        mu = link.mu(eta)
        inside = (value_of(mu) > 0.0) & np.isfinite(value_of(mu))
    return np.log(np.where(inside, mu, 1.0)), inside


def only_inside(inside: Any, value: Any, outside: float = -np.inf) -> Any:
    """Return the value, a log-density say, and another where the mean is not positive."""
    return value if inside is None else np.where(inside, value, outside)
