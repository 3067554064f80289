"""Which pieces become a part together: those that share groups, and small ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.parts.look import Look
from interlace_core.contract.frames import Frames
from interlace_core.messages.errors import DataError
from interlace_core.messages.names import listed
from interlace_core.records import IntArray

MOST = 4
"""Parts' sizes that pieces which share groups may come to."""


def gathered(looks: Sequence[Look], rows: int, frames: Frames) -> list[list[int]]:
    """Return the places of the pieces of each part.

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
    label = _connected(looks)
    parts: list[list[Look]] = []
    for each in np.unique(label).tolist():
        found = [looks[i] for i in np.flatnonzero(label == each).tolist()]
        if len(found) > 1 and sum(look.n_used for look in found) > MOST * rows:
            raise _spread(looks, found, frames)
        parts.append(found)
    joined: list[list[Look]] = []
    rows = min(rows, sum(look.n_used for look in looks) // frames.at_once)
    for part in parts:
        size = sum(look.n_used for look in part)
        if joined and size + sum(look.n_used for look in joined[-1]) <= rows:
            joined[-1] += part
        else:
            joined.append(list(part))
    return [[look.place for look in part] for part in joined]


def _connected(looks: Sequence[Look]) -> IntArray:
    """Return the number of the set of pieces that each belongs to, by shared groups."""
    label = np.arange(len(looks))
    for columns in looks[0].groups:
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


def _shared(looks: Sequence[Look]) -> dict[tuple[str, ...], tuple[int, str]]:
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


def _spread(looks: Sequence[Look], connected: Sequence[Look], frames: Frames) -> DataError:
    """Return the refusal of groups that are spread over pieces."""
    shared = _shared(connected)
    names = {columns: ":".join(columns) for columns in looks[0].groups}
    coarsest = min(shared, key=lambda columns: shared[columns][0])
    apart = [columns for columns in looks[0].groups if columns not in shared]
    if apart:
        return DataError(
            f"data: expected factors of which each level lies in one part, got the levels of "
            f"{listed([names[each] for each in shared])} in several while those of "
            f"{listed([names[each] for each in apart])} do not. Crossed factors are fitted to data "
            "that memory holds: data=frame."
        )
    return DataError(
        f"data: expected all rows of each level of {names[coarsest]!r} in one piece, got one in "
        f"{shared[coarsest][1]}. Bring them together first: {frames.bring_together(coarsest)} (Of "
        "crossed factors no shuffle brings all levels together: they are fitted to data frames.)"
    )
