"""Names in messages: lists of them, and which known name was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

# difflib's ratio: 0.7 accepts one slip in a short name, and refuses a different word.
MIN_SIMILARITY = 0.7

MOST_COMPARED = 200
"""Characters of a name that can be a slip of another."""


def similar_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest, or None if none is close; spelling does not count."""
    names = list(known)
    same = [each for each in names if plain(each) == plain(name)]
    if same:
        return same[0]
    if len(name) > MOST_COMPARED:
        return None
    by_lower = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=MIN_SIMILARITY)
    return by_lower[close[0]] if close else None


def plain(name: str) -> str:
    """Return a name without what spellings differ in: case, dots, hyphens, underscores, spaces."""
    return re.sub(r"[\W_]+", "", name).lower()


def did_you_mean(
    name: object, known: Iterable[object], own: Mapping[str, str] | None = None
) -> str:
    """Return " Did you mean 'x'?" for the known name that is closest; "" if none is close.

    Parameters
    ----------
    name : object
        What was given; only of a str a name can be meant.
    known : iterable
        Names that there are.
    own : mapping from str to str, optional
        What to write for those that are another name of it.
    """
    names = [each for each in known if isinstance(each, str)]
    close = similar_name(name, names) if isinstance(name, str) else None
    if close is None:
        return ""
    written = (own or {}).get(close, close)
    also = "" if written == close else f" (also called {close!r})"
    return f" Did you mean {written!r}{also}?"


# How many names a message lists before it says how many more there are.
MAX_LISTED = 20


def listed(names: Iterable[str]) -> str:
    """Return names separated by commas, shortened after the first twenty."""
    known = list(names)
    shown = ", ".join(known[:MAX_LISTED]) or "none"
    hidden = len(known) - MAX_LISTED
    return f"{shown} and {hidden} more" if hidden > 0 else shown
