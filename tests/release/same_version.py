"""Every distribution has one version, which the changelog tells of, and a tag names it.

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


def untold(root: Path, version: str) -> list[str]:
    """Return what the changelog lacks for a release: a part for it, or changes not yet in it."""
    heads = re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    left = sorted(set((root / "changelog").glob("*.md")) - {root / "changelog" / "README.md"})
    lacking = [] if version in heads else [f"CHANGELOG.md has no part for {version}"]
    return lacking + [f"changelog/{path.name} is not in CHANGELOG.md yet" for path in left]


def main(tag: str | None) -> int:
    """Print what differs, and for a tag what its changelog lacks; return 1 if anything does."""
    found = versions()
    wanted = found["interlace"] if tag is None else tag.removeprefix("v")
    wrong = [f"{name}: {each}, not {wanted}" for name, each in found.items() if each != wanted]
    wrong += untold(ROOT, wanted) if tag else []
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
