"""Families of the exponential-family tradition: gaussian, binomial, poisson."""

from interlace_core.contracts import Family
from interlace_core.hookspecs import hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_families.binomial import BinomialFamily
    from interlace_families.gaussian import GaussianFamily
    from interlace_families.poisson import PoissonFamily

    return [GaussianFamily, BinomialFamily, PoissonFamily]
