"""Profile likelihoods: everything else maximised while one quantity is held at a value.

The set {g(psi) = c} is searched in coordinates of its own. With V the covariance of the estimates
and C C' = V, psi = base + C (N y + t d): d is the direction in which g changes at least cost, N
spans what is orthogonal to it, and t is solved from g(psi) = c. On this surface the gradient is

    dF/dy = N' C' (F' - g' (d'C'F') / (d'C'g'))

so that the optimizer has an exact gradient, in coordinates scaled to standard errors, whatever
smooth function g is. Each point starts at the last. (Signed root of the deviance: Bates & Watts
1988, section 6.1.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace_core.guards import guard
from interlace_core.inference.quantities import Quantity, quantities, select
from interlace_core.objective import FAILED_RISE
from interlace_core.records import Array, Evaluation, Status
from interlace_core.training import Training, require_training

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult

TOL_ABS_ZETA = 1e-4
"""How closely zeta meets its target: 1e-4 standard errors, beyond any print."""

MAX_REFITS = 25
"""Refits per limit; the secant method takes 3 to 5."""

MAX_FACTOR = 40.0
"""Distance in standard errors at which an interval counts as open."""


@dataclass(frozen=True)
class Profile:
    """Profile likelihoods of some quantities.

    Attributes
    ----------
    points : DataFrame
        One row per refit: `parameter`, `value`, `zeta` (signed root of the rise in deviance;
        a straight line where the Wald interval is exact) and `loglik`.
    estimates : Series
        By parameter.
    notes : tuple of str
        What was noticed, such as a better optimum than the fit's.
    """

    points: pd.DataFrame
    estimates: pd.Series
    notes: tuple[str, ...] = ()

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Return intervals by interpolating value in zeta; NaN beyond the points taken."""
        from scipy.interpolate import PchipInterpolator

        target = float(ndtri(0.5 + 0.5 * level))
        limits = {}
        for name, part in self.points.groupby("parameter", sort=False):
            ordered = part.drop_duplicates("zeta").sort_values("zeta")
            inverse = PchipInterpolator(ordered["zeta"], ordered["value"], extrapolate=False)
            limits[name] = [float(inverse(-target)), float(inverse(target))]
        return pd.DataFrame.from_dict(limits, orient="index", columns=["lower", "upper"])


def profile(
    result: GLMMResult, parm: str | list[str] | None, *, level: float, points: int
) -> Profile:
    """Return profiles on a grid of zeta; see `GLMMResult.profile`."""
    from interlace_core.inference.confint import check_level

    check_level(level, "profile")
    training = require_training(result, "profile")
    chosen = select(quantities(result, training), parm, "profile")
    search = _Search(result, training)
    frames = [_grid(search, each, float(ndtri(0.5 + 0.5 * level)), points) for each in chosen]
    estimates = pd.Series({each.label: each.value(result.fit.psi) for each in chosen})
    return Profile(pd.concat(frames, ignore_index=True), estimates, tuple(search.notes))


def profile_limits(
    result: GLMMResult, chosen: list[Quantity], level: float
) -> list[tuple[float, float]]:
    """Return the limits where zeta meets the normal quantile, one pair per quantity."""
    search = _Search(result, require_training(result, "confint"))
    target = float(ndtri(0.5 + 0.5 * level))
    return [(_limit(search, each, -target), _limit(search, each, target)) for each in chosen]


class _Search:
    """What is shared by all refits of one result."""

    def __init__(self, result: GLMMResult, training: Training) -> None:
        self.psi, self.value = result.fit.psi, result.fit.value
        self.training = training
        self.evaluate = training.approximation.objective(training.problem)
        self.root = _root(result.fit.vcov, self.evaluate, self.psi, self.value)
        self.notes: list[str] = []

    def scale(self, quantity: Quantity) -> float:
        """Return one standard error of a quantity, on its natural scale."""
        return float(np.linalg.norm(self.root.T @ quantity.gradient(self.psi)))

    def constrained(self, quantity: Quantity, value: float, start: Array) -> tuple[float, Array]:
        """Return the least F with the quantity at a value, and psi there; infinite if none."""
        surface = _Surface(self, quantity, value, start)
        m = surface.N.shape[1]
        if m:
            unbounded = np.full(m, np.inf)
            with guard(self.training.optimizer, "profile"):
                self.training.optimizer.minimize(surface, np.zeros(m), (-unbounded, unbounded))
        else:
            surface(np.zeros(0))
        return surface.best, surface.best_psi

    def zeta(self, quantity: Quantity, value: float, start: Array) -> tuple[float, Array]:
        """Return the signed root deviance at a value, and psi there."""
        least, psi = self.constrained(quantity, value, start)
        rise = least - self.value
        if rise < -1e-5:
            note = f"the profile of {quantity.label} found a log-likelihood {-rise:.2g} higher"
            self.notes += [note] if note not in self.notes else []
        sign = np.sign(value - quantity.value(self.psi))
        return float(sign * np.sqrt(2.0 * max(rise, 0.0))), psi


class _Surface:
    """F on {g = c} as a function of y; remembers the best point."""

    def __init__(self, search: _Search, quantity: Quantity, value: float, base: Array) -> None:
        self.search, self.quantity, self.target, self.base = search, quantity, value, base
        slope = search.root.T @ quantity.gradient(base)
        basis = np.linalg.qr(slope[:, None], mode="complete")[0]
        self.d, self.N = slope / np.linalg.norm(slope), basis[:, 1:]
        self.best, self.best_psi = np.inf, base

    def __call__(self, y: Array) -> tuple[float, Array]:
        """Return value and gradient; large where g = c cannot be met or F has no value."""
        psi = self._meet(self.search.root @ (self.N @ y))
        evaluation = None if psi is None else self.search.evaluate(psi)
        if psi is None or not _usable(evaluation):
            ceiling = min(self.best, 1e300) if np.isfinite(self.best) else self.search.value
            return ceiling + FAILED_RISE * (1.0 + abs(ceiling)), np.zeros(y.size)
        assert evaluation is not None
        if evaluation.value < self.best:
            self.best, self.best_psi = evaluation.value, psi
        F = self.search.root.T @ evaluation.gradient
        g = self.search.root.T @ self.quantity.gradient(psi)
        return evaluation.value, self.N.T @ (F - g * ((self.d @ F) / (self.d @ g)))

    def _meet(self, shift: Array) -> Array | None:
        """Return the point on the surface above base + shift, by Newton steps in t."""
        direction, t = self.search.root @ self.d, 0.0
        for _ in range(50):
            psi = self.base + shift + t * direction
            missing = self.target - self.quantity.value(psi)
            if abs(missing) <= 1e-11 * (1.0 + abs(self.target)):
                return psi
            slope = float(self.quantity.gradient(psi) @ direction)
            if not np.isfinite(missing) or slope == 0.0 or not np.isfinite(slope):
                return None
            t += missing / slope
        return None


def _usable(evaluation: Evaluation | None) -> bool:
    return (
        evaluation is not None
        and evaluation.status is Status.OK
        and bool(np.isfinite(evaluation.value) and np.all(np.isfinite(evaluation.gradient)))
    )


def _limit(search: _Search, quantity: Quantity, target: float) -> float:
    """Return the value where zeta meets a target, by the secant method.

    An end of the quantity's domain if zeta does not reach the target before it.
    """
    step = _Step(search, quantity, 1.0 if target > 0 else -1.0)
    estimate, sign = quantity.value(search.psi), 1.0 if target > 0 else -1.0
    low, high = (estimate, 0.0), None
    value, psi = step.guess(abs(target)), search.psi
    for _ in range(MAX_REFITS):
        zeta, found = search.zeta(quantity, value, psi)
        zeta *= sign
        if abs(zeta - abs(target)) < TOL_ABS_ZETA:
            return value
        if zeta < abs(target):
            low, psi = (value, zeta), found
            if value == step.end:
                return step.closed_end
            if abs(value - estimate) > MAX_FACTOR * step.unit:
                return sign * np.inf
        else:
            high = (value, zeta)
        value = step.next(low, high, abs(target))
    return value


@dataclass(frozen=True)
class _Step:
    """How far to go along one side of a quantity.

    Attributes
    ----------
    search, quantity
    sign : float
        Side of the estimate.
    """

    search: _Search
    quantity: Quantity
    sign: float

    @property
    def unit(self) -> float:
        """One standard error."""
        return self.search.scale(self.quantity)

    @property
    def closed_end(self) -> float:
        """The end of the quantity's domain on this side."""
        return self.quantity.domain[1 if self.sign > 0 else 0]

    @property
    def end(self) -> float:
        """A point next to it, where everything is still smooth."""
        estimate = self.quantity.value(self.search.psi)
        reach = abs(self.closed_end - estimate)
        return self.closed_end - self.sign * 1e-4 * (reach if reach > 0 else self.unit)

    def guess(self, target: float) -> float:
        """Return the Wald limit on the working scale, kept inside the domain."""
        q = self.quantity
        estimate = q.value(self.search.psi)
        half = target * self.unit * q.working_slope(estimate)
        middle = q.working(estimate)
        away = estimate + self.sign * target * self.unit
        if np.isfinite(middle) and np.isfinite(half) and half < 3.0:
            rising = 1.0 if q.working_slope(estimate) > 0 else -1.0
            away = q.natural(middle + self.sign * rising * half)
        return self._inside(away)

    def next(
        self, low: tuple[float, float], high: tuple[float, float] | None, target: float
    ) -> float:
        """Return the next value to try, from the bracket (value, |zeta|) so far."""
        if high is not None and np.isfinite(high[1]):
            share = (target - low[1]) / (high[1] - low[1])
            return low[0] + min(max(share, 0.05), 0.95) * (high[0] - low[0])
        if high is not None:
            return 0.5 * (low[0] + high[0])
        estimate = self.quantity.value(self.search.psi)
        growth = target / low[1] if low[1] > 0.3 * target else 3.0
        return self._inside(estimate + min(max(growth, 1.01), 3.0) * (low[0] - estimate))

    def _inside(self, value: float) -> float:
        if not np.isfinite(self.closed_end):
            return value
        return min(value, self.end) if self.sign > 0 else max(value, self.end)


def _grid(search: _Search, quantity: Quantity, reach: float, points: int) -> pd.DataFrame:
    """Return value and zeta at steps of about `reach / points` to beyond `reach`, both sides."""
    estimate = quantity.value(search.psi)
    rows = [(estimate, 0.0, -search.value)]
    for sign in (-1.0, 1.0):
        step, psi = _Step(search, quantity, sign), search.psi
        zeta, value = 0.0, estimate
        for i in range(1, 3 * points):
            if zeta >= reach or (i > 1 and value == step.end):
                break
            value = step.guess(reach * 1.05 * i / points) if i == 1 else _onward(
                step, estimate, value, zeta, reach * 1.05 * i / points
            )  # fmt: skip
            signed, psi = search.zeta(quantity, value, psi)
            if not np.isfinite(signed):
                break
            zeta = abs(signed)
            rows.append((value, signed, -search.value - 0.5 * zeta * zeta))
    frame = pd.DataFrame(rows, columns=["value", "zeta", "loglik"]).sort_values("value")
    frame.insert(0, "parameter", quantity.label)
    return frame


def _onward(step: _Step, estimate: float, value: float, zeta: float, target: float) -> float:
    growth = min(max(target / zeta if zeta > 0 else 2.0, 1.05), 2.0)
    return step._inside(estimate + growth * (value - estimate))


def _root(vcov: Array, evaluate: Callable[[Array], Evaluation], psi: Array, value: float) -> Array:
    """Return C with C C' = vcov; a parameter at its boundary gets a scale from F itself."""
    V = vcov.copy()
    for i in np.flatnonzero(~np.isfinite(np.diagonal(V))):
        V[i] = V[:, i] = 0.0
        V[i, i] = _rise_scale(evaluate, psi, value, int(i)) ** 2
    values, vectors = np.linalg.eigh(0.5 * (V + V.T))
    floor = 1e-12 * float(values.max())
    return np.asarray(vectors * np.sqrt(np.maximum(values, floor)))


def _rise_scale(evaluate: Callable[[Array], Evaluation], psi: Array, value: float, i: int) -> float:
    """Return the step in one parameter that costs about half a unit of log-likelihood."""
    step = 0.1
    for _ in range(30):
        moved = psi.copy()
        moved[i] += step
        evaluation = evaluate(moved)
        rise = evaluation.value - value
        if not _usable(evaluation) or rise > 2.0:
            step *= 0.4
        elif rise < 0.1:
            step *= 2.5
        else:
            return step
    return step
