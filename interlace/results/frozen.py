"""What a result holds is read-only, and some of it is made when it is first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any

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
    kind: Any = type(value)
    way = _way_into(kind)
    if way is not None:
        way(value)


@cache
def _way_into(kind: Any) -> Callable[[Any], None] | None:
    """Return what makes the arrays in values of a type read-only; None where it has none."""
    if kind in PLAIN or issubclass(kind, Later):
        return None
    if issubclass(kind, np.ndarray):
        return _freeze_array
    names = fields_with_arrays(kind)
    if names is not None:
        return partial(_freeze_fields, names) if names else None
    if issubclass(kind, Mapping):
        return _freeze_entries
    return _freeze_items if issubclass(kind, (tuple, list)) else None


def _freeze_array(value: np.ndarray[Any, Any]) -> None:
    value.flags.writeable = False


def _freeze_fields(names: tuple[str, ...], value: Any) -> None:
    own = value.__dict__
    for name in names:
        freeze(own.get(name))  # what is made later is not there yet


def _freeze_entries(value: Mapping[Any, Any]) -> None:
    for each in value.values():
        freeze(each)


def _freeze_items(value: tuple[Any, ...] | list[Any]) -> None:
    # of one kind, and long where a model has many levels or made many steps
    if value and not (type(value[0]) in PLAIN and PLAIN.issuperset(map(type, value))):
        for each in value:
            freeze(each)


PLAIN = frozenset({str, float, int, bool, slice, type(None)})
"""Types without arrays inside."""

ANNOTATED = frozenset(
    {"str", "float", "int", "bool", "slice", "str | None", "int | None", "float | None"}
    | {"tuple[str, ...]", "tuple[int, ...]", "tuple[tuple[float, float], ...]"}
    | {"Mapping[str, str]", "Mapping[str, float]"}
    # read from text, and labels, which pandas keeps from being written to
    | {"Expression", "tuple[Expression, ...]", "tuple[DesignTerm, ...]", "pd.Index[Any] | None"}
)
"""Annotations of fields that hold nothing else."""


@cache
def fields_with_arrays(kind: Any) -> tuple[str, ...] | None:
    """Return the fields of a record's class that may hold arrays; None for a class of others."""
    if not is_dataclass(kind) or not kind.__module__.startswith("interlace"):
        return None
    return tuple(each.name for each in fields(kind) if each.type not in ANNOTATED)
