"""How much memory there is, and refusals of what would not fit into it."""

from __future__ import annotations

import os
from pathlib import Path

from interlace_core.messages.errors import OutOfMemoryError

SMALL = 64.0 * 2**20
"""Bytes below which nobody asks how much there is."""


def usable_memory() -> float:
    """Return the bytes that this process can still take; infinite where the system does not tell.

    The least of what the machine has available, what its control group and its own limit allow.
    """
    found = [_available(), _of_groups(), _of_limit()]
    return min((each for each in found if each is not None), default=float("inf"))


def require_memory(size: float, who: str, what: str) -> None:
    """Raise an OutOfMemoryError if so many bytes are more than there is.

    Parameters
    ----------
    size : float
        Bytes, by a formula: a lower bound.
    who, what : str
        Who asks, and for what.
    """
    if size < SMALL:
        return
    usable = usable_memory()
    if size > usable:
        raise OutOfMemoryError(
            f"{who}: expected what fits into the {_in_words(usable)} of memory that can be used, "
            f"got {what}, which needs about {_in_words(size)}. Ask for less, or use a larger "
            "machine."
        )


def _in_words(size: float) -> str:
    return f"{size / 2**30:.3g} GB" if size >= 2**30 else f"{size / 2**20:.3g} MB"


def _available() -> float | None:
    """Return what the machine has left, as Linux tells it, or its whole memory."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None


def _of_groups(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return the least that the process's control group and those above it have left.

    None where there are none. Pages of files that a group holds are dropped when memory is needed,
    and count as left.

    Parameters
    ----------
    root, own : Path
        Where the groups are, and where the process's own is written.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    found: list[float | None] = []
    for line in lines:
        _, colon, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not (colon and second):  # no group, whatever it is
            continue
        if controllers and "memory" not in controllers.split(","):
            continue
        top, files = root / controllers, _VERSION_1 if controllers else _VERSION_2
        group = top / path.lstrip("/")
        found += [
            _left(each, *files) for each in (group, *group.parents) if top in (each, *each.parents)
        ]
    return min((each for each in found if each is not None), default=None)


_VERSION_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
_VERSION_2 = "memory.max", "memory.current", ""
"""Files of a group with its limit and what it holds, and how its statistics are called."""


def _left(group: Path, limit: str, used: str, prefix: str) -> float | None:
    """Return what one group has left; None if it has no limit, or is not there."""
    try:
        allowed = float((group / limit).read_text())  # "max" is no number
        taken = float((group / used).read_text())
        told = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    files = [float(told.get(f"{prefix}{each}_file", 0)) for each in ("active", "inactive")]
    return max(allowed - taken + sum(files), 0.0)


def _of_limit() -> float | None:
    """Return what the process's own limit of address space leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return float(max(limit - pages * resource.getpagesize(), 0))
    except (ImportError, OSError, ValueError):
        return None
