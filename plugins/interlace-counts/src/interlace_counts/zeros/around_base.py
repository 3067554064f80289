"""What compositions around another family share: their base, its copies, and which bases serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from interlace_core.contract import (
    Array,
    Composition,
    Family,
    IntArray,
    OptionError,
    ResponseError,
)


@dataclass(frozen=True)
class AroundBase(Composition):
    """Named after its base, and bound with it. Mixed into a family in front of its other bases.

    Parameters
    ----------
    base : Family
        Declares its `support`, one of `takes`.
    """

    base: Family

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

    @classmethod
    def named(cls, base: Family) -> Family | None:
        """Return the composition around any base that it takes."""
        made: Any = cls(base) if cls.serves(base) else None  # a family too, once mixed in
        family: Family | None = made
        return family

    @property
    def inner(self) -> Family:
        """The base."""
        return self.base

    def for_base(self, y: Array) -> Array:
        """Return the response as the base is bound to it: by default as it is."""
        return y

    def learned(self, y: Array) -> Mapping[str, Array | None]:
        """Return what the composition itself learns of the response, by its fields."""
        return {}

    def bind(self, y: Array) -> Self:
        """Return a copy around the bound base."""
        return replace(self, base=self.base.bind(self.for_base(y)), **self.learned(y))

    def bind_part(self, y: Array) -> Self:
        """Return a copy around the base's copy for some rows."""
        return replace(self, base=self.base.bind_part(self.for_base(y)), **self.learned(y))


@contextmanager
def said_of(inner: Family, name: str, rows: IntArray | None = None) -> Iterator[None]:
    """Let a family complain of a response in the name of what is made of it.

    Parameters
    ----------
    inner : Family
        The family that is asked.
    name : str
        Of the whole.
    rows : ndarray of intp, shape (m,), optional
        Those of the whole response that it is given; all by default.
    """
    try:
        yield
    except ResponseError as error:
        said = error.template.replace(repr(inner.name), repr(name))
        row = error.row
        if row is not None and rows is not None:
            row = int(rows[row])
        raise ResponseError(said, row) from error
