"""What a result holds is read-only, and some of it is made when it is first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, cast

import numpy as np


class Later(Mapping[str, Any]):
    """A mapping that is made when it is first read; a pickle or a copy has it made.

    Parameters
    ----------
    make : callable
        Returns the mapping; called once.
    """

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make
        self._made: Mapping[str, Any] | None = None

    @property
    def made(self) -> Mapping[str, Any]:
        """The mapping, its arrays read-only."""
        if self._made is None:
            with np.errstate(all="ignore"):
                self._made = self._make()
            freeze(dict(self._made))
        return self._made

    def __getitem__(self, name: str) -> Any:
        """Return an entry."""
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.made)

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self.made)

    def __repr__(self) -> str:
        return repr(dict(self.made))

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self.made),)


def freeze(value: Any) -> None:
    """Make all arrays in a value read-only, in records, mappings and sequences alike."""
    kind = type(value)
    if kind in PLAIN or isinstance(value, Later):
        return
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif kind is tuple or kind is list:
        # of one kind, and long where a model has many levels or made many steps
        if value and not (type(value[0]) in PLAIN and _is_plain(value)):
            for each in value:
                freeze(each)
    elif (names := fields_with_arrays(cast("Any", kind))) is not None:
        for name in names:
            freeze(value.__dict__.get(name))  # what is made later is not there yet
    elif isinstance(value, Mapping):
        for each in value.values():
            freeze(each)
    elif isinstance(value, (tuple, list)):
        for each in value:
            freeze(each)


PLAIN = frozenset({str, float, int, bool, slice, type(None)})
"""Types without arrays inside."""

ANNOTATED = frozenset(
    {"str", "float", "int", "bool", "slice", "str | None", "int | None", "float | None"}
    | {"tuple[str, ...]", "tuple[int, ...]", "tuple[tuple[float, float], ...]"}
    | {"Mapping[str, str]", "Mapping[str, float]"}
)
"""Annotations of fields that hold nothing else."""


def _is_plain(values: tuple[Any, ...] | list[Any]) -> bool:
    """Return whether all values are of types without arrays inside."""
    return PLAIN.issuperset(map(type, values))


@cache
def fields_with_arrays(kind: Any) -> tuple[str, ...] | None:
    """Return the fields of a record's class that may hold arrays; None for a class of others."""
    if not is_dataclass(kind) or not kind.__module__.startswith("interlace"):
        return None
    return tuple(each.name for each in fields(kind) if each.type not in ANNOTATED)
