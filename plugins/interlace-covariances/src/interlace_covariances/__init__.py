"""Covariance structures of random effects: equal variances, compound symmetry, AR(1), Toeplitz."""

from interlace_core.contract import Covariance, hookimpl


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
