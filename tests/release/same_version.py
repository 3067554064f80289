"""Every distribution has one version, and a tag names it.

Usage: python tests/release/same_version.py [TAG]
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Return the version of every file that states one."""
    found = {}
    for path in [
        ROOT / "pyproject.toml",
        *ROOT.glob("*/pyproject.toml"),
        *ROOT.glob("plugins/*/pyproject.toml"),
    ]:
        if "template" not in path.parent.name:
            project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
            found[project["name"]] = project["version"]
    for name, pattern in (
        ("CITATION.cff", r"^version: (.+)$"),
        ("interlace/__init__.py", r'^__version__ = "(.+)"$'),
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        found[name] = re.search(pattern, text, re.MULTILINE)[1]
    return found


def main(tag: str | None) -> int:
    """Print what differs; return 1 if anything does."""
    found = versions()
    wanted = found["interlace"] if tag is None else tag.removeprefix("v")
    wrong = {name: each for name, each in found.items() if each != wanted}
    print(*(f"{name}: {each}, not {wanted}" for name, each in wrong.items()), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
