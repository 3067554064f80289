"""Where a response can lie, with values to try inside and outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.messages.errors import OptionError
from interlace_core.records import Array


@dataclass(frozen=True)
class Support:
    """The values a response can take.

    Attributes
    ----------
    masses : tuple of float
        Isolated points with a probability of their own.
    counts_from : int, or None
        All integers from here on; of successes among trials, the fewest.
    interval : (float, float), or None
        Open interval with a density.
    trials : int, or None
        The response is (successes, failures) with so many in total.

    Examples
    --------
    >>> Support(masses=(0.0,), counts_from=3).listed(2)
    array([0., 3., 4.])
    """

    masses: tuple[float, ...] = ()
    counts_from: int | None = None
    interval: tuple[float, float] | None = None
    trials: int | None = None

    @property
    def _fewest(self) -> int:
        return 0 if self.counts_from is None else self.counts_from

    def examples(self) -> Array:
        """Return typical values, shape (m,), or (m, 2) for pairs, as `check_response` takes them.

        Every mass is among them, and so are values near the ends.
        """
        if self.trials is not None:
            n = self.trials
            pairs = [[0, 1], [1, 0], [0, n], [1, n - 1], [n - 2, 2], [n, 0]]
            return np.array([each for each in pairs if each[0] >= self._fewest], np.float64)
        parts = [np.array(self.masses, np.float64)]
        if self.counts_from is not None:
            parts.append(self.counts_from + np.array(_COUNTS))
        if self.interval is not None:
            parts.append(to_interval(self.interval, _TYPICAL))
        return np.concatenate(parts)

    def alike(self) -> Array:
        """Return those examples that differ in nothing but the response: with equal trials."""
        found = self.examples()
        return found if self.trials is None else found[np.sum(found, axis=1) == self.trials]

    def outside(self) -> Array:
        """Return values that no response can take; empty if every number can be one."""
        if self.trials is not None:
            none = [[0.0, 2.0]] if self._fewest else []
            return np.array([[-1.0, 2.0], [2.0, -1.0], *none])
        candidates = [-1.5, -1.0, -1e-9, 0.0, 0.5, 1.0, 1.0 + 1e-9, 1.5]
        candidates += [x for mass in self.masses for x in (mass - 0.5, mass + 0.5)]
        return np.array(sorted({x for x in candidates if not self._has(x)}))

    def listed(self, count: int) -> Array:
        """Return the isolated points in order, shape (m,) or (m, 2): the first `count` counts."""
        if self.trials is not None:
            s = np.arange(float(self._fewest), self.trials + 1.0)
            return np.column_stack([s, self.trials - s])
        counts = self._fewest + np.arange(float(count if self.counts_from is not None else 0))
        return np.union1d(np.asarray(self.masses, np.float64), counts)

    def _has(self, x: float) -> bool:
        counted = self.counts_from is not None and x >= self.counts_from and x == np.floor(x)
        inside = self.interval is not None and self.interval[0] < x < self.interval[1]
        return x in self.masses or counted or inside


def to_interval(interval: tuple[float, float], t: Any) -> Array:
    """Return the points of an interval at t on the whole line: identity, exp or logistic.

    Raises
    ------
    OptionError
        If the interval is bounded on the right only.
    """
    from scipy.special import expit

    lower, upper = interval
    t = np.asarray(t, np.float64)
    if np.isfinite(lower) and np.isfinite(upper):
        return np.asarray(lower + (upper - lower) * expit(t))
    if np.isfinite(lower):
        with np.errstate(over="ignore"):
            return np.asarray(lower + np.exp(t), np.float64)
    if np.isfinite(upper):
        raise OptionError(
            f"support: expected an interval that is bounded on the left, on both sides or not at "
            f"all, got {interval}. Give the check the mirrored response."
        )
    return np.array(t, np.float64)


SUPPORTS = {
    "counts": Support(counts_from=0),
    "positive counts": Support(counts_from=1),
    "real": Support(interval=(-np.inf, np.inf)),
    "positive": Support(interval=(0.0, np.inf)),
    "non-negative": Support(masses=(0.0,), interval=(0.0, np.inf)),
    "unit interval": Support(interval=(0.0, 1.0)),
    "closed unit interval": Support(masses=(0.0, 1.0), interval=(0.0, 1.0)),
    "real with 0": Support(masses=(0.0,), interval=(-np.inf, np.inf)),
    "unit interval with 0": Support(masses=(0.0,), interval=(0.0, 1.0)),
    "unit interval with 1": Support(masses=(1.0,), interval=(0.0, 1.0)),
    "trials": Support(trials=7),
    "positive trials": Support(trials=7, counts_from=1),
    "categories": Support(masses=(0.0, 1.0, 2.0, 3.0)),
}
"""Supports by name, as `Family.support` declares them."""


def as_support(support: str | Support | None, family: Any) -> Support:
    """Return a support from its name, from an instance, or from what the family declares.

    Raises
    ------
    OptionError
        If nothing says what the support is, or the name is not known.
    """
    declared = family.support if support is None else support
    if isinstance(declared, Support):
        return declared
    if declared not in SUPPORTS:
        raise OptionError(
            f"family {family.name!r}: expected a support, one of {', '.join(SUPPORTS)}, got "
            f"{declared!r}. Set the class attribute `support`, or give support= a name or a "
            "Support."
        )
    return SUPPORTS[declared]


_COUNTS = (0.0, 1.0, 2.0, 5.0, 12.0)
_TYPICAL = (-3.5, -0.85, 0.1, 1.1, 2.2)
"""On the line: logistic of these is 0.03, 0.3, 0.52, 0.75, 0.9; exp is 0.03, 0.43, 1.1, 3, 9."""
