"""Small codecs that write a value as JSON and read it back, checking every type on the way.

A codec is a pair of functions. Arrays do not go into the JSON: they are put into a store, and the
JSON holds their names. Reading constructs nothing but what the codec names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from interlace_core.messages.errors import SavedFileError

AnyArray = npt.NDArray[Any]

DTYPES = ("<f8", "<i8", "|b1")
"""Types of arrays in a file: floats, integers, booleans."""

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass
class Store:
    """Arrays by name, apart from the JSON that refers to them."""

    arrays: dict[str, AnyArray] = field(default_factory=dict)

    def put(self, array: AnyArray) -> str:
        """Add an array and return its name."""
        kind = {"f": "<f8", "i": "<i8", "u": "<i8", "b": "|b1"}[array.dtype.kind]
        name = f"a{len(self.arrays)}"
        self.arrays[name] = np.ascontiguousarray(array, dtype=kind)
        return name


@dataclass(frozen=True)
class Codec:
    """How one kind of value is written and read.

    Attributes
    ----------
    write : callable
        (value, store) -> what JSON can hold.
    read : callable
        (given, store, where) -> value; raises SavedFileError naming `where`.
    names : tuple of str
        The entries, where there are some.
    """

    write: Callable[[Any, Store], Any]
    read: Callable[[Any, Store, str], Any]
    names: tuple[str, ...] = ()


def wrong(where: str, expected: str, got: Any) -> SavedFileError:
    """Return the error for an entry of a file that is not what it must be."""
    shown = repr(got)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return SavedFileError(
        f"load: {where}: expected {expected}, got {shown}. The file is damaged or was not "
        "written by save(); save the result again."
    )


def _typed(expected: str, *types: type) -> Callable[[Any, Store, str], Any]:
    def read(given: Any, store: Store, where: str) -> Any:
        if type(given) not in types:
            raise wrong(where, expected, given)
        return given

    return read


text = Codec(lambda value, store: str(value), _typed("text", str))
flag = Codec(lambda value, store: bool(value), _typed("true or false", bool))
integer = Codec(lambda value, store: int(value), _typed("an integer", int))


def _write_number(value: Any, store: Store) -> Any:
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _read_number(given: Any, store: Store, where: str) -> float:
    if type(given) is float:
        return given
    if isinstance(given, str) and given in _NOT_FINITE:
        return _NOT_FINITE[given]
    raise wrong(where, "a number", given)


number = Codec(_write_number, _read_number)


def maybe(inner: Codec) -> Codec:
    """Return a codec of None or what the inner one takes."""
    return Codec(
        lambda value, store: None if value is None else inner.write(value, store),
        lambda given, store, where: None if given is None else inner.read(given, store, where),
    )


def tuple_of(inner: Codec) -> Codec:
    """Return a codec of a tuple of any length."""

    def read(given: Any, store: Store, where: str) -> tuple[Any, ...]:
        if type(given) is not list:
            raise wrong(where, "a list", given)
        return tuple(inner.read(each, store, f"{where}[{i}]") for i, each in enumerate(given))

    return Codec(lambda value, store: [inner.write(each, store) for each in value], read)


def mapping_of(inner: Codec) -> Codec:
    """Return a codec of a dict with text as keys."""

    def read(given: Any, store: Store, where: str) -> dict[str, Any]:
        if type(given) is not dict:
            raise wrong(where, "a table", given)
        return {key: inner.read(each, store, f"{where}.{key}") for key, each in given.items()}

    return Codec(
        lambda value, store: {str(key): inner.write(each, store) for key, each in value.items()},
        read,
    )


def entries(fields: Mapping[str, Codec]) -> Codec:
    """Return a codec from an object's attributes to a dict with exactly these entries."""

    def read(given: Any, store: Store, where: str) -> dict[str, Any]:
        if type(given) is not dict or set(given) != set(fields):
            raise wrong(where, f"the entries {', '.join(fields)}", given)
        return {
            name: codec.read(given[name], store, f"{where}.{name}")
            for name, codec in fields.items()
        }

    return Codec(
        lambda value, store: {
            name: codec.write(getattr(value, name), store) for name, codec in fields.items()
        },
        read,
        tuple(fields),
    )


def record(cls: type[Any], **fields: Codec) -> Codec:
    """Return a codec of a record whose fields are all given."""
    inside = entries(fields)
    return Codec(
        inside.write,
        lambda given, store, where: cls(**inside.read(given, store, where)),
        inside.names,
    )


def array(ndim: int | None = None, kind: str = "f") -> Codec:
    """Return a codec of an array of a number of dimensions, read back read-only."""

    def read(given: Any, store: Store, where: str) -> AnyArray:
        found = store.arrays.get(given) if isinstance(given, str) else None
        if found is None or found.dtype.kind != kind or ndim not in (None, found.ndim):
            raise wrong(where, f"the name of an array ({kind}, {ndim} axes)", given)
        return found

    return Codec(lambda value, store: store.put(np.asarray(value)), read)


def _write_slice(value: slice, store: Store) -> list[int]:
    return [int(value.start), int(value.stop)]


def _read_slice(given: Any, store: Store, where: str) -> slice:
    start, stop = pair(integer, integer).read(given, store, where)
    if not 0 <= start <= stop:
        raise wrong(where, "a range of places", given)
    return slice(start, stop)


place = Codec(_write_slice, _read_slice)


def pair(first: Codec, second: Codec) -> Codec:
    """Return a codec of two values."""

    def read(given: Any, store: Store, where: str) -> tuple[Any, Any]:
        if type(given) is not list or len(given) != 2:
            raise wrong(where, "two values", given)
        return first.read(given[0], store, where), second.read(given[1], store, where)

    return Codec(
        lambda value, store: [first.write(value[0], store), second.write(value[1], store)], read
    )
