"""A range on a scale without edges: its logarithm moves between two ends as a sine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from interlace_core.contract import Array

INDEPENDENT = 16.0
"""Ranges into which the least distance has to go for neighbours to count as independent: their
correlation is then 1e-7."""

IDENTICAL = 1e4
"""Ranges beyond so many times the largest distance make all effects one, to a correlation of
0.9999."""


SHARE_OF_SPAN = 1.0 / 30.0
"""Of the largest distance: the least range that a search begins with."""


@dataclass(frozen=True)
class RangeScale:
    """log(range) = middle + half sin(angle).

    Attributes
    ----------
    middle, half : float
    """

    middle: float
    half: float

    @classmethod
    def of(cls, distances: Array, largest: float) -> Self:
        """Return the scale for some distances, the least of which is looked at."""
        if not np.size(distances):
            return cls(0.0, 1.0)
        low = np.log(float(np.min(distances)) / INDEPENDENT)
        high = np.log(float(largest) * IDENTICAL)
        return cls(0.5 * (low + high), 0.5 * (high - low))

    def range(self, angles: Array) -> Array:
        """Return the range at each angle."""
        return np.asarray(np.exp(self.middle + self.half * np.sin(angles)))

    def log_slope(self, angles: Array) -> Array:
        """Return d log(range) / d angle."""
        return np.asarray(self.half * np.cos(angles))

    def angle(self, ranges: Array) -> Array:
        """Return the angle of each range, of the next end for one beyond."""
        relative = (np.log(ranges) - self.middle) / self.half
        return np.asarray(np.arcsin(np.clip(relative, -1.0, 1.0)))

    def ends(self) -> tuple[float, float]:
        """Return the least and the largest range, but for rounding."""
        least, most = np.exp([self.middle - self.half, self.middle + self.half])
        return float(least) * (1.0 - 1e-9), float(most) * (1.0 + 1e-9)

    def checked_angle(self, ranges: Array, name: str = "range") -> Array:
        """Return the same, and raise a ValueError for one beyond the ends, by its name."""
        least, most = self.ends()
        if np.any((ranges < least) | (ranges > most)):
            raise ValueError(f"a {name} from {least:g} to {most:g}, got {ranges[0]:g}")
        return self.angle(ranges)
