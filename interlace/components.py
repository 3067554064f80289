"""The family, approximation and optimizer that a call and the options in force ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from interlace.config.fit_options import FitOptions
from interlace.formulas.formula import parse_formula
from interlace.formulas.limits import Limits
from interlace_core.calculus.links import Link
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.messages.errors import (
    AmbiguousNameError,
    OptionError,
    UnknownNameError,
    UnsupportedModelError,
)
from interlace_core.messages.names import did_you_mean, plain, similar_name
from interlace_core.registry.blame import guard
from interlace_core.registry.lookup import answering
from interlace_core.registry.meets_contract import require_methods
from interlace_core.registry.registry import Registered, Registry


def as_family(
    family: Any, registry: Registry, prefer: Mapping[str, str], who: str, link: Any = None
) -> Family:
    """Return a family from its name, its class or an instance, with the link asked for.

    Parameters
    ----------
    family : str, Family or class
    registry : Registry
    prefer : mapping from str to str
        Distributions to take names from that several provide.
    who : str
        The function that the user called, for messages.
    link : str or Link, optional
        Of the mean. Beside an instance, which has one, it must be the same.

    Raises
    ------
    OptionError
        If the family is none of these, or a link is given twice, or to a family without choice.
    UnknownNameError
        If no installed plugin provides the name, or the family has no such link.
    """
    if isinstance(family, str):
        named = _without_link(family, who)
        try:
            family = registry.family(named, prefer=prefer)
        except UnknownNameError:
            made = _named(named, registry, prefer, who, link)
            if made is None:
                raise
            return made
    if isinstance(family, type) and issubclass(family, Family):
        return family() if link is None else _with_link(family, link, who)
    if not isinstance(family, Family):
        known = registry.classes("family")
        raise OptionError(
            f"{who}: family must be a name, a class derived from interlace_core.Family or an "
            f"instance of one, got {shown(family)}.{_name_of_other(family, known)}"
        )
    if link is not None and link_name(link) != link_name(own_link(family)):
        raise OptionError(
            f"{who}: link={link_name(link)!r} differs from that of the family given, "
            f"{family!r}. Give the link in one place."
        )
    return family


def _named(
    name: str, registry: Registry, prefer: Mapping[str, str], who: str, link: Any
) -> Family | None:
    """Return the composition that a prefix and a family's name ask for, None if that is none.

    Raises
    ------
    UnsupportedModelError
        If the composition does not take the family.
    """
    for offer in registry.classes("composition"):
        prefix, bare = f"{offer.cls.prefix}_", plain(name)
        start = plain(prefix)
        if not offer.cls.prefix or not bare.startswith(start):
            continue
        known = registry.classes("family")
        inner = answering(known, bare[len(start) :])
        if not inner:
            continue
        base = as_family(inner[0].name, registry, prefer, who, link)
        with guard(offer.cls, "named"):
            found: Family | None = offer.cls.named(base)
        if found is None:
            takes = [each.name for each in known if offer.cls.named(each.cls()) is not None]
            raise UnsupportedModelError(
                f"{who}: family {name!r}: expected {prefix} in front of a family that can be it, "
                f"got {base.name!r}. These can: {', '.join(takes)}."
            )
        return found
    return None


def own_link(family: Family) -> str | Link:
    """Return the link that a family was built with: the mean's, or that of a latent scale."""
    if type(family).links:
        chosen: str | Link = family.link  # type: ignore[attr-defined]
        return chosen
    return family.parameters[0].link


def link_name(link: Any) -> str:
    """Return the name of a link, given by name or as an object."""
    return link.name if isinstance(link, Link) else str(link)


def _with_link(cls: type[Any], link: Any, who: str) -> Family:
    """Return a family of that class with a link."""
    if not isinstance(link, (str, Link)):
        raise OptionError(
            f"{who}: link must be a name, such as 'log', or a Link, got {shown(link)}."
        )
    names = cls.links
    if names and (isinstance(link, Link) or link in names):
        made: Family = cls(link=link)
        return made
    family: Family = cls()
    only = family.parameters[0].link.name
    if not names and link_name(link) == only:
        return family
    if not names:
        raise OptionError(
            f"{who}: family {cls.name!r} has one link, {only!r}, and no choice of another; got "
            f"link={link_name(link)!r}. Leave link out, or choose another family."
        )
    raise UnknownNameError(
        f"{who}: family {cls.name!r} has no link {link!r}.{did_you_mean(link, names)} "
        f"Its links are {', '.join(names)}."
    )


def _without_link(name: str, who: str) -> str:
    """Return a family's name; refuse one written with its link, as R writes it."""
    bare, bracket, inside = name.partition("(")
    if not bracket:
        return name
    found = re.search(r"[\w^/]+(?=['\" ]*\)?$)", inside)
    given = f", link={found.group()!r}" if found else ""
    raise OptionError(
        f"{who}: family is a name or an object, got {name!r}. Write family={bare.strip()!r}{given}."
    )


def _name_of_other(given: Any, known: Sequence[Registered]) -> str:
    """Return the name that another library's family has here, as a hint."""
    cls = given if isinstance(given, type) else type(given)
    found = answering(known, cls.__name__)
    return f" Its name here is {found[0].name!r}." if found else ""


def with_asked_zero_part(
    parameters: dict[str, str], family: Family, registry: Registry, limits: Limits
) -> tuple[dict[str, str], Family]:
    """Return formulas and family with the zero part that was asked for; `~ 0` asks for none.

    Raises
    ------
    OptionError
        If none is asked for of a family that has one.
    UnsupportedModelError
        If the family can have none.
    """
    text = parameters["zero"]
    if not parse_formula(text, response=False, argument="ziformula", limits=limits).is_empty:
        return parameters, composed(family, "zero", registry)
    if any(parameter.role == "zero" for parameter in family.parameters):
        raise OptionError(
            f"ziformula: expected terms, or 1, for family {family.name!r}, got {text!r}, which "
            "asks for no zero part. Choose the family without one, or leave ziformula out."
        )
    return {key: each for key, each in parameters.items() if key != "zero"}, family


def composed_roles(registry: Registry) -> set[str]:
    """Return the roles of parameters that installed compositions put to families."""
    offers = registry.classes("composition")
    return {offer.cls.role for offer in offers} - {""}


def composed(family: Family, role: str, registry: Registry) -> Family:
    """Return the family itself if it has a parameter of a role, else its composition with one.

    The first composition that takes the family serves, those of the distribution that the family
    is from before others; without any for the role, the family stays as it is.

    Raises
    ------
    UnsupportedModelError
        If there are compositions for the role and none takes the family.
    """
    if any(parameter.role == role for parameter in family.parameters):
        return family
    offers = [offer for offer in registry.classes("composition") if offer.cls.role == role]
    known = registry.classes("family")
    own = {each.distribution for each in known if each.cls is type(family)}
    offers.sort(key=lambda offer: offer.distribution not in own)
    found = _made_of(family, offers)
    if found is not None or not offers:
        return found or family
    takes = [
        each.name
        for each in known
        if any(p.role == role for p in each.cls().parameters) or _made_of(each.cls(), offers)
    ]
    raise UnsupportedModelError(
        f"{_ARGUMENTS.get(role, role)}: expected a family that can have a {role} part, got "
        f"{family.name!r}, whose response is {family.support or 'of no declared kind'}. "
        f"These can: {', '.join(sorted(takes))}; so can a family of your own that declares its "
        "support as that of one of these. Choose one, or leave "
        f"{_ARGUMENTS.get(role, 'the formula')} out."
    )


_ARGUMENTS = {"zero": "ziformula", "dispersion": "dispformula"}
"""Arguments of formulas for parameters of a role."""


def _made_of(family: Family, offers: Sequence[Registered]) -> Family | None:
    """Return what the first composition that takes a family makes of it."""
    for offer in offers:
        with guard(offer.cls, "of"):
            found: Family | None = offer.cls.of(family)
        if found is not None:
            return found
    return None


def as_approximation(registry: Registry, options: FitOptions, who: str) -> Approximation:
    """Return the approximation that the options ask for.

    A name with nAGQ passes nAGQ on to it; nAGQ alone chooses by what approximations serve.
    """
    asked, nAGQ, given = options.approximation, options.nAGQ, options.given
    if "nAGQ" in given and "approximation" not in given:
        asked = None  # a number of points in the call is stronger than a configured name
    if isinstance(asked, str):
        cls = registry.approximation(asked, prefer=options.prefer)
        return cls.from_nAGQ(nAGQ) if "nAGQ" in given else cls()
    if asked is not None:
        instance: Approximation = _as_instance(asked, Approximation, "approximation", who)
        return instance
    serving = [
        each
        for each in registry.classes("approximation")
        if each.cls.serves_nAGQ is not None and nAGQ in each.cls.serves_nAGQ
    ]
    if not serving:
        raise OptionError(
            f"{who}: no installed approximation serves nAGQ={nAGQ!r}. Installed ones serve "
            f"{_served(registry)}."
        )
    if len(serving) > 1:
        names = ", ".join(f"{each.distribution}:{each.name}" for each in serving)
        raise AmbiguousNameError(
            f"{who}: nAGQ={nAGQ} is served by {names}. Choose one with approximation=NAME."
        )
    chosen: Approximation = serving[0].cls.from_nAGQ(nAGQ)
    return chosen


def _served(registry: Registry) -> str:
    return ", ".join(
        f"{each.cls.serves_nAGQ.start} to {each.cls.serves_nAGQ.stop - 1} ({each.name})"
        for each in registry.classes("approximation")
        if each.cls.serves_nAGQ is not None
    )


def as_optimizer(registry: Registry, options: FitOptions, who: str) -> Optimizer:
    """Return the optimizer that is asked for, with its own options.

    Raises
    ------
    OptionError
        If an option is not one of the optimizer's, or options come with an instance.
    """
    asked, its_options = options.optimizer, options.optimizer_options
    if isinstance(asked, Optimizer):
        if its_options:
            raise OptionError(
                f"{who}: optimizer_options go with an optimizer's name; give them to "
                f"{type(asked).__name__}(...) itself."
            )
        return asked
    if isinstance(asked, str):
        cls = _optimizer_named(asked, registry, options)
    else:
        cls = type(_as_instance(asked, Optimizer, "optimizer", who))
    known: list[str] = [each.name for each in fields(cls)] if is_dataclass(cls) else []
    unknown = [option for option in its_options if option not in known]
    if unknown:
        raise OptionError(
            f"optimizer {cls.name!r} has no option {', '.join(map(repr, unknown))}. "
            f"Its options are {', '.join(known)}."
        )
    return cls(**its_options)


def shown(given: Any) -> str:
    """Return in a few words what was given in place of a component."""
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _optimizer_named(name: str, registry: Registry, options: FitOptions) -> type[Optimizer]:
    """Return the class of that name; what an extra would bring is said with its command."""
    try:
        return registry.optimizer(name, prefer=options.prefer)
    except UnknownNameError as error:
        installed = registry.classes("optimizer")
        extra = similar_name(plain(name), plugin_extras())
        if extra is None or answering(installed, extra):
            raise
        raise UnknownNameError(
            f"optimizer {name!r} is not provided by anything installed; the extra {extra!r} of "
            f"interlace brings an optimizer {extra!r}. Run pip install 'interlace[{extra}]', or "
            f"choose one of those installed: {', '.join(each.name for each in installed)}."
        ) from error


def plugin_extras() -> tuple[str, ...]:
    """Return the extras of this distribution that bring a plugin, which is named as they are."""
    try:
        required = metadata("interlace").get_all("Requires-Dist") or ()
    except PackageNotFoundError:  # imported from its sources, not installed
        return ()
    brings = (re.match(r"interlace-([\w-]+)\b.*\bextra == ['\"]\1['\"]", each) for each in required)
    return tuple(each.group(1) for each in brings if each)


def _as_instance(given: Any, contract: Any, kind: str, who: str) -> Any:
    if isinstance(given, contract):
        return require_methods(given, contract, who)
    if isinstance(given, type) and issubclass(given, contract):
        with guard(given, "construction"):
            return require_methods(given(), contract, who)
    raise OptionError(
        f"{who}: {kind} must be a name, a class derived from interlace_core.{contract.__name__} "
        f"or an instance of one, got {shown(given)}."
    )
