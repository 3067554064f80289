"""Derivatives of a zero part's log-density from those of the family it is put together with.

Partials are mappings from sorted tuples of predictor indices to arrays, as in `Derivatives`;
a missing key is zero everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from interlace_core.contract import Array, CLogLog, Derivatives, Taylor

Partials = Mapping[tuple[int, ...], Any]

PARTITIONS: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: (((0,),),),
    2: (((0, 1),), ((0,), (1,))),
    3: (
        ((0, 1, 2),),
        ((0, 1), (2,)), ((0, 2), (1,)), ((1, 2), (0,)),
        ((0,), (1,), (2,)),
    ),
}  # fmt: skip
"""All ways to split 1, 2 or 3 positions into blocks, for Faa di Bruno's formula."""


def compose_partials(
    outer: Sequence[Any], inner: Partials, order: int, wrt: tuple[int, ...]
) -> dict[tuple[int, ...], Array]:
    """Return the partials of f(g) from f', f'', f''' at g and the partials of g.

    Parameters
    ----------
    outer : sequence of 3 ndarrays, shape (..., n)
        Derivatives of f.
    inner : mapping
        Partials of g, to the same order.
    order : int
        Highest order wanted, 0 to 3.
    wrt : tuple of int
        Predictors to differentiate in.
    """
    partials = {}
    for size in range(1, order + 1):
        for key in combinations_with_replacement(sorted(wrt), size):
            terms = [outer[len(f) - 1] * reduce(np.multiply, f) for f in _factors(inner, key)]
            if terms:
                partials[key] = reduce(np.add, terms)
    return partials


def mixture_at_zero(
    zero: Derivatives, pi: tuple[Taylor, Taylor], index: int, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return log(pi + (1 - pi) f0) and its partials.

    With a = log pi, b = log(1 - pi) and D = b + log f0 - a it is a + softplus(D), so that the
    partials of D enter through w = expit(D), the probability that the zero is the family's own.

    Parameters
    ----------
    zero : Derivatives
        log f0 with its partials, shape (..., n).
    pi : pair of (value, three derivatives)
        log pi and log(1 - pi), in the predictor of pi.
    index : int
        That predictor's index.
    order, wrt
        As for `compose_partials`.
    """
    a, b = pi
    gap = zero.value + b[0] - a[0]
    w, v = _expit(gap), _expit(-gap)
    # where the family has no mass at 0 its slopes may be infinite, and do not count
    inner = {k: np.where(w > 0.0, p, 0.0) for k, p in zero.partials.items()}
    mine = range(1, order + 1) if index in wrt else ()
    inner |= {(index,) * k: b[k] - a[k] for k in mine}
    partials = compose_partials((w, w * v, w * v * (v - w)), inner, order, wrt)
    for k in mine:
        partials[(index,) * k] = partials[(index,) * k] + a[k]
    return Derivatives(np.logaddexp(a[0], b[0] + zero.value), partials)


def truncated_derivatives(
    full: Derivatives, cloglog_positive: Derivatives, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return log f - log P(Y > 0) and its partials.

    Parameters
    ----------
    full : Derivatives
        log f with its partials.
    cloglog_positive : Derivatives
        h = log(-log P(Y = 0)) with its partials; log P(Y > 0) = log(1 - exp(-exp(h))).
    order, wrt
        As for `compose_partials`.
    """
    value, *outer = CLogLog().log_derivatives(cloglog_positive.value)[0]
    positive = compose_partials(outer, cloglog_positive.partials, order, wrt)
    partials = dict(full.partials)
    for key, term in positive.items():
        partials[key] = partials[key] - term if key in partials else -term
    return Derivatives(full.value - value, partials)


def cloglog_partials(zero: Derivatives, order: int, wrt: tuple[int, ...]) -> Derivatives:
    """Return h = log(-log f0) and its partials from those of log f0.

    NaN where f0 rounds to 1: what is left of P(Y > 0) cannot be told from 0 there.
    """
    t = np.where(zero.value < 0.0, -zero.value, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        relative = {
            key: np.where(np.isposinf(t), 0.0, -partial / t)
            for key, partial in zero.partials.items()
        }
    # of log t in units of t: 1, -1, 2
    partials = compose_partials((1.0, -1.0, 2.0), relative, order, wrt)
    return Derivatives(np.log(t), partials)


def log_positive(cloglog_positive: Any) -> Any:
    """Return log(1 - exp(-exp(h))) for an array or a jet h, right in both tails."""
    return CLogLog().log_mu(cloglog_positive)


def without(wrt: tuple[int, ...], index: int) -> tuple[int, ...]:
    """Return the predictors but one."""
    return tuple(k for k in wrt if k != index)


def powers_of(
    taylor: Taylor, index: int, order: int, wrt: tuple[int, ...]
) -> dict[tuple[int, ...], Array]:
    """Return the partials of a function of one predictor."""
    return {(index,) * k: taylor[k] for k in range(1, order + 1) if index in wrt}


def taken(eta: Sequence[Array], rows: Array | np.ndarray[Any, np.dtype[np.bool_]]) -> list[Array]:
    """Return the predictors of some rows; constant ones stay as they are."""
    return [e[..., rows] if np.shape(e)[-1:] == rows.shape else e for e in map(np.asarray, eta)]


def rows_of(whole: Derivatives, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> Derivatives:
    """Return the derivatives of some rows from those of all, in their last axis."""
    shape = np.shape(whole.value)
    partials = {key: np.broadcast_to(p, shape)[..., rows] for key, p in whole.partials.items()}
    return Derivatives(whole.value[..., rows], partials)


def merged(shape: tuple[int, ...], *parts: tuple[Any, Derivatives]) -> Derivatives:
    """Return the derivatives of all rows from those of complementary sets of rows."""
    value = np.empty(shape)
    partials: dict[tuple[int, ...], Array] = {}
    for rows, part in parts:
        value[..., rows] = part.value
        for key, partial in part.partials.items():
            partials.setdefault(key, np.zeros(shape))[..., rows] = partial
    return Derivatives(value, partials)


def _factors(inner: Partials, key: tuple[int, ...]) -> Iterator[list[Any]]:
    """Yield the partials of each partition of a key, leaving out those with a zero factor."""
    for partition in PARTITIONS[len(key)]:
        factors = [inner.get(tuple(key[i] for i in block)) for block in partition]
        if all(factor is not None for factor in factors):
            yield factors


def _expit(x: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(x))
