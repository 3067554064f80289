"""Families for ordered categories: cumulative models."""

from interlace_core.contract import Family, hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_ordinal.cumulative import CumulativeFamily

    return [CumulativeFamily]
