"""The file itself: a zip of one JSON document and one `.npy` file per array, with their hashes.

    manifest.json     format, schema, what wrote it, and the SHA-256 of every other member
    result.json       the result, with names in the place of arrays
    arrays/a0.npy     an array of floats, integers or booleans

Members are stored without compression, so that a small file cannot grow when it is read. The hash
tells damage from health; it is no signature and does not tell who wrote the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from interlace.saving.codecs import DTYPES, AnyArray, Store
from interlace_core.messages.errors import SavedFileError

FORMAT = "interlace result"
MANIFEST, DOCUMENT, ARRAYS = "manifest.json", "result.json", "arrays/"
LONGEST, MOST_AXES = 2**40, 8
"""Entries along an axis of an array, and axes; an array without entries has these alone."""

DATE = (1980, 1, 1, 0, 0, 0)
"""Every member's time, so that the same result gives the same bytes."""


def pack(document: Any, store: Store, schema: int, made_by: Mapping[str, str]) -> bytes:
    """Return the bytes of a file."""
    members = {DOCUMENT: _json(document)}
    for name, array in store.arrays.items():
        members[f"{ARRAYS}{name}.npy"] = _npy(array)
    manifest = {
        "format": FORMAT,
        "schema": schema,
        "made_by": dict(made_by),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {MANIFEST: _json(manifest), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content)
    return buffer.getvalue()


def unpack(content: bytes, schema: int) -> tuple[Any, Store]:
    """Return the document and the arrays of a file.

    Parameters
    ----------
    content : bytes
        Of the whole file.
    schema : int
        The schema that can be read.

    Raises
    ------
    SavedFileError
        If the file is no saved result, is damaged, or has another schema.
    """
    members = _members(content)
    if MANIFEST not in members or DOCUMENT not in members:
        raise _damaged(f"it has no {MANIFEST} or no {DOCUMENT}")
    manifest = _parse(members.pop(MANIFEST), MANIFEST)
    _check_manifest(manifest, schema)
    hashes = manifest["sha256"]
    if type(hashes) is not dict or set(hashes) != set(members):
        raise _damaged("its manifest does not list what it holds")
    for name, member in members.items():
        if hashlib.sha256(member).hexdigest() != hashes[name]:
            raise _damaged(f"the content of {name} does not have the hash that it was saved with")
    document = _parse(members.pop(DOCUMENT), DOCUMENT)
    arrays = {}
    for name, member in members.items():
        if not (name.startswith(ARRAYS) and name.endswith(".npy")):
            raise _damaged(f"it holds {name!r}, which does not belong there")
        arrays[name.removeprefix(ARRAYS).removesuffix(".npy")] = _read_npy(member, name)
    return document, Store(arrays)


def _check_manifest(manifest: Any, schema: int) -> None:
    keys = {"format", "schema", "made_by", "sha256"}
    if type(manifest) is not dict or set(manifest) != keys or manifest["format"] != FORMAT:
        raise _damaged("its manifest is not that of a saved result")
    found = manifest["schema"]
    if type(found) is not int or found < 1:
        raise _damaged(f"its schema is {str(found)[:20]!r}")
    if found != schema:
        way_out = "update interlace-core" if found > schema else "fit the model again and save it"
        raise SavedFileError(
            f"load: the file has schema {found}, and this interlace-core reads schema {schema}. "
            f"It was written by {_makers(manifest)}; {way_out}."
        )


def _makers(manifest: dict[str, Any]) -> str:
    made_by = manifest["made_by"]
    if type(made_by) is not dict:
        return "a newer version"
    return ", ".join(f"{str(k)[:40]} {str(v)[:40]}" for k, v in list(made_by.items())[:10])


def _members(content: bytes) -> dict[str, bytes]:
    """Return the members of a zip by name, uncompressed ones only."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) < len(names):
                raise _damaged("it holds a name twice")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise _damaged("it is compressed, which save() never does")
            if sum(info.file_size for info in infos) > len(content):
                raise _damaged("it claims to hold more than its size")
            return {info.filename: archive.read(info) for info in infos}
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError,
        RuntimeError, NotImplementedError, ValueError, OverflowError, IndexError,
    ) as error:  # fmt: skip
        if isinstance(error, SavedFileError):
            raise
        raise _damaged(f"it cannot be read as a zip ({error})") from error


def _json(document: Any) -> bytes:
    return json.dumps(document, allow_nan=False, indent=1).encode()


def _parse(content: bytes, name: str) -> Any:
    try:
        return json.loads(
            content.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError) as error:
        raise _damaged(f"{name} is no JSON ({str(error)[:100]})") from error


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        raise ValueError("a key is there twice")
    return found


MOST_AXES = 4
"""Axes of an array: one more than any that is saved has."""


def _npy(array: AnyArray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_npy(content: bytes, name: str) -> AnyArray:
    """Return an array, read-only, after its header was held against the size of its data."""
    buffer = io.BytesIO(content)
    try:
        np.lib.format.read_magic(buffer)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    # Whatever the reading of a header raises: Python's own tokenizer is among what reads it.
    except Exception as error:
        raise _damaged(f"{name} is no array ({str(error)[:100]})") from error
    plain = all(type(length) is int and 0 <= length <= LONGEST for length in shape)
    if not plain or len(shape) > MOST_AXES:
        raise _damaged(f"{name} has the shape {str(shape)[:60]}")
    if dtype.str not in DTYPES or fortran:
        raise _damaged(f"{name} is an array of type {dtype}, Fortran order {fortran}")
    if len(shape) > MOST_AXES or not all(type(k) is int and 0 <= k < 2**31 for k in shape):
        raise _damaged(f"{name} is an array of shape {str(shape)[:60]}")
    data = content[buffer.tell() :]
    size = dtype.itemsize
    for length in shape:
        size *= length
    if len(data) != size:
        raise _damaged(f"{name} has {len(data)} bytes of data, not {size}")
    return np.frombuffer(data, dtype=dtype).reshape(shape)


def _damaged(why: str) -> SavedFileError:
    return SavedFileError(
        f"load: expected a file written by save(), but {why}. The file is damaged, incomplete or "
        "not a saved result; save the result again, or fetch the file again."
    )
