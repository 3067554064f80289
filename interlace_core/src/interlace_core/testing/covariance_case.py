"""A covariance structure under test, in several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.records import Array


@dataclass(frozen=True)
class CovarianceCase:
    """What the checks of a covariance structure share.

    Attributes
    ----------
    structure : type
    sizes : sequence of int
        Numbers of random-effects columns to try.
    """

    structure: type[Covariance]
    sizes: Sequence[int]

    def each(self) -> Iterator[tuple[Covariance, str]]:
        """Yield an instance of each size, with the size in words."""
        for size in self.sizes:
            yield self.structure(size), f"with {size} column(s)"


def thetas_of(covariance: Covariance) -> list[Array]:
    """Return the start and a few random thetas within the bounds."""
    rng = np.random.default_rng(0)
    start = np.asarray(covariance.start(), np.float64)
    lower, upper = covariance.bounds()
    moved = [start + rng.normal(scale=0.5, size=start.size) for _ in range(4)]
    # not on a bound, where a difference would step outside
    margin = 0.01 * np.minimum(upper - lower, 1.0)
    return [start.copy(), *(np.clip(theta, lower + margin, upper - margin) for theta in moved)]
