"""Parts put aside: their arrays in a file that is mapped, all else in memory."""

from __future__ import annotations

import io
import mmap
import pickle
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from interlace_core.contract.kernels import Compiled
from interlace_core.engine.compiled import KeptRows
from interlace_core.messages.errors import FileAccessError, OutOfMemoryError
from interlace_core.records import Array

ALIGNED = 64
"""Bytes that arrays begin at multiples of."""


class Folder:
    """A folder for files, deleted with whoever holds it.

    Parameters
    ----------
    where : str, optional
        In which it is made; the system's for temporary files by default.
    """

    def __init__(self, where: str | None = None) -> None:
        with writing(where or "the system's folder for temporary files"):
            self.path = Path(tempfile.mkdtemp(prefix="interlace-", dir=where))
        weakref.finalize(self, shutil.rmtree, str(self.path), ignore_errors=True)


@contextmanager
def writing(where: str | Path) -> Iterator[None]:
    """Turn the system's refusal to write into a FileAccessError that says what to do.

    A ValueError is that of a path that the system has no letters for.

    Parameters
    ----------
    where : str or Path
        What is written, or the folder it goes to.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise FileAccessError(
            f"data in parts: cannot write to {str(where)!r}: "
            f"{getattr(error, 'strerror', None) or error}. Make room or allow it, or name another "
            "folder: interlace.in_parts(data, folder=...)."
        ) from error


Put = TypeVar("Put")


def put_aside(value: Put, path: Path) -> Put:
    """Return a problem, with all that it keeps, or compiled rows, whose arrays lie in a file.

    The file is mapped: pages are read when they are needed, and dropped when memory is. Arrays that
    lie in a file already stay there.

    Parameters
    ----------
    value : Problem or KeptRows
    path : Path
        Is written.
    """
    skeleton, places = io.BytesIO(), []
    with writing(path), path.open("wb") as file:

        def keep(buffer: pickle.PickleBuffer) -> None:
            raw = buffer.raw()
            file.write(b"\0" * (-file.tell() % ALIGNED))
            places.append((file.tell(), raw.nbytes))
            file.write(raw)

        writer = _Writer(skeleton, keep)
        writer.dump(value)
        file.write(b"\0" * ALIGNED)
    mapped = _mapped(path)
    buffers = [mapped[start : start + size] for start, size in places]
    found: Put = _Reader(skeleton, buffers, writer.staying).load()
    return found


def _mapped(path: Path) -> memoryview:
    """Return the bytes of a file, of which those that are written to are the process's own.

    Raises
    ------
    OutOfMemoryError
        If a limit of the process refuses the addresses.
    """
    try:
        with path.open("rb") as written:
            return memoryview(mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_COPY))
    except OSError as error:
        raise OutOfMemoryError(
            f"data in parts: the system does not map {str(path)!r} ({error.strerror or error}). "
            "Files that are mapped take addresses and no memory, but limits of a process's data "
            "and addresses (ulimit -d, ulimit -v) count them: raise those, and limit memory by a "
            "control group; or let more parts stay in memory: interlace.in_parts(data, memory=...)."
        ) from error


def is_mapped(array: Array) -> bool:
    """Return whether an array is one of a file that is mapped."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)


class _Writer(pickle.Pickler):
    """Writes arrays to the file, repeated numbers as one.

    Compiled code stays where it is, and so do arrays that lie in a file already. What is no type of
    Python's own is asked how it is reduced, which takes a hundredth of the time that a mark of each
    object does.

    Attributes
    ----------
    staying : list
        What stays where it is.
    """

    def __init__(self, file: io.BytesIO, keep: Callable[[pickle.PickleBuffer], Any]) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self.staying: list[Any] = []

    def reducer_override(self, value: Any) -> Any:
        """Return how what stays, a repeated number, or compiled rows are had; others as ever."""
        if isinstance(value, KeptRows):
            return value.here()
        array = type(value) is np.ndarray
        if isinstance(value, Compiled) or (array and is_mapped(value)):
            self.staying.append(value)
            return _staying, (len(self.staying) - 1,)
        if not array or value.size < 2:
            return NotImplemented
        if not any(value.strides):
            return np.broadcast_to, (value.ravel()[0], value.shape)
        if not (value.flags.c_contiguous or value.flags.f_contiguous):
            return np.asarray, (np.ascontiguousarray(value),)  # as it is it would stay in memory
        return NotImplemented


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: list[Any], staying: list[Any]) -> None:
        file.seek(0)
        super().__init__(file, buffers=buffers)
        self._staying = staying

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name means; of `_staying` how what stayed where it is is found."""
        found = super().find_class(module, name)
        return self._staying.__getitem__ if found is _staying else found


def _staying(place: int) -> Any:
    """Stand, in what is written, for one of the things that stay where they are."""
    raise LookupError(f"what stays has no place {place} in a file")
