"""What Stirling's formula leaves of the log-gamma function, with derivatives.

Arguments are given by their logarithms: a shape can be exp(-800), which is 0 in floating point but
has a perfectly ordinary logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace_core.calculus.special import hurwitz_zetas
from interlace_core.records import Array

HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))

LARGEST_LOG = 690.0
"""A logarithm above this is taken as this where it is exponentiated: exp overflows at 709."""

STIRLING_FROM = 15.0
"""From here eight Stirling terms, differentiated three times, are exact to rounding: the ninth
is 0.18 / x^17, times 17^3."""

STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
"""Coefficients of x^-1, x^-3, ... (Abramowitz & Stegun 6.1.41)."""


def stirling_remainder(log_x: Any, order: int) -> tuple[Array, ...]:
    """Return S = log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 and derivatives in log x.

    S tends to 0 like 1 / (12 x) for large x, and to -log(x) / 2 - log(2 pi) / 2 for small.

    Parameters
    ----------
    log_x : ndarray
        Logarithm of x.
    order : int
        Highest derivative wanted, 0 to 3.

    Returns
    -------
    tuple of order + 1 ndarrays
    """
    log_x = np.minimum(np.asarray(log_x, dtype=np.float64), LARGEST_LOG)
    x = np.exp(log_x)
    large = x >= STIRLING_FROM
    if np.all(large):
        return odd_series(STIRLING, x, order)
    small = _remainder_small(np.where(large, 1.0, x), np.where(large, 0.0, log_x), order)
    if not np.any(large):
        return small
    far = odd_series(STIRLING, np.where(large, x, STIRLING_FROM), order)
    return tuple(np.where(large, f, s) for f, s in zip(far, small, strict=True))


def odd_series(coefficients: Sequence[float], x: Array, order: int) -> tuple[Array, ...]:
    """Return c_1 / x + c_2 / x^3 + ... and derivatives in log x, each of which is -m x^-m."""
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
    if order >= 2:
        zetas = hurwitz_zetas(order, x + 1.0)
        # x^2 psi'(x) - x - 1/2 with psi'(x) = psi'(x + 1) + 1 / x^2
        second = np.square(x) * zetas[0] - x + 0.5
        out.append(np.asarray(first + second))
    if order >= 3:
        third = -2.0 * x**3 * zetas[1] + x - 1.0
        out.append(np.asarray(first + 3.0 * second + third))
    return tuple(out)
