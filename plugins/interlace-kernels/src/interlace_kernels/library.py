"""The compiled library: which of its builds is loaded, and addresses of its functions."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from interlace_kernels.sources import fingerprint

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
    """Return the build for this processor; None where none was made of these sources, or loads."""
    builds = {
        path.stem.rsplit("_", 1)[-1]: path
        for path in Path(__file__).parent.glob("libinterlace_*")
        if path.suffix in (".so", ".dylib", ".dll")
    }
    try:
        handle, build = _loaded(builds["base"]), "base"
        best = os.environ.get(PINNED) or NAMES.get(handle.ik_level(), "base")
        if best in builds and best != "base":
            handle, build = _loaded(builds[best]), best
    except (KeyError, OSError, AttributeError):
        return None
    return Library(handle, WORDS[build])


def _loaded(path: Path) -> ctypes.CDLL:
    """Return a library.

    Raises
    ------
    OSError
        If it does not load, or was built from other sources than those beside it, as one that an
        update of a checkout left behind: its functions would be called with other arguments.
    """
    handle = ctypes.CDLL(str(path))
    handle.ik_sources.restype = ctypes.c_uint64
    if handle.ik_abi() != ABI or fingerprint() not in (None, handle.ik_sources()):
        raise OSError(f"{path.name} was built from other sources: install interlace-kernels again")
    return handle
