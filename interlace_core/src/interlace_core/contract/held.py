"""A covariance structure some of whose numbers are held at values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interlace_core.contract.covariance import Covariance, Kind, check_natural, natural_slopes
from interlace_core.contract.sequence import Chain
from interlace_core.records import Array, BoolArray, IntArray

ABOUT = ("name", "crosses_bounds", "takes_levels_only", "takes_matrix", "largest", "full_rank")


MOST_STEPS, MOST_HALVINGS, LONGEST_STEP, NEAR_ENOUGH = 100, 30, 0.5, 1e-12
"""Of the search for a covariance with the held numbers: steps, halvings of one, its longest, and
how close is the same."""

ROOM, ROOM_DRAWS = 0.05, 20
"""By how much the angles of correlations that are not held must be free to move, and how many
such moves are tried."""

STEP, NEXT_TO_ZERO = 1e-4, 1e-2
"""Of differences in standard deviations and angles, of which theta is next to linear near 0, and
where that begins: `natural_slopes` takes longer steps."""


def with_held(
    covariance: Covariance, columns: Sequence[str], held: Mapping[str, float]
) -> Covariance:
    """Return a structure with some of its numbers, by name, held at values.

    Parameters
    ----------
    covariance : Covariance
    columns : sequence of str
        Names of the term's columns.
    held : mapping from name to value

    Raises
    ------
    ValueError
        If no covariance of the structure has these values.
    """
    if not held:
        return covariance
    names = covariance.names(columns)
    places = np.array([names.index(name) for name in held], dtype=np.intp)
    check_natural(covariance, names, dict(zip(places.tolist(), held.values(), strict=True)))
    natural, theta = _start_with(covariance, places, np.array(list(held.values())))
    moved = _moved_by(covariance)[places].any(axis=0)
    if int(moved.sum()) == places.size:
        return HeldEntries(covariance, dict(held), places, np.flatnonzero(~moved), theta)
    own = covariance.holding(dict(zip(places.tolist(), held.values(), strict=True)), dict(held))
    if own is not None:
        return own
    made = HeldNumbers(covariance, dict(held), places, natural)
    _require_room(made, covariance.start())
    return made


class Held(Covariance):
    """What both ways of holding share: names and numbers of what is free."""

    def __init__(self, inner: Covariance, held: dict[str, float], places: IntArray) -> None:
        super().__init__(inner.size)
        self.inner, self.held = inner, held
        self.places = places
        self.free = np.setdiff1d(np.arange(inner.n_theta), places)
        for each in ABOUT:
            setattr(self, each, getattr(inner, each))

    @property
    def n_theta(self) -> int:
        """Those of the structure that are not held."""
        return int(self.free.size)

    @property
    def fixed(self) -> Mapping[str, float]:
        """What is held."""
        return {**self.inner.fixed, **self.held}

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of what is free."""
        names = self.inner.names(columns)
        return tuple(names[k] for k in self.free)

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of what is free."""
        kinds = self.inner.kinds()
        return tuple(kinds[k] for k in self.free)

    def natural_limits(self) -> tuple[Array, Array]:
        """Return the limits of what is free."""
        lower, upper = self.inner.natural_limits()
        return lower[self.free], upper[self.free]


class HeldEntries(Held):
    """Held numbers that are entries of theta: the others stay as they are.

    Parameters
    ----------
    inner : Covariance
    held : dict from name to value
    places : ndarray of intp
        Of the held among the structure's numbers.
    entries : ndarray of intp
        Of theta that are free.
    theta : ndarray
        A theta of the structure with the held values.
    """

    def __init__(
        self,
        inner: Covariance,
        held: dict[str, float],
        places: IntArray,
        entries: IntArray,
        theta: Array,
    ) -> None:
        super().__init__(inner, held, places)
        self.entries, self.theta = entries, theta

    def whole(self, theta: Array) -> Array:
        """Return the structure's theta from the free entries."""
        found = self.theta.copy()
        found[self.entries] = theta
        return found

    def template(self, theta: Array) -> Array:
        """Return the structure's template."""
        return self.inner.template(self.whole(theta))

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the free entries' derivatives."""
        return np.asarray(self.inner.pullback(self.whole(theta), dT)[self.entries])

    def chain(self, theta: Array) -> Chain | None:
        """Return the structure's chain."""
        return self.inner.chain(self.whole(theta))

    def chain_pullback(self, theta: Array, slopes: Chain) -> Array:
        """Return the free entries' derivatives."""
        return np.asarray(self.inner.chain_pullback(self.whole(theta), slopes)[self.entries])

    def start(self) -> Array:
        """Return the structure's own."""
        return np.asarray(self.inner.start()[self.entries])

    def bounds(self) -> tuple[Array, Array]:
        """Return the free entries' bounds."""
        lower, upper = self.inner.bounds()
        return lower[self.entries], upper[self.entries]

    def canonical(self, theta: Array) -> Array:
        """Return the free entries within bounds."""
        return np.asarray(self.inner.canonical(self.whole(theta))[self.entries])

    def nearest(self, covariance: Array) -> Array:
        """Return the free entries of the structure's own."""
        return np.asarray(self.inner.nearest(covariance)[self.entries])

    def natural(self, theta: Array) -> Array:
        """Return the free numbers."""
        return np.asarray(self.inner.natural(self.whole(theta))[self.free])

    def from_natural(self, values: Array) -> Array:
        """Return the free entries."""
        natural = self.inner.natural(self.theta)
        natural[self.places] = list(self.held.values())
        natural[self.free] = values
        return np.asarray(self.inner.from_natural(natural)[self.entries])

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return which free entries are at a bound."""
        found = self.inner.at_bound(self.whole(theta), sizes, tol_sd_eta)
        return np.asarray(found[self.entries])

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return the structure's answer, where it leaves what is held."""
        found = self.inner.snapped(self.whole(theta), sizes, tol_sd_eta)
        kept = np.array_equal(self.whole(found[self.entries]), found)
        return np.asarray(found[self.entries]) if kept else theta

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return those of the structure that leave what is held."""
        found = self.inner.restarts(self.whole(theta), sizes)
        return tuple(
            each[self.entries]
            for each in found
            if np.array_equal(self.whole(each[self.entries]), each)
        )


class HeldNumbers(Held):
    """Held numbers that several entries of theta make: theta is the free numbers themselves.

    Correlations as the sine of an angle, so that a singular covariance is no edge.
    """

    def __init__(
        self, inner: Covariance, held: dict[str, float], places: IntArray, natural: Array
    ) -> None:
        super().__init__(inner, held, places)
        self.base = natural
        self.angles = np.array([kind == "correlation" for kind in self.kinds()], dtype=bool)
        self.positive = np.array([kind in ("sd", "positive") for kind in self.kinds()], dtype=bool)
        self.crosses_bounds = False  # type: ignore[misc]

    def inside(self, theta: Array) -> Array:
        """Return the structure's theta; NaN where there is none."""
        values = self.base.copy()
        values[self.free] = self.natural(theta)
        try:
            return self.inner.from_natural(values)
        except ValueError:
            return np.full(self.inner.n_theta, np.nan)

    def template(self, theta: Array) -> Array:
        """Return the structure's template."""
        return self.inner.template(self.inside(theta))

    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return the derivatives in the free numbers, by the inverse of their slopes.

        Next to a standard deviation of 0 numbers are no smooth functions of the structure's theta,
        which is one of them: its slopes are taken there.
        """
        inside = self.inside(theta)
        if not np.all(np.isfinite(inside)):
            return np.full(self.n_theta, np.nan)
        inner = self.inner.pullback(inside, dT)
        if self._next_to_zero(theta):
            slopes = self._inside_slopes(theta)
            if np.all(np.isfinite(slopes)):
                return np.asarray(slopes.T @ inner)
        slopes = natural_slopes(self.inner, inside)
        if not np.all(np.isfinite(slopes)):
            return np.full(self.n_theta, np.nan)
        in_numbers = np.linalg.lstsq(slopes.T, inner, rcond=None)[0]
        return np.asarray(in_numbers[self.free] * np.where(self.angles, np.cos(theta), 1.0))

    def _next_to_zero(self, theta: Array) -> bool:
        """Return whether a standard deviation, or a range, is short."""
        values = self.base.copy()
        values[self.free] = self.natural(theta)
        kinds = np.array([kind in ("sd", "positive") for kind in self.inner.kinds()], dtype=bool)
        return bool(np.any(values[kinds] < NEXT_TO_ZERO))

    def _inside_slopes(self, theta: Array) -> Array:
        """Return the slopes of the structure's theta in the free numbers: no step is below 0."""
        slopes = np.empty((self.inner.n_theta, theta.size))
        for k, positive in enumerate(self.positive):
            step = np.zeros(theta.size)
            step[k] = STEP
            if positive and theta[k] < STEP:
                at = (self.inside(theta + m * step) for m in range(3))
                slopes[:, k] = np.dot((-1.5, 2.0, -0.5), np.stack(list(at))) / STEP
                continue
            slopes[:, k] = (self.inside(theta + step) - self.inside(theta - step)) / (2.0 * STEP)
        return slopes

    def start(self) -> Array:
        """Return the numbers of the structure's start."""
        return self.from_natural(self.base[self.free])

    def bounds(self) -> tuple[Array, Array]:
        """Return 0 and infinity for what is positive; angles have none."""
        return np.where(self.positive, 0.0, -np.inf), np.full(self.n_theta, np.inf)

    def canonical(self, theta: Array) -> Array:
        """Return theta with its angles folded into their range."""
        return np.where(self.angles, np.arcsin(np.sin(theta)), theta)

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return standard deviations next to 0, and correlations next to 1 or -1."""
        theta, largest = self.canonical(theta), float(np.max(sizes))
        values = self.base.copy()
        values[self.free] = self.natural(theta)
        is_sd = np.array([kind == "sd" for kind in self.inner.kinds()], dtype=bool)
        reach = max(float(np.max(values[is_sd], initial=0.0)) * largest, tol_sd_eta)
        edge = self.angles & (0.5 * np.pi - np.abs(theta) < tol_sd_eta / reach)
        return np.asarray((is_sd[self.free] & (theta * largest < tol_sd_eta)) | edge)

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with those on their bounds."""
        theta = self.canonical(theta)
        bounds = np.where(self.angles, np.copysign(0.5 * np.pi, theta), 0.0)
        return np.where(self.at_bound(theta, sizes, tol_sd_eta), bounds, theta)

    def nearest(self, covariance: Array) -> Array:
        """Return the free numbers of the structure's own."""
        found = self.inner.natural(self.inner.nearest(covariance))
        return self.from_natural(found[self.free])

    def natural(self, theta: Array) -> Array:
        """Return the free numbers."""
        return np.where(self.angles, np.sin(theta), theta)

    def from_natural(self, values: Array) -> Array:
        """Return theta of the free numbers."""
        values = np.asarray(values, dtype=np.float64)
        return np.where(self.angles, np.arcsin(np.clip(values, -1.0, 1.0)), values)


def _start_with(covariance: Covariance, places: IntArray, values: Array) -> tuple[Array, Array]:
    """Return numbers and theta of a covariance with some numbers, the others near the start's.

    As they are there if that is a covariance. Correlations held may contradict them; every theta is
    one, so that the nearest with the held ones is sought among these, by steps of least length.

    Raises
    ------
    ValueError
        If there is none.
    """
    theta = np.array(covariance.start(), dtype=np.float64)
    natural = np.array(covariance.natural(theta), dtype=np.float64)
    natural[places] = values
    try:
        return natural, covariance.from_natural(natural)
    except ValueError as error:
        refused = error
    left = values - covariance.natural(theta)[places]
    for _ in range(MOST_STEPS):
        if not np.max(np.abs(left)) > NEAR_ENOUGH:
            break
        slopes = natural_slopes(covariance, theta)[places]
        step = np.linalg.lstsq(slopes, left, rcond=None)[0]
        step *= min(1.0, LONGEST_STEP / float(np.max(np.abs(step), initial=1e-300)))
        for _ in range(MOST_HALVINGS):
            moved = values - covariance.natural(theta + step)[places]
            if np.max(np.abs(moved)) < np.max(np.abs(left)):
                break
            step = 0.5 * step
        else:
            break
        theta, left = theta + step, moved
    natural = np.array(covariance.natural(theta), dtype=np.float64)
    if np.max(np.abs(left)) > 1e-6:
        raise refused
    natural[places] = values
    return natural, covariance.from_natural(natural)


def _require_room(made: HeldNumbers, start: Array) -> None:
    """Refuse numbers that leave the others next to no values; those of the start always do.

    Raises
    ------
    ValueError
    """
    own = made.inner.natural(start)[made.free]
    if np.array_equal(own, made.base[made.free]):
        return
    rng, theta = np.random.default_rng(4), made.start()
    for _ in range(ROOM_DRAWS):
        moved = theta + rng.normal(scale=ROOM, size=theta.size) * made.angles
        if not np.all(np.isfinite(made.inside(moved))):
            wanted = ", ".join(f"{value:g}" for value in made.held.values())
            raise ValueError(
                f"values that leave the other numbers room, got {wanted}, with which hardly any "
                "others are a covariance. Hold one further from 1 and -1"
            )


def _moved_by(covariance: Covariance) -> BoolArray:
    """Return which entries of theta move which numbers, shape (n_theta, n_theta)."""
    rng = np.random.default_rng(8)
    found = np.zeros((covariance.n_theta,) * 2, dtype=bool)
    for _ in range(2):
        theta = covariance.start() * (1.0 + 0.2 * rng.random(covariance.n_theta))
        theta = covariance.canonical(theta + 0.1 * rng.random(covariance.n_theta))
        found |= np.abs(natural_slopes(covariance, theta)) > 1e-7
    return found
