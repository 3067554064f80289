"""Derivatives of an interval's log-probability in the parameters that its two ends depend on.

With `a` the upper and `b` the lower end, both less eta and over the scale: nine partial derivatives
in (a, b) carry everything. Those in the linear predictors are combinations of them, formed when
asked for: with many categories most would never be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

from interlace_core.contract import Array, BoolArray, IntArray
from interlace_ordinal.latent import Standard


@dataclass(frozen=True)
class Interval:
    """Which part of the latent line each observation fell in.

    Attributes
    ----------
    upper, lower : ndarray, shape (..., n)
        Ends less eta, over the scale; a finite stand-in where there is none.
    first, last : ndarray of bool, shape (n,)
        Where there is no lower end, no upper end.
    """

    upper: Array
    lower: Array
    first: BoolArray
    last: BoolArray


def interval_terms(latent: Standard, where: Interval, order: int) -> tuple[Array, dict[str, Array]]:
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


def _in_ends(latent: Standard, where: Interval, A: Array, B: Array, order: int) -> dict[str, Array]:
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


Keys = dict[tuple[int, ...], None]

Factors = dict[str, Array | float]
"""A differential operator in the ends: what each partial derivative, by its word, counts."""


@dataclass(frozen=True)
class Scaled:
    """Ends that are lines over a scale, a = A exp(-s): what s and they do together.

    With E = a d/da + b d/db, d/ds = -E, and of r derivatives in what the lines A depend on linearly
    exp(-r s) comes out, so that q more in s are (-r - E)^q. Powers of E by those of a and b:
    E = P1, E^2 = P2 + P1, E^3 = P3 + 3 P2 + P1, with Pk the k-th directional derivative along
    (a, b) held fixed.

    Attributes
    ----------
    upper, lower : ndarray, shape (..., n)
        Ends, over the scale.
    rate : ndarray, shape (..., n)
        exp(-s), one over the scale.
    inside : ndarray of bool, shape (..., n)
        Where the rate moves with s, and is not at a bound.
    """

    upper: Array
    lower: Array
    rate: Array
    inside: BoolArray

    def moved(self, factors: Factors, own: int, times: int) -> Factors:
        """Return an operator of `own` derivatives, over the scale, differentiated so often in s."""
        total: Factors = {}
        for power, count in enumerate(_OF_POWERS[own, times]):
            if count:
                along = factors
                for _ in range(power):
                    along = _times(along, {"a": self.upper, "b": self.lower})
                for word, factor in along.items():
                    total[word] = total.get(word, 0.0) + count * factor
        with np.errstate(over="ignore"):
            weight = self.rate**own * (self.inside if times else 1.0)
            return {word: factor * weight for word, factor in total.items()}


_OF_POWERS = {
    (0, 0): (1,),
    (1, 0): (1,),
    (2, 0): (1,),
    (3, 0): (1,),
    (0, 1): (0, -1),
    (0, 2): (0, 1, 1),
    (0, 3): (0, -1, -3, -1),
    (1, 1): (-1, -1),
    (1, 2): (1, 3, 1),
    (2, 1): (-2, -1),
}
"""(-r - E)^q as a sum of 1, P1, P2, P3, by (r, q)."""


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
    scaled : Scaled, optional
        Where predictor m + 1 is the logarithm of a scale.
    """

    def __init__(
        self,
        terms: dict[str, Array],
        category: IntArray,
        upper: Array,
        lower: Array,
        order: int,
        wrt: tuple[int, ...],
        scaled: Scaled | None = None,
    ) -> None:
        self._terms, self._category, self._scaled = terms, category, scaled
        self._designs = {"a": upper, "b": lower}
        self._ways: dict[tuple[str, int], Array | float] = {("a", 0): -1.0, ("b", 0): -1.0}
        self._scale = upper.shape[1] + 1
        reach = (upper != 0.0) | (lower != 0.0)
        self._keys = _keys_within(reach.tobytes(), upper.shape[1], order, tuple(sorted(wrt)))

    def __getitem__(self, key: tuple[int, ...]) -> Array:
        """Return one partial derivative, shape (..., n)."""
        if key not in self._keys:
            raise KeyError(key)
        factors: Factors = {"": 1.0}
        for predictor in key:
            if predictor < self._scale:
                ways = {end: self._way(end, predictor) for end in "ab"}
                factors = _times(factors, ways)
        if self._scaled is not None:
            own = sum(predictor < self._scale for predictor in key)
            factors = self._scaled.moved(factors, own, len(key) - own)
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


@lru_cache(maxsize=64)
def _keys_within(reach: bytes, m: int, order: int, wrt: tuple[int, ...]) -> Keys:
    """Return the derivatives that are not 0 in all rows: those within a category's predictors.

    Parameters
    ----------
    reach : bytes
        Of a bool array, shape (J, m): whether threshold parameter k moves an end of a category.
    m, order : int
    wrt : tuple of int
        Increasing; 0 and those beyond m move the ends of every category.
    """
    keys: Keys = {}
    for row in np.frombuffer(reach, dtype=bool).reshape(-1, m) if m else [()]:
        own = [k for k in wrt if not 0 < k <= m or row[k - 1]]
        for size in range(1, order + 1):
            keys |= dict.fromkeys(combinations_with_replacement(own, size))
    return keys


def _times(factors: Factors, ways: Mapping[str, Array | float]) -> Factors:
    """Return an operator after one more derivative, along ways that are held fixed."""
    moved: Factors = {}
    for word, factor in factors.items():
        for end, way in ways.items():
            letters = "".join(sorted(word + end))
            step = factor * way
            moved[letters] = moved[letters] + step if letters in moved else step
    return moved
