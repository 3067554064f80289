"""The conditional mode of the random effects by damped Newton steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interlace_core.engine.conjugate import newton_step
from interlace_core.engine.elimination.factorisation import Factorisation
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.joint_density import Conditional, Point
from interlace_core.engine.structure import Blocks
from interlace_core.records import Array, Derivatives


@dataclass(frozen=True)
class ModeSettings:
    """When to stop and when to give up.

    Attributes
    ----------
    tol_sq_decrement : float
        Stop where the squared Newton decrement g' H^-1 g (twice the possible gain in f) is
        below this. Newton's method squares the error, so the step that meets it has usually
        passed it by far; 1e-16 leaves u exact to 1e-8 in units of its standard deviation.
    max_iterations : int
        Newton steps.
    max_halvings : int
        Halvings of one step before it counts as failed.
    """

    tol_sq_decrement: float = 1e-16
    max_iterations: int = 100
    max_halvings: int = 40


@dataclass(frozen=True)
class Mode:
    """The mode and everything an approximation needs there.

    Attributes
    ----------
    point : Point
        With derivatives to order 3.
    information : Blocks
        A = Z' W Z.
    factorisation : Factorisation
        Of H = Lambda' A Lambda + I.
    gradient, step : ndarray, shape (q,)
        What is left of f' and the Newton step it calls for, both below the tolerance.
    iterations : int
    """

    point: Point
    information: Blocks
    factorisation: Factorisation
    gradient: Array
    step: Array
    iterations: int


DEFAULT_SETTINGS = ModeSettings()

MAX_REACH = 2.0
"""Change of a predictor beyond which the last mode is no start: a search from 0 is shorter."""


ROUNDING = 2.0 * float(np.finfo(np.float64).eps)
"""Relative error of a predictor: of the sum, and of its largest summand."""

ROUNDING_LOOKED_AT = 1e-3
"""Squared decrement up to which rounding may be all that is left: it is 1e-3 where a response of
spread 1 is 1e14 from 0, and has no more digits."""


class ModeMemory:
    """Continues the last mode to a new psi: where to start, never what to answer.

    Parameters
    ----------
    q : int
        Length of u.
    first : ndarray, shape (q,), optional
        The start where there is no last mode; 0 by default.
    """

    def __init__(self, q: int, first: Array | None = None) -> None:
        self._zero = np.zeros(q)
        self._first = self._zero if first is None else first
        self._last: tuple[dict[int, Array], list[Array], Point] | None = None
        self._factorisation: Factorisation | None = None

    def take_factorisation(self) -> Factorisation | None:
        """Return the factorised H at the last mode and forget it.

        It can be as large as all else together: whoever takes it can let go of it before
        making the next one.
        """
        known, self._factorisation = self._factorisation, None
        return known

    def remember(self, conditional: Conditional, mode: Mode) -> None:
        """Keep of a mode that was found what `predict` needs: the rest is as large as the data."""
        found, random = (
            mode.point.derivatives.partials,
            conditional.layout.structure.random_predictors,
        )
        moved = {k: conditional.eta_fixed[k] for k in _without_random(conditional)}
        sums = conditional.sums({r: mode.point.derivatives.get(r) for r in random})
        # a family may compute each when it is asked for: the others are left alone
        wanted = [key for key in found if len(key) == 2 and any(k in random for k in key)]
        partials: dict[tuple[int, ...], Array] = {key: found[key] for key in wanted}
        slim = Derivatives(np.zeros(0), partials)
        self._last = moved, sums, replace(mode.point, derivatives=slim, order=2)
        self._factorisation = mode.factorisation

    def predict(self, conditional: Conditional) -> Array:
        """Return a start for the mode of f at another psi, shape (q,).

        The mode moves smoothly with psi. To first order the slope of f at the last mode changes
        by what psi does to the predictors and to Lambda; the Newton step that this calls for
        leaves an error of the square of the distance, without another look at the density.
        """
        if self._last is None:
            return self._first
        last, sums, point = self._last
        u, derivatives = point.u, point.derivatives
        structure = conditional.layout.structure
        moved = {k: conditional.eta_fixed[k] - last[k] for k in _without_random(conditional)}
        for r, there in conditional.push(u).items():
            moved[r] = conditional.eta_fixed[r] + there - point.eta[r]
        if not all(np.abs(change).max() <= MAX_REACH for change in moved.values()):
            return self._zero
        if self._factorisation is None:
            return u
        changes: dict[int, Array | None] = {}
        for r in structure.random_predictors:
            total = None
            for k, change in moved.items():
                if (second := derivatives.get(r, k)) is not None:
                    total = second * change if total is None else total + second * change
            changes[r] = total
        parts = zip(sums, conditional.sums(changes), strict=True)
        slope = u - conditional.transposed([before + change for before, change in parts])
        return np.asarray(u - conditional.solve(self._factorisation, slope))


def _without_random(conditional: Conditional) -> list[int]:
    """Return the predictors that psi moves, and random effects do not."""
    problem, random = conditional.layout.problem, conditional.layout.structure.random_predictors
    return [k for k in problem.active() if problem.predictors[k].X.shape[1] and k not in random]


def find_mode(
    conditional: Conditional,
    start: Array,
    settings: ModeSettings = DEFAULT_SETTINGS,
    memory: ModeMemory | None = None,
) -> Mode | None:
    """Return the mode of f(u), or None if it was not found.

    From `start`, and from 0 if that leads nowhere:

    1. Evaluate f where the search begins.
    2. Where a factorisation costs more than passes over the data, one at another point serves to
       find the Newton step by conjugate gradients; only the mode gets one of its own.
    3. Else factorise H, or a stand-in where it is not positive definite, and solve for the step.
    4. Stop where the step has nothing to gain beyond the tolerance, or rounding.
    5. Halve the step until f falls enough.

    Parameters
    ----------
    conditional : Conditional
        f at the psi in question.
    start : ndarray, shape (q,)
        Where to begin; changes the number of steps, not the answer.
    settings : ModeSettings
    memory : ModeMemory, optional
        Gives the factorisation at the last mode; changes the time, not the answer.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # no mode is the answer then
        mode = _search(conditional, start, settings, memory)
        if mode is None and np.any(start):
            # the mode of a distant psi can lie where steps overflow or crawl
            return _search(conditional, np.zeros_like(start), settings, None)
        return mode


def _search(
    conditional: Conditional, start: Array, settings: ModeSettings, memory: ModeMemory | None
) -> Mode | None:
    bargain = conditional.layout.plan.bargain
    known = memory.take_factorisation() if memory is not None else None
    # 1. the first point
    point = _start(conditional, start)
    if point is None:
        return None
    for iteration in range(1, settings.max_iterations + 1):
        gradient = conditional.gradient(point)
        # 2. a step with a factorisation from elsewhere
        if known is not None and bargain:
            found = newton_step(conditional, point, gradient, known, settings.tol_sq_decrement)
            step, products = found or (np.zeros_like(gradient), 0)
            if -float(gradient @ step) > 0.1 * settings.tol_sq_decrement:
                point = _descend(conditional, point, step, -float(gradient @ step), settings)
                if point is None:
                    return None
                known = known if products <= bargain else None
                continue
        # 3. a step with one of its own
        known = factorisation = None  # before the next one takes as much memory
        information, factorisation, exact = curvature(conditional, point)
        if factorisation is None:
            return None
        known = factorisation if exact else None
        step = -conditional.solve(factorisation, gradient)
        sq_decrement = -float(gradient @ step)
        if not np.isfinite(sq_decrement):
            return None
        # 4. the mode
        if exact and is_converged(conditional, point, sq_decrement, settings.tol_sq_decrement):
            if point.order < 3:
                point = conditional.evaluate(point.u, 3)
            return Mode(point, information, factorisation, gradient, step, iteration)
        # 5. the length of the step
        point = _descend(conditional, point, step, sq_decrement, settings)
        if point is None:
            return None
    return None


def curvature(conditional: Conditional, point: Point) -> tuple[Blocks, Factorisation | None, bool]:
    """Return A, the factorised H, and whether these are the observed information's.

    Where that is not positive definite, of a stand-in that is; H is None where neither is.
    """
    information = conditional.information(point)
    try:
        return information, conditional.factorise(information), True
    except NotPositiveDefiniteError:
        pass
    stand_in = conditional.information(point, concave=True)
    try:
        return stand_in, conditional.factorise(stand_in), False
    except NotPositiveDefiniteError:
        return stand_in, None, False


def is_converged(
    conditional: Conditional, point: Point, sq_decrement: float, tol_sq_decrement: float
) -> bool:
    """Return whether a squared Newton decrement is below its tolerance, or below rounding.

    A response far from 0 compared with its spread leaves few digits for what is sought: rounding
    d of the predictors alone makes a decrement of up to d' W d.
    """
    if sq_decrement <= tol_sq_decrement:
        return True
    if sq_decrement > ROUNDING_LOOKED_AT:
        return False
    total = 0.0
    for r in conditional.layout.structure.random_predictors:
        second = point.derivatives.get(r, r)
        if second is None:
            continue
        # by the largest of all rows first, which settles nearly every question
        most = max(float(np.abs(point.eta[r]).max()), conditional.reach(r))
        weight = float(np.abs(second).sum())
        if sq_decrement <= weight * np.square(ROUNDING * most):
            weights = np.abs(second) * np.square(_rounding(conditional, point, r))
            total += float(np.sum(weights))
    return sq_decrement <= total


def value_noise(conditional: Conditional, point: Point) -> float:
    """Return what rounding of the predictors changes f by."""
    total = 0.0
    for r in conditional.layout.structure.random_predictors:
        first, second = point.derivatives.get(r), point.derivatives.get(r, r)
        rounding = _rounding(conditional, point, r)
        if first is not None:
            total += float(np.sum(np.abs(first) * rounding))
        if second is not None:
            total += float(np.sum(np.abs(second) * np.square(rounding)))
    return total


def _rounding(conditional: Conditional, point: Point, r: int) -> Array:
    """Return the rounding of each row's predictor, of the size of its largest summand."""
    offset = conditional.layout.problem.predictors[r].offset
    fixed = np.maximum(np.abs(conditional.eta_fixed[r]), np.abs(offset))
    return np.asarray(ROUNDING * np.maximum(fixed, np.abs(point.eta[r])))


def _start(conditional: Conditional, start: Array) -> Point | None:
    """Return the first usable point: a warm start can be useless at a distant psi."""
    point = conditional.evaluate(start, 3)
    if np.isfinite(point.value):
        return point
    point = conditional.evaluate(np.zeros_like(start), 2)
    return point if np.isfinite(point.value) else None


def _descend(
    conditional: Conditional,
    point: Point,
    step: Array,
    sq_decrement: float,
    settings: ModeSettings,
) -> Point | None:
    """Return a point with sufficiently lower f along the step, halving it as needed."""
    # near the mode f no longer resolves the gain; the full step is then safe
    noise = 1e-12 * (1.0 + abs(point.value))
    order = 3 if sq_decrement < 1e-2 else 2
    length = 1.0
    for _ in range(settings.max_halvings):
        candidate = conditional.evaluate(point.u + length * step, order)
        if candidate.value <= point.value - 1e-4 * length * sq_decrement + noise:
            return candidate
        if length == 1.0 and sq_decrement <= ROUNDING_LOOKED_AT:
            noise += value_noise(conditional, point)
            if candidate.value <= point.value + noise:
                return candidate
        del candidate  # before the next one takes as much memory
        length *= 0.5
    return None
