"""The lowest of several conditional modes, where a density is not log-concave.

f(u) = -l + |u|^2 / 2 can then have several minima, and the one that Newton steps reach depends on
where they start. An objective has to be a function of psi alone, so that a mode is compared with
what lies elsewhere before it is used: f is scanned through the mode (`scans`), and a level whose
scan dips below its mode, or may do so between two steps, is searched anew from there.

For one scalar effect per level that is a search for the lowest of all modes. With several effects
per level, or several factors, it is one from the mode along axes and diagonals, not over all of
the space: a mode elsewhere can be missed, and which one is found then still depends on the start.

Cost: as many passes over the rows for first derivatives as a scan has points (5 to 9 mostly, 23 at
most): 0.3 to 0.8 more processor time for a fit with one effect per level (measured on 600 to
2,000 rows), 1.6 to 2 more for two effects, which have four lines; of many there are 16. That no row
is convex at the mode was tried as a reason to leave a scan out; it is none: a level can sit in
another mode where all of its rows are concave. Families that say they are log-concave never get
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.engine.joint_density import Conditional, Point
from interlace_core.engine.mode import DEFAULT_SETTINGS, Mode, ModeMemory, ModeSettings, find_mode
from interlace_core.engine.scans import dips
from interlace_core.engine.structure import Factor
from interlace_core.records import Array, BoolArray

TOL_REL_LOWER = 1e-9
"""By this, of 1 + |f|, another mode has to be lower to take the place of the one that was found.
Both are exact to about 1e-12; the value of a fit is then the same to its tolerance."""

WITHIN = 1.0
"""With several effects, how far above the mode a dip may lie to be searched from: f is lower
beside the axis. (With a single effect per level the dip itself has to be lower.)"""

MAX_ROUNDS = 5
"""Times that a lower mode is looked for from the last: two are usual where one is found at all."""


def lowest_mode(
    conditional: Conditional,
    start: Array,
    settings: ModeSettings = DEFAULT_SETTINGS,
    memory: ModeMemory | None = None,
) -> Mode | None:
    """Return the lowest mode of f(u) that scans lead to, or None if none was found.

    The mode that `find_mode` finds, to the bit, where the family is log-concave. Arguments as
    there; `start` changes the answer only where a scan does not see that another mode is lower.
    """
    mode = find_mode(conditional, start, settings, memory)
    if mode is None or conditional.layout.log_concave or not conditional.layout.structure.q:
        return mode
    for _ in range(MAX_ROUNDS):
        lower = lower_mode(conditional, mode, settings)
        if lower is None:
            break
        mode = replace(lower, iterations=mode.iterations + lower.iterations)
    return mode


def lower_mode(
    conditional: Conditional, mode: Mode, settings: ModeSettings = DEFAULT_SETTINGS
) -> Mode | None:
    """Return a mode lower than the given one, found from the dips of scans, or None."""
    within = 0.0 if one_effect_per_level(conditional) else WITHIN
    for found in other_modes(conditional, mode, within, settings):
        better = found.rise < 0.0
        if not np.any(better):
            continue
        u = np.where(found.level_of_effects(better), found.mode.point.u, mode.point.u)
        mixed = find_mode(conditional, u, settings)
        if mixed is not None and is_lower(mixed.point, mode.point):
            return mixed
    return None


def one_effect_per_level(conditional: Conditional) -> bool:
    """Return whether scans go through all of the space: one factor, one effect, no relation."""
    first, *others = conditional.layout.structure.factors
    return not others and first.shape[0] == 1 and first.independent


def is_lower(point: Point, than: Point) -> bool:
    """Return whether f is lower at a mode than at another by more than rounding."""
    return point.value < than.value - TOL_REL_LOWER * (1.0 + abs(than.value))


@dataclass(frozen=True)
class OtherModes:
    """What a search from the dips of one factor's levels found.

    Attributes
    ----------
    factor : Factor
    mode : Mode
        The mode that was reached, all levels with a dip moved at once.
    rise : ndarray, shape (L,)
        What it adds to f in the rows and effects of each level; 0 where it is the given mode.
    q : int
        Length of u.
    """

    factor: Factor
    mode: Mode
    rise: Array
    q: int

    def level_of_effects(self, levels: BoolArray) -> BoolArray:
        """Return which entries of u belong to some of the factor's levels, shape (q,)."""
        chosen = np.zeros(self.q, dtype=bool)
        chosen[self.factor.place] = np.broadcast_to(levels, self.factor.shape).ravel()
        return chosen


def other_modes(
    conditional: Conditional,
    mode: Mode,
    within: float,
    settings: ModeSettings = DEFAULT_SETTINGS,
) -> Iterator[OtherModes]:
    """Yield, factor by factor, the mode reached from dips to less than `within` above the mode.

    Levels that are correlated, by a known relation or as a chain, are left out: they are not
    separate.
    """
    for f, factor in enumerate(conditional.layout.structure.factors):
        if not factor.independent:
            continue
        start = dips(conditional, mode.point, f, within)
        if start is None:
            continue
        reached = find_mode(conditional, start, settings)
        if reached is None:
            continue
        before = _contributions(factor, mode.point)
        rise = _contributions(factor, reached.point) - before
        other = _stayed_away(factor, mode.point.u, start, reached.point.u)
        other &= np.abs(rise) > TOL_REL_LOWER * (1.0 + np.abs(before))
        yield OtherModes(factor, reached, np.where(other, rise, 0.0), start.size)


def _stayed_away(factor: Factor, mode: Array, start: Array, reached: Array) -> BoolArray:
    """Return which levels were moved off the mode and ended at least half as far from it, (L,)."""
    was, put, got = (u[factor.place].reshape(factor.shape) for u in (mode, start, reached))
    moved, away = np.sum(np.square(put - was), axis=0), np.sum(np.square(got - was), axis=0)
    return np.asarray((moved > 0.0) & (away > 0.25 * moved))


def _contributions(factor: Factor, point: Point) -> Array:
    """Return what each level's rows and effects add to f, shape (L,)."""
    own = 0.5 * np.sum(np.square(point.u[factor.place].reshape(factor.shape)), axis=0)
    return np.asarray(own - factor.rows.sum(point.derivatives.value))
