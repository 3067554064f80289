"""The family, approximation and optimizer that a call and the options in force ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from interlace.config.fit_options import FitOptions
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.formulas.formula import parse_formula
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import AmbiguousNameError, OptionError
from interlace_core.registry.blame import guard
from interlace_core.registry.meets_contract import require_methods
from interlace_core.registry.registry import Registry


def as_family(family: Any, registry: Registry, prefer: Mapping[str, str], who: str) -> Family:
    """Return a family from its name, its class or an instance.

    Raises
    ------
    OptionError
        If it is none of these.
    UnknownNameError
        If no installed plugin provides the name.
    """
    if isinstance(family, str):
        return registry.family(family, prefer=prefer)()
    chosen: Family = _as_instance(family, Family, "family", who)
    return chosen


def with_asked_zero_part(
    parameters: dict[str, str], family: Family, registry: Registry
) -> tuple[dict[str, str], Family]:
    """Return formulas and family with the zero part that was asked for; `~ 0` asks for none.

    Raises
    ------
    OptionError
        If none is asked for of a family that has one.
    UnsupportedModelError
        If the family's response is not a count.
    """
    text = parameters["zero"]
    if not parse_formula(text, response=False, argument="ziformula").is_empty:
        return parameters, composed(family, "zero", registry)
    if any(parameter.role == "zero" for parameter in family.parameters):
        raise OptionError(
            f"ziformula: expected terms, or 1, for family {family.name!r}, got {text!r}, which "
            "asks for no zero part. Choose the family without one, or leave ziformula out."
        )
    return {key: each for key, each in parameters.items() if key != "zero"}, family


def composed(family: Family, role: str, registry: Registry) -> Family:
    """Return the family itself if it has a parameter of a role, else its composition with one.

    The first composition that takes the family serves; without any, the family stays as it is.

    Raises
    ------
    UnsupportedModelError
        If there are compositions for the role and none takes the family.
    """
    if any(parameter.role == role for parameter in family.parameters):
        return family
    made = (
        offer.cls.of(family) for offer in registry.classes("composition") if offer.cls.role == role
    )
    return next((found for found in made if found is not None), family)


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
        cls = registry.optimizer(asked, prefer=options.prefer)
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
