"""Names in messages: lists of them, and which known name was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# difflib's ratio: 0.7 accepts one slip in a short name, and refuses a different word.
MIN_SIMILARITY = 0.7


def similar_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest, or None if none is close; case does not count."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=MIN_SIMILARITY)
    return by_lower[close[0]] if close else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return " Did you mean 'x'?" for the known name that is closest; "" if none is close."""
    names = [each for each in known if isinstance(each, str)]
    close = similar_name(name, names) if isinstance(name, str) else None
    return f" Did you mean {close!r}?" if close else ""


# How many names a message lists before it says how many more there are.
MAX_LISTED = 20


def listed(names: Iterable[str]) -> str:
    """Return names separated by commas, shortened after the first twenty."""
    known = list(names)
    shown = ", ".join(known[:MAX_LISTED]) or "none"
    hidden = len(known) - MAX_LISTED
    return f"{shown} and {hidden} more" if hidden > 0 else shown
