"""What compositions around another family share: their base, its copies, and which bases serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from interlace_core.contract import Array, Composition, Family, OptionError


@dataclass(frozen=True)
class AroundBase(Composition):
    """Named after its base, and bound with it. Mixed into a family in front of its other bases.

    Parameters
    ----------
    base : Family
        Declares its `support`, one of `takes`.
    """

    base: Family

    prefix: ClassVar[str]
    """In front of the base's name."""

    takes: ClassVar[Mapping[str, str]]
    """Supports of the bases that serve, with the support of what is made of them."""

    def __post_init__(self) -> None:
        if not self.serves(self.base):
            raise OptionError(
                f"{type(self).__name__}: expected a family without a zero part whose `support` is "
                f"one of {', '.join(map(repr, self.takes))}, got {self.base.name!r} with the "
                f"support {self.base.support!r}. Choose such a family; one of your own declares "
                "its support as a class attribute."
            )
        object.__setattr__(self, "name", f"{self.prefix}_{self.base.name}")
        object.__setattr__(self, "support", self.takes[self.base.support])
        object.__setattr__(self, "response_forms", self.base.response_forms)
        further = getattr(super(), "__post_init__", None)
        if further is not None:
            further()

    @classmethod
    def serves(cls, base: Family) -> bool:
        """Return whether a family can be the base: by its support, and without a zero part.

        Not one whose rows bring more than a response: where a zero is, is then not known.
        """
        zero = any(parameter.role == "zero" for parameter in base.parameters)
        return base.support in cls.takes and not zero and not base.row_variables

    @property
    def inner(self) -> Family:
        """The base."""
        return self.base

    def bind(self, y: Array) -> Self:
        """Return a copy around the bound base."""
        return replace(self, base=self.base.bind(y))

    def bind_part(self, y: Array) -> Self:
        """Return a copy around the base's copy for some rows."""
        return replace(self, base=self.base.bind_part(y))
