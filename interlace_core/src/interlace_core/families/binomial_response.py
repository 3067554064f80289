"""Successes among a number of trials: the response and the link of several families.

A checked response has two columns, successes and trials, shape (n, 2).
"""

from __future__ import annotations

import numpy as np

from interlace_core.calculus.links import Link, ProbabilityLink, as_link
from interlace_core.calculus.special import log_factorial
from interlace_core.contract.family import Family
from interlace_core.families.checks import first_offender, require
from interlace_core.messages.errors import DataWarning
from interlace_core.messages.warn import warn
from interlace_core.records import Array, Response

TOL_ABS_INTEGER = 1e-6
"""Successes this close to an integer are taken as that integer: proportions read from text
files carry about 8 digits. R warns from 1e-3 on; we round and so must be stricter."""


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
        require(family, (y >= 0).all(axis=1), y.min(axis=1), "successes and failures >= 0")
        successes, trials, multipliers = y[:, 0], y.sum(axis=1), weights
    else:
        trials = np.ones(y.size) if weights is None else weights
        hint = "" if weights is not None else " (for counts of successes give the trials)"
        require(family, (y >= 0) & (y <= 1), y, f"a proportion between 0 and 1{hint}")
        successes, multipliers = y * trials, None
    return Response(np.column_stack([_counts(family, successes, trials), trials]), multipliers)


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
    # one call for all three: few rows cost calls
    counts = np.empty((3, len(y)))
    counts[0], counts[1] = y[:, 1], y[:, 0]
    np.subtract(counts[0], counts[1], out=counts[2])
    trials, successes, failures = log_factorial(counts)
    return np.asarray(trials - successes - failures)


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
    draws = rng.binomial(np.round(trials).astype(np.int64), mu)
    return np.stack([draws.astype(np.float64), np.broadcast_to(trials, draws.shape)], axis=-1)


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
    nearest = np.round(successes)
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
