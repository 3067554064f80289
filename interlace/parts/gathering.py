"""Which pieces become a part together: those that share groups, and small ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interlace.parts.look import MOST_ACROSS, Look
from interlace_core.contract.frames import Frames
from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed
from interlace_core.records import IntArray

MOST = 4
"""Parts' sizes that pieces which share groups may come to."""

Columns = tuple[str, ...]


def gathered(
    looks: Sequence[Look], rows: int, frames: Frames
) -> tuple[list[list[int]], tuple[Columns, ...]]:
    """Return the places of the pieces of each part, and the factors that run across parts.

    Pieces that share groups are one part. Where that would be too large, factors of few levels run
    across the parts, those of fewest first, as long as some factor's levels each lie in one.

    Parameters
    ----------
    looks : sequence of Look
        Those with rows in use.
    rows : int
        About the rows of a part.
    frames : Frames
        The data. No fewer parts are made of small pieces than are asked at the same time.

    Raises
    ------
    DataError
        If groups are spread over more pieces than a part can hold; it says what to run.
    """
    total = sum(look.n_used for look in looks)
    aim = min(rows, total // frames.at_once)
    across: tuple[Columns, ...] = ()
    label = _connected(looks, list(looks[0].groups))
    largest, most = _largest(looks, label), MOST * rows
    if largest > (most if frames.at_once == 1 else aim):
        found = _with_some_across(looks, most if frames.at_once == 1 else aim)
        if found is not None:
            label, across = found
        elif largest > most:
            raise _spread(looks, frames)
    parts = [
        [looks[i] for i in np.flatnonzero(label == each).tolist()]
        for each in np.unique(label).tolist()
    ]
    joined: list[list[Look]] = []
    for part in parts:
        size = sum(look.n_used for look in part)
        if joined and size + sum(look.n_used for look in joined[-1]) <= aim:
            joined[-1] += part
        else:
            joined.append(list(part))
    return [[look.place for look in part] for part in joined], across


def _largest(looks: Sequence[Look], label: IntArray) -> int:
    """Return the rows of the largest set of several pieces that share groups; 0 if none do."""
    used = np.array([look.n_used for look in looks])
    counts = np.bincount(label)
    return int(np.max(np.bincount(label, used)[counts > 1], initial=0))


def _with_some_across(
    looks: Sequence[Look], most: int
) -> tuple[IntArray, tuple[Columns, ...]] | None:
    """Return which pieces are together where some factors run across parts, and these factors.

    None where there are too many levels, or no other factor.
    """
    within = list(looks[0].groups)
    shared = _shared(looks)
    across: list[Columns] = []
    for columns in sorted(shared, key=lambda each: shared[each][0]):
        if shared[columns][0] > MOST_ACROSS:
            return None
        across.append(columns)
        within.remove(columns)
        if not within:
            return None
        label = _connected(looks, within)
        if _largest(looks, label) <= most:
            return label, tuple(across)
    return None


def _connected(looks: Sequence[Look], factors: Sequence[Columns]) -> IntArray:
    """Return the number of the set of pieces that each belongs to, by groups that they share."""
    label = np.arange(len(looks))
    for columns in factors:
        hashes = np.concatenate([look.groups[columns] for look in looks])
        place = np.repeat(np.arange(len(looks)), [len(look.groups[columns]) for look in looks])
        order = np.argsort(hashes, kind="stable")
        hashes, place = hashes[order], place[order]
        again = hashes[1:] == hashes[:-1]
        for a, b in set(zip(place[:-1][again].tolist(), place[1:][again].tolist(), strict=True)):
            one, other = label[a], label[b]
            if one != other:
                label[label == max(one, other)] = min(one, other)
    return label


def _shared(looks: Sequence[Look]) -> dict[Columns, tuple[int, str]]:
    """Return the number of levels of each factor that several pieces share, and two of these."""
    found = {}
    for columns in looks[0].groups:
        every = np.concatenate([look.groups[columns] for look in looks])
        values, counts = np.unique(every, return_counts=True)
        if np.any(counts > 1):
            one = values[counts > 1][0]
            two = [look.name for look in looks if one in look.groups[columns]][:2]
            found[columns] = (values.size, " and ".join(two))
    return found


def _spread(looks: Sequence[Look], frames: Frames) -> DataError:
    """Return the refusal of groups that are spread over pieces, with what to run."""
    shared = _shared(looks)
    sizes = {
        columns: int(np.unique(np.concatenate([look.groups[columns] for look in looks])).size)
        for columns in looks[0].groups
    }
    together = _to_bring_together(sizes)
    worst = max(shared, key=lambda columns: sizes[columns])
    named = together if together in shared else worst
    what = (
        f"data: expected all rows of each level of {':'.join(named)!r} in one piece, got one in "
        f"{shared[named][1]}, and pieces that share groups are too large for one part. "
    )
    if together is None:
        counts = listed([f"{':'.join(each)}: {size:,}" for each, size in sizes.items()])
        return DataError(
            f"{what}Of crossed factors all but one may run across pieces, of {MOST_ACROSS:,} "
            f"random effects together, and these have more levels ({counts}). Fit the model to "
            "data that memory holds: data=frame, or without the factor that matters less."
        )
    others = [each for each in sizes if not set(together) <= set(each)]
    beside = f" ({listed([':'.join(each) for each in others])} may run across)" if others else ""
    return DataError(f"{what}Bring them together first{beside}: {frames.bring_together(together)}")


def _to_bring_together(sizes: Mapping[Columns, int]) -> Columns | None:
    """Return the factor whose levels are to be together, the coarsest that leaves few others."""
    for columns in sorted(sizes, key=lambda each: sizes[each]):
        others = [size for each, size in sizes.items() if not set(columns) <= set(each)]
        if sum(others) <= MOST_ACROSS:
            return columns
    return None


def refuse_many_across(model: Problem) -> None:
    """Refuse more random effects that run across parts than a dense matrix is for.

    Raises
    ------
    DataError
    """
    across = [term for term in model.terms if term.across]
    effects = sum(term.n_effects for term in across)
    if effects > MOST_ACROSS:
        terms = listed([f"({each.label}): {each.n_effects:,}" for each in across])
        raise DataError(
            f"data: expected at most {MOST_ACROSS:,} random effects of factors whose levels lie in "
            f"several parts, got {effects:,} ({terms}). Leave slopes out, or fit the model to data "
            "that memory holds: data=frame."
        )
