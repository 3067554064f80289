"""Approximations of the marginal likelihood: Laplace and adaptive Gauss-Hermite quadrature."""

from interlace_core.contract import Approximation, hookimpl


@hookimpl
def interlace_approximations() -> list[type[Approximation]]:
    """Return the approximation classes of this distribution."""
    from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
    from interlace_approximations.joint_mode import JointMode
    from interlace_approximations.laplace import Laplace
    from interlace_approximations.linear import MaximumLikelihood, RestrictedLikelihood
    from interlace_approximations.restricted_laplace import RestrictedLaplace

    return [
        Laplace,
        RestrictedLaplace,
        AdaptiveGaussHermite,
        VectorGaussHermite,
        JointMode,
        MaximumLikelihood,
        RestrictedLikelihood,
    ]
