"""A family for interlace: what this distribution offers, found through its entry point."""

from interlace_core import Family, hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_template.family import GumbelFamily

    return [GumbelFamily]
