"""Traces of products of the inverse of H: the curvature of log|H| in sizes of effects.

For symmetric matrices D_i that say the same of each level of a factor, and nothing of two levels
together, these are the `tr(H^-1 D_i H^-1 D_j)`. They take all entries of H^-1, and not only those
on the pattern. With H = [[D, C], [C', E]], Y = D^-1 C and S = E - C'Y,

    H^-1 = [[D^-1, 0], [0, 0]] + F S^-1 F' ,   F = [-Y; I] ,

so that the whole inverse is never made: of the eliminated factor's a product Y'Y is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.engine.elimination.crossed import CrossedPattern
from interlace_core.records import Array

MOST_NUMBERS = 1 << 25
"""Of dense matrices held at once: a quarter of a gigabyte."""


@dataclass(frozen=True)
class Traces:
    """What the curvature of log|H| is made of, N = H^-1.

    Attributes
    ----------
    products : ndarray, shape (m, m)
        tr(N D_i N D_j).
    sums : list of ndarray, shape (c, c), one per factor
        N's own blocks, summed over levels.
    """

    products: Array
    sums: list[Array]


def leaf_traces(inverse: Array, D: Array) -> Traces:
    """Return the traces of a block-diagonal N.

    Parameters
    ----------
    inverse : ndarray, shape (c, c, L)
    D : ndarray, shape (m, c, c)
    """
    return Traces(_own_products(inverse, D), [np.sum(inverse, axis=-1)])


def _own_products(inverse: Array, D: Array) -> Array:
    X = np.einsum("mab,bcl->macl", D, inverse)
    turned = X.transpose(0, 2, 1, 3).reshape(len(D), -1)
    return np.asarray(X.reshape(len(D), -1) @ turned.T)


def crossed_traces(
    pattern: CrossedPattern, inverse: Array, own: Array, Y: Any, S_inverse: Array, D: list[Array]
) -> Traces | None:
    """Return the traces where one factor was eliminated into a dense complement.

    Parameters
    ----------
    pattern : CrossedPattern
    inverse, own : ndarray, shape (c, c, L)
        Blocks of D^-1, and of N, of the eliminated factor.
    Y : sparse or dense array, shape (c L, size)
    S_inverse : ndarray, shape (size, size)
    D : list of ndarray, shape (m, c_r, c_r), of the eliminated factor and each later one

    Returns
    -------
    Traces, or None
        None where more would have to be held than is sensible.
    """
    if is_too_large(len(inverse), S_inverse.size):
        return None
    first = eliminated_traces(inverse, own, D[0])
    rest = complement_traces(S_inverse, effect_products(Y, len(inverse)), D, pattern.parts)
    return Traces(first.products + rest.products, first.sums + rest.sums)


def is_too_large(c: int, entries: int) -> bool:
    """Return whether products for c effects would hold more numbers than is sensible."""
    return (len(_pairs(c)) + 2) * entries > MOST_NUMBERS


def _pairs(c: int) -> list[tuple[int, int]]:
    """Return the pairs of effects that symmetric D are made of."""
    return [(a, b) for a in range(c) for b in range(a + 1)]


def eliminated_traces(inverse: Array, own: Array, D: Array) -> Traces:
    """Return what the eliminated factor's own blocks give, and these with the complement.

    Parameters
    ----------
    inverse, own : ndarray, shape (c, c, L)
        Blocks of D^-1, and of N.
    D : ndarray, shape (m, c, c)
    """
    m = len(D)
    left = np.einsum("mab,bcl->macl", D, inverse)
    through = np.einsum("macl,ncd->mnadl", left, D).reshape(m, m, -1)
    mixed = through @ (own - inverse).transpose(1, 0, 2).ravel()
    return Traces(_own_products(inverse, D) + mixed + mixed.T, [np.sum(own, axis=-1)])


def effect_products(Y: Any, c: int) -> list[Array]:
    """Return Y_a'Y_b, made symmetric, for each pair of effects, shape (size, size) each."""
    L = Y.shape[0] // c
    found = []
    for a, b in _pairs(c):
        product = _dense(Y[a * L : (a + 1) * L].T @ Y[b * L : (b + 1) * L])
        found.append(product if a == b else product + product.T)
    return found


def complement_traces(
    S_inverse: Array, products: list[Array], D: list[Array], parts: Sequence[slice]
) -> Traces:
    """Return the complement's traces, `tr(S^-1 P_i S^-1 P_j)` with P_i = F' D_i F.

    Parameters
    ----------
    S_inverse : ndarray, shape (size, size)
    products : list of ndarray, shape (size, size)
        Of `effect_products`; of rows that lie in parts their sums.
    D : list of ndarray, shape (m, c_r, c_r), of the eliminated factor and each later one
    parts : sequence of slice
        Place of each later factor in S.

    Returns
    -------
    Traces
        `sums` of the later factors.
    """
    first, *later = D
    pairs = _pairs(first.shape[1])
    X = [S_inverse @ each for each in products]
    weights = np.array([[D_i[pair] for pair in pairs] for D_i in first])
    squares = np.array([[np.einsum("ab,ba->", x, y) for y in X] for x in X])
    total, sums = weights @ squares @ weights.T, []
    for r, (part, D_r) in enumerate(zip(parts, later, strict=True)):
        c_r = D_r.shape[1]
        shape = c_r, (part.stop - part.start) // c_r, len(S_inverse)
        rows = S_inverse[part].reshape(shape)
        around = [np.einsum("alk,blk->ab", x[part].reshape(shape), rows) for x in X]
        mixed = weights @ np.tensordot(np.array(around), D_r, axes=((1, 2), (2, 1)))
        total += mixed + mixed.T
        for other, D_s in list(zip(parts, later, strict=True))[: r + 1]:
            found = _pair_traces(S_inverse[part, other], D_r, D_s)
            total += found if part == other else found + found.T
        blocks = S_inverse[part, part].reshape(*shape[:2], *shape[:2])
        sums.append(np.einsum("albl->ab", blocks))
    return Traces(total, sums)


def _dense(product: Any) -> Array:
    return product if isinstance(product, np.ndarray) else np.asarray(product.toarray())


def _pair_traces(block: Array, D_r: Array, D_s: Array) -> Array:
    """Return tr(D_i S D_j S'), (m, m), of a block S, (c_r L_r, c_s L_s), for D of each side."""
    (_, a, _), (_, b, _) = D_r.shape, D_s.shape
    by_effect = block.reshape(a, len(block) // a, b, -1).transpose(0, 2, 1, 3).reshape(a * b, -1)
    products = (by_effect @ by_effect.T).reshape(a, b, a, b)
    return np.asarray(np.einsum("mac,cbad,nbd->mn", D_r, products, D_s, optimize=True))
