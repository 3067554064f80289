"""Find, list and look up what the installed plugins provide."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache, partial
from typing import Any

import pluggy

from interlace_core.calculus.links import LINKS
from interlace_core.contract import hooks
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.composition import Composition
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family
from interlace_core.contract.hooks import PROJECT
from interlace_core.contract.kernels import Compiled, Kernels
from interlace_core.contract.optimizer import Optimizer
from interlace_core.messages.errors import PluginError, PluginWarning
from interlace_core.messages.warn import warn
from interlace_core.registry.loader import (
    Failure,
    Registered,
    Source,
    find_sources,
    load_plugin,
    name_origin,
)
from interlace_core.registry.lookup import choose, from_distribution, with_name
from interlace_core.registry.meets_contract import kind_named

__all__ = ["Failure", "Registered", "Registry", "default_registry"]


@cache
def default_registry() -> Registry:
    """Return the registry of this process, which looks for plugins when first asked."""
    return Registry()


class Registry:
    """What the plugins provide; they are loaded when it is first asked.

    A plugin that fails is left out, recorded and warned about once; it stops nothing else.

    Parameters
    ----------
    entry_points : iterable of importlib.metadata.EntryPoint, optional
        Used instead of the installed ones of the group `interlace`.
    """

    def __init__(self, entry_points: Iterable[Any] | None = None) -> None:
        self._entry_points = entry_points
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hooks)
        self._waiting: deque[Source | Failure] | None = None
        self._registered: list[Registered] = []
        self._sorted: dict[str, tuple[Registered, ...]] = {}
        self._chosen: dict[tuple[Any, ...], type[Any]] = {}
        self._found_out: dict[tuple[Any, ...], dict[Any, Any]] = {}
        self._failures: list[Failure] = []
        self._unwarned: deque[Failure] = deque()
        self._by_hand: set[str] = set()
        # A plugin may ask the registry while it is being imported: hence re-entrant.
        self._lock = threading.RLock()

    def family(self, name: str, *, prefer: Mapping[str, str] | None = None) -> type[Family]:
        """Return the family class of that name.

        Parameters
        ----------
        name : str
            `name`, or `distribution:name` where several distributions provide it. An alias, or
            another spelling, serves where nothing has the name itself.
        prefer : mapping from str to str, optional
            Distribution to take a name from, such as `{"family:NAME": "DISTRIBUTION"}`.

        Raises
        ------
        UnknownNameError
            If nothing provides it (or not the distribution asked for).
        AmbiguousNameError
            If several distributions do, and neither `name` nor `prefer` says which.
        """
        found: type[Family] = self._find("family", name, prefer)
        return found

    def approximation(
        self, name: str, *, prefer: Mapping[str, str] | None = None
    ) -> type[Approximation]:
        """Return the approximation class of that name; otherwise as `family`."""
        found: type[Approximation] = self._find("approximation", name, prefer)
        return found

    def optimizer(self, name: str, *, prefer: Mapping[str, str] | None = None) -> type[Optimizer]:
        """Return the optimizer class of that name; otherwise as `family`."""
        found: type[Optimizer] = self._find("optimizer", name, prefer)
        return found

    def covariance(self, name: str, *, prefer: Mapping[str, str] | None = None) -> type[Covariance]:
        """Return the covariance-structure class of that name; otherwise as `family`."""
        found: type[Covariance] = self._find("covariance", name, prefer)
        return found

    def compiled(self, family: Family) -> Compiled | None:
        """Return the compiled code that may serve models of a family; None if nothing is built.

        Joined by the distribution that provides the family, its name and the link of its mean, so
        that another family of the same name is not taken for it. One made of other families is
        served where those are.
        """
        built = [kernels for kernels in self._kernels() if kernels.build]
        known = self.found_out(family)
        builds = (Compiled, *((each.name, each.build) for each in built))
        if builds not in known:
            known[builds] = self._compiled(family, built)
        found: Compiled | None = known[builds]
        if found is not None:
            for key in [key for key, agrees in found.known.items() if not agrees]:
                del found.known[key]  # who fits the model anew is told again
        return found

    def found_out(self, family: Family) -> dict[Any, Any]:
        """Return what was found out about a family, which whoever finds out more adds to.

        It is kept for families of the same class and options, so that what depends on nothing else
        is looked at in the first fit alone. Empty, and kept by nobody, where a family is no frozen
        dataclass whose options can be compared.
        """
        self._ensure_loaded()
        key = _value_of(family)
        if key is None:
            return {}
        if len(self._found_out) >= MOST_FAMILIES:
            self._found_out.clear()
        return self._found_out.setdefault(key, {})

    def _compiled(self, family: Family, built: list[Kernels]) -> Compiled | None:
        if not built and type(family).row_kernel is Family.row_kernel:
            return None
        rows = tuple(kernels for kernels in built if self._joined(kernels, family))
        return Compiled(rows, tuple(built), tuple(built))

    def _kernels(self) -> list[Kernels]:
        return [each.cls() for each in self.classes("kernel")]

    def _joined(self, kernels: Kernels, family: Family) -> bool:
        link = family.parameters[0].link
        if link != LINKS.get(link.name):  # somebody's own of that name
            return False
        origins = [each.distribution for each in self._registered if each.cls is type(family)]
        keys = ((origin, family.name, link.name) for origin in origins)
        named = any(key in kernels.families for key in keys)
        inside = family.inside if isinstance(family, Composition) else ()
        return named and all(self._joined(kernels, each) for each in inside)

    def classes(self, kind: str) -> tuple[Registered, ...]:
        """Return all classes of a kind, sorted by name and distribution."""
        wanted = kind_named(kind).name
        self._ensure_loaded()
        if wanted not in self._sorted:  # each fit asks several times
            found = [each for each in self._registered if each.kind == wanted]
            found.sort(key=lambda each: (each.name, each.distribution))
            self._sorted[wanted] = tuple(found)
        return self._sorted[wanted]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be used, in the order in which it was found."""
        self._ensure_loaded()
        return tuple(self._failures)

    def provenance(self, component: object) -> str:
        """Return in words which plugin a class, or an instance of it, comes from.

        Never warns, because it is used in error messages. A subclass is not blamed on the
        plugin of its parent.
        """
        cls = component if isinstance(component, type) else type(component)
        self._load()
        for each in self._registered:
            if each.cls is cls:
                return name_origin(each.plugin, each.distribution, each.version)
        return f"class {cls.__module__}.{cls.__qualname__} (from no installed plugin)"

    def register_plugin(
        self,
        plugin: object,
        *,
        distribution: str = "local",
        version: str = "unknown",
        name: str | None = None,
    ) -> tuple[Registered, ...]:
        """Add a module or object with hooks, without an entry point, and return its classes.

        Registering the same `distribution` and `name` again replaces what was registered by
        hand before, so that a notebook cell can run twice. What was found through entry points
        is never displaced.

        Parameters
        ----------
        plugin : object
            Has functions marked with `interlace_core.hookimpl`.
        distribution, version : str
            Shown in tables and messages; `distribution:name` looks its classes up.
        name : str, optional
            The plugin's name; by default that of the module or class.
        """
        self._ensure_loaded()
        label = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        source = Source(label, distribution, version, partial(_itself, plugin))
        with self._lock:
            if source.key in self._by_hand:
                self._withdraw(source)
            if not self._manager.has_plugin(source.key):
                self._by_hand.add(source.key)
            before = len(self._registered)
            self._add(source)
            added = tuple(self._registered[before:])
        self._warn()
        return added

    def _ensure_loaded(self) -> None:
        self._load()
        self._warn()

    def _load(self) -> None:
        """Load what waits; safe to enter again, or to repeat after a KeyboardInterrupt."""
        with self._lock:
            if self._waiting is None:
                self._waiting = deque(find_sources(self._entry_points))
            while self._waiting:
                source = self._waiting.popleft()
                try:
                    self._add(source)
                except BaseException:
                    self._withdraw(source)
                    self._waiting.appendleft(source)
                    raise

    def _add(self, source: Source | Failure) -> None:
        if isinstance(source, Failure):
            self._note(source)
            return
        for outcome in load_plugin(self._manager, source):
            if isinstance(outcome, Failure):
                self._note(outcome)
            elif self._provides(source.distribution, outcome):
                error = PluginError(
                    f"distribution {source.distribution} provides this name already; "
                    "the first one stays"
                )
                self._note(source.failure("name", error, outcome.kind, outcome.name))
            else:
                self._registered.append(outcome)
                self._forget()

    def _provides(self, distribution: str, offered: Registered) -> bool:
        rivals = [each for each in self._registered if each.kind == offered.kind]
        return bool(from_distribution(with_name(rivals, offered.name), distribution))

    def _note(self, failure: Failure) -> None:
        self._failures.append(failure)
        self._unwarned.append(failure)

    def _withdraw(self, source: Source | Failure) -> None:
        """Forget a plugin whose loading was interrupted, or that is registered anew by hand."""
        if isinstance(source, Failure):
            return

        def kept(each: Registered | Failure) -> bool:
            return (each.distribution, each.plugin) != (source.distribution, source.plugin)

        if self._manager.has_plugin(source.key):
            self._manager.unregister(name=source.key)
        self._registered = [each for each in self._registered if kept(each)]
        self._forget()
        self._failures = [each for each in self._failures if kept(each)]

    def _warn(self) -> None:
        # Outside of loading: a filter that turns warnings into errors must not interrupt it.
        with self._lock:
            while self._unwarned:
                line = self._unwarned.popleft().line()
                warn(line, PluginWarning)

    def _find(self, kind: str, name: str, prefer: Mapping[str, str] | None) -> type[Any]:
        offers = self.classes(kind)
        key = (kind, name, *sorted((prefer or {}).items()))
        if key not in self._chosen:
            found = choose(kind_named(kind), name, offers, prefer=prefer, failures=self._failures)
            self._chosen[key] = found.cls
        return self._chosen[key]

    def _forget(self) -> None:
        """Let go of what was made of the classes registered so far."""
        self._sorted.clear()
        self._chosen.clear()
        self._found_out.clear()


MOST_FAMILIES = 256
"""Families of which is kept what was found out about them."""


def _value_of(family: Family) -> tuple[Any, ...] | None:
    """Return the class and the options of a family, None where they may change or be compared."""
    parameters = getattr(type(family), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return None
    key = (type(family), *(getattr(family, each.name) for each in fields(family)))  # type: ignore[arg-type]
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _itself(plugin: object) -> object:
    return plugin
