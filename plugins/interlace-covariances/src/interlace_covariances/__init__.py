"""Covariance structures of random effects: of levels, of times, of places, of known matrices."""

from interlace_core.contract import Covariance, hookimpl


@hookimpl
def interlace_covariances() -> list[type[Covariance]]:
    """Return the covariance classes of this distribution."""
    from interlace_covariances.known import Known, Proportional
    from interlace_covariances.markov import (
        Autoregressive,
        HeterogeneousAutoregressive,
        OrnsteinUhlenbeck,
    )
    from interlace_covariances.places import Exponential, Gaussian, Matern
    from interlace_covariances.reduced import ReducedRank, Shared
    from interlace_covariances.structures import (
        CompoundSymmetry,
        EqualVariances,
        HeterogeneousSymmetry,
        HomogeneousSymmetry,
        HomogeneousToeplitz,
        Toeplitz,
    )

    return [
        EqualVariances,
        CompoundSymmetry,
        HomogeneousSymmetry,
        HeterogeneousSymmetry,
        Toeplitz,
        HomogeneousToeplitz,
        Autoregressive,
        HeterogeneousAutoregressive,
        OrnsteinUhlenbeck,
        Exponential,
        Gaussian,
        Matern,
        Proportional,
        Known,
        ReducedRank,
        Shared,
    ]
