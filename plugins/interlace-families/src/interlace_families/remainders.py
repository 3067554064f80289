"""What exp, log1p and log Gamma leave when their leading terms cancel.

The densities of this distribution are limits of one another (gamma of Tweedie, normal of all),
and written in these remainders they reach the limits without losing digits. The functions of
truncated Taylor numbers are for `log_density`, those of plain arrays for derivatives by hand.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from interlace_core.contract import Array, Link
from interlace_core.families import (
    LARGEST_LOG,
    STIRLING,
    STIRLING_FROM,
    compose,
    exp_excess,
    log_rising,
    odd_series,
    stirling_remainder,
    value_of,
)

_SERIES_BELOW = 0.25
"""Below this, series replace the differences, which from there on lose at most 3 bits."""

_HALF_RISING = tuple(c * (2.0 ** (-1 - 2 * i) - 2.0) for i, c in enumerate(STIRLING))
"""Coefficients of t^-1, t^-3, ... in the series of `half_rising`."""


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


def half_rising(log_t: Any, order: int) -> tuple[Array, ...]:
    """Return log Gamma(t + 1/2) - log Gamma(t) - log(t) / 2 and derivatives in log t.

    Its series for large t is Stirling's with B_2k(1/2) - B_2k = (2^(1-2k) - 2) B_2k in place of
    B_2k (DLMF 5.11.8); it tends to 0 like -1 / (8 t).
    """
    log_t = np.minimum(np.asarray(log_t, dtype=np.float64), LARGEST_LOG)
    t = np.exp(log_t)
    large = t >= STIRLING_FROM
    far = odd_series(_HALF_RISING, np.where(large, t, STIRLING_FROM), order)
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
