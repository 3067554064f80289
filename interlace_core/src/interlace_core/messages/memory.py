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
    found = [_available(), _of_group(), _of_limit()]
    return min(each for each in found if each is not None) if any(found) else float("inf")


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


def _of_group() -> float | None:
    """Return what the control group of the process has left; None if it has no limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = float((folder / "memory.max").read_text())
        return max(limit - float((folder / "memory.current").read_text()), 0.0)
    except (OSError, ValueError):  # "max" is no number
        return None


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
