"""What NumPy and SciPy functions do to truncated Taylor coefficients: the table behind `jets`.

Coefficients are a mapping from sorted variable indices to arrays; a missing one is structurally
zero. Arithmetic works on them directly. A smooth function of one argument is a rule that returns
its Taylor `Series` at the argument's value, which is then substituted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from interlace_core.calculus.jets.series import (
    SERIES,
    Series,
    exp_terms,
    incomplete_gamma_series,
    power_series,
    probabilities,
    silent,
)
from interlace_core.messages.errors import InterlaceError

Index = tuple[int, ...]
Coefficients = Mapping[Index, Any]
"""Taylor coefficients by sorted variable indices: () is the value, (0, 0, 1) that of h0^2 h1."""


class UnsupportedFunctionError(InterlaceError, TypeError):
    """A density uses a function that has no rule for truncated Taylor numbers."""


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
    if ufunc not in SERIES and ufunc not in _ALGEBRA:
        raise unsupported(f"the function {ufunc.__name__}()")
    if all(map(_is_plain, operands)):
        return {(): ufunc(*(x[()] for x in operands))}
    if ufunc in SERIES:
        (x,) = operands
        return substitute(order, x, SERIES[ufunc](x[()], order))
    return _ALGEBRA[ufunc](order, *operands)


def substitute(order: int, x: Coefficients, series: Series) -> Coefficients:
    """Return a smooth function of a jet, by Horner's rule in the increment."""
    out: dict[Index, Any] = {}
    scaled = not _is_number(series.scale, 1.0)
    with silent():
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
    names = sorted({ufunc.__name__ for ufunc in (*SERIES, *_ALGEBRA)})
    return UnsupportedFunctionError(
        "log_density: expected operations that can be differentiated automatically, got "
        f"{what} of a linear predictor. Use the supported functions ({', '.join(names)}, and "
        "where() and clip()), or interlace_core.families.compose() with derivatives of your own, "
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


def _increments(a: Coefficients, b: Coefficients, order: int) -> dict[Index, Any]:
    """Return the truncated convolution, all but the value."""
    out: dict[Index, Any] = {}
    with silent():
        for i, a_i in a.items():
            for j, b_j in b.items():
                if 0 < len(i) + len(j) <= order:
                    key = _merged(i, j)
                    term = _times(a_i, b_j)
                    out[key] = out[key] + term if key in out else term
    return out


def _add(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    out = {**a, (): a[()] + b[()]}
    with silent():
        for key, c in b.items():
            if key:
                out[key] = out[key] + c if key in out else c
    return out


def _subtract(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    out = {**a, (): a[()] - b[()]}
    with silent():
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
    with silent():
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
        return substitute(order, a, power_series(base, exponent, order))
    value = np.power(base, exponent)
    if _is_plain(a):  # 0^b is 0 or infinite, whatever b is nearby: no derivative
        base = np.where(np.equal(base, 0.0), 1.0, base)
    with silent():
        inner = _multiply(order, b, apply(np.log, order, {**a, (): base}))
    return substitute(order, inner, Series(value, exp_terms(value, order)))


def _x_log(order: int, log: np.ufunc, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return a log(b) or a log1p(b), and 0 where a is data and 0, whatever b."""
    zero = np.equal(a[()], 0.0)
    if _is_plain(a) and np.any(zero):
        b = select(zero, {(): 1.0}, b)
    with silent():
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
    with silent():  # inf - inf, where both are equal
        d = _subtract(order, a, b)
    gap = np.where(np.equal(a[()], b[()]), 0.0, d[()])
    p, q, _ = probabilities(gap)
    linear = (substitute(order, a, Series(0.0, (p,))), substitute(order, b, Series(0.0, (q,))))
    out = _add(order, *linear)
    if order > 1:
        terms = (None, p * q / 2.0, p * q * (q - p) / 6.0)[:order]
        out = _add(order, out, substitute(order, d, Series(0.0, terms)))
    return {**out, (): np.logaddexp(a[()], b[()])}


def _arctan2(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    """Return the angle of (b, a); near its value it is the arctangent of a rotated ratio."""
    with silent():  # the squared radius is an auxiliary: it may overflow, or be 0 at the origin
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
    return substitute(order, x, incomplete_gamma_series(a[()], x[()], order, upper=upper))


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
