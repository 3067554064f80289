"""Whether the conditional mode that a fit ended at is the lowest, and whether others compete.

Once per fit, for families that do not say that they are log-concave. The mode is searched anew
at the estimates: by scans, and from several starts where these do not go through all of the
space. A lower one makes the fit continue from there; one that is higher but near leaves its part
of the integral out of an approximation around a single mode, and the status says how much that
is. A refit by known curvature (`near`) is not checked.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import Optimizer
from interlace_core.contract.parts import total
from interlace_core.contract.problem import Problem, random_predictors
from interlace_core.engine.across_search import knowing
from interlace_core.engine.elimination.smallblocks import sandwich
from interlace_core.engine.joint_density import Conditional, effects_covariance
from interlace_core.engine.known import known_at
from interlace_core.engine.layout import layout_of
from interlace_core.engine.mode import Mode, find_mode
from interlace_core.engine.other_modes import (
    OtherModes,
    is_lower,
    lower_mode,
    one_effect_per_level,
    other_modes,
)
from interlace_core.engine.shares import mode_at
from interlace_core.fitting.objective import SearchStopped, possible_objective
from interlace_core.fitting.optimum import Optimum, Search
from interlace_core.fitting.polish import polish
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import Array, BoolArray, Evaluation
from interlace_core.registry.blame import guard

STARTS = (0.0, 1.0, -1.0, 3.0, -3.0)
"""Values of all u from which the mode is searched again, in standard deviations of the prior;
scans have seen them all where they go through the whole space."""

NEAR = 7.0
"""What f at another mode may lie above the lowest for it to count: beyond, it has less than a
thousandth of the mass."""

LEAST_MISSED = 0.01
"""Log-likelihood that other modes have to add, roughly, for the status to mention them. Laplace's
own error is larger in most fits."""


MOST_VARIANCE = 10.0
"""Variance of a random effect given the data, in variances of its prior, beyond which its density
has all but lost its mode. With a log-concave density it is below 1; where it is this large the
value of an approximation around the mode is more than 1.1 too high, and rises without an end."""


LOST_VARIANCE = 100.0
"""The same from which a search is given up: what it stands on is 2.3 too high, and rises."""


INSTEAD = "Take more quadrature points (nAGQ), fewer effects, or another family"
"""What to do about a group without a mode."""


@dataclass(frozen=True)
class Competition:
    """What else the joint density has beside the mode of a fit.

    Attributes
    ----------
    lower : ndarray, shape (q,), or None
        A better mode than that of the fit.
    gain : float
        What it has more in log-density.
    near : tuple of str
        Levels with another mode near theirs, in words, by factor.
    missed : float
        About what the modes nearby would add to the log-likelihood.
    """

    lower: Array | None = None
    gain: float = 0.0
    near: tuple[str, ...] = ()
    missed: float = 0.0

    def __add__(self, other: Competition) -> Competition:
        """Return what competes in the rows of both."""
        lower = self.lower if other.lower is None else other.lower
        near = (*self.near, *other.near)
        return Competition(lower, self.gain + other.gain, near, self.missed + other.missed)


def search_from_lower_mode(
    search: Search,
    optimum: Optimum,
    approximation: Approximation,
    optimizer: Optimizer,
    tol_decrement: float,
) -> tuple[Optimum, Competition]:
    """Return the optimum, searched again if its mode was not the lowest, and what competes there.

    The value at a mode that is not the lowest is that of no approximation of the likelihood, so
    that it is given up even where it is the higher one. Rows in parts, whose modes are elsewhere,
    are not searched again: the verdict says that the mode is not the best.
    """
    found = compare_modes(search.problem, optimum.psi, optimum.evaluation.mode)
    if found.lower is None or search.problem.parts is not None:
        return optimum, found
    from_lower = approximation.objective_from(search.problem, found.lower)
    objective = search.objective.anew(possible_objective(approximation, search.problem, from_lower))
    objective.at(optimum.psi)
    if objective.best is None:
        return optimum, found
    again = polish(
        searched(replace(search, objective=objective), optimum.psi, optimizer), tol_decrement
    )
    return again, compare_modes(search.problem, again.psi, again.evaluation.mode)


def searched(search: Search, psi: Array, optimizer: Optimizer) -> Search:
    """Return a search with what the optimizer reached from psi, however it ended."""
    objective = search.objective
    here = objective.coordinates.around(psi)
    moving = objective.seen_in(here)
    with guard(optimizer, "minimize"), suppress(SearchStopped):
        optimizer.minimize(moving, np.clip(0.0, here.lower, here.upper), (here.lower, here.upper))
    return replace(search, objective=moving.seen_in(objective.coordinates))


def with_competition(verdict: Verdict, found: Competition) -> Verdict:
    """Return the verdict with what is to be said of the modes."""
    if found.lower is not None:
        message = (
            "not reached: the conditional mode is not unique (another one is better by "
            f"{found.gain:.2g}), and the search does not keep to the best"
        )
        return replace(verdict, status="not reached", converged=False, message=message)
    if found.missed < LEAST_MISSED:
        return verdict
    message = (
        f"{verdict.message}; the conditional mode competes with others: {'; '.join(found.near)}. "
        f"An approximation around one mode leaves out about {found.missed:.2g} of log-likelihood: "
        "see result.accuracy(), or take more points (nAGQ) where the model allows it"
    )
    return replace(verdict, message=message)


def with_unsound(verdict: Verdict, competition: Competition, lost: str) -> tuple[Verdict, str]:
    """Return the verdict with what makes the value unsound, and that alone.

    Parameters
    ----------
    verdict : Verdict
    competition : Competition
    lost : str
        Groups that have all but lost their mode, from `vanishing`.
    """
    if not lost:
        why = "" if competition.lower is None else "the conditional mode is not the lowest"
        return with_competition(verdict, competition), why
    message = (
        f"not reached: the density of {lost} all but loses its mode there, where the approximation "
        f"rises without an end and is none of the likelihood. {INSTEAD}"
    )
    why = f"the density of {lost} all but loses its mode"
    return replace(verdict, status="not reached", converged=False, message=message), why


def at_stand_in(verdict: Verdict, lost: str) -> Verdict:
    """Return the verdict on the end of a stand-in, from where the approximation has no optimum.

    Parameters
    ----------
    verdict : Verdict
    lost : str
        Groups that all but lost their mode further on, from `vanishing`.
    """
    message = (
        "not reached: the estimates are those of a bounded stand-in. Further on the density of "
        f"{lost} all but loses its mode, where the approximation rises without an end and is none "
        f"of the likelihood. {INSTEAD}"
    )
    return replace(verdict, status="not reached", converged=False, message=message)


def lost_at(search: Search, psi: Array, evaluation: Evaluation) -> str:
    """Return which groups have all but lost their mode at a point of a search, as `vanishing`.

    Rows in parts remember the mode of what was evaluated last, and are asked for it once more.
    """
    latest = search.objective.tally.latest[0]
    if search.problem.parts is not None and not _is_unique(search.problem):
        if latest is None or not np.array_equal(latest, psi):
            search.objective.evaluate(psi)
    return vanishing(search.problem, psi, evaluation.mode)


def is_lost(problem: Problem, psi: Array, mode: Array) -> bool:
    """Return whether a group has lost its mode so far that no search comes back.

    Parameters
    ----------
    problem, psi, mode
        As for `compare_modes`.
    """
    return bool(vanishing(problem, psi, mode, LOST_VARIANCE))


def vanishing(problem: Problem, psi: Array, mode: Array, most: float = MOST_VARIANCE) -> str:
    """Return which groups have all but lost their mode, in words; empty if none has.

    There the curvature of the joint density vanishes in some direction, Laplace's approximation
    is no approximation, and a search that follows it climbs for ever.

    Parameters
    ----------
    problem, psi, mode
        As for `compare_modes`.
    most : float
        Variance given the data, in variances of the prior, that leaves a group its mode.
    """
    if _is_unique(problem):
        return ""
    found: _Lost = total(knowing(problem, psi), _Lost.at, psi, mode, most)
    return " and ".join(
        f"{count} of {levels} levels of {name}" if count else f"the levels of {name}"
        for name, (count, levels) in found.factors.items()
    )


def _is_unique(problem: Problem) -> bool:
    """Return whether the conditional mode is unique, as the family says."""
    predictors = random_predictors(problem)
    return not predictors or problem.family.log_concave(predictors)


def _own_mode(problem: Problem, psi: Array, mode: Array) -> Array:
    """Return the mode of a part, which is not that of all rows."""
    return (
        mode if mode.size == layout_of(problem, rows="any").structure.q else mode_at(problem, psi)
    )


@dataclass(frozen=True)
class _Lost:
    """Factors of which levels have all but lost their mode.

    Attributes
    ----------
    factors : dict from str to (int, int)
        How many levels of how many; 0 of 0 where the mode of all is lost.
    """

    factors: dict[str, tuple[int, int]]

    @classmethod
    def at(cls, problem: Problem, psi: Array, mode: Array, most: float) -> _Lost:
        blocks = effects_covariance(problem, psi, _own_mode(problem, psi, mode))
        found = {}
        for index, factor in enumerate(layout_of(problem, rows="any").structure.factors):
            if blocks is None:
                return cls({factor.name: (0, 0)})
            block = np.moveaxis(np.nan_to_num(blocks[index], nan=1e300), -1, 0)
            largest = np.linalg.eigvalsh(block)[:, -1]
            count = int(np.count_nonzero(~(largest < most)))
            if count:
                found[factor.name] = (count, largest.size)
        return cls(found)

    def __add__(self, other: _Lost) -> _Lost:
        found = dict(self.factors)
        for name, (count, levels) in other.factors.items():
            before = found.get(name, (0, 0))
            found[name] = (before[0] + count, before[1] + levels)
        return _Lost(found)


def compare_modes(problem: Problem, psi: Array, mode: Array) -> Competition:
    """Return what competes with the mode of a fit at its estimates; nothing if that is certain.

    Parameters
    ----------
    problem : Problem
    psi : ndarray, shape (n_psi,)
    mode : ndarray, shape (q,)
        As in the evaluation at psi.
    """
    if _is_unique(problem):
        return Competition()
    found: Competition = total(knowing(problem, psi), _compared, psi, mode)
    return found


def _compared(problem: Problem, psi: Array, mode: Array) -> Competition:
    """Return what competes with the mode of a problem, or of a part of one."""
    conditional, start = Conditional(layout_of(problem), psi), _own_mode(problem, psi, mode)
    known = known_at(problem, psi)
    if known is not None:  # what a part has beside the effects that all parts share
        conditional = Conditional.alone(layout_of(problem), psi, known.u)
        start = start[: -known.u.size]
    here = find_mode(conditional, start)
    if here is None:
        return Competition()
    lowest = _lowest(conditional, here)
    if lowest is not here:
        return Competition(lowest.point.u, here.point.value - lowest.point.value)
    near, missed = [], 0.0
    for found in other_modes(conditional, here, NEAR):
        levels = (found.rise > 0.0) & (found.rise < NEAR)
        if np.any(levels):
            near.append(_in_words(found, levels))
            missed += _missed(conditional, here, found, levels)
    return Competition(near=tuple(near), missed=missed)


def _lowest(conditional: Conditional, here: Mode) -> Mode:
    """Return the lowest mode that several starts lead to; the given one if none is lower."""
    lowest = here
    for start in () if one_effect_per_level(conditional) else STARTS:
        mode = find_mode(conditional, np.full(here.point.u.size, start))
        if mode is not None and is_lower(mode.point, lowest.point):
            lowest = mode
    return lower_mode(conditional, lowest) or lowest


def _in_words(found: OtherModes, levels: BoolArray) -> str:
    count, least = int(np.count_nonzero(levels)), float(np.min(found.rise[levels]))
    return (
        f"{count} of {levels.size} levels of {found.factor.name} "
        f"{'has' if count == 1 else 'have'} another, {least:.2g} above the best where it is nearest"
    )


def _missed(conditional: Conditional, here: Mode, found: OtherModes, levels: BoolArray) -> float:
    """Return about what the other modes' own Laplace approximations would add.

    The curvature within each level's block stands for the whole: exact for one factor.
    """
    f = conditional.layout.structure.factors.index(found.factor)
    ratio = _log_curvature(conditional, here, f) - _log_curvature(conditional, found.mode, f)
    share = np.exp(np.minimum(0.5 * ratio - found.rise, NEAR))
    return float(np.sum(np.log1p(share[levels])))


def _log_curvature(conditional: Conditional, mode: Mode, f: int) -> Array:
    """Return log|H| of each level's block, shape (L,)."""
    T = conditional.T[f]
    H = np.moveaxis(sandwich(T, mode.information[f, f], T), -1, 0) + np.eye(T.shape[0])
    return np.asarray(np.linalg.slogdet(H)[1])
