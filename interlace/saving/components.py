"""Components of plugins by name and options: `distribution:name`, found through the registry."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from interlace.saving.codecs import Codec, Store, wrong
from interlace.saving.values import value
from interlace_core.calculus.links import LINKS, Link
from interlace_core.contract.family import Family
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.families.correlated_rows import CorrelatedRows
from interlace_core.messages.errors import SavedFileError, UnknownNameError
from interlace_core.registry.registry import Registry, default_registry

COMPOSITIONS = {"CorrelatedRows": CorrelatedRows}
"""Of the core, which no plugin offers because they have no default."""


def _write_family(chosen: Family, store: Store) -> dict[str, Any]:
    cls = type(chosen)
    options = {name: getattr(chosen, name) for name in _options(chosen)}
    return {
        "name": _qualified_name(cls, default_registry()),
        "options": {name: _write_option(each, store) for name, each in options.items()},
    }


def _qualified_name(cls: type[Family], registry: Registry) -> str:
    if COMPOSITIONS.get(cls.__name__) is cls:
        return cls.__name__
    for offer in (*registry.classes("family"), *registry.classes("composition")):
        if offer.cls is cls:
            return f"{offer.distribution}:{offer.name}"
    raise SavedFileError(
        f"save: family {cls.name!r} is the class {cls.__qualname__}, which no installed plugin "
        "provides, so that a file could not find it again. Publish it through an entry point or "
        "Registry.register_plugin, or use pickle, in places that you trust."
    )


def _options(chosen: Family) -> list[str]:
    """Return the names of a family's constructor arguments."""
    if is_dataclass(chosen):
        return [each.name for each in fields(chosen) if each.init]
    if vars(chosen):
        raise SavedFileError(
            f"save: family {chosen.name!r} has state but is no dataclass, so that its arguments "
            "are unknown. Make it a frozen dataclass, or use pickle, in places that you trust."
        )
    return []


def _write_option(given: Any, store: Store) -> Any:
    if isinstance(given, Family):
        return {"family": _write_family(given, store)}
    if isinstance(given, Link):
        if LINKS.get(given.name) != given:
            raise SavedFileError(
                f"save: the link {given.name!r} is not one of {', '.join(LINKS)}, so that a file "
                "could not find it again. Use pickle, in places that you trust."
            )
        return {"link": given.name}
    if isinstance(given, ResidualCorrelation):
        return {"residuals": _structure_name(given)}
    return value.write(given, store)


def _structure_name(given: ResidualCorrelation) -> str:
    for offer in default_registry().classes("covariance"):
        if offer.cls.residuals() is type(given):
            return f"{offer.distribution}:{offer.name}"
    raise SavedFileError(
        f"save: the residual correlation {given.name!r} is of no installed plugin, so that a file "
        "could not find it again. Publish it through an entry point, or use pickle, in places "
        "that you trust."
    )


def _read_family(given: Any, store: Store, where: str) -> Family:
    if type(given) is not dict or set(given) != {"name", "options"}:
        raise wrong(where, "a family's name and options", given)
    name, options = given["name"], given["options"]
    if not isinstance(name, str) or type(options) is not dict:
        raise wrong(where, "a family's name and options", given)
    cls = COMPOSITIONS.get(name) or _installed(name)
    known: list[str] = []
    if is_dataclass(cls):
        known = [each.name for each in fields(cls) if each.init]
    if not set(options) <= set(known):
        raise wrong(f"{where}.options", f"options of {name} ({', '.join(known)})", list(options))
    read = {
        key: _read_option(each, store, f"{where}.options.{key}") for key, each in options.items()
    }
    try:
        made: Family = cls(**read)
        made.parameters  # noqa: B018
    # Whatever a plugin says of options that it does not take.
    except Exception as error:
        raise wrong(f"{where}.options", f"options that {name} takes ({error})", read) from error
    return made


def _installed(name: str) -> type[Family]:
    try:
        compositions = default_registry().classes("composition")
        for offer in compositions:
            if name == f"{offer.distribution}:{offer.name}":
                found: type[Family] = offer.cls
                return found
        return default_registry().family(name)
    except UnknownNameError as error:
        distribution = name.rpartition(":")[0]
        raise UnknownNameError(
            f"load: {error} The file was saved with {distribution or 'a plugin'} installed; "
            "install it and load the file again."
        ) from error


def _read_option(given: Any, store: Store, where: str) -> Any:
    if type(given) is dict and set(given) == {"family"}:
        return _read_family(given["family"], store, where)
    if type(given) is dict and set(given) == {"link"}:
        if not isinstance(given["link"], str) or given["link"] not in LINKS:
            raise wrong(where, f"one of the links {', '.join(LINKS)}", given["link"])
        return LINKS[given["link"]]
    if type(given) is dict and set(given) == {"residuals"} and isinstance(given["residuals"], str):
        structure = default_registry().covariance(given["residuals"]).residuals()
        if structure is None:
            raise wrong(where, "a structure for residuals", given["residuals"])
        return structure()
    return value.read(given, store, where)


family = Codec(_write_family, _read_family)
