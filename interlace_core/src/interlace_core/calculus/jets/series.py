"""Taylor series of functions of one argument: the rules behind `jet_functions`.

Many run in `h / scale` instead of the increment `h`: log(x + h) needs 1/x^3 for its third
coefficient, which overflows for x below 1e-103, whereas in h/x the coefficients are 1, -1/2, 1/3
and h/x stays moderate when x itself is, say, exp(-400).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb, factorial, pi, prod, sqrt
from typing import Any

import numpy as np
from scipy import special

from interlace_core.calculus.special import hurwitz_zetas, log_ndtr_slopes
from interlace_core.records import Array


@dataclass(frozen=True)
class Series:
    """A function near x: `f(x + h) = value + sum_k coefficients[k - 1] (h / scale)^k`.

    Attributes
    ----------
    value : ndarray
        f(x).
    coefficients : tuple of ndarray, float or None
        At most one per order; None or a missing one is identically zero.
    scale : ndarray or float
        Unit of the increment.
    """

    value: Any
    coefficients: tuple[Any, ...]
    scale: Any = 1.0


def silent() -> np.errstate:
    """Switch floating-point warnings off for derivatives, and for nothing else.

    Values are computed outside and warn as in NumPy. Where only a derivative is not finite
    (sqrt at 0), that is for the status of the fit to tell, not for a warning in its inner loop.
    """
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


def power_series(x: Array, exponent: Any, order: int) -> Series:
    """Return the series of x to a constant power (a number or an array)."""
    value = np.power(x, exponent)
    if np.ndim(exponent) == 0 and float(exponent).is_integer() and exponent >= 0:
        p = int(exponent)
        terms = [comb(p, k) * x ** (p - k) for k in range(1, min(p, order) + 1)]
        return Series(value, tuple(terms))
    zero = np.equal(x, 0.0)
    terms = []
    with silent():
        for k in range(1, order + 1):
            c = _binomial(exponent, k)
            # at x = 0 there is no unit to scale by, and x^(p - k) is 0, 1 or infinite: say which
            at_zero = np.power(0.0, np.subtract(exponent, k)) if np.any(zero) else 0.0
            term = c * np.where(zero, at_zero, value)
            terms.append(np.where(np.equal(c, 0.0), 0.0, term))  # not 0 * inf
    return Series(value, tuple(terms), np.where(zero, 1.0, x))


def _binomial(exponent: Any, k: int) -> Any:
    """Return the generalised binomial coefficient, exactly 0 where it is."""
    return prod(np.subtract(exponent, i) for i in range(k)) / factorial(k)


def incomplete_gamma_series(a: Array, x: Array, order: int, *, upper: bool) -> Series:
    """Return the series of the regularised incomplete gamma function in x > 0.

    Its derivative is the Gamma(a) density; in h/x the coefficients stay moderate as x -> 0.
    """
    value = special.gammaincc(a, x) if upper else special.gammainc(a, x)
    slope = np.exp(special.xlogy(a, x) - x - special.gammaln(a)) * (-1.0 if upper else 1.0)
    d = a - 1.0 - x
    terms = _upto(
        order, lambda: slope, lambda: slope * d / 2.0, lambda: slope * (d * d - (a - 1.0)) / 6.0
    )
    return Series(value, terms, x)


def _upto(order: int, *terms: Callable[[], Any]) -> tuple[Any, ...]:
    """Evaluate the coefficients up to the order and no further."""
    return tuple(term() for term in terms[:order])


def _exp(x: Array, order: int) -> Series:
    value = np.exp(x)
    return Series(value, exp_terms(value, order))


def exp_terms(value: Any, order: int) -> tuple[Any, ...]:
    """Return the coefficients of the exponential where it has this value."""
    return _upto(order, lambda: value, lambda: value / 2.0, lambda: value / 6.0)


def _expm1(x: Array, order: int) -> Series:
    return Series(np.expm1(x), exp_terms(np.exp(x), order))


def _log(x: Array, order: int) -> Series:
    return Series(np.log(x), (1.0, -1 / 2, 1 / 3)[:order], x)


def _log1p(x: Array, order: int) -> Series:
    return Series(np.log1p(x), (1.0, -1 / 2, 1 / 3)[:order], 1.0 + x)


def _sqrt(x: Array, order: int) -> Series:
    return power_series(x, 0.5, order)


def _square(x: Array, order: int) -> Series:
    return Series(np.square(x), (2.0 * x, 1.0)[:order])


def _absolute(x: Array, order: int) -> Series:
    return Series(np.abs(x), (np.sign(x),))


def _sin(x: Array, order: int) -> Series:
    s, c = np.sin(x), np.cos(x)
    return Series(s, _upto(order, lambda: c, lambda: -s / 2.0, lambda: -c / 6.0))


def _cos(x: Array, order: int) -> Series:
    s, c = np.sin(x), np.cos(x)
    return Series(c, _upto(order, lambda: -s, lambda: -c / 2.0, lambda: s / 6.0))


def _tan(x: Array, order: int) -> Series:
    t = np.tan(x)
    f1 = 1.0 + t * t
    return Series(t, _upto(order, lambda: f1, lambda: t * f1, lambda: f1 * (t * t + 1 / 3)))


def _tanh(x: Array, order: int) -> Series:
    t = np.tanh(x)
    # 1 - t^2 cancels in the tails
    p, q, _ = probabilities(2.0 * x)
    f1 = 4.0 * p * q
    return Series(t, _upto(order, lambda: f1, lambda: -t * f1, lambda: f1 * (t * t - 1 / 3)))


def _arctan(x: Array, order: int) -> Series:
    value = np.arctan(x)
    x = np.clip(x, -1e150, 1e150)  # the square must not overflow; the slope is below 1e-300 there
    return Series(value, _upto(order, lambda: 1.0, lambda: -x, lambda: x * x - 1 / 3), 1.0 + x * x)


def _gammaln(x: Array, order: int) -> Series:
    zeta = hurwitz_zetas(order, np.where(x > 0, x, np.nan) + 1.0)
    # f^(k)(x) x^k / k! with f(x) = f(x + 1) - log(x), so that x -> 0 is harmless
    terms = _upto(
        order,
        lambda: x * special.digamma(x + 1.0) - 1.0,
        lambda: (1.0 + x * (x * zeta[0])) / 2.0,
        lambda: (1.0 + x * (x * (x * zeta[1]))) / -3.0,
    )
    return Series(special.gammaln(x), terms, x)


def _digamma(x: Array, order: int) -> Series:
    zeta = hurwitz_zetas(order + 1, np.where(x > 0, x, np.nan) + 1.0)
    terms = _upto(
        order,
        lambda: 1.0 / x + x * zeta[0],
        lambda: -(1.0 / x + x * (x * zeta[1])),
        lambda: 1.0 / x + x * (x * (x * zeta[2])),
    )
    return Series(special.digamma(x), terms, x)


def probabilities(x: Array) -> tuple[Array, Array, Array]:
    """Return expit(x), expit(-x) and log(1 + exp(-|x|)), each to rounding, from one exponential.

    SciPy's own are loops without vector instructions, and take ten times as long.
    """
    small = np.exp(-np.abs(x))
    larger = 1.0 / (1.0 + small)
    smaller, positive = small * larger, np.greater_equal(x, 0.0)
    p, q = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
    return p, q, np.log1p(small)


def _expit(x: Array, order: int) -> Series:
    p, q, _ = probabilities(x)
    f1 = p * q
    terms = _upto(order, lambda: f1, lambda: f1 * (q - p) / 2.0, lambda: f1 * (1 / 6 - f1))
    return Series(p, terms)


def _log_expit(x: Array, order: int) -> Series:
    p, q, remainder = probabilities(x)
    terms = _upto(order, lambda: q, lambda: p * q / -2.0, lambda: p * q * (p - q) / 6.0)
    return Series(np.minimum(x, 0.0) - remainder, terms)


def _logit(x: Array, order: int) -> Series:
    terms = _upto(order, lambda: 1.0, lambda: x - 0.5, lambda: x * (x - 1.0) + 1 / 3)
    return Series(special.logit(x), terms, x * (1.0 - x))


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / sqrt(2.0 * pi)


def _ndtr(x: Array, order: int) -> Series:
    value = special.ndtr(x)
    x = np.clip(x, -_PHI_IS_ZERO, _PHI_IS_ZERO)
    phi = _normal_density(x)
    terms = _upto(order, lambda: phi, lambda: -x * phi / 2.0, lambda: (x * x - 1.0) * phi / 6.0)
    return Series(value, terms)


def _log_ndtr(x: Array, order: int) -> Series:
    f1, f2, f3 = log_ndtr_slopes(x)
    return Series(special.log_ndtr(x), (f1, f2 / 2.0, f3 / 6.0)[:order])


def _ndtri(p: Array, order: int) -> Series:
    x = special.ndtri(p)
    terms = _upto(order, lambda: 1.0, lambda: x / 2.0, lambda: x * x / 3.0 + 1 / 6)
    return Series(x, terms, _normal_density(x))


def _erf(x: Array, order: int) -> Series:
    return _error_function(special.erf(x), x, 2.0 / sqrt(pi), order)


def _erfc(x: Array, order: int) -> Series:
    return _error_function(special.erfc(x), x, -2.0 / sqrt(pi), order)


def _error_function(value: Array, x: Array, factor: float, order: int) -> Series:
    x = np.clip(x, -_PHI_IS_ZERO, _PHI_IS_ZERO)
    f1 = factor * np.exp(-x * x)
    terms = _upto(order, lambda: f1, lambda: -x * f1, lambda: (2.0 * x * x - 1.0) * f1 / 3.0)
    return Series(value, terms)


_PHI_IS_ZERO = 40.0
"""The normal density underflows to 0 beyond 38.6: arguments can be clipped here unseen, which
keeps `inf * 0` out of its derivatives."""


SERIES: Mapping[np.ufunc, Callable[[Array, int], Series]] = {
    np.exp: _exp,
    np.expm1: _expm1,
    np.log: _log,
    np.log1p: _log1p,
    np.sqrt: _sqrt,
    np.square: _square,
    np.absolute: _absolute,
    np.fabs: _absolute,
    np.sin: _sin,
    np.cos: _cos,
    np.tan: _tan,
    np.tanh: _tanh,
    np.arctan: _arctan,
    special.expm1: _expm1,
    special.log1p: _log1p,
    special.gammaln: _gammaln,
    special.loggamma: _gammaln,
    special.digamma: _digamma,
    special.expit: _expit,
    special.log_expit: _log_expit,
    special.logit: _logit,
    special.ndtr: _ndtr,
    special.log_ndtr: _log_ndtr,
    special.ndtri: _ndtri,
    special.erf: _erf,
    special.erfc: _erfc,
}
