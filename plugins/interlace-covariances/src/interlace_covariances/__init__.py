"""Covariance structures of random effects: equal variances, compound symmetry, AR(1), Toeplitz."""

from interlace_core.contracts import Covariance
from interlace_core.hookspecs import hookimpl


@hookimpl
def interlace_covariances() -> list[type[Covariance]]:
    """Return the covariance classes of this distribution."""
    from interlace_covariances.structures import (
        Autoregressive,
        CompoundSymmetry,
        EqualVariances,
        Toeplitz,
    )

    return [EqualVariances, CompoundSymmetry, Autoregressive, Toeplitz]
