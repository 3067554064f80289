"""Families that are made of other families, such as with a part for zeros."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from interlace_core.contract.family import Family


class Composition(ABC):
    """What a family that is made of another one has beside: how the core makes it.

    Mixed into a `Family`, whose class attribute `name` finds it again in saved fits.
    """

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1
    role: ClassVar[str] = ""
    """Role of the parameter that it adds: a formula for this role, where the family has none,
    asks for it. Empty for one that no formula asks for."""

    prefix: ClassVar[str] = ""
    """In front of a family's name and an underscore, where no family has the name itself, it asks
    for `named`: `hurdle_binomial`. Empty for one that no name asks for."""

    @classmethod
    @abstractmethod
    def of(cls, base: Family) -> Family | None:
        """Return the family made of another one; None for one that this composition does not take.

        The first composition of a role that takes a family serves, those of the distribution that
        the family is from before others. What a family is made of tells its `support`, never its
        name, so that families of others are taken as well.
        """

    @classmethod
    def named(cls, base: Family) -> Family | None:
        """Return the family that `prefix` and the name of another one ask for, as `of` by default.

        None for one that this composition does not take.
        """
        return cls.of(base)

    @property
    def inside(self) -> tuple[Family, ...]:
        """Families that it is made of: by default its attribute `base`, if it has one."""
        base = getattr(self, "base", None)
        return (base,) if isinstance(base, Family) else ()
