"""Exact derivatives of a density written as ordinary NumPy code, by truncated Taylor numbers.

A jet carries the Taylor coefficients of a quantity in the linear predictors, up to a total order
of at most 3. `numpy` and `scipy.special` functions meet it through `__array_ufunc__`, so a
log-density is differentiated as it stands (forward mode; Griewank & Walther 2008, chapter 13).
A coefficient that is missing is structurally zero: a predictor that enters one factor costs
nothing in the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import factorial, prod
from typing import Any, NoReturn

import numpy as np

from interlace_core.errors import OptionError
from interlace_core.jet_functions import (
    Coefficients,
    Index,
    Series,
    apply,
    select,
    substitute,
    unsupported,
)
from interlace_core.records import Array, Derivatives

MAX_ORDER = 3

CHUNK_ELEMENTS = 8_192
"""Elements per pass, so that the temporaries stay in the cache. An NB2 density, 100,000 rows, order
3: 80 ms with 1,000, 40 ms with 5,000 to 20,000, 55 ms in a single pass. No less than the chunks
in which the numerics ask, which would otherwise be cut once more."""


def differentiate(
    function: Callable[[list[Any]], Any], eta: Sequence[Any], order: int, wrt: Sequence[int]
) -> Derivatives:
    """Return a function's value and all its partial derivatives in the chosen predictors.

    Parameters
    ----------
    function : callable
        From a list of K predictors to an array, shape (..., n), elementwise in the rows.
    eta : sequence of K array-likes, each broadcastable to (..., n)
        Where to differentiate.
    order : int
        Highest total order, 0 to 3.
    wrt : sequence of int
        Predictors to differentiate in; the others reach `function` as plain arrays.

    Returns
    -------
    Derivatives
        Partials are fresh arrays of the value's shape; those that are structurally zero are
        missing.

    Raises
    ------
    OptionError
        If `order` or `wrt` is out of range.
    UnsupportedFunctionError
        If `function` applies something to a jet that has no rule.

    Examples
    --------
    >>> import numpy as np
    >>> from interlace_core.jets import differentiate
    >>> result = differentiate(lambda eta: 3.0 * eta[0] - np.exp(eta[0]), [np.zeros(2)], 2, (0,))
    >>> result.get(0), result.get(0, 0)
    (array([2., 2.]), array([-1., -1.]))
    """
    _check_request(order, wrt, len(eta))
    arguments: list[Any] = [np.asarray(e, dtype=np.float64) for e in eta]
    if order > 0:
        for k in map(int, wrt):
            arguments[k] = Jet({(): arguments[k], (k,): 1.0}, order)
    result = function(arguments)
    if not isinstance(result, Jet):
        return Derivatives(np.asarray(result, dtype=np.float64), {})
    value = np.asarray(result.value, dtype=np.float64)
    partials = {
        index: _partial(index, coefficient, value.shape)
        for index, coefficient in result.coefficients.items()
        if index and not (isinstance(coefficient, float) and coefficient == 0.0)
    }
    return Derivatives(value, partials)


def differentiate_density(
    log_density: Callable[[Array, Sequence[Any]], Any],
    y: Array,
    eta: Sequence[Any],
    order: int,
    wrt: Sequence[int],
    *,
    chunk_rows: int | None = None,
) -> Derivatives:
    """Return a log-density and its partial derivatives, computed in chunks of rows.

    `log_density` sees a slice of the rows at a time. That is safe since by contract it uses
    nothing but y and eta: a family, bound or not, holds no arrays with one entry per row. A
    predictor that is the same in all these rows (a dispersion without a formula) reaches it with
    a last axis of length 1, so that what depends on it alone is computed once.

    Parameters
    ----------
    log_density : callable
        `(y, eta) -> array`, shape (..., n).
    y : ndarray, shape (n,) or (n, m)
        Response; sliced along its first axis.
    eta : sequence of K array-likes, each broadcastable to (..., n)
        Predictors; those whose last axis has length n are sliced along it.
    order, wrt
        As for `differentiate`.
    chunk_rows : int, optional
        Rows at a time; by default as many as the cache holds.

    Returns
    -------
    Derivatives
        All arrays have shape (..., n).
    """
    n = y.shape[0]
    arrays = [np.asarray(e, dtype=np.float64) for e in eta]
    if chunk_rows is None:
        nodes = prod(np.broadcast_shapes(*(e.shape[:-1] for e in arrays)))
        chunk_rows = max(1, CHUNK_ELEMENTS // max(1, nodes))
    if chunk_rows < 1:
        raise OptionError(f"chunk_rows: expected at least 1, got {chunk_rows}.")

    def piece(start: int) -> Derivatives:
        rows = slice(start, start + chunk_rows)
        y_rows = y[rows]
        eta_rows = [_collapsed(e[..., rows]) if e.shape[-1:] == (n,) else e for e in arrays]
        # adding zeros gives the value all its rows where neither y nor eta does
        zeros = np.zeros(y_rows.shape[0])
        return differentiate(lambda jets: log_density(y_rows, jets) + zeros, eta_rows, order, wrt)

    pieces = [piece(start) for start in range(0, max(n, 1), chunk_rows)]
    return pieces[0] if len(pieces) == 1 else _concatenate(pieces)


def compose(x: Any, f0: Any, f1: Any, f2: Any, f3: Any) -> Any:
    """Return f(x) for a jet or an array x, from f and its first three derivatives.

    For functions without a rule of their own: series, root finding, other libraries.

    Parameters
    ----------
    x : Jet or array-like
        The argument.
    f0, f1, f2, f3 : array-like, callable or None
        f and its derivatives at the value of x: an array of its shape, or a function from that
        value to one (only called if the order asks for it); None for a derivative that is zero
        everywhere.

    Returns
    -------
    Jet, or ndarray if x is one

    Examples
    --------
    >>> import numpy as np
    >>> from interlace_core.jets import compose, differentiate
    >>> cosh = lambda x: compose(x, np.cosh, np.sinh, np.cosh, np.sinh)
    >>> differentiate(lambda eta: cosh(eta[0]), [np.zeros(1)], 2, (0,)).get(0, 0)
    array([1.])
    """
    value = value_of(x)
    if not isinstance(x, Jet):
        return _supplied(f0, value, 1)
    wanted = enumerate((f0, f1, f2, f3)[: x.order + 1])
    outer, *terms = [_supplied(f, value, factorial(k)) for k, f in wanted]
    return Jet(substitute(x.order, x.coefficients, Series(outer, tuple(terms))), x.order)


def value_of(x: Any) -> Any:
    """Return the plain value of a jet, or an array or number as it is."""
    if isinstance(x, Jet):
        return x.value
    return x if isinstance(x, float) else np.asarray(x, dtype=np.float64)


def _binary(ufunc: np.ufunc) -> Callable[[Jet, Any], Any]:
    return lambda self, other: ufunc(self, other)


def _reflected(ufunc: np.ufunc) -> Callable[[Jet, Any], Any]:
    return lambda self, other: ufunc(other, self)


class Jet:
    """A number with its Taylor coefficients; immutable, and made by `differentiate`.

    Attributes
    ----------
    coefficients : mapping from sorted tuples of variable indices to ndarray or float
        Taylor coefficients, not derivatives; each broadcasts to the value's shape.
    order : int
        Total order beyond which nothing is kept.
    """

    __slots__ = ("coefficients", "order")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, coefficients: Coefficients, order: int) -> None:
        self.coefficients = coefficients
        self.order = order

    @property
    def value(self) -> Any:
        """The value without its derivatives, shape (..., n)."""
        return self.coefficients[()]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return np.shape(self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Apply a NumPy or SciPy function, or refuse it by name."""
        name = ufunc.__name__
        if method != "__call__":
            raise unsupported(f"the method {name}.{method}()")
        if kwargs:
            raise unsupported(
                f"{name}() with {', '.join(kwargs)} (an in-place `array += ...` is one; "
                "write `array = array + ...`)"
            )
        if ufunc in _BY_VALUE:
            return ufunc(*(value_of(x) for x in inputs))
        return Jet(apply(ufunc, self.order, *map(_coefficients, inputs)), self.order)

    def __array_function__(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Apply one of the few NumPy functions that are not ufuncs and have a rule."""
        if func is np.where and len(args) == 3:
            return self._where(*args)
        if func is np.clip:
            return _clip(*args, **kwargs)
        if func in (np.zeros_like, np.ones_like, np.full_like):
            return func(value_of(args[0]), *args[1:], **kwargs)
        raise unsupported(f"the function {func.__name__}()")

    def _where(self, condition: Any, a: Any, b: Any) -> Jet:
        if isinstance(condition, Jet):
            raise unsupported("where() on the truth value")
        chosen = select(np.asarray(condition, dtype=bool), _coefficients(a), _coefficients(b))
        return Jet(chosen, self.order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        """Refuse the conversion, which would lose the derivatives."""
        raise unsupported("a conversion to a plain array")

    __add__ = _binary(np.add)
    __radd__ = _reflected(np.add)
    __sub__ = _binary(np.subtract)
    __rsub__ = _reflected(np.subtract)
    __mul__ = _binary(np.multiply)
    __rmul__ = _reflected(np.multiply)
    __truediv__ = _binary(np.divide)
    __rtruediv__ = _reflected(np.divide)
    __pow__ = _binary(np.power)
    __rpow__ = _reflected(np.power)
    __lt__ = _binary(np.less)
    __le__ = _binary(np.less_equal)
    __gt__ = _binary(np.greater)
    __ge__ = _binary(np.greater_equal)
    __eq__ = _binary(np.equal)
    __ne__ = _binary(np.not_equal)

    def __neg__(self) -> Any:
        """Return the negative."""
        return np.negative(self)

    def __pos__(self) -> Jet:
        """Return the jet itself."""
        return self

    def __abs__(self) -> Any:
        """Return the absolute value."""
        return np.absolute(self)


def _check_request(order: int, wrt: Sequence[int], count: int) -> None:
    if order not in range(MAX_ORDER + 1):
        raise OptionError(f"order: expected 0, 1, 2 or 3, got {order!r}.")
    outside = [k for k in wrt if k not in range(count)]
    if outside:
        raise OptionError(
            f"wrt: expected indices of the {count} predictor(s), 0 to {count - 1}, "
            f"got {outside[0]!r}."
        )


def _collapsed(eta: Array) -> Array:
    """Return a predictor with one row in place of many equal ones."""
    first = eta[..., :1]
    return first if np.array_equal(eta, np.broadcast_to(first, eta.shape)) else eta


def _partial(index: Index, coefficient: Any, shape: tuple[int, ...]) -> Array:
    """Turn a Taylor coefficient into a derivative: a fresh array, even if it is all of y."""
    factor = prod(factorial(count) for count in Counter(index).values())
    with np.errstate(over="ignore"):  # the largest finite coefficient times 6
        return np.asarray(np.multiply(np.broadcast_to(coefficient, shape), float(factor)))


def _concatenate(pieces: Sequence[Derivatives]) -> Derivatives:
    """Join chunks along the rows; a partial that one of them lacks is zero there."""
    keys = {key: None for piece in pieces for key in piece.partials}

    def joined(key: Index) -> Array:
        parts = [p.partials.get(key) for p in pieces]
        filled = [
            np.zeros_like(piece.value) if part is None else part
            for piece, part in zip(pieces, parts, strict=True)
        ]
        return np.concatenate(filled, axis=-1)

    value = np.concatenate([piece.value for piece in pieces], axis=-1)
    return Derivatives(value, {key: joined(key) for key in keys})


def _supplied(f: Any, value: Any, divisor: int) -> Any:
    """Return a Taylor coefficient from what the caller of `compose` gave."""
    derivative = f(value) if callable(f) else f
    return derivative if derivative is None or divisor == 1 else np.divide(derivative, divisor)


def _coefficients(x: Any) -> Coefficients:
    return x.coefficients if isinstance(x, Jet) else {(): value_of(x)}


def _clip(x: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Any:
    """Clip by value; beyond a bound the bound's derivatives hold."""
    a_min, a_max = bounds.pop("min", a_min), bounds.pop("max", a_max)
    if bounds:
        raise unsupported(f"clip() with {', '.join(bounds)}")
    x = x if a_min is None else np.maximum(x, a_min)
    return x if a_max is None else np.minimum(x, a_max)


_BY_VALUE = frozenset(
    {
        np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal,
        np.isfinite, np.isnan, np.isinf, np.signbit, np.sign,
    }
)  # fmt: skip
"""Piecewise constant functions: a plain array, without derivatives."""
