"""Files on a disk: read whole, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlace_core.messages.errors import FileAccessError, MissingFileError, SavedFileError

NEW_MODE = 0o666
"""Permissions of a new file, of which the process's umask takes its share."""


def read_whole(path: Path, who: str) -> bytes:
    """Return the content of a file.

    Raises
    ------
    MissingFileError
        If there is none.
    FileAccessError
        If it cannot be read.
    """
    with _told(f"{who}: {str(path)!r} cannot be read"):
        return path.read_bytes()


def write_whole(path: Path, content: bytes, who: str) -> None:
    """Write a file so that its path always holds the old content or the new one, never a part.

    The new content is written beside it, brought to the disk, and renamed. What stood there keeps
    its permissions, and a link stays one: the file that it leads to is replaced.

    Raises
    ------
    SavedFileError
        If the folder does not exist, or something else than a file stands at the path.
    FileAccessError
        If it cannot be written; what stood there is unchanged.
    """
    failed = f"{who}: {str(path)!r} could not be written, and is as it was"
    with _told(failed):
        target = path.resolve()
        old = target.stat() if target.exists() else None
    if not target.parent.is_dir():
        raise SavedFileError(
            f"{who}: there is no folder {str(path.parent)!r}. Make it first, or choose another."
        )
    if old is not None and not stat.S_ISREG(old.st_mode):
        kind = "a folder" if stat.S_ISDIR(old.st_mode) else "a device or pipe"
        raise SavedFileError(
            f"{who}: expected the path of a file, got {str(path)!r}, which is {kind}. Choose "
            "another path."
        )
    with _told(failed):
        _replace(target, content, old)


def _replace(target: Path, content: bytes, old: os.stat_result | None) -> None:
    beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(beside, flags, NEW_MODE)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if old is not None:
            beside.chmod(stat.S_IMODE(old.st_mode))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the renaming to the disk, where folders can be opened for it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one sentence what failed, and why."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"{what}: {error.strerror}. Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a path that the system has no letters for
        why = getattr(error, "strerror", None) or str(error)
        raise FileAccessError(f"{what}: {why}. Check path, permissions and space.") from error
