"""Profile likelihoods: everything else maximised while one quantity is held at a value.

Zeta is the signed root of the rise in deviance (Bates & Watts 1988, section 6.1); the search on
the surface where the quantity is held is that of `constrained`. Each point starts at the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.inference.compare import BY_REML, REFITTED
from interlace.inference.constrained import ConstrainedSearch, Held
from interlace.inference.parameters import quantities, require_free, select
from interlace.inference.quantities import Quantity
from interlace.progress import tracked
from interlace.refits.refit import refit_ml
from interlace.reporting.showing import Part, Showing, as_table
from interlace.results.fitted_model import require_training
from interlace_core.messages.checks import check_level, require_count, require_flag
from interlace_core.messages.errors import ConvergenceWarning, OptionError
from interlace_core.messages.warn import warn
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

BY_PRIORS = "penalised by priors"

TOL_ABS_ZETA = 1e-4
"""How closely zeta meets its target, and a limit its value in standard errors, beyond any print."""

LEAST_SLOPE = 1e-3
"""Change of zeta per standard error that is taken for a flat profile: zeta is known to 1e-7."""

MAX_REFITS = 25
"""Refits per limit; the secant method takes 3 to 5."""

SHORTER = 0.4
"""Share of a step after which no point was found, for the next; longer again after one that was."""

MOST_NEARER = 2
"""Points short of the limit, one after the other, before the one beyond it is in doubt."""

MAX_FACTOR = 40.0
"""Distance in standard errors at which an interval counts as open."""


@dataclass(frozen=True, repr=False)
class Profile(Showing):
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
    heading : str, or None
        Of a fit by REML: "by REML", or "refitted by ML"; of one with priors "penalised by priors",
        for what is profiled is the posterior density.
    """

    points: pd.DataFrame
    estimates: pd.Series
    notes: tuple[str, ...] = ()
    heading: str | None = None

    def parts(self) -> list[Part]:
        """Return estimates with 95% intervals, and what was noticed."""
        frame = self.confint()
        frame.insert(0, "estimate", self.estimates)
        how = f" {self.heading}" if self.heading else ""
        title = f"Profile likelihood{how}, {len(self.points)} points; 95% intervals"
        return [as_table(title, frame), *(f"Note: {note}" for note in self.notes)]

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Return intervals by interpolating value in zeta; NaN beyond the points taken."""
        from scipy.interpolate import PchipInterpolator

        level = check_level(level, "profile")
        target = float(ndtri(0.5 + 0.5 * level))
        limits = {}
        for name, part in self.points.groupby("parameter", sort=False):
            ordered = part.drop_duplicates("zeta").sort_values("zeta")
            inverse = PchipInterpolator(ordered["zeta"], ordered["value"], extrapolate=False)
            limits[name] = [float(inverse(-target)), float(inverse(target))]
        table = pd.DataFrame.from_dict(limits, orient="index", columns=["lower", "upper"])
        return table.rename_axis(columns=self.heading)


def profile(
    result: Estimates,
    parm: str | list[str] | None,
    *,
    level: float,
    points: int,
    refit: bool | None = None,
) -> Profile:
    """Return profiles on a grid of zeta; see `GLMMResult.profile`.

    Raises
    ------
    NotAvailableError
        If no parameter is free.
    """
    level = check_level(level, "profile")
    require_count(points, "profile: points")
    require_training(result, "profile", by_parts=True)
    result, heading = fit_to_profile(result, parm, refit, "profile")
    chosen = select(quantities(result), parm, "profile")
    require_free(chosen, "profile")
    search = ConstrainedSearch(result, require_training(result, "profile", by_parts=True))
    target = float(ndtri(0.5 + 0.5 * level))
    frames = [_grid(search, each, target, points) for each in tracked(chosen, "profiles")]
    estimates = pd.Series({each.label: each.value(result.fit.psi) for each in chosen})
    return Profile(pd.concat(frames, ignore_index=True), estimates, tuple(search.notes), heading)


def fit_to_profile(
    result: Estimates, parm: str | list[str] | None, refit: bool | None, who: str
) -> tuple[Estimates, str | None]:
    """Return the fit whose likelihood is profiled, and what its table is headed by.

    A restricted likelihood is no function of the fixed effects, so that they have a profile only
    under maximum likelihood, to which such a fit is then fitted again. It is one of the variances,
    which have their profiles under REML itself if nothing else is asked for.

    Raises
    ------
    OptionError
        If `refit` is False where a profile has to be one of the likelihood.
    """
    if refit is not None:
        require_flag(refit, f"{who}: refit")
    if not result.restricted:
        return result, BY_PRIORS if result.penalised else None
    training = require_training(result, who, by_parts=True)
    place = training.approximation.profiled(training.problem)
    outside = [
        each.label
        for each in select(quantities(result), parm, who)
        if np.any(each.gradient(result.fit.psi)[place])
    ]
    if refit is False and outside:
        raise OptionError(
            f"{who}: {outside[0]!r} has no profile under restricted maximum likelihood, which is "
            'no function of it. Leave out refit=False, or name others by parm=, such as "sd".'
        )
    if outside or refit:
        return refit_ml(result), REFITTED
    return result, BY_REML


def profile_limits(
    result: Estimates, chosen: list[Quantity], level: float
) -> list[tuple[float, float]]:
    """Return the limits where zeta meets the normal quantile, one pair per quantity."""
    search = ConstrainedSearch(result, require_training(result, "confint", by_parts=True))
    target = float(ndtri(0.5 + 0.5 * level))
    return [
        (_limit(search, each, -target), _limit(search, each, target))
        for each in tracked(chosen, "profiles")
    ]


def _limit(search: ConstrainedSearch, quantity: Quantity, target: float) -> float:
    """Return the value where zeta meets a target, by the secant method.

    An end of the quantity's domain if zeta does not reach the target before it; NaN, with a
    warning, if it is not met. Where no point is found with the quantity at a value, one nearer is
    looked for. A point beyond the limit was reached from afar, and may be a lower maximum: after
    two on this side of it, it is searched again from the nearer of these.
    """
    step = _Step(search, quantity, 1.0 if target > 0 else -1.0)
    estimate, sign = quantity.value(search.psi), 1.0 if target > 0 else -1.0
    low, high, nearer = (estimate, 0.0), None, 0
    value, psi, longest = step.guess(abs(target)), search.psi, np.inf
    for _ in range(MAX_REFITS):
        zeta, found = search.zeta(quantity, value, psi)
        zeta *= sign
        if not np.isfinite(zeta):
            longest = SHORTER * abs(value - low[0])
            value = low[0] + sign * longest
            continue
        if abs(zeta - abs(target)) < TOL_ABS_ZETA * step.flatness(zeta, found):
            return value
        if zeta < abs(target):
            low, psi = (value, zeta), found.psi
            if value == step.end:
                return step.closed_end
            if abs(value - estimate) > MAX_FACTOR * step.unit:
                return sign * np.inf
            nearer += 1
            if high is not None and nearer == MOST_NEARER:
                value, high, nearer = high[0], None, 0
                continue
        else:
            high, nearer = (value, zeta), 0
        longest = max(longest, abs(value - low[0])) / SHORTER
        value = step.next(low, high, abs(target))
        if abs(value - low[0]) > longest:
            value = low[0] + sign * longest
    warn(
        f"confint: the profile of {quantity.label} could not be followed to its limit: it is NaN. "
        "See profile() for the points that were found.",
        ConvergenceWarning,
    )
    return np.nan


@dataclass(frozen=True)
class _Step:
    """How far to go along one side of a quantity.

    Attributes
    ----------
    search, quantity
    sign : float
        Side of the estimate.
    """

    search: ConstrainedSearch
    quantity: Quantity
    sign: float

    @property
    def unit(self) -> float:
        """One standard error."""
        return self.search.scale(self.quantity)

    def flatness(self, zeta: float, held: Held) -> float:
        """Return how much zeta changes per standard error, 1 at most.

        A profile is flat where a standard deviation is all but 0: a limit there has to meet its
        zeta more closely.
        """
        change = abs(held.slope / zeta) * self.unit if zeta else 1.0
        return float(np.clip(change, LEAST_SLOPE, 1.0)) if np.isfinite(change) else 1.0

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
        return self.inside(away)

    def next(
        self, low: tuple[float, float], high: tuple[float, float] | None, target: float
    ) -> float:
        """Return the next value to try, from the bracket (value, |zeta|) so far."""
        if high is not None:
            share = (target - low[1]) / (high[1] - low[1])
            return low[0] + min(max(share, 0.05), 0.95) * (high[0] - low[0])
        estimate = self.quantity.value(self.search.psi)
        growth = target / low[1] if low[1] > 0.3 * target else 3.0
        return self.inside(estimate + min(max(growth, 1.01), 3.0) * (low[0] - estimate))

    def inside(self, value: float) -> float:
        """Return a value moved into the quantity's domain."""
        if not np.isfinite(self.closed_end):
            return value
        return min(value, self.end) if self.sign > 0 else max(value, self.end)


def _grid(search: ConstrainedSearch, quantity: Quantity, reach: float, points: int) -> pd.DataFrame:
    """Return value and zeta at steps of about `reach / points` to beyond `reach`, both sides."""
    estimate = quantity.value(search.psi)
    rows = [(estimate, 0.0, -search.value)]
    for sign in (-1.0, 1.0):
        step, psi = _Step(search, quantity, sign), search.psi
        zeta, value = 0.0, estimate
        side: list[tuple[float, float, Array]] = []
        for i in range(1, 3 * points):
            if zeta >= reach or (i > 1 and value == step.end):
                break
            value = step.guess(reach * 1.05 * i / points) if i == 1 else _onward(
                step, estimate, value, zeta, reach * 1.05 * i / points
            )  # fmt: skip
            signed, held = search.zeta(quantity, value, psi)
            psi = held.psi
            if not np.isfinite(signed):
                break
            zeta = abs(signed)
            side.append((value, signed, psi))
        rows += _both_ways(search, quantity, side)
    frame = pd.DataFrame(rows, columns=["value", "zeta", "loglik"]).sort_values("value")
    frame.insert(0, "parameter", quantity.label)
    return frame


def _both_ways(
    search: ConstrainedSearch, quantity: Quantity, side: list[tuple[float, float, Array]]
) -> list[tuple[float, float, float]]:
    """Return value, zeta and log-likelihood of the points on one side of the estimate, outwards.

    A profile that falls on the way out has come to a higher maximum there: the points before it
    are searched again from it, inwards, and the higher one is kept of each.
    """
    for i in range(len(side) - 2, -1, -1):
        value, signed, psi = side[i]
        if abs(side[i + 1][1]) >= abs(signed):
            continue
        again, held = search.zeta(quantity, value, side[i + 1][2])
        if abs(again) < abs(signed):
            side[i] = (value, again, held.psi)
    return [(value, zeta, -search.value - 0.5 * zeta * zeta) for value, zeta, _ in side]


def _onward(step: _Step, estimate: float, value: float, zeta: float, target: float) -> float:
    growth = min(max(target / zeta if zeta > 0 else 2.0, 1.05), 2.0)
    return step.inside(estimate + growth * (value - estimate))
