"""Derivatives of an interval's log-probability in the parameters that its two ends depend on.

With `a` the upper and `b` the lower end, both less eta: nine partial derivatives in (a, b) carry
everything. Those in the linear predictors are combinations of them, formed when asked for: with
many categories most would never be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from interlace_core.contract import Array, BoolArray, IntArray
from interlace_ordinal.latent import Latent


@dataclass(frozen=True)
class Interval:
    """Which part of the latent line each observation fell in.

    Attributes
    ----------
    upper, lower : ndarray, shape (..., n)
        Ends less eta; a finite stand-in where there is none.
    first, last : ndarray of bool, shape (n,)
        Where there is no lower end, no upper end.
    """

    upper: Array
    lower: Array
    first: BoolArray
    last: BoolArray


def interval_terms(latent: Latent, where: Interval, order: int) -> tuple[Array, dict[str, Array]]:
    """Return log P(lower < X <= upper) and its partial derivatives, named "a", "ab", "abb", ...

    With t = log F(a) - log F(b) below the centre, and the same from above beyond it, nothing
    cancels in either tail: f(a) / P = (f / F)(a) / (1 - exp(-t)), f(b) / P = (f / F)(b) /
    (exp(t) - 1).
    """
    a, b = where.upper, where.lower
    below = where.first | (~where.last & (a + b < 0.0))
    with np.errstate(all="ignore"):
        near = np.where(below, latent.log_cdf(a), latent.log_sf(b))
        far = np.where(below, latent.log_cdf(b), latent.log_sf(a))
        t = np.where(where.first | where.last, np.inf, near - far)
        narrow = -np.expm1(-t)
        value = near + np.log(narrow)
        value = np.where(a <= b, -np.inf, value)
        if order == 0:
            return value, {}
        odds = 1.0 / np.expm1(t)
        A = np.where(below, latent.reversed_hazard(a) / narrow, latent.hazard(a) * odds)
        B = np.where(below, latent.reversed_hazard(b) * odds, latent.hazard(b) / narrow)
        A, B = np.where(where.last, 0.0, A), np.where(where.first, 0.0, B)
        return value, _in_ends(latent, where, A, B, order)


def _in_ends(latent: Latent, where: Interval, A: Array, B: Array, order: int) -> dict[str, Array]:
    """Return derivatives from A = f(a) / P and B = f(b) / P; dA/da = A h - A^2, dA/db = A B."""
    terms = {"a": A, "b": -B}
    if order == 1:
        return terms
    h, dh = latent.slopes(where.upper)
    k, dk = latent.slopes(where.lower)
    terms |= {"aa": A * (h - A), "ab": A * B, "bb": -B * (k + B)}
    if order == 2:
        return terms
    return terms | {
        "aaa": A * (h * h + dh - A * (3.0 * h - 2.0 * A)),
        "aab": A * B * (h - 2.0 * A),
        "abb": A * B * (k + 2.0 * B),
        "bbb": -B * (k * k + dk + B * (3.0 * k + 2.0 * B)),
    }


class PredictorPartials(Mapping[tuple[int, ...], Array]):
    """Partial derivatives in the linear predictors, computed when asked for.

    Parameters
    ----------
    terms : dict
        Derivatives in the ends.
    category : ndarray of int, shape (n,)
    upper, lower : ndarray, shape (J, m)
        How the threshold parameters, predictors 1 to m, move each category's ends.
    order : int
    wrt : tuple of int
    """

    def __init__(
        self,
        terms: dict[str, Array],
        category: IntArray,
        upper: Array,
        lower: Array,
        order: int,
        wrt: tuple[int, ...],
    ) -> None:
        self._terms, self._category = terms, category
        self._designs = {"a": upper, "b": lower}
        self._ways: dict[tuple[str, int], Array | float] = {("a", 0): -1.0, ("b", 0): -1.0}
        reach = (upper != 0.0) | (lower != 0.0)
        self._keys = {
            key: None
            for size in range(1, order + 1)
            for key in combinations_with_replacement(sorted(wrt), size)
            if np.any(np.all(reach[:, [k - 1 for k in key if k]], axis=1))
        }

    def __getitem__(self, key: tuple[int, ...]) -> Array:
        """Return one partial derivative, shape (..., n)."""
        if key not in self._keys:
            raise KeyError(key)
        factors: dict[str, Array | float] = {"": 1.0}
        for predictor in key:
            moved: dict[str, Array | float] = {}
            for word, factor in factors.items():
                for end in "ab":
                    letters = "".join(sorted(word + end))
                    step = factor * self._way(end, predictor)
                    moved[letters] = moved[letters] + step if letters in moved else step
            factors = moved
        with np.errstate(invalid="ignore", over="ignore"):  # where the probability is 0
            total = [self._terms[word] * factor for word, factor in factors.items()]
            return np.asarray(sum(total[1:], start=total[0]))

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Iterate over the keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._keys)

    def _way(self, end: str, predictor: int) -> Array | float:
        """Return how a predictor moves an end of each observation, shape (n,)."""
        if (end, predictor) not in self._ways:
            column = np.ascontiguousarray(self._designs[end][:, predictor - 1])
            self._ways[end, predictor] = column[self._category]
        return self._ways[end, predictor]
