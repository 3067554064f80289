"""Truncated Taylor numbers: an array with its Taylor coefficients, met by NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import factorial
from typing import Any, NoReturn

import numpy as np

from interlace_core.calculus.jets.functions import (
    Coefficients,
    apply,
    select,
    substitute,
    unsupported,
)
from interlace_core.calculus.jets.series import Series


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
    >>> from interlace_core.calculus.jets.density import compose, differentiate
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
