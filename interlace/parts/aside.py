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
from typing import Any

import numpy as np

from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import FileAccessError

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


def put_aside(problem: Problem, path: Path) -> Problem:
    """Return a problem, with all that it keeps, whose arrays lie in a file.

    The file is mapped: pages are read when they are needed, and dropped when memory is. It may be
    deleted by name at once where the system keeps the pages of open files.

    Parameters
    ----------
    problem : Problem
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

        _Writer(skeleton, keep).dump(problem)
        file.write(b"\0" * ALIGNED)
    with writing(path), path.open("rb") as written:
        mapped = memoryview(mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_COPY))
    buffers = [mapped[start : start + size] for start, size in places]
    found: Problem = _Reader(skeleton, buffers, problem.compiled).load()
    return found


class _Writer(pickle.Pickler):
    """Writes arrays to the file, repeated numbers as one; compiled code stays where it is."""

    def __init__(self, file: io.BytesIO, keep: Callable[[pickle.PickleBuffer], Any]) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)

    def persistent_id(self, value: Any) -> str | None:
        """Return the mark of compiled code."""
        return "compiled" if isinstance(value, Compiled) else None

    def reducer_override(self, value: Any) -> Any:
        """Return how a repeated number is made; others as ever."""
        if type(value) is not np.ndarray or value.size < 2:
            return NotImplemented
        if not any(value.strides):
            return np.broadcast_to, (value.ravel()[0], value.shape)
        if not (value.flags.c_contiguous or value.flags.f_contiguous):
            return np.asarray, (np.ascontiguousarray(value),)  # as it is it would stay in memory
        return NotImplemented


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: list[Any], compiled: Compiled | None) -> None:
        file.seek(0)
        super().__init__(file, buffers=buffers)
        self._compiled = compiled

    def persistent_load(self, mark: Any) -> Any:
        """Return the compiled code."""
        return self._compiled
