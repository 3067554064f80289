"""Checks that plugins share, in words; and successes among trials, a response of several families.

A checked response of that kind has two columns, successes and trials, shape (n, 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace_core.calculus.links import Link, ProbabilityLink, as_link
from interlace_core.calculus.special import log_factorial
from interlace_core.contract.family import Family
from interlace_core.messages.checks import is_real, is_whole
from interlace_core.messages.errors import DataWarning, OptionError, ResponseError
from interlace_core.messages.warn import warn
from interlace_core.records import Array, Response

if TYPE_CHECKING:
    from interlace_core.contract.optimizer import Optimizer


LARGE_MEAN = 1e15
"""Mean from which Poisson draws are normal ones."""


def check_options(
    optimizer: Optimizer,
    *,
    positive_integers: tuple[str, ...] = (),
    not_negative: tuple[str, ...] = (),
) -> None:
    """Raise one OptionError with every complaint about an optimizer's options.

    Parameters
    ----------
    optimizer : Optimizer
        The dataclass being constructed.
    positive_integers, not_negative : tuple of str
        Names of the fields that must be integers of at least 1, and finite numbers of at least 0.
    """
    complaints = []
    for option in positive_integers:
        value = getattr(optimizer, option)
        if not is_whole(value, 1):
            complaints.append(f"{option} must be an integer of at least 1, got {value!r}")
    for option in not_negative:
        value = getattr(optimizer, option)
        if not is_real(value) or not np.isfinite(value) or value < 0:
            complaints.append(f"{option} must be a finite number of at least 0, got {value!r}")
    if complaints:
        raise OptionError(f"optimizer {optimizer.name!r}: " + "; ".join(complaints) + ".")


def first_offender(bad: Iterable[Any]) -> int:
    """Return the position of the first true entry."""
    return int(np.flatnonzero(np.asarray(bad))[0])


def require(family: Family, ok: Any, y: Array, expected: str) -> None:
    """Raise a ResponseError that names the first row where `ok` is false.

    Parameters
    ----------
    family : Family
        Named in the message.
    ok : ndarray of bool, shape (n,)
        Whether each value is in the domain.
    y : ndarray, shape (n,)
        The values, for the message.
    expected : str
        The domain in words, such as "counts 0, 1, 2, ...".
    """
    if np.all(ok):
        return
    row = first_offender(~np.asarray(ok))
    raise ResponseError(
        f"family {family.name!r}: expected {expected}, got {y[row]:g} in {{row}}; "
        f"{int(np.sum(~np.asarray(ok)))} such row(s). "
        "Correct or drop these rows, or choose a family for such a response.",
        row,
    )


def require_counts(family: Family, y: Array) -> None:
    """Raise a ResponseError unless every value is a count.

    Parameters
    ----------
    family : Family
        Named in the message.
    y : ndarray, shape (n,)
    """
    require(family, (y >= 0) & (y == np.floor(y)), y, "counts 0, 1, 2, ...")


LARGE_COUNT = 1000.0
"""From here on y log y and log y! are of more than 6,900, and their difference loses so many
digits that a search notices: densities of larger counts are written without it."""


def has_large_counts(y: Array) -> bool:
    """Return whether some count is too large for y log(mu) - log(y!) to keep its digits."""
    # called in every iteration: the ufunc's own reduction costs a third of np.max
    return bool(np.maximum.reduce(y, axis=None, initial=0.0) > LARGE_COUNT)


def positive_or_none(family: Family, argument: str, value: float | None) -> None:
    """Raise an OptionError unless a fixed parameter is None or a positive finite number."""
    if value is None:
        return
    if not is_real(value):
        got = f"{type(value).__name__} {value!r}"
    elif not (np.isfinite(value) and value > 0):
        got = repr(value)
    else:
        return
    raise OptionError(
        f"family {family.name!r}: {argument} must be a positive number (which fixes it) or None "
        f"(which estimates it), got {got}."
    )


TOL_ABS_INTEGER = 1e-6
"""Successes this close to an integer are taken as that integer: proportions read from text
files carry about 8 digits. R warns from 1e-3 on; we round and so must be stricter."""


MANY_ROWS = 1024
"""Rows from which on a look at all of them costs less than what it may save."""


def check_trials(family: Family, y: Array, weights: Array | None) -> Response:
    """Return (successes, trials) from pairs of counts, or from proportions and trials.

    Weights are numbers of trials where the response is a proportion, and multiply the
    log-density where it is a pair (successes, failures).

    Parameters
    ----------
    family : Family
        Named in messages.
    y : ndarray, shape (n,) or (n, 2)
        Proportions, or successes and failures.
    weights : ndarray, shape (n,), or None

    Raises
    ------
    ResponseError
        If a proportion lies outside [0, 1] or a count is negative.
    """
    if y.ndim == 2:
        if not (y >= 0).all():
            require(family, (y >= 0).all(axis=1), y.min(axis=1), "successes and failures >= 0")
        successes, trials, multipliers = y[:, 0], y.sum(axis=1), weights
    else:
        trials = np.ones(y.size) if weights is None else weights
        if not (y.size and y.min() >= 0.0 and y.max() <= 1.0):
            hint = "" if weights is not None else " (for counts of successes give the trials)"
            require(family, (y >= 0) & (y <= 1), y, f"a proportion between 0 and 1{hint}")
        successes, multipliers = y if weights is None else y * trials, None
    found = np.empty((trials.size, 2))
    found[:, 0], found[:, 1] = _counts(family, successes, trials), trials
    return Response(found, multipliers)


def observed_proportion(y: Array) -> Array:
    """Return the proportion of successes, shape (n,); rows without trials give NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(y[:, 0] / y[:, 1])


def overall_proportion(y: Array, weights: Array | None) -> float:
    """Return the proportion of successes in all trials, kept inside (0, 1)."""
    factor = 1.0 if weights is None else weights
    successes, trials = float(np.sum(factor * y[:, 0])), float(np.sum(factor * y[:, 1]))
    return (successes + 0.5) / (trials + 1.0)


def log_choose(y: Array) -> Array:
    """Return the log of the binomial coefficient, trials over successes, shape (n,)."""
    if len(y) >= MANY_ROWS and bool(np.all(y * y == y)) and bool(np.all(y[:, 0] <= y[:, 1])):
        return np.zeros(len(y))  # of 0 or 1 trial
    # one call for all three: few rows cost calls
    counts = np.empty((3, len(y)))
    counts[0], counts[1] = y[:, 1], y[:, 0]
    np.subtract(counts[0], counts[1], out=counts[2])
    trials, successes, failures = log_factorial(counts)
    return np.asarray(trials - successes - failures)


def draw_counts(mu: Array, rng: np.random.Generator) -> Array:
    """Return Poisson draws of any mean, as floats.

    NumPy draws none of means beyond 9e18. From 1e15 on the distribution is normal to a skewness of
    3e-8, and whole numbers are next to as far apart as numbers in double precision.

    Parameters
    ----------
    mu : ndarray
        Means, not negative.
    rng : numpy.random.Generator
    """
    draws = rng.poisson(np.minimum(mu, LARGE_MEAN)).astype(np.float64)
    large = mu > LARGE_MEAN
    if np.any(large):
        size = mu[large]
        draws[large] = np.rint(size * (1.0 + rng.standard_normal(size.shape) / np.sqrt(size)))
    return draws


def draw_successes(mu: Array, trials: Array | None, rng: np.random.Generator) -> Array:
    """Return (successes, trials) drawn at probabilities mu, shape (..., n, 2).

    Parameters
    ----------
    mu : ndarray, shape (..., n)
    trials : ndarray, shape (n,), or None
        None means one trial each.
    rng : numpy.random.Generator
    """
    trials = np.ones(mu.shape[-1]) if trials is None else trials
    draws = np.empty((*np.broadcast(mu, trials).shape, 2))
    draws[..., 0] = rng.binomial(np.rint(trials).astype(np.int64), mu)
    draws[..., 1] = trials
    return draws


def as_probability_link(link: str | Link, allowed: tuple[str, ...], who: str) -> ProbabilityLink:
    """Return a link with log(mu) and log(1 - mu) from its name or from an instance.

    Parameters
    ----------
    link : str or Link
        Name, or an instance (which is accepted whatever its name).
    allowed : tuple of str
        Names that the family offers.
    who : str
        Named in errors.

    Raises
    ------
    UnknownNameError
        If the name is not among those allowed.
    OptionError
        If it is neither a name nor a Link.
    TypeError
        If the link does not say what log(mu) and log(1 - mu) are.
    """
    found = as_link(link, allowed, who)
    if not isinstance(found, ProbabilityLink):
        raise TypeError(
            f"{who}: link {found.name!r} is not a ProbabilityLink; derive it from "
            "interlace_core.calculus.links.ProbabilityLink."
        )
    return found


def _counts(family: Family, successes: Array, trials: Array) -> Array:
    """Return successes rounded to the integers they stand for; warn where they stand for none."""
    nearest = np.rint(successes)
    if np.array_equal(nearest, successes):
        return nearest
    off = np.abs(successes - nearest) > TOL_ABS_INTEGER * np.maximum(trials, 1.0)
    if np.any(off):
        row = first_offender(off)
        warn(
            f"family {family.name!r}: proportion times trials is not an integer in "
            f"{int(off.sum())} row(s), first in row {row} ({successes[row]:g} successes in "
            f"{trials[row]:g} trials). The likelihood is evaluated as it stands; check that the "
            "weights are numbers of trials.",
            DataWarning,
        )
    return np.where(off, successes, nearest)
