"""What a call asks for, read against the names of the data's columns, and kept by its texts.

Nothing here depends on a value of the data. A bootstrap by hand, a simulation or a benchmark fits
one formula many times: what was read of it serves again, and what its parts remember with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interlace.data.correlation import correlation_columns, read_correlation
from interlace.data.frames import Table
from interlace.data.request import ModelRequest
from interlace.data.specification import Specification, read_specification
from interlace.formulas.allowed import Vocabulary, check_functions
from interlace.formulas.bars import Bar


@dataclass(frozen=True, eq=False)
class Asked:
    """A model as asked for.

    Attributes
    ----------
    specification : Specification
    vocabulary : Vocabulary
    correlation : Bar or None
        Of the rows' errors.
    columns : tuple of str
        Every column of the data that is used, each once.
    """

    specification: Specification
    vocabulary: Vocabulary
    correlation: Bar | None
    columns: tuple[str, ...]


def read_request(request: ModelRequest, table: Table) -> Asked:
    """Return what a call asks for.

    Parameters
    ----------
    request : ModelRequest
    table : Table
        The data, of which only the names of columns are looked at, and the number of rows where
        an argument has a number for each.

    Raises
    ------
    FormulaError, OptionError, DataError
        As `read_specification`.
    """
    key = _texts_of(request)
    if key is None:
        return _read(request, table)
    key = (*key, request.limits, table.columns)
    found = _KNOWN.get(key)
    if found is None:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        found = _KNOWN[key] = _read(request, table)
    return found


MOST_KNOWN = 256
"""Models that are kept as they were read."""

_KNOWN: dict[tuple[object, ...], Asked] = {}

_ALONE = ("formula", "weights", "offset", "known_variance", "correlation")
"""Arguments that are a text or None, or have values that belong to one call."""


def _texts_of(request: ModelRequest) -> tuple[object, ...] | None:
    """Return all that reading a request depends on, None where that is more than texts."""
    if request.functions is not None or request.covariance is not None:
        return None
    groups, random = _several(request.groups), _several(request.random)
    parameters, arguments = tuple(request.parameters.items()), tuple(request.arguments.items())
    texts = [getattr(request, name) for name in _ALONE]
    for several in (groups, random, *parameters, *arguments):
        texts += several
    if not _TEXTS.issuperset(map(type, texts)):
        return None
    return (*texts[: len(_ALONE)], groups, random, parameters, arguments)


_TEXTS = frozenset({str, type(None)})


def _several(given: Any) -> tuple[Any, ...]:
    """Return one text or several as a tuple; what is neither in one, which is no text then."""
    return tuple(given) if type(given) in (list, tuple) else (given,)


def _read(request: ModelRequest, table: Table) -> Asked:
    vocabulary = Vocabulary(table.columns, check_functions(request.functions), request.limits)
    specification = read_specification(request, table, vocabulary)
    serial = read_correlation(request.correlation, vocabulary)
    more = [] if serial is None else correlation_columns(serial, vocabulary)
    columns = tuple(dict.fromkeys([*specification.columns, *more]))
    return Asked(specification, vocabulary, serial, columns)
