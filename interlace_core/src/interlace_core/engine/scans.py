"""Scans of f(u) through a mode, along lines in the effects of every level of a factor at once.

Given everything else, the levels of a factor are separate functions of their own effects. f and
its slope are taken at points over three standard deviations of the prior, in steps of the natural
unit of the predictor or a little more; two neighbours with slopes towards each other have a dip
between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.joint_density import Conditional, Point, scaled, weighted_derivatives
from interlace_core.engine.structure import Factor
from interlace_core.records import Array, BoolArray

STEP = 1.5
"""Longest step of a scan in natural units of the predictor. Of 60 points about a fit of lognormal
slopes, values depended on the way there at none with this and at one with 2; 1 was no better."""

REACH, FAR = 3.0, 6.0
"""Standard deviations of the prior that a scan covers to each side, and where one more point is: a
mode beyond 3 costs more than 4.5 in f, and levels that need one are outliers by themselves."""

MOST_STEPS = 10
"""Steps to each side at most. Effects that reach further than 10 natural units of their predictor
are scanned more coarsely than by the unit."""

MOST_LINES = 16
"""Lines through each mode: four columns have so many axes and diagonals. A zero part with effects
at 96 places took 9,216 lines and 25 s for each evaluation."""

ENTRIES = 2_000_000
"""Rows times steps that are evaluated at once: 16 MB an array."""


def dips(conditional: Conditional, point: Point, f: int, within: float) -> Array | None:
    """Return u with the deepest dip of each level's scans in place of its mode; None if no dip."""
    factor = conditional.layout.structure.factors[f]
    u = point.u.copy()
    effects = u[factor.place].reshape(factor.shape)  # a view
    deepest = np.full(factor.rows.size, within)
    moved = effects.copy()
    for line in _lines(conditional.T[f]):
        if not np.any(conditional.T[f] @ line):
            continue  # a variance of 0: nothing moves but the prior
        with np.errstate(over="ignore", invalid="ignore"):  # far points, and far psi
            scan = _scan(conditional, point, f, line)
            x, depth = _deepest(scan)
        here = depth < deepest
        away = np.where(here, x - scan.mode, 0.0) * line[:, None]
        moved = np.where(here, effects + away, moved)
        deepest = np.where(here, depth, deepest)
    if np.array_equal(moved, effects):
        return None
    effects[:] = moved
    return u


def _lines(T: Array) -> list[Array]:
    """Return the lines that are scanned, shape (c,) each: the axes, and the diagonals of two.

    Of many columns the axes that move their effects most: all diagonals would take the square.
    """
    axes = np.eye(len(T))
    if len(T) ** 2 <= MOST_LINES:
        pairs = list(combinations(axes, 2))
        return [*axes, *(a + b for a, b in pairs), *(a - b for a, b in pairs)]
    moved = np.sum(np.square(T), axis=0)
    return list(axes[np.argsort(-moved, kind="stable")[:MOST_LINES]])


@dataclass(frozen=True)
class _Scan:
    """f along a line through the mode of every level, all else as there; increasing in x.

    Attributes
    ----------
    mode : ndarray, shape (L,)
        Place of the mode.
    x, rise, slope : ndarray, shape (m, L)
        Place on the line, 0 where it is nearest to u = 0; f above the mode there, its derivative.
    side : ndarray, shape (m, L)
        -1, 0 or 1: whether the point lies left of the mode, is the mode, or lies right of it.
    """

    mode: Array
    x: Array
    rise: Array
    slope: Array
    side: Array


def _scan(conditional: Conditional, point: Point, f: int, line: Array) -> _Scan:
    """Return the scan of factor f's levels along a line, the mode among its points."""
    problem, factor = conditional.layout.problem, conditional.layout.structure.factors[f]
    square = float(line @ line)
    u = line @ point.u[factor.place].reshape(factor.shape) / square
    directions = _directions(factor, conditional.T[f] @ line)
    grid = _grid(problem, point, directions)
    parts = [
        _along(problem, factor, point, u, square, directions, part)
        for part in np.array_split(grid, -(-grid.size * problem.n // ENTRIES))
    ]
    zero = np.zeros((1, u.size))
    x = np.concatenate([np.broadcast_to(grid[:, None], (grid.size, u.size)), u[None]])
    rise = np.concatenate([*(rise for rise, _ in parts), zero])
    slope = np.concatenate([*(slope for _, slope in parts), zero])
    order = np.argsort(x, axis=0, kind="stable")
    x, rise, slope = (np.take_along_axis(each, order, 0) for each in (x, rise, slope))
    return _Scan(u, x, rise, slope, np.sign(x - u))


def _directions(factor: Factor, T: Array) -> dict[int, Array]:
    """Return by how much a step along a line moves each predictor's rows, shape (n,) or () each."""
    slopes: dict[int, Array] = {}
    if (points := factor.points) is not None:
        rows = np.repeat(T, factor.rows.size)[points.cells.codes]
        return {points.predictor: scaled(rows, points.z, None)}
    for column, t in zip(factor.columns, T, strict=True):
        moved = np.asarray(scaled(np.asarray(t), column.z, None))
        slopes[column.predictor] = slopes.get(column.predictor, np.zeros(())) + moved
    return slopes


def _grid(problem: Problem, point: Point, directions: dict[int, Array]) -> Array:
    """Return the points of a scan in units of the prior, 0 among them."""
    reach = 0.0
    for r, direction in directions.items():
        size = float(np.sqrt(np.mean(np.square(direction)))) / _natural_unit(problem, point, r)
        reach = max(reach, REACH * size if np.isfinite(size) else 0.0)
    steps = int(min(np.ceil(reach / STEP), MOST_STEPS)) or 1
    return np.concatenate([[-FAR], np.linspace(-REACH, REACH, 2 * steps + 1), [FAR]])


def _natural_unit(problem: Problem, point: Point, r: int) -> float:
    """Return over what change of a predictor a row's log-density takes another shape.

    1 where its link leads from a bounded scale to the whole line; else it is in units of the data,
    and the information and the spread of the scores tell (as for the start of a fit).
    """
    link = problem.predictors[r].parameter.link
    if np.any(np.isfinite(link.domain)) and not np.any(np.isfinite(link.eta_domain)):
        return 1.0
    first, second = point.derivatives.get(r), point.derivatives.get(r, r)
    if first is None or second is None:
        return 1.0
    information = float(np.mean(np.abs(second)))
    if not (np.isfinite(information) and information > 0.0):
        return 1.0
    spread = float(np.sqrt(np.mean(np.square(first)))) / information
    return max(1.0 / float(np.sqrt(information)), spread)


def _along(
    problem: Problem,
    factor: Factor,
    point: Point,
    u: Array,
    square: float,
    directions: dict[int, Array],
    grid: Array,
) -> tuple[Array, Array]:
    """Return f above the mode, infinite where undefined, and its slope, shape (steps, L) each."""
    away = (grid[:, None] - u)[:, factor.rows.codes]
    eta = [
        each + away * directions[k] if k in directions else each for k, each in enumerate(point.eta)
    ]
    there = weighted_derivatives(problem, eta, 1, tuple(sorted(directions)))
    change = there.value - point.derivatives.value
    rise = 0.5 * square * (np.square(grid)[:, None] - np.square(u)) - factor.rows.sum(change)
    slope = np.broadcast_to(square * grid[:, None], rise.shape)
    for k, direction in directions.items():
        score = there.get(k)
        if score is not None:
            slope = slope - factor.rows.sum(score * direction)
    defined = np.isfinite(rise) & np.isfinite(slope)
    return np.where(defined, rise, np.inf), np.where(defined, slope, 0.0)


def _deepest(scan: _Scan) -> tuple[Array, Array]:
    """Return each level's deepest dip beside the mode and how low f may be there, (L,) each.

    A dip lies between two points with slopes towards each other, beyond the ends, or at a point
    below the mode. Where f is convex between two points, it is nowhere below the tangents, which
    bounds what the dip can gain.
    """
    # seen from elsewhere f falls to the mode on both sides: no dip begins or ends there
    beside = scan.side != 0.0
    falls, rises = beside & (scan.slope < 0.0), beside & (scan.slope > 0.0)
    x, depth = _between(scan, falls, rises)
    low, high = _beyond(scan, 0, rises), _beyond(scan, -1, falls)
    below = np.where(beside & (scan.rise < 0.0), scan.rise, np.inf)
    x = np.concatenate([scan.x[:1], x, scan.x[-1:], scan.x])
    depth = np.concatenate([low[None], depth, high[None], below])
    best = np.argmin(depth, axis=0)[None]
    return np.take_along_axis(x, best, 0)[0], np.take_along_axis(depth, best, 0)[0]


def _between(scan: _Scan, falls: BoolArray, rises: BoolArray) -> tuple[Array, Array]:
    """Return where a dip between neighbours may be and how low, (m - 1, L); infinite if none."""
    a, b = slice(None, -1), slice(1, None)
    dip = falls[a] & rises[b]
    # a slope away from the lower end: f turns twice
    dip |= rises[a] & rises[b] & (scan.rise[b] < scan.rise[a])
    dip |= falls[a] & falls[b] & (scan.rise[a] < scan.rise[b])
    dip &= (scan.side[a] == scan.side[b]) & np.isfinite(scan.rise[a]) & np.isfinite(scan.rise[b])
    width = scan.x[b] - scan.x[a]
    turn = np.where(dip & falls[a] & rises[b], scan.slope[b] - scan.slope[a], np.inf)
    with np.errstate(invalid="ignore"):
        meet = (scan.rise[a] - scan.rise[b] + scan.slope[b] * width) / turn
    convex = np.isfinite(turn) & (meet >= 0.0) & (meet <= width)
    lower = np.where(scan.rise[a] < scan.rise[b], scan.x[a], scan.x[b])
    x = np.where(convex, scan.x[a] - scan.slope[a] / turn * width, lower)
    # f that is not convex in between can fall by any amount
    depth = np.where(convex, scan.rise[a] + scan.slope[a] * meet, -np.inf)
    return x, np.where(dip, depth, np.inf)


def _beyond(scan: _Scan, end: int, outwards: BoolArray) -> Array:
    """Return how low f may be beyond an end that it falls towards, shape (L,); infinite if not.

    The curvature of the prior, at least 1, stops it after a way as long as its slope.
    """
    dip = outwards[end] & (scan.side[end] != 0.0) & np.isfinite(scan.rise[end])
    return np.where(dip, scan.rise[end] - 0.5 * np.square(scan.slope[end]), np.inf)
