"""A covariance structure for interlace: what this distribution offers, by its entry point."""

from interlace_core import hookimpl
from interlace_core.contract import Covariance


@hookimpl
def interlace_covariances() -> list[type[Covariance]]:
    """Return the covariance structures of this distribution."""
    from interlace_template_covariance.structure import CauchyCovariance

    return [CauchyCovariance]
