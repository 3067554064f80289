"""What was made of an object, found again by the object itself for as long as it lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """Answers of a function of one object that never changes, such as the index of a column.

    Frames come again, as copies with the same categories or in fit after fit, and the labels of a
    categorical are one object in all of them. Nothing is kept alive: what was made goes when its
    object does, and must not refer to it.

    Parameters
    ----------
    make : callable
    """

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self._made: dict[int, tuple[weakref.ref[Any], Made]] = {}

    def __call__(self, given: Any) -> Made:
        """Return what is made of an object; of an equal one it is made again."""
        key = id(given)
        known = self._made.get(key)
        if known is not None and known[0]() is given:
            return known[1]
        made = self._make(given)
        there = self._made
        self._made[key] = weakref.ref(given, lambda _: there.pop(key, None)), made
        return made
