"""Whether another distribution has written into the folder that this package is in."""

from __future__ import annotations

import os
from importlib import metadata

FOLDER = os.path.dirname(__file__)

OTHERS = {"interlace-lme": "profiled_reml.py"}
"""Distributions whose package is called `interlace` too, with a file that only they have."""


def overlaid() -> str:
    """Return who else has files in this package's folder, and the way out; empty if nobody."""
    found = [name for name, file in OTHERS.items() if os.path.exists(os.path.join(FOLDER, file))]
    if not found:
        return ""
    return (
        f"{', '.join(map(_with_version, found))} installed a package of the same name, interlace, "
        "into the same folder, and each has overwritten files of the other. Use an environment of "
        f"its own for each; to keep this one: pip uninstall -y {' '.join(found)} interlace, then "
        "pip install interlace."
    )


def _with_version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name} (files left behind)"
