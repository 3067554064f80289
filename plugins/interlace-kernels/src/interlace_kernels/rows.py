"""Which C function evaluates a family's rows, and the columns that it wants to see.

What depends on the response alone is computed here, once, by NumPy: log y!, binomial coefficients,
logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interlace_core.contract import Array, Family, RowKernel
from interlace_core.families import (
    HALF_LOG_2PI,
    has_large_counts,
    log_choose,
    log_factorial,
    stirling_remainder,
)
from interlace_kernels.library import Library

PROBABILITY_LINKS = ("logit", "probit", "cloglog")
COUNTS = ("poisson", "negativebinomial", "negativebinomial1")
"""Count families, by the numbers that zeros.c gives them."""

PARTS = {"zeroinflated": 0, "hurdle": 1, "truncated": 2}
"""Prefixes of families with a zero part or without zeros, by the numbers that zeros.c gives."""

FAMILIES = (
    *(("interlace-families", "binomial", link) for link in PROBABILITY_LINKS),
    ("interlace-families", "gaussian", "identity"),
    ("interlace-families", "gamma", "log"),
    ("interlace-families", "poisson", "log"),
    *(("interlace-counts", name, "log") for name in COUNTS[1:]),
    *(("interlace-counts", f"{part}_{name}", "log") for part in PARTS for name in COUNTS),
    *(("interlace-proportions", "beta", link) for link in PROBABILITY_LINKS),
    ("interlace-ordinal", "cumulative", "identity"),
)
"""(distribution, family, link of the mean) of each that is served."""


def row_kernel(library: Library, family: Family, y: Array) -> RowKernel | None:
    """Return the compiled rows of a family, None if a further link or an option is not served."""
    part, _, count = family.name.partition("_")
    if part in PARTS and count in COUNTS:
        return _zeros(library, PARTS[part], COUNTS.index(count), y)
    return _MAKERS[family.name](library, family, y)


def _binomial(library: Library, family: Family, y: Array) -> RowKernel:
    link = family.parameters[0].link.name
    if has_large_counts(y[:, 1]):
        return _kernel(library, f"ik_binomial_many_{link}", _large_proportions, y)
    return _kernel(library, f"ik_binomial_{link}", lambda y: (*y.T, log_choose(y)), y)


def _large_proportions(y: Array) -> tuple[Array, ...]:
    successes, trials = y[:, 0], y[:, 1]
    failures = trials - successes
    both = (successes > 0.0) & (failures > 0.0)
    s, f = np.where(both, successes, 1.0), np.where(both, failures, 1.0)
    n = s + f
    up = np.where(s <= f, np.log(s / n), np.log1p(-f / n))
    down = np.where(s <= f, np.log1p(-s / n), np.log(f / n))
    normal = _normal_term(np.log(n)) - _normal_term(np.log(s)) - _normal_term(np.log(f))
    return successes, failures, up, down, normal, both.astype(np.float64)


def _poisson(library: Library, family: Family, y: Array) -> RowKernel:
    many = "many_" if has_large_counts(y) else ""
    return _kernel(library, f"ik_poisson_{many}log", _count_columns(y), y)


def _nb2(library: Library, family: Family, y: Array) -> RowKernel:
    many = "many_" if has_large_counts(y) else ""
    return _kernel(library, f"ik_nb2_{many}log", _count_columns(y), y)


def _nb1(library: Library, family: Family, y: Array) -> RowKernel:
    many = "_many" if has_large_counts(y) else ""
    return _kernel(library, f"ik_nb1{many}", _count_columns(y), y)


def _zeros(library: Library, part: int, count: int, y: Array) -> RowKernel:
    data = np.array([count, has_large_counts(y), part], dtype=np.int64)
    return _kernel(library, "ik_zeros", _count_columns(y), y, data=data)


def _gaussian(library: Library, family: Family, y: Array) -> RowKernel:
    return _kernel(library, "ik_gaussian", lambda y: (y,), y)


def _gamma(library: Library, family: Family, y: Array) -> RowKernel:
    return _kernel(library, "ik_gamma_log", lambda y: (y, np.log(y)), y)


def _beta(library: Library, family: Family, y: Array) -> RowKernel:
    link = family.parameters[0].link.name
    return _kernel(library, f"ik_beta_{link}", lambda y: (np.log(y), np.log1p(-y)), y)


def _cumulative(library: Library, family: Any, y: Array) -> RowKernel | None:
    T = family.threshold_matrix()
    J, m = len(T) + 1, T.shape[1]
    if family.latent_link not in ("logit", "probit") or len(family.parameters) != m + 1:
        return None
    none = np.zeros((1, m))
    ends = np.concatenate([np.vstack([T, none]).ravel(), np.vstack([none, T]).ravel()])
    head = np.array([J, m], dtype=np.int64).view(np.float64)
    data = np.concatenate([head, ends])
    return _kernel(library, f"ik_cumulative_{family.latent_link}", lambda y: (y,), y, data=data)


_MAKERS: dict[str, Callable[[Library, Any, Array], RowKernel | None]] = {
    "binomial": _binomial,
    "poisson": _poisson,
    "negativebinomial": _nb2,
    "negativebinomial1": _nb1,
    "gaussian": _gaussian,
    "gamma": _gamma,
    "beta": _beta,
    "cumulative": _cumulative,
}


CHUNK_ROWS = 65_536
"""Rows whose columns are made at once: beside the columns themselves that takes a few MB."""


def _kernel(
    library: Library,
    name: str,
    columns_of: Callable[[Array], tuple[Array, ...]],
    y: Array,
    data: Any = None,
) -> RowKernel:
    first = columns_of(y[:CHUNK_ROWS])
    stacked = np.empty((len(y), len(first)), order="F")
    for start in range(0, len(y), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        made = first if start == 0 else columns_of(y[rows])
        for place, column in zip(stacked[rows].T, made, strict=True):
            place[:] = column
    return RowKernel(library.address(name), stacked, data)


def _count_columns(y: Array) -> Callable[[Array], tuple[Array, ...]]:
    """Return what makes y and log y! of rows; of large counts y, log y and log(y!) - y log(y) + y.

    All rows together say whether counts are large.
    """
    return _of_large_counts if has_large_counts(y) else lambda y: (y, log_factorial(y))


def _of_large_counts(y: Array) -> tuple[Array, ...]:
    log_y = np.log(np.where(y > 0.0, y, 1.0))
    return y, log_y, _normal_term(log_y)


def _normal_term(log_x: Array) -> Array:
    """Return log(x!) - x log(x) + x."""
    return np.asarray(stirling_remainder(log_x, 0)[0] + HALF_LOG_2PI + 0.5 * log_x)
