"""Correlations of residuals within groups: first-order autoregressive, compound symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract import Array, Correlation, Parameter, ResidualCorrelation


class AutoregressiveResiduals(ResidualCorrelation):
    """`rho^|t - s|` between times t and s: whole numbers, gaps allowed."""

    name = "ar1"
    whole_times = True

    def parameters(self, largest: int) -> tuple[Parameter, ...]:
        """Return rho, between -1 and 1."""
        return (Parameter("rho", Correlation()),)

    def start(self, largest: int) -> Array:
        """Return rho = 0."""
        return np.zeros(1)

    def matrix(self, times: Array, values: Sequence[float]) -> Array:
        """Return the powers of rho."""
        return np.asarray(values[0] ** _distances(times))

    def slopes(self, times: Array, values: Sequence[float]) -> Array:
        """Return `d rho^(d-1)` at distance d."""
        distances = _distances(times)
        powers = values[0] ** np.maximum(distances - 1.0, 0.0)
        return np.asarray(distances * powers)[None]


class ExchangeableResiduals(ResidualCorrelation):
    """One correlation between all rows of a group, at least -1 / (m - 1) for m rows."""

    name = "cs"

    def parameters(self, largest: int) -> tuple[Parameter, ...]:
        """Return rho, from the least that the largest group allows to 1."""
        return (Parameter("rho", _exchangeable_link(largest)),)

    def start(self, largest: int) -> Array:
        """Return rho = 0."""
        return np.array([float(_exchangeable_link(largest).eta(0.0))])

    def matrix(self, times: Array, values: Sequence[float]) -> Array:
        """Return rho off the diagonal."""
        m = times.shape[1]
        C = values[0] + (1.0 - values[0]) * np.eye(m)
        return np.broadcast_to(C, (len(times), m, m))

    def slopes(self, times: Array, values: Sequence[float]) -> Array:
        """Return 1 off the diagonal."""
        m = times.shape[1]
        return np.broadcast_to(1.0 - np.eye(m), (1, len(times), m, m))


def _distances(times: Array) -> Array:
    return np.abs(times[:, :, None] - times[:, None, :])


def _exchangeable_link(largest: int) -> Correlation:
    return Correlation(low=-1.0 / max(largest - 1, 1))
