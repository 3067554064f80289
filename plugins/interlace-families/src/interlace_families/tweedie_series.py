"""The infinite series in the Tweedie density for 1 < p < 2, with its derivatives.

A positive response is a Poisson number j of gamma variables. At mu = y, with
L = log(y^(2-p) / (phi (2-p))), j0 = exp(L), alpha = (2-p) / (p-1) and Stirling's remainder S,
the density is exp(B) / y with

    B = log(alpha) / 2 - log(2 pi) + log sum_{j >= 1} exp(t_j),
    t_j = -(1 + alpha) j0 r(j / j0) - S(j) - S(j alpha),   r(x) = x log(x) - x + 1,

a rearrangement of Dunn & Smyth (2005), equations 7 to 10
(https://doi.org/10.1007/s11222-005-4070-y), whose terms are moderate whatever the parameters.
The terms peak near j0 with standard deviation sqrt(j0 / (1 + alpha)). Where that is small they
are summed over the integers around the peak; where it is large the sum equals the integral to
rounding (Poisson's summation formula), and so does a sum over some 35 nodes in x = j / j0. At
fixed x no term of the size of j0 is left in the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log, pi, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from interlace_core.contract import Array, Derivatives
from interlace_core.families import Jet, by_count, expand, stirling_remainder, value_of
from interlace_families.remainders import log1p_deficit

Partials = dict[tuple[int, ...], Array]
"""Partial derivatives by sorted indices: 0 is L, 1 is beta = log(alpha), () the value."""

DROP = 42.0
"""Terms are left out from exp(-42) = 6e-19 of the largest on."""

LARGEST_L = 300.0
"""L is taken as this where it exceeds it, and B continued with its limiting slope 1/2."""

INTEGRAL_FROM = 40.0
"""Least (1 + alpha) j0 for the integral: the terms at j = 0 are then below exp(-40)."""

SPACING = 1.0 / 1.7
"""Of the integral's nodes in standard deviations: the error is exp(-2 pi^2 1.7^2) for a normal
shape and still below 1e-15 for the most skewed, that of a Poisson with mean 40."""

NODES = SPACING * np.arange(-16.0, 21.0)[:, np.newaxis]
"""In standard deviations; the right tail is the longer one, up to 11.2 of them."""

CHUNK_ROWS = 400
"""Rows at a time, of 20 to 110 terms each, so that the temporaries stay in the cache."""

_KEYS: tuple[tuple[int, ...], ...] = (
    (),
    (0,),
    (1,),
    (0, 0),
    (0, 1),
    (1, 1),
    (0, 0, 0),
    (0, 0, 1),
    (0, 1, 1),
    (1, 1, 1),
)


def saturated(L: Any, beta: Any) -> Any:
    """Return B of plain arrays or truncated Taylor numbers, shape (..., n)."""
    jets = {i: x for i, x in enumerate((L, beta)) if isinstance(x, Jet)}
    order = max((x.order for x in jets.values()), default=0)
    partials = evaluate(value_of(L), value_of(beta), order, tuple(jets))
    return expand(Derivatives(partials.pop(()), partials), (L, beta))


def evaluate(L: Array, beta: Array, order: int, wrt: tuple[int, ...]) -> Partials:
    """Return B and its partial derivatives to an order in some of (L, beta), shape (..., n)."""
    L, beta = np.broadcast_arrays(L, beta)
    keys = [key for key in _KEYS if len(key) <= order and set(key) <= set(wrt)]
    L_kept, beta_flat = np.minimum(L.ravel(), LARGEST_L), beta.ravel()
    out = {key: np.empty(L.size) for key in keys}
    smooth = _is_smooth(L_kept, beta_flat)
    for rows, terms in ((smooth, _integral_terms), (~smooth, _integer_terms)):
        places = np.flatnonzero(rows)
        for start in range(0, places.size, CHUNK_ROWS):
            chunk = places[start : start + CHUNK_ROWS]
            part = _log_sum(terms(L_kept[chunk], beta_flat[chunk], order, wrt), keys)
            for key in keys:
                out[key][chunk] = part[key]
    out[()] += 0.5 * beta_flat - log(2.0 * pi) + 0.5 * (L.ravel() - L_kept)
    if (1,) in out:
        out[1,] += 0.5
    return {key: values.reshape(L.shape) for key, values in out.items()}


def _is_smooth(L: Array, beta: Array) -> npt.NDArray[np.bool_]:
    """Return where the sum equals the integral.

    They differ by about exp(-2 pi^2 variance) cos(2 pi j0), whose third derivative in L has a
    factor (2 pi j0)^3: hence the logarithm.
    """
    log_variance = L - np.logaddexp(0.0, beta)
    wide = np.exp(np.minimum(log_variance, 10.0)) >= 2.0 + 0.16 * np.maximum(L, 0.0)
    return wide & (L + np.logaddexp(0.0, beta) >= log(INTEGRAL_FROM))


def _integer_terms(L: Array, beta: Array, order: int, wrt: tuple[int, ...]) -> Partials:
    """Return t_j and its derivatives for all j that matter, shape (K, m).

    The drop from the peak is at least (1 + alpha) j0 u^2 / 2 on the left of it, u being the
    relative distance, and (1 + alpha) j0 u^2 / (2 + 2 u / 3) on the right.
    """
    alpha, j0 = np.exp(beta), np.exp(L)
    one = 1.0 + alpha
    spread, skewed = 2.0 * DROP * j0 / one, DROP / (3.0 * one)
    first = np.maximum(np.floor(j0 - np.sqrt(spread)), 1.0)
    last = np.ceil(j0 + skewed + np.sqrt(np.square(skewed) + spread)) + 1.0
    j = first + np.arange(float(np.max(last - first)) + 1.0)[:, np.newaxis]
    slope = j0 - j  # not by way of log(j), whose rounding would differ from term to term
    g = np.where(
        2.0 * j0 < j, slope - j * (L - np.log(j)), j * log1p_deficit(np.maximum(slope / j, -0.5))
    )
    s = _remainders(j, beta, order if 1 in wrt else 0)
    s_j = _by_integer(lambda k: stirling_remainder(np.log(k), 0), j)[0]
    out: Partials = {(): -one * g - s_j - s[0]}
    if order >= 1:
        curve = np.broadcast_to(j0, j.shape)
        out |= {(0,): -one * slope, (0, 0): -one * curve, (0, 0, 0): -one * curve}
        if 1 in wrt:
            out |= {(1,) * k: -alpha * g - s[k] for k in range(1, order + 1)}
            out |= {(0, 1): -alpha * slope, (0, 1, 1): -alpha * slope, (0, 0, 1): -alpha * curve}
    return out


def _integral_terms(L: Array, beta: Array, order: int, wrt: tuple[int, ...]) -> Partials:
    """Return the integrand's logarithm and its derivatives at nodes in x, shape (K, m)."""
    log_M = L + np.logaddexp(0.0, beta)
    x = NODES * np.exp(-0.5 * log_M)  # relative distance from the peak
    inside = x > -1.0
    x = np.where(inside, x, 0.0)
    log_j = L + np.log1p(x)
    # r(1 + x) = x log1p(x) - (x - log1p(x))
    drop = np.exp(log_M) * (x * np.log1p(x) - log1p_deficit(x))
    share = drop / (1.0 + np.exp(-beta))
    u = stirling_remainder(log_j, order)
    s = stirling_remainder(log_j + beta, order)
    width = L - 0.5 * log_M + log(SPACING)
    out: Partials = {(): np.where(inside, width - drop - u[0] - s[0], -np.inf)}
    for k in range(1, order + 1):
        out[(0,) * k] = -drop - u[k] - s[k] + (1.0 if k == 1 else 0.0)
        if 1 in wrt:
            out[(1,) * k] = -share - s[k]
            if k > 1:
                out |= {(0,) * (k - i) + (1,) * i: -share - s[k] for i in range(1, k)}
    return out


def _remainders(j: Array, beta: Array, order: int) -> tuple[Array, ...]:
    """Return S(j alpha) and its derivatives in beta; once per j where beta is constant."""
    if np.ptp(beta) == 0.0:
        return _by_integer(lambda k: stirling_remainder(np.log(k) + beta[0], order), j)
    return stirling_remainder(np.log(j) + beta, order)


def _by_integer(function: Callable[[Array], tuple[Array, ...]], j: Array) -> tuple[Array, ...]:
    values = by_count(lambda k: function(np.maximum(k, 1.0)), j.ravel())
    return tuple(each.reshape(j.shape) for each in values)


def _log_sum(t: Mapping[tuple[int, ...], Array], keys: list[tuple[int, ...]]) -> Partials:
    """Return log sum exp(t) over the first axis and its partials: cumulants of those of t."""
    largest = np.max(t[()], axis=0)
    weights = np.exp(t[()] - largest)
    total = np.sum(weights, axis=0)
    weights /= total
    means = {key: np.sum(weights * t[key], axis=0) for key in keys if key}
    centred = {i: t[i,] - means[i,] for i in (0, 1) if (i,) in means}

    def moment(*factors: Array) -> Array:
        return np.asarray(np.sum(weights * prod(factors), axis=0))

    out = {(): largest + np.log(total), **means}
    for key in keys:
        c = [centred[i] for i in key]
        if len(key) == 2:
            out[key] = means[key] + moment(*c)
        elif len(key) == 3:
            a, b, d = key
            mixed = t[a, b] * c[2] + t[a, d] * c[1] + t[b, d] * c[0]
            out[key] = means[key] + moment(mixed) + moment(*c)
    return out
