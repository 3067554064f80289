"""What can be configured: each key with its check and a word of help."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, get_args

import numpy as np

from interlace.choices import NewLevels
from interlace.formulas.limits import Limits
from interlace_core.messages.checks import MOST, is_real, is_whole, shown
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.registry.meets_contract import KINDS

TRUE_TEXTS = frozenset({"1", "true", "yes", "on"})
FALSE_TEXTS = frozenset({"0", "false", "no", "off"})

KERNELS = ("auto", "off", "required")
"""Whether compiled kernels are used: where there are any, never, or not without them."""

NEW_LEVELS: tuple[str, ...] = get_args(NewLevels)
"""What prediction can do with a level that the fit has not seen; see `GLMMResult.predict`."""

MAX_GAIN = 1e-2
"""Largest `tol_decrement`. With more log-likelihood left to gain, a step of 0.14 standard errors,
"optimum" would be a word without meaning."""

MAX_STARTS = 10_000
"""Largest `starts`."""


@dataclass(frozen=True)
class Setting:
    """One option that can be given a default.

    Attributes
    ----------
    key : str
        Its name in files, in `options()` and in calls.
    expected : str
        The values it takes, in words.
    check : callable
        Returns the value in its final type; raises ValueError or TypeError if it is not one.
    help : str
        What it does.
    read : callable
        Returns the value of a text (an environment variable), which `check` then sees.
    table : bool
        Whether it is a table, whose entries come from different places one by one.
    takes_objects : bool
        Whether Python code may give an object instead, which is passed on as it is.
    owner : str
        Key that this table belongs to: a place that changes the owner drops the entries of
        weaker places, since options of one optimizer mean nothing to another.
    """

    key: str
    expected: str
    check: Callable[[Any], Any]
    help: str
    read: Callable[[str], Any] = str
    table: bool = False
    takes_objects: bool = False
    owner: str = ""

    def accept(self, value: Any, origin: str) -> Any:
        """Return the checked value.

        Raises
        ------
        OptionError
            If it is not acceptable; names `origin`, the place that it comes from.
        """
        try:
            return self.check(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise OptionError(
                f"{origin}: {self.key}: expected {self.expected}, got {shown(value)}. It is "
                f"{self.help}."
            ) from error


def setting_named(key: str, origin: str) -> Setting:
    """Return the setting of that key.

    Raises
    ------
    OptionError
        If there is none; names `origin` and the closest key.
    """
    found = _BY_KEY.get(key)
    if found is not None:
        return found
    known = [setting.key for setting in SETTINGS]
    hint = did_you_mean(key, known)
    raise OptionError(f"{origin}: unknown key {key!r}.{hint} Known keys: {', '.join(known)}.")


def read_toml_value(text: str) -> Any:
    """Return a text as TOML reads it (numbers, booleans, tables), or else as it is."""
    try:
        parsed = toml(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def toml(text: str) -> dict[str, Any]:
    """Return the tables of a text.

    Raises
    ------
    tomllib.TOMLDecodeError
        If it is no TOML, or has more digits or brackets than Python reads.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise tomllib.TOMLDecodeError("a number has too many digits") from error
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("too many brackets within each other") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _count(value: Any, least: int = 0, most: int = MOST) -> int:
    if not is_whole(value, least) or value > most:
        raise ValueError
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def _read_flag(text: str) -> bool | str:
    lower = text.strip().lower()
    return lower in TRUE_TEXTS if lower in TRUE_TEXTS | FALSE_TEXTS else text


def _read_number(number: Callable[[str], Any], text: str) -> Any:
    try:
        return number(text)
    except ValueError:
        return text


def _seconds(value: Any) -> float:
    if not is_real(value) or not value > 0.0:
        raise ValueError
    return float(value)


def _gain(value: Any) -> float:
    if not is_real(value) or not 0.0 < value <= MAX_GAIN:
        raise ValueError
    return float(value)


def _one_of(choices: tuple[str, ...], value: Any) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise ValueError
    return value


def _kernels(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return KERNELS[0] if value else KERNELS[1]
    return str(_one_of(KERNELS, value))


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError
    return dict(value)


def _preferences(value: Any) -> dict[str, str]:
    """Return `{"kind:name": distribution}` from that or from `{kind: {name: distribution}}`."""
    flat: dict[str, Any] = {}
    for key, entry in _table(value).items():
        nested = _table(entry) if isinstance(entry, Mapping) else {"": entry}
        flat |= {f"{key}:{name}" if name else key: each for name, each in nested.items()}
    kinds = {kind.name for kind in KINDS}
    for key, distribution in flat.items():
        kind, _, name = key.partition(":")
        if kind not in kinds or not name:
            raise ValueError
        _text(distribution)
    return flat


def _limits(value: Any) -> dict[str, Any]:
    limits = _table(value)
    if not set(limits) <= set(LIMITS) or not all(is_whole(each, 1) for each in limits.values()):
        raise ValueError
    return limits


LIMITS = tuple(each.name for each in fields(Limits))
"""Names of the limits of formulas."""

SETTINGS = (
    Setting(
        "optimizer",
        "a name",
        _text,
        "the optimizer of the outer parameters",
        takes_objects=True,
    ),
    Setting(
        "optimizer_options",
        "a table of options",
        _table,
        "the options with which the optimizer is built",
        read=read_toml_value,
        table=True,
        owner="optimizer",
    ),
    Setting(
        "approximation",
        "a name",
        _text,
        "the way in which the random effects are integrated out",
        takes_objects=True,
    ),
    Setting(
        "nAGQ",
        "an integer of at least 0",
        _count,
        "the number of quadrature points",
        read=partial(_read_number, int),
    ),
    Setting(
        "new_levels",
        "'population', 'error', 'marginal' or 'sample'",
        partial(_one_of, NEW_LEVELS),
        "what prediction does with a level that the fit has not seen",
    ),
    Setting(
        "verbose", "true or false", _flag, "whether a fit reports its progress", read=_read_flag
    ),
    Setting(
        "prefer",
        f"a table of 'kind:name' = 'distribution', kind one of "
        f"{', '.join(kind.name for kind in KINDS)}",
        _preferences,
        "the distribution to take a name from that several provide",
        read=read_toml_value,
        table=True,
    ),
    Setting(
        "tol_decrement",
        f"a number above 0 and at most {MAX_GAIN:g}",
        _gain,
        "the largest Newton decrement at which a fit counts as converged",
        read=partial(_read_number, float),
    ),
    Setting(
        "formula_limits",
        f"a table of whole numbers of 1 or more, by {', '.join(LIMITS)}",
        _limits,
        "how large a formula may be",
        read=read_toml_value,
        table=True,
    ),
    Setting(
        "max_seconds",
        "a number above 0",
        _seconds,
        "the time after which a fit ends at the best point so far",
        read=partial(_read_number, float),
    ),
    Setting(
        "starts",
        f"an integer from 0 to {MAX_STARTS}",
        partial(_count, most=MAX_STARTS),
        "the number of searches from random starts beside the usual ones",
        read=partial(_read_number, int),
    ),
    Setting(
        "kernels",
        "'auto', 'off' or 'required', or true or false",
        _kernels,
        "whether compiled kernels are used: where they are built, never, or not without them",
        read=_read_flag,
    ),
    Setting(
        "threads",
        "an integer of at least 1",
        partial(_count, least=1),
        "the number of threads of linear algebra during a fit",
        read=partial(_read_number, int),
    ),
)

_BY_KEY = {each.key: each for each in SETTINGS}
