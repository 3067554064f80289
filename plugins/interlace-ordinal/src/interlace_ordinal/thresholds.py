"""Thresholds as linear functions of parameters: flexible, symmetric (about 0 too), equidistant."""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array

STRUCTURES = ("flexible", "symmetric", "symmetric2", "equidistant")


def threshold_design(structure: str, count: int) -> tuple[Array, tuple[str, ...]]:
    """Return the matrix from parameters to thresholds, shape (count, m), and their names.

    Symmetric thresholds lie at equal distances on both sides of a centre (of two central ones
    where their number is even); symmetric2 ones lie so about 0; equidistant ones differ by one
    spacing.

    Parameters
    ----------
    structure : str
        One of `STRUCTURES`.
    count : int
        Number of thresholds, one less than categories.
    """
    places = np.arange(count)
    if structure == "equidistant" and count > 1:
        return np.column_stack([np.ones(count), places]), ("threshold_1", "spacing")
    if structure == "symmetric2":
        return _about_zero(count)
    if structure == "symmetric" and count > 2:
        return _symmetric(count)
    return np.eye(count), tuple(f"threshold_{k + 1}" for k in places)


def _symmetric(count: int) -> tuple[Array, tuple[str, ...]]:
    """Return central thresholds, then the distance of each further pair from them."""
    central = 1 if count % 2 else 2
    spacings = (count - central) // 2
    T = np.zeros((count, central + spacings))
    for distance in range(spacings):
        T[spacings - 1 - distance, central + distance] = -1.0
        T[count - spacings + distance, central + distance] = 1.0
    T[: spacings + 1, 0] = 1.0
    T[spacings + 1 :, central - 1] = 1.0
    names = ("central",) if central == 1 else ("central_1", "central_2")
    return T, names + tuple(f"spacing_{k + 1}" for k in range(spacings))


def _about_zero(count: int) -> tuple[Array, tuple[str, ...]]:
    """Return the distance of each pair of thresholds from 0; with an odd number one is 0."""
    spacings = count // 2
    T = np.zeros((count, spacings))
    for distance in range(spacings):
        T[spacings - 1 - distance, distance] = -1.0
        T[count - spacings + distance, distance] = 1.0
    return T, tuple(f"spacing_{k + 1}" for k in range(spacings))
