"""Choose among the classes on offer by name, and say what to do where that is not possible."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from interlace_core.messages.errors import AmbiguousNameError, OptionError, UnknownNameError
from interlace_core.messages.names import did_you_mean, plain
from interlace_core.registry.loader import Failure, Registered, name_origin
from interlace_core.registry.meets_contract import Kind


def choose(
    kind: Kind,
    name: str,
    offers: Sequence[Registered],
    *,
    prefer: Mapping[str, str] | None = None,
    failures: Iterable[Failure] = (),
) -> Registered:
    """Return the offer that a user's name means.

    Parameters
    ----------
    kind : Kind
        For the messages and the keys of `prefer`.
    name : str
        `name` or `distribution:name`; an alias, or another spelling, where nothing has the name.
    offers : sequence of Registered
        All classes of the kind.
    prefer : mapping from str to str, optional
        Distribution by `kind:name`; does not count where `name` has one.
    failures : iterable of Failure
        Mentioned when nothing is found.

    Raises
    ------
    OptionError
        If `name` is not a str.
    UnknownNameError
        If nothing on offer has the name (or not from the distribution asked for).
    AmbiguousNameError
        If several distributions offer different classes of that name.
    """
    if not isinstance(name, str):
        raise OptionError(f"{kind.name}: expected a name (str), got {name!r}")
    written, _, bare = name.rpartition(":")
    found = answering(offers, bare)
    preferred = [(prefer or {}).get(f"{kind.name}:{each}") for each in _own_names(found, bare)]
    distribution = written or next(filter(None, preferred), "")
    chosen = from_distribution(found, distribution) if distribution else found
    if not chosen:
        raise UnknownNameError(_unknown(kind, bare, distribution, offers, failures))
    # Two distributions may pass on the very same class.
    if any(each.cls is not chosen[0].cls for each in chosen):
        raise AmbiguousNameError(_ambiguous(kind, bare, chosen))
    return chosen[0]


def with_name(offers: Iterable[Registered], name: str) -> list[Registered]:
    """Return the offers of one name."""
    return [each for each in offers if each.name == name]


def answering(offers: Sequence[Registered], name: str) -> list[Registered]:
    """Return the offers that a name means: those that have it, else those it is an alias of."""
    exact = with_name(offers, name)
    if exact:
        return exact
    asked = plain(name)
    return [each for each in offers if asked in map(plain, (each.name, *each.aliases))]


def _own_names(found: Sequence[Registered], asked: str) -> list[str]:
    """Return the name asked for, and that of what answers to it if all have the same."""
    names = {each.name for each in found}
    return [asked, *(names if len(names) == 1 else ())]


def from_distribution(offers: Iterable[Registered], distribution: str) -> list[Registered]:
    """Return the offers of one distribution, however its name is spelt."""
    wanted = _normalised(distribution)
    return [each for each in offers if _normalised(each.distribution) == wanted]


def _normalised(distribution: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _unknown(
    kind: Kind,
    name: str,
    distribution: str,
    offers: Sequence[Registered],
    failures: Iterable[Failure],
) -> str:
    wanted = f"{distribution}:{name}" if distribution else name
    parts = [f"{kind.name} {wanted!r} is not provided by anything installed."]
    providers = [each.distribution for each in answering(offers, name)]
    if providers:
        parts.append(f"{name!r} is provided by {', '.join(providers)}.")
    else:
        own = {alias: each.name for each in offers for alias in each.aliases}
        own |= {each.name: each.name for each in offers}
        meant = did_you_mean(name, own, own)
        parts += [meant.strip()] if meant else []
    parts.append(f"Installed {kind.plural}: {_listed(offers) or 'none'}.")
    broken = sorted({f"{each.distribution} (at {each.stage})" for each in failures})
    if broken:
        parts.append(f"Failed plugins: {', '.join(broken)}; see `interlace plugins`.")
    return " ".join(parts)


def _listed(offers: Sequence[Registered]) -> str:
    names = [each.name for each in offers]
    return ", ".join(
        _qualified(each) if names.count(each.name) > 1 else each.name for each in offers
    )


def _ambiguous(kind: Kind, name: str, found: Sequence[Registered]) -> str:
    origins = " and ".join(
        name_origin(each.plugin, each.distribution, each.version) for each in found
    )
    ways = " or ".join(repr(_qualified(each)) for each in found)
    if len({each.name for each in found}) > 1:
        return f"{kind.name} {name!r} is another name of several, by {origins}. Write {ways}."
    return (
        f"{kind.name} {name!r} is provided by {origins}. Write {ways}, or choose in the "
        f'configuration: prefer = {{"{kind.name}:{found[0].name}" = "{found[0].distribution}"}}.'
    )


def _qualified(offer: Registered) -> str:
    return f"{offer.distribution}:{offer.name}"
