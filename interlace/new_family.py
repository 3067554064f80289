"""Write a new family's distribution: a copy of the template under another name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from interlace_core.messages.errors import OptionError

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

FOLDERS = (
    Path(__file__).parent / "template",
    Path(__file__).parents[1] / "plugins" / "interlace-template",
)
"""Where the template is: in an installed interlace, and in a copy of its repository."""


def write_family(name: str, into: Path) -> Path:
    """Write a distribution `interlace-NAME` with a family NAME and return its folder.

    Parameters
    ----------
    name : str
        Name of the family: lower-case words, digits and single underscores.
    into : Path
        Folder in which the distribution's own is made.

    Raises
    ------
    OptionError
        If the name is no such word, is taken by an installed family, or the folder exists.
    """
    _check_name(name)
    target = into / f"interlace-{name.replace('_', '-')}"
    if target.exists():
        raise OptionError(
            f"new-family: expected {target} not to exist yet, got a file or folder. Choose "
            "another name or another place (--into)."
        )
    template = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if template is None:
        raise OptionError(
            f"new-family: expected the template in {FOLDERS[0]}, got nothing there. Install "
            "interlace again."
        )
    words = _words(name)
    for source in _files(template):
        copy = target / _renamed(source.relative_to(template).as_posix(), words)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_renamed(source.read_text(encoding="utf-8"), words), encoding="utf-8")
    return target


def _check_name(name: str) -> None:
    from interlace_core.registry.registry import default_registry

    if not NAME.fullmatch(name):
        raise OptionError(
            "new-family: expected a name of lower-case letters, digits and single underscores, "
            f"starting with a letter, got {name!r}. Write it as users will: family='my_family'."
        )
    taken = [each for each in default_registry().classes("family") if each.name == name]
    if taken:
        raise OptionError(
            f"new-family: {name!r} is a family of {taken[0].distribution} {taken[0].version} "
            "already. Choose another name: users could not tell the two apart."
        )


def _words(name: str) -> dict[str, str]:
    """Return what stands in the template, with what stands in the copy."""
    return {
        "interlace-template": f"interlace-{name.replace('_', '-')}",
        "interlace_template": f"interlace_{name}",
        "GumbelFamily": "".join(word.capitalize() for word in name.split("_")) + "Family",
        '"gumbel"': f'"{name}"',
    }


def _renamed(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def _files(template: Path) -> Iterator[Path]:
    """Yield the template's own files: not what running its tests leaves behind."""
    yield template / "pyproject.toml"
    yield template / "README.md"
    for folder in ("src", "tests"):
        for path in sorted((template / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path
