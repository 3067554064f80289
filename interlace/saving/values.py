"""Codecs of values whose type is not known beforehand: options, states of transforms, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.saving.codecs import (
    Codec,
    Store,
    array,
    integer,
    maybe,
    number,
    pair,
    text,
    tuple_of,
    wrong,
)
from interlace_core.messages.checks import is_real
from interlace_core.messages.errors import SavedFileError

CLOSED = ("left", "right", "both", "neither")
"""How an interval may be closed."""


def _write_value(value: Any, store: Store) -> Any:
    """Return numbers, text and None as they are, and everything else with its type's name."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        written = number.write(value, store)
        return written if isinstance(written, float) else {"number": written}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_write_value(each, store) for each in value]}
    if isinstance(value, dict):
        items = [[_write_value(k, store), _write_value(v, store)] for k, v in value.items()]
        return {"dict": items}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"array": store.put(value)}
    if isinstance(value, pd.Interval) and isinstance(value.left, (int, float, np.number)):
        ends = [_write_value(each, store) for each in (value.left, value.right)]
        return {"interval": [*ends, value.closed]}
    raise SavedFileError(
        f"save: expected numbers, text, arrays, lists or dicts, got a {type(value).__name__}, "
        "which a file without code cannot hold. Use pickle, in places that you trust."
    )


def _read_value(given: Any, store: Store, where: str) -> Any:
    if given is None or type(given) in (bool, int, float, str):
        return given
    if type(given) is dict and len(given) == 1:
        ((kind, inside),) = given.items()
        match kind:
            case "number":
                return number.read(inside, store, where)
            case "list":
                return list(_many.read(inside, store, where))
            case "tuple":
                return _many.read(inside, store, where)
            case "dict":
                return _read_dict(inside, store, where)
            case "array":
                return _read_array(inside, store, where)
            case "interval":
                return _read_interval(inside, store, where)
    raise wrong(where, "a value", given)


def _read_dict(given: Any, store: Store, where: str) -> dict[Any, Any]:
    items = tuple_of(pair(value, value)).read(given, store, where)
    try:
        return dict(items)
    except TypeError:
        raise wrong(where, "keys that are numbers or text", given) from None


def _read_interval(given: Any, store: Store, where: str) -> pd.Interval[Any]:
    if type(given) is not list or len(given) != 3 or given[2] not in CLOSED:
        raise wrong(where, "two ends and how they are closed", given)
    left, right = (_read_value(each, store, where) for each in given[:2])
    if not (is_real(left) and is_real(right) and left <= right):
        raise wrong(where, "a lower end and an upper one", given)
    return pd.Interval(left, right, closed=given[2])


def _read_array(given: Any, store: Store, where: str) -> Any:
    if not isinstance(given, str) or given not in store.arrays:
        raise wrong(where, "the name of an array", given)
    return store.arrays[given]


value = Codec(_write_value, _read_value)
_many = tuple_of(value)


def _write_index(index: pd.Index[Any], store: Store) -> dict[str, Any]:
    """Return the labels of an index with its kind."""
    names = [_write_value(name, store) for name in index.names]
    if isinstance(index, pd.MultiIndex):
        levels = [_write_index(level, store) for level in index.levels]
        codes = [store.put(np.asarray(each, dtype=np.int64)) for each in index.codes]
        return {"kind": "multi", "names": names, "levels": levels, "codes": codes}
    return {"names": names, **_write_labels(index, store)}


def _write_labels(index: pd.Index[Any], store: Store) -> dict[str, Any]:
    if isinstance(index, pd.RangeIndex):
        return {"kind": "range", "labels": [index.start, index.stop, index.step]}
    if isinstance(index, pd.DatetimeIndex):
        zone = None if index.tz is None else str(index.tz)
        return {"kind": "time", "labels": [index.unit, zone, store.put(index.asi8)]}
    if isinstance(index, pd.IntervalIndex) and index.dtype.subtype.kind in "iuf":  # type: ignore[union-attr]
        ends = [store.put(np.asarray(each, dtype=np.float64)) for each in (index.left, index.right)]
        whole = index.dtype.subtype.kind in "iu"  # type: ignore[union-attr]
        return {"kind": "intervals", "labels": [index.closed, whole, *ends]}
    if isinstance(index, pd.TimedeltaIndex):
        return {"kind": "duration", "labels": [index.unit, store.put(index.asi8)]}
    if isinstance(index, pd.PeriodIndex):
        return {"kind": "period", "labels": [index.freqstr, store.put(index.asi8)]}
    if isinstance(index, pd.CategoricalIndex):
        return _write_labels(index.astype(index.categories.dtype), store)
    if index.dtype.kind in "iufb" and not isinstance(index.dtype, np.dtype) and not index.hasnans:
        index = pd.Index(index.to_numpy())  # of pandas's own numbers
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "iufb":
        return {"kind": "numbers", "labels": store.put(index.to_numpy())}
    if index.dtype.kind not in "OiufbU":
        raise SavedFileError(
            f"save: expected an index of numbers, text, intervals or times, got one of "
            f"{index.dtype}. "
            "Reset the index of the data, or use pickle in places that you trust."
        )
    missing = index.isna()
    labels = [None if hole else _write_value(each, store) for each, hole in zip(
        index.tolist(), missing, strict=True)]  # fmt: skip
    plain = all(isinstance(each, str) for each in labels)
    return {"kind": "text" if plain else "objects", "labels": labels}


def _read_index(given: Any, store: Store, where: str) -> pd.Index[Any]:
    if type(given) is not dict or not isinstance(given.get("kind"), str):
        raise wrong(where, "an index", given)
    names = list(_many.read(given.get("names"), store, f"{where}.names"))
    try:
        index = _read_labels(given, store, where)
        index.names = names
        len(index)  # a range may have more labels than any machine counts
    except SavedFileError:
        raise
    # Whatever pandas says of labels that do not fit together.
    except Exception as error:
        raise wrong(where, f"labels that fit together ({error})", given) from error
    return index


def _read_labels(given: dict[str, Any], store: Store, where: str) -> pd.Index[Any]:
    labels = given.get("labels")
    match given["kind"]:
        case "multi":
            levels = tuple_of(index_labels).read(given.get("levels"), store, where)
            codes = tuple_of(array(1, "i")).read(given.get("codes"), store, where)
            return pd.MultiIndex(levels=levels, codes=codes, verify_integrity=True)
        case "range":
            return pd.RangeIndex(*tuple_of(integer).read(labels, store, where))
        case "time":
            unit, zone, ticks = tuple_of(value).read(labels, store, where)
            stamps = pd.DatetimeIndex(np.asarray(store.arrays[ticks]).view(f"M8[{unit}]"))
            return stamps if zone is None else stamps.tz_localize("UTC").tz_convert(zone)
        case "duration":
            unit, ticks = tuple_of(value).read(labels, store, where)
            return pd.TimedeltaIndex(np.asarray(store.arrays[ticks]).view(f"m8[{unit}]"))
        case "period":
            freq, ordinals = tuple_of(value).read(labels, store, where)
            periods: Any = pd.PeriodIndex
            return _labels(periods.from_ordinals(np.asarray(store.arrays[ordinals]), freq=freq))
        case "intervals":
            return _read_intervals(labels, store, where)
        case "numbers":
            return _labels(_read_array(labels, store, where))
        case "text":
            return _labels(list(tuple_of(text).read(labels, store, where)))
        case "objects":
            return _labels(list(_many.read(labels, store, where)), dtype=object)
    raise wrong(where, "an index", given)


def _read_intervals(given: Any, store: Store, where: str) -> pd.Index[Any]:
    closed, whole, left, right = tuple_of(value).read(given, store, where)
    ends: list[Any] = [_read_array(each, store, where) for each in (left, right)]
    if whole:
        ends = [each.astype(np.int64) for each in ends]
    intervals: Any = pd.IntervalIndex.from_arrays(ends[0], ends[1], closed=closed)
    found: pd.Index[Any] = intervals
    return found


def _labels(values: Any, dtype: Any = None) -> pd.Index[Any]:
    index: pd.Index[Any] = pd.Index(values, dtype=dtype)
    return index


index_labels = Codec(_write_index, _read_index)
maybe_index = maybe(index_labels)
