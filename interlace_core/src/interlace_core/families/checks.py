"""Checks that plugins share: options, responses and fixed values out of range, said in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace_core.messages.checks import is_real, is_whole
from interlace_core.messages.errors import OptionError, ResponseError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace_core.contract.family import Family
    from interlace_core.contract.optimizer import Optimizer


def check_options(
    optimizer: Optimizer,
    *,
    positive_integers: tuple[str, ...] = (),
    not_negative: tuple[str, ...] = (),
) -> None:
    """Raise one OptionError with every complaint about an optimizer's options.

    Parameters
    ----------
    optimizer : Optimizer
        The dataclass being constructed.
    positive_integers, not_negative : tuple of str
        Names of the fields that must be integers of at least 1, and finite numbers of at least 0.
    """
    complaints = []
    for option in positive_integers:
        value = getattr(optimizer, option)
        if not is_whole(value, 1):
            complaints.append(f"{option} must be an integer of at least 1, got {value!r}")
    for option in not_negative:
        value = getattr(optimizer, option)
        if not is_real(value) or not np.isfinite(value) or value < 0:
            complaints.append(f"{option} must be a finite number of at least 0, got {value!r}")
    if complaints:
        raise OptionError(f"optimizer {optimizer.name!r}: " + "; ".join(complaints) + ".")


def first_offender(bad: Iterable[Any]) -> int:
    """Return the position of the first true entry."""
    return int(np.flatnonzero(np.asarray(bad))[0])


def require(family: Family, ok: Any, y: Array, expected: str) -> None:
    """Raise a ResponseError that names the first row where `ok` is false.

    Parameters
    ----------
    family : Family
        Named in the message.
    ok : ndarray of bool, shape (n,)
        Whether each value is in the domain.
    y : ndarray, shape (n,)
        The values, for the message.
    expected : str
        The domain in words, such as "counts 0, 1, 2, ...".
    """
    if np.all(ok):
        return
    row = first_offender(~np.asarray(ok))
    raise ResponseError(
        f"family {family.name!r}: expected {expected}, got {y[row]:g} in {{row}}; "
        f"{int(np.sum(~np.asarray(ok)))} such row(s). "
        "Correct or drop these rows, or choose a family for such a response.",
        row,
    )


def require_counts(family: Family, y: Array) -> None:
    """Raise a ResponseError unless every value is a count.

    Parameters
    ----------
    family : Family
        Named in the message.
    y : ndarray, shape (n,)
    """
    require(family, (y >= 0) & (y == np.floor(y)), y, "counts 0, 1, 2, ...")


def positive_or_none(family: Family, argument: str, value: float | None) -> None:
    """Raise an OptionError unless a fixed parameter is None or a positive finite number."""
    if value is None:
        return
    if not is_real(value):
        got = f"{type(value).__name__} {value!r}"
    elif not (np.isfinite(value) and value > 0):
        got = repr(value)
    else:
        return
    raise OptionError(
        f"family {family.name!r}: {argument} must be a positive number (which fixes it) or None "
        f"(which estimates it), got {got}."
    )
