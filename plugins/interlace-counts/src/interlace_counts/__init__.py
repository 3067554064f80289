"""Families for counts with more variation than Poisson."""

from interlace_core.contracts import Family
from interlace_core.hookspecs import hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_counts.negative_binomial import NegativeBinomial2Family

    return [NegativeBinomial2Family]
