"""What compositions around any family of counts share: their base, and its copies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from interlace_core.contract import Array, Composition, Family
from interlace_counts.zeros.positive import require_count_family


@dataclass(frozen=True)
class AroundBase(Composition):
    """Named after its base, and bound with it. Mixed into a family in front of its other bases.

    Parameters
    ----------
    base : Family
        The count family.
    """

    base: Family

    prefix: ClassVar[str]
    """In front of the base's name."""

    def __post_init__(self) -> None:
        require_count_family(type(self).__name__, self.base)
        object.__setattr__(self, "name", f"{self.prefix}_{self.base.name}")
        further = getattr(super(), "__post_init__", None)
        if further is not None:
            further()

    @property
    def count(self) -> Family:
        """The base."""
        return self.base

    def bind(self, y: Array) -> Self:
        """Return a copy around the bound base."""
        return replace(self, base=self.base.bind(y))

    def bind_part(self, y: Array) -> Self:
        """Return a copy around the base's copy for some rows."""
        return replace(self, base=self.base.bind_part(y))
