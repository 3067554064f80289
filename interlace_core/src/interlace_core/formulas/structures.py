"""Covariance structures given by argument, put into the terms that have none of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interlace_core.errors import OptionError
from interlace_core.formulas.bars import DEFAULT_STRUCTURE, KNOWN_LEVELS, Bar
from interlace_core.formulas.spans import listed

if TYPE_CHECKING:
    from interlace_core.formulas.specification import ParameterFormula


def structured(
    mean: ParameterFormula, others: Mapping[str, ParameterFormula], given: object
) -> tuple[ParameterFormula, dict[str, ParameterFormula]]:
    """Return the formulas with structures put into the terms of the grouping factors named.

    Parameters
    ----------
    mean : ParameterFormula
    others : mapping from str to ParameterFormula
        Of further parameters.
    given : mapping from str to str, or to (str, mapping), or None
        Structure, or structure and options, by grouping factor.

    Raises
    ------
    OptionError
        If it is no such mapping, names no grouping factor of the model, or a term of that factor
        has a structure already.
    """
    if given is None:
        return mean, dict(others)
    if not isinstance(given, Mapping):
        raise OptionError(
            "covariance: expected a dict from grouping factor to structure, such as "
            f"{{'g': 'ar1'}}, got {given!r}."
        )
    read = {str(group): _read(str(group), each) for group, each in given.items()}
    bars = [bar for part in (mean, *others.values()) for bar in part.bars]
    groups = list(dict.fromkeys(bar.group for bar in bars))
    for group in read:
        if group not in groups:
            raise OptionError(
                f"covariance: expected grouping factors of the model ({listed(groups) or 'none'}), "
                f"got {group!r}. Write a term such as (0 + time | {group})."
            )
    return _part(mean, read), {name: _part(part, read) for name, part in others.items()}


def _part(
    part: ParameterFormula, read: Mapping[str, tuple[str, tuple[tuple[str, Any], ...]]]
) -> ParameterFormula:
    bars = tuple(_bar(bar, *read[bar.group]) if bar.group in read else bar for bar in part.bars)
    return replace(part, bars=bars)


def _bar(bar: Bar, structure: str, options: tuple[tuple[str, Any], ...]) -> Bar:
    if bar.structure == KNOWN_LEVELS:
        return replace(bar, options=(*bar.options, ("structure", structure), *options))
    if bar.structure != DEFAULT_STRUCTURE or bar.options:
        raise OptionError(
            f"covariance[{bar.group!r}]: expected terms of {bar.group!r} without a structure, got "
            f"({bar.label}). Give the structure in one place."
        )
    return replace(bar, structure=structure, options=options)


def _read(group: str, given: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    if isinstance(given, str):
        return given, ()
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[0], str)
        and isinstance(given[1], Mapping)
    ):
        return given[0], tuple((str(name), value) for name, value in given[1].items())
    raise OptionError(
        f"covariance[{group!r}]: expected the name of a structure, such as 'ar1', or a name with "
        f"options, such as ('ar1', {{...}}), got {given!r}."
    )
