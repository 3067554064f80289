"""A link for correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from interlace_core.calculus.links.base import Link, Taylor


@dataclass(frozen=True)
class Correlation(Link):
    """`eta = log((mu - low) / (1 - mu))`: twice Fisher's z where the lower end is -1.

    Parameters
    ----------
    low : float
        The least correlation that is possible, at least -1.
    """

    name = "correlation"
    domain = (-1.0, 1.0)

    low: float = -1.0

    def eta(self, mu: Any) -> Any:
        """Return the logarithm of the distances to both ends."""
        return np.log((mu - self.low) / (1.0 - mu))

    def mu(self, eta: Any) -> Any:
        """Return the correlation."""
        return self.low + (1.0 - self.low) * expit(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return the correlation and its derivatives."""
        p, width = expit(eta), 1.0 - self.low
        slope = p * expit(-np.asarray(eta))
        tilt = 1.0 - 2.0 * p
        third = slope * (tilt**2 - 2.0 * slope)
        return self.low + width * p, width * slope, width * slope * tilt, width * third
