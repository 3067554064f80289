"""Second derivatives of a linear mixed model over parts of the rows that share random effects.

With D_p a part's own block of H, C_p what is beside it and S what is left for the effects that all
parts share, `Y_p = D_p^-1 C_p`, the traces of products of H^-1 split into the parts' own, and those
of S^-1 with `sum_p Y_p' D_i Y_p`. In `v'H^-1 v` the parts tell `v_p'D_p^-1 v_p` and what they
leave, `r = v_h - sum_p C_p' D_p^-1 v_p`, of which `r'S^-1 r` is the rest. So one question to each
part gives all: see `linear_curvature` for what is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_approximations.cross_products import CrossProducts
from interlace_approximations.linear_curvature import (
    Directions,
    Slopes,
    column_slopes,
    directions_at,
    slopes_of,
    variance_slopes,
)
from interlace_approximations.linear_point import Across, LinearPoint, Scaled
from interlace_core.contract import Array
from interlace_core.engine import Traces, complement_traces, mirrored


@dataclass(frozen=True)
class Left:
    """What a part's own effects leave for the effects that all parts share; adds up.

    Attributes
    ----------
    products : list of ndarray, shape (h (h + 1) / 2,)
        Y_a'Y_b of each pair of effects, packed.
    moved : ndarray, shape (h, m s)
        -C' D^-1 v of the part's own v.
    directions : Directions
        Of the part's own factor and of those that all parts share: the same in all parts.
    levels : tuple of int
        Of the latter.
    """

    products: list[Array]
    moved: Array
    directions: Directions
    levels: tuple[int, ...]

    def __add__(self, other: Left) -> Left:
        """Return that of both parts."""
        products = [a + b for a, b in zip(self.products, other.products, strict=True)]
        return Left(products, self.moved + other.moved, self.directions, self.levels)


@dataclass(frozen=True)
class PartSlopes:
    """What a part has of the second derivatives; adds up.

    Attributes
    ----------
    slopes : Slopes, or None
        None where some part has none.
    left : Left, or None
        None where no effects are shared, or some part has none.
    """

    slopes: Slopes | None = None
    left: Left | None = None

    def __add__(self, other: PartSlopes) -> PartSlopes:
        """Return that of both parts."""
        if self.slopes is None or other.slopes is None:
            return PartSlopes()
        left = None
        if self.left is not None and other.left is not None:
            left = self.left + other.left
        return PartSlopes(self.slopes + other.slopes, left)


def slopes_in(
    data: CrossProducts, psi: Array, columns: Array, across: Across | None, scaled: Scaled | None
) -> PartSlopes:
    """Return what a part has.

    Parameters
    ----------
    data : CrossProducts
        Of the part, in the columns of all rows.
    psi : ndarray, shape (n_psi,)
    columns : ndarray, shape (p + 1, s)
    across : Across, optional
        What it is told of the effects that all parts share.
    scaled : Scaled, optional
        With its own effects eliminated, where there are others.
    """
    directions = directions_at(data, psi)
    if directions is None:
        return PartSlopes()
    point = LinearPoint(data, psi, across, scaled)
    if across is None or scaled is None:
        return PartSlopes(slopes_of(point, directions, columns))
    own = directions.of(slice(0, 1))
    found = scaled.eliminated.traces(across.inverse, own.D[0])
    if found is None:
        return PartSlopes()
    traces, products = found
    factors = point.layout.structure.factors
    variance = variance_slopes(own, [factors[0].shape[1]], traces, data.n)
    if variance is None:
        return PartSlopes()
    nothing = [np.zeros(each.shape) for each in factors[1:]]
    left: list[Array] = []

    def of_part(moved: list[Array]) -> Array:
        (v,) = (each.reshape(each.shape[0], -1, each.shape[-1]) for each in moved)
        solved = []
        for j in range(v.shape[1]):
            parts = [np.ascontiguousarray(v[:, j]), *nothing]
            left.append(scaled.eliminated.reduce(parts))
            solved.append(scaled.eliminated.solve(parts)[0])
        return np.asarray(np.einsum("ajl,akl->jk", v, np.stack(solved, axis=1), optimize=True))

    first, second = column_slopes(own, point.U[:1], columns, point.M, of_part)
    levels = tuple(each.shape[1] for each in factors[1:])
    told = Left(products, np.array(left).T, directions, levels)
    return PartSlopes(Slopes(variance, first, second), told)


def with_shared(found: PartSlopes, across: Across | None, columns: Array) -> Slopes | None:
    """Return what all parts have, with that of the effects that they share.

    None where some part has none, or rounding hides it.

    Parameters
    ----------
    found : PartSlopes
        Of all parts.
    across : Across, or None
    columns : ndarray, shape (p + 1, s)
    """
    left = found.left
    if found.slopes is None or across is None:
        return found.slopes
    if left is None:
        return None
    shared = left.directions.of(slice(1, None))
    S_inverse = mirrored(across.inverse)
    sizes = [len(J[0]) * L for J, L in zip(shared.J, left.levels, strict=True)]
    ends = np.cumsum(sizes)
    places = [slice(end - size, end) for size, end in zip(sizes, ends.tolist(), strict=True)]
    products = [mirrored(each) for each in left.products]
    traces = complement_traces(S_inverse, products, left.directions.D, places)
    variance = variance_slopes(shared, list(left.levels), Traces(traces.products, traces.sums), 0)
    if variance is None:
        return None
    U = [
        across.effects[place].reshape(-1, L, across.effects.shape[1]).transpose(0, 2, 1)
        for place, L in zip(places, left.levels, strict=True)
    ]

    def of_shared(moved: list[Array]) -> Array:
        v = [each.reshape(each.shape[0], -1, each.shape[-1]) for each in moved]
        r = np.concatenate([each.transpose(0, 2, 1).reshape(-1, each.shape[1]) for each in v])
        r = r + left.moved
        return np.asarray(r.T @ S_inverse @ r)

    M = np.zeros(found.slopes.first.shape[1:])
    first, second = column_slopes(shared, U, columns, M, of_shared)
    return found.slopes + Slopes(variance, first, second)
