"""Defaults of any option, and where each comes from.

From weakest to strongest: built in, the user's file, the project's file, the environment,
`with options(...)`, the call's own argument. Tables are merged entry by entry.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from interlace.config.files import (
    ConfigFile,
    project_file,
    times_of,
    user_file,
    user_number,
    user_path,
    watched,
)
from interlace.config.settings import SETTINGS, read_toml_value, setting_named

PREFIX = "INTERLACE_"
BUILT_IN, CALL = "built in", "call"
# What a file could hold; anything else that Python code gives is an object of its own kind.
PLAIN = (str, bytes, int, float, complex, list, tuple, set, Mapping)


@dataclass(frozen=True)
class Origin:
    """A value in force and the place that it comes from.

    Attributes
    ----------
    key : str
        Key, with a dot before the entry of a table.
    value : object
        None if it is not set anywhere.
    origin : str
        Such as a file's path or the name of an environment variable.
    """

    key: str
    value: Any
    origin: str


@dataclass(frozen=True)
class _Entry:
    """One value of a layer; `path` is the key, and the entry's name within a table."""

    path: tuple[str, ...]
    value: Any
    origin: str


_Layer = tuple[_Entry, ...]

OWNED = tuple(setting for setting in SETTINGS if setting.owner)
"""Settings that go with the value of another one."""

_options: ContextVar[tuple[_Layer, ...]] = ContextVar("interlace_options", default=())


def options(**values: Any) -> AbstractContextManager[None]:
    """Return a context in which these defaults hold; contexts may be nested.

    None leaves a key as it is. Threads and asynchronous tasks have contexts of their own.

    Raises
    ------
    OptionError
        At once, if a key or a value is not acceptable.

    Examples
    --------
    >>> with options(verbose=True):
    ...     Config().resolve("verbose")
    True
    """
    return _applied(_layer(values, "options()", from_python=True))


class Config:
    """Answers what the default of an option is, and why.

    Files and environment are read at the first question and kept: make a new one per fit.

    Parameters
    ----------
    builtin : mapping, optional
        The weakest defaults.
    cwd, home : Path, optional
        Where the search for the project's file starts, and the user's home.
    environ : mapping from str to str, optional
        Environment variables.
    windows : bool, optional
        Whether the user's file is looked for as on Windows.
    who : str
        The function whose arguments are the strongest, for messages and as their origin.
    here : Here, optional
        What files and environment say, where they have been read.
    """

    def __init__(
        self,
        builtin: Mapping[str, Any] | None = None,
        *,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        home: Path | None = None,
        windows: bool | None = None,
        who: str = CALL,
        here: Here | None = None,
    ) -> None:
        self._who = who
        self._builtin = _layer(builtin or {}, BUILT_IN, from_python=True)
        self._cwd = cwd
        self._environ = os.environ if environ is None else environ
        self._home = home
        self._windows = sys.platform == "win32" if windows is None else windows
        self._here = here

    def resolve(self, key: str, call_value: Any = None) -> Any:
        """Return the value of one option; a table as a new dict, None if it is not set.

        Parameters
        ----------
        key : str
            One of the known keys.
        call_value : object, optional
            The call's own argument; None if it was not given.

        Raises
        ------
        OptionError
            If a key or a value, here or in any place consulted, is not acceptable.
        """
        setting_named(key, "resolve()")
        return self.resolve_all({key: call_value})[key]

    def resolve_all(self, call: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the value of every option, given all arguments of a call.

        Prefer this to `resolve` where the call gives an optimizer: options of the optimizer
        that weaker places name then do not reach the one of the call.
        """
        return self.decided(call)[0]

    def decided(
        self, call: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], tuple[Origin, ...]]:
        """Return the values of `resolve_all`, and the rows of `configured`."""
        entries = self._merged(call or {})
        values: dict[str, Any] = {
            setting.key: {} if setting.table else None for setting in SETTINGS
        }
        for each in entries:
            key, *name = each.path
            if name:
                values[key][name[0]] = each.value
            else:
                values[key] = each.value
        return values, self._from_elsewhere(entries)

    def origins(self, call: Mapping[str, Any] | None = None) -> tuple[Origin, ...]:
        """Return a row for each value in force, in the order of the settings."""
        entries = self._merged(call or {})
        rows = []
        for setting in SETTINGS:
            found = [each for each in entries if each.path[0] == setting.key]
            rows += [Origin(".".join(each.path), each.value, each.origin) for each in found]
            if not found:
                rows.append(Origin(setting.key, None, "not set"))
        return tuple(rows)

    def configured(self, call: Mapping[str, Any] | None = None) -> tuple[Origin, ...]:
        """Return a row for each value in force that is neither built in nor the call's."""
        return self._from_elsewhere(self._merged(call or {}))

    def _from_elsewhere(self, entries: Iterable[_Entry]) -> tuple[Origin, ...]:
        return tuple(
            Origin(".".join(each.path), each.value, each.origin)
            for each in entries
            if each.origin not in (BUILT_IN, self._who)
        )

    def _merged(self, call: Mapping[str, Any]) -> list[_Entry]:
        last = _layer(call, self._who, from_python=True)
        return _merge([self._builtin, *self._surroundings, *_options.get(), last])

    @cached_property
    def _surroundings(self) -> tuple[_Layer, ...]:
        if self._here is not None:
            return self._here.layers
        return _read_surroundings(self._environ, self._cwd, self._home, self._windows)


@dataclass(frozen=True, eq=False)
class Here:
    """What files and environment said when they were looked at: the same object while they do."""

    layers: tuple[_Layer, ...] = ()


class Surroundings:
    """What the files and the environment of this process say, read again where they have changed.

    Every fit asks, and nearly always nothing has: then the times of the folders searched tell.
    """

    def __init__(self) -> None:
        self._known: tuple[object, tuple[str, ...], tuple[object, ...], Here] = (
            None,
            (),
            (),
            Here(),
        )

    def __call__(self) -> Here | None:
        """Return what they say; None where it cannot be told whether they have changed.

        Raises
        ------
        OptionError
            If a file or a variable is not acceptable.
        """
        try:
            start = os.getcwd()
        except FileNotFoundError:
            return None
        environ = os.environ
        own = tuple((each, environ[each]) for each in environ if each.startswith(PREFIX))
        key = (start, own, [environ.get(each) for each in _PLACES], user_number())
        known, paths, times, here = self._known
        if key == known and times_of(paths) == times:
            return here
        windows = sys.platform == "win32"
        found = watched(user_path(environ, None, windows), start)
        now = None if found is None else times_of(found)  # before anything is read
        if found is None or now is None:
            return None
        here = Here(_read_surroundings(environ, None, None, windows))
        self._known = (key, found, now, here)
        return here


_PLACES = ("HOME", "XDG_CONFIG_HOME", "APPDATA")
"""Variables that say where the user's file is."""


def _read_surroundings(
    environ: Mapping[str, str], cwd: Path | None, home: Path | None, windows: bool
) -> tuple[_Layer, ...]:
    return (
        _file_layer(user_file(environ, home, windows)),
        _file_layer(project_file(cwd)),
        _environment_layer(environ),
    )


def within_options() -> bool:
    """Return whether a block of `options` is open here."""
    return bool(_options.get())


@contextmanager
def _applied(layer: _Layer) -> Iterator[None]:
    token = _options.set((*_options.get(), layer))
    try:
        yield
    finally:
        _options.reset(token)


def _layer(values: Mapping[str, Any], origin: str, *, from_python: bool = False) -> _Layer:
    """Return checked entries; keys with the value None are left out."""
    entries: list[_Entry] = []
    for key, value in values.items():
        setting = setting_named(key, origin)
        if value is None:
            continue
        is_object = from_python and setting.takes_objects and not isinstance(value, PLAIN)
        checked = value if is_object else setting.accept(value, origin)
        if setting.table:
            entries += [_Entry((key, name), each, origin) for name, each in checked.items()]
        else:
            entries.append(_Entry((key,), checked, origin))
    return tuple(entries)


def _merge(layers: Iterable[_Layer]) -> list[_Entry]:
    """Return the strongest entry of each path, from layers in order of strength."""
    merged: dict[tuple[str, ...], _Entry] = {}
    for layer in layers:
        given = {entry.path: entry for entry in layer}
        for setting in OWNED if given and merged else ():
            assert setting.owner is not None
            if _changes((setting.owner,), merged, given):
                merged = {path: each for path, each in merged.items() if path[0] != setting.key}
        merged |= given
    return list(merged.values())


def _changes(
    path: tuple[str, ...],
    held: Mapping[tuple[str, ...], _Entry],
    given: Mapping[tuple[str, ...], _Entry],
) -> bool:
    """Return whether a layer gives a value other than the one held so far."""
    if path not in given:
        return False
    if path not in held:
        return True
    old, new = held[path].value, given[path].value
    # Objects are not compared by value: their equality may be anything.
    return old is not new and not (isinstance(old, str) and isinstance(new, str) and old == new)


def _file_layer(found: ConfigFile | None) -> _Layer:
    return _layer(found.values, found.origin) if found else ()


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    entries: list[_Entry] = []
    for variable in sorted(each for each in environ if each.startswith(PREFIX)):
        text = environ[variable]
        if text.strip():
            entries += _read_variable(variable, text)
    return tuple(entries)


def _read_variable(variable: str, text: str) -> _Layer:
    """Return the entries of `INTERLACE_KEY`, or of one table entry, `INTERLACE_KEY__NAME`."""
    origin = f"environment variable {variable}"
    first, *names = variable.removeprefix(PREFIX).split("__")
    key = next((each.key for each in SETTINGS if each.key.upper() == first.upper()), first.lower())
    setting = setting_named(key, origin)
    value: Any = read_toml_value(text) if names else setting.read(text)
    for name in reversed(names):
        value = {name.lower() if name.isupper() else name: value}
    return _layer({key: value}, origin)
