"""The sources of the library, and a number that tells them from others.

Without imports of the package: the build, which has no other part of it yet, reads this too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent


def fingerprint() -> int | None:
    """Return a number of 64 bits that changes with any of the C files and headers.

    None in a wheel, which holds the library alone: nothing can have changed beside it.
    """
    if not (FOLDER / "c").is_dir():
        return None
    paths = sorted([*FOLDER.glob("c/*.[ch]"), *FOLDER.glob("include/*.h")])
    found = hashlib.sha256()
    for path in paths:
        # a checkout may end its lines otherwise
        found.update(path.name.encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return int.from_bytes(found.digest()[:8], "big")
