"""Check what a plugin offers against its contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from interlace_core import contract as contracts
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.composition import Composition
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.frames import Frames
from interlace_core.contract.kernels import Kernels
from interlace_core.contract.optimizer import Optimizer, OptimizerFacts
from interlace_core.messages.checks import is_whole
from interlace_core.messages.errors import OptionError, PluginError

# Longest cause in a one-line message: with who and where before it, still readable in a log.
MAX_CAUSE = 240


@dataclass(frozen=True)
class Kind:
    """One kind of component that plugins provide.

    Attributes
    ----------
    name : str
        As users write it, such as `family`.
    plural : str
        The same for several.
    contract : type
        Base class in `interlace_core.contract`.
    check : callable, optional
        Raises PluginError if a sample lacks what its contract asks for. None for a kind that
        has no sample, because its classes need more arguments than anybody can guess.
    sample_arguments : tuple
        Arguments with which a sample is built.
    aliased : bool
        Whether its classes have aliases: users ask for them by name.
    """

    name: str
    plural: str
    contract: type[Any]
    check: Callable[[Any], None] | None = None
    sample_arguments: tuple[Any, ...] = ()
    aliased: bool = True

    @property
    def hook(self) -> str:
        """Name of the hook that offers this kind."""
        return f"interlace_{self.plural}"


def kind_named(name: str) -> Kind:
    """Return the kind of that name.

    Raises
    ------
    OptionError
        If there is no such kind.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise OptionError(f"kind of component: expected one of {known}, got {name!r}")


def check_class(kind: Kind, offered: object) -> None:
    """Hold an offered class against its contract.

    The version comes before completeness: an old contract is the reason, a missing method only
    its symptom.

    Raises
    ------
    PluginError
        If the object does not meet the contract; the message is the cause alone.
    """
    if not inspect.isclass(offered):
        raise PluginError(f"expected a class, got {_shown(offered)}")
    if not issubclass(offered, kind.contract):
        raise PluginError(f"is not a subclass of interlace_core.contract.{_base(kind)}")
    _check_version(offered)
    _check_complete(offered)
    _check_name(offered)
    if kind.aliased:
        _check_names(offered, "aliases")
    if kind.check is not None:
        kind.check(build_sample(kind, offered))


def require_methods(component: Any, contract: type[Any], who: str) -> Any:
    """Return a component, if none of its own attributes hides a method of its contract.

    Raises
    ------
    PluginError
        If one does, such as a field of a dataclass.
    """
    for name, member in vars(contract).items():
        if name.startswith("_") or not inspect.isroutine(member):
            continue
        if not callable(getattr(component, name)):
            raise PluginError(
                f"{who}: {type(component).__name__} has {name} = {_shown(getattr(component, name))}"
                f", which hides the method {name}() of interlace_core.contract."
                f"{contract.__name__}. Give the field another name."
            )
    return component


def own_aliases(cls: type[Any]) -> tuple[str, ...]:
    """Return the aliases that stand beside the class's name; those of a base are the base's."""
    named: type[Any] = next(each for each in cls.__mro__ if "name" in vars(each))
    found: tuple[str, ...] = vars(named).get("aliases", ())
    return found


def one_line(error: BaseException) -> str:
    """Return an exception's type and message in one line of limited length."""
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = "(its message cannot be shown)"
    # The core's own causes are written to be read; the type says nothing more.
    own = type(error) is PluginError
    text = message if own else f"{type(error).__name__}: {message}".rstrip(": ")
    return text if len(text) <= MAX_CAUSE else text[: MAX_CAUSE - 3] + "..."


def _check_version(offered: type[Any]) -> None:
    version = getattr(offered, "contract_version", None)
    current = contracts.CONTRACT_VERSION
    if not is_whole(version):
        raise PluginError(f"expected contract_version to be an int, got {_shown(version)}")
    if version < current:
        raise PluginError(
            f"is made for contract version {version}, this interlace-core has {current}; "
            "update the plugin"
        )
    if version > current:
        raise PluginError(
            f"is made for contract version {version}, this interlace-core has {current}; "
            "update interlace-core"
        )


def _check_complete(offered: type[Any]) -> None:
    if inspect.isabstract(offered):
        missing = ", ".join(sorted(offered.__abstractmethods__))
        raise PluginError(f"is abstract, it lacks {missing}")


def _check_name(offered: type[Any]) -> None:
    name = getattr(offered, "name", None)
    if not isinstance(name, str):
        raise PluginError(f"expected a class attribute `name`, a str, got {_shown(name)}")
    if not name or ":" in name or name != "".join(name.split()):
        raise PluginError(
            f"expected a `name` of one word without a colon, got {name!r}; "
            "the colon separates distribution and name"
        )


def _check_names(offered: type[Any], attribute: str) -> None:
    """Raise unless an attribute of the class is a tuple of names, possibly empty."""
    names = getattr(offered, attribute)
    words = isinstance(names, tuple) and all(isinstance(each, str) and each for each in names)
    if not words or any(":" in each for each in names):
        raise PluginError(f"expected `{attribute}` to be a tuple of names, got {_shown(names)}")


def build_sample(kind: Kind, offered: type[Any]) -> Any:
    """Return an instance of an offered class, with the fewest arguments that it needs.

    Raises
    ------
    PluginError
        If it cannot be made.
    """
    arguments = kind.sample_arguments
    shown = ", ".join(map(repr, arguments))
    call = f"{offered.__name__}({shown})"
    try:
        sample = offered(*arguments)
    except Exception as error:
        raise PluginError(f"cannot be constructed by {call}: {one_line(error)}") from error
    if not isinstance(sample, kind.contract):
        raise PluginError(f"{call} returns {_shown(sample)}, not a {_base(kind)}")
    return sample


def _check_family(family: Family) -> None:
    parameters = family.parameters
    if not (
        isinstance(parameters, tuple)
        and parameters
        and all(isinstance(parameter, Parameter) for parameter in parameters)
    ):
        raise PluginError(
            "expected `parameters` to be a tuple of one or more Parameter, "
            f"got {_shown(parameters)}"
        )
    _check_names(type(family), "links")


def _check_approximation(approximation: Approximation) -> None:
    served = approximation.serves_nAGQ
    if served is not None and not (isinstance(served, range) and served):
        raise PluginError(
            f"expected `serves_nAGQ` to be None or a range of one or more, got {_shown(served)}"
        )


def _check_optimizer(optimizer: Optimizer) -> None:
    facts = getattr(optimizer, "facts", None)
    if not isinstance(facts, OptimizerFacts):
        raise PluginError(f"expected `facts` to be OptimizerFacts, got {_shown(facts)}")
    if not isinstance(optimizer.unavailable, str):
        raise PluginError(
            f"expected `unavailable` to be a str, got {_shown(optimizer.unavailable)}"
        )


def _check_covariance(covariance: Covariance) -> None:
    if not isinstance(covariance.n_theta, Integral):
        raise PluginError(f"expected `n_theta` to be an int, got {_shown(covariance.n_theta)}")


def _check_kernels(kernels: Kernels) -> None:
    if not isinstance(kernels.build, str):
        raise PluginError(f"expected `build` to be a str, got {_shown(kernels.build)}")
    keys = kernels.families
    if not (isinstance(keys, frozenset) and all(_is_key(key) for key in keys)):
        raise PluginError(
            "expected `families` to be a frozenset of (distribution, family, link), "
            f"got {_shown(keys)}"
        )


def _is_key(key: object) -> bool:
    return isinstance(key, tuple) and len(key) == 3 and all(isinstance(each, str) for each in key)


def _base(kind: Kind) -> str:
    return kind.contract.__name__


def _shown(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = "an object"
    short = text if len(text) <= 60 else text[:57] + "..."
    return f"{short} of type {type(value).__name__}"


KINDS = (
    Kind("family", "families", Family, _check_family),
    Kind("approximation", "approximations", Approximation, _check_approximation),
    Kind("optimizer", "optimizers", Optimizer, _check_optimizer),
    Kind("covariance", "covariances", Covariance, _check_covariance, (1,)),
    Kind("composition", "compositions", Composition, aliased=False),
    Kind("frame", "frames", Frames, aliased=False),
    Kind("kernel", "kernels", Kernels, _check_kernels, aliased=False),
)
