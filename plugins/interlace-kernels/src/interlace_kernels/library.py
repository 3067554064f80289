"""The compiled library: which of its builds is loaded, and addresses of its functions."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ABI = 1
"""The calling convention of `interlace_kernel.h` that this package was written for."""

NAMES = {0: "base", 3: "v3", 4: "v4"}
"""Builds by what `ik_level` answers."""

PINNED = "IK_LEVEL"
"""Environment variable that names a build: results of different ones differ in the last bits."""

WORDS = {"base": "baseline", "v3": "x86-64-v3", "v4": "x86-64-v4"}


@dataclass(frozen=True)
class Library:
    """A loaded library.

    Attributes
    ----------
    handle : ctypes.CDLL
    build : str
        Which instructions it uses, in words.
    addresses : dict
        Of functions by name, as they were asked for: a refit asks again.
    """

    handle: ctypes.CDLL
    build: str
    addresses: dict[str, int] = field(default_factory=dict, repr=False)

    def address(self, name: str) -> int:
        """Return the address of a function."""
        if name not in self.addresses:
            found = ctypes.cast(getattr(self.handle, name), ctypes.c_void_p).value
            assert found is not None
            self.addresses[name] = found
        return self.addresses[name]


@cache
def library() -> Library | None:
    """Return the build for this processor; None where none was made, or none loads."""
    builds = {
        path.stem.rsplit("_", 1)[-1]: path
        for path in Path(__file__).parent.glob("libinterlace_*")
        if path.suffix in (".so", ".dylib", ".dll")
    }
    try:
        handle, build = ctypes.CDLL(str(builds["base"])), "base"
        if handle.ik_abi() != ABI:
            return None
        best = os.environ.get(PINNED) or NAMES.get(handle.ik_level(), "base")
        if best in builds and best != "base":
            handle, build = ctypes.CDLL(str(builds[best])), best
    except (KeyError, OSError, AttributeError):
        return None
    return Library(handle, WORDS[build])
