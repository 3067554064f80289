"""Find and read the user's and the project's configuration file."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from interlace.config.settings import toml
from interlace_core.messages.errors import ConfigurationWarning, OptionError
from interlace_core.messages.warn import warn

FILE = "interlace.toml"
SECTION = "tool.interlace"


@dataclass(frozen=True)
class ConfigFile:
    """What a file says, unchecked, and how messages name the place."""

    values: Mapping[str, Any]
    origin: str


def user_file(environ: Mapping[str, str], home: Path | None, windows: bool) -> ConfigFile | None:
    """Return the user's file, or None if there is none.

    It is `interlace/interlace.toml` in `$XDG_CONFIG_HOME`, else in `~/.config`; on Windows in
    `%APPDATA%`.

    Raises
    ------
    OptionError
        If it cannot be read.
    """
    path = user_path(environ, home, windows)
    if path is None or not os.path.isfile(path) or not _may_decide(path):
        return None
    return ConfigFile(_read_toml(path), path)


def user_path(environ: Mapping[str, str], home: Path | None, windows: bool) -> str | None:
    """Return where the user's file is, or would be; None if the user has no folder."""
    folder = _user_folder(environ, home, windows)
    return os.path.join(folder, "interlace", FILE) if folder else None


def project_file(cwd: Path | None) -> ConfigFile | None:
    """Return the file of the nearest folder, upwards, that configures interlace, or None.

    In one folder `interlace.toml` wins over `[tool.interlace]` of `pyproject.toml`; a
    `pyproject.toml` without that table does not end the search. A file or folder of another user
    does: whoever can write there could choose the code that a fit runs.

    Raises
    ------
    OptionError
        If it cannot be read.
    """
    try:
        start = os.path.abspath(cwd or os.getcwd())
    except FileNotFoundError:
        return None
    # text, since this is asked for every fit, and objects for paths take longer than the system
    for folder in _with_parents(start):
        own, shared = os.path.join(folder, FILE), os.path.join(folder, "pyproject.toml")
        if not is_own(folder):
            _report_strange(own)
            return None
        if os.path.isfile(own):
            if not _may_decide(own):
                return None
            return ConfigFile(_read_toml(own), own)
        section = _read_section(shared) if os.path.isfile(shared) and is_own(shared) else None
        if section is not None:
            return ConfigFile(section, f"{shared} [{SECTION}]")
    return None


def watched(user: str | None, start: str) -> tuple[str, ...] | None:
    """Return the paths by whose times it shows whether other files would be found or read.

    The folders that are searched, since a folder's times change where a file comes or goes, and the
    files in them. None where one of another user is in the way: that is told every time.

    Parameters
    ----------
    user : str or None
        The path of the user's file, whether it is there or not.
    start : str
        The folder where the search for the project's file starts.
    """
    paths = [] if user is None else [user]
    if user is not None and os.path.lexists(user):
        paths.append(os.path.dirname(user))
        if not all(map(is_own, paths)):
            return None
    for folder in _with_parents(start):
        own, shared = os.path.join(folder, FILE), os.path.join(folder, "pyproject.toml")
        paths.append(folder)
        if not is_own(folder):
            return None if os.path.lexists(own) else tuple(paths)
        files = [each for each in (own, shared) if os.path.lexists(each)]
        if not all(map(is_own, files)):
            return None
        paths += files
    return tuple(paths)


def times_of(paths: Iterable[str]) -> tuple[object, ...] | None:
    """Return what differs once one of these files or folders has changed.

    None if one changed so recently that its next change might not show.
    """
    found: list[object] = []
    recent = time.time() - RECENT
    for path in paths:
        try:
            now = os.stat(path)
        except OSError:
            found.append(None)
            continue
        if now.st_mtime > recent or now.st_ctime > recent:
            return None
        found.append((now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_dev, now.st_uid))
    return tuple(found)


def _with_parents(folder: str) -> Iterator[str]:
    """Yield a folder and those above it, up to the root."""
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def user_number() -> int | None:
    """Return the number of the user who runs this; None on Windows."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def is_own(path: str | Path) -> bool:
    """Return whether a file or folder belongs to the user who runs this; true on Windows."""
    user = user_number()
    if user is None:
        return True
    try:
        return bool(os.stat(path).st_uid == user)
    except OSError:
        return False


def _may_decide(path: str) -> bool:
    """Return whether a configuration file and its folder are the user's; warn if not."""
    if is_own(path) and is_own(os.path.dirname(path)):
        return True
    _report_strange(path)
    return False


def _report_strange(path: str) -> None:
    if os.path.isfile(path):
        warn(
            f"{path}: this configuration is left aside, since the file or its folder belongs to "
            "another user. Copy it into a folder of your own, or give the options in the call.",
            ConfigurationWarning,
        )


def _user_folder(environ: Mapping[str, str], home: Path | None, windows: bool) -> str | None:
    given = environ.get("APPDATA" if windows else "XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    if given and os.path.isabs(given):
        return given
    if windows:
        return None
    if home is None:
        found = os.path.expanduser("~")
        return None if found == "~" else os.path.join(found, ".config")
    return os.path.join(home, ".config")


def _read_section(path: str) -> Mapping[str, Any] | None:
    """Return our section of a pyproject.toml; a broken one that is not ours counts as none."""
    try:
        text = _text_of(path)
        # Saves parsing on every fit in most projects.
        section: Any = _parsed(text) if "interlace" in text else {}
    except (OSError, UnicodeDecodeError):
        return None
    except tomllib.TOMLDecodeError as error:
        if f"[{SECTION}" not in text:
            return None
        raise _unreadable(path, error) from error
    for name in SECTION.split("."):
        section = section.get(name) if isinstance(section, dict) else None
        if section is None:
            return None
    if not isinstance(section, dict):
        raise OptionError(f"{path}: expected {SECTION} to be a table, got {section!r}.")
    return section


def _read_toml(path: str) -> Mapping[str, Any]:
    try:
        return _parsed(_text_of(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(path, error) from error


RECENT = 2.0
"""Seconds within which a file may change twice and have the same times: as coarsely as any file
system counts."""


def _text_of(path: str) -> str:
    """Return what a file says, read anew only if it has changed since it was read last."""
    found = os.stat(path)
    if time.time() - max(found.st_mtime, found.st_ctime) < RECENT:
        return _read(path)
    changed = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
    return _known_text(path, changed)


@lru_cache(maxsize=4)
def _known_text(path: str, changed: tuple[int, ...]) -> str:
    """Return what a file says; every fit asks, and the same few files answer."""
    return _read(path)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


@lru_cache(maxsize=4)
def _parsed(text: str) -> Mapping[str, Any]:
    """Return a file's tables; every fit asks for those of the same few files."""
    return toml(text)


def _unreadable(path: str, error: Exception) -> OptionError:
    return OptionError(f"{path}: cannot be read as TOML: {error}. Correct or remove it.")
