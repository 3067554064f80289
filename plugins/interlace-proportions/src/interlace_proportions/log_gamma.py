"""Differences of log-gamma functions that neither cancel at large nor overflow at tiny arguments.

Arguments are given by their logarithms: a shape mu phi can be exp(-800), which is 0 in floating
point but has a perfectly ordinary logarithm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from interlace_core.contract import Array
from interlace_core.families import compose, log_rising, stirling_remainder

_LINEAR_BELOW = -60.0
"""Below this logarithm of t, log Gamma(y + t) - log Gamma(t) is log Gamma(y) + log t to 1e-24."""

DIFFERENCE = 5e-3
"""In log t: an error of 1e-11 and a rounding of 1e-13, of a third derivative that enters slopes of
Laplace's approximation alone."""


def log_pochhammer(y: Array, log_t: Any, log_scale: Any, order: int) -> tuple[Array, ...]:
    """Return log Gamma(y + t) - log Gamma(t) - y log(scale), and derivatives for scale = t.

    The derivatives in log t are those of R = log Gamma(y + t) - log Gamma(t) - y log t, which
    is `special.log_rising`. Nothing overflows where t underflows.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts, at least 0.
    log_t, log_scale : ndarray, each broadcastable to (..., n)
        Logarithms of t and of the scale.
    order : int
        Highest derivative wanted, 0 to 3.
    """
    log_t = np.asarray(log_t, dtype=np.float64)
    level = np.maximum(log_t, _LINEAR_BELOW)
    R, *derivatives = log_rising(y, level, order)
    value = y * (level - log_scale) + R
    if np.any(log_t < _LINEAR_BELOW):
        value = value + np.where(y > 0, log_t - level, 0.0)
    return (value, *derivatives)


def stirling_jet(log_x: Any) -> Any:
    """Return the remainder S of `stirling_remainder` for truncated Taylor numbers or arrays."""
    return _composed(stirling_remainder, log_x)


def log_pochhammer_jet(y: Array, log_t: Any, log_scale: Any) -> Any:
    """Return the value of `log_pochhammer` for truncated Taylor numbers or arrays."""
    level = np.maximum(log_t, _LINEAR_BELOW)
    R = _composed(partial(log_rising, y), level)
    return y * (level - log_scale) + R + np.where(y > 0, log_t - level, 0.0)


def rising_slope_jet(y: Array, log_t: Any) -> Any:
    """Return t (psi(y + t) - psi(t)) for truncated Taylor numbers or arrays."""
    return y + compose(log_t, *(partial(_slope, y, k) for k in range(4)))


def _slope(y: Array, k: int, log_t: Array) -> Array:
    """Return derivative k + 1 of `log_rising`, the fourth by differences of the third."""
    if k < 3:
        found: Array = log_rising(y, log_t, k + 1)[k + 1]
        return found
    h = DIFFERENCE
    near, far = (
        log_rising(y, log_t + step, 3)[3] - log_rising(y, log_t - step, 3)[3]
        for step in (h, 2.0 * h)
    )
    return np.asarray((8.0 * near - far) / (12.0 * h))


def _composed(function: Callable[[Any, int], tuple[Array, ...]], x: Any) -> Any:
    def derivative(k: int, value: Array) -> Array:
        return function(value, k)[k]

    return compose(x, *(partial(derivative, k) for k in range(4)))
