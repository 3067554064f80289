"""Names of thresholds between ordered categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.data.problem import Model
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array, BoolArray


def cut_names(levels: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Return the names of so many thresholds, such as "1|2", by those of the categories."""
    levels = levels or tuple(map(str, range(number + 1)))
    return tuple(f"{low}|{high}" for low, high in zip(levels, levels[1:], strict=False))


def cuts_of(model: Model) -> tuple[str, ...]:
    """Return the names of thresholds that are constants, held or not; nothing of others."""
    matrix, problem = model.problem.family.threshold_matrix(), model.problem
    if matrix is None:
        return ()
    own = range(1, 1 + matrix.shape[1])
    if any(problem.predictors[k].names != (INTERCEPT,) and not _is_held(model, k) for k in own):
        return ()
    return cut_names(model.response_levels, len(matrix))


def _is_held(model: Model, k: int) -> bool:
    """Return whether predictor k is a constant that is held."""
    known = model.encoder.predictors[k].known
    held = known is not None and known.names == (INTERCEPT,)
    return held and not model.problem.predictors[k].names


def cuts_in_order(model: Model) -> tuple[tuple[int | None, float], ...]:
    """Return where each threshold is in psi, lowest first, or the value at which it is held.

    Empty where they are no constants each of its own.
    """
    matrix, problem = model.problem.family.threshold_matrix(), model.problem
    if matrix is None or not np.array_equal(matrix, np.eye(len(matrix))):
        return ()
    found: list[tuple[int | None, float]] = []
    for k in range(1, 1 + len(matrix)):
        if _is_held(model, k):
            found.append((None, float(model.encoder.predictors[k].known_values[0])))
        elif problem.predictors[k].names == (INTERCEPT,):
            found.append((problem.beta_slices()[k].start, np.nan))
        else:
            return ()
    return tuple(found)


def risen(values: Array, chosen: BoolArray) -> Array:
    """Return thresholds that rise, those that are chosen as they are.

    Others are moved where they contradict these: between two of them in equal steps, beyond the
    last in steps of 1.
    """
    values, (places,) = values.copy(), np.nonzero(chosen)
    if np.all(np.diff(values) > 0.0) or not places.size:
        return values
    for low, high in zip(places, places[1:], strict=False):
        if not np.all(np.diff(values[low : high + 1]) > 0.0):
            values[low : high + 1] = np.linspace(values[low], values[high], high - low + 1)
    first, last = int(places[0]), int(places[-1])
    if not np.all(np.diff(values[: first + 1]) > 0.0):
        values[:first] = values[first] - np.arange(first, 0, -1)
    if not np.all(np.diff(values[last:]) > 0.0):
        values[last + 1 :] = values[last] + np.arange(1, values.size - last)
    return values


def require_order(given: Mapping[str, float], names: Sequence[str], what: str) -> None:
    """Refuse values of thresholds that do not rise from category to category.

    Parameters
    ----------
    given : mapping from name to value
        Of some of them.
    names : sequence of str
        Of all, lowest first.
    what : str
        Of the call, for the message.

    Raises
    ------
    OptionError
    """
    chosen = [(name, given[name]) for name in names if name in given]
    for (low, a), (high, b) in zip(chosen, chosen[1:], strict=False):
        if not a < b:
            raise OptionError(
                f"{what}: expected thresholds that rise, got {low!r} at {a:g} and {high!r}, which "
                f"is above it, at {b:g}. Give the higher one the larger value."
            )


def cuts_alone(model: Model) -> tuple[tuple[str, int], ...]:
    """Return each cut that is a parameter by itself and free, with its predictor."""
    matrix, problem = model.problem.family.threshold_matrix(), model.problem
    if matrix is None:
        return ()
    found = []
    for cut, row in zip(cut_names(model.response_levels, len(matrix)), matrix, strict=True):
        (places,) = np.nonzero(row)
        alone = places.size == 1 and row[places[0]] == 1.0
        if alone and problem.predictors[1 + int(places[0])].names == (INTERCEPT,):
            found.append((cut, 1 + int(places[0])))
    return tuple(found)
