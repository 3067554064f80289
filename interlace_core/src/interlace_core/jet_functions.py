"""What NumPy and SciPy functions do to truncated Taylor coefficients: the table behind `jets`.

Coefficients are a mapping from sorted variable indices to arrays; a missing one is structurally
zero. Arithmetic works on them directly. A smooth function of one argument is a rule that returns
its Taylor `Series` at the argument's value, which is then substituted.

Many series run in `h / scale` instead of the increment `h`: log(x + h) needs 1/x^3 for its third
coefficient, which overflows for x below 1e-103, whereas in h/x the coefficients are 1, -1/2, 1/3
and h/x stays moderate when x itself is, say, exp(-400).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial, pi, prod, sqrt
from typing import Any

import numpy as np
from scipy import special

from interlace_core.errors import InterlaceError
from interlace_core.records import Array
from interlace_core.special import hurwitz_zetas, log_ndtr_slopes

Index = tuple[int, ...]
Coefficients = Mapping[Index, Any]
"""Taylor coefficients by sorted variable indices: () is the value, (0, 0, 1) that of h0^2 h1."""


class UnsupportedFunctionError(InterlaceError, TypeError):
    """A density uses a function that has no rule for truncated Taylor numbers."""


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


def apply(ufunc: np.ufunc, order: int, *operands: Coefficients) -> Coefficients:
    """Return a NumPy or SciPy function of jets and plain arrays, both given by coefficients.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The function.
    order : int
        Total order to keep, at least 1.
    *operands : mapping from sorted tuples of variable indices to ndarray or float
        Its arguments; a plain array has the value () only.

    Raises
    ------
    UnsupportedFunctionError
        If there is no rule for it.
    """
    if ufunc not in _RULES and ufunc not in _ALGEBRA:
        raise unsupported(f"the function {ufunc.__name__}()")
    if all(map(_is_plain, operands)):
        return {(): ufunc(*(x[()] for x in operands))}
    if ufunc in _RULES:
        (x,) = operands
        return substitute(order, x, _RULES[ufunc](x[()], order))
    return _ALGEBRA[ufunc](order, *operands)


def substitute(order: int, x: Coefficients, series: Series) -> Coefficients:
    """Return a smooth function of a jet, by Horner's rule in the increment."""
    out: dict[Index, Any] = {}
    scaled = not _is_number(series.scale, 1.0)
    with _silent():
        h = {i: c / series.scale if scaled else c for i, c in x.items() if i}
        for k in range(min(order, len(series.coefficients)), 0, -1):
            term = series.coefficients[k - 1]
            if term is not None:
                out[()] = term
            out = _increments(h, out, order - k + 1)
    return {**out, (): series.value}


def select(condition: Any, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return a where the condition holds and b elsewhere; the condition is plain data."""
    return {
        key: np.where(condition, a.get(key, 0.0), b.get(key, 0.0))
        for key in dict.fromkeys((*a, *b))
    }


def unsupported(what: str) -> UnsupportedFunctionError:
    """Return the error that names what was asked of a jet and lists the ways out."""
    names = sorted({ufunc.__name__ for ufunc in (*_RULES, *_ALGEBRA)})
    return UnsupportedFunctionError(
        "log_density: expected operations that can be differentiated automatically, got "
        f"{what} of a linear predictor. Use the supported functions ({', '.join(names)}, and "
        "where() and clip()), or interlace_core.jets.compose() with derivatives of your own, "
        "or write the family's derivatives()."
    )


def _is_plain(a: Coefficients) -> bool:
    return len(a) == 1


def _is_number(x: Any, number: float) -> bool:
    return isinstance(x, float) and x == number


@lru_cache(maxsize=4096)
def _merged(i: Index, j: Index) -> Index:
    """Return the index of a product of two monomials; cached, since sorting would dominate."""
    return tuple(sorted(i + j))


def _times(a: Any, b: Any) -> Any:
    """Multiply, free of charge by the 1.0 with which a predictor enters."""
    if _is_number(a, 1.0):
        return b
    return a if _is_number(b, 1.0) else a * b


def _silent() -> np.errstate:
    """Switch floating-point warnings off for derivatives, and for nothing else.

    Values are computed outside and warn as in NumPy. Where only a derivative is not finite
    (sqrt at 0), that is for the status of the fit to tell, not for a warning in its inner loop.
    """
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


def _increments(a: Coefficients, b: Coefficients, order: int) -> dict[Index, Any]:
    """Return the truncated convolution, all but the value."""
    out: dict[Index, Any] = {}
    with _silent():
        for i, a_i in a.items():
            for j, b_j in b.items():
                if 0 < len(i) + len(j) <= order:
                    key = _merged(i, j)
                    term = _times(a_i, b_j)
                    out[key] = out[key] + term if key in out else term
    return out


def _add(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    out = {**a, (): a[()] + b[()]}
    with _silent():
        for key, c in b.items():
            if key:
                out[key] = out[key] + c if key in out else c
    return out


def _subtract(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    out = {**a, (): a[()] - b[()]}
    with _silent():
        for key, c in b.items():
            if key:
                out[key] = out[key] - c if key in out else -c
    return out


def _negative(order: int, a: Coefficients) -> Coefficients:
    return {key: -c for key, c in a.items()}


def _positive(order: int, a: Coefficients) -> Coefficients:
    return a


def _multiply(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return {**_increments(a, b, order), (): a[()] * b[()]}


def _divide(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    """Solve q b = a degree by degree, so that no power of 1/b can overflow."""
    out: dict[Index, Any] = {(): a[()] / b[()]}
    with _silent():
        for degree in range(1, order + 1):
            rest = {key: c for key, c in a.items() if len(key) == degree}
            for i, b_i in b.items():
                for j, q_j in list(out.items()):
                    if i and len(i) + len(j) == degree:
                        key = _merged(i, j)
                        term = _times(b_i, q_j)
                        rest[key] = rest[key] - term if key in rest else -term
            out |= {key: c / b[()] for key, c in rest.items()}
    return out


def _reciprocal(order: int, a: Coefficients) -> Coefficients:
    return _divide(order, {(): 1.0}, a)


def _power(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    base, exponent = a[()], b[()]
    if _is_plain(b):
        return substitute(order, a, _power_series(base, exponent, order))
    value = np.power(base, exponent)
    if _is_plain(a):  # 0^b is 0 or infinite, whatever b is nearby: no derivative
        base = np.where(np.equal(base, 0.0), 1.0, base)
    with _silent():
        inner = _multiply(order, b, apply(np.log, order, {**a, (): base}))
    return substitute(order, inner, Series(value, _exp_terms(value, order)))


def _x_log(order: int, log: np.ufunc, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return a log(b) or a log1p(b), and 0 where a is data and 0, whatever b."""
    zero = np.equal(a[()], 0.0)
    if _is_plain(a) and np.any(zero):
        b = select(zero, {(): 1.0}, b)
    with _silent():
        return _multiply(order, a, apply(log, order, b))


def _xlogy(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return {**_x_log(order, np.log, a, b), (): special.xlogy(a[()], b[()])}


def _xlog1py(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return {**_x_log(order, np.log1p, a, b), (): special.xlog1py(a[()], b[()])}


def _betaln(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    parts = [apply(special.gammaln, order, x) for x in (a, b, _add(order, a, b))]
    total = _subtract(order, _add(order, parts[0], parts[1]), parts[2])
    return {**total, (): special.betaln(a[()], b[()])}


def _logaddexp(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return log(exp(a) + exp(b)) = b + log(1 + exp(d)), d = a - b.

    The linear part is the weighted mean of the increments of a and b, without their difference.
    """
    with _silent():  # inf - inf, where both are equal
        d = _subtract(order, a, b)
    gap = np.where(np.equal(a[()], b[()]), 0.0, d[()])
    p, q, _ = _probabilities(gap)
    linear = (substitute(order, a, Series(0.0, (p,))), substitute(order, b, Series(0.0, (q,))))
    out = _add(order, *linear)
    if order > 1:
        terms = (None, p * q / 2.0, p * q * (q - p) / 6.0)[:order]
        out = _add(order, out, substitute(order, d, Series(0.0, terms)))
    return {**out, (): np.logaddexp(a[()], b[()])}


def _arctan2(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return the angle of (b, a); near its value it is the arctangent of a rotated ratio."""
    with _silent():  # the squared radius is an auxiliary: it may overflow, or be 0 at the origin
        left, right = _multiply(order, a, {(): b[()]}), _multiply(order, b, {(): a[()]})
        along = _add(order, _multiply(order, a, {(): a[()]}), _multiply(order, b, {(): b[()]}))
        ratio = _divide(order, _subtract(order, left, right), along)
    return substitute(order, ratio, Series(np.arctan2(a[()], b[()]), (1.0, None, -1 / 3)[:order]))


def _maximum(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return select(np.greater_equal(a[()], b[()]), a, b)


def _minimum(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return select(np.less_equal(a[()], b[()]), a, b)


def _gammainc(order: int, a: Coefficients, x: Coefficients) -> Coefficients:
    return _incomplete_gamma(order, a, x, upper=False)


def _gammaincc(order: int, a: Coefficients, x: Coefficients) -> Coefficients:
    return _incomplete_gamma(order, a, x, upper=True)


def _incomplete_gamma(order: int, a: Coefficients, x: Coefficients, *, upper: bool) -> Coefficients:
    if not _is_plain(a):
        raise unsupported("the first argument of gammainc() or gammaincc() as a function")
    return substitute(order, x, _incomplete_gamma_series(a[()], x[()], order, upper=upper))


def _power_series(x: Array, exponent: Any, order: int) -> Series:
    """Return the series of x to a constant power (a number or an array)."""
    value = np.power(x, exponent)
    if np.ndim(exponent) == 0 and float(exponent).is_integer() and exponent >= 0:
        p = int(exponent)
        terms = [comb(p, k) * x ** (p - k) for k in range(1, min(p, order) + 1)]
        return Series(value, tuple(terms))
    zero = np.equal(x, 0.0)
    terms = []
    with _silent():
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


def _incomplete_gamma_series(a: Array, x: Array, order: int, *, upper: bool) -> Series:
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
    return Series(value, _exp_terms(value, order))


def _exp_terms(value: Any, order: int) -> tuple[Any, ...]:
    """Return the coefficients of the exponential where it has this value."""
    return _upto(order, lambda: value, lambda: value / 2.0, lambda: value / 6.0)


def _expm1(x: Array, order: int) -> Series:
    return Series(np.expm1(x), _exp_terms(np.exp(x), order))


def _log(x: Array, order: int) -> Series:
    return Series(np.log(x), (1.0, -1 / 2, 1 / 3)[:order], x)


def _log1p(x: Array, order: int) -> Series:
    return Series(np.log1p(x), (1.0, -1 / 2, 1 / 3)[:order], 1.0 + x)


def _sqrt(x: Array, order: int) -> Series:
    return _power_series(x, 0.5, order)


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
    p, q, _ = _probabilities(2.0 * x)
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


def _probabilities(x: Array) -> tuple[Array, Array, Array]:
    """Return expit(x), expit(-x) and log(1 + exp(-|x|)), each to rounding, from one exponential.

    SciPy's own are loops without vector instructions, and take ten times as long.
    """
    small = np.exp(-np.abs(x))
    larger = 1.0 / (1.0 + small)
    smaller, positive = small * larger, np.greater_equal(x, 0.0)
    p, q = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
    return p, q, np.log1p(small)


def _expit(x: Array, order: int) -> Series:
    p, q, _ = _probabilities(x)
    f1 = p * q
    terms = _upto(order, lambda: f1, lambda: f1 * (q - p) / 2.0, lambda: f1 * (1 / 6 - f1))
    return Series(p, terms)


def _log_expit(x: Array, order: int) -> Series:
    p, q, remainder = _probabilities(x)
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

"""B_2j / (2j)! for j = 1, 2, ..."""


_RULES: Mapping[np.ufunc, Callable[[Array, int], Series]] = {
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

_ALGEBRA: Mapping[np.ufunc, Callable[..., Coefficients]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.divide: _divide,
    np.negative: _negative,
    np.positive: _positive,
    np.reciprocal: _reciprocal,
    np.power: _power,
    np.float_power: _power,
    np.logaddexp: _logaddexp,
    np.arctan2: _arctan2,
    np.maximum: _maximum,
    np.minimum: _minimum,
    special.xlogy: _xlogy,
    special.xlog1py: _xlog1py,
    special.betaln: _betaln,
    special.gammainc: _gammainc,
    special.gammaincc: _gammaincc,
}
