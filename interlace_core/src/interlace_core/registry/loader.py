"""Load plugins one by one, so that a broken one stops nothing else.

Why not pluggy's own loader: in pluggy 1.7 one failing import stops all later plugins, a second
distribution with the same entry-point name is skipped silently, a misspelt hook passes until
`check_pending()`, and a hook that raises stops the hooks after it.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pluggy

from interlace_core.contract.hooks import PROJECT
from interlace_core.messages.errors import PluginError
from interlace_core.messages.names import similar_name
from interlace_core.registry.meets_contract import (
    KINDS,
    Kind,
    check_class,
    one_line,
    own_aliases,
)

GROUP = "interlace"
UNKNOWN = "unknown"

# SystemExit too: a module that calls sys.exit() when imported must not end the user's session.
ISOLATED = (Exception, SystemExit)

REFERENCE = re.compile(r"[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\]\s*)?$")
"""An entry point's value: `module` or `module:object`, extras allowed."""


@dataclass(frozen=True)
class Registered:
    """A class that a plugin provides and that met its contract.

    Attributes
    ----------
    kind, name : str
        Such as `family` and the name by which users ask for it.
    cls : type
        The class itself.
    plugin, distribution, version : str
        Entry point and distribution that it came from.
    aliases : tuple of str
        Further names by which users ask for it.
    """

    kind: str
    name: str
    cls: type[Any]
    plugin: str
    distribution: str
    version: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A plugin, or one class of it, that could not be used.

    Attributes
    ----------
    plugin, distribution, version : str
        Entry point and distribution.
    stage : str
        `metadata`, `import`, `register`, `hook`, `contract` or `name`.
    cause : str
        In one line.
    exception : BaseException
        With its traceback.
    kind, item : str
        Kind and name of the class concerned; empty if it is the plugin as a whole.
    """

    plugin: str
    distribution: str
    version: str
    stage: str
    cause: str
    exception: BaseException
    kind: str = ""
    item: str = ""

    def line(self) -> str:
        """Return the one line with which the user is warned."""
        who = name_origin(self.plugin, self.distribution, self.version)
        what = f"{self.kind} {self.item} of {who}" if self.item else who
        return (
            f"{what} is left out, it failed at stage {self.stage}: {self.cause} "
            "(everything else goes on; see `interlace plugins`)"
        )


@dataclass(frozen=True)
class Source:
    """A plugin that has not been loaded yet."""

    plugin: str
    distribution: str
    version: str
    load: Callable[[], object]

    @property
    def key(self) -> str:
        """Name under which pluggy knows it."""
        return f"{self.distribution}:{self.plugin}"

    def failure(self, stage: str, error: BaseException, kind: str = "", item: str = "") -> Failure:
        """Return the record of a failure of this plugin."""
        cause = one_line(error)
        return Failure(
            self.plugin, self.distribution, self.version, stage, cause, error, kind, item
        )


def find_sources(entry_points: Iterable[Any] | None = None) -> Iterator[Source | Failure]:
    """Yield what is installed in the group `interlace`, sorted, without importing any of it.

    Parameters
    ----------
    entry_points : iterable of importlib.metadata.EntryPoint, optional
        Used instead of those of the installed distributions.
    """
    found = list(installed_entry_points() if entry_points is None else entry_points)
    described = [each if isinstance(each, Failure) else _describe(each) for each in found]
    yield from sorted(described, key=lambda each: (each.distribution, each.plugin))


def installed_entry_points() -> Iterator[Any]:
    """Yield the installed entry points of the group, and a Failure for unreadable metadata."""
    try:
        points = metadata.entry_points(group=GROUP)
    except Exception:
        # One malformed entry_points.txt anywhere makes that call fail for everybody.
        yield from _entry_points_one_by_one()
    else:
        yield from points


def load_plugin(manager: pluggy.PluginManager, source: Source) -> Iterator[Registered | Failure]:
    """Yield each class that a plugin provides, and each failure on the way."""
    try:
        plugin = source.load()
    except ISOLATED as error:
        yield source.failure("import", error)
        return
    try:
        _register(manager, source.key, plugin)
    except ISOLATED as error:
        yield source.failure("register", error)
        return
    for kind in KINDS:
        yield from _collect(manager, source, kind)


def name_origin(plugin: str, distribution: str, version: str) -> str:
    """Return in words where a component comes from."""
    return f"plugin {plugin} of distribution {distribution} {version}"


def _entry_points_one_by_one() -> Iterator[Any]:
    seen = set()
    for distribution in metadata.distributions():
        try:
            name = distribution.name
            points = distribution.entry_points
        except Exception as error:
            if _mentions_group(distribution):
                yield _unreadable(distribution, error)
            continue
        # The first on the path is the one that Python imports.
        if name not in seen:
            seen.add(name)
            yield from points.select(group=GROUP)


def _unreadable(distribution: metadata.Distribution, error: Exception) -> Failure:
    """Return the failure of a distribution whose name only its folder tells."""
    folder = getattr(distribution, "_path", None)
    stem = getattr(folder, "stem", UNKNOWN)
    name, _, version = stem.rpartition("-")
    cause = f"the metadata in {folder} cannot be read: {one_line(error)}"
    return Failure(UNKNOWN, name or stem, version or UNKNOWN, "metadata", cause, error)


def _mentions_group(distribution: metadata.Distribution) -> bool:
    """Return whether unreadable metadata are of a plugin of ours; others do not concern us."""
    try:
        return f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or "")
    except Exception:
        return False


def _describe(entry_point: Any) -> Source | Failure:
    try:
        distribution = getattr(entry_point, "dist", None)
        if distribution is None:
            name, version = re.split(r"[.:]", entry_point.value)[0], None
        else:
            name, version = distribution.name, distribution.version
        if not isinstance(name, str) or not name:
            raise PluginError("the distribution's metadata have no Name")
    except Exception as error:
        plugin = str(getattr(entry_point, "name", UNKNOWN))
        return Failure(plugin, UNKNOWN, UNKNOWN, "metadata", one_line(error), error)
    return Source(entry_point.name, name, version or UNKNOWN, partial(_load, entry_point))


def _load(entry_point: Any) -> object:
    if not REFERENCE.match(entry_point.value):
        raise PluginError(
            f"expected an entry point `module` or `module:object`, got {entry_point.value!r}"
        )
    return entry_point.load()


def _register(manager: pluggy.PluginManager, key: str, plugin: object) -> None:
    """Register a plugin and check it at once; one that fails leaves nothing behind.

    Raises
    ------
    PluginError, ValueError or pluggy.PluginValidationError
        If it has no usable hooks, is registered already, or its hooks do not match the specs.
    """
    if manager.has_plugin(key):
        raise PluginError(f"{key} is registered already; the first one stays")
    if manager.get_name(plugin) is not None:
        raise PluginError(f"is the same object as {manager.get_name(plugin)}; that one stays")
    _check_hooks(manager, plugin)
    try:
        manager.register(plugin, name=key)
        manager.check_pending()
    except BaseException:
        if manager.has_plugin(key):
            manager.unregister(name=key)
        raise


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Complain of the mistakes that pluggy passes over, or reports without saying what to do."""
    known = [kind.hook for kind in KINDS]
    options = {name: manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
    marked = {name: opts for name, opts in options.items() if opts is not None}
    unmarked = [name for name in known if name in options and name not in marked]
    if unmarked:
        raise PluginError(f"{unmarked[0]} is not marked with @{PROJECT}_core.hookimpl")
    if not marked:
        raise PluginError(
            f"has none of the hooks {', '.join(known)}, marked with @{PROJECT}_core.hookimpl"
        )
    for name, opts in marked.items():
        hook = opts.get("specname") or name
        if hook not in known and not opts.get("optionalhook"):
            raise PluginError(f"unknown hook {hook}; {_hint(hook, known)}")
        if opts.get("wrapper") or opts.get("hookwrapper"):
            raise PluginError(f"{name} is a wrapper; these hooks only return classes")


def _hint(hook: str, known: list[str]) -> str:
    # Without the prefix, which would make any two hooks similar.
    plurals = {name.removeprefix(f"{PROJECT}_"): name for name in known}
    close = similar_name(hook.removeprefix(f"{PROJECT}_"), plurals)
    return f"did you mean {plurals[close]}?" if close else f"the hooks are {', '.join(known)}"


def _collect(
    manager: pluggy.PluginManager, source: Source, kind: Kind
) -> Iterator[Registered | Failure]:
    """Yield what one plugin's hook for one kind gives, each class checked on its own."""
    try:
        offers = list(_ask(manager, source.key, kind.hook))
    except ISOLATED as error:
        yield source.failure("hook", error, kind.name)
        return
    for offered in offers:
        label = str(getattr(offered, "__name__", type(offered).__name__))
        try:
            yield _accept(source, kind, offered)
        except ISOLATED as error:
            yield source.failure("contract", error, kind.name, label)


def _ask(manager: pluggy.PluginManager, key: str, hook: str) -> Iterator[object]:
    """Yield what the hook's implementations of this one plugin return."""
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin_name != key:
            continue
        answer = implementation.function()
        if answer is None or isinstance(answer, (str, type)):
            raise PluginError(f"{hook}() must return a list of classes, got {answer!r}")
        yield from answer


def _accept(source: Source, kind: Kind, offered: Any) -> Registered:
    check_class(kind, offered)
    origin = (source.plugin, source.distribution, source.version)
    aliases = own_aliases(offered) if kind.aliased else ()
    return Registered(kind.name, offered.name, offered, *origin, aliases)
