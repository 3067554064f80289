"""Checks of arguments that many functions take: one set of them, for every public function.

Each says who complains, what was expected and what came instead. Values are shown by `shown`, which
neither fails nor floods a terminal, whatever is given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Return whether a value is a whole number, of Python's or NumPy's, of at least so much.

    True and False are not, though they count as numbers in Python.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and (least is None or bool(value >= least))  # type: ignore[operator]


def is_real(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number, of Python's or NumPy's; True and False are not.

    Nor is an integer that no number with a decimal point can hold.
    """
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and (not isinstance(value, int) or abs(value) <= sys.float_info.max)


MOST = 10**9
"""Largest count of anything that a function is asked for."""

Array = npt.NDArray[np.float64]


def require_count(n: object, who: str, least: int = 1, most: int = MOST) -> None:
    """Raise an OptionError unless n is a whole number of at least `least`, at most `most`."""
    if not is_whole(n, least):
        raise OptionError(f"{who} must be a whole number of at least {least}, got {shown(n)}.")
    if n > most:
        raise OptionError(f"{who} must be at most {most}, got {shown(n)}.")


def check_seed(seed: object) -> None:
    """Raise an OptionError unless a seed is None or a whole number of at least 0."""
    if seed is not None and not is_whole(seed, 0):
        raise OptionError(f"seed must be None or a whole number of at least 0, got {shown(seed)}.")


def require_share(value: Any, who: str) -> None:
    """Raise an OptionError unless a value is a number between 0 and 1, both excluded."""
    if not is_real(value) or not 0.0 < value < 1.0:
        raise OptionError(f"{who} must lie between 0 and 1, got {shown(value)}.")


def check_level(level: Any, who: str) -> float:
    """Return a level in double precision; raise an OptionError unless it is between 0 and 1."""
    require_share(level, f"{who}: level")
    return float(level)


def require_choice(value: object, choices: Collection[object], who: str) -> None:
    """Raise an OptionError unless a value is one of some texts or numbers."""
    plain = isinstance(value, (str, int, np.integer)) and not isinstance(value, bool)
    if not plain or value not in choices:
        known = ", ".join(map(repr, choices))
        hint = did_you_mean(value, choices)
        raise OptionError(f"{who} must be one of {known}, got {shown(value)}.{hint}")


def require_flag(value: object, who: str) -> None:
    """Raise an OptionError unless a value is True or False, of Python's or NumPy's."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{who} must be True or False, got {shown(value)}.")


def require_type(value: object, kind: type | tuple[type, ...], who: str, what: str) -> None:
    """Raise an OptionError unless a value is of a class; `what` says it in words."""
    if not isinstance(value, kind):
        raise OptionError(f"{who} must be {what}, got {shown(value)}.")


def require_text(value: object, who: str, what: str = "text") -> None:
    """Raise an OptionError unless a value is a text that is not empty and can be written."""
    if not isinstance(value, str) or not value.strip() or not is_writable(value):
        raise OptionError(f"{who} must be {what}, got {shown(value)}.")


def is_writable(text: str) -> bool:
    """Return whether a text has no lone surrogates, which no file and no terminal takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def names_of(value: object, who: str, what: str) -> list[str]:
    """Return a list of names from one name or several.

    Raises
    ------
    OptionError
        If it is neither; `what` says what the names are of.
    """
    if isinstance(value, str):
        return [value]
    # a list, a set, an array, an index or a column: this room knows no data frames
    several = isinstance(value, (Sequence, Set)) or getattr(value, "ndim", None) == 1
    if not several or isinstance(value, (bytes, bytearray)):
        raise OptionError(f"{who} must be {what}, or a list of such names, got {shown(value)}.")
    names: list[str] = list(value)  # type: ignore[call-overload]
    for each in names:
        if not isinstance(each, str):
            raise OptionError(
                f"{who} must be {what}, or a list of such names, got {shown(each)} among them."
            )
    return names


def require_mapping(value: object, who: str, what: str) -> Mapping[str, Any]:
    """Return a value that is a mapping from names.

    Raises
    ------
    OptionError
        If it is none; `what` says what it should be.
    """
    found = entries_of(value)
    if found is None:
        raise OptionError(f"{who} must be {what}, got {shown(value)}.")
    for key in found:
        if not isinstance(key, str):
            raise OptionError(f"{who} must be {what}, got {shown(key)} in the place of a name.")
    return found


def entries_of(value: object) -> dict[Any, Any] | None:
    """Return a mapping as a dict; None if it is no mapping, or does not give its entries."""
    if not isinstance(value, Mapping):
        return None
    try:
        return dict(value.items())
    except Exception:  # an object of the user's
        return None


def require_callable(value: object, who: str, what: str) -> None:
    """Raise an OptionError unless a value can be called."""
    if not callable(value):
        raise OptionError(f"{who} must be {what}, got {shown(value)}.")


def numbers_of(
    value: object,
    who: str,
    what: str,
    shape: tuple[int, ...] | None = None,
    *,
    finite: bool = True,
) -> Array:
    """Return an array of numbers.

    Parameters
    ----------
    value : array-like
    who : str
        The argument.
    what : str
        What the numbers are, such as "one number for each coefficient".
    shape : tuple of int, optional
        The shape that it must have; any if None.
    finite : bool
        Whether all must be finite.

    Raises
    ------
    OptionError
        If something is no such number, or the shape is another.
    """
    needs = what if shape is None else f"{what}, shape {shape}"
    found: Array | None = None
    try:
        given = np.asarray(value)
        if isinstance(value, (str, bytes)) or np.ma.is_masked(value):
            pass
        elif given.dtype.kind in "fiub" or (given.dtype.kind == "O" and _all_real(given)):
            found = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    if found is None:
        raise OptionError(f"{who} must be {needs}, got {shown(value)}.")
    if shape is not None and found.shape != shape:
        raise OptionError(f"{who} must be {needs}, got shape {found.shape}.")
    if finite and not np.all(np.isfinite(found)):
        raise OptionError(f"{who} must be {needs}, got numbers that are not finite among them.")
    return found


def _all_real(values: Any) -> bool:
    return all(is_real(each) for each in values.ravel())


def path_of(value: object, who: str) -> Path:
    """Return a path of a file from text or a path.

    Raises
    ------
    OptionError
        If it is neither, is empty, or holds a character that no path can.
    """
    try:
        text = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        text = None
    text = os.fsdecode(text) if isinstance(text, bytes) else text
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise OptionError(f"{who} must be the path of a file, got {shown(value)}.")
    return Path(text)


MAX_SHOWN = 60
"""Characters of a value in a message."""


def shown(value: object) -> str:
    """Return a value in a few characters, whatever it is: large ones by their type and size."""
    kind = type(value).__name__
    size = getattr(value, "shape", None)
    if isinstance(size, tuple) and size != ():
        return f"{kind} of shape {size}"
    try:
        text = " ".join(repr(value).split()).encode("ascii", "backslashreplace").decode()
    except Exception:  # an object of the user's
        return f"an object of type {kind}"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}... ({kind})"
