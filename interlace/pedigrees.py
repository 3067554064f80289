"""The additive relationship matrix of a pedigree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.levels import level_names
from interlace.entrances import entrance
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import DataError
from interlace_core.messages.memory import require_memory
from interlace_core.messages.names import listed

UNKNOWN = (0, "0", "", "NA")
"""What pedigrees hold for a parent that is not known, beside missing values."""


@entrance
def pedigree(
    animal: Iterable[Any],
    sire: Iterable[Any],
    dam: Iterable[Any],
    *,
    unknown: Sequence[Any] = UNKNOWN,
) -> pd.DataFrame:
    """Return the additive relationship matrix A of a pedigree.

    Twice the coefficient of kinship of two animals, and 1 plus the coefficient of inbreeding on
    the diagonal, by the tabular method (Henderson 1976, Biometrics 32:69). Parents that are no
    animals themselves are founders: unrelated and not inbred.

    Parameters
    ----------
    animal : sequence, length m
        Each animal once, in any order.
    sire, dam : sequence, length m
        Its parents.
    unknown : sequence
        What stands for a parent that is not known; missing values always do.

    Returns
    -------
    DataFrame
        With a row and a column for each animal and parent, founders first where they had no
        row of their own; for the argument `known` of `glmer`, `fit` and `clmm`.

    Raises
    ------
    DataError
        If the lengths differ, an animal is there twice or has no label, or is its own ancestor.

    Examples
    --------
    >>> A = pedigree(["c", "d", "e"], ["a", "a", "c"], ["b", "b", "d"])
    >>> A.loc["e"].tolist()
    [0.5, 0.5, 0.75, 0.75, 1.25]
    """
    nobody = set(level_names(_values(unknown, "unknown")))
    given = (("animal", animal), ("sire", sire), ("dam", dam))
    columns = [_names(_values(each, name), nobody) for name, each in given]
    own = columns[0]
    if not len(own) == len(columns[1]) == len(columns[2]):
        lengths = ", ".join(str(len(each)) for each in columns)
        raise DataError(f"pedigree: expected a sire and a dam for each animal, got {lengths}.")
    parents = dict(zip(own, zip(columns[1], columns[2], strict=True), strict=True))
    if None in parents or len(parents) < len(own):
        twice = [name for name in parents if name is not None and own.count(name) > 1]
        got = f"{listed(twice)} more than once" if twice else "an animal without a label"
        raise DataError(f"pedigree: expected each animal once, got {got}. Correct these rows.")
    founders = dict.fromkeys(p for pair in parents.values() for p in pair if p not in parents)
    founders.pop(None, None)
    labels = [*founders, *own]
    for founder in founders:
        parents[founder] = (None, None)
    require_memory(8.0 * len(labels) ** 2, "pedigree", f"{len(labels)} animals")
    order = _ancestors_first(labels, parents)
    A = _relationship(order, parents)
    place = {name: i for i, name in enumerate(order)}
    chosen = [place[name] for name in labels]
    return pd.DataFrame(A[np.ix_(chosen, chosen)], index=labels, columns=labels)


def _values(values: Any, argument: str) -> list[Any]:
    """Return labels as a list: numbers, texts, and what stands for a missing one.

    Raises
    ------
    DataError
        If they are no sequence of these.
    """
    expected = f"pedigree: expected {argument} to be a sequence of numbers or texts"
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise DataError(f"{expected}, got {shown(values)}.")
    if isinstance(values, (np.ndarray, pd.DataFrame)) and values.ndim != 1:
        raise DataError(f"{expected}, got {shown(values)}.")
    found = list(values)
    for each in found:
        absent = each is None or each is pd.NA or each is pd.NaT
        if not absent and not isinstance(each, (str, int, float, np.number)):
            raise DataError(f"{expected}, got {shown(each)} among them.")
    return found


def _names(given: list[Any], nobody: set[str]) -> list[str | None]:
    missing = pd.isna(pd.Series(given, dtype=object)).to_numpy()
    known = iter(level_names([each for each, gone in zip(given, missing, strict=True) if not gone]))
    names = [None if gone else next(known) for gone in missing]
    return [None if name in nobody else name for name in names]


def _ancestors_first(labels: Sequence[Any], parents: dict[Any, tuple[Any, Any]]) -> list[Any]:
    """Return the labels with every animal after its parents."""
    children: dict[Any, list[Any]] = {name: [] for name in labels}
    waiting = {}
    for name in labels:
        known = {parent for parent in parents[name] if parent is not None}
        waiting[name] = len(known)
        for parent in known:
            children[parent].append(name)
    order = [name for name in labels if not waiting[name]]
    for name in order:  # grows while it is read
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    if len(order) < len(labels):
        stuck = sorted(set(labels) - set(order))
        raise DataError(
            f"pedigree: expected parents older than their offspring, got a circle among "
            f"{listed(stuck[:10])} ({len(stuck)} animals and their offspring). Correct their "
            "parents."
        )
    return order


def _relationship(order: Sequence[Any], parents: dict[Any, tuple[Any, Any]]) -> Any:
    place = {name: i for i, name in enumerate(order)}
    A = np.zeros((len(order), len(order)))
    for i, name in enumerate(order):
        known = [place[parent] for parent in parents[name] if parent is not None]
        if known:
            A[i, :i] = 0.5 * np.sum(A[known, :i], axis=0)
            A[:i, i] = A[i, :i]
        A[i, i] = 1.0 + (0.5 * A[known[0], known[1]] if len(known) == 2 else 0.0)
    return A
